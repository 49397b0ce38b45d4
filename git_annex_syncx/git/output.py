"""Read what git prints while it goes on: of much, never all is in memory, and git and we work at the same time."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import IO

from git_annex_syncx.errors import ProgramFailed
from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import run
from git_annex_syncx.system.lasting import Output

CHUNK = 1 << 20  # bytes

log = logging.getLogger(__name__)


@contextlib.contextmanager
def reading(repo: Repository, *args: str | bytes) -> Iterator[IO[bytes]]:
    """Yield the output of git, to be read to its end. Raises ProgramFailed."""
    with talking(repo, *args) as (given, out):
        given.close()
        yield out


@contextlib.contextmanager
def talking(repo: Repository, *args: str | bytes) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Yield the input of git, to be closed, and its output, to be read to its end. Raises ProgramFailed."""
    log.debug("%s", run.shown("git", args))
    with Output("git", *args, cwd=repo.home, env={**run.environment(), **repo.named}) as git:
        yield git.given, git.out
        if code := git.code():
            raise ProgramFailed(run.shown("git", args), code, git.said(), repo.home)


def records(out: IO[bytes]) -> Iterator[bytes]:
    """Yield records that end with NUL, many together."""
    rest = b""
    while chunk := out.read(CHUNK):
        whole, end, rest = (rest + chunk).rpartition(b"\0")
        yield whole + end
