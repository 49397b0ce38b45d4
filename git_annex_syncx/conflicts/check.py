"""Has a merge lost a version? A pure judgement over trees, which are read through a small interface.

`git merge-tree` alone is not enough: with renames even a clean result can drop one side's version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from git_annex_syncx.model import EXECUTABLE, REGULAR, Entry

Diff = Mapping[bytes, tuple[Entry | None, Entry | None]]
TEXT_MODES = (REGULAR, EXECUTABLE)


class Trees(Protocol):
    """What the check must be able to read."""

    def diff(self, old: str, new: str) -> Diff:
        """Path -> (entry in `old`, entry in `new`) of all paths that differ."""

    def entries(self, tree: str) -> Mapping[bytes, Entry]:
        """All paths of a tree."""

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Contents of blobs."""


def lost_paths(trees: Trees, bases: Iterable[str], one: str, two: str, result: str) -> list[bytes]:
    """Paths whose version would be lost if `result` became the merge of the trees `one` and `two`.

    `bases` are the trees of all merge bases (the empty tree where there are none).
    """
    bases = list(bases)
    moved_one, moved_two = trees.diff(one, result), trees.diff(two, result)
    lost = {p for p in moved_one.keys() & moved_two.keys() if moved_one[p][0] == moved_two[p][0] is not None}
    for side, moved in ((one, moved_one), (two, moved_two)):
        lost |= set(_dropped(trees, bases, side, moved, result))
    return sorted(lost)


def lines_of(content: bytes) -> set[bytes]:
    """The lines of a text; a missing newline at the end makes no difference."""
    return set(content.removesuffix(b"\n").split(b"\n")) if content else set()


def is_text(content: bytes) -> bool:
    """Whether lines mean anything in it."""
    return b"\0" not in content


def _dropped(trees: Trees, bases: list[str], side: str, moved: Diff, result: str) -> Iterator[bytes]:
    """Paths at which the side introduced something that the result holds nowhere."""
    changes = [trees.diff(base, side) for base in bases]
    suspects = {p: moved[p][0] for p in moved if all(p in change for change in changes)}
    known = {new.oid for _, new in moved.values() if new} | {
        old.oid for change in changes for old, _ in change.values() if old
    }
    missing = {path: entry for path, entry in suspects.items() if entry and entry.oid not in known}
    if not missing:
        return
    held = {entry.oid for tree in (result, *bases) for entry in trees.entries(tree).values()}
    missing = {path: entry for path, entry in missing.items() if entry.oid not in held}
    texts = {path: entry.oid for path, entry in missing.items() if entry.mode in TEXT_MODES}
    yield from missing.keys() - texts.keys()
    yield from _without_lines(trees, texts, changes, moved)


def _without_lines(trees: Trees, texts: Mapping[bytes, str], changes: list[Diff], moved: Diff) -> set[bytes]:
    """Those of a side's changed files whose added lines no single file of the result holds."""
    gone = _texts(old for change in changes for old, new in change.values() if new is None)
    # The old content of a new file is whatever went away: it may be its new name.
    before = {path: _texts(olds) if any(olds := [c[path][0] for c in changes]) else gone for path in texts}
    same_path = {path: _texts([moved[path][1]]) for path in texts}
    contents = trees.read(set(texts.values()).union(*before.values(), *same_path.values()))

    def added(path: bytes) -> set[bytes]:
        return lines_of(contents[texts[path]]).difference(*(lines_of(contents[oid]) for oid in before[path]))

    binary = {path for path, oid in texts.items() if not is_text(contents[oid])}
    elsewhere = {
        path: added(path)
        for path in texts.keys() - binary
        if not any(added(path) <= lines_of(contents[oid]) for oid in same_path[path])
    }
    if elsewhere:
        after = [lines_of(content) for content in trees.read(_texts(new for _, new in moved.values())).values()]
        elsewhere = {path: lines for path, lines in elsewhere.items() if not any(lines <= held for held in after)}
    return binary | elsewhere.keys()


def _texts(entries: Iterable[Entry | None]) -> set[str]:
    return {entry.oid for entry in entries if entry and entry.mode in TEXT_MODES}
