"""Locks of threads and processes of ours, each a file; a dead holder holds nothing."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from git_annex_syncx.errors import Busy
from git_annex_syncx.system import files, processes

LONGEST = 600.0  # seconds that we wait for another
LOOK_AGAIN = 0.02  # seconds
SUFFIX = ".lock"


@contextlib.contextmanager
def held(path: Path, busy: str = "another git-annex-syncx is at work here") -> Iterator[bool]:
    """Hold the lock of a file; yield whether another held it first, so that what is known may be old.

    Raises SyncxError where it cannot be written; Busy, which says `busy`, where another holds it for too long or this
    process is being ended.
    """
    with files.open_lock(path.with_suffix(SUFFIX)) as handle:
        waited = False
        deadline = time.monotonic() + LONGEST
        while not _take(handle):  # in steps: a thread that waits in the kernel could not be ended
            waited = True
            if processes.is_ending() or time.monotonic() > deadline:
                raise Busy(busy)
            time.sleep(LOOK_AGAIN)
        yield waited


@contextlib.contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock of a file unless another does; yield whether it is ours. Raises SyncxError."""
    with files.open_lock(path.with_suffix(SUFFIX)) as handle:
        yield _take(handle)


def _take(handle: TextIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
