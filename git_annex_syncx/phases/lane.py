"""One link at work: a git-annex process that is fed keys, small ones first, and what it answered."""

from __future__ import annotations

import functools
import heapq
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from git_annex_syncx.gateway import transport
from git_annex_syncx.gateway.batch import Answer, Batch, Pace, State, Way, copying, is_key
from git_annex_syncx.gateway.locations import file_name, key_size
from git_annex_syncx.model import Remote
from git_annex_syncx.phases.node import Node
from git_annex_syncx.phases.rates import Meter, differs
from git_annex_syncx.phases.routing import Leg

# What git-annex says when it cannot reach a remote at all: then it makes no sense to try all other files there.
UNREACHED = re.compile(r"unable to check |unable to connect|Lost connection|ssh: |not available|timed out")
MOST_UNREACHED = 2  # in a row
MOST_DEATHS = 3  # of its processes
TINY = 1_000_000  # bytes of a file whose progress nobody needs to see
GONE = "its content is not here any more"
VERIFYING = 5_000_000  # bytes a second at which a file is read again at least, when all of it has moved


@dataclass
class Flight:
    """A key on its way."""

    sent: float
    bytes: int = 0
    tries: int = 0


@dataclass
class Told:
    """What became of a key on a lane."""

    key: str
    state: State
    bytes: int = 0  # moved since the last word
    reason: str = ""


