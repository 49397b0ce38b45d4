"""Records of the state that outlives a run, each a row of a table.

Named tuples: frozen dataclasses take ten times as long to define, which every start would pay.
"""

import math
from typing import NamedTuple


class Failure(NamedTuple):
    """A failure that waits to be tried again; times in seconds since 1970."""

    remote: str
    phase: str
    first: float
    last: float
    error: str
    tries: int
    next: float

    @property
    def times(self) -> str:
        """Return in words how often it was tried."""
        return "once" if self.tries == 1 else f"{self.tries} times"


class Success(NamedTuple):
    """The time at which a phase last came through with a remote."""

    remote: str
    phase: str
    last: float


class Pause(NamedTuple):
    """A pause of automatic work with a remote (empty: with all), begun at, for so many seconds."""

    remote: str
    begun: float
    seconds: float = math.inf

    @property
    def until(self) -> float:
        """Return when it ends, in seconds since 1970."""
        return self.begun + self.seconds

    @property
    def end(self) -> float | None:
        """Return when it ends by itself, in seconds since 1970."""
        return None if self.until == math.inf else self.until


class Wait(NamedTuple):
    """A redundant merge that is put off; times in seconds since 1970, 0 for none pending."""

    branch: str
    due: float = 0.0
    repetitions: int = 0
    last: float = 0.0


class Speed(NamedTuple):
    """The speed of the link to a repository, as far as it was measured."""

    uuid: str
    bytes_per_second: float | None = None
    latency_ms: float | None = None


class Cost(NamedTuple):
    """The cost of a special remote, as git-annex told it."""

    uuid: str
    cost: float


class Unmet(NamedTuple):
    """A condition of syncx.contentIf that held content back: why, since when, and when it was last asked."""

    condition: str
    reason: str
    since: float
    asked: float = 0.0


class Notice(NamedTuple):
    """The time at which the user was told of a failure that persists."""

    phase: str
    remote: str
    at: float


class RemoteState(NamedTuple):
    """The state of a remote beyond its tracking refs.

    `addresses` is a digest of the push addresses that the tracking refs are of.
    """

    remote: str
    checked_out: str = ""  # the branch that it refused at the last push, because a work tree there has it open
    addresses: str | None = None
    unverified: bool = False  # what was pushed may have been undone by another's push
    looked_at: float | None = None  # when git-annex was last looked for there


class Upkeep(NamedTuple):
    """The commits of the refs that a piece of upkeep was last done for."""

    event: str
    commits: str


class AnnexVersion(NamedTuple):
    """The version of a git-annex program; `program` changes with the file."""

    program: str
    version: str


class SignalCount(NamedTuple):
    """The number of signals that were heard, by what was made of them."""

    verdict: str
    number: int


class ChannelTrouble(NamedTuple):
    """The reason why a channel of signals does not work."""

    channel: str
    reason: str


class Running(NamedTuple):
    """A run that moves content, as it told last: of how many files and bytes how many are there.

    `eta` is in seconds from `updated`, None where nothing can be said yet.
    """

    pid: int
    begun: float
    updated: float
    files: int
    done: int
    bytes: int
    total: int
    eta: float | None = None

    @property
    def percent(self) -> int:
        """Return how much of it is done."""
        return min(100, 100 * self.bytes // self.total) if self.total else 0


class ArcClock(NamedTuple):
    """The clock of an arc: see model.Clock."""

    source: str
    target: str
    own: bool
    since: float
    level: int
    keys: tuple[str, ...]


class Absence(NamedTuple):
    """A key that a source said not to have, with the source's line in the location log."""

    key: str
    source: str
    line: str
    at: float
