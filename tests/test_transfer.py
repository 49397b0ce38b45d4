"""Content travels along the plan, and what git-annex's logs say of it is what the disks hold."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from network import ANNEX, THOROUGH, Network, Node
from sshd import Proxy, Sshd, wait_until
from watching import halted

KILLS = 5 * THOROUGH


def uuid_of(node: Node) -> str:
    return node.git("config", "annex.uuid").out.strip()


def keys_on_disk(node: Node) -> set[str]:
    """The keys whose content a repository really has."""
    git_dir = node.path / ".git" if (node.path / ".git").exists() else node.path
    return {
        path.name
        for path in (git_dir / "annex" / "objects").rglob("*")
        if path.is_file() and path.parent.name == path.name
    }


def keys_in_store(store: Path) -> set[str]:
    """The same of a special remote of type directory."""
    return {path.name for path in store.rglob("*") if path.is_file() and path.parent.name == path.name}


def under_way(receiver: Node) -> set[str]:
    """The big keys of which a bare repository has received a part."""
    return {path.name for path in (receiver.path / "annex" / "tmp").glob("SHA256*") if path.stat().st_size > 10_000}


def located(node: Node) -> dict[str, set[str]]:
    """key -> uuids, as git-annex says."""
    told = node.annex("whereis", "--all", "--json", ok=None).out.splitlines()
    found = map(json.loads, told)
    return {entry["key"]: {copy["uuid"] for copy in entry["whereis"]} for entry in found}


def connect(net: Network, *pairs: tuple[Node, Node]) -> None:
    """Remotes whose uuid is known, as after the first contact."""
    net.connect(*pairs)
    for node, other in pairs:
        node.config(f"remote.{other.name}.annex-uuid", uuid_of(other))


def make_known(*nodes: Node) -> None:
    """Let everybody know everybody's links, commits and records."""
    for node in (*nodes, *nodes[-2::-1]):
        node.syncx("sync", "--no-content", ok=None)


def true_to_the_disks(nodes: Iterable[Node], stores: dict[str, Path] | None = None) -> None:
    """What the first one's records say of everybody is what the disks hold, and git-annex's own check agrees."""
    nodes = list(nodes)
    told = located(nodes[0])
    for node in nodes:
        assert {key for key, held in told.items() if uuid_of(node) in held} == keys_on_disk(node), node.name
        node.annex("fsck", "--quiet", "--all")
    for uuid, store in (stores or {}).items():
        assert {key for key, held in told.items() if uuid in held} == keys_in_store(store)


def directory_remote(node: Node, name: str, store: Path) -> str:
    """A special remote of type directory; its uuid."""
    store.mkdir()
    node.annex("initremote", "--quiet", name, "type=directory", f"directory={store}", "encryption=none")
    return node.git("config", f"remote.{name}.annex-uuid").out.strip()


