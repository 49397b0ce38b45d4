"""Which remotes are worked on, and what is left alone: settings, groups, drives, special remotes."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from byhooks import until
from network import Network, Node
from test_killed import before_git_does

STORE = "type=directory&encryption=none&directory="


def with_two_bare(net: Network) -> tuple[Node, Node, Node]:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a"})
    one, two = net.create("one", bare=True), net.create("two", bare=True)
    net.connect((laptop, one), (laptop, two))
    return laptop, one, two


@pytest.fixture
def three(net: Network) -> tuple[Node, Node, Node]:
    """A laptop and two bare repositories that it has nothing of."""
    laptop, one, two = net.made_by(with_two_bare)
    return laptop, one, two


def results(node: Node, *args: str, ok: int = 0) -> dict[str, str]:
    """Remote -> result of a push."""
    events = node.syncx("push", *args, ok=ok).events
    return {event["remote"]: event["result"] for event in events if event.get("remote")}


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("annex-readonly", "true", "annex-readonly is true"),
        ("annex-push", "false", "annex-push is false"),
        ("annex-sync", "false", "annex-sync is false"),
        ("annex-sync-command", "false", "annex-sync-command says no"),
    ],
)
def test_a_remote_is_left_out_by_configuration(
    three: tuple[Node, Node, Node], key: str, value: str, reason: str
) -> None:
    laptop, one, two = three
    laptop.config(f"remote.one.{key}", value)
    ran = laptop.syncx("push")
    skipped = next(event for event in ran.events if event.get("remote") == "one")
    assert (skipped["result"], skipped["reason"]) == ("skipped", reason)
    assert not one.head("main")
    assert two.head("main") == laptop.head()
    assert ran.event("summary")["skipped"] == 1


@pytest.mark.parametrize("key", ["annex-sync", "annex-sync-command"])
def test_naming_a_remote_overrides_annex_sync(three: tuple[Node, Node, Node], key: str) -> None:
    laptop, one, _ = three
    laptop.config(f"remote.one.{key}", "false")
    assert results(laptop, "one") == {"one": "done"}
    assert one.head("main") == laptop.head()


def test_naming_a_readonly_remote_does_not_write_to_it(three: tuple[Node, Node, Node]) -> None:
    laptop, one, _ = three
    laptop.config("remote.one.annex-readonly", "true")
    assert results(laptop, "one") == {"one": "skipped"}
    assert not one.head("main")


def test_annex_sync_command_that_agrees(three: tuple[Node, Node, Node]) -> None:
    laptop, *_ = three
    laptop.config("remote.one.annex-sync-command", "test -d .git && exit 0")
    assert results(laptop) == {"one": "done", "two": "done"}


def test_annex_pull_false_is_not_fetched(three: tuple[Node, Node, Node]) -> None:
    laptop, *_ = three
    laptop.config("remote.one.annex-pull", "false")
    ran = laptop.syncx("pull")
    assert ran.event("fetch", "one")["result"] == "skipped"
    assert not laptop.head("refs/remotes/one/git-annex")
    assert laptop.head("refs/remotes/two/git-annex")


def test_named_remotes_and_exceptions(three: tuple[Node, Node, Node]) -> None:
    laptop, one, two = three
    assert results(laptop, "--except", "one") == {"one": "skipped", "two": "done"}
    assert not one.head("main")
    assert results(laptop, "one", "two", "--except", "two") == {"one": "done", "two": "skipped"}
    assert two.head("main") == one.head("main")


def test_groups_of_git_and_of_git_annex(three: tuple[Node, Node, Node]) -> None:
    laptop, *_ = three
    laptop.syncx("pull")
    laptop.config("remotes.mine", "one two")
    laptop.annex("group", "--quiet", "two", "backup")
    assert set(results(laptop, "mine", "--except", "backup")) == {"one", "two"}
    laptop.commit({"b.txt": "b"})
    assert results(laptop, "backup") == {"two": "done"}
    assert results(laptop, "mine") == {"one": "done", "two": "current"}
    laptop.annex("ungroup", "--quiet", "two", "backup")
    laptop.annex("group", "--quiet", "here", "backup")
    ran = laptop.syncx("push", "backup", ok=2)  # no reason to push to all
    assert "no remote here" in ran.err
    assert set(results(laptop, "--except", "backup")) == {"one", "two"}


def test_an_unknown_remote_is_a_usage_error_with_the_names_there_are(three: tuple[Node, Node, Node]) -> None:
    laptop, one, _ = three
    for args in (("push", "nsa"), ("push", "one", "--except", "nsa"), ("status", "nsa"), ("sync", "nsa")):
        ran = laptop.syncx(*args, ok=2)
        assert ran.out == ""
        assert "nsa" in ran.err
        assert "one, two" in ran.err
    assert not one.head("main")


@pytest.mark.parametrize("empty", [False, True], ids=["missing", "empty mount point"])
def test_a_drive_that_is_not_there_is_away(three: tuple[Node, Node, Node], empty: bool) -> None:
    laptop, one, _ = three
    shutil.rmtree(one.path)
    if empty:
        one.path.mkdir()
    ran = laptop.syncx("push")
    assert ran.event("push", "one")["result"] == "away"
    assert ran.event("push", "two")["result"] == "done"
    assert laptop.syncx("pull").event("fetch", "one")["result"] == "away"
    assert laptop.run("git-annex-syncx", "push").err == "", "not a failure"
    assert empty == one.path.exists()
    assert not list(one.path.iterdir()) if empty else True


def test_a_drive_with_gigabytes_in_place_of_a_link_is_an_error_soon(three: tuple[Node, Node, Node]) -> None:
    laptop, one, _ = three
    shutil.rmtree(one.path)
    one.path.mkdir()
    with (one.path / ".git").open("wb") as file:
        file.truncate(6 << 30)
    ran = laptop.syncx("push", ok=1)
    assert "holds no git repository" in ran.event("push", "one")["error"]
    assert ran.event("push", "two")["result"] == "done"


def test_a_drive_that_comes_back_gets_all(three: tuple[Node, Node, Node]) -> None:
    laptop, one, _ = three
    away = one.path.with_name("drawer")
    one.path.rename(away)
    assert results(laptop)["one"] == "away"
    away.rename(one.path)
    assert results(laptop)["one"] == "done"
    assert one.head("main") == laptop.head()


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.inits
def test_a_drive_that_is_another_repository_is_not_touched(
    three: tuple[Node, Node, Node], net: Network, bare: bool
) -> None:
    laptop, one, _ = three
    laptop.syncx("push")
    shutil.rmtree(one.path)
    other = net.create("one", bare=bare)
    before = other.git("for-each-ref").out
    laptop.commit({"b.txt": "b"})
    for command in ("push", "pull"):
        ran = laptop.syncx(command, ok=1)
        told = ran.event("push" if command == "push" else "fetch", "one")
        assert told["result"] == "failed"
        assert "another repository" in told["error"]
        assert "nothing was written" in told["error"]
        assert "annex-uuid" in told["advice"]
    assert other.git("for-each-ref").out == before
    assert other.git("cat-file", "-e", laptop.head(), ok=None).code != 0, "not even an object"


def test_a_directory_without_a_repository_fails(three: tuple[Node, Node, Node]) -> None:
    laptop, one, _ = three
    shutil.rmtree(one.path)
    one.path.mkdir()
    (one.path / "photo.jpg").write_text("no repository")
    told = laptop.syncx("push", ok=1).event("push", "one")
    assert told["result"] == "failed"
    assert "holds no git repository" in told["error"]
    assert [path.name for path in one.path.iterdir()] == ["photo.jpg"]


def test_a_path_through_file_url_and_relative_path(three: tuple[Node, Node, Node]) -> None:
    laptop, one, two = three
    laptop.git("remote", "set-url", "one", f"file://{one.path}")
    laptop.git("remote", "set-url", "two", "../two")
    assert results(laptop) == {"one": "done", "two": "done"}
    assert one.head("main") == two.head("main") == laptop.head()
    shutil.rmtree(one.path)
    laptop.commit({"b.txt": "b"})
    assert results(laptop) == {"one": "away", "two": "done"}


def test_a_path_below_the_home_directory(net: Network) -> None:
    laptop = net.create("laptop")
    made = laptop.commit({"a.txt": "a"})
    drive = Node(net, "drive", net.home / "drive")
    drive.path.mkdir()
    drive.git("init", "--quiet", "--bare")
    laptop.git("remote", "add", "drive", "~/drive")
    assert results(laptop) == {"drive": "done"}
    assert drive.head("main") == made


def test_a_name_with_dots_and_slashes(three: tuple[Node, Node, Node]) -> None:
    laptop, one, _ = three
    laptop.git("remote", "rename", "one", "nas.home/lan.annex-sync")
    laptop.git("remote", "rename", "two", "nas.home")
    laptop.config("remote.nas.home.annex-readonly", "true")
    assert results(laptop) == {"nas.home/lan.annex-sync": "done", "nas.home": "skipped"}
    assert results(laptop) == {"nas.home/lan.annex-sync": "current", "nas.home": "skipped"}
    assert one.head("main") == laptop.head()


def test_instead_of_and_push_instead_of(three: tuple[Node, Node, Node], net: Network) -> None:
    laptop, one, two = three
    laptop.git("remote", "add", "short", "home:one")
    laptop.config(f"url.{net.root}/.insteadOf", "home:")
    assert results(laptop, "short") == {"short": "done"}
    assert one.head("main") == laptop.head()
    laptop.git("remote", "add", "split", "there:x")
    laptop.config(f"url.{net.root}/two/.insteadOf", "there:")
    laptop.config(f"url.{two.path}.pushInsteadOf", "there:x")
    assert results(laptop, "split") == {"split": "done"}
    assert two.head("main") == laptop.head()
    shutil.rmtree(two.path)
    laptop.commit({"b.txt": "b"})
    assert results(laptop, "split") == {"split": "away"}


def test_a_push_url_of_its_own(three: tuple[Node, Node, Node]) -> None:
    laptop, one, two = three
    laptop.git("remote", "set-url", "--push", "one", str(two.path))
    assert results(laptop, "one") == {"one": "done"}
    assert two.head("main") == laptop.head()
    assert not one.head("main")


def test_a_remote_of_another_repository_without_annex(three: tuple[Node, Node, Node], net: Network) -> None:
    laptop, *_ = three
    plain = Node(net, "plain", net.root / "plain")
    plain.path.mkdir()
    plain.git("init", "--quiet", "--bare")
    net.connect((laptop, plain))
    assert results(laptop, "plain") == {"plain": "done"}
    assert plain.head("main") == laptop.head()


# git through a special remote


@pytest.fixture
def cloud(three: tuple[Node, Node, Node], net: Network) -> tuple[Node, Node, Path]:
    """Two clones whose remote `cloud` is a git repository in a special remote's directory."""
    laptop, *_ = three
    store = net.root / "store"
    store.mkdir()
    laptop.annex("initremote", "--quiet", "store", "type=directory", f"directory={store}", "encryption=none")
    uuid = laptop.git("config", "remote.store.annex-uuid").out.strip()
    desktop = net.clone(laptop, "desktop")
    for node in (laptop, desktop):
        for name in node.git("remote").out.split():
            node.git("remote", "remove", name)
        node.git("remote", "add", "cloud", f"annex::{uuid}?{STORE}{store}")
    return laptop, desktop, store


