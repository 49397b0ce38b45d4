"""Processes of ours, which are ended with us, and the signals that tell us to end.

A signal raises an exception in the main thread, but never where it would leave a lock locked for ever: Python's own
fork holds locks of the logging module, and frees them in code that a signal can break off.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

_depth = 0  # of shields of the main thread
_waiting = False  # whether a signal came meanwhile
PATIENCE, LAST_WAIT = 1.2, 0.5  # seconds for a program to end when it is told to, and when it is killed

_alive: list[Process] = []
_alive_lock = threading.Lock()
_ending = threading.Event()


class Process(Protocol):
    """A program that was started: its id, and whether it has not ended yet."""

    @property
    def pid(self) -> int:
        """Return its process id."""

    def is_alive(self) -> bool:
        """Return whether it has not ended yet."""


@contextlib.contextmanager
def starting() -> Iterator[list[Process]]:
    """Yield the programs that are ended with us, for a new one to be entered.

    Raises KeyboardInterrupt where we are being ended.
    """
    with shielded(), _alive_lock:
        if _ending.is_set():
            raise KeyboardInterrupt
        yield _alive


@contextlib.contextmanager
def forgetting(running: Process) -> Iterator[None]:
    """Forget a program after the block, and end it where it has not ended."""
    try:
        yield
    finally:
        forget(running)


def end_all(patience: float = PATIENCE) -> None:
    """End every program that is still running, with all that it started; nothing new starts afterwards.

    What has not ended itself after `patience` seconds is killed.
    """
    _ending.set()
    with shielded(), _alive_lock:
        left = list(_alive)
    end(*left, patience=patience)


def is_ending() -> bool:
    """Return whether this run is being ended; who waits for something should give up."""
    return _ending.is_set()


def end(*all_running: Process, patience: float = PATIENCE, last: float = LAST_WAIT) -> None:
    """Send SIGTERM to the whole groups, then SIGKILL to what does not listen."""
    own = os.getpgid(0)
    for deadly, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, last)):
        left = [running for running in all_running if _lives(running)]
        pids = [pid for running in left for pid in _all_of(running.pid, own)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, deadly)
        deadline, step = time.monotonic() + wait, 0.001
        while any(map(_lives, left)) and time.monotonic() < deadline:
            time.sleep(step)
            step = min(2 * step, 0.01)


def _lives(running: Process) -> bool:
    """Return whether it, or what it started and did not wait for, is still there."""
    if running.is_alive():
        return True
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(running.pid, 0)
        return True
    return False


def _all_of(pid: int, own: int) -> list[int]:
    """Return what to signal to reach a program with all that it started: its group, where that is not ours."""
    return [pid, *_descendants(pid)] if _group(pid) == own else [-pid]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return pid


def _descendants(root: int) -> list[int]:
    """Return all processes below `root` (they share our group when they may use the terminal)."""
    import sh

    listed = sh.Command("ps")("-A", "-o", "pid=,ppid=", _tty_out=False, _return_cmd=True).stdout.decode()
    parents = {int(pid): int(parent) for pid, parent in map(str.split, listed.splitlines())}
    found = [root]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found[1:]


def forget(running: Process) -> None:
    """Forget a program that has ended, or is ended now."""
    if running.is_alive():  # an exception (Ctrl-C) on the way
        end(running)
    with shielded(), _alive_lock:
        _alive[:] = [other for other in _alive if other is not running]


# Being told to end


def obey(last_resort: float) -> None:
    """Let the first signal to end raise KeyboardInterrupt in the main thread, as soon as that does no harm.

    Whatever comes of it, the process ends within `last_resort` seconds. A second signal breaks nothing off.
    """
    own = os.getpid()

    def interrupt(*_: object) -> None:
        if os.getpid() != own:  # a fork that has not become another program yet: its parent ends it
            return
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)  # programs would inherit SIG_IGN, but not this
        signal.setitimer(signal.ITIMER_REAL, last_resort)  # nobody handles it, so the kernel ends us
        _raise()

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, interrupt)


def _raise() -> None:
    global _waiting
    if _depth:
        _waiting = True
    else:
        raise KeyboardInterrupt


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Do not break off what is done inside, which should be short. Raises KeyboardInterrupt afterwards."""
    global _depth, _waiting
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if _waiting and not _depth:
            _waiting = False
            raise KeyboardInterrupt


def heed(told: Callable[[], None]) -> None:
    """Have a thread call `told` at the first signal to end, and raise nothing.

    The main thread would do where it never waits for long: of a signal that comes just before it hears afterwards.
    """
    heard, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: None)

    def wait() -> None:
        os.read(heard, 1)
        told()

    threading.Thread(target=wait, daemon=True, name="heed").start()
