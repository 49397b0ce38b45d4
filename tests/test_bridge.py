"""Two networks that never see each other, joined by a store for git and content and by a bell that rings."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from byhooks import PATIENCE, dismiss, hooked, log, until
from network import Network, Node
from servers import require
from watching import seconds_to_start

NAMES = ("a", "b", "s")  # two networks, and the place of the broker


@contextlib.contextmanager
def namespaces() -> Iterator[dict[str, tuple[str, ...]]]:
    """Network namespaces: a and b each have a link to s, which passes nothing on. What runs a program in each."""
    made = {name: f"syncx-{os.getpid()}-{name}" for name in NAMES}
    try:
        for full in made.values():
            ip("netns", "add", full)
            ip("-n", full, "link", "set", "lo", "up")
        for number, name in enumerate(("a", "b"), start=1):
            near, far = f"sx{os.getpid() % 100000}{name}", f"sy{os.getpid() % 100000}{name}"
            ip("link", "add", near, "netns", made[name], "type", "veth", "peer", "name", far, "netns", made["s"])
            ip("-n", made[name], "addr", "add", f"10.77.{number}.2/24", "dev", near)
            ip("-n", made["s"], "addr", "add", f"10.77.{number}.1/24", "dev", far)
            ip("-n", made[name], "link", "set", near, "up")
            ip("-n", made["s"], "link", "set", far, "up")
        yield {name: ("ip", "netns", "exec", full) for name, full in made.items()}
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"network namespaces cannot be made here: {error}")
    finally:
        for full in made.values():
            subprocess.run(("ip", "netns", "delete", full), check=False, capture_output=True)


@contextlib.contextmanager
def broker_in(place: tuple[str, ...], root: Path) -> Iterator[int]:
    """An MQTT broker in a namespace; its port."""
    root.mkdir()
    config, port = root / "mosquitto.conf", 1883
    config.write_text(f"listener {port} 0.0.0.0\nallow_anonymous true\nuser root\n")
    with (root / "log").open("wb") as said:
        process = subprocess.Popen((*place, require("mosquitto"), "-c", config), stdout=said, stderr=said)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def reaches(place: tuple[str, ...], address: str, port: int) -> bool:
    """Whether somebody in a namespace can connect."""
    connect = f"import socket; socket.create_connection(({address!r}, {port}), 2)"
    return subprocess.run((*place, sys.executable, "-c", connect), check=False, capture_output=True).returncode == 0


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True)


@contextlib.contextmanager
def watching(node: Node) -> Iterator[Path]:
    """The service, in the node's own network; what it says."""
    said = node.net.root / f"{node.name}.watch"
    with said.open("wb") as out:
        process = subprocess.Popen(
            (*node.inside, "git-annex-syncx", "-v", "watch"), cwd=node.path, env=node.net.env(),
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        until(lambda: b"watching" in said.read_bytes(), "the service runs")
        yield said
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def store_of(node: Node, store: Path) -> None:
    """A special remote for git and content that is emptied when everybody has what it holds."""
    store.mkdir()
    words = ("type=directory", f"directory={store}", "encryption=none", "--with-url")
    node.annex("initremote", "--quiet", "store", *words)
    node.annex("group", "store", "transfer")
    node.annex("wanted", "store", "standard")


def joined(node: Node, store: Path) -> None:
    """The same in the other network, verified by its user."""
    told = node.annex("enableremote", "store", f"directory={store}", "--with-url").out
    ran = node.run("git-annex-syncx", "--verbose", "transfer")
    assert "git annex verifyremote store" in ran.err  # until the user has verified it
    wanted = re.search(r"--safe (\S+)", told)
    assert wanted
    node.annex("verifyremote", "store", "--safe", wanted[1])


def content_in(store: Path) -> list[str]:
    """The keys of files that a store holds; git's own objects are there too."""
    found = (name for _, _, names in os.walk(store) for name in names)  # no error where a directory goes meanwhile
    return [name for name in found if not name.startswith("GIT")]


def two_lans(net: Network, store: Path) -> tuple[Node, Node, Node, Node]:
    """laptop - nas - store - box - desk."""
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    nas = net.clone(laptop, "nas")
    store_of(nas, store)
    net.connect((laptop, nas))
    for node in (laptop, nas, laptop):
        node.syncx("sync", ok=None)
    box = net.clone(nas, "box")
    box.git("remote", "remove", "nas")
    joined(box, store)
    desk = net.clone(box, "desk")
    net.connect((box, desk))
    everyone = (laptop, nas, box, desk)
    for node in (*everyone, *everyone[::-1]):
        node.syncx("sync", ok=None)
    return everyone


def holds(node: Node, path: str) -> bool:
    return (node.path / path).exists()


@pytest.mark.slow
def test_two_networks_that_share_only_a_store_and_a_broker(net: Network) -> None:
    store = net.root / "store"
    laptop, nas, box, desk = everyone = two_lans(net, store)
    start = seconds_to_start(laptop)
    with namespaces() as places, broker_in(places["s"], net.root / "broker") as port:
        for node, place, host in ((laptop, "a", 1), (nas, "a", 1), (box, "b", 2), (desk, "b", 2)):
            node.inside = places[place]
            if node in (nas, box):
                node.config("syncx.signal", f"mqtt://10.77.{host}.1:{port}/family")
        until(lambda: reaches(places["a"], "10.77.1.1", port), "the broker answers")
        assert not reaches(places["a"], "10.77.2.1", port), "nothing leads into the other network"
        ran = box.run("git-annex-syncx", "signal", "test")
        assert "works" in ran.out
        with hooked(everyone), watching(nas), watching(box) as said:
            begun = time.monotonic()
            laptop.commit_annexed({"film.bin": "film" * 10_000})
            until(lambda: holds(desk, "film.bin"), "the file at the far end")
            assert time.monotonic() - begun < 50 + 40 * start, "by signals, not by a look now and then"
            until(lambda: not content_in(store), "the store is emptied")
            desk.commit_annexed({"answer.bin": "answer" * 10_000})
            until(lambda: holds(laptop, "answer.bin"), "the way back")
            until(lambda: not content_in(store), "the store is emptied again")
            assert "look at store" in said.read_text()
            assert "failed" not in log(laptop) + log(desk)
        counts = box.syncx("status").events[-1]["signals"]
        assert counts["accepted"] >= 1
        for node in everyone:
            dismiss(node)
            node.inside = ()