@dataclass(eq=False)
class Lane:
    """A link and the keys that are to travel on it. `heard` takes what its process says, in another thread."""

    node: Node
    leg: Leg
    way: Way
    remotes: tuple[Remote, ...]
    cost: float
    heard: Callable[[Lane, Batch, Answer | str], None]
    meter: Meter = field(default_factory=Meter)
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    carried: int = 0
    pace: Pace = field(default_factory=lambda: Pace(1))
    _waiting: list[tuple[int, str]] = field(default_factory=list)
    _flying: dict[str, Flight] = field(default_factory=dict)
    _tries: dict[str, int] = field(default_factory=dict)
    _nothings: int = 0
    _batch: Batch | None = None
    _leaving: set[Batch] = field(default_factory=set)
    _draining: bool = False
    _unreached: int = 0
    _deaths: int = 0
    _gave_up: str = ""
    _seen: float = 0.0
    _limited: bool = False

    @property
    def remote(self) -> Remote:
        """The remote at its far end."""
        return self.remotes[-1]

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do at present."""
        return not self._waiting and not self._flying

    @property
    def ended(self) -> bool:
        """Whether no process of it is left."""
        return self._batch is None and not self._leaving

    @property
    def sending(self) -> bool:
        """Whether it is at work, or will be at once."""
        return not self.idle and not self._gave_up

    @property
    def resumes(self) -> bool:
        """Whether a transfer that was ended goes on where it was."""
        return all(remote.url and remote.path is None and not remote.through_special for remote in self.remotes)

    def add(self, key: str) -> None:
        """One more key for it."""
        heapq.heappush(self._waiting, (key_size(key), key))

    def flying(self) -> Mapping[str, Flight]:
        """What is on its way."""
        return self._flying

    def feed(self, pace: Pace) -> list[str]:
        """Give the process what it can take; the keys given. Starts one where there is none."""
        given: list[str] = []
        if self._draining and not self._flying:
            self._let_go()
        room = pace.jobs * (1 if pace.limit else 2) + self._nothings - len(self._flying)
        while self._waiting and room > 0 and not self._draining and not self._gave_up:
            if self._batch is None:
                self._start(pace)
            _, key = heapq.heappop(self._waiting)
            room -= 1
            self._flying[key] = Flight(self._now(), tries=self._tries.get(key, 0))
            if self._batch and is_key(key):
                self._batch.say(key)
                given.append(key)
        return given

    def keep_pace(self, pace: Pace) -> None:
        """Start anew where the limit has changed: at once where transfers resume, else after those in hand."""
        if self._batch is None or not differs(self.pace.limit, pace.limit):
            return
        if not self.resumes:
            self._draining = True
            return
        self._end()
        for key in self._flying:
            self.add(key)
        self._flying.clear()

    def answered(self, answer: Answer) -> list[Told]:
        """Take an answer of the process in hand; what became of which keys."""
        self._now()
        flight = self._flying.get(answer.key)
        if answer.state is State.NOTHING:
            self._nothings += 1
        elif flight is None:
            return []
        elif answer.state is State.MOVING:
            moved, flight.bytes = answer.bytes - flight.bytes, answer.bytes
            self.meter.bytes += max(0, moved)
            return [Told(answer.key, State.MOVING, moved)]
        else:
            return [self._landed(answer, flight), *self._settled()]
        return self._settled()

    def gone(self, batch: Batch, reason: str) -> list[Told]:
        """A process has ended. What it was at is tried once more."""
        self._leaving.discard(batch)
        if batch is not self._batch:
            return []
        self._batch, self._nothings, flying = None, 0, dict(self._flying)
        self._flying.clear()
        if not flying:
            return []
        self._deaths += 1
        told = reason or "git-annex ended without an answer"
        if self._deaths >= MOST_DEATHS:
            return [*(self._lost(key, told) for key in flying), *self.give_up(told)]
        again = [key for key, flight in flying.items() if flight.tries < 1]
        for key in again:
            self._tries[key] = 1
            self.add(key)
        return [self._lost(key, told) for key in flying if key not in again]

    def stalled(self, patience: float) -> list[Told]:
        """End a process that makes no progress; a file that has moved as a whole is given time to be verified."""
        if not self._flying or self._batch is None or any(remote.path for remote in self.remotes):
            return []
        sizes = {key: key_size(key) for key in self._flying}
        moving = [key for key, flight in self._flying.items() if 0 < flight.bytes < sizes[key]]
        at_end = [sizes[key] for key, flight in self._flying.items() if flight.bytes >= sizes[key] > 0]
        if not moving and any(remote.special for remote in self.remotes):
            return []  # many special remotes tell of no progress
        patience += max(at_end, default=0) / VERIFYING
        if time.monotonic() - self._seen < patience:
            return []
        self._end()
        keys = list(self._flying)
        self._flying.clear()
        self._deaths += 1
        told = f"no progress for {patience:.0f} s, given up"
        lost = [self._lost(key, told) for key in keys]
        return lost + (self.give_up(told) if self._deaths >= MOST_DEATHS - 1 else [])

    def give_up(self, reason: str) -> list[Told]:
        """Try no more of what waits."""
        self._gave_up = reason
        keys = [key for _, key in self._waiting] + list(self._flying)
        self._waiting.clear()
        self._flying.clear()
        self._let_go()
        return [self._lost(key, reason) for key in keys]

    def close(self) -> None:
        """Nothing more will come: let the process end by itself."""
        self._let_go()

    def end(self) -> None:
        """End all its processes at once."""
        self._end()
        for batch in self._leaving:
            batch.end()

    def _start(self, pace: Pace) -> None:
        self.pace, self._nothings, self._draining = pace, 0, False
        self._limited = self._limited or pace.limit is not None
        env: dict[str, str] = {}
        for remote in self.remotes:
            env |= transport.annex_connection(self.node.repo, self.node.settings, remote)
        heard = functools.partial(self.heard, self)
        # Of small files git-annex would say more than it sends.
        words = copying(self.way, progress=any(size > TINY for size, _ in self._waiting))
        self._batch = Batch(self.node.repo, words, self.way.remotes, env, heard, heard, pace)

    def owns(self, batch: Batch) -> bool:
        """Whether a process is the one in hand."""
        return batch is self._batch

    def _let_go(self) -> None:
        if self._batch:
            self._batch.finish()
            self._leaving.add(self._batch)
        self._batch, self._draining, self._nothings = None, False, 0

    def _end(self) -> None:
        if self._batch:
            self._batch.end()
            self._leaving.add(self._batch)
        self._batch, self._draining, self._nothings = None, False, 0

    def _now(self) -> float:
        now = time.monotonic()
        if self._flying:
            self.meter.seconds += min(now - self._seen, 60.0)
        self._seen = now
        return now

    def _landed(self, answer: Answer, flight: Flight) -> Told:
        del self._flying[answer.key]
        if answer.state is State.DONE:
            size = key_size(answer.key)
            rest = max(0, size - flight.bytes)
            self.meter.bytes += rest
            self.meter.arrived(size, time.monotonic() - flight.sent)
            self.done, self._unreached = self.done + 1, 0
            return Told(answer.key, State.DONE, rest)
        if answer.state is State.CARRIED or self._taken(answer.key):
            self.carried += 1
            return Told(answer.key, State.CARRIED, -flight.bytes, answer.reason)
        self._unreached = self._unreached + 1 if UNREACHED.search(answer.reason) else 0
        return self._lost(answer.key, answer.reason, flight.bytes)

    def _taken(self, key: str) -> bool:
        """Whether another one brings the key there already."""
        name = file_name(key)
        return self.leg.operation == "push" and transport.is_receiving(self.node.repo, self.remote, name)

    def _settled(self) -> list[Told]:
        """What is to be said once an answer is in: keys for which there was nothing to do, and who is given up."""
        if self._unreached >= MOST_UNREACHED:
            return self.give_up(f"{self.remote.name} cannot be reached")
        if not self._flying or len(self._flying) > self._nothings or self._waiting:
            return []
        keys = list(self._flying)
        self._flying.clear()
        self._nothings = 0
        if self.leg.operation == "push" and not self.leg.through:
            return [self._lost(key, GONE) for key in keys]
        return [Told(key, State.NOTHING) for key in keys]  # it came here by another way

    def _lost(self, key: str, reason: str, moved: int = 0) -> Told:
        self.failed[key] = reason
        return Told(key, State.FAILED, -moved, reason)

    def limited(self) -> bool:
        """Whether its speed says something about the limit only."""
        return self._limited


def cheapest(remotes: Iterable[Remote], cost: Callable[[Remote], float]) -> list[Remote]:
    """The ways to one repository, the cheapest first."""
    return sorted(remotes, key=lambda remote: (cost(remote), remote.name))
