"""connect: a hub is made or joined, by path and by ssh; others are left alone; what was cut off is completed."""

from __future__ import annotations

import os
import pty
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from network import Network, Node, Ran, sample
from sshd import Sshd

BIG = os.urandom(20_000)


@pytest.fixture
def laptop(net: Network) -> Node:
    """A repository with one annexed file."""
    node = net.create("laptop")
    node.commit_annexed({"big.bin": BIG})
    return node


def connect(node: Node, name: str, address: object, *args: str, ok: int = 0) -> Ran:
    return node.syncx("connect", name, str(address), "--yes", *args, ok=ok)


def refused(node: Node, name: str, address: object, *args: str) -> tuple[str, str]:
    """What is said where nothing is done, and what to do."""
    config = (node.git_dir / "config").read_bytes()
    ran = connect(node, name, address, *args, ok=2)
    what, advice = ran.err.strip().split("\n")
    assert (ran.out, (node.git_dir / "config").read_bytes()) == ("", config)
    return what.removeprefix("git-annex-syncx: "), advice.strip()


def is_whole(laptop: Node, hub: Node, name: str = "nas") -> None:
    """The hub has everything, and is known here as it is."""
    assert hub.head("main") == laptop.head()
    assert hub.git("symbolic-ref", "HEAD").out.strip() == "refs/heads/main"
    assert list((hub.path / "annex" / "objects").rglob("SHA256E*.bin"))
    uuid = hub.git("config", "annex.uuid").out.strip()
    assert laptop.git("config", "--get-all", f"remote.{name}.annex-uuid").out.split() == [uuid]
    assert laptop.git("config", "--get-all", f"remote.{name}.url").out.count("\n") == 1
    assert laptop.git("config", "--get-all", f"remote.{name}.fetch").out.count("\n") == 1


def test_a_hub_is_made_and_joined(laptop: Node, net: Network) -> None:
    hub = Node(net, "nas", net.root / "my drive's" / "photos.git")
    hub.path.parent.mkdir()
    told = laptop.syncx("connect", "nas", str(hub.path), "--dry-run", "--group", "backup").events
    assert [told[0]["event"], told[0]["makes"], len(told[0]["steps"])] == ["proposal", True, 6]
    assert not hub.path.exists() and "nas" not in laptop.git("remote").out
    made = connect(laptop, "nas", hub.path, "--group", "backup")
    assert (
        made.event("connect", "nas")["result"] == "done" and "made a bare" in made.event("connect", "nas")["reason"]
    )
    is_whole(laptop, hub)
    assert laptop.annex("group", "nas").out.split() == ["backup"]
    assert laptop.annex("wanted", "nas").out.strip() == "standard"
    again = connect(laptop, "nas", hub.path)
    assert again.event("connect", "nas")["result"] == "current"
    assert again.event("transfer", "nas")["result"] == "current"

    desktop = net.create("desktop")
    ran = connect(desktop, "nas", hub.path, "--wanted", "include=*.bin")
    assert "joined" in ran.event("connect", "nas")["reason"]
    assert desktop.read("big.bin") == BIG
    assert desktop.annex("wanted", "nas").out.strip() == "include=*.bin"
    desktop.annex("fsck", "--quiet")


def test_two_at_once_make_one_hub(laptop: Node, net: Network) -> None:
    hub = Node(net, "nas", net.root / "nas.git")
    words = ("connect", "nas", str(hub.path), "--yes", "--no-content")
    running = [laptop.start(*words) for _ in range(3)]
    told = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], told
    connect(laptop, "nas", hub.path)
    is_whole(laptop, hub)


