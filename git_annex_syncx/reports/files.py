"""The files that one repository lacks, or holds and does not want, by name, and what becomes of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content import counts
from git_annex_syncx.content.counts import Counted
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.content.steps import ways
from git_annex_syncx.content.waits import Wait, of_one_file
from git_annex_syncx.network.plan import Step
from git_annex_syncx.reports.content import Until, unreached
from git_annex_syncx.runs.context import Context


@dataclass(frozen=True)
class FileStatus:
    """A file that a repository lacks, or does not want. `file` is the first of its names, the key without any.

    `state` is "waits" (for `step`, which has to be made first, by `executor`), "later" (after others), "no-room",
    "no-way", "lost" (nobody has it) or "unwanted".
    """

    uuid: str
    file: str
    key: str
    bytes: int
    state: str
    reason: str
    executor: str = ""
    step: Step | None = None
    until: float | None = None


def files(context: Context, counted: Counted, uuid: str, until: Until) -> Iterator[FileStatus]:
    """Yield the files of a repository in order of their names."""
    concerned = [need.key for need in counted.keys if uuid in need.targets or uuid in need.unwanted]
    named = counts.inventory(context).files(concerned)
    names = {key: os.fsdecode(min(named[key])) if named.get(key) else key for key in concerned}
    told = {one.key: one for one in _told(counted, uuid, until, names)}
    yield from sorted(told.values(), key=lambda one: (one.state == "unwanted", one.file))


def _told(counted: Counted, uuid: str, until: Until, names: dict[str, str]) -> Iterator[FileStatus]:
    """Yield what is known of each key, what is more certain later."""
    policy, out = counted.look.policy, unreached(counted)

    def file(
        key: str, state: str, reason: str, by: str = "", step: Step | None = None, when: float | None = None
    ) -> FileStatus:
        return FileStatus(uuid, names.get(key, key), key, key_size(key), state, reason, by, step, when)

    for need in counted.keys:
        if uuid in need.unwanted:
            yield file(need.key, "unwanted", "not wanted there; dropped when others have it")
        elif uuid in need.targets and not need.holders:
            yield file(need.key, "lost", "nobody has it")
        elif uuid in need.targets and uuid in out(counted.sources_of(need), need.targets):
            yield file(need.key, "no-way", _no_way(policy, uuid, counted.sources_of(need)))
        elif uuid in need.targets:
            yield file(need.key, "later", "when others have it")
    for group in counted.groups:
        if found := ways(policy, group.base, counted.planner).get(uuid):
            first, when = found[0], until(found[0])
            by = first.executor_for(policy.own)
            reason = of_one_file(policy, Wait(uuid, first, by, 1, when), at_target=True)
            for key in group.keys:
                yield file(key, "waits", reason, by, first, when)
    for key, need in counted.look.left.items():
        if uuid in need.targets:
            yield file(key, "no-room", "no room there")


def _no_way(policy: Policy, uuid: str, sources: frozenset[str]) -> str:
    """Return why content cannot come from some sources."""
    if not sources:
        return "those who are said to have it do not"
    holders = ", ".join(sorted(map(policy.network.name, sources)))
    return f"no way leads there from {holders}" if uuid in policy.takers else "no link leads there"
