"""SQLite databases that threads and processes share: damage is mended once, and an error names the file."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.system import files

T = TypeVar("T")
Row = TypeVar("Row", bound=NamedTuple)

# SQL for the type of a field.
COLUMN = {
    str: "TEXT NOT NULL", str | None: "TEXT", float: "REAL NOT NULL", float | None: "REAL",
    int: "INTEGER NOT NULL", bool: "INTEGER NOT NULL", tuple[str, ...]: "BLOB NOT NULL",
}  # fmt: skip


class Database:
    """One file, opened for each operation."""

    def __init__(self, path: Path, error: type[SyncxError], timeout: float) -> None:
        """`error` is raised where the file cannot be used; another's transaction is waited for `timeout` seconds."""
        self.path = path
        self._error, self._timeout = error, timeout

    def prepare(self, db: sqlite3.Connection) -> None:
        """Make the tables that are missing."""
        raise NotImplementedError

    def mend(self, error: sqlite3.DatabaseError) -> None:
        """Put the damaged file out of the way."""
        raise NotImplementedError

    def read(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Run an action that only reads, in a transaction: readers do not wait for each other."""
        return self._mending(lambda: self.transaction("BEGIN", action))

    def write(
        self, action: Callable[[sqlite3.Connection], T], before: Callable[[sqlite3.Connection], None] | None = None
    ) -> T:
        """Run an action in a transaction that no other writer shares; what takes long is done `before` it."""
        return self._mending(lambda: self.transaction("BEGIN IMMEDIATE", action, before))

    def transaction(
        self,
        begin: str,
        action: Callable[[sqlite3.Connection], T],
        before: Callable[[sqlite3.Connection], None] | None = None,
    ) -> T:
        """Run an action once. Raises sqlite3.Error, OSError."""
        with contextlib.closing(_connect(self.path, self._timeout)) as db, db:
            self.prepare(db)
            if before:
                before(db)
            db.execute(begin)
            return action(db)

    def _mending(self, attempt: Callable[[], T]) -> T:
        try:
            try:
                return attempt()
            except sqlite3.DatabaseError as error:
                if not tells_of_damage(error):
                    raise
                self.mend(error)
                return attempt()
        except (sqlite3.Error, OSError) as error:
            raise self._error(f"{self.path} cannot be used: {error}", files.advice(error)) from error


@dataclass
class Table(Generic[Row]):
    """Rows that are named tuples: a column for each field, in the order of the fields.

    The first `keys` fields name a row.
    """

    database: Database
    name: str
    row: type[Row]
    keys: int = 1

    @property
    def _columns(self) -> tuple[str, ...]:
        return self.row._fields

    def schema(self) -> str:
        """Return the statement that makes the table where it is missing."""
        columns = ", ".join(f"{name} {COLUMN[kind]}" for name, kind in self.row.__annotations__.items())
        key = ", ".join(self._columns[: self.keys])
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}, PRIMARY KEY ({key}));"

    def all(self) -> list[Row]:
        """Return all rows."""
        return self.database.read(self.rows)

    def get(self, *key: object) -> Row | None:
        """Return the row of a key, None where there is none."""
        return next(iter(self.database.read(lambda db: self.rows(db, key))), None)

    def put(self, row: Row) -> None:
        """Insert a row, or replace the one of its key."""
        self.database.write(lambda db: self.insert(db, [row]))

    def change(self, *key: object, **values: object) -> None:
        """Set some fields of a row; the others of a new one have their defaults."""
        self.database.write(lambda db: self.change_in(db, key, **values))

    def remove(self, *key: object) -> None:
        """Remove the row of a key, if there is one."""
        self.database.write(lambda db: self.delete(db, [key]))

    def replace(self, rows: Iterable[Row]) -> None:
        """Let the table have these rows and no others."""

        def write(db: sqlite3.Connection) -> None:
            db.execute(f"DELETE FROM {self.name}")
            self.insert(db, rows)

        self.database.write(write)

    def rows(self, db: sqlite3.Connection, key: Sequence[object] = ()) -> list[Row]:
        """Return all rows, or that of a key, inside a transaction."""
        kinds = self.row.__annotations__.values()
        question = f"SELECT {', '.join(self._columns)} FROM {self.name}{self._where(key)}"
        return [self.row(*map(_loaded, kinds, row)) for row in db.execute(question, _stored(key))]

    def insert(self, db: sqlite3.Connection, rows: Iterable[Row]) -> None:
        """Insert or replace rows inside a transaction."""
        columns, marks = ", ".join(self._columns), ", ".join("?" * len(self._columns))
        db.executemany(f"INSERT OR REPLACE INTO {self.name} ({columns}) VALUES ({marks})", map(_stored, rows))

    def change_in(self, db: sqlite3.Connection, key: Sequence[object], **values: Any) -> None:
        """Set some fields of a row inside a transaction."""
        row = next(iter(self.rows(db, key)), None) or self.row(*key)  # type: ignore[call-overload]
        self.insert(db, [row._replace(**values)])

    def delete(self, db: sqlite3.Connection, keys: Iterable[Sequence[object]]) -> None:
        """Remove the rows of keys inside a transaction."""
        db.executemany(f"DELETE FROM {self.name}{self._where(self._columns[: self.keys])}", map(_stored, keys))

    def _where(self, key: Sequence[object]) -> str:
        return f" WHERE {' AND '.join(f'{name} = ?' for name in self._columns[: self.keys])}" if key else ""


def create_tables(db: sqlite3.Connection, tables: Iterable[Table[Any]]) -> None:
    """Make the tables that are missing."""
    for table in tables:
        db.execute(table.schema())


def storable(name: str) -> str | bytes:
    """Return a text for SQLite, which takes no lone surrogates; they stand for bytes that are not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def tells_of_damage(error: sqlite3.DatabaseError) -> bool:
    """Return False when the file is only locked, read-only, or on a full disk. SQLITE_ERROR: not our tables."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return not isinstance(error, sqlite3.OperationalError) or code == sqlite3.SQLITE_ERROR


def _stored(values: Iterable[object]) -> list[object]:
    return [_value(value) for value in values]


def _value(value: object) -> object:
    if isinstance(value, tuple):
        return b"\n".join(map(os.fsencode, value))
    return storable(value) if isinstance(value, str) else value


def _loaded(kind: object, value: Any) -> Any:
    if kind == tuple[str, ...]:
        return tuple(map(os.fsdecode, filter(None, value.split(b"\n"))))
    if kind is bool:
        return bool(value)
    return os.fsdecode(value) if isinstance(value, bytes) else value


def _connect(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a database, without transactions of Python's; its journals get the permissions that it has.

    Raises sqlite3.Error, OSError.
    """
    if not path.parent.is_dir() and path.parent.parent.is_dir():  # the user may have cleared ours away under a run
        files.make_directory(path.parent)
    if path.is_dir():  # SQLite would not say so
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.touch()
    files.share(path)
    return sqlite3.connect(path, timeout=timeout, isolation_level=None)
