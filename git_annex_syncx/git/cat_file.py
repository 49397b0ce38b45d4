"""A git that stays and answers questions about objects: starting one for each would take a hundred times as long."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from git_annex_syncx.errors import ProgramFailed
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.git.output import talking
from git_annex_syncx.system import run
from git_annex_syncx.system.lasting import Dialogue

MOST = 200  # questions; more are asked at once, of a git that is started for them
MOST_KEPT = 2  # repositories
WORDS = ("cat-file", "--batch-command")
ALL_AT_ONCE = ("cat-file", "--batch=%(objectsize)", "--buffer")

T = TypeVar("T")

_kept: dict[tuple[int | str, ...], Dialogue] = {}
_turn = threading.Lock()


class Found(NamedTuple):
    """An object that was looked up; `size` in bytes."""

    oid: str
    kind: str
    size: int


def look_up(repo: Repository, names: Iterable[str | bytes]) -> list[Found | None]:
    """Return what each name stands for (an object id, `COMMIT:PATH`, ...); None for what is not here."""
    return [answer and answer[0] for answer in _answers(repo, [b"info " + _plain(name) for name in names])]


def read(repo: Repository, names: Iterable[str | bytes]) -> list[bytes]:
    """Return what is in the object of each name. Raises ProgramFailed where one is not here."""
    names = list(names)
    if len(names) > MOST:
        return [content for _, content in each(repo, ((None, _plain(name)[:-1]) for name in names))]
    plain, found = [_plain(name) for name in names], []
    for name, answer in zip(plain, _answers(repo, [b"contents " + name for name in plain]), strict=True):
        if answer is None:
            raise _absent(repo, name)
        found.append(answer[1])
    return found


def each(repo: Repository, named: Iterable[tuple[T, bytes]]) -> Iterator[tuple[T, bytes]]:
    """Yield names with what is in their objects, of millions too: git reads while we ask and while we use it.

    Names stand for object ids. Raises ProgramFailed.
    """
    rest = iter(named)
    some = list(islice(rest, MOST + 1))
    if len(some) <= MOST:
        yield from zip([name for name, _ in some], read(repo, [oid for _, oid in some]), strict=True)
        return
    asked = deque[T]()

    def ask(questions: IO[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError), questions:
            for name, oid in chain(some, rest):
                asked.append(name)
                questions.write(oid + b"\n")

    with ThreadPoolExecutor(1) as pool, talking(repo, *ALL_AT_ONCE) as (questions, answers):
        asking = pool.submit(ask, questions)
        while head := answers.readline():
            if not (size := head[:-1]).isdigit():
                raise _absent(repo, head.removesuffix(b" missing\n") + b"\n")
            yield asked.popleft(), answers.read(int(size) + 1)[:-1]
        asking.result()


def close() -> None:
    """Let those that stay end."""
    with _turn:
        for dialogue in _kept.values():
            dialogue.end()
        _kept.clear()


def _plain(name: str | bytes) -> bytes:
    raw = os.fsencode(name)
    if b"\n" in raw or raw.endswith(b"\r"):
        raise ValueError(f"{raw!r} cannot be asked for")
    return raw + b"\n"


def _absent(repo: Repository, plain: bytes) -> ProgramFailed:
    return ProgramFailed("git cat-file", 128, f"{os.fsdecode(plain[:-1])} is not here", repo.home)


def _answers(repo: Repository, asked: Sequence[bytes]) -> list[tuple[Found, bytes] | None]:
    if not asked:
        return []
    if len(asked) <= MOST:
        with _turn, contextlib.suppress(OSError, EOFError):  # it was ended; the other way tells why
            return _from_one_that_stays(repo, asked)
    stream = io.BytesIO(git(repo, *WORDS, stdin=b"".join(asked)).out)
    return [_read_answer(stream, question) for question in asked]


def _from_one_that_stays(repo: Repository, asked: Iterable[bytes]) -> list[tuple[Found, bytes] | None]:
    key = _identity(repo)
    dialogue = _kept.pop(key, None) or _begin(repo)
    try:
        found = []
        for question in asked:
            dialogue.questions.write(question)
            found.append(_read_answer(dialogue.answers, question))
    except BaseException:  # what it says next would be the answer to another question
        dialogue.end()
        raise
    _kept[key] = dialogue
    return found


def _begin(repo: Repository) -> Dialogue:
    while len(_kept) >= MOST_KEPT:
        _kept.pop(next(iter(_kept))).end()
    return Dialogue("git", *WORDS, cwd=repo.home, env={**run.environment(), **repo.named})


def _identity(repo: Repository) -> tuple[int | str, ...]:
    """Return the identity of a repository: another can have come to the same place. Raises OSError."""
    places: tuple[Path, ...] = (repo.git_dir, repo.top or repo.git_dir)
    return tuple(part for place in places for part in (str(place), place.stat().st_dev, place.stat().st_ino))


def _read_answer(stream: IO[bytes], question: bytes) -> tuple[Found, bytes] | None:
    """Read `OID TYPE SIZE` and the content, else `NAME missing`. Raises EOFError."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    words = line.split()
    if not words[-1].isdigit():
        return None
    found = Found(words[0].decode(), words[1].decode(), int(words[2]))
    if question.startswith(b"info "):
        return found, b""
    content = stream.read(found.size + 1)[:-1]
    if len(content) != found.size:
        raise EOFError
    return found, content


atexit.register(close)
