"""SQLite databases: a damaged file is mended once, and an error names the file."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.system import files

T = TypeVar("T")


def mending(
    path: Path, attempt: Callable[[], T], mend: Callable[[sqlite3.DatabaseError], None], kind: type[SyncxError]
) -> T:
    """Try it; where the file turns out to be damaged, mend it and try once more. Raises `kind`."""
    try:
        try:
            return attempt()
        except sqlite3.DatabaseError as error:
            if not tells_of_damage(error):
                raise
            mend(error)
            return attempt()
    except (sqlite3.Error, OSError) as error:
        raise kind(f"{path} cannot be used: {error}", files.advice(error)) from error


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a database, without transactions of Python's; its journals get the permissions that it has.

    Raises sqlite3.Error, OSError.
    """
    if path.parent.parent.is_dir():  # the user may have cleared our directory away under a run
        files.make_directory(path.parent)
    if path.is_dir():  # SQLite would not say so
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.touch()
    files.share(path)
    return sqlite3.connect(path, timeout=timeout, isolation_level=None)


def tells_of_damage(error: sqlite3.DatabaseError) -> bool:
    """Not when the file is only locked, read-only, or on a full disk. SQLITE_ERROR: the tables are not ours."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return not isinstance(error, sqlite3.OperationalError) or code == sqlite3.SQLITE_ERROR
