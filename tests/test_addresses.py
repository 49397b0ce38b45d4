"""Which repository is meant: addresses in all their forms, several of them, and GIT_DIR."""

from __future__ import annotations

from pathlib import Path

import pytest
from network import Network, Node


@pytest.fixture
def laptop(net: Network) -> Node:
    """A laptop with a commit."""
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    return laptop


def refuse_everything(hub: Node) -> None:
    """Let a hub refuse all pushes by a hook."""
    hook = hub.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)


def test_done_means_at_every_push_address(net: Network, laptop: Node) -> None:
    hubs = [net.create(name, bare=True) for name in ("one", "two")]
    refuse_everything(hubs[0])
    laptop.git("remote", "add", "both", str(hubs[1].path))
    for hub in hubs:
        laptop.git("remote", "set-url", "--add", "--push", "both", str(hub.path))
    pushed = laptop.syncx("push", ok=1).event("push", "both")
    assert pushed["result"] == "failed"
    assert "hook declined" in pushed["error"]
    assert hubs[1].head("main") == laptop.head(), "the other address got it"


def test_a_missing_second_address_is_no_success(net: Network, laptop: Node) -> None:
    hub = net.create("hub", bare=True)
    laptop.git("remote", "add", "hub", str(hub.path))
    laptop.git("remote", "set-url", "--add", "hub", str(net.root / "nowhere"))
    assert laptop.syncx("push", ok=1).event("push", "hub")["result"] == "failed"


@pytest.mark.parametrize("form", ["file://{parent}/my%20nas.git", "{parent}/my nas", "file://{parent}/my nas.git"])
def test_a_directory_is_found_as_git_finds_it(net: Network, laptop: Node, form: str) -> None:
    hub = net.create("my nas.git", bare=True)
    laptop.git("remote", "add", "nas", form.format(parent=hub.path.parent))
    assert laptop.syncx("push").event("push", "nas")["result"] == "done"
    assert hub.head("main") == laptop.head()


def test_a_path_that_cannot_be_looked_at_fails_alone(net: Network, laptop: Node) -> None:
    hub = net.create("hub", bare=True)
    laptop.git("remote", "add", "hub", str(hub.path))
    laptop.git("remote", "add", "long", "/" + "x" * 300)
    ran = laptop.syncx("push", ok=1)
    assert ran.event("push", "hub")["result"] == "done"
    assert "too long" in ran.event("push", "long")["error"]
    assert "Traceback" not in ran.err


def test_ssh_options_with_an_open_quote_are_a_wrong_setting(laptop: Node) -> None:
    laptop.git("remote", "add", "nas", "ssh://127.0.0.1:1/x")
    laptop.config("remote.nas.annex-ssh-options", "-o 'x")
    ran = laptop.syncx("push", ok=2)
    assert "remote.nas.annex-ssh-options" in ran.err
    assert ".git/config" in ran.err


def test_git_dir_names_the_repository(net: Network, laptop: Node) -> None:
    hub = net.create("hub", bare=True)
    laptop.git("remote", "add", "hub", str(hub.path))
    other = net.create("other")
    kept = other.commit({"private.txt": "not to be pushed\n"})
    other.write("private.txt", "not to be committed\n")
    laptop.write("a.txt", "changed\n")
    other.syncx("sync", "--no-content", GIT_DIR=str(laptop.path / ".git"), GIT_WORK_TREE=str(laptop.path))
    assert other.head() == kept
    assert hub.show("main:a.txt") == b"changed\n"
    assert hub.head("main") == laptop.head()


def test_a_work_tree_far_from_its_bare_repository(net: Network) -> None:
    hub, bare = net.create("hub", bare=True), net.create("dotfiles", bare=True)
    tree = net.root / "tree"
    tree.mkdir()
    where = {"GIT_DIR": str(bare.path), "GIT_WORK_TREE": str(tree)}
    (tree / "rc").write_text("first\n")
    bare.git("-c", "annex.largefiles=nothing", "add", str(tree / "rc"), **where)
    bare.git("commit", "--quiet", "-m", "first", **where)
    bare.git("remote", "add", "hub", str(hub.path))
    (tree / "rc").write_text("second\n")
    bare.syncx("sync", "--no-content", **where)
    assert hub.show("main:rc") == b"second\n"


def test_naming_a_repository_beats_git_dir(net: Network, laptop: Node) -> None:
    other = net.create("other")
    ran = laptop.syncx("-C", str(other.path), "status", GIT_DIR=str(laptop.path / ".git"))
    assert ran.event("summary")["commit"] is None


def test_replace_refs_do_not_decide_what_contains_what(net: Network, laptop: Node) -> None:
    desktop = net.clone(laptop, "desktop")
    theirs = desktop.commit({"b.txt": "b\n"})
    laptop.git("remote", "add", "desktop", str(desktop.path))
    ours = laptop.commit({"c.txt": "c\n"})
    laptop.git("fetch", "--quiet", "desktop")
    laptop.git("replace", "--graft", theirs, ours)
    laptop.config("syncx.settleTime", "0")
    laptop.syncx("pull")
    raw = {"GIT_NO_REPLACE_OBJECTS": "1"}
    for commit in (ours, theirs):
        assert laptop.git("merge-base", "--is-ancestor", commit, "HEAD", ok=None, **raw).code == 0
    assert Path(laptop.path / "c.txt").exists()


def test_a_remote_that_is_not_pulled_from_is_not_fetched_after_a_lost_race(net: Network, laptop: Node) -> None:
    hub = net.create("hub", bare=True)
    laptop.git("remote", "add", "hub", str(hub.path))
    laptop.syncx("push")
    other = net.clone(hub, "other")
    other.commit({"b.txt": "b\n"})
    other.git("push", "--quiet", "hub", "main")
    laptop.commit({"c.txt": "c\n"})
    laptop.config("remote.hub.annex-pull", "false")
    before = laptop.head("refs/remotes/hub/main")
    pushed = laptop.syncx("push", ok=1).event("push", "hub")
    assert pushed["result"] == "failed"
    assert "annex-pull" in pushed["advice"]
    assert laptop.head("refs/remotes/hub/main") == before


def test_a_rebase_makes_everything_busy_and_fetch_goes_on(net: Network, laptop: Node) -> None:
    desktop = net.clone(laptop, "desktop")
    laptop.git("remote", "add", "desktop", str(desktop.path))
    theirs = desktop.commit({"b.txt": "b\n"})
    laptop.commit({"c.txt": "c\n"})
    laptop.git("rebase", "--quiet", "--interactive", "HEAD~1", GIT_SEQUENCE_EDITOR="sed -i s/^pick/edit/")
    for command in ("push", "pull", "sync"):
        ran = laptop.syncx(command)
        assert ran.event("summary")["command"] == command
        assert not ran.err
    assert laptop.head("refs/remotes/desktop/main") == theirs
