"""Threads and processes of ours take turns at what they must not do at once; a dead one holds nothing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from git_annex_syncx.errors import Busy
from git_annex_syncx.system import files, run

LONGEST = 600.0  # seconds that we wait for another
LOOK_AGAIN = 0.02  # seconds


def wait_for(handle: TextIO, what: str) -> bool:
    """Lock a file, in steps: a thread that waits in the kernel could not be ended. Whether it had to wait.

    Raises Busy where another holds it for too long (which says `what`), or where this one is being ended.
    """
    deadline, waited = time.monotonic() + LONGEST, False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return waited
        except BlockingIOError:
            waited = True
            if run.is_ending() or time.monotonic() > deadline:
                raise Busy(what) from None
            time.sleep(LOOK_AGAIN)


@contextlib.contextmanager
def with_remote(state_dir: Path, name: str) -> Iterator[bool]:
    """Exchange refs with a remote; whether another was at it, so that what is known may be old. Raises Busy."""
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    with files.open_lock(state_dir / f"remote-{digest}.lock") as handle:
        yield wait_for(handle, f"another git-annex-syncx exchanges refs with {name}")
