"""Git's verbs on the user's own work: is it in hand, move it forward, commit it."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from git_annex_syncx.errors import Busy, ProgramFailed, Refused, SyncxError, UsageError
from git_annex_syncx.git import busy, history, local_changes, objects, recovery
from git_annex_syncx.git.git import Repository, git, head, text
from git_annex_syncx.git.local_changes import Changes
from git_annex_syncx.git.objects import Change
from git_annex_syncx.model import Entry, Head
from git_annex_syncx.system import files, locks

log = logging.getLogger(__name__)

UNFINISHED = {
    "MERGE_HEAD": ("a merge", "git commit, or git merge --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue, or --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue, or --abort"),
}
# The user's configuration (merge.autoStash, branch.NAME.mergeOptions, ...) has no say in what a fast-forward is.
FAST_FORWARD = ("merge", "--ff-only", "--no-squash", "--no-autostash", "--no-overwrite-ignore",
                "--no-verify-signatures", "--quiet")  # fmt: skip


class Moved(Exception):
    """The branch moved while we worked on it; look again."""


@contextlib.contextmanager
def merge_lock(repo: Repository) -> Iterator[None]:
    """One merge at a time in a repository, over threads and processes; a dead holder holds nothing.

    Raises SyncxError where the repository cannot be written, Busy where another run holds it for too long, or where
    this one is being ended.
    """
    with locks.held(repo.state_dir / "merge.lock", "another git-annex-syncx merges here"):
        yield


def require_idle(repo: Repository) -> None:
    """Raise Busy where somebody is at work here, Refused where the user left a merge unfinished."""
    if lock := busy.held_lock(repo):
        raise busy.busy(lock)
    require_finished(repo)
    if repo.top and busy.commit_editor_open(repo):
        raise Busy("a commit message is being written")


def require_finished(repo: Repository) -> None:
    """Raise Busy in a rebase, Refused where the user left a merge unfinished."""
    for name in ("rebase-merge", "rebase-apply"):
        if (repo.git_dir / name).exists():
            raise Busy("a rebase is in progress", "git rebase --continue, or --abort")
    for name, (what, advice) in UNFINISHED.items():
        if (repo.git_dir / name).exists():
            raise Refused(f"{what} of yours is in progress", advice)
    if repo.top and (unmerged := local_changes.unmerged(repo)):
        raise Refused(
            f"unresolved conflicts of yours in {local_changes.shown(unmerged)}", "edit the files, then git add them"
        )


def require_no_commit(repo: Repository) -> None:
    """Raise Busy while a `git commit` is at work: it would fail if the branch moved under it."""
    if repo.top and busy.commit_runs(repo):
        raise Busy("a commit is being made")


def require_head(repo: Repository) -> Head:
    """Return the branch in hand. Raises UsageError for a detached HEAD or a branch of git-annex, Busy in a rebase."""
    found = head(repo)
    if found is None:
        require_idle(repo)
    return require_named(repo)


def require_named(repo: Repository) -> Head:
    """Return the branch that HEAD names. Raises UsageError where it names none, or one of git-annex."""
    found = head(repo)
    if found is None:
        raise UsageError(f"HEAD is detached in {repo.home}", "git switch BRANCH first")
    if found.branch == "git-annex" or found.branch.startswith("synced/"):
        raise UsageError(
            f"{found.branch} is checked out in {repo.home}, which git-annex keeps for itself",
            "git switch BRANCH first, to one of your own",
        )
    return found


def require_ready(repo: Repository) -> Head:
    """Return the branch in hand, with nobody at work on it and what a killed run left undone.

    The caller has the merge lock.

    Raises UsageError, Busy, Refused.
    """
    found = require_head(repo)
    require_idle(repo)
    if repo.top:
        _undo_interrupted(repo)
    return found


def require_branch(repo: Repository, branch: str) -> None:
    """Raise Busy where HEAD names another branch by now."""
    found = head(repo)
    if found is None or found.branch != branch:
        raise Busy(f"HEAD was switched from {branch} meanwhile")


def fast_forward(
    repo: Repository, branch: str, old: str | None, new: str, judge: Callable[[Mapping[bytes, Change]], None]
) -> None:
    """Move the checked-out branch and the work tree to `new`, which contains `old`.

    Raises Refused with the names of local changes that would be overwritten, ProgramFailed where git cannot, Busy,
    Moved, and what `judge` raises of what differs. Nothing is changed then.
    """
    changed = objects.diff(repo, old or objects.empty_tree(repo), new)
    judge(changed)
    kept = local_changes.in_the_way(repo, changed)
    if found := local_changes.collisions(repo, changed) if kept else []:
        _explain(repo, branch, old)
        local_changes.refuse(repo, found)
    require_branch(repo, branch)
    busy.intend(repo, new)
    try:
        index = local_changes.take_identical(repo, changed) if kept else {}
        failed = _try(repo, new)
    except ProgramFailed as error:  # nothing was staged
        index, failed = {}, error
    if _value(repo, branch) == new:
        busy.forget_interrupted(repo)
        return
    refuse_switched(repo, branch, new)
    undone = take_back(repo, new, kept, index)
    _explain(repo, branch, old)
    if undone:
        local_changes.refuse(repo, local_changes.collisions(repo, changed))
    raise failed or Moved(branch)


def take_back(
    repo: Repository, new: str, kept: Collection[bytes] = (), index: Mapping[bytes, Entry] | None = None
) -> bool:
    """Undo what a failed move to `new` has half done, but for the paths that were the user's before.

    `index` is what was staged before. Where that fails the note stays, and the next run tries again.
    """
    try:
        recovery.undo(repo, _at(repo) or None, new, kept)
        local_changes.stage(repo, index or {})
        busy.forget_interrupted(repo)
    except (SyncxError, OSError) as error:
        log.info("what was half done could not be undone: %s", error)
        return False
    return True


def refuse_switched(repo: Repository, branch: str, new: str) -> None:
    """Raise Refused where another branch was moved to `new`, which HEAD was switched to meanwhile; else Busy."""
    found = head(repo)
    if found and found.branch != branch and _at(repo) == new:
        busy.forget_interrupted(repo)
        raise Refused(
            f"HEAD was switched from {branch} to {found.branch} meanwhile, which now has {new[:10]}",
            f"to take that back: git reset --keep {shlex.quote(found.branch + '@{1}')}",
        )
    require_branch(repo, branch)


def commit(repo: Repository, message: str, local: Changes, held: Collection[bytes] = ()) -> bool:
    """Commit what is changed in tracked files, as `git annex sync` does, but for `held`; return whether anything was.

    A submodule that only lags stays as it is recorded: else two clones would take each other's commits back for ever.
    """
    before, left = _at(repo), _apart(local, held) if held else local.changed
    if not left:
        return False
    if held:
        words = ("--only", "--pathspec-from-file=-", "--pathspec-file-nul", "--quiet", "--message", message)
        paths = b"".join(path + b"\0" for path in left)
        git(repo, "commit", *words, stdin=paths, env={"GIT_LITERAL_PATHSPECS": "1"})
    else:
        _commit_all_but(repo, local.lagging, "--message", message)
    return _at(repo) != before


def _apart(local: Changes, held: Collection[bytes]) -> list[bytes]:
    """Return the changes beside those that are held; nothing that would take the place of one."""
    kept = {*held, *local.lagging}
    above = {parent for path in held for parent in local_changes.parents(path)}
    return [p for p in local.changed if p not in above and kept.isdisjoint((p, *local_changes.parents(p)))]


def would_be(repo: Repository, lagging: Collection[bytes]) -> tuple[str, str]:
    """Return the trees that commits of what is staged, and of all changes, would have. The index stays as it is."""
    with files.writing(repo.state_path):
        made = tempfile.TemporaryDirectory(dir=repo.state_dir)
    with made as scratch:
        index = Path(scratch) / "index"
        with contextlib.suppress(FileNotFoundError):  # then nothing is staged
            shutil.copyfile(repo.git_dir / "index", index)
        env = {"GIT_INDEX_FILE": str(index)}
        staged = git(repo, "write-tree", env=env).out
        _stage_all_but(repo, lagging, env)
        return staged.decode().strip(), git(repo, "write-tree", env=env).out.decode().strip()


def _commit_all_but(repo: Repository, lagging: Collection[bytes], *words: str) -> None:
    """Commit all changes of tracked files; of submodules that lag only what is staged."""
    if lagging:
        _stage_all_but(repo, lagging)
    git(repo, "commit", *([] if lagging else ["--all"]), "--quiet", *words)


def _stage_all_but(repo: Repository, paths: Collection[bytes], env: Mapping[str, str] | None = None) -> None:
    left_out = (b":(top,exclude,literal)" + path for path in paths)
    git(repo, "add", "--update", "--", ":/", *left_out, env=env)


def commit_on(repo: Repository, tree: str, parent: str, message: str) -> str:
    """Return a commit of the user's on another one; no branch is moved. Raises UsageError, ProgramFailed."""
    if any(git(repo, "var", f"GIT_{who}_IDENT", ok=range(256)).code for who in ("AUTHOR", "COMMITTER")):
        raise UsageError(
            "git does not know your name and address, which a commit needs",
            "git config --global user.name NAME && git config --global user.email ADDRESS",
        )
    signs = text(repo, "config", "--type=bool", "commit.gpgSign", ok=(0, 1)) == "true"
    words = ("-c", "i18n.commitEncoding=UTF-8", "commit-tree", *(["-S"] if signs else []), "-p", parent, tree)
    return os.fsdecode(git(repo, *words, stdin=message.encode(), asks=True).out).strip()


