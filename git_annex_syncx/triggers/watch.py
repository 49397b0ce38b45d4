"""The foreground service: refs, drives and timers -> one queue -> requests, and a process that does what is asked.

It compares what is there; events of the file system only wake it. What it finds becomes a request (see requests.py),
so that hooks, cron and this service never do the same twice. The work is done by processes of their own: this one
stays small for years, and whatever happens to them, it goes on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from git_annex_syncx import view_log
from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.gateway import git, run
from git_annex_syncx.gateway.git import Repository
from git_annex_syncx.gateway.outbox import Outbox
from git_annex_syncx.gateway.settings import read_settings
from git_annex_syncx.phases import hold
from git_annex_syncx.triggers.mounts import Drives
from git_annex_syncx.triggers.requests import Desk, Request

log = logging.getLogger(__name__)

FULL_LOOK = 6 * 3600.0  # seconds between two looks at everything, also at what others have
TICK = 30.0  # seconds between two looks at the clock and the outbox
DRIVES_EVERY = 3.0  # seconds between two looks at drives
ASLEEP = 60.0  # seconds by which a tick comes late when the machine was suspended
DEBOUNCE = 0.2  # seconds in which events become one
STEP = 500  # milliseconds between two looks of the file watcher at its events: a smaller one costs CPU all day
MOST_WORKERS = 2  # they find out by themselves whether there is something to do for them
LAST_WAIT = 1.8  # seconds for the work in hand when we are told to end
THOROUGH = 10  # ticks between two comparisons of the refs, should no event tell of a change
TICKED = "tick"
TELLING = {"HEAD", "packed-refs", "config", "config.worktree"}  # of the files in the git directory


@dataclass
class Seen:
    """What was there at the last look. Times in seconds since 1970."""

    refs: dict[str, str] = field(default_factory=dict)
    looked: float = 0.0  # at everything
    ticked: float = 0.0
    ticks: int = 0
    place: tuple[int, int] | None = None  # device and inode of the git directory


def watch(repo: Repository, verbose: int) -> None:
    """Look after a repository until we are told to end. Raises UsageError where the file watcher is missing."""
    if importlib.util.find_spec("watchfiles") is None:
        raise UsageError("watch needs the package watchfiles", "pip install 'git-annex-syncx[watch]'")
    Watch(repo, verbose).run()


class Watch:
    """One repository that is looked after."""

    def __init__(self, repo: Repository, verbose: int) -> None:
        """Nothing is watched yet."""
        self._repo, self._verbose = repo, verbose
        self._home = repo.top or repo.git_dir
        self._settings = read_settings(repo)
        self._events: queue.Queue[str] = queue.Queue()
        self._workers: set[threading.Thread] = set()
        self._drives = Drives()
        self._seen = Seen()
        self._files = FileWatcher(self._events.put)

    def run(self) -> None:
        """Look after it until we are told to end."""
        view_log.talk(self._verbose)
        view_log.line(f"watching {self._home}")
        self._drives.arrived(self._repo, self._settings.remotes.values())  # the first look is for these too
        reasons = {"start"}
        threading.Thread(target=self._beat, daemon=True, name="beat").start()
        try:
            while True:
                self._look(reasons)
                reasons = self._woken()
        except KeyboardInterrupt:
            view_log.line("told to end")
        finally:
            self._files.stop()
            run.end_all(LAST_WAIT)

    def _woken(self) -> set[str]:
        """Wait for something to happen; what has."""
        reasons = {self._events.get()}
        if reasons != {TICKED}:
            time.sleep(DEBOUNCE)
        with contextlib.suppress(queue.Empty):
            while True:
                reasons.add(self._events.get_nowait())
        return reasons

    def _beat(self) -> None:
        """Wake the main thread from time to time, and where a drive has come."""
        last = time.monotonic()
        while True:
            time.sleep(DRIVES_EVERY)
            try:
                for name in self._drives.arrived(self._repo, self._settings.remotes.values()):
                    view_log.line(f"{name} is there")
                    self._ask([Request("drive", name)])
            except Exception:  # it must beat on
                log.exception("looking for drives")
            if time.monotonic() - last >= TICK:
                last = time.monotonic()
                self._events.put(TICKED)

    def _look(self, reasons: Collection[str]) -> None:
        """Compare what is there with what was, and ask for what follows. A repository may come and go."""
        log.debug("woken by %s", ", ".join(sorted(reasons)))
        self._seen.ticks = self._seen.ticks + 1 if reasons == {TICKED} else 0
        try:
            found = self._repo.git_dir.stat()
            same = self._seen.place == (found.st_dev, found.st_ino)
            requests = self._due()
            if not same or self._seen.ticks % THOROUGH == 0:
                self._repo = git.open_repository(self._home)
                self._settings = read_settings(self._repo)
                requests |= self._news()
            self._files.follow(self._repo, anew=not same)
            self._seen.place = (found.st_dev, found.st_ino)
        except (SyncxError, OSError) as error:
            if self._seen.place:
                view_log.line(str(error) if self._home.exists() else f"{self._home} is not there; waiting for it")
            self._seen.place = None
            return
        self._ask(requests)

    def _due(self) -> set[Request]:
        """What time alone has brought."""
        now, seen, requests = time.time(), self._seen, set()
        if not 0 <= now - seen.looked < FULL_LOOK or not 0 <= now - seen.ticked < TICK + ASLEEP:
            requests.add(Request("look"))
            seen.looked = now
        seen.ticked = now
        outbox = Outbox(self._repo.state_dir / "outbox.sqlite", self._settings.retry_interval)
        if any(hold.is_due(failure, now) for failure in outbox.failures()):
            requests.add(Request("retry"))
        return requests

    def _news(self) -> set[Request]:
        """What has happened to the branches."""
        before, self._seen.refs = self._seen.refs, git.refs(self._repo, "refs/heads")
        changed = self._seen.refs != before
        return {Request("received"), Request("commit")} if changed else set()

    def _ask(self, requests: Iterable[Request]) -> None:
        """Note what is asked, and have a process do what waits."""
        try:
            desk = Desk(self._repo, self._settings.push_delay)
            for request in requests:
                desk.ask(request)
            if desk.waiting():
                self._start()
        except SyncxError as error:
            view_log.line(str(error))

    def _start(self) -> None:
        self._workers = {worker for worker in self._workers if worker.is_alive()}
        if len(self._workers) < MOST_WORKERS:
            worker = threading.Thread(target=self._work, daemon=True, name="work")
            self._workers.add(worker)
            worker.start()

    def _work(self) -> None:
        """One process, from its start to its end: it ends with the thread that started it."""
        ended = threading.Event()
        words = ["-C", str(self._home), *["-v"] * self._verbose, "trigger", "waiting"]
        program = str(run.own_program())
        try:
            run.Talk(program, *words, cwd=Path("/"), env=run.environment(), heard=_said, ended=lambda *_: ended.set())
        except SyncxError as error:
            view_log.line(str(error))
            return
        ended.wait()


class FileWatcher:
    """Wakes somebody when refs or the configuration of a repository may have changed."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        """Nothing is followed yet."""
        self._wake = wake
        self._stop: threading.Event | None = None

    def follow(self, repo: Repository, anew: bool) -> None:
        """Follow a repository; `anew` where the directory is another one than before."""
        if self._stop and not anew:
            return
        self.stop()
        self._stop = stop = threading.Event()
        deep = [place for place in (repo.common / "refs", repo.common / "reftable") if place.is_dir()]
        for places, recursive in (({repo.git_dir, repo.common}, False), (set(deep), True)):
            thread = threading.Thread(target=self._follow, args=(places, recursive, stop), daemon=True, name="files")
            thread.start()

    def stop(self) -> None:
        """Follow nothing any more."""
        if self._stop:
            self._stop.set()

    def _follow(self, places: Collection[Path], recursive: bool, stop: threading.Event) -> None:
        from watchfiles import Change, watch

        def matters(change: Change, path: str) -> bool:
            return recursive or os.path.basename(path) in TELLING

        try:
            for changes in watch(
                *places, recursive=recursive, watch_filter=matters, stop_event=stop, step=STEP, debounce=2 * STEP,
                rust_timeout=60_000, raise_interrupt=False,
            ):  # fmt: skip
                self._wake(next(iter(changes))[1])
        except Exception:  # there are too many watches, or the directory went this instant: ticks do it then
            log.warning("cannot follow %s", ", ".join(map(str, places)), exc_info=log.isEnabledFor(logging.DEBUG))


def _said(line: bytes) -> None:
    """A line of the log of a process."""
    view_log.passed_on(os.fsdecode(line))
