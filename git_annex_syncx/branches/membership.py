"""Remotes that take part in nothing: those of another history, and those with this repository's own uuid."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterable, Mapping

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, git, history, objects, transport
from git_annex_syncx.model import Outcome, Remote
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import failure


def require_member(context: Context, remote: Remote, known: Mapping[str, str], first: bool = False) -> None:
    """Raise SyncxError for a remote of another history or with our own uuid; `known` are all refs.

    With `first` a remote whose branches were never looked at is asked for them. No ref of its git-annex branch comes
    here: git-annex merges it into ours for good. Where our branch is not there yet, unrelated others (gh-pages) say
    nothing, and the git-annex branch tells whose it is.
    """
    require_other(context, remote)
    head = git.head(context.repo)
    ours = known.get(f"refs/heads/{head.basis}") if head else None
    if not head or not ours or history.is_shallow(context.repo):  # what lacks its parents may be related to anything
        return
    prefix = f"refs/remotes/{remote.name}/"
    seen = {name.removeprefix(prefix): tip for name, tip in known.items() if name.startswith(prefix)}
    asks = first and remote.url == remote.push_url  # else nothing of where it goes can be fetched
    if asks and not seen:
        seen = transport.look_at(context.repo, context.settings, remote)
    synced, theirs = seen.pop("synced/git-annex", ""), seen.pop("git-annex", "")
    likely = [seen.pop(name) for name in (head.basis, f"synced/{head.basis}") if name in seen]
    tips = [*likely, *seen.values()]
    if not tips or any(objects.related(context.repo, ours, tip) for tip in tips):
        return
    theirs = theirs or synced
    if not likely and not theirs and asks:
        theirs = transport.look_at_annex(context.repo, context.settings, remote)
    if likely or (theirs and not _began_as_ours(context, known, theirs)):
        raise _unrelated(remote.name, "" if likely else head.basis)


def _began_as_ours(context: Context, known: Mapping[str, str], theirs: str) -> bool:
    """Return whether a git-annex branch has our beginning.

    That ours contains it says little, as git-annex merges any.
    """
    ours = known.get("refs/heads/git-annex")
    return ours is not None and history.beginning(context.repo, ours) == history.beginning(context.repo, theirs)


def _unrelated(remote: str, lacking: str) -> SyncxError:
    """Return what to say of a remote of another history; `lacking` is our branch, where it is not there."""
    name = shlex.quote(remote)
    joining = f"git push {name} {shlex.quote(lacking)}" if lacking else ""
    return SyncxError(
        "it shares no history with this repository: nothing was taken from it or sent to it",
        f"if it is the wrong one: git remote remove {name};"
        f" if they belong together: {joining or f'git annex-syncx pull --allow-unrelated-histories {name}'}",
    )


def require_other(context: Context, remote: Remote) -> None:
    """Raise SyncxError for a remote that git-annex takes for this very repository."""
    uuid = remote.uuid
    if not uuid and remote.path:
        with contextlib.suppress(OSError):  # not there: the phase will say so
            uuid = drives.uuid_at(context.repo, context.repo.home / os.path.expanduser(remote.path))
    if uuid and uuid == context.settings.annex_uuid:
        known = shlex.join(["git", "config", "--unset", f"remote.{remote.name}.annex-uuid"])
        raise SyncxError(
            "it has the annex.uuid of this repository: it is this one, or a copy of it",
            f"if it is this one: git remote remove {shlex.quote(remote.name)}; if it is a copy, there: "
            "git config --unset annex.uuid, git annex init, git annex fsck --fast"
            + (f"; then here: {known}" if remote.uuid else ""),
        )


def divided(context: Context, event: str, remotes: Iterable[Remote]) -> tuple[tuple[Remote, ...], list[Outcome]]:
    """Return the remotes that take part as far as is known here, and the failures of the others."""
    members, others, known = [], [], git.refs(context.repo)
    for remote in remotes:
        try:
            require_member(context, remote, known)
            members.append(remote)
        except SyncxError as error:
            others.append(failure(event, error, remote))
    return tuple(members), others
