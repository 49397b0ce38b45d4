"""The program's merges: in this process, or in another one that may run older code or have an odd configuration.

As a script it answers lines of heads with lines of JSON: `peer.py GIT_DIR CODE`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from git_annex_syncx.conflicts.merge_commits import join_heads
from git_annex_syncx.errors import ProgramFailed
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.history import independent
from git_annex_syncx.system import run

ODD_SETTINGS = """
[merge]
    conflictStyle = zdiff3
    default = ours
    renames = false
    directoryRenames = true
    renormalize = true
[merge "ours"]
    driver = true
[diff]
    renames = copies
    algorithm = patience
    renameLimit = 1
[core]
    autocrlf = true
    quotePath = true
    abbrev = 4
[i18n]
    commitEncoding = ISO-8859-1
[user]
    name = Somebody Else
    email = else@example.org
[log]
    showSignature = true
"""
ODD_ATTRIBUTES = "* merge=binary\n*.txt -merge\n*.py syncx=union\n*.csv syncx=union\n"


@dataclass(frozen=True)
class Merged:
    """What the program says it made: the commit, (path, kind, paths) of each conflict, how many merges it mended."""

    commit: str
    resolutions: tuple[tuple[bytes, str, tuple[bytes, ...]], ...]
    mended: int


class Refused(Exception):
    """No merge was made: what the program said."""


def start_directly(
    program: str,
    *args: str | bytes,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes | None = None,
    ok: Container[int] = (0,),
    **_: Any,
) -> run.Done:
    """Start a program as `run.run` does but by subprocess, which takes a quarter of the time."""
    words = [os.fsencode(word) for word in (run.find(program), *args)]
    given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, check=False, **given)  # type: ignore[call-overload]
    if done.returncode not in ok:
        raise ProgramFailed(shlex.join(map(os.fsdecode, words)), done.returncode, os.fsdecode(done.stderr), cwd)
    return run.Done(done.returncode, done.stdout, done.stderr)


def merged(git_dir: Path, heads: Iterable[str]) -> Merged:
    """Let the program join heads. Raises Refused."""
    try:
        repo = Repository(git_dir, git_dir, None)
        made = join_heads(repo, independent(repo, heads), True)
    except Exception as error:  # whatever it is, it is a finding
        raise Refused(f"{type(error).__name__}: {error}") from error
    told = tuple((r.path, r.kind, tuple(r.became)) for r in made.resolutions)
    return Merged(made.commit, told, made.fallbacks)


class Peer:
    """A process of its own, with the program's code at `code`, on the repository of `git_dir`."""

    def __init__(self, git_dir: Path, code: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            (sys.executable, __file__, os.fspath(git_dir), os.fspath(code)),
            env={"PATH": os.environ["PATH"], **env, "PYTHONPATH": os.fspath(code)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def merged(self, heads: Iterable[str]) -> Merged:
        """Let it join heads. Raises Refused."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked and answers
        asked.write(" ".join(heads).encode() + b"\n")
        asked.flush()
        told = json.loads(answers.readline())
        if "refused" in told:
            raise Refused(told["refused"])
        return Merged(told["commit"], (), told["mended"])

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def odd_peer(git_dir: Path, of: Path, code: Path) -> Peer:
    """A process whose repository, user and system say all that must have no say; it sees the objects of another."""
    home = git_dir.parent / f"{git_dir.name}.home"
    home.mkdir(parents=True)
    (home / ".gitconfig").write_text(ODD_SETTINGS)
    env = {"HOME": os.fspath(home), "TZ": "Asia/Tokyo", "LC_ALL": "C", "GIT_AUTHOR_DATE": "@1 +0900"}
    subprocess.run(("git", "init", "--quiet", "--bare", git_dir), env={"PATH": os.environ["PATH"], **env}, check=True)
    (git_dir / "objects/info/alternates").write_text(f"{of}/objects\n")
    with (git_dir / "config").open("a") as config:
        config.write(ODD_SETTINGS)
    (git_dir / "info/attributes").write_text(ODD_ATTRIBUTES)
    return Peer(git_dir, code, env)


def old_peer(git_dir: Path, code: Path) -> Peer:
    """A process with other code on the same repository."""
    env = {"HOME": os.fspath(git_dir), "GIT_CONFIG_NOSYSTEM": "1", "SYNCX_FUZZ_DIRECTLY": "1"}
    return Peer(git_dir, code, env)


def main() -> None:
    """Answer."""
    git_dir, code = map(Path, sys.argv[1:])
    assert Path(run.__file__).is_relative_to(code), f"{run.__file__} is not in {code}"
    if "SYNCX_FUZZ_DIRECTLY" in os.environ:
        run.run = start_directly
    for line in sys.stdin:
        try:
            made = merged(git_dir, line.split())
            told: dict[str, object] = {"commit": made.commit, "mended": made.mended}
        except Refused as refused:
            told = {"refused": str(refused)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