def heads_in(node: Node) -> dict[str, str]:
    """Branch -> commit of the cloud, as it says itself."""
    rows = (line.split("\t") for line in node.git("ls-remote", "--heads", "cloud").out.splitlines())
    return {name.removeprefix("refs/heads/"): commit for commit, name in rows}


def test_push_and_pull_through_a_special_remote(cloud: tuple[Node, Node, Path]) -> None:
    laptop, desktop, _ = cloud
    assert laptop.syncx("push").event("push", "cloud")["result"] == "done"
    assert heads_in(laptop)["main"] == laptop.head()
    made = desktop.commit({"d.txt": "d"})
    desktop.syncx("pull")
    assert desktop.syncx("push").event("push", "cloud")["result"] == "done"
    laptop.syncx("pull")
    assert laptop.contains(made)


def test_a_push_that_went_over_ours_is_noticed_at_the_next_run(cloud: tuple[Node, Node, Path], net: Network) -> None:
    laptop, _, store = cloud
    laptop.syncx("push")
    old = net.root / "old"
    shutil.copytree(store, old)
    made = laptop.commit({"b.txt": "b"})
    laptop.syncx("push")
    shutil.rmtree(store)
    old.rename(store)  # what the manifest of another's push at the same moment does
    assert heads_in(laptop)["main"] != made
    event = laptop.syncx("push").event("push", "cloud")
    assert event["result"] == "done"
    assert heads_in(laptop)["main"] == made
    assert laptop.syncx("push").event("push", "cloud")["result"] == "current"


