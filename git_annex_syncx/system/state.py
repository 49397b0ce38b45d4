"""The state that outlives a run: failures with their back-off, successes, clocks of arcs, and small facts. SQLite."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.model import Clock
from git_annex_syncx.system import locks
from git_annex_syncx.system.database import connect, mending, tells_of_damage
from git_annex_syncx.system.redact import without_passwords

T = TypeVar("T")
log = logging.getLogger(__name__)

LONGEST_WAIT = 86400.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS failures (
    remote TEXT NOT NULL, phase TEXT NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    error TEXT NOT NULL, tries INTEGER NOT NULL, next REAL NOT NULL, PRIMARY KEY (remote, phase));
CREATE TABLE IF NOT EXISTS successes (
    remote TEXT NOT NULL, phase TEXT NOT NULL, last REAL NOT NULL, PRIMARY KEY (remote, phase));
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS clocks (
    source TEXT NOT NULL, target TEXT NOT NULL, own INTEGER NOT NULL, since REAL NOT NULL, level INTEGER NOT NULL,
    keys BLOB NOT NULL, PRIMARY KEY (source, target, own));
CREATE TABLE IF NOT EXISTS absent (
    key BLOB NOT NULL, source TEXT NOT NULL, line TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (key, source));
"""


VERSION = 2
FAILURE, SUCCESS = "remote, phase, first, last, error, tries, next", "remote, phase, last"
CLOCK, ABSENT = "source, target, own, since, level, keys", "key, source, line, at"
TABLES = {"failures": FAILURE, "successes": SUCCESS, "facts": "key, value", "clocks": CLOCK, "absent": ABSENT}
LONGEST_ERROR = 4000  # characters


class OutboxError(SyncxError):
    """What must outlive the run can be neither read nor written."""


@dataclass(frozen=True)
class Failure:
    """A failure that waits to be tried again; times in seconds since 1970."""

    remote: str
    phase: str
    first: float
    last: float
    error: str
    tries: int
    next: float


