"""Redundant merges are put off by a random time, so that nodes that merge at once come to rest."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator

from git_annex_syncx.git import git
from git_annex_syncx.model import Event, Outcome, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system import run
from git_annex_syncx.system.records import Wait
from git_annex_syncx.system.state import StateError

MOST_DOUBLINGS = 6
SHORTEST_WAIT = 0.05  # seconds
LONGEST_STAY = 60.0  # seconds that a run waits by itself; later merges are the next run's


def put_off(context: Context, branch: str) -> float | None:
    """Return the time until which a redundant merge waits; None: make it now.

    A person at a terminal does not wait. The random wait is up to syncx.settleTime, doubled at each repetition.
    """
    longest = context.settings.settle_time
    if run.interactive() or not longest:
        return None
    wait, now = pending(context, branch), time.time()
    if now - wait.last > longest * 2**MOST_DOUBLINGS:
        wait = Wait(branch, wait.due)  # the last one is long ago: another story
    if not wait.due or wait.due > now + longest * 2**MOST_DOUBLINGS:  # none yet, or the clock was set back
        due = now + random.uniform(0, longest * 2**wait.repetitions)
        _remember(context, Wait(branch, due, wait.repetitions, now))
        return due
    if now < wait.due:
        return wait.due
    _remember(context, Wait(branch, 0.0, min(wait.repetitions + 1, MOST_DOUBLINGS), now))
    return None


def pending(context: Context, branch: str) -> Wait:
    """Return what is remembered of the branch, which is nothing where the state cannot be read."""
    with contextlib.suppress(StateError):
        return context.state.waits.get(branch) or Wait(branch)
    return Wait(branch)


def at_rest(context: Context, branch: str) -> None:
    """Put nothing off any more: the heads have met."""
    wait = pending(context, branch)
    if wait.due:
        _remember(context, wait._replace(due=0.0))


def _remember(context: Context, wait: Wait) -> None:
    with contextlib.suppress(StateError):
        context.state.waits.put(wait)


def look_again(context: Context, phase: Callable[[], Iterator[Event]]) -> Iterator[Event]:
    """Run a phase, and once more when a redundant merge that it put off is due, for a minute at most."""
    left = min(context.settings.settle_time, LONGEST_STAY)
    while True:
        put_off_now = False
        for outcome in phase():
            put_off_now = put_off_now or (isinstance(outcome, Outcome) and outcome.result is Result.LEVEL)
            yield outcome
        head = git.head(context.repo) if put_off_now else None
        if head is None:
            return
        wait = max(SHORTEST_WAIT, pending(context, head.basis).due - time.time())
        if wait > left:
            return
        left -= wait
        time.sleep(wait)
