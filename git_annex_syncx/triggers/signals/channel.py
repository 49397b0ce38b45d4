"""A channel that signals travel on: the interface of all of them, and how a connection that is lost is made again."""

from __future__ import annotations

import abc
import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.system import processes

if TYPE_CHECKING:
    from tenacity import RetryCallState

log = logging.getLogger(__name__)

SEND_LIMIT = 20.0  # seconds for sending one signal, connecting included
SEND_ALONG_LIMIT = 3.0  # seconds for sending one over a connection that stands
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0  # seconds before connecting again, doubled each time, with jitter
STOOD = 60.0  # seconds after which a connection has proved that there is no reason to wait for the next one
LONGEST = 4096  # bytes of a message that are handed on: more than any signal has
POLL = 0.2  # seconds between two looks at whether to stop
# What stands between the user and the last @, unless it is a port.
PASSWORD = re.compile(r"^((?!exec:)\w+:/*[^:/?@]*):(?!\d+(?:[/?]|$)).*@")

Heard = Callable[[bytes], None]  # takes a message, not looked at yet
Connected = Callable[[], None]  # the connection stands, again: something may have been missed


class Lost(SyncxError):
    """There is no connection; another try may make one."""


class Channel(abc.ABC):
    """A way for signals to travel. All methods block; errors are SyncxErrors that say what to do."""

    @abc.abstractmethod
    def send(self, payload: bytes, last: bool = True) -> None:
        """Send to all others; `last`: a late-comer should learn it, where the channel can keep it."""

    def send_along(self, payload: bytes) -> bool:
        """Send to all others over the connection that is heard on; return whether there is one, and that was done."""
        return False

    @abc.abstractmethod
    def attend(self, heard: Heard, connected: Connected, stop: threading.Event) -> None:
        """Hear over one connection until `stop` is set; memory is bounded. Raises Lost, and what `listen` does."""

    def listen(self, heard: Heard, connected: Connected, stop: threading.Event) -> None:
        """Hear until `stop` is set; a connection that is lost is made again, with back-off.

        Raises what no other try can mend: a wrong password, a bad certificate.
        """
        Reconnection(lambda stands: self.attend(heard, stands, stop), connected, stop).run()


class Reconnection:
    """Connects again and again; the waits grow, until a connection stood for STOOD seconds."""

    def __init__(
        self,
        attend: Callable[[Connected], None],
        connected: Connected,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`attend` hears until the connection is lost, and raises Lost; it calls its argument when that stands."""
        self._attend, self._connected, self._stop, self._clock = attend, connected, stop, clock
        self._since = math.inf  # when it stood
        self._level = logging.WARNING  # trouble is told loudly once, until it stands

    def run(self) -> None:
        """Hear until told to stop. Raises what `attend` does, but for Lost."""
        from tenacity import Retrying, retry_if_exception_type, sleep_using_event

        Retrying(
            retry=retry_if_exception_type(Lost), wait=self._wait, sleep=sleep_using_event(self._stop),
            stop=lambda _: self._stop.is_set() or processes.is_ending(), before_sleep=self._complain,
            retry_error_callback=lambda _: None,
        )(self._attempt)  # fmt: skip

    def _attempt(self) -> None:
        if not self._stop.is_set():
            self._attend(self._stands)

    def _stands(self) -> None:
        self._since, self._level = self._clock(), logging.WARNING
        self._connected()

    def _wait(self, state: RetryCallState) -> float:
        if self._clock() - self._since >= STOOD:
            state.attempt_number = 1
        self._since = math.inf
        wait = min(FIRST_WAIT * 2.0 ** min(state.attempt_number - 1, 30), LONGEST_WAIT)
        return wait * random.uniform(0.5, 1.0)

    def _complain(self, state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        log.log(self._level, "signals: %s; trying again", error.what if isinstance(error, Lost) else error)
        self._level = logging.INFO


def shown(address: str) -> str:
    """Return an address for people to see: without a password, which does not belong in it."""
    return PASSWORD.sub(r"\1@", address)


def wrong(address: str, why: str, right: str) -> UsageError:
    """Return the error for an address that cannot be right."""
    return UsageError(f"syncx.signal = {shown(address)!r}: {why}", f"right is {right}")
