"""What this repository can move now: the groups of the plan, its own legs of them, and the links they take."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from git_annex_syncx.annex import annex
from git_annex_syncx.annex.batch import Way
from git_annex_syncx.content import absent, missing, patience
from git_annex_syncx.content.absent import Missed
from git_annex_syncx.content.link_worker import Lane
from git_annex_syncx.content.missing import Look
from git_annex_syncx.content.patience import Group, Wait
from git_annex_syncx.content.policy import World
from git_annex_syncx.content.scheduler import Work
from git_annex_syncx.content.steps import Leg, groups, own_legs, straight
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import transport
from git_annex_syncx.model import Need, Outcome, Remote, Result, Timetable
from git_annex_syncx.network.own_links import link_cost
from git_annex_syncx.runs.context import Node
from git_annex_syncx.runs.parallel import failure
from git_annex_syncx.system.run import interactive

GLANCE = 1.0  # seconds for which a remote that was there is taken to be there still
THROUGH_SINCE = 20230214  # copy --from --to


@dataclass(frozen=True)
class Order:
    """What is asked of a transfer: below which paths, of all keys, with drops, under which limit (None: as set).

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
class Run:
    """What one run knows: the remotes that it may use, what it has tried, what it did."""

    node: Node
    remotes: tuple[Remote, ...]
    order: Order
    away: dict[str, Outcome] = field(default_factory=dict)  # remotes that cannot be used now
    tried: set[tuple[str, Leg]] = field(default_factory=set)
    seen: dict[str, float] = field(default_factory=dict)  # when a remote was found to be there
    lanes: list[Lane] = field(default_factory=list)
    looked_at: set[str] = field(default_factory=set)
    last: Look | None = None
    measured: bool = False
    left: list[Wait] = field(default_factory=list)  # what the remotes still lack at the end
    clocks: patience.Clocks = field(default_factory=dict)
    missed: Missed = frozenset()  # what sources do not have in spite of the location log
    unreached: set[str] = field(default_factory=set)  # uuids of repositories that turned out not to answer
    _costs: dict[str, float] = field(default_factory=dict)

    def cost(self, remote: Remote) -> float:
        """What a link costs, found once a run: the user may have it computed by a program."""
        if remote.name not in self._costs:
            self._costs[remote.name] = link_cost(self.node.repo, self.node.outbox, remote)
        return self._costs[remote.name]

    @property
    def total(self) -> Timetable:
        """The limit of all transfers together."""
        return self.node.settings.bwlimit if self.order.bwlimit is None else self.order.bwlimit


@dataclass(frozen=True)
class Round:
    """One look and what follows from it. `keys` are those that were asked for, `work` None where nothing can move."""

    look: Look
    keys: Collection[str]
    groups: list[Group]
    work: Work | None


def next_round(run: Run) -> Round:
    """Look at what has changed; the world does not in a run."""
    if run.last is None:
        run.clocks, run.missed = run.node.outbox.clocks(), absent.missed(run.node)
    look = run.last = _look(run, run.last.world if run.last else None)
    wanted = _stable(run, look)
    keys = missing.keys_below(run.node, run.order.paths) if run.order.paths else {need.key for need in wanted}
    run.looked_at.update(keys)
    planned = list(groups(look.world, wanted, shut=_shut(run, look.world, wanted)))  # of all keys: all have clocks
    return Round(look, keys, planned, _work(run, look.world, planned, keys))


def _shut(run: Run, world: World, wanted: Iterable[Need]) -> patience.Shut:
    """Return what this repository plans without: at a terminal also its own arcs to what was found away."""
    held = {need.key: need.holders for need in wanted}
    longest = run.node.settings.patience
    run.clocks = patience.gone_on(run.clocks, held, longest, time.time())
    shut = patience.shut(run.clocks, world.own, answers(run))
    return shut if longest else patience.nobody_waits(world.network, world.own, shut)


def answers(run: Run) -> patience.Answers:
    """Look which repositories can be reached now, and which ones are not to be waited for."""
    ours = {remote.uuid or "" for remote in run.remotes}
    here = frozenset(uuid for uuid in ours if end(run, uuid))
    if run.node.settings.patience and not interactive():
        return patience.Answers(here)
    named = run.node.settings.remotes
    away = ours | {named[name].uuid or "" for name in run.order.unreached if name in named}
    busy = {named[name].uuid for name, outcome in run.away.items() if outcome.result is Result.BUSY and name in named}
    return patience.Answers(here, frozenset(away - here - busy))


def keep_clocks(run: Run, now: Round) -> None:
    """Remember what waits as a run ends, and since when."""
    world = now.look.world
    clocks = patience.kept(run.clocks, now.groups, world.roads, world.own, answers(run), time.time())
    if clocks != run.node.outbox.clocks():
        run.node.outbox.keep_clocks(clocks)
    run.clocks = clocks


