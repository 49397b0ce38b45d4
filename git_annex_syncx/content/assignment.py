"""Assign to this repository the steps of the plan that it can make now, and to each step its link worker."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from git_annex_syncx.annex import annex
from git_annex_syncx.content import absent, missing, patience
from git_annex_syncx.content.absent import Missed
from git_annex_syncx.content.link_worker import LinkWorker
from git_annex_syncx.content.missing import Look
from git_annex_syncx.content.patience import KeyGroup, Wait
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.content.scheduler import Assignment
from git_annex_syncx.content.steps import OwnStep, groups, make_own_steps, straight
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import transport
from git_annex_syncx.model import Need, Outcome, Remote, Result, Timetable
from git_annex_syncx.network.own_links import link_cost
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import failure
from git_annex_syncx.system.run import interactive

GLANCE = 1.0  # seconds for which a remote that was there is taken to be there still
THROUGH_SINCE = 20230214  # copy --from --to


@dataclass(frozen=True)
class TransferOptions:
    """Options of a transfer: below which paths, of all keys, with drops, under which limit (None: as set).

    With `deletes` an import may remove any number of files.

    With `drop_here` false nothing is dropped from the own repository.

    With `alone` false somebody else pushes the git-annex branch where nothing has moved.
    """

    paths: tuple[bytes, ...] = ()
    all_keys: bool = False
    drop: bool = True
    drop_here: bool = True
    bwlimit: Timetable | None = None
    alone: bool = True
    outside: bool = True  # the web and its like are used too
    deletes: bool = False
    unreached: frozenset[str] = frozenset()  # names of remotes that were found not to answer


@dataclass
class TransferRun:
    """The knowledge of one run: the remotes that it may use, what it has tried, what it did."""

    context: Context
    remotes: tuple[Remote, ...]
    options: TransferOptions
    away: dict[str, Outcome] = field(default_factory=dict)  # remotes that cannot be used now
    tried: set[tuple[str, OwnStep]] = field(default_factory=set)
    seen: dict[str, float] = field(default_factory=dict)  # when a remote was found to be there
    workers: list[LinkWorker] = field(default_factory=list)
    looked_at: set[str] = field(default_factory=set)
    last: Look | None = None
    measured: bool = False
    left: list[Wait] = field(default_factory=list)  # what the remotes still lack at the end
    clocks: patience.Clocks = field(default_factory=dict)
    missed: Missed = frozenset()  # what sources do not have in spite of the location log
    unreached: set[str] = field(default_factory=set)  # uuids of repositories that turned out not to answer
    _costs: dict[str, float] = field(default_factory=dict)

    def cost(self, remote: Remote) -> float:
        """Return what a link costs, found once a run: the user may have it computed by a program."""
        if remote.name not in self._costs:
            self._costs[remote.name] = link_cost(self.context.repo, self.context.state, remote)
        return self._costs[remote.name]

    @property
    def total(self) -> Timetable:
        """The limit of all transfers together."""
        return self.context.settings.bwlimit if self.options.bwlimit is None else self.options.bwlimit


@dataclass(frozen=True)
class Round:
    """One look and what follows from it. `keys` are those that were asked for, `work` None where nothing can move."""

    look: Look
    keys: Collection[str]
    groups: list[KeyGroup]
    work: Assignment | None


def next_round(run: TransferRun) -> Round:
    """Look at what has changed; the policy does not change in a run."""
    if run.last is None:
        run.clocks, run.missed = run.context.state.clocks(), absent.missed(run.context)
    look = run.last = _look(run, run.last.policy if run.last else None)
    wanted = _stable(run, look)
    keys = missing.keys_below(run.context, run.options.paths) if run.options.paths else {need.key for need in wanted}
    run.looked_at.update(keys)
    planned = list(groups(look.policy, wanted, shut=_shut(run, look.policy, wanted)))  # of all keys: all have clocks
    return Round(look, keys, planned, _work(run, look.policy, planned, keys))


def _shut(run: TransferRun, policy: Policy, wanted: Iterable[Need]) -> patience.Shut:
    """Return what this repository plans without: at a terminal also its own arcs to what was found away."""
    held = {need.key: need.holders for need in wanted}
    longest = run.context.settings.patience
    run.clocks = patience.gone_on(run.clocks, held, longest, time.time())
    shut = patience.shut(run.clocks, policy.own, answers(run))
    return shut if longest else patience.nobody_waits(policy.network, policy.own, shut)


def answers(run: TransferRun) -> patience.Answers:
    """Look which repositories can be reached now, and which ones are not to be waited for."""
    ours = {remote.uuid or "" for remote in run.remotes}
    here = frozenset(uuid for uuid in ours if end(run, uuid))
    if run.context.settings.patience and not interactive():
        return patience.Answers(here)
    named = run.context.settings.remotes
    away = ours | {named[name].uuid or "" for name in run.options.unreached if name in named}
    busy = {named[name].uuid for name, outcome in run.away.items() if outcome.result is Result.BUSY and name in named}
    return patience.Answers(here, frozenset(away - here - busy))


def keep_clocks(run: TransferRun, now: Round) -> None:
    """Remember what waits as a run ends, and since when."""
    policy = now.look.policy
    clocks = patience.kept(run.clocks, now.groups, policy.arcs, policy.own, answers(run), time.time())
    if clocks != run.context.state.clocks():
        run.context.state.keep_clocks(clocks)
    run.clocks = clocks


def learn(run: TransferRun, workers: Collection[LinkWorker]) -> None:
    """Learn from what links did who does not answer, and who does not have what it is said to have."""
    missed = absent.note(run.context, workers)
    dead = (
        worker
        for worker in workers
        if worker.unreached and not all((k, worker.step.source) in missed for k in worker.failed)
    )
    run.unreached |= {remote.uuid or "" for worker in dead for remote in worker.remotes}
    run.missed |= missed


def look_afresh(run: TransferRun) -> Look:
    """Look once more, at the policy too: a run can take hours, and what is wanted may be otherwise by now."""
    return _look(run, None)


def _look(run: TransferRun, policy: Policy | None) -> Look:
    return missing.of_all_keys(run.context) if run.options.all_keys else missing.look(run.context, policy)


def _stable(run: TransferRun, look: Look) -> list[Need]:
    """Return what has to travel, without what comes and goes, and from those who really have it."""
    unstable, found = missing.inventory(run.context).coming_and_going(), look.needs
    found = [_without(need, unstable) for need in found] if unstable else found
    there = (absent.without(need, run.missed) for need in found)
    return [need for need in there if need.holders] if run.missed else found


def _without(need: Need, unstable: Collection[tuple[str, str]]) -> Need:
    out = {uuid for uuid in need.targets if (need.key, uuid) in unstable}
    return Need(need.key, need.holders, need.targets - out, need.unwanted) if out else need


def _work(run: TransferRun, policy: Policy, planned: list[KeyGroup], asked: Collection[str]) -> Assignment | None:
    through = annex.release_date(run.context.annex_version) >= THROUGH_SINCE
    workers: dict[OwnStep, LinkWorker | None] = {}
    own_steps: dict[str, tuple[OwnStep, ...]] = {}
    held: dict[str, frozenset[str]] = {}
    for group in planned:
        some = make_own_steps(patience.executed_steps(group, policy.own), policy.own, through)
        runnable = _runnable(run, policy, group, some, workers)
        into = [step for step in runnable if step.target == policy.own]
        if interactive() and not any((key, step) not in run.tried for step in into for key in group.keys):
            runnable += _at_once(run, policy, group, workers)
        for key in (key for key in group.keys if key in asked) if runnable else ():
            if fresh := tuple(step for step in runnable if (key, step) not in run.tried):
                own_steps[key] = own_steps.get(key, ()) + fresh
                held[key] = group.plan.question.holders
    if not own_steps:
        return None
    run.tried.update((key, step) for key, some in own_steps.items() for step in some)
    names = missing.inventory(run.context).files(own_steps)
    return Assignment(
        own_steps,
        {step: worker for step, worker in workers.items() if worker},
        held,
        {key: os.fsdecode(next(iter(paths))) for key, paths in names.items()},
        run.total,
    )


def _runnable(
    run: TransferRun,
    policy: Policy,
    group: KeyGroup,
    wished: tuple[OwnStep, ...],
    workers: dict[OwnStep, LinkWorker | None],
) -> list[OwnStep]:
    """Return the own steps that can run: the remote is at hand, the source has the content or gets it by others."""
    at, found = set(group.plan.question.holders), []
    for step in wished:
        if step not in workers:
            workers[step] = _link_worker(run, policy, step)
        if step.source in at and workers[step]:
            found.append(step)
            at.add(step.target)
    return found


def _at_once(
    run: TransferRun, policy: Policy, group: KeyGroup, workers: dict[OwnStep, LinkWorker | None]
) -> list[OwnStep]:
    """Return what this repository lacks, fetched from the lightest holder that answers: a person waits for nobody."""
    for step in straight(policy, group):
        if step not in workers:
            workers[step] = _link_worker(run, policy, step)
        if workers[step] and any((key, step) not in run.tried for key in group.keys):
            return [step]
    return []


def _link_worker(run: TransferRun, policy: Policy, step: OwnStep) -> LinkWorker | None:
    """Return the link for a step, by the cheapest remotes that are there; None where there is none now."""
    ends = [end(run, uuid) for uuid in (step.source, step.target) if uuid != policy.own]
    remotes = tuple(remote for remote in ends if remote)
    if len(remotes) < len(ends):
        return None
    if (step.source != policy.own and not remotes[0].pull) or (step.target != policy.own and not remotes[-1].push):
        return None
    return LinkWorker(run.context, step, remotes, sum(run.cost(remote) for remote in remotes))


def end(run: TransferRun, uuid: str) -> Remote | None:
    """The remote to reach a repository by: the cheapest one that is there."""
    if uuid in run.unreached:
        return None
    candidates = [remote for remote in run.remotes if remote.uuid == uuid]
    for remote in sorted(candidates, key=lambda remote: (run.cost(remote), remote.name)):
        if remote.name in run.away:
            continue
        try:
            if time.monotonic() - run.seen.get(remote.name, -math.inf) > GLANCE:
                transport.require_present(run.context.repo, remote)
        except SyncxError as error:
            run.away[remote.name] = failure("transfer", error, remote)
            continue
        run.seen[remote.name] = time.monotonic()
        return remote
    return None
