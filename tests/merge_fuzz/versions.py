"""What lies at a path, told anew and simply: keys, texts, binaries, attributes, names of variants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate

from git_annex_syncx.model import EXECUTABLE, GITLINK, REGULAR, SYMLINK, Entry

from .store import Store

Version = tuple[str, str]  # ("key", KEY), ("file", blob) or ("link", blob)
OBJECTS = b".git/annex/objects/"
POINTER = re.compile(rb"/annex/objects/([^\n/]+)\n?")
MARKER = b".variant-"
CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
SECRET = (b"-----BEGIN PGP", b"age-encryption.org/", b"-----BEGIN AGE")
LFS = b"version https://git-lfs.github.com/spec/"
PROSE = {b"txt", b"md", b"rst", b"org", b"tex", b"csv", b"tsv", b"log"}


def link_target(path: bytes, key: str) -> bytes:
    """The target of a locked file's link at a path."""
    return b"../" * path.count(b"/") + OBJECTS + b"Xx/Yy/" + f"{key}/{key}".encode()


def pointer(key: str) -> bytes:
    """What an unlocked file holds in git."""
    return f"/annex/objects/{key}\n".encode()


def key_in(store: Store, entry: Entry) -> str:
    """The key of an annexed file, empty for others."""
    if entry.mode == GITLINK:
        return ""
    content = store.content(entry.oid)
    if entry.mode == SYMLINK:
        return content.rpartition(b"/")[2].decode() if OBJECTS in content else ""
    found = POINTER.fullmatch(content)
    return found[1].decode() if found else ""


def version(store: Store, entry: Entry) -> Version | None:
    """What must not be lost, None for a submodule."""
    if entry.mode == GITLINK:
        return None
    if key := key_in(store, entry):
        return "key", key
    return "link" if entry.mode == SYMLINK else "file", entry.oid


def is_file(entry: Entry | None) -> bool:
    """Whether it is a regular file."""
    return entry is not None and entry.mode in (REGULAR, EXECUTABLE)


def is_text(store: Store, entry: Entry | None) -> bool:
    """Whether it is a file with lines, and not annexed."""
    if entry is None or not is_file(entry) or key_in(store, entry):
        return False
    return not is_binary(store.content(entry.oid))


def is_binary(content: bytes) -> bool:
    """Whether its lines mean nothing."""
    return bool(CONTROL.search(content)) or content.startswith(SECRET)


def lines(content: bytes) -> frozenset[bytes]:
    """The lines of a text; the missing newline at its end is none, and line ends make no difference."""
    if not content:
        return frozenset()
    return frozenset(line.removesuffix(b"\r") for line in content.removesuffix(b"\n").split(b"\n"))


def family(path: bytes) -> bytes:
    """The name that a path is a variant of; other paths stand for themselves."""
    folder, slash, name = path.rpartition(b"/")
    if MARKER not in name:
        return path
    stem, _, tag = name.partition(MARKER)
    return folder + slash + stem + (b"." + tag.rpartition(b".")[2] if b"." in tag else b"")


def is_prose(path: bytes) -> bool:
    """Whether lines of two versions may stand together, as far as the name tells."""
    name = family(path).rpartition(b"/")[2]
    stem, dot, suffix = name.rpartition(b".")
    return not dot or not stem or suffix.lower() in PROSE or name.endswith(b"ignore")


def attributes(store: Store, files: Mapping[bytes, Entry], path: bytes) -> dict[str, str]:
    """The attributes of a path as a tree's own files give them."""
    found: dict[str, str] = {}
    folder = b""
    for part in [b"", *path.split(b"/")[:-1]]:
        folder += part + b"/" if part else b""
        source = files.get(folder + b".gitattributes")
        if source is not None and is_file(source):
            for line in store.content(source.oid).splitlines():
                found |= _of_line(line.decode("latin-1"), path.removeprefix(folder).decode("latin-1"))
    return found


def _of_line(line: str, path: str) -> dict[str, str]:
    words = line.split()
    if not words or words[0].startswith("#") or not _matches(words[0], path):
        return {}
    found: dict[str, str] = {}
    for word in words[1:]:
        name, equals, value = word.lstrip("-!").partition("=")
        if word == "binary":
            found["merge"] = "unset"
        else:
            found[name] = value if equals else "unset" if word[0] == "-" else "" if word[0] == "!" else "set"
    return found


def _matches(pattern: str, path: str) -> bool:
    if "/" in pattern:
        parts, names = pattern.lstrip("/").split("/"), path.split("/")
        return len(parts) == len(names) and all(re.match(translate(p), n) for p, n in zip(parts, names, strict=True))
    return bool(re.match(translate(pattern), path.rpartition("/")[2]))


def kept_apart(has: Mapping[str, str]) -> bool:
    """Whether attributes say that lines must not be merged."""
    return has.get("merge") in ("unset", "binary") or has.get("syncx") == "variants" or has.get("filter") == "lfs"
