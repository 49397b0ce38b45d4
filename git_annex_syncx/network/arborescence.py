"""The minimum-cost arborescence for a given root, exact, with a proof. Pure.

J. Edmonds, "Optimum branchings", J. Res. Nat. Bur. Standards 71B (1967); the bound by R. E. Tarjan, "Finding optimum
branchings", Networks 7 (1977); growing one path, as here, by H. N. Gabow, Z. Galil, T. Spencer and R. E. Tarjan,
"Efficient algorithms for finding minimum spanning trees in undirected and directed graphs", Combinatorica 6 (1986).

It stands in for `networkx.minimum_spanning_arborescence`, which is wrong for some asymmetric chains of real costs,
sums floats where weights are integers of 200 bits, and takes seconds at 1000 nodes (benchmarks/results/plan.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace


class Unreachable(ValueError):
    """No path leads from the root to a node."""


@dataclass(frozen=True)
class Arborescence:
    """The tree and the proof that none is cheaper.

    `parent[v]` is where the arc into node v comes from (-1 at the root). The sets of a laminar family are numbered:
    0..n-1 are the single nodes, the others unions of earlier ones; `container[s]` is the smallest set around set s
    (-1: none) and `dual[s]` its dual value. No arc is cheaper than the sum of the duals of the sets that it enters,
    the duals of sets of two and more nodes are not negative, and all duals together are the cost of the tree.
    """

    parent: tuple[int, ...]
    cost: int
    container: tuple[int, ...]
    dual: tuple[int, ...]


def minimum_arborescence(incoming: Sequence[Mapping[int, int]], root: int) -> Arborescence:
    """Return the cheapest tree of arcs that leads from `root` to every node.

    `incoming[v]` maps the source of each arc into node v to its cost, an integer of any size. Takes O(m log n) steps
    for m arcs and n nodes, and n log^2 n where the arcs are few. Raises Unreachable. Of equally cheap trees the
    numbering of the nodes decides.
    """
    grown = _Growth(incoming, root)
    for node in range(len(incoming)):
        grown.reach(node)
    return grown.expanded()


class _Growth:
    """Edmonds' algorithm: each component takes its cheapest arc from outside, cycles become components.

    A component is known by its representative node. Its heap holds one entry for each of its nodes: the cheapest arc
    into that node, as (cost + shift of the node, node); what is left of that cost is the entry less the component's
    `offset`. So an offset that grows makes all arcs into a component cheaper at once.
    """

    def __init__(self, incoming: Sequence[Mapping[int, int]], root: int) -> None:
        self.count = count = len(incoming)
        self.root = root
        self.bits = count.bit_length()  # an arc is one integer, cost and source: compared and stored in C
        self.arcs = [self._sorted(arcs) for arcs in incoming]
        self.arcs[root] = []
        self.heaps = [[(arcs[0] >> self.bits, node)] if arcs else [] for node, arcs in enumerate(self.arcs)]
        self.shift = [0] * count
        self.offset = [0] * count
        self.union = list(range(count))  # towards the representative of a node's component
        self.number = list(range(count))  # of a representative: its component's number in the laminar family
        self.container = [-1] * count
        self.dual = [0] * count
        self.chosen: list[tuple[int, int]] = [(-1, -1)] * count  # the arc (source, node) into each set
        self.members: list[list[int]] = [[] for _ in range(count)]
        self.reached = bytearray(count)  # of a representative: a tree from the root leads to it
        self.reached[root] = True

    def _sorted(self, arcs: Mapping[int, int]) -> list[int]:
        packed = [cost << self.bits | source for source, cost in arcs.items()]
        heapify(packed)
        return packed

    def find(self, node: int) -> int:
        union = self.union
        while union[node] != node:
            union[node] = node = union[union[node]]
        return node

    def reach(self, node: int) -> None:
        """Grow a path of components backwards from a node until it meets the tree of the root."""
        top = self.find(node)
        path: list[int] = []
        while not self.reached[top]:
            path.append(top)
            top = self.choose(top)
            if not self.reached[top] and self.chosen[self.number[top]] != (-1, -1):
                top = self.contract(path, top)
        for component in path:
            self.reached[component] = True

    def choose(self, component: int) -> int:
        """Let a component take its cheapest arc from outside; return the component where that begins."""
        heap, arcs_of, shift, bits = self.heaps[component], self.arcs, self.shift, self.bits
        mask = (1 << bits) - 1
        union = self.union
        while heap:
            key, node = heap[0]
            arcs = arcs_of[node]
            source = begin = arcs[0] & mask
            while union[begin] != begin:
                union[begin] = begin = union[union[begin]]
            if begin != component:
                number = self.number[component]
                self.dual[number] = key - self.offset[component]
                self.offset[component] = key
                self.chosen[number] = (source, node)
                return begin
            heappop(arcs)
            if arcs:
                heapreplace(heap, ((arcs[0] >> bits) + shift[node], node))
            else:
                heappop(heap)
        raise Unreachable(component)

    def contract(self, path: list[int], begin: int) -> int:
        """Make one component of the cycle that the end of the path closes, take it off the path and return it."""
        cycle = [path.pop()]
        while cycle[-1] != begin:
            cycle.append(path.pop())
        number = len(self.container)
        self.members.append([self.number[component] for component in cycle])
        self.container.append(-1)
        self.dual.append(0)
        self.chosen.append((-1, -1))
        for member in self.members[number]:
            self.container[member] = number
        into = max(cycle, key=lambda component: len(self.heaps[component]))
        for component in cycle:
            if component != into:
                self.absorb(into, component)
        self.number[into] = number
        return into

    def absorb(self, into: int, component: int) -> None:
        """Move the arcs of a component to another."""
        heap, more = self.heaps[into], self.offset[into] - self.offset[component]
        for key, node in self.heaps[component]:
            self.shift[node] += more
            heappush(heap, (key + more, node))
        self.heaps[component] = []
        self.union[component] = into

    def expanded(self) -> Arborescence:
        """Open the components: the arc into a set replaces the arcs into those of its parts that it enters."""
        parent = [-1] * self.count
        outermost = [s for s, around in enumerate(self.container) if around < 0 and s != self.root]
        entered = [(s, self.chosen[s]) for s in outermost]
        for outer, (source, node) in entered:
            parent[node] = source
            part = node
            while part != outer:
                around = self.container[part]
                entered.extend((other, self.chosen[other]) for other in self.members[around] if other != part)
                part = around
        return Arborescence(tuple(parent), sum(self.dual), tuple(self.container), tuple(self.dual))
