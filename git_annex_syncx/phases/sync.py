"""Do everything in order: commit, fetch, merge, push, content, push."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.branches import advance, guard
from git_annex_syncx.branches.push import push
from git_annex_syncx.content import planning
from git_annex_syncx.content.assignment import TransferOptions
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import history, local_changes, worktree
from git_annex_syncx.git.local_changes import Changes
from git_annex_syncx.model import Event, Outcome, Remote, Result
from git_annex_syncx.phases import upkeep
from git_annex_syncx.phases.merge import merge_received, pull
from git_annex_syncx.phases.transfer import transfer
from git_annex_syncx.runs.context import Context, decided, reread
from git_annex_syncx.runs.parallel import failure, own_failure

UNREACHED = (Result.FAILED, Result.AWAY)
ARRIVED = (Result.DONE, Result.CURRENT)


@dataclass(frozen=True)
class SyncOptions:
    """Options of a sync; None: as the configuration says."""

    commit: bool | None = None
    message: str | None = None
    content: bool | None = None
    unrelated: bool = False
    pull: bool = True
    push: bool = True
    deletes: bool = False


def sync(
    context: Context, remotes: Iterable[Remote], options: SyncOptions, order: TransferOptions | None = None
) -> Iterator[Event]:
    """Bring this repository and the remotes together. Remotes that cannot be reached are left alone at once."""
    remotes = tuple(replace(r, pull=r.pull and options.pull, push=r.push and options.push) for r in remotes)
    unreached = set()
    if context.repo.top and wants_commit(context, options):
        yield _commit(context, options)
    bring, others = (pull, remotes) if options.pull else (merge_received, ())
    for outcome in bring(context, others, options.unrelated, options.deletes):
        if outcome.remote and outcome.result in UNREACHED and outcome.event == "fetch":
            unreached.add(outcome.remote)
        yield outcome
    unreached |= {remote.name for remote in remotes if remote.gateway in unreached}
    reached = tuple(remote for remote in remotes if remote.name not in unreached)
    context = reread(context)  # a gateway that was fetched from may give access to more
    yield from planning.tell_links(context, context.settings)
    pushed: set[str] = set()
    for outcome in push(context, (remote for remote in reached if not remote.special and options.push)):
        (pushed.add if outcome.result in ARRIVED else pushed.discard)(outcome.remote)
        yield outcome
    if context.wants_content(options.content):
        content = replace(
            order or TransferOptions(),
            drop_here=options.pull,
            deletes=options.deletes,
            unreached=frozenset(unreached),
        )
        yield from transfer(context, reached, content)
    yield from planning.tell_links(context)  # git-annex has asked new remotes who they are, speeds were measured
    if context.wants_content(options.content) or any(not remote.uuid for remote in reached):
        again = push(context, (remote for remote in reached if remote.name in pushed))
        yield from (outcome for outcome in again if outcome.result is not Result.CURRENT)
    yield from upkeep.refresh_adjusted(context)  # also what git-annex itself has brought


def wants_commit(context: Context, options: SyncOptions) -> bool:
    """Return whether local changes are committed first: as asked, as configured here or for all, else they are."""
    asked = (options.commit, context.settings.autocommit)
    return not context.only_annex and decided(context, "annex.autocommit", asked, default=True)


def _commit(context: Context, options: SyncOptions) -> Outcome:
    begun = time.monotonic()

    def judge(local: Changes) -> None:
        if not options.deletes and (held := guard.vanished(context, local, merging=True)):
            raise held

    try:
        with worktree.merge_lock(context.repo):
            finished = worktree.finish_merge(context.repo, options.message, judge)
            advance.take_back_push(context.repo, advance.require_ready(context.repo))
            local = local_changes.changes(context.repo)
            held = guard.vanished(context, local)
            message = _usual_message(context) if options.message is None else options.message
            if held and options.deletes:
                message = guard.said(message, history.value(context.repo, "HEAD") or "")
            made = worktree.commit(context.repo, message, local, local.gone if held and not options.deletes else ())
            made = made or finished
    except SyncxError as error:
        return own_failure("commit", error)
    if held and not options.deletes:
        return failure("commit", held)
    told, lagging = ["local changes committed"] * made, local.lagging
    if lagging:
        told += [f"{local_changes.shown(lagging)} is behind: git submodule update, or sync there"]
    result = Result.DONE if made else Result.WAITS if lagging else Result.CURRENT
    return Outcome("commit", result, reason=", ".join(told), seconds=time.monotonic() - begun)


def _usual_message(context: Context) -> str:
    described = annex_branch.descriptions(context.repo).get(context.settings.annex_uuid) or context.repo.home.name
    return f"git-annex in {described}"
