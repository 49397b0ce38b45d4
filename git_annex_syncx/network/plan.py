"""The plan of who sends what to whom: the cheapest tree from those who hold content to those who want it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

from git_annex_syncx.model import OUTSIDE
from git_annex_syncx.network.steiner import cheapest_tree
from git_annex_syncx.network.weights import (
    PRIME,
    RELAY_PENALTY,
    REMOVABLE_PENALTY,
    Arcs,
    Scale,
    decade,
    executors,
    expected,
    hashed,
    ranks,
    thousandths,
    weights,
)

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
    first: str = ""  # who held it first; "": the holder with the smallest uuid

    @property
    def one_size(self) -> int:
        """The size of one key in bytes."""
        return self.bytes // max(self.keys, 1) if self.size is None else self.size


@dataclass(frozen=True)
class Step:
    """One transfer. `start` and `end` in seconds from now, None where no speed is known.

    `executors` are the ends that make it, whoever runs first; the first one does so at once.
    """

    source: str
    target: str
    executors: tuple[str, ...]
    cost: float
    relay: bool  # the target passes it on and does not want it
    milliseconds: int = 0  # for one key, as a power of ten
    start: float | None = None
    end: float | None = None

    @property
    def executor(self) -> str:
        """Return its first end."""
        return self.executors[0]

    @property
    def operation(self) -> str:
        """Return what its first end does: "push" or "pull"."""
        return self.operation_of(self.executor)

    def operation_of(self, executor: str) -> str:
        """Return what one of its ends does: "push" or "pull"."""
        return "pull" if executor == self.target else "push"

    def executor_for(self, uuid: str) -> str:
        """Return who makes it in the eyes of a repository: that itself, where it is one of the ends that can."""
        return uuid if uuid in self.executors else self.executor

    def other_end(self, uuid: str) -> str:
        """Return the end that a repository is not; the source, where it is neither."""
        return self.target if self.source == uuid else self.source


@dataclass(frozen=True)
class Plan:
    """The answer: steps in the order in which they would run."""

    question: Question
    steps: tuple[Step, ...]
    unreachable: tuple[tuple[str, str], ...]  # uuid, reason
    cost: float
    lower_bound: float
    exact: bool
    flood_cost: float


@dataclass(frozen=True)
class _Table:
    """The arcs that a question is about, between numbered nodes. Number 0 is all holders together."""

    nodes: Sequence[str]  # "", then targets and relays
    incoming: Sequence[Mapping[int, int]]  # weights
    gates: Mapping[int, str]  # into a node from the holders: from which one
    scale: Scale


def plan(arcs: Arcs, question: Question) -> Plan:
    """Return the cheapest tree, the same on every node that knows the same arcs."""
    holders = _alive(arcs, question.holders)
    wanted = question.targets - question.holders
    targets = _alive(arcs, wanted)
    relays = _relays(arcs, question) - holders - targets
    far = _distances(arcs, holders, targets | relays)
    reached = targets & far.keys()
    table = _table(arcs, question, holders, sorted(reached | (relays & far.keys())))
    tree = cheapest_tree(table.incoming, ROOT, [n for n, uuid in enumerate(table.nodes) if uuid in relays])
    tree_arcs = {
        table.nodes[v]: table.gates[v] if u == ROOT else table.nodes[u] for v, u in tree.parent.items() if v != ROOT
    }
    cost = sum(thousandths(arcs.edges[u, v]["cost"]) for v, u in tree_arcs.items())
    paid, bound = table.scale.first(tree.cost), table.scale.first(tree.bound)
    return Plan(
        question=question,
        steps=tuple(_steps(arcs, question, tree_arcs)),
        unreachable=tuple(_unreachable(arcs, wanted, reached, holders)),
        cost=cost / 1000,
        lower_bound=_lower_bound(cost, paid, bound, question.by_time),
        exact=paid == bound,
        flood_cost=sum(far[uuid] for uuid in reached) / 1000,
    )


def reachable(arcs: Arcs, question: Question) -> frozenset[str]:
    """Return the targets and relays to which content has a way."""
    holders = _alive(arcs, question.holders)
    through = _alive(arcs, question.targets) | _relays(arcs, question)
    return frozenset(_distances(arcs, holders, through)) - holders


def _lower_bound(cost: int, paid: int, bound: int, by_time: bool) -> float:
    """Return what a better tree would cost at least, without the penalties that this one pays."""
    if by_time:
        return cost * bound / paid / 1000 if paid else 0.0
    return max(0, cost - (paid - bound)) / 1000


def _alive(arcs: Arcs, uuids: Iterable[str]) -> frozenset[str]:
    return frozenset(uuid for uuid in uuids if uuid in arcs and not arcs.nodes[uuid].get("dead"))


def _relays(arcs: Arcs, question: Question) -> frozenset[str]:
    if not question.relays:
        return frozenset()
    return _alive(arcs, (uuid for uuid, place in arcs.nodes.items() if place.get("relay")))


def _distances(arcs: Arcs, holders: AbstractSet[str], through: AbstractSet[str]) -> dict[str, int]:
    """Return what the cheapest path from a holder `through` some nodes costs, in thousandths, where there is one."""
    import networkx

    def cost(_: str, target: str, arc: dict[str, Any]) -> int | None:
        return thousandths(arc["cost"]) if target in through else None  # None hides an arc

    found: dict[str, int] = networkx.multi_source_dijkstra_path_length(arcs, holders, weight=cost) if holders else {}
    return found


def _unreachable(
    arcs: Arcs, wanted: frozenset[str], reached: frozenset[str], holders: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Yield who cannot have it, and why: what would have to be otherwise for a way to be there."""
    if wanted == reached:
        return
    anywhere = _alive(arcs, arcs)
    by_any_relay = _distances(arcs, holders, anywhere)
    both_ways = arcs.copy()
    closed = (
        ends for ends in arcs.graph.get("closed", ()) if ends[1] not in OUTSIDE
    )  # nothing passes through the web
    both_ways.add_edges_from(closed, cost=0.0)
    by_any_way = _distances(both_ways, holders, anywhere)
    for uuid in sorted(wanted - reached):
        if uuid in arcs and uuid not in anywhere:
            yield uuid, "dead"
        elif uuid in by_any_relay:
            yield uuid, "relay-forbidden"
        else:
            yield uuid, "read-only" if uuid in by_any_way else "no-path"


