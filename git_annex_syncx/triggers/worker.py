"""Automatic runs when something has happened: refs at once, then content, never in the user's way."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator

from git_annex_syncx.branches import redundant_merge
from git_annex_syncx.branches.push import push
from git_annex_syncx.content.assignment import TransferOptions
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, git, history
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import read_settings
from git_annex_syncx.model import Event, Outcome, Remote, Result
from git_annex_syncx.phases import sync
from git_annex_syncx.phases.transfer import transfer
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import Context, choose_remotes, open_context
from git_annex_syncx.runs.notifications import Notifier
from git_annex_syncx.runs.phase_run import run_phase
from git_annex_syncx.system import run
from git_annex_syncx.system.records import Failure
from git_annex_syncx.triggers.queue import CONTENT, REFS, Queue, Request
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
    Queue(repo).ask(request)
    Worker(repo, show, stays).attend()


def serve_waiting(repo: Repository, show: Show) -> None:
    """Do what was asked for and waits, unless another process is at it."""
    Worker(repo, show).attend()


def resume(context: Context, names: Collection[str]) -> None:
    """End pauses; what has waited is done by a process that nobody waits for."""
    request_queue, held = Queue(context.repo), pauses.pauses(context.state)
    pauses.resume(context.state, names)
    if any(not names or name in names for name in held):
        request_queue.ask(Request("retry"))  # with a remote that was paused, more may have failed than is asked for
    if request_queue.waiting():
        run.leave_running(str(run.own_program()), "trigger", "wake", cwd=context.repo.home, env=run.environment())


def retry(context: Context) -> Iterator[Event]:
    """Yield what failed and is due, and what was asked for and never done."""
    if pauses.EVERYTHING in pauses.pauses(context.state):
        return
    request_queue, failures = Queue(context.repo), context.state.failures()
    request_queue.ask(Request("retry"))
    for outcome in _in_turn(request_queue, REFS, lambda due: refs(context, due)):
        if isinstance(outcome, Outcome) and outcome.result is Result.DONE:
            request_queue.ask(Request("content"))
        yield outcome
    now = time.time()
    due = any(pauses.is_due(failure, now) for failure in failures if failure.phase in pauses.CONTENT)
    if due or context.state.clocks():  # time alone can make a step ours
        request_queue.ask(Request("content"))
    yield from _in_turn(request_queue, CONTENT, lambda _: content(context))


def _in_turn(
    request_queue: Queue, group: str, phase: Callable[[Collection[Request]], Iterator[Event]]
) -> Iterator[Event]:
    """Do what is due in a group, unless another process is at it."""
    while any(not left for left in request_queue.waiting(group).values()):
        with request_queue.turn(group) as ours:
            due = [request for request, left in request_queue.waiting(group).items() if not left]
            if not ours or not due:
                return
            request_queue.take(due)
            yield from phase(due)
            request_queue.done(due)


class Worker:
    """A worker that does what is asked, each group in a thread of its own, and for a while what is asked next."""

    def __init__(self, repo: Repository, show: Show, stays: float = 0.0) -> None:
        """`show` sees each event; `stays` is how many seconds it waits for more. Raises SyncxError."""
        self._repo, self._show, self._stays = repo, show, stays
        self._requests = Queue(repo, read_settings(repo).push_delay)
        self._showing = threading.Lock()
        self._notifier: Notifier | None = None
        self._busy = 0.0  # seconds until the next look at somebody who is at work
        self._paused = False
        self._others: dict[str, threading.Thread] = {}
        self._shut: dict[str, float] = {}  # until when a group is left alone
        self._waits: dict[str, float] = {}  # how long a group was left alone the last time

    def attend(self) -> None:
        """See to all that is asked, unless another process does; until nothing is left and nothing comes."""
        # The notifier waits for the user's programs when others can have the turn.
        with Notifier(open_context(self._repo)) as self._notifier:
            while not self._paused and not run.is_ending() and self._is_needed(self._requests.waiting()):
                with self._requests.turn(REFS) as ours:
                    if not ours:
                        return
                    with self._requests.attended():
                        self._attend()
                time.sleep(STEP)  # a hook may have seen our name this instant

    def _attend(self) -> None:
        idle = time.monotonic()
        while not self._paused and not run.is_ending():
            now = time.monotonic()
            waiting = {
                one: left for one, left in self._requests.waiting().items() if now >= self._shut.get(one.group, now)
            }
            due = {request for request, left in waiting.items() if not left}
            if 0 < waiting.get(Request("commit"), 0.0) <= LONGEST_GRACE:  # any push would take the commit along
                due = {request for request in due if request.group != REFS}
            if refs_due := frozenset(request for request in due if request.group == REFS):
                self._do(refs_due, self._refs)
            for group in {request.group for request in due} - {REFS}:
                self._begin(group)
            now = time.monotonic()
            if self._is_needed(waiting):
                idle = now
            elif now - idle >= self._stays:
                return
            lively = now - idle < LIVELY and min(waiting.values(), default=0.0) < LIVELY
            time.sleep(STEP if lively else SLOW_STEP)

    def _is_needed(self, waiting: Iterable[Request]) -> bool:
        """Return whether there is anything to do that is not left to another process."""
        working = any(thread.is_alive() for name, thread in self._others.items() if name not in self._shut)
        return working or any(request.group not in self._shut for request in waiting)

    def _begin(self, group: str) -> None:
        """Have a thread do what is due in a group, unless one is at it."""
        if group in self._others and self._others[group].is_alive():
            return
        self._others[group] = threading.Thread(target=self._serve, args=(group,), daemon=True, name=group)
        self._others[group].start()

    def _serve(self, group: str) -> None:
        try:
            with self._requests.turn(group) as ours:
                if ours:
                    self._shut.pop(group, None)
                else:  # another process is at work there, and will see what is asked
                    self._shut[group] = time.monotonic() + OCCUPIED
                while ours and not self._paused and (due := self._due(group)):
                    self._do(due, self._content if group == CONTENT else self._drive)
        except SyncxError as error:
            self._give_up(group)
            log.error("%s", error)
        except Exception:
            self._give_up(group)
            log.exception("%s", group)
        except KeyboardInterrupt:  # we are being ended
            return

    def _give_up(self, group: str) -> None:
        """Leave what could not even be begun to another process, at the next trigger."""
        self._shut[group] = math.inf

    def _put_off(self, request: Request) -> None:
        """Look at it again later, and later still if it is occupied then too."""
        wait = self._waits.get(request.group, 0.0)
        self._waits[request.group] = min(max(OCCUPIED, 2 * wait), LONGEST_LOOK)
        self._requests.ask(request, self._waits[request.group])

    def _due(self, group: str) -> frozenset[Request]:
        return frozenset(request for request, left in self._requests.waiting(group).items() if not left)

    def _do(self, due: frozenset[Request], work: Callable[[Context, frozenset[Request]], None]) -> None:
        """Do it with the repository as it is configured now; what is paused stays asked."""
        context = self._open()
        if context is None:
            return
        self._requests.take(due)
        try:
            work(context, due)
        except SyncxError as error:
            log.error("%s", error)
            with contextlib.suppress(SyncxError):  # so that `retry` takes it up
                context.state.record_failure("", "push" if work == self._refs else "transfer", error.what)
        self._requests.done(due)

    def _open(self) -> Context | None:
        """None where all automatic work is paused."""
        context = open_context(self._repo)
        self._requests.grace = context.settings.push_delay
        self._paused = pauses.EVERYTHING in pauses.pauses(context.state)
        return None if self._paused else context

    def _refs(self, context: Context, requests: frozenset[Request]) -> None:
        if any(request.kind == "commit" for request in requests):
            self._ask_content()  # need not wait until the branches have gone everywhere
        try:
            self._come_again(context, requests, self._run(context, refs(context, requests)))
        except SyncxError:
            self._ask_content()  # where there was no merge to do so
            raise
        if (head := git.head(context.repo)) and head.adjusted:  # what was committed is on its basis only now
            self._ask_content()

    def _ask_content(self) -> None:
        self._requests.ask(Request("content"))
        self._begin(CONTENT)

    def _content(self, context: Context, requests: frozenset[Request]) -> None:
        drives_asked = {request.remote for request in self._requests.waiting() if request.kind == "drive"}
        if Result.BUSY in self._run(context, content(context, drives_asked)):
            self._put_off(Request("content"))
        else:
            self._waits.pop(CONTENT, None)

    def _drive(self, context: Context, requests: frozenset[Request]) -> None:
        everyone, paused = choose_remotes(context, (), ())[0], pauses.pauses(context.state)
        chosen = {remote.name: remote for remote in everyone if remote.name not in paused}
        for request in requests:
            if remote := chosen.get(request.remote):
                if Result.BUSY in self._run(context, drive(context, remote)):
                    self._put_off(request)
                self._requests.ask(Request("received"))

    def _run(self, context: Context, events: Iterator[Event]) -> set[Result]:
        """Run a phase; return the results of its outcomes."""

        def show(event: Event) -> None:
            with self._showing:
                self._show(event)
            if isinstance(event, Outcome) and event.event == "merge":  # now it is known what content there is to move
                self._ask_content()

        outcomes = run_phase(context, events, show, self._notifier)
        if kind_of_news(context, outcomes) and context.settings.signals:
            self._tell(context, outcomes)
        return {outcome.result for outcome in outcomes}

    def _tell(self, context: Context, outcomes: Collection[Outcome]) -> None:
        """Tell the others by signals, without waiting for that; two at once tell no more than one."""
        thread = threading.Thread(target=tell_of, args=(context, outcomes), daemon=True, name="signal")
        self._others[thread.name] = thread
        thread.start()

    def _come_again(self, context: Context, requests: Collection[Request], results: Collection[Result]) -> None:
        """Look again where somebody is at work, or where a redundant merge was put off."""
        if Result.BUSY in results and self._busy < PATIENCE:
            self._busy = max(LOOK_AGAIN, 2 * self._busy)
            for request in requests:
                self._requests.ask(request, min(self._busy, LONGEST_LOOK))
        elif Result.LEVEL in results and (head := git.head(context.repo)):
            due = redundant_merge.pending(context, head.basis).due
            self._requests.ask(Request("received"), max(redundant_merge.SHORTEST_WAIT, due - time.time()))
        else:
            self._busy = 0.0
        left = [failure.next - time.time() for failure in context.state.failures() if failure.phase in pauses.REFS]
        if soon := [seconds for seconds in left if 0 < seconds < PATIENCE]:
            self._requests.ask(Request("retry"), min(soon))


def refs(context: Context, requests: Collection[Request]) -> Iterator[Event]:
    """The two branches: what was received, what is to be pushed; `retry`, `look`, `fetch` also what others have."""
    kinds = {request.kind for request in requests}
    failures, paused = context.state.failures(), pauses.pauses(context.state)
    everyone, _ = choose_remotes(context, (), ())
    free, held = pauses.free(everyone, paused, failures, pauses.REFS)
    yield from held
    if "received" in kinds:
        yield from _received(context)
    if "look" in kinds:
        yield from sync.sync(context, free, sync.SyncOptions(commit=False, content=False))
        return
    others = {request.remote for request in requests if request.kind == "fetch"}
    if "retry" in kinds:
        others |= {failure.remote for failure in failures if failure.phase in pauses.REFS}
    if again := [remote for remote in free if remote.name in others]:
        yield from sync.pull(context, again)
    if kinds - {"commit"} and not (kinds <= {"commit", "retry"} and _merge_rests(failures)):
        yield from sync.forward(context, free)
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
    """Tell of a branch that others have pushed here."""
    head = git.head(context.repo)
    if head is None:
        return
    names = (f"refs/heads/{head.basis}", f"refs/heads/synced/{head.basis}")
    ours, theirs = (history.value(context.repo, name) for name in names)
    if theirs and not (ours and history.is_ancestor(context.repo, theirs, ours)):
        yield Outcome("received", Result.DONE, details={"branch": head.basis, "old": ours, "new": theirs})


def content(context: Context, but: Collection[str] = ()) -> Iterator[Event]:
    """Content, with the remotes that are free, `but` some: a drive gets its branches first, in its own thread."""
    if not sync.wants_content(context):
        return
    everyone, _ = choose_remotes(context, (), ())
    phases = pauses.REFS | pauses.CONTENT
    free, _ = pauses.free(everyone, pauses.pauses(context.state), context.state.failures(), phases)
    yield from transfer(context, (remote for remote in free if remote.name not in but), TransferOptions(alone=False))


def drive(context: Context, remote: Remote) -> Iterator[Event]:
    """All that there is to do with a drive that was plugged in; at the end it may be unplugged."""
    well = True
    for event in sync.sync(context, [remote], sync.SyncOptions(commit=False), TransferOptions(outside=False)):
        if isinstance(event, Outcome) and event.remote == remote.name:
            well = well and event.result not in (Result.AWAY, Result.FAILED, Result.BUSY)
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
