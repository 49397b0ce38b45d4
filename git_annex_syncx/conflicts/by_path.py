"""Two trees and their merge bases -> what differs, path by path and without renames. Pure.

The way to go when git's own merge lost a version: what is done path by path cannot follow a wrong rename.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from git_annex_syncx.model import Entry

Diff = Mapping[bytes, tuple[Entry | None, Entry | None]]


@dataclass(frozen=True)
class Conflict:
    """A path with two versions (None: absent) and their common base; `apart`: lines must not be merged."""

    path: bytes
    base: Entry | None
    one: Entry | None
    two: Entry | None
    apart: bool = False


@dataclass(frozen=True)
class ByPath:
    """What turns the tree `one` into the merge, and the paths that were changed on both sides."""

    changes: Mapping[bytes, Entry | None]
    conflicts: tuple[Conflict, ...]


def merge_by_path(between: Diff, since_bases: Iterable[Diff]) -> ByPath:
    """Merge all paths in which two trees differ.

    `between` is the difference from tree one to tree two, `since_bases` the differences from each merge base
    to tree one.
    """
    since_bases = list(since_bases)
    changes: dict[bytes, Entry | None] = {}
    conflicts = []
    for path, (one, two) in between.items():
        base = common_base(path, one, since_bases)
        if base not in (one, two):
            conflicts.append(Conflict(path, base, one, two))
            changes[path] = None  # until it is resolved
        elif one == base:
            changes[path] = two
    return ByPath(changes, tuple(conflicts))


def common_base(path: bytes, side: Entry | None, since_bases: Iterable[Diff]) -> Entry | None:
    """A path's entry in the merge bases if they agree, else None; `since_bases` lead from the bases to the side."""
    bases = {since[path][0] if path in since else side for since in since_bases}
    return bases.pop() if len(bases) == 1 else None
