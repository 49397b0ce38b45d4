"""Has a merge lost or spoiled a version? A three-way merge of the sets of versions. Pure.

`git merge-tree` alone is not enough: with renames even a clean result can drop a version, or merge lines that must
stay apart. A version is a key (locked or unlocked, wherever its link stands), else a blob as a file or as a symlink.
What must hold for the result of a merge:

1. A path that is equal on both sides is unchanged.
2. A version that a side has and no merge base, or that both sides have, is there.
3. Instead of a text that is new at its path, one file may hold what the side brought. A text that both sides have may
   go where each has edited another copy of it, or where one file holds all its lines.
4. Where both sides have changed a name and its variants, something of them is left; what each has, if both have taken
   some of them away and have nothing of them in common.
5. Where lines must not be merged no blob is new, and elsewhere no line is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from git_annex_syncx.conflicts.texts import Holders, Texts
from git_annex_syncx.conflicts.variant_names import family, is_variant
from git_annex_syncx.conflicts.versions import identity, is_blob, is_file
from git_annex_syncx.conflicts.without_renames import Diff
from git_annex_syncx.model import Entry

Paths = Iterable[bytes]


class Trees(Protocol):
    """The reading of trees that a verification needs."""

    def diff(self, old: str, new: str) -> Diff:
        """Path -> (entry in `old`, entry in `new`) of all paths that differ."""

    def entries(self, tree: str) -> Mapping[bytes, Entry]:
        """All paths of a tree."""

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Contents of blobs."""

    def keys(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """The keys that blobs name, empty for those that name none."""


@dataclass(frozen=True)
class Missing:
    """A version that a result lacks: where a side has it (the smallest path), and all paths where it is or was."""

    path: bytes
    entry: Entry
    paths: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """Faults of a result: versions that are missing, paths at which something is that must not be."""

    missing: tuple[Missing, ...] = ()
    spoiled: frozenset[bytes] = frozenset()

    @property
    def paths(self) -> frozenset[bytes]:
        """Return the paths to merge again in another way."""
        return self.spoiled.union(*(one.paths for one in self.missing))


def verify(
    trees: Trees, bases: Sequence[str], sides: tuple[str, str], result: str, apart: Callable[[Paths], Paths]
) -> Verdict:
    """Judge the tree `result` as the merge of the trees `sides`.

    `bases` are the trees of all merge bases (the empty tree where there are none); `apart` tells of paths those whose
    lines must not be merged whatever they hold.
    """
    return _Verification(trees, bases, sides, result).verdict(apart)


@dataclass(frozen=True)
class _Left:
    """The lines of the paths that a side took away: in the bases, and where the other side still has them."""

    before: set[bytes]
    still: set[bytes]


class _Side:
    """One side of a merge: what it changed since each base, what the result changed in it."""

    def __init__(self, trees: Trees, bases: Sequence[str], tree: str, result: str) -> None:
        self.tree, self.since, self.moved = tree, [trees.diff(base, tree) for base in bases], trees.diff(tree, result)
        # What stood at these paths is not there any more; all else is where it was.
        self.replaced = {path: old for path, (old, _) in self.moved.items() if old and is_blob(old)}
        self.became: dict[str, list[Entry]] = {}  # what a blob of a base was edited to, at its path
        for old, new in (pair for since in self.since for pair in since.values()):
            if old and new:
                self.became.setdefault(old.oid, []).append(new)

    def before(self, path: bytes) -> list[Entry]:
        """Return what the bases had at a path that differs from each of them."""
        return [old for since in self.since if (old := since[path][0])]

    def taken_away(self) -> dict[bytes, list[Entry]]:
        """The paths that only the bases have."""
        found: dict[bytes, list[Entry]] = {}
        for since in self.since:
            for path, (old, new) in since.items():
                if old and new is None:
                    found.setdefault(path, []).append(old)
        return found


class _Verification:
    def __init__(self, trees: Trees, bases: Sequence[str], sides: tuple[str, str], result: str) -> None:
        self.trees, self.bases, self.result = trees, bases, result
        self.sides = [_Side(trees, bases, side, result) for side in sides]
        self.one, self.two = self.sides
        self.new = [new for side in self.sides for _, new in side.moved.values() if new]
        self.texts = Texts(trees.read)
        self._left: dict[int, _Left] = {}
        self._all_objects: dict[str, Set[bytes]] = {}
        self._all_keys: dict[str, Set[bytes]] = {}

    def verdict(self, apart: Callable[[Paths], Paths]) -> Verdict:
        one, two = self.one.moved, self.two.moved
        equal = {path for path in one.keys() & two.keys() if one[path][0] == two[path][0] is not None}
        spoiled = frozenset(equal | self._merged(apart))
        missing = self._missing()
        left = {place: self._missing_from(identities) for place, identities in missing.items()}
        found = [Missing(path, entry, paths) for (path, entry), paths in left.items()]
        return Verdict((*found, *self._families()), spoiled)

    # Versions

    def _missing(self) -> dict[tuple[bytes, Entry], bytes]:
        """Return the versions that the result lacks: where a side has them -> identity."""
        kept = set(self._identities(self.new).values())
        lost: dict[bytes, tuple[bytes, Entry]] = {}
        has = [self._identified(side.replaced) for side in self.sides]
        for number, side in enumerate(self.sides):
            brought = [path for path in side.replaced if all(path in since for since in side.since)]
            for path in sorted(brought):
                name = has[number][path]
                if name not in kept and not self._holds_lines(number, path, side.replaced[path]):
                    lost[name] = min(
                        lost.get(name, (path, side.replaced[path])), (path, side.replaced[path]), key=_at
                    )
        lost = {name: place for name, place in lost.items() if not self._held(self.bases, name, place[1])}
        both = (set(has[0].values()) & set(has[1].values())) - kept
        places: dict[bytes, tuple[bytes, Entry]] = {}
        for side, names in zip(self.sides, has, strict=True):
            for path in (path for path, name in names.items() if name in both):
                here = path, side.replaced[path]
                places[names[path]] = min(places.get(names[path], here), here, key=_at)
        for name, place in places.items():
            if self._held(self.bases, name, place[1]) and not self._may_go(place[1]):
                lost[name] = place
        return {place: name for name, place in sorted(lost.items()) if not self._held([self.result], name, place[1])}

    def _held(self, trees: Iterable[str], name: bytes, entry: Entry) -> bool:
        """Return whether one of the trees has a version at any path; `entry` is one that has it."""
        plain = identity(entry, b"")
        return any(plain in self._objects(tree) or (name != plain and name in self._keys(tree)) for tree in trees)

    def _objects(self, tree: str) -> Set[bytes]:
        """All that a tree has, by object alone: which key a blob names is not read."""
        if tree not in self._all_objects:
            entries = self.trees.entries(tree).values()
            self._all_objects[tree] = {identity(entry, b"") for entry in entries if is_blob(entry)}
        return self._all_objects[tree]

    def _keys(self, tree: str) -> Set[bytes]:
        """All keys that a tree has."""
        if tree not in self._all_keys:
            entries = self.trees.entries(tree).values()
            self._all_keys[tree] = {*self.trees.keys(entry.oid for entry in entries if is_blob(entry)).values()}
        return self._all_keys[tree]

    def _missing_from(self, name: bytes) -> frozenset[bytes]:
        """All paths, of those that were changed, at which a base or a side has a version."""
        return frozenset(self._places.get(name, ()))

    @functools.cached_property
    def _places(self) -> Mapping[bytes, set[bytes]]:
        diffs = [diff for side in self.sides for diff in (*side.since, side.moved)]
        at = [(path, entry) for diff in diffs for path, pair in diff.items() for entry in pair if is_blob(entry)]
        names = self._identities(entry for _, entry in at if entry)
        places: dict[bytes, set[bytes]] = {}
        for path, entry in at:
            if entry:
                places.setdefault(names[entry], set()).add(path)
        return places

    def _identified(self, entries: Mapping[bytes, Entry]) -> dict[bytes, bytes]:
        names = self._identities(entries.values())
        return {path: names[entry] for path, entry in entries.items()}

    def _identities(self, entries: Iterable[Entry]) -> dict[Entry, bytes]:
        wanted = {entry for entry in entries if is_blob(entry)}
        keys = self.trees.keys({entry.oid for entry in wanted})
        return {entry: identity(entry, keys[entry.oid]) for entry in wanted}

    # Lines

    def _holds_lines(self, number: int, path: bytes, entry: Entry) -> bool:
        """Return whether one file of the result holds what a side brought with a text at a path."""
        side, other = self.sides[number], self.sides[1 - number]
        lines = self.texts.lines(entry)
        if lines is None:
            return False
        if before := side.before(path):
            brought = lines - self.texts.all_lines(before)
        else:  # what is new at this path the other side may still have where it was
            left = self._left_by(number, side, other)
            brought = lines - left.before | lines & left.still
        here = self.texts.lines(side.moved[path][1])
        return (here is not None and brought <= here) or self.holders.hold(brought)

    def _left_by(self, number: int, side: _Side, other: _Side) -> _Left:
        if number not in self._left:
            gone = side.taken_away()
            still = [new for since in other.since for path in gone if path in since and (new := since[path][1])]
            still += [old for path, olds in gone.items() for old in olds if any(path not in s for s in other.since)]
            before = self.texts.all_lines(old for olds in gone.values() for old in olds)
            self._left[number] = _Left(before, self.texts.all_lines(still))
        return self._left[number]

    def _may_go(self, entry: Entry) -> bool:
        """Return whether a text that both sides have may be in no file of the result."""
        lines = self.texts.lines(entry)
        if lines is None:
            return False
        return self._is_in_a_file(entry) or all(self._edited(side, lines, entry) for side in self.sides)

    def _edited(self, side: _Side, lines: frozenset[bytes], entry: Entry) -> bool:
        """Return whether a side has edited a copy of a text: its file is still there and shares a line."""
        return any(lines & (self.texts.lines(new) or frozenset()) for new in side.became.get(entry.oid, ()))

    @functools.cached_property
    def holders(self) -> Holders:
        """The files of the result that differ from a side."""
        return Holders(self.texts, self.new)

    # Names and their variants

    def _families(self) -> list[Missing]:
        """Return what each side has of a name and its variants that both have changed, if it must be there."""
        changed = [
            [(p, new) for since in side.since for p, (old, new) in since.items() if old] for side in self.sides
        ]
        names = {family(path) for pairs in changed for path, _ in pairs if is_variant(path)}
        names = names.intersection(*({family(path) for path, _ in pairs} for pairs in changed)) if names else names
        if not names:
            return []
        # Who took one of them away has chosen; who only edited one has not.
        chose = [{family(path) for path, new in pairs if new is None} for pairs in changed]
        members = [self._members(side, names) for side in self.sides]
        left = {family(path) for path in self.trees.entries(self.result)}
        lacking: list[tuple[bytes, Entry]] = []
        for name in names:
            one, two = ({ids: place for ids, place in had.items() if family(place[0]) == name} for had in members)
            if one and two and name not in left:
                lacking += (two | one).values()
            elif one and two and name in chose[0] & chose[1] and not one.keys() & two.keys():
                apart = [place for ids, place in (one | two).items() if not self._held([self.result], ids, place[1])]
                lacking += [place for place in apart if not self._is_in_a_file(place[1])]
        return [Missing(*place) for place in sorted(lacking, key=_at)]

    def _members(self, side: _Side, names: Collection[tuple[bytes, bytes]]) -> dict[bytes, tuple[bytes, Entry]]:
        """Return the versions that a side has at some names and their variants: identity -> smallest path, entry."""
        entries = self.trees.entries(side.tree).items()
        there = {path: entry for path, entry in entries if is_blob(entry) and family(path) in names}
        ids = self._identified(there)
        return {ids[path]: (path, there[path]) for path in sorted(there, reverse=True)}

    def _is_in_a_file(self, entry: Entry) -> bool:
        lines = self.texts.lines(entry)
        return lines is not None and self.holders.hold(lines)

    # Lines that were merged where they must not be

    def _merged(self, apart: Callable[[Paths], Paths]) -> set[bytes]:
        """Paths with a blob that neither a side nor a base has, at which lines must not be merged."""
        one, two = self.one.moved, self.two.moved
        both = {path: new for path in one.keys() & two.keys() if (new := one[path][1]) and is_file(new)}
        diffs = [diff for side in self.sides for diff in side.since]
        known = {entry.oid for diff in diffs for pair in diff.values() for entry in pair if entry}
        known |= {old.oid for side in self.sides for old in side.replaced.values()}
        fresh = {path: entry for path, entry in both.items() if entry.oid not in known}
        keys = self.trees.keys({entry.oid for entry in fresh.values()}) if fresh else {}
        # A key is a version of its own.
        merged = {path: entry for path, entry in fresh.items() if not keys[entry.oid]}
        if not merged:
            return set()
        at = {path: [entry for entry in (one[path][0], two[path][0], new) if entry] for path, new in merged.items()}
        binary = {path for path, entries in at.items() if None in map(self.texts.lines, entries)}
        return (
            binary
            | set(apart(merged))
            | {path for path in merged.keys() - binary if self._invents(path, merged[path])}
        )

    def _invents(self, path: bytes, entry: Entry) -> bool:
        """Return whether a text has a line that neither a side nor a base has.

        Git leaves the marks of a conflict in a clean result where a file that one side renamed and both edited meets
        an empty one.
        """
        lines = self.texts.lines(entry) or frozenset()
        here = [pair[path][0] for side in self.sides for pair in (side.moved, *side.since) if path in pair]
        return not (lines <= self.texts.all_lines(filter(None, here)) or lines <= self._changed_lines)

    @functools.cached_property
    def _changed_lines(self) -> Set[bytes]:
        """The lines of all texts at paths that a side or the result has changed."""
        diffs = [diff for side in self.sides for diff in (*side.since, side.moved)]
        old = [before for diff in diffs for before, _ in diff.values() if before]
        return self.texts.all_lines(
            [*old, *(new for side in self.sides for s in side.since for _, new in s.values() if new)]
        )


def _at(place: tuple[bytes, Entry]) -> tuple[bytes, int, str]:
    return place[0], place[1].mode, place[1].oid
