"""Redundant merges are put off, and a person does not wait."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network import Network, Node
from old_state import keep_facts
from test_merge import parents

from git_annex_syncx.branches import redundant_merge
from git_annex_syncx.git.settings import parse
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system import run
from git_annex_syncx.system.records import Wait
from git_annex_syncx.system.state import State

Pair = tuple[Node, Node]
NEVER = "365d"  # the wait is random: so long that no run comes near its end


def merge_by_syncx(node: Node, *of: str, at: int) -> str:
    """A merge commit as another node would have made it."""
    who = {"NAME": "git-annex-syncx", "EMAIL": "git-annex-syncx@localhost", "DATE": f"@{at} +0000"}
    env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    named = [word for commit in of for word in ("-p", commit)]
    return node.git("commit-tree", *named, "-m", "Merge two heads", f"{of[0]}^{{tree}}", **env).out.strip()


@pytest.fixture
def level(pair: Pair) -> tuple[Node, str, str]:
    """A laptop whose head and a received one are two merges of the same two commits."""
    laptop, _ = pair
    base = laptop.head()
    one = laptop.git("commit-tree", "-p", base, "-m", "one", f"{base}^{{tree}}").out.strip()
    two = laptop.git("commit-tree", "-p", base, "-m", "two", f"{base}^{{tree}}").out.strip()
    ours, theirs = merge_by_syncx(laptop, one, two, at=1), merge_by_syncx(laptop, one, two, at=2)
    laptop.git("reset", "--quiet", "--hard", ours)
    laptop.git("update-ref", "refs/heads/synced/main", theirs)
    return laptop, ours, theirs


def test_redundant_merge_is_put_off(level: tuple[Node, str, str]) -> None:
    laptop, ours, _ = level
    laptop.config("syncx.settleTime", NEVER)
    said = laptop.syncx("merge").event("merge")
    assert said["result"] == "level"
    assert laptop.head() == ours
    due = said["reason"].rpartition(" ")[2]
    assert laptop.syncx("merge").event("merge")["reason"].endswith(due), "the wait does not begin anew"
    assert "differs from others" not in laptop.syncx("status").out, "nothing waits in the outbox"


def test_redundant_merge_is_made_when_due(level: tuple[Node, str, str]) -> None:
    laptop, ours, theirs = level
    laptop.config("syncx.settleTime", "0.2s")
    events = [event["result"] for event in laptop.syncx("merge").events[:-1]]
    assert events == ["level", "done"], "one run looks again"
    assert parents(laptop) == sorted([ours, theirs])


def test_settle_time_zero_merges_at_once(level: tuple[Node, str, str]) -> None:
    laptop, ours, theirs = level
    laptop.config("syncx.settleTime", "0")
    assert laptop.syncx("merge").event("merge")["result"] == "done"
    assert parents(laptop) == sorted([ours, theirs])


def test_person_at_a_terminal_does_not_wait(level: tuple[Node, str, str]) -> None:
    laptop, ours, theirs = level
    laptop.config("syncx.settleTime", NEVER)
    laptop.syncx("merge")
    master, terminal = pty.openpty()
    try:
        done = subprocess.run(
            ("git-annex-syncx", "merge"), cwd=laptop.path, env=laptop.net.env(TERM="dumb"),
            stdin=terminal, stdout=terminal, stderr=terminal, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(terminal)
        os.close(master)
    assert done.returncode == 0
    assert parents(laptop) == sorted([ours, theirs])


def test_commit_of_a_user_is_never_put_off(level: tuple[Node, str, str]) -> None:
    laptop, ours, theirs = level
    laptop.config("syncx.settleTime", NEVER)
    users = laptop.git("commit-tree", "-p", theirs, "-m", "by a user", f"{theirs}^{{tree}}").out.strip()
    laptop.git("update-ref", "refs/heads/synced/main", users)
    assert laptop.syncx("merge").event("merge")["result"] == "done"
    assert parents(laptop) == sorted([ours, users])


def test_merge_made_by_a_user_is_never_put_off(level: tuple[Node, str, str]) -> None:
    laptop, ours, theirs = level
    laptop.config("syncx.settleTime", NEVER)
    users = laptop.git("commit-tree", "-p", theirs, "-p", ours + "^1", "-m", "x", f"{theirs}^{{tree}}").out.strip()
    laptop.git("update-ref", "refs/heads/synced/main", users)
    assert laptop.syncx("merge").event("merge")["result"] == "done"


def test_fast_forward_comes_before_the_wait(net: Network, level: tuple[Node, str, str]) -> None:
    """A node behind two level heads takes one of them at once, and puts off only what is redundant."""
    laptop, ours, theirs = level
    laptop.config("syncx.settleTime", NEVER)
    laptop.git("reset", "--quiet", "--hard", f"{ours}^1^")
    laptop.git("reflog", "expire", "--expire=all", "--all")
    laptop.git("remote", "add", "usb", str(net.root / "usb"))
    laptop.git("update-ref", "refs/remotes/usb/main", ours)
    ran = laptop.syncx("merge")
    assert [event["result"] for event in ran.events[:-1]] == ["done", "level"]
    assert laptop.head() == min(ours, theirs)


def test_nothing_is_pushed_to_a_level_remote(net: Network, level: tuple[Node, str, str]) -> None:
    laptop, ours, theirs = level
    hub = net.clone(laptop, "hub", bare=True)
    hub.git("update-ref", "refs/heads/main", theirs)
    net.connect((laptop, hub))
    laptop.git("update-ref", "-d", "refs/heads/synced/main")
    laptop.config("syncx.settleTime", NEVER)
    ran = laptop.syncx("sync", "--no-content", "hub")
    assert ran.event("push", "hub")["result"] == "level"
    assert (laptop.head(), hub.head("main")) == (ours, theirs)
    assert hub.head("synced/main") == theirs, "came with the clone"


# The wait itself


def settling(path: Path, seconds: str = "10s") -> Context:
    """A node of which only what settle reads is there."""
    from git_annex_syncx.git.git import Repository
    from git_annex_syncx.git.settings import Value

    options = parse([Value("syncx.settletime", seconds, "test")])
    return Context(Repository(path, path, path), options, State(path / "outbox.sqlite"), "10.20261026")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(run, "interactive", lambda: False)
    return settling(tmp_path)


def make_due(node: Context) -> None:
    wait = redundant_merge.pending(node, "main")
    redundant_merge._remember(node, Wait("main", time.time() - 1, wait.repetitions, wait.last))


def test_wait_doubles_up_to_64_times(alone: Context) -> None:
    for repetition in range(9):
        now = time.time()
        longest = 10 * 2 ** min(repetition, redundant_merge.MOST_DOUBLINGS)
        due = redundant_merge.put_off(alone, "main")
        assert due is not None
        assert due <= now + longest + 1
        assert redundant_merge.pending(alone, "main").repetitions == min(repetition, redundant_merge.MOST_DOUBLINGS)
        make_due(alone)
        assert redundant_merge.put_off(alone, "main") is None, "it is made now"
        assert redundant_merge.pending(alone, "main").due == 0


def test_wait_is_kept_and_ends_when_heads_meet(alone: Context) -> None:
    due = redundant_merge.put_off(alone, "main")
    assert redundant_merge.put_off(alone, "main") == due
    redundant_merge.at_rest(alone, "main")
    assert redundant_merge.pending(alone, "main").due == 0


def test_long_ago_is_another_story(alone: Context) -> None:
    redundant_merge._remember(alone, Wait("main", 0.0, 6, time.time() - 10_000))
    redundant_merge.put_off(alone, "main")
    assert redundant_merge.pending(alone, "main").repetitions == 0


def test_clock_that_was_set_back_does_not_stop_merging(alone: Context) -> None:
    redundant_merge._remember(alone, Wait("main", time.time() + 1e6, 0, time.time() + 1e6))
    due = redundant_merge.put_off(alone, "main")
    assert due is not None
    assert due < time.time() + 11


def test_damaged_fact_is_no_wait(alone: Context) -> None:
    """Before version 3 waits were JSON."""
    for rubbish in ("{", "[]", '{"other": 1}', "7"):
        keep_facts(alone.state.path, {"settle main": rubbish})
        assert redundant_merge.pending(alone, "main") == Wait("main")


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, redundant_merge.MOST_DOUBLINGS))
def test_waits_differ_from_node_to_node(repetitions: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "interactive", lambda: False)
        dues = set()
        for name in ("one", "two", "three"):
            (Path(place) / name).mkdir()
            node = settling(Path(place) / name)
            redundant_merge._remember(node, Wait("main", 0.0, repetitions, time.time()))
            dues.add(redundant_merge.put_off(node, "main"))
        assert len(dues) == 3
