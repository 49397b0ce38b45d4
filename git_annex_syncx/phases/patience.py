"""When a planned carrier does not move, the next one steps in: after a wait by this node's own clock."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace

from git_annex_syncx.network.plan import Step, alternatives
from git_annex_syncx.phases.node import Node
from git_annex_syncx.phases.routing import Group, Leg, waiting_for
from git_annex_syncx.phases.world import World

PREFIX = "patience "
SAMPLE = 20  # keys that are watched for each carrier
BURIED = 86400.0  # seconds that a carrier that did not move is not waited for again


@dataclass(frozen=True)
class Wait:
    """Since when (seconds since 1970, by this node's clock) nothing has moved, and keys that would show it.

    For one that has been waited for in vain nobody waits again for a day.
    """

    since: float
    keys: tuple[str, ...] = ()
    vain: bool = False


@dataclass(frozen=True)
class Overdue:
    """What is ours now because another does not move, and what is known of all carriers, to be kept."""

    legs: tuple[tuple[Group, Leg], ...]
    before: Mapping[str, Wait | None]
    waits: Mapping[str, Wait]


def overdue(node: Node, world: World, groups: Iterable[Group]) -> Overdue:
    """The transfers that are another's by the plan, and are ours now because it has not moved for too long."""
    late = [(group, step) for group in groups for step in waiting_for(group, world.own)]
    waiting: dict[str, set[str]] = {}
    for group, step in late:
        waiting.setdefault(_carrier(step), set()).update(group.keys)
    now, legs = time.time(), []
    before = {name: _read(text) for name, text in node.outbox.facts(PREFIX).items()}
    waits = {name: _watched(before.get(name), keys, now) for name, keys in waiting.items()}
    waits |= {name: wait for name, wait in before.items() if name not in waits and wait and _buried(wait, now)}
    for group, step in late:
        leg, rank = _own_way(world, group, step)
        wait = waits[_carrier(step)]
        if leg and (wait.vain or now - wait.since >= node.settings.patience * rank):
            waits[_carrier(step)] = replace(wait, since=wait.since if wait.vain else now, vain=True)
            legs.append((group, leg))
    return Overdue(tuple(legs), before, waits)


def _own_way(world: World, group: Group, step: Step) -> tuple[Leg | None, int]:
    """Our own way to the target, and its rank among the ways that are not the planned one."""
    if world.own != step.target and world.own not in group.plan.question.holders:
        return None, 0
    ways = alternatives(world.roads, group.plan.question, step.target)
    others = [way for way in ways if way != (step.source, step.executor)]
    for rank, (source, executor) in enumerate(others, start=1):
        if executor == world.own:
            return Leg(source, step.target, "pull" if step.target == world.own else "push"), rank
    return None, 0


def _carrier(step: Step) -> str:
    return f"{PREFIX}{step.executor} {step.target}"


def _watched(before: Wait | None, keys: AbstractSet[str], now: float) -> Wait:
    """The wait for a carrier: goes on while every key that was watched waits still, else begins anew."""
    sample = tuple(sorted(keys)[:SAMPLE])
    if before and _buried(before, now):
        return before
    if before is None or before.vain or before.since > now or not keys >= set(before.keys):
        return Wait(now, sample)
    return replace(before, keys=sample)


def _buried(wait: Wait, now: float) -> bool:
    return wait.vain and 0 <= now - wait.since < BURIED


def is_waiting(node: Node) -> bool:
    """Whether any content waits for a carrier: then time alone can make it ours to move."""
    return bool(node.outbox.facts(PREFIX))


def keep(node: Node, found: Overdue) -> None:
    """Remember since when each carrier has not moved."""
    for name in found.before.keys() - found.waits.keys():
        node.outbox.forget(name)
    for name, wait in found.waits.items():
        if found.before.get(name) != wait:
            node.outbox.remember(name, json.dumps(asdict(wait)))


def _read(text: str) -> Wait | None:
    try:
        told = json.loads(text)
        return Wait(float(told["since"]), tuple(map(str, told["keys"])), bool(told["vain"]))
    except (ValueError, KeyError, TypeError):
        return None
