"""Has a merge lost a version? A pure judgement over trees, which are read through a small interface.

`git merge-tree` alone is not enough: with renames even a clean result can drop one side's version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from git_annex_syncx.conflicts.version import Kind, Version, is_file, version_of
from git_annex_syncx.model import GITLINK, SYMLINK, Entry

Diff = Mapping[bytes, tuple[Entry | None, Entry | None]]


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

    `bases` are the trees of all merge bases (the empty tree where there are none). An annexed version is there
    when its key is; a commit of a submodule may give way to another one of the same submodule.
    """
    bases = list(bases)
    moved_one, moved_two = trees.diff(one, result), trees.diff(two, result)
    lost = {p for p in moved_one.keys() & moved_two.keys() if moved_one[p][0] == moved_two[p][0] is not None}
    for side, moved in ((one, moved_one), (two, moved_two)):
        lost |= set(_Side(trees, bases, side, moved, result).dropped())
    return sorted(lost)


def lines_of(content: bytes) -> set[bytes]:
    """The lines of a text; line ends make no difference."""
    return {line.removesuffix(b"\r") for line in content.removesuffix(b"\n").split(b"\n")} if content else set()


class _Side:
    """One side of a merge: what it introduced, and whether the result still has it."""

    def __init__(self, trees: Trees, bases: list[str], side: str, moved: Diff, result: str) -> None:
        self.trees, self.bases, self.moved, self.result = trees, bases, moved, result
        self.changes = [trees.diff(base, side) for base in bases]
        self.contents: dict[str, bytes] = {}

    def dropped(self) -> Iterator[bytes]:
        """Paths at which the side introduced something that the result holds nowhere."""
        missing = self._missing()
        self._read(entry for path, entry in missing.items() for entry in (entry, *self._nearby(path)))
        versions = {path: version_of(entry, self.contents) for path, entry in missing.items()}
        keys: set[bytes] | None = None
        for path, version in sorted(versions.items()):
            if version.key:
                keys = self._keys() if keys is None else keys
                kept = version.key in keys
            elif version.kind is Kind.SUBMODULE:
                after = self.moved[path][1]
                kept = after is not None and after.mode == GITLINK
            else:
                kept = version.kind is Kind.TEXT and self._lines_survive(path, version)
            if not kept:
                yield path

    def _missing(self) -> dict[bytes, Entry]:
        suspects = {p: old for p, (old, _) in self.moved.items() if old and all(p in c for c in self.changes)}
        known = {new.oid for _, new in self.moved.values() if new}
        known |= {old.oid for change in self.changes for old, _ in change.values() if old}
        missing = {path: entry for path, entry in suspects.items() if entry.oid not in known}
        if not missing:
            return {}
        held = {entry.oid for tree in (self.result, *self.bases) for entry in self.trees.entries(tree).values()}
        return {path: entry for path, entry in missing.items() if entry.oid not in held}

    def _nearby(self, path: bytes) -> list[Entry]:
        """What the bases had and what the result has at a path."""
        return [entry for entry in (*(change[path][0] for change in self.changes), self.moved[path][1]) if entry]

    def _keys(self) -> set[bytes]:
        """All keys that the result or a merge base holds, locked or unlocked."""
        every = [entry for tree in (self.result, *self.bases) for entry in self.trees.entries(tree).values()]
        self._read(every)
        return {self._version(entry).key for entry in every if is_file(entry) or entry.mode == SYMLINK}

    def _lines_survive(self, path: bytes, version: Version) -> bool:
        """Whether one file of the result holds all the lines that the side added at this path."""
        before = [change[path][0] for change in self.changes]
        if not any(before):  # added, or the new name of something that went away
            before = [old for change in self.changes for old, new in change.values() if old and new is None]
        added = self._lines(version.entry).difference(*(self._lines(old) for old in self._files(before)))
        here = self._files([self.moved[path][1]])
        return any(added <= self._lines(new) for new in here) or any(
            added <= self._lines(new) for new in self._files(new for _, new in self.moved.values())
        )

    def _files(self, entries: Iterable[Entry | None]) -> list[Entry]:
        files = [entry for entry in entries if entry and is_file(entry)]
        self._read(files)
        return files

    def _lines(self, entry: Entry) -> set[bytes]:
        return lines_of(self.contents[entry.oid])

    def _version(self, entry: Entry) -> Version:
        return version_of(entry, self.contents)

    def _read(self, entries: Iterable[Entry]) -> None:
        wanted = {e.oid for e in entries if is_file(e) or e.mode == SYMLINK} - self.contents.keys()
        if wanted:
            self.contents.update(self.trees.read(wanted))
