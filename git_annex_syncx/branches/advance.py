"""Move the branch in hand to a merged commit: in a work tree, in a bare repository, below an adjusted branch."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from git_annex_syncx import reasons
from git_annex_syncx.annex import annex
from git_annex_syncx.errors import Busy, ProgramFailed, Refused
from git_annex_syncx.git import busy, configfile, git, history, local_changes, objects, reflog, submodules, worktree
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.objects import Change
from git_annex_syncx.model import Head

WHY = "git-annex-syncx"
AMENDED = f"{WHY}: what was amended, after the adjusting commit"
# Raises Refused where the work tree may not go from one commit to another, of which the differences are given.
Judge = Callable[[str, str, Mapping[bytes, Change]], None]


def consent(old: str, new: str, changed: Mapping[bytes, Change]) -> None:
    """Let the work tree go wherever it is to go."""


def require_ready(repo: Repository) -> Head:
    """Return the branch in hand, ready to be moved; what git-annex has filled counts as no change.

    The caller has the merge lock. Raises UsageError, Busy, Refused.
    """
    head = worktree.require_ready(repo)
    if repo.top:
        annex.restage(repo)
    return head


def position(repo: Repository, head: Head) -> str | None:
    """Return the commit of the branch that travels, None where it is unborn."""
    return history.value(repo, f"refs/heads/{head.basis}")


def move(repo: Repository, head: Head, ours: str | None, target: str, judge: Judge = consent) -> None:
    """Move the branch, and what stands on it, from `ours` to `target`. Raises Refused, Busy, Moved."""
    worktree.require_no_commit(repo)
    try:
        if head.adjusted:
            _move_adjusted(repo, head, ours, target, judge)
        elif head.checked_out and repo.top:
            worktree.fast_forward(repo, head.basis, ours, target, lambda changed: judge(ours or "", target, changed))
        else:
            _move_ref(repo, head, ours, target, judge)
    except ProgramFailed as error:
        if busy.collided(error):
            raise Busy("git was at work here at the same instant", reasons.mending(error.stderr, "")) from error
        raise


def propagate(repo: Repository, head: Head, judge: Judge = consent) -> None:
    """Bring an adjusted branch and its basis together: the user's commits to the basis, or a merge cut short back.

    Another node can push straight into the basis, which is not checked out. Where the user has commits too, theirs
    are kept in a ref of our own and merged like any other head. What the adjusted branch was made from is not always
    where its basis is: in a clone of it the commits of the original are on both.
    """
    if not head.adjusted:
        return
    if pushed := reflog.overwritten(repo, head.basis):
        keep_received(repo, head, pushed)
    if not behind_adjusted(repo, head):
        _carry_left(repo, head)
        return
    worktree.require_no_commit(repo)
    basis, adjusted = position(repo, head) or "", history.value(repo, f"refs/heads/{head.branch}") or ""
    adjusted = _restore(repo, head, adjusted, basis)
    adjusting, start = history.adjusted_from(repo, adjusted, basis)
    noted = made_from(repo, head)
    if (
        start and history.adjusted_from(repo, start, basis)[0]
    ):  # git-annex was killed before it had put it on its basis
        start = noted or basis
    if not adjusting:
        _require_not_elsewhere(repo, head)
        annex.propagate_adjusted(repo)
        return
    if start != noted:  # on git-annex's own note of the basis it puts the commits
        git.update_ref(repo, _note(head), start, noted or "", WHY)
    if adjusting == adjusted and history.is_ancestor(repo, start, basis):
        _hand_over(repo, head, start, basis, judge)
    else:
        _carry(repo, head, adjusting, adjusted)


def _restore(repo: Repository, head: Head, tip: str, basis: str) -> str:
    """Put what the user has amended of git-annex's adjusting commit after that commit; return the tip then.

    The user's own commits are below it by the time they are synced, so `git commit --amend` changes the adjusting
    commit. git-annex takes that for its own, and its next merge drops the change without a word. Raises Refused where
    the branch has lost the adjusting commit in another way.
    """
    moved = list(reflog.moves(repo, f"refs/heads/{head.branch}"))
    at = next((n for n in reversed(range(len(moved))) if _is_adjusting(repo, moved, n)), None)
    if at is None or history.is_ancestor(repo, adjusting := moved[at][1], tip) or tip == basis:
        return tip
    _, _, why = moved[min(at + 1, len(moved) - 1)]
    made = history.replay(repo, adjusting, tip) if why.startswith(reflog.AMENDED) else ""
    if made:
        git.update_ref(repo, f"refs/heads/{head.branch}", made, tip, AMENDED)
        return made
    if history.is_ancestor(repo, tip, basis) and not moved[-1][2].startswith("reset:"):
        return tip
    raise Refused(
        f"{head.branch} was rewritten, and no longer stands on what {head.basis} has",
        f"to have back what it was: git reset --keep {adjusting[:10]}; to make what it is now the next commit: "
        f"git reset --soft {adjusting[:10]} && git commit --message {shlex.quote(f'Back to {tip[:10]}')}",
    )


def _is_adjusting(repo: Repository, moved: list[tuple[str, str, str]], at: int) -> bool:
    """Return whether git-annex itself made the commit to which a branch moved."""
    _, new, why = moved[at]
    return history.subject(repo, new) == history.ADJUSTING and not why.startswith(reflog.AMENDED)


def _carry(repo: Repository, head: Head, adjusting: str, tip: str) -> None:
    """Carry the user's commits that follow the adjusting commit, if there are any, to the basis.

    git-annex moves the basis where it is what it was. What has been pushed into it since stays there: it never goes
    back, and the user's commits wait for the merge.
    """
    _require_not_elsewhere(repo, head)
    if tip != adjusting:
        annex.propagate_adjusted(repo)
    carried, basis = made_from(repo, head) or "", position(repo, head) or ""
    whole = submodules.carry(repo, objects.diff(repo, adjusting, tip), carried)
    if not history.is_ancestor(repo, basis, carried):
        if not history.is_ancestor(repo, whole, basis):
            keep_received(repo, head, whole)
    elif whole != carried:
        _hand_over(repo, head, carried, whole, consent)
    elif basis != carried:
        git.update_ref(repo, f"refs/heads/{head.basis}", carried, basis, WHY)


def _carry_left(repo: Repository, head: Head) -> None:
    """Carry the submodules that git-annex has left on the adjusted branch when it propagated without us."""
    basis, adjusted = position(repo, head), history.value(repo, f"refs/heads/{head.branch}")
    if not basis or not adjusted or not submodules.has_any(repo, adjusted):
        return
    whole = submodules.carry(repo, objects.diff(repo, basis, adjusted), basis)
    if whole != basis:
        _require_not_elsewhere(repo, head)
        _hand_over(repo, head, basis, whole, consent)


def made_from(repo: Repository, head: Head) -> str | None:
    """Return the commit that the adjusted branch is made from, as git-annex has noted it."""
    return history.value(repo, _note(head))


def _note(head: Head) -> str:
    return f"refs/basis/{head.branch}"


def take_back_push(repo: Repository, head: Head) -> None:
    """Undo a push that moved the branch under its work tree; what was pushed is kept and merged like any other head.

    receive.denyCurrentBranch=warn or ignore allows it. Index and work tree are then those of the commit before, and
    the next commit would revert what was pushed. With updateInstead they are the new one's: what looks like the one
    before is the user's. Raises Refused where the index is neither.
    """
    ours = position(repo, head)
    before = reflog.before_pushes(repo, ours) if ours and head.checked_out and repo.top else None
    if before is None or not ours or ours == before:
        return
    allowed = configfile.find(repo, "receive.denyCurrentBranch", everywhere=False)
    if allowed and allowed.value.lower() == "updateinstead":
        return
    changed, index = objects.diff(repo, before or objects.empty_tree(repo), ours), local_changes.staged(repo)
    stale = [path for path, change in changed.items() if index.get(path) == change.old]
    if stale and len(stale) < len(changed):
        raise Refused(
            f"{head.basis} was pushed into while it is checked out here, and the index reverts a part of that: "
            f"{local_changes.shown(stale)}",
            f"git restore --staged --source={ours[:10]} PATH for each that should not; git commit what you mean",
        )
    if stale:
        keep_received(repo, head, ours)
        if before:
            git.update_ref(repo, f"refs/heads/{head.basis}", before, ours, WHY)
        else:
            git.delete_ref(repo, f"refs/heads/{head.basis}", ours)


def keep_received(repo: Repository, head: Head, commit: str) -> None:
    """Keep a commit beside the branch, to be merged: what was pushed into it, or was made on an adjusted one."""
    ref = f"{received(head)}{commit}"
    git.update_ref(repo, ref, commit, git.refs(repo, ref).get(ref, ""), WHY)


def received(head: Head) -> str:
    """Return the prefix of the refs of commits that wait beside a branch for their merge."""
    return f"refs/syncx/received/{head.basis}/"


def forget_received(repo: Repository, head: Head) -> None:
    """Drop the refs of what the branch now contains."""
    ours = position(repo, head)
    for ref, commit in git.refs(repo, received(head)[:-1]).items():
        if ours and history.is_ancestor(repo, commit, ours):
            git.delete_ref(repo, ref, commit)


def behind_adjusted(repo: Repository, head: Head) -> bool:
    """Return whether the adjusted branch is something else than its basis, adjusted."""
    ref = f"refs/heads/{head.branch}"
    basis, adjusted = position(repo, head), history.value(repo, ref)
    if not basis or not adjusted:
        return False
    return not history.is_adjustment_of(repo, adjusted, basis) or reflog.is_amended(repo, ref, adjusted)


def waits_beside(repo: Repository, head: Head) -> bool:
    """Return whether the user's commits on an adjusted branch wait for their merge into the basis."""
    basis, carried = position(repo, head), made_from(repo, head) if head.adjusted else None
    return bool(basis and carried) and not history.is_ancestor(repo, carried or "", basis or "")


