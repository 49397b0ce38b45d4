"""One story on each kind of adjusted branch: commits, pushes into the basis, conflicts, clones, a basis elsewhere."""

from __future__ import annotations

import shlex

import pytest
from network import Network, Node, sample
from test_adjusted import commit_here, only_forward

MODES = {
    "hidemissing-unlocked": ("--hide-missing", "--unlock"),
    "locked": ("--lock",),
    "unlockpresent": ("--unlock-present",),
    "fixed": ("--fix",),
    "hidemissing": ("--hide-missing",),
    "unlocked": ("--unlock",),
}


class Fleet:
    """A laptop, and a desktop on an adjusted branch, each a remote of the other."""

    def __init__(self, net: Network, mode: str) -> None:
        self.mode = mode
        self.laptop = net.create("laptop")
        self.laptop.commit({"a.txt": "one\ntwo\nthree\n", "d/e.txt": "deep\n"})
        self.laptop.commit_annexed({"photo.jpg": "photo", "d/deep.jpg": "deep"})
        self.desktop = net.clone(self.laptop, "desktop")
        net.mesh(self.laptop, self.desktop)
        self.desktop.annex("get", "--quiet", "photo.jpg")
        self.desktop.annex("adjust", "--quiet", *MODES[mode])
        for node in (self.laptop, self.desktop):
            node.config("syncx.settleTime", "0")

    def sync(self, *options: str) -> None:
        """Sync until nothing is new; both have one basis then, and nobody has moved one back."""
        for node in (self.desktop, self.laptop, self.desktop, self.laptop):
            node.syncx("sync", *options)
        self.check()

    def check(self) -> None:
        basis = self.desktop.head("main")
        assert self.laptop.head("main") == basis
        branch = self.desktop.git("symbolic-ref", "HEAD").out.strip()
        assert branch == f"refs/heads/adjusted/main({self.mode})"
        assert self.desktop.git("status", "--porcelain").out == ""
        assert only_forward(self.desktop)
        assert not self.desktop.git("for-each-ref", "refs/syncx").out
        links = [line for line in self.desktop.git("ls-tree", "-r", "main").out.splitlines() if ".jpg" in line]
        assert all(line.startswith("120000") for line in links), "the basis is locked"


@pytest.mark.slow
@pytest.mark.parametrize("mode", sample(list(MODES), 2))
def test_work_on_both_sides_meets(net: Network, mode: str) -> None:
    fleet = Fleet(net, mode)
    laptop, desktop = fleet.laptop, fleet.desktop
    fleet.sync("--no-content")
    assert {"photo.jpg", "d/deep.jpg"} <= set(laptop.files()), "what is hidden here is not deleted"

    commit_here(desktop, {"mine.txt": "mine\n"})
    desktop.commit_annexed({"mine.jpg": "mine"})
    desktop.git("mv", "d/e.txt", "e.txt")
    desktop.git("commit", "--quiet", "--message", "moved")
    laptop.commit({"a.txt": "one\ntwo\nTHREE\n"})
    laptop.git("mv", "photo.jpg", "d/photo.jpg")
    laptop.git("commit", "--quiet", "--message", "moved")
    fleet.sync("--no-content")
    expected = ["a.txt", "d/deep.jpg", "d/photo.jpg", "e.txt", "mine.jpg", "mine.txt"]
    assert sorted(laptop.files()) == expected
    assert desktop.read("a.txt") == b"one\ntwo\nTHREE\n" and desktop.read("d/photo.jpg") == b"photo"

    fleet.sync()
    assert {path: desktop.read(path) for path in ("d/deep.jpg", "mine.jpg")} == {
        "d/deep.jpg": b"deep",
        "mine.jpg": b"mine",
    }
    assert laptop.read("mine.jpg") == b"mine"
    assert sorted(path for path in desktop.files() if path.endswith(".jpg")) == [p for p in expected if ".jpg" in p]


@pytest.mark.slow
@pytest.mark.parametrize("mode", sample(list(MODES), 2))
def test_conflicts_keep_every_version(net: Network, mode: str) -> None:
    fleet = Fleet(net, mode)
    laptop, desktop = fleet.laptop, fleet.desktop
    for node, word in ((laptop, "theirs"), (desktop, "mine")):
        node.git("rm", "--quiet", "--force", "photo.jpg")
        node.commit_annexed({"photo.jpg": word})
        commit_here(node, {"a.txt": f"one\n{word}\nthree\n", "code.py": f"x = {word!r}\n"})
    laptop.git("push", "--quiet", "desktop", "main"), "straight into the basis"
    fleet.sync()
    for node in (laptop, desktop):
        photos = [path for path in node.files() if path.startswith("photo.variant-")]
        assert sorted(node.read(path) for path in photos) == [b"mine", b"theirs"]
        codes = [path for path in node.files() if path.startswith("code.")]
        assert sorted(node.read(path) for path in codes) == [b"x = 'mine'\n", b"x = 'theirs'\n"]
        assert sorted(node.read("a.txt").split()) == [b"mine", b"one", b"theirs", b"three"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", sample(list(MODES), 1))
def test_clones_and_other_work_trees(net: Network, mode: str) -> None:
    fleet = Fleet(net, mode)
    laptop, desktop = fleet.laptop, fleet.desktop
    linked = net.root / "linked tree"
    desktop.git("worktree", "add", "--quiet", str(linked), "main")
    laptop.commit({"x.txt": "x\n"})
    laptop.syncx("push", ok=None)
    said = desktop.syncx("merge", ok=1).event("merge")
    assert "main is checked out in" in said["error"]
    desktop.run(*shlex.split(said["advice"].partition("to free it: ")[2].partition("; to work there")[0]))
    desktop.syncx("merge")
    assert desktop.read("x.txt") == b"x\n"

    clone = net.clone(desktop, "clone")
    net.connect((clone, desktop))
    clone.config("syncx.settleTime", "0")
    before = clone.head("main")
    commit_here(clone, {"clone.txt": "clone\n"})
    commit_here(desktop, {"mine.txt": "mine\n"})
    for node in (desktop, clone, desktop, clone):
        node.syncx("sync", "--no-content")
    assert clone.contains(before, "main") and only_forward(clone)
    assert clone.git("status", "--porcelain").out == ""
    assert clone.head("main") == desktop.head("main")
    fleet.sync("--no-content")
    assert {"clone.txt", "mine.txt", "x.txt", "photo.jpg", "d/deep.jpg"} <= set(laptop.files())


def views(node: Node) -> None:
    node.annex("metadata", "--quiet", "--set", "year=2020", "photo.jpg")
    node.annex("view", "--quiet", "year=*")


def test_below_a_view_the_branch_goes_on(net: Network) -> None:
    fleet = Fleet(net, "unlocked")
    laptop, desktop = fleet.laptop, fleet.desktop
    fleet.sync("--no-content")
    views(laptop)
    view, shown = laptop.git("symbolic-ref", "HEAD").out, laptop.head()
    commit_here(desktop, {"mine.txt": "mine\n"})
    desktop.syncx("sync", "--no-content")
    laptop.syncx("sync", "--no-content")
    assert (laptop.git("symbolic-ref", "HEAD").out, laptop.head()) == (view, shown)
    laptop.annex("vpop", "--quiet")
    laptop.syncx("merge")
    assert laptop.read("mine.txt") == b"mine\n" and laptop.head("main") == desktop.head("main")
    assert laptop.git("status", "--porcelain").out == ""
