"""service: what is given to systemd and cron is what they understand, and is taken back whole."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from network import Network, Node, Ran

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git.git import open_repository
from git_annex_syncx.triggers import service

WATCH = "git-annex-syncx-watch@.service"
TIMERS = [f"git-annex-syncx-{name}@.{kind}" for name in ("retry", "sync") for kind in ("service", "timer")]
# As systemd-escape --path of systemd 252 says.
ESCAPED = {
    "/": "-",
    "/home/me/annex": "home-me-annex",
    "/home/my annex": r"home-my\x20annex",
    "/a-b/c_d.e:f": r"a\x2db-c_d.e:f",
    "/.hidden/.dir": r"\x2ehidden-.dir",
    "/ä/ü": r"\xc3\xa4-\xc3\xbc",
    "/x\\x2fy": r"x\x5cx2fy",
    "/~me/@%$'\"": r"\x7eme-\x40\x25\x24\x27\x22",
    "/n\udcffs": r"n\xffs",
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="units are for Linux")


class Units:
    """The user's units, in a directory of the test."""

    def __init__(self, net: Network) -> None:
        self.config = net.root / "my config"
        self.place = self.config / "systemd" / "user"

    def run(self, node: Node, *args: str, ok: int = 0) -> Ran:
        return node.run("git-annex-syncx", "service", *args, ok=ok, XDG_CONFIG_HOME=str(self.config))

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.place.glob("git-annex-syncx-*"))

    def enabled(self, name: str) -> list[str]:
        return [path.name for path in self.place.glob(f"*.wants/{name}*")]


@pytest.fixture
def units(net: Network) -> Units:
    """None yet."""
    return Units(net)


@pytest.fixture
def laptop(net: Network) -> Node:
    """A repository that nothing runs in."""
    return net.create("laptop")


@pytest.mark.parametrize("path", ESCAPED)
def test_instances_are_named_as_systemd_does(path: str) -> None:
    assert service.escaped(Path(path)) == ESCAPED[path]
    if shutil.which("systemd-escape"):
        told = subprocess.run(("systemd-escape", "--path", "--", path), capture_output=True, check=True)
        assert service.escaped(Path(path)) == os.fsdecode(told.stdout).strip()


def test_show_changes_nothing(laptop: Node, units: Units) -> None:
    said = units.run(laptop, "show").out
    assert "ExecStart=" in said
    assert f"# {units.place / WATCH}" in said
    assert "OnUnitInactiveSec=30min" in units.run(laptop, "show", "--timer").out
    assert not units.config.exists()


@pytest.mark.parametrize(("options", "names"), [((), [WATCH]), (("--timer",), sorted(TIMERS))])
def test_installed_and_uninstalled(laptop: Node, units: Units, options: tuple[str, ...], names: list[str]) -> None:
    units.run(laptop, "install", *options)
    assert units.names == names
    before = {name: (units.place / name).read_bytes() for name in names}
    units.run(laptop, "install", *options)
    assert {name: (units.place / name).read_bytes() for name in names} == before
    units.run(laptop, "uninstall", *options)
    assert units.names == []
    said = units.run(laptop, "uninstall", *options).out
    assert said.startswith("not installed: ")
    assert "systemctl" not in said


def test_what_cannot_be_done_here_is_said_shortly(laptop: Node, units: Units) -> None:
    lines = units.run(laptop, "install").out.splitlines()
    assert lines[0] == f"written: {units.place / WATCH}"
    assert lines[1].startswith("this could not be done from here ("), "there is no session of systemd in a test"
    assert lines[1].endswith("run it in a session of yours:")
    instance = f"git-annex-syncx-watch@{service.escaped(laptop.path)}.service"
    assert [shlex.split(line) for line in lines[2:]] == [
        ["systemctl", "--user", "daemon-reload"],
        ["systemctl", "--user", "enable", "--now", instance],
    ]
    assert "Created symlink" not in "".join(lines)


