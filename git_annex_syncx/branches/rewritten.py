"""Repair of what the user has rewritten on an adjusted branch, below commits that are to be carried to the basis."""

from __future__ import annotations

import shlex

from git_annex_syncx.errors import Refused
from git_annex_syncx.git import git, history
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Head

WHY = "git-annex-syncx: what was amended, after the adjusting commit"


def restore(repo: Repository, head: Head, tip: str, basis: str) -> str:
    """Put what the user has amended of git-annex's adjusting commit after that commit; return the tip then.

    The user's own commits are below it by the time they are synced, so `git commit --amend` changes the adjusting
    commit. git-annex takes that for its own, and its next merge drops the change without a word. Raises Refused where
    the branch has lost the adjusting commit in another way.
    """
    moved = list(history.moves(repo, f"refs/heads/{head.branch}"))
    at = next((n for n in reversed(range(len(moved))) if _is_adjusting(repo, moved, n)), None)
    if at is None or history.is_ancestor(repo, adjusting := moved[at][1], tip) or tip == basis:
        return tip
    _, _, why = moved[min(at + 1, len(moved) - 1)]
    made = history.replay(repo, adjusting, tip) if why.startswith(history.AMENDED) else ""
    if made:
        git.update_ref(repo, f"refs/heads/{head.branch}", made, tip, WHY)
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
    return history.subject(repo, new) == history.ADJUSTING and not why.startswith(history.AMENDED)
