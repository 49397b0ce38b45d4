"""Signals by program, broker and XMPP account, each against a real one: who hears what, and what is said when not."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import shlex
import socketserver
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from servers import Authority, Certificate, Mosquitto, Prosody, Server, Silent
from sshd import free_port, wait_until

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.git import credentials
from git_annex_syncx.git.git import Repository, open_repository
from git_annex_syncx.system import run
from git_annex_syncx.triggers.signals import connection
from git_annex_syncx.triggers.signals.channel import LONGEST, Channel
from git_annex_syncx.triggers.signals.channels import open_channel
from git_annex_syncx.triggers.signals.message import decode

ONE, TWO, THREE = (f"{digit * 8}-0000-4000-8000-{digit * 12}" for digit in "123")
PATIENCE = 30.0  # seconds, on a machine that does much else
SOON = 2.0  # seconds within which listeners end: one, on a machine that does nothing else
USERS = {"me": "right ünd=long", "eve": "evil"}
ASKED = '!f() { echo "$1" >>"$HOME/asked"; }; f'


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """A repository of somebody whose helper stores passwords in a file."""
    for name in ("SSH_ASKPASS", "GIT_ASKPASS"):
        monkeypatch.setenv(name, "/bin/false")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / ".gitconfig").write_text("")
    for helper in ("store", ASKED):
        subprocess.run(("git", "config", "--global", "--add", "credential.helper", helper), check=True)
    run.environment.cache_clear()
    subprocess.run(("git", "init", "--quiet", tmp_path / "repo"), check=True)
    yield open_repository(tmp_path / "repo")
    run.environment.cache_clear()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    return authority.certificate("localhost")


def know(repo: Repository, protocol: str, host: str, password: str = USERS["me"]) -> None:
    """Let the helper know a password of `me`."""
    told = f"protocol={protocol}\nhost={host}\nusername=me\npassword={password}\n".encode()
    credentials.approve(repo, credentials.Credential("me", password, told))


def helpers_were_asked(verb: str) -> int:
    asked = Path(os.environ["HOME"], "asked")
    return asked.read_text().split().count(verb) if asked.exists() else 0


class Listening:
    """A channel that listens in a thread while the block runs."""

    def __init__(self, channel: Channel, wait: bool = True) -> None:
        self.heard: list[bytes] = []
        self.connections = 0
        self.error: BaseException | None = None
        self._channel, self._wait = channel, wait
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if self._wait:
            self.wait_for(lambda: self.connections)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> float:
        """Tell it to end; how many seconds it took."""
        begun = time.monotonic()
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return time.monotonic() - begun

    def wait_for(self, condition: Callable[[], object]) -> None:
        wait_until(lambda: condition() or self.error, PATIENCE)
        assert self.error is None, self.error

    def wait_for_error(self) -> SyncxError:
        self._thread.join(PATIENCE)
        assert isinstance(self.error, SyncxError), self.error
        return self.error

    def _listen(self) -> None:
        try:
            self._channel.listen(self.heard.append, self._count, self._stop)
        except BaseException as error:
            self.error = error

    def _count(self) -> None:
        self.connections += 1


@dataclass
class Bell:
    """A way to tell the others: its address, and the server behind it."""

    repo: Repository
    address: str
    server: Server | None = None

    def of(self, uuid: str) -> Channel:
        return open_channel(self.repo, uuid, self.address)

    def listening(self, uuid: str, wait: bool = True) -> Listening:
        return Listening(self.of(uuid), wait)


@contextlib.contextmanager
def ringing(kind: str, repo: Repository, root: Path, authority: Authority, cert: Certificate) -> Iterator[Bell]:
    """A bell of some kind, with its server, and passwords that are right."""
    if kind == "exec":
        yield Bell(repo, f"exec:{_program(root)}")
    elif kind.startswith("mqtt"):
        tls = cert if kind == "mqtts" else None
        with Mosquitto(root, USERS if tls else {}, tls) as broker:
            know(repo, "mqtts", f"localhost:{broker.port}")
            address = f"mqtts://me@localhost:{broker.port}/family/photos?ca={authority.path}"
            yield Bell(repo, address if tls else f"mqtt://127.0.0.1:{broker.port}", broker)
    else:
        know(repo, "xmpp", "localhost")
        with Prosody(root, USERS, cert) as server:
            room = "&join=bell@rooms.localhost" if kind == "room" else ""
            yield Bell(repo, f"xmpp:me@localhost?server=127.0.0.1:{server.port}&ca={authority.path}{room}", server)


def _program(root: Path) -> str:
    """A program whose medium is a file."""
    program, medium = root / "bell program", root / "medium"
    medium.touch()
    program.write_text(
        f'#!/bin/sh\nmedium={shlex.quote(str(medium))}\necho "$1" says\n'
        'case $1 in send) cat >>"$medium";; listen) exec tail -n 0 -f "$medium";; esac\n'
    )
    program.chmod(0o755)
    return shlex.quote(str(program))


@pytest.fixture
def bell(
    request: Any, repo: Repository, tmp_path: Path, authority: Authority, certificate: Certificate
) -> Iterator[Bell]:
    with ringing(request.param, repo, tmp_path, authority, certificate) as made:
        yield made


def bells(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bell", kinds, indirect=True)


# What is told is heard


@bells("exec", "mqtt", "mqtts", "xmpp", "room")
def test_all_others_hear_it(bell: Bell) -> None:
    with bell.listening(ONE) as one, bell.listening(TWO) as two, bell.listening(TWO) as again:
        if bell.server is None:  # a program says nothing of when it listens
            one.wait_for(lambda: one.heard and two.heard and again.heard)
        bell.of(THREE).send(b'{"first": "<&>"}')
        bell.of(ONE).send(b'{"second": 2}', last=False)
        for listening in (one, two, again):
            listening.wait_for(lambda listening=listening: b'{"second": 2}' in listening.heard)
            assert [line for line in listening.heard if line != b"listen says"] == [
                b'{"first": "<&>"}',
                b'{"second": 2}',
            ]
            assert listening.connections == 1
        assert max(one.end(), two.end(), again.end()) < SOON


@bells("mqtt", "mqtts", "xmpp", "room")
def test_one_who_listens_sends_over_the_connection_that_stands(bell: Bell) -> None:
    assert bell.server
    channel = bell.of(ONE)
    assert not channel.send_along(b'{"early": 1}')
    with Listening(channel) as one, bell.listening(TWO) as two, bell.listening(THREE) as three:
        before = connections(bell.server)
        assert channel.send_along(b'{"first": "<&>"}')
        two.end()
        assert channel.send_along(b'{"second": 2}')
        three.wait_for(lambda: len(three.heard) == 2)
        assert three.heard == [b'{"first": "<&>"}', b'{"second": 2}']
        assert two.heard == [b'{"first": "<&>"}']
        assert connections(bell.server) == before
        assert one.connections == 1
        bell.server.stop()
        assert not channel.send_along(b'{"lost": 1}')
    assert not channel.send_along(b'{"late": 1}')


def connections(server: Server) -> int:
    """How many clients have come so far."""
    if isinstance(server, Mosquitto):
        return server.said.count("New client connected")
    return (server.root / "prosody.log").read_text().count("Client connected")


@bells("mqtt", "xmpp", "room")
def test_a_server_that_was_restarted_is_heard_again(bell: Bell, caplog: pytest.LogCaptureFixture) -> None:
    assert bell.server
    with bell.listening(ONE) as one:
        bell.server.restart()
        one.wait_for(lambda: one.connections == 2)
        bell.of(TWO).send(b'{"after": 1}')
        one.wait_for(lambda: b'{"after": 1}' in one.heard)
    assert "trying again" in caplog.text


# What is wrong is said


@pytest.mark.parametrize("address", ["mqtt://127.0.0.1:PORT", "mqtts://localhost:PORT", "xmpp:me@localhost:PORT"])
def test_nobody_there_is_said_at_once_and_tried_again(
    repo: Repository, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    know(repo, "xmpp", "localhost")
    channel = open_channel(repo, ONE, address.replace("PORT", str(free_port())))
    begun = time.monotonic()
    with pytest.raises(SyncxError, match=r"does not answer: .*(refused|Connect call failed)"):
        channel.send(b"{}")
    assert time.monotonic() - begun < 20
    with caplog.at_level(logging.INFO), Listening(channel, wait=False) as listening:
        listening.wait_for(lambda: caplog.text.count("trying again") >= 2)
        assert listening.end() < SOON
    assert listening.error is None
    assert [one.levelname for one in caplog.records if "trying again" in one.message][:2] == [
        "WARNING",
        "INFO",
    ]  # said loudly once


@pytest.mark.parametrize("address", ["mqtt://127.0.0.1:PORT", "mqtts://localhost:PORT", "xmpp:me@localhost:PORT"])
def test_one_who_never_answers_keeps_nobody_waiting(
    repo: Repository, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SEND_LIMIT", 1.0)
    know(repo, "xmpp", "localhost")
    with Silent() as silent:
        channel = open_channel(repo, ONE, address.replace("PORT", str(silent.port)))
        with pytest.raises(SyncxError, match="does not answer"):
            channel.send(b"{}")
        with Listening(channel, wait=False) as listening:
            time.sleep(0.3)
            assert listening.end() < SOON


@bells("mqtts", "xmpp")
def test_a_right_password_is_kept_and_a_wrong_one_forgotten(bell: Bell, repo: Repository) -> None:
    stored = Path(os.environ["HOME"], ".git-credentials")
    assert stored.read_text()
    before = helpers_were_asked("store")
    bell.of(ONE).send(b"{}")
    assert helpers_were_asked("store") == before + 1
    good = stored.read_text()
    for attempt in (lambda: bell.of(ONE).send(b"{}"), lambda: listen_until_it_fails(bell)):
        stored.write_text(good.replace("right", "wrong"))
        with pytest.raises(SyncxError, match="does not accept the password of me") as refused:
            attempt()
        assert "git credential approve" in refused.value.advice
        assert stored.read_text().strip() == ""
    assert helpers_were_asked("erase") == 2
    with pytest.raises(UsageError, match="no credential helper of git knows the password of me"):
        bell.of(ONE).send(b"{}")


def listen_until_it_fails(bell: Bell) -> None:
    with bell.listening(ONE, wait=False) as listening:
        raise listening.wait_for_error()


@bells("mqtts")
def test_a_broker_that_wants_a_user_says_so(bell: Bell) -> None:
    bell.address = bell.address.replace("me@", "")
    with pytest.raises(SyncxError, match="wants a user and a password"):
        bell.of(ONE).send(b"{}")


@pytest.mark.parametrize("kind", ["mqtts", "xmpp"])
@pytest.mark.parametrize(
    "flaw, said", [("unknown", "not signed by an authority"), ("expired", "has expired"), ("other", "another host")]
)
def test_a_bad_certificate_is_refused(
    repo: Repository, tmp_path: Path, authority: Authority, kind: str, flaw: str, said: str
) -> None:
    makers = {
        "unknown": lambda: Authority(tmp_path).certificate("localhost"),
        "expired": lambda: authority.expired("localhost"),
        "other": lambda: authority.certificate("elsewhere.example.org"),
    }
    with ringing(kind, repo, tmp_path, authority, makers[flaw]()) as bell:
        with pytest.raises(SyncxError, match=said):
            bell.of(ONE).send(b"{}")
        with pytest.raises(SyncxError, match=said):
            listen_until_it_fails(bell)


def test_no_password_goes_to_a_server_without_encryption(repo: Repository, tmp_path: Path) -> None:
    know(repo, "xmpp", "localhost")
    with Prosody(tmp_path, USERS, None) as server:
        with pytest.raises(SyncxError, match="offers no encryption"):
            open_channel(repo, ONE, f"xmpp:me@localhost:{server.port}").send(b"{}")
        assert "Authenticated" not in (server.root / "prosody.log").read_text()


@pytest.mark.parametrize(
    "address",
    [
        "mqtt://", "mqtt://me:secret@host", "mqtt://host:99999", "mqtt://host:x", "mqtt://host/a/+", "mqtt://host/a#b",
        "mqtt://host/%23", "mqtts://host?ca=/nowhere/ca.pem", "mqtts://host?verify=no", "mqtt://host?ca=/etc/passwd",
        "mqtt://host/$SYS", "xmpp:", "xmpp:me", "xmpp:@host", "xmpp:me:secret@host", "xmpp:me@host:port",
        "xmpp:me@host?join=room", "xmpp:me@host?ca=/dev/null", "xmpp:me@host?server=", "exec:", "exec:  ",
        "smtp:me@host",
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused_without_telling_a_password(repo: Repository, address: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_channel(repo, ONE, address)
    assert refused.value.advice
    assert "secret" not in str(refused.value)


def test_a_user_name_cannot_add_lines_to_what_helpers_are_asked(repo: Repository) -> None:
    know(repo, "mqtt", "example.org")
    with pytest.raises(UsageError, match="control character"):
        open_channel(repo, ONE, "mqtt://me%0Ahost=example.org@host").send(b"{}")


@pytest.mark.parametrize("address, extra", [("mqtt://host", "mqtt"), ("xmpp:me@host", "xmpp")])
def test_a_missing_package_is_named(
    repo: Repository, address: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(UsageError) as refused:
        open_channel(repo, ONE, address)
    assert refused.value.advice.endswith(f"pip install 'git-annex-syncx[{extra}]'")


def test_a_credential_does_not_show_its_password() -> None:
    assert "secret" not in repr(credentials.Credential("me", "secret", b"password=secret\n"))


# The broker


@bells("mqtts")
def test_a_latecomer_learns_the_last_state_and_no_more(bell: Bell) -> None:
    bell.of(ONE).send(b'{"old": 1}')
    bell.of(ONE).send(b'{"new": 1}')
    bell.of(ONE).send(b'{"passing": 1}', last=False)
    bell.of(TWO).send(b'{"other": 1}')
    with bell.listening(THREE) as three:
        three.wait_for(lambda: len(three.heard) >= 2)
        bell.of(ONE).send(b'{"now": 1}', last=False)
        three.wait_for(lambda: b'{"now": 1}' in three.heard)
    assert sorted(three.heard) == [b'{"new": 1}', b'{"now": 1}', b'{"other": 1}']


@contextlib.contextmanager
def raw_client(port: int, topic: str = "") -> Iterator[tuple[Any, list[tuple[str, bytes]]]]:
    """Somebody else at the broker, and what comes to him."""
    import paho.mqtt.client as paho

    came: list[tuple[str, bytes]] = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_message = lambda _, __, message: came.append((message.topic, message.payload))
    client.on_connect = lambda *_: client.subscribe(topic, 1) if topic else None
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client, came
    finally:
        client.disconnect()
        client.loop_stop()


LISTEN = """\
import pathlib, sys, threading
from git_annex_syncx.git.git import open_repository
from git_annex_syncx.triggers.signals.channels import open_channel
channel = open_channel(open_repository(pathlib.Path(sys.argv[1])), sys.argv[2], sys.argv[3])
channel.listen(lambda _: None, lambda: None, threading.Event())
"""


@bells("mqtt")
def test_the_broker_tells_who_is_there_also_of_one_who_was_killed(bell: Bell) -> None:
    assert bell.server
    topic = f"git-annex-syncx/{ONE}/presence"
    with raw_client(bell.server.port, topic) as (_, came):

        def kinds() -> list[str]:
            return [decode(payload).kind for _, payload in came]

        with bell.listening(ONE):
            wait_until(lambda: kinds() == ["here"], PATIENCE)
        wait_until(lambda: kinds() == ["here", "gone"], PATIENCE)
        command = (sys.executable, "-c", LISTEN, bell.repo.home, ONE, bell.address)
        with subprocess.Popen(command) as process:
            wait_until(lambda: kinds()[2:] == ["here"], PATIENCE)
            process.kill()
        wait_until(lambda: kinds()[2:] == ["here", "gone"], PATIENCE)
    with raw_client(bell.server.port, "#") as (_, left):
        wait_until(lambda: left, PATIENCE)
    assert [(where, json.loads(what)["kind"], json.loads(what)["uuid"]) for where, what in left] == [
        (topic, "gone", ONE)
    ]


@bells("mqtt")
def test_garbage_and_floods_do_not_break_a_listener(bell: Bell) -> None:
    assert bell.server
    with bell.listening(ONE) as one, raw_client(bell.server.port) as (evil, _):
        for count in range(3):
            evil.publish(f"git-annex-syncx/{TWO}", bytes(1 << 20), qos=1, retain=True).wait_for_publish(PATIENCE)
            evil.publish(f"git-annex-syncx/garbage{count}", b"\0\xff\n" * 300, qos=1).wait_for_publish(PATIENCE)
            evil.publish("git-annex-syncx/a/b/c", b"not ours", qos=1).wait_for_publish(PATIENCE)
        for _ in range(3000):
            evil.publish(f"git-annex-syncx/{TWO}", b"{}", qos=0)
        bell.of(TWO).send(b'{"news": 1}')
        one.wait_for(lambda: b'{"news": 1}' in one.heard)
        assert one.heard.count(b"\0\xff\n" * 300) == 3
        assert max(map(len, one.heard)) == 900  # what was larger did not come at all
        assert one.connections == 1


@bells("mqtt")
def test_a_broker_that_knows_no_mqtt_5(bell: Bell) -> None:
    assert bell.server
    with OldBroker(bell.server.port) as old:
        bell.address = f"mqtt://127.0.0.1:{old.server_address[1]}"
        with bell.listening(ONE) as one, raw_client(bell.server.port) as (evil, _):
            bell.of(TWO).send(b'{"news": 1}')
            one.wait_for(lambda: b'{"news": 1}' in one.heard)
            evil.publish("git-annex-syncx/garbage", bytes(1 << 20), qos=1)
            one.wait_for(lambda: len(one.heard) == 2)
            assert len(one.heard[1]) == LONGEST  # cut
    assert old.refused == 2


class OldBroker(socketserver.ThreadingTCPServer):
    """Passes on all but MQTT 5, which it refuses."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), OldConnection)
        self.target, self.refused = port, 0

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class OldConnection(socketserver.BaseRequestHandler):
    server: OldBroker

    def handle(self) -> None:
        import socket

        first = self.request.recv(4096)
        if first[first.index(b"MQTT") + 4] == 5:
            self.server.refused += 1
            self.request.sendall(b"\x20\x02\x00\x01")
            return
        with socket.create_connection(("127.0.0.1", self.server.target)) as broker:
            broker.sendall(first)
            threading.Thread(target=self._carry, args=(broker, self.request), daemon=True).start()
            self._carry(self.request, broker)

    def _carry(self, here: Any, there: Any) -> None:
        with contextlib.suppress(OSError):
            while chunk := here.recv(65536):
                there.sendall(chunk)
        with contextlib.suppress(OSError):
            there.shutdown(1)


