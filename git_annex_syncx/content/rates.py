"""Limits of the rate of transfers, and measurements of links. Pure."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from git_annex_syncx.model import Timetable

ENOUGH_BYTES, ENOUGH_SECONDS = 1_000_000, 0.5  # for a speed that means something
SMALL = 64 * 1024  # a file whose time is that of the way there
NEW_SHARE = 0.3  # of a new measurement in the average
NOTABLE = 0.1  # a limit that is off by less is left as it is
CALM = 10.0  # seconds before a limit that has grown is followed
FIRST_REPORT = 1_000_000  # bytes; a transfer whose first report tells of more goes on where one has ended
SHORTEST, LONGEST = 10.0, 60.0  # seconds of a window
PART = 3  # of a run
FEWEST = 5  # samples in a window
APART = 0.25  # seconds between two samples


def rate_at(table: Timetable, minute: int) -> int | None:
    """Return bytes a second at a minute of the day; before the first entry the last of the day before holds."""
    begun = [rate for start, rate in table if start <= minute]
    return begun[-1] if begun else table[-1][1] if table else None


def differs(one: int | None, other: int | None) -> bool:
    """Return whether a limit is so different that it is worth a new start."""
    if one is None or other is None:
        return one is not other
    return abs(one - other) > NOTABLE * min(one, other)


def is_worth_a_start(limit: int | None, wanted: int | None, seconds: float) -> bool:
    """Return whether what was started so many seconds ago with a limit is to start anew with another.

    A limit that has grown is worth that only when the last start is some time ago.
    """
    grown = wanted is None or (limit is not None and wanted > limit)
    return differs(limit, wanted) and (not grown or seconds >= CALM)


@dataclass
class Meter:
    """Measurements of one link: bytes, seconds in which it was at work, seconds of each small file."""

    bytes: int = 0
    seconds: float = 0.0
    small: list[float] = field(default_factory=list)
    first: float | None = None  # when the first key was given to it, by clock.awake()
    last: float = 0.0  # when something was last heard of one

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


class Span(NamedTuple):
    """The work of a link in some time: seconds, bytes, files that arrived."""

    seconds: float = 0.0
    bytes: int = 0
    files: int = 0


class Window:
    """A sliding window over bytes and files that come in: 10 s, in long runs a third of the run, up to a minute.

    It reaches from one arrival to another, and back over some of them, so that leaps give a steady rate too; where
    nothing comes for longer than usual the rate falls.
    """

    def __init__(self, at: float = 0.0) -> None:
        """Begin at a time, in seconds."""
        self._begun, self._samples = at, deque([Span(at)])

    def add(self, at: float, size: int, files: int = 0) -> None:
        """Count what has come."""
        samples = self._samples
        close = len(samples) > 1 and self.last - samples[-2].seconds < APART
        last = samples.pop() if close else samples[-1]
        samples.append(Span(at, last.bytes + size, last.files + files))
        width = min(LONGEST, max(SHORTEST, (at - self._begun) / PART))
        while len(samples) > FEWEST and samples[1].seconds <= at - width:
            samples.popleft()

    def span(self, at: float) -> Span | None:
        """Return what came in the window, None where nothing did."""
        first, last = self._samples[0], self._samples[-1]
        seconds = max(last.seconds, at - self._usual_gap()) - first.seconds
        return Span(seconds, last.bytes - first.bytes, last.files - first.files) if seconds > 0 else None

    def speed(self, at: float) -> float | None:
        """Return bytes a second, None where that is too little to tell."""
        span = self.span(at)
        return span.bytes / span.seconds if span and span.bytes and span.seconds >= ENOUGH_SECONDS else None

    def silence(self, at: float) -> float:
        """Return the seconds since something came, as far as that is usual."""
        return min(at - self.last, self._usual_gap())

    @property
    def last(self) -> float:
        """Return when something came last."""
        return self._samples[-1].seconds

    def _usual_gap(self) -> float:
        return (self.last - self._samples[0].seconds) / max(1, len(self._samples) - 1)


def averaged(old: float | None, new: float | None) -> float | None:
    """Return the decaying average after a new measurement."""
    if old is None or new is None:
        return old if new is None else new
    return (1 - NEW_SHARE) * old + NEW_SHARE * new
