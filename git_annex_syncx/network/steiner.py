"""The cheapest tree that may, but need not, pass through some of the nodes. Pure.

A branch and bound over the set of optional nodes: with the set chosen, the tree is a minimum-cost arborescence. Lower
bounds by dual ascent (R. T. Wong, "A dual ascent approach for Steiner tree problems on a directed graph",
Mathematical Programming 28, 1984), each growth done as one search by E. W. Dijkstra; optional nodes are struck out
by the reduced costs that it leaves. The work is counted in steps, not in seconds, so that the same question
has the same answer on every machine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

from git_annex_syncx.network.arborescence import Unreachable, minimum_arborescence

Incoming = Sequence[Mapping[int, int]]  # of each node: source of an arc into it -> cost
EXACT_UP_TO = 12  # so many optional nodes are decided to the end, whatever the work
MUCH_WORK, MOST_WORK = 2_500_000, 10_000_000  # arcs looked at
STRIDES = (3, 1, 2)  # how many nodes one growth of an ascent may join before another node's turn comes


@dataclass(frozen=True)
class Tree:
    """`parent[v]` for nodes in the tree; no tree costs less than `bound`."""

    parent: Mapping[int, int]
    cost: int
    bound: int


def cheapest_tree(incoming: Incoming, root: int, optional: Iterable[int], *, work: int | None = None) -> Tree:
    """Return the cheapest tree from `root` to all nodes but the optional ones, which it uses where that pays.

    `incoming[v]` maps the source of each arc into v to its cost, which must not be negative. All other nodes must be
    reachable (Unreachable). Exact (bound == cost) while a first bound leaves at most EXACT_UP_TO optional nodes that
    can be of use, else as good as `work` (arcs looked at) allows.
    """
    free = frozenset(optional)
    required = frozenset(range(len(incoming))) - free
    if work is None:
        arcs = sum(map(len, incoming))
        work = min(200 * arcs + arcs * len(incoming) // 6, max(MUCH_WORK, 125 * arcs), MOST_WORK)
    search = _Search(incoming, root, work)
    if free and len(required) > 1:
        bound = search.branch(required, free)
    else:
        search.evaluate(required)
        bound = search.best.cost if search.best else 0
    if search.best is None:
        raise Unreachable(root)
    return replace(search.best, bound=min(bound, search.best.cost))


class _Search:
    """A branch and bound: the best tree so far, and the work that is left."""

    def __init__(self, incoming: Incoming, root: int, work: float) -> None:
        self.incoming = incoming
        self.root = root
        self.work = work
        self.best: Tree | None = None

    def branch(self, required: frozenset[int], free: frozenset[int]) -> int:
        """Decide one optional node after another, where the bound is lowest first; return the bound that is left."""
        floor, free = self.narrow(required, free)
        if len(free) > EXACT_UP_TO:
            self.improve(required, free, self.work / 4)
            higher, free = self.narrow(required, free)
            floor = max(floor, higher)
        if len(free) <= EXACT_UP_TO:
            self.work = math.inf
        opened = [(floor, 0, required, free)]
        while opened and self.best and opened[0][0] < self.best.cost and self.work > 0:
            floor, number, required, free = heappop(opened)
            parent = self.evaluate(required | free, required)
            if not free:
                continue
            degree = Counter(parent.values())
            chosen = max(sorted(free), key=lambda v: degree[v])  # on which most hangs
            for more, part in ((required | {chosen}, 2 * number + 1), (required, 2 * number + 2)):
                bound, left = self.bound(more, free - {chosen}, STRIDES[0])
                heappush(opened, (max(bound, floor), part, more, left))
        return opened[0][0] if opened else self.best.cost if self.best else 0

    def evaluate(self, required: frozenset[int], chosen: frozenset[int] = frozenset()) -> Mapping[int, int]:
        """Return the cheapest tree over these nodes without chosen leaves; keep it if it is the best."""
        nodes = sorted(required | chosen)
        while True:
            parent = self.tree_over(nodes)
            if parent is None:
                return {}
            used, count = set(parent.values()), len(nodes)
            nodes = [v for v in nodes if v in required or v in used]
            if len(nodes) == count:
                break
        cost = sum(self.incoming[v][u] for v, u in parent.items())
        if self.best is None or cost < self.best.cost:
            self.best = Tree(parent, cost, 0)
        return parent

    def tree_over(self, nodes: Sequence[int]) -> dict[int, int] | None:
        """Return the cheapest tree over exactly these nodes, None where there is none."""
        index = {v: n for n, v in enumerate(nodes)}
        part = self.incoming
        if len(nodes) < len(part):
            part = [{index[u]: cost for u, cost in part[v].items() if u in index} for v in nodes]
        self.work -= sum(map(len, part))
        try:
            parent = minimum_arborescence(part, index[self.root]).parent
        except Unreachable:
            return None
        return {v: nodes[parent[n]] for n, v in enumerate(nodes) if v != self.root}

    def improve(self, required: frozenset[int], free: frozenset[int], reserve: float) -> None:
        """Search locally: leave out or take in one optional node, as long as that helps and work is left."""
        before = None
        while self.best and self.best.cost != before:
            before, used = self.best.cost, self.best.parent.keys() & free
            for v in sorted(free, key=lambda v: (v not in used, v)):
                if self.work <= reserve:
                    return
                self.evaluate(required, frozenset((self.best.parent.keys() & free) ^ {v}))

    def narrow(self, required: frozenset[int], free: frozenset[int]) -> tuple[int, frozenset[int]]:
        """Return the best bound of several ascents, and the optional nodes that none of them has struck out."""
        floor = 0
        for stride in STRIDES:
            bound, free = self.bound(required, free, stride)
            floor = max(floor, bound)
        return floor, free

    def bound(self, required: frozenset[int], free: frozenset[int], stride: int) -> tuple[int, frozenset[int]]:
        """Return a lower bound for trees with these nodes, and the optional ones that a better tree could have."""
        import networkx

        try:
            bound, reduced = self.ascend(required, free, stride)
        except Unreachable:
            return sum(max(arcs.values(), default=0) for arcs in self.incoming) + 1, frozenset()
        graph = networkx.DiGraph()
        graph.add_nodes_from(required)
        graph.add_weighted_edges_from((u, v, cost) for v, arcs in enumerate(reduced) for u, cost in arcs.items())
        from_root = networkx.single_source_dijkstra_path_length(graph, self.root)
        self.evaluate(required, frozenset(v for v in free if from_root.get(v) == 0))
        if self.best is None:
            self.evaluate(required, free)
        if self.best is None:
            return bound, free
        left = self.best.cost - bound
        onward = networkx.multi_source_dijkstra_path_length(graph.reverse(copy=False), required - {self.root})
        return bound, frozenset(v for v in free if from_root.get(v, left) + onward.get(v, left) < left)

    def ascend(self, required: frozenset[int], free: frozenset[int], stride: int) -> tuple[int, list[dict[int, int]]]:
        """Return a bound by dual ascent, and what is left of the cost of each arc. Raises Unreachable.

        Each required node in turn, the one that has paid least first, pays for the arcs towards it until more than
        `stride` nodes are joined. It is out when the next one is the root, or a required node that goes on paying.
        """
        allowed = required | free
        reduced = [
            {u: c for u, c in arcs.items() if u in allowed} if v in allowed else {}
            for v, arcs in enumerate(self.incoming)
        ]
        alive = bytearray(v in required for v in range(len(reduced)))
        waiting = [(min(reduced[v].values(), default=0), v, 0) for v in required if v != self.root]
        heapify(waiting)
        bound = 0
        while waiting and not (self.best and self.work <= 0):  # what was paid so far is a bound
            _, v, paid = heappop(waiting)
            joined, more, met = _grow(reduced, alive, v, stride)
            _pay(reduced, joined, more)
            self.work -= sum(len(reduced[u]) for u in joined)
            bound += more
            alive[v] = not met
            if not met:
                heappush(waiting, (paid + more, v, paid + more))
        return bound, reduced


def _grow(reduced: Incoming, alive: bytearray, start: int, stride: int) -> tuple[dict[int, int], int, bool]:
    """Search backwards from a node; return which nodes were joined when, how far that went, if a live one was met.

    Raises Unreachable.
    """
    joined: dict[int, int] = {}
    near = {start: 0}
    heap = [(0, start)]
    at, left = 0, stride
    while heap:
        way, v = heappop(heap)
        if v in joined:
            continue
        left -= way > at
        at = way
        met = bool(alive[v]) and v != start
        if met or left < 0:
            return joined, at, met
        joined[v] = way
        for u, cost in reduced[v].items():
            if u not in joined and way + cost < near.get(u, way + cost + 1):
                near[u] = way + cost
                heappush(heap, (way + cost, u))
    raise Unreachable(start)


def _pay(reduced: Sequence[dict[int, int]], joined: Mapping[int, int], end: int) -> None:
    """Make the arcs that the joined nodes are entered by cheaper by what is paid while they are."""
    for v, since in joined.items():
        arcs = reduced[v]
        for u in arcs if since < end else ():
            until = min(joined.get(u, end), end)
            if until > since:
                arcs[u] -= until - since
