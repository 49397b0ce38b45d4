"""The content phase: this repository's part of the plan, until nothing is left that could run now."""

from __future__ import annotations

import contextlib
import functools
import logging
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

from git_annex_syncx.annex import annex, annex_branch
from git_annex_syncx.annex.key import key_size
from git_annex_syncx.branches import membership
from git_annex_syncx.branches.merge import merge_annex_branches
from git_annex_syncx.branches.push import push_records
from git_annex_syncx.content import drops, exports, planning, unused
from git_annex_syncx.content.assignment import TransferOptions, TransferRun, end, learn, look_afresh, next_round
from git_annex_syncx.content.link_worker import LinkWorker
from git_annex_syncx.content.rates import averaged
from git_annex_syncx.content.scheduler import Assignment, Scheduler
from git_annex_syncx.content.steps import OwnStep
from git_annex_syncx.content.waits import many, no_room, tell, with_rest
from git_annex_syncx.errors import Busy, SyncxError
from git_annex_syncx.git import git, ssh, transport, worktree
from git_annex_syncx.model import OUTSIDE, OUTSIDE_COST, Event, Outcome, Remote, Result
from git_annex_syncx.phases import upkeep
from git_annex_syncx.reasons import kinds, mending
from git_annex_syncx.runs.context import Context, reread, says_yes
from git_annex_syncx.runs.parallel import failure, one_remote, own_failure
from git_annex_syncx.system import locks
from git_annex_syncx.system.records import Speed
from git_annex_syncx.system.state import StateError

log = logging.getLogger(__name__)

MOST_ROUNDS = 100
# Kinds of special remotes whose transfers are made by programs that git-annex cannot slow down.
UNLIMITED = {"external", "rsync", "hook", "bup", "ddar", "tahoe", "adb", "gcrypt", "bittorrent", "git-lfs", "borg"}


@dataclass(frozen=True)
class Load:
    """The load of one link: files and bytes, and seconds where the speed is known."""

    remote: str
    operation: str
    keys: tuple[str, ...]
    bytes: int
    seconds: float | None


def transfer(context: Context, remotes: Iterable[Remote], options: TransferOptions | None = None) -> Iterator[Event]:
    """Move content, drop what nobody there wants, and tell the others by the git-annex branch."""
    begun = time.monotonic()
    try:
        worktree.require_head(context.repo)  # in a rebase the tree in hand is not the user's
        remotes, outsiders = membership.divided(context, "transfer", remotes)
        yield from outsiders
        context, remotes, strangers = _acquainted(context, remotes)
        yield from strangers
        yield from unused.told(remotes)
        run = TransferRun(
            context, usable(context, remotes) + _outside(context, options), options or TransferOptions()
        )
        with _alone(run):
            changes = list(planning.tell_links(context, context.settings))
            yield from changes
            merge_annex_branches(context, _git_only(run.remotes))
            changes += (migrated := list(upkeep.follow_migrations(context)))
            yield from migrated
            yield from exports.bring_in(context, _free(run), run.options.deletes)
            yield from _rounds(run)
            yield from _results(run, begun)
            for outcome in exports.send_out(context, _free(run)):
                changes.append(outcome)
                yield outcome
            if run.options.drop and run.last and drops.candidates(context, run.last):
                for outcome in drops.drop(
                    context, _free(run), look_afresh(run), run.looked_at, run.options.drop_here
                ):
                    changes.append(outcome)
                    yield outcome
            yield from upkeep.refresh_adjusted(context)
            if run.options.alone or run.workers or any(one.result is Result.DONE for one in changes):
                yield from _tell_where_it_is(run)
    except SyncxError as error:
        yield own_failure("transfer", error)


def _tell_where_it_is(run: TransferRun) -> Iterator[Outcome]:
    """Push the git-annex branch; what was measured of the links afterwards, since nobody waits for that."""
    away = [name for name, outcome in run.away.items() if outcome.result is not Result.BUSY]
    near = [remote for remote in _git_only(run.remotes) if remote.name not in away]
    yield from push_records(run.context, near)
    if run.measured and (told := list(planning.tell_links(run.context))):
        yield from told
        yield from push_records(run.context, near)


