"""What lies at a path of a tree: text, binary, symlink, submodule, or an annexed file and its key. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from git_annex_syncx.gateway.key import OBJECTS, key_of, named_in
from git_annex_syncx.model import EXECUTABLE, GITLINK, REGULAR, SYMLINK, Entry


class Kind(StrEnum):
    """How a version is treated."""

    TEXT = "text"
    BINARY = "binary"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"
    LOCKED = "locked"  # annexed, a symlink
    UNLOCKED = "unlocked"  # annexed, a pointer


@dataclass(frozen=True)
class Version:
    """An entry of a tree with its kind; for an annexed one the key as it is written in a file name."""

    entry: Entry
    kind: Kind
    key: bytes = b""

    @property
    def identity(self) -> bytes:
        """What must not be lost: the key of an annexed version, else the object."""
        return self.key or f"{self.entry.mode & 0o170000:o} {self.entry.oid}".encode()

    @property
    def order(self) -> tuple[bytes, int, str]:
        """Sorts versions in the same way for everyone."""
        return self.key or self.entry.oid.encode(), self.entry.mode, self.entry.oid


def version_of(entry: Entry, contents: Mapping[str, bytes]) -> Version:
    """The version that an entry is; `contents` holds its blob (a submodule has none)."""
    if entry.mode == GITLINK:
        return Version(entry, Kind.SUBMODULE)
    content = contents[entry.oid]
    if entry.mode == SYMLINK:
        key = key_of_link(content)
        return Version(entry, Kind.LOCKED if key else Kind.SYMLINK, key)
    if key := key_of_pointer(content):
        return Version(entry, Kind.UNLOCKED, key)
    return Version(entry, Kind.BINARY if b"\0" in content else Kind.TEXT)


def key_of_link(target: bytes) -> bytes:
    """The key that a locked file's symlink names, empty for other symlinks."""
    return named_in(target)


def key_of_pointer(content: bytes) -> bytes:
    """The key that an unlocked file's pointer names, empty for other files.

    One that names a second key too (lines of two pointers, united) is a text here: git-annex reads the first alone.
    """
    return b"" if OBJECTS in content.partition(b"\n")[2] else named_in(content)


def serialized(key: bytes) -> bytes:
    """A key as git-annex writes it outside of file names."""
    return os.fsencode(key_of(key))


def is_file(entry: Entry | None) -> bool:
    """Whether it is a regular file, executable or not."""
    return entry is not None and entry.mode in (REGULAR, EXECUTABLE)
