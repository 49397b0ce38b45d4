"""Views of the status of all repositories: a table and lines below it, or JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.network.survey import UNNAMED
from git_annex_syncx.reports.files import FileStatus
from git_annex_syncx.reports.notes import STALE, Note, notes
from git_annex_syncx.reports.status import RepositoryStatus, Status
from git_annex_syncx.system.records import Failure, Running
from git_annex_syncx.system.times import ago, clock
from git_annex_syncx.views.base import Grid, amount, clean, console_on, data, duration, json_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

STATES = {"current": "green", "diverged": "yellow", "ahead": "yellow", "behind": "yellow"}
ANEW = 5.0  # seconds between two looks
COLUMNS = ("repository", "branch", "files", "lacks", "last seen")


def show_status(status: Status, as_json: bool, files: Iterable[FileStatus] = ()) -> None:
    """Show the status as a table with lines and `files` below it, or as JSON objects."""
    if not as_json:
        _print(console_on(sys.stdout), parts(status))
        _show_files(list(files), status.names)
        return
    for event in (*map(_event, status.repositories), *map(_file_event, files)):
        json_line(event)
    json_line({"event": "summary", "command": "status"} | summary(status))


def watch(look: Callable[[], Status]) -> None:
    """Show the status anew every few seconds, until the user ends it. Raises UsageError without a terminal."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        raise UsageError(
            "status --watch draws on a terminal, and this is none", "git annex-syncx status shows it once"
        )
    from rich.console import Group
    from rich.live import Live

    with contextlib.suppress(KeyboardInterrupt), Live(console=console_on(sys.stdout), auto_refresh=False) as live:
        while True:
            live.update(Group(*_parts_or_why_not(look)), refresh=True)
            time.sleep(ANEW)


def _parts_or_why_not(look: Callable[[], Status]) -> Iterator[RenderableType]:
    """Yield what is shown, or why nothing can be, such as a rebase in progress: that may be over soon."""
    try:
        yield from parts(look())
    except SyncxError as error:
        yield clean(str(error))


def show_problems(status: Status, problems: Sequence[Note], as_json: bool) -> None:
    """Show a line for each problem, with what to do about it, or one line that says that all is well."""
    if as_json:
        for note in problems:
            json_line({"event": "problem"} | dataclasses.asdict(note))
        return
    for note in problems:
        data(clean(_said(note) + (f": {note.advice}" if note.advice else "")) + "\n")
    if not problems:
        count = len(status.repositories)
        data(f"OK: {count} repositor{'y' if count == 1 else 'ies'}\n")


def _print(console: Console, shown: Iterable[RenderableType]) -> None:
    for part in shown:
        console.print(part, soft_wrap=not isinstance(part, Grid))  # a line that is whole can be copied


def parts(status: Status) -> Iterator[RenderableType]:
    """Yield what is shown, part by part: lines, the table, lines."""
    from rich.text import Text

    for line in above(status):
        yield clean(line)
    yield table(status.repositories)
    for note in notes(status):
        yield Text(clean(_said(note)), "red" if note.problem else "")
        if note.advice:
            yield Text(f"  {clean(note.advice)}")
    for line in below(status):
        yield clean(line)


def _said(note: Note) -> str:
    told = [f"{word} {clock(when)}" for word, when in note.times.items()]
    return f"{note.text} ({', '.join(told)})" if told else note.text


def above(status: Status) -> Iterator[str]:
    """Yield what is said before all repositories: branch, runs, how old this is."""
    yield f"branch {status.branch} at {status.commit[:10] if status.commit else 'no commit yet'}"
    if status.settle_until:
        yield f"level with others; a merge is looked at again at {clock(status.settle_until)}"
    for run in status.running:
        yield _running(run)
    if status.counted and time.time() - status.counted.at > STALE:
        yield f"files as they were {ago(status.counted.at)}: another git-annex-syncx is looking at them"


def _running(run: Running) -> str:
    left = "" if run.eta is None else f", {duration(max(0.0, run.updated + run.eta - time.time()))} left"
    moved = f"{amount(run.bytes)} of {amount(run.total)}"
    return f"a run since {clock(run.begun)}: {run.percent} %, {run.done} of {run.files} files, {moved}{left}"


def below(status: Status) -> Iterator[str]:
    """Yield what is said after all repositories: the next run by itself, signals."""
    if all(one.here for one in status.repositories):
        yield "no remotes: git annex-syncx connect NAME ADDRESS"
    elif status.next_run:
        at = f"{clock(status.next_run.at)}, " if status.next_run.at is not None else ""
        yield f"next automatic run: {at}{status.next_run.text}"
    if status.signals:
        yield "signals: " + ", ".join(f"{count} {why}" for why, count in sorted(status.signals.items()))


def table(repositories: Iterable[RepositoryStatus]) -> RenderableType:
    """Return the table; where it is too wide a paragraph for each repository."""
    return Grid(COLUMNS, list(map(_row, repositories)), ("files", "lacks"))


