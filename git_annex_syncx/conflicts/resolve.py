"""Conflicts -> a tree in which both versions are. Pure but for reading and writing blobs, symmetric in the sides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from git_annex_syncx.conflicts.joined import Resolution
from git_annex_syncx.conflicts.lines import Lines
from git_annex_syncx.conflicts.sections import has_sections, unite_sections
from git_annex_syncx.conflicts.union import unite
from git_annex_syncx.conflicts.variant_names import directory_variant, moved_link, variant_names
from git_annex_syncx.conflicts.versions import Kind, Version, is_blob, is_file, key_in, pointer_to, version_of
from git_annex_syncx.conflicts.without_renames import Conflict
from git_annex_syncx.model import EXECUTABLE, GITLINK, REGULAR, SYMLINK, Entry


class Store(Protocol):
    """A store of versions."""

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Contents of blobs."""

    def write(self, contents: Sequence[bytes]) -> Sequence[str]:
        """Store blobs, their ids."""


@dataclass(frozen=True)
class Resolved:
    """Changes to make to the tree without the conflicts (None: remove the path), and the resolutions."""

    changes: Mapping[bytes, Entry | None]
    resolutions: tuple[Resolution, ...]


@dataclass(frozen=True)
class _Settled:
    """The fate of the versions of a path: one keeps the name (or a text still to be written), others move."""

    kind: str
    stays: Entry | None = None
    variants: tuple[Version, ...] = ()
    text: bytes | None = None
    mode: int = REGULAR
    commits: tuple[str, ...] = ()


def resolve(
    conflicts: Iterable[Conflict], others: Mapping[bytes, Entry], store: Store, two_is_later: bool = True
) -> Resolved:
    """Resolve conflicts in a merged tree whose other paths are `others`.

    Where one of two versions keeps the name it is the one of the later head, mostly.
    """
    conflicts = sorted(conflicts, key=lambda conflict: conflict.path)
    entries = [e for c in conflicts for e in (c.base, c.one, c.two) if e and is_blob(e)]
    contents = store.read({entry.oid for entry in entries})
    settled = {c.path: _settle(c, contents, two_is_later) for c in conflicts}
    settled = dict(zip(settled, _written(list(settled.values()), store), strict=True))
    return _Placing(others, store).place(settled)


# What becomes of two versions


def _settle(conflict: Conflict, contents: Mapping[str, bytes], two_is_later: bool) -> _Settled:
    if conflict.one == conflict.two:
        return _Settled("same", conflict.one)
    if conflict.base is None and (conflict.one is None or conflict.two is None):  # git named it: a rename met another
        return _Settled("renamed", conflict.one or conflict.two)
    if conflict.base in (conflict.one, conflict.two):
        return _Settled("clean", conflict.two if conflict.one == conflict.base else conflict.one)
    if conflict.one is None or conflict.two is None:
        return _Settled("changed/deleted", conflict.one or conflict.two)
    if replacement := _replacement(conflict.base, conflict.one, conflict.two):
        return _Settled("clean", replacement)
    pair = [version_of(entry, contents) for entry in (conflict.one, conflict.two)]
    later, earlier = reversed(pair) if two_is_later else pair
    return _settle_pair(conflict, later, earlier, contents)


def _replacement(base: Entry | None, one: Entry, two: Entry) -> Entry | None:
    """Return what a side put in the place of a file of which the other side changed the executable bit alone."""
    for same, other in ((one, two), (two, one)):
        if base and is_file(base) and is_file(same) and same.oid == base.oid and not is_file(other):
            return other
    return None