def preview(context: Context, remotes: Iterable[Remote], options: TransferOptions) -> list[Load]:
    """Return what the first round of a transfer would move, as far as is known here.

    Nothing moves, and nobody is asked.
    """
    remotes, outsiders = membership.divided(context, "transfer", remotes)
    run = TransferRun(context, usable(context, remotes) + _outside(context, options), options)
    now = next_round(run)
    for warning in (*(f"{one.remote}: {one.reason}" for one in outsiders), *now.look.policy.warnings):
        log.warning("%s", warning)
    if now.work is None:
        return []
    keys: dict[OwnStep, list[str]] = {}
    for key, own_steps in now.work.own_steps.items():
        for own_step in own_steps:
            keys.setdefault(own_step, []).append(key)
    return [_load(run, own_step, keys[own_step], now.work.workers[own_step]) for own_step in sorted(keys)]


def _acquainted(context: Context, remotes: tuple[Remote, ...]) -> tuple[Context, tuple[Remote, ...], list[Outcome]]:
    """Return the context with the uuids of remotes met for the first time, and outcomes for those without one.

    git-annex is asked for them, which connects.
    """
    context = unused.looked_again(context, remotes)
    if all(remote.uuid or remote.ignore for remote in remotes) and not any(r.found_without for r in remotes):
        return context, remotes, []
    context, strangers = reread(context), []
    for name in [remote.name for remote in remotes]:
        remote = context.settings.remotes.get(name)
        if remote and not (remote.uuid or remote.ignore):
            complaint = one_remote("transfer", remote, functools.partial(_ask, context))
            context = reread(context)
            now = context.settings.remotes[name]
            strangers += [] if now.uuid or now.ignore else [complaint]
    known = context.settings.remotes
    # In which directions this run may use them was decided before.
    acquainted = (replace(known[r.name], pull=r.pull, push=r.push) for r in remotes if r.name in known)
    return context, tuple(acquainted), strangers


def _ask(context: Context, remote: Remote) -> Outcome:
    """Let git-annex ask a remote for its uuid; what is to be said if it has none."""
    transport.require_present(context.repo, remote)
    env = ssh.annex_connection(context.repo, context.settings, remote)
    name = shlex.quote(remote.name)
    if complaint := annex.learn_uuid(context.repo, remote.name, env):
        raise SyncxError(complaint, f"check the network, or git remote set-url {name} URL; the next run asks again")
    if git.refs(context.repo, remote.tracking("git-annex")):
        raise SyncxError(
            f"git-annex did not learn the uuid of {remote.name}", "run git annex init in that repository"
        )
    reason = f"git-annex does not know it yet: git annex-syncx push {name}, then transfer again"
    return Outcome("transfer", Result.WAITS, remote.name, reason=reason)


def usable(context: Context, remotes: Iterable[Remote]) -> tuple[Remote, ...]:
    """The remotes that content can travel to or from."""
    known = (remote for remote in remotes if remote.uuid and not (remote.ignore or remote.unverified))
    return tuple(remote for remote in known if not says_yes(context, remote.ignore_command))


def _outside(context: Context, options: TransferOptions | None) -> tuple[Remote, ...]:
    """The web and its like, which git-annex has in every repository."""
    if options and not options.outside:
        return ()
    return tuple(
        Remote(name, "", "", uuid, push=False, cost=OUTSIDE_COST)
        for uuid, name in OUTSIDE.items()
        if name not in context.settings.remotes
    )


@contextlib.contextmanager
def _alone(run: TransferRun) -> Iterator[None]:
    """Two runs would feed the same keys to two processes: what another transfer works with is left to it.

    Raises Busy where it has all.
    """
    here = {remote.uuid: remote for remote in run.remotes if end(run, remote.uuid or "")}
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
    """The remotes that no other transfer is at work with."""
    busy = {name for name, outcome in run.away.items() if outcome.result is Result.BUSY}
    return [remote for remote in run.remotes if remote.name not in busy]


def _rounds(run: TransferRun) -> Iterator[Event]:
    """Move what can move, look what has become of it, until nothing is left."""
    for number in range(MOST_ROUNDS):
        now = next_round(run)
        if number == 0:
            yield from no_room(now)
        if now.work is None:
            break
        if number == 0:
            _warn_of_unlimited(run, now.work)
        scheduler = Scheduler(run.context, now.work, lambda: _tell(run))
        run.workers += scheduler.workers
        yield from scheduler.run()
        learn(run, scheduler.workers)
    yield from tell(run, now)


