"""Room: what is wanted where it does not fit is said before anything is sent, here and by those who hear of it."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import Network, Node, Ran

from git_annex_syncx.annex.annex import ask_sizes
from git_annex_syncx.content.policy import Policy, Wishes
from git_annex_syncx.content.room import Rooms, asks_all_again
from git_annex_syncx.git.git import open_repository
from git_annex_syncx.git.values import RESERVE, data_size
from git_annex_syncx.network import links_log
from git_annex_syncx.network.free_space import LITTLE, PART, rounded, with_free
from git_annex_syncx.network.graph import Link, Place, network
from git_annex_syncx.network.links_log import Free, Line, LinksLog, compacted, parse, written

FULL = "100 petabytes"  # to be kept free


def built(net: Network) -> list[Node]:
    """A laptop with five files of 20 kB, and a drive that lacks them."""
    laptop = net.create("laptop")
    laptop.commit_annexed({f"f{n}": bytes([n]) * 20_000 for n in range(5)})
    drive = net.clone(laptop, "drive")
    net.connect((laptop, drive))
    laptop.syncx("sync", "--no-content")
    return [laptop, drive]


@pytest.fixture
def couple(net: Network) -> list[Node]:
    return net.made_by(built)


def uuid_of(node: Node) -> str:
    return node.git("config", "annex.uuid").out.strip()


def count(node: Node) -> int:
    return sum(path.is_file() for path in (node.path / ".git/annex/objects").rglob("*"))


def no_room(ran: Ran) -> list[tuple[str, str]]:
    return [(one["file"], one["step"]) for one in ran.events if one["event"] == "would-file"]


@pytest.mark.parametrize(
    ("before", "now", "wish", "again"),
    [
        ({"a": 5, "b": 5}, {"a": 5, "b": 4}, "", False),  # what was too large still is
        ({"a": 5, "b": 5}, {"a": 6, "b": 4}, "", True),
        ({"a": 5}, {"a": 5, "b": 5}, "", True),
        ({"a": 5, "b": 5}, {"a": 5}, "", True),
        ({}, {"a": 5}, "", True),
        ({"a": 5, "b": 5}, {"a": 5, "b": 4}, "fullysizebalanced=backup", True),
    ],
)
def test_who_has_more_room_is_asked_again(before: Rooms, now: Rooms, wish: str, again: bool) -> None:
    places = [Place(uuid) for uuid in ("a", "b")]
    policy = Policy(network(places, [], "a"), Wishes({"b": wish}, {}, {"b": ["backup"]}, {}), "a", frozenset("ab"))
    kept = (json.dumps(sorted(sizes.items())) if sizes else "" for sizes in (before, now))
    assert asks_all_again(policy, *kept) == again


def test_a_maximum_size_is_never_exceeded(couple: list[Node]) -> None:
    """Also where it is no part of a wish: git-annex itself would send all."""
    laptop, drive = couple
    laptop.annex("maxsize", "drive", "50kb")
    plans = laptop.syncx("plan").events[0]
    (fit,) = plans["rooms"]
    assert fit == {
        "uuid": uuid_of(drive), "free": 50_000, "files": 5, "bytes": 100_000, "fit_files": 2, "fit_bytes": 40_000,
        "published": False,
    }  # fmt: skip
    assert [(one["keys"], one["unreachable"]) for one in plans["plans"]] == [
        (2, []), (3, [{"uuid": uuid_of(drive), "reason": "no-room"}]),
    ]  # fmt: skip
    steps = sorted(step for _, step in no_room(laptop.syncx("transfer", "--dry-run")))
    assert steps == ["no-room", "no-room", "no-room", "push", "push"]

    ran = laptop.syncx("sync")
    assert count(drive) == 2
    events = [event["event"] for event in ran.events]
    assert events.index("waiting") < events.index("file"), "said before anything is sent"
    told = ran.event("transfer", "drive")
    assert (told["result"], told["files"], told["no_room"]) == ("done", 2, 3) and "no room for 3 files" in told[
        "reason"
    ]
    told = laptop.syncx("sync").event("transfer", "drive")
    assert (told["result"], told["no_room"]) == ("waits", 3), "it is not current"
    laptop.annex("maxsize", "drive", "1gb")
    assert laptop.syncx("sync").event("transfer", "drive")["files"] == 3 and count(drive) == 5


def test_does_it_fit_on_this_drive(net: Network, couple: list[Node]) -> None:
    laptop, _ = couple
    laptop.commit_annexed({"film": b"f" * 60_000})
    laptop.git("remote", "rename", "drive", "stick")
    by_remote = laptop.run("git-annex-syncx", "plan", "--to", "stick").out
    laptop.git("remote", "rename", "stick", "drive")
    assert by_remote == laptop.run("git-annex-syncx", "plan", "--to", "drive").out, "the remote's name will do"
    shown = laptop.run("git-annex-syncx", "plan", "--to", "drive").out
    assert "drive: 6 files (160 kB) wanted there, all of it fits; " in shown and " free\n" in shown
    assert "-> drive: push by laptop" in shown, "the way of one imagined file is still there"
    laptop.annex("maxsize", "drive", "50kb")
    shown = laptop.run("git-annex-syncx", "plan", "--to", "drive").out
    assert "wanted there, 2 files (40 kB) fit, no room for 4 files (120 kB); 50 kB free\n" in shown
    shown = laptop.run("git-annex-syncx", "plan", "--to", "drive", "f0", "f1").out
    assert "drive: 2 files (40 kB) wanted there, all of it fits; 50 kB free\n" in shown
    ran = laptop.run("git-annex-syncx", "plan", "--to", "drive", "film")
    assert "drive: 1 file (60 kB) wanted there, nothing fits, no room for 1 file (60 kB); 50 kB free\n" in ran.out
    assert "not reachable: drive: there is no room for it" in ran.out and "no room at drive for 1 file" in ran.err
    asked = laptop.syncx("plan", "--to", "drive", "film").events[0]
    assert (asked["rooms"][0]["fit_files"], asked["plans"][0]["steps"]) == (0, [])
    laptop.annex("wanted", "drive", "exclude=*")
    assert (
        "drive: nothing is wanted there; 50 kB free\n" in laptop.run("git-annex-syncx", "plan", "--to", "drive").out
    )
    assert laptop.syncx("plan", "--from", "laptop", "--to", "drive").events[0]["rooms"] == [], "all is imagined"
    net.create("stranger")
    assert "there is no repository 'stranger'" in laptop.syncx("plan", "--to", "stranger", ok=2).err


@pytest.mark.inits
def test_a_full_disk_is_seen_and_told_to_others(net: Network, couple: list[Node]) -> None:
    laptop, drive = couple
    hub = net.clone(laptop, "hub", bare=True)
    hub.git("remote", "remove", "origin")
    net.connect((laptop, hub), (hub, drive))
    hub.config("remote.drive.annex-uuid", uuid_of(drive))
    drive.config("annex.diskreserve", FULL)
    told = laptop.syncx("sync", "drive").event("transfer", "drive")
    assert (told["result"], told["no_room"]) == ("waits", 5) and "no room for 5 files" in told["reason"]
    assert count(drive) == 0
    line = published(laptop, uuid_of(laptop))
    assert line.free[uuid_of(drive)].bytes == 0 and line.free[uuid_of(laptop)].bytes > 0

    laptop.syncx("sync", "hub", "--no-content")
    laptop.git("remote", "remove", "drive")
    for node in (laptop, hub, laptop):  # the hub, which has agreed so far, says so now
        node.syncx("sync", "--no-content")
    drive.path.rename(net.root / "drawer")
    said = laptop.run("git-annex-syncx", "plan", "--to", "drive").out
    assert "no room for 5 files (100 kB); at most 0 B free, as published" in said, "by the hub"

    (net.root / "drawer").rename(drive.path)
    drive.git("config", "--unset", "annex.diskreserve")
    hub.syncx("sync", "--no-content", "drive")
    assert published(hub, uuid_of(hub)).free[uuid_of(drive)].bytes > 0, "room was made, which is news"
    laptop.syncx("sync", "hub", "--no-content")
    assert "all of it fits" in laptop.run("git-annex-syncx", "plan", "--to", "drive").out


def published(node: Node, uuid: str) -> Line:
    return parse(
        node.show("git-annex:syncx-links.log"), {uuid, *node.show("git-annex:uuid.log").decode().split()}
    ).lines[uuid]


def test_a_directory_store_and_the_own_disk_are_looked_at(net: Network, couple: list[Node]) -> None:
    laptop, drive = couple
    (net.root / "store").mkdir()
    laptop.annex(
        "initremote", "--quiet", "store", "type=directory", f"directory={net.root / 'store'}", "encryption=none"
    )
    laptop.config("annex.diskreserve", FULL)
    told = laptop.syncx("sync", "store").event("transfer", "store")
    assert told["no_room"] == 5 and not list((net.root / "store").rglob("*.log"))
    drive.git("remote", "set-url", "laptop", str(laptop.path))
    laptop.config("annex.diskreserve", "1 kilobyte")
    assert laptop.syncx("sync", "store").event("transfer", "store")["files"] == 5

    drive.syncx("pull", "laptop")
    drive.config("annex.diskreserve", FULL)
    ran = drive.syncx("transfer", "laptop")
    assert "no room here for 5 files" in ran.event("waiting")["reason"] and count(drive) == 0
    shutil.rmtree(net.root / "store")
    assert drive.syncx("transfer", "laptop").event("waiting")["files"] == 5


def test_it_is_published_seldom(couple: list[Node]) -> None:
    laptop, drive = couple
    laptop.syncx("sync")
    before = published(laptop, uuid_of(laptop)).free
    drive.write(".git/ballast", b"x" * 3_000_000)
    for _ in range(2):
        laptop.syncx("sync")
    assert published(laptop, uuid_of(laptop)).free == before and uuid_of(drive) in before


def test_a_relay_keeps_what_does_not_fit_where_it_is_wanted(net: Network, couple: list[Node]) -> None:
    laptop, drive = couple
    relay = net.clone(laptop, "relay")
    net.connect((laptop, relay), (relay, drive))
    laptop.annex("group", "--quiet", "relay", "transfer")
    laptop.annex("wanted", "--quiet", "relay", "standard")
    laptop.annex("copy", "--quiet", "--to", "relay")
    laptop.annex("numcopies", "1")
    drive.config("annex.diskreserve", FULL)
    laptop.syncx("sync")
    assert count(relay) == 5


# The line and its numbers


def test_what_holds_nothing_holds_no_byte(net: Network) -> None:
    node = net.create("node")
    assert ask_sizes(open_repository(node.path)) == {node.git("config", "annex.uuid").out.strip(): (0, None)}


def test_sizes_as_git_annex_reads_them() -> None:
    sizes = {
        "1 gigabyte": 10**9, "100 petabytes": 10**17, "1gb": 10**9, "2 GiB": 2**31, "1.5 MB": 1_500_000, "10": 10,
        "1 kibibyte": 1024, "3 mebibytes": 3 << 20, "1 exbibyte": 1 << 60, "5 bytes": 5, "7k": 7000, "2Ki": 2048,
        "much": RESERVE, "": RESERVE, "-1": RESERVE, "1 xb": RESERVE, "9" * 400: RESERVE, "١": RESERVE,
    }  # fmt: skip
    assert {text: data_size(text, RESERVE) for text in sizes} == sizes


@given(st.integers(0, 1 << 60))
def test_what_is_told_is_hardly_too_low_and_not_much_too_high(free: int) -> None:
    assert free <= rounded(free) <= free * 1.25 + LITTLE
    assert (rounded(free) == 0) is (free == 0)


@given(st.lists(st.integers(0, 1 << 40), min_size=1), st.integers(0, 1 << 33))
def test_small_changes_are_not_told(seen: list[int], now: int) -> None:
    log, line = LinksLog(), Line("here", (Link("here", "there", 100.0),))
    for free in seen:
        log.lines["here"] = with_free(log, line, {"there": free, "nowhere": 1}, now)
        (told,) = log.lines["here"].free.values()
        assert free - LITTLE <= told.bytes <= max(free, 0) * 1.25 / PART + 3 * LITTLE
        assert with_free(log, line, {"there": free}, now + 9) == log.lines["here"]
        assert with_free(log, line, {}, now + 9) == log.lines["here"], "what cannot be seen now stays as it was"


def test_the_newest_word_counts_whosever_it_is() -> None:
    log = LinksLog()
    log.lines["b"] = Line("b", (Link("b", "d", 1.0),), free={"d": Free(1 << 40, 4_000_000_000)})
    line = Line("a", (Link("a", "d", 1.0),))
    told = with_free(log, line, {"d": 0}, 1_700_000_000.0)
    assert told.free == {"d": Free(0, 4_000_000_001)}, "a clock that is wrong is overruled"
    log.lines["a"] = told
    assert log.free == {"d": told.free["d"]}
    assert with_free(log, log.lines["b"], {"d": 1}, 0.0).free == log.lines["b"].free, (
        "b agrees by now, and says nothing"
    )


@pytest.mark.parametrize(
    "free",
    [None, 7, [], {"d": 7}, {"d": [1]}, {"d": [1, 2, 3]}, {"d": [-1, 2]}, {"d": [1, -2]}, {"d": [1.5, 2]},
     {"d": ["1", 2]}, {"d": [True, 2]}, {"d": [1 << 70, 2]}, {"stranger": [1, 2]}, {"e": [0, 2]}],
)  # fmt: skip
def test_other_people_s_numbers(free: object) -> None:
    """Nothing is taken that is no number, nor of somebody whom the writer has no link to."""
    value = {"v": 1, "links": [{"to": "d", "cost": 1.0, "push": True, "pull": True}], "free": free}
    log = parse(f"a {json.dumps(value)} timestamp=1s\n".encode(), {"a", "d", "e"})
    assert log.free == {} and [link.remote for link in log.lines["a"].links] == ["d"]


def test_a_line_comes_back_as_it_was_written() -> None:
    line = Line("a", (Link("a", "d", 1.0, source="links-log"),), free={"d": Free(5, 6), "a": Free(7, 8)})
    raw = compacted(LinksLog(), line, 1.0)
    assert parse(raw, {"a", "d"}).lines["a"] == line
    assert b"free" not in written(Line("a"), 1.0).encode(), "as earlier versions wrote it"
    assert links_log.worth_telling(line, Line("a", line.links, free={"d": Free(5, 6)}))
