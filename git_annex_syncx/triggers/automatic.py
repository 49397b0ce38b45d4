"""What runs by itself when something has happened: refs at once, then content, never in the user's way."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterator

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.gateway import drives, git, run
from git_annex_syncx.gateway.git import Repository
from git_annex_syncx.model import Event, Outcome, Remote, Result
from git_annex_syncx.phases import hold, settle, sync
from git_annex_syncx.phases.announce import announced
from git_annex_syncx.phases.node import Node, choose_remotes, open_node
from git_annex_syncx.phases.patience import is_waiting
from git_annex_syncx.phases.push import push
from git_annex_syncx.phases.record import recorded
from git_annex_syncx.phases.transfer import transfer
from git_annex_syncx.triggers.requests import CONTENT, REFS, Desk, Request, serve

log = logging.getLogger(__name__)

Show = Callable[[Event], None]
LOOK_AGAIN = 1.0  # seconds after which somebody at work here is looked at again, doubled each time
LONGEST_LOOK = 60.0
PATIENCE = 600.0  # seconds that a process waits for somebody at work; later it is the next trigger's


def trigger(repo: Repository, request: Request, show: Show, delay: float = 0.0) -> None:
    """Ask for something and do it, with all else that is asked, unless another process is at it."""
    desk = Desk(repo)
    desk.ask(request, delay)
    Clerk(repo, desk, show).serve()


def serve_waiting(repo: Repository, show: Show) -> None:
    """Do what was asked for and waits, unless other processes are at it."""
    Clerk(repo, Desk(repo), show).serve()


def wake(node: Node) -> None:
    """Start what waits, in a process that nobody waits for."""
    if Desk(node.repo).waiting():
        run.leave_running(str(run.own_program()), "trigger", "wake", cwd=node.repo.home, env=run.environment())


def retry(node: Node) -> Iterator[Event]:
    """What failed and is due, and what was asked for and never done."""
    if hold.EVERYTHING in hold.pauses(node.outbox):
        return
    desk, failures = Desk(node.repo), node.outbox.failures()
    desk.ask(Request("retry"))
    for outcome in _in_turn(desk, REFS, lambda kinds: refs(node, kinds)):
        if isinstance(outcome, Outcome) and outcome.result is Result.DONE:
            desk.ask(Request("content"))
        yield outcome
    now = time.time()
    if any(hold.is_due(failure, now) for failure in failures if failure.phase in hold.CONTENT) or is_waiting(node):
        desk.ask(Request("content"))
    yield from _in_turn(desk, CONTENT, lambda kinds: content(node))


def _in_turn(desk: Desk, lane: str, phase: Callable[[Collection[str]], Iterator[Event]]) -> Iterator[Event]:
    """Do what is due in a lane, unless another process is at it."""
    while due := [request for request, left in desk.waiting(lane).items() if not left]:
        with desk.turn(lane) as ours:
            if not ours:
                return
            desk.take(due)
            yield from phase({request.kind for request in due})
            desk.done(due)


class Clerk:
    """Does what is asked, lane by lane."""

    def __init__(self, repo: Repository, desk: Desk, show: Show) -> None:
        """`show` sees each event."""
        self._repo, self._desk, self._show = repo, desk, show
        self._busy = 0.0  # seconds until the next look at somebody who is at work

    def serve(self) -> None:
        """All lanes that something is asked of: refs first, they are what others wait for."""
        serve(self._desk, REFS, self._refs)
        for request in self._desk.waiting():
            if request.kind == "drive":
                serve(self._desk, request.lane, self._drive)
        serve(self._desk, CONTENT, self._content)
        serve(self._desk, REFS, self._refs)  # a drive may have brought something

    def _open(self) -> Node | None:
        """The repository as it is configured now, None where all automatic work is paused."""
        node = open_node(self._repo.top or self._repo.git_dir)
        if hold.EVERYTHING in hold.pauses(node.outbox):
            log.info("paused")
            return None
        return node

    def _refs(self, requests: frozenset[Request]) -> bool:
        node = self._open()
        if node is None:
            return False
        kinds = {request.kind for request in requests}
        results = self._run(node, refs(node, kinds))
        self._come_again(node, kinds, results)
        self._desk.ask(Request("content"))
        return True

    def _content(self, requests: frozenset[Request]) -> bool:
        node = self._open()
        if node is None:
            return False
        self._run(node, content(node))
        return True

    def _drive(self, requests: frozenset[Request]) -> bool:
        node = self._open()
        if node is None:
            return False
        for request in requests:
            remote = node.settings.remotes.get(request.remote)
            if remote and remote.name not in hold.pauses(node.outbox):
                if Result.BUSY in self._run(node, drive(node, remote)):
                    self._desk.ask(request, LOOK_AGAIN * 5)
                self._desk.ask(Request("received"))
        return True

    def _run(self, node: Node, events: Iterator[Event]) -> set[Result]:
        """What became of it."""
        results = set()
        for event in announced(node, recorded(node, events)):
            self._show(event)
            if isinstance(event, Outcome):
                results.add(event.result)
        return results

    def _come_again(self, node: Node, kinds: Collection[str], results: Collection[Result]) -> None:
        """Look again where somebody is at work, or where a redundant merge was put off."""
        if Result.BUSY in results and self._busy < PATIENCE:
            self._busy = max(LOOK_AGAIN, 2 * self._busy)
            for kind in kinds:
                self._desk.ask(Request(kind), min(self._busy, LONGEST_LOOK))
        elif Result.LEVEL in results and (head := git.head(node.repo)):
            due = settle.pending(node, head.basis).due
            self._desk.ask(Request("received"), max(settle.SHORTEST_WAIT, due - time.time()))
        else:
            self._busy = 0.0


def refs(node: Node, kinds: Collection[str]) -> Iterator[Event]:
    """The two branches: what was received, what is to be pushed; with `retry` and `look` also what others have."""
    failures, paused = node.outbox.failures(), hold.pauses(node.outbox)
    everyone, _ = choose_remotes(node, (), ())
    free, held = hold.free(everyone, paused, failures, hold.REFS)
    yield from held
    if "look" in kinds:
        yield from sync.sync(node, free, sync.Wish(commit=False, content=False))
        return
    if "retry" in kinds:
        lost = {failure.remote for failure in failures if failure.phase in hold.REFS}
        yield from sync.pull(node, [remote for remote in free if remote.name in lost])
    if "received" in kinds:
        yield from _received(node)
    if {"received", "retry"}.intersection(kinds):
        yield from sync.forward(node, free)
    else:
        yield from push(node, (remote for remote in free if not remote.special))


def _received(node: Node) -> Iterator[Outcome]:
    """Tell of a branch that others have pushed here."""
    head = git.head(node.repo)
    if head is None:
        return
    known = git.refs(node.repo, "refs/heads")
    ours, theirs = known.get(f"refs/heads/{head.basis}"), known.get(f"refs/heads/synced/{head.basis}")
    if theirs and not (ours and git.is_ancestor(node.repo, theirs, ours)):
        yield Outcome("received", Result.DONE, details={"branch": head.basis, "old": ours, "new": theirs})


def content(node: Node) -> Iterator[Event]:
    """Content, with the remotes that are free."""
    if not sync.wants_content(node):
        return
    everyone, _ = choose_remotes(node, (), ())
    phases = hold.REFS | hold.CONTENT
    free, _ = hold.free(everyone, hold.pauses(node.outbox), node.outbox.failures(), phases)
    yield from transfer(node, free)


def drive(node: Node, remote: Remote) -> Iterator[Event]:
    """All that there is to do with a drive that was plugged in; at the end it may be unplugged."""
    well = True
    for event in sync.sync(node, [remote], sync.Wish(commit=False)):
        if isinstance(event, Outcome) and event.remote == remote.name:
            well = well and event.result not in (Result.AWAY, Result.FAILED, Result.BUSY)
        yield event
    place = drives.directory(node.repo, remote)
    if not well or place is None:
        return
    begun = time.monotonic()
    with contextlib.suppress(SyncxError):
        drives.flush(place)
        yield Outcome(
            "drive", Result.DONE, remote.name, remote.uuid, seconds=time.monotonic() - begun,
            reason="all is written; it may be unplugged", details={"path": str(place)},
        )  # fmt: skip
