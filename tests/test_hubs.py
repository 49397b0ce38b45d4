"""Hubs as people have them: just made by plain git, protected, renamed, of several addresses, of another history."""

from __future__ import annotations

import json
import shlex

import pytest
from network import Network, Node
from sshd import Sshd

BIG = b"big" * 7000


def plain(net: Network, name: str, *options: str) -> Node:
    """A repository made by `git init` alone, without git-annex."""
    node = Node(net, name, net.root / name)
    node.path.mkdir()
    node.git("init", "--quiet", *options)
    return node


def cloned(hub: Node, name: str, *options: str) -> Node:
    """A clone by git itself, then initialised, whose remote is called hub."""
    node = Node(hub.net, name, hub.net.root / name)
    hub.git("clone", "--quiet", "--origin", "hub", *options, str(hub.path), str(node.path))
    node.annex("init", "--quiet", name)
    return node


def hook(node: Node, name: str, lines: str) -> None:
    """Write a hook of a bare repository."""
    file = node.path / "hooks" / name
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)


def holders(node: Node, path: str) -> set[str]:
    """The uuids of the repositories that hold a file, as this one knows."""
    found = json.loads(node.annex("whereis", "--json", path).out)
    return {where["uuid"] for where in found["whereis"]}


@pytest.mark.slow
@pytest.mark.inits
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
    hook(hub, "pre-receive", "while read old new ref; do echo ${ref#refs/heads/}; done >>order")
    net.connect((laptop, clone), (laptop, hub))
    early = laptop.syncx("transfer").event("transfer", "clone")
    assert (early["result"], early["reason"]) == (
        "waits", "git-annex does not know it yet: git annex-syncx push clone, then transfer again"
    )  # fmt: skip
    laptop.syncx("push", "clone")
    assert laptop.syncx("sync").event("transfer", "clone")["files"] == 1
    order = (hub.path / "order").read_text().split()[:4]  # a forge makes the first one its default
    assert order == ["main", "synced/main", "git-annex", "synced/git-annex"]
    assert {node.git("config", "annex.uuid").out.strip() for node in (clone, hub)} < holders(laptop, "big.bin")
    assert laptop.syncx("transfer").event("transfer", "hub.git")["result"] == "current"


@pytest.fixture
def bare(net: Network) -> tuple[Node, Node]:
    """A laptop with one commit, and a bare hub of git-annex's that it has pulled from."""
    laptop, hub = net.create("laptop"), net.create("hub", bare=True)
    laptop.commit({"a.txt": "a"})
    net.connect((laptop, hub))
    laptop.syncx("pull")
    return laptop, hub


def test_a_protected_branch_is_a_failure_and_tried_again(bare: tuple[Node, Node]) -> None:
    laptop, hub = bare
    hook(hub, "update", '[ "$1" != refs/heads/main ] || { echo "main wants a review"; exit 1; }')
    for _ in range(2):  # the second time synced/main is there already
        event = laptop.syncx("push", ok=1).event("push", "hub")
        assert event["error"] == "refs/heads/main was refused: hook declined: main wants a review"
        assert "git config remote.hub.syncx-direct false" in event["advice"]
    assert hub.head("synced/main") == laptop.head()
    laptop.config("remote.hub.syncx-direct", "false")
    assert laptop.syncx("push").event("push", "hub")["result"] == "current"
    laptop.commit({"b.txt": "b"})
    assert laptop.syncx("push").event("push", "hub")["result"] == "done"
    assert (hub.head("synced/main"), hub.head("main")) == (laptop.head(), "")
    laptop.git("config", "--unset", "remote.hub.syncx-direct")
    (hub.path / "hooks" / "update").unlink()
    assert laptop.syncx("push").event("push", "hub")["result"] == "done"
    assert hub.head("main") == laptop.head()


def test_a_hub_s_own_branch_that_is_gone_or_behind_comes_back(net: Network, bare: tuple[Node, Node]) -> None:
    laptop, hub = bare
    first = laptop.head()
    laptop.commit({"b.txt": "b"})
    laptop.syncx("push")
    hub.git("update-ref", "-d", "refs/heads/main")
    laptop.syncx("sync", "--no-content")
    assert hub.head("main") == laptop.head()
    hub.git("update-ref", "refs/heads/main", first)
    laptop.syncx("sync", "--no-content")
    assert hub.head("main") == laptop.head()
    # Where a work tree has it open, that is how it is: it is tried once, not at every run.
    desktop = net.clone(hub, "desktop")
    net.connect((laptop, desktop))
    laptop.commit({"c.txt": "c"})
    assert laptop.syncx("push", "desktop").event("push", "desktop")["result"] == "done"
    desktop.git("config", "receive.denyCurrentBranch", "ignore")  # would let it move now
    refs = laptop.syncx("sync", "--no-content").event("push", "desktop")["refs"]
    assert "refs/heads/main" not in [ref["ref"] for ref in refs]
    assert desktop.head("main") != laptop.head()


