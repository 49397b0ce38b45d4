"""Merging: which heads, into which branch, in which kind of repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from network import Network, Node


def diverge(pair: tuple[Node, Node]) -> tuple[str, str]:
    """A commit on each side, the desktop's fetched by the laptop."""
    laptop, desktop = pair
    ours, theirs = laptop.commit({"ours.txt": "ours\n"}), desktop.commit({"theirs.txt": "theirs\n"})
    laptop.git("fetch", "--quiet", "desktop")
    return ours, theirs


def parents(node: Node, rev: str = "HEAD") -> list[str]:
    return node.git("log", "-1", "--format=%P", rev).out.split()


def refs_but_annex(node: Node) -> str:
    return "".join(line for line in node.git("for-each-ref").out.splitlines(True) if "heads/git-annex" not in line)


def snapshot(node: Node) -> dict[str, bytes | str]:
    """HEAD, index, refs, reflog and work tree, byte for byte (git-annex moves its own branch whenever it runs)."""
    git_dir = Path(node.git("rev-parse", "--absolute-git-dir").out.strip())
    found: dict[str, bytes | str] = {"refs": refs_but_annex(node)}
    for name in ("HEAD", "index", "logs/HEAD"):
        if (git_dir / name).exists():
            found[name] = (git_dir / name).read_bytes()
    for path in sorted(node.path.rglob("*")):
        if ".git" in path.parts or not (path.is_symlink() or path.is_file()):
            continue
        found[str(path)] = str(path.readlink()) if path.is_symlink() else path.read_bytes()
    return found


