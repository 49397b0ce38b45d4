"""Push and fetch over a real ssh connection: one a run, none for nothing, no waiting for the dead."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest
from network import Network, Node
from sshd import Proxy, Sshd, free_port


@pytest.fixture
def sshd(net: Network) -> Iterator[Sshd]:
    """A server that the network can log in to."""
    with Sshd(net.root / "sshd", net.home) as server:
        server.join(net)
        yield server


@pytest.fixture
def nas(net: Network, sshd: Sshd) -> Iterator[tuple[Node, Node, Proxy]]:
    """A laptop whose remote `nas` is a bare repository behind a proxy that counts."""
    laptop, nas = net.create("laptop"), net.create("nas", bare=True)
    laptop.commit_annexed({"a.bin": "annexed"})
    with Proxy(sshd.port) as proxy:
        laptop.git("remote", "add", "nas", sshd.url(nas.path, proxy.port))
        yield laptop, nas, proxy


def connections(nas: tuple[Node, Node, Proxy], sshd: Sshd, *args: str) -> int:
    """How many connections a run of syncx makes, after all that came before have ended."""
    laptop, _, proxy = nas
    sshd.disconnect()
    before = proxy.connections
    laptop.syncx(*args)
    return proxy.connections - before


@pytest.mark.inits
def test_one_connection_a_run_and_none_for_nothing(nas: tuple[Node, Node, Proxy], sshd: Sshd) -> None:
    laptop, bare, proxy = nas
    assert connections(nas, sshd, "push") == 1, "the first one, in which the uuid is learned"
    assert laptop.git("config", "remote.nas.annex-uuid").out == bare.git("config", "annex.uuid").out
    assert connections(nas, sshd, "push") == 0
    made = laptop.commit_annexed({"b.bin": "b"})
    assert connections(nas, sshd, "push") == 1
    assert bare.head("main") == made
    assert connections(nas, sshd, "pull") == 1
    laptop.commit({"c.txt": "c"})
    assert connections(nas, sshd, "sync", "--no-content") == 1

    config = sshd.root / "ssh_config"
    config.write_text(f"Host near\n\tHostName 127.0.0.1\n\tPort {proxy.port}\nHost *\n" + config.read_text())
    laptop.git("remote", "set-url", "nas", f"near:{bare.path}")
    made = laptop.commit({"d.txt": "d"})
    assert connections(nas, sshd, "sync", "--no-content") == 1
    assert bare.head("main") == made, "by an address as scp has it"


def test_a_lost_race_stays_in_its_connection(nas: tuple[Node, Node, Proxy], sshd: Sshd, net: Network) -> None:
    laptop, bare, _ = nas
    laptop.syncx("push")
    other = net.clone(bare, "other")
    ahead = other.commit({"o.txt": "o"})
    other.syncx("push")
    made = laptop.commit({"l.txt": "l"})
    assert connections(nas, sshd, "push") == 1
    for commit in (ahead, made):
        assert bare.contains(commit, "main")


@pytest.mark.inits
def test_content_travels_in_the_same_connection(nas: tuple[Node, Node, Proxy], sshd: Sshd) -> None:
    _, bare, _ = nas
    assert connections(nas, sshd, "sync") == 1
    assert list((bare.path / "annex" / "objects").rglob("SHA256E*")), "the content arrived"


def test_sharing_that_the_user_configured_is_left_to_the_user(nas: tuple[Node, Node, Proxy], sshd: Sshd) -> None:
    laptop, _, _ = nas
    with (sshd.root / "ssh_config").open("a") as config:
        config.write(f"    ControlMaster auto\n    ControlPath {sshd.runtime}/%C\n    ControlPersist 2\n")
    laptop.syncx("push")
    assert not list((laptop.net.runtime / "git-annex-syncx").glob("*"))


def test_an_ssh_command_of_the_user_s_is_used(nas: tuple[Node, Node, Proxy], sshd: Sshd, net: Network) -> None:
    laptop, bare, _ = nas
    mark = net.root / "mark"
    mine = net.root / "my-ssh"
    mine.write_text(f'#!/bin/sh\necho "$@" >> "{mark}"\nexec "{sshd.programs}/ssh" "$@"\n')
    mine.chmod(0o755)
    laptop.config("core.sshCommand", str(mine))
    laptop.syncx("push")
    assert "git-receive-pack" in mark.read_text()
    assert "ControlPath" not in mark.read_text()
    assert bare.head("main") == laptop.head()
    laptop.git("config", "--unset", "core.sshCommand")
    mark.unlink()
    laptop.commit({"b.txt": "b"})
    laptop.syncx("push", GIT_SSH_COMMAND=str(mine))
    assert "git-receive-pack" in mark.read_text()


def test_annex_ssh_options_are_honoured(nas: tuple[Node, Node, Proxy]) -> None:
    laptop, bare, _ = nas
    laptop.config("remote.nas.annex-ssh-options", "-o Port=1 -o IdentityFile=/dev/null")
    laptop.git("remote", "set-url", "nas", f"ssh://127.0.0.1{bare.path}")
    event = laptop.syncx("push", ok=1).event("push", "nas")
    assert "port 1" in event["error"]


def test_a_port_that_nobody_listens_on(nas: tuple[Node, Node, Proxy], sshd: Sshd) -> None:
    laptop, bare, _ = nas
    laptop.git("remote", "add", "dead", sshd.url(bare.path, free_port()))
    ran = laptop.syncx("push", ok=1)
    assert ran.event("push", "dead")["result"] == "failed"
    assert "refused" in ran.event("push", "dead")["error"]
    assert ran.event("push", "nas")["result"] == "done"
    assert ran.event("summary")["failed"] == 1


def test_a_dead_host_is_given_up_and_holds_nobody_up(nas: tuple[Node, Node, Proxy], sshd: Sshd) -> None:
    laptop, bare, _ = nas
    laptop.config("syncx.connectTimeout", "1s")
    with Proxy(None) as dead:
        laptop.git("remote", "add", "dead", sshd.url(bare.path, dead.port))
        begun = time.monotonic()
        ran = laptop.syncx("push", ok=1)
        assert time.monotonic() - begun < 30, "without the setting it is two minutes"
    assert ran.event("push", "dead")["result"] == "failed"
    assert "timed out" in ran.event("push", "dead")["error"]
    assert ran.event("push", "nas")["result"] == "done"
    assert bare.head("main") == laptop.head()


def test_what_is_done_is_told_while_others_are_waited_for(nas: tuple[Node, Node, Proxy], sshd: Sshd) -> None:
    laptop, bare, _ = nas
    laptop.config("syncx.connectTimeout", "5m")
    with Proxy(None) as dead:
        laptop.git("remote", "add", "dead", sshd.url(bare.path, dead.port))
        process = laptop.start("--json", "push")
        assert process.stdout
        first = json.loads(process.stdout.readline())
        assert (first["remote"], first["result"]) == ("nas", "done")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_connection_without_progress_is_given_up(nas: tuple[Node, Node, Proxy], net: Network) -> None:
    laptop, bare, _ = nas
    laptop.config("syncx.stallTimeout", "1s")
    hook = bare.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexec sleep 100\n")
    hook.chmod(0o755)
    begun = time.monotonic()
    event = laptop.syncx("push", ok=1).event("push", "nas")
    assert time.monotonic() - begun < 60
    assert "no progress" in event["error"]
    hook.unlink()
    laptop.git("config", "--unset", "syncx.stallTimeout")  # a busy machine may be silent for longer
    assert laptop.syncx("push").event("push", "nas")["result"] == "done"


def test_nobody_is_asked_for_a_password(nas: tuple[Node, Node, Proxy], sshd: Sshd, net: Network) -> None:
    laptop, _, _ = nas
    (sshd.root / "ssh_config").write_text(
        (sshd.root / "ssh_config").read_text().replace("user_key", "host_key")  # a key that opens nothing
    )
    asked = net.root / "asked"
    askpass = net.root / "askpass"
    askpass.write_text(f'#!/bin/sh\ntouch "{asked}"\n')
    askpass.chmod(0o755)
    event = laptop.syncx(
        "push", ok=1, SSH_ASKPASS=str(askpass), SSH_ASKPASS_REQUIRE="force", DISPLAY=":9"
    ).event("push", "nas")  # fmt: skip
    assert "Permission denied" in event["error"]
    assert not asked.exists()


def test_an_unknown_host_key_is_an_error_and_no_question(nas: tuple[Node, Node, Proxy], sshd: Sshd) -> None:
    laptop, _, _ = nas
    config = sshd.root / "ssh_config"
    config.write_text(config.read_text().replace("StrictHostKeyChecking yes", "StrictHostKeyChecking ask"))
    (sshd.root / "known_hosts").write_text("")
    event = laptop.syncx("push", ok=1).event("push", "nas")
    assert "its host key is not known here" in event["error"]


@pytest.mark.parametrize(
    "url", ["ssh://-oProxyCommand=touch%20mark/x", "-oProxyCommand=touch mark:x", "ext::touch mark"]
)
def test_a_hostile_url_runs_nothing(net: Network, url: str) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a"})
    laptop.config("remote.evil.url", url)
    laptop.config("remote.evil.fetch", "+refs/heads/*:refs/remotes/evil/*")
    for command, event in (("push", "push"), ("pull", "fetch")):
        ran = laptop.syncx(command, ok=1)
        assert ran.event(event, "evil")["result"] == "failed"
        assert "Traceback" not in ran.err
    assert not list(net.root.rglob("mark"))


def test_eight_at_once_are_not_eight_times_as_slow(net: Network, sshd: Sshd) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a"})
    with Proxy(sshd.port, delay=0.05) as proxy:
        for number in range(4):
            bare = net.create(f"nas{number}", bare=True)
            laptop.git("remote", "add", bare.name, sshd.url(bare.path, proxy.port))
        begun = time.monotonic()
        events = laptop.syncx("push").events
        took = time.monotonic() - begun
    assert events[-1]["done"] == 4
    assert took < sum(event["seconds"] for event in events[:-1]), "side by side"
