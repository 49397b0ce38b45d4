"""Branches that stand here or at remotes under another name than ours: after a rename, or in a fresh clone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from git_annex_syncx.git import git, history, objects, reflog
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Head, Outcome, Remote, Result

NOT_USERS = ("synced/", "adjusted/", "views/")  # branches that git-annex keeps for itself


def instead_of_unborn(repo: Repository, head: Head, known: Mapping[str, str], remotes: Iterable[Remote]) -> str:
    """Say what to do where HEAD names a branch that does not exist and another one does; empty where none does."""
    missing = f"HEAD names {head.basis}, which does not exist"
    if here := sorted({*_users(known, "refs/heads/"), *_users(known, "refs/heads/synced/")}):
        name, start = here[0], [] if f"refs/heads/{here[0]}" in known else [f"synced/{here[0]}"]
        words = ["git", "switch", *(["--create"] if start else []), name, *start]
        words = words if repo.top else ["git", "symbolic-ref", "HEAD", f"refs/heads/{name}"]
        return f"{missing}; others pushed {', '.join(here)}: {shlex.join(words)}"
    for remote in remotes:
        if there := _users(known, remote.tracking("")):
            return f"{missing}; {remote.name} has {', '.join(there)}: {_switch(known, remote, there[0])}"
    return ""


def renamed(repo: Repository, head: Head, known: Mapping[str, str], remotes: Iterable[Remote]) -> Iterable[Outcome]:
    """Tell of each remote that goes on under another branch name; `known` are all refs.

    That is one which others sync (synced/X), which stands there in place of ours, or which is its default while ours
    was never sent. It has commits that ours lacks, and is at most pushed here, no branch of the user's.
    """
    ours = known.get(f"refs/heads/{head.basis}")
    for remote in remotes if ours else ():
        names = [name for name in _users(known, remote.tracking("")) if _stands_in(repo, known, head, remote, name)]
        news = (name for name in names if _brings_news(repo, ours or "", known[remote.tracking(name)]))
        if name := next(news, None):
            count = history.count(repo, [known[remote.tracking(name)]], [ours or ""])
            more = f"{count} commit{'s' * (count != 1)} that {head.basis} lacks"
            follow = _rename(known, name) if head.checked_out else _switch(known, remote, name)
            way_out = f"git merge {shlex.quote(f'{remote.name}/{name}')}, or {follow}"
            reason = f"{remote.name} has {name}, which has {more}: {way_out}"
            yield Outcome("merge", Result.WAITS, remote.name, remote.uuid, reason=reason)


def _stands_in(repo: Repository, known: Mapping[str, str], head: Head, remote: Remote, name: str) -> bool:
    """Return whether others may take a branch of a remote for what is ours here under another name."""
    if name == head.basis or (f"refs/heads/{name}" in known and not reflog.is_only_pushed(repo, name)):
        return False
    if remote.tracking(f"synced/{name}") in known:
        return True
    if remote.tracking(head.basis) in known:
        return False
    # Where ours was never sent it is only about to go there, unless the remote itself goes by this one.
    return remote.tracking(f"synced/{head.basis}") in known or git.remote_head(repo, remote.name) == name


def _brings_news(repo: Repository, ours: str, theirs: str) -> bool:
    return not history.is_ancestor(repo, theirs, ours) and objects.related(repo, ours, theirs)


def _users(known: Mapping[str, str], prefix: str) -> list[str]:
    """Return the names of the user's branches among the refs below a prefix."""
    names = sorted(ref.removeprefix(prefix) for ref in known if ref.startswith(prefix))
    return [name for name in names if name != "git-annex" and not name.startswith(NOT_USERS)]


def _rename(known: Mapping[str, str], name: str) -> str:
    """Return the command that renames our branch, with what only we have; what was pushed there others have."""
    return shlex.join(["git", "branch", "-M" if f"refs/heads/{name}" in known else "-m", name])


def _switch(known: Mapping[str, str], remote: Remote, name: str) -> str:
    """Return the command that takes a remote's branch in hand."""
    if f"refs/heads/{name}" in known:
        return shlex.join(["git", "switch", name])
    return shlex.join(["git", "switch", "--create", name, f"{remote.name}/{name}"])