def test_all_push_addresses_get_it_in_the_end(net: Network, bare: tuple[Node, Node]) -> None:
    laptop, hub = bare
    laptop.syncx("push")
    second = plain(net, "second.git", "--bare")
    for address in (hub.path, second.path):
        laptop.git("remote", "set-url", "--add", "--push", "hub", str(address))
    assert laptop.syncx("push").event("push", "hub")["result"] == "done"  # a new address knows nothing yet
    assert second.head("main") == laptop.head()
    assert laptop.syncx("push").event("push", "hub")["result"] == "current"
    (second.path / "HEAD").rename(second.path / "HEAD.away")
    made = laptop.commit({"b.txt": "b"})
    laptop.annex("setpresentkey", "WORM--x", "0000-1", "1")
    for _ in range(2):
        assert laptop.syncx("push", ok=1).event("push", "hub")["result"] == "failed"
    assert hub.head("main") == made
    (second.path / "HEAD.away").rename(second.path / "HEAD")
    assert laptop.syncx("push").event("push", "hub")["result"] == "done"
    for branch in ("main", "synced/main", "git-annex", "synced/git-annex"):
        assert second.head(branch) == hub.head(branch) == laptop.head(branch.removeprefix("synced/"))
    assert laptop.syncx("push").event("push", "hub")["result"] == "current"
    # Nor does a tracking ref say anything of the place that a changed address leads to.
    third = plain(net, "third.git", "--bare")
    laptop.git("config", "--unset-all", "remote.hub.pushurl")
    for place in (hub, third):
        laptop.git("remote", "set-url", "hub", str(place.path))
        ran = laptop.syncx("push", ok=None)
        if place is third:  # whose uuid is another
            laptop.run(*shlex.split(ran.event("push", "hub")["advice"].rpartition(": ")[2]))
            laptop.syncx("push")
    assert third.head("synced/git-annex") == laptop.head("git-annex")
    assert third.head("main") == made


def test_an_address_that_changes_before_the_first_push_is_pushed_to(net: Network) -> None:
    origin = net.create("origin", bare=True)
    seed = net.create("seed")
    seed.commit({"a.txt": "a"})
    net.connect((seed, origin))
    seed.syncx("push")
    for command in ("push", "pull"):
        clone, new = net.clone(origin, f"clone-{command}"), plain(net, f"{command}.git", "--bare")
        clone.git("push", "--quiet", "origin", "git-annex")
        clone.syncx(command)
        clone.git("config", "--unset", "remote.origin.annex-uuid")
        clone.git("remote", "set-url", "origin", str(new.path))
        assert clone.syncx("push").event("push", "origin")["result"] == "done"
        assert new.head("main") == clone.head()


def test_a_remote_that_is_not_pulled_from_has_commits_of_its_own(net: Network, bare: tuple[Node, Node]) -> None:
    laptop, hub = bare
    laptop.syncx("push")
    desktop = net.clone(hub, "desktop")
    desktop.commit({"d.txt": "d"})
    desktop.syncx("push")
    laptop.config("remote.hub.annex-pull", "false")
    made = laptop.commit({"b.txt": "b"})
    event = laptop.syncx("push", ok=1).event("push", "hub")
    assert event["error"].startswith(
        "it has commits that are not here, and as nothing is pulled from it (annex-pull is false"
    )
    laptop.run(*shlex.split(event["advice"].partition("once: ")[2].partition(";")[0]))
    assert hub.contains(made, "main")
    assert laptop.read("d.txt") == b"d"


