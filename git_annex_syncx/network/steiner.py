"""The cheapest tree that may, but need not, pass through some of the nodes. Pure.

A branch and bound over the set of optional nodes: with the set chosen, the tree is a minimum-cost arborescence. Lower
bounds by dual ascent (R. T. Wong, "A dual ascent approach for Steiner tree problems on a directed graph",
Mathematical Programming 28, 1984), each growth done as one search by E. W. Dijkstra; optional nodes are struck out
by the reduced costs that it leaves. The work is counted in steps, not in seconds, so that the same question
has the same answer on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush

from git_annex_syncx.network.arborescence import Unreachable, minimum_arborescence

Arcs = Sequence[Mapping[int, int]]
EXACT_UP_TO = 12  # so many optional nodes are decided to the end, whatever the work
MOST_WORK = 10_000_000  # arcs looked at
# How many nodes one growth of an ascent may join before another node's turn comes.
STEADY, WIDEST, NARROWEST = 3, 100, 0


@dataclass(frozen=True)
class Tree:
    """`parent[v]` for nodes in the tree; no tree costs less than `bound`."""

    parent: Mapping[int, int]
    cost: int
    bound: int


@dataclass
class _Search:
    """State that the branches of the search share."""

    incoming: Arcs
    root: int
    work: float
    best: Tree | None = None
    settled: int | None = None  # the cost of a tree that no change of one node makes better
    promise: Mapping[int, int] = field(
        default_factory=dict
    )  # optional node -> what a tree with it costs more, at least

    def spent(self) -> bool:
        return self.work <= 0


def cheapest_tree(incoming: Arcs, root: int, optional: Iterable[int], *, work: int | None = None) -> Tree:
    """Return the cheapest tree from `root` to all nodes but the optional ones, which it uses where that pays.

    `incoming[v]` maps the source of each arc into v to its cost, which must not be negative. All other nodes must be
    reachable (Unreachable). Exact (bound == cost) for up to EXACT_UP_TO useful optional nodes, else as good as
    `work` (arcs looked at) allows.
    """
    optional = frozenset(optional)
    required = frozenset(range(len(incoming))) - optional
    free = useful(incoming, root, optional) if optional else optional
    if work is None:
        arcs = sum(map(len, incoming))
        work = min(MOST_WORK, 200 * arcs + arcs * len(incoming) // 6)
    search = _Search(incoming, root, float("inf") if len(free) <= EXACT_UP_TO else work)
    bound = _branch(search, required, free) if free else 0
    if not free:
        _evaluate(search, required, free)
    if search.best is None:
        raise Unreachable(root)
    return replace(search.best, bound=min(bound, search.best.cost) if free else search.best.cost)


def useful(incoming: Arcs, root: int, optional: Iterable[int]) -> frozenset[int]:
    """The optional nodes through which a way can lead from the root to a node that is not optional."""
    free = set(optional)
    outgoing: list[set[int]] = [set() for _ in incoming]
    for v, arcs in enumerate(incoming):
        for u in arcs:
            outgoing[u].add(v)
    kept = free & _reached(outgoing, [root]) & _reached(incoming, set(range(len(incoming))) - free)
    while dead := {v for v in kept if _is_dead_end(v, incoming, outgoing, free - kept)}:
        kept -= dead
    return frozenset(kept)


def _is_dead_end(v: int, incoming: Arcs, outgoing: Sequence[set[int]], gone: set[int]) -> bool:
    sources, sinks = set(incoming[v]) - gone, outgoing[v] - gone
    return not sources or not sinks or (len(sources) == 1 and sinks <= sources)


def _reached(neighbours: Sequence[Iterable[int]], start: Iterable[int]) -> set[int]:
    known = set(start)
    waiting = list(known)
    while waiting:
        for v in neighbours[waiting.pop()]:
            if v not in known:
                known.add(v)
                waiting.append(v)
    return known


def _branch(search: _Search, required: frozenset[int], free: frozenset[int]) -> int:
    """Decide one optional node after another, where the bound is lowest first; the bound that is left."""
    floor, free = _root_bound(search, required, free)
    opened = [(floor, 0, required, free)]
    while opened and search.best and opened[0][0] < search.best.cost and not search.spent():
        floor, number, required, free = heappop(opened)
        chosen = _undecided(search, required, free)
        if chosen is None:
            continue
        for more, part in ((required | {chosen}, 2 * number + 1), (required, 2 * number + 2)):
            bound, left = _bound(search, more, free - {chosen}, STEADY)
            heappush(opened, (max(bound, floor), part, more, left))
    return opened[0][0] if opened else search.best.cost if search.best else 0


def _root_bound(search: _Search, required: frozenset[int], free: frozenset[int]) -> tuple[int, frozenset[int]]:
    """The bound of the whole question, from several ascents, before and after the local search."""
    floor, free = _bound(search, required, free, STEADY)
    for stride in (WIDEST, NARROWEST):
        _improve(search, required, free, search.work / 2)
        if not search.spent():
            bound, free = _bound(search, required, free, stride)
            floor = max(floor, bound)
    return floor, free


def _undecided(search: _Search, required: frozenset[int], free: frozenset[int]) -> int | None:
    """The optional node to decide next: the one on which most hangs; None where nothing is left to decide."""
    if not free:
        _evaluate(search, required, frozenset())
        return None
    found = _evaluate(search, required, free)
    degree: dict[int, int] = {}
    for u in found.values():
        degree[u] = degree.get(u, 0) + 1
    return max(sorted(free), key=lambda v: degree.get(v, 0))


def _evaluate(search: _Search, required: frozenset[int], chosen: frozenset[int]) -> Mapping[int, int]:
    """The cheapest tree over given nodes without the optional leaves that serve nobody; kept if it is the best."""
    nodes = sorted(required | chosen)
    while True:
        parent = _tree_over(search, nodes)
        if parent is None:
            return {}
        used, kept = set(parent.values()), len(nodes)
        nodes = [v for v in nodes if v in required or v in used]
        if len(nodes) == kept:
            break
    cost = sum(search.incoming[v][u] for v, u in parent.items())
    if search.best is None or cost < search.best.cost:
        search.best = Tree(parent, cost, 0)
    return parent


def _tree_over(search: _Search, nodes: Sequence[int]) -> dict[int, int] | None:
    """The cheapest tree over exactly these nodes, None where there is none."""
    index = {v: n for n, v in enumerate(nodes)}
    everything = len(nodes) == len(search.incoming)
    part = search.incoming if everything else [_among(search.incoming[v], index) for v in nodes]
    search.work -= sum(map(len, part))
    try:
        parent = minimum_arborescence(part, index[search.root]).parent
    except Unreachable:
        return None
    return {v: nodes[parent[n]] for n, v in enumerate(nodes) if v != search.root}


def _among(arcs: Mapping[int, int], index: Mapping[int, int]) -> dict[int, int]:
    return {index[u]: cost for u, cost in arcs.items() if u in index}


def _improve(search: _Search, required: frozenset[int], free: frozenset[int], reserve: float) -> None:
    """Local search: leave out or take in one optional node, as long as that helps and work is left."""
    while search.best is not None and search.best.cost != search.settled:
        before, used = search.best.cost, search.best.parent.keys() & free
        for v in sorted(free, key=lambda v: (v not in used, search.promise.get(v, 0), v)):
            if search.work <= reserve:
                return
            _evaluate(search, required, frozenset((search.best.parent.keys() & free) ^ {v}))
        if search.best.cost == before:
            search.settled = before


def _bound(
    search: _Search, required: frozenset[int], free: frozenset[int], stride: int
) -> tuple[int, frozenset[int]]:
    """A lower bound for trees with these nodes, and the optional nodes that a better tree could still have."""
    try:
        bound, reduced = _ascend(search, required, free, stride)
    except Unreachable:
        return sum(max(arcs.values(), default=0) for arcs in search.incoming) + 1, frozenset()
    from_root = _distances(_turned(reduced), [search.root])
    _evaluate(search, required, frozenset(v for v in free if from_root.get(v) == 0))
    if search.best is None:
        _evaluate(search, required, free)
    if search.best is None:
        return bound, free
    left = search.best.cost - bound
    onward = _distances(reduced, required - {search.root})
    search.promise = {v: from_root[v] + onward[v] for v in free if v in from_root and v in onward}
    return bound, frozenset(v for v, more in search.promise.items() if more < left)


def _ascend(
    search: _Search, required: frozenset[int], free: frozenset[int], stride: int
) -> tuple[int, list[dict[int, int]]]:
    """Dual ascent: the bound, and what is left of the cost of each arc. Raises Unreachable.

    Each required node in turn, the one that has paid least first, pays for the arcs towards it until `stride` more
    nodes are joined. It is out when the next one is the root, or a required node that goes on paying.
    """
    allowed = required | free
    reduced = [
        {u: c for u, c in arcs.items() if u in allowed} if v in allowed else {}
        for v, arcs in enumerate(search.incoming)
    ]
    alive = bytearray(len(reduced))
    for v in required:
        alive[v] = True
    waiting = [(min(reduced[v].values(), default=0), v, 0) for v in required if v != search.root]
    heapify(waiting)
    bound = 0
    while waiting and not (search.best and search.spent()):  # what was paid so far is a bound
        _, v, paid = heappop(waiting)
        more, met = _grow(search, reduced, alive, v, stride)
        bound += more
        alive[v] = not met
        if not met:
            heappush(waiting, (paid + more, v, paid + more))
    return bound, reduced


def _grow(
    search: _Search, reduced: list[dict[int, int]], alive: bytearray, start: int, stride: int
) -> tuple[int, bool]:
    """Search backwards from one node: what it pays, and whether it met a live one.

    The arcs that the joined nodes are entered by get cheaper by what is paid while they are. Raises Unreachable.
    """
    joined: dict[int, int] = {}
    near = {start: 0}
    heap = [(0, start)]
    at, met = 0, False
    while True:
        if not heap:
            raise Unreachable(start)
        way, v = heappop(heap)
        if v in joined:
            continue
        stride -= way > at
        at = way
        met = bool(alive[v]) and v != start
        if met or stride < 0:
            break
        joined[v] = way
        for u, cost in reduced[v].items():
            if u not in joined and way + cost < near.get(u, way + cost + 1):
                near[u] = way + cost
                heappush(heap, (way + cost, u))
    for v, since in joined.items():
        arcs = reduced[v]
        search.work -= len(arcs)
        for u in arcs if since < at else ():
            until = min(joined.get(u, at), at)
            if until > since:
                arcs[u] -= until - since
    return at, met


def _turned(incoming: Arcs) -> list[dict[int, int]]:
    """Target of each arc -> cost, by source."""
    outgoing: list[dict[int, int]] = [{} for _ in incoming]
    for v, arcs in enumerate(incoming):
        for u, cost in arcs.items():
            outgoing[u][v] = cost
    return outgoing


def _distances(arcs: Arcs, start: Iterable[int]) -> dict[int, int]:
    """Return how far each node is from the nearest of the first ones."""
    done: dict[int, int] = {}
    heap = [(0, v) for v in sorted(start)]
    while heap:
        at, u = heappop(heap)
        if u in done:
            continue
        done[u] = at
        for v, cost in arcs[u].items():
            if v not in done:
                heappush(heap, (at + cost, v))
    return done
