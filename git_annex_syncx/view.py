"""What every view is made of: stdout is data, stderr is talk; text from outside cannot drive the terminal."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from git_annex_syncx.errors import SyncxError

if TYPE_CHECKING:
    from rich.console import Console


def say(what: str, advice: str = "") -> None:
    """A line of talk on stderr, and what to do on the next."""
    lines = [f"git-annex-syncx: {clean(what)}"] + ([f"  {clean(advice)}"] if advice else [])
    sys.stderr.write("".join(line + "\n" for line in lines))
    sys.stderr.flush()


def talk(quiet: bool, verbose: int) -> None:
    """Send the log to stderr: warnings, with -v what is done, with -vv everything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_CleanFormatter("git-annex-syncx: %(message)s"))
    logger = logging.getLogger("git_annex_syncx")
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])


def data(text: str) -> None:
    """Text for programs, on stdout."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def console_on(stream: Any) -> Console:
    """Where tables are drawn: colours and widths of a terminal only on one."""
    from rich.console import Console

    return Console(file=stream, highlight=False, soft_wrap=not stream.isatty())


def json_line(value: dict[str, Any]) -> None:
    """One JSON object for programs. Raises SyncxError where standard output cannot be written."""
    try:
        sys.stdout.write(json.dumps(value, ensure_ascii=True, default=str) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SyncxError(f"standard output cannot be written: {error.strerror}", "what was done stays") from error


def clean(text: str) -> str:
    """Text from outside without what could drive a terminal; bytes that are no UTF-8 are shown as escapes."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in readable)


def amount(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class _CleanFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))
