"""A file that names the process at work: a hook need not start another then, and a second `watch` ends.

It is no lock that is held as long as the process lives: a drive with an open file cannot be unmounted. The time at
which the process was started stands in it too, as its number may be another's by now; only Linux tells it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import files
from git_annex_syncx.triggers.queue import place


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Name this process in a file; where it cannot be written, work goes on all the same."""
    with contextlib.suppress(SyncxError):
        files.write(path, f"{os.getpid()} {_begun('self')}\n")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def watch_file(repo: Repository) -> Path:
    """Return the file that names the process which looks after a repository, dated by its last full look."""
    return repo.state_dir / f"{place(repo).name.replace('requests', 'watch', 1)}.pid"


def process_at(path: Path) -> int:
    """Return the id of the process that a file names, 0 where it runs no more."""
    pid, _, begun = files.read(path).strip().partition(" ")
    return int(pid) if pid.isascii() and pid.isdigit() and begun and _begun(pid) == begun else 0


def _begun(pid: str) -> str:
    """Return when a process was started, in a form of Linux's own; empty where that is not known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
