"""One phase run, for the command line or the worker: failures are recorded, the user's programs told of changes."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from git_annex_syncx.model import Event, Outcome, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.notifications import Notifier, announced
from git_annex_syncx.system.state import StateError

log = logging.getLogger(__name__)

# The worst phase of a remote is what the summary counts.
GRAVITY = (
    Result.SKIPPED, Result.CURRENT, Result.DONE, Result.WAITS, Result.LEVEL, Result.BUSY, Result.AWAY, Result.FAILED,
)  # fmt: skip
SOON = 5.0  # seconds of the first back-off where others were only faster
SUCCEEDED = (Result.DONE, Result.CURRENT, Result.WAITS, Result.LEVEL)


def run_phase(
    context: Context, events: Iterable[Event], show: Callable[[Event], None], notifier: Notifier | None = None
) -> list[Outcome]:
    """Run a phase, which yields `events`, and return its outcomes.

    `show` gets each event after it was recorded. A `notifier` that outlives the run is not waited for.
    """
    outcomes = []
    for event in announced(context, recorded(context, events), notifier):
        show(event)
        if isinstance(event, Outcome):
            outcomes.append(event)
    return outcomes


def recorded(context: Context, events: Iterable[Event]) -> Iterator[Event]:
    """Pass events on; record a failure in the outbox at once, successes together at the end.

    An outbox that cannot be written stops nothing.
    """
    succeeded: dict[tuple[str, str], float] = {}
    failed: set[tuple[str, str]] = set()
    try:
        for event in events:
            if isinstance(event, Outcome):
                work = (event.remote, event.event)
                if event.result is Result.FAILED:
                    succeeded.pop(work, None)
                    if work not in failed:  # a run is one try
                        _record_failure(context, event)
                    failed.add(work)
                elif event.result in SUCCEEDED:
                    succeeded[work] = time.time()
            yield event
    finally:
        # Where a phase came as far as a remote, nothing of our own stands in its way any more.
        own = {("", phase) for _, phase in succeeded if ("", phase) not in failed}
        with _tolerant():
            context.state.record_successes(succeeded, own)
            context.state.forget_others(context.can_fail)


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
