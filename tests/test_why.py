"""`why` tells who wants a file, who brings it, what that waits for; what it advises, done literally, helps."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from time import time as now
from typing import Any

import pytest
from network import Network, Node
from sshd import wait_until
from test_json_schema import Seen, section_of

from git_annex_syncx.annex.inventory import UNSEEN, Inventory

BEACH = "photos/beach.jpg"


def build(net: Network) -> Sequence[Node]:
    """A laptop with a hub and a drive, a desktop that knows the hub alone; all know each other's links."""
    laptop = net.create("laptop")
    laptop.commit({"note.txt": "a note\n"})
    laptop.commit_annexed({BEACH: "beach " * 200, "photos/hill.jpg": "hill " * 200, "docs/x.bin": "docs " * 100})
    nas, usb = (net.clone(laptop, name, bare=True) for name in ("nas", "usb"))
    for hub in (nas, usb):
        hub.git("remote", "remove", "origin")
    desktop = net.clone(nas, "desktop")
    net.connect((laptop, nas), (laptop, usb), (desktop, nas))
    for node in (laptop, desktop, laptop):
        node.syncx("sync")
    return laptop, nas, usb, desktop


@pytest.fixture
def family(net: Network) -> list[Node]:
    return net.made_by(build)


def why(node: Node, path: str, *repository: str) -> dict[str, dict[str, Any]]:
    """What is said of each repository, by its name, as it is documented."""
    events = node.syncx("why", path, *repository).events
    for event in events:
        Seen().check(event, section_of(event))
    return {event["repository"]: event for event in events}


def words(node: Node, *args: str) -> str:
    return node.run("git-annex-syncx", "why", *args).out


def do(node: Node, *advice: str) -> None:
    """Do as one is told."""
    for command in advice:
        node.run("sh", "-c", command)


def add(node: Node, path: str, content: str | None = None) -> None:
    node.commit_annexed({path: content or f"{path} " * 300})


def test_a_new_file_goes_its_way(family: list[Node]) -> None:
    laptop, _nas, _usb, desktop = family
    told = why(laptop, BEACH)
    assert list(told) == ["laptop", "desktop", "nas", "usb"], "this repository first"
    assert {one["state"] for one in told.values()} == {"has"}
    assert all(one["noted"] and one["wants"] and not one["advice"] for one in told.values())

    add(laptop, "new.bin")
    told = why(laptop, "new.bin")
    assert {name: one["state"] for name, one in told.items()} == {
        "laptop": "has", "nas": "comes", "usb": "comes", "desktop": "comes",
    }  # fmt: skip
    ends = [(step["from"], step["to"]) for step in told["desktop"]["way"]]
    uuids = {name: one["uuid"] for name, one in told.items()}
    assert ends == [(uuids["laptop"], uuids["nas"]), (uuids["nas"], uuids["desktop"])]

    assert "from where it goes on [laptop -> nas -> desktop]" in words(laptop, "new.bin")
    do(laptop, *told["nas"]["advice"])
    told = why(laptop, "new.bin")
    assert told["nas"]["state"] == "has"
    assert told["desktop"]["state"] == "waits" and told["desktop"]["executor"] == uuids["desktop"]
    assert "until desktop fetches it" in told["desktop"]["reason"] and told["desktop"]["until"]
    laptop.syncx("push")
    desktop.syncx("pull")
    do(desktop, *why(desktop, "new.bin", "here")["desktop"]["advice"])
    assert why(desktop, "new.bin", "here")["desktop"]["state"] == "has"
    in_full = words(laptop, "new.bin", "desktop")
    assert "no expression is set: it wants all" in in_full and "its way: from nas to desktop" in in_full

    add(laptop, "newer.bin")
    laptop.git("remote", "add", "desktop", str(desktop.path))
    laptop.config("remote.desktop.annex-cost", "300")
    laptop.syncx("transfer", "nas")
    told = why(laptop, "newer.bin", "desktop")["desktop"]
    assert told["state"] == "waits" and told["executor"] == uuids["desktop"]
    do(laptop, *(advice.removeprefix("not to wait: ") for advice in told["advice"]))
    assert why(laptop, "newer.bin", "desktop")["desktop"]["state"] == "has"