def _settle_pair(conflict: Conflict, later: Version, earlier: Version, contents: Mapping[str, bytes]) -> _Settled:
    one, two = sorted((later, earlier), key=lambda version: version.order)
    kinds = (one.kind, two.kind)
    if is_file(one.entry) and is_file(two.entry):
        oids = {one.entry.oid, two.entry.oid}
        if len(oids) == 1:
            return _Settled("mode", Entry(_mode(conflict), oids.pop()))
        if conflict.base and is_file(conflict.base) and conflict.base.oid in oids:
            return _Settled("clean", Entry(_mode(conflict), (oids - {conflict.base.oid}).pop()))
    if kinds == (Kind.SUBMODULE, Kind.SUBMODULE):
        return _Settled("submodule", one.entry, commits=(one.entry.oid, two.entry.oid))
    if one.key and two.key:
        base = version_of(conflict.base, contents) if conflict.base else None
        return (
            _settle_annexed(one, two) or _settle_changed(one, two, base) or _Settled("annexed", variants=(one, two))
        )
    kind = "/".join(dict.fromkeys(kinds))
    if Kind.SUBMODULE in kinds:  # .gitmodules names the path
        submodule, other = (one, two) if one.kind is Kind.SUBMODULE else (two, one)
        return _Settled(kind, submodule.entry, (other,))
    if one.key or two.key:
        annexed, plain = (one, two) if one.key else (two, one)
        return _Settled("annexed/plain", plain.entry, (annexed,))
    if kinds == (Kind.TEXT, Kind.TEXT) and (merged := _merged(conflict, one, two, contents)) is not None:
        return _Settled(kind, text=merged, mode=_mode(conflict))
    return _Settled(kind, later.entry, (earlier,))


def _merged(conflict: Conflict, one: Version, two: Version, contents: Mapping[str, bytes]) -> bytes | None:
    """The lines of two texts in one file, None where they must not be."""
    if conflict.lines is Lines.APART:
        return None
    base = version_of(conflict.base, contents) if conflict.base else None
    base_text = contents[base.entry.oid] if base and base.kind is Kind.TEXT else None
    unite_texts = unite_sections if has_sections(conflict.path) else unite
    united = unite_texts(contents[one.entry.oid], contents[two.entry.oid], base_text)
    return united.content if united.clean or conflict.lines is Lines.UNION else None


def _settle_changed(one: Version, two: Version, base: Version | None) -> _Settled | None:
    """Return the new key alone where one side has changed it and the other only locked or unlocked it."""
    if not base or base.key not in (one.key, two.key):
        return None
    changed, other = (one, two) if two.key == base.key else (two, one)
    if other.kind is Kind.UNLOCKED is not base.kind:
        return _Settled("clean", text=pointer_to(changed.key), mode=other.entry.mode)
    return _Settled("clean", changed.entry)


def _settle_annexed(one: Version, two: Version) -> _Settled | None:
    """Same key: one file, as git-annex decides: unlocked where one side has it unlocked."""
    if one.key != two.key:
        return None
    unlocked = [version.entry for version in (one, two) if version.kind is Kind.UNLOCKED]
    if not unlocked:
        return _Settled("locked/unlocked", one.entry)
    mode = EXECUTABLE if any(entry.mode == EXECUTABLE for entry in unlocked) else REGULAR
    return _Settled("locked/unlocked", Entry(mode, min(entry.oid for entry in unlocked)))


def _mode(conflict: Conflict) -> int:
    """The 3-way merge of the modes of two files; executable where there is none."""
    one, two = conflict.one, conflict.two
    assert one and two
    if is_file(conflict.base) and conflict.base and one.mode != two.mode:
        return one.mode if two.mode == conflict.base.mode else two.mode
    return max(one.mode, two.mode)


def _written(settled: list[_Settled], store: Store) -> list[_Settled]:
    """With all texts written, in one go."""
    texts = [one.text for one in settled if one.text is not None]
    oids = iter(store.write(texts) if texts else ())
    return [one if one.text is None else _Settled(one.kind, Entry(one.mode, next(oids))) for one in settled]


# Where they go

UNTOLD = ("clean", "same")


