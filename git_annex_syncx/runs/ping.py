"""Ask an address at the start and the end of a run by itself, so that somebody is told when no run comes any more.

Such addresses are called dead man's switches; healthchecks.io and its like take ADDRESS/start, ADDRESS and
ADDRESS/fail. They are secret, and stand in no message.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit, urlunsplit

from git_annex_syncx import __version__

log = logging.getLogger(__name__)

LIMIT = 10.0  # seconds for one request, all included
QUIET = 5.0  # seconds without a word


class Ended:
    """The end of a run: whether it has failed, None while it goes on, or where it was interrupted."""

    failed: bool | None = None


@contextlib.contextmanager
def pinged(address: str) -> Iterator[Ended]:
    """Ask ADDRESS/start beside what is done inside, then ADDRESS, or ADDRESS/fail. A failure harms nothing."""
    begun, result = _ask(below(address, "start")), Ended()
    try:
        yield result
    except Exception:
        result.failed = True
        raise
    finally:
        if result.failed is not None:  # who is told to end waits for nothing
            begun.join(LIMIT)
            _ask(below(address, "fail") if result.failed else address).join(LIMIT)


def below(address: str, name: str) -> str:
    """Return an address with one more part of its path, before its query."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def _ask(address: str) -> threading.Thread:
    """Ask an address in a thread: to find a host can take long, whatever limit a request has."""
    thread = threading.Thread(target=_request, args=(address,), daemon=True, name="ping")
    thread.start()
    return thread


def request(address: str) -> urllib.request.Request:
    """Return what asks an address; a name and password in it are for its server alone, not for where it sends us."""
    parts = urlsplit(address)
    user, _, server = parts.netloc.rpartition("@")
    made = urllib.request.Request(urlunsplit(parts._replace(netloc=server)))
    made.add_header("User-Agent", f"git-annex-syncx/{__version__}")
    if user:
        name, _, password = user.partition(":")
        told = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
        made.add_unredirected_header("Authorization", f"Basic {told}")
    return made


def _request(address: str) -> None:
    host = urlsplit(address).hostname
    try:
        with urllib.request.urlopen(request(address), timeout=QUIET):
            pass
    except urllib.error.HTTPError as error:
        log.warning("syncx.ping: %s answered %s", host, error.code)
    except (OSError, ValueError, http.client.HTTPException) as error:
        log.warning("syncx.ping: %s did not answer (%s)", host, _reason(error))


def _reason(error: Exception) -> str:
    """Return what went wrong, without the address."""
    cause = getattr(error, "reason", error)
    return getattr(cause, "strerror", None) or type(cause).__name__
