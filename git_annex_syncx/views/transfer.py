"""The bars of a transfer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from git_annex_syncx.model import Progress, Transferred
from git_annex_syncx.views.base import amount, clean, duration

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

LONG = 30.0  # seconds; a file that takes longer has a bar of its own
BAR, FIGURES = 20, 42  # columns
SHORTEST_NAME = 12  # columns for a name beside a bar
Link = tuple[str, str]  # operation, remote


class Bars:
    """A bar for the run, one for each link, and one for each file that takes long."""

    def __init__(self) -> None:
        """Begin with nothing to show."""
        self._run: Transferred | None = None
        self._links: dict[Link, Transferred] = {}
        self._files: dict[Link, dict[str, Progress]] = {}

    def move(self, progress: Progress) -> None:
        """Move the bars by the progress of one file."""
        link = (progress.operation, progress.remote)
        self._run, self._links[link] = progress.run, progress.link
        files = self._files.setdefault(link, {})
        files.pop(progress.key, None)
        if progress.state == "progress" and progress.own.speed and progress.own.total / progress.own.speed > LONG:
            files[progress.key] = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw bars where there is room for them, else lines."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        names = options.max_width - BAR - FIGURES - 2
        if names < SHORTEST_NAME:
            for name, transferred in self._rows():
                yield Text(f"{name}: {_figures(transferred)}", overflow="fold")
            return
        table = Table.grid(padding=(0, 1))
        for name, transferred in self._rows():
            bar = ProgressBar(transferred.total or None, transferred.bytes, width=BAR)
            cell = Text(name, no_wrap=True)
            cell.truncate(names, overflow="ellipsis")
            table.add_row(cell, bar, Text(_figures(transferred), no_wrap=True))
        yield table

    def _rows(self) -> Iterator[tuple[str, Transferred]]:
        if self._run:
            yield f"{self._run.done}/{self._run.files} files", self._run
        for link, transferred in self._links.items():
            yield clean(" ".join(link)), transferred
            for progress in self._files[link].values():
                yield f"  {clean(progress.file)}", progress.own


def _figures(transferred: Transferred) -> str:
    told = [f"{amount(transferred.bytes)} of {amount(transferred.total)}"]
    told += [f"{amount(transferred.speed)}/s"] if transferred.speed else []
    told += [f"{duration(math.ceil(transferred.eta))} left"] if transferred.eta else []
    return ", ".join(told)
