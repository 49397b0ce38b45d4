"""Answer for all files below a directory: how many each repository has, lacks and does not want, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content import counts
from git_annex_syncx.content.assignment import TransferOptions, TransferRun
from git_annex_syncx.content.counts import Counted
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.content.remotes import usable
from git_annex_syncx.content.waits import Wait, many, words
from git_annex_syncx.reports.content import Content, Delivery, contents
from git_annex_syncx.reports.hindrances import hindrance
from git_annex_syncx.reports.standing import moved
from git_annex_syncx.reports.status import waiting_until
from git_annex_syncx.runs.context import Context

NAMED = 3  # files


@dataclass(frozen=True)
class Reason:
    """Files that a repository lacks for one reason.

    `kind` is "comes", "waits", "later", "no-way", "no-room" or "lost".
    """

    kind: str
    files: int
    text: str
    until: float | None = None
    executor: str | None = None


@dataclass(frozen=True)
class Share:
    """The files below a directory in one repository; `names` are some of those that it lacks."""

    uuid: str
    content: Content
    reasons: tuple[Reason, ...]
    names: tuple[bytes, ...]


@dataclass(frozen=True)
class Directory:
    """The answer for a directory of `files` annexed files, this repository first."""

    path: bytes
    policy: Policy
    files: int
    bytes: int
    shares: tuple[Share, ...]


def of_directory(context: Context, counted: Counted, path: bytes) -> Directory:
    """Return the answer for a directory, from what was counted of all files."""
    policy, inside = counted.look.policy, _below(context, counted, path)
    found = contents(inside, waiting_until(context, counted))
    order = sorted(found, key=lambda uuid: (uuid != policy.own, policy.network.name(uuid), uuid))
    names, run = _names(context, inside), _run(context)
    shares = tuple(Share(u, found[u], tuple(_reasons(run, policy, found[u], u)), names.get(u, ())) for u in order)
    size = sum(map(key_size, (need.key for need in inside.keys)))
    return Directory(path, policy, len(inside.keys), size, shares)


def _run(context: Context) -> TransferRun:
    """Return what knows which repositories can be reached now."""
    remotes = (remote for remote in context.settings.remotes.values() if remote.sync)
    return TransferRun(context, usable(context, remotes, outside=True), TransferOptions(only_looks=True))


def _below(context: Context, counted: Counted, path: bytes) -> Counted:
    keys = counts.inventory(context).keys_at(path)
    left = {key: need for key, need in counted.look.left.items() if key in keys}
    some = ((group, tuple(key for key in group.keys if key in keys)) for group in counted.groups)
    return replace(
        counted,
        keys=[need for need in counted.keys if need.key in keys],
        look=replace(counted.look, left=left),
        groups=[replace(group, keys=inside) for group, inside in some if inside],
    )


def _names(context: Context, counted: Counted) -> Mapping[str, tuple[bytes, ...]]:
    """Return uuid -> the first of the files that it lacks."""
    lacking: dict[str, list[str]] = {}
    for need in counted.keys:
        for uuid in need.targets:
            if len(some := lacking.setdefault(uuid, [])) < NAMED:
                some.append(need.key)
    known = counts.inventory(context).files({key for keys in lacking.values() for key in keys})
    first = {key: min(files) for key, files in known.items()}
    return {uuid: tuple(sorted(first[key] for key in keys if key in first)) for uuid, keys in lacking.items()}


def _reasons(run: TransferRun, policy: Policy, content: Content, uuid: str) -> Iterator[Reason]:
    """Yield why a repository lacks files, and how many for each reason."""
    for one in content.deliveries:
        yield _delivery(run, policy, one, uuid)
    others = {
        "later": (content.later, ", when others have it"),
        "no-room": (content.no_room, ""),
        "no-way": (content.no_way - content.lost, ""),
        "lost": (content.lost, ", which nobody has"),
    }
    yield from (Reason(kind, files, many(files) + text) for kind, (files, text) in others.items() if files)


def _delivery(run: TransferRun, policy: Policy, one: Delivery, uuid: str) -> Reason:
    first, own = one.first, policy.own
    executor, other = first.executor_for(own), first.other_end(own)
    if executor != own or not run.end(other):
        told = words(policy, Wait(uuid, first, executor, one.files, one.until), at_target=True)
        return Reason("waits", one.files, told, one.until, executor)
    moves = moved(policy, first.operation_of(own), other, "it" if one.files == 1 else "them")
    if held := hindrance(run, other):
        told = f"{many(one.files)}, until a run here {moves}: {held.reason} ({held.advice})"
        return Reason("waits", one.files, told, held.until, own)
    return Reason("comes", one.files, f"{many(one.files)}, when the next run here {moves}", None, own)
