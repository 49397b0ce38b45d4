"""Follow migrations, and refresh adjusted branches that show what is here, as `git annex sync` does besides.

Both depend on what the git-annex branch and the branch in hand say, and are looked at again where those have moved.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator

from git_annex_syncx.annex import annex, annex_branch, locations
from git_annex_syncx.branches import advance, guard
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import git, history, local_changes, worktree
from git_annex_syncx.model import Outcome, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import own_failure
from git_annex_syncx.system.records import Upkeep
from git_annex_syncx.system.state import StateError

MIGRATES_SINCE = 20240129  # migrate --update
MIGRATIONS = "migrate.tree"  # by a commit that adds it and one that removes it migrations are recorded


def follow_migrations(context: Context) -> Iterator[Outcome]:
    """Give content that is here the keys that others have migrated it to: else it would be fetched again."""
    if annex.release_date(context.annex_version) >= MIGRATES_SINCE and context.settings.sync_migrations:
        yield from _once(context, "migrate", (annex_branch.BRANCH,), _migrate)


def refresh_adjusted(context: Context) -> Iterator[Outcome]:
    """Let a view, or an adjusted branch that hides or unlocks files by what is here, show what has come and gone."""
    head = git.head(context.repo)
    if head and not context.only_annex and (head.view or annex.shows_presence(head.branch)):
        yield from _once(context, "refresh", (annex_branch.BRANCH, f"refs/heads/{head.basis}"), _refresh)


def _once(
    context: Context, event: str, refs: Iterable[str], action: Callable[[Context, str], Outcome | None]
) -> Iterator[Outcome]:
    """Act where these have moved since the last time; what fails is tried again by the next run.

    The action is told where the first was. What it was then is remembered, since others work here meanwhile.
    """
    now, before = " ".join(history.value(context.repo, ref) or "-" for ref in refs), ""
    with contextlib.suppress(StateError):
        last = context.state.upkeep.get(event)
        before = last.commits if last else ""
    if now == before:
        return
    try:
        told = action(context, before.partition(" ")[0])
    except SyncxError as error:
        told = own_failure(event, error)
    if told:
        yield told
    if told and told.result is not Result.DONE:
        return
    with contextlib.suppress(StateError):
        context.state.upkeep.put(Upkeep(event, now))


def _migrate(context: Context, before: str) -> Outcome | None:
    begun = time.monotonic()
    if not history.touches(context.repo, MIGRATIONS, before, annex_branch.BRANCH):
        return None
    moved, failed = annex.follow_migrations(context.repo)
    if not (moved or failed):
        return None
    told = [f"{moved} file{'s' * (moved != 1)} brought to new keys"] * bool(moved)
    told += [f"{len(failed)} failed: {why}" for why in failed[:1]]
    return Outcome(
        "migrate", Result.FAILED if failed else Result.DONE, reason=", ".join(told),
        advice="git annex fsck finds out what is wrong with the old content" if failed else "",
        details={"files": moved, "failed": len(failed)}, seconds=time.monotonic() - begun,
    )  # fmt: skip


def _refresh(context: Context, _: str) -> Outcome | None:
    begun = time.monotonic()
    with worktree.merge_lock(context.repo):
        head = advance.require_ready(context.repo)
        if changed := _changed_here(context):
            reason = f"{head.branch} is made anew when this is committed: {local_changes.shown(changed)}"
            return Outcome("refresh", Result.WAITS, reason=reason)
        before = history.value(context.repo, "HEAD")
        # What has been committed, and pushed into the basis, since the merge.
        if held := guard.propagate(context, head):
            return Outcome("refresh", Result.WAITS, reason=held.what)
        if advance.waits_beside(context.repo, head):  # it would be made anew without the user's commits
            reason = f"{head.branch} is made anew when what others pushed into {head.basis} is merged"
            return Outcome("refresh", Result.WAITS, reason=reason)
        annex.propagate_adjusted(context.repo) if head.view else annex.refresh_adjusted(context.repo, head.branch)
    if history.value(context.repo, "HEAD") == before:
        return None
    reason = f"{head.branch} shows what is here now"
    return Outcome("refresh", Result.DONE, reason=reason, seconds=time.monotonic() - begun)


def _changed_here(context: Context) -> list[bytes]:
    """Return annexed files with changes of the user's: git-annex would move the branch and stop half way at them."""
    sides = local_changes.sides(context.repo)
    added = {path for path, mode, _ in sides if not mode}  # perhaps where the branch hides a file
    return sorted(added | {path for path, _ in locations.named(context.repo, sides)})
