"""Merge what was received (synced/*) and fetched into the branch in hand."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from git_annex_syncx.conflicts.join import Joined, join_heads
from git_annex_syncx.errors import Busy, Level, Refused, SyncxError
from git_annex_syncx.gateway import annex, git, objects, worktree
from git_annex_syncx.gateway.git import NONE, Repository
from git_annex_syncx.model import Head, Outcome, Remote, Result
from git_annex_syncx.phases import settle
from git_annex_syncx.phases.node import Node
from git_annex_syncx.phases.parallel import failure

WHY = "git-annex-syncx"
LOOKS = 5  # how often the branch may move under us before we call it busy


@dataclass(frozen=True)
class Merging:
    """What the merge phase is asked: which remotes' branches take part, and whether unrelated ones may."""

    remotes: tuple[Remote, ...]
    unrelated: bool = False


def merge(node: Node, merging: Merging) -> Iterator[Outcome]:
    """One outcome for the branch, one for each head that the user amended away."""
    begun = time.monotonic()
    try:
        with worktree.merge_lock(node.repo):
            head = worktree.require_head(node.repo)
            worktree.require_idle(node.repo)
            yield from _merge_head(node, head, merging, begun)
    except SyncxError as error:
        if error.exit_code not in (0, 1):
            raise
        yield failure("merge", error)


def bring_together(node: Node, merging: Merging) -> Joined | None:
    """Merge on behalf of a push that lost a race. Raises what stands in the way, Level where it is put off."""
    with worktree.merge_lock(node.repo):
        head = worktree.require_head(node.repo)
        worktree.require_idle(node.repo)
        joined = _advance(node, head, merging)
        merge_annex_branches(node, merging.remotes)
    return joined


def merge_annex_branches(node: Node, remotes: Iterable[Remote]) -> None:
    """Let git-annex merge the git-annex branches that ours does not contain; nothing is started where it does."""
    known = git.refs(node.repo)
    ours = known.get("refs/heads/git-annex")
    names = ["refs/heads/synced/git-annex"]
    names += [remote.tracking(branch) for remote in remotes for branch in ("git-annex", "synced/git-annex")]
    if any(name in known and (not ours or not git.is_ancestor(node.repo, known[name], ours)) for name in names):
        annex.bring_branch_up(node.repo)


def amended(repo: Repository, head: Head, ours: str | None, theirs: str) -> bool:
    """Whether the branch held `theirs` once and the user has taken it back since."""
    return ours is not None and not git.is_ancestor(repo, theirs, ours) and git.was_ours(repo, head.basis, theirs)


def amended_error(head: Head, theirs: str, where: str) -> Refused:
    """What to say of a head that the user has amended or rewound."""
    return Refused(
        f"{where} still has {theirs[:10]}, which you amended or rewound here",
        f"to have it back: git merge {theirs[:10]}; to drop it there too: "
        f"git push --force {where} {head.basis} {head.basis}:synced/{head.basis}",
    )


def propagate(node: Node, head: Head) -> None:
    """Carry the user's commits from the adjusted branch to its basis. Raises Busy, Refused."""
    with worktree.merge_lock(node.repo):
        if _behind_adjusted(node.repo, head):
            worktree.require_idle(node.repo)
            annex.propagate_adjusted(node.repo)


def _merge_head(node: Node, head: Head, merging: Merging, begun: float) -> Iterator[Outcome]:
    for name, theirs in _amended_heads(node, head, merging).items():
        yield failure("merge", amended_error(head, theirs, name), node.settings.remotes.get(name))
    old = git.refs(node.repo, f"refs/heads/{head.basis}").get(f"refs/heads/{head.basis}")
    joined = _advance(node, head, merging)
    new = joined.commit if joined else None
    merge_annex_branches(node, merging.remotes)
    if new is None and head.basis and node.repo.top is None and (hint := _other_branches(node.repo, head)):
        yield Outcome("merge", Result.SKIPPED, reason=hint)
        return
    details: dict[str, object] = {"branch": head.basis, "old": old, "new": new}
    commits = git.count(node.repo, [new], [old] if old else []) if new and new != old else 0
    yield Outcome(
        "merge",
        Result.DONE if commits else Result.CURRENT,
        reason=f"{commits} commit{'s' * (commits != 1)} into {head.basis}{said_of(joined)}" if commits else "",
        details=details | {"commits": commits} | resolved(joined),
        seconds=time.monotonic() - begun,
    )


def resolved(joined: Joined | None) -> dict[str, object]:
    """What a merge resolved, for the details of its outcome: path, kind of conflict, paths of the versions now."""
    if joined is None or not (joined.resolutions or joined.fallbacks):
        return {}
    told = [
        {"path": os.fsdecode(one.path), "kind": one.kind, "became": [os.fsdecode(path) for path in one.became]}
        for one in joined.resolutions
    ]
    return {"resolved": told, "fallbacks": joined.fallbacks}


def said_of(joined: Joined | None) -> str:
    """The same for people, in a few words."""
    count = len(joined.resolutions) if joined else 0
    return f", {count} conflict{'s' * (count != 1)} resolved" if count else ""