def test_what_is_left_alone(laptop: Node, net: Network) -> None:
    nas, other = net.create("nas", bare=True), net.create("other")
    other.commit({"o.txt": "o"})
    net.connect((laptop, nas))
    (net.root / "full").mkdir()
    (net.root / "full" / "letter.txt").write_text("Dear")
    (net.root / "full" / "config").write_text("mine")
    for name, address, what, todo in (
        ("nas", net.root / "elsewhere", "is there already", f"git remote set-url nas {net.root}/elsewhere"),
        ("box", nas.path, "the remote nas is at", "git annex-syncx sync nas"),
        ("box", net.root / "full", "holds other files", "full/annex.git"),
        ("box", net.root / "full" / "letter.txt", "is no directory", ""),
        ("box", net.root / "gone" / "annex", "there is no directory", "plug in the drive"),
        ("box", other.path, "shares no commit", "--allow-unrelated-histories box"),
        ("box", laptop.path, "is this repository", "git config --unset annex.uuid"),
        ("box", laptop.path / "hub", "in the work tree", ""),
        ("here", net.root / "hub", "for something else", "another name"),
        ("a b", net.root / "hub", "no remote that is called 'a b'", "another name"),
    ):
        told, advice = refused(laptop, name, address)
        assert what in told and todo in advice
    assert (net.root / "full" / "config").read_text() == "mine" and not (net.root / "hub").exists()
    assert not laptop.git("for-each-ref", "refs/remotes/box", "refs/syncx").out
    told, advice = refused(laptop, "box", net.root / "hub", "--wanted", "inclde=*.bin")
    assert "inclde" in told and "preferred-content" in advice
    ran = laptop.syncx("connect", "box", str(net.root / "hub"), ok=2)
    assert "--yes" in ran.err and not (net.root / "hub").exists()
    nowhere = Node(net, "home", net.home)
    assert "git init && git annex init" in nowhere.syncx("connect", "nas", "/nowhere", ok=2).err


Begun = Callable[[Node, Node], None]


def _some_directories(laptop: Node, hub: Node) -> None:
    for name in ("hooks", "info", "branches"):
        (hub.path / name).mkdir(parents=True)
    (hub.path / "HEAD.lock").touch()


def _no_config(laptop: Node, hub: Node) -> None:
    laptop.git("init", "--quiet", "--bare", "--initial-branch=master", str(hub.path))
    (hub.path / "config").unlink()


def _no_annex(laptop: Node, hub: Node) -> None:
    laptop.git("init", "--quiet", "--bare", "--initial-branch=master", str(hub.path))


def _no_remote(laptop: Node, hub: Node) -> None:
    _no_annex(laptop, hub)
    hub.annex("init", "--quiet", "nas")


def _no_url(laptop: Node, hub: Node) -> None:
    _no_remote(laptop, hub)
    laptop.config("remote.nas.fetch", "+refs/heads/*:refs/remotes/nas/*")


def _no_uuid(laptop: Node, hub: Node) -> None:
    _no_url(laptop, hub)
    laptop.config("remote.nas.url", str(hub.path))


def _no_content(laptop: Node, hub: Node) -> None:
    connect(laptop, "nas", hub.path, "--no-content")


@pytest.mark.parametrize(
    "begun", sample([_some_directories, _no_config, _no_url, _no_content, _no_annex, _no_remote, _no_uuid], 4)
)
def test_what_was_cut_off_is_completed(laptop: Node, net: Network, begun: Begun) -> None:
    hub = Node(net, "nas", net.root / "nas.git")
    begun(laptop, hub)
    connect(laptop, "nas", hub.path, "--wanted", "anything")
    is_whole(laptop, hub)
    assert laptop.annex("wanted", "nas").out.strip() == "anything"


@pytest.fixture
def sshd(net: Network) -> Iterator[Sshd]:
    """A server that the network can log in to."""
    with Sshd(net.root / "sshd", net.home) as server:
        server.join(net)
        yield server


def test_by_ssh(laptop: Node, net: Network, sshd: Sshd) -> None:
    config = sshd.root / "ssh_config"
    config.write_text(f"Host nas\n\tHostName 127.0.0.1\n\tPort {sshd.port}\n" + config.read_text())
    hub = Node(net, "nas", net.home / "it's a hub.git")
    connect(laptop, "nas", "nas:~/it's a hub.git")
    is_whole(laptop, hub)
    desktop = net.create("desktop")
    connect(desktop, "box", sshd.url(net.home) + "/it's%20a%20hub.git")
    assert desktop.read("big.bin") == BIG
    what, advice = refused(laptop, "box", f"{sshd.url(net.root)}/gone/x")
    make = f"ssh -p {sshd.port} 127.0.0.1 'mkdir -p {net.root}/gone'"
    assert (what, advice) == (f"there is no directory {net.root}/gone on 127.0.0.1", f"make it first: {make}")
    assert refused(laptop, "box", "nas:") == ("nas: names no directory", "name a new one, such as nas:annex.git")
    ran = connect(laptop, "box", "nohost.invalid:x", ok=1)
    assert ran.err.startswith("git-annex-syncx: nohost.invalid:x: ssh: ")
    assert ran.err.endswith("\n  see that it is on, and that its address is right\n")