def test_a_remote_of_another_history_takes_part_in_nothing(net: Network) -> None:
    photos, movies = net.create("photos"), net.create("movies")
    photos.commit_annexed({"photo.bin": BIG})
    movies.commit_annexed({"movie.bin": BIG + b"m"})
    photos.git("remote", "add", "oops", str(movies.path))
    before = movies.git("for-each-ref").out
    for command in ("push", "sync"):
        ran = photos.syncx(command, ok=1)
        event = ran.event("push" if command == "push" else "fetch", "oops")
        assert event["error"].startswith("it shares no history with this repository")
    assert "git-annex-syncx transfer oops" not in ran.out
    assert movies.git("for-each-ref").out == before
    assert photos.git("for-each-ref", "refs/remotes", "refs/syncx").out == ""
    photos.annex("info", "--fast", "--quiet")
    assert "movies" not in photos.git("show", "git-annex:uuid.log").out
    # Fetched by the user: nothing more goes there.
    photos.git("fetch", "--quiet", "oops")
    ran = photos.syncx("sync", ok=1)
    assert ran.event("fetch", "oops")["result"] == "failed"
    assert photos.syncx("transfer", ok=1).event("transfer", "oops")["result"] == "failed"
    assert movies.git("for-each-ref").out == before
    assert not list((movies.path / ".git/annex/objects").glob("*/*/*-s21000-*"))
    # Meant: the command that is told joins them.
    photos.run(*shlex.split(event["advice"].rpartition("together: ")[2]))
    assert photos.syncx("sync").event("transfer", "oops")["result"] == "done"
    assert photos.read("movie.bin") == BIG + b"m"


@pytest.mark.parametrize("fetched", [False, True])
def test_a_hub_with_pages_of_another_history_gets_ours(net: Network, fetched: bool) -> None:
    laptop, hub = net.create("laptop"), plain(net, "hub.git", "--bare")
    laptop.commit({"a.txt": "a"})
    pages = hub.git("commit-tree", "-m", "pages", hub.git("mktree", stdin=b"").out.strip()).out.strip()
    hub.git("update-ref", "refs/heads/gh-pages", pages)
    hook(hub, "update", "case $1 in *main) exit 1; esac")
    net.connect((laptop, hub))
    if fetched:
        laptop.git("fetch", "--quiet", "hub.git")
    laptop.syncx("push", "hub.git", ok=1)  # only the git-annex branch gets there
    (hub.path / "hooks" / "update").unlink()
    laptop.syncx("sync", "--no-content")
    assert hub.head("main") == laptop.head()
    assert hub.head("gh-pages") == laptop.head("refs/remotes/hub.git/gh-pages") == pages


@pytest.mark.parametrize("merged", [False, True])
def test_another_history_under_another_name_takes_part_in_nothing(net: Network, merged: bool) -> None:
    photos, movies = net.create("photos"), net.create("movies", init=True)  # a copy's git-annex branch is related
    movies.git("symbolic-ref", "HEAD", "refs/heads/master")
    photos.commit({"photo.txt": "p"})
    movies.commit({"movie.txt": "m"})
    photos.git("remote", "add", "oops", str(movies.path))
    before = movies.git("for-each-ref").out
    if merged:
        photos.git("fetch", "--quiet", "oops")
        photos.annex("merge", "--quiet")
    for command, event in (("push", "push"), ("sync", "fetch")):
        said = photos.syncx(command, ok=1).event(event, "oops")
        assert said["error"].startswith("it shares no history with this repository")
        assert movies.git("for-each-ref").out == before
    if merged:
        assert photos.syncx("transfer", ok=1).event("transfer", "oops")["error"] == said["error"]
    else:
        assert photos.git("for-each-ref", "refs/remotes", "refs/syncx").out == ""
        photos.annex("info", "--fast", "--quiet")
        assert "movies" not in photos.git("show", "git-annex:uuid.log").out
    photos.run(*shlex.split(said["advice"].rpartition("together: ")[2]))
    photos.syncx("sync", "--no-content")
    assert "photos" in movies.git("show", "synced/git-annex:uuid.log").out


def test_a_copy_with_the_same_uuid_is_told_as_one(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"big.bin": BIG})
    laptop.run("cp", "-a", ".", str(net.root / "copy"))
    copy = Node(net, "copy", net.root / "copy")
    net.connect((laptop, copy))
    event = laptop.syncx("sync", ok=1).event("fetch", "copy")
    assert event["error"].startswith("it has the annex.uuid of this repository")
    there, _, here = event["advice"].partition("there: ")[2].partition("; then here: ")
    for command in there.split(", "):
        copy.run(*shlex.split(command))
    if here:  # git-annex has looked at it
        laptop.run(*shlex.split(here))
    laptop.syncx("sync")
    assert copy.git("config", "annex.uuid").out.strip() in holders(laptop, "big.bin")


