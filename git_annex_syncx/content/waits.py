"""Report what is left when a transfer ends: who must bring what to whom, and until when this repository waits."""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from git_annex_syncx.content import room
from git_annex_syncx.content.patience import KeyGroup, due
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.content.steps import ways
from git_annex_syncx.model import Outcome, Result
from git_annex_syncx.network.plan import Plan, Step, reachable

if TYPE_CHECKING:
    from git_annex_syncx.content.assignment import Round, TransferRun


@dataclass(frozen=True)
class Wait:
    """Files that `target` lacks and that wait for `step`, until (seconds since 1970) another way is looked for.

    `executor` is who is to make the step.
    """

    target: str
    step: Step
    executor: str
    files: int
    until: float | None


def waits(run: TransferRun, now: Round) -> list[Wait]:
    """Return all that waits; not what a run with these remotes does not concern."""
    found: dict[tuple[str, str, str], Wait] = {}
    for group in now.groups:
        count = sum(key in now.keys for key in group.keys)
        for wait in waits_of(run, now, group, count) if count else ():
            name = (wait.target, wait.step.source, wait.step.target)
            files = count + (found[name].files if name in found else 0)
            found[name] = replace(wait, files=files)
    return [found[name] for name in sorted(found)]


def waits_of(run: TransferRun, now: Round, group: KeyGroup, files: int) -> Iterator[Wait]:
    """Yield what each target of a group of keys waits for, `files` of them."""
    own, named = now.look.policy.own, run.context.settings.remotes
    concerned = {remote.uuid for remote in run.remotes}
    concerned |= {named[name].uuid for name in run.options.unreached & named.keys()}
    for target, step in _first_steps(now.look.policy, group.base).items():
        ours = own in step.executors
        if not ours or concerned & {target, step.source, step.target}:
            left = ours and run.leaves(step, own)
            clock = run.clocks.get((step.source, step.target, ours))
            until = due(clock, run.options.left_for if left else run.context.settings.patience)
            yield Wait(target, step, own if ours and not left else step.executor, files, until)


def expected(run: TransferRun, now: Round, group: KeyGroup) -> dict[str, tuple[str, str]]:
    """Return target -> "waits" and what its file of a group waits for, or "no-way" and why.

    What moves now is in it, too.
    """
    policy, question = now.look.policy, group.plan.question
    told = {wait.target: ("waits", of_one_file(policy, wait)) for wait in waits_of(run, now, group, 1)}
    if policy.own in question.targets and policy.own not in reachable(policy.arcs, question):
        told[policy.own] = "no-way", "wanted here, no way leads here"
    return told


def _first_steps(policy: Policy, base: Plan) -> dict[str, Step]:
    """Return the step that has to be made first so that content comes to each target that has a way."""
    return {uuid: first for uuid, (first, _) in ways(policy, base).items()}


def tell(run: TransferRun, now: Round, left: Iterable[Wait]) -> Iterator[Outcome]:
    """Say what this repository and those that are no remotes of the run wait for, and what can never come."""
    told, policy = {remote.uuid for remote in run.remotes}, now.look.policy
    for wait in left:
        if wait.target not in told:
            reason = words(policy, wait)
            yield _waiting(reason, executor=wait.executor, target=wait.target, files=wait.files, until=wait.until)
    yield from _no_way(run, now)
    yield from _not_there(run, now)


def with_rest(policy: Policy, left: Iterable[Wait], full: Mapping[str, tuple[int, str]], outcome: Outcome) -> Outcome:
    """Return the outcome of a remote with what it still lacks: then it is not current.

    `full` is what does not fit where, as room.told() has it.
    """
    left = [wait for wait in left if wait.target == outcome.uuid]
    crowded = full.get(outcome.uuid or "")
    if not (left or crowded):
        return outcome
    times = [wait.until for wait in left if wait.until is not None]
    failed = outcome.result is Result.FAILED
    whats = [words(policy, wait, at_target=True, failed=failed) for wait in left]
    told = "; ".join([*whats, f"no room for {many(crowded[0])}"] if crowded else whats)
    details: dict[str, object] = {"waiting": sum(wait.files for wait in left), "until": min(times, default=None)}
    details |= {"no_room": crowded[0]} if crowded else {}
    result = Result.WAITS if outcome.result is Result.CURRENT else outcome.result
    reason = f"{outcome.reason}; left: {told}" if outcome.reason else told
    return replace(outcome, result=result, reason=reason, details={**outcome.details, **details})


