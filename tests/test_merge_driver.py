"""The merge driver: what plain git does with it, and that it leaves no trace."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
from pathlib import Path
from threading import Timer

import pytest
from network import Network, Node

MARKERS = b"<<<<<<<"


@pytest.fixture
def node(net: Network) -> Node:
    """A repository with the driver and two branches that conflict in f.txt."""
    return fork(net.create("node"))


def fork(node: Node, path: str = "f.txt") -> Node:
    node.syncx("merge-driver", "install")
    node.commit({path: "1\nold\n3\n"})
    node.git("checkout", "--quiet", "-b", "other")
    node.commit({path: "1\ntheirs\n3\n"}, "theirs")
    node.git("checkout", "--quiet", "main")
    node.commit({path: "1\nours\n3\n"}, "ours")
    return node


def lines(node: Node, path: str = "f.txt") -> list[bytes]:
    return sorted(node.read(path).split())


UNITED = [b"1", b"3", b"ours", b"theirs"]


def test_a_merge_unites_both_directions_alike(node: Node) -> None:
    node.git("merge", "--quiet", "--no-edit", "other")
    assert lines(node) == UNITED
    here = node.read("f.txt")
    node.git("checkout", "--quiet", "-B", "back", "other")
    node.git("merge", "--quiet", "--no-edit", "main~1")
    assert node.read("f.txt") == here


def test_a_pull_unites(node: Node, net: Network) -> None:
    clone = net.clone(node, "clone")
    clone.syncx("merge-driver", "install")
    clone.git("pull", "--quiet", "--no-rebase", "--no-edit", "node", "other")
    assert lines(clone) == UNITED


def test_git_annex_sync_unites(net: Network) -> None:
    one = net.create("one")
    one.commit({"f.txt": "1\nold\n3\n"})
    two = net.clone(one, "two")
    two.syncx("merge-driver", "install")
    one.commit({"f.txt": "1\nours\n3\n"})
    two.commit({"f.txt": "1\ntheirs\n3\n"})
    two.annex("sync", "--no-content", "one")
    assert lines(two) == UNITED


@pytest.mark.parametrize(
    "verb",
    [
        ("rebase", "other"),
        ("cherry-pick", "other"),
        ("checkout", "-m", "other"),
        ("stash", "pop"),
        ("revert", "HEAD~1"),
    ],
    ids=lambda verb: verb[0],
)
def test_elsewhere_git_does_what_it_does_without_the_driver(node: Node, net: Network, verb: tuple[str, ...]) -> None:
    plain = Node(net, "plain", net.root / "plain")
    shutil.copytree(node.path, plain.path, symlinks=True)
    plain.syncx("merge-driver", "uninstall")
    seen = []
    for place in (node, plain):
        if verb[0] == "stash":
            place.write("f.txt", "1\nstashed\n3\n")
            place.git("stash", "--quiet")
            place.commit({"f.txt": "1\nlater\n3\n"})
        if verb[0] == "revert":
            place.commit({"f.txt": "1\nlater\n3\n"})
        if verb[0] == "checkout":
            place.write("f.txt", "1\ndirty\n3\n")
        ran = place.git(*verb, ok=None)
        labels = [line for line in place.read("f.txt").splitlines() if not line.startswith((b"<<<", b">>>", b"|||"))]
        seen.append((ran.code, labels, place.git("diff", "--name-only", "--diff-filter=U").out))
    assert seen[0] == seen[1]
    assert MARKERS in node.read("f.txt")


def test_merge_tree_conflicts(node: Node) -> None:
    said = node.git("merge-tree", "--write-tree", "main", "other", ok=1).out
    assert "CONFLICT (content): Merge conflict in f.txt" in said
    assert MARKERS in node.show(f"{said.split()[0]}:f.txt")


def test_any_directory_and_odd_names(net: Network) -> None:
    path = "a dir/'q\" $(touch x) %A ü\n.txt"
    node = fork(net.create("node"), path)
    (node.path / "elsewhere").mkdir()
    inside = Node(net, "inside", node.path / "elsewhere")
    inside.git("merge", "--quiet", "--no-edit", "other")
    assert lines(node, path) == UNITED
    assert not (node.path / "x").exists()


def test_a_module_in_the_work_tree_is_not_run(node: Node) -> None:
    node.write("git_annex_syncx/__init__.py", "raise SystemExit(0)")
    node.git("merge", "--quiet", "--no-edit", "other")
    assert lines(node) == UNITED


def test_without_the_program_there_is_a_normal_conflict(node: Node) -> None:
    config = node.path / ".git" / "config"
    config.write_text(config.read_text().replace(sys.executable, "/nowhere/python"))
    node.git("merge", "other", ok=1)
    assert MARKERS in node.read("f.txt")
    assert node.git("diff", "--name-only", "--diff-filter=U").out == "f.txt\n"


def test_binaries_and_pointers_stay_conflicts(net: Network) -> None:
    node = net.create("node")
    node.syncx("merge-driver", "install")
    node.commit()
    for name in ("other", "main"):
        node.git("checkout", "--quiet", *(["-b", "other"] if name == "other" else ["main"]))
        node.commit({"bin": b"\0" + name.encode()})
        node.commit_annexed({"annexed": name})
        node.annex("unlock", "annexed")
        node.git("commit", "--quiet", "--all", "--message", "unlock")
    node.git("merge", "other", ok=1)
    assert set(node.git("diff", "--name-only", "--diff-filter=U").out.split()) == {"bin", "annexed"}
    assert node.git("ls-files", "--unmerged", "annexed").out.count("\n") == 2
    assert node.show(":2:bin") == b"\0main"


def test_a_path_opts_out(net: Network) -> None:
    node = net.create("node")
    node.commit({".gitattributes": "*.apart syncx=variants\n*.own merge=text\n"})
    fork(node, "f.apart")
    node.git("merge", "other", ok=1)
    assert MARKERS in node.read("f.apart")
    node.git("merge", "--abort")
    node.git("checkout", "--quiet", "other")
    node.commit({"f.own": "theirs\n"})
    node.git("checkout", "--quiet", "main")
    node.commit({"f.own": "ours\n"})
    node.git("merge", "other", ok=1)
    assert MARKERS in node.read("f.own")


def test_labels_and_the_marker_size_are_those_of_git(node: Node) -> None:
    node.commit({".gitattributes": "* conflict-marker-size=9\n"})
    node.git("cherry-pick", "other", ok=1)
    assert node.read("f.txt").startswith(b"1\n<<<<<<<<< ")


# Installation


@pytest.mark.parametrize(
    "text", ["", "[user]\n\tname = x", "[user]\n\tname = x\n\n", "# ü\r\n[merge]\n\tconflictStyle = diff3\n"]
)
def test_uninstall_restores_the_file_to_the_byte(net: Network, text: str) -> None:
    node = net.create("node")
    config = node.path / ".git" / "config"
    config.write_bytes(config.read_bytes() + text.encode())
    before, mode = config.read_bytes(), config.stat().st_mode
    for _ in range(2):
        node.syncx("merge-driver", "install")
        node.syncx("merge-driver", "install")
        assert node.git("config", "merge.default").out == "syncx\n"
        node.syncx("merge-driver", "uninstall")
        node.syncx("merge-driver", "uninstall")
        assert config.read_bytes().rstrip(b"\n") == before.rstrip(
            b"\n"
        )  # git ends the last line, and drops empty ones
        assert config.stat().st_mode == mode


def test_what_the_user_changed_since_stays(node: Node) -> None:
    node.config("merge.conflictStyle", "diff3")
    node.config("merge.syncx.own", "1")
    node.config("alias.x", "status")
    node.syncx("merge-driver", "uninstall")
    config = node.git("config", "--local", "--list").out
    assert "merge.conflictstyle=diff3\n" in config
    assert "merge.syncx.own=1\n" in config
    assert "alias.x=status\n" in config
    assert "merge.default" not in config
    assert "merge.syncx.driver" not in config


def test_somebody_elses_driver_is_not_replaced(net: Network) -> None:
    node = net.create("node")
    node.config("merge.default", "mine")
    before = (node.path / ".git" / "config").read_bytes()
    assert "mine" in node.syncx("merge-driver", "install", ok=2).err
    assert (node.path / ".git" / "config").read_bytes() == before
    node.syncx("merge-driver", "install", "--force")
    assert node.git("config", "merge.default").out == "syncx\n"
    node.syncx("merge-driver", "uninstall")
    assert (node.path / ".git" / "config").read_bytes() == before


def test_for_all_repositories_of_the_user(net: Network) -> None:
    node = net.create("node")
    own = net.home / ".gitconfig"
    before = own.read_bytes()
    state = node.syncx("merge-driver", "install", "--global").events[0]
    assert (state["installed"], state["selected"], state["runs"]) == (True, "syncx", True)
    assert node.git("config", "--get", "merge.default").out == "syncx\n"
    assert node.git("config", "--local", "--get", "merge.default", ok=1).out == ""
    node.syncx("merge-driver", "uninstall", "--global")
    assert own.read_bytes() == before


def test_a_global_file_that_was_not_there_goes_again(net: Network, tmp_path: Path) -> None:
    node = net.create("node")
    own = tmp_path / "none" / "gitconfig"
    node.syncx("merge-driver", "install", "--global", GIT_CONFIG_GLOBAL=str(own))
    assert own.exists()
    node.syncx("merge-driver", "uninstall", "--global", GIT_CONFIG_GLOBAL=str(own))
    assert not own.exists()


def test_status_and_install_say_what_is(net: Network) -> None:
    node = net.create("node")
    assert "not installed" in node.run("git-annex-syncx", "merge-driver", "status").out
    told = node.run("git-annex-syncx", "merge-driver", "install").out
    assert "rebase" in told
    assert "installed, in use" in node.run("git-annex-syncx", "merge-driver", "status").out
    node.config("merge.default", "other")
    assert "not in use" in node.run("git-annex-syncx", "merge-driver", "status").out


def test_attribute_files_are_not_touched(node: Node) -> None:
    info = node.path / ".git" / "info" / "attributes"
    before = info.read_bytes()
    node.syncx("merge-driver", "install")
    node.syncx("merge-driver", "uninstall")
    assert info.read_bytes() == before


def test_it_starts_fast(node: Node) -> None:
    for name in ("o", "a", "b"):
        node.write(name, name + "\n")
    took = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        node.run(sys.executable, "-I", "-m", "git_annex_syncx.conflicts.driver", "o", "a", "b", "a", "")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.2, "seconds of work, however busy the machine is"
    modules = node.run(
        sys.executable, "-I", "-X", "importtime", "-m", "git_annex_syncx.conflicts.driver", "o", "a", "b", "a", ""
    ).err
    assert not any(heavy in modules for heavy in ("click", "rich", "networkx", "| sh\n"))


def test_a_device_is_never_taken_for_a_configuration_file(net: Network) -> None:
    laptop, device = net.create("laptop"), net.root / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # another /dev/null
    except PermissionError:
        pytest.skip("only root makes devices")
    ran = laptop.syncx("merge-driver", "install", "--global", ok=2, GIT_CONFIG_GLOBAL=str(device))
    assert "no regular file" in ran.err
    assert device.is_char_device()


def test_a_configuration_that_cannot_be_written_is_said(net: Network) -> None:
    laptop = net.create("laptop")
    lock = laptop.path / ".git" / "config.lock"
    lock.touch()
    assert str(lock) in laptop.syncx("merge-driver", "install", ok=2).err
    lock.unlink()
    ran = laptop.syncx("merge-driver", "install", "--global", ok=2, GIT_CONFIG_GLOBAL="/proc/none/gitconfig")
    assert "cannot be written" in ran.err


def test_status_and_uninstall_name_the_configuration_it_is_in(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.syncx("merge-driver", "install", "--global")
    for action in ("status", "uninstall"):
        (told,) = laptop.syncx("merge-driver", action).events
        assert (told["scope"], told["installed"]) == ("global", True), action
        assert told["file"] == str(net.home / ".gitconfig")
    (told,) = laptop.syncx("merge-driver", "uninstall", "--global").events
    assert not told["installed"]


def test_a_driver_that_was_edited_is_not_said_to_be_gone_before_it_is(net: Network) -> None:
    laptop = net.create("laptop")
    config = laptop.path / ".git" / "config"
    before = config.read_bytes()
    laptop.syncx("merge-driver", "install")
    laptop.config("merge.syncx.driver", "/another/python -m git_annex_syncx.conflicts.driver %A %O %B")
    laptop.git("config", "--add", "merge.syncx.driver", "twice")
    (told,) = laptop.syncx("merge-driver", "uninstall").events
    assert not told["installed"]
    assert config.read_bytes() == before


def test_a_lock_that_goes_is_waited_for(net: Network) -> None:
    laptop = net.create("laptop")
    lock = laptop.path / ".git" / "config.lock"
    lock.touch()
    Timer(0.6, lock.unlink).start()
    laptop.syncx("merge-driver", "install")
    assert laptop.git("config", "merge.default").out == "syncx\n"


def test_a_configuration_that_is_a_link_stays_one(net: Network) -> None:
    laptop, kept = net.create("laptop"), net.root / "kept"
    shutil.copy(net.home / ".gitconfig", kept)
    before = kept.read_bytes()
    link = net.root / "link"
    link.symlink_to(kept)
    for action, there in (("install", True), ("uninstall", False)):
        laptop.syncx("merge-driver", action, "--global", GIT_CONFIG_GLOBAL=str(link))
        assert link.is_symlink()
        assert (kept.read_bytes() != before) is there


def test_a_choice_of_a_driver_that_is_not_there_is_said(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.config("merge.default", "syncx")
    ran = laptop.run("git-annex-syncx", "merge-driver", "status")
    assert "not installed, but merge.default is syncx" in ran.out


def test_quiet_is_quiet_and_force_goes_with_install(net: Network) -> None:
    laptop = net.create("laptop")
    ran = laptop.run("git-annex-syncx", "-q", "merge-driver", "install")
    assert not ran.out + ran.err
    laptop.syncx("merge-driver", "--force", "status", ok=2)
