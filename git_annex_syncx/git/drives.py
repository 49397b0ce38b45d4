"""Drives: the directory behind a remote, and all of it written down."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Remote
from git_annex_syncx.system import run

LONGEST_FLUSH = 600.0  # seconds
MOUNTS = ("/media/", "/run/media/", "/Volumes/")  # where systems mount what can be unplugged


def directory(repo: Repository, remote: Remote) -> Path | None:
    """The directory in which a remote is, there or not; None where it is reached by other ways."""
    place = remote.path or (Path(remote.directory) if remote.directory else None)
    return Path(os.path.normpath(repo.home / os.path.expanduser(place))) if place else None


def may_be_unplugged(place: Path) -> bool:
    """Return whether a place is on a drive, as far as its mount point tells.

    No process should stay there for long.
    """
    resolved = place.resolve()
    mount = next(above for above in (resolved, *resolved.parents) if os.path.ismount(above))
    return f"{mount}/".startswith(MOUNTS)


def flush(place: Path) -> None:
    """Have all of its file system written. Raises ProgramFailed."""
    words = ("--file-system", str(place)) if sys.platform == "linux" else ()
    run.run("sync", *words, cwd=Path("/"), env=run.environment(), limit=LONGEST_FLUSH)
