"""Sync: commit, fetch, merge, push, content, push."""

from __future__ import annotations

import json

import pytest
from network import Network, Node

Pair = tuple[Node, Node]


def subject(node: Node) -> str:
    return node.git("log", "-1", "--format=%B", "main").out.strip()


def edit(node: Node) -> None:
    node.write("a.txt", "edited\n")


def holders(node: Node, path: str) -> set[str]:
    """Descriptions of the repositories that hold a file, as this one knows."""
    found = json.loads(node.annex("whereis", "--json", path).out)
    return {where["description"].split(" ")[0].strip("[]") for where in found["whereis"]}


def test_commit_says_what_git_annex_says(net: Network, pair: Pair) -> None:
    laptop, desktop = pair
    edit(desktop)
    desktop.annex("sync", "--no-pull", "--no-push", "--no-content", "--quiet")
    assert subject(desktop) == "git-annex in desktop"
    edit(laptop)
    laptop.write("untracked.txt", "mine\n")
    laptop.syncx("sync", "--no-content", "--except", "desktop")
    assert subject(laptop) == "git-annex in laptop"
    assert laptop.git("status", "--porcelain").out == "?? untracked.txt\n"


def test_staged_and_deleted_files_are_committed(pair: Pair) -> None:
    laptop, desktop = pair
    laptop.commit({"gone.txt": "gone\n"})
    (laptop.path / "gone.txt").unlink()
    laptop.write("new.txt", "new\n")
    laptop.git("-c", "annex.largefiles=nothing", "add", "new.txt")
    laptop.syncx("sync", "--no-content")
    assert laptop.files() == ["a.txt", "new.txt"]
    assert desktop.head("synced/main") == laptop.head()


def test_message(pair: Pair) -> None:
    laptop, _ = pair
    edit(laptop)
    laptop.syncx("sync", "--no-content", "-m", "my words")
    assert subject(laptop) == "my words"


def test_nothing_to_commit(pair: Pair) -> None:
    laptop, _ = pair
    before = laptop.head()
    assert laptop.syncx("sync", "--no-content").event("commit")["result"] == "current"
    assert laptop.head() == before


@pytest.mark.parametrize("how", ["option", "git config", "git annex config", "overridden"])
def test_no_commit(pair: Pair, how: str) -> None:
    laptop, _ = pair
    edit(laptop)
    before = laptop.head()
    if how == "git config":
        laptop.config("annex.autocommit", "false")
    elif how != "option":
        laptop.annex("config", "--quiet", "--set", "annex.autocommit", "false")
    options = {"option": ["--no-commit"], "overridden": ["--commit"]}.get(how, [])
    laptop.syncx("sync", "--no-content", *options)
    assert (laptop.head() == before) == (how != "overridden")


def test_own_configuration_wins_over_the_shared_one(pair: Pair) -> None:
    laptop, _ = pair
    edit(laptop)
    before = laptop.head()
    laptop.annex("config", "--quiet", "--set", "annex.autocommit", "false")
    laptop.config("annex.autocommit", "true")
    laptop.syncx("sync", "--no-content")
    assert laptop.head() != before


def test_pre_commit_hook_that_fails(pair: Pair) -> None:
    laptop, desktop = pair
    theirs = desktop.commit({"b.txt": "b\n"})
    hook = laptop.path / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho no way >&2\nexit 1\n")
    hook.chmod(0o755)
    edit(laptop)
    ran = laptop.syncx("sync", "--no-content", ok=1)
    assert "no way" in ran.event("commit")["error"]
    assert laptop.head() == theirs, "the rest is done all the same"
    assert laptop.read("a.txt") == b"edited\n"


def test_commit_fetch_merge_and_push(pair: Pair) -> None:
    laptop, desktop = pair
    theirs = desktop.commit({"b.txt": "b\n"})
    edit(laptop)
    laptop.syncx("sync", "--no-content")
    assert laptop.contains(theirs)
    assert desktop.head("synced/main") == laptop.head()
    desktop.syncx("sync", "--no-content")
    assert desktop.head() == laptop.head()
    assert desktop.read("a.txt") == b"edited\n"


def test_detached_head(pair: Pair) -> None:
    laptop, _ = pair
    laptop.git("checkout", "--quiet", "--detach")
    edit(laptop)
    before = laptop.head()
    assert "detached" in laptop.syncx("sync", ok=2).err
    assert laptop.head() == before


