"""What people get who do something wrong: a line that says so, a line that says what to do, exit 2, nothing done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from network import PROGRAMS, Network, Node, Ran

COMMANDS = ("push", "pull", "merge", "sync", "status")


def said(ran: Ran) -> list[str]:
    """The lines on stderr, which hold no traceback and nothing that could drive a terminal."""
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.err
    assert ran.out == ""
    return ran.err.splitlines()


def usage_error(node: Node, *args: str, **env: str) -> str:
    """The message and the advice of a run that must be refused, on two lines."""
    what, advice = said(node.run("git-annex-syncx", *args, ok=2, **env))
    assert what.startswith("git-annex-syncx: ")
    return what + "\n" + advice


def stub(net: Network, name: str, script: str) -> str:
    """A PATH on which a program is another one."""
    folder = net.root / "stubs"
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return os.pathsep.join([str(folder), str(PROGRAMS), os.environ["PATH"]])


@pytest.mark.parametrize("command", COMMANDS)
def test_not_a_git_repository(net: Network, command: str) -> None:
    nowhere = Node(net, "home", net.home)
    message = usage_error(nowhere, command)
    assert "is not in a git repository" in message
    assert str(net.home) in message
    assert "-C PATH" in message


@pytest.mark.parametrize("command", COMMANDS)
def test_a_git_repository_without_git_annex(net: Network, command: str) -> None:
    plain = Node(net, "plain", net.root / "plain")
    plain.path.mkdir()
    plain.git("init", "--quiet")
    message = usage_error(plain, command)
    assert "without git-annex" in message
    assert "git annex init" in message
    assert not (plain.path / ".git" / "annex").exists()


def test_capital_c_to_what_is_not_there(net: Network) -> None:
    nowhere = Node(net, "home", net.home)
    assert "gone" in usage_error(nowhere, "-C", str(net.root / "gone"), "push")
    (net.home / "file").write_text("x")
    assert "file" in usage_error(nowhere, "-C", "file", "push")


def test_git_is_missing(pair: tuple[Node, Node], net: Network) -> None:
    laptop, _ = pair
    empty = net.root / "empty"
    empty.mkdir()
    done = laptop.run(str(PROGRAMS / "python"), "-m", "git_annex_syncx.cli", "push", ok=2, PATH=str(empty))
    what, advice = said(done)
    assert "git is not installed" in what
    assert "install git" in advice


@pytest.mark.parametrize("version", ["2.37.9", "1.9.5.msysgit.0", "2.30.1 (Apple Git-130)"])
def test_git_is_too_old(pair: tuple[Node, Node], net: Network, version: str) -> None:
    laptop, _ = pair
    message = usage_error(laptop, "push", PATH=stub(net, "git", f"echo 'git version {version}'"))
    assert "too old" in message
    assert "2.38" in message


@pytest.mark.parametrize("version", ["2.38.0", "2.40.1.windows.1", "3.0.0-rc1"])
def test_git_is_new_enough(pair: tuple[Node, Node], net: Network, version: str) -> None:
    laptop, _ = pair
    script = f'test "$1" != version || {{ echo "git version {version}"; exit; }}; exec {real("git")} "$@"'
    laptop.syncx("push", PATH=stub(net, "git", script))


def real(name: str) -> str:
    """The absolute path of a program."""
    import shutil

    found = shutil.which(name)
    assert found
    return found


def test_git_annex_is_missing(pair: tuple[Node, Node], net: Network) -> None:
    laptop, _ = pair
    bare = net.root / "venv" / "bin"  # an interpreter beside which no git-annex lies
    bare.mkdir(parents=True)
    (bare / "python").symlink_to((PROGRAMS / "python").resolve())
    (net.root / "venv" / "pyvenv.cfg").write_text((PROGRAMS.parent / "pyvenv.cfg").read_text())
    packages = next((PROGRAMS.parent / "lib").glob("python*/site-packages"))
    done = laptop.run(
        str(bare / "python"), "-m", "git_annex_syncx.cli", "push", ok=2, PATH="/usr/bin:/bin",
        PYTHONPATH=f"{packages}:{Path(__file__).parent.parent}",
    )  # fmt: skip
    what, advice = said(done)
    assert "git-annex is not installed" in what
    assert "pip install" in advice


def test_git_annex_is_too_old(pair: tuple[Node, Node], net: Network) -> None:
    laptop, desktop = pair
    before = desktop.git("for-each-ref").out
    laptop.commit({"b.txt": "b"})
    message = usage_error(laptop, "push", PATH=stub(net, "git-annex", "echo git-annex version: 8.20210223"))
    assert "git-annex 8.20210223 is too old" in message
    assert "10.20230126" in message
    assert desktop.git("for-each-ref").out == before


def test_a_new_git_annex_is_noticed_at_once(pair: tuple[Node, Node], net: Network) -> None:
    laptop, _ = pair
    laptop.syncx("push")
    usage_error(laptop, "push", PATH=stub(net, "git-annex", "echo git-annex version: 8.20210223"))
    laptop.syncx("push")


def test_an_unknown_command_and_an_unknown_option(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    for args in (("pusch",), ("push", "--frobnicate"), ("help", "pusch")):
        said(laptop.run("git-annex-syncx", *args, ok=2))


def test_an_unknown_remote(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    message = usage_error(laptop, "push", "desktpo")
    assert "desktpo" in message
    assert "the remotes are: desktop" in message


@pytest.mark.parametrize(
    "content", [b"[remote", b"\0\xff\x1b[31m", b'[a]\n\tb = "x\n', b"[core]\n\trepositoryformatversion = 99\n"]
)
def test_a_broken_configuration(pair: tuple[Node, Node], content: bytes) -> None:
    laptop, _ = pair
    config = laptop.path / ".git" / "config"
    before = config.read_bytes()
    config.write_bytes(before + b"\n" + content)
    message = "\n".join(said(laptop.run("git-annex-syncx", "push", ok=2)))
    assert "config" in message or "repositoryformatversion" in message or "version" in message, "git's own words"
    config.write_bytes(before)
    laptop.syncx("push")


def test_a_repository_of_somebody_else(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    if os.getuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(laptop.path, 12345, 12345)
    os.chown(laptop.path / ".git", 12345, 12345)
    message = usage_error(laptop, "push")
    assert "does not trust" in message
    assert "safe.directory" in message


@pytest.mark.parametrize("head", ["", "ref: refs/heads/", "garbage"])
def test_a_broken_head(pair: tuple[Node, Node], head: str) -> None:
    laptop, _ = pair
    (laptop.path / ".git" / "HEAD").write_text(head)
    ran = laptop.run("git-annex-syncx", "push", ok=None)
    assert ran.code in (1, 2)
    assert said(ran)


@pytest.mark.parametrize("name", ["-oProxyCommand=touch mark", "--mirror", "a b", "ä\u202e", "x=y", "a\x1b[31mb"])
def test_hostile_remote_names(pair: tuple[Node, Node], net: Network, name: str) -> None:
    laptop, _ = pair
    hub = net.create("hub", bare=True)
    config = laptop.path / ".git" / "config"
    with config.open("a") as handle:
        handle.write(f'[remote "{name}"]\n\turl = {hub.path}\n\tfetch = +refs/heads/*:refs/remotes/h/*\n')
    for command in ("push", "pull", "status"):
        ran = laptop.syncx(command, ok=None)
        assert ran.code in (0, 1)
        assert "Traceback" not in ran.err
        assert "\x1b" not in ran.err + ran.out
    assert not list(net.root.rglob("mark"))


URLS = (
    "-x", "", "http://[::1", "ssh://", "ssh://[::1", ":", "::", "x::y", "~/x", "http://127.0.0.1:99999/x",
    "git://127.0.0.1:1/x", "ssh://127.0.0.1:port/x", "\u2028",
)  # fmt: skip


def test_urls_that_lead_nowhere(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    laptop.config("syncx.connectTimeout", "1s")
    for number, url in enumerate(URLS):
        laptop.config(f"remote.odd{number}.url", url)
        laptop.config(f"remote.odd{number}.fetch", f"+refs/heads/*:refs/remotes/odd{number}/*")
    for command in ("push", "pull", "status"):
        ran = laptop.syncx(command, ok=None)
        assert ran.code in (0, 1), ran.err
        assert "Traceback" not in ran.err
        told = {event["remote"]: event.get("result") for event in ran.events if event.get("remote")}
        assert "done" not in {result for name, result in told.items() if name != "desktop"}
        assert command == "status" or told["desktop"] in ("done", "current")


def test_the_root_directory_is_no_repository(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    laptop.config("remote.root.url", "file://")
    laptop.config("remote.root.fetch", "+refs/heads/*:refs/remotes/root/*")
    assert "holds no git repository" in laptop.syncx("push", "root", ok=1).event("push", "root")["error"]


def test_a_path_with_a_line_break_is_refused(net: Network) -> None:
    odd = Node(net, "odd", net.root / "a\nb")
    odd.path.mkdir()
    odd.git("init", "--quiet")
    assert "line break" in usage_error(odd, "push")


def test_what_a_remote_says_cannot_drive_the_terminal(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    hook = desktop.path / ".git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nprintf '\\033]0;owned\\007\\033[2J\\r\\n\\377 no' >&2\nexit 1\n")
    hook.chmod(0o755)
    laptop.commit({"b.txt": "b"})
    for options in ((), ("-v",), ("-vv",)):
        ran = laptop.run("git-annex-syncx", *options, "push", ok=1)
        assert not any(ord(letter) < 32 and letter != "\n" for letter in ran.err + ran.out)
    assert "\x1b" not in laptop.run("git-annex-syncx", "status").out


def test_a_branch_name_cannot_drive_the_terminal(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    laptop.git("checkout", "--quiet", "-b", "x\u202e\u2028y")
    for args in (("-v", "push"), ("status",), ("-v", "merge")):
        ran = laptop.run("git-annex-syncx", *args)
        assert "\u202e" not in ran.out + ran.err
        assert "\u2028" not in ran.out + ran.err


def test_a_locked_ref_is_an_error_and_the_next_run_completes(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.syncx("push")
    made = laptop.commit({"b.txt": "b"})
    lock = desktop.path / ".git" / "refs" / "heads" / "synced" / "main.lock"
    lock.touch()
    laptop.config("syncx.retries", "1")
    event = laptop.syncx("push", ok=1).event("push", "desktop")
    assert event["result"] == "failed"
    lock.unlink()
    laptop.syncx("push")
    assert desktop.head("synced/main") == made
