"""Signals by hand: send one, listen to all, try whether a channel works."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.model import ChannelEvent
from git_annex_syncx.runs.context import Context
from git_annex_syncx.triggers.signals.channel import Channel, shown
from git_annex_syncx.triggers.signals.channels import EXAMPLE, open_channel
from git_annex_syncx.triggers.signals.listener import Listener
from git_annex_syncx.triggers.signals.message import NoSignal, decode, encode
from git_annex_syncx.triggers.signals.publisher import news

SLOW = 2.0  # seconds after which a connection is looked into
ECHO = 15.0  # seconds to wait for the connection, and again for the own signal


def send(context: Context) -> Iterator[ChannelEvent]:
    """Tell the others on every channel that there is news here."""
    payload = encode(news(context.repo, context.settings.annex_uuid, "refs"))
    for address in _addresses(context):
        begun = time.monotonic()
        try:
            _channel(context, address).send(payload)
        except SyncxError as error:
            yield ChannelEvent(shown(address), wrong=str(error))
        else:
            yield ChannelEvent(shown(address), "sent", "refs", seconds=time.monotonic() - begun)


def listen(context: Context) -> Iterator[ChannelEvent]:
    """Whatever comes on any channel, and what would be made of it; nothing is fetched. Until interrupted."""
    said: queue.Queue[ChannelEvent] = queue.Queue()
    listener = Listener(context.repo, context.settings, None, lambda _: None)
    stop = threading.Event()

    def hear(address: str) -> None:
        def heard(raw: bytes) -> None:
            verdict = listener.hear(raw)
            signal = verdict.signal
            said.put(
                ChannelEvent(
                    shown(address), verdict.why, signal.kind if signal else "", signal.uuid if signal else ""
                )
            )

        try:
            _channel(context, address).listen(
                heard, lambda: said.put(ChannelEvent(shown(address), "connected")), stop
            )
        except SyncxError as error:
            said.put(ChannelEvent(shown(address), wrong=str(error)))

    for address in _addresses(context):
        threading.Thread(target=hear, args=(address,), daemon=True).start()
    try:
        while True:
            yield said.get()
    finally:
        stop.set()


def test(context: Context) -> Iterator[ChannelEvent]:
    """Send a signal on every channel and wait for its echo: how long that took, or what is wrong."""
    for address in _addresses(context):
        try:
            yield _tried(_channel(context, address), address, context)
        except SyncxError as error:
            yield ChannelEvent(shown(address), wrong=str(error))


def _tried(channel: Channel, address: str, context: Context) -> ChannelEvent:
    signal = replace(news(context.repo, context.settings.annex_uuid, "test"), refs=secrets.token_hex(8))
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
            return ChannelEvent(shown(address), wrong=f"no connection for listening within {ECHO:g} s")
        if errors:
            raise errors[0]
        begun = time.monotonic()
        channel.send(encode(signal), last=False)
        if not echo.wait(ECHO):
            return ChannelEvent(shown(address), wrong=f"the signal was sent, but did not come back within {ECHO:g} s")
        return ChannelEvent(shown(address), "works, its echo came back", seconds=time.monotonic() - begun)
    finally:
        stop.set()
        thread.join(1.0)


def _addresses(context: Context) -> tuple[str, ...]:
    if not context.settings.signals:
        raise UsageError("no channel is configured", f"git config --add syncx.signal ADDRESS; right are {EXAMPLE}")
    return context.settings.signals


def _channel(context: Context, address: str) -> Channel:
    return open_channel(context.repo, context.settings.annex_uuid, address)
