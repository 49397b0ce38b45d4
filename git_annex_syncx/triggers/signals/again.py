"""Connect again and again, each time a little later, until told to stop."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.system import run
from git_annex_syncx.triggers.signals.channel import FIRST_WAIT, LONGEST_WAIT, Connected

log = logging.getLogger(__name__)

STOOD = 60.0  # seconds after which a connection has proved that there is no reason to wait for the next one


class Lost(SyncxError):
    """There is no connection; another try may make one."""


class Waits:
    """The wait before the next connection: doubled each time, with jitter, until one stood for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self._clock = clock
        self._wait = FIRST_WAIT
        self._since: float | None = None

    def stands(self) -> None:
        """There is a connection now."""
        self._since = self._clock()

    def next(self) -> float:
        """The seconds to wait now that it is lost, or was never made."""
        if self._since is not None and self._clock() - self._since >= STOOD:
            self._wait = FIRST_WAIT
        self._since = None
        wait, self._wait = self._wait, min(2 * self._wait, LONGEST_WAIT)
        return wait * random.uniform(0.5, 1.0)


def again(attend: Callable[[Connected], None], connected: Connected, stop: threading.Event) -> None:
    """Call `attend`, which hears until the connection is lost, again until `stop` is set.

    It calls what it is given when the connection stands, and raises Lost; other errors end all.
    """
    waits, level = Waits(), logging.WARNING

    def stands() -> None:
        nonlocal level
        waits.stands()
        level = logging.WARNING
        connected()

    while not stop.is_set():
        try:
            attend(stands)
        except Lost as error:
            if run.is_ending():
                return
            log.log(level, "signals: %s; trying again", error.what)
            level = logging.INFO  # said once, until it stood again
        stop.wait(waits.next())
