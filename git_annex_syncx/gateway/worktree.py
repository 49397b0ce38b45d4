"""Git's verbs on the user's own work: is it in hand, what would be overwritten, move it forward, commit it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from git_annex_syncx.errors import Busy, Refused, UsageError
from git_annex_syncx.gateway import objects
from git_annex_syncx.gateway.git import Repository, git, head, text
from git_annex_syncx.model import GITLINK, Entry, Head

UNFINISHED = {
    "MERGE_HEAD": ("a merge", "git commit, or git merge --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue, or --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue, or --abort"),
}
NAMED = 10  # how many paths an error names


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
    lock = repo.git_dir / "index.lock"
    if lock.exists() and not _left_by_a_killed_run(repo, lock):
        raise Busy(f"{lock} exists: git is at work here", f"if no git is running, remove {lock}")
    for name in ("rebase-merge", "rebase-apply"):
        if (repo.git_dir / name).exists():
            raise Busy("a rebase is in progress", "git rebase --continue, or --abort")
    for name, (what, advice) in UNFINISHED.items():
        if (repo.git_dir / name).exists():
            raise Refused(f"{what} of yours is in progress", advice)
    if repo.top and _commit_editor_open(repo):
        raise Busy("a commit message is being written")


def require_head(repo: Repository) -> Head:
    """The branch in hand. Raises UsageError where HEAD is detached, Busy during a rebase."""
    found = head(repo)
    if found is None:
        require_idle(repo)
        raise UsageError(f"HEAD is detached in {repo.home}", "git switch to a branch first")
    return found


def fast_forward(repo: Repository, branch: str, old: str | None, new: str) -> None:
    """Move the checked-out branch and the work tree to `new`, which contains `old`.

    Raises Refused with the names of local changes that would be overwritten, Busy, Moved. Nothing is changed then.
    """
    before = old or objects.empty_tree(repo)
    with _intent(repo, new):
        if old is None:
            _refuse(collisions(repo, before, new))
        done = _merge_ff_only(repo, new)
        if done != new and _take_identical(repo, before, new):
            done = _merge_ff_only(repo, new)
    if done == new:
        return
    if (repo.git_dir / "index.lock").exists():
        raise Busy("git is at work here")
    if done != (old or ""):
        raise Moved(branch)
    _refuse(collisions(repo, before, new))
    git(repo, "merge", "--ff-only", "--no-overwrite-ignore", "--quiet", new)  # for its own words


def _merge_ff_only(repo: Repository, new: str) -> str:
    env = {"GIT_REFLOG_ACTION": "git-annex-syncx"}
    git(repo, "merge", "--ff-only", "--no-overwrite-ignore", "--quiet", new, env=env, ok=range(256))
    return text(repo, "rev-parse", "--quiet", "--verify", "HEAD", ok=(0, 1))


def refuse_collisions(repo: Repository, old: str, new: str) -> None:
    """Raises Refused where moving from `old` to `new` would overwrite local changes."""
    _refuse(collisions(repo, old, new))


def collisions(repo: Repository, old: str, new: str) -> list[bytes]:
    """Paths with local changes (tracked, untracked or ignored) that moving from `old` to `new` would overwrite."""
    assert repo.top is not None
    changed = objects.diff(repo, old, new)
    dirty = set(local_changes(repo)) & changed.keys()
    for path, change in changed.items():
        if change.old is None and _occupied(os.fsencode(repo.top), path, changed.keys()):
            dirty.add(path)
    return sorted(path for path in dirty if not _is_already(repo, path, changed[path].new))


def local_changes(repo: Repository) -> list[bytes]:
    """Tracked paths that differ from HEAD in the index or the work tree."""
    options = ("--porcelain", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty")
    return [line[3:] for line in git(repo, "status", *options).out.split(b"\0") if line]


def commit(repo: Repository, message: str) -> bool:
    """Commit what is changed in tracked files, as `git annex sync` does. False where nothing is."""
    before = text(repo, "rev-parse", "--quiet", "--verify", "HEAD", ok=(0, 1))
    if not local_changes(repo):
        return False
    git(repo, "commit", "--all", "--quiet", "--message", message)
    return text(repo, "rev-parse", "HEAD") != before


def _refuse(paths: Iterable[bytes]) -> None:
    names = [os.fsdecode(path) for path in paths]
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise Refused(
            f"local changes would be overwritten: {', '.join(names[:NAMED])}{more}",
            "commit, stash or move them, then merge again",
        )


def _occupied(top: bytes, path: bytes, changed: Iterable[bytes]) -> bool:
    """Whether something untracked lies where `path` comes, or where one of its directories comes."""
    full = os.path.join(top, path)
    if os.path.lexists(full):
        return not os.path.isdir(full) or os.path.islink(full) or _holds_untracked(full, path, set(changed))
    parent = os.path.dirname(path)
    while parent:
        above = os.path.join(top, parent)
        if os.path.lexists(above):
            return (os.path.islink(above) or not os.path.isdir(above)) and parent not in set(changed)
        parent = os.path.dirname(parent)
    return False


def _holds_untracked(directory: bytes, path: bytes, changed: set[bytes]) -> bool:
    """Whether a directory that becomes a file holds anything that the move itself does not take away."""
    for where, _, files in os.walk(directory):
        below = os.path.join(path, os.path.relpath(where, directory))
        if any(os.path.normpath(os.path.join(below, name)) not in changed for name in files):
            return True
    return False


# A run that was killed in the middle of a fast-forward


@contextlib.contextmanager
def _intent(repo: Repository, new: str) -> Iterator[None]:
    """Leave a note while the work tree is being moved, so that the next run knows whose half-done work it sees."""
    note = repo.git_dir / "syncx-fast-forward"
    note.write_text(new + "\n")
    yield
    note.unlink(missing_ok=True)


def _left_by_a_killed_run(repo: Repository, lock: Path) -> bool:
    """Remove an index.lock that our own killed git left; never one of a git that still runs."""
    note = repo.git_dir / "syncx-fast-forward"
    try:
        ours = (
            note.exists() and lock.stat().st_mtime >= note.stat().st_mtime and time.time() - lock.stat().st_mtime > 5
        )
        if not ours or _git_at_work(repo, None):
            return False
        lock.unlink()
    except FileNotFoundError:
        pass
    return True


def _take_identical(repo: Repository, old: str, new: str) -> bool:
    """Stage local versions that are what the move brings anyway: git then does not see them as in the way."""
    assert repo.top is not None
    changed = objects.diff(repo, old, new)
    candidates = set(local_changes(repo)) & changed.keys()
    candidates |= {
        p for p, c in changed.items() if c.old is None and os.path.lexists(os.path.join(os.fsencode(repo.top), p))
    }
    same = sorted(path for path in candidates if _is_already(repo, path, changed[path].new))
    if same:
        git(repo, "update-index", "--add", "--remove", "-z", "--stdin", stdin=b"".join(path + b"\0" for path in same))
    return bool(same)


def _is_already(repo: Repository, path: bytes, wanted: Entry | None) -> bool:
    """Whether the work tree holds exactly what `wanted` says."""
    assert repo.top is not None
    full = os.path.join(os.fsencode(repo.top), path)
    if wanted is None or not os.path.lexists(full):
        return wanted is None and not os.path.lexists(full)
    if wanted.mode == GITLINK or (os.path.isdir(full) and not os.path.islink(full)):
        return False
    if os.path.islink(full):
        return wanted.mode == 0o120000 and objects.blob_id(repo, os.readlink(full)) == wanted.oid
    if wanted.mode == 0o120000 or bool(os.stat(full).st_mode & 0o100) != (wanted.mode == 0o100755):
        return False
    done = git(repo, "hash-object", "--path", path, "--", full, ok=range(256))
    return done.code == 0 and done.out.decode().strip() == wanted.oid


# The user's commit editor


def _commit_editor_open(repo: Repository) -> bool:
    """Whether a `git commit` waits for its message: it would fail if the branch moved under it."""
    message, log = repo.git_dir / "COMMIT_EDITMSG", repo.git_dir / "logs" / "HEAD"
    try:
        if message.stat().st_mtime < log.stat().st_mtime:
            return False  # the common case, without looking at processes
    except FileNotFoundError:
        if not message.exists():
            return False
    return _git_at_work(repo, b"commit")


def _git_at_work(repo: Repository, verb: bytes | None) -> bool:
    """Whether a git process (with that verb) runs in this work tree. Where /proc is missing: never known."""
    if not sys.platform.startswith("linux"):
        return False
    home = os.fsencode(repo.home.resolve())
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            named = os.path.basename(words[0]) == b"git" and (verb is None or verb in words)
            if named and os.fsencode((process / "cwd").readlink()).startswith(home):
                return True
    return False
