"""Small files that syncx writes: whole or not at all, and an error of our own where it cannot."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from git_annex_syncx.errors import SyncxError

LONGEST_LOG = 1_000_000  # bytes
LONGEST_LINE = 64 * 1024  # bytes
OBJECTS = "/annex/objects/"  # on the way to the content of each annexed file
IN_THE_WAY = "something else is there: move it away"
ADVICE = {
    errno.EACCES: "check its permissions and those of its directory",
    errno.EPERM: "check its permissions and those of its directory",
    errno.ENOENT: "make its directory first (mkdir -p)",
    errno.EROFS: "the file system is read-only: mount it for writing",
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room: the quota is used up",
    errno.EEXIST: IN_THE_WAY, errno.EISDIR: IN_THE_WAY, errno.ENOTDIR: IN_THE_WAY,
}  # fmt: skip


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Raise SyncxError where what is done inside cannot be written: no permission, no space, a read-only disk."""
    try:
        yield
    except OSError as error:
        raise _unwritten(error.filename or place, error) from error


def _unwritten(place: Path | str, error: OSError) -> SyncxError:
    return SyncxError(f"{place} cannot be written: {error.strerror}", advice(error))


def advice(error: Exception) -> str:
    """Return what mends a file that can be neither read nor written."""
    number = error.errno if isinstance(error, OSError) else None
    return ADVICE.get(number or 0, "check permissions and free space")


def read(path: Path) -> str:
    """Return what such a file holds, empty where there is none. Raises SyncxError."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SyncxError(f"{path} cannot be read: {error.strerror}", advice(error)) from error


def read_line(path: Path) -> bytes:
    """Return the one line of a file of git's, such as a .git file; at most its first 64 KiB. Raises OSError."""
    with path.open("rb") as file:
        return file.read(LONGEST_LINE).rstrip(b"\n")


def write(path: Path, content: str) -> None:
    """Write a file that is there whole after a crash, or as it was. Raises SyncxError."""
    with writing(path):
        write_bytes(path, content.encode(), _usual_mode(path))


def write_named(path: Path, content: bytes) -> None:
    """Write a file that the user has named: whole or as it was; a pipe or a device is written to. Raises SyncxError.

    One that is there keeps its permissions, and a link to it stays one. The link of an annexed file is refused:
    behind it is content that git-annex has recorded.
    """
    if path.is_symlink() and OBJECTS in str(path.resolve()):
        raise SyncxError(
            f"{path} is an annexed file, whose content is not overwritten",
            "name another file, or git annex unlock it",
        )
    if path.exists() and not path.is_file():
        with writing(path):
            path.write_bytes(content)
        return
    mask = os.umask(0)
    os.umask(mask)
    write_bytes(path.resolve(), content, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~mask)


def write_private(path: Path, content: bytes) -> None:
    """Write a file to be read by nobody but the user and the group that shares the repository."""
    write_bytes(path, content, 0o600)
    share(path)


def write_bytes(path: Path, content: bytes, mode: int) -> None:
    """Write bytes to a file, with the permissions that it is to have."""
    try:
        _replace(path, content, mode)
    except OSError as error:
        raise _unwritten(path, error) from error


def _replace(path: Path, content: bytes, mode: int) -> None:
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise
    _sync_directory(path.parent)


def open_log(path: Path) -> int:
    """Open a file to write to at its end; one that has grown too large is kept beside it. Raises SyncxError."""
    with writing(path):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > LONGEST_LOG:
                path.replace(path.with_name(path.name + ".1"))
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    share(path)
    return log


def open_lock(path: Path) -> TextIO:
    """Open a file that is there to be locked. Raises SyncxError."""
    with writing(path):
        handle = path.open("a")
    share(path)
    return handle


def make_directory(path: Path) -> Path:
    """Make a directory that is not there yet, in one that is. Raises SyncxError."""
    with writing(path):
        path.mkdir(exist_ok=True)
    return share(path)


def is_read_only(path: Path, *below: Path) -> bool:
    """Return whether a path lies on a medium that can only be read, or is mounted so, or is another user's.

    It is not where this user may write to one of the directories below it.
    """
    try:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return True
    except OSError:
        return False
    return not any(os.access(one, os.W_OK) for one in (path, *below))


@functools.cache
def passing_directory(_of: Path) -> Path:
    """Return a directory that goes with this program, in place of one that cannot be made. Raises SyncxError."""
    with writing(Path(tempfile.gettempdir())):
        made = tempfile.TemporaryDirectory(prefix="git-annex-syncx-", ignore_cleanup_errors=True)
    atexit.register(made.cleanup)
    return Path(made.name, "syncx")  # below it: else it would be shared with all who may write to /tmp


def share(path: Path) -> Path:
    """Let the group that may write to a directory (core.sharedRepository) write to what is ours in it, too."""
    with contextlib.suppress(OSError):  # another user's, who has shared it
        above, had = path.parent.stat().st_mode, stat.S_IMODE(path.stat().st_mode)
        who = 0o777 if above & stat.S_IWOTH else 0o770
        bits = who | stat.S_ISGID if path.is_dir() else who & 0o666
        wanted = had | (above & bits if above & stat.S_IWGRP else 0)
        if wanted != had:
            path.chmod(wanted)
    return path


def _usual_mode(path: Path) -> int:
    """Return what others may do with the directory they may do with a file in it."""
    return path.parent.stat().st_mode & 0o666


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
