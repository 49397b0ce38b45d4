"""The one small interface of all channels that signals can travel on, and what all channels share."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Protocol

SEND_LIMIT = 20.0  # seconds for sending one signal, connecting included
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0  # seconds before connecting again, doubled each time, with jitter
# What stands between the user and the last @, unless it is a port.
PASSWORD = re.compile(r"^((?!exec:)\w+:/*[^:/?@]*):(?!\d+(?:[/?]|$)).*@")

Heard = Callable[[bytes], None]  # what came, not looked at yet
Connected = Callable[[], None]  # the connection stands, again: something may have been missed


class Channel(Protocol):
    """A way for signals to travel. All methods block; errors are SyncxErrors that say what to do."""

    def send(self, payload: bytes, last: bool = True) -> None:
        """Send to all others; `last`: a late-comer should learn it, where the channel can keep it."""

    def listen(self, heard: Heard, connected: Connected, stop: threading.Event) -> None:
        """Hear until `stop` is set. A connection that is lost is made again, with back-off; memory is bounded.

        Raises what no other try can mend: a wrong password, a bad certificate, a missing package.
        """


def shown(address: str) -> str:
    """An address for people to see: without a password, which does not belong in it. Pure."""
    return PASSWORD.sub(r"\1@", address)
