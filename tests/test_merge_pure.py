"""Same input, same bytes: a merge commit depends on its two parents alone, and loses nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from network import Network, Node
from test_merge import parents

CONFIGURATIONS = {
    "markers": [("merge.conflictStyle", "zdiff3")],
    "encoding": [("i18n.commitEncoding", "ISO-8859-1"), ("i18n.logOutputEncoding", "ISO-8859-1")],
    "no renames": [("diff.renames", "false"), ("merge.renames", "false"), ("diff.renameLimit", "1")],
    "copies": [("diff.renames", "copies"), ("merge.renameLimit", "1"), ("diff.algorithm", "patience")],
    "identity": [("user.name", "Somebody Else"), ("user.email", "else@example.org"), ("user.useConfigOnly", "true")],
    "line ends": [("core.autocrlf", "true"), ("core.eol", "crlf"), ("core.safecrlf", "false")],
    "comments": [("core.commentChar", "M"), ("commit.cleanup", "strip"), ("core.quotePath", "true")],
    "directory renames": [("merge.directoryRenames", "true")],
    "driver": [("merge.default", "ours"), ("merge.ours.driver", "true"), ("merge.renormalize", "true")],
    "abbreviations": [
        ("core.abbrev", "4"),
        ("log.showSignature", "true"),
        ("log.date", "relative"),
        ("log.mailmap", "true"),
    ],
}


@dataclass(frozen=True)
class Heads:
    """Two heads whose merge needs renames, lines of one file, and odd names; and the repository that has both."""

    origin: Node
    one: str
    two: str


@pytest.fixture
def heads(net: Network) -> Heads:
    origin = net.create("origin")
    lines = [f"line {n}\n" for n in range(20)]
    origin.commit({"both.txt": "".join(lines), "old/renamed.txt": "".join(reversed(lines)), "b.txt": "b\n"})
    origin.git("switch", "--quiet", "--create", "side")
    origin.git("mv", "old", "new")
    origin.write(b"latin-\xe4.txt", "l\n")
    origin.write("-dash", "dash\n")
    origin.write("line\nend", "newline\n")
    origin.git("-c", "annex.largefiles=nothing", "add", ".")
    two = origin.commit({"both.txt": "".join(["first\n", *lines])})
    origin.git("switch", "--quiet", "main")
    one = origin.commit({
        "both.txt": "".join([*lines, "last"]),
        "old/renamed.txt": "".join([*reversed(lines), "more\n"]),
        "old/added.txt": "added\n",
    })  # fmt: skip
    return Heads(origin, one, two)


def merged_in(node: Node, ours: str, theirs: str, **env: str) -> str:
    """The commit that a node makes of the two heads."""
    name = node.git("symbolic-ref", "HEAD").out.strip().removeprefix("refs/heads/")
    assert node.head() == ours
    node.git("update-ref", f"refs/heads/synced/{name}", theirs)
    node.syncx("merge", **env)
    return node.head()


def clone_at(net: Network, heads: Heads, name: str, head: str, *, bare: bool = False) -> Node:
    """A clone whose main stands at one of the heads, without remotes."""
    node = net.clone(heads.origin, name, bare=bare)
    node.git("fetch", "--quiet", str(heads.origin.path), "side")
    node.git("remote", "remove", "origin")
    if bare:
        node.git("update-ref", "refs/heads/main", head)
    else:
        node.git("reset", "--quiet", "--hard", head)
    node.git("reflog", "expire", "--expire=all", "--all")  # or the other head would be one that the user took back
    return node


@pytest.fixture
def expected(net: Network, heads: Heads) -> str:
    """What a node without any configuration makes of the heads."""
    node = clone_at(net, heads, "plain", heads.one)
    merged = merged_in(node, heads.one, heads.two)
    assert parents(node) == sorted([heads.one, heads.two])
    files = node.git("ls-tree", "-r", "-z", "--name-only", merged).out.encode(errors="surrogateescape").split(b"\0")
    assert {b"latin-\xe4.txt", b"-dash", b"line\nend", b"old/added.txt", b"new/renamed.txt"} < set(files)
    assert node.show(f"{merged}:new/renamed.txt").endswith(b"more\n")
    assert node.show(f"{merged}:both.txt").startswith(b"first\n")
    assert node.show(f"{merged}:both.txt").endswith(b"last")
    return merged


def test_both_sides_and_all_kinds_of_repositories_agree(net: Network, heads: Heads, expected: str) -> None:
    other_side = clone_at(net, heads, "other", heads.two)
    assert merged_in(other_side, heads.two, heads.one) == expected
    bare = clone_at(net, heads, "bare", heads.two, bare=True)
    assert merged_in(bare, heads.two, heads.one) == expected
    bare.git("branch", "work", heads.one)
    bare.git("worktree", "add", "--quiet", str(net.root / "linked"), "work")
    assert merged_in(Node(net, "linked", net.root / "linked"), heads.one, heads.two) == expected
    adjusted = clone_at(net, heads, "adjusted", heads.one)
    adjusted.annex("adjust", "--unlock", "--quiet")
    adjusted.git("update-ref", "refs/heads/synced/main", heads.two)
    adjusted.syncx("merge")
    assert adjusted.head("main") == expected


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configuration_has_no_say(net: Network, heads: Heads, expected: str, name: str) -> None:
    node = clone_at(net, heads, "configured", heads.two, bare=name == "line ends")
    for key, value in CONFIGURATIONS[name]:
        node.config(key, value)
    assert merged_in(node, heads.two, heads.one) == expected


def test_attributes_and_replacements_have_no_say(net: Network, heads: Heads, expected: str) -> None:
    node = clone_at(net, heads, "attributes", heads.two)
    (net.root / "attributes-file").write_text("*.txt -merge\n")
    node.config("core.attributesFile", str(net.root / "attributes-file"))
    (node.path / ".gitattributes").write_text("*.txt merge=ours\n")
    with (node.path / ".git/info/attributes").open("a") as handle:
        handle.write("*.txt merge=binary\n")
    node.config("merge.ours.driver", "true")
    replacement = node.git("commit-tree", "-m", "other", f"{heads.one}^{{tree}}").out.strip()
    node.git("replace", heads.one, replacement)
    node.git("update-ref", "refs/heads/synced/main", heads.one)
    node.syncx("merge", "--allow-unrelated-histories")
    assert node.head() == expected


def test_environment_has_no_say(net: Network, heads: Heads, expected: str) -> None:
    node = clone_at(net, heads, "environment", heads.two)
    said = {
        "GIT_AUTHOR_NAME": "x", "GIT_COMMITTER_EMAIL": "y", "GIT_AUTHOR_DATE": "@1 +0900", "TZ": "Asia/Tokyo",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "merge.renames", "GIT_CONFIG_VALUE_0": "false",
        "GIT_CONFIG_PARAMETERS": "'i18n.commitencoding'='ISO-8859-1'", "GIT_DIFF_OPTS": "-U0",
        "GIT_LITERAL_PATHSPECS": "1", "GIT_DEFAULT_HASH": "sha256", "GIT_INDEX_FILE": "/nonexistent",
        "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de",
    }  # fmt: skip
    assert merged_in(node, heads.two, heads.one, **said) == expected


def test_called_from_a_hook(net: Network, heads: Heads, expected: str) -> None:
    node = clone_at(net, heads, "hooked", heads.two, bare=True)
    hook = node.path / "hooks/post-receive"
    hook.write_text("#!/bin/sh\ngit-annex-syncx merge >&2\n")
    hook.chmod(0o755)
    heads.origin.git("push", "--quiet", str(node.path), f"{heads.one}:refs/heads/synced/main")
    assert node.head("main") == expected


@pytest.mark.parametrize("dates", [(0, 5), (5, 99_999_999), (100_000_000, 7), (2**31 + 5, 1_700_000_000)])
def test_dates_of_all_kinds(net: Network, dates: tuple[int, int]) -> None:
    laptop = net.create("laptop")
    tree = laptop.git("mktree", stdin=b"").out.strip()

    def commit(when: int, *more: str) -> str:
        stamp = {"GIT_AUTHOR_DATE": f"@{when} +0530", "GIT_COMMITTER_DATE": f"@{when} +0530"}
        return laptop.git("commit-tree", "-m", f"{when}", *more, tree, **stamp).out.strip()

    base = commit(0)
    one, two = (commit(when, "-p", base) for when in dates)
    laptop.git("update-ref", "refs/heads/main", one)
    laptop.git("update-ref", "refs/heads/synced/main", two)
    laptop.syncx("merge")
    made = laptop.git("cat-file", "commit", "main").out.splitlines()
    assert made[1:3] == [f"parent {commit}" for commit in sorted((one, two))]
    stamp = f"git-annex-syncx <git-annex-syncx@localhost> {max(dates)} +0000"
    assert made[3:5] == [f"author {stamp}", f"committer {stamp}"]


# What a merge could lose


def version_losing_heads(net: Network) -> tuple[Node, str, str, dict[str, bytes]]:
    """Base f=K; one side has f=text and f.variant-1111=K, the other renamed f to f.variant-1111."""
    node = net.create("laptop")
    node.commit({"f": "K\n"})
    node.git("switch", "--quiet", "--create", "side")
    node.git("mv", "f", "f.variant-1111")
    two = node.commit(message="rename")
    node.git("switch", "--quiet", "main")
    node.git("mv", "f", "f.variant-1111")
    one = node.commit({"f": "text\n"})
    return node, one, two, {"text": b"text\n", "K": b"K\n"}


@pytest.mark.parametrize("swapped", [False, True])
def test_clean_merge_that_loses_a_version_loses_none(net: Network, swapped: bool) -> None:
    node, one, two, versions = version_losing_heads(net)
    ours, theirs = (two, one) if swapped else (one, two)
    node.git("reset", "--quiet", "--hard", ours)
    node.git("reflog", "expire", "--expire=all", "--all")
    node.git("update-ref", "refs/heads/synced/main", theirs)
    clean = node.git("merge-tree", "--write-tree", ours, theirs).out.strip()
    assert len(node.files(clean)) == 1, "git itself loses one"
    node.syncx("merge")
    assert set(versions.values()) <= {node.show(f"HEAD:{path}") for path in node.files()}
    assert node.contains(theirs)
