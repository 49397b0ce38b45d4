"""What people read: whole words, names as they are, no password; and no bug where it cannot be written."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import Network, Node, fork_servers, sample
from rich.console import Console

from git_annex_syncx.model import Outcome, Result
from git_annex_syncx.system.redact import without_passwords
from git_annex_syncx.views import log
from git_annex_syncx.views.base import Grid

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SECRET = "s3cret-Wort"


def on_terminal(node: Node, *args: str, columns: int = 80) -> str:
    """What a command shows on a terminal, without its colours."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(node.path)
        os.execvpe("git-annex-syncx", ["git-annex-syncx", *args], node.net.env(TERM="xterm", COLUMNS=str(columns)))
    said = b""
    with contextlib.suppress(OSError):  # the terminal is closed
        while some := os.read(terminal, 65536):
            said += some
    os.waitpid(child, 0)
    os.close(terminal)
    return ESCAPES.sub("", said.decode()).replace("\r\n", "\n")


@pytest.mark.slow
def test_words_stay_whole_and_names_what_they_are(pair: tuple[Node, Node], net: Network) -> None:
    laptop, desktop = pair
    laptop.commit_annexed({"big": os.urandom(20_000)})
    laptop.syncx("sync")
    config = laptop.path / ".git" / "config"
    with config.open("a") as handle:  # git itself would refuse the name
        handle.write(f'[remote "exec:bell:"]\n\turl = {desktop.path}\n')
        handle.write(f'[remote "[red]a b"]\n\turl = {desktop.path}\n')
    known = {"remote", "desktop", "branch", "current", "unknown", "last", "success", "never", "repository", "latency"}
    for command in ("status", "map"):
        shown = on_terminal(laptop, command, columns=40)
        words = re.findall(r"[\w:]+", shown)
        assert max(len(line) for line in shown.splitlines() if "annex-syncx" not in line) <= 40
        assert known & set(words) >= {"remote", "desktop"} if command == "map" else known & set(words) >= {"branch"}
        if command == "status":
            assert "exec:bell:" in shown
            assert "[red]a b" in shown
    assert "exec:bell:" in laptop.run("git-annex-syncx", "status").out
    pushed = laptop.run("git-annex-syncx", "push", ok=1).err
    assert "push exec:bell:: failed: git cannot keep branches of a remote that is called 'exec:bell:'" in pushed
    assert "git config --remove-section 'remote.[red]a b'" in pushed
    shown = on_terminal(laptop, "push", columns=40)
    assert "desktop" in shown
    wrong = "git cannot keep branches of a remote that is called 'exec:bell:'"
    assert f"\nexec:bell:: push: {wrong}\n" in shown, "left to the terminal to wrap: whoever copies it gets one line"
    laptop.git("config", "--remove-section", "remote.exec:bell:")  # what the advice says; git itself fails at a `]`
    config.write_text(config.read_text().partition('[remote "[red]')[0])
    laptop.syncx("push")


def test_each_row_of_a_narrow_table_names_what_it_is_about() -> None:
    console = Console(file=io.StringIO(), width=20, force_terminal=True, color_system=None)
    console.print(Grid(["repository", "remote"], [["nas", "desktop"], ["", "usb (special)"]], right=[]))
    assert console.file.getvalue() == "nas: remote desktop\nnas: remote usb \n(special)\n"


