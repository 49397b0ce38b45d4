"""A database of what the last look at the git-annex branch and the tree found: the next one reads only what changed.

All in it can be found again, so it may be deleted at any time, unlike the state.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from git_annex_syncx.annex.locations import Name
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.model import Entry, Need
from git_annex_syncx.system import locks
from git_annex_syncx.system.database import Database

log = logging.getLogger(__name__)

FORMAT = 6
REFUSED_FOR = 6 * 3600.0  # seconds; a copy that could not be verified may be there again then
AT_ONCE = 500  # values in one question
NAMES = "path BLOB PRIMARY KEY, key BLOB NOT NULL, mode INTEGER NOT NULL, oid BLOB NOT NULL"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS cursor (
    annex TEXT NOT NULL, tree TEXT NOT NULL, world TEXT NOT NULL, rooms TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS names (
    {NAMES}) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS names_of_key ON names (key);
CREATE TABLE IF NOT EXISTS sets (id INTEGER PRIMARY KEY, uuids TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS needs (
    key BLOB PRIMARY KEY, holders INTEGER NOT NULL, targets INTEGER NOT NULL, unwanted INTEGER NOT NULL,
    first INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS newest (uuid BLOB PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS drops (
    key BLOB, uuid TEXT, holders TEXT, times INTEGER NOT NULL, wanted INTEGER NOT NULL,
    PRIMARY KEY (key, uuid, holders));
CREATE TABLE IF NOT EXISTS refusals (
    key BLOB, uuid TEXT, holders TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (key, uuid));
"""


UNSEEN = 10  # drops of which nobody saw why the content came again that count as one that was wanted
COUNT = f"""
INSERT INTO drops VALUES (?, ?, ?, 1, 0)
ON CONFLICT DO UPDATE SET times = times + CASE WHEN wanted THEN {UNSEEN} ELSE 1 END, wanted = 0
"""
NEWEST = "INSERT INTO newest VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)"
LATEST = 1 << 62  # that SQLite takes; what is later was dated by a wrong clock
WANTED_AGAIN = """
UPDATE drops SET wanted = 1 WHERE EXISTS (
    SELECT 1 FROM needs JOIN sets ON sets.id = needs.targets
    WHERE needs.key = drops.key AND instr(sets.uuids, drops.uuid))
"""


class InventoryError(SyncxError):
    """The inventory can be neither read nor written."""


@dataclass(frozen=True)
class Cursor:
    """The state that an inventory was made from: commit of the git-annex branch, tree, and a digest of all else."""

    annex: str
    tree: str
    policy: str
    rooms: str = ""  # how much was left where, if that counts


