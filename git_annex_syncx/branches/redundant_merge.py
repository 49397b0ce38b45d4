"""Redundant merges are put off by a random time, so that nodes that merge at once come to rest."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from git_annex_syncx.branches.remote_facts import fact
from git_annex_syncx.git import git
from git_annex_syncx.model import Event, Outcome, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system import run
from git_annex_syncx.system.state import OutboxError

MOST_DOUBLINGS = 6
SHORTEST_WAIT = 0.05  # seconds
LONGEST_STAY = 60.0  # seconds that a run waits by itself; later merges are the next run's


@dataclass(frozen=True)
class Postponed:
    """A redundant merge that is put off; times in seconds since 1970, 0 for none pending."""

    due: float = 0.0
    repetitions: int = 0
    last: float = 0.0


def put_off(context: Context, branch: str) -> float | None:
    """The time until which a redundant merge waits; None: make it now.

    A person at a terminal does not wait. The random wait is up to syncx.settleTime, doubled at each repetition.
    """
    longest = context.settings.settle_time
    if run.interactive() or not longest:
        return None
    wait, now = pending(context, branch), time.time()
    if now - wait.last > longest * 2**MOST_DOUBLINGS:
        wait = Postponed(due=wait.due)  # the last one is long ago: another story
    if not wait.due or wait.due > now + longest * 2**MOST_DOUBLINGS:  # none yet, or the clock was set back
        due = now + random.uniform(0, longest * 2**wait.repetitions)
        _remember(context, branch, Postponed(due, wait.repetitions, now))
        return due
    if now < wait.due:
        return wait.due
    _remember(context, branch, Postponed(0.0, min(wait.repetitions + 1, MOST_DOUBLINGS), now))
    return None


def pending(context: Context, branch: str) -> Postponed:
    """Return what the outbox remembers of the branch."""
    try:
        return Postponed(**json.loads(fact(context, _key(branch)) or "{}"))
    except (ValueError, TypeError):
        return Postponed()


def at_rest(context: Context, branch: str) -> None:
    """The heads have met: nothing is put off any more."""
    wait = pending(context, branch)
    if wait.due:
        _remember(context, branch, Postponed(0.0, wait.repetitions, wait.last))


def _remember(context: Context, branch: str, wait: Postponed) -> None:
    with contextlib.suppress(OutboxError):
        context.outbox.remember(_key(branch), json.dumps(asdict(wait)))


def _key(branch: str) -> str:
    return f"settle {branch}"


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
