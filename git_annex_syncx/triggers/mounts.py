"""Drives of remotes that come and go."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Remote

Identity = tuple[Path, int, int, int, str]  # directory, device, inode, file system, annex.uuid


class Drives:
    """The directories of remotes, as they were at the last look."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: dict[str, Identity] = {}

    def look(self, repo: Repository, remotes: Iterable[Remote]) -> tuple[list[str], list[str]]:
        """Return the remotes whose directory has come since the last look or is another one, and those gone."""
        found = {
            remote.name: identity
            for remote in remotes
            if (place := drives.directory(repo, remote)) and (identity := _identity(repo, place))
        }
        new = [name for name, where in found.items() if self._seen.get(name) != where]
        gone = [name for name in self._seen if name not in found]
        self._seen = found
        return new, gone


def _identity(repo: Repository, place: Path) -> Identity | None:
    """Return what tells a directory from another; None where there is none, or nothing in it (a mount point).

    Two drives that are mounted in one place in turn can have the same device and root directory.
    """
    try:
        with os.scandir(place) as entries:
            if not any(True for _ in entries):
                return None
        found, uuid = place.stat(), ""
        with contextlib.suppress(SyncxError):
            uuid = drives.uuid_at(repo, place)
        return place, found.st_dev, found.st_ino, os.statvfs(place).f_fsid, uuid
    except OSError:
        return None
