"""Tell programs of the user's what has changed and what keeps failing; none of them can harm a run."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping

from git_annex_syncx.errors import ProgramFailed, SyncxError
from git_annex_syncx.model import Event, Outcome, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system import notify, run
from git_annex_syncx.system.records import Failure, Notice
from git_annex_syncx.system.redact import without_passwords
from git_annex_syncx.system.state import StateError
from git_annex_syncx.system.times import clock

log = logging.getLogger(__name__)

LIMIT = 60.0  # seconds for a program of the user's, and for all that still are to run at the end of a run
LONGEST = 60_000  # bytes of a variable; a system that takes more than 128 kB is rare
# A shell of its own around the command: what it prints is nobody's, and its parent is not the run.
WITHIN_SHELL = 'sh -c "$1" </dev/null >/dev/null; exit $?'
MOST_WAITING = 1000  # changes that wait for a program of the user's; more are dropped
PERSISTENT = 3  # failures in a row, before anybody is told
DAY = 86400.0
CHANGES = {
    "fetch": "received", "received": "received", "merge": "merged", "push": "pushed", "transfer": "transferred",
    "drive": "drive-ready",
}  # fmt: skip


def announced(context: Context, events: Iterable[Event], notifier: Notifier | None = None) -> Iterator[Event]:
    """Pass recorded events on; tell the user's programs of changes as they come, at the end of what keeps failing.

    A `notifier` that outlives the run is not waited for.
    """
    with contextlib.nullcontext(notifier) if notifier else Notifier(context) as told:
        try:
            for event in events:
                if context.settings.on_change and isinstance(event, Outcome):
                    for change in changes(event):
                        told.tell(context.settings.on_change, change)
                yield event
        finally:
            _tell_of_failures(context, told)


class Notifier:
    """Runs the user's programs one after another beside the run, each for a limited time."""

    def __init__(self, context: Context, limit: float = LIMIT) -> None:
        """Start nothing before there is something to tell; `limit` in seconds."""
        self._context, self._limit = context, limit
        self._deadline = math.inf
        self._queue: queue.Queue[tuple[str, Mapping[str, str]] | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Notifier:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the programs, not for ever: what still is to run shares one time limit."""
        if self._thread is None:
            return
        self._deadline = time.monotonic() + self._limit
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=self._limit)
        if kind is None:
            self._thread.join()

    def tell(self, command: str, variables: Mapping[str, str]) -> None:
        """Run a command of the user's with these variables, soon; an Apprise address is such a command too."""
        if not command:
            return
        try:
            self._queue.put_nowait((command, variables))
        except queue.Full:
            log.warning("%s: not run for %s, too much waits for it", _shown(command), variables["SYNCX_EVENT"])
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="tell")
            self._thread.start()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                self._run(*job)
            except ProgramFailed as error:
                log.warning("%s: %s", _shown(job[0]), error.what)
            except SyncxError as error:
                log.warning("%s", error)
            except KeyboardInterrupt:  # this run is being ended
                return

    def _run(self, command: str, variables: Mapping[str, str]) -> None:
        repo, limit = self._context.repo, min(self._limit, self._deadline - time.monotonic())
        if limit <= 0:
            log.warning("%s: not run for %s, there was no time left", _shown(command), variables["SYNCX_EVENT"])
            return
        if command == notify.NAME:
            notify.send(self._context.settings.notify, variables["SYNCX_TITLE"], variables["SYNCX_TEXT"], limit)
            return
        env = {**run.users_environment(), "SYNCX_REPOSITORY": os.fspath(repo.home), **variables}
        run.run("sh", "-c", WITHIN_SHELL, "sh", command, cwd=repo.home, env=env, limit=limit)


def changes(outcome: Outcome) -> Iterator[dict[str, str]]:
    """Yield the variables by which a program of the user's is told of an outcome, none where nothing has changed."""
    details = outcome.details
    moved = outcome.result is Result.DONE or (outcome.event == "transfer" and details.get("files"))
    if moved and outcome.event in CHANGES:
        yield _variables(CHANGES[outcome.event], outcome)
    if details.get("resolved"):
        yield _variables("conflict-resolved", outcome)


def change(event: str, remote: str = "", uuid: str | None = None, **details: str) -> dict[str, str]:
    """Return the variables of one event."""
    more = {f"SYNCX_{name.upper()}": _safe(value) for name, value in details.items()}
    return {"SYNCX_EVENT": event, "SYNCX_REMOTE": _safe(remote), "SYNCX_UUID": uuid or ""} | more


def _variables(event: str, outcome: Outcome) -> dict[str, str]:
    plain = {name: str(value) for name, value in outcome.details.items() if isinstance(value, (str, int))}
    details = json.dumps(dict(outcome.details), default=str)
    return {"SYNCX_OLD": "", "SYNCX_NEW": ""} | change(event, outcome.remote, outcome.uuid, details=details, **plain)


def _safe(value: str) -> str:
    """Return what an environment can hold; part of what is too long would only mislead."""
    return "" if len(value) > LONGEST else without_passwords(value).replace("\0", "")


# What keeps failing


def to_tell(failure: Failure, told: float | None, now: float) -> bool:
    """Return whether the user is to hear of a failure: at its third in a row, then daily."""
    return failure.tries >= PERSISTENT and (told is None or now < told or now - told >= DAY)


def _tell_of_failures(context: Context, notifier: Notifier) -> None:
    """Tell of what persists, and once of what is over."""
    settings = context.settings
    if not (settings.on_failure or settings.notify):
        return
    with contextlib.suppress(StateError):
        failures, now = context.state.failures(), time.time()
        told = {(notice.phase, notice.remote): notice.at for notice in context.state.notices.all()}
        for failure in failures:
            if to_tell(failure, told.get((failure.phase, failure.remote)), now):
                context.state.notices.put(Notice(failure.phase, failure.remote, now))
                _tell_failure(context, notifier, failure.phase, failure.remote, failure)
        for phase, remote in told.keys() - {(failure.phase, failure.remote) for failure in failures}:
            context.state.notices.remove(phase, remote)
            if not remote or remote in context.can_fail:
                _tell_failure(context, notifier, phase, remote, None)


def _tell_failure(context: Context, notifier: Notifier, phase: str, remote: str, failure: Failure | None) -> None:
    """Tell that something keeps failing, or works again."""
    known, work = context.settings.remotes.get(remote), f"{phase} with {remote or 'this repository'}"
    event, state, happened, more = "recovered", "works again", "works again", {"error": ""}
    if failure:
        event, state = "failure", "keeps failing"
        happened = f"failed {failure.tries} times since {clock(failure.first)}: {failure.error}"
        more = {"error": failure.error, "tries": str(failure.tries), "since": str(int(failure.first))}
    title, text = f"git-annex-syncx: {work} {state}", f"{context.repo.home}: {work} {happened}"
    variables = change(event, remote, known.uuid if known else None, phase=phase, title=title, text=text, **more)
    notifier.tell(context.settings.on_failure, variables)
    notifier.tell(notify.NAME if context.settings.notify else "", variables)


def _shown(command: str) -> str:
    return command if len(command) < 60 else command[:57] + "..."
