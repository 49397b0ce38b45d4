"""Signals at work: a push here is a fetch there, and nothing that anybody sends can be more than that."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from byhooks import hooked, until
from network import Network, Node
from servers import Mosquitto
from sshd import free_port
from watching import Watching

SEED = 11


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as server:
        yield server


def two_at_a_hub(net: Network) -> tuple[Node, Node, Node]:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    hub = net.clone(laptop, "hub", bare=True)
    hub.git("remote", "remove", "origin")
    desktop = net.clone(hub, "desktop")
    net.connect((laptop, hub))
    for node in (laptop, desktop, laptop):
        node.syncx("sync", ok=None)
    return laptop, desktop, hub


@pytest.fixture
def two(net: Network, broker: Mosquitto) -> tuple[Node, Node, Node]:
    """A laptop and a desktop that share nothing but a bare hub and a broker."""
    laptop, desktop, hub = net.made_by(two_at_a_hub)
    for node in (laptop, desktop):
        node.config("syncx.signal", f"mqtt://localhost:{broker.port}/family")
    return laptop, desktop, hub


def uuid_of(node: Node) -> str:
    return node.git("config", "annex.uuid").out.strip()


def forge(broker: Mosquitto, payloads: list[bytes], topic: str = "family/forged") -> None:
    """Publish anything, as anybody can who may write to the broker."""
    import paho.mqtt.client as paho

    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("localhost", broker.port)
    client.loop_start()
    for payload in payloads:
        client.publish(topic, payload).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


@pytest.mark.slow
def test_a_push_here_is_a_fetch_there(two: tuple[Node, Node, Node], broker: Mosquitto) -> None:
    laptop, desktop, _ = two
    lucky = random.Random(SEED)
    with Watching(desktop) as watching:
        made = laptop.commit({"b.txt": "b\n"})
        laptop.syncx("push")
        watching.wait_until(lambda: desktop.contains(made, "main"), "the commit of the laptop")
        with hooked([laptop]):
            annexed = laptop.commit_annexed({"c.bin": "c" * 10_000})
            watching.wait_until(lambda: desktop.contains(annexed, "main"), "the commit that a hook pushed")
            watching.wait_until(lambda: (desktop.path / "c.bin").exists(), "its content")
        broker.restart()
        made = laptop.commit({"again.txt": "again\n"})
        laptop.syncx("push")
        watching.wait_until(lambda: desktop.contains(made, "main"), "the commit after the broker was started again")
        garbage = [lucky.randbytes(lucky.randrange(2000)) for _ in range(200)] + [b"x" * 1_000_000]
        forged = [
            json.dumps({"version": 1, "kind": "refs", "uuid": f"{n:08x}", "refs": "ab", "time": n}).encode()
            for n in range(800)
        ]
        forge(broker, garbage + forged)
        resident = memory(watching.process.pid)
        made = laptop.commit({"d.txt": "d\n"})
        laptop.syncx("push")
        watching.wait_until(lambda: desktop.contains(made, "main"), "the commit after the flood")
        assert resident < 80_000
        fetched = watching.said.count("fetch hub")
    counts = json.loads(status(desktop))["signals"]
    assert counts["accepted"] >= 3
    assert counts["unknown repository"] >= 500, counts
    assert counts["garbage"] + counts.get("too long", 0) >= 100, counts
    assert fetched <= 8, "a flood of forged ones caused no fetch"
    text = desktop.run("git-annex-syncx", "status").out
    assert "signals:" in text


def status(node: Node) -> str:
    """The last line of the status, the own repository's."""
    return node.run("git-annex-syncx", "--json", "status").out.splitlines()[-1]


def memory(pid: int) -> int:
    """Resident kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_nothing_is_told_of_a_push_that_failed(two: tuple[Node, Node, Node], net: Network) -> None:
    laptop, desktop, hub = two
    heard: list[dict[str, object]] = []
    process = subprocess.Popen(
        ("git-annex-syncx", "--json", "signal", "listen"), cwd=desktop.path, env=net.env(), stdout=subprocess.PIPE
    )
    out = process.stdout
    assert out
    reader = threading.Thread(target=lambda: heard.extend(json.loads(line) for line in out), daemon=True)
    reader.start()
    try:
        until(lambda: any(one["what"] == "connected" for one in heard), "listening")
        laptop.syncx("signal", "send")
        until(lambda: any(one["uuid"] == uuid_of(laptop) for one in heard), "what was sent by hand")
        before = len(heard)
        hub.path.rename(net.root / "gone")
        laptop.commit({"b.txt": "b\n"})
        laptop.syncx("push", ok=None)
        (net.root / "gone").rename(hub.path)
        laptop.config("remote.hub.annex-push", "false")
        laptop.syncx("push", ok=None)
        laptop.git("config", "--unset", "remote.hub.annex-push")
        assert len(heard) == before
        laptop.syncx("push")
        until(lambda: len(heard) > before, "what was told after the push")
    finally:
        process.terminate()
        process.wait(10)
        reader.join(5)


def test_trying_a_channel_tells_its_latency_or_what_is_wrong(two: tuple[Node, Node, Node], net: Network) -> None:
    laptop, _, _ = two
    assert "works" in laptop.run("git-annex-syncx", "signal", "test").out
    events = laptop.syncx("signal", "test").events
    assert 0 < events[0]["seconds"] < 15
    laptop.config("syncx.signal", f"mqtt://localhost:{free_port()}/family")
    ran = laptop.run("git-annex-syncx", "signal", "send", ok=1)
    assert "localhost" in ran.err
    assert "Traceback" not in ran.err
    laptop.config("syncx.signal", "carrier-pigeon:home")
    ran = laptop.run("git-annex-syncx", "signal", "test", ok=1)
    assert "mqtts://" in ran.err
    laptop.git("config", "--unset", "syncx.signal")
    assert "git config --add syncx.signal" in laptop.run("git-annex-syncx", "signal", "test", ok=2).err


def test_channel_that_does_not_work_harms_no_push(two: tuple[Node, Node, Node]) -> None:
    laptop, _, hub = two
    laptop.config("syncx.signal", f"mqtt://localhost:{free_port()}/family")
    made = laptop.commit({"b.txt": "b\n"})
    ran = laptop.run("git-annex-syncx", "push")
    assert "the others were not told" in ran.err
    assert hub.contains(made, "main")