class Inventory(Database):
    """The database of one repository."""

    def __init__(self, path: Path) -> None:
        """Opened for each operation; a damaged one is begun anew."""
        super().__init__(path, InventoryError, timeout=60)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from looking at the same time."""
        with locks.held(self.path):
            yield

    @contextlib.contextmanager
    def alone_if_free(self) -> Iterator[bool]:
        """Keep other processes from looking at the same time; yield False where one does already."""
        with locks.held_if_free(self.path) as ours:
            yield ours

    def cursor(self) -> Cursor | None:
        """Return what it was made from; None where a full pass is needed."""
        row = self.read(lambda db: db.execute("SELECT annex, tree, world, rooms FROM cursor").fetchone())
        return Cursor(*row) if row else None

    def forget(self) -> None:
        """Let the next look be at everything; what git-annex refused or dropped counts no more."""
        self.write(lambda db: db.execute("DELETE FROM cursor") and None)

    def replace(
        self,
        cursor: Cursor,
        names: Callable[[], Iterable[tuple[bytes, Name]]],
        needs: Callable[[], Iterable[Need]],
        newest: Mapping[bytes, int] | None = None,
    ) -> None:
        """Take the findings of a full pass; `needs` is called when all names are in.

        `newest` is when something was last recorded of a repository, by uuid, in seconds since 1970.

        They are found before the transaction, and kept in a table of this connection alone: readers need not wait.
        """
        found: list[Need] = []

        def find(db: sqlite3.Connection) -> None:
            db.execute(f"CREATE TEMP TABLE fresh ({NAMES}) WITHOUT ROWID")
            db.execute("BEGIN")
            _put_names(db, names(), "fresh")
            db.execute("CREATE INDEX temp.fresh_of_key ON fresh (key)")
            db.execute("COMMIT")
            found[:] = needs()

        def write(db: sqlite3.Connection) -> None:
            same_world = db.execute("SELECT 1 FROM cursor WHERE world = ?", (cursor.policy,)).fetchone()
            for table in ("cursor", "names", "sets", "needs", *(() if same_world else ("drops", "refusals"))):
                db.execute(f"DELETE FROM {table}")
            db.execute("INSERT INTO names SELECT * FROM temp.fresh")  # alike to the index: SQLite copies pages
            _put_needs(db, found)
            _put_newest(db, newest or {})
            _put_cursor(db, cursor)

        self.write(write, before=find)

    def update(
        self,
        cursor: Cursor,
        names: Mapping[bytes, Name | None],
        keys: Iterable[str],
        needs: Iterable[Need],
        described: Iterable[str] = (),
        newest: Mapping[bytes, int] | None = None,
    ) -> None:
        """Take what has changed: paths (None: gone), and the needs of `keys` in place of what was known of them.

        Keys with other names or `described` otherwise can be wanted otherwise: they may come and go again.
        """

        def write(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM names WHERE path = ?", ((path,) for path in names))
            _put_names(db, ((path, name) for path, name in names.items() if name))
            renamed = {name.key for name in names.values() if name}
            db.executemany("DELETE FROM drops WHERE key = ?", [(os.fsencode(k),) for k in renamed.union(described)])
            db.executemany("DELETE FROM needs WHERE key = ?", ((os.fsencode(key),) for key in keys))
            _put_needs(db, needs)
            _put_newest(db, newest or {})
            _put_cursor(db, cursor)

        self.write(write)

    def needs(self) -> list[Need]:
        """Return all keys with which something is to be done somewhere."""

        def read(db: sqlite3.Connection) -> list[Need]:
            told = dict(db.execute("SELECT id, uuids FROM sets"))
            sets = {n: frozenset(uuids.split()) for n, uuids in told.items()}
            rows = db.execute("SELECT key, holders, targets, unwanted, first FROM needs")
            try:
                return [Need(os.fsdecode(key), sets[a], sets[b], sets[c], told[d]) for key, a, b, c, d in rows]
            except KeyError as error:
                raise sqlite3.DatabaseError(f"there is no set {error}") from error

        return self.read(read)

    def newest(self) -> dict[str, int]:
        """Return uuid -> when something was last recorded of that repository, in seconds since 1970."""
        return {os.fsdecode(uuid): when for uuid, when in self._all("SELECT uuid, at FROM newest", ())}

    def files(self, keys: Iterable[str]) -> dict[str, dict[bytes, Entry]]:
        """Return the paths of keys and what stands there, in order; a key without a file is missing."""
        found: dict[str, dict[bytes, Entry]] = {}
        asked = "SELECT key, path, mode, oid FROM names WHERE key IN ({}) ORDER BY path"
        for key, path, mode, oid in self._of_many(asked, map(os.fsencode, keys)):
            found.setdefault(os.fsdecode(key), {})[path] = Entry(mode, oid.hex())
        return found

    def keys_at(self, path: bytes) -> set[str]:
        """Return the keys of a file, or of all files below a directory (empty: the root)."""
        below = (path, path + b"/", path + b"0")  # `0` is what follows `/`
        where = "WHERE path = ? OR (path >= ? AND path < ?)" if path else ""
        return {
            os.fsdecode(k) for (k,) in self._all(f"SELECT DISTINCT key FROM names {where}", below if path else ())
        }

    def keys_of(self, paths: Iterable[bytes]) -> set[str]:
        """Return the keys of files."""
        return {os.fsdecode(key) for (key,) in self._of_many("SELECT key FROM names WHERE path IN ({})", paths)}

    def count_drops(self, dropped: Mapping[tuple[str, str], Iterable[str]]) -> None:
        """Note that keys were dropped: (key, uuid) -> who held it before."""
        rows = [(os.fsencode(key), uuid, " ".join(sorted(held))) for (key, uuid), held in dropped.items()]
        self.write(lambda db: db.executemany(COUNT, rows) and None)

    def coming_and_going(self) -> set[tuple[str, str]]:
        """Return (key, uuid) of what was dropped, wanted there again and dropped from the same holders.

        Only since the policy last changed. Where nobody saw why it came again (somebody may have fetched it by hand),
        only what was dropped very often.
        """
        rows = self._all("SELECT DISTINCT key, uuid FROM drops WHERE times > ?", (UNSEEN,))
        return {(os.fsdecode(key), uuid) for key, uuid in rows}

    def note_refusals(self, refused: Mapping[tuple[str, str], Iterable[str]]) -> None:
        """Note that git-annex would not drop: (key, uuid) -> who held it."""
        now = time.time()
        rows = [(os.fsencode(key), uuid, " ".join(sorted(held)), now) for (key, uuid), held in refused.items()]
        self.write(lambda db: db.executemany("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?)", rows) and None)

    def refusals(self) -> dict[tuple[str, str], frozenset[str]]:
        """Return (key, uuid) -> who held it when git-annex would not drop, not long ago."""
        now = time.time()
        rows = self._all("SELECT key, uuid, holders FROM refusals WHERE at BETWEEN ? AND ?", (now - REFUSED_FOR, now))
        return {(os.fsdecode(key), uuid): frozenset(held.split()) for key, uuid, held in rows}

    def _of_many(self, question: str, values: Iterable[bytes]) -> list[tuple[Any, ...]]:
        rest, found = iter(values), []
        while some := list(islice(rest, AT_ONCE)):
            found += self._all(question.format(",".join("?" * len(some))), some)
        return found

    def _all(self, question: str, values: Iterable[object]) -> list[tuple[Any, ...]]:
        return self.read(lambda db: db.execute(question, tuple(values)).fetchall())

    def prepare(self, db: sqlite3.Connection) -> None:
        """Make the tables; those of another version held nothing that cannot be found again."""
        if db.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                db.execute(f"DROP TABLE IF EXISTS {name}")
            db.executescript(SCHEMA + f"PRAGMA user_version = {FORMAT};")

    def mend(self, error: sqlite3.DatabaseError) -> None:
        """Throw the damaged file away."""
        log.warning("%s is damaged (%s) and begun anew", self.path, error)
        for name in (self.path.name, f"{self.path.name}-journal"):
            self.path.with_name(name).unlink(missing_ok=True)


def _put_cursor(db: sqlite3.Connection, cursor: Cursor) -> None:
    db.execute("DELETE FROM cursor")
    db.execute("INSERT INTO cursor VALUES (?, ?, ?, ?)", (cursor.annex, cursor.tree, cursor.policy, cursor.rooms))


def _put_names(db: sqlite3.Connection, names: Iterable[tuple[bytes, Name]], table: str = "names") -> None:
    rows = ((path, os.fsencode(key), entry.mode, bytes.fromhex(entry.oid)) for path, (key, entry) in names)
    db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)", rows)


def _put_newest(db: sqlite3.Connection, newest: Mapping[bytes, int]) -> None:
    db.executemany(NEWEST, ((uuid, min(when, LATEST)) for uuid, when in newest.items()))


def _put_needs(db: sqlite3.Connection, needs: Iterable[Need]) -> None:
    known = {frozenset(uuids.split()): int(n) for n, uuids in db.execute("SELECT id, uuids FROM sets")}
    alone = functools.cache(lambda uuid: frozenset(uuid.split()))

    def number(uuids: frozenset[str]) -> int:
        if uuids not in known:
            db.execute("INSERT INTO sets (uuids) VALUES (?)", (" ".join(sorted(uuids)),))
            known[uuids] = int(db.execute("SELECT last_insert_rowid()").fetchone()[0])
        return known[uuids]

    rows = (
        (os.fsencode(need.key), *map(number, (need.holders, need.targets, need.unwanted, alone(need.first))))
        for need in needs
    )
    db.executemany("INSERT OR REPLACE INTO needs VALUES (?, ?, ?, ?, ?)", rows)
    db.execute(WANTED_AGAIN)
