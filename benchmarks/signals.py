"""How long a file takes from one network to the farthest node of another, joined by a store alone.

laptop - nas - store - box - desk: a commit at the laptop, by hooks to the store; once with an MQTT signal that makes
`watch` at the box look, once with the box looking every minute, of which each commit comes in another part. In turn;
the time runs from `git commit` to the content at the desk. Exit code 1 where a target is missed. `--save` writes
results/signals.md.

(Not called signal.py: beside it, Python's own module of that name would not be found.)
"""

from __future__ import annotations

import statistics
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


def seconds(laptop: Node, desk: Node, name: str) -> float:
    """From the commit to the content."""
    laptop.write(name, name * 1000)
    laptop.annex("add", "--quiet", name)
    begun = time.monotonic()
    laptop.git("commit", "--quiet", "--message", name)
    while not (desk.path / name).exists():
        if time.monotonic() - begun > PATIENCE:
            raise TimeoutError(f"{name} did not arrive within {PATIENCE:g} s")
        time.sleep(0.02)
    return time.monotonic() - begun


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
    sys.exit(measured(__doc__ or "", "Signals", RESULTS, (ways,)))
