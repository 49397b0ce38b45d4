"""What runs by itself when something has happened: refs at once, then content, never in the user's way."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator

from git_annex_syncx.branches import redundant_merge
from git_annex_syncx.branches.push import push
from git_annex_syncx.content.assignment import Order
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, git, history
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import read_settings
from git_annex_syncx.model import Event, Outcome, Remote, Result
from git_annex_syncx.phases import sync
from git_annex_syncx.phases.transfer import transfer
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import Node, choose_remotes, open_node_of
from git_annex_syncx.runs.notifications import Teller, announced
from git_annex_syncx.runs.outcome_log import recorded
from git_annex_syncx.system import run
from git_annex_syncx.system.state import Failure
from git_annex_syncx.triggers.queue import CONTENT, REFS, Desk, Request
from git_annex_syncx.triggers.signals.publisher import kind_of_news, tell_of

log = logging.getLogger(__name__)

Show = Callable[[Event], None]
LOOK_AGAIN = 1.0  # seconds after which somebody at work here is looked at again, doubled each time
LONGEST_LOOK = 60.0
PATIENCE = 600.0  # seconds that a process waits for somebody at work; later it is the next trigger's
OCCUPIED = 5.0  # seconds until the next look at a remote that another transfer is at work with
STEP, SLOW_STEP = 0.02, 0.1  # seconds between two looks at the requests; slow ones where long nothing came
LIVELY = 15.0  # seconds
LONGEST_GRACE = 10.0  # seconds that what was received waits for a commit that may still be amended


def trigger(repo: Repository, request: Request, show: Show, stays: float = 0.0) -> None:
    """Ask for something and do it, with all else that is asked, unless another process is at it."""
    Desk(repo).ask(request)
    Clerk(repo, show, stays).attend()


def serve_waiting(repo: Repository, show: Show) -> None:
    """Do what was asked for and waits, unless another process is at it."""
    Clerk(repo, show).attend()


def resume(node: Node, names: Collection[str]) -> None:
    """End pauses; what has waited is done by a process that nobody waits for."""
    desk, held = Desk(node.repo), pauses.pauses(node.outbox)
    pauses.resume(node.outbox, names)
    if any(not names or name in names for name in held):
        desk.ask(Request("retry"))  # with a remote that was paused, more may have failed than is asked for
    if desk.waiting():
        run.leave_running(str(run.own_program()), "trigger", "wake", cwd=node.repo.home, env=run.environment())


def retry(node: Node) -> Iterator[Event]:
    """What failed and is due, and what was asked for and never done."""
    if pauses.EVERYTHING in pauses.pauses(node.outbox):
        return
    desk, failures = Desk(node.repo), node.outbox.failures()
    desk.ask(Request("retry"))
    for outcome in _in_turn(desk, REFS, lambda due: refs(node, due)):
        if isinstance(outcome, Outcome) and outcome.result is Result.DONE:
            desk.ask(Request("content"))
        yield outcome
    now = time.time()
    due = any(pauses.is_due(failure, now) for failure in failures if failure.phase in pauses.CONTENT)
    if due or node.outbox.clocks():  # time alone can make a step ours
        desk.ask(Request("content"))
    yield from _in_turn(desk, CONTENT, lambda _: content(node))


def _in_turn(desk: Desk, lane: str, phase: Callable[[Collection[Request]], Iterator[Event]]) -> Iterator[Event]:
    """Do what is due in a lane, unless another process is at it."""
    while any(not left for left in desk.waiting(lane).values()):
        with desk.turn(lane) as ours:
            due = [request for request, left in desk.waiting(lane).items() if not left]
            if not ours or not due:
                return
            desk.take(due)
            yield from phase(due)
            desk.done(due)


class Clerk:
    """Does what is asked, each lane in a thread of its own, and for a while also what is asked next."""

    def __init__(self, repo: Repository, show: Show, stays: float = 0.0) -> None:
        """`show` sees each event; `stays` is how many seconds it waits for more. Raises SyncxError."""
        self._repo, self._show, self._stays = repo, show, stays
        self._desk = Desk(repo, read_settings(repo).push_delay)
        self._showing = threading.Lock()
        self._teller: Teller | None = None
        self._busy = 0.0  # seconds until the next look at somebody who is at work
        self._paused = False
        self._others: dict[str, threading.Thread] = {}
        self._shut: dict[str, float] = {}  # until when a lane is left alone
        self._waits: dict[str, float] = {}  # how long a lane was left alone the last time

    def attend(self) -> None:
        """See to all that is asked, unless another process does; until nothing is left and nothing comes."""
        with Teller(open_node_of(self._repo)) as self._teller:  # waits for programs when others can have the turn
            while not self._paused and not run.is_ending() and self._is_needed(self._desk.waiting()):
                with self._desk.turn(REFS) as ours:
                    if not ours:
                        return
                    with self._desk.attended():
                        self._attend()
                time.sleep(STEP)  # a hook may have seen our name this instant

    def _attend(self) -> None:
        idle = time.monotonic()
        while not self._paused and not run.is_ending():
            now = time.monotonic()
            waiting = {
                one: left for one, left in self._desk.waiting().items() if now >= self._shut.get(one.lane, now)
            }
            due = {request for request, left in waiting.items() if not left}
            if 0 < waiting.get(Request("commit"), 0.0) <= LONGEST_GRACE:  # any push would take the commit along
                due = {request for request in due if request.lane != REFS}
            if refs_due := frozenset(request for request in due if request.lane == REFS):
                self._do(refs_due, self._refs)
            for lane in {request.lane for request in due} - {REFS}:
                self._begin(lane)
            now = time.monotonic()
            if self._is_needed(waiting):
                idle = now
            elif now - idle >= self._stays:
                return
            lively = now - idle < LIVELY and min(waiting.values(), default=0.0) < LIVELY
            time.sleep(STEP if lively else SLOW_STEP)

    def _is_needed(self, waiting: Iterable[Request]) -> bool:
        """Whether there is anything to do that is not left to another process."""
        working = any(thread.is_alive() for name, thread in self._others.items() if name not in self._shut)
        return working or any(request.lane not in self._shut for request in waiting)

    def _begin(self, lane: str) -> None:
        """Have a thread do what is due in a lane, unless one is at it."""
        if lane in self._others and self._others[lane].is_alive():
            return
        self._others[lane] = threading.Thread(target=self._serve, args=(lane,), daemon=True, name=lane)
        self._others[lane].start()

    def _serve(self, lane: str) -> None:
        try:
            with self._desk.turn(lane) as ours:
                if ours:
                    self._shut.pop(lane, None)
                else:  # another process is at work there, and will see what is asked
                    self._shut[lane] = time.monotonic() + OCCUPIED
                while ours and not self._paused and (due := self._due(lane)):
                    self._do(due, self._content if lane == CONTENT else self._drive)
        except SyncxError as error:
            self._give_up(lane)
            log.error("%s", error)
        except Exception:
            self._give_up(lane)
            log.exception("%s", lane)
        except KeyboardInterrupt:  # we are being ended
            return

    def _give_up(self, lane: str) -> None:
        """What could not even be begun is for another process, at the next trigger."""
        self._shut[lane] = math.inf

    def _put_off(self, request: Request) -> None:
        """Look at it again later, and later still if it is occupied then too."""
        wait = self._waits.get(request.lane, 0.0)
        self._waits[request.lane] = min(max(OCCUPIED, 2 * wait), LONGEST_LOOK)
        self._desk.ask(request, self._waits[request.lane])

    def _due(self, lane: str) -> frozenset[Request]:
        return frozenset(request for request, left in self._desk.waiting(lane).items() if not left)

    def _do(self, due: frozenset[Request], work: Callable[[Node, frozenset[Request]], None]) -> None:
        """Do it with the repository as it is configured now; what is paused stays asked."""
        node = self._open()
        if node is None:
            return
        self._desk.take(due)
        try:
            work(node, due)
        except SyncxError as error:
            log.error("%s", error)
            with contextlib.suppress(SyncxError):  # so that `retry` takes it up
                node.outbox.record_failure("", "push" if work == self._refs else "transfer", error.what)
        self._desk.done(due)

    def _open(self) -> Node | None:
        """None where all automatic work is paused."""
        node = open_node_of(self._repo)
        self._desk.grace = node.settings.push_delay
        self._paused = pauses.EVERYTHING in pauses.pauses(node.outbox)
        return None if self._paused else node

    def _refs(self, node: Node, requests: frozenset[Request]) -> None:
        if any(request.kind == "commit" for request in requests):
            self._ask_content()  # need not wait until the branches have gone everywhere
        try:
            self._come_again(node, requests, self._run(node, refs(node, requests)))
        except SyncxError:
            self._ask_content()  # where there was no merge to do so
            raise
        if (head := git.head(node.repo)) and head.adjusted:  # what was committed is on its basis only now
            self._ask_content()

    def _ask_content(self) -> None:
        self._desk.ask(Request("content"))
        self._begin(CONTENT)

    def _content(self, node: Node, requests: frozenset[Request]) -> None:
        drives_asked = {request.remote for request in self._desk.waiting() if request.kind == "drive"}
        if Result.BUSY in self._run(node, content(node, drives_asked)):
            self._put_off(Request("content"))
        else:
            self._waits.pop(CONTENT, None)

    def _drive(self, node: Node, requests: frozenset[Request]) -> None:
        everyone, paused = choose_remotes(node, (), ())[0], pauses.pauses(node.outbox)
        chosen = {remote.name: remote for remote in everyone if remote.name not in paused}
        for request in requests:
            if remote := chosen.get(request.remote):
                if Result.BUSY in self._run(node, drive(node, remote)):
                    self._put_off(request)
                self._desk.ask(Request("received"))

    def _run(self, node: Node, events: Iterator[Event]) -> set[Result]:
        """What became of it."""
        outcomes = []
        for event in announced(node, recorded(node, events), self._teller):
            with self._showing:
                self._show(event)
            if isinstance(event, Outcome):
                outcomes.append(event)
                if event.event == "merge":  # now it is known what content there is to move
                    self._ask_content()
        if kind_of_news(node, outcomes) and node.settings.signals:
            self._tell(node, outcomes)
        return {outcome.result for outcome in outcomes}

    def _tell(self, node: Node, outcomes: Collection[Outcome]) -> None:
        """Tell the others by signals, without waiting for that; two at once tell no more than one."""
        thread = threading.Thread(target=tell_of, args=(node, outcomes), daemon=True, name="signal")
        self._others[thread.name] = thread
        thread.start()

    def _come_again(self, node: Node, requests: Collection[Request], results: Collection[Result]) -> None:
        """Look again where somebody is at work, or where a redundant merge was put off."""
        if Result.BUSY in results and self._busy < PATIENCE:
            self._busy = max(LOOK_AGAIN, 2 * self._busy)
            for request in requests:
                self._desk.ask(request, min(self._busy, LONGEST_LOOK))
        elif Result.LEVEL in results and (head := git.head(node.repo)):
            due = redundant_merge.pending(node, head.basis).due
            self._desk.ask(Request("received"), max(redundant_merge.SHORTEST_WAIT, due - time.time()))
        else:
            self._busy = 0.0
        left = [failure.next - time.time() for failure in node.outbox.failures() if failure.phase in pauses.REFS]
        if soon := [seconds for seconds in left if 0 < seconds < PATIENCE]:
            self._desk.ask(Request("retry"), min(soon))


def refs(node: Node, requests: Collection[Request]) -> Iterator[Event]:
    """The two branches: what was received, what is to be pushed; `retry`, `look`, `fetch` also what others have."""
    kinds = {request.kind for request in requests}
    failures, paused = node.outbox.failures(), pauses.pauses(node.outbox)
    everyone, _ = choose_remotes(node, (), ())
    free, held = pauses.free(everyone, paused, failures, pauses.REFS)
    yield from held
    if "received" in kinds:
        yield from _received(node)
    if "look" in kinds:
        yield from sync.sync(node, free, sync.Wish(commit=False, content=False))
        return
    others = {request.remote for request in requests if request.kind == "fetch"}
    if "retry" in kinds:
        others |= {failure.remote for failure in failures if failure.phase in pauses.REFS}
    if again := [remote for remote in free if remote.name in others]:
        yield from sync.pull(node, again)
    if kinds - {"commit"} and not (kinds <= {"commit", "retry"} and _merge_rests(failures)):
        yield from sync.forward(node, free)
    else:
        yield from push(node, (remote for remote in free if not remote.special))


def _merge_rests(failures: Iterable[Failure]) -> bool:
    """Whether the merge here has failed and is not due yet: what stands in its way would only be told again."""
    now = time.time()
    return any(
        not failure.remote and failure.phase == "merge" and not pauses.is_due(failure, now) for failure in failures
    )


def _received(node: Node) -> Iterator[Outcome]:
    """Tell of a branch that others have pushed here."""
    head = git.head(node.repo)
    if head is None:
        return
    names = (f"refs/heads/{head.basis}", f"refs/heads/synced/{head.basis}")
    ours, theirs = (history.value(node.repo, name) for name in names)
    if theirs and not (ours and history.is_ancestor(node.repo, theirs, ours)):
        yield Outcome("received", Result.DONE, details={"branch": head.basis, "old": ours, "new": theirs})


def content(node: Node, but: Collection[str] = ()) -> Iterator[Event]:
    """Content, with the remotes that are free, `but` some: a drive gets its branches first, in its own lane."""
    if not sync.wants_content(node):
        return
    everyone, _ = choose_remotes(node, (), ())
    phases = pauses.REFS | pauses.CONTENT
    free, _ = pauses.free(everyone, pauses.pauses(node.outbox), node.outbox.failures(), phases)
    yield from transfer(node, (remote for remote in free if remote.name not in but), Order(alone=False))


def drive(node: Node, remote: Remote) -> Iterator[Event]:
    """All that there is to do with a drive that was plugged in; at the end it may be unplugged."""
    well = True
    for event in sync.sync(node, [remote], sync.Wish(commit=False), Order(outside=False)):
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
