"""The holders and the files of keys, read by git itself from the git-annex branch and from trees.

Everything in one pass, or only what differs between two commits. git-annex's own queries take fifty times as long.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from git_annex_syncx.annex.key import LARGEST_POINTER, file_name, key_in, key_logged, key_of
from git_annex_syncx.annex.location_log import (
    EVERYBODY,
    Counting,
    Located,
    Record,
    newest_line,
    newest_records,
    parser,
)
from git_annex_syncx.git import cat_file, objects, output
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import GITLINK, Entry

T = TypeVar("T")

# `aaa/bbb/KEY.log`, with annex.tune.branchhash1 `aaa/KEY.log`; other logs of a key have longer endings.
LOG_PATH = rb"[0-9a-f]{3}/(?:[0-9a-f]{3}/)?([^/\0]+)\.log"
LOG = re.compile(LOG_PATH)
LISTED_LOG = re.compile(rb"(?<![^\0])[0-7]+ blob ([0-9a-f]+)\t" + LOG_PATH + rb"\0")
LISTED_FILE = re.compile(rb"(?<![^\0])([0-7]+) blob ([0-9a-f]+) +([0-9]+)\t([^\0]+)\0")
METADATA = re.compile(rb"[0-9a-f]{3}/(?:[0-9a-f]{3}/)?([^/]+)\.log\.met", re.DOTALL)
MANY = 1000  # keys; beyond that all logs are listed


class Name(NamedTuple):
    """An annexed path: its key, and the entry of the tree that names it."""

    key: str
    entry: Entry


def everything(repo: Repository, commit: str, counting: Counting) -> Iterator[tuple[str, Located]]:
    """Yield each key with a location log in a commit of the git-annex branch or a private one, and who holds it."""
    seen = dict.fromkeys(counting.private, b"")
    for key, located in _located(cat_file.each(repo, _logs(repo, commit)), counting):
        if seen:
            seen.pop(key, None)
        yield key, located
    yield from _located(seen.items(), counting)


def changed(repo: Repository, old: str, new: str, counting: Counting) -> Iterator[tuple[str, Located]]:
    """Yield the holders of the keys whose logs differ between two commits; of a log that is gone nobody."""
    logs = ((key_logged(log[1]), oid) for path, _, oid in _differing(repo, old, new) if (log := LOG.fullmatch(path)))
    rows = [(key, oid) for key, oid in logs if key]
    yield from _located(cat_file.each(repo, ((key, oid.encode()) for key, oid in rows if oid)), counting)
    yield from _located(((key, b"") for key, oid in rows if not oid), counting)


def described(repo: Repository, old: str, new: str) -> set[str]:
    """Return the keys whose metadata differ between two commits."""
    return {key_of(log[1]) for path, _, _ in _differing(repo, old, new) if (log := METADATA.fullmatch(path))}


def of_keys(
    repo: Repository, commit: str, keys: Iterable[str], counting: Counting = EVERYBODY
) -> Iterator[tuple[str, Located]]:
    """Yield the holders of some keys; of those without a log nobody."""
    return _located(_of_keys(repo, commit, keys), counting)


def newest_lines(repo: Repository, commit: str, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the newest line of each repository in the location log of a key, empty where there is none.

    Pairs are a key and a uuid.
    """
    pairs = list(pairs)
    logs = dict(_of_keys(repo, commit, {key for key, _ in pairs}))
    return {(key, uuid): newest_line(logs[key], uuid).decode("utf-8", "replace") for key, uuid in pairs}


def records(repo: Repository, commit: str, key: str, private_line: bytes = b"") -> dict[str, Record]:
    """Return uuid -> what the location log of a key says of it last, of those too that do not count."""
    return newest_records(b"\n".join((*dict(_of_keys(repo, commit, [key])).values(), private_line)))


def private(repo: Repository, uuid: str) -> Mapping[str, bytes]:
    """Return key -> the line of this private repository, of which the branch says nothing."""
    place, found = repo.common / "annex" / "journal-private", {}
    for name in os.listdir(os.fsencode(place)) if place.is_dir() else ():
        path = re.sub(b"__?", lambda match: b"_" if match[0] == b"__" else b"/", name)
        if log := LOG.fullmatch(path):
            found[key_of(log[1])] = newest_line((place / os.fsdecode(name)).read_bytes(), uuid)
    return {key: line for key, line in found.items() if line}