def _advance(node: Node, head: Head, merging: Merging) -> Joined | None:
    """Bring the branch forward; its commit afterwards. Looks again where it moved meanwhile."""
    for _ in range(LOOKS):
        if head.adjusted and _behind_adjusted(node.repo, head):
            annex.propagate_adjusted(node.repo)
        ours = git.refs(node.repo, f"refs/heads/{head.basis}").get(f"refs/heads/{head.basis}")
        target = _target(node, head, ours, merging)
        if target is None:
            return Joined(ours) if ours else None
        try:
            _move(node, head, ours, target.commit)
        except worktree.Moved:
            continue
        return target
    raise Busy(f"{head.basis} moves faster than it can be merged")


def _target(node: Node, head: Head, ours: str | None, merging: Merging) -> Joined | None:
    """The commit that the branch should move to, None where it is there. Raises Level for a redundant merge."""
    repo = node.repo
    gone = set(_amended_heads(node, head, merging).values())
    theirs = [commit for commit in _heads(node, head, merging).values() if commit not in gone]
    alone = git.independent(repo, theirs + ([ours] if ours else []))
    if not alone or alone == [ours]:
        settle.at_rest(node, head.basis)
        return None
    if len(alone) == 1:
        return Joined(alone[0])
    others = [commit for commit in alone if commit != ours]
    if ours and all(git.brings_nothing_new(repo, ours, other) for other in others):
        due = settle.put_off(node, head.basis)
        if due is not None:
            ahead = [other for other in others if git.is_ancestor(repo, ours, other)]
            if ahead:
                return Joined(ahead[0])
            raise Level(
                f"differs from others in merges only; looked at again {time.strftime('%H:%M:%S', time.localtime(due))}"
            )
    return join_heads(repo, alone, merging.unrelated)


def _heads(node: Node, head: Head, merging: Merging) -> dict[str, str]:
    """Where others want the branch to be: ref -> commit."""
    known = git.refs(node.repo)
    names = [f"refs/heads/synced/{head.basis}"]
    for remote in merging.remotes:
        if remote.pull:
            names += [remote.tracking(head.basis), remote.tracking(f"synced/{head.basis}")]
    return {name: known[name] for name in names if name in known}


def _amended_heads(node: Node, head: Head, merging: Merging) -> dict[str, str]:
    """Remote name -> commit that it still has and that the user took back."""
    ours = git.refs(node.repo, f"refs/heads/{head.basis}").get(f"refs/heads/{head.basis}")
    found = {}
    for name, commit in _heads(node, head, merging).items():
        if amended(node.repo, head, ours, commit):
            found[_remote_of(name, merging.remotes)] = commit
    return found


def _remote_of(ref: str, remotes: Iterable[Remote]) -> str:
    return next((remote.name for remote in remotes if ref.startswith(f"refs/remotes/{remote.name}/")), ".")


def _move(node: Node, head: Head, ours: str | None, target: str) -> None:
    repo = node.repo
    if head.adjusted:
        _move_adjusted(repo, head, ours, target)
    elif head.checked_out and repo.top:
        worktree.fast_forward(repo, head.basis, ours, target)
    else:
        elsewhere = git.checked_out_elsewhere(repo, head.basis)
        if elsewhere:
            raise Refused(f"{head.basis} is checked out in {elsewhere}", f"run git annex-syncx merge in {elsewhere}")
        git.update_ref(repo, f"refs/heads/{head.basis}", target, ours or NONE, WHY)


def _behind_adjusted(repo: Repository, head: Head) -> bool:
    """Whether the adjusted branch holds commits of the user's that its basis lacks."""
    known = git.refs(repo, f"refs/heads/{head.basis}", f"refs/heads/{head.branch}")
    basis, adjusted = known.get(f"refs/heads/{head.basis}"), known.get(f"refs/heads/{head.branch}")
    return bool(basis and adjusted) and not git.is_adjustment_of(repo, adjusted or "", basis or "")


def _move_adjusted(repo: Repository, head: Head, ours: str | None, target: str) -> None:
    """Hand the merged basis to git-annex, after making sure that no local change is in its way."""
    worktree.refuse_collisions(repo, ours or objects.empty_tree(repo), target)
    synced = f"refs/heads/synced/{head.basis}"
    git.update_ref(repo, synced, target, git.refs(repo, synced).get(synced, NONE), WHY)
    annex.merge_synced(repo)
    if git.refs(repo, f"refs/heads/{head.basis}").get(f"refs/heads/{head.basis}") != target:
        raise worktree.Moved(head.basis)


def _other_branches(repo: Repository, head: Head) -> str:
    """Why a bare repository whose HEAD names no branch has nothing to merge."""
    others = sorted(
        name.removeprefix("refs/heads/")
        for name in git.refs(repo, "refs/heads")
        if not name.startswith(("refs/heads/synced/", "refs/heads/git-annex", "refs/heads/adjusted/"))
    )
    if not others:
        return ""
    return f"HEAD names {head.basis}, which does not exist; others pushed {', '.join(others)}: git symbolic-ref HEAD refs/heads/{others[0]}"