def test_what_has_ended_is_said(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair

    def said(*args: str) -> list[str]:
        return laptop.run("git-annex-syncx", *args).out.splitlines()

    said("pause", "desktop", "--for", "90s")
    (line,) = said("pause", "desktop", "--for", "90s")
    assert re.search(r"until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", line)
    said("pause")
    left = "all automatic work is paused until git annex-syncx resume"
    assert said("resume", "desktop") == ["automatic work with desktop goes on", left]
    assert said("resume") == ["all automatic work goes on"]
    assert said("resume") == ["nothing is paused"]
    said("hooks", "install")
    assert {line.rpartition(": ")[2] for line in said("hooks", "uninstall")} == {"removed"}
    assert {line.rpartition(": ")[2] for line in said("hooks", "uninstall")} == {"not installed"}
    said("merge-driver", "install")
    assert said("merge-driver", "uninstall")[0].endswith(": removed")
    assert said("merge-driver", "uninstall")[0].endswith(": not installed")


COMMANDS = (
    ("status",), ("--json", "status"), ("map",), ("map", "--dot"), ("plan",), ("--json", "plan"), ("transfer", "-n"),
    ("pause",), ("resume",), ("hooks", "status"), ("merge-driver", "status"), ("service", "show"), ("--help",),
    ("help", "push"), ("--version",), ("--json", "push"),
)  # fmt: skip


def written_to(out: int, node: Node, *command: str, **env: str) -> tuple[int, bytes]:
    """Run a command whose standard output is a file; its exit code and what it complains about."""
    words, around = ("git-annex-syncx", *command), node.net.env(**env)
    if sys.platform == "linux" and fork_servers().can_run(around):
        done = fork_servers().run(words, node.path, around, 60, out)
    else:
        done = subprocess.run(
            words, cwd=node.path, env=around, stdout=out, stderr=subprocess.PIPE, check=False, timeout=60
        )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("unbuffered", "commands"), [("", COMMANDS), ("1", sample(COMMANDS[::-1], 3))], ids=["buffered", "unbuffered"]
)
def test_output_that_cannot_be_written(
    pair: tuple[Node, Node], unbuffered: str, commands: tuple[tuple[str, ...], ...]
) -> None:
    laptop, _ = pair
    env = {"PYTHONUNBUFFERED": unbuffered} if unbuffered else {}
    for command in commands:
        with open("/dev/full", "wb") as full:
            code, said = written_to(full.fileno(), laptop, *command, **env)
        assert code == 1, (command, said)
        assert b"standard output cannot be written: No space left on device" in said
        assert b"Traceback" not in said


