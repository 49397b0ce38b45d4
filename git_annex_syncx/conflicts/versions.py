"""Versions at paths of trees, the lines of those that are texts, and how two texts may share a file. Pure.

A version is an annexed file's key, or a text, a binary, a symlink or a submodule's commit.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from git_annex_syncx.annex.key import OBJECTS, key_of, named_in
from git_annex_syncx.model import EXECUTABLE, GITLINK, REGULAR, SYMLINK, Entry

FILES = (REGULAR, EXECUTABLE)  # modes
CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r")) + b"\x7f"  # no text holds them
SEALED = (  # how encrypted or signed texts begin: with another line in it each of them is worth nothing
    b"-----BEGIN ",
    b"age-encryption.org/",
    b"$ANSIBLE_VAULT;",
    b"version https://git-lfs.github.com/spec/",
)
MARKER = b".variant-"  # in the name of a variant
PROSE = frozenset((b"", *(b"." + end for end in b"txt md rst org tex csv tsv log".split())))

REMEMBERED = 16 * 1024  # bytes of a text whose lines are kept in memory

Read = Callable[[Iterable[str]], Mapping[str, bytes]]
Diff = Mapping[bytes, tuple[Entry | None, Entry | None]]


class Store(Protocol):
    """A store of blobs."""

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the contents of blobs."""

    def write(self, contents: Sequence[bytes]) -> Sequence[str]:
        """Store blobs; return their ids."""


class Trees(Protocol):
    """The reading of trees and their blobs."""

    def diff(self, old: str, new: str) -> Diff:
        """Return path -> (entry in `old`, entry in `new`) for all paths that differ."""

    def entries(self, tree: str) -> Mapping[bytes, Entry]:
        """Return all paths of a tree with their entries."""

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the contents of blobs."""

    def keys(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the keys that blobs name, empty for those that name none."""


class Kind(StrEnum):
    """The kinds of versions, each merged in its own way."""

    TEXT = "text"
    BINARY = "binary"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"
    LOCKED = "locked"  # annexed, a symlink
    UNLOCKED = "unlocked"  # annexed, a pointer


class Lines(StrEnum):
    """The ways in which two texts are merged."""

    UNION = "union"  # one file holds the lines of both: a line too many in prose or a list is seen and mended
    CLEAN = "clean"  # only where the changes do not touch: a union that does not parse helps nobody
    APART = "apart"  # never: both versions stay


@dataclass(frozen=True)
class Version:
    """An entry of a tree with its kind; for an annexed one the key as it is written in a file name."""

    entry: Entry
    kind: Kind
    key: bytes = b""

    @property
    def identity(self) -> bytes:
        """Return what must not be lost: the key of an annexed version, else the object."""
        return identity(self.entry, self.key)

    @property
    def order(self) -> tuple[bytes, int, str]:
        """Return what sorts versions alike on every node."""
        return self.key or self.entry.oid.encode(), self.entry.mode, self.entry.oid


@dataclass(frozen=True)
class Conflict:
    """A path with two versions (None: absent) and their common base."""

    path: bytes
    base: Entry | None
    one: Entry | None
    two: Entry | None


def version_of(entry: Entry, contents: Mapping[str, bytes]) -> Version:
    """Return the version that an entry is; `contents` holds its blob (a submodule has none)."""
    if entry.mode == GITLINK:
        return Version(entry, Kind.SUBMODULE)
    content = contents[entry.oid]
    key = key_in(content)
    if entry.mode == SYMLINK:
        return Version(entry, Kind.LOCKED if key else Kind.SYMLINK, key)
    if key:
        return Version(entry, Kind.UNLOCKED, key)
    return Version(entry, Kind.TEXT if is_text(content) else Kind.BINARY)


def identity(entry: Entry, key: bytes) -> bytes:
    """Return the key of an annexed version, else the type and id of its object."""
    return key or f"{entry.mode & 0o170000:o} {entry.oid}".encode()


def key_in(blob: bytes) -> bytes:
    """Return the key that a locked file's link or an unlocked file's pointer names, empty for other blobs.

    A blob that names a second key too (lines of two pointers, united) has none here: git-annex reads only the first.
    """
    first, _, rest = blob.partition(b"\n")
    return named_in(blob) if OBJECTS in first and OBJECTS not in rest else b""


