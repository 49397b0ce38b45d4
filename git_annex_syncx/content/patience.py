"""Clocks of arcs: how long a step of the plan is waited for before this repository plans without its arc. Pure."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.model import Clock
from git_annex_syncx.network.graph import Network
from git_annex_syncx.network.plan import Plan, Question, Step, reachable
from git_annex_syncx.network.weights import Arcs, ExecutedArc

HEAVIER = 12  # times as long is waited before a step is made that is heavier than the one that it replaces
SAMPLE = 20  # keys that are watched for each arc, the smallest, since they come first
LIGHT, HEAVY = 1, 2  # levels of a clock
Clocks = Mapping[ExecutedArc, Clock]


@dataclass(frozen=True)
class Shut:
    """Arcs that this repository plans without: `light` where that costs no more, of these `heavy` in any case.

    `late` are targets that were waited for; in groups of which only one gets a key they come last.
    """

    light: frozenset[ExecutedArc] = frozenset()
    heavy: frozenset[ExecutedArc] = frozenset()
    late: frozenset[str] = frozenset()


@dataclass(frozen=True)
class KeyGroup:
    """Keys with the same holders and targets and about the same size, and how they travel.

    `plan` does without all arcs that are shut, `base` without those alone that are shut in any case.
    """

    plan: Plan
    keys: tuple[str, ...]
    base: Plan

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Return the different ones."""
        return (self.plan,) if self.plan is self.base else (self.plan, self.base)


@dataclass(frozen=True)
class Answers:
    """The other repositories that can be reached now, and those away of which nobody wants to wait."""

    here: frozenset[str] = field(default_factory=frozenset)
    away: frozenset[str] = field(default_factory=frozenset)

    def open(self, arc: ExecutedArc, own: str) -> bool:
        """Return whether an arc is our own and its other end can be reached."""
        source, target, ours = arc
        return ours and (target if source == own else source) in self.here


def gone_on(
    clocks: Clocks, held: Mapping[str, AbstractSet[str]], patience: float, now: float
) -> dict[ExecutedArc, Clock]:
    """Return the clocks as they stand: one starts anew where a key that waited has arrived.

    `held` maps each key that anybody lacks to its holders. A clock that ran for twelve times as long starts no more.
    """
    return {arc: _gone_on(clock, arc[1], held, patience, now) for arc, clock in clocks.items()}


def _gone_on(clock: Clock, target: str, held: Mapping[str, AbstractSet[str]], patience: float, now: float) -> Clock:
    left = tuple(key for key in clock.keys if key in held and target not in held[key])
    anew = clock.level < HEAVY and (len(left) < len(clock.keys) or clock.since > now)
    since = now if anew else clock.since
    level = HEAVY if now - since >= HEAVIER * patience else LIGHT if now - since >= patience else 0
    return Clock(since, left, max(clock.level, level))


def shut(clocks: Clocks, own: str, answers: Answers) -> Shut:
    """Return what this repository plans without. Its own arcs are open while the other end answers."""
    levels = {arc: clock.level for arc, clock in clocks.items() if clock.level and not answers.open(arc, own)}
    levels |= {arc: HEAVY for uuid in answers.away for arc in ((own, uuid, True), (uuid, own, True))}
    late = frozenset(target for _, target, _ in levels) - answers.here
    return Shut(frozenset(levels), frozenset(arc for arc, level in levels.items() if level == HEAVY), late)


def nobody_waits(net: Network, own: str, found: Shut) -> Shut:
    """Shut all arcs but this repository's own, where others are not waited for at all."""
    pairs = ((link.owner, link.remote) for link in net.links if link.owner != own)
    others = frozenset(arc for a, b in pairs for arc in ((a, b, False), (b, a, False)))
    return Shut(found.light | others, found.heavy | others, found.late)


def executed_steps(group: KeyGroup, own: str) -> list[Step]:
    """Return the steps that this repository makes: its part of the plan without what is shut.

    A step that is heavier than the one that it replaces waits until that one's arc is shut in any case.
    """
    made = {step.target: step for step in group.base.steps if own in step.executors}
    made |= {step.target: step for step in group.plan.steps if own in step.executors and not _too_heavy(group, step)}
    return [step for step in dict.fromkeys((*group.plan.steps, *group.base.steps)) if made.get(step.target) == step]


def _too_heavy(group: KeyGroup, step: Step) -> bool:
    if group.plan is group.base:
        return False
    replaced = [other for other in group.base.steps if other.target == step.target]
    if not replaced:  # instead of another target of which only one is to have it
        kept = {other.target for other in group.plan.steps}
        replaced = [other for other in group.base.steps if other.target not in kept]
    return not any((step.cost, step.milliseconds) <= (other.cost, other.milliseconds) for other in replaced)


def waiting(groups: Iterable[KeyGroup], own: str) -> dict[ExecutedArc, list[str]]:
    """Return the arcs over which content could travel now, whoever is to move it, and the keys."""
    found: dict[ExecutedArc, set[str]] = {}
    for group in groups:
        ours, at = executed_steps(group, own), group.plan.question.holders
        for step in (step for plan in group.plans for step in plan.steps):
            mine = own in step.executors
            if step.source in at and step.target not in at and (step in ours or not mine):
                found.setdefault((step.source, step.target, mine), set()).update(group.keys)
    return {arc: sorted(keys, key=lambda key: (key_size(key), key)) for arc, keys in found.items()}


def kept(
    clocks: Clocks, groups: Collection[KeyGroup], ways: Arcs, own: str, answers: Answers, now: float
) -> dict[ExecutedArc, Clock]:
    """Return the clocks that go on or start as a run ends; `ways` are all arcs that there are.

    A shut arc stays shut until its target lacks nothing that has a way, or until it is our own and open again. Where
    nothing is open any more towards a target, all that leads there is tried anew.
    """
    led_to = functools.cache(lambda holders, targets: reachable(ways, Question(holders, targets)))
    lacking: set[str] = set()
    cut_off: set[str] = set()  # targets to which only what is shut leads, and the relays that could be on the way
    for group in groups:
        for plan in group.plans:
            lacking |= led_to(plan.question.holders, plan.question.targets)
        base = group.base
        reached = led_to(base.question.holders, base.question.targets)
        if (gone := reached & {uuid for uuid, _ in base.unreachable}) and not answers.away:
            cut_off |= gone | (reached - base.question.targets)
    lacking -= cut_off
    shut_still = (arc for arc, clock in clocks.items() if clock.level and not answers.open(arc, own))
    found = {arc: clocks[arc] for arc in shut_still if arc[1] in lacking}
    for arc, keys in waiting(groups, own).items():
        clock = clocks.get(arc) if arc[1] in lacking else None
        found[arc] = replace(clock or Clock(now), keys=tuple(keys[:SAMPLE]))
    return found


def due(clock: Clock | None, patience: float) -> float | None:
    """Return when this repository will look for another way; None where it has already."""
    if clock is None or clock.level == HEAVY:
        return None
    return clock.since + patience * (HEAVIER if clock.level else 1)