def _warn_of_unlimited(run: TransferRun, work: Assignment) -> None:
    limited = {r.name: r for worker in work.workers.values() for r in worker.remotes if run.total or r.bwlimit}
    stored = (
        annex_branch.special_remotes(annex_branch.logs(run.context.repo, ["remote.log"])["remote.log"])
        if limited
        else {}
    )
    for remote in limited.values():
        if stored.get(remote.uuid or "", {}).get("type") in UNLIMITED:
            log.warning("%s: git-annex cannot limit the rate of the program that does its transfers", remote.name)


def _tell(run: TransferRun) -> list[Outcome]:
    """Commit and push what has moved so far, so that the next node can start."""
    annex.bring_branch_up(run.context.repo)
    return [
        outcome for outcome in push_records(run.context, _git_only(run.remotes)) if outcome.result is Result.FAILED
    ]


def _git_only(remotes: Iterable[Remote]) -> list[Remote]:
    return [remote for remote in remotes if not remote.special]


# What is said at the end


def _results(run: TransferRun, begun: float) -> Iterator[Outcome]:
    """One outcome a remote: of those where something moved, of those that are away, and of the rest."""
    known = run.last.policy.network.by_uuid if run.last else {}
    for remote in run.remotes:
        workers = [worker for worker in run.workers if remote in worker.remotes]
        if workers:
            _measure(run, remote, workers)
            outcome = _as_it_ended(_result(remote, workers, time.monotonic() - begun), workers)
            yield with_rest(run, outcome)
        elif remote.uuid in OUTSIDE:
            if _is_over(run, remote):
                yield Outcome("transfer", Result.CURRENT, remote.name, remote.uuid)
        elif end(run, remote.uuid or "") is None and remote.name in run.away:
            yield run.away[remote.name]
        elif remote.uuid not in known:
            words = ("git", "annex-syncx", "pull" if remote.pull else "push", remote.name)
            reason = f"nothing of it is known here yet: {shlex.join(words)}"
            yield Outcome("transfer", Result.WAITS, remote.name, remote.uuid, reason=reason)
        else:
            yield with_rest(run, Outcome("transfer", Result.CURRENT, remote.name, remote.uuid))


def _is_over(run: TransferRun, remote: Remote) -> bool:
    """Return whether something failed at a place before of which nothing is wanted here any more."""
    own, needs = run.context.settings.annex_uuid, run.last.needs if run.last else ()
    if any(own in need.targets and remote.uuid in need.holders for need in needs):
        return False
    failures = run.context.state.failures()
    return any(failure.phase == "transfer" and failure.remote == remote.name for failure in failures)


def _result(remote: Remote, workers: list[LinkWorker], seconds: float) -> Outcome:
    done, carried = sum(worker.done for worker in workers), sum(worker.carried for worker in workers)
    moved, failed = (
        sum(worker.meter.bytes for worker in workers),
        {k: why for worker in workers for k, why in worker.failed.items()},
    )
    result = Result.FAILED if failed else Result.DONE if done else Result.SKIPPED if carried else Result.CURRENT
    reasons = kinds(why for why, _ in Counter(failed.values()).most_common())[:3]
    told = [many(done)] * bool(done)
    told += [f"{many(carried)} carried by somebody else already"] * bool(carried)
    told += [f"{many(len(failed))} failed: {'; '.join(reasons)}"] * bool(failed)
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


def _measure(run: TransferRun, remote: Remote, workers: list[LinkWorker]) -> None:
    """Keep how fast the link was, where nothing held it back."""
    workers = [worker for worker in workers if not worker.limited and len(worker.remotes) == 1]
    speeds = [speed for worker in workers if (speed := worker.meter.speed())]
    latencies = [latency for worker in workers if (latency := worker.meter.latency())]
    if not (speeds or latencies) or not remote.uuid:
        return
    with contextlib.suppress(StateError):
        run.measured = True
        before = run.context.state.speeds.get(remote.uuid) or Speed(remote.uuid)
        speed = averaged(before.bytes_per_second, max(speeds, default=None))
        latency = averaged(before.latency_ms, min(latencies, default=None))
        run.context.state.speeds.put(Speed(remote.uuid, speed, latency))


def _load(run: TransferRun, own_step: OwnStep, keys: list[str], worker: LinkWorker) -> Load:
    size = sum(map(key_size, keys))
    known = run.context.state.speeds.get(worker.remote.uuid)
    speed, latency = (known.bytes_per_second, known.latency_ms) if known else (None, None)
    seconds = size / speed + len(keys) * (latency or 0.0) / 1000 if speed else None
    return Load(worker.remote.name, own_step.operation, tuple(keys), size, seconds)
