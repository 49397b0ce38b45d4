"""The bars of a transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from git_annex_syncx.model import Progress
from git_annex_syncx.views.base import amount, clean, duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import TaskID


class Bars:
    """A bar for the run and one for each link, with its file of the moment."""

    def __init__(self) -> None:
        """Begin with a bar for the run."""
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._rich = RichProgress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
            TextColumn("{task.fields[told]}", markup=False), auto_refresh=False,
        )  # fmt: skip
        self._run = self._rich.add_task("all", total=None, told="")
        self._links: dict[tuple[str, str], TaskID] = {}

    def move(self, progress: Progress) -> None:
        """Move the bars by the progress of one file."""
        speed = f", {amount(progress.speed)}/s" if progress.speed else ""
        left = f", {duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
        told = f"{amount(progress.run_bytes)} of {amount(progress.run_size)}{speed}{left}"
        counted = f"{progress.run_done} of {progress.run_files} files, "
        total = progress.run_size or None
        self._rich.update(self._run, completed=progress.run_bytes, total=total, told=counted + told)
        link = (progress.operation, progress.remote)
        if link not in self._links:
            self._links[link] = self._rich.add_task(clean(" ".join(link)), total=None, told="")
        size = progress.size or None
        self._rich.update(self._links[link], completed=progress.bytes, total=size, told=clean(progress.file))

    def shown(self) -> RenderableType:
        """Return the bars."""
        return self._rich.get_renderable()
