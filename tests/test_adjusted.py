"""Adjusted branches: what is done on them travels to the basis, and merges come back."""

from __future__ import annotations

import pytest
from network import Network, Node
from test_merge import parents, snapshot

from git_annex_syncx.git import history
from git_annex_syncx.git.git import open_repository

Pair = tuple[Node, Node]


def with_adjusted(net: Network) -> Pair:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "one\ntwo\nthree\n"})
    laptop.commit_annexed({"photo.jpg": "photo"})
    desktop = net.clone(laptop, "desktop")
    net.mesh(laptop, desktop)
    desktop.annex("get", "--quiet", ".")
    desktop.annex("adjust", "--unlock", "--quiet")
    return laptop, desktop


@pytest.fixture
def unlocked(net: Network) -> Pair:
    """A laptop with an annexed file, and a desktop on an adjusted unlocked branch that has its content."""
    laptop, desktop = net.made_by(with_adjusted)
    return laptop, desktop


def only_forward(node: Node) -> bool:
    """Whether the basis never went to a commit that does not contain where it was."""
    moves = [row.split(" ")[:2] for row in (node.path / ".git/logs/refs/heads/main").read_text().splitlines()]
    return all(node.contains(old, new) for old, new in moves if old.strip("0"))


def commit_here(node: Node, files: dict[str, str], *words: str) -> str:
    """Commit plain files on an adjusted branch, as its user does."""
    for path, content in files.items():
        node.write(path, content)
    node.git("-c", "annex.largefiles=nothing", "add", "--", *files)
    node.git("commit", "--quiet", *(words or ("--message", "here")))
    return node.head()


def record_submodule(node: Node, commit: str) -> None:
    (node.path / "plain/leaf").mkdir(parents=True, exist_ok=True)
    node.git("update-index", "--add", "--cacheinfo", f"160000,{commit * 20},plain/leaf")
    node.git("commit", "--quiet", "--message", commit)


def check_carried(laptop: Node, desktop: Node) -> None:
    """Sync until the submodule that the desktop recorded has been through a merge, and see that it is everywhere."""
    desktop.syncx("sync", "--no-content")
    laptop.syncx("merge")
    laptop.commit({"y.txt": "y\n"})
    desktop.syncx("sync", "--no-content")
    for node, rev in ((laptop, "synced/main"), (laptop, "main"), (desktop, "main"), (desktop, "HEAD")):
        assert node.head(f"{rev}:plain/leaf") == "22" * 20
    assert only_forward(desktop) and desktop.git("status", "--porcelain").out == ""


def on_adjusted(node: Node) -> bool:
    return node.git("symbolic-ref", "HEAD").out.strip() == "refs/heads/adjusted/main(unlocked)"


def test_local_commits_travel_to_the_basis(unlocked: Pair) -> None:
    laptop, desktop = unlocked
    desktop.config("grep.patternType", "fixed")
    adjusting = history.adjusted_from(open_repository(desktop.path), desktop.head(), desktop.head("main"))
    assert adjusting == (desktop.head(), desktop.head("main")), "whatever the user likes to search by"
    desktop.write("new.txt", "new\n")
    desktop.git("-c", "annex.largefiles=nothing", "add", "new.txt")
    desktop.git("commit", "--quiet", "--message", "on the adjusted branch")
    desktop.syncx("sync", "--no-content")
    assert on_adjusted(desktop)
    assert "new.txt" in desktop.files("main")
    assert desktop.git("ls-tree", "main", "photo.jpg").out.startswith("120000"), "locked on the basis"
    assert laptop.head("synced/main") == desktop.head("main")
    assert not any("adjusted" in ref for ref in laptop.git("for-each-ref", "--format=%(refname)").out.split())


@pytest.mark.inits
def test_merges_come_back_with_content(unlocked: Pair) -> None:
    laptop, desktop = unlocked
    desktop.write("new.txt", "new\n")
    desktop.git("-c", "annex.largefiles=nothing", "add", "new.txt")
    desktop.git("commit", "--quiet", "--message", "on the adjusted branch")
    theirs = laptop.commit({"a.txt": "one\ntwo\nTHREE\n"})
    laptop.commit_annexed({"second.jpg": "second"})
    theirs = laptop.head()
    desktop.syncx("pull")
    assert on_adjusted(desktop)
    assert theirs in parents(desktop, "main")
    assert desktop.read("a.txt") == b"one\ntwo\nTHREE\n"
    assert desktop.read("photo.jpg") == b"photo"
    assert desktop.git("ls-tree", "HEAD", "second.jpg").out.startswith("100644")
    assert desktop.git("status", "--porcelain").out == ""
    before = snapshot(desktop)
    assert desktop.syncx("pull").event("merge")["result"] == "current"
    assert snapshot(desktop) == before


