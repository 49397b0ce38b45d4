"""Notes on a status beside its table: one line each, and what to do about it. Pure."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from git_annex_syncx.branches.guard import ALLOW
from git_annex_syncx.content.room import MAKE_ROOM
from git_annex_syncx.content.waits import Wait, many, words
from git_annex_syncx.network.plan import Step
from git_annex_syncx.network.survey import UNKNOWN
from git_annex_syncx.reasons import is_unreached, mending
from git_annex_syncx.reports.content import Content, Delivery
from git_annex_syncx.reports.status import RepositoryStatus, Status
from git_annex_syncx.runs import pauses
from git_annex_syncx.system.records import Failure

MOST_WAYS = 2  # ways that are told of one repository
NAMED = 10  # conflicts that are named
STALE = 60.0  # seconds after which counts are said to be old


@dataclass(frozen=True)
class Note:
    """A line of its own about a repository (by uuid or name; empty: this one), and what to do about it.

    Times are in seconds since 1970, where they are known. A `problem` is what somebody has to look at;
    else time or others will mend it.
    """

    kind: str
    text: str
    advice: str = ""
    repository: str = ""
    since: float | None = None
    until: float | None = None
    again: float | None = None  # when it is due to be tried again
    problem: bool = False

    @property
    def times(self) -> dict[str, float]:
        """Return in words what the times that are known say -> when that is."""
        told = {"since": self.since, "until": self.until, "due again": self.again}
        return {word: when for word, when in told.items() if when is not None}


def notes(status: Status) -> Iterator[Note]:
    """Yield all that is to be said, what holds all back first."""
    yield from _of_all(status)
    for one in status.repositories:
        yield from _of_repository(status, one)
    yield from _of_files(status)
    told = [one.trouble for one in status.repositories if one.trouble]
    # What is not reached cannot be asked for its uuid: its failure says what is to be done first.
    failures = [failure for one in status.repositories for failure in one.failures]
    told += [f"{failure.remote}: {UNKNOWN}" for failure in failures if is_unreached(failure.error)]
    for warning in status.warnings:
        if not any(trouble in warning for trouble in told):
            yield Note("warning", warning)
    for address, wrong in sorted(status.trouble.items()):
        yield Note("signals", f"{address}: {wrong}", problem=True)


def _of_all(status: Status) -> Iterator[Note]:
    if status.held:
        what = f"others have removed {status.held} of {status.branch}, which is held"
        yield Note("held", what, ALLOW, problem=True)
    for unmet in status.unmet:
        condition = f"{unmet.reason} (syncx.contentIf={unmet.condition})"
        yield Note("unmet", f"content waits: {condition}", since=unmet.since)
    for name, pause in sorted(status.paused.items()):
        what = f"automatic work with {name}" if name else "all automatic work"
        yield Note("paused", f"{what} is paused", pauses.resuming(name), name, pause.begun, pause.end)
    if status.counted is None:
        yield Note("counting", "another git-annex-syncx looks at all files for the first time", "look again soon")
    for failure in status.failures:
        where = f" with {failure.remote}" if failure.remote else ""
        yield _failure(f"{failure.phase}{where}", failure)


def _of_repository(status: Status, one: RepositoryStatus) -> Iterator[Note]:
    name = one.uuid or one.name
    alike: dict[tuple[str, str], list[Failure]] = {}
    for failure in one.failures:
        alike.setdefault((failure.remote, failure.error), []).append(failure)
    for (remote, _), failures in alike.items():
        phases = " and ".join(failure.phase for failure in failures)
        yield _failure(f"{remote}: {phases}", min(failures, key=lambda failure: failure.first), name)
    if one.presence == "other":
        yield Note("other", f"{one.name}: another repository stands in its place", _push(one), name, problem=True)
    if one.trouble:
        yield Note("trouble", f"{one.name}: {one.trouble}", repository=name, problem=True)
    if one.content:
        yield from _of_content(status, one, one.content)


def _failure(what: str, failure: Failure, repository: str = "") -> Note:
    advice = mending(failure.error, failure.remote) if failure.remote else ""
    told = f"{what} failed {failure.times}: {failure.error}"
    return Note("failure", told, advice, repository, failure.first, again=failure.next, problem=True)


def _push(one: RepositoryStatus) -> str:
    return f"git annex-syncx push {shlex.quote(one.remote)} says which and what to do"


def _of_content(status: Status, one: RepositoryStatus, content: Content) -> Iterator[Note]:
    yield from _what_comes(status, one, content)
    yield from _what_cannot(one, content)


def _what_comes(status: Status, one: RepositoryStatus, content: Content) -> Iterator[Note]:
    """Yield how what a repository lacks comes to it."""
    uuid = one.uuid or ""
    for delivery in content.deliveries[:MOST_WAYS]:
        move, since = _move(status, delivery), _since(status, delivery.first)
        coming = f"{many(delivery.files)} that {move.what}" if move else _coming(status, delivery, one)
        yield Note("waits", f"{one.name} lacks {coming}", move.command if move else "", uuid, since)
    rest = content.deliveries[MOST_WAYS:]
    if rest:
        more = f"{many(sum(delivery.files for delivery in rest))} more by {len(rest)} other ways"
        yield Note("waits", f"{one.name} lacks {more}", f"git annex-syncx status {shlex.quote(one.name)}", uuid)
    assert status.counted
    if content.later and uuid not in status.counted.look.policy.nodes:  # what its cluster lacks has been told
        export = uuid in status.counted.trees
        what = (
            f"{one.name} lacks {many(content.later)} {'for the next export' if export else 'that come after others'}"
        )
        export_now = f"git annex-syncx transfer {shlex.quote(one.remote)}" if export and one.remote else ""
        yield Note("waits", what, export_now, uuid)


def _what_cannot(one: RepositoryStatus, content: Content) -> Iterator[Note]:
    """Yield what a repository lacks and cannot get, as things are."""
    uuid = one.uuid or ""
    if cut_off := content.no_way - content.lost:
        what = f"{one.name} lacks {many(cut_off)} for which no way leads there"
        name = shlex.quote(one.name)
        advice = (
            f"git annex-syncx status {name} lists them; git annex-syncx why FILE {name} says what would make a way"
        )
        yield Note("no-way", what, advice, uuid, problem=True)
    if content.no_room:
        what = f"{one.name} lacks {many(content.no_room)} for which it has no room"
        yield Note("no-room", what, MAKE_ROOM, uuid, problem=True)


def _since(status: Status, step: Step) -> float | None:
    """Return since when a step is waited for."""
    assert status.counted
    clock = status.counted.clocks.get((step.source, step.target, status.counted.look.policy.own in step.executors))
    return clock.since if clock else None


def _coming(status: Status, delivery: Delivery, one: RepositoryStatus) -> str:
    assert status.counted
    policy, first = status.counted.look.policy, delivery.first
    wait = Wait(one.uuid or "", first, first.executor_for(policy.own), delivery.files, delivery.until)
    return words(policy, wait, at_target=True)


@dataclass(frozen=True)
class _Move:
    what: str
    command: str


def _move(status: Status, delivery: Delivery) -> _Move | None:
    """Return how this repository makes the first step, None where it cannot.

    Whether a host answers is not known before it is asked: one that failed last is waited for.
    """
    assert status.counted
    own, first = status.counted.look.policy.own, delivery.first
    other = first.other_end(own)
    named = {one.uuid: one for one in status.repositories if one.remote and not one.here}
    met = named.get(other) if own in first.executors else None
    if not met or not (met.presence == "present" or (not met.presence and not met.failures)):
        return None
    run = f"the next run here {'sends' if first.source == own else 'fetches'}"
    what = "can travel now" if met.presence else run
    return _Move(what, f"git annex-syncx transfer {shlex.quote(met.remote)}")


def _of_files(status: Status) -> Iterator[Note]:
    lost = max((one.content.lost for one in status.repositories if one.content), default=0)
    if lost:
        advice = "git annex fsck --fast where they could be; git annex find --not --copies=1 lists them"
        yield Note("lost", f"{many(lost)} that nobody has", advice, problem=True)
    if status.shortage and (short := status.shortage.files):
        yield _shortage(status, short)
    if status.conflicts:
        shown = ", ".join(map(os.fsdecode, status.conflicts[:NAMED])) + ", ..." * (len(status.conflicts) > NAMED)
        count = f"{len(status.conflicts)} conflict{'s' * (len(status.conflicts) > 1)}"
        yield Note("conflicts", f"{count} to look at: {shown}", "git annex-syncx conflicts", problem=True)


def _shortage(status: Status, short: int) -> Note:
    assert status.shortage
    called, takers = status.names, status.shortage.takers
    who = " and ".join(f"{called.get(uuid, uuid)} ({count})" for uuid, count in takers.items())
    left = short - status.shortage.planned
    should = f"; to take some: {who}" if who else "; no other repository can take any"
    if not left:
        return Note("copies", f"{many(short)} with too few copies; the transfers that are planned bring more")
    advice = "git annex copy --lackingcopies=1 --to=NAME" if who else "connect one more, or git annex numcopies"
    return Note("copies", f"{many(short)} with too few copies{should}", advice, problem=True)
