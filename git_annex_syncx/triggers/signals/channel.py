"""The one small interface of all channels that signals can travel on, and which address means which."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Protocol

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git.git import Repository

SEND_LIMIT = 20.0  # seconds for sending one signal, connecting included
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0  # seconds before connecting again, doubled each time, with jitter
EXAMPLE = "mqtts://me@broker.example.org/family, xmpp:me@example.org or exec:my-program"
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


def open_channel(repo: Repository, uuid: str, address: str) -> Channel:
    """The channel for an address of syncx.signal. Raises UsageError."""
    scheme = address.partition(":")[0].lower()
    if scheme in ("mqtt", "mqtts"):
        from git_annex_syncx.triggers.signals.mqtt import Mqtt

        return Mqtt(repo, uuid, address)
    if scheme == "xmpp":
        from git_annex_syncx.triggers.signals.xmpp import Xmpp

        return Xmpp(repo, uuid, address)
    if scheme == "exec":
        from git_annex_syncx.triggers.signals.program import Program

        return Program(repo, uuid, address)
    what = f"syncx.signal = {shown(address)!r} is no address that signals can travel to"
    raise UsageError(what, f"right are {EXAMPLE}")
