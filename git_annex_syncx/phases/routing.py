"""From what keys need to who carries them: each group of keys that are alike is planned once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from git_annex_syncx.gateway.key import key_size
from git_annex_syncx.model import Need
from git_annex_syncx.network.plan import Plan, Question, Step, plan
from git_annex_syncx.phases.world import World

SECONDS = 5.0  # the longest that one plan may take where relays make it hard


@dataclass(frozen=True)
class Group:
    """Keys with the same holders and targets and about the same size, and how they travel."""

    plan: Plan
    keys: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Leg:
    """One transfer of a key that this repository makes; uuids. `through` is set where no copy stays here."""

    source: str
    target: str
    operation: str  # "push" or "pull"
    through: bool = False


def groups(world: World, needs: Iterable[Need], by_time: bool = False, relays: bool = True) -> Iterator[Group]:
    """What is planned. All nodes that know the same make the same groups, whatever the exact sizes are."""
    alike: dict[tuple[frozenset[str], frozenset[str], int], list[str]] = {}
    targets_now: dict[tuple[frozenset[str], frozenset[str]], frozenset[str]] = {}
    for need in needs:
        pair = (need.holders, need.targets)
        if pair not in targets_now:
            targets_now[pair] = in_this_round(world, need.targets)
        if targets := targets_now[pair]:
            alike.setdefault((need.holders, targets, key_size(need.key).bit_length()), []).append(need.key)
    for (holders, targets, bits), keys in sorted(alike.items(), key=lambda item: (item[0][2], min(item[1]))):
        total = sum(map(key_size, keys))
        # The tree depends on the class of size alone: nodes that know other keys of it make the same.
        question = Question(holders, targets, len(keys), total, 1 << bits, by_time, relays, SECONDS)
        yield Group(plan(world.roads, question), tuple(keys))


def in_this_round(world: World, targets: frozenset[str]) -> frozenset[str]:
    """Of targets whose wishes depend on copies only one; with its copy the others are asked again."""
    careful = [uuid for uuid in targets if uuid in world.choosy and world.wishes.depends_on_copies(uuid)]
    if len(careful) < 2:
        return targets
    places = world.network.by_uuid
    first = min(careful, key=lambda uuid: (places[uuid].removable, world.nearness[uuid], uuid))
    return targets - (set(careful) - {first})


def own_legs(group: Group, own: str, through: bool) -> tuple[Leg, ...]:
    """The steps that this repository makes, in order; with `through` from remote to remote where that is planned."""
    legs = [Leg(step.source, step.target, step.operation) for step in group.plan.steps if step.executor == own]
    relayed = any(step.relay and step.target == own for step in group.plan.steps)
    into, out = [leg for leg in legs if leg.target == own], [leg for leg in legs if leg.source == own]
    if through and relayed and len(into) == len(out) == 1:
        passed = Leg(into[0].source, out[0].target, "push", through=True)
        return tuple(passed if leg == into[0] else leg for leg in legs if leg != out[0])
    return tuple(legs)


def waiting_for(group: Group, own: str) -> Iterator[Step]:
    """The steps that others could make now."""
    return (step for step in group.plan.steps if step.executor != own and step.source in group.plan.question.holders)