# The account


@bells("xmpp")
def test_only_the_account_itself_is_heard_and_garbage_is_cut(bell: Bell, authority: Authority) -> None:
    from git_annex_syncx.triggers.signals.session import Session

    assert bell.server
    at = ("127.0.0.1", bell.server.port)
    form = "<message to='{}' type='headline'><signal xmlns='urn:git-annex-syncx:1'>{}</signal></message>"
    nothing = "<message to='{}' type='{}'><body>hello</body></message>"

    class Looking(Session):
        """One who notes who is there."""

        there: set[str] = set()  # noqa: RUF012 - of one object only

        def _notice(self, presence: Any) -> None:
            self.there.add(str(presence["from"]))

    async def disturb() -> None:
        tls = connection.checking("", str(authority.path))
        me = Looking("me@localhost/phone", USERS["me"], tls, "", None)
        eve = Session("eve@localhost/x", USERS["eve"], tls, "", None)
        await me.log_in(at)
        await eve.log_in(at)
        await me.appear()
        (listener,) = (one for one in me.there if "/syncx." in one)
        eve.send_raw(form.format(listener, "forged"))
        eve.send_raw(nothing.format(listener, "chat") + f"<presence to='{listener}' type='subscribe'/>")
        await eve.ping()
        me.send_raw(form.format(listener, "x" * 100_000))
        me.send_raw(form.format(listener, "") + nothing.format(listener, "chat") + nothing.format(listener, "error"))
        me.send_raw(
            f"<message to='{listener}'><signal xmlns='urn:git-annex-syncx:1'>{'<b/>' * 5000}</signal></message>"
        )
        await me.ping()
        with contextlib.suppress(SyncxError):  # more than the server takes
            me.send_raw(form.format(listener, "y" * (1 << 20)))
            await me.attend(me.ping())
        await asyncio.gather(me.leave(), eve.leave())

    with bell.listening(ONE) as one:
        connection.call(disturb())
        bell.of(TWO).send(b'{"news": 1}')
        one.wait_for(lambda: b'{"news": 1}' in one.heard)
        assert one.connections == 1
    assert one.heard == [b"x" * LONGEST, b"", b"", b'{"news": 1}']


