"""Work for each kind of request: refs at once, then content, never in the user's way.

Refs go out before the modules of content are loaded, which takes as long as a push.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator

from git_annex_syncx.branches.push import push
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, git, history
from git_annex_syncx.model import Event, Outcome, Remote, Result
from git_annex_syncx.phases.merge import forward, pull
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import Context, choose_remotes
from git_annex_syncx.system.records import Failure
from git_annex_syncx.triggers.queue import CONTENT, REFS, Queue, Request

LEFT_FOR = 10.0  # seconds that a step is left to the source, where both ends can make it


def refs(context: Context, requests: Collection[Request]) -> Iterator[Event]:
    """Merge what was received and push the branches; for `retry`, `look` and `fetch` also get what others have."""
    kinds = {request.kind for request in requests}
    failures, paused = context.state.failures(), pauses.pauses(context.state)
    everyone, _ = choose_remotes(context, (), ())
    free, held = pauses.free(everyone, paused, failures, pauses.REFS)
    yield from held
    if "received" in kinds:
        yield from _received(context)
    if "look" in kinds:
        from git_annex_syncx.phases.sync import SyncOptions, sync

        yield from sync(context, free, SyncOptions(commit=False, content=False))
        return
    others = {request.remote for request in requests if request.kind == "fetch"}
    if "retry" in kinds:
        others |= {failure.remote for failure in failures if failure.phase in pauses.REFS}
    if again := [remote for remote in free if remote.name in others]:
        yield from pull(context, again)
    if kinds - {"commit"} and not (kinds <= {"commit", "retry"} and _merge_rests(failures)):
        yield from forward(context, free)
    else:
        yield from push(context, (remote for remote in free if not remote.special))


def _merge_rests(failures: Iterable[Failure]) -> bool:
    """Return whether the merge here has failed and is not due yet.

    What stands in its way would only be told again.
    """
    now = time.time()
    return any(
        not failure.remote and failure.phase == "merge" and not pauses.is_due(failure, now) for failure in failures
    )


def _received(context: Context) -> Iterator[Outcome]:
    """Yield the branch that others have pushed here, if any."""
    head = git.head(context.repo)
    if head is None:
        return
    names = (f"refs/heads/{head.basis}", f"refs/heads/synced/{head.basis}")
    ours, theirs = (history.value(context.repo, name) for name in names)
    if theirs and not (ours and history.is_ancestor(context.repo, theirs, ours)):
        yield Outcome("received", Result.DONE, details={"branch": head.basis, "old": ours, "new": theirs})


def content(context: Context, but: Collection[str] = ()) -> Iterator[Event]:
    """Transfer content with the remotes that are free, `but` some: a drive gets its branches first, in its group."""
    from git_annex_syncx.content import conditions

    if not context.wants_content():
        conditions.remember(context, None)
        return
    from git_annex_syncx.content.assignment import TransferOptions
    from git_annex_syncx.phases.transfer import transfer

    everyone, _ = choose_remotes(context, (), ())
    phases = pauses.REFS | pauses.CONTENT
    free, _ = pauses.free(everyone, pauses.pauses(context.state), context.state.failures(), phases)
    options = TransferOptions(alone=False, left_for=LEFT_FOR)
    yield from transfer(context, (remote for remote in free if remote.name not in but), options)
    own, now = context.settings.annex_uuid, time.time()
    due = [
        clock.since + LEFT_FOR - now
        for (_, target, ours), clock in context.state.clocks().items()
        if ours and target == own
    ]
    if young := [seconds for seconds in due if seconds > 0]:
        Queue(context.repo).ask(Request("content"), min(young))


def drive(context: Context, remote: Remote) -> Iterator[Event]:
    """Do all that there is to do with a drive that was plugged in; at the end it may be unplugged."""
    from git_annex_syncx.content.assignment import TransferOptions
    from git_annex_syncx.phases.sync import SyncOptions, sync

    well = True
    for event in sync(context, [remote], SyncOptions(commit=False), TransferOptions(outside=False)):
        if isinstance(event, Outcome) and event.remote == remote.name:
            well = well and event.result not in (Result.AWAY, Result.FAILED, Result.BUSY)
        elif isinstance(event, Outcome) and event.event == "transfer":  # no content moves at all now
            well = False
        yield event
    place = drives.directory(context.repo, remote)
    if not well or place is None:
        return
    begun = time.monotonic()
    with contextlib.suppress(SyncxError):
        drives.flush(place)
        yield Outcome(
            "drive", Result.DONE, remote.name, remote.uuid, seconds=time.monotonic() - begun,
            reason="all is written; it may be unplugged", details={"path": str(place)},
        )  # fmt: skip


def retry(context: Context) -> Iterator[Event]:
    """Try again what failed and is due, and do what was asked for and never done."""
    if pauses.EVERYTHING in pauses.pauses(context.state):
        return
    requests, failures = Queue(context.repo), context.state.failures()
    requests.ask(Request("retry"))
    for outcome in _in_turn(requests, REFS, lambda due: refs(context, due)):
        if isinstance(outcome, Outcome) and outcome.result is Result.DONE:
            requests.ask(Request("content"))
        yield outcome
    now = time.time()
    due = any(pauses.is_due(failure, now) for failure in failures if failure.phase in pauses.CONTENT)
    if due or context.state.clocks() or context.state.unmet.all():  # time alone can make a step ours
        requests.ask(Request("content"))
    yield from _in_turn(requests, CONTENT, lambda _: content(context))


def _in_turn(requests: Queue, group: str, phase: Callable[[Collection[Request]], Iterator[Event]]) -> Iterator[Event]:
    """Do what is due in a group, unless another process is at it."""
    while requests.due(group):
        with requests.turn(group) as ours:
            due = requests.due(group)
            if not ours or not due:
                return
            requests.take(due)
            yield from phase(due)
            requests.done(due)
