"""The content of every repository of the network: what it wants, holds and lacks, and how it is to come. Pure.

A file is a key of the tree here, however many names it has there.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content.counts import Counted
from git_annex_syncx.content.steps import ways
from git_annex_syncx.model import OUTSIDE, Need
from git_annex_syncx.network.plan import Question, Step, reachable

Until = Callable[[Step], float | None]


@dataclass(frozen=True)
class Delivery:
    """Files that come to a repository by `last`, the last of the steps of the plan; `first` has to be made first.

    `executor` makes the last step, `until` is when this repository looks for another way (seconds since 1970; None:
    it has already, or nobody has waited yet).
    """

    first: Step
    last: Step
    executor: str
    files: int = 0
    bytes: int = 0
    until: float | None = None


@dataclass(frozen=True)
class Content:
    """The files of one repository: `wants` are those that it holds and wants, and those that it lacks and wants.

    What it lacks is brought, has no way, has no room, or comes `later`: after others of which only one gets it at
    once, through a cluster's gateway, or by an export.
    """

    wants: int = 0
    has: int = 0
    has_bytes: int = 0
    unwanted: int = 0
    unwanted_bytes: int = 0
    lacks: int = 0
    lacks_bytes: int = 0
    no_way: int = 0
    no_room: int = 0
    lost: int = 0  # of those without a way: nobody has them
    deliveries: tuple[Delivery, ...] = ()

    @property
    def brought_by(self) -> dict[str, int]:
        """Return uuid -> how many of the files that it lacks that repository brings, by the last step."""
        found = Counter[str]()
        for one in self.deliveries:
            found[one.executor] += one.files
        return dict(sorted(found.items()))

    @property
    def later(self) -> int:
        """Return how many files that it lacks come after others."""
        return self.lacks - self.no_way - self.no_room - sum(one.files for one in self.deliveries)


@dataclass
class Sums:
    """Files and bytes by repository."""

    files: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def add(self, uuids: Iterable[str], files: int, size: int) -> None:
        """Count so much for each of the repositories."""
        for uuid in uuids:
            self.files[uuid] += files
            self.bytes[uuid] += size


def contents(counted: Counted, until: Until = lambda step: None) -> dict[str, Content]:
    """Return uuid -> its content, of all repositories that are not dead."""
    policy = counted.look.policy
    held, lacked, unwanted, lost = Sums(), Sums(), Sums(), Sums()
    for (holders, targets, out), (files, size) in sums(counted.keys).items():
        held.add(holders, files, size)
        lacked.add(targets, files, size)
        unwanted.add(out, files, size)
        lost.add(() if holders else targets, files, size)
    crowded = Counter(uuid for need in counted.look.left.values() for uuid in need.targets)
    coming, cut_off = deliveries(counted, until), without_way(counted)
    return {
        uuid: Content(
            held.files[uuid] - unwanted.files[uuid] + lacked.files[uuid],
            held.files[uuid],
            held.bytes[uuid],
            unwanted.files[uuid],
            unwanted.bytes[uuid],
            lacked.files[uuid],
            lacked.bytes[uuid],
            cut_off[uuid],
            crowded[uuid],
            lost.files[uuid],
            coming.get(uuid, ()),
        )
        for uuid in sorted(policy.alive.difference(OUTSIDE))
    }


def sums(keys: Iterable[Need]) -> dict[tuple[frozenset[str], frozenset[str], frozenset[str]], tuple[int, int]]:
    """Return how many files and bytes have the same holders, lacking and unwanting repositories."""
    found: dict[tuple[frozenset[str], frozenset[str], frozenset[str]], tuple[int, int]] = {}
    for need in keys:
        alike = (need.holders, need.targets, need.unwanted)
        files, size = found.get(alike, (0, 0))
        found[alike] = files + 1, size + key_size(need.key)
    return found


def deliveries(counted: Counted, until: Until = lambda step: None) -> dict[str, tuple[Delivery, ...]]:
    """Return uuid -> how what it lacks comes to it, the most files first."""
    policy, found = counted.look.policy, dict[str, dict[tuple[str, ...], Delivery]]()
    for group in counted.groups:
        files, size = len(group.keys), group.plan.question.bytes
        for uuid, (first, last) in ways(policy, group.base, counted.planner).items():
            ends = (first.source, first.target, last.source, last.target)
            new = Delivery(first, last, last.executor_for(policy.own), until=until(first))
            one = found.setdefault(uuid, {}).get(ends, new)
            found[uuid][ends] = replace(one, files=one.files + files, bytes=one.bytes + size)
    return {uuid: tuple(sorted(ways.values(), key=lambda one: -one.files)) for uuid, ways in found.items()}


def without_way(counted: Counted) -> Counter[str]:
    """Return uuid -> how many of the files that it lacks cannot come to it, as the links are."""
    found, out = Counter[str](), unreached(counted)
    left = {key: need.targets for key, need in counted.look.left.items()}
    alike = Counter(
        (counted.sources_of(need), need.targets - left.get(need.key, frozenset()))
        for need in counted.keys
        if need.targets
    )
    for question, files in alike.items():
        for uuid in out(*question):
            found[uuid] += files
    return found


def unreached(counted: Counted) -> Callable[[frozenset[str], frozenset[str]], frozenset[str]]:
    """Return what tells to which of its targets content from some sources cannot come.

    It cannot even if all others have got it before: those whose turn comes later pass it on, too.
    """
    policy = counted.look.policy
    elsewhere = counted.trees | policy.nodes  # exports; nodes, which get it by their gateway

    @functools.cache
    def out(sources: frozenset[str], targets: frozenset[str]) -> frozenset[str]:
        return targets - reachable(policy.arcs, Question(sources, targets)) - elsewhere if sources else targets

    return out
