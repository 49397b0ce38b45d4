"""The status of branches and failures, from what is known here, without any connection."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from git_annex_syncx.branches import redundant_merge
from git_annex_syncx.conflicts.versions import is_variant
from git_annex_syncx.content import remotes as content_remotes
from git_annex_syncx.errors import Away, SyncxError
from git_annex_syncx.git import drives, git, history, objects, worktree
from git_annex_syncx.model import Remote
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.records import Failure, Pause, Unmet


@dataclass(frozen=True)
class RemoteStatus:
    """One remote: commits that it lacks and has more (None: never seen), times in seconds since 1970."""

    remote: str
    uuid: str | None
    state: str  # "current", "ahead", "behind", "diverged", "level", "unknown", "away", "other", "content" (no branch)
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
    unmet: tuple[Unmet, ...]  # what held content back when it was last to move
    paused: Mapping[str, Pause]  # remote, or empty for all automatic work
    signals: Mapping[str, int]  # what `watch` has heard: how many by what became of them
    trouble: Mapping[str, str]  # address of a channel for signals, or remote -> what is wrong with it


def status(context: Context, remotes: Iterable[Remote]) -> Status:
    """Return what is known of the remotes, as of the last contact with each."""
    head = worktree.require_head(context.repo)
    known = git.refs(context.repo)
    ours = known.get(f"refs/heads/{head.basis}")
    remotes, failures = tuple(remotes), context.state.failures()
    counts, trouble = _signals(context)
    due = redundant_merge.pending(context, head.basis).due
    failing = {failure.remote for failure in failures}  # all that is known of special remotes
    return Status(
        head.basis,
        ours,
        due if due > time.time() else None,
        tuple(
            _remote(context, r, head.basis, known, failures)
            for r in remotes
            if not r.special or r.via or r.name in failing
        ),
        tuple(failure for failure in failures if failure.remote not in context.settings.remotes),
        tuple(os.fsdecode(path) for path in objects.entries(context.repo, ours) if is_variant(path)) if ours else (),
        tuple(one for one in context.state.unmet.all() if one.condition in context.settings.content_if),
        pauses.pauses(context.state),
        counts,
        trouble | {remote.name: reason for remote in remotes if (reason := content_remotes.reason(remote))},
    )


def _remote(
    context: Context, remote: Remote, branch: str, known: Mapping[str, str], failures: Iterable[Failure]
) -> RemoteStatus:
    ours = known.get(f"refs/heads/{branch}")
    theirs = [known[ref] for ref in (remote.tracking(branch), remote.tracking(f"synced/{branch}")) if ref in known]
    ahead = history.count(context.repo, [ours], theirs) if ours and theirs else None
    behind = history.count(context.repo, theirs, [ours] if ours else []) if theirs else None
    level = bool(ours and ahead and behind) and all(
        history.brings_nothing_new(context.repo, ours or "", their) for their in theirs
    )
    successes = context.state.last_successes()
    return RemoteStatus(
        remote.name,
        remote.uuid,
        _presence(context, remote) or ("content" if remote.via else _state(ahead, behind, level)),
        ahead,
        behind,
        max((when for (name, _), when in successes.items() if name == remote.name), default=None),
        tuple(failure for failure in failures if failure.remote == remote.name),
    )


def _signals(context: Context) -> tuple[dict[str, int], dict[str, str]]:
    """Return the signals that `watch` has heard, counted by its verdict, and the troubles of channels."""
    counts = {row.verdict: row.number for row in context.state.signal_counts.all()}
    return counts, {row.channel: row.reason for row in context.state.channel_troubles.all()}


def _state(ahead: int | None, behind: int | None, level: bool) -> str:
    if ahead is None or behind is None:
        return "unknown"
    if ahead and behind:
        return "level" if level else "diverged"
    return "ahead" if ahead else "behind" if behind else "current"


def _presence(context: Context, remote: Remote) -> str:
    try:
        drives.require_present(context.repo, remote)
    except Away:
        return "away"
    except SyncxError:
        return "other"
    return ""
