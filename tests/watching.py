"""`watch` at work in a repository of a test, and whether processes of a test are left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from network import PROGRAMS, Network, Node

PATIENCE = 120.0  # seconds, on a machine that does much else
PROCESSES = Path("/proc")


class Watching:
    """A `watch` that runs while the block does; what it says is in `said`."""

    def __init__(self, node: Node, *options: str) -> None:
        self.node, self.options = node, options
        self.log = node.net.root / f"watch-{node.name}.log"

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ("git-annex-syncx", *self.options, "watch"), cwd=self.node.path, env=self.node.net.env(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.wait_for("watching")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.end()

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it has said this, so many times."""
        self.wait_until(lambda: self.said.count(text) >= times, f"{text!r} was not said {times} times")

    def wait_until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait for something while it runs."""
        eventually(condition, lambda: f"{what}; it said:\n{self.said}", self.process)

    def end(self) -> tuple[int, float]:
        """Tell it to end; its exit code, and how many seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE), time.monotonic() - begun
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def rest(self) -> None:
        """Wait until it has nothing in hand."""
        quiet = 0
        while quiet < 5:
            time.sleep(0.1)
            quiet = 0 if _below(self.process.pid) else quiet + 1


def eventually(
    condition: Callable[[], object],
    what: Callable[[], str] = lambda: "it did not come true",
    running: subprocess.Popen[bytes] | None = None,
) -> None:
    """Wait until something is true; an AssertionError after a while, or when what should run has ended."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what()
        assert running is None or running.poll() is None, f"it has ended; {what()}"
        time.sleep(0.05)


def left_behind(net: Network) -> list[str]:
    """The processes of a network that run now; known by the home that they have."""
    mark, found = f"HOME={net.home}\0".encode(), []
    for process in PROCESSES.glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append(f"{process.name}: {(process / 'cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found


def nothing_is_left(net: Network) -> None:
    """Wait until the last process of a network has ended."""
    eventually(lambda: not left_behind(net), lambda: f"left behind: {left_behind(net)}")


def _below(pid: int) -> bool:
    """Whether a process has children; of a thread that ends while we look, the next look tells."""
    try:
        return any((task / "children").read_text() for task in (PROCESSES / str(pid) / "task").iterdir())
    except OSError:
        return True


@contextlib.contextmanager
def halted(node: Node) -> Iterator[None]:
    """The programs at work in a repository stand still meanwhile, with all that they hold."""
    pids = [pid for pid in map(int, filter(str.isdigit, os.listdir(PROCESSES))) if _works_in(pid, node.path)]
    _send(signal.SIGSTOP, pids)
    try:
        yield
    finally:
        _send(signal.SIGCONT, pids)


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(pid, number)


def _works_in(pid: int, place: Path) -> bool:
    try:
        return Path(os.readlink(PROCESSES / str(pid) / "cwd")).is_relative_to(place)
    except OSError:
        return False


def seconds_to_start(node: Node) -> float:
    """How long the program takes to start and end here and now, the measure of how busy the machine is."""
    begun = time.monotonic()
    node.run(str(PROGRAMS / "git-annex-syncx"), "--version")
    return time.monotonic() - begun


def received(place: Path, key: str) -> int:
    """How many bytes of a key a bare repository has received so far."""
    return max((file.stat().st_size for file in place.glob(f"annex/**/*{key}") if file.is_file()), default=0)


def trigger(node: Node, kind: str) -> None:
    """Ask for something as a hook does, and do it, without waiting for more."""
    requests = node.path / ".git" / "annex" / "syncx" / "requests"
    requests.mkdir(exist_ok=True)
    (requests / kind).touch()
    node.run("git-annex-syncx", "trigger", "waiting")


def has_content(node: Node, name: str) -> bool:
    """Whether the content of an annexed file is in a repository, as its directory shows; `name` ends its key."""
    place = node.path / "annex" if (node.path / "annex").is_dir() else node.path / ".git" / "annex"
    return any(file.name.endswith(name) and file.is_file() for file in place.glob("objects/**/*"))


def key_of(node: Node, name: str) -> str:
    """The key of an annexed file of the work tree."""
    return os.path.basename(os.readlink(node.path / name))
