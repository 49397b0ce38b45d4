"""Facts about a remote's branches that are kept from one push to the next, beyond its tracking refs.

Where the state cannot be used nothing is known or kept, which the end of the run says.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable

from git_annex_syncx.model import Fate, RefReport, Remote
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.records import RemoteState
from git_annex_syncx.system.state import StateError


def remote_state(context: Context, remote: Remote) -> RemoteState:
    """Return what is remembered of a remote."""
    with contextlib.suppress(StateError):
        return context.state.remotes.get(remote.name) or RemoteState(remote.name)
    return RemoteState(remote.name)


def note_checked_out(context: Context, remote: Remote, branch: str, reports: Iterable[RefReport]) -> None:
    """Remember whether the branch is checked out there, where the reports tell."""
    fates = [report.fate for report in reports if report.ref == f"refs/heads/{branch}"]
    before = remote_state(context, remote).checked_out
    if fates == [Fate.CHECKED_OUT] and before != branch:
        _change(context, remote, checked_out=branch)
    elif fates and fates != [Fate.CHECKED_OUT] and before == branch:
        _change(context, remote, checked_out="")


def is_proven(remote: Remote, known: RemoteState) -> bool:
    """Return whether tracking refs tell what the push addresses have.

    Git sets them when the first address has it, and they are those of another place when the address was changed.
    """
    return known.addresses == _digest(remote) or (known.addresses is None and len(remote.push_urls) < 2)


def note_proven(context: Context, remote: Remote, proven: bool) -> None:
    """Remember whether all push addresses have the same; not before the last one has said so."""
    known = remote_state(context, remote).addresses
    if proven and known != _digest(remote):
        _change(context, remote, addresses=_digest(remote))
    elif not proven and known is not None and len(remote.push_urls) > 1:
        _change(context, remote, addresses=None)


def note_first(context: Context, remote: Remote, known: RemoteState) -> None:
    """Remember the address that tracking refs are of, where none is: it can change before the first push."""
    single = remote.url == remote.push_url and len(remote.push_urls) < 2
    if single and known.addresses is None:
        note_proven(context, remote, True)


def _change(context: Context, remote: Remote, **values: object) -> None:
    with contextlib.suppress(StateError):
        context.state.remotes.change(remote.name, **values)


def _digest(remote: Remote) -> str:
    """Return a digest that tells one set of addresses from another; they can hold passwords."""
    return hashlib.sha256("\n".join(remote.push_urls).encode("utf-8", "surrogateescape")).hexdigest()
