"""Trees that may pass through relays: equal to trying all sets, to an integer program; honest about the rest."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import time

import pytest

from git_annex_syncx.network.arborescence import Unreachable, minimum_arborescence
from git_annex_syncx.network.steiner import Tree, cheapest_tree

Arcs = list[dict[int, int]]


def randomly(rng: random.Random, count: int, density: float, costs: list[int]) -> Arcs:
    return [{u: rng.choice(costs) for u in range(count) if u != v and rng.random() < density} for v in range(count)]


def try_all(incoming: Arcs, root: int, optional: set[int]) -> int | None:
    """The cheapest tree over all sets of optional nodes."""
    costs = []
    for size in range(len(optional) + 1):
        for left_out in itertools.combinations(sorted(optional), size):
            nodes = [v for v in range(len(incoming)) if v not in left_out]
            index = {v: n for n, v in enumerate(nodes)}
            part = [{index[u]: c for u, c in incoming[v].items() if u in index} for v in nodes]
            with contextlib.suppress(Unreachable):
                costs.append(minimum_arborescence(part, index[root]).cost)
    return min(costs, default=None)


def integer_program(incoming: Arcs, root: int, optional: set[int]) -> int:
    """The same question as a flow from the root to each target that only uses arcs which are paid for."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # every process of the tests imports this file
    from scipy.sparse import lil_matrix

    count = len(incoming)
    arcs = [(u, v) for v in range(count) for u in incoming[v] if v != root]
    targets = [v for v in range(count) if v != root and v not in optional]
    size = len(arcs)
    columns = size * (1 + len(targets))
    rows: list[tuple[dict[int, float], float, float]] = []
    for k, target in enumerate(targets):
        at = size * (k + 1)
        for v in range(count):
            row: dict[int, float] = {}
            for n, (a, b) in enumerate(arcs):
                row[at + n] = row.get(at + n, 0.0) + (b == v) - (a == v)
            net = 1.0 if v == target else -1.0 if v == root else 0.0
            rows.append(({n: x for n, x in row.items() if x}, net, net))
        rows += [({at + n: 1.0, n: -1.0}, -math.inf, 0.0) for n in range(size)]
    matrix = lil_matrix((len(rows), columns))
    for r, (row, _, _) in enumerate(rows):
        for n, x in row.items():
            matrix[r, n] = x
    found = milp(
        c=[incoming[v][u] for u, v in arcs] + [0.0] * (columns - size),
        constraints=LinearConstraint(matrix.tocsr(), [low for _, low, _ in rows], [high for _, _, high in rows]),
        integrality=[1] * size + [0] * (columns - size),
        bounds=Bounds(0, 1),
    )
    assert found.success
    return round(found.fun)


def check(incoming: Arcs, root: int, optional: set[int], tree: Tree) -> None:
    """It is a tree of real arcs to everyone who must have it, and no relay in it is without use."""
    assert set(tree.parent) | optional | {root} == set(range(len(incoming)))
    assert tree.cost == sum(incoming[v][u] for v, u in tree.parent.items())
    assert tree.bound <= tree.cost
    assert set(tree.parent) & optional <= set(tree.parent.values())
    for v in tree.parent:
        for _ in range(len(incoming)):
            v = tree.parent.get(v, root)
        assert v == root


@pytest.mark.parametrize("seed", range(20))
def test_it_is_equal_to_trying_all_sets_of_relays(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        count = rng.randint(2, 9)
        incoming = randomly(rng, count, rng.choice([0.2, 0.4, 0.8]), rng.choice([[1, 2, 3], [0, 5], [100, 175, 200]]))
        optional = set(rng.sample(range(1, count), rng.randint(0, count - 1)))
        best = try_all(incoming, 0, optional)
        if best is None:
            with pytest.raises(Unreachable):
                cheapest_tree(incoming, 0, optional)
        else:
            tree = cheapest_tree(incoming, 0, optional)
            assert tree.cost == tree.bound == best
            check(incoming, 0, optional, tree)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_equal_to_an_integer_program(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randint(15, 22)
    incoming = randomly(rng, count, 0.25, [100, 150, 175, 200, 250])
    for v in range(1, count):
        incoming[v].setdefault(v - 1, 900)
    optional = set(rng.sample(range(1, count), rng.randint(6, 14)))
    tree = cheapest_tree(incoming, 0, optional)
    check(incoming, 0, optional, tree)
    assert tree.bound <= integer_program(incoming, 0, optional) <= tree.cost
    assert tree.cost == tree.bound


def large(count: int, relays: int, seed: int = 1) -> tuple[Arcs, set[int]]:
    rng = random.Random(seed)
    incoming: Arcs = [
        {u: rng.randint(1000, 9000) for u in rng.sample(range(count), 12) if u != v} for v in range(count)
    ]
    for v in range(1, count):
        incoming[v].setdefault(v - 1, 20000)
    return incoming, set(range(1, relays + 1))


def test_little_work_still_gives_a_tree_and_a_bound() -> None:
    incoming, optional = large(150, 110)
    hasty, careful = cheapest_tree(incoming, 0, optional, work=1), cheapest_tree(incoming, 0, optional)
    for tree in (hasty, careful):
        check(incoming, 0, optional, tree)
    assert hasty.bound <= careful.bound <= careful.cost <= hasty.cost
    assert careful.cost <= careful.bound * 1.02


def test_the_work_is_bounded_whatever_the_question() -> None:
    incoming, optional = large(400, 300)
    begun = time.process_time()
    tree = cheapest_tree(incoming, 0, optional, work=10**6)
    assert time.process_time() - begun < 5
    check(incoming, 0, optional, tree)


def test_the_same_question_has_the_same_answer() -> None:
    incoming, optional = large(120, 80)
    assert cheapest_tree(incoming, 0, optional) == cheapest_tree(incoming, 0, optional)
