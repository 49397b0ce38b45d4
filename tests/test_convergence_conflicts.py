"""Nodes that edit the same files and sync now and then: they end with one commit, and nothing grows.

SYNCX_ROUNDS sets the number of rounds (300 for a long run); SYNCX_SEED the seed.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from network import THOROUGH, Network, Node, sample, together

ROUNDS = int(os.environ.get("SYNCX_ROUNDS", "2"))
SEED = int(os.environ.get("SYNCX_SEED", "1"))
NAMES = ["a", "b", "c", "d", "e"][: 5 if THOROUGH > 1 else 4]
LAST = len(NAMES) - 1
TOPOLOGIES = {
    "star": ([("a", other) for other in NAMES[1:]], 2),
    "ring": ([(NAMES[n - 1], NAMES[n]) for n in range(len(NAMES))], 2),
    "line": ([(NAMES[n], NAMES[n + 1]) for n in range(LAST)], LAST),
    "bare hub": ([("hub", name) for name in NAMES], 2),
}


class Editor:
    """Makes random edits; every line and every content that it writes is unique."""

    def __init__(self, seed: int) -> None:
        self.lucky = random.Random(seed)
        self.edits = 0

    def edit(self, node: Node) -> None:
        """One commit."""
        kinds = [self.text, self.text, self.text, self.binary, self.annexed, self.annexed, self.delete, self.rename]
        self.lucky.choice([*kinds, self.mode, self.unlock])(node)
        if node.git("status", "--porcelain", "--untracked-files=no").out:
            self.edits += 1
            # All: git-annex can see a file that was moved or rewritten as annexed now, which was not before.
            node.git("commit", "--quiet", "--all", "--message", f"edit {self.edits}")

    def some(self, node: Node) -> str | None:
        files = [path for path in node.git("ls-files").out.splitlines() if not path.startswith("keep")]
        return self.lucky.choice(files) if files else None

    def text(self, node: Node) -> None:
        path = self.lucky.choice(["t1.txt", "t2.txt", "d/t.txt"])
        if path == "d/t.txt" and os.path.lexists(node.path / "d") and not (node.path / "d").is_dir():
            path = "t1.txt"  # a file or the link of an annexed one has the name
        known = node.path / path
        lines = known.read_text().splitlines() if known.is_file() else []
        lines.insert(self.lucky.randint(0, len(lines)), f"{node.name} {self.edits}")
        if len(lines) > 3 and self.lucky.random() < 0.3:
            del lines[self.lucky.randrange(len(lines))]
        node.write(path, "\n".join(lines) + "\n")
        node.git("-c", "annex.largefiles=nothing", "add", "--", path)

    def binary(self, node: Node) -> None:
        node.write("bin", b"\0" + f"{node.name} {self.edits}".encode())
        node.git("-c", "annex.largefiles=nothing", "add", "--", "bin")

    def annexed(self, node: Node) -> None:
        path = self.lucky.choice(["k1.bin", "k2.bin", "d"])
        if not (node.path / path).is_dir():
            node.write(path, f"{node.name} {self.edits}")
            node.annex("add", "--quiet", "--force-large", "--", path)

    def delete(self, node: Node) -> None:
        if path := self.some(node):
            node.git("rm", "--quiet", "--force", "--", path)

    def rename(self, node: Node) -> None:
        path, new = self.some(node), f"renamed {self.edits % 3}"
        if path and "/" not in path and not (node.path / new).exists():
            node.git("mv", "--force", "--", path, new)

    def mode(self, node: Node) -> None:
        if (path := self.some(node)) and not (node.path / path).is_symlink():
            (node.path / path).chmod(self.lucky.choice([0o644, 0o755]))
            node.git("add", "--", path)

    def unlock(self, node: Node) -> None:
        if path := self.some(node):
            verb = "unlock" if (node.path / path).is_symlink() else "lock"
            node.annex(verb, "--quiet", "--", path, ok=None)
            node.git("add", "--", path, ok=None)


def build(net: Network, links: list[tuple[str, str]]) -> list[Node]:
    first = net.create("a")
    first.commit({"keep.txt": "keep\n", "t1.txt": "first\n"})
    nodes = {"a": first} | {name: net.clone(first, name) for name in NAMES[1:]}
    for node in nodes.values():
        node.git("remote", "remove", "a", ok=None)
    if any("hub" in link for link in links):
        nodes["hub"] = net.clone(first, "hub", bare=True)
    net.connect(*((nodes[one], nodes[two]) for pair in links for one, two in (pair, pair[::-1]) if one != "hub"))
    for node in nodes.values():
        node.config("syncx.settleTime", "0")
    return [nodes[name] for name in NAMES]


def check(nodes: list[Node], edits: int, rounds: int) -> None:
    assert len({node.head() for node in nodes}) == 1
    node = nodes[0]
    merges = int(node.git("rev-list", "--count", "--merges", "HEAD").out)
    assert merges <= edits + len(nodes) * rounds
    for path in node.files():
        assert all(len(os.fsencode(part)) <= 255 for part in path.split("/"))
        assert path.count(".variant-") <= 1
        if path.endswith(".txt") and not (node.path / path).is_symlink():
            repeated = [line for line, count in Counter(node.read(path).split(b"\n")).items() if count > 1]
            assert not repeated, path
    for each in nodes:
        assert all(as_committed(each, path) for path in changed(each))


def changed(node: Node) -> list[str]:
    """What git sees as changed in a work tree; nothing is untracked."""
    lines = node.git("status", "--porcelain", "-z").out.split("\0")[:-1]
    assert all(line.startswith(" M ") for line in lines), lines
    return [line[3:] for line in lines]


def as_committed(node: Node, path: str) -> bool:
    """Whether the file is what is committed, and only git-annex would now annex it or no more."""
    held, committed = node.read(path), node.show(f"HEAD:{path}")
    return held == committed or node.run("git-annex", "calckey", path).out.strip().encode() in committed


@pytest.mark.slow
@pytest.mark.parametrize("topology", sample(["bare hub", "ring", "star", "line"], 1))
def test_nodes_that_sync_one_after_another_end_with_one_commit(net: Network, topology: str) -> None:
    links, diameter = TOPOLOGIES[topology]
    nodes, editor = build(net, links), Editor(SEED)
    for _ in range(ROUNDS):
        for node in editor.lucky.sample(nodes, 3):
            editor.edit(node)
        for node in editor.lucky.sample(nodes, 2):
            node.syncx("sync", "--no-content", "--no-commit")
    for _ in range(diameter + 1):
        for node in nodes:
            node.syncx("sync", "--no-content", "--no-commit")
    check(nodes, editor.edits, ROUNDS + diameter + 1)


@pytest.mark.slow
@pytest.mark.parametrize("topology", sample(["ring", "mesh", "star"], 1))
def test_nodes_that_sync_all_at_once_come_to_rest(net: Network, topology: str) -> None:
    """Edits at all nodes, then everyone at once until nothing moves."""
    mesh = [(one, two) for one in NAMES for two in NAMES if one < two]
    links = mesh if topology == "mesh" else TOPOLOGIES[topology][0]
    nodes, editor = build(net, links), Editor(SEED)
    for node in nodes:
        node.config("syncx.settleTime", "0.5s")
        editor.edit(node)
    before = {node.head() for node in nodes}
    for _ in range(30):
        together(nodes, "sync", "--no-content", "--no-commit")
        if len({node.head() for node in nodes}) == 1:
            break
    assert len({node.head() for node in nodes}) == 1
    assert all(nodes[0].contains(commit) for commit in before)
    check(nodes, editor.edits, 30)
    if topology == "mesh":
        assert int(nodes[0].git("rev-list", "--count", "--merges", "HEAD").out) <= 3 * max(editor.edits, 1)
