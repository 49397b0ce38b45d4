"""Is somebody at work in a work tree: git itself, the user in a commit editor, or a run of ours that was killed?"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.gateway.git import Repository

STALE = 5.0  # seconds after which a lock that nobody holds is taken for left behind


@contextlib.contextmanager
def intent(repo: Repository, new: str) -> Iterator[None]:
    """Leave a note while the work tree is moved to `new`: the next run then knows whose half-done work it sees."""
    note = _note(repo)
    note.write_text(new + "\n")
    try:
        yield
    except SyncxError:  # anything else, such as Ctrl-C, leaves the note
        note.unlink(missing_ok=True)
        raise
    note.unlink(missing_ok=True)


def interrupted(repo: Repository) -> str:
    """The commit to which a killed run was moving the work tree, empty where there was none."""
    try:
        return _note(repo).read_text().strip()
    except FileNotFoundError:
        return ""


def forget_interrupted(repo: Repository) -> None:
    """The move is done, or is no longer to be done."""
    _note(repo).unlink(missing_ok=True)


def held_lock(repo: Repository) -> Path | None:
    """The lock of a git at work here. One that our own killed git left is removed; never one of a git that runs."""
    for lock in _locks(repo):
        with contextlib.suppress(FileNotFoundError):
            if not _left_by_a_killed_run(repo, lock):
                return lock
            lock.unlink()
    return None


def commit_editor_open(repo: Repository) -> bool:
    """Whether a `git commit` waits for its message: it would fail if the branch moved under it."""
    message, log = repo.git_dir / "COMMIT_EDITMSG", repo.git_dir / "logs" / "HEAD"
    try:
        if message.stat().st_mtime < log.stat().st_mtime:
            return False  # the common case, without looking at processes
    except FileNotFoundError:
        if not message.exists():
            return False
    return _git_runs(repo, b"commit")


def _note(repo: Repository) -> Path:
    return repo.git_dir / "syncx-fast-forward"


def _locks(repo: Repository) -> list[Path]:
    """What a git that moves the branch in hand holds; only the index is locked for longer than an instant."""
    index = repo.git_dir / "index.lock"
    if not interrupted(repo):
        return [index]
    return [index, repo.git_dir / "HEAD.lock", repo.git_dir / "ORIG_HEAD.lock", *_ref_locks(repo)]


def _ref_locks(repo: Repository) -> list[Path]:
    name = (repo.git_dir / "HEAD").read_bytes().rstrip(b"\n").removeprefix(b"ref: ")
    return [repo.common / os.fsdecode(name + b".lock")] if name.startswith(b"refs/") else []


def _left_by_a_killed_run(repo: Repository, lock: Path) -> bool:
    """Raises FileNotFoundError where there is no lock."""
    made = lock.stat().st_mtime
    if not interrupted(repo):
        return False
    begun = _note(repo).stat().st_mtime
    return made >= begun and time.time() - made > STALE and not _git_runs(repo)


def _git_runs(repo: Repository, verb: bytes = b"") -> bool:
    """Whether a git process (with that verb) runs in this work tree. Where /proc is missing: never known."""
    if not sys.platform.startswith("linux"):
        return False
    homes = {os.fsencode(place.resolve()) for place in (repo.home, repo.git_dir)}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            named = os.path.basename(words[0]) == b"git" and (not verb or verb in words)
            if named and os.fsencode((process / "cwd").readlink()) in homes:
                return True
    return False
