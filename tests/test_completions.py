"""Completion in real shells: each is started on a terminal of its own, and TAB is pressed."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import split_arg_string
from network import Network

from git_annex_syncx.cli.completion import own_words

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "git_annex_syncx" / "completions"
SERVER = Path(__file__).with_name("completion_server.py")
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
GIT_COMPLETION = Path("/usr/share/bash-completion/completions/git")
COMMANDS = {
    "push", "pull", "merge", "transfer", "sync", "status", "why", "conflicts", "merge-driver", "hooks", "retry",
    "pause", "resume", "connect", "doctor", "watch", "service", "signal", "map", "plan", "help",
}  # fmt: skip
NAMES = {"desktop", "nas", "mobile"}
WAYS = ["git-annex-syncx", "git annex-syncx", "git annex syncx"]
# What is typed behind the program's name -> what TAB offers there.
OFFERED = {
    "": COMMANDS,
    "pu": {"push", "pull"},
    "push ": NAMES,
    "push -v d": {"desktop"},
    "push --ex": {"--except"},
    "push --except ": NAMES,
    "push --except nas m": {"mobile"},
    "merge --fo": {"--forward"},
    "sync --no-c": {"--no-commit", "--no-content"},
    "sync -m text n": {"nas"},
    "tr": {"transfer"},
    "transfer ": NAMES | {"photos"},
    "transfer nas ph": {"photos"},
    "transfer photos/b": {"photos/beach.jpg"},
    "transfer -n d": {"desktop"},
    "transfer --d": {"--drop", "--dry-run"},
    "transfer --bwlimit 512k --al": {"--all"},
    "sync --bw": {"--bwlimit"},
    "plan ph": {"photos"},
    "help st": {"status"},
    "why ph": {"photos"},
    "why photos ": {"here", "desktop", "nas"},
    "why photos n": {"nas"},
    "tri": set(),
    "hooks ": {"install", "uninstall", "status"},
    "hooks un": {"uninstall"},
    "merge-driver --global s": {"status"},
    "service ": {"install", "uninstall", "show"},
    "service --ti": {"--timer"},
    "pause ": NAMES,
    "pause nas --fo": {"--for"},
    "pause --for ": {"30m", "2h", "8h", "1d"},
    "pause --for 2": {"2h"},
    "pause --for 2h d": {"desktop"},
    "resume n": {"nas"},
    "conflicts ph": {"photos"},
    "conflicts --keep ": {"ours", "theirs"},
    "plan --objective ": {"cost", "time"},
    "--js": {"--json"},
    "-C ../oth": {"../other"},
    "-C ../other push ": {"elsewhere"},
    "pull -C ../other e": {"elsewhere"},
}
# As git-annex ships it for bash: the function that git's completion calls.
ANNEX_BASH = """
source <(git-annex --bash-completion-script git-annex)
_git_annex() {
    local CMDLINE=(--bash-completion-index $((COMP_CWORD - 1)) --bash-completion-word git-annex) word
    for word in "${COMP_WORDS[@]:2}"; do CMDLINE+=(--bash-completion-word "$word"); done
    COMPREPLY=($(git-annex "${CMDLINE[@]}"))
}
"""


def need(program: str, file: Path | None = None) -> str:
    """The path of a program or file; without it the test is skipped, but never where everything must run."""
    found = (str(file) if file.exists() else None) if file else shutil.which(program)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{file or program} is not installed")
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A repository with two remotes, a group and a file, beside another with one remote."""
    net = Network(tmp_path_factory.mktemp("completions"))
    for name, remotes in (("laptop", ("desktop", "nas")), ("other", ("elsewhere",))):
        (net.root / name).mkdir()
        for args in (["init", "--quiet"], *(["remote", "add", remote, f"../{remote}"] for remote in remotes)):
            subprocess.run(["git", *args], cwd=net.root / name, env=net.env(), check=True)
    subprocess.run(["git", "config", "remotes.mobile", "desktop"], cwd=net.root / "laptop", env=net.env(), check=True)
    (net.root / "laptop" / "photos").mkdir()
    (net.root / "laptop" / "photos" / "beach.jpg").touch()
    return net.root / "laptop"


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[str]:
    """A PATH with a program that need not be started anew for each of so many questions."""
    directory = tmp_path_factory.mktemp("program")
    with subprocess.Popen([sys.executable, SERVER, directory]) as running:
        while not (directory / "git-annex-syncx").exists():
            time.sleep(0.01)
        yield f"{directory}:{os.environ['PATH']}"
        running.kill()


