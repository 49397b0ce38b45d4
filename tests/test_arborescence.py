"""The cheapest tree: equal to trying all, to networkx where that finishes, and proved at any size."""

from __future__ import annotations

import itertools
import random

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network import sample

from git_annex_syncx.network.arborescence import Arborescence, Unreachable, minimum_arborescence

Arcs = list[dict[int, int]]


def check(incoming: Arcs, root: int, found: Arborescence) -> None:
    """The tree is one, and its proof holds: no tree can be cheaper."""
    count, above = len(incoming), [0] * len(found.container)
    assert all(dual >= 0 for dual in found.dual[count:])
    assert found.dual[root] == 0
    assert found.cost == sum(found.dual)
    assert found.cost == sum(incoming[v][u] for v, u in enumerate(found.parent) if v != root)
    way = depths(found.container)
    for s in reversed(range(len(above))):
        above[s] = found.dual[s] + (above[found.container[s]] if found.container[s] >= 0 else 0)
    for v, arcs in enumerate(incoming):
        for u, cost in arcs.items() if v != root else ():
            common = smallest_common(found.container, way, u, v)
            assert u == v or above[v] - (above[common] if common >= 0 else 0) <= cost
    check_tree(found.parent, root)


def check_tree(parent: tuple[int, ...], root: int) -> None:
    """Every node has a way from the root."""
    assert parent[root] == -1
    known = {root}
    for v in range(len(parent)):
        way = []
        while v not in known:
            assert len(way) < len(parent), "a cycle"
            way.append(v)
            v = parent[v]
        known.update(way)


def depths(container: tuple[int, ...]) -> list[int]:
    """How many sets are around each set (a set's number is above those of its parts)."""
    depth = [0] * len(container)
    for s in reversed(range(len(container))):
        assert container[s] == -1 or container[s] > s
        depth[s] = depth[container[s]] + 1 if container[s] >= 0 else 0
    return depth


def smallest_common(container: tuple[int, ...], depth: list[int], one: int, two: int) -> int:
    """The smallest set that holds both, -1 where none does."""
    while one != two:
        if depth[one] < depth[two]:
            one, two = two, one
        if depth[one] == 0:
            return -1
        one = container[one]
    return one


def brute_force(incoming: Arcs, root: int) -> int | None:
    """The cost of the cheapest of all trees, None where there is none."""
    nodes = [v for v in range(len(incoming)) if v != root]
    best = None
    for sources in itertools.product(*(list(incoming[v].items()) for v in nodes)):
        parent = {v: u for v, (u, _) in zip(nodes, sources, strict=True)}
        cost = sum(cost for _, cost in sources)
        if (best is None or cost < best) and all(leads_to_root(parent, v, root) for v in nodes):
            best = cost
    return best


def leads_to_root(parent: dict[int, int], v: int, root: int) -> bool:
    for _ in range(len(parent) + 1):
        if v == root:
            return True
        v = parent[v]
    return False


def randomly(rng: random.Random, count: int, density: float, costs: list[int]) -> Arcs:
    """A random directed graph."""
    return [{u: rng.choice(costs) for u in range(count) if u != v and rng.random() < density} for v in range(count)]


COSTS = [[100, 175, 200], [1], [0, 1, 2], list(range(1000)), [-5, 0, 7], [10**40, 10**40 + 1, 3]]


@pytest.mark.parametrize("seed", range(20))
def test_it_is_equal_to_trying_all_trees(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        count = rng.randint(1, 6)
        incoming = randomly(rng, count, rng.choice([0.2, 0.5, 0.9]), rng.choice(COSTS))
        root = rng.randrange(count)
        best = brute_force(incoming, root)
        if best is None:
            with pytest.raises(Unreachable):
                minimum_arborescence(incoming, root)
        else:
            found = minimum_arborescence(incoming, root)
            assert found.cost == best
            check(incoming, root, found)


@pytest.mark.parametrize("seed", range(12))
def test_it_is_equal_to_networkx_on_reflected_weights(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randint(20, 60)
    incoming = randomly(rng, count, rng.choice([0.1, 0.3]), rng.choice(COSTS[:4]))
    incoming[0] = {}
    for v in range(1, count):
        incoming[v].setdefault(v - 1, 900)  # every node can be reached
    reflected = networkx.DiGraph()
    top = 10**6  # so large that a branching with more arcs always weighs more
    reflected.add_weighted_edges_from((u, v, top - c) for v in range(count) for u, c in incoming[v].items())
    theirs = networkx.algorithms.tree.branchings.maximum_branching(reflected, attr="weight")
    found = minimum_arborescence(incoming, 0)
    assert found.cost == sum(top - w for _, _, w in theirs.edges(data="weight"))
    check(incoming, 0, found)


def test_asymmetric_chains() -> None:
    """Costs of 200 one way and 175 back: nothing that should trouble an algorithm."""
    count = 50
    incoming = [{u: 200 if u < v else 175 for u in (v - 1, v + 1) if 0 <= u < count} for v in range(count)]
    found = minimum_arborescence(incoming, 20)
    assert found.cost == 29 * 200 + 20 * 175
    check(incoming, 20, found)


@pytest.mark.parametrize(
    ("count", "degree", "costs"),
    sample([(400, 20, [100, 175, 200]), (150, 149, [1]), (2000, 5, [10**30, 1]), (400, 20, list(range(10**6)))], 3),
)
def test_the_proof_holds_at_any_size(count: int, degree: int, costs: list[int]) -> None:
    rng = random.Random(count)
    incoming: Arcs = [
        {u: rng.choice(costs) for u in rng.sample(range(count), degree) if u != v} for v in range(count)
    ]
    for v in range(count):
        incoming[v].setdefault((v - 1) % count, max(costs))
    check(incoming, 0, minimum_arborescence(incoming, 0))


def test_deeply_nested_cycles() -> None:
    """Each contraction closes one more cycle around the last one; nothing recurses."""
    count = 3000
    incoming: Arcs = [{} for _ in range(count + 1)]
    for v in range(1, count):
        incoming[v][v - 1] = incoming[v - 1][v] = v
    incoming[count - 1][count] = 10**6
    incoming[0][count] = 10**7
    found = minimum_arborescence(incoming, count)
    assert max(depths(found.container)) > 1000
    check(incoming, count, found)


@settings(deadline=None)
@given(st.data())
def test_names_do_not_matter(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 7))
    incoming: Arcs = [
        data.draw(st.dictionaries(st.integers(0, count - 1).filter(lambda u, v=v: u != v), st.integers(0, 9)))
        for v in range(count)
    ]
    order = data.draw(st.permutations(range(count)))
    renamed: Arcs = [{} for _ in range(count)]
    for v, arcs in enumerate(incoming):
        renamed[order[v]] = {order[u]: cost for u, cost in arcs.items()}
    try:
        found = minimum_arborescence(incoming, 0).cost
    except Unreachable:
        with pytest.raises(Unreachable):
            minimum_arborescence(renamed, order[0])
    else:
        assert minimum_arborescence(renamed, order[0]).cost == found
