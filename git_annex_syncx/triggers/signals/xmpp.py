"""Signals through an XMPP account that all repositories share, or through a private room."""

from __future__ import annotations

import asyncio
import secrets
import threading
from typing import TYPE_CHECKING

from git_annex_syncx.git.credentials import Credential
from git_annex_syncx.git.git import Repository
from git_annex_syncx.triggers.signals import connection
from git_annex_syncx.triggers.signals.again import again
from git_annex_syncx.triggers.signals.channel import Connected, Heard

if TYPE_CHECKING:
    from git_annex_syncx.triggers.signals.session import Session

EXAMPLE = "xmpp:me@example.org, with ?server=HOST:PORT, ca=/path/ca.pem or join=room@conference.example.org"
PORT = 5222
OPTIONS = ("server", "ca", "join")


class Xmpp:
    """A channel through an account, one connection a call, each with a resource of its own."""

    def __init__(self, repo: Repository, uuid: str, address: str) -> None:
        """`address` is xmpp:USER@DOMAIN[:PORT][?OPTION=VALUE&...]. Raises UsageError."""
        connection.require_package("slixmpp", "xmpp", "xmpp:")
        account, _, query = address.partition(":")[2].removeprefix("//").partition("?")
        user, _, place = account.rpartition("@")
        if not user or not place or ":" in user or "/" in account:
            shown = "xmpp:..." if ":" in user else address  # a password may stand there
            raise connection.wrong(shown, "it is not USER@DOMAIN without a password", EXAMPLE)
        options = connection.options_of(address, query, OPTIONS, EXAMPLE)
        self._domain, port = connection.host_and_port(address, place, EXAMPLE)
        self._server = (self._domain, port) if port else None
        if "server" in options:
            host, port = connection.host_and_port(address, options["server"], EXAMPLE)
            self._server = (host, port or PORT)
        self._room = options.get("join", "")
        if self._room and (self._room.count("@") != 1 or "/" in self._room):
            raise connection.wrong(address, f"{self._room!r} is no room", EXAMPLE)
        self._account, self._uuid = f"{user}@{self._domain}", uuid
        self._tls = connection.checking(address, options.get("ca"))
        self._login = connection.Login(repo, "xmpp", self._domain, user)

    def send(self, payload: bytes, last: bool = True) -> None:
        """Send it to all of ours that are logged in to the account, or are in the room; nothing is kept for later."""
        connection.call(self._send(self._login.password(), payload))

    def listen(self, heard: Heard, connected: Connected, stop: threading.Event) -> None:
        """Hear what is sent to the account or the room."""

        def attend(stands: Connected) -> None:
            credential = self._login.password()
            connection.call(connection.unless(stop, self._listen(credential, heard, stands)))

        again(attend, connected, stop)

    async def _send(self, credential: Credential, payload: bytes) -> None:
        session = self._session(credential, None)

        async def tell() -> None:
            await self._enter(session, credential, hears=False)
            await session.tell(payload)

        try:
            await connection.in_time(tell(), session.where)
        finally:
            await session.leave()

    async def _listen(self, credential: Credential, heard: Heard, stands: Connected) -> None:
        session = self._session(credential, heard)
        try:
            await connection.in_time(self._enter(session, credential, hears=True), session.where)
            stands()
            await session.stay()
        finally:
            await asyncio.shield(session.leave())

    async def _enter(self, session: Session, credential: Credential, hears: bool) -> None:
        if not await session.log_in(self._server):
            raise self._login.wrong(credential)
        self._login.right(credential)
        if self._room:
            await session.join()
        elif hears:
            await session.appear()

    def _session(self, credential: Credential, heard: Heard | None) -> Session:
        from git_annex_syncx.triggers.signals.session import OURS, Session

        resource = f"{OURS}{self._uuid}.{secrets.token_hex(4)}"  # one who connects twice must not throw itself out
        return Session(f"{self._account}/{resource}", credential.password, self._tls, self._room, heard)
