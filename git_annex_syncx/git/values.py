"""Lines of git's configuration, and their values: a parser of each kind, which raises ValueError for wrong ones."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from git_annex_syncx.model import Limit, Timetable

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST, FASTEST = 100 * 365 * 86400.0, 2.0**60  # seconds; bytes a second; beyond, no date and no number can follow
TRUE, FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0", ""}
RESERVE = 100_000_000  # bytes that git-annex leaves free where annex.diskreserve is not set
SIZE = re.compile(r"\s*(\d{1,30}(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)
SCALES, BINARY = "bkmgtpe", ("i", "ib", "eb", "xb")  # GiB, gibibyte, mebibyte, exbibyte
BATTERY, METERED = "battery", "metered"  # conditions that need no command
RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Value:
    """One line of configuration: the key as git gives it, its value, and its place."""

    key: str
    text: str | None  # None: a key without `=`, which is true
    origin: str


def boolean(text: str) -> bool:
    """Return a truth value as git reads it."""
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError(text)


def words(text: str) -> str:
    """Return options, where a shell could split them: each quote is closed."""
    shlex.split(text)
    return text


def natural(text: str) -> int:
    """Return a number from 0 to 1000."""
    number = int(text) if re.fullmatch(r"\d{1,4}", text, re.ASCII) else -1
    if not 0 <= number <= 1000:
        raise ValueError(text)
    return number


def cost(text: str) -> float:
    """Return a cost as git-annex has it."""
    number = float(text) if text.isascii() and "_" not in text else -1.0
    if not 0 <= number <= 1e9:  # nan fails too
        raise ValueError(text)
    return number


def count(text: str) -> int:
    """Return a number from 1 to 1000."""
    number = natural(text)
    if number < 1:
        raise ValueError(text)
    return number


def job_count(text: str) -> int:
    """Return a number of jobs: `4`, or `cpus` for one a processor."""
    return os.cpu_count() or 1 if text == "cpus" else count(text)


def duration_or_zero(text: str) -> float:
    """Return seconds from `0`, `90`, `10s`, `30m`, `2h`, `1d`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text, re.ASCII)
    seconds = float(match[1]) * UNITS[match[2]] if match else LONGEST
    if seconds >= LONGEST:
        raise ValueError(text)
    return seconds


def duration(text: str) -> float:
    """Return seconds, more than none, from `90`, `10s`, `30m`, `2h`, `1d`."""
    seconds = duration_or_zero(text)
    if seconds <= 0:
        raise ValueError(text)
    return seconds


def condition(text: str) -> str:
    """Return the name of a ready-made condition or a command; no name that is written wrongly, nor several in one."""
    names = re.split(r"[\s,]+", text.strip().lower())
    if len(names) > 1 and {BATTERY, METERED}.issuperset(names):
        raise ValueError(text)
    if len(names) == 1 and names[0] not in (BATTERY, METERED) and not shutil.which(text.strip()):
        import difflib

        if difflib.get_close_matches(names[0], (BATTERY, METERED), 1, 0.7):
            raise ValueError(text)
    return text.strip()


def limit(text: str) -> Limit:
    """Return a number of files from `1000`, a part of them from `50%`, no limit from `off`."""
    if text.lower() == "off":
        return Limit(math.inf)
    match = re.fullmatch(r"(\d{1,9})(\s*%)?", text, re.ASCII)
    if not match or (match[2] and int(match[1]) > 100):
        raise ValueError(text)
    return Limit(int(match[1]), percent=bool(match[2]))


def _rate(text: str) -> int | None:
    """Return bytes a second from `512k` or `10M`; None for `off`."""
    if text.lower() in {"off", "0"}:
        return None
    match = RATE.fullmatch(text)
    rate = float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " ") if match else 0.0
    if not 0 < rate < FASTEST:
        raise ValueError(text)
    return int(rate)


def reserve(text: str) -> int:
    """Return the bytes of annex.diskreserve as git-annex reads it: what it does not understand is not there."""
    return data_size(text, RESERVE)


def data_size(text: str, default: int) -> int:
    """Return bytes from `1 gigabyte`, `500MB` or `2 GiB`, the default from what git-annex would not understand."""
    match = SIZE.fullmatch(text)
    scale = SCALES.find(match[2][:1].lower()) if match else -1
    if not match or scale < 0:
        return default
    return int(float(match[1]) * (1024 if match[2][1:3].lower() in BINARY else 1000) ** scale)


def timetable(text: str) -> Timetable:
    """Return the rates of a day: `08:00,512k 23:00,off` -> ((480, 524288), (1380, None)); one rate holds all day."""
    entries = text.split()
    if len(entries) == 1 and "," not in text:
        return ((0, _rate(text)),)
    table = []
    for entry in entries:
        clock, rate = entry.split(",")
        match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", clock, re.ASCII)
        if not match:
            raise ValueError(text)
        table.append((int(match[1]) * 60 + int(match[2]), _rate(rate)))
    if not table or len(dict(table)) < len(table):
        raise ValueError(text)
    return tuple(sorted(table, key=lambda entry: entry[0]))


def web_address(text: str) -> str:
    """Return an http or https address that names a host."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError(text)
    return text


# What a right value is, as an error names it.
WANTED: Mapping[Callable[[str], object], str] = {
    boolean: "true or false",
    words: "options as a shell reads them",
    natural: "a number from 0 to 1000",
    count: "a number from 1 to 1000",
    job_count: "a number from 1 to 1000, or cpus",
    cost: "a number from 0 to 1000000000",
    duration: "a time",
    duration_or_zero: "a time, or 0",
    condition: "metered, battery or a command (one a value)",
    limit: "a number of files, a percentage up to 100%, or off",
    web_address: "an http or https address",
    timetable: "a rate, or a timetable in which no time stands twice",
}
