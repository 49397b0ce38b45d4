"""A queue of requests, as files: one run at a time, and one more for all that is asked meanwhile.

A request is an empty file, its date is when it is due. A trigger only makes sure that it is there, which a shell can
do without starting us; ten thousand of them are one file. Whoever holds the lock of a group takes all that is due.
The next run asks again for what a killed one had taken.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import files, locks

REFS, CONTENT = "refs", "content"
LONGEST = 900.0  # seconds; what is due later was dated by another clock
TAKEN = ".taken"


@dataclass(frozen=True, order=True)
class Request:
    """A request: `commit`, `received`, `retry`, `look`, `content`; with a remote `fetch` and `drive`."""

    kind: str
    remote: str = ""

    @property
    def group(self) -> str:
        """Return its group; groups do not wait for each other: content takes hours, refs take seconds."""
        if self.kind == "drive":
            return self.name
        return CONTENT if self.kind == "content" else REFS

    @property
    def name(self) -> str:
        """Return the name of its file."""
        remote = quote(self.remote, safe="", errors="surrogateescape").replace(".", "%2E")
        return f"{self.kind}-{remote}" if remote else self.kind

    @classmethod
    def of(cls, name: str) -> Request:
        """Return the request that a file stands for."""
        kind, _, remote = name.removesuffix(TAKEN).partition("-")
        return cls(kind, unquote(remote, errors="surrogateescape"))


def place(repo: Repository) -> Path:
    """Return the directory of the requests of a work tree or bare repository."""
    name = "requests" if repo.git_dir == repo.common else f"requests-{repo.git_dir.name}"
    return repo.state_path / name


class Queue:
    """The requests of one work tree or bare repository (linked work trees have one each)."""

    def __init__(self, repo: Repository, grace: float = 0.0) -> None:
        """Make the directory. What follows a commit is due `grace` seconds after it. Raises SyncxError."""
        self.grace = grace
        self._place = place(repo)
        self.pid_file = self._place.with_name(f"{self._place.name}.pid")
        files.make_directory(repo.state_dir / self._place.name)

    def ask(self, request: Request, delay: float = 0.0) -> None:
        """Ask for it in `delay` seconds, or earlier where that has been asked already."""
        path, due = self._place / request.name, time.time() + delay
        with files.writing(path):
            if not self._place.is_dir() and self._place.parent.parent.is_dir():  # the user has cleared it away
                files.make_directory(files.make_directory(self._place.parent) / self._place.name)
            if not path.exists() or _date(path) > due:
                _leave(path, due)

    def waiting(self, group: str = "") -> dict[Request, float]:
        """Return what was asked (of one group), and in how many seconds it is due.

        It is due now where somebody has begun with it: who has begun holds the lock of the group, or is dead.
        """
        now, found = time.time(), dict[Request, float]()
        for name in self._names():
            request = Request.of(name)
            if group in ("", request.group):
                left = _date(self._place / name) - now + (self.grace if request.kind == "commit" else 0.0)
                left = left if 0 < left <= LONGEST and not name.endswith(TAKEN) else 0.0
                found[request] = min(left, found.get(request, left))
        return found

    def due(self, group: str) -> frozenset[Request]:
        """Return what is due in a group."""
        return frozenset(request for request, left in self.waiting(group).items() if not left)

    def take(self, requests: Iterable[Request]) -> None:
        """Begin with them: what is asked from now on is asked anew."""
        for request in requests:
            path = self._place / request.name
            with files.writing(path), contextlib.suppress(FileNotFoundError):
                path.rename(path.with_name(path.name + TAKEN))

    def done(self, requests: Iterable[Request]) -> None:
        """Forget those that were taken."""
        for request in requests:
            path = self._place / (request.name + TAKEN)
            with files.writing(path):
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def turn(self, group: str) -> Iterator[bool]:
        """Hold the lock of a group unless another process does; yield whether it is ours.

        What a process that died had taken is asked again.
        """
        with locks.held_if_free(self._place.parent / f"{self._place.name}-{group}.lock") as ours:
            for name in self._names() if ours else ():
                request = Request.of(name)
                if name.endswith(TAKEN) and request.group == group:
                    self.ask(request)
                    self.done([request])
            yield ours

    def _names(self) -> list[str]:
        with files.writing(self._place):
            try:
                return os.listdir(self._place)
            except FileNotFoundError:
                return []


def _leave(path: Path, due: float) -> None:
    """Make a request with its date, unless it is taken this instant."""
    path.touch()
    with contextlib.suppress(FileNotFoundError):
        files.share(path)
        try:
            os.utime(path, (due, due))
        except PermissionError:  # only its owner may date a file
            path.unlink()
            _leave(path, due)


def _date(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