def test_what_holds_a_step_back(family: list[Node]) -> None:
    laptop, nas, usb, _desktop = family
    add(laptop, "new.bin")

    laptop.config("remote.nas.syncx-bwlimit", "1M")
    assert "no more than 1048 kB/s" in why(laptop, "new.bin", "nas")["nas"]["reason"]

    laptop.git("config", "--unset", "remote.nas.syncx-bwlimit")
    with contextlib.closing(sqlite3.connect(laptop.path / ".git/annex/syncx/outbox.sqlite")) as outbox, outbox:
        outbox.execute("INSERT INTO running VALUES (?, ?, ?, 2, 1, 50, 100, NULL)", (os.getpid(), now(), now()))
    assert "the run at work here sends it to nas (50 %" in why(laptop, "new.bin", "nas")["nas"]["reason"]
    laptop.config("annex.synccontent", "false")
    assert "annex.synccontent is false" in why(laptop, "new.bin", "nas")["nas"]["reason"]
    laptop.git("config", "--unset", "annex.synccontent")
    laptop.config("syncx.contentIf", "exit 75")
    laptop.syncx("sync")
    told = why(laptop, "new.bin", "nas")["nas"]
    assert told["state"] == "waits" and "no content now: a command says not now" in told["reason"]
    laptop.git("config", "--unset", "syncx.contentIf")

    usb.path.rename(usb.path.with_name("drawer"))
    (nas.path / "annex" / "objects").rename(nas.path / "annex" / "kept")
    (nas.path / "annex" / "objects").touch()
    laptop.syncx("transfer", ok=1)
    told = why(laptop, "new.bin")
    assert told["usb"]["state"] == "waits" and "is not there" in told["usb"]["reason"] and told["usb"]["until"]
    assert told["nas"]["state"] == "waits" and "transfer with nas failed once" in told["nas"]["reason"]
    assert told["nas"]["until"], "when it is due again"
    (nas.path / "annex" / "objects").unlink()
    (nas.path / "annex" / "kept").rename(nas.path / "annex" / "objects")
    usb.path.with_name("drawer").rename(usb.path)
    do(
        laptop,
        *(why(laptop, "new.bin", name)[name]["advice"][0].removeprefix("try now: ") for name in ("nas", "usb")),
    )
    assert [why(laptop, "new.bin")[name]["state"] for name in ("nas", "usb")] == ["has", "has"]

    add(laptop, "newer.bin")
    laptop.syncx("pause", "nas")
    told = why(laptop, "newer.bin", "nas")["nas"]
    assert told["state"] == "waits" and "automatic work with nas is paused" in told["reason"]
    assert told["advice"] == ["git annex-syncx resume nas"]
    laptop.syncx("pause", "--for", "1h")
    told = why(laptop, "newer.bin", nas.git("config", "annex.uuid").out.strip())["nas"]
    assert told["reason"].endswith("all automatic work is paused") and told["until"]
    do(laptop, *told["advice"])  # which goes on with what has waited
    wait_until(lambda: why(laptop, "newer.bin", "nas")["nas"]["state"] == "has")


def test_what_is_not_wanted_and_what_does_not_fit(family: list[Node]) -> None:
    laptop, *_ = family
    laptop.annex("wanted", "usb", "include=docs/* or (include=*.jpg and copies=nas:1)")
    add(laptop, "new.bin")
    told = why(laptop, "new.bin", "usb")["usb"]
    assert told["state"] == "not-wanted" and told["wants"] is False
    assert told["explained"] == "include=docs/*[FALSE] or include=*.jpg[FALSE]"
    assert told["preferred"] == "include=docs/* or (include=*.jpg and copies=nas:1)"
    do(laptop, told["advice"][0].partition(": ")[2].replace("EXPRESSION", "anything"))
    assert why(laptop, "new.bin", "usb")["usb"]["state"] == "comes"

    laptop.annex("maxsize", "usb", "1kb")
    told = why(laptop, "new.bin", "usb")["usb"]
    assert told["state"] == "no-room" and "git annex maxsize" in told["advice"][0]
    laptop.annex("maxsize", "usb", "1gb")
    assert why(laptop, "new.bin", "usb")["usb"]["state"] == "comes"

    laptop.annex("wanted", "usb", "nothing")
    told = why(laptop, BEACH, "usb")["usb"]
    assert told["state"] == "unwanted" and "the next run here drops it" in told["reason"]
    laptop.syncx("sync")
    told = why(laptop, BEACH, "usb")["usb"]
    assert told["state"] == "not-wanted" and told["dropped"] == "it is not wanted there"
    assert "had it until" in words(laptop, BEACH)


