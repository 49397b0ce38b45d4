"""The manual pages: current, clean, complete, and opened in every way that is promised."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from network import PROGRAMS, Network, Node, Ran
from watching import Watching, nothing_is_left

from git_annex_syncx.cli import group

ROOT = Path(__file__).parent.parent
MAN = ROOT / "man"
COMMANDS = group.shown()
FREE = {"syncx.contentIf", "syncx.onChange", "syncx.onFailure", "syncx.notify", "syncx.signal"}
PAGES = sorted(["git-annex-syncx.1", *(f"git-annex-syncx-{name}.1" for name in COMMANDS)])


def need(program: str) -> str:
    """The path of a program; without it the test is skipped, but never where everything must run."""
    found = shutil.which(program)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed")
    return found


@pytest.fixture
def here(net: Network) -> Node:
    """A directory to work in; the manual needs no repository."""
    node = Node(net, "here", net.root / "here")
    node.path.mkdir()
    return node


@pytest.fixture
def installed(here: Node, tmp_path: Path) -> Path:
    """A prefix as `pip install` leaves it: bin/ and share/man/man1/, the pages reached through the PATH only."""
    prefix = tmp_path / "prefix"
    (prefix / "bin").mkdir(parents=True)
    for program in ("git-annex", "git-annex-syncx"):
        (prefix / "bin" / program).symlink_to(PROGRAMS / program)
    shutil.copytree(MAN, prefix / "share" / "man" / "man1", ignore=shutil.ignore_patterns("*.py", "sections"))
    return prefix


def reader(here: Node, prefix: Path, *command: str) -> Ran:
    """Run a command as somebody with that prefix on the PATH."""
    return here.run(*command, PATH=f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}")


def first_line(ran: Ran) -> str:
    return ran.out.splitlines()[0].split()[0]


def test_pages_are_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(MAN / "generate.py"), str(tmp_path)], check=True)
    assert sorted(page.name for page in tmp_path.iterdir()) == PAGES == sorted(page.name for page in MAN.glob("*.1"))
    for name in PAGES:
        assert (tmp_path / name).read_bytes() == (MAN / name).read_bytes(), f"man/{name} is stale: run make man"


def test_pages_do_not_depend_on_day_place_or_hash(tmp_path: Path) -> None:
    for name, env in (("one", {"TZ": "UTC", "PYTHONHASHSEED": "1"}), ("two", {"TZ": "Asia/Tokyo", "COLUMNS": "40"})):
        (tmp_path / name).mkdir()
        command = [sys.executable, str(MAN / "generate.py"), str(tmp_path / name)]
        subprocess.run(command, check=True, cwd=tmp_path, env=os.environ | env)
    for page in PAGES:
        assert (tmp_path / "one" / page).read_bytes() == (tmp_path / "two" / page).read_bytes()


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_clean(page: str) -> None:
    done = subprocess.run([need("mandoc"), "-T", "lint", "-W", "warning", MAN / page], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("page", PAGES)
def test_groff_has_nothing_to_say(page: str) -> None:
    man = [need("man"), "--warnings=all", str(MAN / page)]
    done = subprocess.run(man, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (0, "")


def test_help_opens_every_page(here: Node) -> None:
    need("man")
    for name, command in COMMANDS.items():
        shown = here.run("git-annex-syncx", "help", name).out
        assert shown.startswith(f"GIT-ANNEX-SYNCX-{name.upper()}(1)")
        assert f"git annex syncx {name} [OPTIONS]" in shown
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert all(f" {flag}" in shown for flag in parameter.opts + parameter.secondary_opts)


def test_the_program_has_a_page_that_names_all_commands(here: Node) -> None:
    need("man")
    shown = here.run("git-annex-syncx", "help").out
    assert shown.startswith("GIT-ANNEX-SYNCX(1)")
    for name in COMMANDS:
        assert re.search(rf"\n {{7}}{name}\s", shown)
        assert f"git-annex-syncx-{name}(1)" in shown


def test_all_settings_of_the_page_are_read(here: Node, net: Network) -> None:
    """A setting that the page promises is refused when it makes no sense, unless it may be anything."""
    page = (MAN / "sections" / "git-annex-syncx.md").read_text()
    settings = [line.strip("`") for line in page.splitlines() if line.startswith("`syncx.")]
    settings = [setting for setting in settings if setting not in FREE]
    assert len(settings) >= 6
    node = net.create("laptop")
    for setting in settings:
        node.config(setting, "nonsense")
        refused = node.syncx("status", ok=2)
        assert setting.lower() in refused.err.lower()
        node.git("config", "--unset", setting)
    node.syncx("status")


@pytest.mark.slow
def test_the_examples_run(net: Network) -> None:
    """Every command line below EXAMPLES, in a repository that has the remotes that they name."""
    lines = []
    for page in sorted((MAN / "sections").glob("*.md")):
        examples = page.read_text().partition("# EXAMPLES\n")[2].partition("\n# ")[0]
        lines += [line.strip() for line in examples.splitlines() if line.startswith("    git annex")]
    assert len(lines) >= 25
    here = net.create("here")
    here.commit({"a.txt": "a\n", "notes.txt": "notes\n"})
    here.commit_annexed({"photos/beach.jpg": "a photo"})
    net.connect(*((here, net.clone(here, name, bare=True)) for name in ("nas", "usb", "laptop", "desktop")))
    bell = net.root / "bell"
    bell.write_text('#!/bin/sh\ncase $1 in send) cat >>"$0.heard" ;; *) exec tail -n +1 -F "$0.heard" ;; esac\n')
    bell.chmod(0o755)
    here.config("syncx.signal", f"exec:{bell}")
    for line in lines:
        words = shlex.split(line.partition(" | ")[0])
        if words[:2] == ["git", "annex-syncx"] and line != lines[0]:  # that git finds the program the first one shows
            words[:2] = ["git-annex-syncx"]
        if words[-1] == "listen":  # until it is interrupted
            here.run("timeout", "-s", "INT", "2", *words, ok=None)
        elif words[-1] == "watch":
            with Watching(here, *words[1:-1]):
                pass
        else:
            here.run(*words)
    nothing_is_left(net)


def test_help_in_a_pipe_is_plain_text(here: Node) -> None:
    need("man")
    shown = here.run("git-annex-syncx", "help", "push", MANPAGER="false", GROFF_SGR="1", MAN_KEEP_FORMATTING="1").out
    assert "\nDESCRIPTION\n" in shown
    assert [c for c in shown if not c.isprintable() and c != "\n"] == []


def test_help_on_a_terminal_has_a_pager(here: Node) -> None:
    need("man")
    ours, theirs = pty.openpty()
    env = here.net.env(MANPAGER="sed s/^/paged:/", TERM="dumb")
    done = subprocess.run(
        ["git-annex-syncx", "help", "push"], cwd=here.path, env=env, stdin=theirs, stdout=theirs, check=False
    )
    os.close(theirs)
    assert done.returncode == 0
    assert b"paged:" in os.read(ours, 4096)
    os.close(ours)


def test_with_a_man_that_fails_help_prints_a_summary(here: Node, tmp_path: Path) -> None:
    (tmp_path / "man").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "man").chmod(0o755)
    shown = here.run("git-annex-syncx", "help", "push", PATH=f"{tmp_path}:{PROGRAMS}:{os.environ['PATH']}").out
    assert shown.startswith("Usage: git-annex-syncx push [OPTIONS] [REMOTE...]")


def test_a_stand_in_for_man_is_not_believed(here: Node, tmp_path: Path) -> None:
    (tmp_path / "man").write_text("#!/bin/sh\necho 'This system has been minimized.'\n")
    (tmp_path / "man").chmod(0o755)
    shown = here.run("git-annex-syncx", "help", PATH=f"{tmp_path}:{PROGRAMS}:{os.environ['PATH']}").out
    assert shown.startswith("Usage: git-annex-syncx [OPTIONS] COMMAND")


def test_help_for_what_is_no_command(here: Node) -> None:
    ran = here.run("git-annex-syncx", "help", "../push", ok=2)
    assert "there is no command '../push'" in ran.err


@pytest.mark.parametrize(
    ("command", "title"),
    [
        ("man git-annex-syncx", "GIT-ANNEX-SYNCX(1)"),
        ("man git-annex-syncx-sync", "GIT-ANNEX-SYNCX-SYNC(1)"),
        ("git annex help syncx", "GIT-ANNEX-SYNCX(1)"),
        ("git annex-syncx --help", "GIT-ANNEX-SYNCX(1)"),
        ("git annex-syncx help", "GIT-ANNEX-SYNCX(1)"),
        ("git annex-syncx help push", "GIT-ANNEX-SYNCX-PUSH(1)"),
        ("git annex syncx help push", "GIT-ANNEX-SYNCX-PUSH(1)"),
    ],
)
def test_every_way_to_the_manual(here: Node, installed: Path, command: str, title: str) -> None:
    need("man")
    here.git("init", "--quiet")
    assert first_line(reader(here, installed, *command.split())) == title


@pytest.mark.thorough
@pytest.mark.slow
def test_pip_installs_the_pages(here: Node, tmp_path: Path) -> None:
    """A plain installation from a copy of the source, without its dependencies (which this environment lends)."""
    need("man")
    source = tmp_path / "source"
    kept = ("git_annex_syncx", "man", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
    source.mkdir()
    for name in kept:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, source / name)
    prefix = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(prefix)], check=True)
    pip = [
        str(prefix / "bin" / "python"),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--no-deps",
    ]
    subprocess.run([*pip, str(source)], check=True, cwd=tmp_path)
    assert sorted(page.name for page in (prefix / "share" / "man" / "man1").iterdir()) == PAGES
    assert (prefix / "share" / "bash-completion" / "completions" / "git-annex-syncx").is_file()
    assert (prefix / "share" / "zsh" / "site-functions" / "_git-annex-syncx").is_file()
    assert (prefix / "share" / "fish" / "vendor_completions.d" / "git-annex-syncx.fish").is_file()
    shutil.rmtree(source)
    assert first_line(reader(here, prefix, "man", "git-annex-syncx")) == "GIT-ANNEX-SYNCX(1)"
    lent = next(path for path in sys.path if path.endswith("site-packages"))
    shown = here.run(str(prefix / "bin" / "git-annex-syncx"), "help", "sync", PYTHONPATH=lent)
    assert first_line(shown) == "GIT-ANNEX-SYNCX-SYNC(1)"
