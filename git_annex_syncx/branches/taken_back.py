"""Commits that the user took back by amending or rewinding, while others still have them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping

from git_annex_syncx.branches import advance
from git_annex_syncx.conflicts.resolutions import unrelated_error
from git_annex_syncx.errors import Refused
from git_annex_syncx.git import history, objects, reflog
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Head, Remote

# Heads that are not merged: (commit, the remote that has it or HERE) -> why. They hold up no other.
Aside = dict[tuple[str, str], Refused]
HERE = "."  # the own repository, as git names it as a remote


def taken_back(
    repo: Repository, head: Head, ours: str | None, theirs: str, wanted: Collection[str] = ()
) -> list[str]:
    """Return the commits of the user's that they have taken back and that a merge of `theirs` would bring back.

    Others may have gone on from them: `theirs` then only contains one. What `wanted` contain is to come back.
    """
    if ours is None or history.is_ancestor(repo, theirs, ours):
        return []
    gone = reflog.abandoned(repo, head.basis, ours, theirs)
    return [commit for commit in gone if not history.contained_in_any(repo, commit, wanted)]


def refusal(
    repo: Repository, head: Head, ours: str, gone: Iterable[str], everywhere: Collection[str], where: str
) -> Refused:
    """Return what to say of a head that would bring back `gone`; `everywhere` is what any head would bring back.

    A merge that takes nothing from its other side reaches every remote by an ordinary push, whoever has it checked
    out and whoever has gone on from there. One command then does for all remotes.
    """
    holder = f"synced/{head.basis} here" if where == HERE else where
    told = ", ".join(commit[:10] for commit in gone)
    back, out = _commands(repo, head, ours, history.independent(repo, everywhere))
    return Refused(
        f"{holder} still has {told}, which you amended or rewound here",
        f"to have it back: {back}; to leave it out everywhere: {out}",
    )


def _commands(repo: Repository, head: Head, ours: str, gone: list[str]) -> tuple[str, str]:
    """Return the command after which the next run merges the commits, and the one that merges nothing of them.

    `git merge` for the first would leave the user alone with the conflicts.
    """
    short = [commit[:10] for commit in gone]
    refs = [f"refs/syncx/received/{head.basis}/{one}" for one in short]
    back = " && ".join(shlex.join(["git", "update-ref", *words]) for words in zip(refs, short, strict=True))
    if head.checked_out and repo.top:
        return back, shlex.join(["git", "merge", "--no-edit", "--strategy=ours", *short])
    # A bare repository and the basis of an adjusted branch have no work tree for `git merge`.
    tip, parents = ours[:10], " ".join(f"-p {one}" for one in short)
    made = f'"$(git commit-tree -p {tip} {parents} -m "Leave out {" ".join(short)}" "{tip}^{{tree}}")"'
    return back, f"git update-ref {shlex.quote(f'refs/heads/{head.basis}')} {made} {tip}"


def set_aside(
    repo: Repository,
    head: Head,
    ours: str | None,
    heads: Mapping[str, str],
    remotes: Iterable[Remote],
    unrelated: bool,
) -> Aside:
    """Return the heads that bring back what the user has taken back, and those of unrelated histories."""
    found: Aside = {}
    # What a push has left to be merged, or the user wants back.
    waiting = advance.received(head)
    received = {commit for ref, commit in heads.items() if ref.startswith(waiting)}
    gone = {theirs: taken_back(repo, head, ours, theirs, received) for theirs in set(heads.values())}
    everywhere = {one for commits in gone.values() for one in commits}
    for ref, commit in heads.items():
        name = _remote_of(ref, remotes)
        if gone[commit]:
            found[commit, name] = refusal(repo, head, ours or "", gone[commit], everywhere, name)
        elif ours and not unrelated and not objects.related(repo, ours, commit):
            found[commit, name] = unrelated_error(ours, commit, name)
    return found


def _remote_of(ref: str, remotes: Iterable[Remote]) -> str:
    return next((remote.name for remote in remotes if ref.startswith(f"refs/remotes/{remote.name}/")), HERE)