def enabled(node: Node, name: str, store: Path) -> None:
    """The special remote of another node, verified by its user."""
    told = node.annex("enableremote", name, f"directory={store}").out
    if wanted := re.search(r"--safe (\S+)", told):
        node.annex("verifyremote", name, "--safe", wanted[1])


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The network of `lan`, to be copied."""
    net = Network(tmp_path_factory.mktemp("lan") / "net")
    laptop = net.create("laptop")
    laptop.commit_annexed({"one": "1\n", "two": "22\n" * 1000, "dir/three": "333\n"})
    desktop = net.clone(laptop, "desktop")
    nas = net.clone(laptop, "nas", bare=True)
    nas.git("remote", "remove", "origin", ok=None)
    connect(net, (laptop, desktop), (laptop, nas), (desktop, nas))
    desktop.config("remote.nas.annex-cost", "150")
    make_known(laptop, desktop)
    return net


@pytest.fixture
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Network:
    """An empty network, or for `lan` a copy of the one that is ready."""
    root = tmp_path / "net"
    return request.getfixturevalue("ready").copy(root) if "lan" in request.fixturenames else Network(root)


@pytest.fixture
def lan(net: Network) -> tuple[Node, Node, Node]:
    """A laptop with three files, a bare nas that is nearer to it than to the desktop; the nas knows nobody."""
    laptop, desktop, nas = (Node(net, name, net.root / name) for name in ("laptop", "desktop", "nas"))
    return laptop, desktop, nas


# What goes where


@pytest.mark.slow
def test_content_goes_to_all_where_nothing_is_preferred(lan: tuple[Node, Node, Node]) -> None:
    laptop, desktop, nas = lan
    ran = laptop.syncx("transfer")
    assert {e["remote"]: e["files"] for e in ran.events if e["event"] == "transfer"} == {"desktop": 3, "nas": 3}
    assert keys_on_disk(desktop) == keys_on_disk(nas) == keys_on_disk(laptop)
    make_known(laptop, desktop)
    true_to_the_disks(lan)


def test_one_git_annex_carries_all_over_a_link(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.syncx("sync")
    laptop.commit_annexed({f"f{number}": f"{number}\n" for number in range(6)})
    listed = net.root / "listed"  # git-annex, which notes how it is called
    listed.mkdir()
    (listed / "git-annex").write_text(f'#!/bin/sh\necho "$@" >>"$0.calls"\nexec {ANNEX}/git-annex "$@"\n')
    (listed / "git-annex").chmod(0o755)
    net.programs.insert(0, listed)
    laptop.syncx("transfer")
    assert len(keys_on_disk(desktop)) == 6
    calls = (listed / "git-annex.calls").read_text().splitlines()
    assert len([call for call in calls if "copy" in call.split()]) == 1, calls


def test_second_run_has_nothing_to_do(lan: tuple[Node, Node, Node]) -> None:
    laptop, _, _ = lan
    laptop.syncx("transfer")
    laptop.syncx("sync", "--no-content")
    before = laptop.head("git-annex")
    ran = laptop.syncx("transfer")
    assert {e["result"] for e in ran.events if e["event"] != "summary"} == {"current"}
    assert laptop.head("git-annex") == before


def test_files_and_remotes_narrow_it(lan: tuple[Node, Node, Node]) -> None:
    laptop, desktop, nas = lan
    (laptop.path / "dir").mkdir(exist_ok=True)
    laptop.syncx("-C", "dir", "transfer", "nas", "three")
    assert (len(keys_on_disk(nas)), keys_on_disk(desktop)) == (1, set())
    laptop.syncx("transfer", "--except", "nas", ".")
    assert (len(keys_on_disk(nas)), len(keys_on_disk(desktop))) == (1, 3)


def test_what_is_not_there_is_said(lan: tuple[Node, Node, Node]) -> None:
    laptop, _, _ = lan
    told = laptop.syncx("transfer", "mars", ok=2).err
    assert "mars: no such remote, group or annexed file in the last commit" in told
    assert "the remotes are: desktop, nas" in told
    laptop.git("remote", "add", "stranger", "ssh://127.0.0.1:9/x")
    assert laptop.syncx("transfer", "stranger", ok=1).event("transfer", "stranger")["result"] == "failed"
    laptop.git("remote", "add", "drive", "/drive")  # of which git-annex complains whatever it is asked
    told = laptop.syncx("transfer", "stranger", ok=1).event("transfer", "stranger")["error"]
    assert "stranger" in told and "drive" not in told
    laptop.git("init", "--quiet", "--bare", str(laptop.path.parent / "fresh"))
    laptop.git("remote", "add", "fresh", str(laptop.path.parent / "fresh"))
    assert laptop.syncx("transfer", "fresh").event("transfer", "fresh")["result"] == "waits"
    for name in ("drive", "fresh"):
        laptop.git("remote", "remove", name)
    laptop.git("remote", "set-url", "stranger", "/nowhere")
    assert laptop.syncx("transfer", "stranger").event("transfer", "stranger")["result"] == "away"
    assert "'../mars'" in laptop.syncx("transfer", "../mars", ok=2).err
    assert "exclude each other" in laptop.syncx("transfer", "--all", "one", ok=2).err
    assert "512k" in laptop.syncx("transfer", "--bwlimit", "fast", ok=2).err


def test_dry_run_tells_and_changes_nothing(lan: tuple[Node, Node, Node]) -> None:
    laptop, _, nas = lan
    before = laptop.head("git-annex")
    told = {event["remote"]: event for event in laptop.syncx("transfer", "--dry-run").events}
    assert {name: (e["files"], e["bytes"], e["operation"]) for name, e in told.items()} == dict.fromkeys(
        ("desktop", "nas"), (3, 3006, "push")
    )
    assert "3.01 kB" in laptop.run("git-annex-syncx", "transfer", "-n").out
    assert (keys_on_disk(nas), laptop.head("git-annex")) == (set(), before)


@pytest.mark.thorough
def test_unused_keys_travel_when_asked_for(lan: tuple[Node, Node, Node]) -> None:
    laptop, _, nas = lan
    laptop.git("rm", "--quiet", "one")
    laptop.git("commit", "--quiet", "--message", "one is gone")
    laptop.syncx("transfer")
    assert len(keys_on_disk(nas)) == 2
    laptop.syncx("transfer", "--all")
    assert len(keys_on_disk(nas)) == 3


def test_odd_names(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    names = [b"-dash", b"line\nbreak.txt", b'quo"te', b"caf\xe9.txt", "ünï".encode(), b"tab\there", b" space "]
    for number, name in enumerate(names):
        laptop.write(name, f"{number}\n" * 10)
    laptop.annex("add", "--quiet", ".")
    laptop.git("commit", "--quiet", "--message", "odd")
    laptop.annex("wanted", "desktop", "include=*")
    told = {event["file"] for event in laptop.syncx("sync").events if event["event"] == "file"}
    assert told == {os.fsdecode(name) for name in names}, "in the first look at all files too"
    desktop.syncx("merge")
    assert [desktop.read(name) for name in names] == [f"{n}\n".encode() * 10 for n in range(len(names))]


def test_each_file_that_fails_is_told_and_the_others_go_on(net: Network, lan: tuple[Node, Node, Node]) -> None:
    laptop, _, nas = lan
    laptop.config("annex.securehashesonly", "true")
    laptop.write("weak", "weak\n")
    laptop.git("-c", "annex.securehashesonly=false", "annex", "add", "--quiet", "--backend=WORM", "weak")
    laptop.git("commit", "--quiet", "--message", "weak")
    ran = laptop.syncx("transfer", "nas", ok=1)
    (failed,) = (event for event in ran.events if event["event"] == "file" and event["state"] == "failed")
    assert failed["file"] == "weak" and "securehashesonly" in failed["error"]
    told = ran.event("transfer", "nas")
    assert (told["result"], told["files"], told["failed"]) == ("failed", 3, 1)
    assert len(keys_on_disk(nas)) == 3
    assert "securehashesonly" in laptop.run("git-annex-syncx", "transfer", "nas", ok=1).err
    assert "transfer" in {failure["phase"] for failure in laptop.syncx("status", "nas").events[0]["failures"]}


def test_spoilt_content_is_not_taken(lan: tuple[Node, Node, Node]) -> None:
    laptop, desktop, nas = lan
    laptop.syncx("transfer", "nas")
    (two,) = (path for path in (nas.path / "annex" / "objects").rglob("*-s3000-*") if path.is_file())
    two.chmod(0o644)
    two.write_bytes(two.read_bytes()[:-2] + b"x\n")
    laptop.git("remote", "remove", "desktop")
    desktop.git("remote", "remove", "laptop")
    make_known(laptop, desktop, laptop)
    ran = desktop.syncx("transfer", ok=1)
    assert ran.event("transfer", "nas")["failed"] == 1
    assert len(keys_on_disk(desktop)) == 2


def test_vanished_remote_is_given_up_at_once(lan: tuple[Node, Node, Node]) -> None:
    """Its url points to a port where nobody listens; the other remote gets everything."""
    laptop, desktop, _nas = lan
    laptop.config("remote.nas.annex-cost", "100")
    laptop.git("remote", "set-url", "nas", "ssh://127.0.0.1:9/nowhere")
    ran = laptop.syncx("transfer", ok=1)
    assert ran.event("transfer", "nas")["result"] == "failed"
    assert "cannot be reached" in ran.event("transfer", "nas")["error"]
    assert ran.event("transfer", "desktop")["files"] == 3
    assert keys_on_disk(desktop) == keys_on_disk(laptop)


def test_no_space_at_the_receiver(lan: tuple[Node, Node, Node]) -> None:
    laptop, _desktop, nas = lan
    elsewhere = nas.path.parent / "reserve.config"  # where only git-annex sees it
    elsewhere.write_text("[annex]\n\tdiskreserve = 100 petabytes\n")
    nas.config("include.path", str(elsewhere))
    ran = laptop.syncx("transfer", ok=1)
    told = ran.event("transfer", "nas")
    assert told["failed"] == 3
    assert "left: 3 files, until that works" in told["error"], "the NAS is there"
    assert ran.event("transfer", "desktop")["result"] == "done"
    elsewhere.write_text("")
    assert laptop.syncx("transfer").event("transfer", "nas")["files"] == 3


def test_drive_that_is_away_is_no_failure(net: Network, lan: tuple[Node, Node, Node]) -> None:
    laptop, _desktop, _ = lan
    usb = net.clone(laptop, "usb")
    connect(net, (laptop, usb))
    make_known(laptop)
    usb.path.rename(net.root / "drawer")
    assert laptop.syncx("transfer").event("transfer", "usb")["result"] == "away"
    (net.root / "drawer").rename(usb.path)
    laptop.syncx("transfer")
    assert keys_on_disk(usb) == keys_on_disk(laptop)


def test_path_that_begins_with_two_dots(lan: tuple[Node, Node, Node]) -> None:
    laptop, _, _ = lan
    laptop.config("annex.dotfiles", "true")
    laptop.commit_annexed({"..foo": "two dots\n"})
    assert laptop.syncx("transfer", "nas", "..foo").event("transfer", "nas")["files"] == 1
    for outside in ("..", "../..foo", str(laptop.net.root / "x")):
        assert f"'{outside}' is outside of this repository" in laptop.syncx("transfer", outside, ok=2).err


@pytest.mark.thorough
def test_link_that_was_given_up_takes_no_more_keys(net: Network, lan: tuple[Node, Node, Node]) -> None:
    """Content arrives from one remote after the way onward to another has turned out to be dead."""
    laptop, desktop, nas = lan
    dead = net.clone(laptop, "dead", bare=True)
    laptop.annex("sync", "--quiet", "--no-content", ok=None)
    laptop.git("remote", "add", "dead", "ssh://127.0.0.1:9/x")
    laptop.config("remote.dead.annex-uuid", uuid_of(dead))
    laptop.git("fetch", "--quiet", str(dead.path), "git-annex:refs/remotes/dead/git-annex")
    desktop.commit_annexed({f"slow{n}": os.urandom(150_000) for n in range(6)})
    desktop.git("remote", "remove", "laptop")
    desktop.git("remote", "remove", "nas")
    desktop.syncx("map", "--publish")
    laptop.syncx("pull", "desktop")
    laptop.config("syncx.transferJobs", "1")
    laptop.config("remote.desktop.syncx-bwlimit", "200k")
    ran = laptop.syncx("transfer", ok=1)
    assert ran.event("transfer", "dead")["failed"] == 9
    assert keys_on_disk(nas) == keys_on_disk(laptop) == keys_on_disk(desktop)


def test_log_that_is_of_no_key_stops_nothing(lan: tuple[Node, Node, Node]) -> None:
    laptop, _, nas = lan
    blob = laptop.git("hash-object", "-w", "--stdin", stdin=f"1s 1 {uuid_of(laptop)}\n".encode()).out.strip()
    env = {"GIT_INDEX_FILE": str(laptop.path / ".git" / "scratch")}
    laptop.git("read-tree", "git-annex", **env)
    laptop.git("update-index", "--add", "--cacheinfo", f"100644,{blob},000/111/strange.log", **env)
    tree = laptop.git("write-tree", **env).out.strip()
    commit = laptop.git("commit-tree", tree, "-p", "git-annex", "-m", "strange").out.strip()
    laptop.git("update-ref", "refs/remotes/other/git-annex", commit)
    laptop.syncx("transfer", "--all", "nas")
    assert "strange" in laptop.git("ls-tree", "-r", "--name-only", "git-annex").out
    assert len(keys_on_disk(nas)) == 3


def test_special_remote_that_is_unplugged_is_away(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    store = net.root / "card"
    directory_remote(laptop, "card", store)
    laptop.commit_annexed({"photo": "photo\n"})
    store.rename(net.root / "pocket")
    laptop.syncx("map", "--publish")
    assert laptop.syncx("transfer", "card").event("transfer", "card")["result"] == "away"
    (net.root / "pocket").rename(store)
    assert laptop.syncx("transfer", "card").event("transfer", "card")["files"] == 1


# Networks


def test_content_is_passed_on_by_those_who_are_nearer(net: Network) -> None:
    """laptop - (slow) - server - nas - usb: the laptop sends everything once, to the server alone."""
    laptop = net.create("laptop")
    laptop.commit_annexed({f"f{n}": f"{n}\n" * 500 for n in range(3)})
    server, nas, usb = (net.clone(laptop, name, bare=name != "usb") for name in ("server", "nas", "usb"))
    for node in (server, nas, usb):
        for remote in node.git("remote").out.split():
            node.git("remote", "remove", remote)
    connect(net, (laptop, server), (laptop, nas), (server, nas), (nas, usb))
    laptop.config("remote.server.annex-cost", "200")
    laptop.config("remote.nas.annex-cost", "300")
    everyone = (laptop, server, nas, usb)
    make_known(*everyone)
    assert laptop.syncx("transfer").event("transfer", "server")["files"] == 3
    assert keys_on_disk(nas) == set(), "the server is nearer"
    waiting = laptop.syncx("transfer").event("transfer", "nas")
    assert (waiting["result"], waiting["waiting"]) == ("waits", 3)
    assert waiting["reason"].startswith("3 files, until server brings them there or ")
    server.syncx("merge")
    assert server.syncx("transfer").event("transfer", "nas")["files"] == 3
    nas.syncx("merge")
    assert nas.syncx("transfer").event("transfer", "usb")["files"] == 3
    usb.syncx("merge")
    assert usb.read("f2") == b"2\n" * 500
    make_known(usb, nas, server, laptop)
    true_to_the_disks(everyone)


def test_two_networks_that_meet_in_a_store_which_is_emptied(net: Network) -> None:
    """A relay in group transfer: it gets what the others want, and holds nothing in the end."""
    laptop = net.create("laptop")
    laptop.commit_annexed({"a": "a\n" * 100, "b": "b\n"})
    store = net.root / "store"
    uuid = directory_remote(laptop, "cloud", store)
    laptop.annex("group", "cloud", "transfer")
    laptop.annex("wanted", "cloud", "standard")
    hub = net.clone(laptop, "hub", bare=True)  # both can reach it by git, but not its content
    office = net.clone(hub, "office")
    for node in (laptop, office):
        connect(net, (node, hub))
        node.config("remote.hub.annex-ignore", "true")
    hub.git("config", "annex.ignore", "true")
    laptop.annex("dead", "hub")
    enabled(office, "cloud", store)
    make_known(laptop, office)
    assert laptop.syncx("sync").event("transfer", "cloud")["files"] == 2
    assert len(keys_in_store(store)) == 2
    ran = office.syncx("sync")
    assert ran.event("transfer", "cloud")["files"] == 2
    assert ran.event("drop", "cloud")["dropped"] == 2
    assert (keys_in_store(store), office.read("b")) == (set(), b"b\n")
    make_known(office, laptop)
    true_to_the_disks([laptop, office], {uuid: store})


def test_relay_here_passes_on_without_keeping(net: Network) -> None:
    """server -> laptop -> usb, where the laptop wants nothing but passes content on."""
    server = net.create("server")
    server.commit_annexed({"film": "film\n" * 100})
    laptop, usb = net.clone(server, "laptop"), net.clone(server, "usb")
    for remote in usb.git("remote").out.split():
        usb.git("remote", "remove", remote)
    connect(net, (laptop, usb))
    laptop.config("syncx.relay", "true")
    laptop.annex("wanted", "here", "exclude=*")
    make_known(laptop)
    laptop.syncx("transfer")
    usb.syncx("merge")
    assert usb.read("film") == b"film\n" * 100
    assert keys_on_disk(laptop) == set()
    true_to_the_disks([laptop, server, usb])


def test_relay_keeps_what_it_wants(net: Network) -> None:
    server = net.create("server")
    server.commit_annexed({"keep/x": "x\n", "other": "other\n"})
    laptop = net.clone(server, "laptop")
    laptop.config("syncx.relay", "true")
    laptop.annex("wanted", "here", "include=keep/*")
    laptop.annex("get", "--quiet", ".")
    make_known(laptop)
    assert laptop.syncx("transfer").event("drop")["dropped"] == 1
    assert laptop.read("keep/x") == b"x\n"


def test_bare_hub_transfers(lan: tuple[Node, Node, Node], net: Network) -> None:
    laptop, _desktop, nas = lan
    other = net.clone(laptop, "other")
    nas.git("remote", "add", "other", str(other.path))
    for remote in other.git("remote").out.split():
        other.git("remote", "remove", remote)
    make_known(nas, laptop)
    laptop.syncx("transfer", "nas")
    nas.syncx("merge")
    hook = {"GIT_DIR": ".", "GIT_QUARANTINE_PATH": ""}
    assert nas.syncx("transfer", **hook).event("transfer", "other")["files"] == 3
    assert keys_on_disk(other) == keys_on_disk(laptop)


# What is wanted


@pytest.mark.thorough
def test_standard_groups(net: Network) -> None:
    """A client leaves what is archived, a backup wants all, one of three archives gets it, a source is emptied."""
    camera = net.create("camera")
    names = ["client", "backup", "archive1", "archive2", "archive3"]
    places = {name: net.clone(camera, name) for name in names}
    connect(net, *((camera, node) for node in places.values()))
    camera.annex("group", "here", "source")
    camera.annex("wanted", "here", "standard")
    for name in places:
        camera.annex("group", name, name.rstrip("123"))
        camera.annex("wanted", name, "standard")
    camera.commit_annexed({"photo": "photo\n", "archive/old": "old\n"})
    make_known(camera)
    camera.syncx("sync")
    held = {name: keys_on_disk(node) for name, node in places.items()}
    photo, old = (camera.annex("lookupkey", path).out.strip() for path in ("photo", "archive/old"))
    assert held["backup"] == {photo, old}
    assert photo in held["client"]
    archived = [name for name in names if name.startswith("archive") and held[name]]
    assert len(archived) == 1 and held[archived[0]] == {photo, old}, "never to all three, to be dropped again"
    assert keys_on_disk(camera) == set()
    make_known(camera, *places.values())
    true_to_the_disks([camera, *places.values()])


def test_required_content_and_numcopies(net: Network) -> None:
    """What is required stays, and nothing is dropped below two copies."""
    laptop = net.create("laptop")
    laptop.annex("numcopies", "2")
    laptop.commit_annexed({"keep.doc": "doc\n", "film": "film\n"})
    usb = net.clone(laptop, "usb")
    connect(net, (laptop, usb))
    laptop.annex("wanted", "here", "exclude=*")
    laptop.annex("required", "here", "include=*.doc")
    make_known(laptop)
    ran = laptop.syncx("sync")
    assert len(keys_on_disk(usb)) == 2
    assert len(keys_on_disk(laptop)) == 2, "one copy less would be too few"
    assert ran.event("drop")["result"] == "skipped"
    third = net.clone(laptop, "third")
    connect(net, (laptop, third))
    make_known(laptop)
    laptop.syncx("sync")
    assert {key.split("--")[0] for key in keys_on_disk(laptop)} == {"SHA256E-s4"}, "the document"
    true_to_the_disks([laptop, usb, third])


def test_nothing_is_dropped_where_nothing_is_said(lan: tuple[Node, Node, Node]) -> None:
    laptop, desktop, _nas = lan
    for _ in range(2):
        laptop.syncx("sync")
        desktop.syncx("sync")
    assert all(len(keys_on_disk(node)) == 3 for node in lan)


def test_no_drop_leaves_all(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit_annexed({"film": "film\n"})
    laptop.annex("wanted", "here", "exclude=*")
    make_known(laptop)
    laptop.syncx("sync", "--no-drop")
    assert keys_on_disk(laptop) == keys_on_disk(desktop) != set()
    assert laptop.syncx("sync").event("drop")["dropped"] == 1
    assert keys_on_disk(laptop) == set()


def test_contradictory_wishes_end(net: Network) -> None:
    """One wants what the other has, which wants what the first has not: both would be filled and emptied for ever."""
    laptop = net.create("laptop")
    laptop.commit_annexed({"film": "film\n"})
    one, two = net.clone(laptop, "one"), net.clone(laptop, "two")
    connect(net, (laptop, one), (laptop, two))
    for name, wanted in (("one", "copies=second:1"), ("two", "not copies=first:1")):
        laptop.annex("group", name, "first" if name == "one" else "second")
        laptop.annex("wanted", name, wanted)
    make_known(laptop)
    came, told = 0, []
    for _ in range(9):
        ran = laptop.syncx("transfer", ok=None)
        came += sum(event.get("files", 0) for event in ran.events if event["event"] == "transfer")
        told += [event["error"] for event in ran.events if event["event"] == "drop" and event["error"]]
    assert 2 <= came <= 4
    assert told and "contradicts itself" in told[-1], ran.out


def test_what_somebody_fetches_by_hand_is_no_contradiction(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit_annexed({"film": "film\n"})
    laptop.annex("wanted", "here", "exclude=*")
    make_known(laptop, desktop)
    for _ in range(3):
        assert laptop.syncx("sync").event("drop")["dropped"] == 1
        laptop.annex("get", "--quiet", "film")


def test_metadata_and_trust_change_what_is_wanted(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit_annexed({"a": "a\n", "b": "b\n"})
    connect(net, (laptop, desktop))
    laptop.annex("wanted", "desktop", "metadata=tag=mine")
    make_known(laptop)
    laptop.syncx("transfer")
    assert keys_on_disk(desktop) == set()
    laptop.annex("metadata", "--quiet", "--tag", "mine", "a")
    laptop.syncx("transfer")
    assert len(keys_on_disk(desktop)) == 1
    laptop.annex("wanted", "desktop", "not copies=semitrusted+:1")
    laptop.syncx("transfer", "--no-drop")
    assert len(keys_on_disk(desktop)) == 1
    laptop.annex("untrust", "here")
    laptop.syncx("transfer", "--no-drop")
    assert len(keys_on_disk(desktop)) == 2


def test_a_renamed_file_can_be_wanted(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit_annexed({"a.tmp": "a\n", "b.tmp": "b\n"})
    laptop.annex("wanted", "desktop", "exclude=*.tmp")
    make_known(laptop)
    laptop.syncx("transfer")
    assert keys_on_disk(desktop) == set()
    laptop.git("mv", "a.tmp", "a.txt2")
    laptop.git("commit", "--quiet", "--message", "renamed")
    laptop.syncx("transfer")
    assert len(keys_on_disk(desktop)) == 1


# Other nodes


def test_node_without_syncx_is_served_and_waited_for_never(net: Network, pair: tuple[Node, Node]) -> None:
    """plain has a cheap way to far, but nobody there runs syncx: the laptop sends itself."""
    laptop, plain = pair
    far = net.clone(laptop, "far")
    connect(net, (laptop, far), (plain, far))
    laptop.config("remote.far.annex-cost", "900")
    laptop.commit_annexed({"f": "f\n"})
    make_known(laptop)
    laptop.syncx("transfer")
    assert keys_on_disk(far) == keys_on_disk(plain) == keys_on_disk(laptop)
    plain.annex("sync", "--quiet", "--no-content")
    true_to_the_disks([laptop, plain, far])


def test_clock_that_is_a_day_off(lan: tuple[Node, Node, Node]) -> None:
    """A desktop that lives in the past gets and gives all the same."""
    laptop, desktop, _nas = lan
    laptop.syncx("transfer", "nas")
    laptop.git("remote", "remove", "desktop")
    desktop.git("remote", "remove", "laptop")
    make_known(laptop)
    old = {"GIT_ANNEX_VECTOR_CLOCK": str(int(time.time()) - 86400)}
    desktop.syncx("pull")
    desktop.syncx("transfer", **old)
    assert keys_on_disk(desktop) == keys_on_disk(laptop)
    desktop.commit_annexed({"later": "later\n"})
    desktop.syncx("sync", **old)
    laptop.syncx("sync", "nas")
    assert laptop.read("later") == b"later\n"


def test_two_carriers_at_once(net: Network, lan: tuple[Node, Node, Node]) -> None:
    laptop, desktop, nas = lan
    laptop.commit_annexed({f"big{n}": os.urandom(2_000_000) for n in range(3)})
    laptop.syncx("sync", "desktop")
    desktop.syncx("merge")
    desktop.config("syncx.patience", "0")
    laptop.config("syncx.transferJobs", "1")
    laptop.config("remote.nas.annex-bwlimit", "1MB")
    running = laptop.start("--json", "transfer", "nas")
    wait_until(lambda: under_way(nas))
    with halted(laptop):
        assert len(under_way(nas)) == 1
        second = desktop.syncx("transfer", "nas")
    assert second.event("transfer", "nas")["carried"] == 1, "both were at it"
    out, _ = running.communicate(timeout=120)
    assert running.returncode == 0, out.decode()
    assert keys_on_disk(nas) == keys_on_disk(laptop)


def test_two_runs_in_one_repository(lan: tuple[Node, Node, Node]) -> None:
    laptop, _, nas = lan
    laptop.commit_annexed({"big": os.urandom(3_000_000)})
    laptop.config("remote.nas.annex-bwlimit", "1MB")
    running = laptop.start("transfer", "nas")
    wait_until(lambda: under_way(nas))
    with halted(laptop):
        assert laptop.syncx("transfer", "nas").event("transfer")["result"] == "busy"
    running.communicate(timeout=60)
    assert keys_on_disk(nas) == keys_on_disk(laptop)


# Interruptions


def git_annex_processes(node: Node) -> list[str]:
    listed = subprocess.run(("ps", "-A", "-o", "args="), capture_output=True, text=True, check=True).stdout
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            where, words = os.readlink(f"/proc/{pid}/cwd"), Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if where.startswith(str(node.net.root)) and b"annex" in words:
            found.append(words.decode("utf-8", "replace"))
    return found if listed else []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "closed pipe"])
def test_no_process_is_left(lan: tuple[Node, Node, Node], how: object) -> None:
    laptop, _, nas = lan
    laptop.commit_annexed({"big": os.urandom(5_000_000)})
    laptop.config("remote.nas.annex-bwlimit", "500kB")
    running = laptop.start("--json", "transfer", "nas")
    wait_until(lambda: under_way(nas))
    if isinstance(how, signal.Signals):
        running.send_signal(how)
    else:
        assert running.stdout
        running.stdout.close()
    assert running.wait(timeout=30) == 130
    wait_until(lambda: not git_annex_processes(laptop))
    laptop.git("config", "--unset", "remote.nas.annex-bwlimit")
    laptop.syncx("transfer", "nas")
    assert keys_on_disk(nas) == keys_on_disk(laptop)


def test_killed_at_random_moments(lan: tuple[Node, Node, Node]) -> None:
    laptop, desktop, nas = lan
    rng = random.Random(5)
    for number in range(KILLS):
        laptop.commit_annexed({f"k{number}-{n}": rng.randbytes(200_000) for n in range(4)})
        running = laptop.start("sync")
        delay = rng.uniform(0.3, 3.0)
        try:
            running.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
        for _ in range(50):
            if not git_annex_processes(laptop):
                break
            time.sleep(0.1)
    said = laptop.syncx("sync", ok=None)
    said = laptop.syncx("sync") if said.code else said
    assert keys_on_disk(desktop) == keys_on_disk(nas) == keys_on_disk(laptop), f"seed 5: {said.out}"
    make_known(laptop, desktop)
    true_to_the_disks(lan)


def test_file_that_goes_while_it_waits(lan: tuple[Node, Node, Node]) -> None:
    laptop, _, nas = lan
    laptop.commit_annexed({"big": os.urandom(3_000_000), "bigger": os.urandom(4_000_000)})
    laptop.config("remote.nas.annex-bwlimit", "1MB")
    laptop.config("syncx.transferJobs", "1")
    running = laptop.start("--json", "transfer", "nas")
    wait_until(lambda: under_way(nas))
    with halted(laptop):
        laptop.annex("drop", "--force", "--quiet", "bigger")
    out, _ = running.communicate(timeout=60)
    events = [json.loads(line) for line in out.splitlines()]
    assert running.returncode == 1
    assert {e["file"] for e in events if e["event"] == "file" and e["state"] == "failed"} == {"bigger"}
    assert {e["file"] for e in events if e["event"] == "file" and e["state"] == "done"} >= {"big", "one", "two"}


# Rates


def test_limits_hold_with_parallel_transfers(net: Network, lan: tuple[Node, Node, Node]) -> None:
    laptop, _desktop, _nas = lan
    laptop.commit_annexed({f"b{n}": os.urandom(1_500_000) for n in range(4)})
    begun = time.monotonic()
    laptop.syncx("transfer", "--bwlimit", "2M", "nas")
    seconds = time.monotonic() - begun
    assert seconds >= 6_000_000 / 2 / 1024**2 * 0.9, "6 MB at 2 MB/s"
    laptop.config("remote.desktop.syncx-bwlimit", "00:00,2M")
    begun = time.monotonic()
    laptop.syncx("transfer", "desktop")
    assert time.monotonic() - begun >= 6_000_000 / 2 / 1024**2 * 0.9


# Over ssh


@pytest.fixture
def far(net: Network) -> Iterator[tuple[Node, Node, Sshd]]:
    """A laptop with 12 MB in four files and a bare server; the test says by which port they are connected."""
    with Sshd(net.root / "sshd", net.home) as sshd:
        sshd.join(net)
        laptop = net.create("laptop")
        laptop.commit({"README": "x\n"})
        server = net.clone(laptop, "server", bare=True)
        server.git("remote", "remove", "origin")
        laptop.git("remote", "add", "server", sshd.url(server.path))
        laptop.config("remote.server.annex-uuid", uuid_of(server))
        laptop.commit_annexed({f"f{n}": os.urandom(3_000_000) for n in range(4)})
        laptop.syncx("sync", "--no-content")
        yield laptop, server, sshd


def test_limit_holds_over_ssh_with_parallel_transfers(far: tuple[Node, Node, Sshd]) -> None:
    laptop, server, sshd = far
    with Proxy(sshd.port) as proxy:
        laptop.git("remote", "set-url", "server", sshd.url(server.path, proxy.port))
        running = laptop.start("transfer", "--bwlimit", "1M")
        wait_until(lambda: proxy.sent > 500_000)
        before, begun = proxy.sent, time.monotonic()
        time.sleep(8)
        rate = (proxy.sent - before) / (time.monotonic() - begun)
        running.communicate(timeout=60)
    # On a busy machine it may be slower, faster it may not be.
    assert 0.3 * 1024**2 <= rate <= 1.1 * 1024**2
    assert keys_on_disk(server) == keys_on_disk(laptop)


@pytest.mark.thorough
def test_last_file_has_the_whole_limit(far: tuple[Node, Node, Sshd]) -> None:
    """A small and a big file share 1 MiB/s; when the small one has arrived the big one gets all of it."""
    laptop, server, sshd = far
    laptop.annex("drop", "--quiet", "--force", "f1", "f2", "f3")
    laptop.commit_annexed({"big": os.urandom(30_000_000)})
    with Proxy(sshd.port) as proxy:
        laptop.git("remote", "set-url", "server", sshd.url(server.path, proxy.port))
        running = laptop.start("transfer", "--bwlimit", "1M")
        wait_until(lambda: proxy.sent > 15_000_000, 120)
        before, begun = proxy.sent, time.monotonic()
        wait_until(lambda: proxy.sent > before + 6_000_000, 60)
        assert 6_000_000 / (time.monotonic() - begun) > 0.65 * 1024**2
        running.terminate()
        running.wait(timeout=60)


@pytest.mark.thorough
def test_limit_follows_the_timetable_while_running(far: tuple[Node, Node, Sshd]) -> None:
    """From 512 KiB/s to 2 MiB/s at the next full minute, in the middle of files."""
    laptop, server, sshd = far
    while not 45 <= time.time() % 60 < 52:
        time.sleep(0.2)
    then = time.localtime(time.time() + 60)
    with Proxy(sshd.port) as proxy:
        laptop.git("remote", "set-url", "server", sshd.url(server.path, proxy.port))
        table = f"00:00,512k {then.tm_hour:02}:{then.tm_min:02},2M"
        assert then.tm_hour or then.tm_min, "not at midnight"
        running = laptop.start("transfer", "--bwlimit", table)
        wait_until(lambda: time.time() % 60 < 30)
        slow = proxy.sent
        running.communicate(timeout=60)
    assert slow <= 1.15 * 15 * 512 * 1024, "before the boundary"
    assert time.time() % 60 < 20, "12 MB at 512 KiB/s would take 23 s"
    assert keys_on_disk(server) == keys_on_disk(laptop)


def test_speed_is_measured_and_told(far: tuple[Node, Node, Sshd]) -> None:
    laptop, server, sshd = far
    laptop.syncx("sync")
    laptop.commit_annexed({"big": os.urandom(3_000_000)})
    with Proxy(sshd.port, rate=2_000_000) as proxy:
        laptop.git("remote", "set-url", "server", sshd.url(server.path, proxy.port))
        laptop.syncx("transfer")
    (told,) = laptop.syncx("map").events
    (link,) = (k for k in told["links"] if k["owner"] == uuid_of(laptop) and k["remote"] == uuid_of(server))
    assert link["latency_ms"] > 0
    assert link["bytes_per_second"] > 1e5


def test_nothing_to_do_makes_no_connection(far: tuple[Node, Node, Sshd]) -> None:
    laptop, server, sshd = far
    with Proxy(sshd.port) as proxy:
        laptop.git("remote", "set-url", "server", sshd.url(server.path, proxy.port))
        laptop.syncx("sync")
        sshd.disconnect()
        before = proxy.connections
        assert laptop.syncx("transfer").event("transfer", "server")["result"] == "current"
        assert before and proxy.connections == before


def test_remote_that_vanishes_in_the_middle(far: tuple[Node, Node, Sshd]) -> None:
    laptop, server, sshd = far
    near = laptop.net.clone(laptop, "near", bare=True)
    laptop.git("remote", "add", "near", str(near.path))
    laptop.syncx("sync", "--no-content", "near")
    with Proxy(sshd.port, rate=1_000_000) as proxy:
        laptop.git("remote", "set-url", "server", sshd.url(server.path, proxy.port))
        running = laptop.start("--json", "transfer")
        wait_until(lambda: proxy.sent > 2_000_000)
    sshd.disconnect()
    out, _ = running.communicate(timeout=60)
    told = {e["remote"]: e for e in map(json.loads, out.splitlines()) if e["event"] == "transfer"}
    assert (told["server"]["result"], told["near"]["result"]) == ("failed", "done")
    assert keys_on_disk(near) == keys_on_disk(laptop)
    laptop.git("remote", "set-url", "server", sshd.url(server.path))
    assert laptop.syncx("transfer").event("transfer", "server")["failed"] == 0
    assert keys_on_disk(server) == keys_on_disk(laptop)


# Export and import remotes


def test_export_and_import_remotes(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    store = net.root / "player"
    store.mkdir()
    laptop.annex(
        "initremote", "--quiet", "player", "type=directory", f"directory={store}", "encryption=none",
        "exporttree=yes", "importtree=yes",
    )  # fmt: skip
    laptop.commit_annexed({"song": "la\n"})
    laptop.config("remote.player.annex-tracking-branch", "main")
    laptop.syncx("sync", "player")
    assert (store / "song").read_bytes() == b"la\n"
    (store / "new").write_text("recorded there\n")
    laptop.syncx("sync", "player")
    assert laptop.read("new") == b"recorded there\n"
    assert laptop.read("song") == b"la\n"
    ran = laptop.syncx("sync", "player")
    assert {ran.event(name, "player")["result"] for name in ("import", "export")} == {"current"}


# The plan


def test_plan_shows_what_is_missing_where(lan: tuple[Node, Node, Node]) -> None:
    laptop, desktop, nas = lan
    (told,) = laptop.syncx("plan").events
    (only,) = told["plans"]
    assert (only["keys"], only["bytes"]) == (3, 3006)
    assert set(only["targets"]) == {uuid_of(desktop), uuid_of(nas)}
    laptop.write("noted.bin", "git-annex has it in its journal alone\n")
    laptop.annex("add", "-c", "annex.alwayscommit=false", "--quiet", "noted.bin")
    laptop.git("commit", "--no-verify", "--quiet", "--message", "noted")
    assert laptop.syncx("plan").events[0]["plans"][0]["keys"] == 4
    laptop.syncx("transfer")
    assert laptop.syncx("plan").events[0]["plans"] == []
    assert "nothing is to be sent" in laptop.run("git-annex-syncx", "plan").out
