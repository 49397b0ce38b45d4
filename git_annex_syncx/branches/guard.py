"""Hold what would remove too many files at once (syncx.maxDelete), until somebody says that it is meant.

Behind it stands a drive that is half mounted more often than a person. Counted are the files whose path is gone and
whose version is nowhere any more: neither at another path, nor locked instead of unlocked.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from git_annex_syncx.annex import locations
from git_annex_syncx.branches import advance
from git_annex_syncx.conflicts.versions import is_variant
from git_annex_syncx.errors import Refused
from git_annex_syncx.git import git, history, local_changes, objects, worktree
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.local_changes import Changes
from git_annex_syncx.git.objects import Change
from git_annex_syncx.model import Entry, Head, Limit, Remote
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system import run

FEW = 20  # files that may always go
TRAILER = "Syncx-Allow-Deletes: "  # of a commit: whatever it has removed is meant to go
MESSAGE = "Let go of the files that were removed"
ALLOW = "if they are to go: git annex-syncx sync --allow-deletes"
OTHERS = "Where they still are they stay, until git annex-syncx sync --allow-deletes says so at one of these places"


@dataclass(frozen=True)
class Removal:
    """Files that would be removed for good: their paths, and how many files there were."""

    paths: tuple[bytes, ...]
    files: int

    def __str__(self) -> str:
        """Return how many of how many."""
        return f"{len(self.paths)} of {self.files} files"


class Held(Refused):
    """More files would be removed than syncx.maxDelete allows."""

    def __init__(self, what: str, advice: str, old: str = "", new: str = "") -> None:
        """`old` is the commit that the work tree stands at, `new` the one that it was to go to."""
        super().__init__(what, advice)
        self.old, self.new = old, new


# What is too much


def too_many(limit: Limit, removed: int, files: int) -> bool:
    """Return whether so many of so many files are held."""
    return removed > max(FEW, limit.number * files / 100 if limit.percent else limit.number)


def removal(context: Context, old: str, new: str, changed: Mapping[bytes, Change] | None = None) -> Removal | None:
    """Return what going from one commit to another would remove, None where that is not too much or is allowed.

    Whole trees are read only where more than a few files go. `changed` is what differs, where it is known.
    """
    gone = _gone(context, objects.diff(context.repo, old, new) if changed is None else changed)
    return _judged(context, gone, old, new, by=new) if gone else None


def _gone(context: Context, changed: Mapping[bytes, Change]) -> dict[bytes, Entry]:
    """Return the paths that are gone, with what was there; nothing where they are few."""
    gone = {path: change.old for path, change in changed.items() if change.old and not change.new}
    return gone if too_many(context.settings.max_delete, len(gone), len(gone)) else {}


def _judged(context: Context, gone: Mapping[bytes, Entry], old: str, tree: str, by: str = "") -> Removal | None:
    """Count what is gone for good between `old` and a tree; not what commits of `by` were allowed to remove."""
    limit, files = context.settings.max_delete, len(objects.entries(context.repo, old))
    if not too_many(limit, len(gone), files):
        return None
    allowed = _allowed(context.repo, old, by) if by else set()
    left = {path: entry for path, entry in gone.items() if (path, entry) not in allowed}
    files -= len(gone) - len(left)
    lost = [path for path in _nowhere(context.repo, left, tree) if not is_variant(path)]  # settling removes those
    return Removal(tuple(sorted(lost)), files) if too_many(limit, len(lost), files) else None


def _allowed(repo: Repository, old: str, new: str) -> set[tuple[bytes, Entry]]:
    """Return what commits with the trailer have removed, of those that only `new` has: path and what was there."""
    found = set()
    for commit in history.saying(repo, TRAILER, old, new):
        for base in objects.merge_bases(repo, old, commit):
            changed = objects.diff(repo, base, commit).values()
            found |= {(change.path, change.old) for change in changed if change.old and not change.new}
    return found


def _nowhere(repo: Repository, gone: Mapping[bytes, Entry], tree: str) -> list[bytes]:
    """Return the paths of those files whose version (a key, else a blob) is at no path of a tree."""
    there = {entry.oid for entry in objects.entries(repo, tree).values()}
    left = {path: entry for path, entry in gone.items() if entry.oid not in there}
    named = locations.named(repo, ((path, entry.mode, entry.oid) for path, entry in left.items()))
    keys = {path: name.key for path, name in named}
    kept = {name.key for _, name in locations.names(repo, tree)} if keys else set()
    return [path for path in left if keys.get(path) not in kept]


# A commit of ours


def vanished(context: Context, local: Changes, merging: bool = False) -> Held | None:
    """Return what to say where a commit of all local changes would remove too much, else None.

    Where it completes a merge of the user's, what that has removed is the user's.
    """
    if not too_many(context.settings.max_delete, len(local.gone), len(local.gone)):
        return None
    staged, tree = worktree.would_be(context.repo, local.lagging)
    old = staged if merging else history.value(context.repo, "HEAD") or staged
    gone = _gone(context, objects.diff(context.repo, old, tree))
    found = _judged(context, gone, old, tree) if gone else None
    if found is None:
        return None
    where, back = _gone_from(context.repo, () if merging else local.gone_from_index)
    return Held(
        f"{found} are gone from the {where}, and their removal is not committed: {local_changes.shown(found.paths)}",
        f"to have them back: {back}; if they were moved: git annex add .; {ALLOW}",
    )


def _gone_from(repo: Repository, unstaged: Iterable[bytes]) -> tuple[str, str]:
    """Return from where files are gone, and the command that brings them back; `unstaged` are gone from the index."""
    places = [local_changes.full_path(repo, path) for path in unstaged]
    if any(os.path.islink(place) or os.path.isfile(place) for place in places):
        return "index", "git reset"
    unstaged_first = f"git -C {shlex.quote(os.fspath(repo.home))} reset --quiet && " if places else ""
    return "work tree", unstaged_first + local_changes.bring_back(repo)


def said(message: str, head: str) -> str:
    """Return the message of a commit whose removals are meant; `head` is what it comes after."""
    return f"{message}\n\n{TRAILER}{head}"


# A branch on its way


def propagate(context: Context, head: Head) -> Held | None:
    """Bring an adjusted branch and its basis together; what is held there stays on the basis alone."""
    try:
        advance.propagate(context.repo, head, _judge(context, head))
    except Held as error:
        return error
    return None


def advance_checked(context: Context, head: Head, old: str | None, new: str, heads: Collection[str] | None) -> str:
    """Move the branch, and what stands on it, from `old` to `new`; return where it is then.

    With `heads`, where others are, whatever goes, and a commit on top says that it may. Raises Held, Refused, Busy,
    Moved.
    """
    if heads is None:
        advance.move(context.repo, head, old, new, _judge(context, head))
        return new
    known = {old, *(commit for commit in heads if history.is_ancestor(context.repo, commit, new))} - {None, new}
    if any(removal(context, commit, new) for commit in sorted(filter(None, known))):
        new = _with_trailer(context.repo, new)
    if new != old:
        advance.move(context.repo, head, old, new)
    return new


def _judge(context: Context, head: Head) -> advance.Judge:
    def judge(old: str, new: str, changed: Mapping[bytes, Change]) -> None:
        if found := removal(context, old, new, changed):
            raise Held(
                f"what others have sent would remove {found} from {head.basis}, and waits: "
                f"{local_changes.shown(found.paths)}",
                f"{ALLOW}; if not: git revert where it was done, and sync there",
                old,
                new,
            )

    return judge


def _with_trailer(repo: Repository, commit: str) -> str:
    made = history.read_commit(repo, commit)
    return objects.commit_tree(repo, made.tree, (commit,), made.date, said(MESSAGE, commit) + "\n")


# What is held goes on to others


def keep(repo: Repository, head: Head, known: Mapping[str, str], commit: str) -> None:
    """Keep the merge that is held, for those that it is pushed to; empty: nothing is. `known` are all refs."""
    ref = _ref(head.basis)
    before = known.get(ref, "")
    if commit and commit not in (before, known.get(f"refs/heads/{head.basis}")):
        git.update_ref(repo, ref, commit, before, advance.WHY)
    elif before and commit != before:
        git.delete_ref(repo, ref, before)


def waiting(context: Context, basis: str) -> Removal | None:
    """Return what the merge that is held would remove from the branch, None where none is held."""
    ours, held = history.value(context.repo, f"refs/heads/{basis}"), history.value(context.repo, _ref(basis))
    return removal(context, ours, held) if ours and held else None


def outgoing(repo: Repository, known: Mapping[str, str], basis: str) -> tuple[str, str | None]:
    """Return the ref that is pushed as the branch, and its commit: what is held, if it contains the branch."""
    branch, ref = f"refs/heads/{basis}", _ref(basis)
    ours, held = known.get(branch), known.get(ref)
    return (ref, held) if ours and held and history.is_ancestor(repo, ours, held) else (branch, ours)


def note(context: Context, known: Mapping[str, str], basis: str, remotes: Iterable[Remote]) -> str:
    """Return what a person is told who has pushed a commit of their own that others will hold.

    `known` are all refs as they were before the push.
    """
    ref, ours = outgoing(context.repo, known, basis)
    if not ours or ref == _ref(basis) or not run.interactive():
        return ""
    names = ((remote.tracking(basis), remote.tracking(f"synced/{basis}")) for remote in remotes)
    heads = (history.independent(context.repo, [known[name] for name in pair if name in known]) for pair in names)
    for commit in sorted({commit for newest in heads for commit in newest}):
        if history.is_ancestor(context.repo, commit, ours) and (found := removal(context, commit, ours)):
            return f"{found} were removed. {OTHERS}"
    return ""


def _ref(basis: str) -> str:
    """Return the ref of a merge that is held: no head to be merged, or what was taken back since would come again."""
    return f"refs/syncx/held/{basis}"