def test_wishes_that_contradict_each_other(family: list[Node]) -> None:
    laptop, *_ = family
    laptop.annex("numcopies", "3")
    for name in ("usb", "desktop"):
        laptop.annex("wanted", name, "nothing")
    told = why(laptop, BEACH)
    assert told["usb"]["state"] == "unwanted", "there are three others"
    assert told["usb"]["at_odds"] == ["numcopies is 3, but only 2 repositories want it, so others must keep it"]
    inventory = Inventory(laptop.path / ".git/annex/syncx/inventory.sqlite")
    usb = told["usb"]["uuid"]
    for _ in range(UNSEEN + 1):
        inventory.count_drops({(told["usb"]["key"], usb): [told["nas"]["uuid"]]})
    assert "is dropped no more" in why(laptop, BEACH)["usb"]["reason"], "it has come again that often"
    laptop.annex("drop", "--quiet", "--force", "--from", "usb", BEACH)
    laptop.annex("required", "usb", f"include={BEACH}")
    assert why(laptop, BEACH)["usb"]["state"] == "comes", "a changed wish makes a new beginning"
    for _ in range(UNSEEN + 1):
        inventory.count_drops({(told["usb"]["key"], usb): [told["nas"]["uuid"]]})
    told = why(laptop, BEACH)
    assert told["usb"]["state"] == "at-odds" and told["usb"]["advice"] == [f"git annex wanted {usb}"]
    assert any("makes it come and go" in text for text in told["usb"]["at_odds"])
    do(laptop, f"git annex required {usb} ''", *told["usb"]["advice"])
    told = why(laptop, BEACH)["desktop"]
    assert "git-annex keeps it: numcopies is 3, and there are 2 elsewhere" in told["reason"]
    do(laptop, told["advice"][0].partition("or: ")[2])
    assert "the next run there drops it" in why(laptop, BEACH)["desktop"]["reason"]
    assert not why(laptop, BEACH)["desktop"]["at_odds"]

    laptop.annex("required", "usb", "include=photos/*")
    told = why(laptop, BEACH, "usb")["usb"]
    assert told["state"] == "comes" and told["explained"] == "nothing[FALSE] or include=photos/*[TRUE]"
    assert "its required content does: it is kept" in told["at_odds"][0]
    laptop.annex("required", "usb", "")
    laptop.annex("wanted", "usb", "standard")
    assert "is in no standard group" in why(laptop, BEACH, "usb")["usb"]["at_odds"][0]
    for group in ("backup", "archive"):
        laptop.annex("group", "usb", group)
    assert "several standard groups (archive, backup)" in why(laptop, BEACH, "usb")["usb"]["at_odds"][0]
    laptop.annex("ungroup", "usb", "archive")
    told = why(laptop, BEACH, "usb")["usb"]
    assert not told["at_odds"] and told["state"] == "comes" and told["groups"] == ["backup"]
    assert "wanted standard (group backup)" in words(laptop, BEACH, "usb")


