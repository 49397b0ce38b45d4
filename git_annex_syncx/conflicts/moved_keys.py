"""Annexed files that one side moved and the other changed: the change follows to the new path. Pure.

Git follows a rename of a link only where the link is the same: not to another depth, nor where it was unlocked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from git_annex_syncx.conflicts.variant_names import is_variant
from git_annex_syncx.conflicts.verify import Trees
from git_annex_syncx.conflicts.versions import is_blob
from git_annex_syncx.conflicts.without_renames import Diff
from git_annex_syncx.model import Entry


@dataclass(frozen=True)
class Followed:
    """A change of an annexed file at its old path that belongs to a new one."""

    old: bytes
    new: bytes
    entry: Entry  # as it is at the old path


def followed(trees: Trees, since: tuple[Diff, Diff]) -> list[Followed]:
    """Return what one side changed and the other moved.

    `since` are the differences from the merge base to each side.
    """
    return [move for mover, other in (since, since[::-1]) for move in _followed(trees, mover, other)]


def _followed(trees: Trees, mover: Diff, other: Diff) -> list[Followed]:
    gone = {path: old for path, (old, new) in mover.items() if new is None and old and is_blob(old)}
    changed = {path: new for path in gone if path in other and (new := other[path][1]) and is_blob(new)}
    if not changed:
        return []
    added = {path: new for path, (old, new) in mover.items() if old is None and new and is_blob(new)}
    keys = trees.keys({entry.oid for entries in (gone, changed, added) for entry in entries.values()})
    from_, to = _by_key(gone, keys), _by_key(added, keys)
    return [
        Followed(path, to[key][0], entry)
        for path, entry in sorted(changed.items())
        if (key := keys[gone[path].oid]) and keys[entry.oid] and len(from_[key]) == len(to.get(key, ())) == 1
        if to[key][0] not in other and not is_variant(to[key][0])
    ]


def _by_key(entries: Mapping[bytes, Entry], keys: Mapping[str, bytes]) -> Mapping[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for path, entry in entries.items():
        found.setdefault(keys[entry.oid], []).append(path)
    return found
