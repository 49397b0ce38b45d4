"""Group keys that are alike, plan each group once, and tell the steps that this repository makes. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content.patience import KeyGroup, Shut
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.model import Need
from git_annex_syncx.network.plan import Plan, Question, Step, plan, reachable
from git_annex_syncx.network.weights import Arcs, ExecutedArc, arcs

OPEN = Shut()
ShutArcs = frozenset[ExecutedArc]
Planner = Callable[[ShutArcs, Question], Plan]


@dataclass(frozen=True, order=True)
class OwnStep:
    """One transfer of a key that this repository makes; uuids. `through` is set where no copy stays here."""

    source: str
    target: str
    operation: str  # "push" or "pull"
    through: bool = False


def planner_of(policy: Policy) -> Planner:
    """Return what plans in a network without the arcs that are shut."""
    ways = functools.cache(functools.partial(_arcs, policy))
    return lambda shut, question: plan(ways(shut), question)


def groups(
    policy: Policy,
    needs: Iterable[Need],
    by_time: bool = False,
    relays: bool = True,
    shut: Shut = OPEN,
    planner: Planner | None = None,
) -> Iterator[KeyGroup]:
    """Yield plans. All nodes that know the same make the same groups, whatever the exact sizes are.

    Where nothing is shut the plans are the same too, else this repository alone has another one.
    """
    alike: dict[tuple[frozenset[str], str, frozenset[str], frozenset[str], int], list[str]] = {}
    targets_now: dict[tuple[frozenset[str], frozenset[str]], tuple[frozenset[str], frozenset[str]]] = {}
    heavy = replace(shut, late=shut.late & {target for _, target, _ in shut.heavy})
    for need in needs:
        pair = (need.holders, need.targets)
        if pair not in targets_now:
            targets_now[pair] = in_this_round(policy, *pair, shut), in_this_round(policy, *pair, heavy)
        now, base = targets_now[pair]
        if now:
            alike.setdefault((need.holders, need.first, now, base, key_size(need.key).bit_length()), []).append(
                need.key
            )
    if not alike:
        return  # no graph is built, and networkx stays unloaded
    planned = planner or planner_of(policy)
    for (holders, first, now, base, bits), keys in sorted(alike.items(), key=lambda item: (item[0][4], min(item[1]))):
        total = sum(map(key_size, keys))
        # The tree depends on the class of size alone: nodes that know other keys of it make the same.
        question = Question(holders, now, len(keys), total, 1 << bits, by_time, relays, first)
        found = planned(shut.light, question)
        same = shut.light == shut.heavy and now == base
        other = found if same else planned(shut.heavy, replace(question, targets=base))
        yield KeyGroup(found, tuple(keys), other)


def _arcs(policy: Policy, shut: ShutArcs) -> Arcs:
    return arcs(policy.network, shut, policy.own) if shut else policy.arcs


def in_this_round(
    policy: Policy, holders: frozenset[str], targets: frozenset[str], shut: Shut = OPEN
) -> frozenset[str]:
    """Return the targets, of those whose wishes depend on copies only one: with its copy the others are asked again.

    It is one to which content comes without the others. One that was waited for comes late.
    """
    careful = {uuid for uuid in targets if uuid in policy.choosy and policy.wishes.depends_on_copies(uuid)}
    if len(careful) < 2:
        return targets
    places = policy.network.by_uuid
    order = sorted(
        careful, key=lambda uuid: (uuid in shut.late, places[uuid].removable, policy.nearness.get(uuid, 0), uuid)
    )
    alone = ((uuid, Question(holders, targets - careful | {uuid})) for uuid in order)
    first = next((uuid for uuid, question in alone if uuid in reachable(policy.arcs, question)), order[0])
    return targets - (careful - {first})


def ways(policy: Policy, base: Plan, planner: Planner | None = None) -> dict[str, tuple[Step, Step]]:
    """Return the first and the last step by which content comes to each target that has a way.

    Where only what is shut leads there, it is the one of the plan that all others make.
    """
    planned = planner or planner_of(policy)
    common = _ways(planned(OPEN.light, base.question)) if base.unreachable else {}
    return {uuid: steps for uuid, steps in (common | _ways(base)).items() if uuid in base.question.targets}


def _ways(found: Plan) -> dict[str, tuple[Step, Step]]:
    steps: dict[str, tuple[Step, Step]] = {}
    for step in found.steps:  # in the order in which they would run
        first, _ = steps.get(step.source, (step, step))
        steps[step.target] = first, step
    return steps


def make_own_steps(steps: Iterable[Step], own: str, through: bool) -> tuple[OwnStep, ...]:
    """Return our own steps in order; with `through` from remote to remote where content is only passed on here."""
    steps = list(steps)
    into, out = [step for step in steps if step.target == own], [step for step in steps if step.source == own]
    passes = through and len(into) == len(out) == 1 and into[0].relay
    own_steps = []
    for step in steps:
        if passes and step == into[0]:
            own_steps.append(OwnStep(step.source, out[0].target, "push", through=True))
        elif not (passes and step == out[0]):
            own_steps.append(OwnStep(step.source, step.target, step.operation_of(own)))
    return tuple(own_steps)


def straight(policy: Policy, group: KeyGroup) -> list[OwnStep]:
    """Return what this repository could fetch of a group at once, from which holders, the lightest first."""
    if policy.own not in group.plan.question.targets:
        return []
    links = [link for link in policy.network.links if link.owner == policy.own and link.pull]
    near = sorted((link.cost, link.latency_ms or 0.0, link.remote) for link in links)
    holders = group.plan.question.holders
    return [OwnStep(uuid, policy.own, "pull") for _, _, uuid in near if uuid in holders]