def test_a_unit_of_somebody_else_stays(laptop: Node, units: Units) -> None:
    units.place.mkdir(parents=True)
    theirs = units.place / TIMERS[3]
    theirs.write_text("[Timer]\nOnCalendar=daily\n")
    said = units.run(laptop, "install", "--timer", ok=2).err
    assert "is not ours" in said
    assert units.names == [TIMERS[3]], "nothing is half installed"
    units.run(laptop, "uninstall", "--timer")
    assert theirs.read_text() == "[Timer]\nOnCalendar=daily\n"


@pytest.mark.parametrize("options", [(), ("--timer",)])
def test_what_other_repositories_use_stays(
    laptop: Node, units: Units, net: Network, options: tuple[str, ...]
) -> None:
    units.run(laptop, "install", *options)
    names, kind = units.names, "timer" if options else "service"
    other = net.create("other")
    wants = units.place / "some.target.wants"
    wants.mkdir()
    for name in {name.partition("@")[0] for name in names}:
        (wants / f"{name}@{service.escaped(other.path)}.{kind}").symlink_to(units.place / f"{name}@.{kind}")
    said = units.run(laptop, "uninstall", *options).out
    assert units.names == names
    assert said.count("kept, other repositories use it") == len(names)


def test_systemd_finds_nothing_wrong(laptop: Node, units: Units, net: Network) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    units.run(laptop, "install")
    units.run(laptop, "install", "--timer")
    copies = net.root / "copies"
    copies.mkdir()
    for name in units.names:
        instance = name.replace("@", f"@{service.escaped(net.root / 'my photos')}")
        shutil.copy(units.place / name, copies / instance)
    env = net.env() | {"XDG_CONFIG_HOME": str(units.config), "SYSTEMD_UNIT_PATH": f"{copies}:"}
    words = ("systemd-analyze", "--man=no", "verify", *map(str, sorted(copies.iterdir())))
    done = subprocess.run(words, env=env, capture_output=True, check=False, timeout=60)
    told = [line for line in os.fsdecode(done.stderr).splitlines() if "syncx" in line]
    assert told == []
    assert done.returncode == 0, done.stderr


def test_a_program_in_an_odd_place() -> None:
    assert service._quoted(Path("/usr/bin/git-annex-syncx")) == "/usr/bin/git-annex-syncx"
    assert service._quoted(Path('/my "50%" $x\\y/p')) == r'"/my \"50%%\" $x\\y/p"'


def test_a_path_that_is_too_long_for_a_unit(net: Network, units: Units) -> None:
    deep = net.create("ä" * 60)
    ran = units.run(deep, "install", ok=2)
    assert "too long for systemd" in ran.err
    assert "service show --cron" in ran.err
    assert units.names == []


# cron


@pytest.mark.parametrize("name", ["plain", "my photos", "50%", "it's", "b\udcffd"])
def test_lines_for_cron(net: Network, units: Units, name: str) -> None:
    node = net.create(name)
    retry, sync = units.run(node, "show", "--cron").out.splitlines()
    assert retry.startswith("*/30 * * * * ")
    assert sync.startswith("17 */6 * * * ")
    for line, command in ((retry, "retry"), (sync, "sync")):
        given = line.split(None, 5)[5].replace("\\%", "\0")
        assert "%" not in given, "cron would end the command there"
        program, *words = shlex.split(given.replace("\0", "%"))
        assert Path(program).is_file()
        assert words == ["-C", str(node.path.resolve()), command]
    node.run("sh", "-c", line.split(None, 5)[5].replace("\\%", "%") + " --no-content")


def test_cron_is_only_shown(laptop: Node, units: Units) -> None:
    assert "--cron goes with show" in units.run(laptop, "install", "--cron", ok=2).err


def test_cron_and_timer_exclude_each_other(laptop: Node, units: Units) -> None:
    assert "--cron and --timer exclude" in units.run(laptop, "show", "--cron", "--timer", ok=2).err


# Where there is no systemd


def test_without_systemd_the_lines_for_cron_are_named(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    repo = open_repository(net.create("node").path)
    for action in ("install", "uninstall", "show"):
        with pytest.raises(UsageError) as refused:
            list(service.do(repo, action, "watch"))
        assert refused.value.advice == "git annex-syncx service show --cron"
    assert len(list(service.do(repo, "show", "cron"))) == 2