class _Placing:
    """Finds a place for everything in a tree that has other files already."""

    def __init__(self, others: Mapping[bytes, Entry], store: Store) -> None:
        self.store = store
        self.files = dict(others)
        folders = {path.rpartition(b"/")[0] for path in others}
        self.directories = {folder for deepest in folders for folder in within(deepest)}
        self.changes: dict[bytes, Entry | None] = {}
        self.moved: dict[bytes, bytes] = {}  # with its directory: new path -> old

    def place(self, settled: Mapping[bytes, _Settled]) -> Resolved:
        kinds = {path: one.kind for path, one in settled.items()}
        moving = {path: list(one.variants) for path, one in settled.items()}
        for path, one in settled.items():
            if one.stays:
                self._put(path, one.stays)
        self.directories.update(*(within(path.rpartition(b"/")[0]) for path, going in moving.items() if going))
        made_way: dict[bytes, bytes] = {}
        while path := min(self.files.keys() & self.directories, default=b""):
            known = kinds.get(path, "renamed")
            kinds[path] = "directory" if known in (*UNTOLD, "renamed") else f"{known}/directory"
            if self.files[path].mode == GITLINK:
                kinds[path] = "submodule/directory"
                made_way[path] = self._move_directory(path, moving, kinds)
            else:  # the directory stays
                moving.setdefault(path, []).append(self._version(self.files.pop(path)))
                self.changes[path] = None
        now = {path: path for path in kinds} | {old: new for new, old in self.moved.items() if old in kinds}
        became = {path: [new] if new in self.files else [] for path, new in now.items()}
        for path, directory in made_way.items():
            became[path].append(directory)
        every = [(path, version) for path, versions in moving.items() for version in versions]
        for path, version in sorted(every, key=lambda item: (item[0], item[1].order)):
            became.setdefault(self.moved.get(path, path), []).append(self._put_variant(path, version))
        gone = {path: None for path in settled if path not in self.files}
        commits = {path: one.commits for path, one in settled.items()}
        told = (Resolution(p, kinds[p], tuple(became[p]), commits.get(p, ())) for p in sorted(kinds))
        return Resolved({**gone, **self.changes}, tuple(one for one in told if one.kind not in UNTOLD))

    def _put(self, path: bytes, entry: Entry) -> None:
        self.files[path] = self.changes[path] = entry
        self.directories.update(within(path.rpartition(b"/")[0]))

    def _move_directory(self, path: bytes, moving: dict[bytes, list[Version]], kinds: dict[bytes, str]) -> bytes:
        """Make way for a submodule: all that is or is to be below its path goes into another directory; return it."""
        inside, target = path + b"/", directory_variant(path, self.files)
        for old in sorted(name for name in {*self.files, *moving} if name.startswith(inside)):
            self.moved[new := target + old[len(path) :]] = old
            going = moving.pop(old, [])
            if entry := self.files.pop(old, None):
                self.changes[old] = None
                if new in self.files or new in self.directories:
                    going.append(self._version(entry))
                    kinds.setdefault(old, "directory")
                else:
                    self._put(new, entry)
            if going:
                moving.setdefault(new, []).extend(going)
        self.directories = {name for name in self.directories if name != path and not name.startswith(inside)}
        return target

    def _put_variant(self, path: bytes, version: Version) -> bytes:
        for name in variant_names(path, version):
            if name in self.directories:
                continue
            if name not in self.files:
                self._put(name, moved_entry(version.entry, path, name, self.store))
                return name
            if self._version(self.files[name]).identity == version.identity:
                return name
        raise AssertionError("variant names never end")

    def _version(self, entry: Entry) -> Version:
        return version_of(entry, self.store.read({entry.oid}) if is_blob(entry) else {})


def moved_entry(entry: Entry, old: bytes, new: bytes, store: Store) -> Entry:
    """Return an entry as it must be at another path: the link of an annexed file leads where it led."""
    if entry.mode != SYMLINK:
        return entry
    target = store.read({entry.oid})[entry.oid]
    moved = moved_link(target, old, new) if key_in(target) else target
    return entry if moved == target else Entry(SYMLINK, store.write([moved])[0])


def within(folder: bytes) -> Iterator[bytes]:
    """A directory and those that it is in."""
    while folder:
        yield folder
        folder = folder.rpartition(b"/")[0]
