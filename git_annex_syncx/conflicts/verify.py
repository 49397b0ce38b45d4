"""The verification that a merge lost or spoiled no version: a three-way merge of the sets of versions. Pure.

`git merge-tree` alone is not enough: with renames even a clean result can drop a version, or merge lines that must
stay apart. A version is a key (locked or unlocked, wherever its link stands), else a blob as a file or as a symlink.
These rules must hold for the result of a merge:

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

from git_annex_syncx.conflicts.versions import Holders, Texts, Trees, family, identity, is_blob, is_file, is_variant
from git_annex_syncx.model import Entry

Place = tuple[bytes, Entry]
Apart = Callable[[Iterable[bytes]], Iterable[bytes]]


@dataclass(frozen=True)
class Missing:
    """A version that a result lacks: where a side has it (the smallest path), and all paths where it is or was."""

    path: bytes
    entry: Entry
    paths: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """Faults of a result: versions that are missing, paths whose content must not be there."""

    missing: tuple[Missing, ...] = ()
    spoiled: frozenset[bytes] = frozenset()

    @property
    def paths(self) -> frozenset[bytes]:
        """Return the paths to merge again in another way."""
        return self.spoiled.union(*(one.paths for one in self.missing))


def verify(trees: Trees, bases: Sequence[str], sides: tuple[str, str], result: str, apart: Apart) -> Verdict:
    """Judge the tree `result` as the merge of the trees `sides`.

    `bases` are the trees of all merge bases (the empty tree where there are none); `apart` picks of paths those whose
    lines must not be merged whatever they hold.
    """
    return _Verification(trees, bases, sides, result).verdict(apart)


class _Side:
    """One side of a merge: the differences from each base to it, and from it to the result."""

    def __init__(self, trees: Trees, bases: Sequence[str], tree: str, result: str) -> None:
        self.tree, self.since, self.moved = tree, [trees.diff(base, tree) for base in bases], trees.diff(tree, result)
        # The versions that are not at these paths any more; all others are where they were.
        self.replaced = {path: old for path, (old, _) in self.moved.items() if old and is_blob(old)}

    @functools.cached_property
    def became(self) -> Mapping[str, list[Entry]]:
        """Return what a blob of a base was edited to, at its path."""
        found: dict[str, list[Entry]] = {}
        for old, new in (pair for since in self.since for pair in since.values()):
            if old and new:
                found.setdefault(old.oid, []).append(new)
        return found

    def brought(self) -> list[bytes]:
        """Return the paths at which the result lacks a version that no base has there."""
        return [path for path in self.replaced if all(path in since for since in self.since)]

    def before(self, path: bytes) -> list[Entry]:
        """Return what the bases had at a path that differs from each of them."""
        return [old for since in self.since if (old := since[path][0])]

    def taken_away(self) -> dict[bytes, list[Entry]]:
        """Return the paths that only the bases have."""
        found: dict[bytes, list[Entry]] = {}
        for since in self.since:
            for path, (old, new) in since.items():
                if old and new is None:
                    found.setdefault(path, []).append(old)
        return found


class _Verification:
    """The questions that the rules ask of one result; each set is computed once, where a rule needs it."""

    def __init__(self, trees: Trees, bases: Sequence[str], sides: tuple[str, str], result: str) -> None:
        self.trees, self.bases, self.result = trees, bases, result
        self.sides = [_Side(trees, bases, side, result) for side in sides]
        self.one, self.two = self.sides
        self.since = [since for side in self.sides for since in side.since]
        self.new = [new for side in self.sides for _, new in side.moved.values() if new]
        self.texts = Texts(trees.read)
        self._objects_of, self._keys_of = functools.cache(self._objects), functools.cache(self._keys)
        self._lines_left = functools.cache(self._lines_left_by)

    def verdict(self, apart: Apart) -> Verdict:
        one, two = self.one.moved, self.two.moved
        equal = {path for path in one.keys() & two.keys() if one[path][0] == two[path][0] is not None}
        missing = [Missing(*place, frozenset(self._places.get(name, ()))) for name, place in self._missing()]
        return Verdict((*missing, *self._families()), frozenset(equal | self._merged(apart)))

    # Versions

    def _missing(self) -> list[tuple[bytes, Place]]:
        """Return the versions that the result lacks: identity, and where a side has them."""
        kept = set(self._identities(self.new).values())
        has = [(side, self._identified(side.replaced)) for side in self.sides]
        brought = [
            (names[path], (path, side.replaced[path]))
            for side, names in has
            for path in side.brought()
            if names[path] not in kept and not self._holds_lines(side, path)
        ]
        both = set(has[0][1].values()) & set(has[1][1].values()) - kept
        common = [
            (name, (path, side.replaced[path])) for side, names in has for path, name in names.items() if name in both
        ]
        new = {name: place for name, place in _smallest(brought) if not self._held(self.bases, name, place[1])}
        kept_by_both = {
            name: place
            for name, place in _smallest(common)
            if self._held(self.bases, name, place[1]) and not self._may_go(place[1])
        }
        lost = sorted((new | kept_by_both).items())
        return [(name, place) for name, place in lost if not self._held([self.result], name, place[1])]

    def _held(self, trees: Iterable[str], name: bytes, entry: Entry) -> bool:
        """Return whether one of the trees has a version at any path; `entry` is one that has it."""
        plain = identity(entry, b"")
        return any(
            plain in self._objects_of(tree) or (name != plain and name in self._keys_of(tree)) for tree in trees
        )

    def _objects(self, tree: str) -> Set[bytes]:
        """Return the identities of all objects of a tree; which keys they name is not read."""
        return {identity(entry, b"") for entry in self.trees.entries(tree).values() if is_blob(entry)}

    def _keys(self, tree: str) -> Set[bytes]:
        """Return all keys of a tree."""
        entries = self.trees.entries(tree).values()
        return {*self.trees.keys(entry.oid for entry in entries if is_blob(entry)).values()}

    @functools.cached_property
    def _places(self) -> Mapping[bytes, set[bytes]]:
        """Return identity -> all paths, of those that were changed, at which a base or a side has the version."""
        diffs = [*self.since, *(side.moved for side in self.sides)]
        at = [(path, entry) for diff in diffs for path, pair in diff.items() for entry in pair if entry]
        names = self._identities(entry for _, entry in at)
        places: dict[bytes, set[bytes]] = {}
        for path, entry in at:
            if entry in names:
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

    def _holds_lines(self, side: _Side, path: bytes) -> bool:
        """Return whether one file of the result holds what a side brought with a text at a path."""
        lines = self.texts.lines(side.replaced[path])
        if lines is None:
            return False
        if old := side.before(path):
            brought = lines - self.texts.all_lines(old)
        else:  # what is new at this path the other side may still have where it was
            before, still = self._lines_left(side)
            brought = lines - before | lines & still
        here = self.texts.lines(side.moved[path][1])
        return (here is not None and brought <= here) or self._holders.hold(brought)

    def _lines_left_by(self, side: _Side) -> tuple[set[bytes], set[bytes]]:
        """Return the lines of the paths that a side took away: in the bases, and as the other side still has them."""
        other, gone = self.two if side is self.one else self.one, side.taken_away()
        still = [new for since in other.since for path in gone if path in since and (new := since[path][1])]
        still += [old for path, olds in gone.items() for old in olds if any(path not in s for s in other.since)]
        before = [old for olds in gone.values() for old in olds]
        return self.texts.all_lines(before), self.texts.all_lines(still)

    def _may_go(self, entry: Entry) -> bool:
        """Return whether a text that both sides have may be in no file of the result."""
        lines = self.texts.lines(entry)
        if lines is None:
            return False
        return self._holders.hold(lines) or all(self._edited(side, lines, entry) for side in self.sides)

    def _edited(self, side: _Side, lines: frozenset[bytes], entry: Entry) -> bool:
        """Return whether a side has edited a copy of a text: its file is still there and shares a line."""
        return any(lines & (self.texts.lines(new) or frozenset()) for new in side.became.get(entry.oid, ()))

    @functools.cached_property
    def _holders(self) -> Holders:
        """Return the files of the result that differ from a side."""
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
        lacking: list[Place] = []
        for name in names:
            one, two = ({ids: place for ids, place in had.items() if family(place[0]) == name} for had in members)
            if one and two and name not in left:
                lacking += (two | one).values()
            elif one and two and name in chose[0] & chose[1] and not one.keys() & two.keys():
                lacking += [place for ids, place in (one | two).items() if not self._is_there(ids, place[1])]
        return [Missing(*place) for place in sorted(lacking, key=_at)]

    def _is_there(self, name: bytes, entry: Entry) -> bool:
        """Return whether the result has a version, or all lines of it in one file."""
        lines = self.texts.lines(entry)
        return self._held([self.result], name, entry) or (lines is not None and self._holders.hold(lines))

    def _members(self, side: _Side, names: Collection[tuple[bytes, bytes]]) -> dict[bytes, Place]:
        """Return the versions that a side has at some names and their variants: identity -> smallest path, entry."""
        entries = self.trees.entries(side.tree).items()
        there = {path: entry for path, entry in entries if is_blob(entry) and family(path) in names}
        ids = self._identified(there)
        return {ids[path]: (path, there[path]) for path in sorted(there, reverse=True)}

    # Lines that were merged where they must not be

    def _merged(self, apart: Apart) -> set[bytes]:
        """Return the paths with a blob that neither a side nor a base has, where lines must not be merged or made."""
        one, two = self.one.moved, self.two.moved
        known = {entry.oid for since in self.since for pair in since.values() for entry in pair if entry}
        known |= {old.oid for side in self.sides for old in side.replaced.values()}
        both = {path: one[path][1] for path in one.keys() & two.keys()}
        fresh = {path: entry for path, entry in both.items() if entry and is_file(entry) and entry.oid not in known}
        if not fresh:
            return set()
        keys = self.trees.keys({entry.oid for entry in fresh.values()})
        fresh = {path: entry for path, entry in fresh.items() if not keys[entry.oid]}  # a key is a version of its own
        at = {path: (one[path][0], two[path][0], entry) for path, entry in fresh.items()}
        binary = {path for path, entries in at.items() if any(e and self.texts.lines(e) is None for e in entries)}
        invented = {path for path in fresh.keys() - binary if self._invents(path, fresh[path])}
        return binary | invented | set(apart(fresh))

    def _invents(self, path: bytes, entry: Entry) -> bool:
        """Return whether a text has a line that neither a side nor a base has.

        Git leaves the marks of a conflict in a clean result where a file that one side renamed and both edited meets
        an empty one.
        """
        lines = self.texts.lines(entry) or frozenset()
        diffs = [*self.since, *(side.moved for side in self.sides)]
        here = [old for diff in diffs if path in diff and (old := diff[path][0])]
        return not (lines <= self.texts.all_lines(here) or lines <= self._changed_lines)

    @functools.cached_property
    def _changed_lines(self) -> Set[bytes]:
        """Return the lines of all texts that a base or a side has at paths that were changed."""
        old = [old for side in self.sides for old, _ in side.moved.values()]
        return self.texts.all_lines(
            entry for entry in (*old, *(e for since in self.since for pair in since.values() for e in pair)) if entry
        )


def _smallest(places: Iterable[tuple[bytes, Place]]) -> Iterable[tuple[bytes, Place]]:
    """Return each identity with the smallest of its places."""
    found: dict[bytes, Place] = {}
    for name, place in places:
        found[name] = min(found.get(name, place), place, key=_at)
    return found.items()


def _at(place: Place) -> tuple[bytes, int, str]:
    return place[0], place[1].mode, place[1].oid
