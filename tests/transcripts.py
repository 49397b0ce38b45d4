"""Run the commands in a page of the documentation, and compare what they print with what the page shows.

A block of commands is fenced with ```console: each line that begins with `$ ` is a command, the lines below it are
what it prints. Where nothing is shown nothing is compared; `...` stands for any lines. What a reader has or does
without being told (a drive is plugged in, another person commits) stands in a comment, which is run, too:

    <!-- run
    mkdir -p /media/usb
    -->

Commands run in a home of their own; /media, /srv and /mnt are directories below it, and every host name of ssh leads
to an sshd of the test. `# exit 1` behind a command is the exit code that it must have.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import termios
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from network import Network, Node

BLOCK = re.compile(r"^```console\n(.*?)^```|^<!-- run\n(.*?)^-->", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exit (\d+)$")
PLACES = ("/media/", "/srv/", "/mnt/")
SIMPLE = re.compile(r"git annex-syncx [\w ./:=%,@+-]+")  # nothing that a shell would understand otherwise
SIZE = (60, 250)  # lines and columns of a terminal: no line is wrapped
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LONGEST = 300.0  # seconds that a command may take
# What differs from run to run, and the word that stands for it.
VARYING = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?\b", "WHEN"),
        (r"\b\d\d:\d\d(:\d\d)?\b", "WHEN"),
        (r"\bvariant-[0-9a-f]{4}\b", "variant-XXXX"),
        (r"\b[0-9a-f]{7,40}\b", "COMMIT"),
        (r"\b\d+(\.\d+)? ?(ms|s|min|h)\b", "TIME"),
        (r"\bjust now\b|\bTIME ago\b", "AGO"),
        (r"[-─━]{3,}", "---"),
        (r"\s+", " "),
    )
)


@dataclass
class Command:
    """A command of a page; `line` is where it stands, `shown` what the page says that it prints."""

    line: int
    words: str
    code: int = 0
    shown: list[str] = field(default_factory=list)


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of a page in their order."""
    for found in BLOCK.finditer(text):
        first = text.count("\n", 0, found.start()) + 2
        if found[2] is not None:
            yield Command(first, found[2])
            continue
        command = None
        for number, line in enumerate(found[1].splitlines(), start=first):
            if line.startswith("$ "):
                if command:
                    yield command
                command = _command(number, line[2:])
            elif command and command.words.endswith("\\"):
                command.words += "\n" + line
            elif command:
                command.shown.append(line)
        if command:
            yield command


def _command(line: int, words: str) -> Command:
    code = EXIT.search(words)
    return Command(line, EXIT.sub("", words), int(code[1]) if code else 0)


class Sandbox:
    """A home, some directories, and hosts, in which commands of a page run one after the other."""

    def __init__(self, net: Network) -> None:
        """`net` gives the environment."""
        self._net, self._root = net, net.root
        self._gnupg = {"GNUPGHOME": str(net.runtime / "gnupg")}  # sockets need a short path
        (net.runtime / "gnupg").mkdir(mode=0o700)
        self._here = net.root / "cwd"
        self.enter(net.home)
        for place in PLACES:
            (net.root / place.strip("/")).mkdir()

    def close(self) -> None:
        """End what gpg has started."""
        subprocess.run(("gpgconf", "--kill", "all"), env=os.environ | self._gnupg, check=False, capture_output=True)

    def enter(self, directory: Path) -> None:
        """Run what follows in a directory."""
        self._here.write_text(str(directory))

    def tell(self, page: Path) -> int:
        """Run all commands of a page; return how many there were."""
        told = list(commands(page.read_text()))
        for command in told:
            self._check(page, command)
        return len(told)

    def _check(self, page: Path, command: Command) -> None:
        code, printed = self._run(self._moved(command.words), bool(command.shown))
        where = f"{page.name}:{command.line}: {command.words}"
        assert code == command.code, f"{where}\nexit {code}\n{printed}"
        missing = lacking(command.shown, self._moved_back(printed))
        assert missing is None, f"{where}\nprints no {missing!r} there:\n{printed}"

    def _moved(self, words: str) -> str:
        """Return a command with the directories that a reader has in the sandbox."""
        return re.sub(r"(?<![\w.])(/(?:media|srv|mnt))(?=/)", lambda found: f"{self._root}{found[1]}", words)

    def _moved_back(self, printed: str) -> str:
        return printed.replace(str(self._net.home), "~").replace(str(self._root), "")

    def _run(self, words: str, seen: bool) -> tuple[int, str]:
        """Return the exit code of a command and what it prints, as on a terminal where that is to be `seen`."""
        if not seen and SIMPLE.fullmatch(words) and words.isascii():
            node = Node(self._net, "reader", Path(self._here.read_text().strip()))
            ran = node.run("git-annex-syncx", *shlex.split(words)[2:], ok=None, **self._gnupg)
            return ran.code, ran.out + ran.err
        script = f'cd "$(cat {self._here})" || exit\n{words}\ncode=$?; pwd >{self._here}; exit $code'
        env = self._net.env(TERM="xterm", NO_COLOR="1", **self._gnupg)
        if not seen:
            done = subprocess.run(
                ("bash", "-c", script), env=env, stdin=subprocess.DEVNULL, timeout=LONGEST, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            return done.returncode, os.fsdecode(done.stdout)
        return _on_terminal(("bash", "-c", script), env)


def _on_terminal(words: tuple[str, ...], env: dict[str, str]) -> tuple[int, str]:
    """Run a program on a terminal at which nobody types."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    process = subprocess.Popen(words, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    printed = b""
    while select.select([ours], [], [], LONGEST)[0]:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # nobody has it open any more
            break
        if not part:
            break
        printed += part
    os.close(ours)
    return process.wait(LONGEST), CONTROL.sub("", os.fsdecode(printed)).replace("\r\n", "\n")


def lacking(shown: list[str], printed: str) -> str | None:
    """Return the first line of a page that was not printed below the one before it, None where all were."""
    lines = iter([_plain(line) for line in printed.replace("\r", "\n").split("\n")])
    for line in shown:
        wanted = _plain(line)
        if wanted and wanted != "..." and not any(line == wanted for line in lines):
            return wanted
    return None


def _plain(line: str) -> str:
    for pattern, word in VARYING:
        line = pattern.sub(word, line)
    return line.strip()