def finish_merge(repo: Repository, message: str | None, judge: Callable[[Changes], None]) -> bool:
    """Commit a merge of the user's own whose conflicts are all resolved, as `git annex sync` does; whether there was.

    Not on an adjusted branch, from which no merge can be carried to its basis. Without a message it keeps git's.
    Raises what `judge` raises of the changes.
    """
    found = head(repo)
    resolved = (repo.git_dir / "MERGE_HEAD").exists() and not local_changes.unmerged(repo)
    if not (resolved and found and found.checked_out) or busy.held_lock(repo) or busy.commit_editor_open(repo):
        return False
    words = ("--message", message) if message is not None else ("--no-edit", "--cleanup=strip")
    judge(local := local_changes.changes(repo))
    _commit_all_but(repo, local.lagging, *words)
    return True


def _undo_interrupted(repo: Repository) -> None:
    new = busy.interrupted(repo)
    old = _at(repo) if new else ""
    if new and new != old and git(repo, "cat-file", "-e", f"{new}^{{commit}}", ok=range(256)).code == 0:
        recovery.undo(repo, old or None, new)
    busy.forget_interrupted(repo)


def _try(repo: Repository, new: str) -> ProgramFailed | None:
    """Let git move the branch; its own words where it fails."""
    try:
        git(repo, *FAST_FORWARD, new, env={"GIT_REFLOG_ACTION": "git-annex-syncx"})
    except ProgramFailed as error:
        return error
    return None


def _explain(repo: Repository, branch: str, old: str | None) -> None:
    """Raise Busy or Moved where that is why git did not move."""
    if lock := busy.held_lock(repo):
        raise busy.busy(lock)
    if _value(repo, branch) != (old or ""):
        raise Moved(branch)


def _value(repo: Repository, branch: str) -> str:
    """Return the commit of a branch, empty where it is unborn."""
    return history.value(repo, f"refs/heads/{branch}") or ""


def _at(repo: Repository) -> str:
    return text(repo, "rev-parse", "--quiet", "--verify", "HEAD", ok=(0, 1))
