"""Status: who is ahead or behind, since when, what waits and why; without any connection."""

from __future__ import annotations

import io
import re
import shutil
import time
from typing import Any

import pytest
from network import Network, Node

from git_annex_syncx.views import base


def level_hub(net: Network) -> tuple[Node, Node]:
    laptop, hub = net.create("laptop"), net.create("hub", bare=True)
    laptop.commit({"a.txt": "a"})
    net.connect((laptop, hub))
    laptop.syncx("sync", "--no-content")
    return laptop, hub


@pytest.fixture
def hub(net: Network) -> tuple[Node, Node]:
    """A laptop and a bare hub that has all."""
    laptop, bare = net.made_by(level_hub)
    return laptop, bare


def of(node: Node, remote: str) -> dict[str, Any]:
    """What is said of one remote."""
    return node.syncx("status").event("repository", remote)


def test_current_ahead_behind_and_diverged(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    told = of(laptop, "hub")
    assert (told["branch"], told["ahead"], told["behind"]) == ("current", 0, 0)
    assert told["uuid"] == bare.git("config", "annex.uuid").out.strip()
    assert told["last_seen"] == pytest.approx(time.time(), abs=120)
    for number in range(3):
        laptop.commit({f"{number}.txt": "x"})
    assert (of(laptop, "hub")["branch"], of(laptop, "hub")["ahead"]) == ("ahead", 3)
    other = net.clone(bare, "other")
    other.commit({"o.txt": "o"})
    other.syncx("push")
    laptop.git("fetch", "--quiet", "hub")
    told = of(laptop, "hub")
    assert (told["branch"], told["ahead"], told["behind"]) == ("diverged", 3, 1)
    laptop.git("reset", "--quiet", "--hard", "HEAD~3")
    told = of(laptop, "hub")
    assert (told["branch"], told["ahead"], told["behind"]) == ("behind", 0, 1)


def test_a_remote_that_was_never_reached(hub: tuple[Node, Node], net: Network) -> None:
    laptop, _ = hub
    laptop.git("remote", "add", "new", "ssh://127.0.0.1:1/x")
    told = of(laptop, "new")
    assert (told["branch"], told["ahead"], told["behind"], told["last_seen"]) == ("unknown", None, None, None)
    assert re.search(r"new +unknown +\? +\? +never", laptop.run("git-annex-syncx", "status").out)
    laptop.config("remote.new.annex-ignore", "true")
    assert re.search(r"new +unknown +- +- +never", laptop.run("git-annex-syncx", "status").out), "it takes no content"


def test_a_drive_that_is_away_or_another(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    laptop.commit({"b.txt": "b"})
    shutil.move(bare.path, net.root / "drawer")
    told = of(laptop, "hub")
    assert (told["presence"], told["branch"], told["ahead"]) == ("away", "ahead", 1), "still known"
    assert told["last_seen"] == pytest.approx(time.time(), abs=120)
    net.create("hub", bare=True)
    assert of(laptop, "hub")["presence"] == "other"
    assert "hub: another repository stands in its place" in laptop.run("git-annex-syncx", "status").out


def test_a_lagging_second_branch_does_not_make_it_diverge(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.syncx("pull")
    laptop.commit({"b.txt": "b"})
    laptop.syncx("push")  # desktop's main is checked out and lags behind its synced/main
    assert of(laptop, "desktop")["branch"] == "current"
    desktop.syncx("merge")
    laptop.syncx("pull")
    assert of(laptop, "desktop")["branch"] == "current"


def test_level_where_only_merges_differ(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    other = net.clone(bare, "other")
    mine, theirs = laptop.commit({"l.txt": "l"}), other.commit({"o.txt": "o"})
    tree = None
    heads = []
    for node, parents in ((laptop, (mine, theirs)), (other, (theirs, mine))):
        node.git("fetch", "--quiet", str(laptop.path if node is other else other.path), "main")
        tree = tree or node.git("merge-tree", "--write-tree", mine, theirs).out.strip()
        node.git("merge-tree", "--write-tree", mine, theirs)
        options = [word for parent in parents for word in ("-p", parent)]
        made = node.git(
            "commit-tree", tree, *options, "-m", "merge",
            GIT_COMMITTER_NAME="git-annex-syncx", GIT_COMMITTER_EMAIL="git-annex-syncx@localhost",
        ).out.strip()  # fmt: skip
        heads.append(made)
        node.git("reset", "--quiet", "--hard", made)
    assert heads[0] != heads[1]
    other.git("push", "--quiet", "hub", "main")
    laptop.git("fetch", "--quiet", "hub")
    told = of(laptop, "hub")
    assert told["branch"] == "level"
    laptop.config("syncx.settleTime", "1s")
    first, *_ = laptop.syncx("push").events
    assert (first["remote"], first["result"]) == ("hub", "level"), "the redundant merge is put off"


def test_what_waits_is_told_with_its_reason(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    hook = bare.path / "hooks" / "update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    laptop.commit({"b.txt": "b"})
    laptop.syncx("push", ok=1)
    (failure,) = of(laptop, "hub")["failures"]
    assert set(failure) >= {"phase", "first", "last", "error", "tries", "next"}
    shown = laptop.run("git-annex-syncx", "status")
    for word in ("hub", "ahead 1", "hub: push failed once", "hook declined", "(since 20"):
        assert word in " ".join(shown.out.split())


def test_a_failure_of_the_own_repository_is_told(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    desktop.commit({"a.txt": "theirs"})
    laptop.write("a.txt", "not committed")
    laptop.syncx("pull", ok=1)
    (failure,) = laptop.syncx("status").event("summary")["failures"]
    assert failure["phase"] == "merge"
    assert "a.txt" in failure["error"]
    assert "merge failed once" in laptop.run("git-annex-syncx", "status").out


def test_the_table(hub: tuple[Node, Node]) -> None:
    laptop, _ = hub
    shown = laptop.run("git-annex-syncx", "status")
    assert shown.err == ""
    assert "\x1b" not in shown.out
    for word in ("branch main at", laptop.head()[:10], "repository", "laptop (here)", "hub", "current"):
        assert word in shown.out
    assert shown.out.count(" now ") == 2, "a directory is looked at, others were seen some time ago"


def test_without_remotes_and_without_a_commit(net: Network) -> None:
    laptop = net.create("laptop")
    shown = laptop.run("git-annex-syncx", "status").out
    assert "branch main at no commit" in shown
    assert "git annex-syncx connect" in shown
    summary = laptop.syncx("status").event("summary")
    assert (summary["branch"], summary["commit"], summary["failures"]) == ("main", None, [])


def test_named_remotes_only(hub: tuple[Node, Node], net: Network) -> None:
    laptop, _ = hub
    net.connect((laptop, net.create("two", bare=True)))
    for args, expected in ((("two",), ["two"]), (("--except", "two"), ["laptop", "hub"])):
        events = laptop.syncx("status", *args).events
        assert [event["name"] for event in events if event["event"] == "repository"] == expected


def test_on_an_adjusted_branch_the_basis_counts(hub: tuple[Node, Node]) -> None:
    laptop, _ = hub
    laptop.annex("adjust", "--unlock", "--quiet")
    told = laptop.syncx("status")
    assert told.event("summary")["branch"] == "main"
    assert told.event("repository", "hub")["branch"] == "current"


def test_numbers_end_and_words_begin_at_one_column() -> None:
    shown = io.StringIO()
    grid = base.Grid(["name", "files"], [["nas", "7"], ["desktop", "1234"]], right=["files"])
    base.console_on(shown).print(grid)
    head, _, *rows = filter(None, map(str.strip, shown.getvalue().splitlines()))
    assert [head, *rows] == ["name      files", "nas           7", "desktop    1234"], shown.getvalue()


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.1234, "0.123 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h")]
)
def test_a_duration_is_told_in_the_unit_that_suits_it(seconds: float, shown: str) -> None:
    assert base.duration(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_500_000, "1.5 MB"), (2e12, "2 TB")]
)
def test_a_size_is_told_in_the_unit_that_suits_it(size: float, shown: str) -> None:
    assert base.amount(size) == shown


def test_conflicts_are_told_to_people(net: Network) -> None:
    laptop = net.create("laptop")
    names = [f"{number:02}.variant-{number:04x}.txt" for number in range(12)]
    laptop.commit(dict.fromkeys(names, "a\n"))
    shown = ", ".join(f"{number:02}.txt" for number in range(10))
    assert f"12 conflicts to look at: {shown}, ..." in laptop.run("git-annex-syncx", "status").out
    told = laptop.syncx("status")
    assert told.events[0]["variants"] == len(told.event("summary")["conflicts"]) == 12
    laptop.git("rm", "--quiet", *names[10:])
    laptop.commit()
    assert f"10 conflicts to look at: {shown}\n" in laptop.run("git-annex-syncx", "status").out
