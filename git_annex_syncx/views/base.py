"""Output: data on stdout, messages on stderr; text from outside cannot drive the terminal.

Every run loads this before it does anything, so it imports little.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.system.redact import printable, without_passwords

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

UNBOUNDED = 10_000  # columns
NOTHING = ("", "-")  # cells that say nothing


def open_streams() -> None:
    """Open streams that the caller has closed on /dev/null; let standard output raise errors of our own."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115 (open till the end)
    old = sys.stdout
    buffer = io.BufferedWriter(_Output(old.fileno(), "w", closefd=False))
    sys.stdout = io.TextIOWrapper(buffer, old.encoding, old.errors, line_buffering=old.isatty())


class _Output(io.FileIO):
    """Standard output; that it cannot be written (a full disk) is a SyncxError."""

    def write(self, content: Any) -> int:
        """Write bytes. Raises SyncxError once where that fails, BrokenPipeError where nobody reads."""
        try:
            return super().write(content)
        except BrokenPipeError:
            raise
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise SyncxError(
                f"standard output cannot be written: {error.strerror}", "what was done stays; make room there"
            ) from error


def say(what: str, advice: str = "") -> None:
    """Write a message to stderr, and what to do on the next line."""
    lines = [f"git-annex-syncx: {clean(what)}"] + ([f"  {clean(advice)}"] if advice else [])
    write_message("".join(line + "\n" for line in lines))


def write_message(text: str) -> None:
    """Write to stderr. A full disk there stops nothing; a reader who has gone raises BrokenPipeError."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:
        pass


def data(text: str) -> None:
    """Write text for programs to stdout."""
    sys.stdout.flush()
    sys.stdout.buffer.write(without_passwords(text).encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def console_on(stream: Any) -> Console:
    """Return a console for tables: colours and width of a terminal only on one, no markup in words."""
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=not stream.isatty())


def json_line(value: dict[str, Any]) -> None:
    """Write a JSON object for programs to stdout."""
    import json

    sys.stdout.write(without_passwords(json.dumps(value, ensure_ascii=True, default=str)) + "\n")
    sys.stdout.flush()


class Grid:
    """A table; where it is too wide a paragraph for each row: `nas: state ahead, behind 0`."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Text | str]], right: Sequence[str]) -> None:
        """Take the columns' names, of which those in `right` hold numbers, and rows of as many cells."""
        self.columns, self.rows, self.right = columns, rows, right

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose by the width that there is."""
        from rich import box
        from rich.measure import Measurement
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in self.columns:
            table.add_column(name, justify="right" if name in self.right else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        needed = Measurement.get(console, options.update(width=UNBOUNDED), table).maximum
        if console.soft_wrap or needed <= options.max_width:
            yield from console.render(table, options.update(width=needed))
            return
        subject: Text | str = ""
        for first, *rest in self.rows:
            subject = first or subject  # a table says it once for several rows
            cells = zip(self.columns[1:], rest, strict=True)
            named = (Text.assemble(f"{column} ", cell) for column, cell in cells if str(cell) not in NOTHING)
            yield Text.assemble(subject, ": ", Text(", ").join(named), overflow="fold")


def clean(text: str) -> str:
    """Return text from outside without what could drive a terminal, and without the passwords of urls.

    Bytes that are no UTF-8 are shown as escapes.
    """
    return printable(without_passwords(text))


def amount(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(seconds: float) -> str:
    """Return a number of seconds for people."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
