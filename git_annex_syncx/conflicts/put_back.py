"""Versions that a merge would lose -> places for them. Pure but for links that must lead from another directory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from git_annex_syncx.conflicts.joined import Resolution
from git_annex_syncx.conflicts.resolve import Store, moved_entry, within
from git_annex_syncx.conflicts.variant_names import directory_variant, variant_names
from git_annex_syncx.conflicts.verify import Missing
from git_annex_syncx.conflicts.versions import version_of
from git_annex_syncx.model import Entry

KIND = "put back"


def put_back(
    missing: Iterable[Missing], files: Mapping[bytes, Entry], store: Store
) -> tuple[dict[bytes, Entry], tuple[Resolution, ...]]:
    """Return what to add to a tree of `files`: each version where a side had it if that is free, else a variant."""
    room = _Room(files)
    added: dict[bytes, Entry] = {}
    told = []
    for one in sorted(missing, key=lambda one: (one.path, one.entry.mode, one.entry.oid)):
        path = room.reachable(one.path)
        names = itertools.chain([path], variant_names(path, version_of(one.entry, store.read([one.entry.oid]))))
        name = next(filter(room.has_for, names))
        room.take(name)
        added[name] = moved_entry(one.entry, one.path, name, store)
        told.append(Resolution(one.path, KIND, (name,)))
    return added, tuple(told)


class _Room:
    """The paths of a tree that are taken, by files and by directories."""

    def __init__(self, files: Iterable[bytes]) -> None:
        self.files = set(files)
        folders = {path.rpartition(b"/")[0] for path in self.files}
        self.directories = {folder for deepest in folders for folder in within(deepest)}

    def has_for(self, path: bytes) -> bool:
        return path not in self.files and path not in self.directories

    def take(self, path: bytes) -> None:
        self.files.add(path)
        self.directories.update(within(path.rpartition(b"/")[0]))

    def reachable(self, path: bytes) -> bytes:
        """The path, or one in another directory where a file stands in its way."""
        for above in sorted(within(path.rpartition(b"/")[0])):
            if above in self.files:
                return self.reachable(directory_variant(above, self.files) + path[len(above) :])
        return path
