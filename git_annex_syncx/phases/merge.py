"""Merge what is here already, or what a fetch brings, and push it onward."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from git_annex_syncx.branches.fetch import fetch
from git_annex_syncx.branches.merge import Merging, merge
from git_annex_syncx.branches.push import push
from git_annex_syncx.errors import Busy
from git_annex_syncx.git import worktree
from git_annex_syncx.model import Outcome, Remote
from git_annex_syncx.runs.context import Context


def pull(
    context: Context, remotes: Iterable[Remote], unrelated: bool = False, deletes: bool = False
) -> Iterator[Outcome]:
    """Fetch from all at once, then merge; once more where a redundant merge was put off."""
    git_remotes = tuple(remote for remote in remotes if not remote.special)
    with contextlib.suppress(Busy):  # fetching is in nobody's way; the merge will say it
        worktree.require_head(context.repo)
    yield from fetch(context, git_remotes, unrelated)
    yield from merge(context, Merging(git_remotes, unrelated, deletes=deletes))


def merge_received(
    context: Context, remotes: Iterable[Remote], unrelated: bool = False, deletes: bool = False
) -> Iterator[Outcome]:
    """Merge what is here already, without any connection."""
    git_remotes = tuple(remote for remote in remotes if not remote.special)
    yield from merge(context, Merging(git_remotes, unrelated, deletes=deletes))


def forward(
    context: Context, remotes: Iterable[Remote], unrelated: bool = False, deletes: bool = False
) -> Iterator[Outcome]:
    """Merge what is here already, then push the result onward."""
    git_remotes = tuple(remote for remote in remotes if not remote.special)
    # A push begins with their git-annex branches.
    yield from merge(context, Merging(git_remotes, unrelated, annex=False, deletes=deletes))
    yield from push(context, git_remotes)
