"""Places in a tree: for versions that stay at their path, for variants, and for versions that a merge has lost.

Pure but for reading blobs and writing links. A path holds a file or a directory: where both want it the directory
stays and the file becomes a variant; only a submodule keeps its path and the directory moves.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from git_annex_syncx.conflicts.moved_keys import moved_entry
from git_annex_syncx.conflicts.resolutions import Resolution
from git_annex_syncx.conflicts.variant_names import directory_variant, variant_names
from git_annex_syncx.conflicts.verify import Missing
from git_annex_syncx.conflicts.versions import Store, Version, is_blob, version_of
from git_annex_syncx.model import GITLINK, Entry

UNTOLD = ("clean", "same")  # kinds of conflicts that leave nothing to look at
PUT_BACK = "put back"


@dataclass(frozen=True)
class Settled:
    """The fate of the versions of a path: one keeps the name, others become variants.

    Of a submodule's two commits `commits` has the one that was taken, then the other.
    """

    kind: str
    stays: Entry | None = None
    variants: tuple[Version, ...] = ()
    commits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolved:
    """Changes to make to the tree without the conflicts (None: remove the path), and the resolutions."""

    changes: Mapping[bytes, Entry | None]
    resolutions: tuple[Resolution, ...]


class Room:
    """The paths of a tree that are taken, by files and by directories."""

    def __init__(self, files: Mapping[bytes, Entry]) -> None:
        self.files = dict(files)
        self.directories = {above for folder in {_folder(path) for path in files} for above in _within(folder)}

    def put(self, path: bytes, entry: Entry) -> None:
        """Set a path that is free."""
        self.files[path] = entry
        self.directories.update(_within(_folder(path)))

    def reachable(self, path: bytes) -> bytes:
        """Return the path, or one in another directory where a file stands in its way."""
        for above in sorted(_within(_folder(path))):
            if above in self.files:
                return self.reachable(directory_variant(above, self.files) + path[len(above) :])
        return path


class Placing(Room):
    """The places of the versions in conflict, in a tree that has the files `others` already."""

    def __init__(self, others: Mapping[bytes, Entry], store: Store) -> None:
        super().__init__(others)
        self.store = store
        self.changes: dict[bytes, Entry | None] = {}
        self.kinds: dict[bytes, str] = {}
        self.variants: dict[bytes, list[Version]] = {}  # for which there is no place yet
        self.moved: dict[bytes, bytes] = {}  # with its directory: new path -> old
        self.made_way: dict[bytes, bytes] = {}  # path of a submodule -> where its directory went

    def place(self, settled: Mapping[bytes, Settled]) -> Resolved:
        """Find a place for every version."""
        for path, one in settled.items():
            self.kinds[path], self.variants[path] = one.kind, list(one.variants)
            if one.stays:
                self.put(path, one.stays)
            if one.variants:
                self.directories.update(_within(_folder(path)))
        while path := min(self.files.keys() & self.directories, default=b""):
            self._separate(path)
        became = self._place_variants()
        gone = {path: None for path in settled if path not in self.files}
        told = [
            Resolution(path, kind, tuple(became[path]), settled[path].commits if path in settled else ())
            for path, kind in sorted(self.kinds.items())
            if kind not in UNTOLD
        ]
        return Resolved({**gone, **self.changes}, tuple(told))

    def put(self, path: bytes, entry: Entry) -> None:
        """Set a path that is free, or that a version keeps."""
        super().put(path, entry)
        self.changes[path] = entry

    def _separate(self, path: bytes) -> None:
        """Move the file or the directory of a path that has both."""
        known = self.kinds.get(path, "renamed")
        self.kinds[path] = "directory" if known in (*UNTOLD, "renamed") else f"{known}/directory"
        if self.files[path].mode == GITLINK:
            self.kinds[path] = "submodule/directory"
            self.made_way[path] = self._move_directory(path)
        else:
            self.variants.setdefault(path, []).append(self._version(self.files.pop(path)))
            self.changes[path] = None

    def _move_directory(self, path: bytes) -> bytes:
        """Move all that is or is to be below a submodule's path into another directory; return that."""
        inside, target = path + b"/", directory_variant(path, self.files)
        for old in sorted(name for name in {*self.files, *self.variants} if name.startswith(inside)):
            self.moved[new := target + old[len(path) :]] = old
            going = self.variants.pop(old, [])
            if entry := self.files.pop(old, None):
                self.changes[old] = None
                if new in self.files or new in self.directories:
                    going.append(self._version(entry))
                    self.kinds.setdefault(old, "directory")
                else:
                    self.put(new, entry)
            if going:
                self.variants.setdefault(new, []).extend(going)
        self.directories = {name for name in self.directories if name != path and not name.startswith(inside)}
        return target

    def _place_variants(self) -> dict[bytes, list[bytes]]:
        """Put the variants; return for each path in conflict where its versions are now."""
        now = {path: path for path in self.kinds} | {old: new for new, old in self.moved.items() if old in self.kinds}
        became = {path: [new] if new in self.files else [] for path, new in now.items()}
        for path, directory in self.made_way.items():
            became[path].append(directory)
        every = [(path, version) for path, versions in self.variants.items() for version in versions]
        for path, version in sorted(every, key=lambda item: (item[0], item[1].order)):
            became.setdefault(self.moved.get(path, path), []).append(self._put_variant(path, version))
        return became

    def _put_variant(self, path: bytes, version: Version) -> bytes:
        for name in variant_names(path, version):
            if name in self.directories:
                continue
            if name not in self.files:
                self.put(name, moved_entry(version.entry, path, name, self.store))
                return name
            if self._version(self.files[name]).identity == version.identity:
                return name
        raise AssertionError("variant names never end")

    def _version(self, entry: Entry) -> Version:
        return version_of(entry, self.store.read({entry.oid}) if is_blob(entry) else {})


def put_back(
    missing: Iterable[Missing], files: Mapping[bytes, Entry], store: Store
) -> tuple[dict[bytes, Entry], tuple[Resolution, ...]]:
    """Return what to add to a tree of `files`: each version where a side had it if that is free, else a variant."""
    room = Room(files)
    added: dict[bytes, Entry] = {}
    told = []
    for one in sorted(missing, key=lambda one: (one.path, one.entry.mode, one.entry.oid)):
        path = room.reachable(one.path)
        names = itertools.chain([path], variant_names(path, version_of(one.entry, store.read([one.entry.oid]))))
        name = next(name for name in names if name not in room.files and name not in room.directories)
        added[name] = moved_entry(one.entry, one.path, name, store)
        room.put(name, added[name])
        told.append(Resolution(one.path, PUT_BACK, (name,)))
    return added, tuple(told)


def _folder(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def _within(folder: bytes) -> Iterator[bytes]:
    """Yield a directory and those that it is in."""
    while folder:
        yield folder
        folder = _folder(folder)
