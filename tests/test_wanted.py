"""What an expression wants is the same wherever it is asked: in a bare repository, and of files that are hidden."""

from __future__ import annotations

from network import Network, Node

from git_annex_syncx.content import missing
from git_annex_syncx.git.git import open_repository
from git_annex_syncx.model import Need
from git_annex_syncx.runs.context import open_context


def lies_at(node: Node) -> set[str]:
    """First words of the content that lies in a repository with a work tree."""
    found = (path for path in (node.path / ".git/annex/objects").rglob("*") if path.is_file())
    return {path.read_bytes().split()[0].decode() for path in found}


def wish(node: Node, of: Node, wanted: str, group: str = "") -> None:
    if group:
        node.annex("group", "--quiet", of.name, group)
    node.annex("wanted", "--quiet", of.name, wanted)


def test_copies_and_sizes_count_where_no_work_tree_shows_the_file(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"docs/x.bin": "x", "docs/big.bin": "big " * 1000})
    laptop.annex("unlock", "--quiet", "docs/big.bin")
    laptop.git("commit", "--quiet", "--all", "--message", "unlock")
    hub = net.clone(laptop, "hub", bare=True)
    hub.git("remote", "remove", "origin")
    first, second, small = (net.clone(laptop, name) for name in ("first", "second", "small"))
    for drive in (first, second, small):
        net.connect((hub, drive), (laptop, drive))
    net.connect((laptop, hub))
    laptop.annex("sync", "--quiet", "--no-content")
    for drive in (first, second):
        wish(laptop, drive, "standard", "archive")
    wish(laptop, small, "smallerthan=1kb")
    laptop.annex("copy", "--quiet", "--to", "hub")
    laptop.annex("copy", "--quiet", "--to", "first")
    laptop.annex("sync", "--quiet", "--no-content", "hub")

    state = hub.path / "annex" / "syncx"
    (state / "scratch-killed" / "files").mkdir(parents=True)
    hub.syncx("transfer")
    assert not list(state.glob("scratch-*")), "no work tree is left, not even of a run that was killed"
    assert lies_at(first) == {"x", "big"}
    assert lies_at(second) == set(), "the other archive has it"
    assert lies_at(small) == {"x"}

    hiding = net.clone(laptop, "hiding")
    net.connect((hiding, hub), (hiding, second))
    hiding.annex("group", "--quiet", "here", "manual")
    hiding.annex("wanted", "--quiet", "here", "standard")
    hiding.annex("adjust", "--quiet", "--hide-missing")
    assert not (hiding.path / "docs/x.bin").is_symlink()
    said = hiding.syncx("plan").out
    assert "second" not in said, "nothing is to go there"


def needs(node: Node) -> list[Need]:
    return missing.look(open_context(open_repository(node.path))).needs


def uuid(node: Node) -> str:
    return node.git("config", "annex.uuid").out.strip()


def test_the_first_holder_is_the_one_whose_line_is_the_oldest(net: Network) -> None:
    """Of those that live; a private repository, of which only itself knows, included."""
    laptop = net.create("laptop")
    laptop.commit_annexed({"x.bin": "x"})
    nas, last = (net.clone(laptop, name) for name in ("nas", "last"))
    hidden = Node(net, "hidden", net.root / "hidden")
    laptop.git("clone", "--quiet", "--origin", "laptop", str(laptop.path), str(hidden.path))
    hidden.config("annex.private", "true")
    hidden.annex("init", "--quiet", "hidden")
    net.mesh(laptop, nas, last)
    net.connect((hidden, last))

    def at(when: str, node: Node, command: str) -> None:
        node.run("git-annex", command, "--quiet", "x.bin", GIT_ANNEX_VECTOR_CLOCK=when)
        for other in (node, laptop, nas, last, hidden):
            other.syncx("sync", "--no-content")

    at("4000000000.25", nas, "get")
    at("4000000000.5", hidden, "get")
    for node, held in ((nas, {nas, laptop}), (hidden, {nas, laptop, hidden})):
        (need,) = needs(node)
        assert need.holders == {uuid(one) for one in held} and need.first == uuid(laptop)
    at("4000000000.4", laptop, "drop")
    at("4000000000.50000001", laptop, "get")
    for node in (laptop, hidden):
        (need,) = needs(node)
        assert uuid(laptop) in need.holders and need.first == uuid(nas)
    hidden.annex("dead", "--quiet", "nas")
    (need,) = needs(hidden)
    assert need.holders == {uuid(laptop), uuid(hidden)} and need.first == uuid(hidden)


def test_of_two_archives_that_hold_it_only_one_lets_go(net: Network) -> None:
    """Each does not want it because the other has it."""
    laptop = net.create("laptop")
    drives = [net.clone(laptop, name) for name in ("first", "second")]
    for drive in drives:
        net.connect((laptop, drive))
    laptop.commit_annexed({"x.bin": "x"})
    laptop.syncx("sync")
    for drive in drives:
        wish(laptop, drive, "standard", "archive")
    laptop.syncx("sync")
    assert sorted(map(len, map(lies_at, drives))) == [0, 1]
    assert laptop.syncx("sync").event("transfer", "first")["result"] == "current"
    assert sorted(map(len, map(lies_at, drives))) == [0, 1]
