"""What is remembered of a remote's branches from one push to the next, beyond its tracking refs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable

from git_annex_syncx.gateway.outbox import OutboxError
from git_annex_syncx.model import Fate, RefReport, Remote
from git_annex_syncx.phases.node import Node


def checked_out(node: Node, remote: str) -> str:
    """The branch that the remote refused at the last push of it because a work tree there has it open; else empty."""
    return fact(node, f"checked out {remote}") or ""


def note_checked_out(node: Node, remote: Remote, branch: str, reports: Iterable[RefReport]) -> None:
    """Remember whether the branch is checked out there, where the reports tell."""
    fates = [report.fate for report in reports if report.ref == f"refs/heads/{branch}"]
    before = checked_out(node, remote.name)
    with contextlib.suppress(OutboxError):
        if fates == [Fate.CHECKED_OUT] and before != branch:
            node.outbox.remember(f"checked out {remote.name}", branch)
        elif fates and fates != [Fate.CHECKED_OUT] and before == branch:
            node.outbox.forget(f"checked out {remote.name}")


def is_proven(node: Node, remote: Remote) -> bool:
    """Whether tracking refs tell what the push addresses have.

    Git sets them when the first address has it, and they are those of another place when the address was changed.
    """
    known = fact(node, f"addresses {remote.name}")
    return known == _digest(remote) or (known is None and len(remote.push_urls) < 2)


def note_proven(node: Node, remote: Remote, proven: bool) -> None:
    """Remember whether all push addresses have the same; not before the last one has said so."""
    with contextlib.suppress(OutboxError):
        if proven and fact(node, f"addresses {remote.name}") != _digest(remote):
            node.outbox.remember(f"addresses {remote.name}", _digest(remote))
        elif not proven and len(remote.push_urls) > 1:
            node.outbox.forget(f"addresses {remote.name}")


def note_first(node: Node, remote: Remote) -> None:
    """Remember the address that tracking refs are of, where none is: it can change before the first push."""
    single = remote.url == remote.push_url and len(remote.push_urls) < 2
    if single and fact(node, f"addresses {remote.name}") is None:
        note_proven(node, remote, True)


def fact(node: Node, key: str) -> str | None:
    """What is remembered; nothing where the outbox cannot be used, which the end of the run says."""
    with contextlib.suppress(OutboxError):
        return node.outbox.fact(key)
    return None


def _digest(remote: Remote) -> str:
    """What tells one set of addresses from another; they can hold passwords."""
    return hashlib.sha256("\n".join(remote.push_urls).encode("utf-8", "surrogateescape")).hexdigest()
