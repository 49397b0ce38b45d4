"""The outbox: what failed is remembered, over crashes, damage, full disks and two processes at once."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from network import Network, Node
from old_state import keep_facts
from sshd import wait_until

from git_annex_syncx.model import Clock
from git_annex_syncx.system.records import Failure, Notice, Pause, RemoteState, Speed, Upkeep, Wait
from git_annex_syncx.system.state import LONGEST_WAIT, VERSION, State, printable

DAY = 86400.0


@pytest.fixture
def state(tmp_path: Path) -> State:
    """An empty one with a back-off of half an hour."""
    return State(tmp_path / "outbox.sqlite", 1800)


def test_a_failure_is_kept_with_its_times(state: State) -> None:
    before = time.time()
    failure = state.record_failure("nas", "push", "no route")
    assert before <= failure.first == failure.last <= time.time()
    assert (failure.tries, failure.error) == (1, "no route")
    assert failure.next == pytest.approx(failure.last + 1800)
    assert State(state.path).failures() == [failure]


def test_back_off_doubles_up_to_a_day(state: State) -> None:
    kept = [state.record_failure("nas", "push", f"error {n}") for n in range(40)]
    waits = [round(failure.next - failure.last) for failure in kept]
    assert waits[:7] == [1800, 3600, 7200, 14400, 28800, 57600, 86400]
    assert set(waits[7:]) == {LONGEST_WAIT} == {DAY}
    assert {failure.first for failure in kept} == {kept[0].first}
    assert [failure.tries for failure in kept] == list(range(1, 41))
    assert state.failures()[0].error == "error 39"


def test_success_clears_what_it_is_about_and_no_more(state: State) -> None:
    for remote in ("nas", "usb"):
        for phase in ("push", "fetch"):
            state.record_failure(remote, phase, "x")
    state.record_successes({("nas", "push"): 1234.5})
    assert {(f.remote, f.phase) for f in state.failures()} == {("nas", "fetch"), ("usb", "push"), ("usb", "fetch")}
    assert state.last_successes() == {("nas", "push"): 1234.5}
    assert state.record_failure("nas", "push", "again").tries == 1


def test_what_waits_is_kept_whole(state: State) -> None:
    keys = tuple(f"SHA256E-s{n}--{'x' * 200}{n}.caf\udce9" for n in range(100))
    clocks = {("a", "b", True): Clock(1.5, keys, 2), ("a", "b", False): Clock(2.5)}
    absent = {(keys[0], "a"): ("1s 1 a", 3.5)}
    state.keep_clocks(clocks)
    state.keep_absences(absent)
    state.upkeep.put(Upkeep("long", "y" * 10_000))
    again = State(state.path)
    assert (again.clocks(), again.absences(), again.upkeep.all()) == (clocks, absent, [Upkeep("long", "y" * 10_000)])
    again.keep_clocks({})
    assert again.clocks() == {} and again.absences() == absent


def test_an_outbox_of_the_first_version_is_taken_over(state: State) -> None:
    failure = state.record_failure("nas", "push", "no route")
    with sqlite3.connect(state.path) as db:
        db.executescript("DROP TABLE clocks; DROP TABLE absent; PRAGMA user_version = 1;")
    assert state.failures() == [failure] and state.clocks() == {}


def test_an_outbox_of_the_second_version_is_taken_over(state: State) -> None:
    facts = {
        "pause nas": '{"begun": 1.5, "seconds": Infinity}', "pause ": '{"begun": 2.5, "seconds": 60}',
        b"pause n\xffs": '{"begun": 3.5, "seconds": 60.0}', "pause x": "[",
        "settle main": '{"due": 4.5, "last": 1.0}',
        "speed UUID": '{"bytes_per_second": 5e6, "latency_ms": null}', "told push the hub": "6.5",
        "told merge ": "7.5", "addresses nas": "0a", "checked out nas": "main", "unverified push store": "pushed",
        "without git-annex nas": "8.5", "migrate": "0b -", "cost UUID": "100.0", "signals": "{}",
    }  # fmt: skip
    keep_facts(state.path, facts)
    with sqlite3.connect(state.path) as db:
        db.execute("INSERT INTO failures VALUES ('nas', 'push', 1.0, 2.0, 'no route', 3, 4.0)")
        db.execute("INSERT INTO absent VALUES (X'6b', 'a', '1s 1 a', 3.5)")
    assert state.failures() == [Failure("nas", "push", 1.0, 2.0, "no route", 3, 4.0)]
    assert state.absences() == {("k", "a"): ("1s 1 a", 3.5)}
    assert {*state.pauses.all()} == {Pause("nas", 1.5), Pause("", 2.5, 60.0), Pause("n\udcffs", 3.5, 60.0)}
    assert state.waits.all() == [Wait("main", 4.5, 0, 1.0)]
    assert state.speeds.all() == [Speed("UUID", 5e6)]
    assert {*state.notices.all()} == {Notice("push", "the hub", 6.5), Notice("merge", "", 7.5)}
    assert state.remotes.get("nas") == RemoteState("nas", "main", "0a", False, 8.5)
    assert state.remotes.get("store") == RemoteState("store", unverified=True)
    assert state.upkeep.all() == [Upkeep("migrate", "0b -")]


def test_rows(state: State) -> None:
    assert state.speeds.get("x") is None
    state.speeds.put(Speed("x", 1.0))
    state.speeds.put(Speed("x", 2.0))
    assert state.speeds.get("x") == Speed("x", 2.0)
    state.speeds.change("x", latency_ms=3.0)
    state.speeds.change("y", latency_ms=4.0)
    assert state.speeds.all() == [Speed("x", 2.0, 3.0), Speed("y", None, 4.0)]
    state.speeds.remove("x")
    assert state.speeds.get("x") is None
    state.speeds.replace([Speed("z")])
    assert state.speeds.all() == [Speed("z")]


def test_any_text_can_be_kept(state: State) -> None:
    for text in ("\udcff\udc80", "\0", "a" * 100_000, "ä\n'\"; DROP TABLE failures"):
        state.record_failure("r\udcff", "push", text)
        assert [failure.remote for failure in state.failures()] == ["r\udcff"]
    state.upkeep.put(Upkeep("k\udcff", printable("v\udcff")))
    assert state.upkeep.get("k\udcff") == Upkeep("k\udcff", "v\\udcff")
    state.record_successes({("r\udcff", "push"): 1.0})
    assert state.last_successes() == {("r\udcff", "push"): 1.0}
    assert state.failures() == []


def scribble(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def empty_middle(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite_a_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = os.urandom(4096)
    path.write_bytes(content)


def swap_in_a_text(path: Path) -> None:
    path.write_text("This is not a database.\n" * 100)


def other_tables(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE failures (something TEXT)")
        db.execute(f"PRAGMA user_version = {VERSION}")


DAMAGE = [scribble, empty_middle, overwrite_a_page, swap_in_a_text, other_tables]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside(pair: tuple[Node, Node], damage: Callable[[Path], None]) -> None:
    laptop, _ = pair
    laptop.syncx("push")
    path = laptop.path / ".git" / "annex" / "syncx" / "outbox.sqlite"
    damage(path)
    damaged = path.read_bytes()
    ran = laptop.syncx("status")
    assert "the outbox was damaged" in ran.err
    assert "Traceback" not in ran.err
    laptop.commit({"b.txt": "b"})
    assert laptop.syncx("push").event("push", "desktop")["result"] == "done"
    (aside,) = path.parent.glob("outbox.sqlite.damaged-*")
    assert aside.read_bytes() == damaged
    assert laptop.syncx("status").err == "", "said once"
    assert State(path).last_successes().keys() == {("desktop", "push"), ("desktop", "contact")}


def test_an_empty_file_is_as_good_as_none(state: State) -> None:
    state.path.touch()
    state.record_failure("nas", "push", "x")
    assert len(state.failures()) == 1


WRITER = """
import sys
from pathlib import Path
from git_annex_syncx.system.state import State
state = State(Path(sys.argv[1]))
print("ready", flush=True)
for turn in range(int(sys.argv[2])):
    state.record_failure("shared", "push", "x")
    state.record_failure(sys.argv[3], f"phase {turn}", "x")
