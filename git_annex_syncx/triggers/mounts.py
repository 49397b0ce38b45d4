"""A remote's drive came or went."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from git_annex_syncx.gateway import drives
from git_annex_syncx.gateway.git import Repository
from git_annex_syncx.model import Remote


class Drives:
    """The directories behind remotes, as they were at the last look."""

    def __init__(self) -> None:
        """None seen yet."""
        self._seen: dict[str, tuple[Path, int]] = {}

    def look(self, repo: Repository, remotes: Iterable[Remote]) -> tuple[list[str], list[str]]:
        """Names of remotes whose directory has come since the last look, or on another device; and of those gone."""
        found = {
            remote.name: (place, device)
            for remote in remotes
            if (place := drives.directory(repo, remote)) and (device := _device(place)) is not None
        }
        new = [name for name, where in found.items() if self._seen.get(name) != where]
        gone = [name for name in self._seen if name not in found]
        self._seen = found
        return new, gone


def _device(place: Path) -> int | None:
    """The device that a directory is on, None where there is none, or nothing in it (a mount point)."""
    try:
        with os.scandir(place) as entries:
            return place.stat().st_dev if any(True for _ in entries) else None
    except OSError:
        return None
