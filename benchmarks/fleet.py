"""How a new file travels through fleets that sync by cron.

Simulated by the real planner: fleets of 5 to 30 repositories, in each round everybody syncs once, in a random order
(tests/fleets.py). Then eight real repositories in three networks that two slow lines join, with one new file in
each network, beside `git annex sync --content` in the same orders. Exit code 1 where a target is missed. `--save`
writes results/fleet.md.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import fleets
from faraway import FarHosts
from fleets import Fleet
from network import Network, Node
from rows import Row, measured
from sshd import Sshd

RESULTS = Path(__file__).parent / "results" / "fleet.md"
NETWORKS, SIZES = 40, (5, 10, 20, 30)
PLACES = ("a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2")  # the letter is the network
SIZE, RATE, DELAY = 5_000_000, 4e6, 0.015  # bytes of a file; bytes a second and seconds one way over a slow line
ORDERS, WARM_UP, MOST_ROUNDS = 4, 3, 8
OURS, THEIRS = ("git-annex-syncx", "--quiet", "sync"), ("git-annex", "sync", "--content", "--quiet")
SEEDS = 'Seeds: the kind, size, latencies and number of a network, as in "sites 30 noisy 7", and its order after it.'
# The same fleets of 30 with the planner of 0.1.0, where a hash chose among trees of equal cost and time, and one end
# of an arc executed it: rounds and depth of the plan, in the mean.
BEFORE = {
    "mesh equal": (7.83, 12.25),
    "mesh noisy": (7.55, 12.00),
    "sites equal": (7.35, 11.93),
    "sites noisy": (7.95, 12.88),
    "star equal": (1.98, 2.00),
    "star noisy": (1.98, 2.00),
    "star_behind_line equal": (2.65, 3.00),
    "star_behind_line noisy": (2.50, 2.92),
    "random_costs equal": (6.12, 11.90),
    "random_costs noisy": (5.20, 10.03),
}


# Simulated fleets


# Of 30 repositories: rounds in the mean, and depth of the deepest plan, that are wanted.
KINDS: dict[Callable[..., Fleet], tuple[float, int]] = {
    fleets.mesh: (1.0, 1),
    fleets.sites: (2.8, 2),
    fleets.star: (2.0, 2),
    fleets.star_behind_line: (2.0, 2),
    fleets.random_costs: (3.0, 6),
}


@dataclass(frozen=True)
class Found:
    """What was found of the networks of one kind and size."""

    rounds: list[float]
    depths: list[int]
    far: float  # arcs from site to site that were used, times the fewest, at most
    cost: float  # of what was moved, times the least, at most


def simulated(kind: Callable[..., Fleet], count: int, latencies: str) -> Found:
    """Simulate all networks of a kind and size."""
    rounds, depths, far, cost = [], [], [], []
    for number in range(NETWORKS):
        seed = f"{kind.__name__} {count} {latencies} {number}"
        noise = random.Random(f"{seed} noise") if latencies == "noisy" else None
        fleet = kind(random.Random(seed), count, noise)
        course = fleets.by_cron(fleet, random.Random(f"{seed} order"))
        rounds.append(course.lasted)
        depths.append(fleet.depth)
        far.append(fleet.far(course.moved) / 2)
        cost.append(fleet.cost(course.moved) / fleet.plan.lower_bound)
    return Found(rounds, depths, max(far), max(cost))


def by_cron(_: Path) -> Iterator[Row]:
    """Fleets of all kinds and sizes, in which all sync once a round, in a random order."""
    print(SEEDS, flush=True)
    for kind, wanted in KINDS.items():
        for latencies in ("equal", "noisy"):
            yield from _rows(kind, wanted, latencies)


def _rows(kind: Callable[..., Fleet], wanted: tuple[float, int], latencies: str) -> Iterator[Row]:
    found = {count: simulated(kind, count, latencies) for count in SIZES}
    largest, everything = found[SIZES[-1]], found.values()
    what = f"{kind.__name__.replace('_', ' ')}, {latencies} latencies"
    before, before_deep = BEFORE[f"{kind.__name__} {latencies}"]
    late = sorted(largest.rounds)[int(0.95 * NETWORKS)]
    smaller = ", ".join(f"{statistics.mean(found[count].rounds):.1f} of {count}" for count in SIZES[:-1])
    shown = f"before {before:.1f}; 95th percentile {late:g}; {smaller}"
    yield Row(f"{what}: rounds of 30", statistics.mean(largest.rounds), "", wanted[0], shown)
    shown = f"{statistics.mean(largest.depths):.1f} in the mean of 30, before {before_deep:.1f}"
    yield Row(f"{what}: deepest plan", max(max(each.depths) for each in everything), "", wanted[1], shown)
    yield Row(f"{what}: cost, times the least", max(each.cost for each in everything), "", 1.0)
    if kind is fleets.sites:
        yield Row(f"{what}: far arcs, times the fewest", max(each.far for each in everything), "", 1.0)


def by_hooks(_: Path) -> Iterator[Row]:
    """Two sites where a push makes others look, at their own times."""
    found = []
    for number in range(NETWORKS):
        fleet = fleets.two_sites(random.Random(f"two sites {number}"), 30)
        course = fleets.by_hooks(fleet, random.Random(f"two sites {number} order"))
        assert {target for _, target in course.moved} == fleet.everyone - {fleet.first}
        found.append(fleet.far(course.moved) / fleet.far([(step.source, step.target) for step in fleet.plan.steps]))
    yield Row("two sites, 30 repositories by hooks: far arcs, times the plan's, most", max(found), "", 1)


def drawer(_: Path) -> Iterator[Row]:
    """A drive that is plugged in for one hour a day, at one of two repositories."""
    hours = []
    for number in range(NETWORKS):
        rng = random.Random(f"drawer {number}")
        hours.append(fleets.by_hours(*fleets.drawer(rng), rng).lasted)
    shown = f"{statistics.mean(hours):.0f} in the mean"
    yield Row("a drive that is seen one hour a day: hours until it has a new key, longest", max(hours), "", 48, shown)


# Eight real repositories


@dataclass(frozen=True)
class Run:
    """How three files came to all: in how many rounds, with how many bytes over each line, in how many seconds."""

    rounds: int
    bytes: list[int]
    seconds: float


@contextlib.contextmanager
def slow_lines(root: Path) -> Iterator[tuple[Sshd, FarHosts]]:
    """Two slow lines before one sshd: its first port is the line between a and b, the second that between b and c."""
    (root / "home").mkdir(parents=True)
    with Sshd(root / "sshd", root / "home") as sshd, FarHosts(sshd.port, 2, DELAY, RATE) as far:
        yield sshd, far


def build(sshd: Sshd, far: FarHosts, net: Network) -> list[Node]:
    """Eight repositories that have synced until all know all links; all have all of their network and of the next."""
    sshd.join(net)
    first = net.create(PLACES[0])
    first.commit({"a.txt": "a\n"})
    nodes = [first, *(net.clone(first, name) for name in PLACES[1:])]
    for node in nodes[1:]:
        node.git("remote", "remove", first.name)
    for one, other in itertools.permutations(nodes, 2):
        networks = {one.name[0], other.name[0]}
        if len(networks) == 1:
            net.connect((one, other))
        elif "b" in networks:
            one.git("remote", "add", other.name, sshd.url(other.path, far.ports["c" in networks]))
    for _ in range(WARM_UP):
        for node in nodes:
            node.syncx("sync")
    return nodes


def spread(nodes: Sequence[Node], far: FarHosts, order: int, sync: Sequence[str]) -> Run:
    """Let everybody sync in a random order, until all have the new file of each network."""
    rng = random.Random(f"eight {order}")
    names = [f"from {network}" for network in "abc"]
    for name in names:
        author = rng.choice([node for node in nodes if node.name[0] == name[-1]])
        author.commit_annexed({name: rng.randbytes(SIZE)})
    before, begun, rounds = far.bytes(), time.monotonic(), 0
    while not all((node.path / name).exists() for node in nodes for name in names):
        rounds += 1
        if rounds > MOST_ROUNDS:
            raise TimeoutError(f"{sync[0]}: not all have everything after {MOST_ROUNDS} rounds")
        for node in rng.sample(nodes, len(nodes)):
            node.run(*sync)
    seconds = time.monotonic() - begun
    return Run(rounds, [after - early for after, early in zip(far.bytes(), before, strict=True)], seconds)


def eight(root: Path) -> Iterator[Row]:
    """Three networks in a row, beside git-annex in the same orders, in turn."""
    found: dict[Sequence[str], list[Run]] = {OURS: [], THEIRS: []}
    with slow_lines(root / "lines") as (sshd, far):
        made = functools.partial(build, sshd, far)
        for order in range(ORDERS):
            for sync, runs in found.items():
                net = Network(root / f"{order} {sync[0]}")
                sshd.join(net)
                runs.append(spread(net.made_by(made), far, order, sync))
    ours, theirs = found[OURS], found[THEIRS]
    for line, name in enumerate(("a-b", "b-c")):
        mine, other = (max(each.bytes[line] for each in runs) / (3 * SIZE) for runs in (ours, theirs))
        shown = f"git annex sync --content: {other:.2f}x"
        yield Row(f"eight repositories: bytes over the line {name}, most", mine, "x the content", 1.05, shown)
    rounds, others = (statistics.mean(each.rounds for each in runs) for runs in (ours, theirs))
    yield Row("eight repositories: rounds", rounds, "", others, f"git annex sync --content: {others:.2f}")
    seconds, others = (statistics.mean(each.seconds for each in runs) for runs in (ours, theirs))
    shown = f"{seconds:.0f} s, git annex sync --content: {others:.0f} s"
    yield Row("eight repositories: time", seconds / others, "x git-annex's", 1.0, shown)


if __name__ == "__main__":
    parts = (by_cron, by_hooks, drawer, eight)
    sys.exit(measured(__doc__ or "", "Fleets", RESULTS, parts, SEEDS))
