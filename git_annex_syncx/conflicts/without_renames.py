"""Paths and their merge bases -> what becomes of each, path by path and without renames. Pure.

The way to go where git's own merge lost a version: what is done path by path cannot follow a wrong rename.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from git_annex_syncx.conflicts.lines import Lines, lines_of_path
from git_annex_syncx.model import Entry

Diff = Mapping[bytes, tuple[Entry | None, Entry | None]]


@dataclass(frozen=True)
class Conflict:
    """A path with two versions (None: absent), their common base, and how its lines may be merged."""

    path: bytes
    base: Entry | None
    one: Entry | None
    two: Entry | None
    lines: Lines


@dataclass(frozen=True)
class ByPath:
    """The entries that the paths become, and the conflicts where both sides changed one."""

    changes: Mapping[bytes, Entry | None]
    conflicts: tuple[Conflict, ...]


def merge_by_path(sides: Diff, since_bases: Iterable[Diff]) -> ByPath:
    """Merge paths.

    `sides` holds the two sides' entries of each path, `since_bases` the differences from each merge base to side one.
    How lines may be merged is judged by the names alone; attributes are the caller's.
    """
    since_bases = list(since_bases)
    changes: dict[bytes, Entry | None] = {}
    conflicts = []
    for path, (one, two) in sides.items():
        base = common_base(path, one, since_bases)
        if one == two or two == base:
            changes[path] = one
        elif one == base:
            changes[path] = two
        else:
            conflicts.append(Conflict(path, base, one, two, lines_of_path(path, ())))
            changes[path] = None  # until it is resolved
    return ByPath(changes, tuple(conflicts))


def common_base(path: bytes, side: Entry | None, since_bases: Iterable[Diff]) -> Entry | None:
    """A path's entry in the merge bases if they agree, else None; `since_bases` lead from the bases to the side."""
    bases = {since[path][0] if path in since else side for since in since_bases}
    return bases.pop() if len(bases) == 1 else None
