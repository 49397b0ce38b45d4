"""Two trees and their merge bases -> one tree, path by path and without renames. Pure but for merging texts.

The way to go when git's own merge lost a version: what is done path by path cannot follow a wrong rename.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from git_annex_syncx.model import EXECUTABLE, REGULAR, Entry

Diff = Mapping[bytes, tuple[Entry | None, Entry | None]]
# (one, base, two) -> the blob of their clean merge, None where they conflict
MergeTexts = Callable[[str, str, str], str | None]


@dataclass(frozen=True)
class ByPath:
    """What turns the tree `one` into the merge, and the paths that have no clean merge."""

    changes: Mapping[bytes, Entry | None]
    conflicted: frozenset[bytes]


def merge_by_path(
    between: Diff, since_bases: Iterable[Diff], paths_of_one: Iterable[bytes], merge_texts: MergeTexts
) -> ByPath:
    """Merge all paths in which two trees differ.

    `between` is the difference from tree one to tree two, `since_bases` the differences from each merge base
    to tree one. A path's base is its entry if all merge bases agree on it, else none.
    """
    since_bases = list(since_bases)
    changes: dict[bytes, Entry | None] = {}
    conflicted = set()
    for path, (one, two) in between.items():
        bases = {since[path][0] if path in since else one for since in since_bases}
        base = bases.pop() if len(bases) == 1 else None
        merged = _merge_entry(base, one, two, merge_texts)
        if merged is _CONFLICT:
            conflicted.add(path)
        elif merged != one:
            changes[path] = merged
    return ByPath(changes, frozenset(conflicted | _files_in_the_way(changes, paths_of_one)))


_CONFLICT = Entry(0, "")


def _merge_entry(base: Entry | None, one: Entry | None, two: Entry | None, merge_texts: MergeTexts) -> Entry | None:
    if one == base or two == base:
        return two if one == base else one
    texts = (REGULAR, EXECUTABLE)
    if not (base and one and two) or any(entry.mode not in texts for entry in (base, one, two)):
        return _CONFLICT
    mode = one.mode if two.mode == base.mode else two.mode
    oid = one.oid if one.oid == two.oid else merge_texts(one.oid, base.oid, two.oid)
    return Entry(mode, oid) if oid else _CONFLICT


def _files_in_the_way(changes: Mapping[bytes, Entry | None], paths_of_one: Iterable[bytes]) -> set[bytes]:
    """New files at which the result also needs a directory."""
    present = {path for path in paths_of_one if changes.get(path, path)} | {
        path for path, entry in changes.items() if entry
    }
    return {path for file in present for path in _parents(file) if path in present}


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[: n + 1]) for n in range(len(parts))]
