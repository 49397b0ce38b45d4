"""Networks that are kept together by hooks alone, for tests to tell stories with."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from network import Node

PATIENCE = 120.0  # seconds
CALM = 1.0  # seconds without any request, until a network counts as at rest


def until(true: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        time.sleep(0.05)


def state(node: Node) -> Path:
    """Where syncx keeps what it must remember."""
    return Path(node.git("rev-parse", "--path-format=absolute", "--git-common-dir").out.strip()) / "annex" / "syncx"


@contextlib.contextmanager
def hooked(nodes: Iterable[Node], **settings: str) -> Iterator[None]:
    """Install the hooks; in the end uninstall them and end what they have started."""
    nodes = list(nodes)
    for node in nodes:
        for key, value in {"pushDelay": "0", "settleTime": "0.5s", **settings}.items():
            node.config(f"syncx.{key}", value)
        node.run("git-annex-syncx", "--quiet", "hooks", "install")
    try:
        yield
    finally:
        for node in nodes:
            node.run("git-annex-syncx", "--quiet", "hooks", "uninstall", ok=None)
        for node in nodes:
            dismiss(node)


def dismiss(node: Node) -> None:
    """End the process that attends to a repository's requests."""
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        os.kill(int((state(node) / "requests.pid").read_text().split()[0]), signal.SIGTERM)


def at_rest(nodes: Iterable[Node]) -> bool:
    """Whether nothing is asked of anybody."""
    return not any(os.listdir(state(node) / "requests") for node in nodes if (state(node) / "requests").is_dir())


def settle(nodes: Iterable[Node], patience: float = PATIENCE) -> None:
    """Wait until all have the same commit and nothing moves any more."""
    nodes = list(nodes)
    calm = time.monotonic()

    def calmed() -> bool:
        nonlocal calm
        if not at_rest(nodes) or len({node.head("main") for node in nodes}) > 1:
            calm = time.monotonic()
        return time.monotonic() - calm > CALM

    until(calmed, f"at rest: {[(node.name, node.head('main')[:8]) for node in nodes]}", patience)


def log(node: Node) -> str:
    """What the hooks' runs have said."""
    path = state(node) / "hook.log"
    return path.read_text() if path.exists() else ""
