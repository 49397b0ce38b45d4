"""The processes that do for `watch` what is asked: few at once, and where signals come one that is started already.

A start of the program with all its modules takes longer than most of what a signal causes.
"""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.system import processes, run
from git_annex_syncx.system.lasting import Talk
from git_annex_syncx.views import log as view_log

Told = queue.SimpleQueue[bytes]  # a line for a process, empty where it is not to begin any more

BEGIN = b"begin\n"
MOST_PROCESSES = 2  # at once; they find out by themselves whether there is something to do for them


class WorkerPool:
    """Processes for one repository. Threads may share it."""

    def __init__(self, home: Path, verbose: int) -> None:
        """Start nothing yet."""
        self._home, self._verbose = home, verbose
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()  # of each process one
        self._ready: Told | None = None  # of the process that is started already and waits
        self._keeps_ready = False

    def keep_ready(self, keeps: bool) -> None:
        """Have a process that can begin at once where none is at work, or have none."""
        with self._lock:
            self._keeps_ready = keeps
            self._make_ready()
            if self._ready and not keeps:
                self._ready.put(b"")
                self._ready = None

    def start(self) -> None:
        """Have a process do what waits."""
        with self._lock:
            if self._ready:
                self._ready.put(BEGIN)
                self._ready = None
            elif len(self._threads) < MOST_PROCESSES:
                self._begin().put(BEGIN)

    def _make_ready(self) -> None:
        if self._keeps_ready and not self._threads and not processes.is_ending():
            self._ready = self._begin()

    def _begin(self) -> Told:
        """Start a process, and return where to tell it to begin."""
        told: Told = queue.SimpleQueue()
        thread = threading.Thread(target=self._attend, args=(told,), daemon=True, name="work")
        self._threads.add(thread)
        thread.start()
        return told

    def _attend(self, told: Told) -> None:
        """Run one process to its end: it ends with the thread that started it."""
        over = threading.Event()

        def ended(code: int, said: bytes) -> None:
            if code and not processes.is_ending():
                view_log.line(f"a process of ours ended with {code}: {os.fsdecode(said).strip()}")
            over.set()
            told.put(b"")

        name = "ready" if self._keeps_ready else "waiting"
        words = ["-C", str(self._home), *["-v"] * self._verbose, "trigger", name]
        try:
            process = Talk(
                str(run.own_program()), *words, cwd=Path("/"), env=run.environment(), ended=ended,
                heard=lambda line: view_log.passed_on(os.fsdecode(line)),
            )  # fmt: skip
            process.say(told.get())
            process.finish()
            over.wait()
        except SyncxError as error:
            view_log.line(str(error))
        except KeyboardInterrupt:  # we are being ended
            return
        finally:
            self._replace(told)

    def _replace(self, told: Told) -> None:
        """Have another process ready for one that has done its work; not at once for one that could not begin."""
        with self._lock:
            self._threads.discard(threading.current_thread())
            if self._ready is told:
                self._ready = None
            else:
                self._make_ready()
