"""The plan of who sends what to whom: the cheapest tree from those who hold content to those who want it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

from git_annex_syncx.network.arborescence import minimum_arborescence
from git_annex_syncx.network.steiner import Tree, cheapest_tree, useful
from git_annex_syncx.network.weights import PRIME, RELAY_PENALTY, REMOVABLE_PENALTY, Arc, Arcs, Scale, hashes

VERSION = 1
ROOT = 0


@dataclass(frozen=True)
class Question:
    """A question to the planner: `bytes` in `keys` keys, which `holders` have and `targets` want."""

    holders: frozenset[str]
    targets: frozenset[str]
    keys: int = 1
    bytes: int = 0
    size: int | None = None  # of one key, as the tree is chosen by it; None: the average
    by_time: bool = False
    relays: bool = True
    seconds: float = float("inf")  # how long to look for a better tree where relays make it hard

    @property
    def one_size(self) -> int:
        """The size of one key in bytes."""
        return self.bytes // max(self.keys, 1) if self.size is None else self.size


@dataclass(frozen=True)
class Step:
    """One transfer. `start` and `end` in seconds from now, None where no speed is known."""

    source: str
    target: str
    executor: str
    operation: str  # "push" or "pull"
    cost: float
    relay: bool  # the target passes it on and does not want it
    milliseconds: int = 0  # for one key, as a power of ten
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Plan:
    """The answer: steps in the order in which they would run. `late`: a deadline ended the search."""

    question: Question
    steps: tuple[Step, ...]
    unreachable: tuple[tuple[str, str], ...]  # uuid, reason
    cost: float
    lower_bound: float
    exact: bool
    flood_cost: float
    late: bool = False


@dataclass(frozen=True)
class _Table:
    """The arcs that a question is about. Number 0 is all holders together."""

    nodes: Sequence[int]  # -1, then the numbers of targets and relays in the graph
    incoming: Sequence[Mapping[int, int]]  # weights
    gates: Mapping[int, int]  # into a node from the holders: from which one
    outgoing: Sequence[Sequence[int]]  # cost in thousandths, times the number of nodes, plus the target
    scale: Scale


def plan(arcs: Arcs, question: Question) -> Plan:
    """Return the cheapest tree, the same on every node that knows the same arcs."""
    holders = _numbers(arcs, question.holders)
    wanted = question.targets - question.holders
    targets = _numbers(arcs, wanted) - holders
    relays = _relays(arcs, question) - holders - targets
    reached = _reached(arcs, holders, targets | relays)
    table = _table(arcs, question, holders, sorted((targets | relays) & reached))
    tree = _tree(table, {n for n, v in enumerate(table.nodes) if v in relays}, question.seconds)
    tree_arcs = {
        table.nodes[v]: table.gates[v] if u == ROOT else table.nodes[u] for v, u in tree.parent.items() if v != ROOT
    }
    steps = tuple(_steps(arcs, question, tree_arcs, targets))
    cost = sum(arcs.arc(u, v).cost for v, u in tree_arcs.items())
    paid, bound = table.scale.first(tree.cost), table.scale.first(tree.bound)
    return Plan(
        question=question,
        steps=steps,
        unreachable=tuple(_unreachable(arcs, question, wanted, targets - reached, holders)),
        cost=cost / 1000,
        lower_bound=_lower_bound(cost, paid, bound, question.by_time),
        exact=paid == bound,
        flood_cost=_flood(table, {n for n, v in enumerate(table.nodes) if v in targets}) / 1000,
        late=tree.late and paid > bound,
    )


def reachable(arcs: Arcs, question: Question) -> frozenset[str]:
    """Return the targets and relays to which content has a way."""
    holders, targets = _numbers(arcs, question.holders), _numbers(arcs, question.targets)
    through = (targets | _relays(arcs, question)) - holders
    return frozenset(arcs.places[v].uuid for v in _reached(arcs, holders, through) - holders)


def _lower_bound(cost: int, paid: int, bound: int, by_time: bool) -> float:
    """Return what a better tree would cost at least, without the penalties that this one pays."""
    if by_time:
        return cost * bound / paid / 1000 if paid else 0.0
    return max(0, cost - (paid - bound)) / 1000


def _numbers(arcs: Arcs, uuids: Iterable[str]) -> set[int]:
    numbers = {arcs.number[uuid] for uuid in uuids if uuid in arcs.number}
    return {v for v in numbers if not arcs.places[v].dead}


def _relays(arcs: Arcs, question: Question) -> set[int]:
    if not question.relays:
        return set()
    return {v for v, place in enumerate(arcs.places) if place.relay and not place.dead}


def _reached(arcs: Arcs, start: set[int], through: set[int], more: Iterable[tuple[int, int]] = ()) -> set[int]:
    """Return the nodes that content can reach from `start` by way of some nodes."""
    onward: dict[int, list[int]] = {}
    for v in through:
        for u in arcs.incoming[v]:
            onward.setdefault(u, []).append(v)
    for u, v in more:
        onward.setdefault(u, []).append(v)
    known, waiting = set(start), list(start)
    while waiting:
        for v in onward.get(waiting.pop(), ()):
            if v not in known and v in through:
                known.add(v)
                waiting.append(v)
    return known


def _unreachable(
    arcs: Arcs, question: Question, wanted: frozenset[str], cut_off: set[int], holders: set[int]
) -> Iterator[tuple[str, str]]:
    """Yield who cannot have it, and why: what would have to be otherwise for a way to be there."""
    if not cut_off and wanted <= arcs.number.keys() and not any(arcs.places[arcs.number[w]].dead for w in wanted):
        return
    anywhere = {v for v, place in enumerate(arcs.places) if not place.dead}
    by_any_relay = _reached(arcs, holders, anywhere)
    by_any_way = _reached(arcs, holders, anywhere, arcs.closed)
    for uuid in sorted(wanted):
        v = arcs.number.get(uuid, -1)
        if v >= 0 and arcs.places[v].dead:
            yield uuid, "dead"
        elif v < 0 or v in cut_off:
            reason = "relay-forbidden" if v in by_any_relay else "read-only" if v in by_any_way else "no-path"
            yield uuid, reason


def _table(arcs: Arcs, question: Question, holders: set[int], members: Sequence[int]) -> _Table:
    """Number and weigh all arcs between the nodes in play; into a holder there is none."""
    nodes = [-1, *members]
    number = [-1] * len(arcs.places)
    for v in holders:
        number[v] = ROOT
    for n, v in enumerate(members, start=1):
        number[v] = n
    uuids, count, scale = [place.uuid for place in arcs.places], len(nodes), Scale(len(nodes), question.by_time)
    away, towards = hashes(uuids, b"from"), hashes(uuids, b"to")
    size = question.one_size
    weights = [scale.pack(kind.cost, kind.milliseconds(size), 0) for kind in arcs.kinds]
    costs = [kind.cost * count for kind in arcs.kinds]
    from_drive, into_relay = scale.pack(REMOVABLE_PENALTY, 0, 0), scale.pack(RELAY_PENALTY, 0, 0)
    extra = [from_drive if place.removable else 0 for place in arcs.places]
    incoming: list[dict[int, int]] = [{}]
    outgoing: list[list[int]] = [[] for _ in nodes]
    gates = {}
    for n, v in enumerate(members, start=1):
        tree_arcs: dict[int, int] = {}
        into, towards_v = 0 if uuids[v] in question.targets else into_relay, towards[v]
        for u, kind in arcs.incoming[v].items():
            k = number[u]
            if k >= 0:
                weight = weights[kind] + extra[u] + into + away[u] * towards_v % PRIME
                outgoing[k].append(costs[kind] + n)
                if k:
                    tree_arcs[k] = weight
                elif weight < tree_arcs.get(ROOT, weight + 1):
                    tree_arcs[ROOT], gates[n] = weight, u
        incoming.append(tree_arcs)
    return _Table(nodes, incoming, gates, outgoing, scale)


def _tree(table: _Table, relays: set[int], seconds: float) -> Tree:
    if useful(table.incoming, ROOT, relays):
        return cheapest_tree(table.incoming, ROOT, relays, seconds=seconds)
    kept = [n for n in range(len(table.nodes)) if n not in relays]
    index = {n: k for k, n in enumerate(kept)}
    if relays:
        incoming: Sequence[Mapping[int, int]] = [
            {index[u]: w for u, w in table.incoming[n].items() if u in index} for n in kept
        ]
    else:
        incoming = table.incoming
    found = minimum_arborescence(incoming, ROOT)
    return Tree({kept[v]: kept[u] for v, u in enumerate(found.parent) if v != ROOT}, found.cost, found.cost)


def timed(found: Plan, question: Question) -> Plan:
    """Return the plan for more keys: only when a step begins and ends is another."""
    shares = question.bytes / max(found.question.bytes, 1)

    def later(seconds: float | None) -> float | None:
        return None if seconds is None else seconds * shares

    steps = tuple(replace(step, start=later(step.start), end=later(step.end)) for step in found.steps)
    return replace(found, question=question, steps=steps)


def _steps(arcs: Arcs, question: Question, tree_arcs: Mapping[int, int], targets: set[int]) -> Iterator[Step]:
    """Each as soon as its source has the content, cheaper ones first."""
    onward: dict[int, list[int]] = {}
    for v in sorted(tree_arcs):
        onward.setdefault(tree_arcs[v], []).append(v)
    ready: list[tuple[int, int, int, bool]] = []

    def open_up(u: int, at: int, known: bool) -> None:
        for v in onward.get(u, ()):
            heappush(ready, (at, arcs.arc(u, v).cost, v, known))

    for u in sorted(set(onward) - set(tree_arcs)):
        open_up(u, 0, True)
    while ready:
        at, _, v, known = heappop(ready)
        arc = arcs.arc(tree_arcs[v], v)
        end = at + arc.milliseconds(question.bytes)
        known = known and arc.measured
        step = _step(arcs, arc, tree_arcs[v], v, v not in targets, (at, end) if known else None)
        yield replace(step, milliseconds=arc.time_class(question.one_size))
        open_up(v, end, known)


def _step(arcs: Arcs, arc: Arc, u: int, v: int, relay: bool, times: tuple[int, int] | None) -> Step:
    return Step(
        source=arcs.places[u].uuid,
        target=arcs.places[v].uuid,
        executor=arcs.places[v if arc.pull else u].uuid,
        operation="pull" if arc.pull else "push",
        cost=arc.cost / 1000,
        relay=relay,
        start=times[0] / 1000 if times else None,
        end=times[1] / 1000 if times else None,
    )


def _flood(table: _Table, targets: set[int]) -> int:
    """Return the cost, in thousandths, of sending from the holders to each target along the cheapest path."""
    done: dict[int, int] = {}
    near: dict[int, int] = {ROOT: 0}
    heap = [(0, ROOT)]
    while heap:
        at, u = heappop(heap)
        if u in done:
            continue
        done[u] = at
        for packed in table.outgoing[u]:
            cost, v = divmod(packed, len(table.nodes))
            if at + cost < near.get(v, at + cost + 1):
                near[v] = at + cost
                heappush(heap, (at + cost, v))
    return sum(at for v, at in done.items() if v in targets)


def as_json(digest: str, plans: Iterable[Plan], objective: str) -> dict[str, Any]:
    """Return what `plan --json` prints."""
    return {
        "version": VERSION,
        "network": digest,
        "objective": objective,
        "plans": [_plan_json(found) for found in plans],
    }


def _plan_json(found: Plan) -> dict[str, Any]:
    return {
        "keys": found.question.keys,
        "bytes": found.question.bytes,
        "holders": sorted(found.question.holders),
        "targets": sorted(found.question.targets),
        "steps": [
            {
                "from": step.source,
                "to": step.target,
                "executor": step.executor,
                "operation": step.operation,
                "cost": step.cost,
                "relay": step.relay,
                "start": step.start,
                "end": step.end,
            }
            for step in found.steps
        ],
        "unreachable": [{"uuid": uuid, "reason": reason} for uuid, reason in found.unreachable],
        "cost": found.cost,
        "lower_bound": found.lower_bound,
        "exact": found.exact,
        "flood_cost": found.flood_cost,
    }
