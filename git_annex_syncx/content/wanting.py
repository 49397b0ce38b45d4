"""Ask git-annex what the repositories with expressions want: equal expressions once, several at the same time.

What an expression wants is git-annex's to say. To ask each repository about each file takes minutes.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from git_annex_syncx.annex import annex, scratch_worktree
from git_annex_syncx.annex.location_log import NOWHERE, Located
from git_annex_syncx.annex.scratch_worktree import Scratch
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Entry
from git_annex_syncx.runs import parallel

Files = Mapping[str, Mapping[bytes, Entry]]  # key -> path -> what stands there
Wanting = dict[str, frozenset[str]]  # key -> uuids
MOST_AT_ONCE = 4  # git-annex processes
GET, DROP = "--want-get-by", "--want-drop-by"
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Question:
    """A question to git-annex, whose answer is the same for all of `uuids`.

    It is about the keys at some places, `about`: at each for some of the uuids. Where only copies count, one key of a
    place is asked about for all.
    """

    condition: str
    uuids: frozenset[str]
    about: Mapping[Located, frozenset[str]]
    by_copies: bool

    def asked(self, at: Mapping[Located, list[str]]) -> Iterator[str]:
        """Return the keys to ask about."""
        return chain.from_iterable(at[place][: 1 if self.by_copies else None] for place in self.about)


def asked(
    repo: Repository, policy: Policy, tree: str, files: Files, located: Mapping[str, Located]
) -> tuple[Wanting, Wanting]:
    """Return key -> who lacks it and wants it, if only at one path, and who in reach has it and wants it at none.

    `files` are files of the tree. Repositories without an expression are not among these.
    """
    at: dict[Located, list[str]] = {}
    for key in files if policy.choosy else ():
        at.setdefault(located.get(key, NOWHERE), []).append(key)
    questions = [one for one in _questions(policy, at) if one.about]
    entries = _entries(files, {key for one in questions for key in one.asked(at)})
    if not entries:
        return {}, {}

    def ask(scratch: Scratch) -> list[Mapping[str, int]]:
        everything = scratch.index(entries)

        def answer(question: Question) -> Mapping[str, int]:
            many = 2 * sum(len(files[key]) for key in question.asked(at)) > len(entries)
            index = everything if many else scratch.index(_entries(files, question.asked(at)))
            return annex.matching(scratch.repo, question.condition, min(question.uuids), index)

        return parallel.at_once(answer, questions, min(MOST_AT_ONCE, os.cpu_count() or 1))

    answers = scratch_worktree.asked(repo, tree, entries, ask)
    wanted, unwanted = dict[str, frozenset[str]](), dict[str, frozenset[str]]()
    for question, answer in zip(questions, answers, strict=True):
        _note(wanted if question.condition == GET else unwanted, question, answer, files, at)
    return wanted, unwanted


def _questions(policy: Policy, places: Iterable[Located]) -> Iterator[Question]:
    for uuids in _alike(policy, policy.choosy & policy.takers, to_drop=False):
        somewhere = [place for place in places if place.holders or policy.counts_all]
        lacked = {place: uuids - place.holders for place in somewhere if not uuids <= place.holders}
        yield Question(GET, uuids, lacked, all(map(policy.wishes.only_on_copies, uuids)))
    for uuids in _alike(policy, policy.choosy & policy.reach - policy.emptied, to_drop=True):
        held = {place: uuids & place.holders for place in places if uuids & place.holders}
        yield Question(DROP, uuids, held, all(map(policy.wishes.only_on_copies, uuids)))


def _alike(policy: Policy, uuids: Collection[str], *, to_drop: bool) -> list[frozenset[str]]:
    found: dict[tuple[object, ...], set[str]] = {}
    for uuid in sorted(uuids):
        found.setdefault(policy.wishes.alike(uuid, to_drop=to_drop), set()).add(uuid)
    return [frozenset(one) for one in found.values()]


def _entries(files: Files, keys: Iterable[str]) -> dict[bytes, Entry]:
    return {path: entry for key in keys for path, entry in files[key].items()}


def _note(
    found: Wanting, question: Question, answer: Mapping[str, int], files: Files, at: Mapping[Located, list[str]]
) -> None:
    """Add to what was found who wants the keys that the answer names, or wants them at none of their paths."""
    at_one, at_all = answer.keys().__contains__, lambda key: answer.get(key, 0) >= len(files[key])
    met: Callable[[str], bool] = at_one if question.condition == GET else at_all
    more = functools.cache(frozenset[str].union)
    for place, uuids in question.about.items():
        keys = at[place]
        for key in (keys if met(keys[0]) else ()) if question.by_copies else filter(met, keys):
            found[key] = more(found.get(key, NOBODY), uuids)
