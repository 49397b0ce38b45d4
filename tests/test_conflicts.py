"""Conflicts on real repositories: every pair of versions, in both directions, and nothing is gone afterwards."""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path

import pytest
from network import Network, Node, sample

from git_annex_syncx.conflicts.versions import key_in, lines_in

KINDS = [
    "text",
    "other text",
    "script",
    "binary",
    "symlink",
    "locked",
    "other locked",
    "unlocked",
    "same key",
    "directory",
    "deleted",
]
PAIRS = list(itertools.combinations(KINDS, 2))
MARKERS = re.compile(rb"^(<{7}|>{7})", re.MULTILINE)


def put(node: Node, path: str, kind: str, same: str) -> None:
    """Replace a path by a version of that kind; those of one node differ from those of another."""
    node.git("rm", "-rq", "--force", "--ignore-unmatch", "--", path)
    content = f"{kind} {node.name} {path}\n"
    if kind in ("text", "other text", "script"):
        node.write(path, f"first\n{content}")
        (node.path / path).chmod(0o755 if kind == "script" else 0o644)
    elif kind == "binary":
        node.write(path, b"\0" + content.encode())
    elif kind == "symlink":
        (node.path / path).parent.mkdir(parents=True, exist_ok=True)
        (node.path / path).symlink_to(f"to {node.name}")
    elif kind == "directory":
        node.write(f"{path}/inside", content)
    elif kind != "deleted":
        node.write(path, same if kind in ("same key", "other locked") else content)


def put_all(node: Node, versions: dict[str, str], same: str = "same\n") -> None:
    """Set many paths and commit them."""
    for path, kind in versions.items():
        put(node, path, kind, same)
    annexed = [path for path, kind in versions.items() if kind in ("locked", "other locked", "unlocked", "same key")]
    unlocked = [path for path in annexed if versions[path] in ("unlocked", "same key")]
    if annexed:
        node.annex("add", "--quiet", "--force-large", "--", *annexed)
    if unlocked and "adjusted" not in node.git("symbolic-ref", "HEAD").out:
        node.annex("unlock", "--quiet", "--", *unlocked)
        node.git("add", "--", *unlocked)
    rest = [path for path, kind in versions.items() if path not in annexed and kind != "deleted"]
    node.git("-c", "annex.largefiles=nothing", "add", "--", *rest)
    node.git("commit", "--quiet", "--allow-empty", "--message", f"versions of {node.name}")


def blobs(node: Node, rev: str) -> dict[str, bytes]:
    """path -> content of the blob, of a commit."""
    listed = node.git("ls-tree", "-r", "-z", rev).out.split("\0")[:-1]
    paths = {line.partition("\t")[2]: line.split()[2] for line in listed}
    return {path: node.show(oid) for path, oid in paths.items()}


def keys(contents: dict[str, bytes]) -> set[bytes]:
    return {key for content in contents.values() if (key := key_in(content) or key_in(content))}


def assert_nothing_lost(node: Node, result: str, bases: list[str], *sides: str) -> None:
    """Every key and blob that a side introduced is in the result, every line of its texts in a file of it."""
    now = blobs(node, result)
    known = [blobs(node, base) for base in bases]
    assert not any(MARKERS.search(content) for content in now.values())
    for side in sides:
        theirs = blobs(node, side)
        assert keys(theirs) <= keys(now) | set().union(*map(keys, known))
        old = {content for base in known for content in base.values()}
        for path, content in theirs.items():
            if content in old or content in now.values() or key_in(content) or key_in(content):
                continue
            assert b"\0" not in content, path
            before = set().union(*(lines_in(base.get(path, b"")) for base in known))
            assert any(lines_in(content) - before <= lines_in(new) for new in now.values()), path


def assert_content_is_there(node: Node) -> None:
    """git-annex sees each annexed file of the tree somewhere, and finds nothing wrong."""
    listed = node.annex("whereis", "--json", ok=None).out.splitlines()
    assert all(json.loads(line)["whereis"] for line in listed)
    assert node.annex("fsck", "--quiet", "--fast").code == 0
    assert node.git("status", "--porcelain").out == ""


