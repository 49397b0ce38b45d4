"""State that outlives a run: failures, pauses, waits, speeds, notices and the like, a table for each. SQLite."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.model import Clock
from git_annex_syncx.system import locks
from git_annex_syncx.system.database import Database, Table, create_tables, storable, tells_of_damage
from git_annex_syncx.system.records import (
    Absence,
    AnnexVersion,
    ArcClock,
    ChannelTrouble,
    Cost,
    Failure,
    Notice,
    Pause,
    RemoteState,
    Running,
    SignalCount,
    Speed,
    Success,
    Unmet,
    Upkeep,
    Wait,
)  # fmt: skip
from git_annex_syncx.system.redact import without_passwords

log = logging.getLogger(__name__)

LONGEST_WAIT = 86400.0
LONGEST_ERROR = 4000  # characters
VERSION = 5


class StateError(SyncxError):
    """What must outlive the run can be neither read nor written."""


class State(Database):
    """The state of one repository. Its file is called outbox: failures wait in it."""

    def __init__(self, path: Path, retry_interval: float = 1800.0) -> None:
        """`retry_interval` in seconds is the first back-off, doubled at each failure up to a day."""
        super().__init__(path, StateError, timeout=30)
        self.retry_interval = retry_interval
        self._failures = Table(self, "failures", Failure, keys=2)
        self._successes = Table(self, "successes", Success, keys=2)
        self._clocks = Table(self, "clocks", ArcClock, keys=3)
        self._absences = Table(self, "absent", Absence, keys=2)
        self.pauses = Table(self, "pauses", Pause)
        self.waits = Table(self, "waits", Wait)
        self.speeds = Table(self, "speeds", Speed)
        self.costs = Table(self, "costs", Cost)
        self.unmet = Table(self, "unmet", Unmet)
        self.notices = Table(self, "notices", Notice, keys=2)
        self.remotes = Table(self, "remotes", RemoteState)
        self.upkeep = Table(self, "upkeep", Upkeep)
        self.annex_versions = Table(self, "annex_versions", AnnexVersion)
        self.signal_counts = Table(self, "signal_counts", SignalCount)
        self.running = Table(self, "running", Running)
        self.channel_troubles = Table(self, "channel_troubles", ChannelTrouble)

    def record_failure(self, remote: str, phase: str, error: str, interval: float | None = None) -> Failure:
        """Count one more failure and set the time of the next automatic try.

        `interval` in seconds stands in for the usual first back-off.
        """
        now = time.time()

        def write(db: sqlite3.Connection) -> Failure:
            known = self._failures.rows(db, (remote, phase))
            first, tries = (known[0].first, known[0].tries) if known else (now, 0)
            wait = min((interval or self.retry_interval) * 2 ** min(tries, 30), LONGEST_WAIT)
            failure = Failure(remote, phase, first, now, printable(error)[:LONGEST_ERROR], tries + 1, now + wait)
            self._failures.insert(db, [failure])
            return failure

        return self.write(write)

    def record_successes(
        self, succeeded: Mapping[tuple[str, str], float], cleared: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Return (remote, phase) -> time: forget the failures, remember the times, in one wait for the disk.

        The failures of `cleared` are forgotten too.
        """

        def write(db: sqlite3.Connection) -> None:
            self._failures.delete(db, [*succeeded, *cleared])
            self._successes.insert(db, (Success(*what, when) for what, when in succeeded.items()))

        if succeeded:
            self.write(write)

    def forget_others(self, remotes: Iterable[str]) -> None:
        """Forget the failures of remotes that are configured no more; the own repository (empty name) stays."""
        known = [storable(name) for name in ("", *remotes)]
        marks = ",".join("?" * len(known))
        self.write(lambda db: db.execute(f"DELETE FROM failures WHERE remote NOT IN ({marks})", known) and None)

    def failures(self) -> list[Failure]:
        """Return all that waits, the longest waiting first."""
        return sorted(self._failures.all(), key=lambda failure: (failure.first, failure.remote, failure.phase))

    def last_successes(self) -> dict[tuple[str, str], float]:
        """Return (remote, phase) -> time of the last success."""
        return {(success.remote, success.phase): success.last for success in self._successes.all()}

    def clocks(self) -> dict[tuple[str, str, bool], Clock]:
        """Return the clocks of arcs: source, target, whether this repository executes it."""
        return {(c.source, c.target, c.own): Clock(c.since, c.keys, c.level) for c in self._clocks.all()}

    def keep_clocks(self, clocks: Mapping[tuple[str, str, bool], Clock]) -> None:
        """Remember these clocks and no others."""
        self._clocks.replace(ArcClock(*arc, c.since, c.level, c.keys) for arc, c in clocks.items())

    def absences(self) -> dict[tuple[str, str], tuple[str, float]]:
        """Return what sources said that they do not have: (key, source) -> its line in the location log, when."""
        return {(absence.key, absence.source): (absence.line, absence.at) for absence in self._absences.all()}

    def keep_absences(self, absences: Mapping[tuple[str, str], tuple[str, float]]) -> None:
        """Remember these and no others."""
        self._absences.replace(Absence(*pair, *told) for pair, told in absences.items())

    def prepare(self, db: sqlite3.Connection) -> None:
        """Make the tables, and take over what a version before kept."""
        if db.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            db.execute("BEGIN IMMEDIATE")
            create_tables(db, self._tables())
            self._take_over_facts(db)
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("COMMIT")

    def _take_over_facts(self, db: sqlite3.Connection) -> None:
        """Take over what stood in a table of keys and JSON before version 3."""
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchone():
            return
        for key, value in db.execute("SELECT key, value FROM facts").fetchall():
            kind, _, name = os.fsdecode(key).partition(" ")
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._take_over(db, kind, name, value)
        db.execute("DROP TABLE facts")

    def _take_over(self, db: sqlite3.Connection, kind: str, name: str, value: str) -> None:
        """Raise ValueError, KeyError, TypeError where the value cannot be read."""
        match kind:
            case "pause":
                told = json.loads(value)
                self.pauses.insert(db, [Pause(name, float(told["begun"]), float(told["seconds"]))])
            case "settle":
                self.waits.insert(db, [Wait(name, **json.loads(value))])
            case "speed":
                self.speeds.insert(db, [Speed(name, **json.loads(value))])
            case "told":
                phase, _, remote = name.partition(" ")
                self.notices.insert(db, [Notice(phase, remote, float(value))])
            case "migrate" | "refresh":
                self.upkeep.insert(db, [Upkeep(kind, value)])
            case "addresses":
                self.remotes.change_in(db, (name,), addresses=value)
            case "checked":  # "checked out REMOTE"
                self.remotes.change_in(db, (name.partition(" ")[2],), checked_out=value)
            case "unverified":  # "unverified push REMOTE"
                self.remotes.change_in(db, (name.partition(" ")[2],), unverified=True)
            case "without":  # "without git-annex REMOTE"
                self.remotes.change_in(db, (name.partition(" ")[2],), looked_at=float(value))

    def mend(self, error: sqlite3.DatabaseError) -> None:
        """Set the damaged file aside."""
        with locks.held(self.path):
            if self._is_sound():
                return  # another process has done it while we waited
            aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
            self.path.rename(aside)
            self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
        log.warning("the outbox was damaged (%s); it is set aside as %s and begun anew", error, aside)

    def _is_sound(self) -> bool:
        def look(db: sqlite3.Connection) -> bool:
            for table in self._tables():
                table.rows(db)
            return bool(db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))

        try:
            return self.transaction("BEGIN", look)
        except sqlite3.DatabaseError as error:
            if not tells_of_damage(error):
                raise
            return False

    def _tables(self) -> list[Table[Any]]:
        return [value for value in vars(self).values() if isinstance(value, Table)]


def printable(text: str) -> str:
    """Return a text without passwords and what is no UTF-8."""
    return without_passwords(text).encode("utf-8", "backslashreplace").decode("utf-8")
