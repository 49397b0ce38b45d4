"""Small files that syncx writes into the repository: whole or not at all, and an error of our own where it cannot."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from git_annex_syncx.errors import SyncxError

LONGEST_LOG = 1_000_000  # bytes


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Raises SyncxError where what is done inside cannot be written: no permission, no space, a read-only disk."""
    try:
        yield
    except OSError as error:
        raise SyncxError(
            f"{error.filename or place} cannot be written: {error.strerror}", "check permissions and free space"
        ) from error


def read(path: Path) -> str:
    """What such a file holds, empty where there is none. Raises SyncxError."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SyncxError(f"{path} cannot be read: {error.strerror}", "check permissions, or remove it") from error


def write(path: Path, content: str) -> None:
    """Write a file that is there whole after a crash, or as it was. Raises SyncxError."""
    with writing(path):
        write_bytes(path, content.encode(), _usual_mode(path))


def write_bytes(path: Path, content: bytes, mode: int) -> None:
    """The same with any bytes, and with the permissions that it is to have."""
    with writing(path):
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
    """A file to write to at its end; one that has grown too large is kept once more beside it. Raises SyncxError."""
    with writing(path):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > LONGEST_LOG:
                path.replace(path.with_name(path.name + ".1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)


def share(path: Path, bits: int) -> None:
    """Let others do with a file or directory of ours what `bits` (of a file's mode) say; 0 changes nothing."""
    with contextlib.suppress(OSError):  # another user's, who has shared it
        had = path.stat().st_mode & 0o7777
        wanted = had | bits | (((bits & 0o444) >> 2) | 0o2000 if path.is_dir() else 0) if bits else had
        if wanted != had:
            path.chmod(wanted)


def _usual_mode(path: Path) -> int:
    """What others may do with the directory they may do with a file in it."""
    return path.parent.stat().st_mode & 0o666


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
