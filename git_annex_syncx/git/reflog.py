"""Reflogs: how a branch came to be where it is."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from git_annex_syncx.git.git import Repository, git, text
from git_annex_syncx.git.history import LOG, contained_in_any, independent, is_ancestor, value

OID = rb"([0-9a-f]{40}|[0-9a-f]{64})"
ENTRY = re.compile(OID + rb" " + OID + rb" [^\t]*\t?(.*)")
AMENDED = "commit (amend)"  # as git begins to note so
PUSHED = "push"  # as git notes what others have pushed


def is_only_pushed(repo: Repository, branch: str) -> bool:
    """Return whether a branch here is others' alone, as its reflog tells: all that it ever was they have pushed."""
    moved = list(moves(repo, f"refs/heads/{branch}"))
    return bool(moved) and all(why == PUSHED for _, _, why in moved)


def is_amended(repo: Repository, ref: str, commit: str) -> bool:
    """Return whether a branch came to a commit by an amend."""
    return any(new == commit and why.startswith(AMENDED) for _, new, why in moves(repo, ref))


def overwritten(repo: Repository, branch: str) -> str:
    """Return the commit that somebody pushed into a branch at the instant at which git-annex moved it; else empty.

    git-annex does not look at what it moves, and leaves no reason in the reflog.
    """
    moved = list(moves(repo, f"refs/heads/{branch}"))
    for before, (old, new, why) in zip(reversed(moved[:-1]), reversed(moved), strict=False):
        if not why:
            lost = (
                before[2] == PUSHED
                and old
                and not contained_in_any(repo, old, [new, value(repo, f"refs/heads/{branch}")])
            )
            return old if lost else ""
    return ""


def abandoned(repo: Repository, branch: str, ours: str, theirs: str) -> list[str]:
    """Return the commits that the branch held, that `ours`, its tip, does not contain, and that `theirs` would bring.

    In order of their ids; of those that contain each other the newest. What a push brought, or a forced push took
    away, is somebody else's doing.
    """
    moved = list(moves(repo, f"refs/heads/{branch}"))
    held = {new for _, new, why in moved if why != PUSHED}
    if not held:  # as in most bare repositories
        return []
    brought = {theirs} & held or held.intersection(text(repo, "rev-list", theirs, f"^{ours}").split())
    return [one for one in independent(repo, brought) if not _was_pushed_away(repo, moved, one)]


def _was_pushed_away(repo: Repository, moved: list[tuple[str, str, str]], commit: str) -> bool:
    """Return whether the move by which a branch lost a commit was a push."""
    for old, new, why in reversed(moved):
        if new == commit:
            return False
        if why == PUSHED and contained_in_any(repo, commit, [old]) and not is_ancestor(repo, commit, new):
            return True
    return False


def moves(repo: Repository, ref: str) -> Iterator[tuple[str, str, str]]:
    """Yield the moves of a branch that its reflog holds, oldest first: from where (empty: unborn), to where, why."""
    try:
        rows = _reflog(repo.common / "logs" / ref)
    except OSError:  # refs are not kept in files, or there is none
        words = (*LOG, "--walk-reflogs", "--format=%H %gs", ref, "--")
        listed = os.fsdecode(git(repo, *words, ok=(0, 128)).out).splitlines()
        news = [line.partition(" ")[::2] for line in reversed(listed)]
        yield from ((old, new, why) for (old, _), (new, why) in zip([("", ""), *news], news, strict=False))
        return
    yield from ((old.strip("0") and old, new, why) for old, new, why in rows)


def _reflog(path: Path) -> list[tuple[str, str, str]]:
    """Return the entries of a reflog: from where, to where, why. Lines that a power cut has torn are left out."""
    rows = map(ENTRY.fullmatch, path.read_bytes().split(b"\n"))
    return [(row[1].decode(), row[2].decode(), os.fsdecode(row[3])) for row in rows if row]


def before_pushes(repo: Repository, now: str) -> str | None:
    """Return the commit that HEAD, which is at `now`, was at before the pushes that its reflog ends with.

    Empty where its branch was unborn, None where something else moved it last, and the work tree with it.
    """
    try:
        rows = _reflog(repo.git_dir / "logs" / "HEAD")
    except OSError:
        return None
    if rows and rows[-1][1] != now:  # git tells the log first: the move was cut short
        rows.pop()
    pushed = list(itertools.takewhile(lambda row: row[2] == PUSHED, reversed(rows)))
    old = pushed[-1][0] if pushed else None
    return "" if old and not old.strip("0") else old
