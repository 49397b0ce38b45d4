"""The content phase: this repository's part of the plan, until nothing is left that could run now."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from git_annex_syncx.errors import Busy, SyncxError
from git_annex_syncx.gateway import annex, branch, files, transport
from git_annex_syncx.gateway.batch import Way
from git_annex_syncx.gateway.locations import key_size
from git_annex_syncx.gateway.outbox import OutboxError
from git_annex_syncx.model import Event, Need, Outcome, Remote, Result, Timetable
from git_annex_syncx.network.own import link_cost, remember_speed
from git_annex_syncx.phases import drops, exports, needs, patience, planning
from git_annex_syncx.phases.lane import Lane
from git_annex_syncx.phases.merge import merge_annex_branches
from git_annex_syncx.phases.needs import Look, World
from git_annex_syncx.phases.node import Node, reread, says_yes
from git_annex_syncx.phases.parallel import failure, own_failure
from git_annex_syncx.phases.push import push_records
from git_annex_syncx.phases.rates import averaged, measured
from git_annex_syncx.phases.routing import Group, Leg, groups, own_legs, waiting_for
from git_annex_syncx.phases.traffic import Traffic, Work

log = logging.getLogger(__name__)

THROUGH_SINCE = 20230214  # copy --from --to
MOST_ROUNDS = 100
# Kinds of special remotes whose transfers are made by programs that git-annex cannot slow down.
UNLIMITED = {"external", "rsync", "hook", "bup", "ddar", "tahoe", "adb", "gcrypt", "bittorrent", "git-lfs", "borg"}


@dataclass(frozen=True)
class Order:
    """What is asked of a transfer: below which paths, of all keys, with drops, under which limit (None: as set)."""

    paths: tuple[bytes, ...] = ()
    all_keys: bool = False
    drop: bool = True
    bwlimit: Timetable | None = None


@dataclass
class Run:
    """What one run knows: the remotes that it may use, what it has tried, what it did."""

    node: Node
    remotes: tuple[Remote, ...]
    order: Order
    away: dict[str, Outcome] = field(default_factory=dict)  # remotes that cannot be used now
    tried: set[tuple[str, Leg]] = field(default_factory=set)
    lanes: list[Lane] = field(default_factory=list)
    looked_at: set[str] = field(default_factory=set)
    last: Look | None = None
    measured: bool = False

    @property
    def total(self) -> Timetable:
        """The limit of all transfers together."""
        return self.node.settings.bwlimit if self.order.bwlimit is None else self.order.bwlimit


@dataclass(frozen=True)
class Load:
    """What would travel over one link: files and bytes, and seconds where the speed is known."""

    remote: str
    operation: str
    keys: tuple[str, ...]
    bytes: int
    seconds: float | None


def transfer(node: Node, remotes: Iterable[Remote], order: Order | None = None) -> Iterator[Event]:
    """Move content, drop what nobody there wants, and tell the others by the git-annex branch."""
    begun = time.monotonic()
    try:
        node, remotes = _acquainted(node, tuple(remotes))
        run = Run(node, usable(node, remotes), order or Order())
        with _alone(node):
            yield from planning.tell_links(node)
            merge_annex_branches(node, _git_only(run.remotes))
            yield from exports.bring_in(node, run.remotes)
            yield from _rounds(run)
            yield from _results(run, begun)
            yield from exports.send_out(node, run.remotes)
            if run.order.drop and run.last:
                yield from drops.drop(node, run.remotes, run.last, run.looked_at)
            if run.measured:
                yield from planning.tell_links(node)  # speeds were measured
            yield from push_records(
                node, (remote for remote in _git_only(run.remotes) if remote.name not in run.away)
            )
    except SyncxError as error:
        yield own_failure("transfer", error)


def preview(node: Node, remotes: Iterable[Remote], order: Order) -> list[Load]:
    """What the first round of a transfer would move; nothing is changed."""
    node, remotes = _acquainted(node, tuple(remotes))
    run = Run(node, usable(node, remotes), order)
    look = _look(run)
    work = _work(run, look.world, look.needs)
    keys: dict[Leg, list[str]] = {}
    for key, legs in (work.legs if work else {}).items():
        for leg in legs:
            keys.setdefault(leg, []).append(key)
    return [_load(run, look.world, leg, keys[leg], work.lanes[leg]) for leg in sorted(keys)] if work else []


def _acquainted(node: Node, remotes: tuple[Remote, ...]) -> tuple[Node, tuple[Remote, ...]]:
    """The same with the uuids of remotes that were met for the first time; git-annex is asked for those."""
    if all(remote.uuid or remote.ignore for remote in remotes):
        return node, remotes
    node = reread(node)
    for name in [remote.name for remote in remotes]:
        remote = node.settings.remotes.get(name)
        if remote and not (remote.uuid or remote.ignore) and _is_there(node, remote):
            annex.learn_uuid(node.repo, name, transport.annex_connection(node.repo, node.settings, remote))
            node = reread(node)
    known = node.settings.remotes
    return node, tuple(known[remote.name] for remote in remotes if remote.name in known)


def _is_there(node: Node, remote: Remote) -> bool:
    try:
        transport.require_present(node.repo, remote)
    except SyncxError:
        return False
    return True


def usable(node: Node, remotes: Iterable[Remote]) -> tuple[Remote, ...]:
    """The remotes that content can travel to or from."""
    known = (remote for remote in remotes if remote.uuid and not (remote.ignore or remote.unverified))
    return tuple(remote for remote in known if not says_yes(node, remote.ignore_command))


@contextlib.contextmanager
def _alone(node: Node) -> Iterator[None]:
    """Two runs would feed the same keys to two processes. Raises Busy."""
    with files.writing(node.repo.state_dir), (node.repo.state_dir / "transfer.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("another transfer is at work in this repository") from None
        yield


def _look(run: Run) -> Look:
    """Look at what has changed; the world does not in a run."""
    world = run.last.world if run.last else None
    run.last = needs.of_all_keys(run.node) if run.order.all_keys else needs.look(run.node, world)
    return run.last


def _rounds(run: Run) -> Iterator[Event]:
    """Move what can move, look what has become of it, until nothing is left."""
    for _ in range(MOST_ROUNDS):
        look = _look(run)
        asked = _asked_for(run, look)
        run.looked_at.update(need.key for need in asked)
        work = _work(run, look.world, asked)
        if work is None:
            yield from _others(look.world, asked)
            return
        _warn_of_unlimited(run, work)
        traffic = Traffic(run.node, work, lambda: _tell(run))
        run.lanes += traffic.lanes
        yield from traffic.run()
        choosy = [(key, uuid) for key, uuid in traffic.arrivals if uuid in look.world.choosy]
        if choosy:
            needs.inventory(run.node).count_arrivals(choosy)


def _asked_for(run: Run, look: Look) -> list[Need]:
    """What has to travel, without what comes and goes, narrowed to the paths that were named."""
    unstable = needs.inventory(run.node).arrivals(needs.TOO_OFTEN)
    found = [_without(need, unstable) for need in look.needs] if unstable else look.needs
    if not run.order.paths:
        return found
    keys = needs.keys_below(run.node, run.order.paths)
    return [need for need in found if need.key in keys]


def _without(need: Need, unstable: Collection[tuple[str, str]]) -> Need:
    out = {uuid for uuid in need.targets if (need.key, uuid) in unstable}
    return Need(need.key, need.holders, need.targets - out, need.unwanted) if out else need


def _work(run: Run, world: World, asked: list[Need]) -> Work | None:
    """What this repository can move now, None where that is nothing."""
    held = {need.key: need.holders for need in asked}
    through = annex.release_date(run.node.annex_version) >= THROUGH_SINCE
    planned = list(groups(world, asked))
    lanes: dict[Leg, Lane | None] = {}
    legs: dict[str, tuple[Leg, ...]] = {}
    for group in planned:
        _plan_legs(run, world, group, own_legs(group, world.own, through), lanes, legs, held)
    for group, leg in list(patience.step_in(run.node, world, planned)):
        _plan_legs(run, world, group, (leg,), lanes, legs, held)
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


def _plan_legs(
    run: Run,
    world: World,
    group: Group,
    wished: tuple[Leg, ...],
    lanes: dict[Leg, Lane | None],
    legs: dict[str, tuple[Leg, ...]],
    held: Mapping[str, frozenset[str]],
) -> None:
    """Add the legs that can run: their remotes are at hand, and their source has the content or gets it by others."""
    at, runnable = set(group.plan.question.holders), []
    for leg in wished:
        if leg not in lanes:
            lanes[leg] = _lane(run, world, leg)
        if leg.source in at and lanes[leg]:
            runnable.append(leg)
            at.add(leg.target)
    for key in group.keys if runnable else ():
        if fresh := tuple(leg for leg in runnable if (key, leg) not in run.tried):
            legs[key] = legs.get(key, ()) + fresh


def _lane(run: Run, world: World, leg: Leg) -> Lane | None:
    """The link for a leg, by the cheapest remotes that are there; None where there is none now."""
    ends = [_end(run, uuid) for uuid in (leg.source, leg.target) if uuid != world.own]
    remotes = tuple(remote for remote in ends if remote)
    if len(remotes) < len(ends):
        return None
    source = "" if leg.source == world.own else remotes[0].name
    target = "" if leg.target == world.own else remotes[-1].name
    cost = sum(link_cost(run.node.repo, run.node.outbox, remote) for remote in remotes)
    return Lane(run.node, leg, Way(source, target), remotes, cost, lambda *_: None)


def _end(run: Run, uuid: str) -> Remote | None:
    """The remote to reach a repository by: the cheapest one that is there."""
    candidates = [remote for remote in run.remotes if remote.uuid == uuid]
    costs = {remote.name: link_cost(run.node.repo, run.node.outbox, remote) for remote in candidates}
    for remote in sorted(candidates, key=lambda remote: (costs[remote.name], remote.name)):
        if remote.name in run.away:
            continue
        try:
            transport.require_present(run.node.repo, remote)
        except SyncxError as error:
            run.away[remote.name] = failure("transfer", error, remote)
            continue
        return remote
    return None


def _warn_of_unlimited(run: Run, work: Work) -> None:
    limited = [r for lane in work.lanes.values() for r in lane.remotes if run.total or r.bwlimit]
    options = branch.special_remotes(branch.logs(run.node.repo, ["remote.log"])["remote.log"]) if limited else {}
    for remote in limited:
        if options.get(remote.uuid or "", {}).get("type") in UNLIMITED:
            log.warning("%s: git-annex cannot limit the rate of the program that does its transfers", remote.name)


def _tell(run: Run) -> list[Outcome]:
    """Commit and push what has moved so far, so that the next node can start."""
    annex.bring_branch_up(run.node.repo)
    return [outcome for outcome in push_records(run.node, _git_only(run.remotes)) if outcome.result is Result.FAILED]


def _git_only(remotes: Iterable[Remote]) -> list[Remote]:
    return [remote for remote in remotes if not remote.special]


# What is said at the end


def _results(run: Run, begun: float) -> Iterator[Outcome]:
    """One outcome a remote: of those where something moved, of those that are away, and of the rest."""
    for remote in run.remotes:
        lanes = [lane for lane in run.lanes if remote in lane.remotes]
        if lanes:
            _measure(run, remote, lanes)
            yield _result(run, remote, lanes, time.monotonic() - begun)
        elif _end(run, remote.uuid or "") is None and remote.name in run.away:
            yield run.away[remote.name]
        else:
            yield Outcome("transfer", Result.CURRENT, remote.name, remote.uuid)


def _result(run: Run, remote: Remote, lanes: list[Lane], seconds: float) -> Outcome:
    done, carried = sum(lane.done for lane in lanes), sum(lane.carried for lane in lanes)
    moved, failed = (
        sum(lane.meter.bytes for lane in lanes),
        {k: why for lane in lanes for k, why in lane.failed.items()},
    )
    result = Result.FAILED if failed else Result.DONE if done else Result.SKIPPED if carried else Result.CURRENT
    reasons = [f"{count} of {why}" if count > 1 else why for why, count in Counter(failed.values()).most_common(3)]
    told = [_many(done)] * bool(done)
    told += [f"{_many(carried)} carried by somebody else already"] * bool(carried)
    told += [f"{_many(len(failed))} failed: {'; '.join(reasons)}"] * bool(failed)
    return Outcome(
        "transfer", result, remote.name, remote.uuid, seconds=seconds, reason=", ".join(told),
        advice="the next run tries again" if failed else "",
        details={"files": done, "bytes": moved, "failed": len(failed), "carried": carried},
    )  # fmt: skip


def _many(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _measure(run: Run, remote: Remote, lanes: list[Lane]) -> None:
    """Keep how fast the link was, where nothing held it back."""
    lanes = [lane for lane in lanes if not lane.limited() and len(lane.remotes) == 1]
    speeds = [speed for lane in lanes if (speed := lane.meter.speed())]
    latencies = [latency for lane in lanes if (latency := lane.meter.latency())]
    if not (speeds or latencies) or not remote.uuid:
        return
    with contextlib.suppress(OutboxError):
        run.measured = True
        before = measured(run.node.outbox.fact(f"speed {remote.uuid}"))
        now = (max(speeds, default=None), min(latencies, default=None))
        remember_speed(run.node.outbox, remote.uuid, averaged(before[0], now[0]), averaged(before[1], now[1]))


def _others(world: World, asked: list[Need]) -> Iterator[Outcome]:
    """Say what waits for somebody else."""
    waiting: Counter[tuple[str, str]] = Counter()
    for group in groups(world, asked):
        for step in waiting_for(group, world.own):
            waiting[step.executor, step.target] += len(group.keys)
    for (executor, target), count in sorted(waiting.items()):
        name = world.network.name
        verb, them = ("waits", "it") if count == 1 else ("wait", "them")
        how = f"fetch {them}" if executor == target else f"bring {them} to {name(target)}"
        told = f"{_many(count)} {verb} for {name(executor)} to {how}"
        yield Outcome(
            "waiting", Result.SKIPPED, reason=told, details={"executor": executor, "target": target, "files": count}
        )


def _load(run: Run, world: World, leg: Leg, keys: list[str], lane: Lane) -> Load:
    size = sum(map(key_size, keys))
    speed, latency = measured(run.node.outbox.fact(f"speed {lane.remote.uuid}"))
    seconds = size / speed + len(keys) * (latency or 0.0) / 1000 if speed else None
    return Load(lane.remote.name, leg.operation, tuple(keys), size, seconds)