def learn(run: Run, lanes: Collection[Lane]) -> None:
    """Learn from what links did who does not answer, and who does not have what it is said to have."""
    missed = absent.note(run.node, lanes)
    dead = (lane for lane in lanes if lane.unreached and not all((k, lane.leg.source) in missed for k in lane.failed))
    run.unreached |= {remote.uuid or "" for lane in dead for remote in lane.remotes}
    run.missed |= missed


def look_afresh(run: Run) -> Look:
    """Look once more, at the world too: a run can take hours, and what is wanted may be otherwise by now."""
    return _look(run, None)


def _look(run: Run, world: World | None) -> Look:
    return missing.of_all_keys(run.node) if run.order.all_keys else missing.look(run.node, world)


def _stable(run: Run, look: Look) -> list[Need]:
    """What has to travel, without what comes and goes, and from those who really have it."""
    unstable, found = missing.inventory(run.node).coming_and_going(), look.needs
    found = [_without(need, unstable) for need in found] if unstable else found
    there = (absent.without(need, run.missed) for need in found)
    return [need for need in there if need.holders] if run.missed else found


def _without(need: Need, unstable: Collection[tuple[str, str]]) -> Need:
    out = {uuid for uuid in need.targets if (need.key, uuid) in unstable}
    return Need(need.key, need.holders, need.targets - out, need.unwanted) if out else need


def _work(run: Run, world: World, planned: list[Group], asked: Collection[str]) -> Work | None:
    through = annex.release_date(run.node.annex_version) >= THROUGH_SINCE
    lanes: dict[Leg, Lane | None] = {}
    legs: dict[str, tuple[Leg, ...]] = {}
    held: dict[str, frozenset[str]] = {}
    for group in planned:
        some = own_legs(patience.own_steps(group, world.own), world.own, through)
        runnable = _runnable(run, world, group, some, lanes)
        into = [leg for leg in runnable if leg.target == world.own]
        if interactive() and not any((key, leg) not in run.tried for leg in into for key in group.keys):
            runnable += _at_once(run, world, group, lanes)
        for key in (key for key in group.keys if key in asked) if runnable else ():
            if fresh := tuple(leg for leg in runnable if (key, leg) not in run.tried):
                legs[key] = legs.get(key, ()) + fresh
                held[key] = group.plan.question.holders
    if not legs:
        return None
    run.tried.update((key, leg) for key, some in legs.items() for leg in some)
    names = missing.inventory(run.node).files(legs)
    return Work(
        legs,
        {leg: lane for leg, lane in lanes.items() if lane},
        held,
        {key: os.fsdecode(next(iter(paths))) for key, paths in names.items()},
        run.total,
    )


def _runnable(
    run: Run, world: World, group: Group, wished: tuple[Leg, ...], lanes: dict[Leg, Lane | None]
) -> list[Leg]:
    """The legs that can run: their remotes are at hand, and their source has the content or gets it by others."""
    at, found = set(group.plan.question.holders), []
    for leg in wished:
        if leg not in lanes:
            lanes[leg] = _lane(run, world, leg)
        if leg.source in at and lanes[leg]:
            found.append(leg)
            at.add(leg.target)
    return found


def _at_once(run: Run, world: World, group: Group, lanes: dict[Leg, Lane | None]) -> list[Leg]:
    """What this repository lacks, fetched from the lightest holder that answers: a person waits for nobody."""
    for leg in straight(world, group):
        if leg not in lanes:
            lanes[leg] = _lane(run, world, leg)
        if lanes[leg] and any((key, leg) not in run.tried for key in group.keys):
            return [leg]
    return []


def _lane(run: Run, world: World, leg: Leg) -> Lane | None:
    """The link for a leg, by the cheapest remotes that are there; None where there is none now."""
    ends = [end(run, uuid) for uuid in (leg.source, leg.target) if uuid != world.own]
    remotes = tuple(remote for remote in ends if remote)
    if len(remotes) < len(ends):
        return None
    if (leg.source != world.own and not remotes[0].pull) or (leg.target != world.own and not remotes[-1].push):
        return None
    source = "" if leg.source == world.own else remotes[0].name
    target = "" if leg.target == world.own else remotes[-1].name
    cost = sum(run.cost(remote) for remote in remotes)
    return Lane(run.node, leg, Way(source, target), remotes, cost, lambda *_: None)


def end(run: Run, uuid: str) -> Remote | None:
    """The remote to reach a repository by: the cheapest one that is there."""
    if uuid in run.unreached:
        return None
    candidates = [remote for remote in run.remotes if remote.uuid == uuid]
    for remote in sorted(candidates, key=lambda remote: (run.cost(remote), remote.name)):
        if remote.name in run.away:
            continue
        try:
            if time.monotonic() - run.seen.get(remote.name, -math.inf) > GLANCE:
                transport.require_present(run.node.repo, remote)
        except SyncxError as error:
            run.away[remote.name] = failure("transfer", error, remote)
            continue
        run.seen[remote.name] = time.monotonic()
        return remote
    return None
