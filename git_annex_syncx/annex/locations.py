"""The holders and the files of keys, read by git itself from the git-annex branch and from trees.

Everything in one pass, or only what differs between two commits. git-annex's own queries take fifty times as long.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple, TypeVar

from git_annex_syncx.annex.key import LARGEST_POINTER, file_name, is_key, key_named, key_of, named_in
from git_annex_syncx.git import cat_file
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.model import GITLINK, Entry

T = TypeVar("T")
Parsed = TypeVar("Parsed")
Holders = frozenset[str]  # uuids

# `aaa/bbb/KEY.log`, with annex.tune.branchhash1 `aaa/KEY.log`; other logs of a key have longer endings.
LOG = re.compile(rb"[0-9a-f]{3}/(?:[0-9a-f]{3}/)?([^/]+)\.log", re.DOTALL)
METADATA = re.compile(rb"[0-9a-f]{3}/(?:[0-9a-f]{3}/)?([^/]+)\.log\.met", re.DOTALL)
AT_ONCE = 50_000  # blobs in memory


class Name(NamedTuple):
    """An annexed path: its key, and the entry of the tree that names it."""

    key: str
    entry: Entry


def everything(repo: Repository, commit: str) -> Iterator[tuple[str, Holders]]:
    """Each key with a location log in a commit of the git-annex branch, and who holds it."""
    rows = (
        line.split(b"\t", 1)
        for line in git(repo, "ls-tree", "-r", "-z", "--full-tree", commit).out.split(b"\0")
        if line
    )
    logs = ((key_of(log[1]), meta) for meta, path in rows if (log := LOG.fullmatch(path)))
    return _read(repo, ((key, meta.split(b" ")[2].decode()) for key, meta in logs if is_key(key)), _parser())


def changed(repo: Repository, old: str, new: str) -> Iterator[tuple[str, Holders]]:
    """Yield the holders of the keys whose logs differ between two commits; of a log that is gone nobody."""
    logs = ((key_of(log[1]), oid) for path, _, oid in _differing(repo, old, new) if (log := LOG.fullmatch(path)))
    rows = [(key, oid) for key, oid in logs if is_key(key)]
    yield from _read(repo, ((key, oid) for key, oid in rows if oid), _parser())
    yield from ((key, frozenset()) for key, oid in rows if not oid)


def described(repo: Repository, old: str, new: str) -> set[str]:
    """The keys whose metadata differ between two commits."""
    return {key_of(log[1]) for path, _, _ in _differing(repo, old, new) if (log := METADATA.fullmatch(path))}


def of_keys(repo: Repository, commit: str, keys: Iterable[str]) -> Iterator[tuple[str, Holders]]:
    """Yield the holders of some keys; of those without a log nobody."""
    return _of_keys(repo, commit, keys, _parser())


def logs(repo: Repository, commit: str, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Return the location logs of some keys, empty where there is none."""
    return _of_keys(repo, commit, keys, bytes)


def newest_line(log: bytes, uuid: str) -> str:
    """Return the newest line of a repository in a location log, empty where there is none."""
    mine = [line for line in log.split(b"\n") if line.endswith(b" " + os.fsencode(uuid))]
    return max((line.decode("utf-8", "replace") for line in mine), key=_stamp, default="")


def _stamp(line: str) -> float:
    try:
        return float(line.partition(" ")[0].removesuffix("s"))
    except ValueError:
        return float("-inf")


def _of_keys(
    repo: Repository, commit: str, keys: Iterable[str], parse: Callable[[bytes], Parsed]
) -> Iterator[tuple[str, Parsed]]:
    left = list(keys)
    found: dict[str, str] = {}
    for path in (_path, _short_path):
        oids = _oids(repo, commit, [path(key) for key in left])
        found |= {key: oid for key, oid in zip(left, oids, strict=True) if oid}
        left = [key for key, oid in zip(left, oids, strict=True) if not oid]
    yield from _read(repo, found.items(), parse)
    yield from ((key, parse(b"")) for key in left)


def private(repo: Repository, uuid: str) -> Mapping[str, bool]:
    """key -> whether this private repository, of which the branch says nothing, holds it."""
    place, parse, found = repo.common / "annex" / "journal-private", _parser(), {}
    for name in os.listdir(os.fsencode(place)) if place.is_dir() else ():
        path = re.sub(b"__?", lambda match: b"_" if match[0] == b"__" else b"/", name)
        if log := LOG.fullmatch(path):
            found[key_of(log[1])] = uuid in parse((place / os.fsdecode(name)).read_bytes())
    return found


