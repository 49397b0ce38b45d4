"""How fast plans are made, beside networkx where that finishes.

Random networks with the costs that git-annex gives. A networkx graph is there at the beginning, a plan at the end.
Each measurement runs in a process of its own; the median of five counts. Planning is one thread that waits for
nothing, so the processor's time is judged: what the clock says on an idle machine. Exit code 1: a target is missed.

    python benchmarks/plan.py [--save] [--limit SECONDS]

`--save` writes results/plan.md, `--limit` is what networkx gets (120 s).
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import networkx

from git_annex_syncx.network.plan import Plan, Question, plan

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import demo

COSTS = (100.0, 150.0, 175.0, 200.0, 250.0)
RESULTS = Path(__file__).parent / "results" / "plan.md"
RUNS = 5
MEGABYTES = 1e6
REAL_SECONDS = 0.5


@dataclass(frozen=True)
class Case:
    """`nodes` places, `relays` of them relays, `arcs` links one way; at most `seconds`, `megabytes`, `gap`."""

    nodes: int
    arcs: int
    relays: int
    seconds: float
    megabytes: float = float("inf")
    gap: float = 0.0
    with_networkx: bool = False

    def graph(self) -> networkx.DiGraph[str]:
        """The same network at every call."""
        rng = random.Random(f"{self.nodes} {self.arcs} {self.relays}")
        graph: networkx.DiGraph[str] = networkx.DiGraph()
        uuids = [f"{rng.getrandbits(128):032x}" for _ in range(self.nodes)]
        graph.add_nodes_from((uuid, {"relay": 0 < n <= self.relays}) for n, uuid in enumerate(uuids))
        graph.add_edges_from((a, b, {"cost": 900.0}) for a, b in itertools.pairwise(uuids))
        pairs = [(a, b) for a in range(self.nodes) for b in range(self.nodes) if a != b and b != a + 1]
        for a, b in rng.sample(pairs, self.arcs - self.nodes + 1):
            graph.add_edge(uuids[a], uuids[b], cost=rng.choice(COSTS))
        return graph

    def question(self, graph: networkx.DiGraph[str]) -> Question:
        """The first place holds the content, all that are no relays want it."""
        uuids = list(graph)
        return Question(frozenset(uuids[:1]), frozenset(u for u in uuids[1:] if not graph.nodes[u]["relay"]))


CASES = (
    Case(1000, 20_000, 0, 0.3, megabytes=30, with_networkx=True),
    Case(2000, 40_000, 0, 0.8),
    Case(1000, 900_000, 0, 3.0),
    Case(200, 4_000, 60, 1.0, gap=0.02),
    Case(200, 4_000, 160, 1.0, gap=0.02),
    Case(1000, 20_000, 300, 3.0, gap=0.002),
    Case(1000, 20_000, 800, 3.0, gap=0.002),
)


def main() -> int:
    """Measure all cases, or one in this process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--limit", type=float, default=120.0)
    parser.add_argument("--one", nargs=2, metavar=("NUMBER", "WHO"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(CASES[int(options.one[0])], options.one[1])))
        return 0
    lines, missed = [], 0
    for number, case in enumerate(CASES):
        line, failed = row(number, case, options.limit)
        missed += failed
        lines.append(line)
        print(line, flush=True)
    seconds = real_network()
    missed += seconds > REAL_SECONDS
    told = f"`plan` in a real network of five repositories: {seconds:.2f} s, at most {REAL_SECONDS:g} s wanted."
    print(told)
    if options.save:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(report(lines, told))
    return 1 if missed else 0


def real_network() -> float:
    """Median seconds, by the clock, of `plan` in the network of the demo, whose links are published."""
    with tempfile.TemporaryDirectory() as scratch:
        laptop = demo.build(Path(scratch))["laptop"]
        laptop.run("git", "annex-syncx", "sync")
        runs = []
        for _ in range(RUNS):
            begun = time.perf_counter()
            laptop.run("git", "annex-syncx", "plan")
            runs.append(time.perf_counter() - begun)
        subprocess.run(("chmod", "-R", "u+w", scratch), check=True)  # git-annex write-protects its objects
    return statistics.median(runs)


def row(number: int, case: Case, limit: float) -> tuple[str, int]:
    """One line of the table, and whether a target was missed."""
    runs = [found for _ in range(RUNS) if (found := in_a_process(number, "syncx", 600))]
    seconds, cpu = (statistics.median(run[name] for run in runs) for name in ("seconds", "cpu"))
    memory, gap, cost = runs[0]["megabytes"], runs[0]["gap"], runs[0]["cost"]
    missed = cpu > case.seconds or memory > case.megabytes or gap > case.gap
    allocated = f"{memory:.0f} MB" if case.megabytes < float("inf") else "-"
    theirs = "-"
    if case.with_networkx:
        found = in_a_process(number, "networkx", limit)
        theirs = (
            f"{found['seconds']:.0f} s, {found['megabytes']:.0f} MB, cost {found['cost']:g}"
            if found
            else f"not done after {limit:g} s"
        )
    told = (
        f"| {case.nodes} | {case.arcs} | {case.relays} | {seconds:.2f} s | {cpu:.2f} s | {case.seconds:g} s | "
        f"{allocated} | {cost:g} | {100 * gap:.1f} % | {theirs} | {'MISSED' if missed else 'ok'} |"
    )
    return told, int(missed)


def in_a_process(number: int, who: str, limit: float) -> dict[str, float] | None:
    """A measurement, None where it took too long."""
    words = [sys.executable, __file__, "--one", str(number), who]
    try:
        done = subprocess.run(words, capture_output=True, check=True, timeout=limit, text=True)
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(case: Case, who: str) -> dict[str, float]:
    """Seconds from graph to plan, memory beyond the graph, cost and gap."""
    graph = case.graph()
    if who == "networkx":
        return by_networkx(graph)
    begun, cpu = time.perf_counter(), time.process_time()
    found = ours(case, graph)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    tracemalloc.start()
    if case.megabytes < float("inf"):
        ours(case, graph)
    peak = tracemalloc.get_traced_memory()[1]
    gap = found.cost / found.lower_bound - 1
    return {"seconds": seconds, "cpu": cpu, "megabytes": peak / MEGABYTES, "cost": found.cost, "gap": gap}


def ours(case: Case, graph: networkx.DiGraph[str]) -> Plan:
    """The plan."""
    return plan(graph, case.question(graph))


def by_networkx(graph: networkx.DiGraph[str]) -> dict[str, float]:
    """The same by networkx: an arborescence whose root cannot be but the first node."""
    root = next(iter(graph))
    graph.remove_edges_from(list(graph.in_edges(root)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    tree = networkx.minimum_spanning_arborescence(graph, attr="cost")
    seconds = time.perf_counter() - begun
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    return {"seconds": seconds, "megabytes": memory, "cost": tree.size(weight="cost")}


def report(lines: list[str], told: str) -> str:
    """The page that is saved."""
    return "\n".join([
        "# Plans",
        "",
        f"Median of {RUNS} runs by `benchmarks/plan.py`, Python {platform.python_version()}, "
        f"networkx {networkx.__version__}, {platform.machine()}, from a networkx graph to a plan. `wall` is what the "
        "clock says, `cpu` what the process used and what is judged: the machine may have had other "
        "work. Memory is what Python allocated beyond the graph, where there is a target. The gap: how much better "
        "a plan could be at most.",
        "",
        "| nodes | arcs | relays | wall | cpu | target | memory | cost | gap | networkx | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *lines,
        "",
        told,
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