def test_what_other_refspecs_fetched_is_not_pruned(bare: tuple[Node, Node]) -> None:
    laptop, hub = bare
    laptop.syncx("push")
    hub.git("update-ref", "refs/pull/7/head", "main")
    hub.git("branch", "side", "main")
    laptop.git("config", "--add", "remote.hub.fetch", "+refs/pull/*/head:refs/remotes/hub/pr/*")
    laptop.git("fetch", "--quiet", "hub")
    hub.git("branch", "--quiet", "-D", "side")
    laptop.syncx("pull")
    assert laptop.head("refs/remotes/hub/pr/7") == laptop.head()
    assert not laptop.head("refs/remotes/hub/side")


def test_a_clone_whose_head_names_no_branch_is_told_which_there_is(net: Network) -> None:
    laptop, hub = net.create("laptop"), plain(net, "hub.git", "--bare")
    laptop.commit({"a.txt": "a"})
    net.connect((laptop, hub))
    laptop.syncx("push")
    hub.git("symbolic-ref", "HEAD", "refs/heads/master")
    clone = cloned(hub, "clone")
    said = clone.syncx("sync", "--no-content").event("merge")
    assert said["result"] == "waits"
    told, _, way_out = said["reason"].rpartition(": ")
    assert told == "HEAD names master, which does not exist; hub has main"
    clone.run(*shlex.split(way_out))
    assert clone.syncx("sync", "--no-content").event("merge")["result"] == "current"
    assert clone.read("a.txt") == b"a"
    # The same where others push to one that is new.
    new = net.create("new")
    new.git("symbolic-ref", "HEAD", "refs/heads/master")
    net.connect((laptop, new))
    laptop.config("remote.new.syncx-direct", "false")
    laptop.syncx("push", "new")
    told, _, way_out = new.syncx("merge").event("merge")["reason"].rpartition(": ")
    assert told == "HEAD names master, which does not exist; others pushed main"
    new.run(*shlex.split(way_out))
    assert new.read("a.txt") == b"a"


def test_a_branch_that_one_side_has_renamed_is_told(net: Network) -> None:
    laptop, hub = net.create("laptop"), net.create("hub", bare=True)
    laptop.git("branch", "--quiet", "-m", "master", ok=None)
    laptop.git("symbolic-ref", "HEAD", "refs/heads/master")
    laptop.commit({"a.txt": "a"})
    net.connect((laptop, hub))
    laptop.syncx("push")
    desktop = cloned(hub, "desktop", "--branch", "master")
    desktop.git("branch", "--quiet", "-m", "master", "main")
    desktop.commit({"b.txt": "b"})
    hub.git("branch", "feature", "master")  # others' own branches are no news
    desktop.syncx("sync", "--no-content")
    said = laptop.syncx("sync", "--no-content").event("merge", "hub")
    assert said["result"] == "waits"
    told, _, ways = said["reason"].rpartition(": ")
    assert told == "hub has main, which has 1 commit that master lacks"
    laptop.commit({"c.txt": "c"})
    laptop.syncx("sync", "--no-content")
    said = desktop.syncx("sync", "--no-content").event("merge", "hub")
    assert said["reason"].startswith("hub has master, which has 1 commit that main lacks: ")
    laptop.commit({"d.txt": "d"})
    laptop.run(*shlex.split(ways.partition(", or ")[2]))
    assert not [e for e in laptop.syncx("sync", "--no-content").events if e.get("event") == "merge" and e["remote"]]
    assert laptop.head() == hub.head("main") and laptop.files() == ["a.txt", "b.txt", "c.txt", "d.txt"]
    # A push into a work tree makes the branch there too: it is not the user's.
    phone = cloned(hub, "phone", "--branch", "master")
    net.connect((laptop, phone), (phone, hub))
    laptop.syncx("push", "phone")
    ways = phone.syncx("sync", "--no-content").event("merge", "hub")["reason"]
    phone.run(*shlex.split(ways.partition(", or ")[2]))
    phone.syncx("sync", "--no-content")
    assert phone.head("main") == phone.head() == laptop.head()