@bells("room")
def test_the_room_is_private(bell: Bell, repo: Repository) -> None:
    assert bell.server
    with bell.listening(ONE) as one:
        told = f"protocol=xmpp\nhost=localhost\nusername=eve\npassword={USERS['eve']}\n".encode()
        credentials.approve(repo, credentials.Credential("eve", USERS["eve"], told))
        bell.address = bell.address.replace("me@", "eve@", 1)
        with pytest.raises(SyncxError, match="does not let eve@localhost in"):
            bell.of(TWO).send(b"{}")
        assert one.heard == []


# The program


def test_a_program_that_ends_is_run_again_without_our_mark(
    repo: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    command = 'echo "${SYNCX_RUN-none} $SYNCX_UUID $1"; echo why >&2; exit 3 #'
    script = Path(repo.home, "script")
    script.write_text(command)
    with Listening(open_channel(repo, ONE, f"exec:sh {shlex.quote(str(script))}")) as listening:
        listening.wait_for(lambda: len(listening.heard) >= 2)
        assert listening.end() < SOON
    assert set(listening.heard) == {f"none {ONE} listen".encode()}
    assert listening.connections >= 2
    assert "listen has ended: why" in caplog.text


def test_a_program_that_prints_without_end_costs_no_memory(repo: Repository) -> None:
    command = "f() { head -c 60000000 /dev/zero; echo; echo after; sleep 60; }; f"
    tracemalloc.start()
    try:
        with Listening(open_channel(repo, ONE, f"exec:{command}")) as listening:
            listening.wait_for(lambda: b"after" in listening.heard)
            assert listening.end() < SOON
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert listening.heard == [bytes(LONGEST), b"after"]
    assert peak < 10_000_000


def test_a_program_that_fails_or_hangs_says_so(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from git_annex_syncx.triggers.signals import program

    monkeypatch.setattr(program, "SEND_LIMIT", 0.5)
    with pytest.raises(SyncxError, match=r"^no-such-program send: .*not found"):
        open_channel(repo, ONE, "exec:no-such-program").send(b"{}")
    with pytest.raises(SyncxError, match="not done after"):
        open_channel(repo, ONE, "exec:sleep 60; :").send(b"{}")