def test_a_server_without_git_annex(laptop: Node, net: Network) -> None:
    hub = Node(net, "nas", net.root / "nas.git")
    with Sshd(net.root / "sshd", net.home, path="/usr/bin:/bin") as sshd:
        sshd.join(net)
        ran = connect(laptop, "nas", sshd.url(hub.path))
        assert "no git-annex is there" in ran.event("connect", "nas")["reason"]
        assert hub.head("main") == laptop.head()
        assert laptop.git("config", "remote.nas.annex-ignore").out.strip() == "true"
        assert connect(laptop, "nas", sshd.url(hub.path), "--group", "backup", ok=1).err.count("uuid unknown") == 1
    with Sshd(net.root / "later", net.home) as sshd:  # it was installed
        sshd.join(net)
        laptop.git("remote", "set-url", "nas", sshd.url(hub.path))
        connect(laptop, "nas", sshd.url(hub.path))
        is_whole(laptop, hub)


def test_a_login_that_runs_nothing_but_git(laptop: Node, net: Network, sshd: Sshd) -> None:
    key, asked = sshd.root / "user_key.pub", '\\"$SSH_ORIGINAL_COMMAND\\"'
    only_git = f"case {asked} in git*) eval {asked};; *) echo Hello; exit 1;; esac"
    key.write_text(f'command="{only_git}" {key.read_text()}')
    hub = Node(net, "forge", net.root / "forge.git")
    ran = connect(laptop, "forge", sshd.url(hub.path), ok=1)
    assert "make an empty repository there" in ran.err
    laptop.git("init", "--quiet", "--bare", str(hub.path))
    connect(laptop, "forge", sshd.url(hub.path), "--no-content")
    assert hub.head("main") == laptop.head()


def test_it_asks_at_a_terminal(laptop: Node, net: Network) -> None:
    def answered(*answers: str) -> str:
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(laptop.path)
            words = ["git-annex-syncx", "connect", "nas", "../nas.git"]
            os.execvpe(words[0], words, net.env(TERM="dumb"))
        said = ""
        for answer in (*answers, ""):
            try:
                while not said.endswith(": ") or not said.strip():
                    said += os.read(terminal, 65536).decode()
                os.write(terminal, f"{answer}\n".encode())
                said += "\n"
            except OSError:  # it has ended
                break
        os.waitpid(child, 0)
        os.close(terminal)
        return said

    assert "1. make a bare repository in" in answered("archive", "n")
    assert not (net.root / "nas.git").exists()
    said = answered("y", "archive", "y")
    assert "name a group, or type Enter alone" in said and "4. put it into the group archive" in said
    is_whole(laptop, Node(net, "nas", net.root / "nas.git"))
    assert laptop.annex("group", "nas").out.split() == ["archive"]


def test_another_drive_at_its_place(laptop: Node, net: Network) -> None:
    hub = Node(net, "usb", net.root / "usb")
    connect(laptop, "usb", hub.path, "--no-content")
    shutil.rmtree(hub.path)
    hub.path.mkdir()
    told, advice = refused(laptop, "usb", hub.path)
    assert "is not the repository that usb was" in told
    laptop.run("sh", "-c", advice.partition("if it is a new one: ")[2])
    connect(laptop, "usb", hub.path)
    is_whole(laptop, hub, "usb")


def test_a_file_system_without_links_is_told(laptop: Node, net: Network) -> None:
    hub = Node(net, "usb", net.root / "usb")
    laptop.git("init", "--quiet", "--bare", str(hub.path))
    hub.annex("init", "--quiet")
    hub.config("annex.crippledfilesystem", "true")
    assert "FAT" in connect(laptop, "usb", hub.path).event("connect", "usb")["reason"]
    assert Path(hub.path / "annex" / "objects").is_dir()