def test_no_way_and_what_would_make_one(net: Network, family: list[Node]) -> None:
    laptop, _nas, usb, desktop = family
    store = net.root / "store"
    store.mkdir()
    desktop.annex("initremote", "--quiet", "store", "type=directory", f"directory={store}", "encryption=none")
    desktop.syncx("sync")
    add(laptop, "new.bin")
    laptop.syncx("push")
    desktop.syncx("pull")

    # a setting of this repository: told before and after the others know
    desktop.config("remote.nas.annex-ignore", "true")
    for _ in range(2):
        told = why(desktop, "new.bin", "here")["desktop"]
        assert told["state"] == "no-way" and told["reason"] == "wants it, but no way leads here"
        assert told["advice"] == ["git config remote.nas.annex-ignore false"]
        desktop.syncx("map", "--publish")
    do(desktop, *told["advice"])
    told = why(desktop, "new.bin", "here")["desktop"]
    assert told["state"] == "waits" and "are told to the others" in told["reason"]
    do(desktop, *told["advice"])
    assert "no way" not in why(desktop, "new.bin", "here")["desktop"]["reason"]

    # a special remote that is not enabled here
    laptop.syncx("pull")
    laptop.git("remote", "remove", "nas")
    laptop.git("remote", "remove", "usb")
    laptop.syncx("map", "--publish")
    told = why(laptop, "new.bin", "store")["store"]
    assert told["state"] == "no-way" and told["advice"] == ["git annex enableremote store"]
    do(laptop, f"{told['advice'][0]} directory={store}")
    (advice,) = why(laptop, "new.bin", "store")["store"]["advice"]
    assert advice == "git annex verifyremote store"
    (safe,) = (line for line in laptop.run("sh", "-c", advice).out.splitlines() if "--safe" in line)
    do(laptop, safe.partition(": ")[2], "git annex-syncx sync")
    assert why(laptop, "new.bin", "store")["store"]["state"] == "has"

    # a link that is not there
    told = why(laptop, "new.bin", "usb")["usb"]
    assert told["state"] == "no-way"
    assert told["advice"] == ["git remote add usb ADDRESS", "in usb: git annex-syncx sync, if it has remotes"]
    assert "usb: wants it, but no way leads there; try: git remote add usb ADDRESS" in words(laptop, "new.bin")
    do(laptop, told["advice"][0].replace("ADDRESS", str(usb.path)))
    do(laptop, "git annex-syncx sync")
    assert why(laptop, "new.bin", "usb")["usb"]["state"] == "has"


def test_a_relay_would_make_a_way_and_is_emptied(family: list[Node]) -> None:
    laptop, nas, _usb, desktop = family
    laptop.annex("wanted", "nas", "nothing")
    add(laptop, "new.bin")
    told = why(laptop, "new.bin", "desktop")["desktop"]
    assert told["state"] == "no-way" and "is no relay" in told["reason"]
    (advice,) = told["advice"]
    assert advice == "in nas: git config syncx.relay true"
    do(nas, advice.partition(": ")[2])
    nas.syncx("map", "--publish")
    laptop.syncx("sync")
    told = why(laptop, "new.bin")
    assert told["desktop"]["state"] == "waits" and told["nas"]["state"] == "unwanted"
    assert "to pass it on" in told["nas"]["reason"]

    laptop.annex("wanted", "nas", "")
    laptop.syncx("sync")
    told = why(laptop, "new.bin")["nas"]
    assert (told["state"], told["reason"], told["wants"]) == ("has", "has it, to pass it on", False)
    laptop.annex("group", "nas", "transfer")
    told = why(laptop, "new.bin")["nas"]
    assert told["state"] == "unwanted" and "until desktop has it" in told["reason"]
    desktop.syncx("sync")
    laptop.syncx("sync")
    told = why(laptop, "new.bin")
    assert told["desktop"]["state"] == "has" and told["nas"]["state"] == "not-wanted"
    assert told["nas"]["dropped"] == "a relay is emptied when all who want it have it"


def test_what_comes_after_others_and_what_does_not_come_at_all(family: list[Node]) -> None:
    """Of those whose wishes depend on copies only one has its turn; status tells the same of the others."""
    laptop, _nas, _usb, desktop = family
    laptop.annex("numcopies", "4")
    laptop.annex("wanted", "nas", "nothing")
    for name in ("usb", "desktop"):
        laptop.annex("wanted", name, "lackingcopies=1")
    add(laptop, "new.bin")
    told = why(laptop, "new.bin")
    assert (told["usb"]["state"], told["desktop"]["state"]) == ("comes", "no-way")
    assert counted(laptop, told["desktop"]["uuid"]) == ("no-way", 1, 0)

    laptop.annex("wanted", "nas", "lackingcopies=1")
    laptop.annex("wanted", "desktop", "")
    laptop.config("remote.nas.syncx-removable", "true")
    laptop.syncx("map", "--publish")
    told = why(laptop, "new.bin")
    assert (told["usb"]["state"], told["nas"]["state"]) == ("comes", "waits")
    assert told["nas"]["reason"] == "waits until usb has it, and is asked then whether it still wants it"
    assert (told["desktop"]["state"], told["desktop"]["reason"]) == ("waits", "waits until usb has it")
    assert counted(laptop, told["desktop"]["uuid"]) == ("later", 0, 1)
    laptop.syncx("sync")
    desktop.syncx("sync")
    assert why(desktop, "new.bin", "here")["desktop"]["state"] == "has"


