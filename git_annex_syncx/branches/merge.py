"""Merge what was received (synced/*) and fetched into the branch in hand."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from git_annex_syncx.annex import annex
from git_annex_syncx.branches import advance, guard, other_branches, redundant_merge
from git_annex_syncx.branches.advance import behind_adjusted, position
from git_annex_syncx.branches.taken_back import HERE, Aside, set_aside, taken_back
from git_annex_syncx.conflicts.resolutions import HEADING, Joined, Resolution, resolved_in
from git_annex_syncx.errors import Busy, Level, Refused, SyncxError
from git_annex_syncx.git import git, history, local_changes, worktree
from git_annex_syncx.model import Head, Outcome, Remote, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import failure, own_failure
from git_annex_syncx.system.retry import retried
from git_annex_syncx.system.state import StateError
from git_annex_syncx.system.times import time_of_day

LOOKS = 5  # how often the branch may move under us before we call it busy


@dataclass(frozen=True)
class Merging:
    """Options of a merge: which remotes' branches take part, and whether unrelated ones may.

    The git-annex branches may be left to what comes next. With `deletes` any number of files may be removed.
    """

    remotes: tuple[Remote, ...]
    unrelated: bool = False
    annex: bool = True
    deletes: bool = False


@dataclass(frozen=True)
class Advanced:
    """The branch as a merge left it, the heads that were set aside, and the error that stopped it."""

    joined: Joined | None
    aside: Aside
    error: SyncxError | None = None


def merge(context: Context, merging: Merging) -> Iterator[Outcome]:
    """Yield one outcome for the branch, and one for each head that cannot be merged."""
    begun = time.monotonic()
    try:
        with worktree.merge_lock(context.repo):
            head = advance.require_ready(context.repo)
            if context.only_annex:
                moved = merge_annex_branches(context, merging.remotes)
                yield Outcome(
                    "merge", Result.DONE if moved else Result.CURRENT, reason="the git-annex branch" * moved
                )
            else:
                yield from _merge_head(context, head, merging, begun)
    except SyncxError as error:
        yield own_failure("merge", error)


def bring_together(context: Context, merging: Merging, remote: str = "") -> Joined | None:
    """Merge on behalf of a push to a remote that lost a race; what it became.

    Raises what stands in the way (of another remote's heads nothing, if the remote is named), Level where it is
    put off.
    """
    with worktree.merge_lock(context.repo):
        head = advance.require_ready(context.repo)
        done = _advance(context, head, merging)
        if done.error:
            raise done.error
        merge_annex_branches(context, merging.remotes)
    for (_, holder), error in done.aside.items():
        if remote in ("", holder):
            raise error
    return done.joined


def merge_annex_branches(context: Context, remotes: Iterable[Remote], known: Mapping[str, str] | None = None) -> bool:
    """Let git-annex merge the git-annex branches that ours does not contain; False where there is none.

    `known` are all refs, where they have just been read.
    """
    known = git.refs(context.repo) if known is None else known
    ours = known.get("refs/heads/git-annex")
    names = ["refs/heads/synced/git-annex"]
    names += [remote.tracking(branch) for remote in remotes for branch in ("git-annex", "synced/git-annex")]
    lags = any(
        name in known and not (ours and history.says_nothing_new(context.repo, known[name], [ours])) for name in names
    )
    if lags:
        annex.bring_branch_up(context.repo)
    return lags


def would_bring_back(context: Context, head: Head, known: Mapping[str, str], merging: Merging) -> list[str]:
    """Return all commits that the user has taken back and that a merge of any head would bring back; of all refs."""
    ours = known.get(f"refs/heads/{head.basis}")
    heads = set(_heads(known, head, merging).values())
    return [commit for theirs in heads for commit in taken_back(context.repo, head, ours, theirs)]


def propagate(context: Context, head: Head, merging: Merging) -> None:
    """Carry the user's commits from the adjusted branch to its basis, by a merge where it has moved on.

    Raises Busy, Refused.
    """
    with worktree.merge_lock(context.repo):
        if behind_adjusted(context.repo, head):
            worktree.require_idle(context.repo)
            guard.propagate(context, head)
        waits = advance.waits_beside(context.repo, head)
    if waits:
        with contextlib.suppress(guard.Held):  # it is pushed all the same
            bring_together(context, merging, HERE)


def _merge_head(context: Context, head: Head, merging: Merging, begun: float) -> Iterator[Outcome]:
    old, done = position(context.repo, head), _advance(context, head, merging)
    joined, aside = done.joined, done.aside
    if done.error:
        yield from _told(context, aside, (HERE, *context.settings.remotes))
        raise done.error
    yield from _told(context, aside, context.settings.remotes)
    known = git.refs(context.repo)
    if merging.annex:
        merge_annex_branches(context, merging.remotes, known)
    if joined is None and (hint := other_branches.instead_of_unborn(context.repo, head, known, merging.remotes)):
        yield Outcome("merge", Result.WAITS, reason=hint)
        return
    yield from _healed(context, aside, merging)
    yield from other_branches.renamed(
        context.repo, head, known, [remote for remote in merging.remotes if remote.pull]
    )
    yield _advanced(context, head, old, joined, begun)
    if due := redundant_merge.pending(context, head.basis).due:
        yield failure("merge", _level(due))
    # After the branch's own outcome: the last one is what counts.
    yield from _told(context, aside, (HERE,))


def _told(context: Context, aside: Aside, holders: Collection[str]) -> Iterator[Outcome]:
    for (_, holder), error in aside.items():
        if holder in holders:
            yield failure("merge", error, context.settings.remotes.get(holder))


def _healed(context: Context, aside: Aside, merging: Merging) -> Iterator[Outcome]:
    """Yield outcomes of remotes whose heads could not be merged and now can: their failure is to be forgotten."""
    with contextlib.suppress(StateError):
        failing = {failed.remote for failed in context.state.failures() if failed.phase == "merge"}
        failing -= {holder for _, holder in aside}
        yield from (Outcome("merge", Result.CURRENT, r.name, r.uuid) for r in merging.remotes if r.name in failing)


def _first(context: Context) -> str:
    """Return how a first commit comes."""
    return "git annex add FILES, then git commit" if context.repo.top else "push one here from another repository"


def _advanced(context: Context, head: Head, old: str | None, joined: Joined | None, begun: float) -> Outcome:
    new = joined.commit if joined else None
    commits = history.count(context.repo, [new], [old] if old else []) if new and new != old else 0
    told = f"{commits} commit{'s' * (commits != 1)} into {head.basis}{told_of(joined)}" if commits else ""
    return Outcome(
        "merge",
        Result.DONE if commits else Result.CURRENT,
        reason=told if new else f"{head.basis} has no commit yet: {_first(context)}",
        details={"branch": head.basis, "old": old, "new": new, "commits": commits}
        | (resolved(joined) or _resolved_by_others(context, old, new)),
        seconds=time.monotonic() - begun,
    )


def resolved(joined: Joined | None) -> dict[str, object]:
    """Return what a merge resolved, for the details of its outcome.

    Path, kind of conflict, paths of the versions now.
    """
    if joined is None or not (joined.resolutions or joined.fallbacks):
        return {}
    return {"resolved": [_details(one) for one in joined.resolutions], "fallbacks": joined.fallbacks}


def _resolved_by_others(context: Context, old: str | None, new: str | None) -> dict[str, object]:
    """Return what the merges resolved that others have made, for those whose versions it concerns."""
    if not old or not new or old == new:
        return {}
    messages = history.messages_of_merges(context.repo, HEADING, old, new)
    found = dict.fromkeys(one for message in messages for one in resolved_in(message))
    return {"resolved_by_others": [_details(one) for one in found]} if found else {}


def _details(one: Resolution) -> dict[str, object]:
    became = [os.fsdecode(path) for path in one.became]
    told: dict[str, object] = {"path": os.fsdecode(one.path), "kind": one.kind, "became": became}
    return told | {"commits": list(one.commits)} if one.commits else told


def told_of(joined: Joined | None) -> str:
    """Return the number of conflicts for people, in a few words."""
    count = len(joined.resolutions) if joined else 0
    return f", {count} conflict{'s' * (count != 1)} resolved" if count else ""


def _advance(context: Context, head: Head, merging: Merging) -> Advanced:
    """Bring the branch forward, again where it moved meanwhile. Raises Busy where that does not end."""
    with contextlib.suppress(worktree.Moved):
        return _advance_once(context, head, merging)
    try:
        return retried(lambda: _advance_once(context, head, merging), worktree.Moved, LOOKS - 1)
    except worktree.Moved as error:
        raise Busy(f"{head.basis} moves faster than it can be merged") from error


def _advance_once(context: Context, head: Head, merging: Merging) -> Advanced:
    stuck = guard.propagate(context, head)
    advance.take_back_push(context.repo, head)
    known = git.refs(context.repo)
    ours, heads = known.get(f"refs/heads/{head.basis}"), _heads(known, head, merging)
    aside = set_aside(context.repo, head, ours, heads, merging.remotes, merging.unrelated)
    stays = Joined(ours) if ours else None
    try:
        joined = _target(context, head, ours, heads, merging, aside) or stays
        if joined and (joined.commit != ours or stuck or merging.deletes):
            others = heads.values() if merging.deletes else None
            new = guard.advance_checked(context, head, stuck.old if stuck else ours, joined.commit, others)
            joined = replace(joined, commit=new)
    except guard.Held as held:
        guard.keep(context.repo, head, known, held.new)
        return Advanced(stays, {**aside, (held.new, HERE): held})
    except SyncxError as error:
        guard.keep(context.repo, head, known, "")
        return Advanced(None, aside, error)
    guard.keep(context.repo, head, known, "")
    received = advance.received(head)
    if any(ref.startswith(received) for ref in heads):
        advance.forget_received(context.repo, head)
    return Advanced(joined, aside)


def _target(
    context: Context, head: Head, ours: str | None, heads: Mapping[str, str], merging: Merging, aside: Aside
) -> Joined | None:
    """Return the commit to which the branch should move, None where it is there. Raises Level, Refused."""
    repo, gone = context.repo, {commit for commit, _ in aside}
    alone = history.independent(repo, [c for c in heads.values() if c not in gone] + ([ours] if ours else []))
    if len(alone) < 2:
        redundant_merge.at_rest(context, head.basis)
        return Joined(alone[0]) if alone and alone != [ours] else None
    # Without a merge we can go as far as this.
    ahead = next((commit for commit in alone if not ours or history.is_ancestor(repo, ours, commit)), alone[0])
    redundant = ours and all(history.brings_nothing_new(repo, ahead, other) for other in alone if other != ahead)
    if redundant and (due := redundant_merge.put_off(context, head.basis)):
        if ahead == ours:
            raise _level(due)
        return Joined(ahead)
    from git_annex_syncx.conflicts.merge_commits import join_heads  # loaded where there is a merge to make

    joined = join_heads(repo, alone, merging.unrelated)
    if joined.resolutions and not context.resolves:
        by_hand = repo.top is not None and head.checked_out
        raise _unresolved(joined, next(commit for commit in alone if commit != ours) if by_hand else "")
    return joined


def _unresolved(joined: Joined, theirs: str) -> Refused:
    """Return what to say of conflicts that may not be resolved.

    `theirs` can be merged by hand, if it is not empty.
    """
    paths = sorted({one.path for one in joined.resolutions})
    by_hand = f"git merge {theirs[:10]}, or " if theirs else ""
    return Refused(
        f"{local_changes.shown(paths)}: changed here and by others, and annex.resolvemerge is false",
        f"{by_hand}git annex-syncx sync --resolvemerge",
    )


def _level(due: float) -> Level:
    return Level(f"differs from others in merges only; looked at again {time_of_day(due)}")


def _heads(known: Mapping[str, str], head: Head, merging: Merging) -> dict[str, str]:
    """Return where others want the branch to be: ref -> commit."""
    names = [f"refs/heads/synced/{head.basis}"]
    for remote in merging.remotes:
        if remote.pull:
            names += [remote.tracking(head.basis), remote.tracking(f"synced/{head.basis}")]
    waiting = advance.received(head)
    received = {name: value for name, value in known.items() if name.startswith(waiting)}
    return {name: known[name] for name in names if name in known} | received
