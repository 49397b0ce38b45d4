"""Status tells of content: who has what, how what is missing comes, what runs, what monitoring has to know."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import Network, Node
from test_messages import on_terminal

from git_annex_syncx.content import counts
from git_annex_syncx.content.known_plans import KnownPlans
from git_annex_syncx.content.steps import planner_of
from git_annex_syncx.git.git import open_repository
from git_annex_syncx.model import OUTSIDE
from git_annex_syncx.network.plan import Question
from git_annex_syncx.runs.context import open_context
from git_annex_syncx.runs.phase_run import running
from git_annex_syncx.system.records import Running
from git_annex_syncx.system.state import State
from git_annex_syncx.views import metrics


def chain(net: Network) -> tuple[Node, Node, Node]:
    """A laptop and a desktop with a hub between them; a file is at the laptop and not yet anywhere else."""
    laptop, hub = net.create("laptop"), net.create("hub", bare=True)
    laptop.commit({"a.txt": "a"})
    net.connect((laptop, hub))
    laptop.syncx("sync", "--no-content")
    desktop = net.clone(hub, "desktop")
    for node in (desktop, laptop, desktop, laptop):
        node.syncx("sync")
    laptop.commit_annexed({"film.mkv": "film" * 500, "dir/note": "note"})
    return laptop, hub, desktop


@pytest.fixture
def nodes(net: Network) -> list[Node]:
    return net.made_by(chain)


def uuid(node: Node) -> str:
    return node.git("config", "annex.uuid").out.strip()


def state(node: Node) -> State:
    return State(node.git_dir / "annex" / "syncx" / "outbox.sqlite")


def of(node: Node, name: str, *args: str) -> dict[str, Any]:
    """What is said of one repository."""
    return next(one for one in node.syncx("status", *args).events if one.get("name") == name)


def test_what_is_missing_comes_by_steps_of_the_plan(nodes: list[Node], net: Network) -> None:
    laptop, hub, desktop = nodes
    told = of(laptop, "hub")["content"]
    assert (told["wants"], told["has"], told["lacks"], told["lacks_bytes"]) == (2, 0, 2, 2004)
    assert told["brought_by"] == {uuid(laptop): 2}
    told = of(laptop, "desktop")
    assert told["remote"] is None and told["branch"] == "unknown" and told["last_seen"] is not None
    (way,) = told["content"]["steps"]
    assert told["content"]["brought_by"] == {uuid(desktop): 2}, "it fetches, as the hub makes no connections"
    assert (way["from"], way["to"], way["first"]) == (uuid(hub), uuid(desktop), [uuid(laptop), uuid(hub)])
    shown = laptop.run("git-annex-syncx", "status", "desktop").out
    assert re.search(r"^waits +2 kB  film\.mkv: until hub has it$", shown, re.MULTILINE), shown
    assert (
        "hub lacks 2 files that can travel now\n  git annex-syncx transfer hub"
        in laptop.run("git-annex-syncx", "status").out
    )
    # what is said then helps
    laptop.syncx("transfer", "hub")
    assert of(laptop, "hub")["content"]["lacks"] == 0
    (laptop.git_dir / "annex" / "syncx" / "plans.json").write_text('{"format": 1, "plans": {"x": 3}}')
    assert of(laptop, "desktop")["content"]["steps"][0]["first"] == [uuid(hub), uuid(desktop)]
    # a drive in a drawer keeps what is known of it; a name that is nobody's is an error
    hub.path.rename(hub.path.with_name("drawer"))
    told = of(laptop, "hub")
    assert (told["presence"], told["content"]["has"]) == ("away", 2)
    assert "there is no remote or group 'nobody'" in laptop.syncx("status", "nobody", ok=2).err


def test_readers_do_not_wait_for_a_look_at_everything(nodes: list[Node]) -> None:
    laptop = nodes[0]
    lock = laptop.git_dir / "annex" / "syncx" / "counts.lock"
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = laptop.syncx("status")
        assert ran.event("repository", "hub")["content"] is None and ran.event("summary")["counted_at"] is None
        fcntl.flock(held, fcntl.LOCK_UN)
        laptop.syncx("status")
        fcntl.flock(held, fcntl.LOCK_EX)
        long_ago = time.time() - 3600
        os.utime(lock, (long_ago, long_ago))
        laptop.commit_annexed({"new": "new"})
        ran = laptop.syncx("status")
        assert ran.event("repository", "hub")["content"]["lacks"] == 2, "as it was"
        assert ran.event("summary")["counted_at"] == pytest.approx(long_ago)
        assert "files as they were 1 h ago" in laptop.run("git-annex-syncx", "status").out


def test_what_is_not_where_it_is_recorded_has_no_way(nodes: list[Node]) -> None:
    laptop, hub, _ = nodes
    laptop.syncx("transfer", "hub")
    laptop.annex("drop", "--quiet", "film.mkv", "dir/note")
    for held in hub.path.glob("annex/objects/*/*/*/*"):
        held.parent.chmod(0o755)
        held.unlink()
    laptop.syncx("transfer", ok=1)
    told = laptop.syncx("status", "laptop")
    assert {one["reason"] for one in told.events if one["event"] == "status-file"} == {
        "those who are said to have it do not"
    }
    content = told.events[0]["content"]
    assert (content["lacks"], content["no_way"], content["later"]) == (2, 2, 0)


def test_too_few_copies(nodes: list[Node]) -> None:
    laptop, _, desktop = nodes
    laptop.annex("numcopies", "3")
    laptop.syncx("transfer", "hub")
    laptop.annex("wanted", uuid(desktop), "exclude=*.mkv")
    short = laptop.syncx("status").event("summary")["below_numcopies"]
    assert (short["files"], short["planned"], short["takers"]) == (2, 1, {uuid(desktop): 2})
    assert "2 files with too few copies; to take some: desktop (2)" in laptop.run("git-annex-syncx", "status").out
    laptop.annex("untrust", "hub")
    takers = laptop.syncx("status").event("summary")["below_numcopies"]["takers"]
    assert takers == {uuid(desktop): 2}, "more copies there would not count"


def test_a_run_tells_how_far_it_is(nodes: list[Node]) -> None:
    laptop = nodes[0]
    big = os.urandom(600_000)
    laptop.commit_annexed({"big": big})
    laptop.config("syncx.bwlimit", "200k")
    process = laptop.start("transfer", "hub")
    try:
        while not (found := running(state(laptop))):
            assert process.poll() is None
            time.sleep(0.02)
        assert (found[0].pid, found[0].files) == (process.pid, 3)
        assert "a run since 20" in laptop.run("git-annex-syncx", "status").out
        assert laptop.syncx("status").event("summary")["running"][0]["total"] == 602_004
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert running(state(laptop)) == ()
    state(laptop).running.put(Running(process.pid, time.time(), time.time(), 1, 0, 0, 1))  # one that was killed
    assert running(state(laptop)) == ()


def test_monitoring(nodes: list[Node], net: Network) -> None:
    laptop, hub, _ = nodes
    of_hub = uuid(hub)
    laptop.syncx("transfer", "hub")
    everybody = laptop.run("git-annex-syncx", "status", "--check")
    assert everybody.out == "OK: 3 repositories\n"
    state(laptop).record_successes({("hub", phase): time.time() - 200_000 for phase in ("contact", "fetch")})
    hub.path.rename(hub.path.with_name("drawer"))
    assert re.fullmatch(
        r"hub was not reached for too long \(since 20[^)]*\)\n",
        laptop.run("git-annex-syncx", "status", "--check", "--max-age", "2d", ok=1).out,
    )
    assert laptop.run("git-annex-syncx", "status", "--check", "--max-age", "3d").code == 0
    assert laptop.run("git-annex-syncx", "status", "--check", "--except", "hub").code == 0
    laptop.syncx("push", "hub")  # away is no failure
    laptop.config('remote.od"d\\.url', "ssh://127.0.0.1:1/x")
    (problem,) = laptop.syncx("status", 'od"d\\', "--check", ok=1).events
    assert (problem["event"], problem["kind"]) == ("problem", "unseen")
    laptop.syncx("push", 'od"d\\', ok=1)
    (problem,) = laptop.syncx("status", 'od"d\\', "--check", ok=1).events
    assert problem["kind"] == "unseen", "what has failed just now may still mend itself"
    state(laptop).record_failure('od"d\\', "push", "refused")
    told = laptop.syncx("status", 'od"d\\', "--check", "--max-age", "0.001s", ok=1).events
    assert [one["kind"] for one in told] == ["unseen", "failure"]
    # the same as metrics
    laptop.run("git-annex-syncx", "status", "--metrics", "here.prom")
    text = (laptop.path / "here.prom").read_text()
    assert f'git_annex_syncx_files_held{{repository="hub",uuid="{of_hub}"}} 2\n' in text
    assert 'git_annex_syncx_failures{repository="od\\"d\\\\",uuid=""} 1\n' in text
    for line in text.splitlines():
        assert re.fullmatch(r'#.*|[a-z_]+(\{repository="([^"\\]|\\.)*",uuid="[0-9a-f-]*"\})? [0-9.e+]+', line), line
    assert not list(laptop.path.glob(".here.prom*")), "written whole"
    assert "mkdir -p" in laptop.run("git-annex-syncx", "status", "--metrics", "no/such", ok=1).err


@given(st.text())
def test_labels_are_whole(name: str) -> None:
    told = metrics.escaped(name)
    assert "\n" not in told and re.fullmatch(r'([^"\\]|\\[\\"])*', told)


def test_watch_needs_a_terminal_and_ends_by_ctrl_c(nodes: list[Node]) -> None:
    laptop = nodes[0]
    refused = laptop.run("git-annex-syncx", "status", "--watch", ok=2).err
    assert "status --watch draws on a terminal" in refused and "git annex-syncx status shows it once" in refused
    for wrong in (("--watch", "--check"), ("--json", "--watch"), ("--check", "--metrics", "x")):
        laptop.run("git-annex-syncx", "status", *wrong, ok=2)
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(laptop.path)
        os.execvpe("git-annex-syncx", ["git-annex-syncx", "status", "--watch"], laptop.net.env(TERM="xterm"))
    said = b""
    while b"next automatic run" not in said:
        said += os.read(terminal, 65536)
    os.write(terminal, b"\x03")
    with pytest.raises(OSError):
        while True:
            os.read(terminal, 65536)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(terminal)


@pytest.mark.parametrize("columns", [80, 40])
def test_it_is_read_on_a_terminal(nodes: list[Node], columns: int) -> None:
    laptop = nodes[0]
    laptop.git("remote", "add", "a-rather-long-name", "ssh://127.0.0.1:1/x")
    shown = on_terminal(laptop, "status", columns=columns)
    rows = [line for line in shown.splitlines() if line.lstrip().startswith(("hub", "desktop", "laptop (here)"))][:3]
    assert len(rows) == 3 and all(len(line) <= columns for line in rows), shown


def test_the_next_automatic_run(nodes: list[Node]) -> None:
    laptop = nodes[0]

    def following() -> dict[str, Any]:
        found: dict[str, Any] = laptop.syncx("status").event("summary")["next_run"]
        return found

    assert following()["by"] == [] and "service install" in following()["text"]
    requests = laptop.git_dir / "annex" / "syncx" / "requests"
    requests.mkdir(exist_ok=True)
    (requests / "content").touch()
    assert following()["asked"] == ["content"] and "git annex-syncx retry" in following()["text"]
    (requests / "content").unlink()
    laptop.syncx("hooks", "install")
    assert following()["by"] == ["hooks"]
    laptop.syncx("pause")
    assert "paused" in following()["text"]


def test_plans_that_are_kept_are_those_that_would_be_made(nodes: list[Node]) -> None:
    laptop, hub, _ = nodes
    context = open_context(open_repository(laptop.path))
    policy = counts.current_policy(context)
    own = uuid(laptop)
    for shut in (frozenset(), frozenset({(own, uuid(hub), True)})):
        for size in (1, 5_000_000):
            question = Question(frozenset({own}), policy.takers - {own} - OUTSIDE.keys(), 3, 3 * size, size)
            fresh = planner_of(policy)(shut, question)
            first = KnownPlans(context.repo, policy)
            assert first(shut, question) == fresh
            first.keep()
            assert json.loads((context.repo.state_dir / "plans.json").read_text())["plans"]
            again = KnownPlans(context.repo, policy)
            again._plan = lambda *_: pytest.fail("it was planned again")
            assert again(shut, question) == fresh
    assert not Path(context.repo.state_dir / "plans.json").stat().st_mode & 0o002