def test_nobody_reads_and_no_place_for_talk(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    for command in COMMANDS:
        reader, writer = os.pipe()
        os.close(reader)
        code, said = written_to(writer, laptop, *command)
        os.close(writer)
        assert code in (0, 130), (command, said)
        assert b"Traceback" not in said
        assert b"BrokenPipe" not in said
    made = laptop.commit({"b.txt": "b"})
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            ("git-annex-syncx", "-v", "push"), cwd=laptop.path, env=laptop.net.env(), stdout=full, stderr=full,
            check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, "what cannot be told is done all the same"
    assert desktop.head("synced/main") == made


# Passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://me:{SECRET}@host/x.git", "https://host/x.git"),
        (f"https://{SECRET}@host/x and ssh://me:{SECRET}@host:22/", "https://host/x and ssh://me@host:22/"),
        (f"'HTTP://a:{SECRET}@p@host'", "'HTTP://host'"),
        (f'{{"url": "davs://u:{SECRET}@h/p"}}', '{"url": "davs://h/p"}'),
        ("ssh://git@host/x https://host/a@b mail me@x", "ssh://git@host/x https://host/a@b mail me@x"),
        (f"mqtts://:{SECRET}@h", "mqtts://h"),
    ],
)  # fmt: skip
def test_urls_lose_their_passwords(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


@pytest.mark.parametrize("text", ["x://" + "a" * 200_000 + " @", "a." * 100_000 + "@", "x://:" * 40_000 + "@"])
def test_no_text_of_others_takes_long(text: str) -> None:
    before = time.process_time()
    without_passwords(text)
    assert time.process_time() - before < 5


@given(st.text(max_size=60))
def test_any_text_stays_readable(text: str) -> None:
    once = without_passwords(text)
    assert without_passwords(once) == once
    if "@" not in text:
        assert once == text


def test_no_password_of_a_url_is_kept_or_shown(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    laptop.config("syncx.connectTimeout", "1s")
    laptop.config("remote.web.url", f"http://me:{SECRET}@127.0.0.1:1/x.git")
    laptop.config("remote.web.fetch", "+refs/heads/*:refs/remotes/web/*")
    laptop.config("remote.tunnel.url", f"ssh://me:{SECRET}@127.0.0.1:1/x.git")
    laptop.config("remote.tunnel.fetch", "+refs/heads/*:refs/remotes/tunnel/*")
    note = laptop.net.root / "noted"
    laptop.config("syncx.onFailure", f"env >>'{note}'")
    told = ""
    commands = (
        ("sync",),
        ("map", "--refresh"),
        ("map",),
        ("map", "--dot"),
        ("status",),
        ("plan",),
        ("-vv", "push", "web"),
    )
    for command in (*commands, ("push",), ("retry",)):
        for form in ((), ("--json",)):
            ran = laptop.run("git-annex-syncx", *form, *command, ok=None)
            told += ran.out + ran.err
    assert "127.0.0.1" in told
    state = laptop.path / ".git" / "annex" / "syncx"
    kept = {path: path.read_bytes() for path in [*state.rglob("*"), *laptop.net.root.glob("noted")] if path.is_file()}
    assert SECRET not in told
    assert not [path for path, content in kept.items() if SECRET.encode() in content]
    assert stat.S_IMODE((state / "map").stat().st_mode) == 0o600

    saved = {"nodes": [{"description": "old", "url": f"https://x:{SECRET}@h/", "uuid": None, "remotes": []}]}
    (state / "map").write_text(json.dumps(saved))  # by an older version
    (state / "map").chmod(0o644)
    assert SECRET not in laptop.syncx("map").out
    assert SECRET not in (state / "map").read_text()
    assert stat.S_IMODE((state / "map").stat().st_mode) == 0o600


def test_watch_is_not_installed_where_it_cannot_run(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    lacking = laptop.net.root / "lacking"
    lacking.mkdir()
    (lacking / "sitecustomize.py").write_text("import sys\nsys.modules['watchfiles'] = None\n")
    ran = laptop.run("git-annex-syncx", "service", "install", ok=2, PYTHONPATH=str(lacking))
    assert "watch needs the package watchfiles" in ran.err
    python = Path(sys.executable).absolute()
    assert f"{python} -m pip install 'git-annex-syncx[watch]'" in ran.err
    assert not list(laptop.net.home.rglob("*.service"))
    assert "ExecStart" in laptop.run("git-annex-syncx", "service", "show", PYTHONPATH=str(lacking)).out


# Advice that is followed helps


def advised(node: Node, *args: str, ok: int = 2) -> str:
    """What the advice of a command that is refused says after the colon, which a shell can run."""
    said = node.run("git-annex-syncx", *args, ok=ok).err.splitlines()
    return said[-1].partition(": ")[2] or said[-1].strip()


def test_advice_names_the_scope_that_a_setting_is_in(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    laptop.git("config", "--global", "merge.default", "other")
    command = advised(laptop, "merge-driver", "install", "--global")
    assert command == "git annex-syncx merge-driver install --global --force"
    laptop.run("sh", "-c", command.replace("git annex-syncx", "git-annex-syncx"))
    said = laptop.run("git-annex-syncx", "merge-driver", "uninstall").out
    assert "git annex-syncx merge-driver uninstall --global takes it out" in said
    laptop.run("git-annex-syncx", "merge-driver", "uninstall", "--global")
    laptop.git("config", "--global", "merge.default", "syncx")
    said = laptop.run("git-annex-syncx", "merge-driver", "status").out.strip()
    laptop.run("sh", "-c", said.rpartition("merge.default is syncx: ")[2])
    assert laptop.git("config", "merge.default", ok=1).out == ""

    file = laptop.net.root / "no-directory"
    file.touch()
    laptop.git("config", "--global", "core.hooksPath", str(file))
    said = laptop.run("git-annex-syncx", "hooks", "install", ok=2).err.splitlines()[-1]
    assert said.startswith("  git config --global core.hooksPath DIRECTORY, or --unset core.hooksPath,")
    laptop.git("config", "--global", "--unset", "core.hooksPath")
    laptop.run("git-annex-syncx", "hooks", "install")


def test_advice_about_trust_helps_in_a_directory_below(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    if os.getuid() != 0:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("only root can give a directory away")
    for path in (laptop.path, laptop.path / ".git"):
        os.chown(path, 12345, 12345)
    (laptop.path / "below").mkdir()
    below = Node(laptop.net, "below", laptop.path / "below")
    command = advised(below, "status")
    assert command.startswith("git config --global --add safe.directory ")
    below.run("sh", "-c", command)
    below.run("git-annex-syncx", "status")


@pytest.mark.parametrize("result", Result)
def test_the_log_has_what_was_done_and_what_failed(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    log.show(Outcome("push", result, "nas", reason="so"))
    quiet = (Result.CURRENT, Result.WAITS, Result.SKIPPED, Result.AWAY)
    assert capsys.readouterr().err[len("2026-01-01 10:00:00 ") :] == (
        "" if result in quiet else f"push nas: {result.value}: so\n"
    )
