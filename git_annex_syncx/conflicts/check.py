"""Has a merge lost a version? A pure judgement over trees, which are read through a small interface.

`git merge-tree` alone is not enough: with renames even a clean result can drop one side's version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from git_annex_syncx.model import EXECUTABLE, REGULAR, Entry


class Trees(Protocol):
    """What the check must be able to read."""

    def diff(self, old: str, new: str) -> Mapping[bytes, tuple[Entry | None, Entry | None]]:
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


def _dropped(
    trees: Trees, bases: list[str], side: str, moved: Mapping[bytes, tuple[Entry | None, Entry | None]], result: str
) -> Iterator[bytes]:
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
    for path, entry in sorted(missing.items()):
        if entry.mode not in (REGULAR, EXECUTABLE) or not _lines_survive(trees, path, entry, changes, moved):
            yield path


def _lines_survive(
    trees: Trees,
    path: bytes,
    entry: Entry,
    changes: list[Mapping[bytes, tuple[Entry | None, Entry | None]]],
    moved: Mapping[bytes, tuple[Entry | None, Entry | None]],
) -> bool:
    """Whether one file of the result holds all the lines that the side added at this path."""
    before = [change[path][0] for change in changes]
    if not any(before):  # added, or the new name of something that went away
        before = [old for change in changes for old, new in change.values() if old and new is None]
    after = [new for _, new in moved.values() if new and new.mode in (REGULAR, EXECUTABLE)]
    old_blobs = {old.oid for old in before if old and old.mode in (REGULAR, EXECUTABLE)}
    contents = trees.read({entry.oid} | old_blobs | {new.oid for new in after})
    if not is_text(contents[entry.oid]):
        return False
    added = lines_of(contents[entry.oid]).difference(*(lines_of(contents[oid]) for oid in old_blobs))
    return any(added <= lines_of(contents[new.oid]) for new in after)
