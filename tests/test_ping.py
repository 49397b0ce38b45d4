"""A dead man's switch: syncx.ping is asked as a run by itself begins and ends, and can harm none."""

from __future__ import annotations

import http.server
import os
import pty
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from network import Network, Node
from test_speed import imported, python

from git_annex_syncx import __version__
from git_annex_syncx.runs.ping import below, request


@dataclass
class Switch(http.server.ThreadingHTTPServer):
    """A server that remembers what it was asked for."""

    asked: list[str] = field(default_factory=list)
    answer: int = 200

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Ask)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/ping/SECRET"


class Ask(http.server.BaseHTTPRequestHandler):
    """One question."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Switch)
        self.server.asked.append(self.path.removeprefix("/ping/SECRET"))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def switch() -> Iterator[Switch]:
    server = Switch()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_is_asked_at_start_success_and_failure(pair: tuple[Node, Node], switch: Switch, net: Network) -> None:
    laptop, desktop = pair
    laptop.config("syncx.ping", switch.address)
    laptop.syncx("push")
    assert switch.asked == ["/start", ""]
    laptop.git("remote", "add", "dead", "ssh://127.0.0.1:1/x")
    laptop.syncx("push", "dead", ok=1)
    assert switch.asked[2:] == ["/start", "/fail"]
    # no person's run, and nothing is loaded for it where it is not set
    ours, theirs = pty.openpty()
    subprocess.run(["git-annex-syncx", "push", "desktop"], cwd=laptop.path, env=net.env(TERM="dumb"),
                   stdin=theirs, stdout=theirs, stderr=theirs, check=True)  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert len(switch.asked) == 4
    loaded = imported(python(desktop, "push"))
    assert "sh" in loaded and not loaded & {"http.client", "git_annex_syncx.runs.ping"}


def test_a_switch_that_is_gone_or_refuses_harms_no_run_and_is_named_nowhere(
    pair: tuple[Node, Node], switch: Switch
) -> None:
    laptop, desktop = pair
    switch.answer = 404
    laptop.config("syncx.ping", switch.address)
    laptop.commit({"a.txt": "a\n"})
    ran = laptop.syncx("push")
    assert desktop.head("synced/main") == laptop.head() and "127.0.0.1 answered 404" in ran.err
    laptop.config("syncx.ping", "http://127.0.0.1:1/SECRET")
    ran = laptop.syncx("push")
    assert "127.0.0.1 did not answer (Connection refused)" in ran.err and "SECRET" not in ran.err
    # one that takes the connection and says nothing
    with socket.create_server(("127.0.0.1", 0)) as silent:
        laptop.config("syncx.ping", f"http://127.0.0.1:{silent.getsockname()[1]}/SECRET")
        begun = time.monotonic()
        ran = laptop.syncx("push")
        assert time.monotonic() - begun < 60 and "did not answer" in ran.err and "SECRET" not in ran.err
    laptop.config("syncx.ping", "htps://example.org/SECRET")
    refused, found = laptop.syncx("push", ok=2), laptop.syncx("doctor", ok=1)
    assert "syncx.ping must be an http or https address" in refused.err and "SECRET" not in refused.err
    assert "git config --replace-all syncx.ping https://hc-ping.com/YOUR-UUID" in found.out
    assert "SECRET" not in found.out + found.err


def test_parts_are_added_before_a_query() -> None:
    assert below("https://hc-ping.com/u", "start") == "https://hc-ping.com/u/start"
    assert below("https://kuma/api/push/t/?status=up&x=/", "fail") == "https://kuma/api/push/t/fail?status=up&x=/"


def test_a_password_is_for_the_server_alone() -> None:
    asks = request("https://me:s%40crt@example.org:8080/u?a=@b")
    assert (asks.full_url, asks.host) == ("https://example.org:8080/u?a=@b", "example.org:8080")
    assert asks.unredirected_hdrs["Authorization"] == "Basic bWU6c0BjcnQ="
    assert request("https://example.org/u").header_items() == [("User-agent", f"git-annex-syncx/{__version__}")]