@pytest.mark.parametrize("path", ["a.txt", "new.txt", "photo.jpg"])
def test_local_change_in_the_way_is_refused_before_anything_moves(unlocked: Pair, path: str) -> None:
    laptop, desktop = unlocked
    laptop.commit({"a.txt": "theirs\n", "new.txt": "theirs\n"})
    laptop.commit_annexed({"photo.jpg": "another photo"})
    desktop.git("fetch", "--quiet", "laptop")
    desktop.write(path, "mine\n")
    before = snapshot(desktop)
    assert path in desktop.syncx("merge", ok=1).event("merge")["error"]
    assert snapshot(desktop) == before


def test_dirty_file_that_is_not_in_the_way_stays(unlocked: Pair) -> None:
    laptop, desktop = unlocked
    theirs = laptop.commit({"new.txt": "theirs\n"})
    desktop.write("a.txt", "dirty\n")
    desktop.syncx("pull")
    assert desktop.head("main") == theirs
    assert desktop.read("a.txt") == b"dirty\n"
    assert desktop.read("new.txt") == b"theirs\n"


@pytest.mark.parametrize("committed", [False, True])
def test_crash_between_basis_and_adjusted_branch_heals(unlocked: Pair, committed: bool) -> None:
    laptop, desktop = unlocked
    theirs = laptop.commit({"new.txt": "theirs\n"})
    desktop.git("fetch", "--quiet", "laptop")
    desktop.git("update-ref", "refs/heads/main", theirs)
    if committed:
        desktop.write("mine.txt", "mine\n")
        desktop.git("-c", "annex.largefiles=nothing", "add", "mine.txt")
        desktop.git("commit", "--quiet", "--message", "after the crash")
    desktop.syncx("merge")
    assert on_adjusted(desktop)
    assert desktop.read("new.txt") == b"theirs\n"
    assert desktop.contains(theirs, "main")
    assert ("mine.txt" in desktop.files("main")) == committed
    assert desktop.git("status", "--porcelain").out == ""
    assert desktop.syncx("merge").event("merge")["result"] == "current"


def test_what_was_received_is_still_there_after_healing(unlocked: Pair) -> None:
    laptop, desktop = unlocked
    first = laptop.commit({"new.txt": "theirs\n"})
    second = laptop.commit({"newer.txt": "theirs\n"})
    laptop.git("push", "--quiet", "desktop", "main:synced/main")
    desktop.git("update-ref", "refs/heads/main", first)
    desktop.syncx("merge")
    assert desktop.head("main") == second
    assert desktop.read("newer.txt") == b"theirs\n"


def test_two_adjusted_nodes_meet(net: Network, unlocked: Pair) -> None:
    laptop, desktop = unlocked
    laptop.annex("adjust", "--unlock", "--quiet")
    for node in (laptop, desktop):
        node.write(f"{node.name}.txt", node.name)
        node.git("-c", "annex.largefiles=nothing", "add", f"{node.name}.txt")
        node.git("commit", "--quiet", "--message", node.name)
    for node in (laptop, desktop, laptop):
        node.config("syncx.settleTime", "0")
        node.syncx("sync", "--no-content")
    assert laptop.head("main") == desktop.head("main")
    assert {"laptop.txt", "desktop.txt"} < set(laptop.files("main"))


def test_view_branch_is_left_alone(unlocked: Pair) -> None:
    laptop, _ = unlocked
    laptop.annex("metadata", "--quiet", "--set", "year=2020", "photo.jpg")
    laptop.annex("view", "--quiet", "year=*")
    view = laptop.git("symbolic-ref", "HEAD").out.strip()
    before = laptop.head()
    laptop.syncx("merge")
    laptop.syncx("sync", "--no-content", ok=None)
    assert laptop.git("symbolic-ref", "HEAD").out.strip() == view
    assert laptop.head() == before