def _require_not_elsewhere(repo: Repository, head: Head) -> None:
    """Raise Refused where another work tree has the branch open: moved under it, it would revert what is new."""
    if elsewhere := git.checked_out_elsewhere(repo, head.basis):
        where = shlex.quote(str(elsewhere))
        raise Refused(
            f"{head.basis} is checked out in {elsewhere}",
            f"to free it: git -C {where} switch --detach; to work there: git annex-syncx -C {where} sync",
        )


def _move_ref(repo: Repository, head: Head, ours: str | None, target: str, judge: Judge) -> None:
    _require_not_elsewhere(repo, head)
    if repo.top and ours:  # below a view
        judge(ours, target, objects.diff(repo, ours, target))
    try:
        git.update_ref(repo, f"refs/heads/{head.basis}", target, ours or "", WHY)
    except ProgramFailed:
        if position(repo, head) != ours:
            raise worktree.Moved(head.basis) from None
        raise


def _move_adjusted(repo: Repository, head: Head, ours: str | None, target: str, judge: Judge) -> None:
    _require_not_elsewhere(repo, head)
    _hand_over(repo, head, made_from(repo, head) or ours or objects.empty_tree(repo), target, judge)
    if position(repo, head) != target or reflog.overwritten(repo, head.basis):
        raise worktree.Moved(head.basis)


def _hand_over(repo: Repository, head: Head, old: str, new: str, judge: Judge) -> None:
    """Let git-annex bring `new` to the basis and the adjusted branch.

    It would stop half way at a local change, even at one that is the same: none may be in the way. It is told the
    commit: by itself it would take synced/BASIS and delete it, with what is being pushed there at that moment.
    """
    changed = objects.diff(repo, old, new)
    judge(old, new, changed)
    local_changes.refuse(repo, sorted(local_changes.in_the_way(repo, changed)))
    worktree.require_branch(repo, head.branch)
    busy.intend(repo, new)
    try:
        annex.merge_commit(repo, new)
    except ProgramFailed:
        worktree.refuse_switched(repo, head.branch, new)
        worktree.take_back(repo, new)
        raise
    worktree.refuse_switched(repo, head.branch, new)
    busy.forget_interrupted(repo)
