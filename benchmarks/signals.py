"""How long a file takes with signals: between two at a hub, and between two networks joined by a store alone.

laptop - hub - desk: a commit at the laptop, hooks and `watch` there, `watch` at the desk, an MQTT broker; beside it
the version before, in turn. A second commit follows each at once; its time runs from itself. Then commits while
another remote of the laptop's takes 5 s for each push.

laptop - nas - store - box - desk: a commit at the laptop, by hooks to the store; once with an MQTT signal that makes
`watch` at the box look, once with the box looking every minute, of which each commit comes in another part. In turn.

The time runs from `git commit` to the content at the desk. Exit code 1 where a target is missed. `--save` writes
results/signals.md.

(Not called signal.py: beside it, Python's own module of that name would not be found.)
"""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from byhooks import hooked, settle
from network import Network, Node
from rows import Row, measured
from servers import Mosquitto
from test_bridge import two_lans, watching

RESULTS = Path(__file__).parent / "results" / "signals.md"
TIMES, MINUTE, PATIENCE = 5, 60.0, 180.0
FILES, PUSH_DELAY, PAUSE, SLOW, LOST = 10, 2.0, 4.0, 5.0, 25.0
RATE = 5.0  # seconds that the fourth signal of a sender can be put off, and so the content of a second commit
BEFORE = "e2c16fe"  # the last version that waited for the slowest remote


def seconds(laptop: Node, desk: Node, name: str, patience: float = PATIENCE) -> float:
    """From the commit to the content."""
    laptop.write(name, name * 1000)
    laptop.annex("add", "--quiet", name)
    begun = time.monotonic()
    laptop.git("commit", "--quiet", "--message", name)
    while not (desk.path / name).exists():
        if time.monotonic() - begun > patience:
            raise TimeoutError(f"{name} did not arrive within {patience:g} s")
        time.sleep(0.02)
    return time.monotonic() - begun


def programs_of(commit: str, root: Path) -> Path:
    """A directory with the program as it was at a commit."""
    tree, programs = root / "tree", root / "programs"
    tree.mkdir(parents=True)
    programs.mkdir()
    archive = subprocess.run(
        ("git", "archive", commit), cwd=Path(__file__).parent.parent, capture_output=True, check=True
    )
    subprocess.run(("tar", "-x", "-C", tree), input=archive.stdout, check=True)
    script = programs / "git-annex-syncx"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(tree)!r})\n"
        "from git_annex_syncx.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    return programs


def two_at_a_hub(net: Network, address: str) -> tuple[Node, Node]:
    """laptop - hub - desk, which tell each other."""
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    hub = net.clone(laptop, "hub", bare=True)
    hub.git("remote", "remove", "origin")
    desk = net.clone(hub, "desk")
    net.connect((laptop, hub))
    for node in (laptop, desk, laptop, desk):
        node.syncx("sync", ok=None)
    for node in (laptop, desk):
        node.config("syncx.signal", address)
    return laptop, desk


def seconds_or_never(laptop: Node, desk: Node, name: str) -> float:
    """From the commit to the content; infinity where it has not come, and would only with the next look by itself."""
    try:
        return seconds(laptop, desk, name, LOST)
    except TimeoutError:
        desk.syncx("sync")
        return math.inf


def add_slow_remote(laptop: Node) -> None:
    """A backup that takes its time for each push."""
    slow = laptop.net.clone(laptop, "slow", bare=True)
    hook = slow.path / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\nsleep {SLOW:g}\n")
    hook.chmod(0o755)
    slow.git("remote", "remove", "origin")
    laptop.net.connect((laptop, slow))
    laptop.syncx("sync")


