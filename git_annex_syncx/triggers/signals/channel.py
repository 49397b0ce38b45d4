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

from tenacity import RetryCallState, Retrying, retry_if_exception_type, sleep_using_event, wait_exponential

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.system import run

log = logging.getLogger(__name__)

SEND_LIMIT = 20.0  # seconds for sending one signal, connecting included
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

    @abc.abstractmethod
    def attend(self, heard: Heard, connected: Connected, stop: threading.Event) -> None:
        """Hear over one connection until `stop` is set; memory is bounded. Raises Lost, and what `listen` does."""

    def listen(self, heard: Heard, connected: Connected, stop: threading.Event) -> None:
        """Hear until `stop` is set; a connection that is lost is made again, with back-off.

        Raises what no other try can mend: a wrong password, a bad certificate.
        """
        again(lambda stands: self.attend(heard, stands, stop), connected, stop)


def again(
    attend: Callable[[Connected], None],
    connected: Connected,
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Call `attend`, which hears until the connection is lost, again until `stop` is set.

    It calls what it is given when the connection stands, and raises Lost; other errors end all. The waits grow, until
    a connection stood for STOOD seconds. `clock` tells seconds.
    """
    growing = wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)
    since, level = math.inf, logging.WARNING  # since when it stands; trouble is told loudly once

    def stands() -> None:
        nonlocal since, level
        since, level = clock(), logging.WARNING
        connected()

    def attempt() -> None:
        if not stop.is_set():
            attend(stands)

    def wait(state: RetryCallState) -> float:
        nonlocal since
        if clock() - since >= STOOD:
            state.attempt_number = 1
        since = math.inf
        return growing(state) * random.uniform(0.5, 1.0)

    def complain(state: RetryCallState) -> None:
        nonlocal level
        error = state.outcome and state.outcome.exception()
        log.log(level, "signals: %s; trying again", error.what if isinstance(error, Lost) else error)
        level = logging.INFO

    Retrying(
        retry=retry_if_exception_type(Lost), wait=wait, sleep=sleep_using_event(stop), before_sleep=complain,
        stop=lambda _: stop.is_set() or run.is_ending(), retry_error_callback=lambda _: None,
    )(attempt)  # fmt: skip


def shown(address: str) -> str:
    """Return an address for people to see: without a password, which does not belong in it."""
    return PASSWORD.sub(r"\1@", address)


def wrong(address: str, why: str, right: str) -> UsageError:
    """Return the error for an address that cannot be right."""
    return UsageError(f"syncx.signal = {shown(address)!r}: {why}", f"right is {right}")