class Shell:
    """An interactive shell on a terminal; what it answers is printed by its function `answer`."""

    def __init__(self, place: Path, *command: str, setup: str, key: str, **env: str) -> None:
        """`setup` is run first; `key` inserts all that is offered."""
        self.key, self.heard = key, ""
        environment = Network.env(Network(place.parent / f"home-{time.monotonic_ns()}"), TERM="dumb", **env)
        rc = place.parent / f"rc-{time.monotonic_ns()}"
        rc.write_text(setup)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(place)
            os.execvpe(command[0], command, environment)
        termios.tcsetwinsize(self.terminal, (50, 2000))
        self.send(f" . {rc}; answer\r")
        self.answer()

    def send(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def answer(self) -> str:
        """The next answer."""
        while not (found := re.search(r"=>\((.*?)\)<=", self.heard, re.DOTALL)):
            ready, _, _ = select.select([self.terminal], [], [], 30)
            assert ready, f"no answer: {self.heard}"
            self.heard += os.read(self.terminal, 65536).decode(errors="replace")
        self.heard = self.heard[found.end() :]
        return found[1]

    def offered(self, line: str) -> set[str]:
        """What is offered for the last word of a line."""
        self.send(f"{line}{self.key}\x01answer \r")
        given = len(line.rpartition(" ")[0].split())
        words = re.findall(r"\[(.*?)\]", self.answer())[given:]
        return {word.rstrip("/") for word in words} - ({line.rpartition(" ")[2]} if len(words) == 1 else {""})

    def end(self) -> None:
        os.close(self.terminal)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


ANSWER = "answer() { printf '=>('; [ $# = 0 ] || printf '[%s]' \"$@\"; printf ')<=\\n'; }\n"
SOURCED = f". {SCRIPTS}/git-annex-syncx\n"
FROM_THE_PROGRAM = 'eval "$(_GIT_ANNEX_SYNCX_COMPLETE={}_source git-annex-syncx)"\n'
BASH = {
    "alone": FROM_THE_PROGRAM.format("bash"),
    "with git's": f". {GIT_COMPLETION}\n{SOURCED}",
    "with git's loaded later": f"{SOURCED}. {GIT_COMPLETION}\n",
    "with bash-completion": f". {BASH_COMPLETION}\n{SOURCED}",
    "with bash-completion loaded later": f"{SOURCED}. {BASH_COMPLETION}\n",
}


def bash(place: Path, setup: str, **env: str) -> Shell:
    """A bash with nothing of the user's."""
    key = "\x1b*"  # insert-completions
    return Shell(place, need("bash"), "--norc", "--noprofile", "-i", setup=ANSWER + setup, key=key, **env)


@pytest.fixture(scope="module", params=BASH)
def a_bash(request, place: Path, server: str) -> Iterator[Shell]:
    need("", GIT_COMPLETION)
    need("", BASH_COMPLETION)
    shell = bash(place, f"{BASH[request.param]}PATH={server}\n")
    yield shell
    shell.end()


@pytest.mark.parametrize("way", WAYS)
def test_bash(a_bash: Shell, way: str) -> None:
    for typed, offered in OFFERED.items():
        assert a_bash.offered(f"{way} {typed}") == offered, typed


def test_bash_completion_finds_the_script_by_itself(place: Path, tmp_path: Path) -> None:
    need("", BASH_COMPLETION)
    completions = tmp_path / "bash-completion" / "completions"
    completions.mkdir(parents=True)
    shutil.copy(SCRIPTS / "git-annex-syncx", completions)
    shell = bash(place, f". {BASH_COMPLETION}\n", XDG_DATA_HOME=str(tmp_path))
    assert shell.offered("git annex-syncx pu") == {"push", "pull"}
    assert shell.offered("git-annex-syncx push n") == {"nas"}
    shell.end()


@pytest.mark.parametrize("git", ["", f". {GIT_COMPLETION}\n", f". {BASH_COMPLETION}\n"])
def test_bash_leaves_the_rest_of_git_annex_to_others(place: Path, git: str, tmp_path: Path) -> None:
    need("", GIT_COMPLETION)
    need("", BASH_COMPLETION)
    completions = tmp_path / "bash-completion" / "completions"
    completions.mkdir(parents=True)
    (completions / "git-annex").write_text(ANNEX_BASH)
    loaded = "" if BASH_COMPLETION.name in git else ANNEX_BASH
    shell = bash(place, f"{git}{loaded}{SOURCED}", XDG_DATA_HOME=str(tmp_path))
    assert shell.offered("git annex whe") >= {"whereis"}
    assert shell.offered("git annex sy") >= {"sync", "syncx"}
    assert shell.offered("git annex syncx pu") == {"push", "pull"}
    assert shell.offered("git annex copy --fro") >= {"--from"}
    if git:
        assert "checkout" in shell.offered("git check")
        assert shell.offered("git remote get-url ") >= {"desktop", "nas"}
    shell.end()


def test_bash_expands_nothing_in_names(place: Path) -> None:
    name = "$(touch${IFS}harm)"
    run = ["git", "remote", "add", name, "nowhere"]
    other = place.parent / "strange"
    subprocess.run(["git", "init", "--quiet", str(other)], check=True)
    subprocess.run(run, cwd=other, check=True)
    shell = bash(place, SOURCED)
    assert shell.offered("git-annex-syncx -C ../strange push ") == {name}
    assert shell.offered("git-annex-syncx -C ../strange transfer ") == {name, "photos"}
    shell.end()
    assert not list(place.parent.glob("*/harm"))


# zsh

ALL_MATCHES = (
    "zstyle ':completion:*' completer _all_matches _complete\nzstyle ':completion:*' insert yes\nsetopt no_beep\n"
)


def zsh(place: Path, setup: str, after: str = "", **env: str) -> Shell:
    """A zsh with nothing of the user's."""
    dump = place.parent / f"zcompdump{len(after)}"
    found = "" if after else f"fpath=({SCRIPTS} $fpath)\n"
    start = f"PS1='> '\n{found}autoload -Uz compinit && compinit -u -d {dump}\nbindkey -e\n{after}"
    return Shell(place, need("zsh"), "-f", "-i", setup=ANSWER + setup + start + ALL_MATCHES, key="\t", **env)


@pytest.fixture(scope="module", params=["with git's", "alone"])
def a_zsh(request, place: Path, server: str, tmp_path_factory) -> Iterator[Shell]:
    setup = ""
    if request.param == "alone":  # compinit's own directory without the completion of git
        kept = tmp_path_factory.mktemp("zsh")
        setup = f"for f in ${{^fpath}}/*(N.); do [[ ${{f:t}} == _git ]] || ln -sf $f {kept}/; done\nfpath=({kept})\n"
    shell = zsh(place, setup, PATH=server)
    yield shell
    shell.end()


@pytest.mark.parametrize("way", WAYS)
def test_zsh(a_zsh: Shell, way: str) -> None:
    for typed, offered in OFFERED.items():
        assert a_zsh.offered(f"{way} {typed}") == offered, typed


def test_zsh_leaves_the_rest_to_others(place: Path, tmp_path: Path) -> None:
    with (tmp_path / "_git-annex").open("wb") as script:
        subprocess.run(["git-annex", "--zsh-completion-script", "git-annex"], check=True, stdout=script,
                       env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})  # fmt: skip
    shell = zsh(place, f"fpath=({tmp_path} $fpath)\n")
    assert shell.offered("git annex whe") >= {"whereis"}
    assert shell.offered("git annex syncx pu") == {"push", "pull"}
    assert "checkout" in shell.offered("git check")
    assert shell.offered("git annex-s") == {"annex-syncx"}
    shell.end()


