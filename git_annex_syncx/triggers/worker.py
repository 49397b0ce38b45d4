"""The process that does what is asked, each group in a thread of its own, and for a while what is asked next.

Content takes hours and must not hold up the branches. A hook that finds such a process leaves its request there: a
start of the program costs 0.2 s, for which a chain of three repositories would be slower than git-annex's assistant.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator

from git_annex_syncx.branches import redundant_merge
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, git
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Event, Outcome, Result
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import Context, choose_remotes, open_context
from git_annex_syncx.runs.notifications import Notifier
from git_annex_syncx.runs.phase_run import run_phase
from git_annex_syncx.system import processes, run
from git_annex_syncx.triggers import pid_file, tasks
from git_annex_syncx.triggers.queue import CONTENT, REFS, Queue, Request
from git_annex_syncx.triggers.signals.publisher import Publisher

log = logging.getLogger(__name__)

Show = Callable[[Event], None]
STAYS = 30.0  # seconds that a process stays after its last work, for what comes next
PATIENCE = 600.0  # seconds that a process waits for somebody at work here; later it is the next trigger's
LOOK_AGAIN, LONGEST_LOOK = 1.0, 60.0  # seconds until the next look at who is at work, doubled each time
OCCUPIED = 5.0  # seconds until the next look at a remote, or content at all, where another process is at work
STEP = 0.05  # seconds between two looks at the requests, which cost 0.1 ms
LONGEST_GRACE = 10.0  # seconds that what was received waits for a commit that may still be amended


def trigger(repo: Repository, request: Request, show: Show) -> None:
    """Ask for something, do it, with all else that is asked, and stay, unless another process is at it."""
    Queue(repo).ask(request)
    Worker(repo, show, _staying(repo)).attend()


def serve_waiting(repo: Repository, show: Show, stay: bool = False) -> None:
    """Do what was asked for and waits, unless another process is at it; `stay` for what comes next."""
    Worker(repo, show, _staying(repo) if stay else 0.0).attend()


def _staying(repo: Repository) -> float:
    """Return for how many seconds a process stays: never on a drive, so that it can be unplugged."""
    return 0.0 if any(map(drives.may_be_unplugged, (repo.common, repo.home))) else STAYS


def load() -> None:
    """Import what any work may need, the planner too: it takes longer than most work does."""
    import networkx  # noqa: F401

    from git_annex_syncx.phases import sync, transfer  # noqa: F401


def resume(context: Context, names: Collection[str]) -> None:
    """End pauses; a process that nobody waits for does what has waited."""
    requests, held = Queue(context.repo), pauses.pauses(context.state)
    pauses.resume(context.state, names)
    if any(not names or name in names for name in held):
        requests.ask(Request("retry"))  # with a remote that was paused, more may have failed than is asked for
    if requests.waiting():
        run.leave_running(str(run.own_program()), "trigger", "wake", cwd=context.repo.home, env=run.environment())


class Worker:
    """Does the requests of one repository: those about refs in this thread, those of each other group in its own."""

    def __init__(self, repo: Repository, show: Show, stays: float = 0.0) -> None:
        """`show` sees each event; `stays` is how many seconds it waits for more. Raises SyncxError."""
        self._repo, self._show, self._stays = repo, show, stays
        self._queue = Queue(repo)
        self._notifier: Notifier | None = None
        self._paused = False
        self._threads: dict[str, threading.Thread] = {}
        self._publishers: dict[str, Publisher] = {}
        self._given_up: set[str] = set()  # groups that are left to another process, at the next trigger
        self._backoff: dict[str, float] = {}  # group -> seconds until the last look at who was at work

    def attend(self) -> None:
        """Do all that is asked, unless another process does; until nothing is left and nothing comes."""
        # The notifier waits for the user's programs when others can have the turn.
        context = open_context(self._repo)
        self._queue.grace = context.settings.push_delay
        with Notifier(context) as self._notifier:
            while self._goes_on() and self._is_needed(self._waiting()):
                with self._queue.turn(REFS) as ours:
                    if not ours:
                        return
                    with pid_file.named(self._queue.pid_file):
                        self._attend()
                time.sleep(STEP)  # a hook may have seen our name this instant

    def _goes_on(self) -> bool:
        return not self._paused and not processes.is_ending()

    def _attend(self) -> None:
        idle = time.monotonic()
        while self._goes_on():
            waiting = self._waiting()
            self._begin_what_is_due(waiting)
            now = time.monotonic()
            if self._is_needed(waiting):
                idle = now
            elif now - idle >= self._stays:
                return
            time.sleep(STEP)

    def _waiting(self) -> dict[Request, float]:
        """Return the requests that are ours to do, and in how many seconds they are due."""
        return {one: left for one, left in self._queue.waiting().items() if one.group not in self._given_up}

    def _is_needed(self, waiting: Collection[Request]) -> bool:
        working = any(thread.is_alive() for thread in list(self._threads.values()))
        return bool(waiting) or working or any(one.is_sending() for one in list(self._publishers.values()))

    def _begin_what_is_due(self, waiting: dict[Request, float]) -> None:
        due = {request for request, left in waiting.items() if not left}
        if 0 < waiting.get(Request("commit"), 0.0) <= LONGEST_GRACE:  # any push would take the commit along
            due = {request for request in due if request.group != REFS}
        if refs_due := frozenset(request for request in due if request.group == REFS):
            self._do(REFS, refs_due)
        for group in {request.group for request in due} - {REFS}:
            self._begin(group)

    def _begin(self, group: str) -> None:
        """Have a thread do what is due in a group, unless one is at it."""
        if group not in self._threads or not self._threads[group].is_alive():
            self._start(group, self._serve, group)

    def _start(self, name: str, work: Callable[..., None], *arguments: object) -> None:
        self._threads[name] = threading.Thread(target=work, args=arguments, daemon=True, name=name)
        self._threads[name].start()

    def _serve(self, group: str) -> None:
        try:
            with self._queue.turn(group) as ours:
                while ours and not self._paused and (due := self._queue.due(group)):
                    self._do(group, due)
            if not ours:  # another process is at work there, and will see what is asked
                time.sleep(OCCUPIED)
        except Exception as error:
            self._given_up.add(group)
            log.error("%s: %s", group, error, exc_info=not isinstance(error, SyncxError))
        except KeyboardInterrupt:  # we are being ended
            return

    def _do(self, group: str, due: frozenset[Request]) -> None:
        """Do it with the repository as it is configured now; what is paused stays asked."""
        context = open_context(self._repo)
        self._queue.grace = context.settings.push_delay
        self._paused = pauses.EVERYTHING in pauses.pauses(context.state)
        if self._paused:
            return
        self._queue.take(due)
        try:
            {REFS: self._refs, CONTENT: self._content}.get(group, self._drives)(context, due)
        except SyncxError as error:
            log.error("%s", error)
            with contextlib.suppress(SyncxError):  # so that `retry` takes it up
                context.state.record_failure("", "push" if group == REFS else "transfer", error.what)
        self._queue.done(due)

    def _refs(self, context: Context, requests: frozenset[Request]) -> None:
        if Request("commit") in requests:
            self._ask_content()  # need not wait until the branches have gone everywhere
        try:
            self._come_again(context, requests, self._run(context, tasks.refs(context, requests)))
        except SyncxError:
            self._ask_content()  # where there was no merge to do so
            raise
        if (head := git.head(context.repo)) and head.adjusted:  # what was committed is on its basis only now
            self._ask_content()

    def _ask_content(self) -> None:
        self._queue.ask(Request("content"))
        self._begin(CONTENT)

    def _content(self, context: Context, requests: frozenset[Request]) -> None:
        drives_asked = {request.remote for request in self._queue.waiting() if request.kind == "drive"}
        if Result.BUSY in self._run(context, tasks.content(context, drives_asked)):
            self._put_off(CONTENT, requests, OCCUPIED)
        else:
            self._backoff.pop(CONTENT, None)

    def _drives(self, context: Context, requests: frozenset[Request]) -> None:
        everyone, paused = choose_remotes(context, (), ())[0], pauses.pauses(context.state)
        chosen = {remote.name: remote for remote in everyone if remote.name not in paused}
        for request in requests:
            if remote := chosen.get(request.remote):
                if Result.BUSY in self._run(context, tasks.drive(context, remote)):
                    self._put_off(request.group, [request], OCCUPIED)
                self._queue.ask(Request("received"))

    def _put_off(self, group: str, requests: Iterable[Request], first: float) -> None:
        """Ask for them later, and later still where somebody is at work then too."""
        self._backoff[group] = max(first, 2 * self._backoff.get(group, 0.0))
        for request in requests:
            self._queue.ask(request, min(self._backoff[group], LONGEST_LOOK))

    def _run(self, context: Context, events: Iterator[Event]) -> set[Result]:
        """Run a task; return the results of its outcomes."""

        def show(event: Event) -> None:
            self._show(event)
            publisher.note(event)
            if isinstance(event, Outcome) and event.event == "merge":  # now it is known what content there is to move
                self._ask_content()

        with Publisher(context) as publisher:
            self._publishers[threading.current_thread().name] = publisher  # of each group the last
            outcomes = run_phase(context, events, show, self._notifier)
        return {outcome.result for outcome in outcomes}

    def _come_again(self, context: Context, requests: Collection[Request], results: Collection[Result]) -> None:
        """Look again where somebody is at work, or where a redundant merge was put off."""
        if Result.BUSY in results and self._backoff.get(REFS, 0.0) < PATIENCE:
            self._put_off(REFS, requests, LOOK_AGAIN)
        else:
            self._backoff.pop(REFS, None)
            if Result.LEVEL in results and (head := git.head(context.repo)):
                due = redundant_merge.pending(context, head.basis).due
                self._queue.ask(Request("received"), max(redundant_merge.SHORTEST_WAIT, due - time.time()))
        left = [failure.next - time.time() for failure in context.state.failures() if failure.phase in pauses.REFS]
        if soon := [seconds for seconds in left if 0 < seconds < PATIENCE]:
            self._queue.ask(Request("retry"), min(soon))