def counted(node: Node, uuid: str) -> tuple[str, int, int]:
    """What status says of the one file that a repository lacks, and how many have no way, or come later."""
    content, file = (one.get("content", one) for one in node.syncx("status", uuid).events[:2])
    return file["state"], content["no_way"], content["later"]


def test_why_it_is_there_no_more(family: list[Node]) -> None:
    laptop, _nas, _usb, desktop = family
    desktop.annex("drop", "--quiet", "--force", BEACH)
    desktop.syncx("push")
    laptop.syncx("pull")
    uuid = laptop.git("config", "annex.uuid").out.strip()
    told = why(laptop, BEACH)["desktop"]
    assert told["state"] == "waits" and told["dropped"] == "by hand (git annex drop or move): it is wanted there"
    assert told["noted"]

    for place in ("nas", "usb"):
        laptop.annex("drop", "--quiet", "--force", "--from", place, BEACH)
    laptop.annex("setpresentkey", laptop.annex("lookupkey", BEACH).out.strip(), uuid, "0")
    told = why(laptop, BEACH)
    assert {one["state"] for one in told.values()} == {"lost"}
    uuids = {name: one["uuid"] for name, one in told.items()}
    assert "nobody has it any more; the last who had it was" in told["nas"]["reason"]
    laptop.annex("wanted", "usb", "include=*.jpg")  # git-annex is asked for its wish, and fails for want of copies
    told_usb = why(laptop, BEACH, "usb")["usb"]
    assert (told_usb["state"], told_usb["explained"]) == ("lost", "include=*.jpg[TRUE]")

    do(laptop, told["laptop"]["advice"][0].partition(": ")[2])
    assert why(laptop, BEACH)["laptop"]["state"] == "has", "it was there all the time"
    laptop.annex("dead", "usb")
    told = why(laptop, "photos/hill.jpg")["usb"]
    assert told["state"] == "dead" and told["trust"] == "dead"
    do(laptop, told["advice"][0].partition(": ")[2])
    assert why(laptop, "photos/hill.jpg")["usb"]["state"] == "has"

    for name in ("laptop", "nas", "usb", "desktop"):
        laptop.annex("dead" if name == "usb" else "semitrust", name)
        if name != "usb":
            laptop.annex("setpresentkey", laptop.annex("lookupkey", "photos/hill.jpg").out.strip(), uuids[name], "0")
    told = why(laptop, "photos/hill.jpg")["nas"]
    assert told["state"] == "lost" and "only usb has it, which is declared dead" in told["reason"]
    assert told["advice"] == ["if it was found again: git annex semitrust usb"]


def test_a_copy_that_is_not_there_and_a_tree_of_files(net: Network, family: list[Node]) -> None:
    laptop, nas, _usb, desktop = family
    add(laptop, "new.bin")
    laptop.syncx("sync", "nas")
    laptop.annex("drop", "--quiet", "--force", "new.bin")
    laptop.syncx("push", "nas")
    desktop.syncx("pull")
    (held,) = (nas.path / "annex" / "objects").rglob(f"{desktop.annex('lookupkey', 'new.bin').out.strip()}*/*")
    held.parent.chmod(0o755)
    held.unlink()
    desktop.syncx("transfer", ok=1)
    told = why(desktop, "new.bin", "here")["desktop"]
    assert told["state"] == "no-way" and told["reason"] == "wants it, but it is not at nas as recorded"
    assert told["advice"] == ["git annex fsck --fast --from=nas"]
    desktop.run("sh", "-c", told["advice"][0], ok=1)
    assert why(desktop, "new.bin", "here")["desktop"]["state"] == "lost"

    (net.root / "player").mkdir()
    special = ("type=directory", f"directory={net.root / 'player'}", "encryption=none", "exporttree=yes")
    laptop.annex("initremote", "--quiet", "player", *special)
    told = why(laptop, BEACH, "player")["player"]
    assert told["state"] == "tree" and told["wants"] is None
    assert told["advice"] == ["git config remote.player.annex-tracking-branch BRANCH"]
    do(laptop, told["advice"][0].replace("BRANCH", "main"))
    told = why(laptop, BEACH, "player")["player"]
    assert told["state"] == "tree" and "shows the files of main" in told["reason"]
    laptop.syncx("transfer", "player")
    assert why(laptop, BEACH, "player")["player"]["state"] == "has"