def test_a_conflict_is_resolved_pushed_and_told(pair: Pair) -> None:
    laptop, desktop = pair
    desktop.commit({"a.txt": "theirs\n"})
    edit(laptop)
    ran = laptop.syncx("sync", "--no-content")
    assert ran.event("merge")["resolved"] == [{"path": "a.txt", "kind": "text", "became": ["a.txt"]}]
    assert sorted(laptop.read("a.txt").split()) == [b"edited", b"theirs"]
    assert desktop.show("synced/main:a.txt") == laptop.read("a.txt")


# Content


def test_content_goes_both_ways_when_nothing_is_preferred(pair: Pair) -> None:
    laptop, desktop = pair
    laptop.commit_annexed({"l.bin": "from the laptop"})
    desktop.commit_annexed({"d.bin": "from the desktop"})
    laptop.syncx("sync")
    assert laptop.read("d.bin") == b"from the desktop"
    assert laptop.git("cat-file", "-e", "desktop/synced/git-annex", ok=None).code == 0
    desktop.syncx("merge")
    assert desktop.read("l.bin") == b"from the laptop"
    assert holders(desktop, "l.bin") == {"laptop", "desktop"}


def test_second_push_carries_the_location_log(net: Network, pair: Pair) -> None:
    laptop, _ = pair
    hub = net.clone(laptop, "hub", bare=True)
    net.connect((laptop, hub))
    laptop.commit_annexed({"l.bin": "content"})
    laptop.syncx("sync", "hub")
    late = net.clone(hub, "late")
    described = late.annex("whereis", "l.bin").out
    assert "laptop" in described
    assert "hub" in described


def test_preferred_content_is_honoured(pair: Pair) -> None:
    laptop, desktop = pair
    desktop.annex("wanted", "here", "include=*.jpg")
    desktop.annex("sync", "--quiet", "--no-content")
    laptop.commit_annexed({"photo.jpg": "photo", "film.mkv": "film"})
    laptop.syncx("sync")
    desktop.syncx("merge")
    assert desktop.read("photo.jpg") == b"photo"
    assert not (desktop.path / "film.mkv").exists(), "a broken link"


@pytest.mark.parametrize("how", ["option", "git config", "git annex config", "annex-ignore"])
def test_no_content(pair: Pair, how: str) -> None:
    laptop, desktop = pair
    laptop.commit_annexed({"l.bin": "content"})
    if how == "git config":
        laptop.config("annex.synccontent", "false")
    elif how == "git annex config":
        laptop.annex("config", "--quiet", "--set", "annex.synccontent", "false")
    elif how == "annex-ignore":
        laptop.config("remote.desktop.annex-ignore", "true")
    laptop.syncx("sync", *(["--no-content"] if how == "option" else []))
    assert desktop.head("synced/main") == laptop.head()
    desktop.syncx("merge")
    assert desktop.files() == ["a.txt", "l.bin"]
    assert not (desktop.path / "l.bin").exists()


def test_content_to_a_special_remote(net: Network, pair: Pair) -> None:
    laptop, _ = pair
    store = net.root / "store"
    store.mkdir()
    laptop.annex("initremote", "--quiet", "store", "type=directory", f"directory={store}", "encryption=none")
    laptop.commit_annexed({"l.bin": "content"})
    ran = laptop.syncx("sync", "store")
    assert ran.event("transfer", "store")["result"] == "done"
    stored = [path for path in store.rglob("*") if path.is_file() and "tmp" not in path.relative_to(store).parts]
    assert [path.read_bytes() for path in stored] == [b"content"]


def test_remote_that_is_away_holds_up_nobody(net: Network, pair: Pair) -> None:
    laptop, desktop = pair
    usb = net.clone(laptop, "usb")
    net.connect((laptop, usb))
    laptop.syncx("sync", "--no-content")
    usb.path.rename(net.root / "unplugged")
    laptop.commit_annexed({"l.bin": "content"})
    ran = laptop.syncx("sync")
    assert ran.event("fetch", "usb")["result"] == "away"
    assert not any(event["event"] in ("push", "transfer") and event["remote"] == "usb" for event in ran.events)
    desktop.syncx("merge")
    assert desktop.read("l.bin") == b"content"


def test_bare_repository_syncs(net: Network, pair: Pair) -> None:
    laptop, _ = pair
    hub = net.clone(laptop, "hub", bare=True)
    hub.git("remote", "remove", "origin", ok=None)
    hub.git("remote", "add", "laptop", str(laptop.path))
    theirs = laptop.commit_annexed({"l.bin": "content"})
    hub.syncx("sync")
    assert hub.head("main") == theirs


def test_a_repository_without_a_commit_is_told_what_comes_first(net: Network) -> None:
    told = net.create("laptop").syncx("sync").event("merge")
    assert (told["result"], told["commits"]) == ("current", 0)
    assert "no commit yet" in told["reason"]
