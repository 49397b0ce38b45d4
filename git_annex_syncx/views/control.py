"""Views of what a person sets up or holds: hooks, merge driver, pauses, signals."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from git_annex_syncx.model import ChannelEvent, Hook
from git_annex_syncx.system.times import clock
from git_annex_syncx.views.base import clean, console_on, json_line, say

if TYPE_CHECKING:
    from git_annex_syncx.conflicts.driver import DriverState
    from git_annex_syncx.system.records import Pause


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
            json_line({"event": "pause", "remote": name or None, "until": pause.end})
        return
    over = [f"{_held(name)} goes on" for name in sorted(ended)]
    for line in [*over, *_paused(pauses)] or ["nothing is paused"]:
        console.print(clean(line))


def _paused(pauses: Mapping[str, Pause]) -> list[str]:
    """Return a line for each pause."""
    return [
        f"{_held(name)} is paused until {clock(pause.end, ':%S') if pause.end else 'git annex-syncx resume'}"
        for name, pause in sorted(pauses.items())
    ]


def _held(name: str) -> str:
    """Return the work that a pause holds back."""
    return f"automatic work with {name}" if name else "all automatic work"
