"""Stores and media that refuse: few tries, a reason in a line, and what mends it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from network import Network, Node
from servers import require
from sshd import Proxy, wait_until

from git_annex_syncx import reasons
from git_annex_syncx.errors import ProgramFailed

FILES = 8


class Store(BaseHTTPRequestHandler):
    """A WebDAV server that agrees to all, until it is told to answer otherwise: 0 ends the connection, -1 hangs."""

    protocol_version = "HTTP/1.1"
    status: ClassVar[int] = 201
    asked: ClassVar[set[str]] = set()
    over: ClassVar[threading.Event] = threading.Event()

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        Store.asked.add(self.path.rpartition("/")[2])
        if Store.status <= 0:
            if Store.status < 0:
                Store.over.wait(120)
            self.close_connection = True
            return
        self.send_response(Store.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_HEAD = do_DELETE = do_PROPFIND = do_MKCOL = do_MOVE = answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(port: int = 0) -> Iterator[int]:
    """The store; its port."""
    Store.status, Store.over = 201, threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", port), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        Store.over.set()
        server.shutdown()


@contextlib.contextmanager
def black_hole(port: int) -> Iterator[None]:
    """A port at which no connection is ever made: its queue is full."""
    with contextlib.ExitStack() as held:
        full = held.enter_context(socket.socket())
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(("127.0.0.1", port))
        full.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield


def test_a_store_that_refuses(net: Network) -> None:
    laptop = net.create("laptop")
    with serving() as port:
        options = ("type=webdav", f"url=http://127.0.0.1:{port}/x", "encryption=none")
        login = {"WEBDAV_USERNAME": "me", "WEBDAV_PASSWORD": "secret"}
        laptop.run("git-annex", "initremote", "--quiet", "dav", *options, **login)
        laptop.commit_annexed({f"{n}.bin": f"{n}" * 20_000 for n in range(FILES)})

        def failed() -> tuple[str, str]:
            Store.asked.clear()
            told = laptop.syncx("transfer", ok=1).event("transfer", "dav")
            assert told["failed"] == FILES and len(told["error"]) < 140
            assert sum(name.startswith("SHA256E") for name in Store.asked) < FILES, "two in a row are enough"
            return told["error"], told["advice"]

        Store.status = 401
        error, advice = failed()
        assert f"WebDAV 127.0.0.1:{port}: 401 Unauthorized" in error
        assert "WEBDAV_USERNAME=... WEBDAV_PASSWORD=... git annex enableremote dav" in advice
        said = laptop.run("git-annex-syncx", "transfer", ok=1).err
        assert said.count("401 Unauthorized") <= 4, "not a line for each file"
        Store.status = 0
        assert "ended without an answer" in failed()[0]
        Store.status = -1
        laptop.config("syncx.stallTimeout", "2s")
        assert "no progress for 2 s" in failed()[0], "small files, of which git-annex tells no progress"
    assert "Connection refused" in failed()[0]
    laptop.config("syncx.connectTimeout", "1s")
    with black_hole(port):
        told = laptop.syncx("transfer", ok=1).event("transfer", "dav")
        assert f"127.0.0.1:{port} does not answer" in told["error"]


def test_a_dead_host_behind_rsync(net: Network) -> None:
    require("rsync")
    laptop = net.create("laptop")
    laptop.annex("initremote", "--quiet", "rs", "type=rsync", "rsyncurl=127.0.0.1:rs", "encryption=none")
    laptop.commit_annexed({f"{n}.bin": f"{n}" * 20_000 for n in range(FILES)})
    laptop.config("syncx.connectTimeout", "1s")
    with Proxy(None) as dead:
        laptop.config("remote.rs.annex-ssh-options", f"-p {dead.port}")
        told = laptop.syncx("transfer", ok=1).event("transfer", "rs")
        assert told["failed"] == FILES
        assert 0 < dead.connections < 2 * FILES, "three for a file that is tried"


S3 = (
    'S3Error {s3StatusCode = Status {statusCode = 404, statusMessage = "Not Found"}, s3ErrorCode = "NoSuchBucket", '
    's3ErrorMessage = "The specified bucket does not exist", s3ErrorResource = Nothing, s3ErrorHostId = Nothing}'
)
HEAD = (
    'HttpExceptionRequest Request {\n  host                 = "127.0.0.1"\n  port                 = 5563\n'
    '  secure               = False\n  requestHeaders       = [("Authorization","<REDACTED>")]\n'
    "  responseTimeout      = ResponseTimeoutDefault\n  proxySecureMode      = ProxySecureWithConnect\n}\n "
)
STATUS = (
    '(StatusCodeException (Response {responseStatus = Status {statusCode = 403, statusMessage = "Forbidden"}, x}))'
)
BACKTRACE = (
    "\nHasCallStack backtrace:\n  collectBacktraces, called at libraries/x.hs:169:13 in ghc-internal:GHC.Exception\n"
    "  throwM, called at Messages.hs:387:17 in git-annex-10.20261026-8LAA-git-annex:Messages"
)
REFUSED = "(ConnectionFailure Network.Socket.connect: <socket: 20>: does not exist (Connection refused))"


@pytest.mark.parametrize(
    ("message", "short", "hopeless", "advice"),
    [
        (f"{S3}\n{S3}", "NoSuchBucket: The specified bucket does not exist", True, "git annex fsck --fast --from s"),
        (HEAD + STATUS, "127.0.0.1:5563: 403 Forbidden", True, "AWS_SECRET_ACCESS_KEY=... git annex enableremote s"),
        (HEAD + REFUSED, "127.0.0.1:5563: Connection refused", True, ""),
        (HEAD + "NoResponseDataReceived", "127.0.0.1:5563: the connection was ended without an answer", True, ""),
        (HEAD + "ResponseTimeout", "127.0.0.1:5563: no answer in time", True, ""),
        (HEAD + 'SomethingNew "x"', '127.0.0.1:5563: SomethingNew "x"', False, ""),
        ('user error (gpg ["--decrypt"] exited 2)', "gpg cannot decrypt: No secret key", True, "git annex info s"),
        ("fd:20: hPutBuf: resource vanished (Broken pipe)", "connection lost: Broken pipe", True, ""),
        ("content is not there", "content is not there", False, ""),
        (f"a: hGetBuf: no{BACKTRACE}", "a: hGetBuf: no", False, ""),
        ("unable to check s", "s cannot be reached", True, ""),
        ("Transfer failed", "Transfer failed", False, "git config remote.s.annex-readonly true"),
        ("x: withFile: exhausted (No space left on device)", "no room is left: No space", False, "make room"),
        ("openFd: denied (Read-only file system)", "it cannot be written to", True, "remote.s.annex-readonly true"),
        ("call:\n\n\tgit config --global --add safe.directory /a\nno", "git does not trust it", True, "directory /a"),
        ("Repository x is at unsupported version 99.", "Repository x is at", True, "install a newer git-annex"),
    ],
)  # fmt: skip
def test_reasons(message: str, short: str, hopeless: bool, advice: str) -> None:
    told = reasons.shortened(message)
    assert told.startswith(short) and "\n" not in told
    assert reasons.is_hopeless(told) == hopeless
    assert advice in reasons.mending(told, "s") and bool(reasons.mending(told, "s")) == bool(advice)


def test_a_program_s_backtrace_is_nobody_s_message() -> None:
    said = f"git-remote-annex: a: hGetBuf: hardware fault{BACKTRACE}\n\nfatal: the end{BACKTRACE}"
    said += BACKTRACE.replace("HasCallStack backtrace", "CallStack (from HasCallStack)")
    told = ProgramFailed("git fetch cloud", 128, said, Path("/x")).what
    assert told == "git-remote-annex: a: hGetBuf: hardware fault; fatal: the end"


def test_a_store_that_is_not_verified(net: Network) -> None:
    laptop = net.create("laptop")
    options = ("type=rsync", f"rsyncurl={net.root}/rs", "encryption=none", "autoenable=true")
    laptop.annex("initremote", "--quiet", "rs", *options)
    laptop.commit({"a.txt": "a"})
    desktop = net.clone(laptop, "desktop")
    made = desktop.commit({"b.txt": "b"})
    said = desktop.run("git-annex-syncx", "sync", ok=1).err
    advice = "git annex verifyremote rs"
    assert said.count(advice) == 1 and "pushes nothing" in said
    told = desktop.syncx("transfer", ok=None).event("transfer", "rs")
    assert advice in told["reason"]
    [command] = [line for line in desktop.annex("verifyremote", "rs").out.splitlines() if "--safe" in line]
    desktop.annex(*command.partition("git-annex ")[2].split())
    desktop.syncx("push")
    assert laptop.contains(made, "synced/main")


@pytest.fixture
def drive(net: Network) -> Iterator[Path]:
    """A small drive."""
    place = net.root / "drive"
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place), capture_output=True, check=False
    )
    if mounted.returncode and not os.environ.get("CI"):
        pytest.skip("no drive can be mounted here")
    assert not mounted.returncode, mounted.stderr
    yield place
    subprocess.run(("umount", "--lazy", place), check=True)


def test_a_drive_that_is_full_then_another_user_s_then_read_only(net: Network, drive: Path) -> None:
    laptop = net.create("laptop")
    usb = Node(net, "usb", drive / "usb")
    usb.path.mkdir()
    usb.git("init", "--quiet", "--bare")
    usb.annex("init", "--quiet", "usb")
    usb.config("annex.diskreserve", "0")
    net.connect((laptop, usb))
    laptop.commit_annexed({"a.bin": os.urandom(5_000_000), "b.bin": os.urandom(5_000_000)})
    elsewhere = net.root / "reserve.config"  # where only git-annex sees it
    elsewhere.write_text("[annex]\n\tdiskreserve = 100 petabytes\n")
    usb.config("include.path", str(elsewhere))
    told = laptop.syncx("sync", ok=1).event("transfer", "usb")
    assert "not enough free space" in told["error"] and told["failed"] == 1 and "make room" in told["advice"]
    assert told["no_room"] == 1, "of two files of 5 MB one fits on a drive of 8"
    elsewhere.write_text("")
    told = laptop.syncx("sync").event("transfer", "usb")
    assert (told["files"], told["no_room"]) == (1, 1)
    shown = laptop.run("git-annex-syncx", "plan", "--to", "usb").out
    assert "1 file (5 MB) wanted there, nothing fits, no room for 1 file (5 MB); " in shown
    for command in ("status", "plan"):
        usb.syncx(command)
    os.chown(usb.path, 12345, 12345)
    laptop.commit({"c.txt": "c"})
    told = laptop.syncx("push", ok=1).event("push", "usb")
    assert told["advice"].endswith(f"git config --global --add safe.directory {usb.path}")
    laptop.run(*told["advice"].partition("it: ")[2].split())
    laptop.syncx("push")
    os.chown(usb.path, 0, 0)
    subprocess.run(("mount", "-o", "remount,ro", drive), check=True)
    laptop.commit({"d.txt": "d"})
    told = laptop.syncx("push", ok=1).event("push", "usb")
    assert "Read-only file system" in told["error"]
    laptop.run(*told["advice"].partition("stay so: ")[2].split())
    assert laptop.syncx("sync").event("push", "usb")["result"] == "skipped"
    for command in ("status", "plan"):
        usb.syncx(command)


def test_a_lock_that_was_left_is_nobody_s_push(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    hub = net.create("hub", bare=True)
    net.connect((laptop, hub))
    laptop.syncx("push")
    (hub.path / "refs" / "heads" / "synced").mkdir(exist_ok=True)
    for name in ("main", "synced/main"):
        (hub.path / "refs" / "heads" / f"{name}.lock").touch()
    laptop.commit({"b.txt": "b"})
    error = laptop.syncx("push", "hub", ok=1).event("push", "hub")["error"]
    assert "nobody else has pushed" in error and "failed to update ref" in error


def test_a_format_that_git_annex_does_not_know(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    laptop.config("annex.version", "99")
    assert "annex.version 99" in laptop.syncx("sync", ok=2).err


def test_who_was_stopped_did_not_wait(net: Network, pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    hub = net.create("hub", bare=True)
    net.connect((laptop, hub))
    begun, go = hub.path / "begun", hub.path / "go"
    hook = hub.path / "hooks" / "pre-receive"
    hook.write_text(f'#!/bin/sh\ntouch "{begun}"\nwhile [ ! -e "{go}" ]; do sleep 0.1; done\n')
    hook.chmod(0o755)
    laptop.config("syncx.stallTimeout", "4s")
    process = laptop.start("push", "hub")
    wait_until(begun.exists, 60)
    process.send_signal(signal.SIGSTOP)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(6)  # longer than it would wait for the other side
    process.send_signal(signal.SIGCONT)
    go.touch()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
