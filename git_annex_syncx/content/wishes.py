"""Tell what each repository says that it wants, whether it wants one key, and why: git-annex explains it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from git_annex_syncx.annex import annex, scratch_worktree
from git_annex_syncx.annex.annex import Explained
from git_annex_syncx.annex.scratch_worktree import Scratch
from git_annex_syncx.content.policy import STANDARD, WORD, Policy
from git_annex_syncx.content.wanting import DROP, GET, MOST_AT_ONCE
from git_annex_syncx.model import OUTSIDE, Entry
from git_annex_syncx.runs import parallel
from git_annex_syncx.runs.context import Context


@dataclass(frozen=True)
class Wish:
    """The wish of one repository: its expressions and groups, and whether it wants a key (None: it has no say).

    `explained` are git-annex's words, each term of the expression with its value.
    """

    wants: bool | None
    preferred: str = ""
    required: str = ""
    groups: tuple[str, ...] = ()
    explained: str = ""
    relays: bool = False  # it passes on what it does not want

    @property
    def told(self) -> str:
        """Return the expressions, for people."""
        if not (self.preferred or self.required):
            return "it passes on, and wants nothing itself" if self.relays else "no expression is set: it wants all"
        pairs = (("wanted", self.preferred), ("required", self.required))
        told = ", ".join(f"{word} {expression}" for word, expression in pairs if expression)
        return told + (f" (group {', '.join(self.groups)})" if self.groups and "standard" in told else "")

    @property
    def clashes(self) -> str:
        """Return what is wrong with the wish itself, for people; empty where nothing is."""
        standard = sorted(STANDARD.intersection(self.groups))
        if "standard" in WORD.findall(self.preferred) and len(standard) != 1:
            where = f"several standard groups ({', '.join(standard)})" if standard else "no standard group"
            return f"its expression is `standard`, but it is in {where}, so `standard` wants nothing"
        if self.wants and self.preferred and self.required and _alternatives(self.explained) > 1:
            return "its preferred content does not want it, but its required content does: it is kept"
        return ""


def _alternatives(explained: str) -> int:
    """Return how many alternatives stand at the top of an explanation.

    git-annex puts preferred content before required content, in brackets where that decides.
    """
    depth, found = 0, 1
    for word in explained.split():
        depth += word.count("(") - word.count(")") if word in "()" else 0
        found += word == "or" and depth == 0
    return found


def wishes(
    context: Context,
    policy: Policy,
    tree: str,
    files: Mapping[bytes, Entry],
    holders: Collection[str],
    silent: Collection[str] = (),
) -> dict[str, Wish]:
    """Return uuid -> its wish for the key that stands at some paths of a tree; `silent` have no say.

    Those of `holders` are asked whether they want to keep it, all others whether they want to get it.
    """
    questions = list(_questions(policy, holders))
    explained = _asked(context, tree, files, questions) if questions else []
    answers: dict[str, tuple[bool, str]] = {}
    for (condition, uuids), told in zip(questions, explained, strict=True):
        wants = told.paths > 0 if condition == GET else told.paths < len(files)
        answers |= dict.fromkeys(uuids, (wants, told.words))
    mute = {place.uuid for place in policy.network.places if place.dead} | OUTSIDE.keys() | set(silent)

    def wish(uuid: str) -> Wish:
        said, relays = policy.wishes, uuid in policy.wishless
        wants, words = answers.get(uuid, (not relays, ""))
        expressions = said.preferred.get(uuid, ""), said.required.get(uuid, "")
        return Wish(None if uuid in mute else wants, *expressions, tuple(said.groups.get(uuid, ())), words, relays)

    return {place.uuid: wish(place.uuid) for place in policy.network.places}


def _questions(policy: Policy, holders: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield conditions of git-annex, and for whom the answer is the same."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for uuid in sorted(policy.choosy - policy.wishless):
        condition = DROP if uuid in holders else GET
        alike.setdefault((condition, *policy.wishes.alike(uuid, to_drop=condition == DROP)), []).append(uuid)
    yield from ((str(key[0]), uuids) for key, uuids in alike.items())


def _asked(
    context: Context, tree: str, files: Mapping[bytes, Entry], questions: list[tuple[str, list[str]]]
) -> list[Explained]:
    in_words = annex.release_date(context.annex_version) >= annex.EXPLAINS_SINCE

    def ask(scratch: Scratch) -> list[Explained]:
        index = scratch.index(files)

        def answer(question: tuple[str, list[str]]) -> Explained:
            return annex.explain(scratch.repo, question[0], question[1][0], index, in_words)

        return parallel.at_once(answer, questions, min(MOST_AT_ONCE, os.cpu_count() or 1))

    return scratch_worktree.asked(context.repo, tree, files, ask)
