"""The status of branches and of what waits, from what is known here, without any connection."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from git_annex_syncx.branches import redundant_merge
from git_annex_syncx.conflicts.versions import is_variant
from git_annex_syncx.content import remotes as content_remotes
from git_annex_syncx.errors import Away, SyncxError
from git_annex_syncx.git import git, history, transport, worktree
from git_annex_syncx.model import Remote
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.records import Failure, Pause


@dataclass(frozen=True)
class RemoteStatus:
    """One remote: commits that it lacks and has more (None: never seen), times in seconds since 1970."""

    remote: str
    uuid: str | None
    state: str  # "current", "ahead", "behind", "diverged", "level", "unknown", "away", "other"
    ahead: int | None
    behind: int | None
    last_success: float | None
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Status:
    """The own branch and all remotes."""

    branch: str
    commit: str | None
    settle_until: float | None
    remotes: tuple[RemoteStatus, ...]
    failures: tuple[Failure, ...]  # of the own repository, and of the web and its like
    variants: tuple[str, ...]  # paths that hold one of several versions, until the user has chosen
    paused: Mapping[str, Pause]  # remote, or empty for all automatic work
    signals: Mapping[str, int]  # what `watch` has heard: how many by what became of them
    trouble: Mapping[str, str]  # address of a channel for signals, or remote -> what is wrong with it


def status(context: Context, remotes: Iterable[Remote]) -> Status:
    """Return what is known of the remotes, as of the last contact with each."""
    head = worktree.require_head(context.repo)
    known = git.refs(context.repo)
    ours = known.get(f"refs/heads/{head.basis}")
    remotes = tuple(remotes)
    counts, trouble = _signals(context)
    failures, successes = context.state.failures(), context.state.last_successes()
    due = redundant_merge.pending(context, head.basis).due

    def one(remote: Remote) -> RemoteStatus:
        theirs = [
            known[ref]
            for ref in (remote.tracking(head.basis), remote.tracking(f"synced/{head.basis}"))
            if ref in known
        ]
        ahead = history.count(context.repo, [ours], theirs) if ours and theirs else None
        behind = history.count(context.repo, theirs, [ours] if ours else []) if theirs else None
        level = bool(ours and ahead and behind) and all(
            history.brings_nothing_new(context.repo, ours or "", their) for their in theirs
        )
        return RemoteStatus(
            remote.name,
            remote.uuid,
            _presence(context, remote) or _state(ahead, behind, level),
            ahead,
            behind,
            max((when for (name, _), when in successes.items() if name == remote.name), default=None),
            tuple(failure for failure in failures if failure.remote == remote.name),
        )

    return Status(
        head.basis,
        ours,
        due if due > time.time() else None,
        tuple(one(remote) for remote in remotes if not remote.special or _failing(remote, failures)),
        tuple(failure for failure in failures if failure.remote not in context.settings.remotes),
        tuple(os.fsdecode(path) for path in history.paths(context.repo, ours) if is_variant(path)) if ours else (),
        pauses.pauses(context.state),
        counts,
        trouble | {remote.name: reason for remote in remotes if (reason := content_remotes.reason(remote))},
    )


def _signals(context: Context) -> tuple[dict[str, int], dict[str, str]]:
    """Return what `watch` has noted of the signals that it heard, and of channels that do not work."""
    counts = {row.verdict: row.count for row in context.state.signal_counts.all()}
    return counts, {row.channel: row.reason for row in context.state.channel_troubles.all()}


def _failing(remote: Remote, failures: Iterable[Failure]) -> bool:
    """Of a special remote nothing is known but whether something failed there."""
    return any(failure.remote == remote.name for failure in failures)


def _state(ahead: int | None, behind: int | None, level: bool) -> str:
    if ahead is None or behind is None:
        return "unknown"
    if ahead and behind:
        return "level" if level else "diverged"
    return "ahead" if ahead else "behind" if behind else "current"


def _presence(context: Context, remote: Remote) -> str:
    try:
        transport.require_present(context.repo, remote)
    except Away:
        return "away"
    except SyncxError:
        return "other"
    return ""
