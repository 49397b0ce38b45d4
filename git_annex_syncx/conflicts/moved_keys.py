"""Annexed files that one side moved: a change by the other side follows them, and their links lead where they led.

Git follows a rename of a link only where the link is the same: not to another depth, nor where it was unlocked.
Pure but for reading links and writing those that change.
"""

from __future__ import annotations

import posixpath
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import permutations

from git_annex_syncx.conflicts.versions import Diff, Store, Trees, is_blob, is_variant, key_in
from git_annex_syncx.model import SYMLINK, Entry

DEEP = b"/x" * 64  # stands for the directories above a work tree


def followed(trees: Trees, since: Sequence[Diff], conflicts: Container[bytes]) -> dict[bytes, tuple[bytes, Entry]]:
    """Return the files in conflict that one side changed and the other moved: old path -> (new path, changed entry).

    `since` are the differences from the one merge base to each side.
    """
    return {
        old: (new, entry)
        for mover, other in permutations(since)
        for old, (new, entry) in _followed(trees, mover, other).items()
        if old in conflicts and new not in conflicts
    }


def _followed(trees: Trees, mover: Diff, other: Diff) -> dict[bytes, tuple[bytes, Entry]]:
    gone = {path: old for path, (old, new) in mover.items() if new is None and old and is_blob(old)}
    changed = {path: new for path in gone if path in other and (new := other[path][1]) and is_blob(new)}
    if not changed:
        return {}
    added = {path: new for path, (old, new) in mover.items() if old is None and new and is_blob(new)}
    keys = trees.keys({entry.oid for entries in (gone, changed, added) for entry in entries.values()})
    from_, to = _by_key(gone, keys), _by_key(added, keys)
    return {
        path: (to[key][0], entry)
        for path, entry in changed.items()
        if (key := keys[gone[path].oid]) and keys[entry.oid] and len(from_[key]) == len(to.get(key, ())) == 1
        if to[key][0] not in other and not is_variant(to[key][0])
    }


def _by_key(entries: Mapping[bytes, Entry], keys: Mapping[str, bytes]) -> Mapping[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for path, entry in entries.items():
        found.setdefault(keys[entry.oid], []).append(path)
    return found


def relinked(store: Store, moved: Sequence[Diff], paths: Iterable[bytes]) -> dict[bytes, Entry]:
    """Return the links, of those that a merge carried to some paths, that must lead from there.

    `moved` are the differences from each side to the result.
    """
    carried = {path: entry for path in paths if (entry := moved[0][path][1]) and entry.mode == SYMLINK}
    origins: dict[str, bytes] = {}
    for diff in moved if carried else ():
        for path, (old, _) in diff.items():
            if old and old.mode == SYMLINK:
                origins[old.oid] = min(path, origins.get(old.oid, path))
    there = {path: entry for path, entry in carried.items() if entry.oid in origins}
    led = {path: moved_entry(entry, origins[entry.oid], path, store) for path, entry in there.items()}
    return {path: entry for path, entry in led.items() if entry != there[path]}


def moved_entry(entry: Entry, old: bytes, new: bytes, store: Store) -> Entry:
    """Return an entry as it must be at another path: the link of an annexed file leads where it led."""
    if entry.mode != SYMLINK:
        return entry
    target = store.read({entry.oid})[entry.oid]
    moved = moved_link(target, old, new) if key_in(target) else target
    return entry if moved == target else Entry(SYMLINK, store.write([moved])[0])


def moved_link(target: bytes, old: bytes, new: bytes) -> bytes:
    """Return the target that a relative symlink needs when it moves from one path to another."""
    if posixpath.dirname(old) == posixpath.dirname(new) or target.startswith(b"/"):
        return target
    full = posixpath.normpath(posixpath.join(DEEP, posixpath.dirname(old), target))
    return posixpath.relpath(full, posixpath.join(DEEP, posixpath.dirname(new)))
