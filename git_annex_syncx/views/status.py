"""Views of a repository at rest: its status, hooks, pauses and merge driver."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from git_annex_syncx.model import ChannelEvent, Hook
from git_annex_syncx.reports.status import RemoteStatus, Status
from git_annex_syncx.views.base import Grid, clean, console_on, json_line, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from git_annex_syncx.conflicts.driver import DriverState
    from git_annex_syncx.system.records import Failure, Pause

STATES = {"current": "green", "diverged": "yellow", "other": "bold red", "away": "yellow"}
NAMED = 10  # variants that are named


def show_status(status: Status, as_json: bool) -> None:
    """Show the status as a table, or as one JSON object a remote."""
    if as_json:
        _print_json(status)
        return
    console = console_on(sys.stdout)
    for line, style in _above(status):
        console.print(clean(line), style=style)
    if status.remotes:
        console.print(_table(status.remotes))
    for line, style in _below(status):
        console.print(clean(line), style=style)


def _above(status: Status) -> Iterator[tuple[str, str]]:
    """Yield the lines above the table, each with a style."""
    yield f"branch {status.branch} at {status.commit[:10] if status.commit else 'no commit yet'}", ""
    if status.settle_until:
        yield f"level with others; a merge is looked at again at {_clock(status.settle_until)}", ""
    for unmet in status.unmet:
        why = f"{unmet.reason} (syncx.contentIf={unmet.condition}; asked {_ago(unmet.asked)})"
        yield f"content waits since {_clock(unmet.since)}: {why}", "yellow"
    for line in _paused(status.paused):
        yield line, "yellow"
    if not status.remotes:
        yield "no remotes: git remote add NAME URL", ""


def _below(status: Status) -> Iterator[tuple[str, str]]:
    """Yield the lines below the table, each with a style."""
    for remote in status.remotes:
        for f in remote.failures:
            tries = f"{f.phase} failed {f.tries}x since {_clock(f.first)}"
            yield f"{remote.remote}: {tries}: {f.error} (due again {_clock(f.next)})", "red"
    if status.variants:
        shown = ", ".join(status.variants[:NAMED]) + (", ..." if len(status.variants) > NAMED else "")
        yield f"{len(status.variants)} variants to choose from: {shown}", ""
    if status.signals:
        yield "signals: " + ", ".join(f"{count} {why}" for why, count in sorted(status.signals.items())), ""
    for address, wrong in sorted(status.trouble.items()):
        yield f"{address}: {wrong}", "red"
    for f in status.failures:
        where = f" with {f.remote}" if f.remote else ""
        yield f"{f.phase}{where} failed {f.tries} times: {f.error}", "red"


def _print_json(status: Status) -> None:
    for remote in status.remotes:
        json_line({"event": "status"} | dataclasses.asdict(remote) | _failures(remote.failures))
    own: dict[str, Any] = {"branch": status.branch, "commit": status.commit}
    own |= {"settle_until": status.settle_until, "variants": status.variants}
    own |= {"unmet": [unmet._asdict() for unmet in status.unmet]}
    own |= {"paused": [{"remote": name or None, "until": _until(one)} for name, one in sorted(status.paused.items())]}
    own |= {"signals": status.signals, "trouble": status.trouble} if status.signals or status.trouble else {}
    json_line({"event": "summary", "command": "status"} | own | _failures(status.failures))


def _failures(failures: Iterable[Failure]) -> dict[str, Any]:
    return {"failures": [failure._asdict() for failure in failures]}


def _table(remotes: Iterable[RemoteStatus]) -> RenderableType:
    from rich.text import Text

    rows = [
        (
            clean(remote.remote),
            Text("content only" if remote.state == "content" else remote.state, style=STATES.get(remote.state, "")),
            _number(remote.ahead, remote.state),
            _number(remote.behind, remote.state),
            _ago(remote.last_success),
        )
        for remote in remotes
    ]
    return Grid(("remote", "state", "ahead", "behind", "last success"), rows, ("ahead", "behind"))


def show_driver(state: DriverState, as_json: bool, effect: Iterable[str] = (), removed: bool = False) -> None:
    """Show whether the merge driver is installed and in use, and its effect on plain git."""
    if as_json:
        json_line({"event": "merge-driver"} | dataclasses.asdict(state))
        return
    told = _installed(state, removed) if state.installed else _absent(state, removed)
    console_on(sys.stdout).print("\n  ".join([clean(f"{state.scope} ({state.file}): {told}"), *effect]))


def _installed(state: DriverState, removed: bool) -> str:
    used = "in use" if state.selected == "syncx" else f"not in use: merge.default is {state.selected or 'unset'}"
    gone = "" if state.runs else "; the program that it calls has changed: git annex-syncx merge-driver install"
    left = "; git annex-syncx merge-driver uninstall --global takes it out"
    return f"installed, {used}{gone}{left if removed and state.scope == 'global' else ''}"


def _absent(state: DriverState, removed: bool) -> str:
    unset = f", but merge.default is syncx: git config --{state.selected_in} --unset merge.default"
    return ("removed" if removed else "not installed") + (unset if state.selected == "syncx" else "")


HOOKS = {
    "installed": "installed",
    "absent": "not installed",
    "outdated": "out of date: git annex-syncx hooks install",
    "replaced": "replaced by something else: git annex-syncx hooks install says what to do",
}


def show_hooks(hooks: Iterable[Hook], moved: str, as_json: bool, removed: Collection[str] = ()) -> None:
    """Show the state of the hooks; `moved` is where they were installed, if that is another place.

    `removed` are those that were there before this command.
    """
    console = console_on(sys.stdout)
    for hook in hooks:
        if as_json:
            json_line({
                "event": "hook", "hook": hook.name, "file": str(hook.file), "state": hook.state,
                "around": hook.around, "moved": moved or None,
            })  # fmt: skip
            continue
        around = "; it calls what was there before" if hook.around else ""
        state = "removed" if hook.name in removed and hook.state == "absent" else HOOKS[hook.state]
        console.print(clean(f"{hook.name} ({hook.file}): {state}{around}"))
    if moved and not as_json:
        console.print(clean(f"they were installed in {moved} and do nothing here: git annex-syncx hooks install"))


def show_signal(heard: ChannelEvent, as_json: bool, quiet: bool) -> None:
    """Show a signal that was sent or heard, or a channel that does not work."""
    if as_json:
        json_line({"event": "signal"} | dataclasses.asdict(heard))
        return
    if heard.wrong:
        say(f"{heard.address}: {heard.wrong}")
    elif not quiet:
        took = "" if heard.seconds is None else f" after {heard.seconds * 1000:.0f} ms"
        what = f" {heard.kind} of {heard.uuid}" if heard.uuid else f" {heard.kind}" if heard.kind else ""
        console_on(sys.stdout).print(clean(f"{heard.address}: {heard.what}{what}{took}"))


def show_pauses(pauses: Mapping[str, Pause], as_json: bool, ended: Iterable[str] = ()) -> None:
    """Show pauses, and until when they last; `ended` are those that were ended just now."""
    console = console_on(sys.stdout)
    if as_json:
        for name, pause in sorted(pauses.items()):
            json_line({"event": "pause", "remote": name or None, "until": _until(pause)})
        return
    over = [f"{_held(name)} goes on" for name in sorted(ended)]
    for line in [*over, *_paused(pauses)] or ["nothing is paused"]:
        console.print(clean(line))


def _paused(pauses: Mapping[str, Pause]) -> list[str]:
    """Return a line for each pause."""
    ends = {name: _until(pause) for name, pause in sorted(pauses.items())}
    return [
        f"{_held(name)} is paused until {_clock(end, ':%S') if end else 'git annex-syncx resume'}"
        for name, end in ends.items()
    ]


def _held(name: str) -> str:
    """Return the work that a pause holds back."""
    return f"automatic work with {name}" if name else "all automatic work"


def _until(pause: Pause) -> float | None:
    """Return when a pause ends by itself, in seconds since 1970."""
    return None if pause.until == math.inf else pause.until


def _number(count: int | None, state: str) -> str:
    return "-" if state == "content" else "?" if count is None else str(count)


def _clock(when: float, more: str = "") -> str:
    return time.strftime(f"%Y-%m-%d %H:%M{more}", time.localtime(when))


def _ago(when: float | None) -> str:
    """Return `5 min ago`, or `never`."""
    if when is None:
        return "never"
    seconds = max(0.0, time.time() - when)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"
