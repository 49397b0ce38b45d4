"""Show why content is or is not where, for people and programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from git_annex_syncx.content.waits import many
from git_annex_syncx.network.graph import Network
from git_annex_syncx.network.plan import Step
from git_annex_syncx.reports.standing import Standing
from git_annex_syncx.reports.subject import Subject
from git_annex_syncx.reports.why import Answer, Holder
from git_annex_syncx.reports.why_directory import Directory, Share
from git_annex_syncx.system.times import clock
from git_annex_syncx.views.base import amount, clean, console_on, json_line
from git_annex_syncx.views.plan_json import step_json

LONGEST_WAY = 6  # repositories


def show_why(found: Answer | Directory | Subject, as_json: bool) -> None:
    """Show the answer as lines, or as JSON objects, one a repository."""
    if as_json:
        for value in _objects(found):
            json_line(value)
        return
    console = console_on(sys.stdout)
    for line in _lines(found):
        console.print(clean(line), soft_wrap=line.startswith("try: ") or None)  # commands are copied whole


def _lines(found: Answer | Directory | Subject) -> Iterator[str]:
    match found:
        case Subject():
            yield f"{_path(found.path)}: {found.reason}"
            yield from _tries([found.advice] * bool(found.advice))
        case Directory():
            yield f"{_path(found.path)}: {many(found.files)} ({amount(found.bytes)})"
            yield from (line for share in found.shares for line in _share(found, share))
        case Answer():
            for one in found.standings:
                yield from _in_full(found, one) if found.alone else [_in_short(found, one)]
            yield from (f"at odds: {text}" for text in found.at_odds)


# A file


def _at(found: Answer, one: Standing) -> str:
    return f"{_called(found.policy.network, one.uuid)}: {one.reason}"


def _in_short(found: Answer, one: Standing) -> str:
    net, line = found.policy.network, f"{_at(found, one)}{_noted(one)}"
    if len(one.way) > 1:
        names = [net.name(uuid) for uuid in (one.way[0].source, *(step.target for step in one.way))]
        line += (
            f" [{' -> '.join(names if len(names) <= LONGEST_WAY else [*names[: LONGEST_WAY - 1], '...', names[-1]])}]"
        )
    return f"{line}; try: {one.advice[0]}" if one.state == "no-way" and one.advice else line


def _in_full(found: Answer, one: Standing) -> Iterator[str]:
    net = found.policy.network
    yield f"{_path(found.file)} ({amount(found.size)})"
    yield f"{_at(found, one)}{_noted(one)}"
    yield from [f"what it wants: {one.wish.told}"] * (one.wish.wants is not None)
    yield from [f"git-annex says: {one.wish.explained}"] * bool(one.wish.explained)
    yield f"who has it: {', '.join(_holders(net, found.holders)) or 'nobody'}"
    if one.way:
        yield f"its way: {_way(net, one.way)}"
    yield from _tries(one.advice)


def _noted(one: Standing) -> str:
    if not one.record:
        return ""
    when = clock(one.record.at)
    return f"; had it until {when}: {one.dropped}" if one.dropped else f" (noted {when})"


def _holders(net: Network, holders: Iterable[Holder]) -> Iterator[str]:
    for one in holders:
        since = f" since {clock(one.noted)}" if one.noted else ""
        yield f"{_called(net, one.uuid)}{since}" + (f" ({one.trust})" if one.trust else "")


def _way(net: Network, way: tuple[Step, ...]) -> str:
    """Return the steps in order: `from laptop to nas (push by laptop), to usb (pull by usb)`."""
    steps = []
    for step in way:
        by = " or ".join(f"{step.operation_of(uuid)} by {net.name(uuid)}" for uuid in step.executors)
        steps.append(f"to {net.name(step.target)} ({by})")
    return f"from {net.name(way[0].source)} {', '.join(steps)}"


def _tries(advice: Iterable[str]) -> Iterator[str]:
    yield from (f"try: {text}" for text in advice)


# A directory


def _share(found: Directory, share: Share) -> Iterator[str]:
    content = share.content
    told = [f"has {content.has}"]
    told += [f"does not want {content.unwanted} of them"] * bool(content.unwanted)
    spared = found.files - content.has - content.lacks
    told += [f"does not want {spared} others"] * bool(spared)
    told += [f"lacks {content.lacks} ({amount(content.lacks_bytes)})"] * bool(content.lacks)
    yield f"{_called(found.policy.network, share.uuid)}: {', '.join(told)}"
    yield from (f"  {reason.kind.replace('-', ' ')}: {reason.text}" for reason in share.reasons)
    names = ", ".join(map(_path, share.names))
    more = ", ..." if content.lacks > len(share.names) else ""
    yield from [f"  it lacks {names}{more}"] * bool(names)


# Words


def _path(path: bytes) -> str:
    return os.fsdecode(path) or "."


def _called(net: Network, uuid: str) -> str:
    return net.name(uuid) + (" (here)" if uuid == net.here else "")


# For programs


def _objects(found: Answer | Directory | Subject) -> Iterator[dict[str, Any]]:
    match found:
        case Subject():
            yield {
                "event": "why-not-annexed", "path": os.fsdecode(found.path), "kind": found.kind,
                "reason": found.reason, "advice": found.advice or None,
            }  # fmt: skip
        case Directory():
            yield from (_of_share(found, share) for share in found.shares)
        case Answer():
            yield from (_of_standing(found, one) for one in found.standings)


def _of_standing(found: Answer, one: Standing) -> dict[str, Any]:
    wish, record = one.wish, one.record
    return {
        "event": "why", "file": os.fsdecode(found.file), "key": found.key, "bytes": found.size,
        **_repository(found.policy.network, one.uuid),
        "state": one.state, "reason": one.reason, "advice": one.advice, "until": one.until, "executor": one.executor,
        "way": list(map(step_json, one.way)),
        "wants": wish.wants, "preferred": wish.preferred, "required": wish.required, "groups": wish.groups,
        "explained": wish.explained, "noted": record.at if record else None, "dropped": one.dropped or None,
        "trust": one.trust or None, "numcopies": found.numcopies, "at_odds": found.at_odds,
    }  # fmt: skip


def _of_share(found: Directory, share: Share) -> dict[str, Any]:
    content = share.content
    return {
        "event": "why-directory", "directory": os.fsdecode(found.path), "files": found.files,
        **_repository(found.policy.network, share.uuid),
        "has": content.has, "unwanted": content.unwanted, "lacks": content.lacks, "lacks_bytes": content.lacks_bytes,
        "reasons": [vars(reason) for reason in share.reasons], "names": list(map(os.fsdecode, share.names)),
    }  # fmt: skip


def _repository(net: Network, uuid: str) -> dict[str, Any]:
    return {"repository": net.name(uuid), "uuid": uuid, "here": uuid == net.here}
