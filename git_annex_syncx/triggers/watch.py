"""The service in the foreground: changes of refs, drives and time become requests, which a process of its own does.

It compares what is there; events of the file system only wake it. What it finds becomes a request (see queue.py),
so that hooks, cron and this service never do the same twice. It stays small for years (40 MB), and goes on whatever
happens to the processes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from git_annex_syncx.errors import Away, SyncxError, UsageError
from git_annex_syncx.git import git
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import read_settings
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import open_context
from git_annex_syncx.system import locks, processes
from git_annex_syncx.system.records import Failure
from git_annex_syncx.system.state import State
from git_annex_syncx.triggers.follow import FileWatcher, require_watcher
from git_annex_syncx.triggers.mounts import Drives
from git_annex_syncx.triggers.next_run import FULL_LOOK
from git_annex_syncx.triggers.pid_file import named, process_at, watch_file
from git_annex_syncx.triggers.queue import Queue, Request
from git_annex_syncx.triggers.worker_pool import WorkerPool
from git_annex_syncx.views import log as view_log

if TYPE_CHECKING:
    from git_annex_syncx.triggers.signals.listener import Listener

log = logging.getLogger(__name__)

Place = tuple[int, int]  # device and inode of a git directory

TICK = 30.0  # seconds between two looks at the clock and the state
DRIVES_EVERY = 3.0  # seconds between two looks at drives
ASLEEP = 60.0  # seconds by which a tick comes late when the machine was suspended
DEBOUNCE = 0.2  # seconds in which events become one
LAST_WAIT = 1.4  # seconds for the work in hand when we are told to end
THOROUGH = 10  # ticks between two comparisons of the refs, should no event tell of a change
TICKED, END = "tick", "the end"


@dataclass
class Seen:
    """The world as it was at the last look. Times in seconds since 1970."""

    refs: dict[str, str] = field(default_factory=dict)
    remotes: frozenset[str] | None = None
    due: frozenset[Failure] = frozenset()
    paused: frozenset[str] = frozenset()
    looked: float = 0.0  # at everything
    ticked: float = 0.0
    ticks: int = 0
    place: Place | None = None


def watch(repo: Repository, verbose: int) -> None:
    """Look after a repository until we are told to end. Raises UsageError where the file watcher is missing."""
    require_watcher()
    open_context(repo)  # where no run can work, this says why
    path = watch_file(repo)
    with contextlib.ExitStack() as stack:
        with locks.held(path, "another watch is being started here"):  # of two that start at once one sees the other
            if other := process_at(path):
                raise UsageError(
                    f"watch is at work here already, as process {other}", f"to end that one: kill {other}"
                )
            stack.enter_context(named(path))
        Watch(repo, verbose).run()


class Watch:
    """One repository that is looked after."""

    def __init__(self, repo: Repository, verbose: int) -> None:
        """Watch nothing yet."""
        self._repo, self._verbose = repo, verbose
        self._home = repo.top or repo.git_dir
        self._settings = read_settings(repo)
        self._events: queue.SimpleQueue[str | Request] = queue.SimpleQueue()
        self._workers = WorkerPool(self._home, verbose)
        self._drives = Drives()
        self._seen = Seen()
        self._files = FileWatcher(self._events.put)
        self._listener: Listener | None = None

    def run(self) -> None:
        """Look after it until we are told to end."""
        processes.heed(self._end)
        view_log.set_up(self._verbose)
        for line in (f"watching {self._home}", *self._settings.unknown):
            view_log.line(line)
        self._drives.look(self._repo, self._settings.remotes.values())  # the first look is for these too
        reasons: set[str | Request] = {"start"}
        threading.Thread(target=self._beat, daemon=True, name="beat").start()
        try:
            with contextlib.suppress(KeyboardInterrupt):  # a program was to be started, but we are being ended
                while END not in reasons:
                    self._look(reasons)
                    reasons = self._woken()
            view_log.line("told to end")
        finally:
            self._files.stop()
            if self._listener:
                self._listener.stop()
            processes.end_all(LAST_WAIT)

    def _end(self) -> None:
        """End the programs that the main thread may wait for, too."""
        self._events.put(END)
        processes.end_all(LAST_WAIT)

    def _woken(self) -> set[str | Request]:
        """Wait for something to happen; return what has."""
        try:
            reasons = {self._events.get(timeout=TICK)}
        except queue.Empty:
            return {TICKED}
        if END not in reasons:
            time.sleep(DEBOUNCE)
        with contextlib.suppress(queue.Empty):
            while True:
                reasons.add(self._events.get_nowait())
        return reasons

    def _beat(self) -> None:
        """Wake the main thread where a drive has come, or the repository has come or gone."""
        last = _place(self._repo)
        while True:
            time.sleep(DRIVES_EVERY)
            try:
                last, before = _place(self._repo), last
                if last != before:
                    self._events.put("another place")
                if self._seen.place:
                    self._look_at_drives()
            except Exception:  # it must beat on
                log.exception("looking for drives")

    def _look_at_drives(self) -> None:
        new, gone = self._drives.look(self._repo, self._settings.remotes.values())
        for name in gone:
            view_log.line(f"{name} is gone")
        for name in new:
            view_log.line(f"{name} is there")
            self._events.put(Request("drive", name))

    def _look(self, reasons: Collection[str | Request]) -> None:
        """Compare what is there with what was, and ask for what follows. A repository may come and go."""
        log.debug("woken by %s", ", ".join(sorted(map(str, reasons))))
        self._seen.ticks = self._seen.ticks + 1 if reasons == {TICKED} else 0
        try:
            found = _place(self._repo)
            if found is None:
                raise Away(f"{self._home} is not there; waiting for it")
            same = self._seen.place == found
            requests = {one for one in reasons if isinstance(one, Request)}
            if not same or self._seen.ticks % THOROUGH == 0:
                self._repo = git.open_repository(self._home)
                self._settings = read_settings(self._repo)
                requests |= self._news()
            requests |= self._due()
            self._files.follow(self._repo, anew=not same)
            self._listen()
            self._workers.keep_ready(self._listener is not None)
            self._ask(requests)
            self._seen.place = found
        except (SyncxError, OSError) as error:
            if (self._seen.place or "start" in reasons) and not processes.is_ending():
                view_log.line(str(error))
            self._seen.place = None
            if not isinstance(error, UsageError):  # a bad setting unplugs nothing
                self._drives = Drives()

    def _due(self) -> set[Request]:
        """Return what time has brought, or the end of a pause."""
        now, seen, requests = time.time(), self._seen, set()
        if not 0 <= now - seen.looked < FULL_LOOK or not 0 <= now - seen.ticked < TICK + ASLEEP:
            requests.add(Request("look"))
            seen.looked = now
            with contextlib.suppress(OSError):  # for `status`
                os.utime(watch_file(self._repo))
        state, before = self._open_state(), (seen.due, seen.paused)
        seen.due = frozenset(failure for failure in state.failures() if pauses.is_due(failure, now))
        seen.paused = frozenset(pauses.pauses(state))
        if seen.due - before[0] or before[1] - seen.paused:  # once: not all that failed is for us to mend
            requests.add(Request("retry"))
        if any(not 0 <= now - unmet.asked < self._settings.retry_interval for unmet in state.unmet.all()):
            requests.add(Request("content"))
        seen.ticked = now
        return requests

    def _news(self) -> set[Request]:
        """Return what has happened to the branches, and remotes that have come."""
        seen, refs = self._seen, git.refs(self._repo, "refs/heads")
        remotes = frozenset(self._settings.remotes)
        requests = {Request("received"), Request("commit")} if refs != seen.refs else set()
        if seen.remotes is not None and remotes - seen.remotes:
            requests.add(Request("look"))
        seen.refs, seen.remotes = refs, remotes
        return requests

    def _ask(self, requests: Iterable[Request]) -> None:
        """Note what is asked, and have a process do what waits, unless all is paused. Raises SyncxError."""
        request_queue = Queue(self._repo, self._settings.push_delay)
        for request in requests:
            try:
                request_queue.ask(request)
            except SyncxError as error:  # a name that is too long, say: no other has to wait for it
                view_log.line(str(error))
        if pauses.EVERYTHING not in self._seen.paused and request_queue.waiting():
            self._start(request_queue)

    def _listen(self) -> None:
        """Hear signals, on the channels that are configured now."""
        if self._listener and self._listener.addresses == self._settings.signals:
            self._listener.update(self._repo, self._settings)
            return
        if self._listener:
            self._listener.stop()
        self._listener = None
        if self._settings.signals:
            from git_annex_syncx.triggers.signals.listener import Listener

            self._listener = Listener(self._repo, self._settings, self._open_state(), self._heard)
            self._listener.start()

    def _heard(self, requests: Iterable[Request]) -> None:
        """Ask for what a signal wants, and begin with it at once."""
        request_queue = Queue(self._repo, self._settings.push_delay)
        for request in requests:
            request_queue.ask(request)
        if pauses.EVERYTHING not in self._seen.paused:
            self._start(request_queue)

    def _open_state(self) -> State:
        return State(self._repo.state_dir / "outbox.sqlite", self._settings.retry_interval)

    def _start(self, request_queue: Queue) -> None:
        """Have a process do what waits, where none stays that will see it."""
        if not process_at(request_queue.pid_file):
            self._workers.start()


def _place(repo: Repository) -> Place | None:
    """Return which directory is there now, None where there is none."""
    try:
        found = repo.git_dir.stat()
        return found.st_dev, found.st_ino
    except OSError:
        return None
