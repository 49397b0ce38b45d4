"""Find what keeps runs by themselves from moving content with a repository, from what is remembered here."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from git_annex_syncx.content import conditions, rates
from git_annex_syncx.content.assignment import TransferRun
from git_annex_syncx.model import OUTSIDE, Remote
from git_annex_syncx.reasons import mending
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import Context


@dataclass(frozen=True)
class Hindrance:
    """A reason why no content moves, when it ends by itself (seconds since 1970; None: never), and what to do."""

    reason: str
    until: float | None
    advice: str


def hindrance(run: TransferRun, uuid: str) -> Hindrance | None:
    """Return what keeps this repository from one at the other end of a link; None where some remote is free.

    Nobody is asked: of `syncx.contentIf` counts what it said when content was last to move.
    """
    general = next(_general(run.context), None)
    ways = [_of_remote(run, remote) for remote in _remotes(run.context, uuid)]
    return general or (None if None in ways else next(iter(ways), None))


def _remotes(context: Context, uuid: str) -> list[Remote]:
    found = [remote for remote in context.settings.remotes.values() if remote.uuid == uuid]
    return found or [Remote(OUTSIDE[uuid], "", "", uuid)] * (uuid in OUTSIDE)


def _general(context: Context) -> Iterator[Hindrance]:
    if not context.wants_content():
        off = "no content moves by itself: annex.synccontent is false, or annex.synconlyannex is set"
        yield Hindrance(off, None, "git annex-syncx transfer")
    for unmet in context.state.unmet.all():
        if unmet.condition in context.settings.content_if:
            yield Hindrance(conditions.told(unmet), None, "git annex-syncx transfer at a terminal does not ask")
    if held := pauses.pauses(context.state).get(pauses.EVERYTHING):
        yield Hindrance("all automatic work is paused", held.end, pauses.resuming(pauses.EVERYTHING))


def _of_remote(run: TransferRun, remote: Remote) -> Hindrance | None:
    return next(_found(run, remote), None)


def _found(run: TransferRun, remote: Remote) -> Iterator[Hindrance]:
    name = shlex.quote(remote.name)
    held = pauses.pauses(run.context.state)
    for paused in (remote.name, remote.gateway):
        if paused in held.keys() - {pauses.EVERYTHING}:
            yield Hindrance(f"automatic work with {paused} is paused", held[paused].end, pauses.resuming(paused))
    if away := run.away.get(remote.name):
        yield Hindrance(away.reason, None, away.advice or f"plug it in, then: git annex-syncx transfer {name}")
    for failure in run.context.state.failures():
        if failure.remote == remote.name and failure.phase in pauses.REFS | pauses.CONTENT:
            advice = mending(failure.error, remote.name) or f"try now: git annex-syncx transfer {name}"
            yield Hindrance(
                f"{failure.phase} with {remote.name} failed {failure.times}: {failure.error}", failure.next, advice
            )


def limit(run: TransferRun, uuids: Iterable[str]) -> int | None:
    """Return to how many bytes a second transfers with some repositories are limited now; None where they are not."""
    now = time.localtime()
    minute = now.tm_hour * 60 + now.tm_min
    tables = [run.total, *(remote.bwlimit for uuid in uuids for remote in _remotes(run.context, uuid))]
    found = [rate for table in tables if (rate := rates.rate_at(table, minute)) is not None]
    return min(found, default=None)
