"""What must outlive a run: failures with their back-off, successes, and small facts. SQLite."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

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
"""


@dataclass(frozen=True)
class Failure:
    """What failed and waits to be tried again; times in seconds since 1970."""

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

    def record_failure(self, remote: str, phase: str, error: str) -> Failure:
        """Count one more failure and set the time of the next automatic try."""
        now = time.time()

        def write(db: sqlite3.Connection) -> Failure:
            row = db.execute(
                "SELECT first, tries FROM failures WHERE remote = ? AND phase = ?", (remote, phase)
            ).fetchone()
            first, tries = (row[0], row[1] + 1) if row else (now, 1)
            wait = min(self.retry_interval * 2 ** min(tries - 1, 30), LONGEST_WAIT)
            failure = Failure(remote, phase, first, now, _storable(error), tries, now + wait)
            db.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    failure.remote,
                    failure.phase,
                    failure.first,
                    failure.last,
                    failure.error,
                    failure.tries,
                    failure.next,
                ),
            )
            return failure

        return self._do(write)

    def record_successes(self, succeeded: Mapping[tuple[str, str], float]) -> None:
        """(remote, phase) -> time: forget the failures, remember the times, in one wait for the disk."""

        def write(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM failures WHERE remote = ? AND phase = ?", succeeded)
            rows = ((*pair, when) for pair, when in succeeded.items())
            db.executemany("INSERT OR REPLACE INTO successes VALUES (?, ?, ?)", rows)

        if succeeded:
            self._do(write)

    def failures(self) -> list[Failure]:
        """All that waits, the longest waiting first."""
        return self._do(
            lambda db: [Failure(*row) for row in db.execute("SELECT * FROM failures ORDER BY first, remote, phase")]
        )

    def last_successes(self) -> dict[tuple[str, str], float]:
        """(remote, phase) -> time of the last success."""
        return self._do(lambda db: {(r, p): t for r, p, t in db.execute("SELECT remote, phase, last FROM successes")})

    def fact(self, key: str) -> str | None:
        """A small thing remembered, None where it is not."""
        row = self._do(lambda db: db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone())
        return row[0] if row else None

    def remember(self, key: str, value: str) -> None:
        """Remember a small thing."""
        self._do(
            lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, _storable(value))) and None
        )

    def forget(self, key: str) -> None:
        """Forget a small thing."""
        self._do(lambda db: db.execute("DELETE FROM facts WHERE key = ?", (key,)) and None)

    def _do(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Run `action` in a transaction; a damaged file is set aside and made anew, once."""
        try:
            return self._in_transaction(action)
        except sqlite3.OperationalError:
            raise  # locked, read-only or full: nothing is wrong with the file
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            return self._in_transaction(action)

    def _in_transaction(self, action: Callable[[sqlite3.Connection], T]) -> T:
        with contextlib.closing(self._connect()) as db, db:
            db.execute("BEGIN IMMEDIATE")
            return action(db)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] != 1:
                db.executescript("BEGIN IMMEDIATE;" + SCHEMA + "PRAGMA user_version = 1; COMMIT;")
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        with _locked(self.path.with_suffix(".lock")):
            try:  # another process may have done it while we waited
                self._in_transaction(lambda db: db.execute("PRAGMA integrity_check(1)").fetchone())
                return
            except sqlite3.DatabaseError:
                pass
            aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
            self.path.rename(aside)
            self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
        log.warning("the outbox was damaged (%s); it is set aside as %s and begun anew", error, aside)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _storable(text: str) -> str:
    """SQLite takes no lone surrogates, which stand for bytes that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:4000]
