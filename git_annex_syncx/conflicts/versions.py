"""Versions at paths of trees: text, binary, symlink, submodule, or an annexed file and its key. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from git_annex_syncx.annex.key import OBJECTS, key_of, named_in
from git_annex_syncx.model import EXECUTABLE, GITLINK, REGULAR, SYMLINK, Entry

CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r")) + b"\x7f"  # no text holds them
SEALED = (  # how encrypted or signed texts begin: with another line in it each of them is worth nothing
    b"-----BEGIN ",
    b"age-encryption.org/",
    b"$ANSIBLE_VAULT;",
    b"version https://git-lfs.github.com/spec/",
)


class Kind(StrEnum):
    """The kinds of versions, each treated in its own way."""

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
        """Return what must not be lost: the key of an annexed version, else the object."""
        return identity(self.entry, self.key)

    @property
    def order(self) -> tuple[bytes, int, str]:
        """Sorts versions in the same way for everyone."""
        return self.key or self.entry.oid.encode(), self.entry.mode, self.entry.oid


def version_of(entry: Entry, contents: Mapping[str, bytes]) -> Version:
    """The version that an entry is; `contents` holds its blob (a submodule has none)."""
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
    """The key of an annexed version, else what kind of object it is and which."""
    return key or f"{entry.mode & 0o170000:o} {entry.oid}".encode()


def key_in(blob: bytes) -> bytes:
    """The key that a locked file's link or an unlocked file's pointer names, empty for other blobs.

    One that names a second key too (lines of two pointers, united) is none here: git-annex reads the first alone.
    """
    return b"" if OBJECTS in blob.partition(b"\n")[2] else named_in(blob)


def pointer_to(key: bytes) -> bytes:
    """The pointer of an unlocked file."""
    return OBJECTS + key + b"\n"


def is_text(content: bytes) -> bool:
    """Return whether lines of it can be merged: no control bytes, nothing encrypted or signed."""
    return len(content.translate(None, CONTROLS)) == len(content) and not content.startswith(SEALED)


def serialized(key: bytes) -> bytes:
    """A key as git-annex writes it outside of file names."""
    return os.fsencode(key_of(key))


def is_file(entry: Entry | None) -> bool:
    """Return whether it is a regular file, executable or not."""
    return entry is not None and entry.mode in (REGULAR, EXECUTABLE)


def is_blob(entry: Entry | None) -> bool:
    """Return whether it is a file or a symlink: all but a submodule."""
    return is_file(entry) or (entry is not None and entry.mode == SYMLINK)
