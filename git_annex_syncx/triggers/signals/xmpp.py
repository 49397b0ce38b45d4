"""Signals through an XMPP account that all repositories share, or through a private room."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

from git_annex_syncx.git.git import Repository
from git_annex_syncx.triggers.signals import connection
from git_annex_syncx.triggers.signals.channel import Connected, Heard, wrong
from git_annex_syncx.triggers.signals.session import OURS, Session, WrongPassword

EXAMPLE = "xmpp:me@example.org, with ?server=HOST:PORT, ca=/path/ca.pem or join=room@conference.example.org"
PORT = 5222
OPTIONS = ("server", "ca", "join")


class Xmpp(connection.ServerChannel):
    """A channel through an account; each connection has a resource of its own."""

    def __init__(self, repo: Repository, uuid: str, address: str) -> None:
        """`address` is xmpp:USER@DOMAIN[:PORT][?OPTION=VALUE&...]. Raises UsageError."""
        account, _, query = address.partition(":")[2].removeprefix("//").partition("?")
        user, _, place = account.rpartition("@")
        if not user or not place or ":" in user or "/" in account:
            shown = "xmpp:..." if ":" in user else address  # a password may stand there
            raise wrong(shown, "it is not USER@DOMAIN without a password", EXAMPLE)
        options = connection.options_of(address, query, OPTIONS, EXAMPLE)
        self._domain, port = connection.host_and_port(address, place, EXAMPLE)
        self._server = (self._domain, port) if port else None
        if "server" in options:
            host, port = connection.host_and_port(address, options["server"], EXAMPLE)
            self._server = (host, port or PORT)
        self._room = options.get("join", "")
        if self._room and (self._room.count("@") != 1 or "/" in self._room):
            raise wrong(address, f"{self._room!r} is no room", EXAMPLE)
        self.where = f"the XMPP server of {self._domain}"
        self._account, self._uuid = f"{user}@{self._domain}", uuid
        self._tls = connection.checking(address, options.get("ca"))
        self._login = connection.Login(repo, "xmpp", self._domain, user)

    async def tell(self, payload: bytes, last: bool) -> None:
        """Send to all of ours that are logged in to the account, or are in the room; nothing is kept for later."""
        async with self._session(None) as session:
            await session.attend(session.tell(payload))

    async def hear(self, heard: Heard, connected: Connected) -> None:
        """Hear what is sent to the account or the room."""
        async with self._session(heard) as session:
            with self.standing(session.tell_who_is_there):
                connected()
                await session.attend(session.stay())

    @contextlib.asynccontextmanager
    async def _session(self, heard: Heard | None) -> AsyncIterator[Session]:
        """Log in, and enter the room where there is one."""
        credential = self._login.password()
        resource = f"{OURS}{self._uuid}.{secrets.token_hex(4)}"  # one who connects twice must not throw itself out
        session = Session(f"{self._account}/{resource}", credential.password, self._tls, self._room, heard)
        try:
            await connection.in_time(session.attend(session.log_in(self._server)), self.where)
            self._login.right(credential)
            if self._room:
                await connection.in_time(session.attend(session.join()), self.where)
            elif heard:
                await connection.in_time(session.attend(session.appear()), self.where)
            yield session
        except WrongPassword as error:
            raise self._login.wrong(credential) from error
        finally:
            await asyncio.shield(session.leave())
