"""Many nodes come to rest, with a bounded number of merges, whoever is first."""

from __future__ import annotations

import itertools
import random

import pytest
from network import THOROUGH, Network, Node, sample, together

# Six nodes with six edits make 30 merges at most that bring somebody something new; redundant ones come on top.
# Measured: 44 to 63 in the ring, 5 in the mesh. Nodes that merge whatever differs make a thousand and never rest.
MERGE_BOUND = {"mesh": 30, "ring": 120}
SIZE = 6 if THOROUGH > 1 else 4


def cluster(net: Network, size: int, settle_time: str) -> list[Node]:
    """Clones of one repository with one commit, not connected yet."""
    first = net.create("n0")
    first.commit({"a.txt": "a\n"})
    nodes = [first, *(net.clone(first, f"n{n}") for n in range(1, size))]
    for node in nodes:
        for remote in node.git("remote").out.split():
            node.git("remote", "remove", remote)
        node.config("syncx.settleTime", settle_time)
    return nodes


def edit(node: Node, name: str) -> str:
    return node.commit({f"{name}.txt": f"{name}\n"})


def merges(nodes: list[Node]) -> int:
    """How many merge commits there are in all repositories together, also those that no branch holds any more."""
    found: set[str] = set()
    for node in nodes:
        found |= set(
            node.git("log", "--merges", "--all", "--reflog", "--format=%H", "--author=git-annex-syncx").out.split()
        )
    return len(found)


def heads(nodes: list[Node]) -> set[str]:
    return {node.head("main") for node in nodes}


def all_at_once(nodes: list[Node]) -> None:
    """Every node syncs at the same moment."""
    together(nodes, "sync", "--no-content", "--no-commit")


@pytest.mark.slow
@pytest.mark.parametrize("shape", sample(["mesh", "ring"], 1))
def test_concurrent_nodes_come_to_rest(net: Network, shape: str) -> None:
    nodes = cluster(net, SIZE, "0.3s")
    if shape == "mesh":
        net.mesh(*nodes)
    else:
        for n, node in enumerate(nodes):
            net.connect((node, nodes[(n + 1) % SIZE]), (node, nodes[n - 1]))
    edits = [edit(node, node.name) for node in nodes]
    rounds = 0
    while len(heads(nodes)) > 1:
        rounds += 1
        assert rounds <= 15, f"not at rest after {rounds} rounds and {merges(nodes)} merges: {heads(nodes)}"
        all_at_once(nodes)
    made = merges(nodes)
    assert made <= MERGE_BOUND[shape], f"{made} merges in {rounds} rounds"
    assert all(nodes[0].contains(commit) for commit in edits)
    assert nodes[0].files() == ["a.txt", *(f"n{n}.txt" for n in range(SIZE))]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[Node]:
    """Four nodes in a line, whose diameter is 3."""
    net = Network(tmp_path_factory.mktemp("four") / "net")
    nodes = cluster(net, 4, "0")
    net.connect(*((one, two) for one, two in itertools.pairwise(nodes)))
    net.connect(*((two, one) for one, two in itertools.pairwise(nodes)))
    return nodes


DIAMETER = 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2 * THOROUGH))
def test_random_schedules_end_at_one_commit(four: list[Node], seed: int) -> None:
    rng = random.Random(seed)
    edits = []
    for step in range(4):
        node = rng.choice(four)
        if rng.random() < 0.7:
            edits.append(edit(node, f"{node.name}-{seed}-{step}"))
        else:
            node.syncx("sync", "--no-content", "--no-commit")
    rounds = 0
    while len(heads(four)) > 1 or not all(four[0].contains(commit, "main") for commit in edits):
        rounds += 1
        assert rounds <= DIAMETER + 1, f"seed {seed}: {heads(four)} after {rounds - 1} rounds"
        for node in rng.sample(four, 4):
            node.syncx("sync", "--no-content", "--no-commit")


@pytest.mark.thorough
def test_all_push_and_merge_at_once_in_one_repository(net: Network) -> None:
    nodes = cluster(net, 3, "0.1s")
    net.mesh(*nodes)
    edits = [edit(node, node.name) for node in nodes]
    all_at_once([nodes[0], nodes[0], nodes[1], nodes[2], nodes[0]])
    for _ in range(6):
        if len(heads(nodes)) == 1:
            break
        all_at_once(nodes)
    assert len(heads(nodes)) == 1
    assert all(node.contains(commit) for node in nodes for commit in edits)
    assert all(node.git("status", "--porcelain").out == "" for node in nodes)