def test_all_below_a_directory(family: list[Node]) -> None:
    laptop, *_ = family
    add(laptop, "photos/new.jpg")
    laptop.annex("wanted", "usb", "include=*.bin")
    told = why(laptop, "photos")
    assert [told[name]["has"] for name in ("laptop", "nas", "usb", "desktop")] == [3, 2, 2, 2]
    assert told["usb"]["unwanted"] == 2 and told["usb"]["lacks"] == 0
    assert told["nas"]["names"] == ["photos/new.jpg"] and told["nas"]["reasons"][0]["kind"] == "comes"
    assert told["desktop"]["reasons"][0]["kind"] == "comes"
    shown = words(laptop, ".")
    assert shown.startswith(".: 4 files") and "usb: has 3, does not want 2 of them, does not want 1 others" in shown


def test_what_stands_at_a_path(family: list[Node]) -> None:
    laptop, nas, _usb, _desktop = family
    (plain,) = laptop.syncx("why", "note.txt").events
    assert (plain["event"], plain["kind"]) == ("why-not-annexed", "git")
    (laptop.path / "photos" / "-n ew.jpg").write_text("new")
    (loose,) = laptop.syncx("-C", "photos", "why", "--", "-n ew.jpg").events
    assert loose["kind"] == "uncommitted"
    laptop.run("sh", "-c", f"cd photos && {loose['advice']}")
    laptop.git("commit", "--quiet", "--message", "new", ok=None)
    assert why(laptop, "photos/-n ew.jpg")["laptop"]["state"] == "has"

    odd = os.fsdecode(b"photos/caf\xe9\n.jpg")
    laptop.write(odd, "odd " * 300)
    laptop.annex("add", "--quiet", ".")  # it takes no such name from its command line
    laptop.git("commit", "--quiet", "--message", "odd")
    assert why(laptop, odd)["nas"]["state"] == "comes"
    assert "\\xe9\\n" in words(laptop, odd, "nas")
    laptop.annex("unlock", BEACH)
    laptop.git("commit", "--quiet", "--all", "--message", "unlock")
    assert why(laptop, BEACH)["laptop"]["state"] == "has"
    laptop.git("rm", "--quiet", "docs/x.bin")
    laptop.git("commit", "--quiet", "--message", "rm")
    gone = laptop.syncx("why", "docs/x.bin", ok=2)
    assert "was removed by the commit" in gone.err
    back, _, after = gone.err.partition("to have it back: ")[2].partition(" && ")
    assert after == "git annex-syncx sync\n"
    do(laptop, f"{back} && git commit --quiet --message back")
    assert why(laptop, "docs/x.bin")["nas"]["state"] == "has"
    for path in ("nowhere", "../x", "photos/beach.jpg/x"):
        refused = laptop.syncx("why", path, ok=2)
        assert "Traceback" not in refused.err
    assert "laptop, nas, usb" in laptop.syncx("why", BEACH, "nobody", ok=2).err
    laptop.git("remote", "add", "odd", "/nowhere")
    assert "nothing of it is known here yet" in laptop.syncx("why", BEACH, "odd", ok=2).err
    laptop.config("remote.odd.annex-ignore", "true")
    assert "git config remote.odd.annex-ignore false" in laptop.syncx("why", BEACH, "odd", ok=2).err
    assert why(nas, BEACH)["nas"]["state"] == "has", "in a bare repository"


def test_nothing_is_changed_and_nobody_is_asked(net: Network, family: list[Node]) -> None:
    laptop, *_ = family
    ssh = net.root / "ssh"
    ssh.write_text(f"#!/bin/sh\ntouch {net.root / 'asked'}\n")
    ssh.chmod(0o755)
    laptop.git("remote", "add", "far", "ssh://far.example/annex")
    laptop.config("remote.far.annex-uuid", "8c3b6d9e-0d0c-4b0e-9c39-000000000001")
    laptop.annex("wanted", "usb", "include=*.jpg")
    before = laptop.git("for-each-ref").out, laptop.git("status", "--porcelain").out
    for words_ in ((BEACH,), (BEACH, "usb"), ("photos",), ("note.txt",)):
        laptop.syncx("why", *words_, GIT_SSH=str(ssh), GIT_SSH_VARIANT="ssh")
    assert (laptop.git("for-each-ref").out, laptop.git("status", "--porcelain").out) == before
    assert not (net.root / "asked").exists()
