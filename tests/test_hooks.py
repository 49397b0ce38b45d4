"""Hooks: our block at the end of what is there, taken out without trace, and never in anybody's way."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from network import PROGRAMS, THOROUGH, Network, Node
from sshd import Sshd, wait_until
from watching import nothing_is_left

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git import git
from git_annex_syncx.triggers import hooks
from git_annex_syncx.triggers.hook_block import block, pattern
from git_annex_syncx.triggers.hook_file import BEFORE, MADE

SECONDS = 40.0  # for what must happen soon, on a machine that is busy
NOTE = b'echo "$#" >>noted\n'  # what a user's hook does
HEADER = b"#!/bin/sh\n"
CALLED = b'if [ -x "$syncx_before" ]; then "$syncx_before" "$@"; fi\n'  # the end of a hook that runs ours first
ANY_BLOCK = pattern(b"")
# name -> content and mode
FOREIGN: dict[str, tuple[bytes, int]] = {
    "shell": (HEADER + NOTE, 0o755),
    "bash": (b"#!/usr/bin/env bash\n" + NOTE + b"(false)\n", 0o700),
    "not UTF-8": (HEADER + b"# caf\xe9 \xff\n" + NOTE, 0o775),
    "looks like ours": (HEADER + b"# >>> git-annex-syncx >>>\n" + NOTE, 0o755),
    "exit": (HEADER + NOTE + b"exit 3\n", 0o755),
    "exit in another file": (HEADER + NOTE + b". ./leaves\n", 0o755),
    "exec": (HEADER + NOTE + b'exec sh -c "exit 4"\n', 0o755),
    "set -e": (HEADER + b"set -e\n" + NOTE + b"false\n", 0o755),
    "heredoc": (HEADER + NOTE + b"cat <<EOF\nno end\n", 0o755),
    "quotation": (HEADER + NOTE + b'echo "no end\n', 0o755),
    "elsewhere": (HEADER + NOTE + b"cd /\nexport GIT_DIR=/nowhere\n", 0o755),
    "no newline": (HEADER + NOTE + b"true", 0o755),
    "python": (
        b"#!/usr/bin/env python3\nimport sys\nopen('noted', 'a').write('0\\n')\nsys.exit(5)\n",
        0o755,
    ),
    "perl": (b"#!/usr/bin/perl\nopen(F, '>>noted'); print F \"0\\n\"; close(F); exit 6;\n", 0o755),
    "no shebang": (NOTE, 0o755),
    "not executable": (HEADER + NOTE, 0o644),
    "executable for others": (HEADER + NOTE, 0o655),
    "empty": (b"", 0o755),
}

LINES = [
    NOTE, b"exit 1\n", b"\n", b"'", b'"', b"\\", b"\0", b"\xff", MADE, b"# >>> git-annex-syncx >>>\n",
    b"# <<< git-annex-syncx <<<\n", b"# >>> git-annex-syncx /a >>>\n",
]  # fmt: skip
CONTENTS = st.binary() | st.lists(st.sampled_from(LINES)).map(lambda lines: HEADER + b"".join(lines))


@pytest.fixture(autouse=True)
def _nobody_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a hook has started waits a while for more; at the end of a test it goes."""
    net = request.getfixturevalue("net") if "net" in request.fixturenames else None
    yield
    if net:
        end_all(net)


@pytest.fixture
def nas(net: Network) -> Node:
    """A bare repository that a laptop pushes to."""
    return net.create("nas", bare=True)


@pytest.fixture
def laptop(net: Network, nas: Node) -> Node:
    """A work tree with our hooks, which pushes at once what is committed."""
    node = net.create("laptop")
    net.connect((node, nas))
    node.config("syncx.pushDelay", "0")
    node.commit({"a.txt": "a"})
    node.syncx("hooks", "install")
    return node


