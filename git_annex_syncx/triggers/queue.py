"""A queue of requests, as files: one run at a time, and one more for all that is asked meanwhile.

A request is an empty file, its date is when it is due. A trigger only makes sure that it is there; whoever holds the
lock of a group takes all that is due. What a killed run had taken is asked for again by the next one.

While a process attends to the requests, its id stands in a file beside them: a hook then need not start another.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from git_annex_syncx.errors import SyncxError
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
        """Requests of different groups do not wait for each other: content takes hours, refs seconds."""
        if self.kind == "drive":
            return self._name
        return CONTENT if self.kind == "content" else REFS

    @property
    def _name(self) -> str:
        name = quote(self.remote, safe="", errors="surrogateescape").replace(".", "%2E")
        return f"{self.kind}-{name}" if self.remote else self.kind

    def at(self, place: Path) -> Path:
        """Its file."""
        return place / self._name

    @classmethod
    def of(cls, name: str) -> Request:
        """The request that a file stands for."""
        kind, _, remote = name.partition("-")
        return cls(kind, unquote(remote, errors="surrogateescape"))


def place(repo: Repository) -> Path:
    """The directory of the requests of a work tree or bare repository."""
    name = "requests" if repo.git_dir == repo.common else f"requests-{repo.git_dir.name}"
    return repo.state_path / name


def attendant(requests: Path) -> Path:
    """The file that names the process which attends to the requests in a directory."""
    return requests.with_name(requests.name + ".pid")


class Queue:
    """The requests of one work tree or bare repository (linked work trees have one each)."""

    def __init__(self, repo: Repository, grace: float = 0.0) -> None:
        """Makes the directory. What follows a commit is due `grace` seconds after it. Raises SyncxError."""
        self.grace = grace
        self._place = place(repo)
        files.make_directory(repo.state_dir / self._place.name)

    def ask(self, request: Request, delay: float = 0.0) -> None:
        """Ask for it in `delay` seconds, or earlier where that has been asked already."""
        path, due = request.at(self._place), time.time() + delay
        with files.writing(path):
            if not self._place.is_dir() and self._place.parent.parent.is_dir():  # the user has cleared it away
                files.make_directory(files.make_directory(self._place.parent) / self._place.name)
            if _make(path) or _date(path) > due:
                _put_off(path, due)

    def waiting(self, group: str = "") -> dict[Request, float]:
        """Return what was asked (of one group), and in how many seconds it is due.

        It is due now where somebody has begun with it.

        Who has begun holds the lock of the group, or is dead.
        """
        now, found = time.time(), dict[Request, float]()
        for name in self._names():
            request = Request.of(name.removesuffix(TAKEN))
            if group in ("", request.group):
                left = _date(self._place / name) - now + (self.grace if request.kind == "commit" else 0.0)
                left = left if 0 < left <= LONGEST and not name.endswith(TAKEN) else 0.0
                found[request] = min(left, found.get(request, left))
        return found

    def _names(self) -> list[str]:
        with files.writing(self._place):
            try:
                return os.listdir(self._place)
            except FileNotFoundError:
                return []

    def take(self, requests: Iterable[Request]) -> None:
        """Begin with them: what is asked from now on is asked anew."""
        for request in requests:
            path = request.at(self._place)
            with files.writing(path), contextlib.suppress(FileNotFoundError):
                path.rename(path.with_name(path.name + TAKEN))

    def done(self, requests: Iterable[Request]) -> None:
        """They are done."""
        for request in requests:
            path = request.at(self._place)
            with files.writing(path):
                path.with_name(path.name + TAKEN).unlink(missing_ok=True)

    @contextlib.contextmanager
    def attended(self) -> Iterator[None]:
        """Tell the hooks that this process sees what is asked."""
        path = attendant(self._place)
        with contextlib.suppress(SyncxError):  # then they start another, which finds that it is not needed
            name_process(path)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    @contextlib.contextmanager
    def turn(self, group: str) -> Iterator[bool]:
        """Return whether it is ours to serve the group; a dead process holds nothing.

        What it had taken is asked again.
        """
        with locks.held_if_free(self._place.parent / f"{self._place.name}-{_short(group)}.lock") as ours:
            if ours:
                self._ask_again(group)
            yield ours

    def _ask_again(self, group: str) -> None:
        for name in self._names():
            request = Request.of(name.removesuffix(TAKEN))
            if name.endswith(TAKEN) and request.group == group:
                with files.writing(self._place / name):
                    (self._place / name).unlink(missing_ok=True)
                self.ask(request)


def name_process(path: Path) -> None:
    """Write into a file which process this is. Raises SyncxError."""
    files.write(path, f"{os.getpid()} {_begun('self')}\n")


def process_at(path: Path) -> int:
    """Return the id of the process that a file names, where it still runs, else 0 (only Linux can tell)."""
    pid, _, begun = files.read(path).strip().partition(" ")
    return int(pid) if pid.isascii() and pid.isdigit() and begun and _begun(pid) == begun else 0


def _begun(pid: str) -> str:
    """Return when a process was started, as Linux has it: a number alone may be another's by now."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _make(path: Path) -> bool:
    """Return whether an empty file was made; false where it is there already."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    files.share(path)
    return True


def _put_off(path: Path, due: float) -> None:
    """Give a request its date, unless it has been taken this instant."""
    with contextlib.suppress(FileNotFoundError):
        try:
            os.utime(path, (due, due))
        except PermissionError:  # only its owner may date a file
            path.unlink()
            _make(path)
            os.utime(path, (due, due))


def _date(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _short(group: str) -> str:
    """A name for the lock of a group that no file system refuses."""
    return group[:100]
