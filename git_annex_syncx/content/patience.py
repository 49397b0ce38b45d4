"""Clocks of arcs: how long a step of the plan is waited for before this repository plans without its arc. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
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
LedTo = Mapping[tuple[frozenset[str], frozenset[str]], frozenset[str]]  # (holders, targets) -> what has a way


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

    @property
    def questions(self) -> Iterator[Question]:
        """Yield what was asked for."""
        return (plan.question for plan in self.plans)


@dataclass(frozen=True)
class Wait:
    """Files that `target` lacks and that wait for `step`, until (seconds since 1970) another way is looked for."""

    target: str
    step: Step
    files: int
    until: float | None


@dataclass(frozen=True)
class Answers:
    """The other repositories that can be reached now, and those away of which nobody wants to wait."""

    here: frozenset[str] = field(default_factory=frozenset)
    away: frozenset[str] = field(default_factory=frozenset)


def gone_on(
    clocks: Clocks, held: Mapping[str, AbstractSet[str]], patience: float, now: float
) -> dict[ExecutedArc, Clock]:
    """Return the clocks as they stand: one starts anew where a key that waited has arrived.

    `held` maps each key that anybody lacks to its holders. What was waited for twelve times as long starts no more.
    """
    return {arc: _gone_on(clock, arc[1], held, patience, now) for arc, clock in clocks.items()}


def _gone_on(clock: Clock, target: str, held: Mapping[str, AbstractSet[str]], patience: float, now: float) -> Clock:
    left = tuple(key for key in clock.keys if key in held and target not in held[key])
    anew = clock.level < HEAVY and (len(left) < len(clock.keys) or clock.since > now)
    since = now if anew else clock.since
    waited = now - since
    level = HEAVY if waited >= HEAVIER * patience else LIGHT if waited >= patience else 0
    return Clock(since, left, max(clock.level, level))


def shut(clocks: Clocks, own: str, answers: Answers) -> Shut:
    """Return what this repository plans without. Its own arcs are open while the other end answers."""
    levels = {arc: clock.level for arc, clock in clocks.items() if clock.level and not _answers(arc, own, answers)}
    levels |= {arc: HEAVY for uuid in answers.away for arc in ((own, uuid, True), (uuid, own, True))}
    late = frozenset(target for _, target, _ in levels) - answers.here
    return Shut(frozenset(levels), frozenset(arc for arc, level in levels.items() if level == HEAVY), late)


def _answers(arc: ExecutedArc, own: str, answers: Answers) -> bool:
    source, target, ours = arc
    return ours and (target if source == own else source) in answers.here


def nobody_waits(net: Network, own: str, found: Shut) -> Shut:
    """Return the same where others are not waited for at all: only this repository's own arcs are open."""
    pairs = ((link.owner, link.remote) for link in net.links if link.owner != own)
    others = frozenset(arc for a, b in pairs for arc in ((a, b, False), (b, a, False)))
    return Shut(found.light | others, found.heavy | others, found.late)


def executed_steps(group: KeyGroup, own: str) -> list[Step]:
    """Return the steps that this repository makes: its part of the plan without what is shut.

    A step that is heavier than the one that it replaces waits until that one's arc is shut in any case.
    """
    made = {step.target: step for step in group.base.steps if step.executor == own}
    for step in group.plan.steps:
        if step.executor == own and not _too_heavy(group, step):
            made[step.target] = step
    return [step for step in dict.fromkeys((*group.plan.steps, *group.base.steps)) if made.get(step.target) == step]


def _too_heavy(group: KeyGroup, step: Step) -> bool:
    if group.plan is group.base:
        return False
    replaced = [other for other in group.base.steps if other.target == step.target]
    if not replaced:  # instead of another target of which only one is to have it
        kept = {other.target for other in group.plan.steps}
        replaced = [other for other in group.base.steps if other.target not in kept]
    return not any(_weight(step) <= _weight(other) for other in replaced)


def _weight(step: Step) -> tuple[float, int]:
    return step.cost, step.milliseconds


def waiting(groups: Iterable[KeyGroup], own: str) -> dict[ExecutedArc, list[str]]:
    """Return the arcs over which content could travel now, whoever is to move it, and the keys."""
    found: dict[ExecutedArc, set[str]] = {}
    for group in groups:
        ours, at = executed_steps(group, own), group.plan.question.holders
        for step in (step for plan in group.plans for step in plan.steps):
            mine = step.executor == own
            if step.source in at and step.target not in at and (step in ours or not mine):
                found.setdefault((step.source, step.target, mine), set()).update(group.keys)
    return {arc: sorted(keys, key=lambda key: (key_size(key), key)) for arc, keys in found.items()}


def kept(
    clocks: Clocks, groups: Collection[KeyGroup], ways: Arcs, own: str, answers: Answers, now: float
) -> dict[ExecutedArc, Clock]:
    """Return the clocks that go on or start as a run ends; `ways` are all that there are.

    A shut arc stays shut until its target lacks nothing that has a way, or until it is our own and open again. Where
    nothing is open any more towards a target, all that leads there is tried anew.
    """
    asked = {(question.holders, question.targets): question for group in groups for question in group.questions}
    led_to = {name: reachable(ways, question) for name, question in asked.items()}
    lacking = frozenset[str]().union(*led_to.values()) - _cut_off(groups, led_to, answers)
    found = {
        arc: clock
        for arc, clock in clocks.items()
        if clock.level and arc[1] in lacking and not _answers(arc, own, answers)
    }
    for arc, keys in waiting(groups, own).items():
        clock = clocks.get(arc) if arc[1] in lacking else None
        found[arc] = replace(clock or Clock(now), keys=tuple(keys[:SAMPLE]))
    return found


def _cut_off(groups: Iterable[KeyGroup], led_to: LedTo, answers: Answers) -> set[str]:
    """Return targets to which only what is shut leads, and the relays that could be on the way."""
    found: set[str] = set()
    for base in (group.base for group in groups if not answers.away):
        question = base.question
        known = led_to[question.holders, question.targets]
        if gone := known & {uuid for uuid, _ in base.unreachable}:
            found |= gone | (known - question.targets)
    return found


def due(clock: Clock | None, patience: float) -> float | None:
    """Return when this repository will look for another way; None where it has already."""
    if clock is None or clock.level == HEAVY:
        return None
    return clock.since + patience * (HEAVIER if clock.level else 1)
