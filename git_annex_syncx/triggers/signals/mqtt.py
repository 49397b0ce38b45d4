"""Signals through an MQTT broker: each repository has a topic below that of its group, which keeps its last one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
import threading
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git.credentials import Credential
from git_annex_syncx.git.git import Repository
from git_annex_syncx.triggers.signals import connection, message
from git_annex_syncx.triggers.signals.again import Lost, again
from git_annex_syncx.triggers.signals.channel import Connected, Heard

if TYPE_CHECKING:
    import aiomqtt

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


class Mqtt:
    """A channel through a broker, one connection a call."""

    def __init__(self, repo: Repository, uuid: str, address: str) -> None:
        """`address` is mqtt[s]://[USER@]HOST[:PORT][/TOPIC][?ca=FILE]. Raises UsageError."""
        connection.require_package("aiomqtt", "mqtt", "mqtt://")
        parts = urlsplit(address)
        user, at, place = parts.netloc.rpartition("@")
        if ":" in user:
            shown = f"{parts.scheme}://{user.partition(':')[0]}@{place}"
            raise connection.wrong(shown, "a password does not belong in an address", EXAMPLE)
        self._host, port = connection.host_and_port(address, place, EXAMPLE)
        self._port = port or PORTS[parts.scheme]
        self._where = f"the broker {self._host}:{self._port}"
        self._topic = _topic(address, unquote(parts.path) + ("#" if parts.fragment else ""))
        self._uuid = uuid
        known = ("ca",) if parts.scheme == "mqtts" else ()
        authority = connection.options_of(address, parts.query, known, EXAMPLE).get("ca")
        self._tls = connection.checking(address, authority) if parts.scheme == "mqtts" else None
        self._login = connection.Login(repo, parts.scheme, place, unquote(user)) if at else None
        self._modern = True  # MQTT 5, until a broker does not know it

    def send(self, payload: bytes, last: bool = True) -> None:
        """Publish it to this repository's topic."""
        credential = self._login.password() if self._login else None
        connection.call(connection.in_time(self._send(credential, payload, last), self._where))

    def listen(self, heard: Heard, connected: Connected, stop: threading.Event) -> None:
        """Hear the topics of all repositories of the group."""

        def attend(stands: Connected) -> None:
            credential = self._login.password() if self._login else None
            connection.call(connection.unless(stop, self._listen(credential, heard, stands)))

        again(attend, connected, stop)

    async def _send(self, credential: Credential | None, payload: bytes, last: bool) -> None:
        async with self._client(credential) as client:
            await client.publish(f"{self._topic}/{self._uuid}", payload, qos=DELIVERED, retain=last)

    async def _listen(self, credential: Credential | None, heard: Heard, stands: Connected) -> None:
        async with self._client(credential, heard) as client:
            granted = await client.subscribe(f"{self._topic}/+", qos=DELIVERED)
            if any(_value(code) >= REFUSED for code in granted):
                raise SyncxError(f"{self._where} does not let us read {self._topic}/+", "ask who runs it")
            await self._tell_presence(client, "here")
            stands()
            try:
                async for _ in client.messages:  # none: they are handed on as they come
                    pass
            except asyncio.CancelledError:  # we end; the last will is for those who cannot say so
                await self._tell_presence(client, "gone", GOODBYE)
                raise

    async def _tell_presence(self, client: aiomqtt.Client, kind: str, patience: float | None = None) -> None:
        with contextlib.suppress(*_errors()):
            await client.publish(*self._presence(kind), qos=DELIVERED, retain=True, timeout=patience)

    def _presence(self, kind: str) -> tuple[str, bytes]:
        """Topic and payload."""
        told = message.encode(message.Signal(kind, self._uuid, "", round(time.time())))
        return f"{self._topic}/{self._uuid}/presence", told

    @contextlib.asynccontextmanager
    async def _client(
        self, credential: Credential | None, heard: Heard | None = None
    ) -> AsyncIterator[aiomqtt.Client]:
        """A connection; one that hears tells the others when it breaks. Raises Lost, SyncxError."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                client = await self._connect(stack, credential, heard)
            except _errors() as error:
                raise self._refusal(error, credential) from error
            if self._login and credential:
                self._login.right(credential)
            try:
                yield client
            except _errors() as error:
                raise Lost(f"the connection to {self._where} is lost", "check the network") from error

    async def _connect(
        self, stack: contextlib.AsyncExitStack, credential: Credential | None, heard: Heard | None
    ) -> aiomqtt.Client:
        """By MQTT 5 where the broker knows it, else by 3.1.1."""
        try:
            return await stack.enter_async_context(self._new_client(credential, heard))
        except _errors() as error:
            if not self._modern or not _may_be_old(error):
                raise
        self._modern = False
        try:
            return await stack.enter_async_context(self._new_client(credential, heard))
        except _errors() as error:
            self._modern = _value(getattr(error, "rc", None)) < 0  # no answer either: the version is not the reason
            raise

    def _new_client(self, credential: Credential | None, heard: Heard | None) -> aiomqtt.Client:
        import aiomqtt

        topic, gone = self._presence("gone")
        modern = aiomqtt.ProtocolVersion.V5 if self._modern else aiomqtt.ProtocolVersion.V311
        return aiomqtt.Client(
            self._host, self._port, protocol=modern, identifier=f"syncx-{secrets.token_hex(8)}",
            username=credential.username if credential else None,
            password=credential.password if credential else None,
            will=aiomqtt.Will(topic, gone, qos=DELIVERED, retain=True) if heard else None,
            clean_session=None if self._modern else True, properties=_limits() if self._modern else None,
            tls_context=self._tls, timeout=ANSWER, keepalive=KEEPALIVE, logger=_silent(),
            queue_type=_handing_on(heard) if heard else None,
        )  # fmt: skip

    def _refusal(self, error: BaseException, credential: Credential | None) -> SyncxError:
        """Return why there is no connection."""
        reason, cause = _value(getattr(error, "rc", None)), error.__context__
        if isinstance(cause, ssl.SSLError):
            return connection.no_trust(self._where, cause)
        if reason in NOT_WELCOME and self._login and credential:
            return self._login.wrong(credential)
        if reason in NOT_WELCOME:
            return SyncxError(f"{self._where} wants a user and a password", f"name the user: {EXAMPLE}")
        if str(error) == SILENCE:
            return Lost(f"{self._where} does not answer as a broker does", "check host, port and mqtt:// or mqtts://")
        told = (isinstance(cause, OSError) and cause.strerror) or str(error)
        return Lost(f"{self._where} does not answer: {told}", "check the network and syncx.signal")


def _topic(address: str, path: str) -> str:
    topic = path.strip("/") or TOPIC
    if any(char in "+#" or ord(char) < 32 for char in topic) or topic.startswith("$") or len(topic.encode()) > 512:
        raise connection.wrong(address, f"{topic!r} is no topic", EXAMPLE)
    return topic


def _may_be_old(error: BaseException) -> bool:
    """Return whether a broker that knows no MQTT 5 would refuse us so: with a reason, or by silence."""
    return _value(getattr(error, "rc", None)) in OLD_BROKER or str(error) == SILENCE


def _value(code: Any) -> int:
    """The number of a reason, -1 where there is none."""
    found = getattr(code, "value", code)
    return found if isinstance(found, int) else -1


def _handing_on(heard: Heard) -> type[asyncio.Queue[aiomqtt.Message]]:
    """A queue that holds nothing: who floods us waits for us, and what comes later is not lost for it."""

    class HandingOn(asyncio.Queue["aiomqtt.Message"]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            heard(_bytes(item.payload)[: connection.LONGEST])

    return HandingOn


def _limits() -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    limits.MaximumPacketSize = LARGEST_PACKET
    return limits


def _errors() -> tuple[type[BaseException], ...]:
    import aiomqtt

    return (aiomqtt.MqttError,)


def _silent() -> logging.Logger:
    """For what the library would say: it is told by our errors, once."""
    logger = logging.getLogger(f"{__name__}.aiomqtt")
    logger.disabled = True
    return logger


def _bytes(payload: Any) -> bytes:
    return bytes(payload) if isinstance(payload, bytes | bytearray) else b""
