"""Outcomes on their way to the user: failures into the outbox, successes out of it, and the sum of a run."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator

from git_annex_syncx.model import Event, Outcome, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.state import OutboxError

log = logging.getLogger(__name__)

# The worst phase of a remote is what the summary counts.
GRAVITY = (
    Result.SKIPPED, Result.CURRENT, Result.DONE, Result.WAITS, Result.LEVEL, Result.BUSY, Result.AWAY, Result.FAILED,
)  # fmt: skip
SOON = 5.0  # seconds of the first back-off where others were only faster
SUCCEEDED = (Result.DONE, Result.CURRENT, Result.WAITS, Result.LEVEL)


def recorded(context: Context, events: Iterable[Event]) -> Iterator[Event]:
    """Pass outcomes on and keep what must outlive the run: a failure at once, successes together at the end.

    An outbox that cannot be written stops nothing.
    """
    succeeded: dict[tuple[str, str], float] = {}
    failed: set[tuple[str, str]] = set()
    try:
        for outcome in events:
            if not isinstance(outcome, Outcome):
                yield outcome
                continue
            what = (outcome.remote, outcome.event)
            if outcome.result is Result.FAILED:
                succeeded.pop(what, None)
                if what not in failed:  # a run is one try
                    with _tolerant(context):
                        context.outbox.record_failure(
                            *what, outcome.reason, SOON if outcome.details.get("soon") else None
                        )
                failed.add(what)
            elif outcome.result in SUCCEEDED:
                succeeded[what] = time.time()
            yield outcome
    finally:
        # Where a phase came as far as a remote, nothing of our own stands in its way any more.
        own = {("", event) for _, event in succeeded if ("", event) not in failed}
        with _tolerant(context):
            context.outbox.record_successes(succeeded, own)
            context.outbox.forget_others(context.can_fail)


@contextlib.contextmanager
def _tolerant(context: Context) -> Iterator[None]:
    try:
        yield
    except OutboxError as error:
        log.warning("%s; what failed is not remembered", error.what)


class Tally:
    """Counts remotes by the worst of their phases, the last outcome of each phase being what holds."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self._last: dict[tuple[str, str], Result] = {}

    def add(self, outcome: Outcome) -> None:
        """Take one outcome into account."""
        self._last[outcome.remote, outcome.event] = outcome.result

    def failed(self) -> bool:
        """Return whether anything failed, the own repository included."""
        return Result.FAILED in self._last.values()

    def counts(self) -> dict[str, int]:
        """Result -> number of remotes; all results are named. The own repository counts where it failed."""
        worst: dict[str, Result] = {}
        for (remote, _), result in self._last.items():
            if remote or result is Result.FAILED:
                worst[remote] = max(worst.get(remote, result), result, key=GRAVITY.index)
        found = Counter(worst.values())
        return {result.value: found[result] for result in Result}