def test_a_push_that_another_s_newer_one_hides_is_news_all_the_same(cloud: tuple[Node, Node, Path]) -> None:
    laptop, desktop, _ = cloud
    laptop.syncx("push")
    before, made = laptop.head(), laptop.commit({"b.txt": "b"})
    theirs = "$git pull --quiet cloud main && $git commit --quiet --allow-empty -m d"
    theirs += " && $git push --quiet cloud main main:synced/main"
    before_git_does(laptop, "ls-remote --heads", f"cd {desktop.path} && {theirs}")  # as it verifies
    event = laptop.syncx("push").event("push", "cloud")
    assert laptop.head() == desktop.head() != made, "the other's commit was fetched, and there was nothing to push"
    assert (event["result"], event["branch"], event["old"]) == ("done", "main", before)
    assert {ref["ref"] for ref in event["refs"]} == {"refs/heads/main", "refs/heads/synced/main"}
    laptop.net.programs.pop(0)
    assert laptop.syncx("push").event("push", "cloud")["result"] == "current"


def while_it_is_replaced(node: Node, store: Path) -> Path:
    """Let nobody read the manifest of a store until git has tried to do something there; the exit codes of git."""
    [manifest] = (path for path in store.rglob("GITMANIFEST*") if path.is_file() and path.suffix != ".bak")
    manifest.parent.chmod(0o755)
    away, codes, tools = store / "tmp" / "away", node.net.root / "codes", node.net.root / "tools"
    manifest.rename(away)
    manifest.symlink_to("/proc/self/mem")  # is there, and cannot be read
    tools.mkdir(exist_ok=True)
    (tools / "git").write_text(
        f'#!/bin/sh\ncase " $* " in *" -- cloud "*) ;; *) exec {shutil.which("git")} "$@";; esac\n'
        f'{shutil.which("git")} "$@"; code=$?; echo $code >>{codes}\n'
        f"if [ -e {away} ]; then mv -f {away} {manifest}; fi\nexit $code\n"
    )
    (tools / "git").chmod(0o755)
    node.net.programs[:] = [tools, *(place for place in node.net.programs if place != tools)]
    codes.write_text("")
    return codes