class Outbox:
    """The database of one repository. Opened for each operation, so that threads and processes can share it."""

    def __init__(self, path: Path, retry_interval: float = 1800.0) -> None:
        """`retry_interval` in seconds is the first back-off, doubled at each failure up to a day."""
        self.path = path
        self.retry_interval = retry_interval

    def record_failure(self, remote: str, phase: str, error: str, interval: float | None = None) -> Failure:
        """Count one more failure and set the time of the next automatic try.

        `interval` in seconds stands in for the usual first back-off.
        """
        now = time.time()

        def write(db: sqlite3.Connection) -> Failure:
            known = "SELECT first, tries FROM failures WHERE remote = ? AND phase = ?"
            first, tries = db.execute(known, (_bound(remote), phase)).fetchone() or (now, 0)
            wait = min((interval or self.retry_interval) * 2 ** min(tries, 30), LONGEST_WAIT)
            row = (phase, first, now, _storable(error)[:LONGEST_ERROR], tries + 1, now + wait)
            db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?)", (_bound(remote), *row))
            return Failure(remote, *row)

        return self._do(write)

    def record_successes(
        self, succeeded: Mapping[tuple[str, str], float], cleared: Iterable[tuple[str, str]] = ()
    ) -> None:
        """(remote, phase) -> time: forget the failures, remember the times, in one wait for the disk.

        The failures of `cleared` are forgotten too.
        """

        def write(db: sqlite3.Connection) -> None:
            rows = [(_bound(remote), phase, when) for (remote, phase), when in succeeded.items()]
            over = [row[:2] for row in rows] + [(_bound(remote), phase) for remote, phase in cleared]
            db.executemany("DELETE FROM failures WHERE remote = ? AND phase = ?", over)
            db.executemany("INSERT OR REPLACE INTO successes VALUES (?, ?, ?)", rows)

        if succeeded:
            self._do(write)

    def forget_others(self, remotes: Iterable[str]) -> None:
        """Forget the failures of remotes that are configured no more; the own repository (empty name) stays."""
        known = [_bound(name) for name in ("", *remotes)]
        marks = ",".join("?" * len(known))
        self._do(lambda db: db.execute(f"DELETE FROM failures WHERE remote NOT IN ({marks})", known) and None)

    def failures(self) -> list[Failure]:
        """All that waits, the longest waiting first."""
        rows = self._read(
            lambda db: db.execute(f"SELECT {FAILURE} FROM failures ORDER BY first, remote, phase").fetchall()
        )
        return [Failure(os.fsdecode(remote), *rest) for remote, *rest in rows]

    def last_successes(self) -> dict[tuple[str, str], float]:
        """(remote, phase) -> time of the last success."""
        rows = self._read(lambda db: db.execute(f"SELECT {SUCCESS} FROM successes").fetchall())
        return {(os.fsdecode(remote), phase): when for remote, phase, when in rows}

    def fact(self, key: str) -> str | None:
        """A small thing remembered, None where it is not."""
        return self.facts_of(key).get(key)

    def facts_of(self, *keys: str) -> dict[str, str]:
        """Those of some small things that are remembered."""
        asked = f"SELECT key, value FROM facts WHERE key IN ({','.join('?' * len(keys))})"
        rows = self._read(lambda db: db.execute(asked, [_bound(key) for key in keys]).fetchall())
        return {os.fsdecode(key): value for key, value in rows}

    def facts(self, prefix: str) -> dict[str, str]:
        """All that is remembered under keys that begin so."""
        asked = "SELECT key, value FROM facts WHERE substr(CAST(key AS BLOB), 1, ?) = ?"  # a key may be either
        begin = os.fsencode(prefix)
        rows = self._read(lambda db: db.execute(asked, (len(begin), begin)).fetchall())
        return {os.fsdecode(key): value for key, value in rows}

    def remember(self, key: str, value: str) -> None:
        """Remember a small thing."""
        row = (_bound(key), _storable(value))
        self._do(lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", row) and None)

    def forget(self, key: str) -> None:
        """Forget a small thing."""
        self._do(lambda db: db.execute("DELETE FROM facts WHERE key = ?", (_bound(key),)) and None)

    def clocks(self) -> dict[tuple[str, str, bool], Clock]:
        """Return the clocks of arcs: source, target, whether this repository executes it."""
        rows = self._read(lambda db: db.execute(f"SELECT {CLOCK} FROM clocks").fetchall())
        return {
            (source, target, bool(own)): Clock(since, _split(keys), level)
            for source, target, own, since, level, keys in rows
        }

    def keep_clocks(self, clocks: Mapping[tuple[str, str, bool], Clock]) -> None:
        """Remember these clocks and no others."""
        rows = [(*arc, clock.since, clock.level, _joined(clock.keys)) for arc, clock in clocks.items()]

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM clocks")
            db.executemany("INSERT INTO clocks VALUES (?, ?, ?, ?, ?, ?)", rows)

        self._do(write)

    def absences(self) -> dict[tuple[str, str], tuple[str, float]]:
        """Return what sources said that they do not have: (key, source) -> its line in the location log, when."""
        rows = self._read(lambda db: db.execute(f"SELECT {ABSENT} FROM absent").fetchall())
        return {(os.fsdecode(key), source): (line, at) for key, source, line, at in rows}

    def keep_absences(self, absences: Mapping[tuple[str, str], tuple[str, float]]) -> None:
        """Remember these and no others."""
        rows = [(os.fsencode(key), source, *told) for (key, source), told in absences.items()]

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM absent")
            db.executemany("INSERT INTO absent VALUES (?, ?, ?, ?)", rows)

        self._do(write)

    def _do(self, action: Callable[[sqlite3.Connection], T], begin: str = "BEGIN IMMEDIATE") -> T:
        """Run `action` in a transaction; a damaged file is set aside and made anew, once. Raises OutboxError."""
        return mending(self.path, lambda: self._in_transaction(action, begin), self._set_aside, OutboxError)

    def _read(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Run an action that only reads: readers do not wait for each other."""
        return self._do(action, "BEGIN")

    def _in_transaction(self, action: Callable[[sqlite3.Connection], T], begin: str = "BEGIN") -> T:
        with contextlib.closing(self._connect()) as db, db:
            db.execute(begin)
            return action(db)

    def _connect(self) -> sqlite3.Connection:
        db = connect(self.path, timeout=30)
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] < VERSION:
                db.executescript("BEGIN IMMEDIATE;" + SCHEMA + f"PRAGMA user_version = {VERSION}; COMMIT;")
        except BaseException:
            db.close()
            raise
        return db

    def _is_sound(self) -> bool:
        def look(db: sqlite3.Connection) -> bool:
            for table, columns in TABLES.items():
                db.execute(f"SELECT {columns} FROM {table} LIMIT 1").fetchall()
            return bool(db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))

        try:
            return self._in_transaction(look)
        except sqlite3.DatabaseError as error:
            if not tells_of_damage(error):
                raise
            return False

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        with locks.held(self.path):
            if self._is_sound():
                return  # another process has done it while we waited
            aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
            self.path.rename(aside)
            self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
        log.warning("the outbox was damaged (%s); it is set aside as %s and begun anew", error, aside)


def _bound(name: str) -> str | bytes:
    """A name for SQLite, which takes no lone surrogates; they stand for bytes that are not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def _storable(text: str) -> str:
    """A text without passwords and what is no UTF-8."""
    return without_passwords(text).encode("utf-8", "backslashreplace").decode("utf-8")


def _joined(keys: Iterable[str]) -> bytes:
    return b"\n".join(map(os.fsencode, keys))


def _split(keys: bytes) -> tuple[str, ...]:
    return tuple(map(os.fsdecode, filter(None, keys.split(b"\n"))))