def test_a_branch_that_waits_for_ours_at_a_new_hub_is_no_renamed_one(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a"})
    laptop.git("switch", "--quiet", "--create", "feature")
    laptop.commit({"b.txt": "b"})
    laptop.git("switch", "--quiet", "main")
    for name in ("hub", "other"):
        hub = net.create(name, bare=True)
        net.connect((laptop, hub))
        laptop.git("push", "--quiet", name, "feature")
        hub.git("symbolic-ref", "HEAD", "refs/heads/feature")
    laptop.git("branch", "--quiet", "-D", "feature")
    laptop.git("remote", "set-head", "other", "--auto")
    ran = laptop.syncx("sync", "--no-content")
    assert not [e for e in ran.events if e["event"] == "merge" and e["remote"] == "hub"]
    assert ran.event("merge", "other")["reason"].startswith("other has feature, which has 1 commit that main lacks")


def test_a_basis_that_another_work_tree_has_open_does_not_move(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a"})
    desktop = net.clone(laptop, "desktop")
    desktop.annex("adjust", "--unlock", "--quiet")
    desktop.git("worktree", "add", "--quiet", str(net.root / "side"), "main")
    side = Node(net, "side", net.root / "side")
    side.commit({"s.txt": "s"})  # what is made there comes here: main does not move under anybody
    desktop.syncx("merge")
    assert desktop.read("s.txt") == b"s"
    before = desktop.head("main")
    laptop.commit({"b.txt": "b"})
    event = desktop.syncx("sync", "--no-content", ok=1).event("merge")
    assert "main is checked out in" in event["error"]
    desktop.commit({"c.txt": "c"})
    assert "main is checked out in" in desktop.syncx("push", ok=1).event("push")["error"]
    assert desktop.head("main") == before
    desktop.run(*shlex.split(event["advice"].partition(": ")[2].partition(";")[0]))
    desktop.syncx("sync", "--no-content")
    assert desktop.read("b.txt") == b"b"


@pytest.mark.parametrize("deny", ["warn", "ignore"])
@pytest.mark.inits
def test_a_push_under_a_work_tree_is_not_reverted(net: Network, deny: str) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "one\n", "gone.txt": "gone"})
    nas = net.clone(laptop, "nas")
    net.connect((laptop, nas))
    nas.config("receive.denyCurrentBranch", deny)
    for number in range(2):
        laptop.git("rm", "--quiet", "gone.txt", ok=None)
        made, before = laptop.commit({"a.txt": f"two {number}\n", f"n{number}/new.txt": "new"}), nas.head()
        laptop.syncx("push")
        if number:  # the power failed when we took it back
            nas.git("update-ref", f"refs/syncx/received/main/{made}", made)
            with (nas.path / ".git" / "logs" / "HEAD").open("a") as log:
                log.write(f"{made} {before} Tester <tester@example.org> 1700000000 +0000\tgit-annex-syncx\n")
        assert nas.head("main") == made, "the work tree did not move"
        nas.write("mine.txt", "mine")
        nas.git("-c", "annex.largefiles=nothing", "add", "mine.txt")  # the user's own goes on
        nas.syncx("sync", "--no-content")
        laptop.syncx("sync", "--no-content")
        assert nas.git("status", "--porcelain").out == ""
        assert nas.read("a.txt") == laptop.read("a.txt") == f"two {number}\n".encode()
        assert laptop.head() == nas.head()
        assert "gone.txt" not in nas.files()
        assert nas.git("for-each-ref", "refs/syncx/received").out == ""
    # What the user has in the way is refused, and nothing is reverted.
    made = laptop.commit({"a.txt": "three\n"})
    laptop.syncx("push")
    nas.write("a.txt", "mine\n")
    nas.syncx("sync", "--no-content", "--no-commit", ok=1)
    assert nas.read("a.txt") == b"mine\n"
    nas.syncx("sync", "--no-content")
    assert nas.contains(made)


def test_what_the_user_takes_back_of_a_push_into_the_work_tree_is_committed(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "one\n"})
    nas = net.clone(laptop, "nas")
    net.connect((laptop, nas))
    nas.config("receive.denyCurrentBranch", "updateInstead")
    laptop.commit({"a.txt": "two\n"})
    laptop.git("push", "--quiet", "nas", "main")
    assert nas.read("a.txt") == b"two\n"
    nas.git("checkout", "--quiet", "HEAD~1", "--", "a.txt")
    nas.syncx("sync", "--no-content")
    assert nas.read("a.txt") == b"one\n" and nas.git("status", "--porcelain").out == ""


