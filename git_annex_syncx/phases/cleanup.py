"""Remove the synced/ branches, which hold what was pushed until it is merged, here and at remotes."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import git, history, transport, worktree
from git_annex_syncx.git.transport import PushSpec
from git_annex_syncx.model import Fate, Outcome, Remote, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import each_remote


def cleanup(context: Context, remotes: Iterable[Remote]) -> Iterator[Outcome]:
    """Remove synced/BRANCH and synced/git-annex, so that what a user took back does not return from there."""
    head = worktree.require_head(context.repo)
    names = [f"refs/heads/synced/{branch}" for branch in (head.basis, "git-annex")]
    with worktree.merge_lock(context.repo):
        here = {ref: value for ref, value in git.refs(context.repo, *names).items() if ref in names}
        for ref, value in here.items():
            git.delete_ref(context.repo, ref, value)
    yield Outcome("cleanup", Result.DONE if here else Result.CURRENT)
    yield from each_remote("cleanup", remotes, functools.partial(_clean, context, names), context.settings.jobs)


def _clean(context: Context, names: Iterable[str], remote: Remote) -> Outcome:
    if remote.readonly or not remote.push:
        reason = "annex-readonly is true" if remote.readonly else "annex-push is false"
        return Outcome("cleanup", Result.SKIPPED, remote.name, remote.uuid, reason=reason)
    found = transport.ls_remote(context.repo, context.settings, remote)
    there = {ref: found[ref] for ref in names if ref in found}
    for ref, value in there.items():
        if not history.value(context.repo, value):
            raise SyncxError(
                f"{ref} of {remote.name} holds commits that are not here", "git annex-syncx pull, then again"
            )
    spec = PushSpec(dict.fromkeys(there, ("", "")), there)
    reports = transport.push(context.repo, context.settings, remote, spec) if there else ()
    if refused := [report for report in reports if report.fate not in (Fate.UPDATED, Fate.CURRENT)]:
        raise SyncxError(f"{refused[0].ref} was not removed: {refused[0].reason}", "ask who runs the remote")
    return Outcome("cleanup", Result.DONE if there else Result.CURRENT, remote.name, remote.uuid, reports)
