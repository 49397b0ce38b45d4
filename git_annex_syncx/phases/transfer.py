"""The content phase: this repository's part of the plan, until nothing is left that could run now."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from urllib.parse import quote

from git_annex_syncx.annex import annex, annex_branch
from git_annex_syncx.branches import membership
from git_annex_syncx.branches.merge import merge_annex_branches
from git_annex_syncx.branches.push import push_records
from git_annex_syncx.content import conditions, drops, exports, planning, room
from git_annex_syncx.content.assignment import (
    TransferOptions,
    TransferRun,
    keep_clocks,
    learn,
    look_afresh,
    next_round,
)
from git_annex_syncx.content.link_worker import LinkWorker
from git_annex_syncx.content.rates import averaged
from git_annex_syncx.content.remotes import acquainted, unusable, usable
from git_annex_syncx.content.scheduler import Assignment, Scheduler
from git_annex_syncx.content.waits import Wait, many, no_room, tell, waits, with_rest
from git_annex_syncx.errors import Busy, SyncxError
from git_annex_syncx.git import worktree
from git_annex_syncx.model import OUTSIDE, Event, Outcome, Remote, Result
from git_annex_syncx.phases import upkeep
from git_annex_syncx.reasons import kinds, mending
from git_annex_syncx.runs.context import Context, git_only
from git_annex_syncx.runs.parallel import failure, own_failure
from git_annex_syncx.system import locks
from git_annex_syncx.system.records import Speed
from git_annex_syncx.system.run import interactive
from git_annex_syncx.system.state import StateError

log = logging.getLogger(__name__)

MOST_ROUNDS = 100
# Kinds of special remotes whose transfers are made by programs that git-annex cannot slow down.
UNLIMITED = {"external", "rsync", "hook", "bup", "ddar", "tahoe", "adb", "gcrypt", "bittorrent", "git-lfs", "borg"}


def transfer(context: Context, remotes: Iterable[Remote], options: TransferOptions | None = None) -> Iterator[Event]:
    """Move content, drop what nobody there wants, and tell the others by the git-annex branch."""
    options = options or TransferOptions()
    try:
        if not (options.by_name and interactive()):  # a person at a terminal knows what it costs
            unmet = conditions.not_met(context)
            conditions.remember(context, unmet)
            if unmet:
                details = {"condition": unmet.condition}
                yield Outcome("transfer", Result.WAITS, reason=conditions.told(unmet), details=details)
                return
        worktree.require_head(context.repo)  # in a rebase the tree in hand is not the user's
        remotes, outsiders = membership.divided(context, "transfer", remotes)
        yield from outsiders
        context, remotes, strangers = acquainted(context, remotes)
        yield from strangers
        yield from unusable(remotes)
        run = TransferRun(context, usable(context, remotes, options.outside), options)
        with _alone(run):
            yield from _transfer(run)
    except SyncxError as error:
        yield own_failure("transfer", error)


def _transfer(run: TransferRun) -> Iterator[Event]:
    changed = yield from _watched(_preparations(run))
    yield from exports.bring_in(run.context, _free(run), run.options.deletes)
    left = yield from _rounds(run)
    yield from _results(run, left)
    changed |= yield from _watched(_consequences(run))
    yield from upkeep.refresh_adjusted(run.context)
    if run.options.alone or run.workers or changed:
        yield from _tell_where_it_is(run)


def _watched(outcomes: Iterable[Outcome]) -> Generator[Event, None, bool]:
    """Yield outcomes, and return whether anything was done."""
    done = False
    for outcome in outcomes:
        done = done or outcome.result is Result.DONE
        yield outcome
    return done


def _preparations(run: TransferRun) -> Iterator[Outcome]:
    """Bring up what the plan is made from."""
    yield from planning.tell_links(run.context, run.context.settings)
    merge_annex_branches(run.context, git_only(run.remotes))
    yield from upkeep.follow_migrations(run.context)


def _consequences(run: TransferRun) -> Iterator[Outcome]:
    """Export what has come, and drop what is not wanted any more."""
    yield from exports.send_out(run.context, _free(run))
    if run.options.drop and run.last and drops.candidates(run.context, run.last):
        look = look_afresh(run)
        yield from drops.drop(run.context, _free(run), look, run.looked_at, run.options.drop_here)


def _tell_where_it_is(run: TransferRun) -> Iterator[Outcome]:
    """Push the git-annex branch; what was measured of the links afterwards, since nobody waits for that."""
    away = [name for name, outcome in run.away.items() if outcome.result is not Result.BUSY]
    near = [remote for remote in git_only(run.remotes) if remote.name not in away]
    yield from push_records(run.context, near)
    if _measure(run) and (told := list(planning.tell_links(run.context))):
        yield from told
        yield from push_records(run.context, near)


@contextlib.contextmanager
def _alone(run: TransferRun) -> Iterator[None]:
    """Leave what another transfer works with to it: two runs would feed the same keys to two processes.

    Raises Busy where it has all.
    """
    here = dict.fromkeys(remote.uuid for remote in run.remotes if run.end(remote.uuid or ""))
    occupied = set()
    with contextlib.ExitStack() as held:
        for uuid in here:
            path = run.context.repo.state_dir / f"transfer-{quote(uuid or '', safe='')}.lock"
            if not held.enter_context(locks.held_if_free(path)):
                occupied.add(uuid)
        if here and occupied == here.keys():
            raise Busy("another transfer is at work in this repository")
        for remote in run.remotes:
            if remote.uuid in occupied:
                run.away[remote.name] = failure("transfer", Busy("another transfer is at work with it"), remote)
        yield


def _free(run: TransferRun) -> list[Remote]:
    """Return the remotes that no other transfer is at work with."""
    busy = {name for name, outcome in run.away.items() if outcome.result is Result.BUSY}
    return [remote for remote in run.remotes if remote.name not in busy]


def _rounds(run: TransferRun) -> Generator[Event, None, list[Wait]]:
    """Move what can move, look what has become of it, until nothing is left that could; return what waits."""
    for number in range(MOST_ROUNDS):
        now = next_round(run)
        if number == 0:
            yield from no_room(run, now)
        if now.work is None:
            break
        if number == 0:
            _warn_of_unlimited(run, now.work)
        scheduler = Scheduler(run.context, now.work, lambda: _tell(run))
        run.workers += scheduler.workers
        yield from scheduler.run()
        learn(run, scheduler.workers)
    keep_clocks(run, now)
    left = waits(run, now)
    yield from tell(run, now, left)
    return left


def _warn_of_unlimited(run: TransferRun, work: Assignment) -> None:
    limited = {
        r.name: r
        for worker in work.workers.values()
        for r in worker.remotes
        if (run.total or r.bwlimit) and not r.via
    }
    stored = annex_branch.log(run.context.repo, "remote.log") if limited else b""
    options = annex_branch.special_remotes(stored)
    for remote in limited.values():
        if options.get(remote.uuid or "", {}).get("type") in UNLIMITED:
            log.warning("%s: git-annex cannot limit the rate of the program that does its transfers", remote.name)


def _tell(run: TransferRun) -> list[Outcome]:
    """Commit and push what has moved so far, so that the next node can start."""
    annex.bring_branch_up(run.context.repo)
    told = push_records(run.context, git_only(run.remotes))
    return [outcome for outcome in told if outcome.result in (Result.DONE, Result.CURRENT, Result.FAILED)]


# What is said at the end


def _results(run: TransferRun, left: list[Wait]) -> Iterator[Outcome]:
    """Yield one outcome a remote: of those where something moved, of those that are away, and of the rest."""
    policy = run.last.policy if run.last else None
    known = policy.network.by_uuid if policy else {}
    asked = run.looked_at if run.options.paths else None
    full = room.told(run.last.policy, run.last.left, asked) if run.last else {}
    for remote in run.remotes:
        outcome = Outcome("transfer", Result.CURRENT, remote.name, remote.uuid)
        if workers := [worker for worker in run.workers if remote in worker.remotes]:
            outcome = _as_it_ended(_result(remote, workers), workers)
        elif remote.uuid in OUTSIDE:
            if _is_over(run, remote):
                yield outcome
            continue
        elif run.end(remote.uuid or "") is None and remote.name in run.away:
            yield run.away[remote.name]
            continue
        elif remote.uuid not in known:
            words = ("git", "annex-syncx", "pull" if remote.pull else "push", remote.name)
            yield replace(
                outcome, result=Result.WAITS, reason=f"nothing of it is known here yet: {shlex.join(words)}"
            )
            continue
        yield with_rest(policy, left, full, outcome) if policy else outcome


def _is_over(run: TransferRun, remote: Remote) -> bool:
    """Return whether something failed at a place before of which nothing is wanted here any more."""
    own, needs = run.context.settings.annex_uuid, run.last.needs if run.last else ()
    if any(own in need.targets and remote.uuid in need.holders for need in needs):
        return False
    failures = run.context.state.failures()
    return any(failure.phase == "transfer" and failure.remote == remote.name for failure in failures)


def _result(remote: Remote, workers: list[LinkWorker]) -> Outcome:
    done, carried = sum(worker.done for worker in workers), sum(worker.carried for worker in workers)
    moved = sum(worker.meter.bytes for worker in workers)
    failed = {key: why for worker in workers for key, why in worker.failed.items()}
    result = Result.FAILED if failed else Result.DONE if done else Result.SKIPPED if carried else Result.CURRENT
    reasons = kinds(why for why, _ in Counter(failed.values()).most_common())[:3]
    told = [many(done)] * bool(done)
    told += [f"{many(carried)} carried by somebody else already"] * bool(carried)
    told += [f"{many(len(failed))} failed: {'; '.join(reasons)}"] * bool(failed)
    used = [(worker.meter.first, worker.meter.last) for worker in workers if worker.meter.first is not None]
    seconds = max(last for _, last in used) - min(first for first, _ in used) if used else 0.0
    return Outcome(
        "transfer", result, remote.name, remote.uuid, seconds=seconds, reason=", ".join(told),
        advice=(mending("; ".join(reasons), remote.name) or "the next run tries again") if failed else "",
        details={"files": done, "bytes": moved, "failed": len(failed), "carried": carried},
    )  # fmt: skip


def _as_it_ended(outcome: Outcome, workers: list[LinkWorker]) -> Outcome:
    """Return the outcome as it is where the remote went away in the middle."""
    for gone in (worker.gone_with for worker in workers):
        if gone and gone.remote == outcome.remote:
            reason = ", then ".join(filter(None, [outcome.reason, gone.reason]))
            return replace(outcome, result=gone.result, reason=reason, advice=gone.advice)
    return outcome


def _measure(run: TransferRun) -> bool:
    """Keep how fast the links were, where nothing held them back; return whether that is known of any."""
    news = False
    for remote in run.remotes:
        meters = [worker.meter for worker in run.workers if worker.remotes == (remote,) and not worker.limited]
        speed = max((found for meter in meters if (found := meter.speed())), default=None)
        latency = min((found for meter in meters if (found := meter.latency())), default=None)
        if (speed or latency) and remote.uuid:
            news = True
            with contextlib.suppress(StateError):
                old = run.context.state.speeds.get(remote.uuid) or Speed(remote.uuid)
                now = (averaged(old.bytes_per_second, speed), averaged(old.latency_ms, latency))
                run.context.state.speeds.put(Speed(remote.uuid, *now))
    return news
