"""Export and import remotes: they hold a branch's files under their names, by git-annex alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.gateway import annex, branch, git, history, transport
from git_annex_syncx.gateway.git import Repository
from git_annex_syncx.model import Outcome, Remote, Result
from git_annex_syncx.phases.merge import Merging, merge
from git_annex_syncx.phases.node import Node
from git_annex_syncx.phases.parallel import one_remote

NOT_HERE = "not available"  # what git-annex notes of a file whose content it has not got
AGAIN = "the next run tries again"


def bring_in(node: Node, remotes: Iterable[Remote]) -> Iterator[Outcome]:
    """Import what changed in import remotes that follow a branch, and merge it."""
    imported = []
    for remote in _following(node, remotes, "importtree"):
        if remote.pull:
            outcome = one_remote("import", remote, lambda remote: _import(node, remote))
            imported += [remote] if outcome.result is Result.DONE else []
            yield outcome
    if imported:
        yield from merge(node, Merging(tuple(imported), unrelated=True))


def send_out(node: Node, remotes: Iterable[Remote]) -> Iterator[Outcome]:
    """Export the branches that export remotes follow, where they have moved."""
    for remote in _following(node, remotes, "exporttree"):
        if remote.push and not remote.readonly:
            yield one_remote("export", remote, lambda remote: _export(node, remote))


def _following(node: Node, remotes: Iterable[Remote], kind: str) -> list[Remote]:
    followers = [remote for remote in remotes if remote.special and remote.tracking_branch]
    options = branch.special_remotes(branch.logs(node.repo, ["remote.log"])["remote.log"]) if followers else {}
    return [remote for remote in followers if options.get(remote.uuid or "", {}).get(kind) == "yes"]


def _import(node: Node, remote: Remote) -> Outcome:
    prefix = f"refs/remotes/{remote.name}/"
    moved = _changes(node.repo, prefix, lambda: annex.import_tree(node.repo, remote.tracking_branch, remote.name))
    return Outcome("import", Result.DONE if moved else Result.CURRENT, remote.name, remote.uuid)


def _changes(repo: Repository, prefix: str, action: Callable[[], None]) -> bool:
    before = git.refs(repo, prefix)
    action()
    return git.refs(repo, prefix) != before


def _export(node: Node, remote: Remote) -> Outcome:
    key, begun = f"exported {remote.uuid}", time.monotonic()
    tree = history.tree_id(node.repo, remote.tracking_branch)
    if not tree:
        raise SyncxError(
            f"there is no {remote.tracking_branch}, which {remote.name} follows",
            f"git config remote.{remote.name}.annex-tracking-branch BRANCH",
        )
    if node.outbox.fact(key) == tree:
        return Outcome("export", Result.CURRENT, remote.name, remote.uuid)
    transport.require_present(node.repo, remote)
    failed = annex.export_tree(node.repo, remote.tracking_branch, remote.name)
    absent = [file for file, why in failed.items() if why == NOT_HERE]
    for file, why in failed.items():
        if why != NOT_HERE:
            raise SyncxError(f"{file}: {why}", AGAIN)
    if not absent:
        node.outbox.remember(key, tree)
    more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    reason = f"the content of {absent[0]}{more} is not here" if absent else ""
    result = Result.SKIPPED if absent else Result.DONE
    return Outcome("export", result, remote.name, remote.uuid, reason=reason, seconds=time.monotonic() - begun)
