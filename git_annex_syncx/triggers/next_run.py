"""The next automatic run: what runs by itself here, and when it will, as far as files tell."""

from __future__ import annotations

import contextlib
import time

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git.git import Repository
from git_annex_syncx.reports.status import NextRun
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import Context
from git_annex_syncx.triggers import hooks, service
from git_annex_syncx.triggers.pid_file import process_at, watch_file
from git_annex_syncx.triggers.queue import Queue

FULL_LOOK = 6 * 3600.0  # seconds between two looks of `watch` at everything, also at what others have
NOTHING = "none: git annex-syncx service install, or hooks install"


def next_run(context: Context) -> NextRun:
    """Return when something will run by itself."""
    repo, state, now = context.repo, context.state, time.time()
    waiting = Queue(repo, context.settings.push_delay).waiting()
    by, asked = tuple(_starters(repo)), tuple(sorted(f"{one.kind} {one.remote}".strip() for one in waiting))
    if pauses.EVERYTHING in pauses.pauses(state):
        return NextRun(None, "all automatic work is paused", by, asked)
    if asked and (by or process_at(Queue(repo).pid_file)):
        return NextRun(now + min(waiting.values()), f"to do what was asked for: {', '.join(asked)}", by, asked)
    if asked:
        return NextRun(None, f"{', '.join(asked)} was asked for: git annex-syncx retry does it", by, asked)
    if "watch" in by:
        look, due = _next_look(repo), min((failure.next for failure in state.failures()), default=None)
        if due is not None and now < due < look:
            return NextRun(due, "to try again what failed", by)
        return NextRun(look, "when anything changes, at the latest for a look at everything", by)
    if "timer" in by:
        return NextRun(None, f"by a timer, every {service.RETRY_EVERY} minutes", by)
    return NextRun(None, "after the next commit or push, by hooks" if by else NOTHING, by)


def _next_look(repo: Repository) -> float:
    try:
        return watch_file(repo).stat().st_mtime + FULL_LOOK
    except OSError:  # it has just ended
        return time.time()


def _starters(repo: Repository) -> list[str]:
    """Return what starts runs by itself here."""
    found = ["watch"] * bool(process_at(watch_file(repo)))
    with contextlib.suppress(SyncxError):  # no systemd, or no unit can have the name
        found += ["timer"] * bool(service.state(repo, "timer").enabled)
    return found + ["hooks"] * any(hook.state == "installed" for hook in hooks.status(repo))