"""


def writer(path: Path, turns: int, name: str) -> subprocess.Popen[bytes]:
    """A process that writes many failures."""
    return subprocess.Popen((sys.executable, "-c", WRITER, path, str(turns), name), stdout=subprocess.PIPE)


def test_several_processes_at_once_lose_nothing(state: State) -> None:
    writers = [writer(state.path, 60, name) for name in ("one", "two", "three")]
    assert [process.wait(120) for process in writers] == [0, 0, 0]
    found = {(f.remote, f.phase): f.tries for f in state.failures()}
    assert found.pop(("shared", "push")) == 180
    assert found == {(name, f"phase {turn}"): 1 for name in ("one", "two", "three") for turn in range(60)}


def test_two_processes_that_find_it_damaged_at_once(state: State) -> None:
    state.record_failure("old", "push", "x")
    scribble(state.path)
    writers = [writer(state.path, 10, name) for name in ("one", "two", "three")]
    assert [process.wait(120) for process in writers] == [0, 0, 0]
    assert len(list(state.path.parent.glob("*.damaged-*"))) == 1
    assert next(f.tries for f in state.failures() if f.remote == "shared") == 30


def test_killed_in_the_middle_of_writing(state: State) -> None:
    for turn in range(5):
        process = writer(state.path, 100_000, f"writer {turn}")
        assert process.stdout
        process.stdout.readline()
        wait_until(lambda name=f"writer {turn}": sum(f.remote == name for f in state.failures()) > 2)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        kept = len(state.failures())
        state.record_failure("after", f"{turn}", "x")
        assert len(state.failures()) == kept + 1
    assert not list(state.path.parent.glob("*.damaged-*"))


# The disk is full, or not ours to write to


def full_disk() -> None:
    """No file may grow beyond what the outbox needs to be opened."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def limited(node: Node, *args: str) -> subprocess.CompletedProcess[bytes]:
    """Run syncx on a full disk."""
    return subprocess.run(
        ("git-annex-syncx", *args), cwd=node.path, env=node.net.env(), capture_output=True, preexec_fn=full_disk,
        check=False, timeout=60,
    )  # fmt: skip


