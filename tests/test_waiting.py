"""Content that has a way arrives, whoever is off, and what waits is told: for whom, and until when."""

from __future__ import annotations

import functools
import http.server
import os
import pty
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from network import Network, Node
from sshd import wait_until
from test_transfer import connect, directory_remote, keys_on_disk, make_known, uuid_of

NEVER, SOON = "1d", "0.2s"


def key_of(node: Node, path: str) -> str:
    return node.annex("lookupkey", path).out.strip()


def at_a_terminal(node: Node, *args: str) -> int:
    """Run syncx where a person sits; the exit code."""
    master, terminal = pty.openpty()
    try:
        return subprocess.run(
            ("git-annex-syncx", *args), cwd=node.path, env=node.net.env(TERM="dumb"),
            stdin=terminal, stdout=terminal, stderr=terminal, timeout=120, check=False,
        ).returncode  # fmt: skip
    finally:
        os.close(terminal)
        os.close(master)


def comes(node: Node, key: str, at: Node) -> None:
    """Transfer until a key has come to a repository."""

    def moved() -> bool:
        node.syncx("transfer", ok=None)
        return key in keys_on_disk(at)

    wait_until(moved, 120)


def hhmm(ran_reason: str) -> bool:
    return re.search(r" or (\d{4}-\d\d-\d\d )?\d\d:\d\d$", ran_reason) is not None


def test_nearer_holder_that_is_away_or_dead(net: Network) -> None:
    """b is nearer than d; both have all. What b does not give comes from d after a while, at a terminal at once."""
    d = net.create("d")
    d.commit_annexed({f"f{n}": f"{n}\n" * 100 for n in range(3)})
    b, c = net.clone(d, "b"), net.clone(d, "c")
    b.annex("get", "--quiet", ".")
    connect(net, (c, b))
    c.config("remote.d.annex-cost", "200")
    b.git("remote", "remove", "d")
    c.syncx("sync", "--no-content")
    c.config("syncx.patience", NEVER)
    b.path.rename(net.root / "drawer")
    f0, f1, f2 = (key_of(c, f"f{n}") for n in range(3))

    ran = c.syncx("transfer")
    waits = ran.event("waiting")
    assert (waits["result"], waits["files"], waits["target"]) == ("waits", 3, uuid_of(c))
    assert waits["reason"].startswith("3 files, until b is there or ") and hhmm(waits["reason"])
    assert time.time() < waits["until"] <= time.time() + 86400
    assert keys_on_disk(c) == set()

    assert at_a_terminal(c, "transfer", "f0") == 0
    assert keys_on_disk(c) == {f0}, "a person waits for nobody"
    c.git("remote", "set-url", "b", "ssh://127.0.0.1:9/nowhere")
    assert at_a_terminal(c, "transfer", "f1") == 1
    assert keys_on_disk(c) == {f0, f1}, "nor for a host that is dead"

    c.config("syncx.patience", SOON)
    comes(c, f2, c)
    assert c.syncx("transfer", ok=None).event("transfer", "d")["result"] == "current"


@pytest.mark.parametrize("operation", ["push", "pull"])
def test_carrier_that_is_off_and_a_dearer_way(net: Network, operation: str) -> None:
    """a - b - c are near, a - c is far; b is off. All push, or all pull."""
    a = net.create("a")
    a.commit_annexed({"x": "x\n" * 100})
    b, c = net.clone(a, "b"), net.clone(a, "c")
    for node in (b, c):
        node.git("remote", "remove", "a")
    pairs = [(a, b), (b, c), (a, c)]
    connect(net, *(pairs if operation == "push" else [(two, one) for one, two in pairs]))
    (a if operation == "push" else c).config(f"remote.{'c' if operation == 'push' else 'a'}.annex-cost", "300")
    for node in (a, b, c, c, b, a):
        node.syncx("map", "--publish")
        for other in node.git("remote").out.split():
            node.annex("sync", "--quiet", "--no-content", other, ok=None)
    x = key_of(a, "x")
    if operation == "push":
        told = a.syncx("transfer", "c").event("transfer", "c")
        assert told["result"] == "waits" and told["reason"].startswith("1 file, until b has it or "), "b is not asked"
    b.path.rename(net.root / "off")
    mover = a if operation == "push" else c
    mover.config("syncx.patience", NEVER)
    ran = mover.syncx("transfer", ok=None)
    assert keys_on_disk(c) == set()
    told = ran.event("transfer", "c") if operation == "push" else ran.event("waiting")
    assert told["result"] == "waits" and hhmm(told["reason"]), ran.out
    assert (told["waiting"] if operation == "push" else told["files"]) == 1
    if operation == "push":
        mover.config("syncx.patience", "0")
        mover.syncx("transfer", ok=None)
        assert x in keys_on_disk(c), "nobody is waited for"
    else:
        mover.config("syncx.patience", SOON)
        comes(mover, x, c)


