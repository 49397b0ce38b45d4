"""watch: what happens in a repository and around it is seen, and nothing that happens to it ends it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from network import Network, Node
from watching import Watching, eventually, has_content, key_of, nothing_is_left, received, seconds_to_start

BIG = 6_000_000  # bytes
SLOW = "400k"  # a second


@pytest.fixture(autouse=True)
def tidy(net: Network) -> Iterator[None]:
    """No process of a test outlives it."""
    yield
    nothing_is_left(net)


def alone(net: Network) -> list[Node]:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "one\n"})
    laptop.config("syncx.pushDelay", "0")
    laptop.config("syncx.settleTime", "0.2s")
    return [laptop]


def with_drive(net: Network) -> list[Node]:
    (laptop,) = alone(net)
    usb = net.clone(laptop, "usb", bare=True)
    net.connect((laptop, usb))
    laptop.syncx("sync")
    return [laptop, usb]


@pytest.fixture
def laptop(net: Network, request: pytest.FixtureRequest) -> Node:
    """A laptop that wastes no time."""
    return net.made_by(with_drive if "usb" in request.fixturenames else alone)[0]


@pytest.fixture
def usb(net: Network, laptop: Node) -> Node:
    """A drive with a repository that knows all."""
    return Node(net, "usb", net.root / "usb")


def tells(laptop: Node) -> Path:
    """Let syncx.onChange write a line for each event; where."""
    told = laptop.net.root / "told"
    told.touch()
    laptop.config("syncx.onChange", f'echo "$SYNCX_EVENT $SYNCX_REMOTE" >> "{told}"')
    return told


def pulled(drive: Node) -> Path:
    """The drive goes; where it is then."""
    return drive.path.rename(drive.net.root / f"{drive.name}-in-the-drawer")


def has_open(process: subprocess.Popen[bytes], file: Path) -> bool:
    """Whether a process has a file open."""
    return any(os.path.samefile(fd, file) for fd in Path(f"/proc/{process.pid}/fd").iterdir() if fd.exists())


def plugged(drive: Node) -> None:
    """The drive comes back."""
    (drive.net.root / f"{drive.name}-in-the-drawer").rename(drive.path)


def test_a_commit_travels_with_its_content(laptop: Node, usb: Node) -> None:
    with Watching(laptop) as watching:
        watching.rest()
        made = laptop.commit_annexed({"b.bin": "content"})
        watching.wait_until(lambda: usb.head("main") == made)
        watching.wait_until(lambda: has_content(usb, key_of(laptop, "b.bin")))
        watching.rest()
        code, seconds = watching.end()
    assert code == 0
    assert seconds < 4 + seconds_to_start(laptop)
    assert "push usb: done" in watching.said
    assert "Traceback" not in watching.said


def test_a_push_that_is_received_is_merged_and_goes_on(laptop: Node, usb: Node) -> None:
    desktop = laptop.net.clone(laptop, "desktop")
    theirs = desktop.commit({"d.txt": "d\n"})
    with Watching(laptop) as watching:
        watching.rest()
        desktop.git("push", "--quiet", "laptop", "main:synced/main")
        watching.wait_until(lambda: laptop.head() == theirs)
        watching.wait_until(lambda: usb.head("main") == theirs)
    assert laptop.read("d.txt") == b"d\n"


def test_packed_refs(laptop: Node, usb: Node) -> None:
    with Watching(laptop) as watching:
        watching.rest()
        first = laptop.commit({"b.txt": "b\n"})
        laptop.git("pack-refs", "--all", "--prune")
        watching.wait_until(lambda: usb.head("main") == first)
        watching.rest()
        second = laptop.commit({"c.txt": "c\n"})
        watching.wait_until(lambda: usb.head("main") == second)


def test_reftable(net: Network) -> None:
    laptop = Node(net, "laptop", net.root / "laptop")
    laptop.path.mkdir()
    if laptop.git("init", "--quiet", "--ref-format=reftable", ok=None).code:
        pytest.skip("this git has no reftable")
    if laptop.annex("init", "--quiet", "laptop", ok=None).code:
        pytest.skip("this git-annex has no reftable")
    laptop.commit({"a.txt": "a\n"})
    usb = net.create("usb", bare=True)
    net.connect((laptop, usb))
    with Watching(laptop) as watching:
        watching.rest()
        made = laptop.commit({"b.txt": "b\n"})
        watching.wait_until(lambda: usb.head("main") == made)


# Drives


def test_a_drive_that_is_plugged_in_gets_all_and_may_be_unplugged(laptop: Node, usb: Node) -> None:
    told = tells(laptop)
    pulled(usb)
    made = laptop.commit_annexed({"b.bin": "content"})
    with Watching(laptop) as watching:
        watching.rest()
        assert "drive usb" not in watching.said
        plugged(usb)
        watching.wait_for("drive usb: done: all is written; it may be unplugged")
        assert usb.head("main") == made
        assert has_content(usb, key_of(laptop, "b.bin"))
        watching.wait_until(lambda: "drive-ready usb\n" in told.read_text())
        pulled(usb)
        watching.wait_for("usb is gone")
        plugged(usb)
        watching.wait_for("it may be unplugged", times=2)
    events = told.read_text().splitlines()
    assert events.index("pushed usb") < events.index("transferred usb") < events.index("drive-ready usb")


def test_a_drive_that_was_swapped_is_not_written_to(laptop: Node, usb: Node, net: Network) -> None:
    told = tells(laptop)
    pulled(usb)
    other = net.create("usb", bare=True)
    theirs = other.path.rename(net.root / "other")
    before = snapshot(theirs)
    laptop.commit_annexed({"b.bin": "content"})
    with Watching(laptop) as watching:
        watching.rest()
        theirs.rename(usb.path)
        watching.wait_for("usb: failed")
        watching.rest()
        assert snapshot(usb.path) == before
        usb.path.rename(theirs)
        watching.wait_for("usb is gone")
        assert "drive-ready" not in told.read_text()
        plugged(usb)
        watching.wait_for("it may be unplugged")
    assert has_content(usb, key_of(laptop, "b.bin"))
    assert laptop.syncx("status").event("repository", "usb")["failures"] == []


def test_a_drive_that_annex_sync_leaves_out_is_left_alone(laptop: Node, usb: Node) -> None:
    laptop.config("remote.usb.annex-sync", "false")
    pulled(usb)
    with Watching(laptop) as watching:
        watching.rest()
        made = laptop.commit({"b.txt": "b\n"})
        plugged(usb)
        watching.wait_for("usb is there")
        watching.rest()
    assert usb.head("main") != made
    assert "drive usb" not in watching.said


def test_a_drive_pulled_in_the_middle_of_a_transfer(laptop: Node, usb: Node) -> None:
    laptop.config("remote.usb.syncx-bwlimit", SLOW)
    with Watching(laptop) as watching:
        watching.rest()
        laptop.commit_annexed({"big.bin": os.urandom(BIG), "small.bin": "small"})
        keys = [key_of(laptop, name) for name in ("big.bin", "small.bin")]
        watching.wait_until(lambda: received(usb.path, keys[0]) > BIG // 20)
        drawer = pulled(usb)
        watching.wait_for("usb is gone")
        assert not usb.path.exists()
        watching.rest()
        assert not usb.path.exists(), "nothing was written where the drive was"
        assert not Node(usb.net, "usb", drawer).git("fsck", "--strict").err
        laptop.git("config", "--unset", "remote.usb.syncx-bwlimit")
        plugged(usb)
        watching.wait_for("it may be unplugged")
        for key in keys:
            assert has_content(usb, key)
    assert "usb is gone" in watching.said
    assert "transfer usb: failed" not in watching.said
    assert usb.annex("fsck", "--all", "--quiet").out == ""
    assert laptop.syncx("status").event("repository", "usb")["failures"] == []


def snapshot(place: Path) -> dict[str, tuple[int, int]]:
    """All files below a directory, with size and date."""
    return {str(file.relative_to(place)): (file.stat().st_size, file.stat().st_mtime_ns) for file in place.rglob("*")}


def test_a_setting_that_was_bad_for_a_while(laptop: Node, usb: Node) -> None:
    with Watching(laptop) as watching:
        watching.rest()
        laptop.config("syncx.pushDelay", "soon")
        watching.wait_for("syncx.pushDelay")
        laptop.config("syncx.pushDelay", "0")
        made = laptop.commit({"b.txt": "x\n"})
        watching.wait_until(lambda: usb.head("main") == made)
        watching.rest()
    assert "usb is there" not in watching.said


def test_a_branch_whose_name_is_no_utf8(laptop: Node, usb: Node) -> None:
    """The library that follows files gives up there."""
    with Watching(laptop) as watching:
        watching.rest()
        laptop.git("branch", b"br\xe9")
        watching.wait_for("cannot follow")
        made = laptop.commit({"b.txt": "x\n"})
        watching.wait_until(lambda: usb.head("main") == made)
    assert "looking every 5 s" in watching.said and "Traceback" not in watching.said


# What happens to the repository


def test_a_repository_that_goes_and_comes_back(laptop: Node, usb: Node, net: Network) -> None:
    away = net.root / "away"
    with Watching(laptop) as watching:
        watching.rest()
        laptop.path.rename(away)
        watching.wait_for("is not there; waiting for it")
        pulled(usb)
        plugged(usb)
        watching.rest()
        assert not laptop.path.exists(), "it is not made anew"
        Node(net, "away", away).commit({"while-away.txt": "x\n"})
        away.rename(laptop.path)
        watching.wait_until(lambda: usb.head("main") == laptop.head())
        watching.rest()
        made = laptop.commit({"back.txt": "x\n"})
        watching.wait_until(lambda: usb.head("main") == made)
    assert "Traceback" not in watching.said


def test_another_repository_in_its_place(laptop: Node, usb: Node, net: Network) -> None:
    with Watching(laptop) as watching:
        watching.rest()
        laptop.path.rename(net.root / "old")
        new = net.clone(usb, "laptop")
        new.config("syncx.pushDelay", "0")
        watching.rest()
        made = new.commit({"new.txt": "x\n"})
        watching.wait_until(lambda: usb.head("main") == made)


@pytest.mark.thorough
def test_a_configuration_that_changes(laptop: Node, usb: Node, net: Network) -> None:
    nas = net.clone(laptop, "nas", bare=True)
    config = laptop.path / ".git" / "config"
    with Watching(laptop) as watching:
        watching.rest()
        made = laptop.commit({"b.txt": "b\n"})
        watching.wait_until(lambda: usb.head("main") == made)
        net.connect((laptop, nas))
        watching.wait_until(lambda: nas.head("main") == made)
        watching.rest()
        right = config.read_text()
        config.write_text(right + "[broken\n")
        watching.wait_for("bad config")
        config.write_text(right + "[syncx]\n\tjobs = many\n")
        watching.rest()
        config.write_text(right)
        watching.rest()
        made = laptop.commit({"c.txt": "c\n"})
        watching.wait_until(lambda: made == nas.head("main") == usb.head("main"))
    assert "Traceback" not in watching.said


def test_a_new_remote_by_a_url_is_served_too(laptop: Node, usb: Node, net: Network) -> None:
    nas = net.clone(laptop, "nas", bare=True)
    made = laptop.commit({"b.txt": "b\n"})
    tool = net.root / "git-remote-near"
    tool.write_text('#!/bin/sh\nexec git remote-ext "$1" "%S ${2#*://}"\n')
    tool.chmod(0o755)
    net.programs.insert(0, net.root)
    with Watching(laptop) as watching:
        watching.rest()
        laptop.config("remote.nas.fetch", "+refs/heads/*:refs/remotes/nas/*")
        laptop.config("remote.nas.url", f"near://{nas.path}")
        watching.wait_until(lambda: nas.head("synced/main") == made)


@pytest.mark.parametrize("damage", ["deleted", "rubbish"])
def test_an_outbox_that_is_lost(laptop: Node, usb: Node, damage: str) -> None:
    outbox = laptop.path / ".git" / "annex" / "syncx" / "outbox.sqlite"
    with Watching(laptop) as watching:
        watching.rest()
        outbox.unlink()
        if damage == "rubbish":
            outbox.write_bytes(os.urandom(20_000))
        made = laptop.commit({"b.txt": "b\n"})
        watching.wait_until(lambda: usb.head("main") == made)
        watching.rest()
    assert ("the outbox was damaged" in watching.said) == (damage == "rubbish")
    assert "Traceback" not in watching.said
    assert laptop.syncx("status").event("repository", "usb")["branch"] == "current"


def test_what_we_remember_is_cleared_away_under_it(laptop: Node, usb: Node) -> None:
    with Watching(laptop) as watching:
        watching.rest()
        shutil.rmtree(laptop.path / ".git" / "annex" / "syncx")
        made = laptop.commit({"b.txt": "b\n"})
        watching.wait_until(lambda: usb.head("main") == made)
        watching.rest()
    assert "cannot be used" not in watching.said
    assert "failed" not in watching.said


# The process


def test_one_is_enough(laptop: Node, usb: Node) -> None:
    with Watching(laptop) as watching:
        ran = laptop.run("git-annex-syncx", "watch", ok=2)
        assert f"watch is at work here already, as process {watching.process.pid}" in ran.err
        watching.process.kill()
        watching.process.wait()
        with Watching(laptop) as another:  # the dead one is in nobody's way
            made = laptop.commit({"b.txt": "b\n"})
            another.wait_until(lambda: usb.head("main") == made)
    lock = laptop.path / ".git" / "annex" / "syncx" / "watch.lock"
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        both = [laptop.start("watch") for _ in range(2)]
        eventually(lambda: all(has_open(process, lock) for process in both))
    eventually(lambda: any(process.poll() is not None for process in both))
    first, second = sorted(both, key=lambda process: process.returncode is None)
    assert "at work here already" in first.communicate()[1].decode() and first.returncode == 2
    assert second.poll() is None
    second.terminate()
    second.communicate()


def test_it_ends_within_two_seconds_in_the_middle_of_a_transfer(laptop: Node, usb: Node, net: Network) -> None:
    laptop.config("remote.usb.syncx-bwlimit", SLOW)
    with Watching(laptop) as watching:
        watching.rest()
        laptop.commit_annexed({"big.bin": os.urandom(BIG)})
        key = key_of(laptop, "big.bin")
        watching.wait_until(lambda: received(usb.path, key) > BIG // 20)
        code, seconds = watching.end()
    assert code == 0
    assert seconds < 2 + 4 * seconds_to_start(laptop), "2 s, and a slow machine"
    nothing_is_left(net)
    laptop.git("config", "--unset", "remote.usb.syncx-bwlimit")
    laptop.syncx("sync")
    assert has_content(usb, key)
    assert usb.annex("fsck", "--all", "--quiet").out == ""


def test_it_ends_where_there_is_nothing_to_do(laptop: Node) -> None:
    with Watching(laptop) as watching:
        code, seconds = watching.end()
    assert (code, seconds < 2 + 4 * seconds_to_start(laptop)) == (0, True)
    with Watching(laptop) as watching:
        watching.rest()
        code, seconds = watching.end()
    assert (code, seconds < 0.5 + 4 * seconds_to_start(laptop)) == (0, True)
    assert "told to end" in watching.said


def test_it_is_small_and_at_rest(laptop: Node, usb: Node) -> None:
    with Watching(laptop) as watching:
        watching.rest()
        before = seconds_of_work(watching.process.pid)
        time.sleep(4)
        assert seconds_of_work(watching.process.pid) - before <= 0.1
        assert resident(watching.process.pid) < 60_000_000


def seconds_of_work(pid: int) -> float:
    """Of a process and the children that it has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Bytes of memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_without_watchfiles(laptop: Node, tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['watchfiles'] = None; from git_annex_syncx.cli import main; main()"
    ran = laptop.run(sys.executable, "-c", hidden, "watch", ok=2)
    assert "pip install 'git-annex-syncx[watch]'" in ran.err
    assert "Traceback" not in ran.err


def test_outside_of_a_repository(net: Network) -> None:
    done = subprocess.run(
        ("git-annex-syncx", "watch"), cwd=net.home, env=net.env(), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 2
    eventually(lambda: b"is not in a git repository" in done.stderr)
