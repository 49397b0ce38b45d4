"""Drives: the directory behind a remote, and all of it written down."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from git_annex_syncx.gateway import run
from git_annex_syncx.gateway.git import Repository
from git_annex_syncx.model import Remote

LONGEST_FLUSH = 600.0  # seconds


def directory(repo: Repository, remote: Remote) -> Path | None:
    """The directory in which a remote is, there or not; None where it is reached by other ways."""
    place = remote.path or (Path(remote.directory) if remote.directory else None)
    return Path(os.path.normpath(repo.home / os.path.expanduser(place))) if place else None


def flush(place: Path) -> None:
    """Have all of its file system written. Raises ProgramFailed."""
    words = ("--file-system", str(place)) if sys.platform == "linux" else ()
    run.run("sync", *words, cwd=Path("/"), env=run.environment(), limit=LONGEST_FLUSH)
