"""Views of a repository at rest: its status, hooks, pauses and merge driver."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from git_annex_syncx.model import ChannelEvent, Hook
from git_annex_syncx.reports.status import RemoteStatus, Status
from git_annex_syncx.views.base import Grid, clean, console_on, json_line, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from git_annex_syncx.conflicts.driver import DriverState
    from git_annex_syncx.system.records import Pause

STATES = {"current": "green", "diverged": "yellow", "other": "bold red", "away": "yellow"}
NAMED = 10  # how many variants are named


def show_status(status: Status, as_json: bool) -> None:
    """The status as a table, or as one JSON object a remote."""
    if as_json:
        _print_json(status)
        return
    console = console_on(sys.stdout)

    def tell(line: str, style: str = "") -> None:
        console.print(clean(line), style=style)

    tell(f"branch {status.branch} at {status.commit[:10] if status.commit else 'no commit yet'}")
    if status.settle_until:
        tell(f"level with others; a merge is looked at again at {_clock(status.settle_until)}")
    for line in _paused(status.paused):
        tell(line, style="yellow")
    if status.remotes:
        console.print(_table(status.remotes))
        for line in (f"{remote.remote}: {told}" for remote in status.remotes for told in _waiting(remote)):
            tell(line, style="red")
    else:
        tell("no remotes: git remote add NAME URL")
    if status.variants:
        shown = ", ".join(status.variants[:NAMED]) + (", ..." if len(status.variants) > NAMED else "")
        tell(f"{len(status.variants)} variants to choose from: {shown}")
    if status.signals:
        tell("signals: " + ", ".join(f"{count} {why}" for why, count in sorted(status.signals.items())))
    for address, wrong in sorted(status.trouble.items()):
        tell(f"{address}: {wrong}", style="red")
    for failure in status.failures:
        where = f" with {failure.remote}" if failure.remote else ""
        tell(f"{failure.phase}{where} failed {failure.tries} times: {failure.error}", style="red")


def _print_json(status: Status) -> None:
    for remote in status.remotes:
        json_line({"event": "status"} | dataclasses.asdict(remote))
    own: dict[str, Any] = {"branch": status.branch, "commit": status.commit}
    own |= {"settle_until": status.settle_until, "variants": status.variants}
    own |= {"paused": [{"remote": name or None, "until": _until(one)} for name, one in sorted(status.paused.items())]}
    own |= {"signals": status.signals, "trouble": status.trouble} if status.signals or status.trouble else {}
    own |= {"failures": [dataclasses.asdict(failure) for failure in status.failures]}
    json_line({"event": "summary", "command": "status"} | own)


def _table(remotes: Iterable[RemoteStatus]) -> RenderableType:
    from rich.text import Text

    rows = [
        [
            Text(clean(remote.remote)),
            Text(remote.state, style=STATES.get(remote.state, "")),
            Text(_number(remote.ahead)),
            Text(_number(remote.behind)),
            Text(_ago(remote.last_success)),
        ]
        for remote in remotes
    ]
    return Grid(("remote", "state", "ahead", "behind", "last success"), rows, frozenset({"ahead", "behind"}))


def show_driver(state: DriverState, as_json: bool, effect: Iterable[str] = (), removed: bool = False) -> None:
    """Show how the merge driver stands, and what that changes for plain git."""
    if as_json:
        json_line({"event": "merge-driver"} | dataclasses.asdict(state))
        return
    chosen = state.selected == "syncx"
    used = "in use" if chosen else f"not in use: merge.default is {state.selected or 'unset'}"
    gone = "" if state.runs else "; the program that it calls has changed: git annex-syncx merge-driver install"
    left = removed and state.scope == "global" and state.installed
    absent = "removed" if removed else "not installed"
    unset = f"git config --{state.selected_in} --unset merge.default"
    absent += f", but merge.default is syncx: {unset}" if chosen else ""
    console = console_on(sys.stdout)
    told = f"installed, {used}{gone}" if state.installed else absent
    told += "; git annex-syncx merge-driver uninstall --global takes it out" if left else ""
    console.print(clean(f"{state.scope} ({state.file}): {told}"))
    for line in effect:
        console.print(f"  {line}")


HOOKS = {
    "installed": "installed",
    "absent": "not installed",
    "outdated": "out of date: git annex-syncx hooks install",
    "replaced": "replaced by something else: git annex-syncx hooks install says what to do",
}


def show_hooks(hooks: Iterable[Hook], moved: str, as_json: bool, removed: Collection[str] = ()) -> None:
    """Show how the hooks stand; `moved` is where they were installed, if that is another place.

    `removed` are those that were there before this command.
    """
    console = console_on(sys.stdout)
    for hook in hooks:
        if as_json:
            told = {"hook": hook.name, "file": str(hook.file), "state": hook.state, "around": hook.around}
            json_line({"event": "hook", **told, "moved": moved or None})
            continue
        around = "; it calls what was there before" if hook.around else ""
        state = "removed" if hook.name in removed and hook.state == "absent" else HOOKS[hook.state]
        console.print(clean(f"{hook.name} ({hook.file}): {state}{around}"))
    if moved and not as_json:
        console.print(
            clean(f"they were installed in {moved} and do nothing here: git annex-syncx hooks install"), markup=False
        )


def show_signal(heard: ChannelEvent, as_json: bool, quiet: bool) -> None:
    """Show what was sent, heard, or went wrong with a channel."""
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
    """Show what is held back, and until when; `ended` are the pauses that were ended just now."""
    console = console_on(sys.stdout)
    if as_json:
        for name, pause in sorted(pauses.items()):
            json_line({"event": "pause", "remote": name or None, "until": _until(pause)})
        return
    over = [f"{_held(name)} goes on" for name in sorted(ended)]
    for line in [*over, *_paused(pauses)] or ["nothing is paused"]:
        console.print(clean(line))


def _paused(pauses: Mapping[str, Pause]) -> list[str]:
    """A line for each pause."""
    lines = []
    for name, pause in sorted(pauses.items()):
        until = _until(pause)
        lines.append(
            f"{_held(name)} is paused until {_clock(until, seconds=True) if until else 'git annex-syncx resume'}"
        )
    return lines


def _held(name: str) -> str:
    """Return what a pause holds back."""
    return f"automatic work with {name}" if name else "all automatic work"


def _until(pause: Pause) -> float | None:
    """Return when it ends by itself, in seconds since 1970."""
    return None if pause.until == math.inf else pause.until


def _waiting(remote: RemoteStatus) -> list[str]:
    """A line for each phase that failed."""
    return [
        f"{f.phase} failed {f.tries}x since {_clock(f.first)}: {f.error} (due again {_clock(f.next)})"
        for f in remote.failures
    ]


def _number(count: int | None) -> str:
    return "?" if count is None else str(count)


def _clock(when: float, seconds: bool = False) -> str:
    """A date; with seconds where they matter."""
    return time.strftime("%Y-%m-%d %H:%M" + (":%S" if seconds else ""), time.localtime(when))


def _ago(when: float | None) -> str:
    """`5 min ago`, or `never`."""
    if when is None:
        return "never"
    seconds = max(0.0, time.time() - when)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"
