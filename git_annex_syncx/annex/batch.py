"""A long-lived git-annex that is told keys and answers for each."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from git_annex_syncx.annex.annex import CHATTER
from git_annex_syncx.git.git import Repository, without_probing
from git_annex_syncx.reasons import shortened
from git_annex_syncx.system import run
from git_annex_syncx.system.lasting import Talk

NOTE = re.compile(r"^(?:(?:from|to) .*\.\.\.\n?)+|\(Use --force to override this check.*\)")
IN_PROGRESS = re.compile(r"transfer already in progress|unable to take transfer lock")
RATE = "SYNCX_RATE"  # a variable of the program's environment, for `git --config-env`
SAID = 3  # lines of a complaint that are passed on
MOST_MESSAGES = 50  # of one answer


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
class Pace:
    """The number of transfers at once, and bytes a second for each of them (None: as fast as it goes)."""

    jobs: int
    limit: int | None = None


class Batch(Talk):
    """A git-annex in batch mode. It answers in threads of its own, in any order."""

    def __init__(
        self,
        repo: Repository,
        words: Iterable[str],
        remotes: Iterable[str],
        env: Mapping[str, str],
        heard: Callable[[Batch, Answer | str], None],
        pace: Pace | None = None,
    ) -> None:
        """Start it. `heard` is given each answer and, at the end, the last words of one that failed."""
        remotes, limit = tuple(remotes), pace.limit if pace else None
        rates = [f"--config-env=remote.{name}.annex-bwlimit={RATE}" for name in remotes if limit]
        jobs = (f"-J{pace.jobs}",) if pace else ()
        super().__init__(
            "git", *without_probing(repo, remotes), "-c", "annex.merge-annex-branches=true", *rates,
            "annex", *words, *repo.annex_options, *jobs, "--batch-keys", "--json", "--json-error-messages",
            cwd=repo.home,
            env={**run.environment(), **repo.named, **env, **({RATE: str(limit)} if limit else {})},
            heard=lambda line: heard(self, read_answer(line)),
            ended=lambda code, err: heard(self, _last_words(code, err)),
        )  # fmt: skip

    def tell(self, key: str) -> None:
        """Tell it one more key; only what is_key() accepts, or git-annex ends."""
        self.say(os.fsencode(key) + b"\n")


def read_answer(line: bytes) -> Answer:
    """Return what a line of git-annex's says; of a line in another form that there was nothing to do."""
    try:
        said = json.loads(line.decode("utf-8", "surrogateescape"))
        return _read(said) if isinstance(said, dict) else Answer(AnswerState.NOTHING)
    except (ValueError, TypeError):
        return Answer(AnswerState.NOTHING)


def _read(said: Mapping[str, Any]) -> Answer:
    if "byte-progress" in said:
        action = said.get("action")
        key = _key(action if isinstance(action, dict) else {})
        return Answer(AnswerState.MOVING, key, int(said["byte-progress"]))
    if said.get("success"):
        return Answer(AnswerState.DONE, _key(said))
    # Of a remote that cannot be reached only the note tells; it begins with where from and where to.
    messages = said.get("error-messages") or [NOTE.sub("", str(said.get("note", "")))]
    lines = _lines("\n".join(map(str, list(messages)[:MOST_MESSAGES])))
    telling = _telling(lines) or lines
    state = AnswerState.CARRIED if any(map(IN_PROGRESS.search, telling)) else AnswerState.FAILED
    return Answer(state, _key(said), reason="; ".join(telling[-SAID:]) or "git-annex says no more")


def _key(said: Mapping[str, Any]) -> str:
    given = said.get("input")
    return str(given[0]) if isinstance(given, list) and given else str(said.get("key", ""))


def _lines(said: str) -> list[str]:
    return [line.strip() for line in shortened(said).split("\n") if line.strip()]


def _telling(lines: Iterable[str]) -> list[str]:
    return [line for line in dict.fromkeys(lines) if not CHATTER.search(line)]


def _last_words(code: int, err: bytes) -> str:
    telling = _telling(_lines(os.fsdecode(err))) if code else []
    # Status 1 only says that some key failed, which the answers have said already.
    unexplained = f"git-annex ended with exit status {code}" if code not in (0, 1) else ""
    return "; ".join(telling[-SAID:]) or unexplained
