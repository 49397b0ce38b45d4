"""The program's log on stderr: as messages to a person, or with a time for each line of automatic runs."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable
from typing import Any

from git_annex_syncx.model import Event, Outcome, Result
from git_annex_syncx.views import resolved as view_resolved
from git_annex_syncx.views.base import clean, write_message

QUIET = (Result.CURRENT, Result.WAITS, Result.SKIPPED, Result.AWAY)
MESSAGES, DATED = "git-annex-syncx: %(message)s", "%(asctime)s %(message)s"
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
TIME = "%Y-%m-%d %H:%M:%S"
log = logging.getLogger("git_annex_syncx")


def set_up(verbose: int = 0, quiet: bool = False, form: str = DATED) -> None:
    """Send the log to stderr: warnings (not with `quiet`), with -v what is done, with -vv everything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(form, TIME))
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.ERROR if quiet else LEVELS[min(verbose, 2)])


def warn(lines: Iterable[str]) -> None:
    """Log warnings."""
    for one in lines:
        log.warning("%s", one)


def line(text: str) -> None:
    """Write a line with a time."""
    write_message(f"{time.strftime(TIME)} {clean(text)}\n")


def passed_on(text: str) -> None:
    """Write a line that another process has dated already."""
    write_message(clean(text.rstrip("\n")) + "\n")


def show(event: Event) -> None:
    """Write an outcome, unless there was nothing to do; of a transfer the files that failed."""
    if isinstance(event, Outcome):
        if event.result in QUIET:
            return
        where = f" {event.remote}" if event.remote else ""
        line(": ".join(filter(None, [f"{event.event}{where}", event.result.value, event.reason, event.advice])))
        for resolved in view_resolved.lines(event):
            line(resolved)
    elif event.state == "failed":
        line(f"{event.operation} {event.remote}: {event.file}: failed: {event.reason}")


class _Formatter(logging.Formatter):
    """Cleans messages; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return clean(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return "\n".join(map(clean, super().formatException(ei).split("\n")))
