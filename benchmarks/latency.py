"""How long a commit takes to arrive at the other end of a chain by hooks alone, beside git-annex assistants.

Two chains a-b-c of local repositories, one with hooks of ours (no daemon), one with three `git annex assistant`
daemons, get a new file in turn; the time runs from `git commit` at a to the file with its content at c. Also: what
`git commit` costs more with our hook, and how long a hop of ten bare repositories takes that pass on refs by hooks.
Exit code 1 where a target is missed. `--save` writes results/latency.md.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from byhooks import dismiss, hooked
from network import Network, Node
from rows import Row, measured

RESULTS = Path(__file__).parent / "results" / "latency.md"
FILES, PAUSE, PATIENCE = 10, 4.0, 60.0  # files each, seconds between two, seconds for one to arrive
COMMITS, BARE = 15, 10


def chain(root: Path) -> list[Node]:
    """Three repositories of which each knows its neighbours."""
    net = Network(root)
    a = net.create("a")
    a.commit({"a.txt": "a\n"})
    b = net.clone(a, "b")
    c = net.clone(b, "c")
    net.connect((a, b), (b, a), (b, c), (c, b))
    return [a, b, c]


def arrival(nodes: list[Node], name: str) -> float:
    """Seconds from the commit at the first to the content at the last."""
    first, last = nodes[0], nodes[-1]
    first.write(name, name * 1000)
    first.annex("add", "--quiet", name)
    begun = time.monotonic()
    first.git("commit", "--quiet", "--message", name, ok=None)  # an assistant may have been faster
    while not (last.path / name).exists():
        if time.monotonic() - begun > PATIENCE:
            raise TimeoutError(f"{name} did not arrive within {PATIENCE:g} s")
        time.sleep(0.01)
    return time.monotonic() - begun


@contextlib.contextmanager
def assistants(nodes: list[Node]) -> Iterator[None]:
    """A daemon of git-annex in each."""
    for node in nodes:
        node.git("annex", "assistant")
    try:
        time.sleep(8)  # they look at everything first
        yield
    finally:
        for node in nodes:
            node.git("annex", "assistant", "--stop", ok=None)


def chains(root: Path) -> Iterator[Row]:
    """Both chains, in turn."""
    ours, theirs = chain(root / "ours"), chain(root / "theirs")
    for _ in range(2):
        for mine, other in zip(ours, theirs, strict=True):
            mine.syncx("sync", ok=None)
            other.annex("sync", "--quiet", ok=None)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    with hooked(ours, settleTime="10s"), assistants(theirs):
        for number in range(FILES):
            for name, nodes in (("ours", ours), ("theirs", theirs)):
                times[name].append(arrival(nodes, f"f{number}"))
                time.sleep(PAUSE)
    median = {name: statistics.median(found) for name, found in times.items()}
    late = {name: sorted(found)[int(0.95 * len(found))] for name, found in times.items()}
    shown = f"{median['ours']:.2f} s beside {median['theirs']:.2f} s"
    yield Row("a-b-c by hooks, median, times the assistant", median["ours"] / median["theirs"], "", 1.0, shown)
    shown = f"{late['ours']:.2f} s beside {late['theirs']:.2f} s"
    yield Row("a-b-c by hooks, 95th percentile, times the assistant", late["ours"] / late["theirs"], "", 1.5, shown)


def commit_time(root: Path) -> Iterator[Row]:
    """What `git commit` takes with and without our hook, in turn."""
    node = chain(root)[0]

    def seconds() -> float:
        begun = time.monotonic()
        node.git("commit", "--quiet", "--allow-empty", "--message", "x")
        return time.monotonic() - begun

    without, having = [], []
    for _ in range(COMMITS):
        seconds()  # the first after a change of hooks takes longer, whichever way it was changed
        without.append(seconds())
        with hooked([node], pushDelay="60s"):
            seconds()
            dismiss(node)
            time.sleep(0.5)
            having.append(seconds())
    more = 1000 * (statistics.median(having) - statistics.median(without))
    yield Row("git commit with the hook, more", more, "ms", 30, f"{1000 * statistics.median(without):.0f} ms without")


def hops(root: Path) -> Iterator[Row]:
    """Refs through a chain of bare repositories."""
    net = Network(root)
    first = net.create("first")
    first.commit({"a.txt": "a\n"})
    nodes = [first]
    for number in range(BARE):
        nodes.append(net.clone(nodes[-1], f"bare{number}", bare=True))
        nodes[-1].git("remote", "remove", "origin")
    for one, two in itertools.pairwise(nodes):
        net.connect((one, two))
    for node in nodes:
        node.config("annex.synccontent", "false")
    times = []
    with hooked(nodes):
        for number in range(3):
            made = first.commit({f"{number}.txt": "x"})
            begun = time.monotonic()
            while nodes[-1].head("main") != made:
                if time.monotonic() - begun > PATIENCE:
                    raise TimeoutError(f"refs did not arrive within {PATIENCE:g} s")
                time.sleep(0.02)
            times.append(time.monotonic() - begun)
            time.sleep(PAUSE)
    hop = statistics.median(times) / BARE
    yield Row(
        f"refs through {BARE} bare repositories, a hop", hop, "s", 0.6, f"{statistics.median(times):.1f} s in all"
    )


if __name__ == "__main__":
    sys.exit(measured(__doc__ or "", "Latency", RESULTS, (chains, commit_time, hops)))
