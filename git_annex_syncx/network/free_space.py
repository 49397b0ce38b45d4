"""The free space of disks: measured nearby, told to others roughly, so that it is told seldom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.network.links_log import Free, Line, LinksLog

LITTLE = 64 << 20  # bytes that nobody is told of
PART = 0.75  # what was told may be so much too high


def measured(repo: Repository, settings: Settings) -> dict[str, int]:
    """Return uuid -> bytes that git-annex would still store: here, and in directories that are at hand."""
    found = {settings.annex_uuid: drives.free(repo.common / "annex", settings.disk_reserve)}
    for remote in settings.remotes.values():
        if remote.uuid and remote.uuid not in found and remote.sync and not remote.ignore:
            try:
                drives.require_present(repo, remote)
                found[remote.uuid] = drives.free_at(repo, remote, settings.disk_reserve)
            except (SyncxError, OSError):
                continue
    return {uuid: free for uuid, free in found.items() if free is not None}


def with_free(log: LinksLog, line: Line, seen: Mapping[str, int], now: float) -> Line:
    """Return a line with what it is to tell of free space: what was seen if that is news, else what it told before.

    Several may see the same disk; the newest word counts. A clock that is wrong is overruled by whoever measures.
    """
    before = log.lines[line.uuid].free if line.uuid in log.lines else {}
    found, free = {}, log.free
    for uuid in {line.uuid, *(link.remote for link in line.links)}:
        known = free.get(uuid)
        if uuid in seen and (known is None or _is_notable(known.bytes, seen[uuid])):
            found[uuid] = Free(rounded(seen[uuid]), max(int(now), known.at + 1 if known else 0))
        elif uuid in before:
            found[uuid] = before[uuid]
    return replace(line, free=found)


def rounded(free: int) -> int:
    """Return what is told of it: three binary digits, up, so that nothing is held back that would fit."""
    step = 1 << max(free.bit_length() - 3, LITTLE.bit_length() - 1)
    return -(-free // step) * step


def _is_notable(known: int, free: int) -> bool:
    """Return whether what is known is too far off: hardly too low, and not by much too high."""
    return free > known + LITTLE or free < known * PART - LITTLE
