"""Being told to end: an exception in the main thread, but never where it would leave a lock locked for ever.

Python's own fork holds locks of the logging module, and frees them in code that a signal can break off.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

_depth = 0  # of shields of the main thread
_waiting = False  # whether a signal came meanwhile


def obey(last_resort: float) -> None:
    """From now on the first signal to end raises KeyboardInterrupt in the main thread, as soon as that does no harm.

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
    """Return what is done inside is not broken off; it should be short. Raises KeyboardInterrupt afterwards."""
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
    """From now on have a thread call `told` at the first signal to end, and raise nothing.

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
