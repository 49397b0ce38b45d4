"""A block of our own in a git configuration file: added and taken out again to the byte."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import files, run

BEGIN = b"# git-annex-syncx: begin (git annex-syncx merge-driver uninstall takes this out)"
END = b"# git-annex-syncx: end"
# What the block must give back when it goes: the newline that it put before itself, the file that it made.
GLUED, ALONE = b" [after a line without end]", b" [in a new file]"
BLOCK = re.compile(
    rb"(?P<newline>\n?)" + re.escape(BEGIN) + rb"(?P<note>[^\n]*)\n(?P<body>.*?)" + re.escape(END) + rb"\n?",
    re.DOTALL,
)


def place(repo: Repository | None, everywhere: bool) -> Path:
    """The configuration file of the repository or of the user. Raises UsageError where there is none."""
    if not everywhere:
        if repo is None:
            raise UsageError("this is not a git repository", "change to one, or use --global")
        return repo.common / "config"
    env = run.environment()
    if env.get("GIT_CONFIG_GLOBAL"):
        return Path(env["GIT_CONFIG_GLOBAL"])
    home = Path(env.get("HOME", "~")).expanduser()
    other = Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "config"
    own = home / ".gitconfig"
    return other if other.is_file() and not own.exists() else own


@dataclass(frozen=True)
class Setting:
    """A value that git uses, the scope (`local`, `global`, ...) and the file that it comes from."""

    value: str
    scope: str
    file: Path


def find(repo: Repository | None, key: str, everywhere: bool) -> Setting | None:
    """The value that git uses; of the user's own configuration alone with `everywhere`."""
    scope = ("--global",) if everywhere else ()
    home = repo.home if repo else Path("/")
    words = ("config", *scope, "--includes", "--null", "--show-scope", "--show-origin", "--get", key)
    done = run.run("git", *words, cwd=home, env=run.environment(), ok=(0, 1))
    if done.code != 0:
        return None
    found, origin, value, _ = os.fsdecode(done.out).split("\0")
    return Setting(value, found, home / origin.removeprefix("file:"))


def add_block(file: Path, settings: Iterable[tuple[str, str]]) -> None:
    """Append the settings as a block of our own."""
    with _locked(file) as (old, replace):
        note, before = (
            (ALONE, b"") if old is None else (GLUED, b"\n") if old and not old.endswith(b"\n") else (b"", b"")
        )
        replace((old or b"") + before + BEGIN + note + b"\n" + b"".join(_lines(settings)) + END + b"\n")


def remove_block(file: Path, settings: Iterable[tuple[str, str]]) -> None:
    """Take the block out; lines that somebody else has put into it stay. Nothing happens where there is none."""
    if not file.exists():
        return
    with _locked(file) as (old, replace):
        found = BLOCK.search(old or b"")
        if old is None or not found:
            return
        foreign = _foreign(found["body"], set(_lines(settings)))
        glued = found["note"] == GLUED and not foreign and found.end() == len(old)
        before, after = old[: found.start()] + (b"" if glued else found["newline"]), old[found.end() :]
        left = before + foreign + after
        replace(None if found["note"] == ALONE and not left else left)


def _lines(settings: Iterable[tuple[str, str]]) -> list[bytes]:
    lines, last = [], ""
    for key, value in settings:
        section, _, name = key.rpartition(".")
        if section != last:
            top, _, sub = section.partition(".")
            lines.append(f'[{top} "{sub}"]\n' if sub else f"[{top}]\n")
            last = section
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        lines.append(f'\t{name} = "{escaped}"\n')
    return [os.fsencode(line) for line in lines]


def _foreign(body: bytes, ours: set[bytes]) -> bytes:
    """Return what others wrote into the block, under the section headers that they wrote it below."""
    kept: list[bytes] = []
    header: bytes | None = None
    for line in body.splitlines(keepends=True):
        if line in ours and line.startswith(b"["):
            header = line
        elif line not in ours and not _is_old_setting(line):
            kept += [header] if header else []
            header = None
            kept.append(line)
    return b"".join(kept)


def _is_old_setting(line: bytes) -> bool:
    """Return whether another version of this program wrote the line."""
    return line.startswith((b"\tdriver = ", b"\tname = ", b"\trecursive = ")) or line == b'\tdefault = "syncx"\n'


class _Replace:
    """Puts new content in the place of a file, or removes it (None)."""

    def __init__(self, file: Path, lock: Path) -> None:
        self.file, self.lock = file, lock

    def __call__(self, content: bytes | None) -> None:
        if content is None:
            self.file.unlink()
            return
        with self.lock.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())  # or a power failure leaves an empty configuration
        if self.file.exists():
            self.lock.chmod(self.file.stat().st_mode & 0o7777)
        self.lock.rename(self.file)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[tuple[bytes | None, _Replace]]:
    """The content of a configuration file under git's own lock. Raises UsageError where it cannot be written."""
    file = file.resolve()
    if file.exists() and not file.is_file():  # a device such as /dev/null would be replaced
        raise UsageError(f"{file} is no regular file", "name another configuration, or leave out --global")
    lock = file.with_name(file.name + ".lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError as error:
        raise UsageError(f"{lock} exists: git is at work here", f"if no git is running, remove {lock}") from error
    except OSError as error:
        raise _unwritable(file, error) from error
    try:
        yield file.read_bytes() if file.exists() else None, _Replace(file, lock)
    except OSError as error:
        raise _unwritable(file, error) from error
    finally:
        lock.unlink(missing_ok=True)


def _unwritable(file: Path, error: OSError) -> UsageError:
    return UsageError(f"{file} cannot be written: {error.strerror}", files.advice(error))
