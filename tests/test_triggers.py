"""Repositories that keep each other together by hooks alone: no daemon, no cron."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from byhooks import at_rest, hooked, log, settle, state, until
from network import THOROUGH, Network, Node, sample
from sshd import Sshd
from watching import seconds_to_start

from git_annex_syncx.git import drives
from git_annex_syncx.git.git import open_repository
from git_annex_syncx.git.settings import read_settings
from git_annex_syncx.triggers.mounts import Drives
from git_annex_syncx.triggers.queue import Queue, Request

SIZE = 3 if THOROUGH == 1 else 6  # repositories that commit at once


def acquainted(nodes: list[Node]) -> list[Node]:
    """Everybody has met everybody: no more links to tell."""
    for _ in range(2):
        for node in nodes:
            node.syncx("sync", ok=None)
    return nodes


def line(net: Network, *names: str) -> list[Node]:
    """Repositories of which each knows its neighbours."""
    nodes = [net.create(names[0])]
    nodes[0].commit({"a.txt": "a\n"})
    for name in names[1:]:
        nodes.append(net.clone(nodes[-1], name))
    for one, two in itertools.pairwise(nodes):
        net.connect((one, two), (two, one))
    return acquainted(nodes)


def holds(node: Node, path: str) -> bool:
    return (node.path / path).exists()  # through the annexed link


def persistent_commit(node: Node, path: str) -> None:
    """Commit as a user does whose branch may move at that very instant: git says so, and it is done again."""
    node.write(path, node.name)
    node.git("-c", "annex.largefiles=nothing", "add", "--", path)
    until(lambda: node.git("commit", "--quiet", "--message", path, ok=None).code == 0, "a commit")


def merges(node: Node) -> int:
    return int(node.git("rev-list", "--count", "--merges", "main").out)


@pytest.mark.inits
def test_a_commit_travels_along_a_chain_with_its_content_and_back(net: Network) -> None:
    a, b, c = nodes = line(net, "a", "b", "c")
    with hooked(nodes):
        a.commit_annexed({"one.bin": "1" * 5000})
        until(lambda: holds(c, "one.bin"), "content at the far end")
        assert holds(b, "one.bin")
        c.commit({"back.txt": "back\n"})
        until(lambda: holds(a, "back.txt"), "the answer")
        settle(nodes)
        whereis = a.annex("whereis", "one.bin").out
        assert "3 copies" in whereis
        assert not any("failed" in log(node) for node in nodes)


@pytest.mark.thorough
def test_fifty_commits_in_five_seconds_are_few_runs(net: Network) -> None:
    a, b = nodes = line(net, "a", "b")
    with hooked(nodes, pushDelay="1s"):
        begun = time.monotonic()
        for number in range(50):
            a.commit({f"{number}.txt": f"{number}\n"})
            time.sleep(0.05)
        seconds = time.monotonic() - begun
        settle(nodes)
        assert {f"{number}.txt" for number in range(50)} <= set(b.files())
        moves = b.git("reflog", "show", "refs/heads/synced/main").out.splitlines()
        assert len(moves) <= seconds + 4, log(a)  # a run a second


def test_ten_thousand_triggers_are_at_most_two_runs(net: Network) -> None:
    a, b = nodes = line(net, "a", "b")
    counter = net.root / "runs"
    a.config("remote.b.annex-sync-command", f"echo run >>{counter}")
    with hooked(nodes):
        hook = a.path / ".git" / "hooks" / "post-receive"
        a.run(str(hook))
        until(lambda: (state(a) / "requests.pid").exists(), "somebody attends")
        until(lambda: at_rest([a]), "the first run is done")
        counter.write_text("")
        script = f'i=0; while [ $i -lt 10000 ]; do . "{hook}"; i=$((i+1)); done'
        go_on = net.root / "go-on"
        a.config("remote.b.annex-sync-command", f"echo run >>{counter}; until test -e {go_on}; do sleep 0.1; done")
        hook.write_bytes(
            b"\n".join(line for line in hook.read_bytes().splitlines() if b"git annex" not in line) + b"\n"
        )
        a.run("sh", "-c", script)
        go_on.touch()
        a.config("remote.b.annex-sync-command", f"echo run >>{counter}")
        until(lambda: at_rest([a]), "all done")
        # A run asks once for refs and once for content.
        assert 1 <= len(counter.read_text().split()) <= 4
    assert b.head() == a.head()


@pytest.mark.slow
def test_star_with_a_bare_hub_over_ssh(net: Network) -> None:
    with Sshd(net.root / "sshd", net.home) as sshd:
        sshd.join(net)
        origin = net.create("n0")
        origin.commit({"a.txt": "a\n"})
        hub = net.clone(origin, "hub", bare=True)
        hub.git("remote", "remove", "origin")
        nodes = [origin, *(net.clone(origin, f"n{number}") for number in range(1, 4))]
        for node in nodes:
            node.git("remote", "remove", "n0", ok=None)
            node.git("remote", "add", "hub", sshd.url(hub.path))
            # The hub reaches them too: that is how a hub without a daemon passes on.
            hub.git("remote", "remove", node.name, ok=None)
            hub.git("remote", "add", node.name, sshd.url(node.path))
        acquainted(nodes)
        everyone = [*nodes, hub]
        with hooked(everyone):
            for node in nodes:
                node.commit({f"{node.name}.txt": node.name})
            settle(everyone, 120)
            assert {f"{node.name}.txt" for node in nodes} <= set(hub.files("main"))
            nodes[2].commit_annexed({"big.bin": "b" * 100_000})
            until(lambda: all(holds(node, "big.bin") for node in nodes), "content everywhere", 120)
            settle(everyone, 120)


@pytest.mark.slow
@pytest.mark.parametrize("shape", sample(["mesh", "ring"], 1))
def test_many_that_commit_at_once_come_to_rest(net: Network, shape: str) -> None:
    first = net.create("n0")
    first.commit({"a.txt": "a\n"})
    nodes = [first, *(net.clone(first, f"n{number}") for number in range(1, SIZE))]
    if shape == "mesh":
        net.mesh(*nodes)
    else:
        for node in nodes[2 : SIZE - 1]:
            node.git("remote", "remove", "n0")
        for number, node in enumerate(nodes):
            net.connect((node, nodes[(number + 1) % SIZE]), (node, nodes[number - 1]))
    with hooked(nodes, settleTime="2s"):
        for node in nodes:
            persistent_commit(node, f"{node.name}.txt")
        settle(nodes, 180)
        assert {f"{node.name}.txt" for node in nodes} <= set(nodes[-1].files())
        assert merges(nodes[0]) <= 60
        pushes = sum(line.count(": done") for node in nodes for line in log(node).splitlines() if " push " in line)
        assert pushes <= 40 * len(nodes), [log(node) for node in nodes]


def test_adjusted_branch_as_on_a_drive_without_links(net: Network) -> None:
    a, b = nodes = line(net, "a", "b")
    b.annex("adjust", "--unlock")
    with hooked(nodes):
        a.commit_annexed({"one.bin": "1" * 5000})
        until(lambda: holds(b, "one.bin") and b.read("one.bin") == b"1" * 5000, "content unlocked")
        settle(nodes)  # git-annex add gives up where git-annex itself has the index
        b.commit_annexed({"two.bin": "2" * 5000})
        until(lambda: holds(a, "two.bin"), "the other way")
        assert a.read("two.bin") == b"2" * 5000
        settle(nodes)


def test_nobody_is_disturbed_in_a_rebase(net: Network) -> None:
    a, b = nodes = line(net, "a", "b")
    with hooked(nodes):
        (a.path / ".git" / "rebase-merge").mkdir()
        b.commit({"b.txt": "b\n"})
        until(lambda: "busy" in log(a), "the run that found somebody at work")
        assert not holds(a, "b.txt")
        (a.path / ".git" / "rebase-merge").rmdir()
        until(lambda: holds(a, "b.txt"), "the merge afterwards")
        assert a.syncx("status").events[-1]["failures"] == []


def test_commit_hardly_waits_for_the_hook(net: Network) -> None:
    a, _ = nodes = line(net, "a", "b")

    def quickest() -> float:
        found = []
        for number in range(8):
            begun = time.monotonic()
            a.git("commit", "--quiet", "--allow-empty", "--message", f"{number}")
            found.append(time.monotonic() - begun)
        return min(found)

    before, start = quickest(), seconds_to_start(a)
    with hooked(nodes, pushDelay="30s"):
        assert quickest() - before < start, "it waits for no start of the program"


def test_killed_run_leaves_no_lock_and_its_request_is_done_by_the_next(net: Network) -> None:
    a, b = nodes = line(net, "a", "b")
    a.config("remote.b.annex-sync-command", "sleep 1000")
    with hooked(nodes):
        a.commit({"one.txt": "1\n"})
        pid = state(a) / "requests.pid"
        until(lambda: pid.exists() and list(Path(state(a) / "requests").glob("*.taken")), "the run is under way")
        subprocess.run(["kill", "-KILL", pid.read_text().split()[0]], check=True)
        a.config("remote.b.annex-sync-command", "true")
        a.syncx("retry")  # or another run that a hook has started, which has the turn then
        until(lambda: a.head() in (b.head("main"), b.head("synced/main")), "the commit arrives")
        settle(nodes)


def test_what_a_dead_run_had_taken_is_asked_again_before_it_is_forgotten(
    net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests, content = Queue(open_repository(net.create("node").path)), Request("content")
    requests.ask(content)
    requests.take([content])  # and then it died

    def power_fails(*_: object) -> None:
        raise KeyboardInterrupt

    for method in ("ask", "done"):
        monkeypatch.setattr(Queue, method, power_fails)
        with pytest.raises(KeyboardInterrupt), requests.turn(content.group):
            pass
        monkeypatch.undo()
        assert requests.waiting() == {content: 0.0}
    with requests.turn(content.group) as ours:
        assert ours and requests.due(content.group) == {content}
        requests.take([content])
        requests.done([content])
    assert requests.waiting() == {}


def test_what_is_asked_for_later_is_not_due_now(net: Network) -> None:
    requests, content = Queue(open_repository(net.create("node").path)), Request("content")
    requests.ask(content, delay=50)
    assert requests.due(content.group) == set()
    assert 0 < requests.waiting()[content] <= 50
    requests.ask(content, delay=59)
    assert requests.waiting()[content] <= 50, "it has been asked for already"
    requests.ask(content)
    assert requests.due(content.group) == {content}


def test_another_drive_in_the_same_place_is_seen(pair: tuple[Node, Node], net: Network) -> None:
    laptop, desktop = pair
    other = net.create("other")
    repo, seen = open_repository(laptop.path), Drives()
    remotes = read_settings(repo).remotes.values()
    assert seen.look(repo, remotes) == (["desktop"], [])
    assert seen.look(repo, remotes) == ([], [])
    desktop.path.rename(net.root / "drawer")  # in the same file system
    other.path.rename(desktop.path)
    assert seen.look(repo, remotes) == (["desktop"], [])
    (desktop.path / ".git").rename(net.root / "drawer" / "other")
    (net.root / "drawer" / ".git").rename(desktop.path / ".git")  # in the same directory
    assert seen.look(repo, remotes) == (["desktop"], [])
    assert seen.look(repo, remotes) == ([], [])
    shutil.rmtree(desktop.path)
    assert seen.look(repo, remotes) == ([], ["desktop"])


@pytest.mark.parametrize(
    ("mounts", "place", "expected"),
    [
        (["/", "/media/me/usb"], "/media/me/usb/annex.git", True),
        (["/", "/mnt/disk"], "/mnt/disk", False),
        (["/", "/media"], "/media/annex", True),
        (["/", "/home"], "/home/me/annex", False),
        (["/"], "/media/me/annex", False),
        (["/"], "/", False),
    ],
)
def test_places_that_may_be_unplugged(
    mounts: list[str], place: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) in mounts)
    assert drives.may_be_unplugged(Path(place)) is expected
