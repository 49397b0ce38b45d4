"""Log lines of automatic runs, with a time, for everything that was done or went wrong."""

from __future__ import annotations

import logging
import sys
import time

from git_annex_syncx.model import Event, Outcome, Result
from git_annex_syncx.views import resolved as view_resolved
from git_annex_syncx.views.base import clean, talk_line

QUIET = (Result.CURRENT, Result.WAITS, Result.SKIPPED, Result.AWAY)


def line(text: str) -> None:
    """One line of the log."""
    talk_line(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {clean(text)}\n")


def passed_on(text: str) -> None:
    """A line that another process has dated already."""
    talk_line(clean(text.rstrip("\n")) + "\n")


def show(event: Event) -> None:
    """An outcome, unless there was nothing to do; of a transfer the files that failed."""
    if isinstance(event, Outcome):
        if event.result in QUIET:
            return
        where = f" {event.remote}" if event.remote else ""
        line(": ".join(filter(None, [f"{event.event}{where}", event.result.value, event.reason, event.advice])))
        for resolved in view_resolved.told(event):
            line(resolved)
    elif event.state == "failed":
        line(f"{event.operation} {event.remote}: {event.file}: failed: {event.reason}")


def talk(verbose: int = 0) -> None:
    """Send the program's own log there too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("git_annex_syncx")
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        first, *rest = super().format(record).split("\n")  # a traceback stays readable
        return "\n".join([clean(first), *map(clean, rest)])
