"""Ask git-annex what the repositories with expressions want: equal expressions once, several at the same time.

What an expression wants is git-annex's to say. To ask each repository about each file takes minutes.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from git_annex_syncx.annex import annex, scratch_worktree
from git_annex_syncx.annex.locations import NOWHERE, Located
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

    `asked` has for each key that it is about the one that is asked about: all those alike have one answer.
    """

    condition: str
    uuids: frozenset[str]
    asked: Mapping[str, str]


def asked(
    repo: Repository, policy: Policy, tree: str, files: Files, located: Mapping[str, Located]
) -> tuple[Wanting, Wanting]:
    """Return key -> who lacks it and wants it, if only at one path, and who in reach has it and wants it at none.

    `files` are files of the tree. Repositories without an expression are not among these.
    """
    questions = [one for one in _questions(policy, files, located) if one.asked]
    entries = _entries(files, {key for one in questions for key in one.asked.values()})
    if not entries:
        return {}, {}

    def ask(scratch: Scratch) -> list[Mapping[str, int]]:
        everything = scratch.index(entries)

        def answer(question: Question) -> Mapping[str, int]:
            mine = _entries(files, set(question.asked.values()))
            index = everything if 2 * len(mine) > len(entries) else scratch.index(mine)
            return annex.matching(scratch.repo, question.condition, min(question.uuids), index)

        return parallel.at_once(answer, questions, min(MOST_AT_ONCE, os.cpu_count() or 1))

    answers = scratch_worktree.asked(repo, tree, entries, ask)
    return _told(GET, questions, answers, files, located), _told(DROP, questions, answers, files, located)


def _questions(policy: Policy, files: Files, located: Mapping[str, Located]) -> Iterator[Question]:
    wishes = policy.wishes
    for uuids in _alike(policy, policy.choosy & policy.takers, to_drop=False):
        lacked = (key for key in files if (at := located.get(key, NOWHERE).holders) and not uuids <= at)
        yield Question(GET, uuids, _deciding(lacked, located, all(map(wishes.only_on_copies, uuids))))
    for uuids in _alike(policy, policy.choosy & policy.reach - policy.emptied, to_drop=True):
        held = (key for key in files if uuids & located.get(key, NOWHERE).holders)
        yield Question(DROP, uuids, _deciding(held, located, all(map(wishes.only_on_copies, uuids))))


def _alike(policy: Policy, uuids: Collection[str], *, to_drop: bool) -> list[frozenset[str]]:
    found: dict[tuple[object, ...], set[str]] = {}
    for uuid in sorted(uuids):
        found.setdefault(policy.wishes.alike(uuid, to_drop=to_drop), set()).add(uuid)
    return [frozenset(one) for one in found.values()]


def _deciding(keys: Iterable[str], located: Mapping[str, Located], by_copies: bool) -> dict[str, str]:
    """Return for each key the one to ask about: itself, or where nothing else counts, the first with these copies."""
    if not by_copies:
        return {key: key for key in keys}
    first: dict[frozenset[str], str] = {}
    return {key: first.setdefault(located[key].recorded, key) for key in keys}


def _entries(files: Files, keys: Iterable[str]) -> dict[bytes, Entry]:
    return {path: entry for key in keys for path, entry in files[key].items()}


def _told(
    condition: str,
    questions: Iterable[Question],
    answers: Iterable[Mapping[str, int]],
    files: Files,
    located: Mapping[str, Located],
) -> Wanting:
    found: dict[str, frozenset[str]] = {}
    for question, answer in zip(questions, answers, strict=True):
        for key, asked in question.asked.items() if question.condition == condition else ():
            if answer.get(asked, 0) >= (1 if condition == GET else len(files[asked])):
                held = located.get(key, NOWHERE).holders
                found[key] = found.get(key, NOBODY) | (
                    question.uuids - held if condition == GET else question.uuids & held
                )
    return found
