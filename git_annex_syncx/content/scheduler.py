"""Run all links at once: each key travels on as soon as it has arrived, until nothing is on its way."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from git_annex_syncx.annex.batch import Answer, AnswerState, Batch, Pace
from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content.link_worker import LinkWorker
from git_annex_syncx.content.progress import RunProgress
from git_annex_syncx.content.rates import rate_at
from git_annex_syncx.content.steps import OwnStep
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.model import Event, Outcome, Progress, Timetable, Transferred
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import BUG, failure
from git_annex_syncx.system import processes
from git_annex_syncx.system.clock import awake

TICK = 0.2  # seconds
PROGRESS_EVERY = 0.5  # seconds, for a file
SILENCE = 2.0  # seconds after which a file that does not move, or a link that waits, is told of
TELL_EVERY = 30.0  # seconds between two commits and pushes of what has moved
ENDING = 60.0  # seconds for git-annex to write down what it did
NAMES = {
    AnswerState.MOVING: "progress",
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
    """The run of an assignment. `tell` tells others what has moved, in a thread of its own, every half minute."""

    def __init__(self, context: Context, work: Assignment, tell: Callable[[], list[Outcome]]) -> None:
        """Nothing moves yet."""
        self.workers = sorted(set(work.workers.values()), key=lambda worker: (worker.cost, worker.step))
        self._context, self._work, self._tell = context, work, tell
        self._said: queue.Queue[tuple[LinkWorker, Batch, Answer | str]] = queue.Queue()
        speeds = {worker.step: self._known_speed(worker) for worker in self.workers}
        self._progress = RunProgress(work.own_steps, work.holders, speeds, key_size)
        self._shown: dict[tuple[OwnStep, str], float] = {}  # when a file on its way was told of
        self._news = False  # whether anything came through since it was last told
        for worker in self.workers:
            worker.heard = lambda worker, batch, said: self._said.put((worker, batch, said))

    def run(self) -> Iterator[Event]:
        """Move everything."""
        notifier = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tell")
        try:
            yield from self._run(notifier)
        except BaseException:  # Ctrl-C, or nobody listens any more
            notifier.shutdown(wait=False, cancel_futures=True)
            processes.end_all()
            raise
        finally:
            for worker in self.workers:
                worker.end()
        notifier.shutdown()

    def _run(self, notifier: ThreadPoolExecutor) -> Iterator[Event]:
        for key, own_steps in self._work.own_steps.items():
            self._depart(key, (step for step in own_steps if step.source in self._work.holders[key]))
        told, telling = time.monotonic(), None
        yield from self._feed()
        while any(worker.left for worker in self.workers):
            self._hear()
            self._tend()
            yield from self._events()
            yield from self._feed()
            yield from self._silent()
            if telling is None and time.monotonic() - told > TELL_EVERY and self._news:
                telling, self._news = notifier.submit(self._tell), False
            if telling and telling.done():
                yield from _outcomes(telling)
                told, telling = time.monotonic(), None
        yield from self._events()
        self._wind_up()
        if telling:
            yield from _outcomes(telling)

    def _depart(self, key: str, own_steps: Iterable[OwnStep]) -> None:
        for step in own_steps:
            self._work.workers[step].add(key)

    def _feed(self) -> Iterator[Event]:
        for worker in self.workers:
            jobs = self._context.settings.transfer_jobs
            if limit := self._limit(worker, 1):
                jobs = worker.sharing(jobs, limit)
            for key in worker.feed(Pace(jobs, self._limit(worker, jobs))):
                self._progress.links[worker.step].started(key, awake())
                yield self._told(worker, key, "start")

    def _limit(self, worker: LinkWorker, jobs: int) -> int | None:
        """Return the limit of each of so many transfers at once on a link.

        It is the share of the whole, and of the own limits of its remotes.
        """
        now = time.localtime()
        minute = now.tm_hour * 60 + now.tm_min
        busy = [other for other in self.workers if other.left]
        total = rate_at(self._work.total, minute)
        limits = [total / max(1, len(busy))] if total else []
        for remote in worker.remotes:
            sharing = max(1, sum(remote in other.remotes for other in busy))
            limits += [own / sharing] if (own := rate_at(remote.bwlimit, minute)) else []
        return max(1, int(min(limits) / jobs)) if limits else None

    def _hear(self) -> None:
        """Take what the processes say; wait a moment where they say nothing."""
        timeout = TICK
        while True:
            try:
                worker, batch, said = self._said.get(timeout > 0, timeout)
            except queue.Empty:
                return
            worker.hear(batch, said)
            timeout = 0.0

    def _tend(self) -> None:
        """Look after speed limits that change, connections that hang and drives that go."""
        for worker in self.workers:
            if worker.left:
                # The last one has all that is allowed.
                worker.keep_pace(self._limit(worker, max(1, min(worker.jobs, worker.left))))
                worker.check_progress(self._context.settings.stall_timeout)
                worker.check_present()

    def _events(self) -> Iterator[Event]:
        """Yield what has become of keys, and send on what has arrived."""
        for worker in self.workers:
            while told := worker.events():
                for answer in told:
                    yield from self._became(worker, answer)

    def _became(self, worker: LinkWorker, told: Answer) -> Iterator[Event]:
        step, key, now = worker.step, told.key, awake()
        if told.state is AnswerState.MOVING:
            self._progress.links[step].moved(key, told.bytes, now)
            if now - self._shown.get((step, key), 0.0) >= PROGRESS_EVERY:
                yield self._told(worker, key, "progress")
            return
        if told.state is AnswerState.DONE:
            self._news = True
            self._depart(key, self._progress.done(step, key, now))
        elif told.state is AnswerState.NOTHING:
            self._depart(key, self._progress.was_there(step, key, now))
        else:
            self._progress.lost(step, key, now)
        yield self._told(worker, key, NAMES[told.state], told.reason)

    def _silent(self) -> Iterator[Event]:
        """Yield, now and then, what does not move, and which links wait for others."""
        now = awake()
        for worker in self.workers:
            link = self._progress.links[worker.step]
            waits = [next(iter(link.waiting))] if link.waiting and not link.moving else []
            for key in waits or [key for key, file in link.moving.items() if file.bytes]:
                if now - self._shown.get((worker.step, key), 0.0) >= SILENCE:
                    yield self._told(worker, key, "waits" if waits else "progress")

    def _told(self, worker: LinkWorker, key: str, state: str, reason: str = "") -> Progress:
        step, now, size = worker.step, awake(), key_size(key)
        link = self._progress.links[step]
        own = link.file(key, size, now) if state != "done" else Transferred(size, size, eta=0.0)
        self._shown[step, key] = now if state in ("progress", "waits") else 0.0
        return Progress(
            state, worker.remote.name, step.operation, key, self._work.files.get(key, key), own,
            self._progress.link(step, now), self._progress.run(now), reason,
        )  # fmt: skip

    def _known_speed(self, worker: LinkWorker) -> float | None:
        """Return bytes a second, as measured by former runs and as limited now."""
        known = None
        with contextlib.suppress(SyncxError):
            known = self._context.state.speeds.get(worker.remote.uuid) if len(worker.remotes) == 1 else None
        found = [known.bytes_per_second if known else None, self._limit(worker, 1)]
        return min(filter(None, found), default=None)

    def _wind_up(self) -> None:
        """Let the processes write down what they did."""
        for worker in self.workers:
            worker.finish()
        deadline = time.monotonic() + ENDING
        while not all(worker.ended for worker in self.workers) and time.monotonic() < deadline:
            self._hear()


def _outcomes(telling: Future[list[Outcome]]) -> list[Outcome]:
    try:
        return telling.result()
    except Exception as error:
        return [failure("push", error if isinstance(error, SyncxError) else SyncxError(f"{error}", BUG))]
