"""Many push at once: all commits arrive, none is reported that did not, no record is erased."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from network import Network, Node, sample, together
from sshd import wait_until

from git_annex_syncx.branches.push_refs import LostRace, with_earlier
from git_annex_syncx.model import Fate, Outcome, RefReport, Result


def several(net: Network, number: int) -> tuple[Node, list[Node]]:
    """A bare hub and clones of it, each with the hub as its only remote."""
    first = net.create("first")
    first.commit({"a.txt": "a"})
    hub = net.clone(first, "hub", bare=True)
    hub.git("remote", "remove", "origin", ok=None)
    clones = [net.clone(hub, f"clone{n}") for n in range(number)]
    for clone in clones:
        clone.syncx("pull")
        clone.config("syncx.settleTime", "0")
    return hub, clones


def all_at_once(nodes: list[Node], *args: str) -> list[list[dict[str, object]]]:
    """Run syncx in all nodes at the same moment; their events."""
    return [ran.events for ran in together(nodes, *args)]


def hold_back(hub: Node, ref: str, commit: str) -> None:
    """Let somebody else's commit win the race for a ref, in the middle of the next push to it."""
    hook = hub.path / "hooks" / "pre-receive"
    hook.write_text(f'#!/bin/sh\nrm -f "$0"\nunset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/{ref} {commit}\n')
    hook.chmod(0o755)


def test_five_clones_push_to_one_hub_at_the_same_moment(net: Network) -> None:
    hub, clones = several(net, 5)
    made = {clone.name: clone.commit({f"{clone.name}.txt": clone.name}) for clone in clones}
    for clone in clones:
        clone.config("syncx.retries", "10")
    told = all_at_once(clones, "push")
    for clone, events in zip(clones, told, strict=True):
        arrived = hub.contains(made[clone.name], "main") or hub.contains(made[clone.name], "synced/main")
        (result,) = {event["result"] for event in events if event["event"] == "push"}
        assert (result == "done") == arrived, f"{clone.name} said {result}"
        assert arrived, f"{clone.name} gave up: {events}"
    hub.syncx("merge")
    for commit in made.values():
        assert hub.contains(commit, "main")
    hub.git("fsck", "--no-dangling", "--no-progress")


@pytest.mark.thorough
def test_annexed_content_records_of_all_survive_the_race(net: Network) -> None:
    hub, clones = several(net, 4)
    for clone in clones:
        clone.commit_annexed({f"{clone.name}.bin": f"content of {clone.name}"})
        clone.config("syncx.retries", "10")
    all_at_once(clones, "push")
    hub.annex("info", "--fast", "--quiet")  # takes in synced/git-annex
    held = {
        line.split()[-1]
        for line in hub.git("grep", "-h", " 1 ", "git-annex", "--", "*.log").out.splitlines()
    }  # fmt: skip
    for clone in clones:
        assert clone.git("config", "annex.uuid").out.strip() in held, f"the record of {clone.name} is gone"


def test_a_lost_race_is_fetched_merged_and_pushed_again(net: Network) -> None:
    hub, (mine, theirs) = several(net, 2)
    ahead = theirs.commit({"theirs.txt": "theirs"})
    theirs.syncx("push")
    made = mine.commit({"mine.txt": "mine"})
    event = mine.syncx("push").event("push", "hub")
    assert event["result"] == "done"
    assert hub.contains(ahead, "main")
    assert hub.contains(made, "main")
    assert mine.read("theirs.txt") == b"theirs"


@pytest.mark.thorough
def test_a_race_lost_in_the_middle_of_the_push(net: Network) -> None:
    hub, (mine, theirs) = several(net, 2)
    ahead = theirs.commit({"theirs.txt": "theirs"})
    theirs.git("push", "--quiet", "hub", "main:refs/heads/parked")
    made = mine.commit({"mine.txt": "mine"})
    hold_back(hub, "synced/main", ahead)
    event = mine.syncx("push").event("push", "hub")
    assert event["result"] == "done"
    for commit in (made, ahead):
        assert hub.contains(commit, "synced/main")


def test_the_lease_keeps_another_s_record(net: Network) -> None:
    hub, (mine, theirs) = several(net, 2)
    theirs.commit_annexed({"theirs.bin": "theirs"})
    theirs.git("push", "--quiet", "hub", "git-annex:refs/heads/parked")
    record = theirs.head("git-annex")
    mine.commit_annexed({"mine.bin": "mine"})
    hold_back(hub, "synced/git-annex", record)
    mine.syncx("push")
    assert hub.contains(record, "synced/git-annex")
    assert hub.contains(record, "git-annex") or hub.contains(mine.head("git-annex"), "synced/git-annex")
    hub.annex("info", "--fast", "--quiet")
    assert hub.contains(record, "git-annex")


def test_a_race_that_is_never_won_is_a_failure_that_waits(net: Network) -> None:
    hub, (mine,) = several(net, 1)
    mine.config("syncx.retries", "2")
    made = mine.commit({"mine.txt": "mine"})
    counter = hub.path / "counter"
    hook = hub.path / "hooks" / "pre-receive"  # somebody is always faster
    hook.write_text(
        f'#!/bin/sh\nunset GIT_QUARANTINE_PATH\necho x >> "{counter}"\n'
        "for ref in main synced/main; do\n"
        '  old=$(git rev-parse --verify -q "refs/heads/$ref" || git rev-parse main)\n'
        '  new=$(echo "$$ $(wc -l < counter)" | git commit-tree -p "$old" "$old^{tree}")\n'
        '  git update-ref "refs/heads/$ref" "$new"\ndone\n'
    )
    hook.chmod(0o755)
    ran = mine.syncx("push", ok=1)
    event = ran.event("push", "hub")
    assert event["result"] == "failed"
    assert "first" in event["error"]
    assert len(counter.read_text().split()) == 3, "one try and two more"
    assert not hub.contains(made, "main")
    (waiting,) = mine.syncx("status").event("repository", "hub")["failures"]
    assert (waiting["phase"], waiting["tries"]) == ("push", 1)
    hook.unlink()
    assert mine.syncx("push").event("push", "hub")["result"] == "done"
    assert hub.contains(made, "main")