def pair_of(net: Network, base: dict[str, str], adjusted: bool = False) -> tuple[Node, Node]:
    left = net.create("left")
    left.commit({"start.txt": "start\n"})
    put_all(left, base, same="base\n")
    right = net.clone(left, "right")
    net.mesh(left, right)
    if adjusted:
        left.annex("adjust", "--quiet", "--unlock")
    return left, right


def meet(left: Node, right: Node) -> tuple[str, str]:
    """Both merge the other's head as it is before either has merged; the heads that each then has."""
    left.syncx("merge")  # brings commits of an adjusted branch to its basis
    left.annex("sync", "--quiet", "--no-commit", "--no-pull", "--no-push", "--no-content")
    for node, other in ((left, right), (right, left)):
        node.git("fetch", "--quiet", other.name)
    for node in (left, right):
        node.syncx("merge")
    return left.head("main"), right.head("main")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "adjusted"),
    sample([
        ("unlocked", True), ("locked", False), ("deleted", False), ("text", True),
        ("unlocked", False), ("locked", True), ("deleted", True), ("text", False),
    ], 2),
)  # fmt: skip
def test_every_pair_of_versions_in_one_merge(net: Network, base: str, adjusted: bool) -> None:
    """All 55 pairs at once, each in a directory of its own, both ways round."""
    paths = [f"d{n:02}/f.ext" for n in range(len(PAIRS))]
    left, right = pair_of(net, dict.fromkeys(paths, base), adjusted)
    root = left.head("main")
    put_all(left, {path: pair[n % 2] for n, (path, pair) in enumerate(zip(paths, PAIRS, strict=True))})
    put_all(right, {path: pair[1 - n % 2] for n, (path, pair) in enumerate(zip(paths, PAIRS, strict=True))})
    meeting = left.head("main"), right.head("main")
    one, two = meet(left, right)
    assert one == two
    parents = left.git("rev-parse", "main^1", "main^2").out.split()
    assert set(parents) >= {meeting[1]}
    assert_nothing_lost(left, "main", [root], *parents)
    for node in (left, right):
        assert_content_is_there(node)
    again = left.syncx("merge").event("merge")
    assert again["result"] == "current"


NEIGHBOURS = {
    "changed/deleted beside annexed": ({"f": ("text", "deleted"), "g": ("locked", "locked")}, "text"),
    "deleted/changed beside annexed": ({"f": ("deleted", "locked"), "g": ("locked", "locked")}, "locked"),
    "annexed beside directory": ({"f": ("locked", "directory"), "f.variant-0000": ("text", "text")}, "locked"),
    "directory beside unlocked": ({"f": ("directory", "unlocked"), "g": ("unlocked", "locked")}, "unlocked"),
    "all under one stem": (
        {"f.a": ("locked", "unlocked"), "f.b": ("binary", "binary"), "f": ("symlink", "text")},
        "text",
    ),
    "variants of variants": ({"f.variant-1111.x": ("locked", "locked"), "f.x": ("binary", "locked")}, "deleted"),
    "locks and unlocks": ({"f": ("same key", "other locked"), "g": ("other locked", "same key")}, "deleted"),
    "script and texts": (
        {"f": ("script", "text"), "g": ("other text", "script"), "h": ("deleted", "script")},
        "text",
    ),
    "symlinks": ({"f": ("symlink", "symlink"), "g": ("symlink", "locked"), "h": ("directory", "symlink")}, "symlink"),
    "plain against annexed twice": ({"f": ("text", "locked"), "g": ("locked", "text")}, "deleted"),
}


@pytest.mark.parametrize("name", sample(list(NEIGHBOURS), 2))
def test_conflicts_beside_each_other(net: Network, name: str) -> None:
    versions, base = NEIGHBOURS[name]
    left, right = pair_of(net, dict.fromkeys(versions, base))
    root = left.head()
    put_all(left, {path: pair[0] for path, pair in versions.items()})
    put_all(right, {path: pair[1] for path, pair in versions.items()})
    sides = left.head(), right.head()
    one, two = meet(left, right)
    assert one == two
    assert_nothing_lost(left, "main", [root], *sides)
    assert_content_is_there(left)
    assert_content_is_there(right)


# What is told of it


