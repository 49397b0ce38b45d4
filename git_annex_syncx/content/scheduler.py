"""All links at work at once: each key travels on as soon as it has arrived, until nothing is on its way."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from git_annex_syncx.annex.batch import Answer, Batch, Pace, State
from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content.link_worker import Lane, Told
from git_annex_syncx.content.rates import rate_at
from git_annex_syncx.content.steps import Leg
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.model import Event, Outcome, Progress, Timetable
from git_annex_syncx.runs.context import Node
from git_annex_syncx.runs.parallel import BUG, failure
from git_annex_syncx.system import run

TICK = 0.2  # seconds
PROGRESS_EVERY = 0.5  # seconds, for a link
TELL_EVERY = 30.0  # seconds between two commits and pushes of what has moved
SPEED_OVER = 10.0  # seconds
ENDING = 60.0  # seconds for git-annex to write down what it did
NAMES = {State.DONE: "done", State.FAILED: "failed", State.CARRIED: "skipped", State.NOTHING: "skipped"}


@dataclass(frozen=True)
class Work:
    """What is to be done: key -> its legs in order, the lane of each leg, who holds a key, how its file is called."""

    legs: Mapping[str, tuple[Leg, ...]]
    lanes: Mapping[Leg, Lane]
    holders: Mapping[str, frozenset[str]]
    files: Mapping[str, str]
    total: Timetable  # the limit of all together


class Traffic:
    """One run. What moves is told every half minute by `tell`, which may take its time in a thread of its own."""

    def __init__(self, node: Node, work: Work, tell: Callable[[], list[Outcome]]) -> None:
        """Nothing moves yet."""
        self._node, self._work, self._tell = node, work, tell
        self._said: queue.Queue[tuple[Lane, Batch, Answer | str]] = queue.Queue()
        self._size = sum(key_size(key) for key in work.legs)
        self._moved, self._arrived = 0.0, 0
        self._speeds: deque[tuple[float, float]] = deque()
        self._shown: dict[Leg, float] = {}
        self._left = {key: len(legs) for key, legs in work.legs.items()}
        self._news = False  # whether anything came through since it was last told
        for lane in self.lanes:
            lane.heard = lambda lane, batch, said: self._said.put((lane, batch, said))

    @property
    def lanes(self) -> list[Lane]:
        """All links, the cheapest first."""
        return sorted(set(self._work.lanes.values()), key=lambda lane: (lane.cost, lane.leg))

    def run(self) -> Iterator[Event]:
        """Move everything."""
        teller = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tell")
        try:
            yield from self._run(teller)
        except BaseException:  # Ctrl-C, or nobody listens any more
            teller.shutdown(wait=False, cancel_futures=True)
            run.end_all()
            raise
        finally:
            for lane in self.lanes:
                lane.end()
        teller.shutdown()

    def _run(self, teller: ThreadPoolExecutor) -> Iterator[Event]:
        for key, legs in self._work.legs.items():
            yield from self._depart(key, legs, self._work.holders[key])
        told, telling = time.monotonic(), None
        yield from self._feed()
        while any(not lane.idle for lane in self.lanes):
            yield from self._hear()
            yield from self._tend()
            yield from self._feed()
            if telling is None and time.monotonic() - told > TELL_EVERY and self._news:
                telling, self._news = teller.submit(self._tell), False
            if telling and telling.done():
                yield from _outcomes(telling)
                told, telling = time.monotonic(), None
        yield from self._wind_up()
        if telling:
            yield from _outcomes(telling)

    def _depart(self, key: str, legs: tuple[Leg, ...], at: frozenset[str]) -> Iterator[Event]:
        for leg in legs:
            if leg.source in at:
                lane = self._work.lanes[leg]
                yield from self._became(lane, lane.add(key))

    def _feed(self) -> Iterator[Event]:
        for lane in self.lanes:
            jobs = self._node.settings.transfer_jobs
            if self._limit(lane, jobs):  # a lone transfer is to have all that is allowed
                jobs = max(1, min(jobs, lane.left))
            for key in lane.feed(Pace(jobs, self._limit(lane, jobs))):
                yield self._progress(lane, key, "start")

    def _limit(self, lane: Lane, jobs: int) -> int | None:
        """Of each of so many transfers at once on a link: its share of the whole, and of its remotes' own limits."""
        now = time.localtime()
        minute = now.tm_hour * 60 + now.tm_min
        busy = [other for other in self.lanes if other.sending]
        total = rate_at(self._work.total, minute)
        limits = [total / max(1, len(busy))] if total else []
        for remote in lane.remotes:
            sharing = max(1, sum(remote in other.remotes for other in busy))
            limits += [own / sharing] if (own := rate_at(remote.bwlimit, minute)) else []
        return max(1, int(min(limits) / jobs)) if limits else None

    def _hear(self) -> Iterator[Event]:
        """What the processes say, at once where there is something."""
        try:
            lane, batch, said = self._said.get(timeout=TICK)
        except queue.Empty:
            return
        while True:
            if isinstance(said, str):
                yield from self._became(lane, lane.gone(batch, said))
            elif lane.owns(batch):
                yield from self._became(lane, lane.answered(said))
            try:
                lane, batch, said = self._said.get_nowait()
            except queue.Empty:
                return

    def _tend(self) -> Iterator[Event]:
        """Speed limits that change, connections that hang, drives that go."""
        for lane in self.lanes:
            if not lane.idle:
                jobs = max(1, min(lane.pace.jobs, lane.left))  # the last one has all that is allowed
                yield from self._became(lane, lane.keep_pace(self._limit(lane, jobs)))
                yield from self._became(lane, lane.stalled(self._node.settings.stall_timeout))
                yield from self._became(lane, lane.unplugged())

    def _became(self, lane: Lane, all_told: list[Told]) -> Iterator[Event]:
        for told in all_told:
            self._moved += told.bytes / max(1, len(self._work.legs[told.key]))
            if told.state is State.MOVING:
                now = time.monotonic()
                if now - self._shown.get(lane.leg, 0.0) >= PROGRESS_EVERY:
                    self._shown[lane.leg] = now
                    yield self._progress(lane, told.key, "progress")
                continue
            if told.state in (State.DONE, State.NOTHING):
                self._news = self._news or told.state is State.DONE
                onward = tuple(leg for leg in self._work.legs[told.key] if leg.source == lane.leg.target)
                yield from self._depart(told.key, onward, frozenset([lane.leg.target]))
            self._left[told.key] -= 1
            self._arrived += not self._left[told.key]
            yield replace(self._progress(lane, told.key, NAMES[told.state]), reason=told.reason)

    def _progress(self, lane: Lane, key: str, state: str) -> Progress:
        size, flight, speed = key_size(key), lane.flying().get(key), self._speed()
        return Progress(
            state, lane.remote.name, lane.leg.operation, key, self._work.files.get(key, key),
            bytes=flight.bytes if flight else size * (state == "done"), size=size, run_bytes=round(self._moved),
            run_size=self._size, run_files=len(self._left), run_done=self._arrived, speed=speed,
            seconds_left=max(0.0, self._size - self._moved) / speed if speed else None,
        )  # fmt: skip

    def _speed(self) -> float | None:
        now = time.monotonic()
        self._speeds.append((now, self._moved))
        while self._speeds[0][0] < now - SPEED_OVER and len(self._speeds) > 2:
            self._speeds.popleft()
        begun, before = self._speeds[0]
        return (
            (self._moved - before) / (now - begun) if now - begun > PROGRESS_EVERY and self._moved > before else None
        )

    def _wind_up(self) -> Iterator[Event]:
        """Let the processes write down what they did."""
        for lane in self.lanes:
            lane.close()
        deadline = time.monotonic() + ENDING
        while not all(lane.ended for lane in self.lanes) and time.monotonic() < deadline:
            yield from self._hear()


def _outcomes(telling: Future[list[Outcome]]) -> list[Outcome]:
    try:
        return telling.result()
    except Exception as error:
        return [failure("push", error if isinstance(error, SyncxError) else SyncxError(f"{error}", BUG))]