def test_a_race_whose_merge_is_refused_changes_nothing(net: Network) -> None:
    hub, (mine, theirs) = several(net, 2)
    theirs.commit({"a.txt": "theirs"})
    theirs.syncx("push")
    made = mine.commit({"mine.txt": "mine"})
    mine.write("a.txt", "not committed")
    event = mine.syncx("push", ok=1).event("push", "hub")
    assert event["result"] == "failed"
    assert "a.txt" in event["error"]
    assert mine.head() == made
    assert mine.read("a.txt") == b"not committed"
    assert not hub.contains(made, "main")


FIRST, SECOND, RECORDS = (
    {"branch": branch, "old": old, "new": new}
    for branch, old, new in (("main", "a", "b"), ("main", "b", "c"), ("git-annex", "x", "y"))
)


@pytest.mark.parametrize(
    ("earlier", "fate", "last", "result", "told"),
    [
        (FIRST, Fate.LOST, {}, Result.CURRENT, {}),
        (FIRST, Fate.UPDATED, {}, Result.DONE, FIRST),
        (FIRST, Fate.UPDATED, SECOND, Result.DONE, {**SECOND, "old": "a"}),
        (RECORDS, Fate.UPDATED, SECOND, Result.DONE, SECOND),
        (FIRST, Fate.UPDATED, RECORDS, Result.DONE, FIRST),
    ],
)
def test_what_all_tries_together_have_brought(
    earlier: dict[str, object], fate: Fate, last: dict[str, object], result: Result, told: dict[str, object]
) -> None:
    lost = LostRace("others push first", "", (RefReport("refs/heads/main", fate, ""),))
    lost.details = earlier
    now = (RefReport("refs/heads/synced/main", Fate.UPDATED, ""),) if last else ()
    outcome = Outcome("push", Result.DONE if last else Result.CURRENT, "hub", None, now, details=last)
    after = with_earlier(outcome, [lost, LostRace("there is more")])
    assert (after.result, after.details) == (result, told)
    assert after.refs == (lost.reports if fate is Fate.UPDATED else ()) + now


def test_whoever_was_reached_before_the_merge_gets_it_too(net: Network) -> None:
    hub, (mine, theirs) = several(net, 2)
    drive = net.create("drive", bare=True)
    net.connect((mine, drive))
    mine.syncx("pull")
    theirs.commit({"theirs.txt": "theirs"})
    theirs.syncx("push")
    mine.commit({"mine.txt": "mine"})
    mine.syncx("push")
    assert drive.head("main") == hub.head("main") == mine.head()


@pytest.mark.parametrize("command", sample(["sync", "push"], 1))
def test_two_processes_in_one_repository_do_no_harm(net: Network, command: str) -> None:
    hub, (mine, theirs) = several(net, 2)
    hook, received, go_on = hub.path / "hooks" / "pre-receive", hub.path / "received", hub.path / "go-on"
    for turn in range(2):
        ahead = theirs.commit({f"theirs{turn}.txt": "theirs"})
        theirs.syncx("push")
        made = mine.commit({f"mine{turn}.txt": "mine"})
        hook.write_text(
            "#!/bin/sh\ntouch received\nfor n in $(seq 800); do test -e go-on && exit; sleep 0.05; done\n"
        )
        hook.chmod(0o755)
        with ThreadPoolExecutor(3) as pool:
            words = (command, *["--no-content"][: command == "sync"])
            running = [pool.submit(together, [mine], *words) for _ in range(3)]
            wait_until(received.exists, 60)
            assert not any(one.done() for one in running), "all are at it while one of them pushes"
            go_on.touch()
            for one in running:
                one.result()
        for path in (hook, received, go_on):
            path.unlink()
        mine.syncx("push")
        for commit in (ahead, made):
            assert hub.contains(commit, "main")
        theirs.syncx("pull")
    assert mine.git("status", "--porcelain").out == ""
    mine.git("fsck", "--no-dangling", "--no-progress")


def test_killed_in_the_middle_the_next_run_completes(net: Network) -> None:
    hub, (mine,) = several(net, 1)
    started, go_on = hub.path / "started", hub.path / "go-on"
    hook = hub.path / "hooks" / "pre-receive"
    hook.write_text(f'#!/bin/sh\ntouch "{started}"\nwhile ! test -e "{go_on}"; do sleep 0.02; done\n')
    hook.chmod(0o755)
    made = mine.commit_annexed({"mine.bin": "mine"})
    process = mine.start("push")
    try:
        wait_until(started.exists)
        process.kill()
        process.communicate(timeout=20)
    finally:
        go_on.touch()
    hook.unlink()
    assert mine.syncx("push").event("push", "hub")["result"] in ("done", "current")
    assert hub.contains(made, "main")
    mine.git("fsck", "--no-dangling", "--no-progress")