def running(below: Path) -> list[int]:
    """The processes of ours that are at work below a directory."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text().strip() == "git-annex-syncx" and Path(
                os.readlink(process / "cwd")
            ).is_relative_to(below):
                found[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return [pid for pid, parent in found.items() if parent not in found]  # a fork is about to be another program


def end_all(net: Network) -> None:
    """End what the hooks have started."""

    def ended() -> bool:
        for pid in running(net.root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        return not running(net.root)

    wait_until(ended, SECONDS)


def directory(node: Node) -> Path:
    """Where git looks for the hooks of a repository."""
    return Path(node.git("rev-parse", "--path-format=absolute", "--git-path", "hooks").out.strip())


def snapshot(*places: Path) -> dict[str, tuple[int, bytes]]:
    """Everything in directories of hooks: permissions, and content or where a link leads."""
    found = {}
    for path in itertools.chain(*(place.iterdir() for place in places)):
        mode = path.lstat().st_mode
        found[str(path)] = mode, os.fsencode(os.readlink(path)) if stat.S_ISLNK(mode) else path.read_bytes()
    return found


def put(path: Path, content: bytes, mode: int = 0o755) -> Path:
    """A hook as a user makes one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def states(node: Node, *args: str) -> set[str]:
    """How the hooks stand."""
    return {event["state"] for event in node.syncx("hooks", *args or ("status",)).events}


def requests(node: Node) -> Path:
    """Where the requests of a work tree are."""
    return node.path / ".git" / "annex" / "syncx" / "requests"


def wait_for_head(node: Node, rev: str, commit: str) -> None:
    """Wait until a repository has a commit at a branch."""
    wait_until(lambda: node.head(rev) == commit, SECONDS)


# Installing and uninstalling


@pytest.mark.slow
def test_uninstalling_restores_every_file(net: Network) -> None:
    node = net.create("node")
    repo, place = git.open_repository(node.path), directory(node)
    annexes = snapshot(place)
    for name, (content, mode) in FOREIGN.items():
        for hook in hooks.NAMES:
            put(place / hook, content, mode)
        before = snapshot(place)
        assert {hook.state for hook in hooks.status(repo)} == {"absent"}
        assert {(hook.state, hook.around) for hook in hooks.install(repo)} == {("installed", True)}, name
        for hook in hooks.NAMES:
            assert (place / hook).read_bytes().startswith(MADE), name
            assert (place / hook).stat().st_mode & 0o100
        installed = snapshot(place)
        hooks.install(repo)
        assert snapshot(place) == installed, "installing twice changes nothing"
        assert {hook.state for hook in hooks.uninstall(repo)} == {"absent"}
        assert snapshot(place) == before, name
        hooks.uninstall(repo)
        assert snapshot(place) == before, "nor does uninstalling twice"
        for hook in hooks.NAMES:
            (place / hook).unlink()
    for path, (mode, content) in annexes.items():
        put(Path(path), content, stat.S_IMODE(mode))
    hooks.install(repo)
    for path, (_, content) in annexes.items():
        if Path(path).name in hooks.NAMES:
            own = Path(path).read_bytes()
            assert own.startswith(MADE)
            assert Path(path + BEFORE).read_bytes() == content
            ours_first = Path(path).name == "post-receive"  # nobody waits for what git-annex does there
            assert own.endswith(CALLED if ours_first else b"<<<\n")
    hooks.uninstall(repo)
    assert snapshot(place) == annexes, "what was not there is gone"


@pytest.mark.inits
def test_where_git_annex_moves_the_work_tree_ours_comes_after_it(net: Network) -> None:
    node = net.create("node")
    file = directory(node) / "post-receive"
    before = file.read_bytes()
    node.syncx("hooks", "install")
    assert file.read_bytes().endswith(CALLED)
    node.config("receive.denyCurrentBranch", "updateInstead")
    assert states(node) == {"installed", "outdated"}
    node.syncx("hooks", "install")
    assert file.read_bytes().startswith(MADE + b"syncx_before=") and states(node) == {"installed"}
    node.git("config", "--unset", "receive.denyCurrentBranch")
    assert states(node) == {"installed", "outdated"}
    node.syncx("hooks", "install")
    assert file.read_bytes().endswith(CALLED)
    node.syncx("hooks", "uninstall")
    assert file.read_bytes() == before


