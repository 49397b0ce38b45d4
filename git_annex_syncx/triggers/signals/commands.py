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
from git_annex_syncx.triggers.signals.filter import Filter
from git_annex_syncx.triggers.signals.listener import Known
from git_annex_syncx.triggers.signals.local_socket import sending_for_others
from git_annex_syncx.triggers.signals.message import NoSignal, Signal, decode, encode
from git_annex_syncx.triggers.signals.publisher import news, publish

SLOW = 2.0  # seconds after which a connection is looked into
ECHO = 15.0  # seconds to wait for the connection, and again for the own signal


def send(context: Context) -> Iterator[ChannelEvent]:
    """Tell the others on every channel that there is news here."""
    _require_channels(context)
    yield from publish(context, "refs", context.settings.signals)


def listen(context: Context) -> Iterator[ChannelEvent]:
    """Yield whatever comes on any channel, and how it is judged; nothing is fetched. Until interrupted."""
    _require_channels(context)
    said: queue.Queue[ChannelEvent] = queue.Queue()
    known = Known(context.repo, context.settings)
    judge, stop = Filter(context.settings.annex_uuid, known.is_known, known.is_news), threading.Event()

    channels: dict[str, Channel] = {}

    def send_along(address: str, payload: bytes) -> bool:
        return address in channels and channels[address].send_along(payload)

    def hear(address: str) -> None:
        def heard(raw: bytes) -> None:
            decision = judge.hear(raw)
            kind, uuid = (decision.signal.kind, decision.signal.uuid) if decision.signal else ("", "")
            said.put(ChannelEvent(shown(address), decision.why, kind, uuid))

        try:
            connected = ChannelEvent(shown(address), "connected")
            channels[address] = channel(context, address)
            channels[address].listen(heard, lambda: said.put(connected), stop)
        except SyncxError as error:
            said.put(ChannelEvent(shown(address), wrong=str(error)))

    for address in context.settings.signals:
        threading.Thread(target=hear, args=(address,), daemon=True).start()
    try:
        with sending_for_others(context.repo, context.settings.annex_uuid, send_along):
            while True:
                yield said.get()
    finally:
        stop.set()


def test(context: Context) -> Iterator[ChannelEvent]:
    """Send a signal on every channel and wait for its echo; yield how long that took, or what is wrong."""
    _require_channels(context)
    for address in context.settings.signals:
        try:
            seconds = echo(context, address)
        except SyncxError as error:
            yield ChannelEvent(shown(address), wrong=str(error))
        else:
            yield ChannelEvent(shown(address), "works, its echo came back", seconds=seconds)


def echo(context: Context, address: str) -> float:
    """Send a signal on a channel and return how many seconds its echo took. Raises SyncxError."""
    signal = replace(news(context.repo, context.settings.annex_uuid, "test"), refs=secrets.token_hex(8))
    return Echo(channel(context, address), signal).seconds()


class Echo:
    """A signal that is sent on a channel and heard there."""

    def __init__(self, channel: Channel, signal: Signal) -> None:
        """Send nothing yet."""
        self._channel, self._signal = channel, signal
        self._stop, self._connected, self._heard = threading.Event(), threading.Event(), threading.Event()
        self._error: SyncxError | None = None

    def seconds(self) -> float:
        """Return how long it took. Raises SyncxError."""
        thread = threading.Thread(target=self._listen, daemon=True)
        thread.start()
        try:
            self._wait_for_connection()
            begun = time.monotonic()
            self._send()
            if not self._heard.wait(ECHO):
                raise SyncxError(f"the signal was sent, but did not come back within {ECHO:g} s")
            return time.monotonic() - begun
        finally:
            self._stop.set()
            thread.join(1.0)

    def _wait_for_connection(self) -> None:
        if not self._connected.wait(SLOW):
            self._send()  # it says what is wrong, where listening tries again
        if not self._connected.wait(ECHO):
            raise SyncxError(f"no connection for listening within {ECHO:g} s")
        if self._error:
            raise self._error

    def _send(self) -> None:
        self._channel.send(encode(self._signal), last=False)

    def _listen(self) -> None:
        try:
            self._channel.listen(self._hear, self._connected.set, self._stop)
        except SyncxError as error:
            self._error = error
            self._connected.set()

    def _hear(self, raw: bytes) -> None:
        try:
            if decode(raw) == self._signal:
                self._heard.set()
        except NoSignal:
            return


def _require_channels(context: Context) -> None:
    if not context.settings.signals:
        raise UsageError("no channel is configured", f"git config --add syncx.signal ADDRESS; right are {EXAMPLE}")


def channel(context: Context, address: str) -> Channel:
    """Return the channel for an address. Raises UsageError where it cannot be right."""
    return open_channel(context.repo, context.settings.annex_uuid, address)
