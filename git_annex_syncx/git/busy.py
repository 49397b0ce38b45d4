"""Is somebody at work in a work tree: git itself, the user in a commit editor, or a run of ours that was killed?"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

from git_annex_syncx.errors import Busy, ProgramFailed
from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import files

PROCESSES = Path("/proc/self/fd")  # Linux; elsewhere nothing is known of processes
# As git says it, and git-annex.
COLLISION = re.compile(r"\.lock\b.*(?:File|already) exists|cannot lock ref 'HEAD': is at ")
OLD = 86400.0  # seconds after which one is, where the system does not tell who runs
STALE = 5.0  # seconds after which a lock that nobody holds is taken for left behind


def collided(error: ProgramFailed) -> bool:
    """Return whether a program of ours failed because somebody else was at work at that instant."""
    return COLLISION.search(error.stderr) is not None


def intend(repo: Repository, new: str) -> None:
    """Leave a note that the work tree is moved to `new`: the next run then knows whose half-done work it sees."""
    files.write(_note(repo), new + "\n")


def interrupted(repo: Repository) -> str:
    """Return the commit to which a killed run was moving the work tree, empty where there was none."""
    return files.read(_note(repo)).strip()


def forget_interrupted(repo: Repository) -> None:
    """Remove the note: the move is done, or is undone."""
    with files.writing(_note(repo)):
        _note(repo).unlink(missing_ok=True)


def held_lock(repo: Repository) -> Path | None:
    """Return the lock of a git at work here; one that a killed git of ours left is removed, never one in use."""
    for lock in _locks(repo):
        with contextlib.suppress(FileNotFoundError):
            if not _left_by_a_killed_run(repo, lock):
                return lock
            with files.writing(lock):
                lock.unlink(missing_ok=True)
    return None


def left_behind(repo: Repository) -> list[Path]:
    """Return locks of git's that nobody holds: no git runs here; where that cannot be known, they are a day old."""
    places = {repo.git_dir, repo.common, repo.common / "objects"}
    found = [lock for place in places for lock in place.glob("*.lock")]
    found += [*(repo.common / "refs").rglob("*.lock"), *(repo.common / "annex").glob("index.lock")]
    return sorted(lock for lock in found if _is_abandoned(repo, lock))


def _is_abandoned(repo: Repository, lock: Path) -> bool:
    try:
        found = lock.stat()
    except OSError:
        return False
    age, known = time.time() - found.st_mtime, PROCESSES.is_dir()
    return age > (STALE if known else OLD) and not (known and (_is_open(found) or _git_runs(repo)))


def busy(lock: Path) -> Busy:
    """Return what to say of a lock that is or may be held."""
    return Busy(f"{lock} exists: git is at work here", f"if no git is running, remove {lock}")


def commit_editor_open(repo: Repository) -> bool:
    """Return whether a `git commit` waits for its message: it would fail if the branch moved under it."""
    message, log = repo.git_dir / "COMMIT_EDITMSG", repo.git_dir / "logs" / "HEAD"
    try:
        if message.stat().st_mtime < log.stat().st_mtime:
            return False  # the common case, without looking at processes
    except FileNotFoundError:
        if not message.exists():
            return False
    return _git_runs(repo, b"commit")


def commit_runs(repo: Repository) -> bool:
    """Return whether a `git commit` is at work: also while its hooks run nothing but its process tells."""
    return _git_runs(repo, b"commit")


def _note(repo: Repository) -> Path:
    return repo.git_dir / "syncx-fast-forward"


def _locks(repo: Repository) -> list[Path]:
    """Return what a git that moves the branch in hand holds; only the index is locked for longer than an instant."""
    index = repo.git_dir / "index.lock"
    if not interrupted(repo):
        return [index]
    return [index, repo.git_dir / "HEAD.lock", repo.git_dir / "ORIG_HEAD.lock", *_ref_locks(repo)]


def _ref_locks(repo: Repository) -> list[Path]:
    name = files.read_line(repo.git_dir / "HEAD").removeprefix(b"ref: ")
    return [repo.common / os.fsdecode(name + b".lock")] if name.startswith(b"refs/") else []


def _left_by_a_killed_run(repo: Repository, lock: Path) -> bool:
    """Return whether the note says so and nobody has the lock; what is not known is held.

    Raises FileNotFoundError.
    """
    found = lock.stat()
    if not interrupted(repo) or not PROCESSES.is_dir():
        return False
    begun = _note(repo).stat().st_mtime
    if found.st_mtime < begun or time.time() - found.st_mtime <= STALE:
        return False
    return not _is_open(found) and not _git_runs(repo)


def _is_open(file: os.stat_result) -> bool:
    """Return whether a process has the file open, as far as can be known: of another user's processes it cannot."""
    if os.geteuid() not in (0, file.st_uid):
        return True
    for process in _processes():
        try:
            descriptors = list((process / "fd").iterdir())
        except OSError:
            if _owner(process) == file.st_uid:
                return True
            continue
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                seen = descriptor.stat()
                if (seen.st_dev, seen.st_ino) == (file.st_dev, file.st_ino):
                    return True
    return False


def _owner(process: Path) -> int | None:
    try:
        return process.stat().st_uid
    except OSError:
        return None  # gone


def _git_runs(repo: Repository, verb: bytes = b"") -> bool:
    """Return whether a git process (with that verb) runs in this work tree. Where /proc is missing: never known."""
    homes = {os.fsencode(place.resolve()) for place in (repo.home, repo.git_dir)}
    for process in _processes():
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            named = os.path.basename(words[0]).startswith(b"git") and (not verb or verb in words)
            ours = b"annex-syncx" in words or b"syncx" in words  # git started us
            ours = ours or (not verb and b"--batch-command" in words)  # our reader
            if named and not ours and _works_in(process, words, homes):
                return True
    return False


def _works_in(process: Path, words: list[bytes], homes: set[bytes]) -> bool:
    """Return whether a process is in one of the places or below, or was told of it. Raises OSError."""
    where = os.fsencode((process / "cwd").readlink())
    if any(where == home or where.startswith(home + b"/") for home in homes):
        return True
    return any(home in word for home in homes for word in words)


def _processes() -> list[Path]:
    """Return all processes, none where the system does not tell."""
    if not PROCESSES.is_dir():
        return []
    return [entry for entry in PROCESSES.parent.parent.iterdir() if entry.name.isdigit()]
