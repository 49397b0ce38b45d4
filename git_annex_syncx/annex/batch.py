"""git-annex's batch processes: told keys, they answer for each what became of it, for as long as there is work."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from git_annex_syncx.annex.annex import CHATTER, IN_PROGRESS
from git_annex_syncx.git.git import Repository, without_probing
from git_annex_syncx.reasons import shortened
from git_annex_syncx.system import run
from git_annex_syncx.system.lasting import Talk

NOTE = re.compile(r"^(?:(?:from|to) .*\.\.\.\n?)+|\(Use --force to override this check.*\)")
RATE = "SYNCX_RATE"  # a variable of the program's environment, for `git --config-env`


class AnswerState(StrEnum):
    """The kinds of answers."""

    MOVING = "moving"
    DONE = "done"
    FAILED = "failed"
    CARRIED = "carried"  # another program transfers it already
    NOTHING = "nothing"  # for some key there was nothing to do; git-annex does not say for which


@dataclass(frozen=True)
class Answer:
    """An answer of git-annex about a key; `bytes` have moved so far where it is moving."""

    state: AnswerState
    key: str = ""
    bytes: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Direction:
    """Names of remotes; an empty one is here. Both named: from one to the other, without keeping a copy here."""

    source: str
    target: str

    @property
    def remotes(self) -> tuple[str, ...]:
        """The remotes at its ends."""
        return tuple(name for name in (self.source, self.target) if name)


@dataclass(frozen=True)
class Pace:
    """The number of transfers at once, and bytes a second for each of them (None: as fast as it goes)."""

    jobs: int
    limit: int | None = None


class Batch:
    """One long-lived git-annex. Answers come in threads of its own, in any order."""

    def __init__(
        self,
        repo: Repository,
        words: Iterable[str],
        remotes: Iterable[str],
        env: Mapping[str, str],
        heard: Callable[[Batch, Answer], None],
        ended: Callable[[Batch, str], None],
        pace: Pace | None = None,
    ) -> None:
        """Start it; `ended` is given the last words of one that failed."""
        remotes = tuple(remotes)
        limited = (
            [f"--config-env=remote.{name}.annex-bwlimit={RATE}" for name in remotes] if pace and pace.limit else []
        )
        options = ("-c", "annex.merge-annex-branches=true", *limited, "annex", *words, *repo.annex_options)
        more = {RATE: str(pace.limit)} if pace and pace.limit else {}
        jobs = (f"-J{pace.jobs}",) if pace else ()
        self._talk = Talk(
            "git", *without_probing(repo, remotes), *options, *jobs, "--batch-keys", "--json",
            "--json-error-messages", cwd=repo.home, env={**run.environment(), **repo.named, **env, **more},
            heard=lambda line: heard(self, read_answer(line)),
            ended=lambda code, err: ended(self, _last_words(code, err)),
        )  # fmt: skip

    def say(self, key: str) -> None:
        """One more key; only what is_key() accepts, or git-annex ends."""
        self._talk.say(os.fsencode(key) + b"\n")

    def finish(self) -> None:
        """There are no more."""
        self._talk.finish()

    def end(self) -> None:
        """End it at once, with all that it started."""
        self._talk.end()


def copying(way: Direction, progress: bool) -> Iterator[str]:
    """The words for git-annex that bring keys along a way, and tell of their progress."""
    yield "copy"
    for option, name in (("--from", way.source), ("--to", way.target)):
        if name:
            yield f"{option}={name}"
    if progress:
        yield "--json-progress"


def dropping(remote: str) -> Iterator[str]:
    """The words for git-annex that drop keys from a remote, or from here (empty)."""
    yield "drop"
    if remote:
        yield f"--from={remote}"


def read_answer(line: bytes) -> Answer:
    """Return what a line of git-annex's says; of a line in another form that there was nothing to do."""
    try:
        told = json.loads(line.decode("utf-8", "surrogateescape"))
        return _read(told) if isinstance(told, dict) else Answer(AnswerState.NOTHING)
    except (ValueError, TypeError):
        return Answer(AnswerState.NOTHING)


def _read(told: Mapping[str, Any]) -> Answer:
    if "byte-progress" in told:
        action = told.get("action")
        return Answer(
            AnswerState.MOVING, _key(action if isinstance(action, dict) else {}), int(told["byte-progress"])
        )
    if told.get("success"):
        return Answer(AnswerState.DONE, _key(told))
    # Of a remote that cannot be reached only the note tells; it begins with where from and where to.
    messages = told.get("error-messages") or [NOTE.sub("", str(told.get("note", "")))]
    return Answer(*_why(map(str, list(messages)[:50]), _key(told)))


def _key(told: Mapping[str, Any]) -> str:
    given = told.get("input")
    return str(given[0]) if isinstance(given, list) and given else str(told.get("key", ""))


def _why(messages: Iterable[str], key: str) -> tuple[AnswerState, str, int, str]:
    lines = [line.strip() for line in shortened("\n".join(messages)).split("\n") if line.strip()]
    telling = [line for line in dict.fromkeys(lines) if not CHATTER.search(line)] or lines
    state = AnswerState.CARRIED if any(IN_PROGRESS.search(line) for line in telling) else AnswerState.FAILED
    return state, key, 0, "; ".join(telling[-3:]) or "git-annex says no more"


def _last_words(code: int, err: bytes) -> str:
    if code == 0:
        return ""
    lines = [line.strip() for line in shortened(os.fsdecode(err)).split("\n") if line.strip()]
    telling = [line for line in lines if not CHATTER.search(line)]
    # Status 1 only says that some key failed, which the answers have said already.
    return "; ".join(telling[-3:]) or ("" if code == 1 else f"git-annex ended with exit status {code}")