def test_links_stay_links(net: Network) -> None:
    node = net.create("node")
    repo, place = git.open_repository(node.path), directory(node)
    put(node.path / "scripts" / "hook", HEADER + NOTE)
    put(place / "post-rewrite", HEADER + NOTE + b"exit 3\n")
    for name, target in {"post-commit": "../../scripts/hook", "post-receive": "/nowhere/at all"}.items():
        (place / name).unlink(missing_ok=True)
        (place / name).symlink_to(target)
    (place / "post-merge").unlink()
    (place / "post-merge").symlink_to("post-rewrite")
    before = snapshot(place, node.path / "scripts")
    for _ in range(2):
        assert {hook.state for hook in hooks.install(repo)} == {"installed"}
        assert (node.path / "scripts" / "hook").read_bytes() == HEADER + NOTE, "others may use it too"
    node.run(place / "post-commit", SYNCX_RUN="1")
    node.run(place / "post-merge", "0", ok=3, SYNCX_RUN="1")
    assert node.read("noted") == b"0\n1\n"
    node.run(place / "post-receive", SYNCX_RUN="1", PATH="")
    hooks.uninstall(repo)
    assert snapshot(place, node.path / "scripts") == before


def test_a_link_to_a_hook_that_is_set_aside_before_it(net: Network) -> None:
    node = net.create("node")
    repo, place = git.open_repository(node.path), directory(node)
    put(place / "post-commit", HEADER + NOTE + b"exit 3\n")
    (place / "post-rewrite").symlink_to("post-commit")
    before = snapshot(place)
    for _ in range(2):
        assert {hook.state for hook in hooks.install(repo)} == {"installed"}
    assert (place / f"post-rewrite{BEFORE}").is_symlink()
    node.run(place / "post-rewrite", "amend", ok=3, SYNCX_RUN="1")
    hooks.uninstall(repo)
    assert snapshot(place) == before


