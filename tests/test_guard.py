"""What would remove too many files waits until somebody says that it is meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import Network, Node, Ran
from test_messages import on_terminal

from git_annex_syncx.branches.guard import FEW, too_many
from git_annex_syncx.model import Limit

HELD = "refs/syncx/held/main"
TRAILER = "Syncx-Allow-Deletes: "


def names(count: int, folder: str = "") -> list[str]:
    return [f"{folder}{number:02}.jpg" for number in range(count)]


def files(count: int, folder: str = "") -> dict[str, str | bytes]:
    return {name: f"content of {name}\n" for name in names(count, folder)}


def vanish(node: Node, *paths: str) -> None:
    """Remove files of the work tree, without a word to git."""
    for path in paths:
        (node.path / path).unlink()


def is_held(ran: Ran, phase: str, counted: str) -> dict[str, str]:
    """The outcome of a phase that is held, with its number, a name and the command."""
    event = ran.event(phase)
    assert event["result"] == "failed", event
    assert counted in event["error"], event
    assert "git annex-syncx sync --allow-deletes" in event["advice"]
    return event


def failures(node: Node) -> list[str]:
    return [failure["phase"] for failure in node.syncx("status").events[-1]["failures"]]


@pytest.fixture
def three(net: Network) -> tuple[Node, Node, Node, Node]:
    """a, b and c with forty files, and a bare hub between them."""
    a = net.create("a")
    a.commit(files(40))
    hub = net.clone(a, "hub", bare=True)
    net.connect((a, hub))
    b, c = net.clone(hub, "b"), net.clone(hub, "c")
    for node in (a, b, c):
        node.config("annex.synccontent", "false")
        node.config("syncx.settleTime", "0")
    return a, b, c, hub


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0, 100))
def test_the_limit_is_a_part_or_a_number_and_a_few_may_always_go(removed: int, more: int, number: float) -> None:
    all_of_it = removed + more
    assert too_many(Limit(number, percent=True), removed, all_of_it) == (
        removed > FEW and removed > all_of_it * number / 100
    )
    assert too_many(Limit(number), removed, all_of_it) == (removed > FEW and removed > number)
    assert not too_many(Limit(float("inf")), removed, all_of_it)


def test_vanished_files_are_not_committed_before_somebody_says_so(net: Network) -> None:
    a = net.create("a")
    a.commit_annexed(files(30))
    a.commit({f"{n}.txt": f"{n}\n" for n in range(10)})
    hub = net.clone(a, "hub", bare=True)
    net.connect((a, hub))
    b = net.clone(hub, "b")
    for node in (a, b):
        node.config("annex.synccontent", "false")
    before = a.head()
    everything = a.files()
    for path in everything[:-1]:
        (a.path / path).unlink()
    a.write(everything[-1], "changed\n")
    a.write("new.txt", "new\n")
    a.git("add", "new.txt")
    event = is_held(a.syncx("sync", ok=1), "commit", "39 of 40 files")
    assert everything[0] in event["error"]
    assert a.files() == sorted([*everything, "new.txt"])
    assert a.show(f"HEAD:{everything[-1]}") == b"changed\n", "all else is committed, and travels"
    assert hub.head("main") == a.head() != before
    b.syncx("sync")
    assert b.files() == a.files()
    assert failures(a) == ["commit"]
    a.git("checkout", "--", ".")
    a.syncx("sync")
    assert failures(a) == []
    assert a.git("status", "--porcelain").out == ""


def test_a_deletion_is_held_where_there_is_a_work_tree_and_asked_once(three: tuple[Node, ...]) -> None:
    a, b, c, hub = three
    a.git("rm", "--quiet", *names(30))
    deletion = a.commit()
    a.syncx("sync")
    assert hub.head("main") == deletion, "one without a work tree holds nothing"
    ours = b.commit({"new of b.txt": "b\n"})
    event = is_held(b.syncx("sync", ok=1), "merge", "30 of 41 files")
    assert "00.jpg" in event["error"]
    assert b.head() == ours
    merged = b.head(HELD)
    assert b.contains(ours, merged), "the merge is made as ever"
    assert b.contains(deletion, merged)
    assert hub.head("main") == merged, "and goes to others"
    assert HELD not in hub.git("for-each-ref").out
    a.syncx("sync")
    assert a.head() == merged, "who is not concerned is not held up"
    b.git("gc", "--quiet", "--prune=now")
    again = b.syncx("sync", ok=1)
    assert is_held(again, "merge", "30 of 41 files")
    c.commit({"new of c.txt": "c\n"})
    assert again.event("push", "hub")["result"] == "current"
    assert b.head(HELD) == merged, "nothing comes of looking again"
    assert is_held(c.syncx("sync", ok=1), "merge", "30 of 41 files")
    b.syncx("pull", "--allow-deletes")
    b.syncx("push")
    assert b.files() == [*names(40)[30:], "new of b.txt", "new of c.txt"]
    assert f"{TRAILER}{c.head(HELD)}" in b.git("log", "-1", "--format=%B").out
    assert not b.head(HELD)
    assert failures(b) == []
    c.syncx("sync")
    assert c.head() == b.head(), "asked once"
    assert not c.head(HELD)


def test_what_comes_after_a_deletion_that_was_allowed_is_judged_anew(three: tuple[Node, ...]) -> None:
    a, b, c, _ = three
    a.commit(files(60, "old/"))
    a.git("push", "--quiet", "hub", "main")
    for node in (b, c):
        node.git("pull", "--quiet", "hub", "main")
    for name in names(60, "old/"):
        (a.path / name).unlink()
    a.syncx("sync", "--allow-deletes")
    assert f"{TRAILER}{b.head()}" in a.git("log", "-1", "--format=%B").out, "in the commit itself"
    b.syncx("sync")
    assert len(b.files()) == 40, "allowed where it was made"
    a.git("rm", "--quiet", *names(22))
    a.commit()
    a.syncx("sync")
    is_held(c.syncx("sync", ok=1), "merge", "22 of 40 files")
    c.syncx("sync", "-c", "syncx.maxDelete=22")
    assert len(c.files()) == 18


def test_a_deletion_that_was_taken_back_is_held_no_more(three: tuple[Node, ...]) -> None:
    a, b, c, _ = three
    a.git("rm", "--quiet", *names(30))
    deletion = a.commit()
    a.syncx("sync")
    for node in (b, c):
        node.commit({f"{node.name}.txt": "new\n"})
        is_held(node.syncx("sync", ok=1), "merge", "30 of 41 files")
    a.syncx("sync")
    a.git("revert", "--no-edit", deletion)
    a.syncx("sync")
    for node in (b, c, b):
        node.syncx("sync")
        assert not node.head(HELD)
        assert failures(node) == []
    assert {node.head("main") for node in three} == {a.head()}
    assert set(names(40)) | {"b.txt", "c.txt"} == set(a.files())


def test_who_asks_in_advance_asks_for_all(three: tuple[Node, ...]) -> None:
    a, b, _, hub = three
    a.git("rm", "--quiet", *names(30))
    deletion = a.commit()
    a.syncx("sync", "--allow-deletes")
    assert f"{TRAILER}{deletion}" in a.git("log", "-1", "--format=%B").out
    b.syncx("sync")
    assert b.head() == a.head() == hub.head("main")
    a.syncx("sync", "--allow-deletes")
    assert b.head() == a.head(), "once is enough"


def test_what_was_only_moved_or_unlocked_is_never_held(net: Network) -> None:
    a = net.create("a")
    a.commit_annexed(files(30, "photos/"))
    a.commit({f"{n}.txt": f"{n}\n" for n in range(10)})
    b = net.clone(a, "b")
    a.git("mv", "photos", "pictures")
    a.git("mv", *(f"{n}.txt" for n in range(10)), "pictures")
    a.commit()
    b.syncx("pull")
    (a.path / "deep" / "er").mkdir(parents=True)
    a.git("mv", "pictures", "deep/er/photos")
    a.annex("fix", "--quiet")
    a.annex("unlock", "--quiet", ".")
    a.git("commit", "--quiet", "--message", "unlocked, and at another depth")
    b.syncx("pull")
    a.annex("lock", "--quiet", ".")
    (a.path / "deep" / "er" / "photos").rename(a.path / "top")
    a.annex("add", "--quiet", ".")
    a.syncx("sync", "--no-content")
    assert len(a.files()) == 40
    b.syncx("pull")
    assert b.head() == a.head()
    assert b.files() == a.files()


def test_an_adjusted_branch_holds_what_is_pushed_into_its_basis(net: Network) -> None:
    a = net.create("a")
    a.commit_annexed(files(30))
    b = net.clone(a, "b")
    net.mesh(a, b)
    for node in (a, b):
        node.config("annex.synccontent", "false")
        node.config("syncx.settleTime", "0")
    b.annex("adjust", "--unlock", "--quiet")
    b.syncx("sync")
    a.git("rm", "--quiet", *names(25))
    deletion = a.commit()
    a.syncx("push")
    assert b.head("main") == deletion
    is_held(b.syncx("merge", ok=1), "merge", "25 of 30 files")
    assert (b.head("main"), len(b.files())) == (deletion, 30)
    b.write("mine.txt", "mine\n")
    b.git("-c", "annex.largefiles=nothing", "add", "mine.txt")
    b.git("commit", "--quiet", "--message", "on the adjusted branch")
    is_held(b.syncx("sync", ok=1), "merge", "25 of 31 files")
    assert (b.head("main"), len(b.files())) == (deletion, 31)
    a.syncx("merge")
    assert a.contains(deletion)
    assert "mine.txt" in a.files(), "what is held goes on to others"
    a.syncx("push")
    assert b.head("main") == a.head(), "the basis is not in a work tree"
    is_held(b.syncx("sync", ok=1), "merge", "25 of 31 files")
    assert len(b.files()) == 31
    b.syncx("merge", "--allow-deletes")
    assert sorted(b.files()) == sorted(b.files("main")) == sorted(a.files())
    assert b.git("status", "--porcelain").out == ""
    assert TRAILER in b.git("log", "-1", "--format=%B", "main").out


def test_removals_of_the_adjusted_branch_that_are_meant_are_asked_once(net: Network) -> None:
    a = net.create("a")
    a.commit_annexed(files(30))
    b = net.clone(a, "b")
    net.mesh(a, b)
    b.annex("adjust", "--unlock", "--quiet")
    vanish(b, *names(30))
    is_held(b.syncx("sync", "--no-content", ok=1), "commit", "30 of 30 files")
    b.git("checkout", "--", ".")
    assert b.git("status", "--porcelain").out == ""
    vanish(b, *names(30))
    b.syncx("sync", "--no-content", "--allow-deletes")
    assert b.files("main") == []
    assert TRAILER in b.git("log", "-1", "--format=%B", "main").out
    a.syncx("pull")
    assert a.files() == []


def bring_back(event: Mapping[str, Any]) -> str:
    """The command by which files that have vanished are to come back."""
    return str(event["advice"]).removeprefix("to have them back: ").partition(";")[0]


def test_what_the_user_has_staged_stays_as_it_is(three: tuple[Node, ...]) -> None:
    a, b, _, _ = three
    a.commit({"sub/x.txt": "x\n", "k": "k\n"})
    a.git("rm", "--quiet", *names(30))
    vanish(a, *names(40)[30:], "k")
    a.write("k/inside.txt", "where a file was\n")
    a.write("sub/x.txt", "changed\n")
    a.git("add", "k/inside.txt")
    status = a.git("status", "--porcelain").out.splitlines()
    event = is_held(a.syncx("sync", ok=1), "commit", "41 of 42 files")
    assert "reset --quiet && git -C " in bring_back(event)
    assert a.git("status", "--porcelain").out.splitlines() == [line for line in status if "sub/x.txt" not in line]
    assert a.show("HEAD:sub/x.txt") == b"changed\n"
    b.syncx("sync")
    assert len(b.files()) == 42
    (b.path / ".git" / "index").unlink()
    event = is_held(b.syncx("sync", ok=1), "commit", "42 of 42 files are gone from the index")
    assert event["advice"].startswith("to have them back: git reset;")
    b.git("reset", "--quiet")
    assert b.git("status", "--porcelain").out == ""
    a.syncx("sync", "--allow-deletes")
    assert a.files() == ["k/inside.txt", "sub/x.txt"]
    assert a.git("status", "--porcelain").out == ""
    b.syncx("sync")
    assert b.files() == a.files()


def test_a_merge_of_the_users_own_is_not_finished_with_files_that_vanished(net: Network) -> None:
    a = net.create("a")
    a.commit(files(40))
    a.git("switch", "--quiet", "--create", "side")
    a.git("rm", "--quiet", *names(25))
    a.commit()
    a.git("switch", "--quiet", "main")
    a.commit({"new.txt": "new\n"})
    a.git("merge", "--quiet", "--no-commit", "side")
    a.config("syncx.maxDelete", "10")
    a.syncx("sync")
    assert len(a.files()) == 16, "what the merge removes is the user's"
    a.git("reset", "--quiet", "--hard", "HEAD~1")
    a.git("merge", "--quiet", "--no-commit", "--strategy=ours", "side")
    vanish(a, *names(40))
    event = is_held(a.syncx("sync", ok=1), "commit", "40 of 41 files")
    a.write(names(1)[0], "edited since\n")
    (a.path / "elsewhere").mkdir()
    a.run("sh", "-c", f"cd elsewhere && {bring_back(event)}")
    assert a.read(names(1)[0]) == b"edited since\n", "only what is gone comes back"
    a.syncx("sync")
    assert len(a.files()) == 41


def test_what_has_vanished_here_and_was_changed_by_others(pair: tuple[Node, Node]) -> None:
    a, b = pair
    a.commit(files(40))
    a.syncx("push")
    b.syncx("merge")
    a.commit({names(1)[0]: "changed\n"})
    a.syncx("push")
    vanish(b, *names(40))
    ran = b.syncx("sync", "--no-content", ok=1)
    event = next(e for e in ran.events if "changed by others" in (e.get("error") or ""))
    assert names(1)[0] in event["error"]
    b.run("sh", "-c", event["advice"].partition(": ")[2].partition(";")[0])
    b.syncx("sync")
    assert b.read(names(1)[0]) == b"changed\n"
    assert set(names(40)) <= set(b.files())


def test_retry_does_not_repeat_what_is_held_before_it_is_due(three: tuple[Node, ...]) -> None:
    a, b, _, hub = three
    a.git("rm", "--quiet", *names(30))
    deletion = a.commit()
    a.git("push", "--quiet", "hub", "main:synced/main")
    hub.syncx("merge")
    assert hub.head("main") == deletion, "there is no work tree"
    b.git("fetch", "--quiet", "hub")
    said = b.run("git-annex-syncx", "merge", "--forward", ok=1).err
    assert "30 of 40 files" in said
    assert "--allow-deletes" in said
    assert b.run("git-annex-syncx", "retry").err == "", "cron would mail it"
    (failure,) = b.syncx("status").events[-1]["failures"]
    assert failure["tries"] == 1
    b.syncx("pull", ok=1)
    (failure,) = b.syncx("status").events[-1]["failures"]
    assert (failure["phase"], failure["tries"]) == ("merge", 2)
    assert b.syncx("status").events[-1]["held"] == 30
    assert "others have removed 30 of 40 files of main, which is held\n  if they are to go: git annex-syncx" in (
        b.run("git-annex-syncx", "status").out
    )


def test_an_import_that_is_held_is_not_forgotten(net: Network) -> None:
    a = net.create("a")
    a.commit({"a.txt": "a\n"})
    drive = net.root / "drive"
    drive.mkdir()
    for name, content in files(25).items():
        (drive / name).write_bytes(str(content).encode())
    options = ("type=directory", f"directory={drive}", "encryption=none", "importtree=yes", "exporttree=yes")
    a.annex("initremote", "--quiet", "drive", *options)
    a.config("remote.drive.annex-tracking-branch", "main")
    a.syncx("sync")
    assert len(a.files()) == len(list(drive.iterdir())) == 26
    ours = a.commit({"a.txt": "changed\n"})
    a.syncx("sync")
    a.syncx("sync")
    assert a.head() == ours, "what was exported is no news"
    for path in drive.iterdir():
        path.unlink()
    is_held(a.syncx("sync", ok=1), "merge", "26 of 26 files")
    ran = a.syncx("sync", ok=1)
    is_held(ran, "merge", "26 of 26 files")
    assert ran.event("export", "drive")["result"] == "waits", "it would bring back what was removed"
    a.syncx("sync", "--allow-deletes")
    assert (a.files(), list(drive.iterdir())) == ([], [])
    assert failures(a) == []


def test_who_pushes_what_others_hold_is_told_so(three: tuple[Node, ...]) -> None:
    a, _, _, _ = three
    a.git("fetch", "--quiet", "hub")
    a.git("rm", "--quiet", *names(30))
    a.commit()
    shown = " ".join(on_terminal(a, "push").split())
    assert "here: push: 30 of 40 files were removed." in shown
    assert "git annex-syncx sync --allow-deletes" in shown
    a.commit({"new.txt": "new\n"})
    assert "removed" not in on_terminal(a, "push")