def _table(arcs: Arcs, question: Question, holders: frozenset[str], members: Sequence[str]) -> _Table:
    """Number and weigh all arcs between the nodes in play; into a holder there is none."""
    scale = Scale(len(arcs) + 1, question.by_time)
    weighed = weights(arcs, scale, question.one_size)
    from_drive, into_relay = scale.pack(REMOVABLE_PENALTY, 0), scale.pack(RELAY_PENALTY, 0)
    first = question.first if question.first in arcs else min(holders, default="")
    rank = ranks(arcs, first, scale, question.one_size)
    numbers = dict.fromkeys(holders, ROOT) | {uuid: n for n, uuid in enumerate(members, start=1)}
    sources = {
        uuid: (
            n,
            from_drive * bool(arcs.nodes[uuid].get("removable")) + scale.pack_rank(rank[uuid]),
            hashed(uuid, b"from"),
        )
        for uuid, n in numbers.items()
    }
    incoming: list[dict[int, int]] = [{}]
    gates = {}
    for n, target in enumerate(members, start=1):
        into: dict[int, int] = {}
        penalty, towards = 0 if target in question.targets else into_relay, hashed(target, b"to")
        for source, weight in weighed[target].items():
            if source in sources:
                k, leaving, away = sources[source]
                total = weight + leaving + penalty + away * towards % PRIME
                if k != ROOT:
                    into[k] = total
                elif total < into.get(ROOT, total + 1):
                    into[ROOT], gates[n] = total, source
        incoming.append(into)
    return _Table(["", *members], incoming, gates, scale)


def timed(found: Plan, question: Question) -> Plan:
    """Return the plan for more keys: only when a step begins and ends is another."""
    shares = question.bytes / max(found.question.bytes, 1)

    def later(seconds: float | None) -> float | None:
        return None if seconds is None else seconds * shares

    steps = tuple(replace(step, start=later(step.start), end=later(step.end)) for step in found.steps)
    return replace(found, question=question, steps=steps)


def _steps(arcs: Arcs, question: Question, tree_arcs: Mapping[str, str]) -> Iterator[Step]:
    """Yield each step as soon as its source has the content, cheaper ones first."""
    onward: dict[str, list[str]] = {}
    for target in sorted(tree_arcs):
        onward.setdefault(tree_arcs[target], []).append(target)
    ready: list[tuple[int, int, str, bool]] = []

    def open_up(source: str, at: int, known: bool) -> None:
        for target in onward.get(source, ()):
            heappush(ready, (at, thousandths(arcs.edges[source, target]["cost"]), target, known))

    for source in sorted(onward.keys() - tree_arcs.keys()):
        open_up(source, 0, True)
    while ready:
        at, _, target, known = heappop(ready)
        arc = arcs.edges[tree_arcs[target], target]
        measured = (arc.get("latency_ms"), arc.get("bytes_per_second"))
        end = at + expected(arc, question.bytes)
        known = known and None not in measured
        step = _step(arc, tree_arcs[target], target, question)
        yield replace(step, start=at / 1000, end=end / 1000) if known else step
        open_up(target, end, known)


def _step(arc: Mapping[str, Any], source: str, target: str, question: Question) -> Step:
    return Step(
        source=source,
        target=target,
        executors=executors(source, target, arc),
        cost=thousandths(arc["cost"]) / 1000,
        relay=target not in question.targets,
        milliseconds=decade(expected(arc, question.one_size)),
    )
