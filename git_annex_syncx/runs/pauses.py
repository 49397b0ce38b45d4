"""Pauses of automatic work: those of the user's, and the back-off of what has failed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass

from git_annex_syncx.model import Outcome, Remote
from git_annex_syncx.runs.context import Context, choose_remotes, divided
from git_annex_syncx.system.state import Failure, Outbox

EVERYTHING = ""  # in place of a remote's name: all automatic work of this repository
PREFIX = "pause "
REFS = frozenset({"fetch", "merge", "push"})
CONTENT = frozenset({"transfer", "drop", "import", "export"})


@dataclass(frozen=True)
class Pause:
    """Begun at (seconds since 1970), for so many seconds; infinity: until it is resumed."""

    begun: float
    seconds: float = math.inf

    @property
    def until(self) -> float:
        """Return when it ends, in seconds since 1970."""
        return self.begun + self.seconds


def names(context: Context, words: Iterable[str]) -> list[str]:
    """The names of remotes (and of groups' remotes), EVERYTHING without any. Raises UsageError."""
    words = tuple(words)
    return [remote.name for remote in choose_remotes(context, words, ())[0]] if words else [EVERYTHING]


def pause(outbox: Outbox, names: Iterable[str], seconds: float = math.inf) -> None:
    """Hold automatic work with the named remotes, or EVERYTHING."""
    value = json.dumps(asdict(Pause(time.time(), seconds)))
    for name in names:
        outbox.remember(PREFIX + name, value)


def resume(outbox: Outbox, names: Collection[str] = ()) -> None:
    """End the pauses of the named remotes; without names all pauses."""
    for name in names or [key.removeprefix(PREFIX) for key in outbox.facts(PREFIX)]:
        outbox.forget(PREFIX + name)


def pauses(outbox: Outbox) -> dict[str, Pause]:
    """Return what is paused now. One that has ended is forgotten."""
    found, now = {}, time.time()
    for key, text in outbox.facts(PREFIX).items():
        name, held = key.removeprefix(PREFIX), _read(text)
        if held and now < held.begun:  # the clock was set back: not longer than was asked
            pause(outbox, [name], held.seconds)
            held = Pause(now, held.seconds)
        if held and now < held.until:
            found[name] = held
        else:
            outbox.forget(key)
    return found


def free(
    remotes: Iterable[Remote], paused: Mapping[str, Pause], failures: Iterable[Failure], phases: Collection[str]
) -> tuple[list[Remote], list[Outcome]]:
    """The remotes that automatic work may touch in these phases, and outcomes of the others."""
    now = time.time()
    waiting: dict[str, float] = {}
    for failure in failures:
        if failure.phase in phases and not is_due(failure, now):
            waiting[failure.remote] = max(failure.next, waiting.get(failure.remote, 0.0))

    def reason(remote: Remote) -> str:
        if remote.name in paused:
            return "paused"
        return f"failed before, tried again at {_clock(waiting[remote.name])}" if remote.name in waiting else ""

    return divided(remotes, reason)


def is_due(failure: Failure, now: float) -> bool:
    """Return whether its back-off is over, or the clock was set back since."""
    return now >= failure.next or now < failure.last


def _read(text: str) -> Pause | None:
    try:
        told = json.loads(text)
        return Pause(float(told["begun"]), float(told["seconds"]))
    except (ValueError, KeyError, TypeError):
        return None


def _clock(when: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(when))
