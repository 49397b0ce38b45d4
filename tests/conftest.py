"""Fixtures: a network of real repositories in a directory of its own."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import hypothesis
import pytest
import quick_sh
from network import THOROUGH, Network, Node

# In the background a shell hands down an ignored SIGINT, nohup an ignored SIGHUP: what the tests start must be
# interruptible.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

STORIES = {"net", "tmp_path", "tmp_path_factory"}  # fixtures of tests that make repositories
# Files whose stories all take long, left out for every day.
LONG_STORIES = {
    "test_annex_settings.py", "test_bridge.py", "test_connections.py", "test_convergence.py",
    "test_convergence_conflicts.py", "test_differential.py", "test_plain_annex.py", "test_policy.py",
    "test_push_races.py", "test_shared.py", "test_signals.py", "test_stores.py", "test_taken_back.py",
    "test_triggers.py", "test_upkeep.py", "test_waiting.py", "test_wanted.py", "test_watch.py",
}  # fmt: skip
MEMORY, ENOUGH = Path("/dev/shm"), 4 << 30  # bytes


# A busy machine is no failure.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="all pure tests, and one story on repositories of each file")


def pytest_configure() -> None:
    """Repositories in memory, where there is plenty: git waits for the disk at every object. Forks are dear, too."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    quick_sh.install()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long stories whose point shorter ones make too are for a thorough run."""
    kept = [item for item in items if THOROUGH > 1 or not item.get_closest_marker("thorough")]
    if config.getoption("--fast"):
        kept = _for_every_day(kept)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = _long_first(kept)


def _for_every_day(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return what is pure, and of each file the first story on repositories that is neither slow nor long."""
    kept: list[pytest.Item] = []
    told = {item.path for item in items if item.path.name in LONG_STORIES}
    for item in items:
        is_story = not STORIES.isdisjoint(getattr(item, "fixturenames", ()))
        slow = item.get_closest_marker("slow") or item.get_closest_marker("long")
        if not slow and not (is_story and item.path in told):
            kept.append(item)
            told |= {item.path} if is_story else set()
    return kept


def _long_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """At the head of what each worker begins with stands its share of the long tests: none of them comes last."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    short, size = [item for item in items if item not in long], -(-len(items) // workers)
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        ordered += long[worker::workers]
        room = size * (worker + 1) - len(ordered)
        ordered, short = ordered + short[:room], short[room:]
    return ordered + short


@pytest.fixture
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Network:
    """An empty network."""
    return Network(tmp_path / "net", inits=request.node.get_closest_marker("inits") is not None)


def two_of_one(net: Network) -> tuple[Node, Node]:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "one\ntwo\nthree\n"})
    desktop = net.clone(laptop, "desktop")
    net.mesh(laptop, desktop)
    return laptop, desktop


@pytest.fixture
def pair(net: Network) -> tuple[Node, Node]:
    """A laptop and a desktop with one common commit (a.txt), each the other's remote."""
    laptop, desktop = net.made_by(two_of_one)
    return laptop, desktop
