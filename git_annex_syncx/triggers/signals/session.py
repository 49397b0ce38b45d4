"""One connection to an XMPP server, over checked TLS or not at all. Imports slixmpp: for xmpp.py, when it connects.

slixmpp answers requests for subscription, keeps whose presence it sees, and reconnects as it likes; all that is
kept from it: what comes is looked at here first, and little is passed on.

A signal goes to each of the account's resources of ours: servers differ in what they do with a message to the account
itself (Prosody 0.12 drops a headline), and with a negative priority no message of a person's is taken from a person.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Literal
from xml.etree import ElementTree

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.stanza import Iq, Message, Presence, StreamFeatures
from slixmpp.xmlstream.stanzabase import StanzaBase

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.triggers.signals import connection
from git_annex_syncx.triggers.signals.again import Lost
from git_annex_syncx.triggers.signals.channel import Heard

SIGNAL = "{urn:git-annex-syncx:1}signal"
HINTS = ("{urn:xmpp:hints}no-store", "{urn:xmpp:hints}no-copy")
PING = "{urn:xmpp:ping}ping"
MUC = "{http://jabber.org/protocol/muc}"
STATUS = "{http://jabber.org/protocol/muc#user}x/{http://jabber.org/protocol/muc#user}status"
OWNER = "{http://jabber.org/protocol/muc#owner}query"
FORM = "{jabber:x:data}"
SELF, CREATED = "110", "201"
CONFIGURATION = {  # nobody comes in whom the account does not let in
    "FORM_TYPE": "http://jabber.org/protocol/muc#roomconfig",
    "muc#roomconfig_membersonly": "1",
    "muc#roomconfig_publicroom": "0",
    "muc#roomconfig_persistentroom": "1",
}
LARGEST = 1 << 20  # bytes of one stanza; servers allow less
PING_EACH, PING_LIMIT = 60.0, 20.0  # seconds
FAREWELL = 0.3
OURS = "syncx."  # how resources of ours begin
HIDDEN = -1  # priority: nothing that is sent to the account itself comes here
LATECOMERS = 0.3  # seconds in which the server may tell of further resources
WRONG_PASSWORD = {"not-authorized", "credentials-expired", "account-disabled"}
# What a room says when it will not let us in, or when it has thrown us out.
NOT_LET_IN = {"registration-required", "forbidden", "not-allowed", "not-authorized", "jid-malformed"}
OUTSIDE = {"not-acceptable", "item-not-found"}

logging.getLogger("slixmpp").setLevel(logging.CRITICAL + 1)  # it would log passwords; errors are raised here


class Session(slixmpp.ClientXMPP):
    """A connection that is logged in, or over for a reason that is told once, by whatever waits then."""

    def __init__(self, jid: str, password: str, tls: ssl.SSLContext, room: str, heard: Heard | None) -> None:
        """`jid` has the resource, `room` is empty where signals go to the account itself."""
        super().__init__(jid, password)
        self.ssl_context = tls
        self.enable_direct_tls = False  # STARTTLS on every server, else each would be tried in vain first
        self._heard, self._payload, self._told = heard, b"", {str(self.boundjid)}
        self._peers = room or self.boundjid.bare
        self._seat = f"{room}/{self.boundjid.resource}" if room else ""
        self._refused, self._unreached, self._pending = "", "", 0
        self._in: asyncio.Future[bool] = self.loop.create_future()
        self._over: asyncio.Future[None] = self.loop.create_future()
        self._seated: asyncio.Future[set[str]] = self.loop.create_future()
        self.where = f"the XMPP server of {self.boundjid.domain}"
        self.add_filter("in", self._look)
        self.add_event_handler("session_start", self._succeed)
        self.add_event_handler("failed_auth", self._note_refusal)
        self.add_event_handler("failed_all_auth", self._fail_login)
        self.add_event_handler("ssl_invalid_chain", lambda error: self._end(connection.no_trust(self.where, error)))
        self.add_event_handler("connection_failed", self._note_unreached)
        self.add_event_handler("stream_error", self._fail_stream)
        self.add_event_handler("disconnected", lambda reason: self._end(self._lost(reason)))

    # What the channel does

    async def log_in(self, server: tuple[str, int] | None) -> bool:
        """Connect to a server, or to the one that the domain names; whether the password was right."""
        attempt = self.connect(*(server or ()))
        await attempt
        if not self.is_connected() and not self._over.done():
            self.cancel_connection_attempt()  # it would try again as long as the loop runs
            raise Lost(f"{self.where} does not answer: {self._unreached}", "check the network and syncx.signal")
        await self._either(self._in)
        return self._in.result()

    async def appear(self) -> None:
        """Let the others know of us; the server tells us of them."""
        self.send_presence(ppriority=HIDDEN)
        await self.ping()

    async def join(self) -> None:
        """Enter the room; a new one is made private."""
        presence = self.make_presence(pto=self._seat)
        entering = ElementTree.SubElement(presence.xml, f"{MUC}x")
        ElementTree.SubElement(entering, f"{MUC}history", maxstanzas="0")
        presence.send()
        await self._either(self._seated)
        if CREATED in self._seated.result():
            await self._configure()

    async def tell(self, payload: bytes) -> None:
        """Send a signal to all who are in the room, or in the account."""
        if self._seat:
            self._send_signal(self._peers, "groupchat", payload)
        else:
            self._payload = payload
            await self.appear()
            await asyncio.sleep(LATECOMERS)
        await self.ping()  # the server takes one after the other: it has the signal when it answers

    def _send_signal(self, to: str, kind: Literal["headline", "groupchat"], payload: bytes) -> None:
        """In a form that no client shows and no server keeps."""
        message = self.make_message(to, mtype=kind)
        ElementTree.SubElement(message.xml, SIGNAL).text = payload.decode("ascii")
        for hint in HINTS:
            ElementTree.SubElement(message.xml, hint)
        self.send(message)

    async def ping(self) -> None:
        """Raises Lost where nobody answers, or where we are no longer in the room."""
        iq = self.make_iq_get(ito=self._seat or self.boundjid.domain)
        ElementTree.SubElement(iq.xml, PING)
        try:
            await self._ask(iq)
        except IqError as error:
            if self._seat and error.condition in OUTSIDE:
                raise Lost(f"{self._peers} has lost us") from error  # any other answer is an answer

    async def stay(self) -> None:
        """Until the connection is over."""
        while True:
            await asyncio.wait({self._over}, timeout=PING_EACH)
            if self._over.done():
                return self._over.result()
            await self.ping()

    async def leave(self) -> None:
        """Say good-bye, for a moment."""
        self._over.cancel()
        self.cancel_connection_attempt()
        if self.is_connected():
            await self.disconnect(FAREWELL)
            self.abort()

    # What it waits for

    async def _either(self, awaited: asyncio.Future[bool] | asyncio.Future[set[str]]) -> None:
        await asyncio.wait({awaited, self._over}, return_when=asyncio.FIRST_COMPLETED)
        if not awaited.done():
            self._over.result()

    async def _ask(self, iq: Iq) -> None:
        answer = asyncio.ensure_future(iq.send(timeout=PING_LIMIT))  # type: ignore[no-untyped-call]
        await asyncio.wait({answer, self._over}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            return self._over.result()
        try:
            answer.result()
        except IqTimeout as error:
            raise Lost(f"{self.where} does not answer any more") from error
        return None

    async def _configure(self) -> None:
        iq = self.make_iq_set(ito=self._peers)
        form = ElementTree.SubElement(ElementTree.SubElement(iq.xml, OWNER), f"{FORM}x", type="submit")
        for name, value in CONFIGURATION.items():
            ElementTree.SubElement(
                ElementTree.SubElement(form, f"{FORM}field", var=name), f"{FORM}value"
            ).text = value
        try:
            await self._ask(iq)
        except IqError as error:
            what = f"the room {self._peers} cannot be made private: {error.condition}"
            raise SyncxError(what, "make it with your own client first") from error

    def _end(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)
            self._over.exception()  # told where somebody waits, no matter else

    # What comes

    def data_received(self, data: bytes | str) -> None:
        """Give up a stanza that has no end."""
        self._pending += len(data)
        if self._pending > LARGEST:
            self._end(Lost(f"{self.where} sends too much"))
            return self.abort()
        return super().data_received(data)

    def _look(self, stanza: StanzaBase) -> StanzaBase | None:
        """Take what is for us; pass on only what slixmpp needs for the connection."""
        self._pending = 0
        try:
            if isinstance(stanza, Message):
                self._hear(stanza)
            elif isinstance(stanza, Presence):
                self._notice(stanza)
            elif not isinstance(stanza, StreamFeatures) or self._is_safe(stanza):
                return stanza
        except Exception as error:  # raised here it would close the connection without a word
            self._end(error)
        return None

    def _hear(self, message: Message) -> None:
        if message["from"].bare != self._peers:
            return
        found = message.xml.find(SIGNAL)
        if message["type"] == "error" and self._seat:
            self._end(SyncxError(f"{self._peers} does not take signals: {message['error']['condition']}"))
        elif found is not None and self._heard and message["type"] != "error":
            self._heard((found.text or "").encode()[: connection.LONGEST])

    def _notice(self, presence: Presence) -> None:
        if presence["from"].bare != self._peers:
            return
        if self._seat:
            self._notice_in_room(presence)
        else:
            self._tell_one(presence)

    def _notice_in_room(self, presence: Presence) -> None:
        status = {found.get("code", "") for found in presence.xml.findall(STATUS)}
        if presence.xml.get("type") == "error":
            self._end(self._shut_out(presence["error"]["condition"]))
        elif SELF in status and presence.xml.get("type") == "unavailable":
            self._end(Lost(f"{self._peers} has thrown us out"))
        elif SELF in status and not self._seated.done():
            self._seated.set_result(status)

    def _tell_one(self, presence: Presence) -> None:
        """Tell one who is there what we came to tell."""
        peer, there = str(presence["from"]), presence.xml.get("type") is None
        if self._payload and there and presence["from"].resource.startswith(OURS) and peer not in self._told:
            self._told.add(peer)
            self._send_signal(peer, "headline", self._payload)

    def _shut_out(self, condition: str) -> SyncxError:
        if condition in NOT_LET_IN:
            what = f"the room {self._peers} does not let {self.boundjid.bare} in: {condition}"
            return SyncxError(what, "let its owner make the account a member")
        return Lost(f"the room {self._peers} cannot be entered now: {condition}")

    def _is_safe(self, features: StreamFeatures) -> bool:
        """Nothing, a password least of all, goes over a connection that is not encrypted."""
        if "starttls" in features["features"] or isinstance(self.socket, ssl.SSLObject | ssl.SSLSocket):
            return True
        self._end(SyncxError(f"{self.where} offers no encryption", "use another server, or let it offer STARTTLS"))
        return False

    def _succeed(self, _: object) -> None:
        if not self._in.done():
            self._in.set_result(True)

    def _note_refusal(self, failure: StanzaBase) -> None:
        self._refused = failure["condition"]

    def _note_unreached(self, reason: object) -> None:
        self._unreached = (isinstance(reason, OSError) and reason.strerror) or str(reason)

    def _fail_login(self, _: object) -> None:
        if self._refused in WRONG_PASSWORD and not self._in.done():
            self._in.set_result(False)
        elif self._refused:
            self._end(Lost(f"{self.where} does not let us log in now: {self._refused}"))
        else:
            self._end(SyncxError(f"{self.where} offers no way to log in with a password", "ask who runs it"))

    def _fail_stream(self, error: StanzaBase) -> None:
        condition = error["condition"]
        if condition == "host-unknown":
            self._end(
                SyncxError(f"the server does not serve {self.boundjid.domain}", "mend syncx.signal or ?server=")
            )
        self._end(Lost(f"{self.where} ends the connection: {condition}"))

    def _lost(self, reason: object) -> SyncxError:
        if isinstance(reason, ssl.SSLError):
            return connection.no_trust(self.where, reason)
        return Lost(f"the connection to {self.where} is lost{f': {reason}' if reason else ''}", "check the network")