def test_one_of_two_archives_lies_in_a_drawer(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"x": "x\n"})
    drives = [net.clone(laptop, name) for name in ("one", "two")]
    connect(net, *((laptop, drive) for drive in drives))
    for drive in drives:
        laptop.annex("group", drive.name, "archive")
        laptop.annex("wanted", drive.name, "standard")
    make_known(laptop)
    laptop.config("syncx.patience", NEVER)
    first = min(drives, key=uuid_of)
    (other,) = (drive for drive in drives if drive is not first)
    first.path.rename(net.root / "drawer")
    assert laptop.syncx("transfer").event("transfer", first.name)["result"] == "away"
    assert keys_on_disk(other) == set()
    laptop.config("syncx.patience", SOON)
    comes(laptop, key_of(laptop, "x"), other)
    (net.root / "drawer").rename(first.path)
    laptop.commit_annexed({"y": "y\n"})
    laptop.syncx("transfer")
    assert keys_on_disk(first) == {key_of(laptop, "y")}, "it is back in its place"


def test_relay_wants_something_itself(net: Network) -> None:
    a = net.create("a")
    a.commit_annexed({"docs/x": "x\n", "films/y": "y\n"})
    relay = net.clone(a, "r")
    relay.config("syncx.relay", "true")
    relay.annex("wanted", "here", "include=docs/*")
    make_known(relay)
    relay.syncx("transfer")
    assert keys_on_disk(relay) == {key_of(a, "docs/x")}
    assert relay.syncx("transfer").event("transfer", "a")["result"] == "current", "and it stays there"
    assert keys_on_disk(relay) == {key_of(a, "docs/x")}


def test_holder_whose_log_is_wrong(net: Network) -> None:
    """nas is said to have all and has nothing of it; in the same run it comes from d, and nas is not asked again."""
    d = net.create("d")
    d.commit_annexed({"x": "x\n"})
    nas, c = net.clone(d, "nas"), net.clone(d, "c")
    store = net.root / "store"
    uuid = directory_remote(c, "store", store)
    connect(net, (c, nas))
    for name, cost in (("nas", 100), ("store", 150), ("d", 200)):
        c.config(f"remote.{name}.annex-cost", str(cost))
    for lost in (uuid_of(nas), uuid):
        c.annex("setpresentkey", key_of(c, "x"), lost, "1")
    c.syncx("sync", "--no-content")
    ran = c.syncx("transfer", ok=1)
    assert keys_on_disk(c) == {key_of(c, "x")}
    failed = [event["remote"] for event in ran.events if event["event"] == "file" and event["state"] == "failed"]
    assert failed == ["nas", "store"], ran.out
    c.annex("drop", "--quiet", "--force", "x")
    assert c.syncx("transfer").event("transfer", "d")["files"] == 1, "neither is asked again"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory and the address at which it is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    served = tmp_path / "served"
    served.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=served)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield served, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_content_that_only_the_web_has(net: Network, web: tuple[Path, str]) -> None:
    served, address = web
    (served / "film").write_bytes(b"film\n" * 1000)
    (net.home / ".gitconfig").open("a").write('[annex "security"]\n\tallowed-ip-addresses = 127.0.0.1\n')
    a = net.create("a")
    a.commit()
    a.annex("addurl", "--quiet", "--fast", "--file=f", f"{address}/film")
    a.git("commit", "--quiet", "--message", "f")
    b = net.clone(a, "b")
    ran = b.syncx("sync")
    assert b.read("f") == b"film\n" * 1000
    assert ran.event("transfer", "web")["files"] == 1
    again = b.syncx("sync")
    assert [event for event in again.events if event.get("remote") == "web"] == [], (
        "nothing is said where nothing is done"
    )
    (served / "gone").write_bytes(b"gone\n")
    a.annex("addurl", "--quiet", "--fast", "--file=g", f"{address}/gone")
    a.git("commit", "--quiet", "--message", "g")
    (served / "gone").unlink()
    assert "File not found" in b.syncx("sync", ok=1).event("transfer", "web")["error"]
    again = b.syncx("transfer")
    assert "web" not in {event.get("remote") for event in again.events}, "it is not tried again at once"
    failing = [(f["remote"], f["phase"], f["tries"]) for f in b.syncx("status").event("summary")["failures"]]
    assert failing == [("web", "transfer", 1)], "but it is remembered"
    assert "transfer with web failed once" in b.run("git-annex-syncx", "status").out
    a.git("rm", "--quiet", "g")
    a.git("commit", "--quiet", "--message", "no g")
    assert b.syncx("sync").event("transfer", "web")["result"] == "current", "nothing is left to fetch"
    assert b.syncx("status").event("summary")["failures"] == []


