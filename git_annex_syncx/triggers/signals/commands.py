"""Signals by hand: send one, listen to all, try whether a channel works."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.model import Heard
from git_annex_syncx.runs.context import Node
from git_annex_syncx.system.state import Outbox
from git_annex_syncx.triggers.signals.channel import Channel, shown
from git_annex_syncx.triggers.signals.channels import EXAMPLE, open_channel
from git_annex_syncx.triggers.signals.listener import Ear
from git_annex_syncx.triggers.signals.message import NoSignal, decode, encode
from git_annex_syncx.triggers.signals.publisher import news

SLOW = 2.0  # seconds after which a connection is looked into
ECHO = 15.0  # seconds to wait for the connection, and again for the own signal


def send(node: Node) -> Iterator[Heard]:
    """Tell the others on every channel that there is news here."""
    payload = encode(news(node.repo, node.settings.annex_uuid, "refs"))
    for address in _addresses(node):
        begun = time.monotonic()
        try:
            _channel(node, address).send(payload)
        except SyncxError as error:
            yield Heard(shown(address), wrong=str(error))
        else:
            yield Heard(shown(address), "sent", "refs", seconds=time.monotonic() - begun)


def listen(node: Node) -> Iterator[Heard]:
    """Whatever comes on any channel, and what would be made of it; nothing is fetched. Until interrupted."""
    said: queue.Queue[Heard] = queue.Queue()
    ear = Ear(node.repo, node.settings, _no_outbox(node), lambda _: None)
    stop = threading.Event()

    def hear(address: str) -> None:
        def heard(raw: bytes) -> None:
            verdict = ear.hear(raw)
            signal = verdict.signal
            said.put(Heard(shown(address), verdict.why, signal.kind if signal else "", signal.uuid if signal else ""))

        try:
            _channel(node, address).listen(heard, lambda: said.put(Heard(shown(address), "connected")), stop)
        except SyncxError as error:
            said.put(Heard(shown(address), wrong=str(error)))

    for address in _addresses(node):
        threading.Thread(target=hear, args=(address,), daemon=True).start()
    try:
        while True:
            yield said.get()
    finally:
        stop.set()


def test(node: Node) -> Iterator[Heard]:
    """Send a signal on every channel and wait for its echo: how long that took, or what is wrong."""
    for address in _addresses(node):
        try:
            yield _tried(_channel(node, address), address, node)
        except SyncxError as error:
            yield Heard(shown(address), wrong=str(error))


def _tried(channel: Channel, address: str, node: Node) -> Heard:
    signal = replace(news(node.repo, node.settings.annex_uuid, "test"), refs=secrets.token_hex(8))
    stop, connected, echo = threading.Event(), threading.Event(), threading.Event()
    errors: list[SyncxError] = []

    def heard(raw: bytes) -> None:
        try:
            if decode(raw) == signal:
                echo.set()
        except NoSignal:
            return

    def listening() -> None:
        try:
            channel.listen(heard, connected.set, stop)
        except SyncxError as error:
            errors.append(error)
            connected.set()

    thread = threading.Thread(target=listening, daemon=True)
    thread.start()
    try:
        if not connected.wait(SLOW):
            channel.send(encode(signal), last=False)  # it says what is wrong, where listening tries again
        if not connected.wait(ECHO) and not errors:
            return Heard(shown(address), wrong=f"no connection for listening within {ECHO:g} s")
        if errors:
            raise errors[0]
        begun = time.monotonic()
        channel.send(encode(signal), last=False)
        if not echo.wait(ECHO):
            return Heard(shown(address), wrong=f"the signal was sent, but did not come back within {ECHO:g} s")
        return Heard(shown(address), "works, its echo came back", seconds=time.monotonic() - begun)
    finally:
        stop.set()
        thread.join(1.0)


def _addresses(node: Node) -> tuple[str, ...]:
    if not node.settings.signals:
        raise UsageError("no channel is configured", f"git config --add syncx.signal ADDRESS; right are {EXAMPLE}")
    return node.settings.signals


def _channel(node: Node, address: str) -> Channel:
    return open_channel(node.repo, node.settings.annex_uuid, address)


class _NoOutbox(Outbox):
    """Listening by hand leaves no counts."""

    def remember(self, key: str, value: str) -> None:
        """Nothing is remembered."""


def _no_outbox(node: Node) -> Outbox:
    return _NoOutbox(node.outbox.path)
