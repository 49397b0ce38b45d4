"""Assign to this repository the steps of the plan that it can make now, and to each step its link worker."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

from git_annex_syncx.annex import annex
from git_annex_syncx.content import absent, missing, patience
from git_annex_syncx.content.absent import Missed
from git_annex_syncx.content.link_worker import LinkWorker
from git_annex_syncx.content.missing import Look
from git_annex_syncx.content.patience import KeyGroup
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.content.scheduler import Assignment
from git_annex_syncx.content.steps import OwnStep, groups, make_own_steps, straight
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives
from git_annex_syncx.model import Need, Outcome, Remote, Result, Timetable
from git_annex_syncx.network.own_links import link_cost
from git_annex_syncx.network.plan import Step
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import failure
from git_annex_syncx.system.run import interactive

THROUGH_SINCE = 20230214  # copy --from --to
Workers = Callable[[OwnStep], LinkWorker | None]


@dataclass(frozen=True)
class TransferOptions:
    """Options of a transfer."""

    paths: tuple[bytes, ...] = ()  # only what is below these
    all_keys: bool = False
    drop: bool = True
    drop_here: bool = True  # else nothing is dropped from the own repository
    bwlimit: Timetable | None = None  # None: as set
    alone: bool = True  # else somebody else pushes the git-annex branch where nothing has moved
    outside: bool = True  # the web and its like are used too
    only_looks: bool = False  # nothing is written, not even what git-annex keeps in its journal
    by_name: bool = False  # somebody has asked for a transfer and nothing else
    deletes: bool = False  # an import may remove any number of files
    unreached: frozenset[str] = frozenset()  # names of remotes that were found not to answer
    left_for: float = 0.0  # seconds that a step is left to its first end alone


@dataclass
class TransferRun:
    """The knowledge of one run: the remotes that it may use, what it has tried, what it did."""

    context: Context
    remotes: tuple[Remote, ...]
    options: TransferOptions
    away: dict[str, Outcome] = field(default_factory=dict)  # remotes that cannot be used now
    tried: set[tuple[str, OwnStep]] = field(default_factory=set)
    workers: list[LinkWorker] = field(default_factory=list)
    looked_at: set[str] = field(default_factory=set)
    last: Look | None = None
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

    def leaves(self, step: Step, own: str) -> bool:
        """Return whether a step is left to its first end for now: it has hardly had the time to make it."""
        if own == step.executor or not (self.options.left_for and self.context.settings.patience):
            return False
        clock = self.clocks.get((step.source, step.target, True))
        return clock is None or time.time() - clock.since < self.options.left_for

    def end(self, uuid: str) -> Remote | None:
        """Return the remote to reach a repository by: the cheapest one that is there."""
        candidates = [remote for remote in self.remotes if remote.uuid == uuid and uuid not in self.unreached]
        for remote in sorted(candidates, key=lambda remote: (self.cost(remote), remote.name)):
            if remote.name in self.away:
                continue
            try:
                drives.require_present(self.context.repo, remote)
                return remote
            except SyncxError as error:
                self.away[remote.name] = failure("transfer", error, remote)
        return None


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
    wanted = _travelling(run, look)
    keys = missing.keys_below(run.context, run.options.paths) if run.options.paths else {need.key for need in wanted}
    run.looked_at.update(keys)
    planned = list(groups(look.policy, wanted, shut=_shut(run, look.policy, wanted)))  # of all keys: all have clocks
    return Round(look, keys, planned, _work(run, look.policy, planned, keys))


def look_afresh(run: TransferRun) -> Look:
    """Look once more, at the policy too: a run can take hours, and what is wanted may be otherwise by now."""
    return _look(run, None)


def keep_clocks(run: TransferRun, now: Round) -> None:
    """Remember what waits as a run ends, and since when."""
    policy = now.look.policy
    clocks = {}
    if now.groups:  # else the graph of arcs is not needed, nor networkx
        clocks = patience.kept(run.clocks, now.groups, policy.arcs, policy.own, _answers(run), time.time())
    if clocks != run.context.state.clocks():
        run.context.state.keep_clocks(clocks)
    run.clocks = clocks


def learn(run: TransferRun, workers: Collection[LinkWorker]) -> None:
    """Learn from what links did who does not answer, and who does not have what it is said to have."""
    missed = absent.note(run.context, workers)
    for worker in workers:
        if worker.unreached and not all((key, worker.step.source) in missed for key in worker.failed):
            run.unreached |= {remote.uuid or "" for remote in worker.remotes}
    run.missed |= missed


def _look(run: TransferRun, policy: Policy | None) -> Look:
    commits = not run.options.only_looks
    if run.options.all_keys:
        return missing.of_all_keys(run.context, commits)
    return missing.look(run.context, policy, commits)


def _travelling(run: TransferRun, look: Look) -> list[Need]:
    """Return what has to travel, without what comes and goes, and from those who really have it."""
    unstable = missing.inventory(run.context).coming_and_going()
    if not (unstable or run.missed):
        return look.needs
    found = []
    for need in look.needs:
        targets = frozenset(uuid for uuid in need.targets if (need.key, uuid) not in unstable)
        if holders := absent.without(need, run.missed).holders:
            found.append(replace(need, holders=holders, targets=targets))
    return found


def _shut(run: TransferRun, policy: Policy, wanted: Iterable[Need]) -> patience.Shut:
    """Return what this repository plans without: at a terminal also its own arcs to what was found away."""
    held = {need.key: need.holders for need in wanted}
    longest = run.context.settings.patience
    run.clocks = patience.gone_on(run.clocks, held, longest, time.time())
    shut = patience.shut(run.clocks, policy.own, _answers(run))
    return shut if longest else patience.nobody_waits(policy.network, policy.own, shut)


def _answers(run: TransferRun) -> patience.Answers:
    """Look which repositories can be reached now, and which ones are not to be waited for."""
    ours = {remote.uuid or "" for remote in run.remotes}
    here = frozenset(uuid for uuid in ours if run.end(uuid))
    if run.context.settings.patience and not interactive():
        return patience.Answers(here)
    named = run.context.settings.remotes
    away = ours | {named[name].uuid or "" for name in run.options.unreached if name in named}
    busy = {named[name].uuid for name, outcome in run.away.items() if outcome.result is Result.BUSY and name in named}
    return patience.Answers(here, frozenset(away - here - busy))


def _work(run: TransferRun, policy: Policy, planned: list[KeyGroup], asked: Collection[str]) -> Assignment | None:
    worker_of: Workers = functools.cache(functools.partial(_link_worker, run, policy))
    own_steps: dict[str, tuple[OwnStep, ...]] = {}
    held: dict[str, frozenset[str]] = {}
    for group in planned:
        runnable = _runnable(run, policy, group, worker_of)
        for key in (key for key in group.keys if key in asked) if runnable else ():
            if fresh := tuple(step for step in runnable if (key, step) not in run.tried):
                own_steps[key] = own_steps.get(key, ()) + fresh
                held[key] = group.plan.question.holders
    if not own_steps:
        return None
    run.tried.update((key, step) for key, some in own_steps.items() for step in some)
    names = missing.inventory(run.context).files(own_steps)
    files = {key: os.fsdecode(next(iter(paths))) for key, paths in names.items()}
    steps = {step for some in own_steps.values() for step in some}
    workers = {step: worker for step in steps if (worker := worker_of(step))}
    return Assignment(own_steps, workers, held, files, run.total)


def _runnable(run: TransferRun, policy: Policy, group: KeyGroup, worker_of: Workers) -> list[OwnStep]:
    """Return the own steps that can run: the remote is at hand, the source has the content or gets it by others.

    At a terminal what this repository lacks is fetched besides from the lightest holder that answers: a person waits
    for nobody.
    """

    def fresh(step: OwnStep) -> bool:
        return any((key, step) not in run.tried for key in group.keys)

    through = annex.release_date(run.context.annex_version) >= THROUGH_SINCE
    at, found = set(group.plan.question.holders), []
    ours = [step for step in patience.executed_steps(group, policy.own) if not run.leaves(step, policy.own)]
    for step in make_own_steps(ours, policy.own, through):
        if step.source in at and worker_of(step):
            found.append(step)
            at.add(step.target)
    if interactive() and not any(step.target == policy.own and fresh(step) for step in found):
        found += [step for step in straight(policy, group) if worker_of(step) and fresh(step)][:1]
    return found


def _link_worker(run: TransferRun, policy: Policy, step: OwnStep) -> LinkWorker | None:
    """Return the link for a step, by the cheapest remotes that are there; None where there is none now."""
    ends = [run.end(uuid) for uuid in (step.source, step.target) if uuid != policy.own]
    remotes = tuple(remote for remote in ends if remote)
    if len(remotes) < len(ends):
        return None
    if (step.source != policy.own and not remotes[0].pull) or (step.target != policy.own and not remotes[-1].push):
        return None
    return LinkWorker(run.context, step, remotes, sum(run.cost(remote) for remote in remotes))
