"""Connections of channels: addresses, checked certificates, and asyncio that ends when it must."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.git import credentials
from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import extras
from git_annex_syncx.triggers.signals.again import Lost
from git_annex_syncx.triggers.signals.channel import SEND_LIMIT, shown

T = TypeVar("T")

LONGEST = 4096  # bytes of what comes that are handed on: more than any signal has
POLL, FAREWELL = 0.2, 0.6  # seconds between looks whether to stop; for saying good-bye then
EXPIRED, NOT_YET = 10, 9  # of X509_V_ERR_*
OTHER_NAME = (62, 64)


# Addresses


def wrong(address: str, why: str, right: str) -> UsageError:
    """Return what to say of an address that cannot be right."""
    return UsageError(f"syncx.signal = {shown(address)!r}: {why}", f"right is {right}")


def options_of(address: str, query: str, known: Iterable[str], right: str) -> Mapping[str, str]:
    """Return what stands behind the `?` of an address. Raises UsageError."""
    try:
        found = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError as error:
        raise wrong(address, f"{query!r} is not understood", right) from error
    for name in found.keys() - set(known):
        raise wrong(address, f"there is no option {name!r}", right)
    return found


def host_and_port(address: str, text: str, right: str) -> tuple[str, int | None]:
    """HOST, HOST:PORT or [IPv6]:PORT. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if not host or (colon and port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise wrong(address, f"{text!r} is no host and port", right)
    return host.strip("[]"), int(port) if port else None


def require_package(package: str, extra: str, scheme: str) -> None:
    """Raises UsageError where a package that a channel needs is missing."""
    extras.require(package, extra, f"syncx.signal has an address {scheme}, but {package} is not installed")


# Passwords


class Login:
    """One user's password at one host, as git's credential helpers know it."""

    def __init__(self, repo: Repository, protocol: str, host: str, user: str) -> None:
        """Nothing is asked yet."""
        self._repo, self._protocol, self._host, self.user = repo, protocol, host, user
        self._approved: credentials.Credential | None = None

    def password(self) -> credentials.Credential:
        """Raises UsageError where no helper knows it."""
        known = credentials.fill(self._repo, self._protocol, self._host, self.user)
        if known is None:
            what = f"no credential helper of git knows the password of {self.user} at {self._host}"
            raise UsageError(what, self._advice)
        return known

    def right(self, credential: credentials.Credential) -> None:
        """It was accepted; helpers are told once."""
        if credential != self._approved:
            credentials.approve(self._repo, credential)
            self._approved = credential

    def wrong(self, credential: credentials.Credential) -> SyncxError:
        """It was refused: helpers are to forget it. What to say of it."""
        credentials.reject(self._repo, credential)
        return SyncxError(f"{self._host} does not accept the password of {self.user}", self._advice)

    @property
    def _advice(self) -> str:
        told = f"protocol={self._protocol}, host={self._host}, username={self.user} and password=... on a line each"
        return f"set up a helper (man gitcredentials), run `git credential approve` and tell it {told}, then Ctrl-D"


# Certificates


def checking(address: str, authority: str | None) -> ssl.SSLContext:
    """A context that accepts only certificates of a known authority (or of the one given) for the right host."""
    try:
        path = os.path.expanduser(authority) if authority else None
        context = ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{authority} holds no certificate: {error}", f"mend ?ca= in {shown(address)}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def no_trust(where: str, error: BaseException) -> SyncxError:
    """Return what to say where TLS fails."""
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
    """Threads that nobody waits for: a host that does not answer must not keep us from ending."""

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

    def loop() -> asyncio.AbstractEventLoop:
        made = asyncio.new_event_loop()
        made.set_default_executor(Unattended())
        return made

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(work)


async def in_time(work: Coroutine[Any, Any, T], where: str) -> T:
    """The result of a coroutine, of which one is had within SEND_LIMIT. Raises Lost."""
    try:
        async with asyncio.timeout(SEND_LIMIT):
            return await work
    except TimeoutError as error:
        raise Lost(
            f"{where} does not answer within {SEND_LIMIT:g} s", "check the network and syncx.signal"
        ) from error


async def unless(stop: threading.Event, work: Coroutine[Any, Any, None]) -> None:
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
