"""Whoever runs first makes a step that both ends of its arc can make; what runs by itself leaves it to the source."""

from __future__ import annotations

import time

from network import Network, together
from sshd import wait_until
from test_transfer import keys_on_disk, make_known
from test_waiting import key_of

LEFT_FOR = 10.0  # seconds, as docs/plan.md says


def test_who_runs_first_makes_the_step(net: Network) -> None:
    a = net.create("a")
    a.commit_annexed({"x": "x\n" * 100, "y": "y\n" * 200})
    b = net.clone(a, "b")
    net.mesh(a, b)
    make_known(a, b)
    x, y = key_of(a, "x"), key_of(a, "y")
    (planned,) = b.syncx("plan").events[-1]["plans"]
    (step,) = planned["steps"]
    assert (step["executor"], len(step["executors"]), step["operation"]) == (step["from"], 2, "push")
    assert b.syncx("transfer", "x").event("transfer", "a")["files"] == 1
    assert keys_on_disk(b) == {x}, "the target, which is the second end"
    assert a.syncx("transfer").event("transfer", "b")["files"] == 1
    assert keys_on_disk(b) == {x, y}, "or the source"


def test_both_at_once_end_well(net: Network) -> None:
    a = net.create("a")
    a.commit_annexed({f"f{n}": f"{n}\n" * 1000 for n in range(12)})
    b = net.clone(a, "b")
    net.mesh(a, b)
    make_known(a, b)
    told = together([a, b], "transfer")
    assert keys_on_disk(b) == keys_on_disk(a)
    results = [event for ran in told for event in ran.events if event["event"] == "transfer"]
    assert {event["result"] for event in results} <= {"done", "skipped", "current"}, results
    for node in (a, b):
        node.syncx("sync", "--no-content")
        assert all(event["result"] == "current" for event in node.syncx("transfer").events[:-1])


def test_a_run_by_itself_leaves_a_step_to_its_source_for_a_while(net: Network) -> None:
    """a sends the branches alone; the hook of b fetches the content when a has had its time."""
    a = net.create("a")
    a.commit({"a.txt": "a\n"})
    b = net.clone(a, "b")
    net.mesh(a, b)
    make_known(a, b)
    b.syncx("hooks", "install")
    a.commit_annexed({"x": "x\n" * 100})
    begun = time.time()
    a.syncx("push")
    wait_until(lambda: key_of(a, "x") in keys_on_disk(b), 120)
    assert time.time() - begun >= LEFT_FOR
