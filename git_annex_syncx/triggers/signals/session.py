"""One connection to an XMPP server, over checked TLS or not at all.

slixmpp answers requests for subscription, keeps whose presence it sees, and reconnects as it likes; all that is
kept from it: what comes is looked at here first, and little is passed on.

A signal goes to each of the account's resources of ours: servers differ in what they do with a message to the account
itself (Prosody 0.12 drops a headline), and with a negative priority no message of a person's is taken from a person.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar
from xml.etree import ElementTree

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.stanza import Message, Presence, StreamFeatures
from slixmpp.xmlstream.stanzabase import StanzaBase

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.triggers.signals import connection
from git_annex_syncx.triggers.signals.channel import LONGEST, Heard, Lost

T = TypeVar("T")

PLUGINS = ("xep_0004", "xep_0045", "xep_0199")  # forms, rooms, pings
SIGNAL = "{urn:git-annex-syncx:1}signal"
HINTS = ("{urn:xmpp:hints}no-store", "{urn:xmpp:hints}no-copy")
SELF = ".//{http://jabber.org/protocol/muc#user}status[@code='110']"
CREATED = 201  # status of a room that was made for us
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
MOST_PEERS = 1000  # that are remembered
LATECOMERS = 0.3  # seconds in which the server may tell of further resources
WRONG_PASSWORD = {"not-authorized", "credentials-expired", "account-disabled"}
# What a room says when it will not let us in, or when it has thrown us out.
NOT_LET_IN = {"registration-required", "forbidden", "not-allowed", "not-authorized", "jid-malformed"}
OUTSIDE = {"not-acceptable", "item-not-found"}

logging.getLogger("slixmpp").setLevel(logging.CRITICAL + 1)  # it would log passwords; errors are raised here


class WrongPassword(SyncxError):
    """The server does not accept the password."""


class Session(slixmpp.ClientXMPP):
    """A connection that stands, or is over for a reason, which `attend` raises."""

    def __init__(self, jid: str, password: str, tls: ssl.SSLContext, room: str, heard: Heard | None) -> None:
        """`jid` has the resource, `room` is empty where signals go to the account itself."""
        super().__init__(jid, password)
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.ssl_context = tls
        self.enable_direct_tls = False  # STARTTLS on every server, else each would be tried in vain first
        self.where = f"the XMPP server of {self.boundjid.domain}"
        self._heard, self._payload, self._told = heard, b"", {str(self.boundjid)}
        self._there: set[str] = set()  # of the account, while we hear
        self._peers = room or self.boundjid.bare
        self._seat = f"{room}/{self.boundjid.resource}" if room else ""
        self._refused, self._unreached, self._pending = "", "", 0
        self._logged_in, self._over = asyncio.Event(), self.loop.create_future()
        self.add_filter("in", self._look)
        self.add_event_handler("session_start", lambda _: self._logged_in.set())
        self.add_event_handler("failed_auth", self._note_refusal)
        self.add_event_handler("failed_all_auth", self._fail_login)
        self.add_event_handler("ssl_invalid_chain", lambda error: self._end(connection.no_trust(self.where, error)))
        self.add_event_handler("connection_failed", self._note_unreached)
        self.add_event_handler("stream_error", self._fail_stream)
        self.add_event_handler("disconnected", lambda reason: self._end(self._lost(reason)))

    # What the channel does

    async def attend(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something over the connection. Raises SyncxError where the connection is over before."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._over}, return_when=asyncio.FIRST_COMPLETED)
            return await (task if task.done() else self._over)
        except IqTimeout as error:
            raise Lost(f"{self.where} does not answer any more") from error
        finally:
            task.cancel()

    async def log_in(self, server: tuple[str, int] | None) -> None:
        """Connect to a server, or to the one that the domain names. Raises Lost, WrongPassword."""
        await self.connect(*(server or ()))
        if not self.is_connected() and not self._over.done():
            self.cancel_connection_attempt()  # it would try again as long as the loop runs
            raise Lost(f"{self.where} does not answer: {self._unreached}", "check the network and syncx.signal")
        await self._logged_in.wait()

    async def appear(self) -> None:
        """Let the others know of us; the server tells us of them."""
        self.send_presence(ppriority=HIDDEN)
        await self.ping()

    async def join(self) -> None:
        """Enter the room; a new one is made private."""
        rooms, nick = self.plugin["xep_0045"], self.boundjid.resource
        presence, *_ = await rooms.join_muc_wait(slixmpp.JID(self._peers), nick, maxstanzas=0, timeout=PING_LIMIT)
        if CREATED in presence["muc"]["status_codes"]:
            await self._configure()

    async def _configure(self) -> None:
        form = self.plugin["xep_0004"].make_form(ftype="submit")  # type: ignore[no-untyped-call]
        for name, value in CONFIGURATION.items():
            form.add_field(var=name, value=value)
        try:
            await self.plugin["xep_0045"].set_room_config(self._peers, form, timeout=PING_LIMIT)
        except IqError as error:
            what = f"the room {self._peers} cannot be made private: {error.condition}"
            raise SyncxError(what, "make it with your own client first") from error

    async def tell(self, payload: bytes) -> None:
        """Send a signal to all who are in the room, or in the account."""
        if self._seat:
            self._send_signal(self._peers, "groupchat", payload)
        else:
            self._payload = payload
            await self.appear()
            await asyncio.sleep(LATECOMERS)
        await self.ping()  # the server takes one after the other: it has the signal when it answers

    async def tell_who_is_there(self, payload: bytes) -> None:
        """Tell a signal to all who are in the room, or in the account since we hear."""
        for peer in [self._peers] if self._seat else list(self._there):
            self._send_signal(peer, "groupchat" if self._seat else "headline", payload)
        await self.ping()

    def _send_signal(self, to: str, kind: Literal["headline", "groupchat"], payload: bytes) -> None:
        """Send in a form that no client shows and no server keeps."""
        message = self.make_message(to, mtype=kind)
        ElementTree.SubElement(message.xml, SIGNAL).text = payload.decode("ascii")
        for hint in HINTS:
            ElementTree.SubElement(message.xml, hint)
        self.send(message)

    async def ping(self) -> None:
        """Raise Lost where we are no longer in the room, IqTimeout where nobody answers."""
        try:
            await self.plugin["xep_0199"].ping(slixmpp.JID(self._seat) if self._seat else None, timeout=PING_LIMIT)
        except IqError as error:  # most are an answer too
            if self._seat and error.condition in OUTSIDE:
                raise Lost(f"{self._peers} has lost us") from error

    async def stay(self) -> None:
        """Ping for as long as there are answers."""
        while True:
            await asyncio.sleep(PING_EACH)
            await self.ping()

    async def leave(self) -> None:
        """Say good-bye, for a moment."""
        self._over.cancel()
        self.cancel_connection_attempt()
        if self.is_connected():
            await self.disconnect(FAREWELL)
            self.abort()

    # What comes

    def data_received(self, data: bytes | str) -> None:
        """Give up a stanza that has no end."""
        self._pending += len(data)
        if self._pending > LARGEST:
            self._end(Lost(f"{self.where} sends too much"))
            return self.abort()
        return super().data_received(data)

    def _look(self, stanza: StanzaBase) -> StanzaBase | None:
        """Take what is for us; pass on only what slixmpp needs for the connection and the room."""
        self._pending = 0
        try:
            if isinstance(stanza, Message) and not self._is_subject(stanza):
                self._hear(stanza)
            elif isinstance(stanza, Presence) and not self._is_own(stanza):
                self._notice(stanza)
            elif not isinstance(stanza, StreamFeatures) or self._is_safe(stanza):
                return stanza
        except Exception as error:  # raised here it would close the connection without a word
            self._end(error)
        return None

    def _is_subject(self, message: Message) -> bool:
        """Return whether the room tells its subject, the last thing of a welcome."""
        return bool(self._seat) and message["from"].bare == self._peers and message.xml.find("{*}subject") is not None

    def _is_own(self, presence: Presence) -> bool:
        """Return whether the room tells of ourselves; of others nothing is kept."""
        if not self._seat or presence["from"].bare != self._peers:
            return False
        own = presence.xml.find(SELF) is not None
        if presence["type"] == "error":  # not every server says it as the plugin expects
            self._end(self._shut_out(presence["error"]["condition"]))
        elif own and presence["type"] == "unavailable":
            self._end(Lost(f"{self._peers} has thrown us out"))
        return own

    def _hear(self, message: Message) -> None:
        if message["from"].bare != self._peers:
            return
        found = message.xml.find(SIGNAL)
        if message["type"] == "error" and self._seat:
            self._end(SyncxError(f"{self._peers} does not take signals: {message['error']['condition']}"))
        elif found is not None and self._heard and message["type"] != "error":
            self._heard((found.text or "").encode()[:LONGEST])

    def _notice(self, presence: Presence) -> None:
        """Remember one of the account who is there, where we hear; tell it what we came to tell."""
        peer, there = presence["from"], presence.xml.get("type") is None
        if (
            self._seat
            or peer.bare != self._peers
            or not peer.resource.startswith(OURS)
            or str(peer) == str(self.boundjid)
        ):
            return
        if not there:
            self._there.discard(str(peer))
        elif self._heard and len(self._there) < MOST_PEERS:
            self._there.add(str(peer))
        if self._payload and there and str(peer) not in self._told:
            self._told.add(str(peer))
            self._send_signal(str(peer), "headline", self._payload)

    def _is_safe(self, features: StreamFeatures) -> bool:
        """Return whether to go on: nothing, a password least of all, goes over a connection that is not encrypted."""
        if "starttls" in features["features"] or isinstance(self.socket, ssl.SSLObject | ssl.SSLSocket):
            return True
        self._end(SyncxError(f"{self.where} offers no encryption", "use another server, or let it offer STARTTLS"))
        return False

    # How it ends

    def _end(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)
            self._over.exception()  # told where somebody waits, no matter else

    def _note_refusal(self, failure: StanzaBase) -> None:
        self._refused = failure["condition"]

    def _note_unreached(self, reason: object) -> None:
        self._unreached = (isinstance(reason, OSError) and reason.strerror) or str(reason)

    def _fail_login(self, _: object) -> None:
        if self._refused in WRONG_PASSWORD:
            self._end(WrongPassword(f"{self.where} does not accept the password"))
        elif self._refused:
            self._end(Lost(f"{self.where} does not let us log in now: {self._refused}"))
        else:
            self._end(SyncxError(f"{self.where} offers no way to log in with a password", "ask who runs it"))

    def _fail_stream(self, error: StanzaBase) -> None:
        condition = error["condition"]
        if condition == "host-unknown":
            what = f"the server does not serve {self.boundjid.domain}"
            self._end(SyncxError(what, "mend syncx.signal or ?server="))
        self._end(Lost(f"{self.where} ends the connection: {condition}"))

    def _lost(self, reason: object) -> SyncxError:
        if isinstance(reason, ssl.SSLError):
            return connection.no_trust(self.where, reason)
        return Lost(f"the connection to {self.where} is lost{f': {reason}' if reason else ''}", "check the network")

    def _shut_out(self, condition: str) -> SyncxError:
        if condition in NOT_LET_IN:
            what = f"the room {self._peers} does not let {self.boundjid.bare} in: {condition}"
            return SyncxError(what, "let its owner make the account a member")
        return Lost(f"the room {self._peers} cannot be entered now: {condition}")
