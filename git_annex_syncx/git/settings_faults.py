"""Faults of the configuration, all of them at once, each with the command that mends it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git import configfile, settings
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import Row
from git_annex_syncx.git.values import Value

ROWS = (*settings.OF_ALL.values(), settings.TRANSFER_JOBS, settings.ANNEX_JOBS, settings.CONTENT_IF)
ROWS_OF_REMOTES = tuple(settings.OF_REMOTES.values())


@dataclass(frozen=True)
class Fault:
    """A setting that does nothing, or (`stops`) that stops every command; `command` is empty where none mends it."""

    what: str
    advice: str
    command: str
    stops: bool = False


def sound(lines: Iterable[Value]) -> list[Value]:
    """Return the lines without those whose value does not parse."""
    return [line for line in lines if not _wrong(line)]


def faults(repo: Repository, lines: Iterable[Value]) -> Iterator[Fault]:
    """Yield what is wrong with lines of configuration: values that do not parse, names that are no settings."""
    lines = list(dict.fromkeys(lines))
    last = {line.key: line for line in lines}
    for line in lines:
        counts = line is last[line.key] or line.key == settings.CONTENT_IF.key.lower()
        if error := counts and _wrong(line):
            yield _unparsed(repo, line, error)
        elif settings.is_unknown(line.key):
            yield _unknown(repo, line)


def _row(key: str) -> tuple[str, Row] | None:
    """Return what stands before the name of a setting that has rules, and these."""
    section, _, name = key.rpartition(".")
    if section.startswith("remote."):
        prefix, rows = f"{section}.", ROWS_OF_REMOTES
        return next(((prefix, row) for row in rows if row.key == name), None)
    return next((("", row) for row in ROWS if row.key.lower() == key), None)


def _wrong(line: Value) -> UsageError | None:
    found = _row(line.key)
    if not found or (found[1] is settings.CONTENT_IF and line.text == ""):  # which takes back those before it
        return None
    try:
        settings.value(line, found[1], found[0])
    except UsageError as error:
        return error
    return None


def _unparsed(repo: Repository, line: Value, error: UsageError) -> Fault:
    prefix, row = _row(line.key) or ("", settings.CONTENT_IF)
    config, new = _config(repo, line.origin), f"{shlex.quote(prefix + row.key)} {shlex.quote(row.example)}"
    only = f"--replace-all --fixed-value {new} {shlex.quote(line.text or '')}"
    command = f"{config} {f'--replace-all {new}' if row.is_secret else only}"
    return Fault(error.what, "for example: {}", command if config else "", stops=True)


def _unknown(repo: Repository, line: Value) -> Fault:
    near, config = settings.nearest(line.key), _config(repo, line.origin)
    removed = f"{config} --unset-all {shlex.quote(line.key)}"
    what = f"there is no setting {line.key} ({line.origin}), it does nothing"
    if near:
        renamed = f"{config} --add {shlex.quote(near)} {shlex.quote(line.text or 'true')}"
        return Fault(what, f"if you meant {near}: {{}}", f"{removed} && {renamed}" if config else "")
    return Fault(what, "git annex-syncx help lists all settings; to remove it: {}", removed if config else "")


def _config(repo: Repository, origin: str) -> str:
    """Return the command that changes the file which a line comes from, empty where it comes from none."""
    if origin.startswith(("command line", "standard input", "blob:")):
        return ""
    file = Path(os.path.normpath(repo.home / origin))
    if file == Path(os.path.normpath(configfile.place(repo, everywhere=False))):
        return "git config"
    if file == configfile.place(repo, everywhere=True):
        return "git config --global"
    return f"git config --file {shlex.quote(str(file))}"
