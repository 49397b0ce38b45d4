"""What is for one host never goes to another, however alike their addresses are."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from network import PROGRAMS, Network, Node
from sshd import Sshd

from git_annex_syncx.git import ssh


@pytest.fixture
def cities(net: Network) -> Iterator[tuple[Sshd, Sshd]]:
    """Two servers that are both called nas.lan, each behind a ProxyCommand of its own: `home` and `town`."""
    with Sshd(net.root / "one", net.root / "at-home") as one, Sshd(net.root / "two", net.root / "at-town") as two:
        one.join(net)
        config = one.root / "ssh_config"
        aliases = [
            f"Host {name}\n    HostName nas.lan\n"
            f"    IdentityFile {server.root}/user_key\n    UserKnownHostsFile {server.root}/known_hosts\n"
            f"    ProxyCommand bash -c 'exec 3<>/dev/tcp/127.0.0.1/{server.port}; cat <&3 & cat >&3; kill $!'\n"
            for name, server in (("home", one), ("town", two))
        ]
        config.write_text("".join(aliases) + config.read_text())
        yield one, two


def bare_at(net: Network, home: Path) -> Node:
    """A repository `nas` in a home directory."""
    node = Node(net, "nas", home / "nas")
    node.path.mkdir(parents=True)
    node.git("init", "--quiet", "--bare")
    node.annex("init", "--quiet", f"nas {home.name}")
    return node


def content(node: Node) -> list[str]:
    return sorted(path.name for path in (node.path / "annex" / "objects").rglob("*") if path.is_file())


def account(server: Sshd, home: Path) -> Path:
    """A key that opens another account at the same server, with a home directory of its own."""
    key = server.root / "other_key"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "other", "-f", key), check=True)
    with (server.root / "user_key.pub").open("a") as keys:
        into = f'HOME={home} && cd && eval \\"$SSH_ORIGINAL_COMMAND\\"'
        keys.write(f'command="{into}" {key.with_suffix(".pub").read_text()}')
    return key


def test_hosts_and_accounts_that_look_alike(net: Network, cities: tuple[Sshd, Sshd]) -> None:
    forge_key = account(cities[0], net.root / "at-forge")
    places = {name: bare_at(net, net.root / f"at-{name}") for name in ("home", "town", "forge")}
    laptop = net.create("laptop")
    for name, host in (("home", "home"), ("town", "town"), ("forge", "home")):
        laptop.git("remote", "add", name, f"ssh://{host}/~/nas")
    laptop.config("remote.forge.annex-ssh-options", f"-i {forge_key}")
    made = laptop.commit_annexed({"a.bin": "a" * 20_000, "b.bin": "b" * 20_000})
    laptop.syncx("sync")
    for name, node in places.items():
        assert laptop.git("config", f"remote.{name}.annex-uuid").out == node.git("config", "annex.uuid").out
        assert node.head("main") == made
        assert len(content(node)) == 2, name
    assert len(list((cities[0].runtime / "git-annex-syncx").iterdir())) == 3, "one connection each"
    # Before git-annex drops anything at one of them, it asks the other two whether they have it.
    laptop.annex("numcopies", "3")
    laptop.annex("wanted", "home", "exclude=*")
    assert laptop.syncx("sync").event("drop", "home")["result"] == "done"
    assert {name: len(content(node)) for name, node in places.items()} == {"home": 0, "town": 2, "forge": 2}


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("ssh://me@nas.lan:2222/x", ("me@nas.lan", "2222")),
        ("ssh://[::1]:22/x", ("[::1]", "22")),
        ("git+ssh://[::1]/x", ("[::1]", "")),
        ("me@NAS:x:y", ("me@NAS", "")),
        ("ssh://me:secret@nas.lan:22/x", ("me@nas.lan", "22")),
        ("me:x@nas:y", ("me", "")),
        ("me@[::1]:x", ("me@[::1]", "")),
        ("/srv/a:b", None),
        ("../a:b", None),
        ("annex::uuid?type=directory", None),
        ("https://nas.lan/x", None),
        ("ssh://[nas/x", None),
        ("C", None),
    ],
)
def test_where_an_address_leads_by_ssh(url: str, reached: tuple[str, str] | None) -> None:
    assert ssh.address(url) == reached


def test_a_login_that_finds_no_git_annex(net: Network) -> None:
    programs = net.root / "programs"
    programs.mkdir(parents=True)
    for name in ("git", "git-receive-pack", "git-upload-pack"):
        (programs / name).symlink_to(shutil.which(name) or "")
    laptop, box = net.create("laptop"), net.create("box", bare=True)
    laptop.commit_annexed({"a.bin": "a" * 20_000})
    with Sshd(net.root / "sshd", net.home, str(programs)) as sshd:
        sshd.join(net)
        laptop.git("remote", "add", "box", sshd.url(box.path))
        advice = "git annex enableremote box"
        for _ in range(2):
            told = laptop.syncx("sync").event("transfer", "box")
            assert (
                told["result"] == "waits" and "PATH of ssh 127.0.0.1" in told["reason"] and advice in told["reason"]
            )
        for command in ("status", "plan"):
            ran = laptop.run("git-annex-syncx", command)
            assert advice in " ".join((ran.out + ran.err).split()), command
        found = programs / "git-annex-shell"
        found.write_text(f'#!/bin/sh\nexec {PROGRAMS}/git-annex-shell "$@"\n')
        found.chmod(0o755)
        laptop.syncx("sync")
        assert content(box) == [], "it is not looked for in every run"
        laptop.config("syncx.retryInterval", "0.001s")
        laptop.syncx("sync")
        assert len(content(box)) == 1, "but now and then"
        laptop.git("remote", "add", "lost", sshd.url(net.root / "lost"))
        assert "finds no repository" in laptop.syncx("transfer", "lost").event("transfer", "lost")["reason"]