def names(repo: Repository, tree: str) -> Iterator[tuple[bytes, Name]]:
    """Return path and name of each annexed file of a tree, locked or unlocked."""
    found = _listed(repo, LISTED_FILE, "--long", tree)
    modes = functools.cache(lambda mode: int(mode, 8))
    short = ((path, modes(mode), oid) for mode, oid, size, path in found if int(size) <= LARGEST_POINTER)
    return _named(repo, ((path, Entry(mode, oid.decode())) for path, mode, oid in short))


def names_changed(repo: Repository, old: str, new: str) -> dict[bytes, Name | None]:
    """Return the annexed paths that differ between two trees; None where there is no annexed file any more."""
    rows = _differing(repo, old, new)
    found: dict[bytes, Name | None] = {path: None for path, _, _ in rows}
    found.update(named(repo, rows))
    return found


def named(repo: Repository, rows: Iterable[tuple[bytes, int, str]]) -> Iterator[tuple[bytes, Name]]:
    """Return path and name of what is annexed among files: path, mode, object id."""
    rows = [row for row in rows if row[2] and row[1] != GITLINK]
    found = cat_file.look_up(repo, (oid for _, _, oid in rows))
    short = (row for row, one in zip(rows, found, strict=True) if one and one.size <= LARGEST_POINTER)
    return _named(repo, ((path, Entry(mode, oid)) for path, mode, oid in short))


def _named(repo: Repository, rows: Iterable[tuple[bytes, Entry]]) -> Iterator[tuple[bytes, Name]]:
    for row, blob in cat_file.each(repo, ((row, row[1].oid.encode()) for row in rows)):
        if key := key_in(blob):
            yield row[0], Name(key, row[1])


def _differing(repo: Repository, old: str, new: str) -> list[tuple[bytes, int, str]]:
    """Return path, new mode and new object id (empty where it is gone) of what differs between two trees."""
    changed = objects.diff(repo, old, new).values()
    return [(c.path, c.new.mode, c.new.oid) if c.new else (c.path, 0, "") for c in changed]


def _logs(repo: Repository, commit: str) -> Iterator[tuple[str, bytes]]:
    """Yield each key with a location log, and the object id of the log."""
    logs = ((key_logged(name), oid) for oid, name in _listed(repo, LISTED_LOG, commit))
    return ((key, oid) for key, oid in logs if key)


def _listed(repo: Repository, pattern: re.Pattern[bytes], *words: str) -> Iterator[tuple[bytes, ...]]:
    """Yield the groups of a pattern in what stands in a tree, at any depth."""
    # Not with a format of our own: git would quote odd names in it, also with -z.
    with output.reading(repo, "ls-tree", "-r", "-z", "--full-tree", *words) as listed:
        for some in output.records(listed):
            yield from pattern.findall(some)


def _of_keys(repo: Repository, commit: str, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the location logs of keys, empty where there is none."""
    left = list(keys)
    if len(left) > MANY:  # git reads a tree of 100 kB for each path that it looks up
        wanted = dict.fromkeys(left, b"")
        for key, log in cat_file.each(repo, ((key, oid) for key, oid in _logs(repo, commit) if key in wanted)):
            wanted[key] = log
        yield from wanted.items()
        return
    found: dict[str, str] = {}
    for short in (False, True):
        logs = cat_file.look_up(repo, (commit.encode() + b":" + _path(key, short) for key in left))
        found |= {key: log.oid for key, log in zip(left, logs, strict=True) if log}
        left = [key for key in left if key not in found]
    yield from cat_file.each(repo, ((key, oid.encode()) for key, oid in found.items()))
    yield from ((key, b"") for key in left)


def _path(key: str, short: bool) -> bytes:
    """Return the path of a key's location log; a short one with annex.tune.branchhash1."""
    digest = hashlib.md5(os.fsencode(key), usedforsecurity=False).hexdigest().encode()
    return b"/".join((digest[:3], *([] if short else [digest[3:6]]), file_name(key) + b".log"))


def _located(logs: Iterable[tuple[str, bytes]], counting: Counting) -> Iterator[tuple[str, Located]]:
    parse, private = parser(counting.alive, counting.clusters, counting.newest), counting.private
    if not private:
        return ((key, parse(log)) for key, log in logs)
    return ((key, parse(log + b"\n" + private[key] if key in private else log)) for key, log in logs)
