"""Programs of the user's hear of changes and of what keeps failing, and none of them harms a run."""

from __future__ import annotations

import http.server
import json
import os
import shlex
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from network import Network, Node
from sshd import free_port
from watching import nothing_is_left, trigger

from git_annex_syncx.git.git import open_repository
from git_annex_syncx.model import Outcome, Result
from git_annex_syncx.runs import notifications
from git_annex_syncx.runs.context import open_context
from git_annex_syncx.runs.notifications import DAY, Notifier, change, changes, to_tell
from git_annex_syncx.system import notify
from git_annex_syncx.system.records import Failure
from git_annex_syncx.triggers import tasks

NOW = 1_800_000_000.0
WRITE = """\
import json, os, sys
with open(sys.argv[1], "a") as told:
    print(json.dumps({k: v for k, v in os.environ.items() if k.startswith("SYNCX_")}), file=told)
"""


@pytest.fixture(autouse=True)
def tidy(net: Network) -> Iterator[None]:
    """No process of a test outlives it."""
    yield
    nothing_is_left(net)


@dataclass
class Told:
    """What a program of the user's was told: a dictionary of SYNCX_* variables each time."""

    file: Path

    @property
    def all(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    @property
    def events(self) -> list[str]:
        return [one["SYNCX_EVENT"] for one in self.all]

    def last(self, event: str) -> dict[str, str]:
        return [one for one in self.all if one["SYNCX_EVENT"] == event][-1]


def listening(node: Node, key: str = "syncx.onChange") -> Told:
    """Let a program that writes down what it hears be called."""
    told, program = node.net.root / f"{node.name}-told", node.net.root / "write.py"
    program.write_text(WRITE)
    node.config(key, shlex.join([sys.executable, str(program), str(told)]))
    return Told(told)


def level_hub(net: Network) -> tuple[Node, Node]:
    laptop, hub = net.create("laptop"), net.create("hub", bare=True)
    laptop.commit({"a.txt": "one\ntwo\nthree\n"})
    net.connect((laptop, hub))
    for key, value in (("syncx.settleTime", "0.2s"), ("syncx.retries", "1")):
        laptop.config(key, value)
    laptop.syncx("sync")
    return laptop, hub


@pytest.fixture
def hub(net: Network) -> tuple[Node, Node]:
    """A laptop and a bare hub that has all."""
    laptop, bare = net.made_by(level_hub)
    return laptop, bare


def uuid_of(node: Node) -> str:
    return node.git("config", "annex.uuid").out.strip()


# syncx.onChange


def test_pushed_and_transferred(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    told, before = listening(laptop), laptop.head()
    laptop.syncx("sync")
    assert told.all == [], "nothing has changed"
    made = laptop.commit_annexed({"b.bin": "content"})
    laptop.syncx("sync")
    assert [event for event in told.events if event != "pushed"] == ["transferred"]
    pushed = told.all[0]
    assert pushed["SYNCX_EVENT"] == "pushed"
    assert (pushed["SYNCX_REMOTE"], pushed["SYNCX_UUID"]) == ("hub", uuid_of(bare))
    assert (pushed["SYNCX_BRANCH"], pushed["SYNCX_OLD"], pushed["SYNCX_NEW"]) == ("main", before, made)
    assert pushed["SYNCX_REPOSITORY"] == str(laptop.path)
    assert "SYNCX_RUN" not in pushed
    moved = told.last("transferred")
    assert (moved["SYNCX_REMOTE"], moved["SYNCX_FILES"], moved["SYNCX_BYTES"]) == ("hub", "1", "7")
    assert json.loads(moved["SYNCX_DETAILS"])["files"] == 1


def test_received_merged_and_conflict_resolved(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    desktop = net.clone(bare, "desktop")
    ours = laptop.commit({"a.txt": "one\nours\nthree\n"})
    theirs = desktop.commit({"a.txt": "one\ntheirs\nthree\n"})
    desktop.git("push", "--quiet", "hub", "main:synced/main")
    told = listening(laptop)
    laptop.syncx("pull")
    assert told.events == ["received", "merged", "conflict-resolved"]
    received, merged, resolved = told.all
    assert (received["SYNCX_REMOTE"], received["SYNCX_UUID"], received["SYNCX_NEW"]) == ("hub", uuid_of(bare), theirs)
    assert (merged["SYNCX_REMOTE"], merged["SYNCX_OLD"], merged["SYNCX_NEW"]) == ("", ours, laptop.head())
    assert [one["path"] for one in json.loads(resolved["SYNCX_DETAILS"])["resolved"]] == ["a.txt"]


def test_a_push_that_was_received(hub: tuple[Node, Node], net: Network) -> None:
    laptop, _ = hub
    desktop = net.clone(laptop, "desktop")
    told, before = listening(laptop), laptop.head()
    theirs = desktop.commit({"d.txt": "d\n"})
    desktop.git("push", "--quiet", "laptop", "main:synced/main")
    trigger(laptop, "received")
    assert {"received", "merged", "pushed"} <= set(told.events)
    received = told.last("received")
    assert (received["SYNCX_REMOTE"], received["SYNCX_OLD"], received["SYNCX_NEW"]) == ("", before, theirs)


def test_a_drive_that_is_ready(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    told = listening(laptop)
    node = open_context(open_repository(laptop.path))
    for event in notifications.announced(node, tasks.drive(node, node.settings.remotes["hub"])):
        assert isinstance(event, Outcome)
    ready = told.last("drive-ready")
    assert (ready["SYNCX_REMOTE"], ready["SYNCX_UUID"]) == ("hub", uuid_of(bare))
    assert ready["SYNCX_PATH"] == str(bare.path)


def test_odd_names_of_remotes(hub: tuple[Node, Node]) -> None:
    laptop, _bare = hub
    told = listening(laptop)
    for name in (b"a&b", b"$(touch${IFS}gone)", "ä'\";x".encode(), b"b\xffd"):
        laptop.git("remote", "rename", "hub" if not told.all else os.fsencode(told.all[-1]["SYNCX_REMOTE"]), name)
        laptop.commit({"b.txt": repr(name)})
        laptop.syncx("push")
        assert told.all[-1]["SYNCX_REMOTE"] == os.fsdecode(name)
    assert not (laptop.path / "gone").exists()


def test_a_program_may_run_syncx_itself(hub: tuple[Node, Node]) -> None:
    laptop, _ = hub
    count = laptop.net.root / "count"
    laptop.config("syncx.onChange", f"echo x >> '{count}'; git-annex-syncx push")
    laptop.commit({"b.txt": "b\n"})
    laptop.syncx("push")
    assert count.read_text() == "x\n"


HARMLESS = {
    "fails": "exit 3",
    "is not there": "no-such-program",
    "has no sense": "(((",
    "prints megabytes": "yes | head -c 20000000; yes | head -c 2000000 >&2",
    "kills its group": "kill 0; sleep 50",
    "kills its parent": 'kill -9 "$PPID"',
    "kills its parent's group": 'kill -9 "-$(ps -o pgid= -p "$PPID" | tr -d " ")"; sleep 5',
    "reads": "cat",
    "leaves something in the background": "sleep 4 &",
}


def test_programs_that_misbehave_harm_nothing(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    for kind, command in HARMLESS.items():
        laptop.config("syncx.onChange", command)
        made = laptop.commit({"b.txt": kind})
        begun = time.monotonic()
        ran = laptop.syncx("push")
        assert time.monotonic() - begun < 30, kind
        assert ran.event("push", "hub")["result"] == "done"
        assert ran.events[-1]["failed"] == 0
        assert bare.head("main") == made
        assert len(ran.err) < 20_000, kind
        assert "Traceback" not in ran.err
        if kind in ("fails", "is not there", "has no sense"):
            assert command in ran.err


def test_a_program_that_hangs_is_ended(hub: tuple[Node, Node], caplog: pytest.LogCaptureFixture) -> None:
    laptop, _ = hub
    node, begun = open_context(open_repository(laptop.path)), time.monotonic()
    mark = laptop.net.root / "mark"
    with Notifier(node, limit=1.0) as notifier:
        notifier.tell("trap '' TERM; sleep 50; sleep 50", change("pushed"))
        notifier.tell("sleep 50", change("merged"))
        notifier.tell("", change("nothing is to be told"))
        for _ in range(5):
            notifier.tell(f"touch '{mark}'", change("transferred"))
    assert time.monotonic() - begun < 15
    assert not mark.exists()
    assert "not done after" in caplog.text
    assert "not run for transferred" in caplog.text


def test_one_that_is_slow_does_not_hold_up_the_run(hub: tuple[Node, Node]) -> None:
    node = open_context(open_repository(hub[0].path))
    go_on, done = node.repo.home / "go-on", node.repo.home / "done"
    with Notifier(node, limit=30.0) as notifier:
        notifier.tell(f"until test -e '{go_on}'; do sleep 0.02; done; touch '{done}'", change("pushed"))
        go_on.touch()
    assert done.exists(), "but is waited for at the end"


def test_what_is_no_change() -> None:
    assert list(changes(Outcome("push", Result.CURRENT, "hub"))) == []
    assert list(changes(Outcome("push", Result.FAILED, "hub"))) == []
    assert list(changes(Outcome("commit", Result.DONE))) == []
    (moved,) = changes(Outcome("transfer", Result.FAILED, "hub", details={"files": 2, "failed": 1}))
    assert (moved["SYNCX_EVENT"], moved["SYNCX_FILES"]) == ("transferred", "2"), "some came through"
    assert list(changes(Outcome("transfer", Result.FAILED, "hub", details={"files": 0, "failed": 1}))) == []


def test_what_an_environment_cannot_hold() -> None:
    assert change("pushed", "a\0b")["SYNCX_REMOTE"] == "ab"
    many = [{"path": "x" * 100}] * 10_000
    for told in changes(Outcome("merge", Result.DONE, details={"resolved": many, "new": "1"})):
        assert (told["SYNCX_DETAILS"], told["SYNCX_NEW"]) == ("", "1")


# syncx.onFailure


def failure(tries: int) -> Failure:
    return Failure("hub", "push", NOW, NOW, "no route", tries, NOW + 1)


def test_when_the_user_is_told() -> None:
    assert [to_tell(failure(tries), None, NOW) for tries in (1, 2, 3, 4)] == [False, False, True, True]
    assert not to_tell(failure(4), NOW, NOW + DAY - 1)
    assert to_tell(failure(9), NOW, NOW + DAY)
    assert to_tell(failure(4), NOW + 100, NOW), "the clock was set back"


def test_a_failure_that_persists_is_told_once_a_day_and_when_it_is_over(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    told = listening(laptop, "syncx.onFailure")
    hook = bare.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    laptop.commit({"b.txt": "b\n"})
    for _ in range(2):
        laptop.syncx("push", ok=1)
    assert told.all == []
    for _ in range(2):
        laptop.syncx("push", ok=1)
    (first,) = told.all
    assert (first["SYNCX_EVENT"], first["SYNCX_PHASE"], first["SYNCX_REMOTE"]) == ("failure", "push", "hub")
    assert (first["SYNCX_UUID"], first["SYNCX_TRIES"]) == (uuid_of(bare), "3")
    assert "was refused" in first["SYNCX_ERROR"]
    assert "keeps failing" in first["SYNCX_TITLE"]
    assert "failed 3 times since" in first["SYNCX_TEXT"]
    outbox = laptop.path / ".git" / "annex" / "syncx" / "outbox.sqlite"
    with sqlite3.connect(outbox) as db:
        db.execute("UPDATE notices SET at = at - 86401 WHERE phase = 'push' AND remote = 'hub'")
    laptop.syncx("push", ok=1)
    assert told.events == ["failure", "failure"]
    hook.unlink()
    laptop.syncx("push")
    laptop.syncx("push")
    assert told.events == ["failure", "failure", "recovered"]
    assert "works again" in told.last("recovered")["SYNCX_TITLE"]


# syncx.notify


@dataclass
class Inbox(http.server.ThreadingHTTPServer):
    """A server that keeps what is posted to it."""

    posts: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Post)


class Post(http.server.BaseHTTPRequestHandler):
    """One post."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Inbox)
        self.server.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A server of Apprise's kind `json:`."""
    with Inbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def failing(laptop: Node) -> Node:
    """A remote that has failed twice."""
    laptop.git("remote", "add", "dead", "ssh://127.0.0.1:1/nowhere")
    outbox = laptop.path / ".git" / "annex" / "syncx" / "outbox.sqlite"
    row = ("dead", "push", time.time(), time.time(), "x", 2, time.time())
    with sqlite3.connect(outbox) as db:
        db.execute("INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return laptop


def test_apprise_tells_of_what_persists_also_where_one_address_is_dead(hub: tuple[Node, Node], inbox: Inbox) -> None:
    pytest.importorskip("apprise")
    laptop = failing(hub[0])
    laptop.commit({"apprise.py": "raise SystemExit(1)\n", "json.py": "raise SystemExit(1)\n", "b.txt": "b\n"})
    for port in (free_port(), inbox.server_port):
        laptop.git("config", "--add", "syncx.notify", f"json://user:secret@127.0.0.1:{port}/")
    ran = laptop.syncx("push", ok=1)
    assert ran.event("push", "hub")["result"] == "done"
    (post,) = inbox.posts
    assert post["title"] == "git-annex-syncx: push with dead keeps failing"
    assert "failed 3 times since" in post["message"]
    assert "not every address of syncx.notify could be told" in ran.err
    assert "secret" not in ran.err


def test_an_address_that_is_none(hub: tuple[Node, Node]) -> None:
    pytest.importorskip("apprise")
    laptop = failing(hub[0])
    laptop.config("syncx.notify", "what is this")
    assert "not every address" in laptop.syncx("push", ok=1).err


def test_without_apprise(hub: tuple[Node, Node]) -> None:
    laptop = failing(hub[0])
    laptop.config("syncx.notify", "json://127.0.0.1:1/")
    hidden = "import sys; sys.modules['apprise'] = None; from git_annex_syncx.cli import main; main()"
    ran = laptop.run(sys.executable, "-c", hidden, "--json", "push", ok=1)
    assert "pip install 'git-annex-syncx[notify]'" in ran.err
    assert "Traceback" not in ran.err
    assert ran.event("push", "hub")["result"] == "current"


def test_apprise_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and never answers."""
    pytest.importorskip("apprise")
    from sshd import Proxy

    with Proxy(None) as dead:
        begun = time.monotonic()
        with pytest.raises(Exception, match=r"given up|not every address"):
            notify.send([f"json://127.0.0.1:{dead.port}/"], "title", "text", 2.0)
        assert time.monotonic() - begun < 20
