"""The options of `git annex sync`, by the same names and meanings."""

from __future__ import annotations

import pytest
from network import Network, Node, Ran

Pair = tuple[Node, Node]


def events(ran: Ran, name: str) -> list[str]:
    """The remotes of all events of that name."""
    return [event.get("remote", "") for event in ran.events if event["event"] == name]


def holders(node: Node, path: str) -> str:
    return node.annex("find", "--in=here", "--", path).out.strip()


def test_only_annex_leaves_git_branches_alone(pair: Pair) -> None:
    laptop, desktop = pair
    theirs = desktop.commit_annexed({"big": "theirs" * 100})
    laptop.commit_annexed({"mine": "mine" * 100})
    laptop.write("a.txt", "not committed\n")
    before, branches = laptop.head(), desktop.git("for-each-ref", "refs/heads/main", "refs/heads/synced/main").out
    ran = laptop.syncx("sync", "--only-annex", "--commit")
    assert not events(ran, "commit")
    assert laptop.head() == before
    assert laptop.head("refs/remotes/desktop/main") != theirs, "not even fetched"
    assert desktop.git("for-each-ref", "refs/heads/main", "refs/heads/synced/main").out == branches
    assert desktop.head("synced/git-annex") == laptop.head("git-annex") != ""
    key = laptop.annex("lookupkey", "mine").out.strip()
    assert desktop.annex("contentlocation", key).out, "content travels"
    ran = laptop.syncx("sync", "-a", "-g")
    assert not events(ran, "transfer")
    assert laptop.head() == before
    laptop.syncx("sync", "--not-only-annex", "-g", "--no-commit")
    assert laptop.contains(theirs)
    assert desktop.head("synced/main") == laptop.head()


def test_only_one_direction(pair: Pair) -> None:
    laptop, desktop = pair
    theirs = desktop.commit_annexed({"theirs": "theirs" * 100})
    laptop.commit_annexed({"mine": "mine" * 100})
    ran = laptop.syncx("sync", "--no-push")
    assert laptop.contains(theirs)
    assert holders(laptop, "theirs")
    assert not desktop.git("for-each-ref", "refs/heads/synced").out
    assert not events(ran, "push")
    laptop.annex("drop", "--quiet", "--force", "theirs")
    desktop.git("branch", "newer")
    ran = laptop.syncx("sync", "--no-pull")
    assert not laptop.head("refs/remotes/desktop/newer")
    assert not events(ran, "fetch")
    assert not holders(laptop, "theirs"), "nothing is got"
    assert desktop.head("synced/main") == laptop.head()
    desktop.syncx("merge")
    assert holders(desktop, "mine")
    laptop.commit({"c.txt": "c"})
    desktop.commit({"d.txt": "d"})
    laptop.git("fetch", "--quiet", "desktop")
    ran = laptop.syncx("sync", "--no-pull", "--no-content", ok=1)
    assert "--no-pull" in ran.event("push", "desktop")["error"]


def test_content_of_some_files(pair: Pair) -> None:
    laptop, desktop = pair
    laptop.commit_annexed({"dir/one": "1" * 100, "dir/two": "2" * 100, "three": "3" * 100})
    laptop.config("annex.synccontent", "false")
    laptop.syncx("sync", "--content-of=dir/one", "--content-of", "three")
    desktop.syncx("merge")
    assert holders(desktop, ".").split() == ["dir/one", "three"]
    laptop.syncx("sync", "--content-of=dir", "--no-content")
    assert not holders(desktop, "dir/two")
    below = laptop.run("git-annex-syncx", "sync", "--content-of", "nothing", ok=2)
    assert "nothing" in below.err
    laptop.run("git-annex-syncx", "-C", "dir", "sync", "--content-of", "two")
    assert holders(desktop, "dir/two")


def test_cleanup_keeps_what_was_taken_back_from_returning(net: Network, pair: Pair) -> None:
    laptop, _ = pair
    hub = net.clone(laptop, "hub", bare=True)
    net.connect((laptop, hub))
    laptop.syncx("sync", "-g", "hub")
    good = laptop.head()
    laptop.commit({"oops.txt": "x"})
    laptop.git("push", "--quiet", "hub", "main", "main:synced/main")
    laptop.git("branch", "synced/main")
    laptop.git("reset", "--quiet", "--hard", good)
    laptop.git("push", "--quiet", "--force", "hub", "main")
    ran = laptop.syncx("sync", "--cleanup", "hub")
    assert {event["event"] for event in ran.events} == {"cleanup", "summary"}
    for node in (laptop, hub):
        assert not node.git("for-each-ref", "refs/heads/synced").out
    assert laptop.syncx("sync", "--cleanup", "hub").event("cleanup", "hub")["result"] == "current"
    laptop.syncx("sync", "-g", "hub")
    assert laptop.head() == hub.head("main") == good
    other = net.clone(hub, "other")
    other.commit({"theirs.txt": "x"})
    other.git("push", "--quiet", "hub", "main:synced/main")
    ran = laptop.syncx("sync", "--cleanup", "hub", ok=1)
    assert "commits that are not here" in ran.event("cleanup", "hub")["error"]
    assert hub.head("synced/main") == other.head()


def test_what_git_annex_is_told(net: Network, pair: Pair) -> None:
    """Options that are git-annex's own reach it; --fast and -J are ours."""
    laptop, _ = pair
    laptop.commit_annexed({"big": "x" * 100})
    laptop.annex("copy", "--quiet", "--to=desktop")
    laptop.annex("wanted", "--quiet", "here", "exclude=*")
    ran = laptop.syncx("sync", "--numcopies=2", "--mincopies", "2", "-J2", "-bSHA256", "--no-debug")
    assert ran.event("drop")["kept"] == 1
    assert holders(laptop, "big")
    ran = laptop.syncx("sync", "--untrust=desktop", "--user-agent=x", "-c", "annex.diskreserve=1")
    assert holders(laptop, "big"), "the only other copy is not trusted"
    laptop.syncx("sync", "--trust=desktop", "--trust-glacier")
    assert not holders(laptop, "big")
    far = net.clone(laptop, "far")
    net.connect((laptop, far))
    laptop.config("remote.far.annex-cost", "300")
    ran = laptop.syncx("sync", "-F", "-g", "--config=annex.autocommit=false")
    assert events(ran, "push") == ["desktop"]
    assert not events(ran, "commit")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--force"], "git annex drop --force"), (["--explain"], "git annex-syncx plan"),
        (["--time-limit=5m"], "timeout"), (["--debugfilter=Process"], "-vv"), (["--size-limit", "1"], "--content-of"),
        (["-J", "many"], "cpus"), (["-J0"], "cpus"), (["-c", "nothing"], "annex.diskreserve=1gb"),
        (["--numcopies=few"], "numcopies"), (["--cotnent"], "--content"), (["--new"], "git annex-syncx help sync"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_what_can(pair: Pair, words: list[str], named: str) -> None:
    ran = pair[0].syncx("sync", *words, ok=2)
    assert named in ran.err
    assert not ran.out
