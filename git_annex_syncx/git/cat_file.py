"""A git that stays and answers questions about objects: starting one for each would take a hundred times as long."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from git_annex_syncx.errors import ProgramFailed
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.system import run
from git_annex_syncx.system.lasting import Dialogue

MOST = 200  # questions; more are asked at once, of a git that is started for them
MOST_KEPT = 2  # repositories
WORDS = ("cat-file", "--batch-command")

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
        return _all_at_once(repo, names)
    plain, found = [_plain(name) for name in names], []
    for name, answer in zip(plain, _answers(repo, [b"contents " + name for name in plain]), strict=True):
        if answer is None:
            raise _absent(repo, name)
        found.append(answer[1])
    return found


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


def _all_at_once(repo: Repository, names: Sequence[str | bytes]) -> list[bytes]:
    """Read millions of objects, without a question each."""
    out = git(repo, "cat-file", "--batch=%(objectsize)", "--buffer", stdin=b"".join(map(_plain, names))).out
    at, found = 0, []
    for name in names:
        end = out.index(b"\n", at)
        if not (size := out[at:end]).isdigit():
            raise _absent(repo, _plain(name))
        start, at = end + 1, end + int(size) + 2
        found.append(out[start : at - 1])
    return found


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
