"""One repository for several users, and one annex for several clones: whose state is whose."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from network import Network, Node
from sshd import wait_until
from test_hooks import SECONDS, end_all

from git_annex_syncx.system import files

GROUP, ANN, BOB = 54321, 54322, 54323


def user(node: Node, uid: int) -> Node:
    """The same repository, as another user of the group works in it; the user may read what root has installed."""
    other = Node(node.net, node.name, node.path)
    able = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    who = (f"--reuid={uid}", f"--regid={GROUP}", "--clear-groups")
    other.inside = ("sh", "-c", 'umask 022; exec "$@"', "sh", "setpriv", *able, *who)
    return other


def shared_hub(net: Network, name: str) -> Node:
    """A bare repository that Ann has made for the group."""
    path = net.root / name
    path.mkdir()
    os.chown(path, ANN, GROUP)
    hub = user(Node(net, name, path), ANN)
    hub.git("init", "--quiet", "--bare", "--shared=group")
    hub.annex("init", "--quiet", name)
    return hub


def own_clone(net: Network, hub: Node, name: str, uid: int) -> Node:
    """A repository of one user."""
    node = net.create(name)
    net.connect((node, hub))
    for below in (node.path, *node.path.rglob("*")):
        os.chown(below, uid, uid, follow_symlinks=False)
    return user(node, uid)


@pytest.fixture
def net() -> Iterator[Network]:
    """A network in a place that other users can get to."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as root:
        Path(root).chmod(0o755)
        made = Network(Path(root) / "net")
        yield made
        end_all(made)


@pytest.fixture
def lab(net: Network) -> tuple[Node, Node, Node, Node]:
    """Repositories of Ann and Bob, a hub of their group with our hooks, and a mirror that the hub pushes to."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs root and setpriv")
    with (net.home / ".gitconfig").open("a") as config:
        config.write("[safe]\n\tdirectory = *\n")
    hub, mirror = shared_hub(net, "hub"), shared_hub(net, "mirror")
    net.connect((hub, mirror))
    hub.syncx("hooks", "install")
    return own_clone(net, hub, "ann", ANN), own_clone(net, hub, "bob", BOB), hub, mirror


def state(node: Node) -> list[Path]:
    """All that syncx keeps in a bare repository."""
    return [node.path / "annex" / "syncx", *(node.path / "annex" / "syncx").rglob("*")]


@pytest.mark.slow
def test_all_of_a_group_can_use_its_hub(net: Network, lab: tuple[Node, Node, Node, Node]) -> None:
    ann, bob, hub, mirror = lab
    made = ann.commit({"a.txt": "a"})
    ann.git("push", "--quiet", "hub", "main:synced/main")
    wait_until(lambda: mirror.head("main") == made, SECONDS)
    bob.git("pull", "--quiet", "--allow-unrelated-histories", "hub", "main")
    made = bob.commit({"b.txt": "b"})
    pushed = bob.git("push", "--quiet", "hub", "main:synced/main")  # while a process of Ann's waits for more
    wait_until(lambda: mirror.head("main") == made, SECONDS)
    end_all(net)
    made = bob.commit({"c.txt": "c"})
    pushed = bob.git("push", "--quiet", "hub", "main:synced/main")
    wait_until(lambda: mirror.head("main") == made, SECONDS)
    end_all(net)
    assert "syncx" not in pushed.err
    for who in (ANN, BOB):
        for command in (("sync",), ("map", "--publish"), ("map", "--refresh"), ("plan",), ("retry",), ("pause",)):
            assert "cannot" not in user(hub, who).syncx(*command).err, (who, command)
        user(hub, who).syncx("resume")
        user(hub, who).syncx("hooks", "install")
    end_all(net)
    closed = [path for path in state(hub) if path.stat().st_mode & 0o060 != 0o060 or path.stat().st_gid != GROUP]
    assert not closed
    assert {path.stat().st_uid for path in state(hub)} == {ANN, BOB}

    place = hub.path / "annex" / "syncx" / "requests"
    place.chmod(0o2755)
    bob.commit({"d.txt": "d"})
    said = bob.git("push", "--quiet", "hub", "main:synced/main").err
    assert said.count("git-annex-syncx") == 1
    assert f"{place} cannot be written" in said


def test_reports_answer_who_may_only_read(net: Network) -> None:
    if os.getuid() != 0 or not shutil.which("setpriv"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs root and setpriv")
    with (net.home / ".gitconfig").open("a") as config:
        config.write("[safe]\n\tdirectory = *\n")
    laptop = net.create("laptop")
    laptop.commit_annexed({"a.bin": "a"})
    laptop.annex("wanted", "here", "include=*")
    hub = net.clone(laptop, "hub", bare=True)
    net.connect((laptop, hub))
    laptop.syncx("sync")
    for node in (laptop, hub):
        before = {path: path.lstat().st_mtime_ns for path in node.git_dir.rglob("*")}
        reader = user(node, BOB)
        for command in (("status",), ("why", "a.bin"), ("why", "."), ("conflicts",), ("plan",), ("map",)):
            assert "cannot" not in reader.syncx(*command).err, command
        assert "can only be read" in reader.syncx("pause", ok=1).err
        assert {path: path.lstat().st_mtime_ns for path in node.git_dir.rglob("*")} == before
    (laptop.git_dir / "annex" / "syncx").chmod(0o555)
    os.chown(laptop.git_dir, BOB, BOB)  # whose own it is, but for what root has left there
    assert "annex/syncx/" in user(laptop, BOB).syncx("status", ok=1).err


def test_what_is_ours_is_shared_with_the_group_alone(tmp_path: Path) -> None:
    for mode, private in ((0o2775, 0o660), (0o755, 0o600), (0o2777, 0o666)):
        tmp_path.chmod(mode)
        files.write_private(tmp_path / "map", b"")
        assert stat.S_IMODE((tmp_path / "map").stat().st_mode) == private
    passing = files.make_directory(files.passing_directory(tmp_path))
    assert not stat.S_IMODE(passing.parent.stat().st_mode) & 0o077


def test_a_clone_that_borrows_the_annex_has_a_state_of_its_own(net: Network) -> None:
    origin = net.create("origin")
    origin.commit({"a.txt": "a"})
    clone = Node(net, "clone", net.root / "clone")
    origin.git("clone", "--quiet", "--origin", "origin", str(origin.path), str(clone.path))
    (clone.path / ".git" / "annex").symlink_to(origin.path / ".git" / "annex")  # as `datalad clone --reckless` does
    clone.annex("init", "--quiet", "clone")
    net.connect((origin, clone))
    clone.syncx("pause")
    clone.syncx("hooks", "install")
    assert not origin.syncx("status").event("summary")["paused"]
    assert {event["state"] for event in origin.syncx("hooks", "status").events} == {"absent"}
    made = clone.commit({"b.txt": "b"})
    origin.syncx("sync", "--no-content")  # has nothing to do with what the clone knows
    clone.syncx("resume")
    wait_until(lambda: origin.head("synced/main") == made or origin.head("main") == made, SECONDS)
    assert clone.syncx("plan").out
    assert not (origin.path / ".git" / "annex" / "syncx" / "hooks").exists()
    assert (clone.path / ".git" / "syncx" / "inventory.sqlite").exists()