def test_a_full_disk_is_an_error_and_the_next_run_completes(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.syncx("push")
    made = laptop.commit({"b.txt": "b"})
    for command in ("push", "pull", "status", "merge"):
        done = limited(laptop, command)
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert done.returncode in (0, 1), command
    assert limited(laptop, "push").returncode == 1
    assert limited(laptop, "push").stderr
    assert laptop.syncx("push").event("push", "desktop")["result"] == "done"
    assert desktop.head("synced/main") == made
    laptop.git("fsck", "--no-dangling")


def test_a_full_disk_at_the_very_first_run(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    done = limited(laptop, "push")
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode == 1
    assert laptop.syncx("push").event("push", "desktop")["result"] == "done"


@pytest.mark.inits
def test_a_state_directory_that_cannot_be_made(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    (laptop.path / ".git" / "annex" / "syncx").write_text("a file in the way")
    ran = laptop.syncx("push", ok=1)
    assert "syncx cannot be written: File exists" in ran.err
    assert "Traceback" not in ran.err


def test_an_outbox_that_cannot_be_written_stops_nothing(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.syncx("push")
    path = laptop.path / ".git" / "annex" / "syncx" / "outbox.sqlite"
    path.unlink()
    path.mkdir()  # root may write everything but this
    made = laptop.commit({"b.txt": "b"})
    ran = laptop.syncx("push")
    assert desktop.head("synced/main") == made
    assert "outbox.sqlite" in ran.err
    assert "Traceback" not in ran.err


def test_a_locked_outbox_is_waited_for(pair: tuple[Node, Node], net: Network) -> None:
    laptop, _ = pair
    laptop.syncx("push")
    path = laptop.path / ".git" / "annex" / "syncx" / "outbox.sqlite"
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("BEGIN EXCLUSIVE")
        process = laptop.start("--json", "push")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.7)
        db.execute("COMMIT")
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0


def test_failures_of_a_run_are_in_the_outbox_until_it_succeeds(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.syncx("push")
    laptop.config("syncx.retryInterval", "1m")
    hook = desktop.path / ".git" / "hooks" / "update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    laptop.commit({"b.txt": "b"})
    for tries in (1, 2):
        laptop.syncx("push", ok=1)
        event = laptop.syncx("status").event("repository", "desktop")
        (failure,) = event["failures"]
        assert (failure["phase"], failure["tries"]) == ("push", tries)
        assert failure["next"] == pytest.approx(failure["last"] + 60 * 2 ** (tries - 1))
        assert "hook declined" in failure["error"]
    laptop.git("remote", "rename", "desktop", "other")
    laptop.syncx("push", ok=1)
    kept = State(laptop.path / ".git" / "annex" / "syncx" / "outbox.sqlite").failures()
    assert [(failure.remote, failure.tries) for failure in kept] == [("other", 1)], "who is no remote is forgotten"
    hook.unlink()
    laptop.syncx("push")
    event = laptop.syncx("status").event("repository", "other")
    assert event["failures"] == []


def swap(path: Path) -> None:
    """Put a directory where a file was, and a file where a directory was."""
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("a file in the way")
    else:
        path.unlink()
        path.mkdir()
        (path / "x").touch()


def test_anything_may_be_in_the_way(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    place = laptop.path / ".git" / "annex" / "syncx"
    everything = (("sync",), ("map", "--publish"), ("map", "--refresh"), ("plan",), ("retry",), ("hooks", "install"))
    for command in everything:
        laptop.syncx(*command)
    concerned = {
        "hooks": ("hooks", "status"), "requests": ("retry",), "map": ("map",), "branch.lock": ("map", "--publish"),
        "inventory.lock": ("plan",), "inventory.sqlite": ("plan",),
    }  # fmt: skip
    names = sorted(path.name for path in place.iterdir())
    assert concerned.keys() <= {*names, "branch.lock"}
    laptop.config("remote.desktop.annex-cost", "150")  # there is something to publish
    for name in names:
        kept = place.with_name("kept")
        shutil.copytree(place, kept)
        swap(place / name)
        laptop.commit({"more.txt": name})
        command = concerned.get(name, ("sync",))
        ran = laptop.run("git-annex-syncx", *command, ok=None)
        assert "Traceback" not in ran.err, (name, command, ran.err)
        assert ran.code in (0, 1, 2), (name, command, ran.err)
        if ran.code:
            assert name in ran.err, (name, command, ran.err)
            assert "move it away" in ran.err, (name, command, ran.err)
        shutil.rmtree(place)
        kept.rename(place)
    laptop.syncx("sync")
