"""Everything in order: commit, fetch, merge, push, content, push."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from git_annex_syncx.errors import Busy, SyncxError
from git_annex_syncx.gateway import annex, branch, git, transport, worktree
from git_annex_syncx.gateway.settings import is_false, read_settings
from git_annex_syncx.model import Outcome, Remote, Result
from git_annex_syncx.network import survey
from git_annex_syncx.phases.fetch import fetch
from git_annex_syncx.phases.merge import Merging, merge
from git_annex_syncx.phases.node import Node, says_yes
from git_annex_syncx.phases.parallel import one_remote, own_failure
from git_annex_syncx.phases.push import ANNEX, push

UNREACHED = (Result.FAILED, Result.AWAY)
ARRIVED = (Result.DONE, Result.CURRENT)


@dataclass(frozen=True)
class Wish:
    """What the user asked of a sync; None: as the configuration says."""

    commit: bool | None = None
    message: str | None = None
    content: bool | None = None
    unrelated: bool = False


def pull(node: Node, remotes: Iterable[Remote], unrelated: bool = False) -> Iterator[Outcome]:
    """Fetch from all at once, then merge; once more where a redundant merge was put off."""
    git_remotes = tuple(remote for remote in remotes if not remote.special)
    with contextlib.suppress(Busy):  # fetching is in nobody's way; the merge will say it
        worktree.require_head(node.repo)
    yield from fetch(node, git_remotes)
    yield from merge(node, Merging(git_remotes, unrelated))


def merge_received(node: Node, remotes: Iterable[Remote], unrelated: bool = False) -> Iterator[Outcome]:
    """Merge what is here already, without any connection."""
    yield from merge(node, Merging(tuple(remote for remote in remotes if not remote.special), unrelated))


def forward(node: Node, remotes: Iterable[Remote], unrelated: bool = False) -> Iterator[Outcome]:
    """Merge what is here already, then push the result onward."""
    remotes = tuple(remotes)
    yield from merge_received(node, remotes, unrelated)
    yield from push(node, (remote for remote in remotes if not remote.special))


def sync(node: Node, remotes: Iterable[Remote], wish: Wish) -> Iterator[Outcome]:
    """Bring this repository and the remotes together. Remotes that cannot be reached are left alone at once."""
    remotes = tuple(remotes)
    unreached = set()
    if node.repo.top and _wants_commit(node, wish):
        yield _commit(node, wish.message)
    for outcome in pull(node, remotes, wish.unrelated):
        if outcome.remote and outcome.result in UNREACHED and outcome.event == "fetch":
            unreached.add(outcome.remote)
        yield outcome
    reached = tuple(remote for remote in remotes if remote.name not in unreached)
    yield from _tell_links(node)
    pushed: set[str] = set()
    for outcome in push(node, (remote for remote in reached if not remote.special)):
        (pushed.add if outcome.result in ARRIVED else pushed.discard)(outcome.remote)
        yield outcome
    if _wants_content(node, wish):
        yield from _content(node, reached)
        yield from _tell_links(node)  # git-annex has asked new remotes who they are
        again = push(node, (remote for remote in reached if remote.name in pushed))
        yield from (outcome for outcome in again if outcome.result is not Result.CURRENT)


def _tell_links(node: Node) -> Iterator[Outcome]:
    """Tell the others the links of this repository, where that is news: plans are made from what all know."""
    begun = time.monotonic()
    try:
        if survey.publish(node.repo, read_settings(node.repo), node.outbox):
            yield Outcome("publish", Result.DONE, reason="links told", seconds=time.monotonic() - begun)
    except SyncxError as error:
        yield own_failure("publish", error)


def _wants_commit(node: Node, wish: Wish) -> bool:
    return _decided(node, (wish.commit, node.settings.autocommit), "annex.autocommit")


def _wants_content(node: Node, wish: Wish) -> bool:
    return _decided(node, (wish.content, node.settings.sync_content), "annex.synccontent")


def _decided(node: Node, said: Iterable[bool | None], key: str) -> bool:
    """The first that says anything: the command line, the own configuration, `git annex config` for all; else yes."""
    for answer in said:
        if answer is not None:
            return answer
    return not is_false(branch.shared_config(node.repo).get(key, "true"))


def _commit(node: Node, message: str | None) -> Outcome:
    begun = time.monotonic()
    try:
        with worktree.merge_lock(node.repo):
            worktree.require_ready(node.repo)
            made = worktree.commit(node.repo, _usual_message(node) if message is None else message)
    except SyncxError as error:
        return own_failure("commit", error)
    result = Result.DONE if made else Result.CURRENT
    return Outcome(
        "commit", result, reason="local changes committed" if made else "", seconds=time.monotonic() - begun
    )


def _usual_message(node: Node) -> str:
    described = branch.descriptions(node.repo).get(node.settings.annex_uuid) or node.repo.home.name
    return f"git-annex in {described}"


def _content(node: Node, remotes: Iterable[Remote]) -> Iterator[Outcome]:
    """One call of git-annex a remote, one after another: two would fetch the same file twice at once."""
    for remote in remotes:
        if not remote.ignore and not says_yes(node, remote.ignore_command):
            yield one_remote("content", remote, lambda remote: _satisfy(node, remote))


def _satisfy(node: Node, remote: Remote) -> Outcome:
    transport.require_present(node.repo, remote)
    connection = transport.annex_connection(node.repo, node.settings, remote)
    before = git.refs(node.repo, ANNEX)
    annex.satisfy(node.repo, node.annex_version, remote.name, connection)
    # What moved is noted on the git-annex branch.
    result = Result.CURRENT if git.refs(node.repo, ANNEX) == before else Result.DONE
    return Outcome("content", result, remote.name, remote.uuid)