@given(content=CONTENTS, mode=st.sampled_from([0o755, 0o644, 0o700, 0o655, 0o500]))
@example(content=HEADER + b"# >>> git-annex-syncx >>>\n# >>> git-annex-syncx >>>\n", mode=0o755)
@settings(max_examples=40 * THOROUGH, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_restored(tmp_path: Path, content: bytes, mode: int) -> None:
    if not (tmp_path / "objects").exists():
        node = Node(Network(tmp_path / "net"), "bare", tmp_path)
        node.git("init", "--quiet", "--bare", ".")
    repo = git.open_repository(tmp_path)
    file = put(tmp_path / "hooks" / "post-receive", content, mode)
    assume(ANY_BLOCK.search(content) is None and content != MADE)
    before = snapshot(file.parent)
    assert [hook.state for hook in hooks.install(repo)] == ["installed"]
    installed = snapshot(file.parent)
    hooks.install(repo)
    assert snapshot(file.parent) == installed
    hooks.uninstall(repo)
    assert snapshot(file.parent) == before


def test_what_the_user_adds_later_is_kept(net: Network) -> None:
    node = net.create("node")
    repo, hook = git.open_repository(node.path), directory(node) / "post-commit"
    hooks.install(repo)
    put(hook, hook.read_bytes() + NOTE)
    assert next(iter(hooks.status(repo))).state == "installed"
    hooks.uninstall(repo)
    assert hook.read_bytes() == MADE + NOTE
    put(hook, hook.read_bytes().replace(NOTE, NOTE + b"exit 3\n"))
    hooks.install(repo)
    assert next(iter(hooks.status(repo))).around, "the end is not reached any more"
    put(hook, hook.read_bytes() + b"exit 4\n")
    hook.chmod(0o644)
    assert next(iter(hooks.status(repo))).state == "outdated", "git does not run it"
    hooks.install(repo)
    node.run(hook, ok=4, SYNCX_RUN="1")
    put(hook, hook.read_bytes().replace(b"exit 4\n", b""))
    node.run(hook, ok=3, SYNCX_RUN="1")
    hooks.uninstall(repo)
    assert hook.read_bytes() == MADE + NOTE + b"exit 3\n"


def test_a_block_that_an_earlier_version_has_added_is_taken_out(net: Network) -> None:
    node = net.create("node")
    repo, hook = git.open_repository(node.path), directory(node) / "post-commit"
    put(hook, HEADER + NOTE)
    before = snapshot(hook.parent)
    for ends in (hooks.uninstall, lambda repo: hooks.install(repo) and hooks.uninstall(repo)):
        put(hook, HEADER + NOTE + block(repo, "post-commit"))
        assert next(iter(hooks.status(repo))).state == "outdated"
        ends(repo)
        assert snapshot(hook.parent) == before


def test_what_we_remember_is_cleared_away(net: Network, nas: Node, laptop: Node) -> None:
    shutil.rmtree(laptop.path / ".git" / "annex" / "syncx")
    wait_for_head(nas, "main", laptop.commit())
    copy = Node(net, "copy", net.root / "copy")
    shutil.copytree(laptop.path, copy.path, symlinks=True)
    end_all(net)
    shutil.rmtree(copy.path / ".git" / "annex" / "syncx")
    copy.commit()
    nothing_is_left(net)
    assert nas.head("main") == laptop.head(), "a copy does not act for the original"


@pytest.mark.parametrize("linked", [False, True])
def test_a_program_that_died_in_the_middle(net: Network, linked: bool) -> None:
    node = net.create("node")
    repo, place = git.open_repository(node.path), directory(node)
    put(place / "hook", HEADER + NOTE + b"exit 3\n", 0o750)
    if linked:
        (place / "post-commit").symlink_to("hook")
    else:
        (place / "hook").rename(place / "post-commit")
    before = snapshot(place)
    os.link(place / "post-commit", place / "post-commit.before-syncx", follow_symlinks=False)  # and then it died
    assert states(node) == {"absent"}
    assert {hook.state for hook in hooks.install(repo)} == {"installed"}
    node.run(place / "post-commit", ok=3, SYNCX_RUN="1")
    hooks.uninstall(repo)
    assert snapshot(place) == before
    os.link(place / "post-commit", place / "post-commit.before-syncx", follow_symlinks=False)
    hooks.uninstall(repo)
    assert snapshot(place) == before


def test_a_program_that_died_where_there_are_no_links(net: Network) -> None:
    node = net.create("node")
    repo, place = git.open_repository(node.path), directory(node)
    put(place / "post-commit", HEADER + NOTE + b"exit 3\n", 0o750)
    before = snapshot(place)
    (place / "post-commit").rename(place / "post-commit.before-syncx")  # and then it died
    assert states(node) == {"absent"}
    assert {hook.state for hook in hooks.install(repo)} == {"installed"}
    node.run(place / "post-commit", ok=3, SYNCX_RUN="1")
    hooks.uninstall(repo)
    assert snapshot(place) == before
    (place / "post-commit").rename(place / "post-commit.before-syncx")
    hooks.uninstall(repo)
    assert snapshot(place) == before


def test_a_hook_that_something_else_has_replaced(net: Network) -> None:
    node = net.create("node")
    place = directory(node)
    put(place / "post-merge", HEADER + b"exit 1\n")
    node.syncx("hooks", "install")
    put(place / "post-merge", HEADER + b"exit 2\n")
    assert states(node) == {"installed", "replaced"}
    before = snapshot(place)
    ran = node.syncx("hooks", "install", ok=2)
    assert "post-merge was replaced by something else" in ran.err and "then install again" in ran.err
    assert snapshot(place) == before, "nothing was done"
    node.syncx("hooks", "uninstall")
    assert (place / "post-merge").read_bytes() == HEADER + b"exit 2\n"
    assert (place / "post-merge.before-syncx").read_bytes() == HEADER + b"exit 1\n"
    assert states(node) == {"absent", "replaced"}


def test_a_program_that_has_moved(net: Network) -> None:
    node = net.create("node")
    put(directory(node) / "post-commit", HEADER + NOTE)
    before = snapshot(directory(node))
    for hook in node.syncx("hooks", "install").events:
        assert str(PROGRAMS) in Path(hook["file"]).read_text()
    elsewhere = net.root / "else 'where" / "git-annex-syncx"
    put(elsewhere, (PROGRAMS / "git-annex-syncx").read_bytes())
    assert {event["state"] for event in node.run(str(elsewhere), "--json", "hooks", "status").events} == {"outdated"}
    node.run(str(elsewhere), "--json", "hooks", "install")
    assert str(PROGRAMS) not in (directory(node) / "post-commit").read_text()
    assert states(node) == {"outdated"}
    node.syncx("hooks", "uninstall")
    assert snapshot(directory(node)) == before


# Hooks that stand elsewhere


def test_hooks_of_others_are_not_written(net: Network) -> None:
    """In the work tree they would reach every clone, in a directory of the user's every repository."""
    node, place = net.create("node"), net.root / "shared"
    (node.path / "linked").symlink_to(place)
    for where, why in (("tools/hooks", "in the work tree"), (str(place), "others may use"), ("linked", "others may")):
        node.config("core.hooksPath", where)
        put(directory(node) / "post-commit", HEADER + NOTE + b"exit 3\n")
        before = snapshot(directory(node))
        said = node.syncx("hooks", "install", ok=2).err
        assert why in said and "nothing was written" in said
        assert snapshot(directory(node)) == before
        assert states(node) == {"absent"}
    # What an earlier version has written is taken out.
    name = f"git-annex-syncx {node.path / '.git'}"
    put(place / "post-commit", HEADER + NOTE + f"# >>> {name} >>> (old)\nfalse\n# <<< {name} <<<\n".encode())
    node.syncx("hooks", "uninstall")
    assert (place / "post-commit").read_bytes() == HEADER + NOTE


def test_the_line_added_by_hand(net: Network) -> None:
    node = net.create("node")
    node.config("core.hooksPath", ".githooks")
    line = node.syncx("hooks", "install", ok=2).err.rpartition("again: ")[2].rstrip(")\n")
    for name in hooks.NAMES:
        put(node.path / ".githooks" / name, HEADER + line.encode() + b"\n" + NOTE)
    node.git("add", ".githooks")
    clone = net.create("clone")
    for other in (node, clone):
        other.syncx("pause")
    node.commit()
    assert node.read("noted") == b"0\n"
    assert states(node) == {"outdated"}
    assert states(node, "install") == {"installed"}
    node.commit()
    wait_until((requests(node) / "commit").exists, SECONDS)
    # A clone has the line too: it does nothing before somebody installs there.
    net.connect((clone, node))
    clone.syncx("pull")
    clone.config("core.hooksPath", ".githooks")
    clone.commit()
    clone.git("annex-syncx", "trigger", "post-commit")
    assert not requests(clone).exists() or not (requests(clone) / "commit").exists()
    node.syncx("hooks", "uninstall")
    assert states(node) == {"outdated"}
    assert line.encode() in node.read(".githooks/post-commit")


def test_no_place_for_hooks(net: Network) -> None:
    node = net.create("node")
    node.config("core.hooksPath", "/dev/null")
    repo = git.open_repository(node.path)
    assert {hook.state for hook in hooks.status(repo)} == {"absent"}
    with pytest.raises(UsageError, match="looks for hooks in /dev/null"):
        hooks.install(repo)
    hooks.uninstall(repo)


# What a hook does


def test_what_was_there_runs_as_before(net: Network) -> None:
    node = net.create("node")
    repo, hook = git.open_repository(node.path), directory(node) / "post-commit"
    put(node.path / "leaves", b"exit 7\n")
    node.syncx("pause")
    asked = requests(node) / "commit"
    for name, (content, mode) in FOREIGN.items():
        if name == "executable for others":
            continue
        put(hook, content, mode)
        runs = mode & 0o100 and name != "empty"
        was = node.run(hook, ok=None) if runs and name != "no shebang" else None
        hooks.install(repo)
        node.git("commit", "--no-verify", "--quiet", "--allow-empty", "--message", name)
        wait_until(asked.exists, SECONDS)
        asked.unlink()
        if was:
            now = node.run(hook, ok=was.code)
            assert (now.out, now.err.replace(BEFORE, "")) == (was.out, was.err), name
            wait_until(asked.exists, SECONDS)
            asked.unlink()
        noted = node.path / "noted"
        assert noted.exists() == bool(runs), name
        noted.unlink(missing_ok=True)
        hooks.uninstall(repo)


def test_a_hook_reads_what_was_received(net: Network, nas: Node, laptop: Node) -> None:
    """Before our block in the same shell, and in another language beside it; what it prints reaches the pusher."""
    readers = (
        HEADER + b'cat >>received\necho "thank you"\n',
        b"#!/usr/bin/env python3\nimport sys\nopen('received', 'a').write(sys.stdin.read())\nprint('thank you')\n",
    )
    laptop.syncx("hooks", "uninstall")
    for content in readers:
        put(nas.path / "hooks" / "post-receive", content)
        hook = nas.syncx("hooks", "install").events
        assert [event["hook"] for event in hook] == ["post-receive"], "a bare repository has no commits of its own"
        old, new = nas.head("main") or "0" * 40, laptop.commit()
        ran = laptop.git("push", "nas", "main")
        assert "remote: thank you" in ran.err
        assert (nas.path / "received").read_text().split()[-3:] == [old, new, "refs/heads/main"]
        nas.syncx("hooks", "uninstall")
    nas.syncx("hooks", "install")


def test_a_commit_goes_out_by_itself(net: Network, nas: Node, laptop: Node) -> None:
    """From wherever and however it is made, and with nothing of the command's own configuration."""
    (laptop.path / "deep" / "er").mkdir(parents=True)
    inside = Node(net, "inside", laptop.path / "deep" / "er")
    outside = Node(net, "outside", net.root)
    receives = nas.path / "hooks" / "pre-receive"
    put(receives, HEADER + b"for n in $(seq 800); do test -e go-on && exit; sleep 0.05; done\n")
    made = laptop.commit()
    assert nas.head("main") != made, "nobody waits for a push"
    (nas.path / "go-on").touch()
    wait_for_head(nas, "main", made)
    for path in ("a.txt", "b.txt"):
        laptop.write(path, "changed")
    laptop.git("-c", "annex.largefiles=nothing", "add", "b.txt")
    laptop.git("-c", "remote.nas.url=/nowhere", "commit", "--quiet", "-o", "a.txt", "-m", "only a.txt")
    wait_for_head(nas, "main", laptop.head())
    assert laptop.git("status", "--porcelain").out == "A  b.txt\n", "what is staged stays staged"
    inside.git("commit", "--quiet", "-m", "from a subdirectory")
    wait_for_head(nas, "main", laptop.head())
    where = (f"--git-dir={laptop.path / '.git'}", f"--work-tree={laptop.path}")
    outside.git(*where, "commit", "--quiet", "--allow-empty", "-m", "from outside")
    wait_for_head(nas, "main", laptop.head())
    end_all(net)
    outside.git(*where, "commit", "--quiet", "--allow-empty", "-m", "from outside, nobody attends")
    wait_for_head(nas, "main", laptop.head())


def test_a_linked_work_tree_pushes_its_own_branch(net: Network, nas: Node, laptop: Node) -> None:
    laptop.git("worktree", "add", "--quiet", "-b", "other", str(net.root / "linked"))
    linked = Node(net, "linked", net.root / "linked")
    assert states(linked) == {"installed"}
    wait_for_head(nas, "main", laptop.commit())
    assert running(laptop.path), "somebody attends to the main work tree, not to this one"
    wait_for_head(nas, "other", linked.commit())
    linked.syncx("hooks", "uninstall")
    assert states(laptop) == {"absent"}


def test_what_is_amended_goes_out_amended(net: Network, nas: Node, laptop: Node) -> None:
    wait_for_head(nas, "main", laptop.commit())
    end_all(net)
    laptop.config("syncx.pushDelay", "4s")
    first = laptop.commit({"b.txt": "b"})
    laptop.git("commit", "--quiet", "--amend", "--message", "better")
    wait_for_head(nas, "main", laptop.head())
    assert nas.git("cat-file", "-e", first, ok=None).code, "the first one never left"
    laptop.config("syncx.pushDelay", "0")
    laptop.syncx("hooks", "uninstall")
    end_all(net)
    laptop.commit()
    nothing_is_left(net)
    assert nas.head("main") != laptop.head(), "without the hooks nothing happens"


def test_a_push_over_ssh_returns_at_once(net: Network, nas: Node, laptop: Node) -> None:
    """What the hook there starts holds nothing of the connection, however long it takes."""
    net.connect((nas, net.create("backup", bare=True)))
    nas.config("syncx.onChange", "touch started; sleep 60")
    nas.syncx("hooks", "install")
    laptop.syncx("hooks", "uninstall")
    with Sshd(net.root / "sshd", net.home) as sshd:
        sshd.join(net)
        laptop.git("remote", "set-url", "nas", sshd.url(nas.path))
        made = laptop.commit()
        begun = time.monotonic()
        laptop.git("push", "--quiet", "nas", "main")
        assert time.monotonic() - begun < 20
        wait_until((nas.path / "started").exists, SECONDS)
    [pid] = running(nas.path)
    opened = {number: os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)}
    log = str(nas.path / "annex" / "syncx" / "hook.log")
    assert opened == {0: "/dev/null", 1: log, 2: log}
    assert os.getsid(pid) == pid, "it has a session of its own"
    backup = Node(net, "backup", net.root / "backup")
    wait_for_head(backup, "main", made)