def pointer_to(key: bytes) -> bytes:
    """Return the pointer of an unlocked file."""
    return OBJECTS + key + b"\n"


def serialized(key: bytes) -> bytes:
    """Return a key as git-annex writes it outside of file names."""
    return os.fsencode(key_of(key))


def is_text(content: bytes) -> bool:
    """Return whether lines of it can be merged: no control bytes, nothing encrypted or signed."""
    return len(content.translate(None, CONTROLS)) == len(content) and not content.startswith(SEALED)


def is_file(entry: Entry | None) -> bool:
    """Return whether it is a regular file, executable or not."""
    return entry is not None and entry.mode in FILES


def is_blob(entry: Entry | None) -> bool:
    """Return whether it is a file or a symlink: all but a submodule."""
    return entry is not None and entry.mode in (*FILES, SYMLINK)


def is_variant(path: bytes) -> bool:
    """Return whether a path has the name of a variant."""
    return MARKER in posixpath.basename(path)


def family(path: bytes) -> tuple[bytes, bytes]:
    """Return what a name and its variants share: the directory, and the name without the mark of a variant."""
    directory, _, name = path.rpartition(b"/")
    plain, marker, rest = name.partition(MARKER)
    return directory, plain + (posixpath.splitext(rest)[1] if marker else b"")


def lines_of_path(path: bytes, attributes: Iterable[Mapping[str, str]]) -> Lines:
    """Return how texts at a path are merged; `attributes` are those that each side's tree gives it."""
    given = [*attributes]
    if any(
        has.get("syncx") == "variants" or has.get("merge") in ("unset", "binary") or has.get("filter") == "lfs"
        for has in given
    ):
        return Lines.APART
    united = any("union" in (has.get("syncx"), has.get("merge")) for has in given)
    return Lines.UNION if united or _is_prose(path) else Lines.CLEAN


def _is_prose(path: bytes) -> bool:
    """Return whether a path has the name of prose or of a list: by its suffix, or without one, as .gitignore is."""
    name = posixpath.basename(path).partition(MARKER)
    return posixpath.splitext(name[0] + posixpath.splitext(name[2])[1])[1].lower() in PROSE


def lines_in(content: bytes) -> frozenset[bytes]:
    """Return the lines of a text; line ends make no difference."""
    lines = content.removesuffix(b"\n").split(b"\n") if content else ()
    return frozenset(line.removesuffix(b"\r") for line in lines)


class Texts:
    """The lines of the files that are texts; `read` gives contents of blobs."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[str, frozenset[bytes] | None] = {}

    def lines(self, entry: Entry | None) -> frozenset[bytes] | None:
        """Return the lines of a text, None for all that is none."""
        if entry is None or entry.mode not in FILES:
            return None
        if entry.oid in self._known:
            return self._known[entry.oid]
        content = self._read([entry.oid])[entry.oid]
        lines = lines_in(content) if is_text(content) else None
        if lines is None or len(content) <= REMEMBERED:
            self._known[entry.oid] = lines
        return lines

    def all_lines(self, entries: Iterable[Entry]) -> set[bytes]:
        """Return the lines of all that are texts."""
        return set().union(*(lines for entry in entries if (lines := self.lines(entry))))


class Holders:
    """An index of files by their lines: files are found by their rarest line, not by looking into each.

    Of each line only its hash is kept, which tells where to look.
    """

    def __init__(self, texts: Texts, files: Iterable[Entry]) -> None:
        self._texts = texts
        self._files = [file for file in dict.fromkeys(files) if texts.lines(file) is not None]
        self._having: dict[int, list[int]] = {}
        for number, file in enumerate(self._files):
            for line in texts.lines(file) or ():
                self._having.setdefault(hash(line), []).append(number)

    def hold(self, lines: Iterable[bytes]) -> bool:
        """Return whether one file holds all of the lines."""
        wanted = frozenset(lines)
        if not wanted:
            return bool(self._files)
        likely = min((self._having.get(hash(line), []) for line in wanted), key=len)
        return any(wanted <= (self._texts.lines(self._files[number]) or frozenset()) for number in likely)
