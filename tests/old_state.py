"""A state as versions of the program before wrote it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

SECOND = """
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
PRAGMA user_version = 2;
"""


def keep_facts(path: Path, facts: Mapping[str | bytes, str]) -> None:
    """Let a database of the second version hold these facts."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.executescript(SECOND)
        db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())