def at_a_hub(root: Path) -> Iterator[Row]:
    """Both versions, in turn."""
    nets = {"now": Network(root / "now"), "before": Network(root / "before")}
    nets["before"].programs.insert(0, programs_of(BEFORE, root / "code"))
    first: dict[str, list[float]] = {name: [] for name in nets}
    second: dict[str, list[float]] = {name: [] for name in nets}
    beside: dict[str, list[float]] = {name: [] for name in nets}
    with Mosquitto(root / "broker") as broker, contextlib.ExitStack() as stack:
        pairs = {name: two_at_a_hub(net, f"mqtt://localhost:{broker.port}/{name}") for name, net in nets.items()}
        for pair in pairs.values():
            stack.enter_context(hooked(pair[:1], pushDelay=f"{PUSH_DELAY:g}s", settleTime="10s"))
            for node in pair:
                stack.enter_context(watching(node))
        time.sleep(12)  # they look at everything first
        loads = []
        for number in range(FILES):
            for name, (laptop, desk) in pairs.items():
                first[name].append(seconds_or_never(laptop, desk, f"first{number}"))
                second[name].append(seconds_or_never(laptop, desk, f"second{number}"))
                loads.append(os.getloadavg()[0])
                settle((laptop, desk))
                time.sleep(PAUSE)
        for laptop, _ in pairs.values():
            add_slow_remote(laptop)
        for number in range(TIMES):
            for name, (laptop, desk) in pairs.items():
                beside[name].append(seconds_or_never(laptop, desk, f"beside{number}"))
                settle((laptop, desk))
                time.sleep(PAUSE)
    load = f"load {statistics.median(loads):.1f} meanwhile"
    if sys.platform == "linux" and os.sched_getscheduler(0) != os.SCHED_OTHER:
        load += ", at real-time priority"
    slow = f", beside a remote that takes {SLOW:g} s"
    for what, times, more in (("", first, 0.0), (", the second of two", second, RATE), (slow, beside, 0.0)):
        found, other = times["now"], times["before"]
        for how, value, limit in (("median", statistics.median, 1.2), ("longest", max, 2.5 + more)):
            shown = f"{value(other):.2f} s before; {load}"
            yield Row(
                f"commit to content over a hub{what}: {how} of {len(found)}",
                value(found),
                "s",
                PUSH_DELAY + limit,
                shown,
            )


def every_minute(box: Node, phase: float, stop: threading.Event) -> None:
    """What cron would do."""
    wait = phase
    while not stop.wait(wait):
        begun = time.monotonic()
        box.syncx("sync", ok=None)
        wait = max(0.0, MINUTE - (time.monotonic() - begun))


def ways(root: Path) -> Iterator[Row]:
    """Both, in turn."""
    net = Network(root / "net")
    laptop, nas, box, desk = everyone = two_lans(net, root / "store")
    rung, polled = [], []
    with Mosquitto(root / "broker") as broker, hooked(everyone):
        address = f"mqtt://localhost:{broker.port}/bench"
        for number in range(TIMES):
            for node in (nas, box):
                node.config("syncx.signal", address)
            with watching(box):
                time.sleep(12)  # it looks at everything first
                rung.append(seconds(laptop, desk, f"rung{number}"))
                settle(everyone)  # else what is still asked makes the box look
            for node in (nas, box):
                node.git("config", "--unset", "syncx.signal")
            stop = threading.Event()
            thread = threading.Thread(target=every_minute, args=(box, MINUTE * (number + 0.5) / TIMES, stop))
            thread.start()
            polled.append(seconds(laptop, desk, f"polled{number}"))
            stop.set()
            thread.join()
            settle(everyone)
    ours, theirs = statistics.median(rung), statistics.median(polled)
    shown = f"{ours:.1f} s beside {theirs:.1f} s"
    yield Row("from a commit to the far end, with a signal, times every minute", ours / theirs, "", 0.5, shown)
    yield Row(
        "from a commit to the far end, with a signal, longest", max(rung), "s", MINUTE / 4, f"{max(polled):.1f} s"
    )


if __name__ == "__main__":
    sys.exit(measured(__doc__ or "", "Signals", RESULTS, (at_a_hub, ways)))