def test_what_was_resolved_is_told(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit({"a.txt": "laptop\n"})
    laptop.commit_annexed({"k.bin": "laptop"})
    desktop.commit({"a.txt": "desktop\n"})
    desktop.commit_annexed({"k.bin": "desktop"})
    event = laptop.syncx("pull").event("merge")
    assert event["result"] == "done"
    assert "2 conflicts resolved" in event["reason"]
    told = {one["path"]: (one["kind"], len(one["became"])) for one in event["resolved"]}
    assert told == {"a.txt": ("text", 1), "k.bin": ("annexed", 2)}
    verbose = desktop.run("git-annex-syncx", "-v", "pull")
    assert "resolved by others a.txt: holds the lines of both sides" in verbose.err
    assert "resolved by others k.bin: both versions stay: k.variant-" in verbose.err
    summary = laptop.syncx("status").event("summary")
    assert sorted(summary["variants"]) == sorted(told_path for told_path in laptop.files() if "variant" in told_path)


def test_verbose_tells_path_by_path(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit({"a.txt": "laptop\n"})
    desktop.commit({"a.txt": "desktop\n"})
    assert "resolved a.txt: holds the lines of both sides" in laptop.run("git-annex-syncx", "-v", "pull").err
    assert "variant" not in laptop.run("git-annex-syncx", "status").out
    laptop.commit({"a.py": "laptop\n"})
    desktop.commit({"a.py": "desktop\n"})
    at_terminal = laptop.run("script", "-qec", "git-annex-syncx sync", "/dev/null", COLUMNS="120").out
    assert "resolved a.py: both versions stay: a.py, a.variant-" in at_terminal
    assert desktop.syncx("sync").event("merge")["resolved_by_others"][0]["path"] == "a.py"
    assert {laptop.read(path) for path in laptop.files() if path.endswith(".py")} == {b"laptop\n", b"desktop\n"}
    assert "resolved" not in laptop.run("script", "-qec", "git-annex-syncx sync", "/dev/null").out


def test_a_push_that_lost_a_race_resolves_and_tells(pair: tuple[Node, Node], net: Network) -> None:
    laptop, desktop = pair
    laptop.commit({"a.txt": "laptop\n"})
    laptop.syncx("push")
    desktop.commit({"a.txt": "desktop\n"})
    event = desktop.syncx("push").event("push", "laptop")
    assert event["result"] == "done"
    assert [one["path"] for one in event["resolved"]] == ["a.txt"]
    assert {b"laptop", b"desktop"} <= lines_in(desktop.read("a.txt"))


# The scenarios by which git-annex tests its own conflict handling


def variants(node: Node, name: str) -> list[str]:
    return [path for path in node.files() if path.startswith(f"{name}.variant-")]


def sync_all(*nodes: Node) -> None:
    for node in (*nodes, *nodes):
        node.syncx("sync")
    assert len({node.head() for node in nodes}) == 1


def one_and_other(net: Network) -> tuple[Node, Node]:
    one = net.create("one")
    one.commit({"start.txt": "start\n"})
    other = net.clone(one, "other")
    net.mesh(one, other)
    return one, other


@pytest.fixture
def two(net: Network) -> tuple[Node, Node]:
    one, other = net.made_by(one_and_other)
    return one, other


def test_annex_conflict(two: tuple[Node, Node]) -> None:
    for node in two:
        node.commit_annexed({"conflictor": f"content of {node.name}"})
    sync_all(*two)
    for node in two:
        assert len(variants(node, "conflictor")) == 2
        assert {node.read(path) for path in variants(node, "conflictor")} == {b"content of one", b"content of other"}


@pytest.mark.parametrize("file_first", sample([True, False], 1))
def test_annex_mixed_conflict_of_file_and_directory(two: tuple[Node, Node], file_first: bool) -> None:
    first, second = two if file_first else two[::-1]
    first.commit_annexed({"conflictor": "file"})
    second.commit_annexed({"conflictor/sub": "in directory"})
    sync_all(*two)
    for node in two:
        assert node.read("conflictor/sub") == b"in directory"
        assert [node.read(path) for path in variants(node, "conflictor")] == [b"file"]


@pytest.mark.parametrize("in_directory", sample([True, False], 1))
def test_annex_removed_file(two: tuple[Node, Node], in_directory: bool) -> None:
    one, other = two
    path = "conflictor/sub" if in_directory else "conflictor"
    one.commit_annexed({path: "first"})
    sync_all(*two)
    one.commit_annexed({path: "changed"})
    other.git("rm", "--quiet", path)
    other.commit()
    sync_all(*two)
    for node in two:
        assert node.read(path) == b"changed"


def test_annex_non_annexed_file(two: tuple[Node, Node]) -> None:
    one, other = two
    one.commit_annexed({"conflictor": "annexed"})
    other.commit({"conflictor": "plain\n"})
    sync_all(*two)
    for node in two:
        assert node.read("conflictor") == b"plain\n"
        assert [node.read(path) for path in variants(node, "conflictor")] == [b"annexed"]


@pytest.mark.thorough
def test_annex_non_annexed_symlink(two: tuple[Node, Node]) -> None:
    one, other = two
    one.commit_annexed({"conflictor": "annexed"})
    (other.path / "conflictor").symlink_to("elsewhere")
    other.git("add", "conflictor")
    other.commit()
    sync_all(*two)
    for node in two:
        assert (node.path / "conflictor").readlink() == Path("elsewhere")
        assert [node.read(path) for path in variants(node, "conflictor")] == [b"annexed"]


@pytest.mark.thorough
@pytest.mark.parametrize("directory", [True, False])
def test_annex_uncommitted_local_file_in_the_way(two: tuple[Node, Node], directory: bool) -> None:
    one, other = two
    other.commit_annexed({"conflictor": "annexed"})
    mine = "conflictor/mine" if directory else "conflictor"
    one.write(mine, "not committed")
    refused = one.syncx("pull", ok=1).event("merge")
    assert "conflictor" in refused["error"]
    assert one.read(mine) == b"not committed"
    os.unlink(one.path / mine)
    sync_all(*two)
    assert one.read("conflictor") == b"annexed"


@pytest.mark.thorough
def test_annex_symlink_bit(two: tuple[Node, Node]) -> None:
    """A conflict in an annexed file must not turn symlinks into files, nor files into symlinks."""
    for node in two:
        node.commit_annexed({"conflictor": f"content of {node.name}"})
    sync_all(*two)
    for node in two:
        modes = node.git("ls-files", "--stage").out.splitlines()
        assert len([line for line in modes if line.startswith("120000") and "conflictor.variant" in line]) == 2


@pytest.mark.thorough
def test_annex_adjusted_branch(two: tuple[Node, Node]) -> None:
    one, other = two
    for node in two:
        node.commit_annexed({"conflictor": f"content of {node.name}"})
    other.annex("adjust", "--quiet", "--unlock")
    for node in (other, one, other):
        node.syncx("sync")
    assert one.head("main") == other.head("main")
    for path in variants(one, "conflictor"):
        assert not (other.path / path).is_symlink()
        assert other.read(path) == one.read(path)


@pytest.mark.parametrize("locked_first", sample([True, False], 1))
def test_annex_locked_against_unlocked(two: tuple[Node, Node], locked_first: bool) -> None:
    first, second = two if locked_first else two[::-1]
    for node in two:
        node.commit_annexed({"conflictor": "same content"})
    second.annex("unlock", "conflictor")
    second.git("commit", "--quiet", "--all", "--message", "unlock")
    sync_all(*two)
    for node in two:
        assert not variants(node, "conflictor")
        assert not (node.path / "conflictor").is_symlink()
        assert node.read("conflictor") == b"same content"
    assert first.annex("fsck", "--quiet").code == 0


def test_renames_that_meet_are_told(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit({"ren.txt": "one\ntwo\nthree\n", "del.txt": "four\nfive\nsix\n"})
    desktop.syncx("pull")
    laptop.git("mv", "ren.txt", "renA.txt")
    laptop.git("mv", "del.txt", "delA.txt")
    laptop.git("commit", "--quiet", "--message", "rename both")
    desktop.git("mv", "ren.txt", "renB.txt")
    desktop.git("rm", "--quiet", "del.txt")
    desktop.git("commit", "--quiet", "--message", "rename one, delete the other")
    resolved = desktop.syncx("pull").event("merge")["resolved"]
    told = {one["path"]: (one["kind"], one["became"]) for one in resolved}
    assert told == {path: ("renamed", [path]) for path in ("delA.txt", "renA.txt", "renB.txt")}
    assert {"delA.txt", "renA.txt", "renB.txt"} <= set(desktop.files())
    assert not {"ren.txt", "del.txt"} & set(desktop.files())
