"""Names for variants: `name.variant-XXXX.ext`, for annexed files the names that git-annex itself gives. Pure."""

from __future__ import annotations

import hashlib
import itertools
import posixpath
from collections.abc import Container, Iterator

from git_annex_syncx.conflicts.versions import MARKER, Kind, Version, serialized

LONGEST = 255  # bytes in a component of a path
LONGEST_TAG = 180  # a longer key is named by its digest
LONGEST_EXTENSION = 60


def variant_names(path: bytes, version: Version) -> Iterator[bytes]:
    """Yield names for a version that cannot stay at its path, the wanted one first, without end."""
    directory, stem, extension = _parts(path, version)
    whole = version.key or version.entry.oid.encode()
    short = hashlib.md5(serialized(version.key) if version.key else whole, usedforsecurity=False).hexdigest()[:4]
    if len(whole) > LONGEST_TAG:
        whole = hashlib.sha256(whole).hexdigest().encode()
    # The same object can be there as another kind of file, or a directory of that name.
    numbered = (b"%s-%d" % (whole, count) for count in itertools.count(1))
    for tag in itertools.chain((short.encode(), whole), numbered):
        yield directory + _fitted(stem, tag, extension)


def directory_variant(path: bytes, files: Container[bytes]) -> bytes:
    """Return a name for a directory that cannot stay at its path, none of `files`.

    It depends on the path alone, not on what the directory holds: else each merge would make another one.
    """
    tag = hashlib.md5(path, usedforsecurity=False).hexdigest()[:4].encode()
    directory, slash, name = path.rpartition(b"/")
    tags = itertools.chain([tag], (b"%s-%d" % (tag, count) for count in itertools.count(1)))
    names = (directory + slash + _fitted(name.partition(MARKER)[0], tag, b"") for tag in tags)
    return next(name for name in names if name not in files)


def marked_name(path: bytes, mark: str) -> bytes:
    """Return `name-MARK.ext` for a path, cut where it would be too long for a file system."""
    directory, slash, name = path.rpartition(b"/")
    stem, extension = posixpath.splitext(name)
    tail = b"-" + mark.encode() + _cut(extension, LONGEST_EXTENSION)
    return directory + slash + _cut(stem, LONGEST - len(tail)) + tail


def _parts(path: bytes, version: Version) -> tuple[bytes, bytes, bytes]:
    """Return what stands before the stem, the stem, the extension with its dot."""
    directory, slash, name = path.rpartition(b"/")
    plain = name.partition(MARKER)[0] if MARKER in name else None
    stem, dot, ending = name.rpartition(b".")
    extension = b"" if not dot or (plain is not None and len(stem) <= len(plain)) else dot + ending
    if plain is not None:
        return directory + slash, plain, extension
    if stem:
        return directory + slash, stem, extension
    if version.kind in (Kind.LOCKED, Kind.UNLOCKED) and dot:
        # What git-annex makes of .name and d/.name is ..variant-XXXX.name and d.variant-XXXX.name.
        above, slash, last = directory.rpartition(b"/")
        return above + slash, last or b".", extension
    return directory + slash, name, b""


def _fitted(stem: bytes, tag: bytes, extension: bytes) -> bytes:
    """Return the name, the stem cut where it would be too long for a file system, never within a UTF-8 character."""
    if len(stem + MARKER + tag + extension) > LONGEST:
        extension = _cut(extension, LONGEST_EXTENSION)
        stem = _cut(stem, LONGEST - len(MARKER + tag + extension))
    return stem + MARKER + tag + extension


def _cut(name: bytes, size: int) -> bytes:
    size = max(size, 0)
    while 0 < size < len(name) and name[size] & 0xC0 == 0x80:
        size -= 1
    return name[:size]
