"""Signals at work: a push here is a fetch there, and nothing that anybody sends can be more than that."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from byhooks import at_rest, hooked, state, until
from network import Network, Node
from servers import Mosquitto
from sshd import free_port
from watching import Watching

from git_annex_syncx.git.git import open_repository
from git_annex_syncx.runs.context import open_context
from git_annex_syncx.triggers.queue import REFS, Queue, Request
from git_annex_syncx.triggers.signals.listener import Listener

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


# As soon as somebody can come for it


@contextlib.contextmanager
def heard_at(broker: Mosquitto, look: Callable[[], object]) -> Iterator[list[tuple[str, object]]]:
    """The kinds of the signals that come meanwhile, each with what `look` saw when it came."""
    import paho.mqtt.client as paho

    came: list[tuple[str, object]] = []
    listening = threading.Event()

    def hear(_: object, __: object, message: paho.MQTTMessage) -> None:
        if not message.retain and (kind := json.loads(message.payload)["kind"]) in ("refs", "content"):
            came.append((kind, look()))

    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_message = hear
    client.on_connect = lambda *_: client.subscribe("family/+", 1)
    client.on_subscribe = lambda *_: listening.set()
    client.connect("localhost", broker.port)
    client.loop_start()
    assert listening.wait(30)
    try:
        yield came
    finally:
        client.disconnect()
        client.loop_stop()


@contextlib.contextmanager
def slow(hub: Node) -> Iterator[Path]:
    """A repository that takes no push before the file that is yielded is there."""
    hook, permission = hub.path / "hooks" / "pre-receive", hub.net.root / "may go on"
    hook.write_text(f"#!/bin/sh\nwhile [ ! -e '{permission}' ]; do sleep 0.1; done\n")
    hook.chmod(0o755)
    try:
        yield permission
    finally:
        permission.touch()


def test_others_are_told_while_the_slowest_is_still_at_it(
    two: tuple[Node, Node, Node], net: Network, broker: Mosquitto
) -> None:
    laptop, desktop, hub = two
    quick = net.clone(laptop, "quick", bare=True)
    net.connect((laptop, quick), (desktop, quick))
    for node in (laptop, desktop, laptop):
        node.syncx("sync")
    made = laptop.commit({"b.txt": "b\n"})
    with (
        slow(hub) as hub_may,
        heard_at(broker, lambda: (quick.contains(made, "main"), hub.contains(made, "main"))) as told,
    ):
        running = laptop.start("push")
        until(lambda: told, "what is told while the hub lets everybody wait")
        assert running.poll() is None
        hub_may.touch()
        assert running.wait(60) == 0
        assert told[0] == ("refs", (True, False))
        until(lambda: len(told) == 2, "that the rest has it too")
        assert told[1] == ("refs", (True, True))


def test_nobody_is_told_before_there_is_something_to_fetch(
    two: tuple[Node, Node, Node], net: Network, broker: Mosquitto
) -> None:
    laptop, desktop, hub = two
    usb = net.clone(laptop, "usb", bare=True)  # nobody else has it
    net.connect((laptop, usb))
    for node in (laptop, desktop, laptop):
        node.syncx("sync")
    made = laptop.commit({"b.txt": "b\n"})
    with slow(hub) as hub_may, heard_at(broker, lambda: hub.contains(made, "main")) as told:
        running = laptop.start("push")
        until(lambda: usb.contains(made, "main"), "the drive has it")
        hub_may.touch()
        assert running.wait(60) == 0
        assert told == [("refs", True)]
        laptop.git("remote", "remove", "usb")
        laptop.config("remote.hub.annex-cost", "150")
        assert "published" in laptop.run("git-annex-syncx", "map", "--publish").err
        pushed = laptop.syncx("push")
        assert pushed.event("push", "hub")["result"] == "done"
        made = laptop.commit({"c.txt": "c\n"})
        laptop.syncx("push")
        assert told == [("refs", True)] * 2, "nothing of what the links cost"


def test_content_that_git_annex_itself_has_recorded_at_the_hub_is_told(
    two: tuple[Node, Node, Node], broker: Mosquitto
) -> None:
    """It can write the very same commit here and there; nothing is left to push then."""
    laptop, _, hub = two
    laptop.syncx("map", "--publish")
    laptop.syncx("push")
    with heard_at(broker, lambda: None) as told:
        for number in range(3):
            laptop.commit_annexed({f"{number}.bin": f"{number}" * 1000})
            laptop.syncx("push")
            until(lambda: told and told[-1][0] == "refs", "the branch")
            laptop.syncx("transfer")
            until(lambda: told[-1][0] == "content", "where the content is")
            assert laptop.head("git-annex") == hub.head("git-annex")


def test_no_news_is_lost_between_a_look_and_the_next(
    two: tuple[Node, Node, Node], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    laptop, desktop, _ = two
    lines = desktop.net.root / "lines"
    lines.touch()
    desktop.config("syncx.signal", f"exec:tail -n +1 -f '{lines}'; :")
    monkeypatch.setenv("HOME", str(desktop.net.home))
    context = open_context(open_repository(desktop.path))
    requests = Queue(context.repo)

    def tell(times: int) -> None:
        with lines.open("ab") as file:
            file.writelines(signal_of(laptop) + b"\n" for _ in range(times))

    def ask(asked: Iterable[Request]) -> None:
        for request in asked:
            requests.ask(request)

    def look_is_due() -> bool:
        return Request("fetch", "hub") in requests.due(REFS)

    listener = Listener(context.repo, context.settings, context.state, ask)
    with caplog.at_level(logging.INFO, "git_annex_syncx"):
        listener.start()
        try:
            tell(4)  # one more than are looked at without delay
            until(lambda: caplog.text.count("look at hub") >= 3, "three looks are asked for")
            time.sleep(0.5)  # the fourth is heard too
            looked = requests.due(REFS)
            requests.take(looked)
            requests.done(looked)
            tell(1)
            until(look_is_due, "a look after the last signal")
        finally:
            listener.stop()


def children(pid: int) -> dict[int, str]:
    """The processes below one that run, with the last word of each command."""
    found = {}
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError, IndexError):  # a thread has ended, or a process just now
            for child in children.read_text().split():
                found[int(child)] = Path(f"/proc/{child}/cmdline").read_text().split("\0")[-2]
    return found


def test_what_watch_has_ready_is_used(two: tuple[Node, Node, Node], broker: Mosquitto) -> None:
    laptop, desktop, _ = two

    def at_work() -> int:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((state(desktop) / "requests.pid").read_text().split()[0])
        return 0

    with Watching(desktop, "-v") as watching, heard_at(broker, lambda: None) as told:
        watching.wait_until(lambda: at_work() and at_rest([desktop]), "a process that stays")
        stays = at_work()
        watching.wait_until(lambda: children(watching.process.pid) == {stays: "ready"}, "it, and no other")
        made = laptop.commit({"b.txt": "b\n"})
        laptop.syncx("push")
        watching.wait_until(lambda: desktop.contains(made, "main"), "the commit of the laptop")
        assert at_work() == stays
        watching.wait_until(lambda: at_rest([desktop]), "nothing is left to do")
        os.kill(stays, signal.SIGTERM)
        watching.wait_until(lambda: stays not in children(watching.process.pid), "the end of that one")
        watching.wait_until(lambda: "ready" in children(watching.process.pid).values(), "another one")
        (ready,) = children(watching.process.pid)
        assert not at_work()
        made = laptop.commit({"c.txt": "c\n"})
        laptop.syncx("push")
        watching.wait_until(lambda: desktop.contains(made, "main"), "the next commit of the laptop")
        assert at_work() == ready

        watching.wait_until(lambda: at_rest([desktop]), "nothing is left to do")
        clients, told_before = broker.said.count("New client connected"), len(told)
        desktop.commit({"d.txt": "d\n"})
        desktop.syncx("push")
        watching.wait_until(lambda: len(told) > told_before, "what the desktop tells")
        desktop.syncx("signal", "send")
        assert broker.said.count("New client connected") == clients, "over the connection of the one that listens"
        place = local_socket(watching.process.pid)
        assert place.parent.stat().st_mode & 0o077 == 0
        told_before = len(told)
        for asked in (b"", b"x" * 100_000, b"{}\n", signal_of(laptop) + b"\n" + address(desktop), b"\xff\n\xff"):
            assert asks(place, asked) == b""
        assert asks(place, signal_of(desktop) + b"\n" + address(desktop)) == b"sent\n"
        watching.wait_until(lambda: len(told) > told_before, "what a program asked for")
        watching.process.kill()
        watching.process.wait()
        assert place.exists()
        assert desktop.syncx("signal", "send").events[0]["what"] == "sent"
        assert broker.said.count("New client connected") == clients + 1, "nobody listens any more"
        place.unlink()


def local_socket(pid: int) -> Path:
    """The socket at which a process listens."""
    inodes = {os.readlink(path).removeprefix("socket:[")[:-1] for path in Path(f"/proc/{pid}/fd").iterdir()}
    lines = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
    (place,) = (
        Path(words[7]) for words in lines if len(words) == 8 and words[6] in inodes and "/signals-" in words[7]
    )
    return place


def signal_of(node: Node) -> bytes:
    told = {"version": 1, "kind": "refs", "uuid": uuid_of(node), "refs": "ab", "time": time.time()}
    return json.dumps(told).encode()


def address(node: Node) -> bytes:
    return node.git("config", "syncx.signal").out.strip().encode()


def asks(place: Path, request: bytes) -> bytes:
    """The answer of a local socket."""
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.settimeout(10)
        client.connect(str(place))
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return client.recv(100)
    return b""
