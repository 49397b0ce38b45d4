"""Signals through an MQTT broker: each repository has a topic below that of its group, which keeps its last one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git.credentials import Credential
from git_annex_syncx.git.git import Repository
from git_annex_syncx.triggers.signals import connection, message
from git_annex_syncx.triggers.signals.channel import LONGEST, Connected, Heard, Lost, wrong

EXAMPLE = "mqtts://me@broker.example.org/family, with ?ca=/path/ca.pem where the broker has an authority of its own"
PORTS = {"mqtt": 1883, "mqtts": 8883}
TOPIC = "git-annex-syncx"
LARGEST_PACKET = 2048  # bytes: a topic and a signal; the broker keeps what is larger to itself
KEEPALIVE = 45  # seconds
ANSWER = 8.0  # seconds that a broker has for an answer
GOODBYE = 0.3
DELIVERED = 1  # QoS: at least once
# Reasons of a refused connection, of MQTT 3.1.1 and 5.
OLD_BROKER, NOT_WELCOME = (1, 132), (4, 5, 134, 135)
SILENCE = "Operation timed out"  # what aiomqtt says where somebody listens who does not answer
REFUSED = 128  # and above: what a broker says of a subscription that it does not grant

# Errors that we raise tell what the library would log.
SILENT = logging.getLogger(f"{__name__}.aiomqtt")
SILENT.disabled = True


class Mqtt(connection.ServerChannel):
    """A channel through a broker."""

    def __init__(self, repo: Repository, uuid: str, address: str) -> None:
        """`address` is mqtt[s]://[USER@]HOST[:PORT][/TOPIC][?ca=FILE]. Raises UsageError."""
        parts = urlsplit(address)
        user, at, place = parts.netloc.rpartition("@")
        if ":" in user:
            shown = f"{parts.scheme}://{user.partition(':')[0]}@{place}"
            raise wrong(shown, "a password does not belong in an address", EXAMPLE)
        self._host, port = connection.host_and_port(address, place, EXAMPLE)
        self._port = port or PORTS[parts.scheme]
        self.where = f"the broker {self._host}:{self._port}"
        self._uuid, self._topic = uuid, _topic(address, unquote(parts.path) + ("#" if parts.fragment else ""))
        known = ("ca",) if parts.scheme == "mqtts" else ()
        authority = connection.options_of(address, parts.query, known, EXAMPLE).get("ca")
        self._tls = connection.checking(address, authority) if parts.scheme == "mqtts" else None
        self._login = connection.Login(repo, parts.scheme, place, unquote(user)) if at else None

    async def tell(self, payload: bytes, last: bool) -> None:
        """Publish to this repository's topic."""
        async with self._client() as client:
            await self._publish(client, payload, last)

    async def hear(self, heard: Heard, connected: Connected) -> None:
        """Hear the topics of all repositories of the group."""
        async with self._client(heard) as client:
            granted = await client.subscribe(f"{self._topic}/+", qos=DELIVERED)
            if any(_value(code) >= REFUSED for code in granted):
                raise SyncxError(f"{self.where} does not let us read {self._topic}/+", "ask who runs it")
            await self._tell_presence(client, "here")
            with self.standing(functools.partial(self._publish, client)):
                connected()
                try:
                    async for _ in client.messages:  # none: they are handed on as they come
                        pass
                except asyncio.CancelledError:  # we end; the last will is for those who cannot say so
                    await self._tell_presence(client, "gone", GOODBYE)
                    raise

    async def _publish(self, client: aiomqtt.Client, payload: bytes, last: bool = True) -> None:
        await client.publish(f"{self._topic}/{self._uuid}", payload, qos=DELIVERED, retain=last)

    async def _tell_presence(self, client: aiomqtt.Client, kind: str, patience: float | None = None) -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            await client.publish(*self._presence(kind), qos=DELIVERED, retain=True, timeout=patience)

    def _presence(self, kind: str) -> tuple[str, bytes]:
        """Return topic and payload."""
        told = message.encode(message.Signal(kind, self._uuid, "", round(time.time())))
        return f"{self._topic}/{self._uuid}/presence", told

    @contextlib.asynccontextmanager
    async def _client(self, heard: Heard | None = None) -> AsyncIterator[aiomqtt.Client]:
        """Connect; one that hears tells the others when it breaks. Raises Lost, SyncxError."""
        credential = self._login.password() if self._login else None
        async with contextlib.AsyncExitStack() as stack:
            client = await self._connect(stack, credential, heard)
            if self._login and credential:
                self._login.right(credential)
            try:
                yield client
            except aiomqtt.MqttError as error:
                raise Lost(f"the connection to {self.where} is lost", "check the network") from error

    async def _connect(
        self, stack: contextlib.AsyncExitStack, credential: Credential | None, heard: Heard | None
    ) -> aiomqtt.Client:
        """Connect by MQTT 5 where the broker knows it (it keeps large messages from us), else by 3.1.1."""
        for version in (aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311):
            try:
                return await stack.enter_async_context(self._new_client(version, credential, heard))
            except aiomqtt.MqttError as error:
                refused = error
                if not _may_be_old(error):
                    break
        raise self._refusal(refused, credential) from refused

    def _new_client(
        self, version: aiomqtt.ProtocolVersion, credential: Credential | None, heard: Heard | None
    ) -> aiomqtt.Client:
        modern = version is aiomqtt.ProtocolVersion.V5
        return aiomqtt.Client(
            self._host, self._port, protocol=version, identifier=f"syncx-{secrets.token_hex(8)}",
            username=credential.username if credential else None,
            password=credential.password if credential else None,
            will=aiomqtt.Will(*self._presence("gone"), qos=DELIVERED, retain=True) if heard else None,
            clean_session=None if modern else True, properties=_limits() if modern else None,
            tls_context=self._tls, timeout=ANSWER, keepalive=KEEPALIVE, logger=SILENT,
            queue_type=_handing_on(heard) if heard else None,
        )  # fmt: skip

    def _refusal(self, error: aiomqtt.MqttError, credential: Credential | None) -> SyncxError:
        """Return the error to raise where there is no connection."""
        reason, cause = _reason(error), error.__context__
        if isinstance(cause, ssl.SSLError):
            return connection.no_trust(self.where, cause)
        if reason in NOT_WELCOME and self._login and credential:
            return self._login.wrong(credential)
        if reason in NOT_WELCOME:
            return SyncxError(f"{self.where} wants a user and a password", f"name the user: {EXAMPLE}")
        if str(error) == SILENCE:
            return Lost(f"{self.where} does not answer as a broker does", "check host, port and mqtt:// or mqtts://")
        told = (isinstance(cause, OSError) and cause.strerror) or str(error)
        return Lost(f"{self.where} does not answer: {told}", "check the network and syncx.signal")


