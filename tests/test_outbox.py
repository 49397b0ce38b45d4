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
from sshd import wait_until

from git_annex_syncx.model import Clock
from git_annex_syncx.system.state import LONGEST_WAIT, Outbox

DAY = 86400.0


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """An empty one with a back-off of half an hour."""
    return Outbox(tmp_path / "outbox.sqlite", 1800)


def test_a_failure_is_kept_with_its_times(outbox: Outbox) -> None:
    before = time.time()
    failure = outbox.record_failure("nas", "push", "no route")
    assert before <= failure.first == failure.last <= time.time()
    assert (failure.tries, failure.error) == (1, "no route")
    assert failure.next == pytest.approx(failure.last + 1800)
    assert Outbox(outbox.path).failures() == [failure]


def test_back_off_doubles_up_to_a_day(outbox: Outbox) -> None:
    kept = [outbox.record_failure("nas", "push", f"error {n}") for n in range(40)]
    waits = [round(failure.next - failure.last) for failure in kept]
    assert waits[:7] == [1800, 3600, 7200, 14400, 28800, 57600, 86400]
    assert set(waits[7:]) == {LONGEST_WAIT} == {DAY}
    assert {failure.first for failure in kept} == {kept[0].first}
    assert [failure.tries for failure in kept] == list(range(1, 41))
    assert outbox.failures()[0].error == "error 39"


def test_success_clears_what_it_is_about_and_no_more(outbox: Outbox) -> None:
    for remote in ("nas", "usb"):
        for phase in ("push", "fetch"):
            outbox.record_failure(remote, phase, "x")
    outbox.record_successes({("nas", "push"): 1234.5})
    assert {(f.remote, f.phase) for f in outbox.failures()} == {("nas", "fetch"), ("usb", "push"), ("usb", "fetch")}
    assert outbox.last_successes() == {("nas", "push"): 1234.5}
    assert outbox.record_failure("nas", "push", "again").tries == 1


def test_what_waits_is_kept_whole(outbox: Outbox) -> None:
    keys = tuple(f"SHA256E-s{n}--{'x' * 200}{n}.caf\udce9" for n in range(100))
    clocks = {("a", "b", True): Clock(1.5, keys, 2), ("a", "b", False): Clock(2.5)}
    absent = {(keys[0], "a"): ("1s 1 a", 3.5)}
    outbox.keep_clocks(clocks)
    outbox.keep_absences(absent)
    outbox.remember("long", "y" * 10_000)
    again = Outbox(outbox.path)
    assert (again.clocks(), again.absences(), again.fact("long")) == (clocks, absent, "y" * 10_000)
    again.keep_clocks({})
    assert again.clocks() == {} and again.absences() == absent


def test_an_outbox_of_the_first_version_is_taken_over(outbox: Outbox) -> None:
    failure = outbox.record_failure("nas", "push", "no route")
    with sqlite3.connect(outbox.path) as db:
        db.executescript("DROP TABLE clocks; DROP TABLE absent; PRAGMA user_version = 1;")
    assert outbox.failures() == [failure] and outbox.clocks() == {}


def test_facts(outbox: Outbox) -> None:
    assert outbox.fact("x") is None
    outbox.remember("x", "1")
    outbox.remember("x", "2")
    assert outbox.fact("x") == "2"
    outbox.forget("x")
    assert outbox.fact("x") is None


def test_any_text_can_be_kept(outbox: Outbox) -> None:
    for text in ("\udcff\udc80", "\0", "a" * 100_000, "ä\n'\"; DROP TABLE failures"):
        outbox.record_failure("r\udcff", "push", text)
        assert [failure.remote for failure in outbox.failures()] == ["r\udcff"]
    outbox.remember("k\udcff", "v\udcff")
    assert outbox.fact("k\udcff") == "v\\udcff"
    outbox.record_successes({("r\udcff", "push"): 1.0})
    assert outbox.last_successes() == {("r\udcff", "push"): 1.0}
    assert outbox.failures() == []


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
        db.execute("PRAGMA user_version = 2")


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
    assert Outbox(path).last_successes().keys() == {("desktop", "push")}


def test_an_empty_file_is_as_good_as_none(outbox: Outbox) -> None:
    outbox.path.touch()
    outbox.record_failure("nas", "push", "x")
    assert len(outbox.failures()) == 1


WRITER = """
import sys
from pathlib import Path
from git_annex_syncx.system.state import Outbox
outbox = Outbox(Path(sys.argv[1]))
print("ready", flush=True)
for turn in range(int(sys.argv[2])):
    outbox.record_failure("shared", "push", "x")
    outbox.record_failure(sys.argv[3], f"phase {turn}", "x")
"""


def writer(path: Path, turns: int, name: str) -> subprocess.Popen[bytes]:
    """A process that writes many failures."""
    return subprocess.Popen((sys.executable, "-c", WRITER, path, str(turns), name), stdout=subprocess.PIPE)


def test_several_processes_at_once_lose_nothing(outbox: Outbox) -> None:
    writers = [writer(outbox.path, 60, name) for name in ("one", "two", "three")]
    assert [process.wait(120) for process in writers] == [0, 0, 0]
    found = {(f.remote, f.phase): f.tries for f in outbox.failures()}
    assert found.pop(("shared", "push")) == 180
    assert found == {(name, f"phase {turn}"): 1 for name in ("one", "two", "three") for turn in range(60)}


def test_two_processes_that_find_it_damaged_at_once(outbox: Outbox) -> None:
    outbox.record_failure("old", "push", "x")
    scribble(outbox.path)
    writers = [writer(outbox.path, 10, name) for name in ("one", "two", "three")]
    assert [process.wait(120) for process in writers] == [0, 0, 0]
    assert len(list(outbox.path.parent.glob("*.damaged-*"))) == 1
    assert next(f.tries for f in outbox.failures() if f.remote == "shared") == 30


def test_killed_in_the_middle_of_writing(outbox: Outbox) -> None:
    for turn in range(5):
        process = writer(outbox.path, 100_000, f"writer {turn}")
        assert process.stdout
        process.stdout.readline()
        wait_until(lambda name=f"writer {turn}": sum(f.remote == name for f in outbox.failures()) > 2)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        kept = len(outbox.failures())
        outbox.record_failure("after", f"{turn}", "x")
        assert len(outbox.failures()) == kept + 1
    assert not list(outbox.path.parent.glob("*.damaged-*"))


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
        event = laptop.syncx("status").event("status", "desktop")
        (failure,) = event["failures"]
        assert (failure["phase"], failure["tries"]) == ("push", tries)
        assert failure["next"] == pytest.approx(failure["last"] + 60 * 2 ** (tries - 1))
        assert "hook declined" in failure["error"]
    hook.unlink()
    laptop.syncx("push")
    event = laptop.syncx("status").event("status", "desktop")
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