def names(repo: Repository, tree: str) -> Iterator[tuple[bytes, Name]]:
    """Path and name of each annexed file of a tree, locked or unlocked."""
    # Not with a format of our own: git would quote odd names in it, also with -z.
    listed = git(repo, "ls-tree", "-r", "-z", "--long", "--full-tree", tree).out
    rows = (line.split(b"\t", 1) for line in listed.split(b"\0") if line)
    metas = ((path, meta.split()) for meta, path in rows)
    yield from _named(repo, ((p, Entry(int(m[0], 8), m[2].decode())) for p, m in metas if _short(m[3])))


def names_changed(repo: Repository, old: str, new: str) -> dict[bytes, Name | None]:
    """Return the annexed paths that differ between two trees; None where there is no annexed file any more."""
    rows = _differing(repo, old, new)
    found: dict[bytes, Name | None] = {path: None for path, _, _ in rows}
    found.update(named(repo, rows))
    return found


def named(repo: Repository, rows: Iterable[tuple[bytes, int, str]]) -> Iterator[tuple[bytes, Name]]:
    """Path and name of what is annexed among files: path, mode, object id."""
    yield from _named(repo, _only_short(repo, rows))


def _path(key: str) -> bytes:
    digest = hashlib.md5(os.fsencode(key), usedforsecurity=False).hexdigest().encode()
    return digest[:3] + b"/" + digest[3:6] + b"/" + file_name(key) + b".log"


def _short_path(key: str) -> bytes:
    """Return the path of a log with annex.tune.branchhash1."""
    return _path(key)[:4] + file_name(key) + b".log"


def _oids(repo: Repository, commit: str, paths: list[bytes]) -> list[str]:
    """The object id of each path, empty where it is missing."""
    return [
        found.oid if found else "" for found in cat_file.look_up(repo, (commit.encode() + b":" + p for p in paths))
    ]


def _differing(repo: Repository, old: str, new: str) -> list[tuple[bytes, int, str]]:
    """Path, new mode and new object id (empty where it is gone) of what differs between two trees."""
    fields = git(repo, "diff-tree", "-r", "-z", "--no-renames", "--full-index", old, new).out.split(b"\0")
    found = []
    for meta, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, oid, _ = meta.decode().split(" ")
        found.append((path, int(mode, 8), oid if int(mode, 8) else ""))
    return found


def _only_short(repo: Repository, rows: Iterable[tuple[bytes, int, str]]) -> Iterator[tuple[bytes, Entry]]:
    rows = [row for row in rows if row[2] and row[1] != GITLINK]
    found = cat_file.look_up(repo, (oid for _, _, oid in rows))
    short = (row for row, one in zip(rows, found, strict=True) if one and one.size <= LARGEST_POINTER)
    return ((path, Entry(mode, oid)) for path, mode, oid in short)


def _short(size: bytes) -> bool:
    return size.isdigit() and int(size) <= LARGEST_POINTER


def _named(repo: Repository, rows: Iterable[tuple[bytes, Entry]]) -> Iterator[tuple[bytes, Name]]:
    for (path, entry), blob in _read(repo, (((path, entry), entry.oid) for path, entry in rows), bytes):
        if name := named_in(blob):
            yield path, Name(key_named(name), entry)


def _read(
    repo: Repository, named: Iterable[tuple[T, str]], parse: Callable[[bytes], Parsed]
) -> Iterator[tuple[T, Parsed]]:
    """Yield what stands in blobs, many read in one call but not all at once."""
    rest = iter(named)
    while pairs := list(islice(rest, AT_ONCE)):
        blobs = cat_file.read(repo, (oid for _, oid in pairs))
        yield from ((name, parse(blob)) for (name, _), blob in zip(pairs, blobs, strict=True))


def _parser() -> Callable[[bytes], Holders]:
    """Reads a location log: lines `TIMEs 1|0|X UUID`, the newest of each uuid holds, at equal times the first."""
    same: dict[Holders, Holders] = {}
    uuids: dict[bytes, str] = {}

    def parse(log: bytes) -> Holders:
        newest: dict[bytes, tuple[float, bytes]] = {}
        for line in log.split(b"\n"):
            words = line.split(b" ")
            if len(words) != 3:
                continue
            stamp, status, uuid = words
            try:
                when = float(stamp[:-1] if stamp.endswith(b"s") else stamp)
            except ValueError:
                continue
            known = newest.get(uuid)
            if known is None or when > known[0]:
                newest[uuid] = when, status
        for uuid in newest:
            if uuid not in uuids:
                uuids[uuid] = os.fsdecode(uuid)
        found = frozenset([uuids[uuid] for uuid, (_, status) in newest.items() if status == b"1"])
        return same.setdefault(found, found)

    return parse
