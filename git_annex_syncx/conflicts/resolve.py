"""Conflicts -> a tree in which both versions are. Pure but for reading and writing blobs, symmetric in the sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from git_annex_syncx.conflicts.placing import Placing, Resolved, Settled
from git_annex_syncx.conflicts.union import unite_at
from git_annex_syncx.conflicts.versions import (
    FILES,
    Conflict,
    Kind,
    Lines,
    Store,
    Version,
    is_blob,
    pointer_to,
    version_of,
)
from git_annex_syncx.model import Entry


def resolve(
    conflicts: Iterable[Conflict],
    others: Mapping[bytes, Entry],
    store: Store,
    lines: Mapping[bytes, Lines],
    two_is_later: bool = True,
) -> Resolved:
    """Resolve conflicts in a merged tree whose other paths are `others`; `lines` says how the texts of a path merge.

    Where one of two versions keeps the name it is mostly that of the later head.
    """
    conflicts = sorted(conflicts, key=lambda conflict: conflict.path)
    blobs = {entry.oid for c in conflicts for entry in (c.base, c.one, c.two) if entry and is_blob(entry)}
    settling = _Settling(store.read(blobs), store, two_is_later)
    settled = {conflict.path: settling.settle(conflict, lines[conflict.path]) for conflict in conflicts}
    return Placing(others, store).place(settled)


@dataclass(frozen=True)
class _Settling:
    """The contents of all blobs in conflict, and where new ones go."""

    contents: Mapping[str, bytes]
    store: Store
    two_is_later: bool

    def settle(self, conflict: Conflict, lines: Lines) -> Settled:
        one, two, base = conflict.one, conflict.two, conflict.base
        if one == two:
            return Settled("same", one)
        if one is None or two is None:
            if base is None:  # git named it: a rename met another
                return Settled("renamed", one or two)
            return Settled("clean") if base in (one, two) else Settled("changed/deleted", one or two)
        if base in (one, two):
            return Settled("clean", two if one == base else one)
        return _settle_modes(base, one, two) or self._settle_versions(conflict.path, base, one, two, lines)

    def _settle_versions(self, path: bytes, base: Entry | None, one: Entry, two: Entry, lines: Lines) -> Settled:
        versions = [version_of(entry, self.contents) for entry in (one, two)]
        later, earlier = reversed(versions) if self.two_is_later else versions
        first, second = sorted(versions, key=lambda version: version.order)
        before = version_of(base, self.contents) if base else None
        kind = "/".join(dict.fromkeys((first.kind, second.kind)))
        if first.key and second.key:
            return self._settle_annexed(before, first, second)
        if settled := _settle_kinds(kind, first, second):
            return settled
        if kind == Kind.TEXT and lines is not Lines.APART:
            texts = [self.contents[version.entry.oid] for version in (first, second)]
            text_before = self.contents[before.entry.oid] if before and before.kind is Kind.TEXT else None
            united = unite_at(path, texts[0], texts[1], text_before)
            if united.clean or lines is Lines.UNION:
                return Settled(kind, self._written(_mode(base, one, two), united.content))
        return Settled(kind, later.entry, (earlier,))

    def _settle_annexed(self, base: Version | None, one: Version, two: Version) -> Settled:
        """Settle two annexed versions: of the same key as git-annex does, unlocked where one side has it unlocked."""
        if one.key == two.key:
            unlocked = [version.entry for version in (one, two) if version.kind is Kind.UNLOCKED]
            if not unlocked:
                return Settled("locked/unlocked", one.entry)
            mode = max(entry.mode for entry in unlocked)
            return Settled("locked/unlocked", Entry(mode, min(entry.oid for entry in unlocked)))
        if not base or base.key not in (one.key, two.key):
            return Settled("annexed", variants=(one, two))
        changed, other = (one, two) if two.key == base.key else (two, one)
        if other.kind is Kind.UNLOCKED and base.kind is not Kind.UNLOCKED:  # one changed it, the other unlocked it
            return Settled("clean", self._written(other.entry.mode, pointer_to(changed.key)))
        return Settled("clean", changed.entry)

    def _written(self, mode: int, content: bytes) -> Entry:
        return Entry(mode, self.store.write([content])[0])


def _settle_modes(base: Entry | None, one: Entry, two: Entry) -> Settled | None:
    """Settle a path where a side changed at most the executable bit of a file; None elsewhere."""
    both_files = one.mode in FILES and two.mode in FILES
    if both_files and one.oid == two.oid:
        return Settled("mode", Entry(_mode(base, one, two), one.oid))
    if base and base.mode in FILES:
        for same, other in ((one, two), (two, one)):
            if same.mode in FILES and same.oid == base.oid:
                return Settled("clean", Entry(_mode(base, one, two), other.oid) if both_files else other)
    return None


def _settle_kinds(kind: str, one: Version, two: Version) -> Settled | None:
    """Settle two versions of which one keeps the path whichever is later; they are given in canonical order."""
    if kind == Kind.SUBMODULE:
        return Settled(kind, one.entry, commits=(one.entry.oid, two.entry.oid))
    for stays, other in ((one, two), (two, one)):
        if stays.kind is Kind.SUBMODULE:  # .gitmodules names the path
            return Settled(kind, stays.entry, (other,))
    for plain, annexed in ((one, two), (two, one)):
        if annexed.key:
            return Settled("annexed/plain", plain.entry, (annexed,))
    return None


def _mode(base: Entry | None, one: Entry, two: Entry) -> int:
    """Return the 3-way merge of the modes of two files; executable where there is none."""
    if base and base.mode in FILES and one.mode != two.mode:
        return one.mode if two.mode == base.mode else two.mode
    return max(one.mode, two.mode)
