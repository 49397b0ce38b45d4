"""A node with plain git-annex takes part: trees still converge, and its variants are ours."""

from __future__ import annotations

import pytest
from network import Network, Node, sample


def with_server(net: Network) -> tuple[Node, Node, Node]:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "1\n2\n3\n"})
    laptop.commit_annexed({"k.bin": "base", "gone.bin": "base of gone"})
    desktop, server = net.clone(laptop, "desktop"), net.clone(laptop, "server")
    net.mesh(laptop, desktop, server)
    for node in (laptop, desktop):
        node.config("syncx.settleTime", "0")
    return laptop, desktop, server


@pytest.fixture
def three(net: Network) -> tuple[Node, Node, Node]:
    """A laptop and a desktop with syncx, and a server that only knows git-annex; all know each other."""
    laptop, desktop, server = net.made_by(with_server)
    return laptop, desktop, server


def tree(node: Node) -> str:
    return node.head("main^{tree}")


def rounds(*nodes: Node) -> None:
    """Everybody syncs in its own way, three times."""
    for _ in range(3):
        for node in nodes:
            if node.name == "server":
                node.annex("sync", "--no-content", ok=None)
            else:
                node.syncx("sync", "--no-content")


@pytest.mark.parametrize("server_first", sample([True, False], 1))
@pytest.mark.inits
def test_annexed_conflicts_converge_to_the_same_names(three: tuple[Node, Node, Node], server_first: bool) -> None:
    laptop, desktop, server = three
    for node in three:
        node.commit_annexed({"k.bin": f"of {node.name}", "new.tar.gz": f"new of {node.name}"})
    rounds(*((server, laptop, desktop) if server_first else (laptop, desktop, server)))
    assert tree(laptop) == tree(desktop) == tree(server)
    for name in ("k.", "new."):  # a third version may find the name free again
        blobs = {laptop.show(f"main:{path}") for path in laptop.files() if path.startswith(name)}
        assert len(blobs) == 3


@pytest.mark.thorough
@pytest.mark.inits
def test_both_resolve_the_same_conflict_at_once(three: tuple[Node, Node, Node]) -> None:
    """The two merges differ as commits, not as trees, and the next merge joins them."""
    laptop, desktop, server = three
    laptop.commit_annexed({"k.bin": "of laptop"})
    server.commit_annexed({"k.bin": "of server"})
    laptop.git("fetch", "--quiet", "server")
    server.annex("sync", "--no-content", "--no-push", "laptop", ok=None)
    laptop.syncx("merge")
    assert laptop.head() != server.head()
    assert tree(laptop) == tree(server)
    rounds(laptop, server, desktop)
    assert tree(laptop) == tree(desktop) == tree(server)


def test_locked_against_unlocked_is_decided_alike(three: tuple[Node, Node, Node]) -> None:
    laptop, _, server = three
    laptop.commit_annexed({"same.bin": "same"})
    server.commit_annexed({"same.bin": "same"})
    server.annex("unlock", "same.bin")
    server.git("commit", "--quiet", "--all", "--message", "unlock")
    laptop.git("fetch", "--quiet", "server")
    server.annex("sync", "--no-content", "--no-push", "laptop", ok=None)
    laptop.syncx("merge")
    assert tree(laptop) == tree(server)


@pytest.mark.thorough
def test_texts_that_syncx_united_are_taken_by_the_others(three: tuple[Node, Node, Node]) -> None:
    """The server cannot unite texts itself; with the driver it can."""
    laptop, desktop, server = three
    server.syncx("merge-driver", "install")
    for node in three:
        node.commit({"a.txt": f"1\n{node.name}\n3\n"})
    rounds(laptop, desktop, server)
    assert tree(laptop) == tree(desktop) == tree(server)
    assert sorted(laptop.read("a.txt").split()) == [b"1", b"3", b"desktop", b"laptop", b"server"]


def test_changed_against_deleted_converges_without_loss(three: tuple[Node, Node, Node]) -> None:
    laptop, desktop, server = three
    laptop.commit_annexed({"gone.bin": "changed"})
    server.git("rm", "--quiet", "gone.bin")
    server.commit()
    rounds(laptop, server, desktop)
    rounds(server, laptop, desktop)
    assert tree(laptop) == tree(desktop) == tree(server)
    kept = [path for path in laptop.files() if path.startswith("gone")]
    assert [laptop.read(path) for path in kept] == [b"changed"]
