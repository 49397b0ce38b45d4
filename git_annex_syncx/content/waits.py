"""Report what is left when a transfer ends.

Who must bring what to whom, and until when this repository waits for that.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from git_annex_syncx.content import absent, room
from git_annex_syncx.content.assignment import Round, TransferRun, keep_clocks
from git_annex_syncx.content.patience import Wait, due
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.model import Clock, Outcome, Result
from git_annex_syncx.network.graph import Network
from git_annex_syncx.network.plan import Plan, Step, plan, reachable
from git_annex_syncx.network.weights import ExecutedArc


def waits(run: TransferRun, now: Round) -> list[Wait]:
    """Return all that waits; not what a run with these remotes does not concern."""
    own, named = now.look.policy.own, run.context.settings.remotes
    concerned = {remote.uuid for remote in run.remotes} | {
        named[name].uuid for name in run.options.unreached & named.keys()
    }
    found: dict[tuple[str, str, str], Wait] = {}
    for group in now.groups:
        count = sum(key in now.keys for key in group.keys)
        for target, step in _first_steps(now.look.policy, group.base).items() if count else ():
            if step.executor != own or concerned & {target, step.source, step.target}:
                until = _until(run.clocks, run.context.settings.patience, step, own)
                before = found.get((target, step.source, step.target))
                files = count + (before.files if before else 0)
                found[target, step.source, step.target] = Wait(target, step, files, until)
    return [found[name] for name in sorted(found)]


def _first_steps(policy: Policy, base: Plan) -> dict[str, Step]:
    """Return the step that has to be made first so that content comes to each target that has a way.

    Where only what is shut leads there, it is the one of the plan that all others make.
    """
    common = _first(plan(policy.arcs, base.question)) if base.unreachable else {}
    return {uuid: step for uuid, step in (common | _first(base)).items() if uuid in base.question.targets}


def _first(found: Plan) -> dict[str, Step]:
    first: dict[str, Step] = {}
    for step in found.steps:  # in the order in which they would run
        first[step.target] = first.get(step.source, step)
    return first


def _until(clocks: Mapping[ExecutedArc, Clock], patience: float, step: Step, own: str) -> float | None:
    return due(clocks.get((step.source, step.target, step.executor == own)), patience)


def tell(run: TransferRun, now: Round) -> Iterator[Outcome]:
    """Keep the clocks, and say what this repository and those that are no remotes of the run wait for."""
    keep_clocks(run, now)
    left, told = waits(run, now), {remote.uuid for remote in run.remotes}
    run.left = [wait for wait in left if wait.target in told]
    yield from elsewhere(now.look.policy.network, now.look.policy.own, (w for w in left if w.target not in told))
    yield from no_way(run, now)
    yield from not_there(run, now)


def with_rest(run: TransferRun, outcome: Outcome) -> Outcome:
    """Return the outcome of a remote with what it still lacks: then it is not current."""
    left = [wait for wait in run.left if wait.target == outcome.uuid]
    if not left or not run.last:
        return outcome
    policy, times = run.last.policy, [wait.until for wait in left if wait.until is not None]
    failed = outcome.result is Result.FAILED
    told = "; ".join(_words(policy.network, policy.own, wait, at_target=True, failed=failed) for wait in left)
    details = {"waiting": sum(wait.files for wait in left), "until": min(times, default=None)}
    result = Result.WAITS if outcome.result is Result.CURRENT else outcome.result
    reason = f"{outcome.reason}; left: {told}" if outcome.reason else told
    return replace(outcome, result=result, reason=reason, details={**outcome.details, **details})


def elsewhere(net: Network, own: str, found: Iterable[Wait]) -> Iterator[Outcome]:
    """Say what this repository, or one that is no remote of the run, waits for."""
    for wait in found:
        details = {
            "executor": wait.step.executor, "target": wait.target, "files": wait.files, "until": wait.until,
        }  # fmt: skip
        yield Outcome("waiting", Result.WAITS, reason=_words(net, own, wait), details=details)


def _words(net: Network, own: str, wait: Wait, at_target: bool = False, failed: bool = False) -> str:
    step, it = wait.step, "it" if wait.files == 1 else "them"
    lacking = f" for {net.name(wait.target)}" if wait.target != own and not at_target else ""
    if step.executor == own:
        other = step.target if step.source == own else step.source
        # It was there, and what is wrong with it has just been said.
        passes_on = step.source == own and other != wait.target  # perhaps it was not asked in this run
        present = f"{net.name(other)} {f'has {it}' if passes_on else 'is there'}"
        what = "that works" if failed and other == wait.target else present
    elif step.executor == step.target == wait.target:
        what = f"{net.name(step.executor)} fetches {it}"
    elif step.executor == step.target:
        what = f"{net.name(step.executor)} fetches {it} and passes {it} on"
    else:
        there = at_target and step.target == wait.target
        where = "here" if step.target == own else "there" if there else f"to {net.name(step.target)}"
        what = f"{net.name(step.executor)} brings {it} {where}"
    return f"{many(wait.files)}{lacking}, until {what}{_or_when(wait.until)}"


def _or_when(until: float | None) -> str:
    if until is None:
        return ""
    then, today = time.localtime(until), time.localtime()
    return time.strftime(" or %H:%M" if then[:3] == today[:3] else " or %Y-%m-%d %H:%M", then)


def no_way(run: TransferRun, now: Round) -> Iterator[Outcome]:
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
        ignored = [
            remote.name for remote in run.context.settings.remotes.values() if remote.ignore and not remote.special
        ]
        why = f": {_several(ignored)} {'takes' if len(ignored) == 1 else 'take'} no content"
        where = f" from {_several(sorted(map(policy.network.name, holders)))}"
        reason = f"{many(count)} wanted here, no way leads here{why if ignored else where}"
        details = {"executor": None, "target": policy.own, "files": count, "until": None}
        yield Outcome("waiting", Result.WAITS, reason=reason, details=details)


def not_there(run: TransferRun, now: Round) -> Iterator[Outcome]:
    """Say how much is wanted here that none of those has who are said to have it."""
    policy, asked = now.look.policy, now.keys if run.options.paths else None
    gone = [
        need
        for need in now.look.needs
        if policy.own in need.targets and (asked is None or need.key in asked)
        if need.holders and not absent.without(need, run.missed).holders
    ]
    if gone:
        names = sorted({policy.network.name(uuid) for need in gone for uuid in need.holders})
        fsck = "; ".join(shlex.join(["git", "annex", "fsck", "--fast", f"--from={name}"]) for name in names[:3])
        reason = f"{many(len(gone))} wanted here, not at {_several(names)} as recorded; to find what is lost: {fsck}"
        details = {"executor": None, "target": policy.own, "files": len(gone), "until": None}
        yield Outcome("waiting", Result.WAITS, reason=reason, details=details)


def no_room(now: Round) -> Iterator[Outcome]:
    """Say what does not fit where it is wanted, before anything is sent."""
    for uuid, text in room.told(now.look.policy, now.look.left):
        details = {"target": uuid, "files": now.look.left[uuid][0]}
        yield Outcome("waiting", Result.WAITS, reason=text, details=details)


def _several(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def many(count: int) -> str:
    """Return the number of files in words."""
    return f"{count} file{'s' * (count != 1)}"