def test_nothing_to_do(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    before = snapshot(laptop)
    assert laptop.syncx("merge").event("merge")["result"] == "current"
    assert snapshot(laptop) == before


def test_fast_forward(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    theirs = desktop.commit({"b.txt": "b\n"})
    laptop.git("fetch", "--quiet", "desktop")
    merged = laptop.syncx("merge").event("merge")
    assert (merged["result"], merged["new"], merged["commits"]) == ("done", theirs, 1)
    assert laptop.head() == theirs
    assert laptop.read("b.txt") == b"b\n"
    assert laptop.git("status", "--porcelain").out == ""


def test_true_merge(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    ours, theirs = diverge(pair)
    laptop.syncx("merge")
    assert parents(laptop) == sorted([ours, theirs])
    assert laptop.read("theirs.txt") == b"theirs\n"
    assert laptop.git("status", "--porcelain").out == ""
    laptop.git("fsck", "--strict")
    merged = laptop.head()
    laptop.syncx("merge")
    assert laptop.head() == merged, "the second run finds nothing to do"


def test_git_tidies_up_after_a_fetch_that_brought_something(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    desktop.commit({"b.txt": "b\n"})
    tidies = [
        "git maintenance run --auto" in laptop.run("git-annex-syncx", "-vv", "pull").err for _ in ("news", "no news")
    ]
    assert tidies == [True, False]


def test_lines_of_one_file_come_together(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit({"a.txt": "ONE\ntwo\nthree\n"})
    desktop.commit({"a.txt": "one\ntwo\nTHREE\n"})
    laptop.syncx("pull")
    assert laptop.read("a.txt") == b"ONE\ntwo\nTHREE\n"


@pytest.mark.thorough
def test_user_configuration_does_not_change_what_a_fast_forward_is(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    for key, value in (("merge.autoStash", "true"), ("merge.ff", "false"), ("branch.main.mergeOptions", "--squash")):
        laptop.config(key, value)
    theirs = desktop.commit({"a.txt": "one\ntwo\nthree\nfour\n"})
    laptop.git("fetch", "--quiet", "desktop")
    laptop.write("a.txt", "zero\none\ntwo\nthree\n")
    before = snapshot(laptop)
    assert "a.txt" in laptop.syncx("merge", ok=1).event("merge")["error"]
    assert snapshot(laptop) == before
    laptop.git("restore", "a.txt")
    laptop.syncx("merge")
    assert laptop.head() == theirs


@pytest.mark.thorough
def test_several_heads_are_folded_in_order_of_commit_id(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    nas = net.clone(laptop, "nas")
    net.mesh(laptop, desktop, nas)
    heads = [node.commit({f"{node.name}.txt": node.name}) for node in (laptop, desktop, nas)]
    for node in (laptop, desktop, nas):
        node.git("fetch", "--quiet", "--all")
    for node in (laptop, desktop, nas):
        node.syncx("merge")
    assert laptop.head() == desktop.head() == nas.head()
    first, second, third = sorted(heads)
    last = parents(laptop)
    assert third in last
    (inner,) = set(last) - {third}
    assert parents(laptop, inner) == [first, second]


def test_contained_heads_make_no_merge(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    nas = net.clone(laptop, "nas")
    net.mesh(laptop, desktop, nas)
    desktop.commit({"b.txt": "b\n"})
    nas.git("fetch", "--quiet", "desktop")
    nas.git("merge", "--quiet", "--ff-only", "desktop/main")
    newest = nas.commit({"c.txt": "c\n"})
    ours = laptop.commit({"d.txt": "d\n"})
    laptop.git("fetch", "--quiet", "--all")
    laptop.syncx("merge")
    assert parents(laptop) == sorted([ours, newest])


def test_received_branch_is_merged(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    theirs = desktop.commit({"b.txt": "b\n"})
    desktop.git("push", "--quiet", "laptop", "main:synced/main")
    laptop.syncx("merge")
    assert laptop.head() == theirs


def test_forward_pushes_onward(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    hub = net.clone(laptop, "hub", bare=True)
    net.connect((laptop, hub))
    laptop.syncx("push")
    theirs = desktop.commit({"b.txt": "b\n"})
    desktop.git("push", "--quiet", "laptop", "main:synced/main")
    laptop.syncx("merge", "--forward")
    assert hub.head("main") == theirs


# Histories without a common commit


def strangers(net: Network) -> tuple[Node, Node]:
    laptop, usb = net.create("laptop"), net.create("usb")
    laptop.commit({"a.txt": "a\n"})
    usb.commit({"u.txt": "u\n"})
    net.mesh(laptop, usb)
    return laptop, usb


def test_unrelated_histories_are_refused_with_the_way_out(net: Network) -> None:
    laptop, usb = strangers(net)
    laptop.git("fetch", "--quiet", "usb")
    before = snapshot(laptop)
    refused = laptop.syncx("merge", ok=1).event("merge", "usb")
    assert "share no history" in refused["error"]
    assert "--allow-unrelated-histories" in refused["advice"]
    assert snapshot(laptop)["refs"] == before["refs"]
    laptop.syncx("merge", "--allow-unrelated-histories")
    assert laptop.files() == ["a.txt", "u.txt"]
    usb.syncx("pull", "--allow-unrelated-histories")
    assert usb.head() == laptop.head()


def test_unrelated_history_of_one_remote_holds_up_no_other(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    usb = net.create("usb")
    usb.commit({"u.txt": "u\n"})
    net.connect((laptop, usb))
    theirs = desktop.commit({"b.txt": "b\n"})
    laptop.git("fetch", "--quiet", "--all")
    ran = laptop.syncx("merge", ok=1)
    assert ran.event("merge", "usb")["result"] == "failed"
    assert laptop.head() == theirs


# A branch without a commit


def test_first_merge_into_an_unborn_branch(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    new = net.create("new")
    net.connect((new, laptop))
    new.syncx("pull")
    assert new.head() == laptop.head()
    assert new.read("a.txt") == b"one\ntwo\nthree\n"
    assert new.git("status", "--porcelain").out == ""


@pytest.mark.parametrize("ignored", [False, True])
def test_untracked_files_in_the_way_of_the_first_merge(net: Network, pair: tuple[Node, Node], ignored: bool) -> None:
    laptop, _ = pair
    new = net.create("new")
    net.connect((new, laptop))
    new.write("a.txt", "mine\n")
    if ignored:
        (new.path / ".git/info/exclude").write_text("*.txt\n")
    ran = new.syncx("pull", ok=1)
    assert "a.txt" in ran.event("merge")["error"]
    assert new.head() == ""
    assert new.read("a.txt") == b"mine\n"
    assert not (new.path / ".git/syncx-fast-forward").exists()
    new.write("a.txt", "one\ntwo\nthree\n")
    new.syncx("pull")
    assert new.head() == laptop.head(), "the same content is no obstacle"


def test_staged_files_and_the_first_merge(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    new = net.create("new")
    net.connect((new, laptop))
    new.write("mine.txt", "mine\n")
    new.git("add", "mine.txt")
    new.syncx("pull")
    assert new.head() == laptop.head()
    assert new.git("status", "--porcelain").out == "A  mine.txt\n"


# Kinds of repositories


def test_bare_repository_fast_forwards_and_merges(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    hub = net.clone(laptop, "hub", bare=True)
    one = laptop.commit({"l.txt": "l\n"})
    laptop.git("push", "--quiet", str(hub.path), "main:synced/main")
    hub.syncx("merge")
    assert hub.head("main") == one
    two = desktop.commit({"d.txt": "d\n"})
    desktop.git("push", "--quiet", str(hub.path), "main:refs/heads/other")
    hub.git("update-ref", "refs/heads/synced/main", two)
    hub.syncx("merge")
    assert parents(hub, "main") == sorted([one, two])
    assert hub.files("main") == ["a.txt", "d.txt", "l.txt"]


def test_bare_repository_without_the_branch_that_its_head_names(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    hub = net.create("hub", bare=True)
    hub.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    laptop.git("push", "--quiet", str(hub.path), "main:refs/heads/main")
    skipped = hub.syncx("merge").event("merge")
    assert skipped["result"] == "waits"
    assert "git symbolic-ref HEAD refs/heads/main" in skipped["reason"]
    hub.git("symbolic-ref", "HEAD", "refs/heads/main")
    assert hub.syncx("merge").event("merge")["result"] == "current"


def test_bare_repository_gets_its_branch_from_what_was_received(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    hub = net.create("hub", bare=True)
    laptop.git("push", "--quiet", str(hub.path), "main:refs/heads/synced/main")
    hub.syncx("merge")
    assert hub.head("main") == laptop.head()


def test_bare_repository_with_a_remote_of_its_own(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    hub = net.clone(laptop, "hub", bare=True)
    hub.git("remote", "remove", "origin", ok=None)
    hub.git("remote", "add", "laptop", str(laptop.path))
    theirs = laptop.commit({"b.txt": "b\n"})
    hub.syncx("pull")
    assert hub.head("main") == theirs


def test_linked_worktree(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.git("switch", "--quiet", "--create", "elsewhere")
    laptop.git("worktree", "add", "--quiet", str(net.root / "linked"), "main")
    linked = Node(net, "linked", net.root / "linked")
    theirs = desktop.commit({"b.txt": "b\n"})
    linked.syncx("pull")
    assert linked.head() == theirs
    assert linked.read("b.txt") == b"b\n"
    assert linked.git("status", "--porcelain").out == ""
    assert laptop.head() != theirs, "the other worktree has its own branch"


def test_branch_checked_out_in_another_worktree(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    hub = net.clone(laptop, "hub", bare=True)
    hub.git("worktree", "add", "--quiet", str(net.root / "linked"), "main")
    before = hub.head("main")
    desktop.commit({"b.txt": "b\n"})
    desktop.git("push", "--quiet", str(hub.path), "main:synced/main")
    refused = hub.syncx("merge", ok=1).event("merge")
    assert str(net.root / "linked") in refused["error"]
    assert hub.head("main") == before
    Node(net, "linked", net.root / "linked").syncx("merge")
    assert hub.head("main") == desktop.head()


def test_submodule(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    outer = net.create("outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(laptop.path), "sub")
    outer.commit(message="add a submodule")
    sub = Node(net, "sub", outer.path / "sub")
    sub.git("switch", "--quiet", "main")
    sub.annex("init", "--quiet", "sub")
    sub.git("remote", "add", "desktop", str(desktop.path))
    ours, theirs = sub.commit({"s.txt": "s\n"}), desktop.commit({"d.txt": "d\n"})
    sub.syncx("pull")
    assert parents(sub) == sorted([ours, theirs])
    assert sub.git("status", "--porcelain").out == ""
    assert outer.git("status", "--porcelain").out == " M sub\n"


def test_moved_submodule_in_a_merge(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    one, two = "1" * 40, "2" * 40
    laptop.git("update-index", "--add", "--cacheinfo", f"160000,{one},sub")
    laptop.git("commit", "--quiet", "--message", "a submodule")
    desktop.syncx("pull")
    laptop.git("update-index", "--cacheinfo", f"160000,{two},sub")
    laptop.git("commit", "--quiet", "--message", "move it")
    desktop.commit({"d.txt": "d\n"})
    desktop.syncx("pull")
    assert desktop.head("HEAD:sub") == two


def test_detached_head_is_a_usage_error(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    laptop.git("checkout", "--quiet", "--detach")
    ran = laptop.syncx("merge", ok=2)
    assert "detached" in ran.err
    assert "git switch" in ran.err


def test_shallow_clone_merges(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    for n in range(3):
        laptop.commit({"a.txt": f"{n}\n"})
    shallow = Node(net, "shallow", net.root / "shallow")
    laptop.git("clone", "--quiet", "--depth=1", "--origin", "laptop", f"file://{laptop.path}", str(shallow.path))
    shallow.annex("init", "--quiet", "shallow")
    ours, theirs = shallow.commit({"s.txt": "s\n"}), laptop.commit({"l.txt": "l\n"})
    shallow.syncx("pull")
    assert parents(shallow) == sorted([ours, theirs])


def test_sha256_repository(net: Network) -> None:
    laptop = Node(net, "laptop", net.root / "laptop")
    laptop.path.mkdir()
    laptop.git("init", "--quiet", "--object-format=sha256")
    laptop.annex("init", "--quiet", "laptop")
    laptop.commit({"a.txt": "a\n", "gone.txt": "gone\n"})
    desktop = net.clone(laptop, "desktop")
    net.mesh(laptop, desktop)
    ours = laptop.commit({"l.txt": "l\n"})
    desktop.git("rm", "--quiet", "gone.txt")
    theirs = desktop.commit({"d.txt": "d\n"})
    laptop.syncx("pull")
    assert parents(laptop) == sorted([ours, theirs])
    assert laptop.files() == ["a.txt", "d.txt", "l.txt"]
    hub = Node(net, "hub", net.root / "hub")
    hub.path.mkdir()
    hub.git("init", "--quiet", "--bare", "--object-format=sha256")
    hub.annex("init", "--quiet", "hub")
    laptop.git("push", "--quiet", str(hub.path), "main:synced/main")
    hub.syncx("merge")
    assert hub.head("main") == laptop.head()


# Odd branches, settings and states


@pytest.mark.parametrize("branch", ["git-annex", "synced/main"])
def test_branches_of_git_annex_are_no_place_to_work(pair: tuple[Node, Node], branch: str) -> None:
    laptop, _ = pair
    laptop.git("branch", "synced/main")
    laptop.git("switch", "--quiet", branch)
    ran = laptop.syncx("merge", ok=2)
    assert branch in ran.err
    assert "git switch" in ran.err


def test_signatures_are_not_asked_for(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.config("merge.verifySignatures", "true")
    theirs = desktop.commit({"b.txt": "b\n"})
    laptop.syncx("pull")
    assert laptop.head() == theirs


def test_repository_that_cannot_be_written(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    diverge(pair)
    laptop.syncx("status")
    lock = laptop.path / ".git/annex/syncx/merge.lock"
    lock.mkdir()
    said = laptop.syncx("merge", ok=1).event("merge")
    assert str(lock) in said["error"]
    assert "move it away" in said["advice"]
    lock.rmdir()
    note = laptop.path / ".git/syncx-fast-forward"
    note.mkdir()  # it can neither be read nor be written
    before = snapshot(laptop)
    assert str(note) in laptop.syncx("merge", ok=1).event("merge")["error"]
    assert snapshot(laptop) == before


@pytest.mark.parametrize("damage", ["HEAD", "config", "objects"])
def test_damaged_private_directory_is_made_anew(pair: tuple[Node, Node], damage: str) -> None:
    laptop, _ = pair
    diverge(pair)
    laptop.syncx("merge")
    private = laptop.path / ".git/annex/syncx/private.git"
    if damage == "objects":
        (private / "objects").rmdir()
    else:
        (private / damage).write_text("")
    ours, theirs = diverge(pair)
    laptop.write(".gitattributes", "*.txt -merge\n")  # has no say before it is committed
    laptop.syncx("merge")
    assert parents(laptop) == sorted([ours, theirs])
    assert "bare = true" in (private / "config").read_text()


def test_shared_repository_stays_shared(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    hub = Node(net, "hub", net.root / "hub")
    hub.path.mkdir()
    hub.git("init", "--quiet", "--bare", "--shared=group")
    hub.annex("init", "--quiet", "hub")
    laptop.git("push", "--quiet", str(hub.path), "main")
    laptop.commit({"l.txt": "l\n"})
    desktop.commit({"d.txt": "d\n"})
    laptop.git("push", "--quiet", str(hub.path), "main")
    desktop.git("push", "--quiet", str(hub.path), "main:synced/main")
    hub.syncx("merge")
    made = [hub.head("main"), hub.head("main^{tree}")]
    places = [hub.path / "objects" / oid[:2] for oid in made]
    places += [hub.path / "annex/syncx", hub.path / "annex/syncx/merge.lock"]
    assert [oct(place.stat().st_mode & 0o060) for place in places] == ["0o60"] * 4


def test_rewound_commit_comes_back_when_asked(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    taken_back = laptop.commit({"b.txt": "b\n"})
    desktop.syncx("pull")
    laptop.git("reset", "--quiet", "--hard", "HEAD~1")
    ours = laptop.commit({"c.txt": "c\n"})
    other = desktop.commit({"d.txt": "d\n"})
    desktop.git("push", "--quiet", "laptop", f"{taken_back}:refs/heads/synced/main")
    said = laptop.syncx("merge", ok=1).event("merge")
    assert f"synced/main here still has {taken_back[:10]}" in said["error"]
    assert laptop.head() == ours
    laptop.git("merge", "--quiet", "--no-edit", taken_back)
    laptop.syncx("pull", "desktop")
    assert laptop.contains(other)
    assert laptop.contains(ours)
