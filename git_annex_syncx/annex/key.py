"""git-annex's keys, their names in files, and the links and pointers that hold them: the one parser. Pure.

As git-annex reads them (https://git-annex.branchable.com/internals/key_format/ and pointer_file/), and no other way:
where two readers differ, content is left unsent or a version uncounted.
"""

from __future__ import annotations

import os
import re

# A newline or NUL is allowed there too, but no key with one can be told to a batch process.
KEY = re.compile(rb"([^-\n\0]+)((?:-s\d+)?(?:-m\d+)?(?:-S\d+)?(?:-C\d+)?)--([^\n\0]*)")
# What most keys are, and links to them: names of files too, with nothing escaped in them.
USUAL = rb"[A-Z0-9]{1,16}-s[1-9][0-9]*--[0-9a-f]{32,128}(?:\.[a-z0-9]{1,8}){0,2}"
USUAL_KEY = re.compile(USUAL)
USUAL_LINK = re.compile(rb"(?:\.\./)*\.git/annex/objects/[^\n\0/]+/[^\n\0/]+/[^\n\0/]+/(" + USUAL + rb")")
SIZE = re.compile(r"[^-]+-s([0-9]+)-")
ZEROS = re.compile(r"(-[smSC])0+(?=[0-9])")
LONGEST_EXTENSION = 64  # bytes with the dot, of keys whose backend ends with E
OBJECTS = b"/annex/objects/"
MORE = b"/annex/"  # each further line of a pointer holds this
LARGEST_POINTER = 32 * 1024  # bytes
ESCAPED = {b"a": b"&", b"s": b"%", b"c": b":"}


def is_key(text: str) -> bool:
    """Return whether git-annex takes it for a key; a batch process that is told anything else ends."""
    return _parsed(os.fsencode(text)) is not None


def key_logged(name: bytes) -> str:
    """Return the key that a log of the branch is named for, empty where git-annex takes the name for none."""
    if USUAL_KEY.fullmatch(name):
        return name.decode()
    return os.fsdecode(raw) if _parsed(raw := _unescaped(name)) else ""


def key_size(key: str) -> int:
    """Return the size in bytes that stands in a key, 0 where none does."""
    found = SIZE.match(key)
    return int(found[1]) if found else 0


def key_of(name: bytes) -> str:
    """Return the key that a file of the branch or of the objects directory is named for."""
    return os.fsdecode(_unescaped(name))


def file_name(key: str) -> bytes:
    """Return the name of a key's files, the inverse of key_of()."""
    name = os.fsencode(key).replace(b"&", b"&a").replace(b"%", b"&s")
    return name.replace(b":", b"&c").replace(b"/", b"%")


def named_in(blob: bytes) -> bytes:
    """Return the file name of the key that a link's target or a pointer file holds; empty for anything else.

    git-annex reads both alike. The first line may lack its newline, each further one may not.
    """
    first, newline, rest = blob.partition(b"\n")
    if len(blob) > LARGEST_POINTER or OBJECTS not in first:
        return b""
    name = first.removesuffix(b"\r").rpartition(b"/")[2]
    if newline and rest:
        *more, last = rest.split(b"\n")
        if last or not all(MORE in line for line in more):
            return b""
    return name if _parsed(_unescaped(name)) else b""


def key_in(blob: bytes) -> str:
    """Return the key that a link's target or a pointer file means, empty for anything else."""
    if usual := USUAL_LINK.fullmatch(blob):
        return usual[1].decode()
    name = named_in(blob)
    return key_named(name) if name else ""


def key_named(name: bytes) -> str:
    """Return the key that a name found by named_in() means: zeros before its numbers count for nothing."""
    key = key_of(name)
    if not ZEROS.search(key):
        return key
    backend, dashes, rest = key.partition("--")
    return ZEROS.sub(r"\1", backend) + dashes + rest


def _unescaped(name: bytes) -> bytes:
    if b"%" not in name and b"&" not in name:
        return name
    return re.sub(rb"&(.?)", lambda found: ESCAPED.get(found[1], found[1]), name.replace(b"%", b"/"))


def _parsed(key: bytes) -> re.Match[bytes] | None:
    found = KEY.fullmatch(key)
    if found and found[1].endswith(b"E") and len(found[3]) - len(found[3].partition(b".")[0]) > LONGEST_EXTENSION:
        return None
    return found