def _topic(address: str, path: str) -> str:
    topic = path.strip("/") or TOPIC
    if any(char in "+#" or ord(char) < 32 for char in topic) or topic.startswith("$") or len(topic.encode()) > 512:
        raise wrong(address, f"{topic!r} is no topic", EXAMPLE)
    return topic


def _may_be_old(error: aiomqtt.MqttError) -> bool:
    """Return whether a broker that knows no MQTT 5 would refuse us so: with a reason, or by silence."""
    return _reason(error) in OLD_BROKER or str(error) == SILENCE


def _reason(error: aiomqtt.MqttError) -> int:
    return _value(getattr(error, "rc", None))


def _value(code: Any) -> int:
    """Return the number of a reason, -1 where there is none."""
    found = getattr(code, "value", code)
    return found if isinstance(found, int) else -1


def _handing_on(heard: Heard) -> type[asyncio.Queue[aiomqtt.Message]]:
    """Return a queue that holds nothing: who floods us waits for us, and what comes later is not lost for it."""

    class HandingOn(asyncio.Queue["aiomqtt.Message"]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            heard(item.payload[:LONGEST] if isinstance(item.payload, bytes) else b"")

    return HandingOn


def _limits() -> Properties:
    limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    limits.MaximumPacketSize = LARGEST_PACKET
    return limits
