"""Git's configuration: values found and changed in its files by `git config`, and overridden for one run."""

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
from git_annex_syncx.system.retry import retried

NOT_THERE, NOT_WRITTEN, NOT_LOCKED = 5, 4, 255  # how `git config` ends


class _Locked(UsageError):
    """Another git has the file locked."""


def place(repo: Repository | None, everywhere: bool) -> Path:
    """Return the configuration file of the repository or of the user. Raises UsageError where there is none."""
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
    """A value that git uses, with the scope (`local`, `global`, ...) and the file that it comes from."""

    value: str
    scope: str
    file: Path


def find(repo: Repository | None, key: str, everywhere: bool) -> Setting | None:
    """Return the value that git uses; with `everywhere` that of the user's own configuration."""
    scope = ("--global",) if everywhere else ()
    home = repo.home if repo else Path("/")
    words = ("config", *scope, "--includes", "--null", "--show-scope", "--show-origin", "--get", key)
    done = run.run("git", *words, cwd=home, env=run.environment(), ok=(0, 1))
    if done.code != 0:
        return None
    found, origin, value, _ = os.fsdecode(done.out).split("\0")
    return Setting(value, found, home / origin.removeprefix("file:"))


def for_all_users(key: str) -> list[str]:
    """Return the values of a key in the configuration of the whole system."""
    words = ("config", "--system", "--includes", "--null", "--get-all", key)
    out = run.run("git", *words, cwd=Path("/"), env=run.environment(), ok=range(256)).out
    return os.fsdecode(out).split("\0")[:-1]


def add(file: Path, key: str, value: str) -> None:
    """Add a value behind those that the file has for the key. Raises UsageError where it cannot be written."""
    if file.exists() and not file.is_file():  # git would replace a device such as /dev/null
        raise UsageError(f"{file} is no regular file", "name another configuration, or leave out --global")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", files.advice(error)) from error
    _change(file, "--add", key, value)


def remove(file: Path, key: str, value: str = "") -> None:
    """Remove all values of a key, or only those that are `value`. Raises UsageError where it cannot be written."""
    if file.is_file():
        _change(file, *(("--fixed-value", "--unset-all", key, value) if value else ("--unset-all", key)))


def drop_if_empty(file: Path) -> None:
    """Delete a configuration file in which nothing is left, unless a git is about to write to it."""
    lock = file.with_name(file.name + ".lock")
    with contextlib.suppress(OSError):
        lock.touch(exist_ok=False)
        try:
            if file.is_file() and not file.is_symlink() and file.stat().st_size == 0:
                file.unlink()
        finally:
            lock.unlink()


def _change(file: Path, *words: str) -> None:
    """Change a file. While another git has it locked, that is tried again, for about two seconds."""
    retried(lambda: _config(file.absolute(), *words), _Locked, tries=12, first=0.1, longest=0.4)


def _config(file: Path, *words: str) -> None:
    command = ("git", "config", "--file", os.fspath(file), *words)
    done = run.run(*command, cwd=Path("/"), env=run.environment(), ok=(0, NOT_THERE, NOT_WRITTEN, NOT_LOCKED))
    reason = os.fsdecode(done.err).strip().rpartition(": ")[2]
    if done.code == NOT_LOCKED and reason == "File exists":  # the lock, which may be gone by now
        lock = file.resolve().with_name(file.resolve().name + ".lock")
        raise _Locked(f"{lock} exists: git is at work here", f"if no git is running, remove {lock}")
    if done.code not in (0, NOT_THERE):
        raise UsageError(f"{file} cannot be written: {reason}", "check permissions and free space")


def override(pairs: Iterable[tuple[str, str]]) -> None:
    """Set configuration for this run and all programs that it starts, as `git -c` does; before any is read."""
    quoted = [f"{_quote(key)}={_quote(value)}" for key, value in pairs]
    os.environ["GIT_CONFIG_PARAMETERS"] = " ".join([os.environ.get("GIT_CONFIG_PARAMETERS", ""), *quoted]).strip()
    run.environment.cache_clear()


@contextlib.contextmanager
def overridden(pairs: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Set configuration for what is done inside, and for the programs that it starts."""
    before = os.environ.get("GIT_CONFIG_PARAMETERS")
    override(pairs)
    try:
        yield
    finally:
        os.environ.pop("GIT_CONFIG_PARAMETERS")
        if before is not None:
            os.environ["GIT_CONFIG_PARAMETERS"] = before
        run.environment.cache_clear()


def is_key(name: str) -> bool:
    """Return whether git accepts a name of a setting."""
    return re.fullmatch(r"[A-Za-z0-9-]+\.([^\n\0]*\.)?[A-Za-z][A-Za-z0-9-]*", name) is not None


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''").replace("!", "'\\!'") + "'"
