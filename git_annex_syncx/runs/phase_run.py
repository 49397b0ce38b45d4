"""One phase run, for the command line or the worker: failures are recorded, the user's programs told of changes."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from git_annex_syncx.model import Event, Outcome, Progress, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.notifications import Notifier, announced
from git_annex_syncx.system.records import Running
from git_annex_syncx.system.run import interactive
from git_annex_syncx.system.state import State, StateError

if TYPE_CHECKING:
    from git_annex_syncx.runs.ping import Ended

log = logging.getLogger(__name__)

# The worst phase of a remote is what the summary counts.
GRAVITY = (
    Result.SKIPPED, Result.CURRENT, Result.DONE, Result.WAITS, Result.LEVEL, Result.BUSY, Result.AWAY, Result.FAILED,
)  # fmt: skip
SOON = 5.0  # seconds of the first back-off where others were only faster
CONTACT = "contact"  # in place of a phase: a remote has answered
PUBLISHED_EVERY, STALE = 10.0, 600.0  # seconds between two words on how far a run is; of a run that says no more
SUCCEEDED = (Result.DONE, Result.CURRENT, Result.WAITS, Result.LEVEL)


def run_phase(
    context: Context, events: Iterable[Event], show: Callable[[Event], None], notifier: Notifier | None = None
) -> list[Outcome]:
    """Run a phase, which yields `events`, and return its outcomes.

    `show` gets each event after it was recorded. A `notifier` that outlives the run is not waited for.
    """
    outcomes = []
    with _pinged(context) as result:
        for event in announced(context, recorded(context, events), notifier):
            show(event)
            if isinstance(event, Outcome):
                outcomes.append(event)
        if result:
            result.failed = Tally(outcomes).failed()
    return outcomes


def _pinged(context: Context) -> contextlib.AbstractContextManager[Ended | None]:
    """Tell the user's dead man's switch of a run by itself; else nothing for it is loaded."""
    if not context.settings.ping or interactive():
        return contextlib.nullcontext()
    from git_annex_syncx.runs.ping import pinged

    return pinged(context.settings.ping)


def recorded(context: Context, events: Iterable[Event]) -> Iterator[Event]:
    """Pass events on; record a failure in the outbox at once, successes together at the end.

    An outbox that cannot be written stops nothing.
    """
    succeeded: dict[tuple[str, str], float] = {}
    failed: set[tuple[str, str]] = set()
    published = 0.0
    try:
        for event in events:
            if isinstance(event, Progress):
                published = _publish(context.state, event, published)
            else:
                work = (event.remote, event.event)
                if event.result is Result.FAILED:
                    succeeded.pop(work, None)
                    if work not in failed:  # a run is one try
                        _record_failure(context, event)
                    failed.add(work)
                elif event.result in SUCCEEDED:
                    succeeded[work] = time.time()
                    if event.remote and (event.result is Result.DONE or event.event == "fetch"):
                        succeeded[event.remote, CONTACT] = time.time()
            yield event
    finally:
        if published:
            with _tolerant():
                context.state.running.remove(os.getpid())
        # Where a phase came as far as a remote, nothing of our own stands in its way any more.
        own = {("", phase) for _, phase in succeeded if ("", phase) not in failed}
        with _tolerant():
            context.state.record_successes(succeeded, own)
            context.state.forget_others(context.can_fail)


def running(state: State) -> tuple[Running, ...]:
    """Return the runs that move content now."""
    now = time.time()
    return tuple(one for one in state.running.all() if 0 <= now - one.updated < STALE and _is_alive(one.pid))


def _publish(state: State, event: Progress, published: float) -> float:
    """Tell other processes how far this one is, a few times a minute; return when that was done last, 0 for never."""
    now = time.time()
    if 0 <= now - published < PUBLISHED_EVERY:
        return published
    told = event.run
    with _tolerant():
        known = state.running.get(os.getpid())
        begun = known.begun if known and published else now
        state.running.put(Running(os.getpid(), begun, now, told.files, told.done, told.bytes, told.total, told.eta))
    return now


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's
        return True
    except OSError:
        return False
    return True


def _record_failure(context: Context, outcome: Outcome) -> None:
    with _tolerant():
        interval = SOON if outcome.details.get("soon") else None
        context.state.record_failure(outcome.remote, outcome.event, outcome.reason, interval)


@contextlib.contextmanager
def _tolerant() -> Iterator[None]:
    try:
        yield
    except StateError as error:
        log.warning("%s; what failed is not remembered", error.what)


class Tally:
    """Counts remotes by the worst of their phases; of each phase the last outcome holds."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        """Count the outcomes of a run."""
        self._last = {(outcome.remote, outcome.event): outcome.result for outcome in outcomes}

    def failed(self) -> bool:
        """Return whether anything failed, the own repository included."""
        return Result.FAILED in self._last.values()

    def counts(self) -> dict[str, int]:
        """Return result -> number of remotes; all results are named. The own repository counts where it failed."""
        worst: dict[str, Result] = {}
        for (remote, _), result in self._last.items():
            if remote or result is Result.FAILED:
                worst[remote] = max(worst.get(remote, result), result, key=GRAVITY.index)
        found = Counter(worst.values())
        return {result.value: found[result] for result in Result}
