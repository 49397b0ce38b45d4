"""What failed is tried again when it is due, and what the user has paused rests."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from network import Network, Node
from old_state import keep_facts
from sshd import Proxy, Sshd
from watching import Watching, eventually, has_content, key_of, nothing_is_left, trigger

from git_annex_syncx.model import Remote
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.pauses import EVERYTHING
from git_annex_syncx.system.records import Failure, Pause
from git_annex_syncx.system.state import State

NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def tidy(net: Network) -> Iterator[None]:
    """No process of a test outlives it."""
    yield
    nothing_is_left(net)


@pytest.fixture
def state(tmp_path: Path) -> State:
    """An empty one."""
    return State(tmp_path / "outbox.sqlite")


def level_hub(net: Network) -> tuple[Node, Node]:
    laptop, hub = net.create("laptop"), net.create("hub", bare=True)
    laptop.commit({"a.txt": "a\n"})
    net.connect((laptop, hub))
    for key, value in (("syncx.pushDelay", "0"), ("syncx.settleTime", "0.2s"), ("syncx.retries", "0")):
        laptop.config(key, value)
    laptop.syncx("sync")
    return laptop, hub


@pytest.fixture
def hub(net: Network) -> tuple[Node, Node]:
    """A laptop and a bare hub that has all."""
    laptop, bare = net.made_by(level_hub)
    return laptop, bare


def refuse(hub: Node) -> Path:
    """Let the hub refuse every push; the file that does it."""
    hook = hub.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho closed today >&2\nexit 1\n")
    hook.chmod(0o755)
    return hook


def database(node: Node) -> sqlite3.Connection:
    git_dir = node.path / ".git"
    return sqlite3.connect(git_dir / "annex" / "syncx" / "outbox.sqlite", isolation_level=None)


def make_due(node: Node) -> None:
    """As if the back-off were over."""
    database(node).execute("UPDATE failures SET next = last")


def failures(node: Node, remote: str = "hub") -> list[tuple[str, int, float]]:
    """Of a remote: phase, tries, and the back-off in seconds."""
    found = node.syncx("status").event("repository", remote)["failures"]
    return [(one["phase"], one["tries"], round(one["next"] - one["last"])) for one in found]


# Retry


@pytest.mark.slow
def test_a_server_that_was_down_gets_all_that_it_missed_and_gives_what_others_brought(net: Network) -> None:
    with Sshd(net.root / "sshd", net.home) as sshd, Proxy(sshd.port) as proxy:
        sshd.join(net)
        laptop, nas = net.create("laptop"), net.create("nas", bare=True)
        laptop.commit({"a.txt": "a\n"})
        laptop.git("remote", "add", "nas", sshd.url(nas.path, proxy.port))
        laptop.syncx("sync")
        desktop = net.clone(nas, "desktop")
        sshd.disconnect()
        up, proxy.target = proxy.target, 1

        laptop.commit_annexed({"b.bin": "content"})
        assert laptop.syncx("sync", ok=1).event("fetch", "nas")["result"] == "failed"
        laptop.syncx("push", ok=1)
        before = proxy.connections
        ran = laptop.run("git-annex-syncx", "retry")
        assert (ran.out, ran.err) == ("", ""), "it is not due, and nobody is told"
        assert proxy.connections == before, "nobody asks before it is due"

        proxy.target = up
        theirs = desktop.commit({"d.txt": "d\n"})
        desktop.syncx("push")
        laptop.syncx("retry")
        assert proxy.connections == before, "nor when it would work"
        make_due(laptop)
        laptop.syncx("retry")
        assert laptop.contains(theirs)
        assert nas.head("main") == laptop.head()
        assert has_content(nas, key_of(laptop, "b.bin"))
        assert failures(laptop, "nas") == []
        sshd.disconnect()
        before = proxy.connections
        ran = laptop.run("git-annex-syncx", "retry")
        assert (ran.out, ran.err) == ("", "")
        assert proxy.connections == before, "nothing is left to do"
        sshd.disconnect()


def test_back_off_doubles_over_processes_and_a_success_ends_it(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.config("syncx.retryInterval", "10m")
    hook = refuse(bare)
    made = laptop.commit({"b.txt": "b\n"})
    said = laptop.syncx("push", ok=1).event("push", "hub")
    assert "closed today" in said["error"] or "declined" in said["error"]
    assert failures(laptop) == [("push", 1, 600)]
    for tries, wait in ((2, 1200), (3, 2400)):
        laptop.syncx("retry")
        assert failures(laptop) == [("push", tries - 1, wait / 2)], "it was not tried"
        make_due(laptop)
        assert laptop.syncx("retry", ok=1).event("push", "hub")["result"] == "failed"
        assert failures(laptop) == [("push", tries, wait)]
    laptop.syncx("push", ok=1)
    assert failures(laptop) == [("push", 4, 4800)], "explicit commands ignore the back-off"
    hook.unlink()
    skipped = laptop.syncx("retry").event("remote", "hub")
    assert skipped["result"] == "skipped"
    assert "tried again at" in skipped["reason"]
    assert bare.head("main") != made
    laptop.syncx("push")
    assert bare.head("main") == made
    assert failures(laptop) == []


def test_one_that_fails_does_not_hold_up_the_others(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    refuse(bare)
    nas = net.clone(laptop, "nas", bare=True)
    net.connect((laptop, nas))
    laptop.commit({"b.txt": "b\n"})
    laptop.syncx("push", ok=1)
    made = laptop.commit({"c.txt": "c\n"})
    laptop.syncx("retry")
    assert nas.head("main") == made


def test_content_that_failed_is_sent_when_it_is_due(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    objects = bare.path / "annex" / "objects"
    objects.touch()  # a file where a directory has to be
    laptop.commit_annexed({"b.bin": "content"})
    laptop.syncx("sync", ok=1)
    assert [phase for phase, _, _ in failures(laptop)] == ["transfer"]
    objects.unlink()
    laptop.syncx("retry")
    assert not has_content(bare, key_of(laptop, "b.bin"))
    make_due(laptop)
    laptop.syncx("retry")
    assert has_content(bare, key_of(laptop, "b.bin"))
    assert failures(laptop) == []


def test_a_clock_that_was_set_back(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    hook = refuse(bare)
    made = laptop.commit({"b.txt": "b\n"})
    laptop.syncx("push", ok=1)
    hook.unlink()
    year = 366 * 86400
    database(laptop).execute("UPDATE failures SET first = first + ?, last = last + ?, next = next + ?", [year] * 3)
    laptop.syncx("retry")
    assert bare.head("main") == made
    assert failures(laptop) == []


@pytest.mark.thorough
def test_watch_tries_again_what_is_due_and_lets_it_rest_where_it_cannot_help(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    hook = refuse(bare)
    made = laptop.commit({"b.txt": "b\n"})
    laptop.syncx("push", ok=1)
    hook.unlink()
    with Watching(laptop, "-vv") as watching:
        watching.rest()
        assert bare.head("main") != made, "it is not due"
        make_due(laptop)
        laptop.git("config", "some.thing", "else")  # does not wait for the next tick
        watching.wait_until(lambda: bare.head("main") == made)
        watching.rest()
        laptop.git("remote", "add", "off", "ssh://127.0.0.1:1/nowhere")
        laptop.config("remote.off.annex-sync", "false")
        watching.rest()
        State(laptop.path / ".git" / "annex" / "syncx" / "outbox.sqlite", 1).record_failure("off", "push", "x")
        make_due(laptop)
        started = watching.said.count(" trigger waiting")
        for number in range(1, 4):
            woken = watching.said.count("woken by")
            laptop.git("config", "some.thing", str(number))
            watching.wait_for("woken by", woken + 1)
            watching.rest()
        assert watching.said.count(" trigger waiting") <= started + 1, "once is enough"


def failure(last: float, following: float) -> Failure:
    return Failure("hub", "push", last, last, "x", 1, following)


def test_what_is_due() -> None:
    assert not pauses.is_due(failure(NOW, NOW + 10), NOW)
    assert pauses.is_due(failure(NOW, NOW + 10), NOW + 10)
    assert pauses.is_due(failure(NOW + 1000, NOW + 2000), NOW), "the clock was set back"


def test_who_is_free() -> None:
    hub, nas, usb = (Remote(name, f"/{name}", f"/{name}") for name in ("hub", "nas", "usb"))
    waits = failure(time.time(), time.time() + 100)
    free, held = pauses.free([hub, nas, usb], {"nas": Pause("nas", NOW)}, [waits], pauses.REFS)
    assert free == [usb]
    assert [(one.remote, one.reason.partition(",")[0]) for one in held] == [
        ("hub", "failed before"),
        ("nas", "paused"),
    ]
    free, held = pauses.free([hub], {}, [waits], pauses.CONTENT)
    assert free == [hub], "another phase failed"


# Pauses


def test_a_pause_ends_by_itself(state: State) -> None:
    pauses.pause(state, ["nas"], 0.3)
    pauses.pause(state, ["usb", EVERYTHING])
    assert set(pauses.pauses(state)) == {"nas", "usb", EVERYTHING}
    eventually(lambda: set(pauses.pauses(state)) == {"usb", EVERYTHING})
    assert state.pauses.get("nas") is None
    pauses.resume(state, ["usb"])
    assert set(pauses.pauses(state)) == {EVERYTHING}
    pauses.resume(state)
    assert pauses.pauses(state) == {}


def test_a_pause_does_not_grow_when_the_clock_is_set_back(state: State) -> None:
    state.pauses.put(Pause("nas", time.time() + 86400 * 400, 60))
    (held,) = pauses.pauses(state).values()
    assert held.until <= time.time() + 60
    assert pauses.pauses(state)["nas"].until <= time.time() + 60, "and it is remembered so"


def test_odd_names_and_rubbish(state: State) -> None:
    for name in ("a b", "n\udcffs", "pause x", "ä'\"\n"):
        pauses.pause(state, [name])
        assert list(pauses.pauses(state)) == [name]
        pauses.resume(state)
        assert pauses.pauses(state) == {}
    for rubbish in ("", "null", "[]", '{"begun": "x"}', '{"begun": 1}'):
        keep_facts(state.path, {"pause x": rubbish})
        assert pauses.pauses(state) == {}
        assert state.pauses.all() == []


def test_all_is_paused_and_resumed(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.syncx("hooks", "install")
    ran = laptop.syncx("pause")
    assert ran.events == [{"event": "pause", "remote": None, "until": None}]
    made = laptop.commit({"b.txt": "b\n"})
    nothing_is_left(laptop.net)
    laptop.run("git-annex-syncx", "retry")
    assert bare.head("main") != made
    shown = laptop.run("git-annex-syncx", "status").out
    assert "all automatic work is paused" in shown and "  git annex-syncx resume\n" in shown
    assert laptop.syncx("status").events[-1]["paused"] == [{"remote": None, "until": None}]
    assert laptop.syncx("resume").events == []
    eventually(lambda: bare.head("main") == made)


def test_explicit_commands_ignore_a_pause(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.syncx("pause")
    laptop.syncx("pause", "hub")
    made = laptop.commit_annexed({"b.bin": "content"})
    laptop.syncx("sync")
    assert bare.head("main") == made
    assert has_content(bare, key_of(laptop, "b.bin"))


def test_one_remote_is_paused(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    nas = net.clone(laptop, "nas", bare=True)
    net.connect((laptop, nas))
    laptop.syncx("sync")
    said = laptop.run("git-annex-syncx", "pause", "hub").out
    assert said == "automatic work with hub is paused until git annex-syncx resume\n"
    made = laptop.commit_annexed({"b.bin": "content"})
    key = key_of(laptop, "b.bin")
    trigger(laptop, "commit")
    assert nas.head("main") == made
    assert has_content(nas, key)
    assert bare.head("main") != made
    assert not has_content(bare, key)
    assert laptop.run("git-annex-syncx", "resume", "hub").out == "automatic work with hub goes on\n"
    eventually(lambda: bare.head("main") == made and has_content(bare, key))


def test_a_pause_for_a_time_ends_and_watch_does_what_has_waited(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    with Watching(laptop) as watching:
        watching.rest()
        begun = time.time()
        (told,) = laptop.syncx("pause", "--for", "6s").events
        assert begun + 6 <= told["until"] <= time.time() + 6
        made = laptop.commit({"b.txt": "b\n"})
        watching.rest()
        if time.time() < told["until"] - 1:
            assert bare.head("main") != made
        eventually(lambda: time.time() > told["until"])
        laptop.git("config", "some.thing", "else")  # does not wait for the next tick
        watching.wait_until(lambda: bare.head("main") == made)
    assert laptop.run("git-annex-syncx", "pause", "--for", "2h", "hub").out.startswith(
        "automatic work with hub is paused until 2"
    )


@pytest.mark.parametrize("text", ["0", "-5s", "5 parsecs", "", "1e9", "inf", "9" * 20 + "d"])
def test_a_time_that_is_none_is_explained(hub: tuple[Node, Node], text: str) -> None:
    ran = hub[0].run("git-annex-syncx", "pause", "--for", text, ok=2)
    assert "right are 90s, 30m, 2h or 1d" in ran.err
    assert hub[0].syncx("status").events[-1]["paused"] == []


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_remote_that_is_none_is_explained(hub: tuple[Node, Node], command: str) -> None:
    ran = hub[0].run("git-annex-syncx", command, "nowhere", ok=2)
    assert "there is no remote or group 'nowhere'" in ran.err
    assert "the remotes are: hub" in ran.err


def test_an_endless_pause_is_one() -> None:
    assert Pause("", NOW).until == math.inf