def _row(one: RepositoryStatus) -> tuple[Text | str, ...]:
    from rich.text import Text

    state = one.branch.state
    files, lacks = ("-", "-") if one.ignored else ("?", "?")
    if content := one.content:
        files = f"{content.wants - content.lacks}/{content.wants}"
        lacks = f"{content.lacks} ({amount(content.lacks_bytes)})" if content.lacks else "-"
    return (
        _name(one),
        Text(branch_words(one), STATES.get(state, "")),
        files,
        lacks,
        Text(_seen(one), "bold red" if one.presence == "other" else ""),
    )


def _name(one: RepositoryStatus) -> str:
    if one.here and UNNAMED.match(one.name):  # nobody has described it
        return "here"
    return clean(one.name) + " (here)" * one.here


def branch_words(one: RepositoryStatus) -> str:
    """Return the state of a branch and how far it is off, `-` where there is nothing to say."""
    state, ahead, behind = one.branch.state, one.branch.ahead, one.branch.behind
    if one.here or state == "none":
        return "-"
    if state in ("ahead", "behind"):
        return f"{state} {ahead if state == 'ahead' else behind}"
    return f"ahead {ahead}, behind {behind}" if state == "diverged" else state


def _seen(one: RepositoryStatus) -> str:
    if one.here or one.presence == "present":
        return "now"
    return {"away": "away, ", "other": "another, "}.get(one.presence, "") + ago(one.last_seen)


def _show_files(files: Sequence[FileStatus], names: Mapping[str, str]) -> None:
    """Write a line for each file, in columns: there may be very many, for which rich takes minutes."""
    width = max((len(clean(names[one.uuid])) for one in files), default=0)
    for one in files:
        where = f"{clean(names[one.uuid]):<{width}}  " * (len(names) > 1)
        data(f"{where}{one.state:<8}  {amount(one.bytes):>7}  {clean(one.file)}: {clean(one.reason)}\n")


# For programs


def _event(one: RepositoryStatus) -> dict[str, Any]:
    return {
        "event": "repository",
        "uuid": one.uuid,
        "name": one.name,
        "remote": one.remote or None,
        "special": one.special,
        "here": one.here,
        "presence": one.presence or None,
        "ahead": one.branch.ahead,
        "behind": one.branch.behind,
        "branch": one.branch.state,
        "content": _content(one),
        "last_seen": one.last_seen,
        "failures": _failures(one.failures),
        "paused": one.paused,
        "variants": None if one.branch.variants is None else len(one.branch.variants),
        "trouble": one.trouble or None,
    }


def _file_event(one: FileStatus) -> dict[str, Any]:
    step = {"from": one.step.source, "to": one.step.target} if one.step else None
    return {"event": "status-file"} | dataclasses.asdict(one) | {"executor": one.executor or None, "step": step}


def _content(one: RepositoryStatus) -> dict[str, Any] | None:
    if (content := one.content) is None:
        return None
    names = ("wants", "has", "has_bytes", "lacks", "lacks_bytes", "unwanted", "unwanted_bytes", "no_way", "no_room")
    steps = [
        {
            "from": way.last.source, "to": way.last.target, "executor": way.executor, "files": way.files,
            "bytes": way.bytes, "first": [way.first.source, way.first.target], "until": way.until,
        }
        for way in content.deliveries
    ]  # fmt: skip
    told = {name: getattr(content, name) for name in names} | {"lost": content.lost, "later": content.later}
    return told | {"brought_by": content.brought_by, "steps": steps}


def summary(status: Status) -> dict[str, Any]:
    """Return what is told of the own branch and of all repositories together."""
    short = status.shortage
    return {
        "branch": status.branch,
        "commit": status.commit,
        "settle_until": status.settle_until,
        "variants": [os.fsdecode(path) for path in status.variants],
        "conflicts": [os.fsdecode(path) for path in status.conflicts],
        "held": len(status.held.paths) if status.held else 0,
        "below_numcopies": {
            "files": short.files, "bytes": short.bytes, "planned": short.planned, "takers": dict(short.takers)
        } if short else None,
        "unmet": [unmet._asdict() for unmet in status.unmet],
        "paused": [{"remote": name or None, "until": one.end} for name, one in sorted(status.paused.items())],
        "running": [run._asdict() | {"percent": run.percent} for run in status.running],
        "next_run": dataclasses.asdict(status.next_run) if status.next_run else None,
        "counted_at": status.counted.at if status.counted else None,
        "signals": dict(status.signals),
        "trouble": dict(status.trouble),
        "failures": _failures(status.failures),
        "notes": [dataclasses.asdict(note) for note in notes(status)],
    }  # fmt: skip


def _failures(failures: Iterable[Failure]) -> list[dict[str, Any]]:
    return [failure._asdict() for failure in failures]
