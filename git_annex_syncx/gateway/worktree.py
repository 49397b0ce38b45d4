"""Git's verbs on the user's own work: is it in hand, move it forward, commit it."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from git_annex_syncx.errors import Busy, Refused, UsageError
from git_annex_syncx.gateway import atwork, objects, obstacles, torn
from git_annex_syncx.gateway.git import Repository, git, head, text
from git_annex_syncx.model import Head

UNFINISHED = {
    "MERGE_HEAD": ("a merge", "git commit, or git merge --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue, or --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue, or --abort"),
}
# The user's configuration (merge.autoStash, branch.NAME.mergeOptions) has no say in what a fast-forward is.
FAST_FORWARD = ("merge", "--ff-only", "--no-squash", "--no-autostash", "--no-overwrite-ignore", "--quiet")


class Moved(Exception):
    """The branch moved while we worked on it; look again."""


@contextlib.contextmanager
def merge_lock(repo: Repository) -> Iterator[None]:
    """One merge at a time in a repository, over threads and processes; a dead holder holds nothing."""
    with (repo.state_dir / "merge.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def require_idle(repo: Repository) -> None:
    """Raises Busy where somebody is at work here, Refused where the user left a merge unfinished."""
    if lock := atwork.held_lock(repo):
        raise Busy(f"{lock} exists: git is at work here", f"if no git is running, remove {lock}")
    for name in ("rebase-merge", "rebase-apply"):
        if (repo.git_dir / name).exists():
            raise Busy("a rebase is in progress", "git rebase --continue, or --abort")
    for name, (what, advice) in UNFINISHED.items():
        if (repo.git_dir / name).exists():
            raise Refused(f"{what} of yours is in progress", advice)
    if repo.top and atwork.commit_editor_open(repo):
        raise Busy("a commit message is being written")


def require_head(repo: Repository) -> Head:
    """The branch in hand. Raises UsageError where HEAD is detached, Busy during a rebase."""
    found = head(repo)
    if found is None:
        require_idle(repo)
        raise UsageError(f"HEAD is detached in {repo.home}", "git switch to a branch first")
    return found


def require_ready(repo: Repository) -> Head:
    """The branch in hand, nobody at work on it, what a killed run left undone. The caller has the merge lock.

    Raises UsageError, Busy, Refused.
    """
    found = require_head(repo)
    require_idle(repo)
    if repo.top:
        _undo_interrupted(repo)
    return found


def fast_forward(repo: Repository, branch: str, old: str | None, new: str) -> None:
    """Move the checked-out branch and the work tree to `new`, which contains `old`.

    Raises Refused with the names of local changes that would be overwritten, Busy, Moved. Nothing is changed then.
    """
    before = old or objects.empty_tree(repo)
    with atwork.intent(repo, new):
        if old is None:  # git would not look
            obstacles.refuse_collisions(repo, before, new)
        if _moved(repo, new):
            return
        _explain(repo, branch, old)
        changed = objects.diff(repo, before, new)
        obstacles.refuse(obstacles.collisions(repo, changed))
        if obstacles.take_identical(repo, changed) and _moved(repo, new):
            return
        git(repo, *FAST_FORWARD, new)  # for its own words


def commit(repo: Repository, message: str) -> bool:
    """Commit what is changed in tracked files, as `git annex sync` does. False where nothing is."""
    before = _at(repo)
    if not obstacles.local_changes(repo):
        return False
    git(repo, "commit", "--all", "--quiet", "--message", message)
    return _at(repo) != before


def is_configured(repo: Repository, key: str) -> bool:
    """Whether git's configuration says anything of a key, so that its default does not count."""
    return git(repo, "config", "--get", key, ok=(0, 1)).code == 0


def _undo_interrupted(repo: Repository) -> None:
    new, old = atwork.interrupted(repo), _at(repo)
    if new and new != old and git(repo, "cat-file", "-e", f"{new}^{{commit}}", ok=range(256)).code == 0:
        torn.undo(repo, old or None, new)
    atwork.forget_interrupted(repo)


def _moved(repo: Repository, new: str) -> bool:
    git(repo, *FAST_FORWARD, new, env={"GIT_REFLOG_ACTION": "git-annex-syncx"}, ok=range(256))
    return _at(repo) == new


def _explain(repo: Repository, branch: str, old: str | None) -> None:
    """Raises Busy or Moved where that is why git did not move."""
    if atwork.held_lock(repo):
        raise Busy("git is at work here")
    if _at(repo) != (old or ""):
        raise Moved(branch)


def _at(repo: Repository) -> str:
    return text(repo, "rev-parse", "--quiet", "--verify", "HEAD", ok=(0, 1))
