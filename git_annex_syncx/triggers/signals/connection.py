"""Connections to servers: addresses, logins, checked certificates, and asyncio that ends when it must."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import os
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.git import credentials
from git_annex_syncx.git.git import Repository
from git_annex_syncx.triggers.signals.channel import (
    POLL,
    SEND_ALONG_LIMIT,
    SEND_LIMIT,
    Channel,
    Connected,
    Heard,
    Lost,
    shown,
    wrong,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
Tell = Callable[[bytes], Coroutine[Any, Any, None]]  # sends to all others

FAREWELL = 0.6  # seconds for saying good-bye when we are to stop
EXPIRED, NOT_YET = 10, 9  # of X509_V_ERR_*
OTHER_NAME = (62, 64)


class ServerChannel(Channel):
    """A channel through a server, one connection a call."""

    where: str  # the server, for people
    _stands: tuple[asyncio.AbstractEventLoop, Tell] | None = None

    @abc.abstractmethod
    async def tell(self, payload: bytes, last: bool) -> None:
        """Connect, and send to all others."""

    @abc.abstractmethod
    async def hear(self, heard: Heard, connected: Connected) -> None:
        """Connect, and hear until the connection is lost. Raises Lost, SyncxError."""

    def send(self, payload: bytes, last: bool = True) -> None:
        """Send to all others."""
        call(in_time(self.tell(payload, last), self.where))

    @contextlib.contextmanager
    def standing(self, tell: Tell) -> Iterator[None]:
        """Let others send by `tell`, over the connection that is heard on, inside the block."""
        self._stands = asyncio.get_running_loop(), tell
        try:
            yield
        finally:
            self._stands = None

    def send_along(self, payload: bytes) -> bool:
        """Send over the connection that is heard on; return whether there is one, and it still works."""
        if not (stands := self._stands):
            return False
        loop, tell = stands
        sending = tell(payload)
        try:
            future = asyncio.run_coroutine_threadsafe(sending, loop)
        except RuntimeError:  # its loop has just ended
            sending.close()
            return False
        try:
            future.result(SEND_ALONG_LIMIT)
        except Exception as error:  # what is wrong a connection of its own will tell
            future.cancel()
            log.info("%s: not sent over the connection that stands: %s", self.where, error)
            return False
        return True

    def attend(self, heard: Heard, connected: Connected, stop: threading.Event) -> None:
        """Hear over one connection."""
        call(_unless(stop, self.hear(heard, connected)))


# Addresses


def options_of(address: str, query: str, known: Iterable[str], right: str) -> Mapping[str, str]:
    """Return the options behind the `?` of an address. Raises UsageError."""
    try:
        found = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError as error:
        raise wrong(address, f"{query!r} is not understood", right) from error
    for name in found.keys() - set(known):
        raise wrong(address, f"there is no option {name!r}", right)
    return found


def host_and_port(address: str, text: str, right: str) -> tuple[str, int | None]:
    """Split HOST, HOST:PORT or [IPv6]:PORT. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if not host or (colon and port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise wrong(address, f"{text!r} is no host and port", right)
    return host.strip("[]"), int(port) if port else None


# Passwords


class Login:
    """One user's password at one host, as git's credential helpers know it."""

    def __init__(self, repo: Repository, protocol: str, host: str, user: str) -> None:
        """Ask nothing yet."""
        self._repo, self._protocol, self._host, self.user = repo, protocol, host, user
        self._approved: credentials.Credential | None = None

    def password(self) -> credentials.Credential:
        """Ask the helpers. Raises UsageError where none knows it."""
        known = credentials.fill(self._repo, self._protocol, self._host, self.user)
        if known is None:
            what = f"no credential helper of git knows the password of {self.user} at {self._host}"
            raise UsageError(what, self._advice)
        return known

    def right(self, credential: credentials.Credential) -> None:
        """Tell the helpers, once, that it was accepted."""
        if credential != self._approved:
            credentials.approve(self._repo, credential)
            self._approved = credential

    def wrong(self, credential: credentials.Credential) -> SyncxError:
        """Let the helpers forget one that was refused; return the error to raise."""
        credentials.reject(self._repo, credential)
        return SyncxError(f"{self._host} does not accept the password of {self.user}", self._advice)

    @property
    def _advice(self) -> str:
        told = f"protocol={self._protocol}, host={self._host}, username={self.user} and password=... on a line each"
        return f"set up a helper (man gitcredentials), run `git credential approve` and tell it {told}, then Ctrl-D"


# Certificates


def checking(address: str, authority: str | None) -> ssl.SSLContext:
    """Return a context that accepts certificates of a known authority, or the one given, for the right host alone."""
    try:
        path = os.path.expanduser(authority) if authority else None
        context = ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{authority} holds no certificate: {error}", f"mend ?ca= in {shown(address)}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def no_trust(where: str, error: BaseException) -> SyncxError:
    """Return the error to raise where TLS fails."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return Lost(f"{where} does not speak TLS as it should: {getattr(error, 'reason', None) or error}")
    if error.verify_code in OTHER_NAME:
        return SyncxError(f"the certificate of {where} is for another host name", "use the name that is in it")
    if error.verify_code == EXPIRED:
        return SyncxError(f"the certificate of {where} has expired", "renew it, or set this computer's clock")
    if error.verify_code == NOT_YET:
        return SyncxError(f"the certificate of {where} is not valid yet", "set this computer's clock")
    what = f"the certificate of {where} is not signed by an authority that is trusted here: {error.verify_message}"
    return SyncxError(what, "name your own authority with ?ca=/path/ca.pem in the address")


# Running


class Unattended(ThreadPoolExecutor):
    """Threads that nobody waits for: a name server that does not answer must not keep `watch` from ending in time."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call it in a thread of its own."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, daemon=True, name="signals").start()
        return future


def call(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in this thread to its end."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(Unattended())
        return runner.run(work)


async def in_time(work: Coroutine[Any, Any, T], where: str) -> T:
    """Return the result of a coroutine, which has SEND_LIMIT seconds for it. Raises Lost."""
    try:
        async with asyncio.timeout(SEND_LIMIT):
            return await work
    except TimeoutError as error:
        advice = "check the network and syncx.signal"
        raise Lost(f"{where} does not answer within {SEND_LIMIT:g} s", advice) from error


async def _unless(stop: threading.Event, work: Coroutine[Any, Any, None]) -> None:
    """Await a coroutine, and cancel it when `stop` is set."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done() and not stop.is_set():
            await asyncio.wait({task}, timeout=POLL)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task}, timeout=FAREWELL)
    finally:
        task.cancel()
    return None