@pytest.mark.parametrize("conflict", [False, True])
@pytest.mark.inits
def test_a_push_straight_into_the_basis_meets_local_work(unlocked: Pair, conflict: bool) -> None:
    laptop, desktop = unlocked
    theirs = laptop.commit({"a.txt": "ONE\ntwo\nthree\n"})
    laptop.syncx("sync", "--no-content")
    assert desktop.head("main") == theirs, "the basis is not checked out"
    mine = "1\ntwo\nthree\n" if conflict else "one\ntwo\nTHREE\n"
    desktop.write("a.txt", mine)
    ran = desktop.syncx("sync", "--no-content")
    assert ran.event("merge")["result"] == "done"
    assert on_adjusted(desktop)
    assert desktop.contains(theirs, "main")
    held = desktop.read("a.txt").split()
    assert set(held) == ({b"ONE", b"1", b"two", b"three"} if conflict else {b"ONE", b"two", b"THREE"})
    assert desktop.show("main:a.txt") == desktop.read("a.txt")
    assert not desktop.git("for-each-ref", "refs/syncx").out
    assert only_forward(desktop)
    laptop.syncx("merge")
    assert laptop.head() == desktop.head("main")


def test_a_clone_of_an_adjusted_repository(net: Network) -> None:
    """It has the original's commits on its adjusted branch, and git-annex puts them on the basis too."""
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "one\n"})
    laptop.annex("adjust", "--unlock", "--quiet")
    laptop.commit_annexed({"photo.jpg": "photo"})
    desktop = net.clone(laptop, "desktop")
    desktop.commit(message="before adjusting")
    desktop.annex("adjust", "--unlock", "--quiet")
    before = desktop.head("main")
    laptop.commit({"b.txt": "theirs\n"})
    desktop.syncx("sync", "--no-content")
    assert on_adjusted(desktop)
    assert desktop.contains(before, "main")
    assert only_forward(desktop)
    assert desktop.read("photo.jpg").startswith(b"/annex/objects/")
    assert desktop.git("status", "--porcelain").out == ""
    net.mesh(laptop, desktop)
    for node in (laptop, desktop, laptop):
        node.syncx("sync", "--no-content")
    assert laptop.head("main") == desktop.head("main")
    assert desktop.read("b.txt") == b"theirs\n"
    assert sorted(laptop.files()) == sorted(desktop.files()) == ["a.txt", "b.txt", "photo.jpg"]


def test_what_others_push_on_top_of_each_other_was_never_taken_back(net: Network, unlocked: Pair) -> None:
    """The reflog of the basis has laptop's commit, third's on top of it, and then the user's."""
    laptop, desktop = unlocked
    first = laptop.commit({"x.txt": "x\n"})
    laptop.syncx("sync", "--no-content")
    third = net.clone(laptop, "third")
    second = third.commit({"y.txt": "y\n"})
    third.git("push", "--quiet", str(desktop.path), "main")
    assert desktop.head("main") == second
    desktop.write("a.txt", "mine\n")
    ran = desktop.syncx("sync", "--no-content")
    assert ran.event("merge")["result"] == "done"
    assert desktop.contains(first, "main") and desktop.contains(second, "main")
    assert desktop.show("main:a.txt") == b"mine\n"


def test_a_push_alone_takes_in_what_was_pushed_into_the_basis(unlocked: Pair) -> None:
    laptop, desktop = unlocked
    theirs = laptop.commit({"x.txt": "x\n"})
    laptop.git("push", "--quiet", "desktop", "main")
    commit_here(desktop, {"a.txt": "mine\n"})
    desktop.write("x.txt", "in the way\n")
    for command in ("push", "merge"):
        said = desktop.syncx(command, ok=1)
        assert "local changes would be overwritten: x.txt" in said.event(command)["error"]
    assert desktop.head("main") == theirs and desktop.read("a.txt") == b"mine\n"
    (desktop.path / "x.txt").unlink()
    desktop.syncx("push")
    assert laptop.show("synced/main:a.txt") == b"mine\n" and laptop.contains(theirs, "synced/main")
    assert only_forward(desktop) and desktop.read("x.txt") == b"x\n"


def test_a_push_at_the_instant_at_which_the_basis_moves_is_not_lost(unlocked: Pair) -> None:
    """git-annex does not look at what it moves."""
    laptop, desktop = unlocked
    theirs = laptop.commit({"x.txt": "x\n"})
    desktop.git("fetch", "--quiet", "laptop")
    tree = desktop.head("main^{tree}")
    pushed = desktop.git("commit-tree", "-p", "main", "-m", "meanwhile", tree).out.strip()
    hook, marker = desktop.path / ".git/hooks/reference-transaction", desktop.net.root / "once"
    hook.write_text(
        f'#!/bin/sh\n[ "$1" = prepared ] && grep -q refs/basis && [ ! -e {marker} ] || exit 0\n'
        f"touch {marker}\ngit update-ref -m push refs/heads/main {pushed}\n"
    )
    hook.chmod(0o755)
    desktop.syncx("merge")
    assert marker.exists() and desktop.contains(pushed, "main") and desktop.contains(theirs, "main")
    assert not desktop.git("for-each-ref", "refs/syncx").out


