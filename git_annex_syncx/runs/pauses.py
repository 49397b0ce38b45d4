"""Pauses of automatic work: those of the user's, and the back-off of what has failed."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Collection, Iterable, Mapping

from git_annex_syncx.model import Outcome, Remote
from git_annex_syncx.runs.context import Context, choose_remotes, divided
from git_annex_syncx.system.records import Failure, Pause
from git_annex_syncx.system.state import State
from git_annex_syncx.system.times import time_of_day

EVERYTHING = ""  # in place of a remote's name: all automatic work of this repository
REFS = frozenset({"fetch", "merge", "push"})
CONTENT = frozenset({"transfer", "drop", "import", "export"})


def names(context: Context, words: Iterable[str]) -> list[str]:
    """Return the names of remotes (and of groups' remotes), EVERYTHING without any. Raises UsageError."""
    words = tuple(words)
    return [remote.name for remote in choose_remotes(context, words, ())[0]] if words else [EVERYTHING]


def pause(state: State, names: Iterable[str], seconds: float = math.inf) -> None:
    """Hold automatic work with the named remotes, or EVERYTHING."""
    for name in names:
        state.pauses.put(Pause(name, time.time(), seconds))


def resume(state: State, names: Collection[str] = ()) -> None:
    """End the pauses of the named remotes; without names all pauses."""
    for name in names or [held.remote for held in state.pauses.all()]:
        state.pauses.remove(name)


def resuming(name: str) -> str:
    """Return the command that ends the pause of a remote, or EVERYTHING."""
    return f"git annex-syncx resume {shlex.quote(name)}" if name else "git annex-syncx resume"


def pauses(state: State) -> dict[str, Pause]:
    """Return what is paused now. One that has ended is forgotten."""
    found, now = {}, time.time()
    for held in state.pauses.all():
        if now < held.begun:  # the clock was set back: not longer than was asked
            held = held._replace(begun=now)
            state.pauses.put(held)
        if now < held.until:
            found[held.remote] = held
        else:
            state.pauses.remove(held.remote)
    return found


def free(
    remotes: Iterable[Remote], paused: Mapping[str, Pause], failures: Iterable[Failure], phases: Collection[str]
) -> tuple[list[Remote], list[Outcome]]:
    """Return the remotes that automatic work may touch in these phases, and outcomes of the others."""
    now = time.time()
    waiting: dict[str, float] = {}
    for failure in failures:
        if failure.phase in phases and not is_due(failure, now):
            waiting[failure.remote] = max(failure.next, waiting.get(failure.remote, 0.0))

    def reason(remote: Remote) -> str:
        if remote.name in paused or remote.gateway in paused.keys() - {EVERYTHING}:
            return "paused"
        return f"failed before, tried again at {time_of_day(waiting[remote.name])}" if remote.name in waiting else ""

    return divided(remotes, reason)


def is_due(failure: Failure, now: float) -> bool:
    """Return whether its back-off is over, or the clock was set back since."""
    return now >= failure.next or now < failure.last