def _waiting(reason: str, **details: object) -> Outcome:
    return Outcome("waiting", Result.WAITS, reason=reason, details=details)


def words(policy: Policy, wait: Wait, at_target: bool = False, failed: bool = False) -> str:
    """Return how many files wait for what; `at_target` where the target has just been named."""
    net, own = policy.network, policy.own
    step, it = wait.step, "it" if wait.files == 1 else "them"
    lacking = f" for {net.name(wait.target)}" if wait.target != own and not at_target else ""
    if wait.executor == own:
        other = step.other_end(own)
        # It was there, and what is wrong with it has just been said.
        passes_on = step.source == own and other != wait.target  # perhaps it was not asked in this run
        present = f"{net.name(other)} {f'has {it}' if passes_on else 'is there'}"
        what = "that works" if failed and other == wait.target else present
    elif wait.executor == step.target:
        what = f"{net.name(step.target)} fetches {it}"
        what += "" if step.target == wait.target else f" and passes {it} on"
    else:
        there = at_target and step.target == wait.target
        where = "here" if step.target == own else "there" if there else f"to {net.name(step.target)}"
        what = f"{net.name(wait.executor)} brings {it} {where}"
    return f"{many(wait.files)}{lacking}, until {what}{_or_when(wait.until)}"


def of_one_file(policy: Policy, wait: Wait, at_target: bool = False) -> str:
    """Return what one file waits for, without saying that it is one."""
    return words(policy, wait, at_target).removeprefix(many(1)).lstrip(" ,")


def _or_when(until: float | None) -> str:
    if until is None:
        return ""
    then, today = time.localtime(until), time.localtime()
    return time.strftime(" or %H:%M" if then[:3] == today[:3] else " or %Y-%m-%d %H:%M", then)


def _no_way(run: TransferRun, now: Round) -> Iterator[Outcome]:
    """Say how much is wanted here that can never come, as things are."""
    policy = now.look.policy
    count = 0
    holders: set[str] = set()
    for group in now.groups:
        question = group.plan.question
        if policy.own in question.targets and policy.own not in reachable(policy.arcs, question):
            count += sum(key in now.keys for key in group.keys)
            holders |= question.holders
    if count:
        remotes = run.context.settings.remotes.values()
        ignored = [remote.name for remote in remotes if remote.ignore and not remote.special]
        why = f": {several(ignored)} {'takes' if len(ignored) == 1 else 'take'} no content"
        where = f" from {several(sorted(map(policy.network.name, holders)))}"
        reason = f"{many(count)} wanted here, no way leads here{why if ignored else where}"
        yield _waiting(reason, executor=None, target=policy.own, files=count, until=None)


def _not_there(run: TransferRun, now: Round) -> Iterator[Outcome]:
    """Say how much is wanted here that none of those has who are said to have it."""
    from git_annex_syncx.content import absent  # with all that moves content, which who only tells of it has not

    policy, asked = now.look.policy, _asked(run, now)
    wanted = (need for need in now.look.needs if policy.own in need.targets and (asked is None or need.key in asked))
    gone = [need for need in wanted if need.holders and not absent.without(need, run.missed).holders]
    if gone:
        names = sorted({policy.network.name(uuid) for need in gone for uuid in need.holders})
        fsck = "; ".join(shlex.join(["git", "annex", "fsck", "--fast", f"--from={name}"]) for name in names[:3])
        reason = f"{many(len(gone))} wanted here, not at {several(names)} as recorded; to find what is lost: {fsck}"
        yield _waiting(reason, executor=None, target=policy.own, files=len(gone), until=None)


def no_room(run: TransferRun, now: Round) -> Iterator[Outcome]:
    """Say what does not fit where it is wanted, before anything is sent."""
    for uuid, (files, text) in room.told(now.look.policy, now.look.left, _asked(run, now)).items():
        yield _waiting(text, target=uuid, files=files)


def _asked(run: TransferRun, now: Round) -> Collection[str] | None:
    """Return the keys that the run is about, None for all."""
    return now.keys if run.options.paths else None


def several(names: Iterable[str]) -> str:
    """Return some names in words."""
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def many(count: int) -> str:
    """Return the number of files in words."""
    return f"{count} file{'s' * (count != 1)}"
