"""Merge what was received (synced/*) and fetched into the branch in hand."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from git_annex_syncx.conflicts.join import join_heads, unrelated_error
from git_annex_syncx.errors import Busy, Level, Refused, SyncxError
from git_annex_syncx.gateway import annex, git, objects, worktree
from git_annex_syncx.gateway.git import Repository
from git_annex_syncx.model import Head, Outcome, Remote, Result
from git_annex_syncx.phases import move, settle
from git_annex_syncx.phases.move import behind_adjusted, position
from git_annex_syncx.phases.node import Node
from git_annex_syncx.phases.parallel import failure

HERE = "."  # the own repository, as git names it as a remote
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
            head = worktree.require_ready(node.repo)
            yield from _merge_head(node, head, merging, begun)
    except SyncxError as error:
        if error.exit_code not in (0, 1):
            raise
        yield failure("merge", error)


def bring_together(node: Node, merging: Merging) -> None:
    """Merge on behalf of a push that lost a race. Raises what stands in the way, Level where it is put off."""
    with worktree.merge_lock(node.repo):
        head = worktree.require_ready(node.repo)
        _advance(node, head, merging)
        merge_annex_branches(node, merging.remotes)


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
    holder = f"synced/{head.basis} here" if where == HERE else where
    return Refused(
        f"{holder} still has {theirs[:10]}, which you amended or rewound here",
        f"to have it back: git merge {theirs[:10]}; to drop it there too: "
        f"git push --force {where} {head.basis} {head.basis}:synced/{head.basis}",
    )


def propagate(node: Node, head: Head) -> None:
    """Carry the user's commits from the adjusted branch to its basis. Raises Busy, Refused."""
    with worktree.merge_lock(node.repo):
        if behind_adjusted(node.repo, head):
            worktree.require_idle(node.repo)
            annex.propagate_adjusted(node.repo)


def _merge_head(node: Node, head: Head, merging: Merging, begun: float) -> Iterator[Outcome]:
    old = position(node.repo, head)
    aside = _set_aside(node, head, old, merging).values()
    yield from (failure("merge", error, node.settings.remotes[name]) for error, name in aside if name != HERE)
    new = _advance(node, head, merging)
    merge_annex_branches(node, merging.remotes)
    if new is None and node.repo.top is None and (hint := _other_branches(node.repo, head)):
        yield Outcome("merge", Result.SKIPPED, reason=hint)
        return
    yield _advanced(node, head, old, new, begun)
    if due := settle.pending(node, head.basis).due:
        yield failure("merge", _level(due))
    # After the branch's own outcome: the last one is what counts.
    yield from (failure("merge", error) for error, name in aside if name == HERE)


def _advanced(node: Node, head: Head, old: str | None, new: str | None, begun: float) -> Outcome:
    commits = git.count(node.repo, [new], [old] if old else []) if new and new != old else 0
    return Outcome(
        "merge",
        Result.DONE if commits else Result.CURRENT,
        reason=f"{commits} commit{'s' * (commits != 1)} into {head.basis}" if commits else "",
        details={"branch": head.basis, "old": old, "new": new, "commits": commits},
        seconds=time.monotonic() - begun,
    )


def _advance(node: Node, head: Head, merging: Merging) -> str | None:
    """Bring the branch forward; its commit afterwards. Looks again where it moved meanwhile."""
    for _ in range(LOOKS):
        move.propagate(node.repo, head)
        ours = position(node.repo, head)
        target = _target(node, head, ours, merging)
        if target is None:
            return ours
        try:
            move.move(node.repo, head, ours, target)
        except worktree.Moved:
            continue
        return target
    raise Busy(f"{head.basis} moves faster than it can be merged")


def _target(node: Node, head: Head, ours: str | None, merging: Merging) -> str | None:
    """The commit that the branch should move to, None where it is there. Raises Level for a redundant merge."""
    repo = node.repo
    gone = _set_aside(node, head, ours, merging)
    theirs = [commit for commit in _heads(node, head, merging).values() if commit not in gone]
    alone = git.independent(repo, theirs + ([ours] if ours else []))
    if len(alone) < 2:
        settle.at_rest(node, head.basis)
        return alone[0] if alone and alone != [ours] else None
    # Without a merge we can go as far as this.
    ahead = next((commit for commit in alone if not ours or git.is_ancestor(repo, ours, commit)), alone[0])
    redundant = ours and all(git.brings_nothing_new(repo, ahead, other) for other in alone if other != ahead)
    if redundant and (due := settle.put_off(node, head.basis)):
        if ahead == ours:
            raise _level(due)
        return ahead
    return join_heads(repo, alone, merging.unrelated)


def _level(due: float) -> Level:
    when = time.strftime("%H:%M:%S", time.localtime(due))
    return Level(f"differs from others in merges only; looked at again {when}")


def _heads(node: Node, head: Head, merging: Merging) -> dict[str, str]:
    """Where others want the branch to be: ref -> commit."""
    known = git.refs(node.repo)
    names = [f"refs/heads/synced/{head.basis}"]
    for remote in merging.remotes:
        if remote.pull:
            names += [remote.tracking(head.basis), remote.tracking(f"synced/{head.basis}")]
    return {name: known[name] for name in names if name in known}


def _set_aside(node: Node, head: Head, ours: str | None, merging: Merging) -> dict[str, tuple[Refused, str]]:
    """Heads that are not merged: commit -> why, and the remote that has it. They hold up no other."""
    found = {}
    for ref, commit in _heads(node, head, merging).items():
        name = _remote_of(ref, merging.remotes)
        if amended(node.repo, head, ours, commit):
            found[commit] = amended_error(head, commit, name), name
        elif ours and not merging.unrelated and not objects.related(node.repo, ours, commit):
            found[commit] = unrelated_error(ours, commit, name), name
    return found


def _remote_of(ref: str, remotes: Iterable[Remote]) -> str:
    return next((remote.name for remote in remotes if ref.startswith(f"refs/remotes/{remote.name}/")), HERE)


def _other_branches(repo: Repository, head: Head) -> str:
    """Why a bare repository whose HEAD names no branch has nothing to merge."""
    others = sorted(
        name.removeprefix("refs/heads/")
        for name in git.refs(repo, "refs/heads")
        if not name.startswith(("refs/heads/synced/", "refs/heads/git-annex", "refs/heads/adjusted/"))
    )
    if not others:
        return ""
    return (
        f"HEAD names {head.basis}, which does not exist; others pushed {', '.join(others)}: "
        f"git symbolic-ref HEAD refs/heads/{others[0]}"
    )
