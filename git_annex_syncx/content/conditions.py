"""Ask the conditions of `syncx.contentIf` whether content may move: by the line, the battery, or a command."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from git_annex_syncx.errors import ProgramFailed, SyncxError, UsageError
from git_annex_syncx.git.values import BATTERY, METERED
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system import run
from git_annex_syncx.system.records import Unmet
from git_annex_syncx.system.state import StateError

NOT_NOW = 75  # EX_TEMPFAIL of sysexits.h
PATIENCE = 60.0  # seconds for a program that is asked
SUPPLIES = Path("/sys/class/power_supply")
MANAGER = "org.freedesktop.NetworkManager"
COSTS = ("1", "3")  # NM_METERED_YES, NM_METERED_GUESS_YES


def not_met(context: Context) -> Unmet | None:
    """Return the first condition that is not met.

    Raises SyncxError where one cannot be asked: then no content moves either, since that could be what costs.
    """
    now = time.time()
    told = ((condition, _reason(context, condition)) for condition in context.settings.content_if)
    return next((Unmet(condition, reason, now, now) for condition, reason in told if reason), None)


def remember(context: Context, unmet: Unmet | None) -> None:
    """Keep for `status` and `retry` what holds content back, and since when. Nothing fails where that does."""
    with contextlib.suppress(StateError):
        before = {one.condition: one.since for one in context.state.unmet.all()}
        if unmet:
            since = min(unmet.since, before.get(unmet.condition, unmet.since))
            context.state.unmet.replace([unmet._replace(since=since)])
        elif before:
            context.state.unmet.replace([])


def told(unmet: Unmet) -> str:
    """Return what holds content back, for people."""
    return f"no content now: {unmet.reason} (syncx.contentIf={unmet.condition})"


def _reason(context: Context, condition: str) -> str:
    """Return why content may not move, empty where it may. Raises SyncxError."""
    if condition.lower() == BATTERY:
        return "the machine runs on battery" if on_battery(SUPPLIES) else ""
    try:
        if condition.lower() == METERED:
            return "the line is metered" if _is_metered(context) else ""
        done = _asked(context, "sh", "-c", condition)
        return "a command says not now" if done.code else ""
    except (ProgramFailed, UsageError) as error:
        raise SyncxError(
            f"syncx.contentIf={condition} cannot be asked, so no content moves: {error.what}",
            f"a command ends with 0 to let content move and with {NOT_NOW} to hold it back; "
            "git annex-syncx transfer at a terminal does not ask",
        ) from error


def _asked(context: Context, program: str, *words: str) -> run.Done:
    ok = (0, NOT_NOW) if program == "sh" else (0,)
    return run.run(program, *words, cwd=context.repo.home, env=run.users_environment(), ok=ok, limit=PATIENCE)


def _is_metered(context: Context) -> bool:
    """Ask NetworkManager, by busctl or nmcli, whether what is sent costs money, as far as it knows or guesses."""
    if shutil.which("busctl", path=run.environment()["PATH"]):
        place = "/" + MANAGER.replace(".", "/")
        told = _asked(context, "busctl", "get-property", MANAGER, place, MANAGER, "Metered").out
        return told.decode("utf-8", "replace").split()[1:2] in ([number] for number in COSTS)  # `u 4`
    told = _asked(context, "nmcli", "-t", "-f", "GENERAL.STATE,GENERAL.METERED", "device", "show").out
    devices = told.decode("utf-8", "replace").split("\n\n")
    return any("GENERAL.STATE:100" in device and "GENERAL.METERED:yes" in device for device in devices)


def on_battery(supplies: Path) -> bool:
    """Return whether a battery of the machine itself, not one of a mouse, is discharged and nothing else feeds it."""
    found = [
        {name: _value(one / name) for name in ("type", "scope", "status", "online")} for one in _listed(supplies)
    ]
    own = [supply for supply in found if supply["scope"] != "Device"]
    fed = any(supply["type"] != "Battery" and supply["online"] == "1" for supply in own)
    return not fed and any(supply["type"] == "Battery" and supply["status"] == "Discharging" for supply in own)


def _listed(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _value(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text("utf-8", "replace").strip()
    return ""
