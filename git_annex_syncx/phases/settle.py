"""Settle conflicts that merges have resolved: a commit that chooses, and says that somebody has looked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from git_annex_syncx.branches import advance, guard
from git_annex_syncx.conflicts.choices import Changes, Conflict, chosen
from git_annex_syncx.conflicts.resolutions import looked_at
from git_annex_syncx.conflicts.trees import RepositoryTrees
from git_annex_syncx.errors import Busy, Refused, UsageError
from git_annex_syncx.git import history, local_changes, objects, worktree
from git_annex_syncx.git.git import Repository
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.redact import printable

KEEP, BOTH, DONE = "keep", "both", "done"
SUBJECTS = {KEEP: "Choose a version of", BOTH: "Keep all versions of", DONE: "Look at"}


def require_ready(context: Context) -> str:
    """Return the commit of the branch, with what the user has committed on an adjusted one.

    Raises Refused where there is no work tree, and what stands in the way of a merge.
    """
    if context.repo.top is None:
        raise Refused(
            f"{context.repo.home} is a bare repository, without files to choose from",
            "choose in a clone, and sync there: it comes here then",
        )
    with _locked(context.repo):
        head = advance.require_ready(context.repo)
        if held := guard.propagate(context, head):
            raise held
        commit = advance.position(context.repo, head)
    if commit is None:
        raise UsageError(f"{head.basis} has no commit yet", "git annex add FILES, then git commit")
    return commit


def settle(context: Context, at: str, conflicts: Sequence[Conflict], how: str, version: str = "") -> str:
    """Settle conflicts in the history of a commit, where the branch is; return the commit that does so.

    With KEEP one `version` gets the name and the others go, with BOTH each gets a name of its own, with DONE all
    stays. Raises UsageError, Refused where the user has changed one of the files, or the branch has moved.
    """
    repo = context.repo
    trees = RepositoryTrees(repo, at)
    changes = Changes(trees.entries(at), trees)
    for conflict in conflicts:
        if how == KEEP:
            changes.keep(conflict, chosen(conflict, version))
        elif how == BOTH:
            changes.both(conflict)
    with _locked(repo):
        head = advance.require_ready(repo)
        if advance.position(repo, head) != at:
            raise Refused(f"{head.basis} has moved meanwhile, nothing was chosen", "look at the list again")
        tree = trees.stored(trees.changed(history.read_commit(repo, at).tree, changes))
        _refuse_changed(repo, at, tree)
        made = worktree.commit_on(repo, tree, at, _message(conflicts, how, at, changes.named))
        advance.move(repo, head, at, made)
    return made


@contextlib.contextmanager
def _locked(repo: Repository) -> Iterator[None]:
    """Hold the merge lock. Raises Refused where somebody is at work here: no later run would choose."""
    try:
        with worktree.merge_lock(repo):
            yield
    except (Busy, worktree.Moved) as error:
        why = error.what if isinstance(error, Busy) else "the branch has moved meanwhile"
        raise Refused(
            f"{why}: nothing was chosen", (isinstance(error, Busy) and error.advice) or "try again"
        ) from error


def _refuse_changed(repo: Repository, at: str, tree: str) -> None:
    changed = local_changes.in_the_way(repo, objects.diff(repo, at, tree))
    if changed:
        raise Refused(
            f"changed here, and not committed: {local_changes.shown(sorted(changed))}",
            "commit, stash or git restore that, then choose",
        )


def _message(conflicts: Sequence[Conflict], how: str, at: str, new: Mapping[bytes, Iterable[bytes]]) -> str:
    """Return a message for people, and for every node which conflicts somebody has looked at."""
    told = printable(os.fsdecode(conflicts[0].path)) if len(conflicts) == 1 else f"{len(conflicts)} files"
    looked = (looked_at(at, (one.path, *one.unseen.files, *new.get(one.path, ()))) for one in conflicts)
    return f"{SUBJECTS[how]} {told}\n\n{''.join(looked)}"