def test_a_store_whose_manifest_is_replaced_meanwhile_is_tried_again(cloud: tuple[Node, Node, Path]) -> None:
    laptop, desktop, store = cloud
    laptop.syncx("push")
    codes = while_it_is_replaced(desktop, store)
    assert desktop.syncx("pull").event("fetch", "cloud")["result"] == "done"
    first, *others = codes.read_text().split()
    assert first == "128" and set(others) == {"0"}
    made = desktop.commit({"d.txt": "d"})
    while_it_is_replaced(desktop, store)
    assert desktop.syncx("push").event("push", "cloud")["result"] == "done"
    assert codes.read_text().split() == ["128", "0", "0"], "the second push, then a look whether it has arrived"
    assert heads_in(laptop)["main"] == made


def test_a_store_that_git_cannot_be_read_back_from_is_said_to_be_one(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a"})
    (store := net.root / "store").mkdir()
    words = ("type=directory", f"directory={store}", "encryption=none", "chunk=1MiB", "--with-url")
    laptop.annex("initremote", "--quiet", "store", *words)
    for _ in range(2):
        assert "chunk=" in laptop.run("git-annex-syncx", "push", ok=1).err


def test_two_that_push_to_one_special_remote_at_once_lose_nothing(cloud: tuple[Node, Node, Path]) -> None:
    laptop, desktop, _ = cloud
    laptop.syncx("push")
    desktop.syncx("pull")
    for node in (laptop, desktop):
        node.config("syncx.settleTime", "0")
    mine, theirs = laptop.commit({"l.txt": "l"}), desktop.commit({"d.txt": "d"})
    for process in [node.start("push") for node in (laptop, desktop)]:
        process.communicate(timeout=120)
    for _ in range(2):
        for node in (laptop, desktop):
            node.syncx("sync", "--no-content", ok=None)
    there = heads_in(laptop)
    for made in (mine, theirs):
        assert laptop.contains(made)
        assert desktop.contains(made)
        assert laptop.contains(made, there["main"]) or laptop.contains(made, there["synced/main"])


def test_bare_repositories_that_git_uses_only_where_they_are_named(net: Network) -> None:
    laptop = net.create("laptop")
    nas, backup = net.create("nas", bare=True), net.create("backup", bare=True)
    net.connect((laptop, nas), (nas, backup))
    with (net.home / ".gitconfig").open("a") as config:
        config.write("[safe]\n\tbareRepository = explicit\n")
    made = laptop.commit_annexed({"a.bin": "a" * 20_000})
    laptop.syncx("sync")
    assert laptop.syncx("sync").event("transfer", "nas")["result"] == "current"
    assert [path.name for path in (nas.path / "annex" / "objects").rglob("SHA256E*") if path.is_file()]
    refused = nas.syncx("status", ok=2)
    advice = f"git-annex-syncx -C {nas.path}"
    assert advice in refused.err
    nas.run(*advice.split(), "hooks", "install")
    try:
        made = laptop.commit({"b.txt": "b"})
        laptop.syncx("push")  # the hook passes it on
        until(lambda: backup.git("--git-dir=.", "rev-parse", "main", ok=None).out.strip() == made, "passed on")
    finally:
        os.kill(int((nas.path / "annex" / "syncx" / "requests.pid").read_text().split()[0]), signal.SIGTERM)