def test_killed_before_the_adjusted_branch_was_put_on_its_basis(unlocked: Pair) -> None:
    """git-annex first makes a commit on the old adjusted branch, so that a fast-forward brings it."""
    laptop, desktop = unlocked
    laptop.commit({"x.txt": "x\n"})
    old = desktop.head()
    desktop.syncx("pull")
    there = desktop.git("commit-tree", "-p", old, "-m", "git-annex adjusted branch", "HEAD^{tree}").out.strip()
    desktop.git("update-ref", "HEAD", there)
    for commit in (False, True):
        if commit:
            desktop.git("update-ref", "HEAD", there)
            commit_here(desktop, {"mine.txt": "mine\n"})
        desktop.syncx("sync", "--no-content")
        assert desktop.git("log", "--format=%s", "main..").out == "git-annex adjusted branch\n"
        assert "adjusted" not in desktop.git("log", "--format=%s", "main").out
        assert only_forward(desktop) and desktop.git("status", "--porcelain").out == ""
    assert "mine.txt" in laptop.files("synced/main")


@pytest.mark.parametrize("words", [("--message", "better"), ("--no-edit",)])
def test_what_is_amended_of_the_adjusting_commit_travels(unlocked: Pair, words: tuple[str, ...]) -> None:
    """The user's last commit is on the basis by then, and git-annex takes the amended one for its own."""
    laptop, desktop = unlocked
    commit_here(desktop, {"b.txt": "bad\n"})
    desktop.syncx("sync", "--no-content")
    commit_here(desktop, {"b.txt": "good\n"}, "--amend", *words)
    laptop.syncx("merge")
    laptop.commit({"x.txt": "x\n"})
    desktop.syncx("sync", "--no-content")
    laptop.syncx("merge")
    assert laptop.read("b.txt") == desktop.read("b.txt") == b"good\n"
    assert {"better", "here"} >= set(laptop.git("log", "--max-count=1", "--format=%s", "--", "b.txt").out.split())
    assert desktop.git("status", "--porcelain").out == "" and only_forward(desktop)


@pytest.mark.parametrize("back", [False, True])
def test_a_reset_of_what_is_on_the_basis_is_told(unlocked: Pair, back: bool) -> None:
    laptop, desktop = unlocked
    commit_here(desktop, {"b.txt": "b\n"})
    desktop.syncx("sync", "--no-content")
    desktop.git("reset", "--quiet", "--hard", "HEAD~2")
    laptop.syncx("merge")
    laptop.commit({"x.txt": "x\n"})
    advice = desktop.syncx("sync", "--no-content", ok=1).event("merge")["advice"]
    assert not (desktop.path / "b.txt").exists()
    there, _, then = advice.removeprefix("to have back what it was: ").partition("; to make what it is now ")
    desktop.run("sh", "-c", there if back else then.removeprefix("the next commit: "))
    desktop.syncx("sync", "--no-content")
    laptop.syncx("merge")
    assert ("b.txt" in laptop.files()) == ("b.txt" in desktop.files()) == back
    assert desktop.git("ls-tree", "main", "photo.jpg").out.startswith("120000")
    assert desktop.git("ls-tree", "HEAD", "photo.jpg").out.startswith("100644")


@pytest.mark.parametrize("pushed", [False, True])
def test_a_submodule_in_a_directory_is_carried(net: Network, pushed: bool) -> None:
    """Also where somebody has pushed into the basis; git-annex leaves it behind."""
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    record_submodule(laptop, "11")
    desktop = net.clone(laptop, "desktop")
    net.connect((desktop, laptop))
    desktop.annex("adjust", "--unlock", "--quiet")
    record_submodule(desktop, "22")
    if pushed:
        laptop.commit({"x.txt": "x\n"})
        laptop.git("push", "--quiet", str(desktop.path), "main")
    check_carried(laptop, desktop)


def test_a_submodule_that_git_annex_left_behind_is_carried(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({".gitmodules": '[submodule "leaf"]\n\tpath = plain/leaf\n\turl = ../leaf\n'})
    record_submodule(laptop, "11")
    desktop = net.clone(laptop, "desktop")
    net.connect((desktop, laptop))
    desktop.annex("adjust", "--unlock", "--quiet")
    record_submodule(desktop, "22")
    desktop.annex("sync", "--no-content", "--quiet")
    assert desktop.head("main:plain/leaf") == "11" * 20
    check_carried(laptop, desktop)
