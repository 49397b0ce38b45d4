"""Records of the state that outlives a run, each a row of a table."""

from __future__ import annotations

import math
from dataclasses import dataclass


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


@dataclass(frozen=True)
class Success:
    """The time at which a phase last came through with a remote."""

    remote: str
    phase: str
    last: float


@dataclass(frozen=True)
class Pause:
    """A pause of automatic work with a remote (empty: with all), begun at, for so many seconds."""

    remote: str
    begun: float
    seconds: float = math.inf

    @property
    def until(self) -> float:
        """Return when it ends, in seconds since 1970."""
        return self.begun + self.seconds


@dataclass(frozen=True)
class Wait:
    """A redundant merge that is put off; times in seconds since 1970, 0 for none pending."""

    branch: str
    due: float = 0.0
    repetitions: int = 0
    last: float = 0.0


@dataclass(frozen=True)
class Speed:
    """The speed of the link to a repository, as far as it was measured."""

    uuid: str
    bytes_per_second: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True)
class Cost:
    """The cost of a special remote, as git-annex told it."""

    uuid: str
    cost: float


@dataclass(frozen=True)
class Notice:
    """The time at which the user was told of a failure that persists."""

    phase: str
    remote: str
    at: float


@dataclass(frozen=True)
class RemoteState:
    """The state of a remote beyond its tracking refs.

    `addresses` is a digest of the push addresses that the tracking refs are of.
    """

    remote: str
    checked_out: str = ""  # the branch that it refused at the last push, because a work tree there has it open
    addresses: str | None = None
    unverified: bool = False  # what was pushed may have been undone by another's push
    looked_at: float | None = None  # when git-annex was last looked for there


@dataclass(frozen=True)
class Upkeep:
    """The commits of the refs that a piece of upkeep was last done for."""

    event: str
    commits: str


@dataclass(frozen=True)
class AnnexVersion:
    """The version of a git-annex program; `program` changes with the file."""

    program: str
    version: str


@dataclass(frozen=True)
class SignalCount:
    """The number of signals that were heard, by what was made of them."""

    verdict: str
    count: int


@dataclass(frozen=True)
class ChannelTrouble:
    """The reason why a channel of signals does not work."""

    channel: str
    reason: str


@dataclass(frozen=True)
class ArcClock:
    """The clock of an arc: see model.Clock."""

    source: str
    target: str
    own: bool
    since: float
    level: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Absence:
    """A key that a source said not to have, with the source's line in the location log."""

    key: str
    source: str
    line: str
    at: float