def test_a_preview_makes_no_hub_a_repository_of_git_annex(net: Network) -> None:
    laptop, hub = net.create("laptop"), net.root / "hub"
    laptop.commit_annexed({"a.bin": "a" * 20_000})
    laptop.git("init", "--quiet", "--bare", str(hub))
    laptop.git("remote", "add", "hub", str(hub))
    laptop.git("push", "--quiet", "hub", "main", "git-annex")
    before = (hub / "config").read_bytes()
    said = laptop.run("git-annex-syncx", "transfer", "--dry-run").err
    assert (hub / "config").read_bytes() == before and "hub: uuid unknown, so it gets no content" in said


def test_a_merge_of_the_user_s_takes_no_submodule_back(net: Network) -> None:
    seed, a = net.create("seed"), net.create("a")
    seed.commit({"s.txt": "one"})
    a.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "-b", "main", str(seed.path), "sub")
    a.commit()
    b = net.clone(a, "b")
    b.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    net.connect((b, a))
    new = Node(net, "sub", a.path / "sub").commit({"s.txt": "bumped"})
    a.git("commit", "--quiet", "--all", "--message", "bump")
    b.commit({"b.txt": "b"})
    b.git("fetch", "--quiet", "--no-recurse-submodules", "a")
    b.git("merge", "--quiet", "--no-commit", "a/main")
    b.write("b.txt", "resolved")
    b.syncx("sync", "--no-content")
    assert b.head("main:sub") == new and b.git("show", "main:b.txt").out == "resolved"


def test_a_submodule_that_lags_is_no_local_change(net: Network) -> None:
    origin = net.create("origin", bare=True)
    seed, a = net.create("seed"), net.create("a")
    seed.commit({"s.txt": "one"})
    net.connect((seed, origin))
    seed.git("push", "--quiet", "origin", "main")
    a.config("protocol.file.allow", "always")
    a.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "-b", "main", str(origin.path), "sub")
    a.commit()
    b = net.clone(a, "b")
    b.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    net.mesh(a, b)
    ours, theirs = (Node(net, "sub", node.path / "sub") for node in (a, b))
    old = theirs.head()
    for turn in range(2):  # the second bump meets a checkout that lags
        new = ours.commit({"s.txt": f"bumped {turn}"})
        a.write("mine.txt", str(turn))
        a.git("-c", "annex.largefiles=nothing", "add", "mine.txt")
        ran = a.syncx("sync", "--no-content")
        if not turn:
            assert ran.event("push")["reason"] == (
                f"sub is recorded at {new[:10]}, which none of its remotes has: git -C sub push"
            )
            a.config("push.recurseSubmodules", "on-demand")
            ours.git("push", "--quiet", "origin", "HEAD:main")
        assert origin.head("main") == new, "pushed on demand"
        b.syncx("sync", "--no-content")
        b.write("a.txt", str(turn))
        b.git("-c", "annex.largefiles=nothing", "add", "a.txt")
        said = b.syncx("sync", "--no-content").event("commit")
        assert said["reason"] == "local changes committed, sub is behind: git submodule update, or sync there"
        assert b.syncx("sync", "--no-content").event("commit")["result"] == "waits"
        a.syncx("sync", "--no-content")
        for node in (a, b):
            assert node.head("main:sub") == new
        assert theirs.head() == old
    b.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update")
    assert theirs.head() == new
    assert b.syncx("sync", "--no-content").event("commit")["result"] == "current"
    # A commit of the user's own in it is one, and so is what is staged.
    made = theirs.commit({"s.txt": "mine"})
    b.syncx("sync", "--no-content")
    assert b.head("main:sub") == made
    theirs.git("checkout", "--quiet", old)
    b.git("add", "sub")
    b.syncx("sync", "--no-content")
    assert b.head("main:sub") == old
    a.config("push.recurseSubmodules", "check")
    new, known = ours.commit({"s.txt": "not pushed"}), a.git("add", "sub") and b.head("synced/main")
    a.git("commit", "--quiet", "--all", "--message", "bump")
    said = a.syncx("push", ok=1).event("push")
    assert said["error"].startswith(f"sub is recorded at {new[:10]}") and said["advice"] == "git -C sub push"
    assert b.head("synced/main") == known
    a.config("push.recurseSubmodules", "on-demand")
    ours.git("remote", "set-url", "--push", "origin", str(net.root / "nowhere"))
    assert "nowhere" in a.syncx("push", ok=1).event("push")["error"]
    ours.git("config", "--unset", "remote.origin.pushurl")
    a.syncx("push")
    assert b.head("synced/main") == a.head("main") and origin.head("main") == new
