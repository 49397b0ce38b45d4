"""All links at work at once: each key travels on as soon as it has arrived, until nothing is on its way."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from git_annex_syncx.annex.batch import Answer, AnswerState, Batch, Pace
from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content.link_worker import Ended, LinkWorker
from git_annex_syncx.content.rates import rate_at
from git_annex_syncx.content.steps import OwnStep
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.model import Event, Outcome, Progress, Timetable
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import BUG, failure
from git_annex_syncx.system import run

TICK = 0.2  # seconds
PROGRESS_EVERY = 0.5  # seconds, for a link
TELL_EVERY = 30.0  # seconds between two commits and pushes of what has moved
SPEED_OVER = 10.0  # seconds
ENDING = 60.0  # seconds for git-annex to write down what it did
NAMES = {
    AnswerState.DONE: "done",
    AnswerState.FAILED: "failed",
    AnswerState.CARRIED: "skipped",
    AnswerState.NOTHING: "skipped",
}


@dataclass(frozen=True)
class Assignment:
    """The steps to make: key -> its own steps in order, the worker of each step, who holds a key, its file's name."""

    own_steps: Mapping[str, tuple[OwnStep, ...]]
    workers: Mapping[OwnStep, LinkWorker]
    holders: Mapping[str, frozenset[str]]
    files: Mapping[str, str]
    total: Timetable  # the limit of all together


class Scheduler:
    """One run. What moves is told every half minute by `tell`, which may take its time in a thread of its own."""

    def __init__(self, context: Context, work: Assignment, tell: Callable[[], list[Outcome]]) -> None:
        """Nothing moves yet."""
        self._node, self._work, self._tell = context, work, tell
        self._said: queue.Queue[tuple[LinkWorker, Batch, Answer | str]] = queue.Queue()
        self._size = sum(key_size(key) for key in work.own_steps)
        self._moved, self._arrived = 0.0, 0
        self._speeds: deque[tuple[float, float]] = deque()
        self._shown: dict[OwnStep, float] = {}
        self._left = {key: len(own_steps) for key, own_steps in work.own_steps.items()}
        self._news = False  # whether anything came through since it was last told
        for worker in self.workers:
            worker.heard = lambda worker, batch, said: self._said.put((worker, batch, said))

    @property
    def workers(self) -> list[LinkWorker]:
        """All links, the cheapest first."""
        return sorted(set(self._work.workers.values()), key=lambda worker: (worker.cost, worker.step))

    def run(self) -> Iterator[Event]:
        """Move everything."""
        notifier = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tell")
        try:
            yield from self._run(notifier)
        except BaseException:  # Ctrl-C, or nobody listens any more
            notifier.shutdown(wait=False, cancel_futures=True)
            run.end_all()
            raise
        finally:
            for worker in self.workers:
                worker.end()
        notifier.shutdown()

    def _run(self, notifier: ThreadPoolExecutor) -> Iterator[Event]:
        for key, own_steps in self._work.own_steps.items():
            yield from self._depart(key, own_steps, self._work.holders[key])
        told, telling = time.monotonic(), None
        yield from self._feed()
        while any(not worker.idle for worker in self.workers):
            yield from self._hear()
            yield from self._tend()
            yield from self._feed()
            if telling is None and time.monotonic() - told > TELL_EVERY and self._news:
                telling, self._news = notifier.submit(self._tell), False
            if telling and telling.done():
                yield from _outcomes(telling)
                told, telling = time.monotonic(), None
        yield from self._wind_up()
        if telling:
            yield from _outcomes(telling)

    def _depart(self, key: str, own_steps: tuple[OwnStep, ...], at: frozenset[str]) -> Iterator[Event]:
        for step in own_steps:
            if step.source in at:
                worker = self._work.workers[step]
                yield from self._became(worker, worker.add(key))

    def _feed(self) -> Iterator[Event]:
        for worker in self.workers:
            jobs = self._node.settings.transfer_jobs
            if self._limit(worker, jobs):  # a lone transfer is to have all that is allowed
                jobs = max(1, min(jobs, worker.left))
            for key in worker.feed(Pace(jobs, self._limit(worker, jobs))):
                yield self._progress(worker, key, "start")

    def _limit(self, worker: LinkWorker, jobs: int) -> int | None:
        """Of each of so many transfers at once on a link: its share of the whole, and of its remotes' own limits."""
        now = time.localtime()
        minute = now.tm_hour * 60 + now.tm_min
        busy = [other for other in self.workers if other.sending]
        total = rate_at(self._work.total, minute)
        limits = [total / max(1, len(busy))] if total else []
        for remote in worker.remotes:
            sharing = max(1, sum(remote in other.remotes for other in busy))
            limits += [own / sharing] if (own := rate_at(remote.bwlimit, minute)) else []
        return max(1, int(min(limits) / jobs)) if limits else None

    def _hear(self) -> Iterator[Event]:
        """Yield what the processes say, at once where there is something."""
        try:
            worker, batch, said = self._said.get(timeout=TICK)
        except queue.Empty:
            return
        while True:
            if isinstance(said, str):
                yield from self._became(worker, worker.gone(batch, said))
            elif worker.owns(batch):
                yield from self._became(worker, worker.answered(said))
            try:
                worker, batch, said = self._said.get_nowait()
            except queue.Empty:
                return

    def _tend(self) -> Iterator[Event]:
        """Speed limits that change, connections that hang, drives that go."""
        for worker in self.workers:
            if not worker.idle:
                jobs = max(1, min(worker.pace.jobs, worker.left))  # the last one has all that is allowed
                yield from self._became(worker, worker.keep_pace(self._limit(worker, jobs)))
                yield from self._became(worker, worker.stalled(self._node.settings.stall_timeout))
                yield from self._became(worker, worker.unplugged())

    def _became(self, worker: LinkWorker, all_told: list[Ended]) -> Iterator[Event]:
        for told in all_told:
            self._moved += told.bytes / max(1, len(self._work.own_steps[told.key]))
            if told.state is AnswerState.MOVING:
                now = time.monotonic()
                if now - self._shown.get(worker.step, 0.0) >= PROGRESS_EVERY:
                    self._shown[worker.step] = now
                    yield self._progress(worker, told.key, "progress")
                continue
            if told.state in (AnswerState.DONE, AnswerState.NOTHING):
                self._news = self._news or told.state is AnswerState.DONE
                onward = tuple(step for step in self._work.own_steps[told.key] if step.source == worker.step.target)
                yield from self._depart(told.key, onward, frozenset([worker.step.target]))
            self._left[told.key] -= 1
            self._arrived += not self._left[told.key]
            yield replace(self._progress(worker, told.key, NAMES[told.state]), reason=told.reason)

    def _progress(self, worker: LinkWorker, key: str, state: str) -> Progress:
        size, transfer, speed = key_size(key), worker.in_motion().get(key), self._speed()
        return Progress(
            state, worker.remote.name, worker.step.operation, key, self._work.files.get(key, key),
            bytes=transfer.bytes if transfer else size * (state == "done"), size=size, run_bytes=round(self._moved),
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
        for worker in self.workers:
            worker.close()
        deadline = time.monotonic() + ENDING
        while not all(worker.ended for worker in self.workers) and time.monotonic() < deadline:
            yield from self._hear()


def _outcomes(telling: Future[list[Outcome]]) -> list[Outcome]:
    try:
        return telling.result()
    except Exception as error:
        return [failure("push", error if isinstance(error, SyncxError) else SyncxError(f"{error}", BUG))]
