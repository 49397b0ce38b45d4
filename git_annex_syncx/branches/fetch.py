"""Fetch from all remotes at once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

from git_annex_syncx.branches import membership, remote_facts
from git_annex_syncx.git import git, transport
from git_annex_syncx.model import Outcome, Remote, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import each_remote, exchanging


def fetch(context: Context, remotes: Iterable[Remote], unrelated: bool = False) -> Iterator[Outcome]:
    """Bring the remotes' branches into refs/remotes, if asked of `unrelated` histories too; one outcome a remote."""
    moved, work = False, functools.partial(_fetch_one, context, git.refs(context.repo), unrelated)
    for outcome in each_remote("fetch", remotes, work, context.settings.jobs):
        moved = moved or outcome.result is Result.DONE
        yield outcome
    if moved:
        transport.maintain(context.repo)


def _fetch_one(context: Context, known: Mapping[str, str], unrelated: bool, remote: Remote) -> Outcome:
    if not remote.pull:
        return Outcome("fetch", Result.SKIPPED, remote.name, remote.uuid, reason="annex-pull is false")
    prefix = f"refs/remotes/{remote.name}/"
    before = {name: value for name, value in known.items() if name.startswith(prefix)}
    with exchanging(context.repo.state_dir, remote.name):
        membership.require_other(context, remote) if unrelated else membership.require_member(
            context, remote, known, True
        )
        transport.fetch(context.repo, context.settings, remote, context.branches)
        remote_facts.note_first(context, remote, remote_facts.remote_state(context, remote))
    after = git.refs(context.repo, prefix)
    if after == before:
        return Outcome("fetch", Result.CURRENT, remote.name, remote.uuid)
    return Outcome("fetch", Result.DONE, remote.name, remote.uuid, details=_moved(context, remote, before, after))


def _moved(
    context: Context, remote: Remote, before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, object]:
    """Return which branch has moved there, from where to where; of several the user's own."""
    head = git.head(context.repo)
    for branch in (head.basis, "git-annex") if head else ("git-annex",):
        for ref in (remote.tracking(f"synced/{branch}"), remote.tracking(branch)):
            if before.get(ref) != after.get(ref):
                return {"branch": branch, "old": before.get(ref), "new": after.get(ref)}
    return {}
