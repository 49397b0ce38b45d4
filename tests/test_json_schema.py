"""docs/json.md and what the program prints are the same, both ways."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from network import Network, Node, Ran
from watching import Watching

from git_annex_syncx.model import Fate, Result
from git_annex_syncx.system.records import Running
from git_annex_syncx.system.state import State

TEXT = (Path(__file__).parent.parent / "docs" / "json.md").read_text()
SECTIONS = dict(zip(*[iter(re.split(r"^## (.+)\n", TEXT, flags=re.MULTILINE)[1:])] * 2, strict=True))
# Columns of which each value that the documentation names has to come by, and no other.
COLUMNS = [
    ("Event", "event"), ("Event", "result"), ("Ref", "fate"),
    ("Repository", "branch"), ("Status-file", "state"), ("Finding", "level"), ("File", "state"), ("Hook", "state"),
    ("Would-file", "step"),
]  # fmt: skip
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "number": (int, float), "null": type(None), "boolean": bool, "object": dict,
}  # fmt: skip


def table(section: str, first: str) -> list[list[str]]:
    """The rows below the heading whose first column is called `first`."""
    lines = [line.strip("| ") for line in SECTIONS[section].splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    begin = next(number for number, row in enumerate(rows) if row[0] == first) + 2
    found = []
    for row in rows[begin:]:
        if not row[0].startswith("`"):
            break
        found.append([row[0].strip("`"), *row[1:]])
    return found


def words(section: str, first: str) -> set[str]:
    """The values that a table names."""
    return {row[0] for row in table(section, first)}


def section_of(printed: dict[str, Any]) -> str:
    """The section that describes an object."""
    if "plans" in printed:
        return "Plans"
    if printed["event"] == "summary":
        return {"status": "Status summary", "doctor": "Doctor summary"}.get(printed["command"], "Summary")
    named = {
        "repository": "Repository",
        "status-file": "Status-file",
        "problem": "Problem",
        "file": "File",
        "would": "Would",
        "would-git": "Would-git",
        "would-file": "Would-file",
        "would-not": "Would-not",
        "pause": "Pause",
        "hook": "Hook",
        "why": "Why",
        "why-directory": "Why-directory",
        "why-not-annexed": "Why-not-annexed",
        "signal": "Signal",
        "finding": "Finding",
        "conflict": "Conflict",
        "settled": "Settled",
        "proposal": "Proposal",
    }
    return named.get(printed["event"], "Event")


class Seen:
    """Checks objects against the tables, and remembers which fields and values came by."""

    def __init__(self) -> None:
        self.fields: set[tuple[str, str]] = set()
        self.values: dict[tuple[str, str], set[str]] = {column: set() for column in COLUMNS}

    def check(self, printed: dict[str, Any], section: str) -> None:
        fields = {name: (kind, given) for name, kind, given, _ in table(section, "field")}
        assert set(printed) <= set(fields), f"not in the documentation of {section}: {set(printed) - set(fields)}"
        for name, (kind, given) in fields.items():
            assert name in printed or given == "sometimes", f"{section} without {name}: {printed}"
            if name in printed:
                self.fields.add((section, name))
                self.check_value(printed[name], kind, f"{section}: {name}")
        for (where, name), values in self.values.items():
            if where == section:
                values.add(printed[name])
        if section == "Ref":
            assert bool(printed["reason"]) == (printed["fate"] in ("checked-out", "lost", "refused")), printed

    def check_value(self, value: Any, kind: str, where: str) -> None:
        if kind.removesuffix(" or null").capitalize() in SECTIONS:
            if value is not None or not kind.endswith(" or null"):
                self.check(value, kind.removesuffix(" or null").capitalize())
        elif kind == "list of string":
            assert all(isinstance(item, str) for item in value), f"{where} is {value!r}"
        elif kind.startswith("list of "):
            for item in value:
                self.check(item, kind.removeprefix("list of ").capitalize())
        else:
            allowed = [TYPES[name] for name in kind.split(" or ")]
            assert isinstance(value, tuple(flat(allowed))), f"{where} is {value!r}"
            assert not isinstance(value, bool) or "boolean" in kind, f"{where} is {value!r}"

    def plain(self, ran: Ran, section: str) -> None:
        """All lines of a command that has no summary, of one kind."""
        assert {section_of(event) for event in ran.events} <= {section}
        self.mixed(ran)

    def mixed(self, ran: Ran) -> None:
        """All lines of a command that has no summary."""
        for event in ran.events:
            assert event["event"] != "summary"
            self.check(event, section_of(event))

    def run(self, ran: Ran) -> None:
        """All lines of a run; the last one is its only summary."""
        assert [event["event"] == "summary" for event in ran.events[-1:]] == [True]
        assert all(event["event"] != "summary" for event in ran.events[:-1])
        for event in ran.events:
            self.check(event, section_of(event))
            if event["event"] == "merge" and event["result"] in ("done", "current"):
                assert {"branch", "old", "new", "commits"} <= set(event)
            if section_of(event) == "Event":
                assert (event["error"] is not None) == (event["result"] == "failed")


def flat(types: list[type | tuple[type, ...]]) -> list[type]:
    return [one for kind in types for one in (kind if isinstance(kind, tuple) else (kind,))]


@pytest.fixture
def seen(net: Network) -> Seen:
    """A story in which everything happens that the documentation names."""
    seen = Seen()
    laptop = net.create("laptop")
    laptop.commit_annexed({"photo.jpg": "a photo"})
    nas, desktop, usb = net.clone(laptop, "nas", bare=True), net.clone(laptop, "desktop"), net.clone(laptop, "usb")
    net.mesh(laptop, desktop)
    net.connect((laptop, nas), (desktop, nas), (laptop, usb))
    usb.path.rename(usb.path.with_name("unplugged"))
    for node in (laptop, desktop):
        node.config("syncx.settleTime", "0.2s")

    # done, current, away, skipped; updated, checked-out
    laptop.write("plain.txt", "a line\n")
    laptop.annex("add", "--quiet", "plain.txt")
    for command in (("sync",), ("push",), ("push", "--except", "usb"), ("status",), ("merge",)):
        seen.run(laptop.syncx(*command))
    seen.run(desktop.syncx("pull"))

    # the remote got the same commit from somebody else: current; it has moved on: lost, made good in the same run
    laptop.commit({"one.txt": "1\n"})
    desktop.git("pull", "--quiet", "laptop", "main")
    laptop.syncx("push", "nas")
    tool = net.root / "git-remote-near"  # a repository on this machine is looked into before a push
    tool.write_text('#!/bin/sh\nexec git remote-ext "$1" "%S ${2#*://}"\n')
    tool.chmod(0o755)
    net.programs.insert(0, net.root)
    desktop.config("remote.nas.pushurl", f"near://{nas.path}")
    seen.run(desktop.syncx("push", "nas"))
    desktop.git("config", "--unset", "remote.nas.pushurl")
    laptop.annex("numcopies", "1")
    desktop.annex("mincopies", "1")
    laptop.syncx("push", "nas")
    seen.run(desktop.syncx("push", "nas"))
    seen.run(laptop.syncx("pull", "nas"))

    # ahead, behind, diverged, unknown, other, content
    laptop.commit({"ahead.txt": "1\n"})
    seen.run(laptop.syncx("status"))
    desktop.git("fetch", "--quiet", "laptop")
    seen.run(desktop.syncx("status"))
    desktop.commit({"aside.txt": "1\n"})
    seen.run(desktop.syncx("status"))
    usb.path.mkdir()
    usb.path.joinpath("nothing").touch()
    laptop.git("remote", "add", "dead", "ssh://127.0.0.1:1/nowhere")
    laptop.git("remote", "add", "gw-box", "ssh://127.0.0.1:1/nowhere")
    laptop.config("remote.gw-box.annex-proxied-by", "gw")
    seen.run(laptop.syncx("status"))
    laptop.git("remote", "remove", "gw-box")

    # connected
    hub = str(net.root / "hub")
    seen.plain(laptop.syncx("connect", "hub", hub, "--dry-run"), "Proposal")
    seen.run(laptop.syncx("connect", "hub", hub, "--yes", "--no-content", ok=None))

    # problems and advice
    laptop.config("syncx.jbos", "1")
    seen.run(laptop.syncx("doctor", "--offline", ok=1))
    laptop.git("config", "--unset", "syncx.jbos")

    # failed, refused, a failure in the outbox
    hook = nas.path / "hooks" / "update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    seen.run(laptop.syncx("push", "nas", "dead", ok=1))
    seen.run(laptop.syncx("status"))
    hook.unlink()

    # level: the same commits of people, merged in another order
    third = net.clone(laptop, "third")
    third.commit({"third.txt": "3\n"})
    mine, theirs = laptop.head(), desktop.head()
    for node, heads in ((laptop, (theirs, third.head())), (desktop, (third.head(), mine))):
        node.git("fetch", "--quiet", str(third.path), "main")
        node.git(
            "fetch", "--quiet", str((desktop if node is laptop else laptop).path), mine if node is desktop else theirs
        )
        for head in heads:
            for ref in node.git("for-each-ref", "--format=%(refname)", "refs/remotes").out.split():
                node.git("update-ref", "-d", ref)
            node.git("update-ref", "refs/heads/synced/main", head)
            node.syncx("merge")
    laptop.git("fetch", "--quiet", "desktop", "+refs/heads/main:refs/remotes/desktop/main")
    seen.run(laptop.syncx("status"))
    seen.run(laptop.syncx("merge"))

    # a conflict
    for number, node in enumerate((laptop, desktop), start=1):
        (node.path / "module").mkdir()
        node.git("update-index", "--add", "--cacheinfo", f"160000,{str(number) * 40},module")
        node.commit({"both.txt": f"{node.name}\n"})
    laptop.git("fetch", "--quiet", "desktop", "+refs/heads/main:refs/remotes/desktop/main")
    seen.run(laptop.syncx("merge"))
    laptop.git("push", "--quiet", "desktop", "main:synced/main")
    seen.run(desktop.syncx("merge"))
    seen.plain(desktop.syncx("conflicts"), "Conflict")
    seen.plain(desktop.syncx("conflicts", "--done", "both.txt"), "Settled")

    # busy, and a failure of the own repository
    desktop.commit({"busy.txt": "1\n"})
    laptop.git("fetch", "--quiet", "desktop")
    (laptop.path / ".git" / "index.lock").touch()
    seen.run(laptop.syncx("merge"))
    (laptop.path / ".git" / "index.lock").unlink()
    laptop.write("busy.txt", "in the way\n")
    seen.run(laptop.syncx("merge", ok=1))
    seen.run(laptop.syncx("status"))
    content_travels(net, seen)
    it_keeps_up(net, seen)
    it_runs_by_itself(net, seen)
    example = str(Path(__file__).parent.parent / "docs" / "example-network.json")
    for question in (("--map", example, "--no-relays"), ("--to", "desktop")):
        for planned in laptop.syncx("plan", *question).events:
            seen.check(planned, section_of(planned))
    return seen


def content_travels(net: Network, seen: Seen) -> None:
    """The part of the story in which files move, are dropped, imported and exported."""
    here = net.create("here")
    here.commit()
    store, broken, attic, other = (
        net.clone(here, "store", bare=True),
        net.clone(here, "broken", bare=True),
        net.clone(here, "attic", bare=True),
        net.clone(here, "other"),
    )
    net.connect((here, store), (here, broken), (other, store), (other, attic))
    for node in (here, other, here):
        node.syncx("sync")

    # a preview; start, progress, done, failed; another has to fetch it: waiting
    (broken.path / "annex" / "objects").touch()
    here.commit_annexed({"film.mkv": b"film" * 250_000})
    here.write("note.txt", "a note")
    here.git("add", "note.txt")
    here.annex("maxsize", "broken", "1kb")
    seen.mixed(here.syncx("sync", "--dry-run"))
    seen.run(here.syncx("transfer", "broken"))
    seen.run(here.syncx("status", "broken"))  # no-room
    here.annex("maxsize", "broken", "1gb")
    here.config("syncx.contentIf", "exit 75")
    seen.mixed(here.syncx("sync", "--dry-run"))
    seen.run(here.syncx("sync", ok=None))
    seen.run(here.syncx("status"))
    here.git("config", "--unset", "syncx.contentIf")
    seen.run(here.syncx("transfer", ok=1))
    other.syncx("pull")
    seen.mixed(other.syncx("transfer", "--dry-run"))
    for path in ("film.mkv", ".", "note.txt"):
        seen.mixed(other.syncx("why", path))
    seen.run(other.syncx("sync"))
    cut_off = net.clone(here, "cut-off")
    cut_off.config("remote.here.annex-ignore", "true")
    seen.mixed(cut_off.syncx("transfer", "--dry-run"))
    seen.run(cut_off.syncx("status", "cut-off"))  # no-way

    # it is here, in spite of what is recorded: skipped
    key = other.annex("lookupkey", "film.mkv").out.strip()
    other.annex("setpresentkey", key, other.git("config", "annex.uuid").out.strip(), "0")
    seen.run(other.syncx("transfer"))

    # directories that others look at, or that a camera fills
    for name, kind in (("camera", "importtree=yes"), ("book", "exporttree=yes")):
        (net.root / name).mkdir()
        directory = f"directory={net.root / name}"
        here.annex("initremote", "--quiet", name, "type=directory", directory, "encryption=none", kind)
        here.config(f"remote.{name}.annex-tracking-branch", "main")
    (net.root / "camera" / "picture.jpg").write_text("a picture")
    seen.run(here.syncx("status", "book"))  # later
    seen.run(here.syncx("transfer", "camera", "book"))

    # what is not wanted here is dropped
    here.annex("wanted", ".", "exclude=*")
    seen.run(here.syncx("status", "here", "other"))  # unwanted, waits
    seen.run(here.syncx("transfer", "store"))
    seen.run(here.syncx("sync", "--cleanup", "store"))

    # a run that moves content, and a file that nobody has
    state = State(here.path / ".git" / "annex" / "syncx" / "outbox.sqlite")
    state.running.put(Running(os.getpid(), time.time(), time.time(), 2, 1, 300, 1000, 2.5))
    for uuid in here.annex("whereis", "--key", key, "--format=${uuid}\\n").out.split():
        here.annex("setpresentkey", key, uuid, "0")
    seen.run(here.syncx("status", "other"))
    seen.mixed(here.syncx("status", "--check", ok=1))


def it_keeps_up(net: Network, seen: Seen) -> None:
    """The part of the story in which content gets other keys elsewhere, and an adjusted branch shows what came."""
    origin = net.create("origin")
    origin.commit_annexed({"f": "content\n" * 100})
    here = net.clone(origin, "keeps-up")
    here.annex("adjust", "--quiet", "--hide-missing")
    net.connect((here, origin))
    seen.run(here.syncx("sync"))
    origin.annex("migrate", "--quiet", "--backend=SHA512E", "f")
    origin.git("commit", "--quiet", "--message", "migrated")
    here.syncx("pull")
    seen.run(here.syncx("transfer"))


def it_runs_by_itself(net: Network, seen: Seen) -> None:
    """The part of the story in which hooks, pauses, pushes that are received and drives have their say."""
    here = net.create("by-itself")
    here.commit()
    store = net.clone(here, "storehouse")
    net.connect((here, store), (store, here))
    here.syncx("sync")

    # installed, outdated, replaced, absent
    hook = here.path / ".git" / "hooks" / "post-commit"
    seen.plain(here.syncx("hooks", "install"), "Hook")
    installed = hook.read_text()
    hook.write_text(installed.replace("trigger post-commit", "trigger something"))
    seen.plain(here.syncx("hooks", "status"), "Hook")
    hook.write_text("#!/usr/bin/env python3\n")
    here.syncx("hooks", "install")
    hook.write_text("#!/usr/bin/env python3\n")
    seen.plain(here.syncx("hooks", "status"), "Hook")
    hook.write_text(installed)
    seen.plain(here.syncx("hooks", "uninstall"), "Hook")

    # received, and nobody has looked yet
    store.commit({"new.txt": "1\n"})
    store.git("push", "--quiet", "by-itself", "main:synced/main")
    requests = here.path / ".git" / "annex" / "syncx" / "requests"
    requests.mkdir(exist_ok=True)
    (requests / "received").touch()
    seen.run(here.syncx("retry"))

    # paused, until it is resumed or for a time
    here.syncx("pause")
    seen.plain(here.syncx("pause", "storehouse", "--for", "1h"), "Pause")
    seen.run(here.syncx("status"))
    assert here.syncx("resume").events == []
    others_are_told(here, seen)


def others_are_told(here: Node, seen: Seen) -> None:
    """The part of the story in which signals are sent and heard."""
    bell = here.net.root / "bell"
    bell.write_text('#!/bin/sh\ncase $1 in send) cat >>"$0.heard" ;; *) exec tail -n +1 -F "$0.heard" ;; esac\n')
    bell.chmod(0o755)
    here.config("syncx.signal", f"exec:{bell}")
    for action in ("send", "test"):
        seen.plain(here.syncx("signal", action), "Signal")
    here.git("config", "--add", "syncx.signal", "carrier-pigeon:home")
    seen.plain(here.syncx("signal", "send", ok=1), "Signal")
    with Watching(here) as service:
        service.wait_for("carrier-pigeon")
    seen.run(here.syncx("status"))


@pytest.mark.slow
def test_what_is_printed_is_documented_and_what_is_documented_is_printed(seen: Seen) -> None:
    """One test: the story is long, and would be told once a worker."""
    for section in SECTIONS:
        for name in words(section, "field"):
            assert (section, name) in seen.fields, f"{name} of {section} is documented and was never printed"
    for (section, what), values in seen.values.items():
        assert values == words(section, what), f"{what} of {section}"


def test_all_results_and_fates_are_documented() -> None:
    assert words("Event", "result") == {result.value for result in Result}
    assert words("Ref", "fate") == {fate.value for fate in Fate}
    assert words("Summary", "field") == {"event", "command"} | {result.value for result in Result}


def test_examples_are_as_the_tables_say() -> None:
    blocks = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    examples = [json.loads(line) for block in blocks for line in block.splitlines()]
    assert len(examples) > 10
    for example in examples:
        Seen().check(example, section_of(example))


def test_a_name_that_is_no_utf8_is_printed_in_ascii(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit()
    laptop.git("remote", "add", b"b\xffd", "/nowhere")
    ran = laptop.syncx("push")
    assert ran.out.isascii()
    assert ran.event("push", "b\udcffd")["result"] == "away"
