"""What this repository can move now: the groups of the plan, its own legs of them, and the links they take."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.gateway import annex, transport
from git_annex_syncx.gateway.batch import Way
from git_annex_syncx.model import Need, Outcome, Remote, Timetable
from git_annex_syncx.network.own import link_cost
from git_annex_syncx.phases import needs, patience
from git_annex_syncx.phases.lane import Lane
from git_annex_syncx.phases.needs import Look
from git_annex_syncx.phases.node import Node
from git_annex_syncx.phases.parallel import failure
from git_annex_syncx.phases.patience import Overdue
from git_annex_syncx.phases.routing import Group, Leg, groups, own_legs
from git_annex_syncx.phases.traffic import Work
from git_annex_syncx.phases.world import World

GLANCE = 1.0  # seconds for which a remote that was there is taken to be there still
THROUGH_SINCE = 20230214  # copy --from --to


@dataclass(frozen=True)
class Order:
    """What is asked of a transfer: below which paths, of all keys, with drops, under which limit (None: as set).

    With `drop_here` false nothing is dropped from the own repository.

    With `alone` false somebody else pushes the git-annex branch where nothing has moved.
    """

    paths: tuple[bytes, ...] = ()
    all_keys: bool = False
    drop: bool = True
    drop_here: bool = True
    bwlimit: Timetable | None = None
    alone: bool = True


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
    overdue: Overdue
    work: Work | None


def next_round(run: Run) -> Round:
    """Look at what has changed; the world does not in a run."""
    look = run.last = _look(run, run.last.world if run.last else None)
    wanted = _stable(run, look)
    keys = needs.keys_below(run.node, run.order.paths) if run.order.paths else {need.key for need in wanted}
    run.looked_at.update(keys)
    planned = list(groups(look.world, wanted))
    overdue = patience.overdue(run.node, look.world, planned)  # of all keys: a wait is not for some paths
    return Round(look, keys, planned, overdue, _work(run, look.world, planned, overdue, keys))


def look_afresh(run: Run) -> Look:
    """Look once more, at the world too: a run can take hours, and what is wanted may be otherwise by now."""
    return _look(run, None)


def _look(run: Run, world: World | None) -> Look:
    return needs.of_all_keys(run.node) if run.order.all_keys else needs.look(run.node, world)


def _stable(run: Run, look: Look) -> list[Need]:
    """What has to travel, without what comes and goes."""
    unstable = needs.inventory(run.node).coming_and_going()
    return [_without(need, unstable) for need in look.needs] if unstable else look.needs


def _without(need: Need, unstable: Collection[tuple[str, str]]) -> Need:
    out = {uuid for uuid in need.targets if (need.key, uuid) in unstable}
    return Need(need.key, need.holders, need.targets - out, need.unwanted) if out else need


def _work(run: Run, world: World, planned: list[Group], overdue: Overdue, asked: Collection[str]) -> Work | None:
    through = annex.release_date(run.node.annex_version) >= THROUGH_SINCE
    lanes: dict[Leg, Lane | None] = {}
    legs: dict[str, tuple[Leg, ...]] = {}
    wished = [(group, own_legs(group, world.own, through)) for group in planned]
    wished += [(group, (leg,)) for group, leg in overdue.legs]
    held: dict[str, frozenset[str]] = {}
    for group, some in wished:
        runnable = _runnable(run, world, group, some, lanes)
        for key in (key for key in group.keys if key in asked) if runnable else ():
            if fresh := tuple(leg for leg in runnable if (key, leg) not in run.tried):
                legs[key] = legs.get(key, ()) + fresh
                held[key] = group.plan.question.holders
    if not legs:
        return None
    run.tried.update((key, leg) for key, some in legs.items() for leg in some)
    names = needs.inventory(run.node).files(legs)
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
