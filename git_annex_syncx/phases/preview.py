"""Tell what a transfer or a sync would do, as far as is known here: nothing moves, nothing is fetched or written."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.branches import guard, membership
from git_annex_syncx.content import conditions, missing
from git_annex_syncx.content.assignment import Round, TransferOptions, TransferRun, next_round
from git_annex_syncx.content.patience import KeyGroup
from git_annex_syncx.content.remotes import usable
from git_annex_syncx.content.steps import OwnStep
from git_annex_syncx.content.waits import expected
from git_annex_syncx.git import git, history, local_changes, worktree
from git_annex_syncx.model import Remote
from git_annex_syncx.phases.sync import SyncOptions, wants_commit
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.run import interactive

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Load:
    """The load of one link: files and bytes, and seconds where the speed is known."""

    remote: str
    operation: str
    keys: tuple[str, ...]
    bytes: int
    seconds: float | None


@dataclass(frozen=True)
class Prospect:
    """One file and one step: what becomes of it, at which remote, for which repositories (uuids), and why.

    `step` is "push" or "pull" where it would move now, else "waits" (for others), "no-room" or "no-way".
    """

    step: str
    remote: str
    key: str
    file: str
    bytes: int
    targets: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class GitStep:
    """A step that a sync would make with the branch before content: `phase` is "commit", "merge" or "push"."""

    phase: str
    remote: str
    commits: int
    files: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Preview:
    """All that a run would do; `unmet` says why no content would move."""

    branch: tuple[GitStep, ...] = ()
    files: tuple[Prospect, ...] = ()
    loads: tuple[Load, ...] = ()
    unmet: str = ""


# Content


def of_transfer(context: Context, remotes: Iterable[Remote], options: TransferOptions) -> Preview:
    """Return what the first round of a transfer would move and what waits.

    Nobody is asked, but for the user's conditions.
    """
    unmet = None if options.by_name and interactive() else conditions.not_met(context)
    if unmet:
        return Preview(unmet=conditions.told(unmet))
    remotes, outsiders = membership.divided(context, "transfer", remotes)
    run = TransferRun(context, usable(context, remotes, options.outside), options)
    now = next_round(run)
    for warning in (*(f"{one.remote}: {one.reason}" for one in outsiders), *now.look.policy.warnings):
        log.warning("%s", warning)
    return Preview(files=tuple(_prospects(run, now)), loads=tuple(_loads(run, now)))


def _loads(run: TransferRun, now: Round) -> Iterator[Load]:
    keys: dict[OwnStep, list[str]] = {}
    for key, own_steps in now.work.own_steps.items() if now.work else ():
        for own_step in own_steps:
            keys.setdefault(own_step, []).append(key)
    for own_step in sorted(keys):
        yield _load(run, own_step, keys[own_step], _remote(now, own_step))


def _load(run: TransferRun, own_step: OwnStep, keys: list[str], remote: Remote) -> Load:
    size = sum(map(key_size, keys))
    known = run.context.state.speeds.get(remote.uuid)
    speed, latency = (known.bytes_per_second, known.latency_ms) if known else (None, None)
    seconds = size / speed + len(keys) * (latency or 0.0) / 1000 if speed else None
    return Load(remote.name, own_step.operation, tuple(keys), size, seconds)


def _remote(now: Round, own_step: OwnStep) -> Remote:
    assert now.work
    return now.work.workers[own_step].remote


def _prospects(run: TransferRun, now: Round) -> Iterator[Prospect]:
    """Yield each file with each of its steps that would be made now, and then what waits or has no way."""
    moved, left = list[Prospect](), list[Prospect]()
    for group in now.groups:
        keys = [key for key in group.keys if key in now.keys]
        own_steps = now.work.own_steps.get(keys[0], ()) if now.work and keys else ()
        steps = [(step, onward(group, step)) for step in own_steps]
        reached = {target for _, targets in steps for target in targets}
        told = expected(run, now, group) if keys else {}
        for key, name in _names(run.context, keys).items():
            file = (key, name, key_size(key))
            moved += [_moved(now, step, *file, targets) for step, targets in steps]
            left += [Prospect(kind, "", *file, (to,), why) for to, (kind, why) in told.items() if to not in reached]
    left += _crowded_out(run, now)
    yield from sorted(moved, key=lambda one: (one.file, one.remote))
    yield from sorted(left, key=lambda one: (one.file, one.targets))


def _crowded_out(run: TransferRun, now: Round) -> Iterator[Prospect]:
    """Yield what does not fit where it is wanted."""
    names = _names(run.context, [key for key in now.look.left if not run.options.paths or key in now.keys])
    for key, name in names.items():
        for uuid in sorted(now.look.left[key].targets):
            where = "here" if uuid == now.look.policy.own else f"at {now.look.policy.network.name(uuid)}"
            yield Prospect(
                "no-room", "", key, name, key_size(key), (uuid,), f"wanted {where}, where there is no room"
            )


def _names(context: Context, keys: Collection[str]) -> Mapping[str, str]:
    """Return the first file of each key, the key itself where there is none."""
    files = missing.inventory(context).files(keys)
    return {key: os.fsdecode(min(files[key])) if files.get(key) else key for key in keys}


def onward(group: KeyGroup, own_step: OwnStep) -> tuple[str, ...]:
    """Return those who want a key and get it by a step, at once or passed on."""
    reached = {own_step.target}
    for step in (step for plan in group.plans for step in plan.steps):  # in the order in which they would run
        if step.source in reached and step.target != own_step.source:
            reached.add(step.target)
    return tuple(sorted(reached & group.plan.question.targets))


def _moved(now: Round, step: OwnStep, key: str, file: str, size: int, targets: tuple[str, ...]) -> Prospect:
    policy = now.look.policy
    remote = _remote(now, step).name
    wanted = "wanted here" if step.target == policy.own else "wanted there"
    onward = [policy.network.name(uuid) for uuid in targets if uuid != step.target]
    told = [wanted] * (step.target in targets) + [f"passed on to {', '.join(onward)}"] * bool(onward)
    return Prospect(step.operation, remote, key, file, size, targets, ", ".join(told))


# The branch


def of_sync(context: Context, remotes: Iterable[Remote], options: SyncOptions, order: TransferOptions) -> Preview:
    """Return what a sync would commit, merge and push, and what content it would move, if others had nothing new."""
    remotes = tuple(remotes)
    content = of_transfer(context, remotes, order) if context.wants_content(options.content) else Preview()
    return replace(content, branch=() if context.only_annex else tuple(_branch(context, remotes, options)))


def _branch(context: Context, remotes: Iterable[Remote], options: SyncOptions) -> Iterator[GitStep]:
    repo, basis = context.repo, worktree.require_head(context.repo).basis
    refs = git.refs(repo)
    ours, received = ([refs[name]] if (name := f"refs/heads/{b}") in refs else [] for b in (basis, f"synced/{basis}"))
    commits = list(_commit(context, options))
    yield from commits
    if count := history.count(repo, received, ours) if received else 0:
        yield GitStep("merge", "", count, reason="pushed here by others")
    for remote in (remote for remote in remotes if not remote.special):
        known = (remote.tracking(basis), remote.tracking(f"synced/{basis}"))
        theirs = [refs[ref] for ref in known if ref in refs]
        takes, gives = remote.push and options.push and not remote.readonly, remote.pull and options.pull
        if count := history.count(repo, theirs, ours) if theirs and gives else 0:
            yield GitStep("merge", remote.name, count)
        more = sum(step.commits for step in commits)
        if count := (history.count(repo, ours, theirs) if ours else 0) + more if takes else 0:
            yield GitStep("push", remote.name, count, reason="" if theirs else "nothing of it is known here yet")


def _commit(context: Context, options: SyncOptions) -> Iterator[GitStep]:
    """Yield the commit of local changes; files that have vanished may be held back."""
    if not (context.repo.top and wants_commit(context, options)):
        return
    local = local_changes.changes(context.repo)
    refused = None if options.deletes else guard.vanished(context, local)
    left = set(local.gone) if refused else set()
    if changed := tuple(os.fsdecode(path) for path in local.changed if path not in left):
        yield GitStep("commit", "", 1, changed)
    if refused:
        yield GitStep("commit", "", 0, reason=refused.what)
