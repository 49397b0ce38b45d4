"""Everything in order: commit, fetch, merge, push, content, push."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.branches import advance, guard
from git_annex_syncx.branches.fetch import fetch
from git_annex_syncx.branches.merge import Merging, merge
from git_annex_syncx.branches.push import push
from git_annex_syncx.content import planning
from git_annex_syncx.content.assignment import Order
from git_annex_syncx.errors import Busy, SyncxError
from git_annex_syncx.git import history, local_changes, worktree
from git_annex_syncx.git.local_changes import Changes
from git_annex_syncx.model import Event, Outcome, Remote, Result
from git_annex_syncx.phases import upkeep
from git_annex_syncx.phases.transfer import transfer
from git_annex_syncx.runs.context import Node, decided
from git_annex_syncx.runs.parallel import failure, own_failure

UNREACHED = (Result.FAILED, Result.AWAY)
ARRIVED = (Result.DONE, Result.CURRENT)


@dataclass(frozen=True)
class Wish:
    """What the user asked of a sync; None: as the configuration says."""

    commit: bool | None = None
    message: str | None = None
    content: bool | None = None
    unrelated: bool = False
    pull: bool = True
    push: bool = True
    deletes: bool = False


def pull(node: Node, remotes: Iterable[Remote], unrelated: bool = False, deletes: bool = False) -> Iterator[Outcome]:
    """Fetch from all at once, then merge; once more where a redundant merge was put off."""
    git_remotes = tuple(remote for remote in remotes if not remote.special)
    with contextlib.suppress(Busy):  # fetching is in nobody's way; the merge will say it
        worktree.require_head(node.repo)
    yield from fetch(node, git_remotes, unrelated)
    yield from merge(node, Merging(git_remotes, unrelated, deletes=deletes))


def merge_received(
    node: Node, remotes: Iterable[Remote], unrelated: bool = False, deletes: bool = False
) -> Iterator[Outcome]:
    """Merge what is here already, without any connection."""
    git_remotes = tuple(remote for remote in remotes if not remote.special)
    yield from merge(node, Merging(git_remotes, unrelated, deletes=deletes))


def forward(
    node: Node, remotes: Iterable[Remote], unrelated: bool = False, deletes: bool = False
) -> Iterator[Outcome]:
    """Merge what is here already, then push the result onward."""
    git_remotes = tuple(remote for remote in remotes if not remote.special)
    # A push begins with their git-annex branches.
    yield from merge(node, Merging(git_remotes, unrelated, annex=False, deletes=deletes))
    yield from push(node, git_remotes)


def sync(node: Node, remotes: Iterable[Remote], wish: Wish, order: Order | None = None) -> Iterator[Event]:
    """Bring this repository and the remotes together. Remotes that cannot be reached are left alone at once."""
    remotes = tuple(replace(r, pull=r.pull and wish.pull, push=r.push and wish.push) for r in remotes)
    unreached = set()
    if node.repo.top and _wants_commit(node, wish):
        yield _commit(node, wish)
    bring, others = (pull, remotes) if wish.pull else (merge_received, ())
    for outcome in bring(node, others, wish.unrelated, wish.deletes):
        if outcome.remote and outcome.result in UNREACHED and outcome.event == "fetch":
            unreached.add(outcome.remote)
        yield outcome
    reached = tuple(remote for remote in remotes if remote.name not in unreached)
    yield from planning.tell_links(node)
    pushed: set[str] = set()
    for outcome in push(node, (remote for remote in reached if not remote.special and wish.push)):
        (pushed.add if outcome.result in ARRIVED else pushed.discard)(outcome.remote)
        yield outcome
    if wants_content(node, wish):
        content = replace(order or Order(), drop_here=wish.pull, deletes=wish.deletes, unreached=frozenset(unreached))
        yield from transfer(node, reached, content)
    yield from planning.tell_links(node)  # git-annex has asked new remotes who they are, speeds were measured
    if wants_content(node, wish) or any(not remote.uuid for remote in reached):
        again = push(node, (remote for remote in reached if remote.name in pushed))
        yield from (outcome for outcome in again if outcome.result is not Result.CURRENT)
    yield from upkeep.refresh_adjusted(node)  # also what git-annex itself has brought


def _wants_commit(node: Node, wish: Wish) -> bool:
    asked = (wish.commit, node.settings.autocommit)
    return not node.only_annex and decided(node, "annex.autocommit", asked, default=True)


def wants_content(node: Node, wish: Wish | None = None) -> bool:
    """Whether content is transferred too: what was asked, what is configured here or for all, else yes."""
    asked = (wish.content if wish else None, node.only_annex or None, node.settings.sync_content)
    return decided(node, "annex.synccontent", asked, default=True)


def _commit(node: Node, wish: Wish) -> Outcome:
    begun = time.monotonic()

    def judge(local: Changes) -> None:
        if not wish.deletes and (held := guard.vanished(node, local, merging=True)):
            raise held

    try:
        with worktree.merge_lock(node.repo):
            finished = worktree.finish_merge(node.repo, wish.message, judge)
            advance.take_back_push(node.repo, advance.require_ready(node.repo))
            local = local_changes.changes(node.repo)
            held = guard.vanished(node, local)
            message = _usual_message(node) if wish.message is None else wish.message
            if held and wish.deletes:
                message = guard.said(message, history.value(node.repo, "HEAD") or "")
            made = worktree.commit(node.repo, message, local, local.gone if held and not wish.deletes else ())
            made = made or finished
    except SyncxError as error:
        return own_failure("commit", error)
    if held and not wish.deletes:
        return failure("commit", held)
    told, lagging = ["local changes committed"] * made, local.lagging
    if lagging:
        told += [f"{local_changes.shown(lagging)} is behind: git submodule update, or sync there"]
    result = Result.DONE if made else Result.WAITS if lagging else Result.CURRENT
    return Outcome("commit", result, reason=", ".join(told), seconds=time.monotonic() - begun)


def _usual_message(node: Node) -> str:
    described = annex_branch.descriptions(node.repo).get(node.settings.annex_uuid) or node.repo.home.name
    return f"git-annex in {described}"