def test_where_the_hook_can_do_nothing_it_is_silent(net: Network, nas: Node, laptop: Node) -> None:
    place = directory(laptop)
    quiet = ("", "")
    made = laptop.commit()
    wait_for_head(nas, "main", made)
    end_all(net)
    filters = itertools.chain(*(("-c", f"filter.annex.{way}") for way in ("process=", "clean=cat", "smudge=cat")))
    commit = ("commit", "--quiet", "--allow-empty", "--no-verify", "-m", "without a PATH")
    ran = laptop.run(shutil.which("git") or "", *filters, *commit, PATH="")
    assert (ran.out, ran.err) == quiet
    wait_for_head(nas, "main", laptop.head())

    # Somebody of another user attends, whom we cannot tell anything.
    [pid] = running(laptop.path)
    other = net.create("other")
    other.syncx("hooks", "install")
    put(requests(other).with_name("requests.pid"), b"%d\n" % pid)
    hook = directory(other) / "post-commit"
    put(hook, hook.read_bytes().replace(MADE, HEADER + b"(exit 9)\n") + b"echo $?\n")
    ran = other.run(hook)
    assert (ran.out, ran.err) == ("9\n", "")
    end_all(net)

    hook = place / "post-commit"
    put(hook, hook.read_bytes().replace(os.fsencode(PROGRAMS / "git-annex-syncx"), b"/nowhere/git-annex-syncx"))
    ran = laptop.run(hook, PATH="/usr/bin:/bin")
    assert (ran.out, ran.err) == quiet, "the program is not installed any more"
    made = laptop.commit()
    wait_for_head(nas, "main", made)  # on the PATH it is found
    laptop.syncx("hooks", "install")
    end_all(net)

    moved = Node(net, "moved", laptop.path.rename(net.root / "moved"))
    ran = moved.git("commit", "--quiet", "--allow-empty", "-m", "moved")
    assert (ran.out, ran.err) == quiet
    nothing_is_left(net)
    assert nas.head("main") == made
    ran = moved.run("git-annex-syncx", "hooks", "status")
    assert f"installed in {laptop.path / '.git'} and do nothing here" in ran.out.replace("\n", " ")
    moved.syncx("hooks", "install")
    assert moved.syncx("hooks", "status").events[0]["moved"] is None
    wait_for_head(nas, "main", moved.commit())


def test_the_log_does_not_grow_for_ever(net: Network, nas: Node, laptop: Node) -> None:
    log = laptop.path / ".git" / "annex" / "syncx" / "hook.log"
    log.write_bytes(b"old\n" * 300_000)
    wait_for_head(nas, "main", laptop.commit())
    assert log.with_name("hook.log.1").read_bytes() == b"old\n" * 300_000
    wait_until(lambda: b"push nas: done" in log.read_bytes(), SECONDS)
    assert log.stat().st_size < 10_000
