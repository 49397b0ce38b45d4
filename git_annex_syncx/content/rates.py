"""Limits of the rate of transfers, and measurements of links. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from git_annex_syncx.model import Timetable

ENOUGH_BYTES, ENOUGH_SECONDS = 1_000_000, 0.5  # for a speed that means something
SMALL = 64 * 1024  # a file whose time is that of the way there
NEW_SHARE = 0.3  # of a new measurement in the average
NOTABLE = 0.1  # a limit that is off by less is left as it is


def rate_at(table: Timetable, minute: int) -> int | None:
    """Return bytes a second at a minute of the day; before the first entry the last of the day before holds."""
    begun = [rate for start, rate in table if start <= minute]
    return begun[-1] if begun else table[-1][1] if table else None


def differs(one: int | None, other: int | None) -> bool:
    """Return whether a limit is so different that it is worth a new start."""
    if one is None or other is None:
        return one is not other
    return abs(one - other) > NOTABLE * min(one, other)


@dataclass
class Meter:
    """Measurements of one link: bytes, seconds in which it was at work, seconds of each small file."""

    bytes: int = 0
    seconds: float = 0.0
    small: list[float] = field(default_factory=list)

    def arrived(self, size: int, seconds: float) -> None:
        """Count a file that came through."""
        self.bytes += size
        if size <= SMALL:
            self.small.append(seconds)

    def speed(self) -> float | None:
        """Return bytes a second, None where too little has moved."""
        enough = self.bytes >= ENOUGH_BYTES and self.seconds >= ENOUGH_SECONDS
        return self.bytes / self.seconds if enough else None

    def latency(self) -> float | None:
        """Return milliseconds, None where no small file has moved."""
        return statistics.median(self.small) * 1000 if self.small else None


def averaged(old: float | None, new: float | None) -> float | None:
    """Return the decaying average after a new measurement."""
    if old is None or new is None:
        return old if new is None else new
    return (1 - NEW_SHARE) * old + NEW_SHARE * new