def test_zsh_takes_the_function_from_the_program(place: Path) -> None:
    shell = zsh(place, "", after=FROM_THE_PROGRAM.format("zsh"))
    for way in WAYS:
        assert shell.offered(f"{way} pu") == {"push", "pull"}
    shell.end()


# fish


def fish(place: Path, tmp_path: Path, setup: str, *lines: str, **more: str) -> list[list[str]]:
    """What one fish offers for each line, in order."""
    env = Network(tmp_path / f"home-{time.monotonic_ns()}").env(**more)
    script = "\n".join([setup, *(f"complete -C {line!r}; echo {ASKED}" for line in lines)])
    done = subprocess.run(
        [need("fish"), "-c", script], cwd=place, env=env, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert not done.stderr
    *answers, rest = done.stdout.split(f"{ASKED}\n")
    assert not rest
    return [sorted(one.partition("\t")[0].rstrip("/") for one in answer.splitlines()) for answer in answers]


ASKED = "=asked="  # stands behind what is offered for a line


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_fish(place: Path, server: str, tmp_path: Path, way: str, own: bool) -> None:
    """With and without fish's completion of git."""
    setup = f"set fish_complete_path {tmp_path}\n" * own + f"source {SCRIPTS}/git-annex-syncx.fish"
    found = fish(place, tmp_path, setup, *(f"{way} {typed}" for typed in OFFERED), PATH=server)
    assert dict(zip(OFFERED, found, strict=True)) == {typed: sorted(OFFERED[typed]) for typed in OFFERED}


def test_fish_finds_the_script_by_itself(place: Path, tmp_path: Path) -> None:
    (found,) = fish(place, tmp_path, f"set -p fish_complete_path {SCRIPTS}", "git-annex-syncx pu")
    assert found == ["pull", "push"]


def test_fish_leaves_the_rest_to_others(place: Path, tmp_path: Path) -> None:
    setup = f"git-annex --fish-completion-script git-annex | source; source {SCRIPTS}/git-annex-syncx.fish"
    lines = ("git-annex whe", "git-annex syncx pu", "git check", "git annex syncx pu")
    annexs, ours, gits, ours_too = fish(place, tmp_path, setup, *lines)
    assert "whereis" in annexs
    assert "checkout" in gits
    assert ours == ours_too == ["pull", "push"]


@pytest.mark.parametrize(
    ("shell", "name"), [("bash", "git-annex-syncx"), ("zsh", "_git-annex-syncx"), ("fish", "git-annex-syncx.fish")]
)
def test_the_program_prints_its_scripts(tmp_path: Path, shell: str, name: str) -> None:
    """By its path it names itself by its path, for a virtual environment that is not on the PATH."""
    ours = Path(sys.executable).with_name("git-annex-syncx")
    others = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if not Path(p, ours.name).exists())
    script = (SCRIPTS / name).read_text()
    net = Network(tmp_path)
    for path, expected in (
        (f"{ours.parent}:{others}", script),
        (others, script.replace("complete git-annex-syncx 2>", f"complete {ours} 2>")),
    ):
        env = net.env(_GIT_ANNEX_SYNCX_COMPLETE=f"{shell}_source", PATH=path)
        assert subprocess.run([ours], env=env, check=True, capture_output=True, text=True).stdout == expected
    assert expected != script


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("git-annex-syncx push n", ["push"]),
        ("/opt/bin/git-annex-syncx ", []),
        ("git annex-syncx push -v ", ["push", "-v"]),
        ("git -C '../my photos' -c a=b --no-pager annex syncx push n", ["-C", "../my photos", "push"]),
        ("git-annex syncx transfer 'my ph", ["transfer"]),
        ("git my-alias push n", ["push"]),
        ("git", []),
    ],
)
def test_the_words_of_the_program_are_found_in_a_line(line: str, words: list[str]) -> None:
    assert own_words(split_arg_string(line + "\0")[:-1]) == words
