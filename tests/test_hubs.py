"""Hubs as people have them: just made by plain git, protected, renamed, of several addresses, of another history."""

from __future__ import annotations

import json

from network import Network, Node
from sshd import Sshd

BIG = b"big" * 7000


def plain(net: Network, name: str, *options: str) -> Node:
    """A repository made by `git init` alone, without git-annex."""
    node = Node(net, name, net.root / name)
    node.path.mkdir()
    node.git("init", "--quiet", *options)
    return node


def holders(node: Node, path: str) -> set[str]:
    """The uuids of the repositories that hold a file, as this one knows."""
    found = json.loads(node.annex("whereis", "--json", path).out)
    return {where["uuid"] for where in found["whereis"]}


def test_a_hub_of_plain_git_gets_content_in_the_first_sync(net: Network) -> None:
    laptop, hub = net.create("laptop"), plain(net, "hub.git", "--bare")
    laptop.commit_annexed({"big.bin": BIG})
    with Sshd(net.root / "sshd", net.home) as sshd:
        sshd.join(net)
        laptop.git("remote", "add", "hub", sshd.url(hub.path))
        assert laptop.syncx("sync").event("transfer", "hub")["files"] == 1
        assert hub.git("config", "annex.uuid").out.strip() in holders(laptop, "big.bin")
        # Whoever clones the hub knows it and gets the content from it.
        desktop = Node(net, "desktop", net.root / "desktop")
        laptop.git("clone", "--quiet", "--origin", "hub", sshd.url(hub.path), str(desktop.path))
        desktop.annex("init", "--quiet", "desktop")
        assert desktop.syncx("sync").event("transfer", "hub")["files"] == 1
        assert desktop.read("big.bin") == BIG
        assert "hub.git" in desktop.git("show", "git-annex:uuid.log").out


def test_a_hub_and_a_clone_without_git_annex_by_path(net: Network) -> None:
    """A transfer before the first push says what is to be done."""
    laptop = net.create("laptop")
    laptop.commit_annexed({"big.bin": BIG})
    clone, hub = plain(net, "clone"), plain(net, "hub.git", "--bare")
    net.connect((laptop, clone), (laptop, hub))
    early = laptop.syncx("transfer").event("transfer", "clone")
    assert (early["result"], early["reason"]) == (
        "waits", "git-annex does not know it yet: git annex-syncx push clone, then transfer again"
    )  # fmt: skip
    laptop.syncx("push", "clone")
    assert laptop.syncx("sync").event("transfer", "clone")["files"] == 1
    assert {node.git("config", "annex.uuid").out.strip() for node in (clone, hub)} < holders(laptop, "big.bin")
    assert laptop.syncx("transfer").event("transfer", "hub.git")["result"] == "current"
