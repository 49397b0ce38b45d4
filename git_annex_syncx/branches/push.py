"""Push the branch and the git-annex branch to all remotes at once, in one connection each."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from git_annex_syncx.annex import annex
from git_annex_syncx.branches import advance, guard, membership, merge, push_refs, push_submodules, remote_facts
from git_annex_syncx.branches.push_refs import LostRace, Sides
from git_annex_syncx.branches.taken_back import refusal, taken_back
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, git, history, transport, worktree
from git_annex_syncx.git.transport import PushSpec
from git_annex_syncx.model import Head, Outcome, Remote, Result
from git_annex_syncx.reasons import mending
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import each_remote, exchanging, own_failure
from git_annex_syncx.system.retry import retried

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds, jittered and doubled, between tries after a lost race
BROKEN = "look at its disk, or at the store behind it: git ls-remote shows what it has"


@dataclass
class Pushing:
    """A push at work: the branch in hand, and the remotes whose branches a merge on the way takes in.

    Of `records` the git-annex branch alone.
    """

    head: Head
    merging: merge.Merging
    records: bool = False
    caught_up: list[str] = field(default_factory=list)  # remotes whose lost race made a merge


def push(context: Context, remotes: Iterable[Remote]) -> Iterator[Outcome]:
    """Push to all remotes; again to those that a merge on the way has left behind."""
    remotes = tuple(remotes)
    try:
        pushing = Pushing(worktree.require_head(context.repo), merge.Merging(remotes), records=context.only_annex)
        known = _prepare(context, pushing)
    except SyncxError as error:
        yield own_failure("push", error)
        return
    branch = known.get(f"refs/heads/{pushing.head.basis}", "")
    if not pushing.records and (why := push_submodules.publish(context, branch)):
        yield own_failure("push", why)
        pushing = replace(pushing, records=True)
    sent = False
    for outcome in _push_all(context, pushing, known, remotes):
        sent = sent or (outcome.result is Result.DONE and outcome.details.get("branch") == pushing.head.basis)
        yield outcome
    if sent:
        yield from push_submodules.unpublished(context, advance.position(context.repo, pushing.head) or "")
        if reason := guard.note(context, known, pushing.head.basis, remotes):
            yield Outcome("push", Result.WAITS, reason=reason)


def _push_all(
    context: Context, pushing: Pushing, known: Mapping[str, str], todo: tuple[Remote, ...]
) -> Iterator[Outcome]:
    """Push to all at once, and again to those that lack what has come meanwhile; `known` are all refs.

    A lost race makes a merge: whoever got the branch before it wants it too. What the user commits meanwhile is for
    another run: it may still be amended. What git-annex records meanwhile goes at once.
    """
    for _ in range(context.settings.retries + 1):
        arrived = set()
        work = functools.partial(_push_one, context, pushing, known)
        for outcome in each_remote("push", todo, work, context.settings.jobs):
            if outcome.result in (Result.DONE, Result.CURRENT):
                arrived.add(outcome.remote)
            yield outcome
        pushing = replace(pushing, records=not pushing.caught_up, caught_up=[])
        last, known = known, _look(context, pushing)
        if known == last:
            return
        todo = tuple(r for r in todo if r.name in arrived and _lacking(context, pushing, known, r)[1].wanted)
        if not todo:
            return


def push_records(context: Context, remotes: Iterable[Remote]) -> Iterator[Outcome]:
    """Push the git-annex branch alone: it tells where content is, and starts what others do with it."""
    remotes = tuple(remote for remote in remotes if remote.push and not remote.readonly)
    try:
        pushing = Pushing(worktree.require_head(context.repo), merge.Merging(remotes), records=True)
        known = _prepare(context, pushing)
    except SyncxError as error:
        yield own_failure("push", error)
        return
    work = functools.partial(_push_one, context, pushing, known)
    for outcome in each_remote("push", remotes, work, context.settings.jobs):
        if outcome.result is not Result.CURRENT or outcome.details:
            yield outcome


def _prepare(context: Context, pushing: Pushing) -> Mapping[str, str]:
    """Bring what waits elsewhere onto the two branches that are pushed; all refs then."""
    if pushing.head.adjusted and not pushing.records:
        merge.propagate(context, pushing.head, pushing.merging)
    if annex.journal_waits(context.repo):
        annex.bring_branch_up(context.repo)
    return _look(context, pushing)


def _look(context: Context, pushing: Pushing) -> Mapping[str, str]:
    """Return our branches as they are, the remotes' as they were before git-annex merged theirs into ours.

    Another process may fetch at any time; what it brought is not merged, and a lease must not name it.
    """
    before = git.refs(context.repo)
    if not merge.merge_annex_branches(context, pushing.merging.remotes, before):
        return before
    return _as_merged(before, git.refs(context.repo))


def _as_merged(before: Mapping[str, str], after: Mapping[str, str]) -> Mapping[str, str]:
    theirs = {ref: value for ref, value in before.items() if ref.startswith("refs/remotes/")}
    return {ref: value for ref, value in after.items() if not ref.startswith("refs/remotes/")} | theirs


def _push_one(context: Context, pushing: Pushing, known: Mapping[str, str], remote: Remote) -> Outcome:
    if remote.readonly or not remote.push:
        reason = "annex-readonly is true" if remote.readonly else "annex-push is false"
        return Outcome("push", Result.SKIPPED, remote.name, remote.uuid, reason=reason)
    transport.require_name(remote)
    with exchanging(context.repo.state_dir, remote.name) as waited:
        membership.require_member(context, remote, known, first=True)
        return _exchange(context, pushing, _look(context, pushing) if waited else known, remote)


def _exchange(context: Context, pushing: Pushing, known: Mapping[str, str], remote: Remote) -> Outcome:
    """Push until nobody else is faster."""
    try:
        return _attempt(context, pushing, known, remote)
    except LostRace as lost:
        if not remote.pull:
            raise _not_pulled(context, pushing.head, remote) from lost
        if not context.settings.retries:
            raise
        return _catch_up(context, pushing, remote, lost)


def _not_pulled(context: Context, head: Head, remote: Remote) -> SyncxError:
    """Return what to say of a remote that has moved on and is not to be pulled from."""
    if context.settings.remotes[remote.name].pull:
        return SyncxError(
            f"it has commits that are not here, and with --no-pull they are not merged into {head.basis}",
            f"without it: git annex-syncx sync {shlex.quote(remote.name)}",
        )
    setting = f"remote.{remote.name}.annex-pull"
    return SyncxError(
        "it has commits that are not here, and as nothing is pulled from it (annex-pull is false, or --no-pull)"
        f" they are not merged into {head.basis}",
        f"once: {shlex.join(['git', '-c', f'{setting}=true', 'annex-syncx', 'sync', remote.name])};"
        f" from now on: {shlex.join(['git', 'config', '--unset', setting])}",
    )


def _catch_up(context: Context, pushing: Pushing, remote: Remote, lost: LostRace) -> Outcome:
    """Fetch, merge and push again until nobody else is faster."""
    race, tries = _Race(context, pushing, remote, [lost]), context.settings.retries
    try:
        return push_refs.with_earlier(retried(race.run_again, LostRace, tries, FIRST_WAIT, LONGEST_WAIT), race.lost)
    except LostRace as lost:
        why = "; ".join(sorted({report.reason for report in lost.refused}))
        if race.news or not why or len(remote.push_urls) > 1:
            raise
        raise SyncxError(
            f"{remote.name} does not take it, though nobody else has pushed: {why}",
            mending(why, remote.name) or BROKEN,
        ) from lost


@dataclass
class _Race:
    """A push at which somebody else was faster: all tries that lost, and whether the remote has moved on."""

    context: Context
    pushing: Pushing
    remote: Remote
    lost: list[LostRace]
    news: bool = False

    def run_again(self) -> Outcome:
        """Fetch, merge and push once. Raises LostRace."""
        context, pushing, remote = self.context, self.pushing, self.remote
        refused = (report for lost in self.lost for report in lost.refused)
        contested = {remote.tracking(report.ref.removeprefix("refs/heads/")) for report in refused}
        known = git.refs(context.repo, f"refs/remotes/{remote.name}/")
        transport.fetch(context.repo, context.settings, remote, context.branches)
        before = git.refs(context.repo)
        self.news = self.news or any(known.get(ref) != before.get(ref) for ref in contested)
        details = self._merge()
        try:
            outcome = _attempt(context, pushing, _as_merged(before, git.refs(context.repo)), remote)
            return replace(outcome, details={**outcome.details, **details})
        except LostRace as lost:
            self.lost.append(lost)
            raise

    def _merge(self) -> Mapping[str, object]:
        """Merge what was fetched; return what that resolved."""
        if self.pushing.records:
            merge.merge_annex_branches(self.context, self.pushing.merging.remotes)
            return {}
        joined = merge.bring_together(self.context, self.pushing.merging, self.remote.name)
        self.pushing.caught_up.append(self.remote.name)
        return merge.resolved(joined)


def _attempt(context: Context, pushing: Pushing, known: Mapping[str, str], remote: Remote) -> Outcome:
    """Push once, or not where nothing is to be pushed. Raises LostRace where the remote has moved on."""
    sides, spec = _lacking(context, pushing, known, remote)
    if not spec.wanted:
        if remote.through_special and _is_unverified(context, remote):
            _verify(context, remote)
            context.state.remotes.change(remote.name, unverified=False)
        drives.require_present(context.repo, remote)
        remote_facts.note_first(context, remote, sides.remembered)
        return Outcome("push", Result.CURRENT, remote.name, remote.uuid)
    if remote.path is not None and remote.url == remote.push_url and len(remote.push_urls) < 2:
        details = push_refs.moved(sides, spec)
        known = {**known, **push_refs.note_what_it_has(context, remote, spec)}
        sides, spec = _lacking(context, pushing, known, remote)
        if not spec.wanted:  # of records git-annex may have made the very same commit there: news for others
            return Outcome(
                "push", Result.CURRENT, remote.name, remote.uuid, details=details if pushing.records else {}
            )
    _require_contained(context, pushing, sides, remote)
    if remote.through_special:
        context.state.remotes.change(remote.name, unverified=True)
    remote_facts.note_proven(context, remote, False)
    reports = transport.push(context.repo, context.settings, remote, spec)
    details = push_refs.moved(sides, spec)
    remote_facts.note_checked_out(context, remote, sides.basis, reports)
    try:
        push_refs.require_won(remote, reports)
        push_refs.note_arrived(context, remote, spec, reports)
        if remote.through_special:
            _verify(context, remote)
    except LostRace as lost:  # what has arrived is news all the same, whatever the next try finds
        lost.reports, lost.details = reports, details
        raise
    outcome = push_refs.judged(pushing.head, remote, reports)
    remote_facts.note_proven(context, remote, outcome.result is not Result.FAILED)
    return replace(outcome, details=details)


def _lacking(context: Context, pushing: Pushing, known: Mapping[str, str], remote: Remote) -> tuple[Sides, PushSpec]:
    """Return the sides of a push, and what the remote lacks."""
    sides = push_refs.sides(context, known, pushing.head, remote, pushing.records)
    return sides, push_refs.spec(context.repo, sides)


def _require_contained(context: Context, pushing: Pushing, sides: Sides, remote: Remote) -> None:
    """Raise LostRace, or the refusal, for a remote that is known to have commits which ours lacks."""
    if not sides.branch or history.contained_in_any(context.repo, sides.branch, sides.theirs):
        return
    for theirs in filter(None, sides.theirs):
        if gone := taken_back(context.repo, pushing.head, sides.branch, theirs):
            everywhere = merge.would_bring_back(context, pushing.head, git.refs(context.repo), pushing.merging)
            raise refusal(context.repo, pushing.head, sides.branch, gone, {*gone, *everywhere}, remote.name)
        if not history.is_ancestor(context.repo, theirs, sides.branch):
            raise LostRace(f"{remote.name} has commits that are not here")


# Git through a special remote: another's push can undo ours while both are told that all is well


def _is_unverified(context: Context, remote: Remote) -> bool:
    """Raise StateError, where a push may have been undone and nothing says so."""
    known = context.state.remotes.get(remote.name)
    return known is not None and known.unverified


def _verify(context: Context, remote: Remote) -> None:
    """Raise LostRace where the remote has not what it is remembered to have, SyncxError where it has nothing."""
    prefix = f"refs/remotes/{remote.name}/"
    remembered = {
        "refs/heads/" + name.removeprefix(prefix): value for name, value in git.refs(context.repo, prefix).items()
    }
    there = transport.ls_remote(context.repo, context.settings, remote)
    if remembered and not there:
        what = f"what was pushed to {remote.name} is not there: git sees nothing in it"
        raise SyncxError(what, "git-annex cannot read git back from a special remote with chunk=: make one without")
    if there != remembered:
        raise LostRace(f"a push of somebody else's to {remote.name} went over ours", "the next run tries again")