def test_no_way_is_said(net: Network) -> None:
    """Two clones behind a forge that takes no content."""
    forge = net.root / "forge"
    a = net.create("a")
    a.commit()
    a.git("init", "--quiet", "--bare", str(forge))
    a.git("remote", "add", "forge", str(forge))
    a.config("remote.forge.annex-ignore", "true")
    a.commit_annexed({"x": "x\n"})
    a.syncx("sync")
    b = Node(net, "b", net.root / "b")
    a.git("clone", "--quiet", "--origin", "forge", str(forge), str(b.path))
    b.annex("init", "--quiet", "b")
    b.config("remote.forge.annex-ignore", "true")
    told = b.syncx("sync").event("waiting")
    assert (told["result"], told["files"], told["executor"]) == ("waits", 1, None)
    assert told["reason"] == "1 file wanted here, no way leads here: forge takes no content"
    assert "no way leads here" in b.run("git-annex-syncx", "-v", "sync").err


def test_what_the_only_holder_does_not_have_is_never_current(net: Network) -> None:
    laptop = net.create("laptop")
    directory_remote(laptop, "store", net.root / "store")
    laptop.commit_annexed({"a.bin": "a" * 20_000})
    laptop.annex("move", "--quiet", "--to=store", "a.bin")
    (net.root / "store").rename(net.root / "away")
    laptop.syncx("sync", ok=None)
    (net.root / "away").rename(net.root / "store")
    assert laptop.syncx("sync").event("transfer", "store")["result"] == "done", (
        "a place that is not there says nothing"
    )
    laptop.annex("drop", "--quiet", "a.bin", "--force")
    laptop.annex("setpresentkey", laptop.annex("lookupkey", "a.bin").out.strip(), uuid_of(laptop), "0")
    for file in [file for file in (net.root / "store").rglob("*") if file.is_file()]:
        file.parent.chmod(0o755)
        file.unlink()
    laptop.syncx("sync", ok=1)
    told = laptop.syncx("sync").event("waiting")
    assert told["result"] == "waits" and "git annex fsck --fast --from=store" in told["reason"]
    laptop.annex("fsck", "--quiet", "--fast", "--from=store", ok=1)
    assert "fsck" not in laptop.syncx("sync").out


def test_archive_behind_an_archive_takes_nobodys_turn(net: Network) -> None:
    """One archive at a time is asked to take a file: one to which a way leads, not one behind the other."""
    desk = net.create("desk")
    desk.commit({"a.txt": "a\n"})
    laptop, drives = net.clone(desk, "laptop"), [net.clone(desk, f"drive{n}") for n in range(3)]
    net.connect(*((desk, drive) for drive in drives))
    laptop.config("remote.desk.annex-cost", "300")  # by cost a drive's turn would come first
    make_known(laptop, desk, *drives)
    for node in (desk, *drives):
        desk.annex("group", "--quiet", uuid_of(node), "archive")
        desk.annex("wanted", "--quiet", uuid_of(node), "standard")
    laptop.commit_annexed({"x.bin": "x"})
    desk.syncx("sync")

    ran = laptop.syncx("sync")
    assert ran.event("transfer", "desk")["result"] == "done"
    assert key_of(laptop, "x.bin") in keys_on_disk(desk)
