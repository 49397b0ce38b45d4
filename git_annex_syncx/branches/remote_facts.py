"""Facts about a remote's branches that are kept from one push to the next, beyond its tracking refs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from git_annex_syncx.model import Fate, RefReport, Remote
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.state import OutboxError


@dataclass(frozen=True)
class Remembered:
    """The branch that the remote refused at the last push of it, and a digest of the addresses that refs are of."""

    checked_out: str = ""  # because a work tree there has it open
    addresses: str | None = None


def remembered(context: Context, remote: Remote) -> Remembered:
    """Read both; nothing where the outbox cannot be used, which the end of the run says."""
    refused, addresses = _checked_out(remote), _addresses(remote)
    with contextlib.suppress(OutboxError):
        known = context.outbox.facts_of(refused, addresses)
        return Remembered(known.get(refused, ""), known.get(addresses))
    return Remembered()


def note_checked_out(context: Context, remote: Remote, branch: str, reports: Iterable[RefReport]) -> None:
    """Remember whether the branch is checked out there, where the reports tell."""
    fates = [report.fate for report in reports if report.ref == f"refs/heads/{branch}"]
    before = remembered(context, remote).checked_out
    with contextlib.suppress(OutboxError):
        if fates == [Fate.CHECKED_OUT] and before != branch:
            context.outbox.remember(_checked_out(remote), branch)
        elif fates and fates != [Fate.CHECKED_OUT] and before == branch:
            context.outbox.forget(_checked_out(remote))


def is_proven(remote: Remote, known: Remembered) -> bool:
    """Return whether tracking refs tell what the push addresses have.

    Git sets them when the first address has it, and they are those of another place when the address was changed.
    """
    return known.addresses == _digest(remote) or (known.addresses is None and len(remote.push_urls) < 2)


def note_proven(context: Context, remote: Remote, proven: bool) -> None:
    """Remember whether all push addresses have the same; not before the last one has said so."""
    with contextlib.suppress(OutboxError):
        if proven and remembered(context, remote).addresses != _digest(remote):
            context.outbox.remember(_addresses(remote), _digest(remote))
        elif not proven and len(remote.push_urls) > 1:
            context.outbox.forget(_addresses(remote))


def note_first(context: Context, remote: Remote, known: Remembered) -> None:
    """Remember the address that tracking refs are of, where none is: it can change before the first push."""
    single = remote.url == remote.push_url and len(remote.push_urls) < 2
    if single and known.addresses is None:
        note_proven(context, remote, True)


def fact(context: Context, key: str) -> str | None:
    """Return what is remembered; nothing where the outbox cannot be used, which the end of the run says."""
    with contextlib.suppress(OutboxError):
        return context.outbox.fact(key)
    return None


def _checked_out(remote: Remote) -> str:
    return f"checked out {remote.name}"


def _addresses(remote: Remote) -> str:
    return f"addresses {remote.name}"


def _digest(remote: Remote) -> str:
    """Return what tells one set of addresses from another; they can hold passwords."""
    return hashlib.sha256("\n".join(remote.push_urls).encode("utf-8", "surrogateescape")).hexdigest()
