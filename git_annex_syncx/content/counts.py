"""Look at all keys of the tree, for reports: what every repository holds, wants and lacks, whoever it may be.

A transfer looks at those alone that can get something, and remembers only keys with which something is to be done. So
this has an inventory of its own, which no run waits for.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import ClassVar

from git_annex_syncx.annex import annex, annex_branch
from git_annex_syncx.annex.inventory import Inventory
from git_annex_syncx.content import copies, missing, patience, room, steps
from git_annex_syncx.content.copies import Shortage
from git_annex_syncx.content.known_plans import KnownPlans
from git_annex_syncx.content.missing import Look
from git_annex_syncx.content.patience import KeyGroup
from git_annex_syncx.content.policy import Policy, read_policy
from git_annex_syncx.content.remotes import usable
from git_annex_syncx.content.steps import Planner, ways
from git_annex_syncx.errors import ProgramFailed, SyncxError
from git_annex_syncx.git import drives
from git_annex_syncx.model import OUTSIDE, Need
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system import locks

NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CompletePolicy(Policy):
    """The wishes of all repositories, those included that nothing leads to, for all keys of the tree."""

    counts_all: ClassVar[bool] = True

    @cached_property
    def takers(self) -> frozenset[str]:
        """Return all but the web and its like, and relays without a wish of their own."""
        return self.alive.difference(OUTSIDE) - self.wishless

    @cached_property
    def emptied(self) -> frozenset[str]:
        """Return nobody."""
        return NOBODY

    def one_each(self, holders: frozenset[str], targets: frozenset[str]) -> frozenset[str]:
        """Return the targets as they are, clusters and their nodes."""
        return targets


@dataclass(frozen=True)
class Counted:
    """All keys of the tree with all wishes, the part of them that can travel, and how it does.

    `at` is as of when, in seconds since 1970.
    """

    keys: list[Need]  # holders; who wants and lacks it; who holds it and does not want it
    look: Look
    groups: list[KeyGroup]
    clocks: patience.Clocks
    options: Mapping[str, Mapping[str, str]]  # of special remotes, by uuid
    newest: Mapping[str, int]  # uuid -> when something was last recorded of that repository
    at: float
    planner: Planner
    sources: Mapping[str, frozenset[str]]  # of keys that a holder was found without: those who may have it

    def sources_of(self, need: Need) -> frozenset[str]:
        """Return who can give a key away."""
        return self.sources.get(need.key, need.holders)

    @cached_property
    def trees(self) -> frozenset[str]:
        """Return the special remotes that hold a tree of files, which no plan sends keys to."""
        return annex_branch.trees(self.options)


def inventory(context: Context) -> Inventory:
    """Return what the last look at all keys has left: their files, too."""
    return Inventory(context.repo.state_dir / "counts.sqlite")


def current_policy(context: Context, commits: bool = True) -> Policy:
    """Return who wants what by now; with `commits` git-annex first brings on its branch what it has recorded.

    Where it cannot, on a medium that is read-only, what is on the branch counts.
    """
    if commits and annex.journal_waits(context.repo):
        with contextlib.suppress(ProgramFailed):
            annex.bring_branch_up(context.repo)
    return read_policy(context)


def count(context: Context, policy: Policy | None = None, *, commits: bool = True) -> Counted | None:
    """Look at all keys, from what has changed since the last time. Raises SyncxError.

    Nobody waits for another process that looks for the first time: what was known before is told, None where nothing
    is.
    """
    policy = policy or current_policy(context, commits)
    known, sizes = inventory(context), room.by_maxsize(context, policy)
    lock = known.path.with_suffix(locks.SUFFIX)  # its date is that of the last look
    with known.alone_if_free() as ours:
        if ours:
            missing.renew(context, _complete(policy), known, sizes)
            with contextlib.suppress(OSError):  # another user's
                os.utime(lock)
        elif known.cursor() is None:
            return None
        at = time.time() if ours else lock.stat().st_mtime
        keys, newest = known.needs(), known.newest()
    look = missing.fitting(context, policy, list(travelling(policy, keys)), sizes)
    return replace(_planned(context, keys, look, at), newest=newest)


def travelling(policy: Policy, keys: Iterable[Need]) -> Iterator[Need]:
    """Yield what can travel: keys that somebody holds and that somebody wants to whom an arc leads."""
    to = functools.cache(lambda holders, targets: policy.one_each(holders, targets & policy.takers))
    for need in keys:
        if need.targets and need.holders and (targets := to(need.holders, need.targets)):
            yield Need(need.key, need.holders, targets, NOBODY, need.first)


def _complete(policy: Policy) -> CompletePolicy:
    told = {one.name: getattr(policy, one.name) for one in fields(policy)}
    return CompletePolicy(**{**told, "reach": policy.alive.difference(OUTSIDE)})  # nothing is dropped, only asked


def _planned(context: Context, keys: list[Need], look: Look, at: float) -> Counted:
    """Plan as this repository would by now, without asking anybody whether it is there."""
    policy, known = look.policy, _from_those_who_have_it(context, look.needs)
    there = [need for need in known if need.holders]
    held = {need.key: need.holders for need in there} if (kept := context.state.clocks()) else {}
    clocks = patience.gone_on(kept, held, context.settings.patience, time.time())
    shut = patience.shut(clocks, policy.own, patience.Answers(_present(context))) if clocks else steps.OPEN
    planner = KnownPlans(context.repo, policy)
    groups = list(steps.groups(policy, there, shut=shut, planner=planner))
    for group in groups:
        ways(policy, group.base, planner)
    planner.keep()
    options = annex_branch.special_remotes(annex_branch.log(context.repo, "remote.log"))
    sources = {need.key: need.holders for need, was in zip(known, look.needs, strict=True) if need is not was}
    return Counted(keys, look, groups, clocks, options, {}, at, planner, sources)


def _from_those_who_have_it(context: Context, needs: list[Need]) -> list[Need]:
    """Return needs without the sources that said that they do not have the key."""
    if not context.state.absences():
        return needs
    from git_annex_syncx.content import absent  # with all that moves content

    missed = absent.missed(context)
    return [absent.without(need, missed) for need in needs]


def _present(context: Context) -> frozenset[str]:
    """Return the repositories that this one can reach, as far as it is seen without a connection."""
    remotes = [remote for remote in context.settings.remotes.values() if remote.sync]
    found = set()
    for remote in usable(context, remotes, outside=True):
        with contextlib.suppress(SyncxError):
            drives.require_present(context.repo, remote)
            found.add(remote.uuid or "")
    return frozenset(found)


def shortage(context: Context, counted: Counted) -> Shortage:
    """Return the files that have fewer copies than they must have."""
    known = inventory(context)
    cursor = known.cursor()
    rules = copies.read_rules(context.repo, context.settings, counted.options, cursor.tree if cursor else "HEAD")
    return copies.shortage(
        counted.look.policy, counted.keys, rules, lambda keys: copies.of_files(context.repo, rules, known.files(keys))
    )
