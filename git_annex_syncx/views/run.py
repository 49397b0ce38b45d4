"""Views of a run: a live table with bars, lines, or JSON events."""

from __future__ import annotations

import abc
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from git_annex_syncx.model import Event, Outcome, Progress, Result, Transferred
from git_annex_syncx.runs.phase_run import Tally
from git_annex_syncx.views import resolved as view_resolved
from git_annex_syncx.views.base import Grid, clean, console_on, json_line, say
from git_annex_syncx.views.transfer import Bars

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

STYLES = {
    Result.DONE: "green", Result.CURRENT: "dim", Result.WAITS: "cyan", Result.LEVEL: "cyan",
    Result.AWAY: "yellow", Result.BUSY: "yellow", Result.FAILED: "bold red", Result.SKIPPED: "dim",
}  # fmt: skip
TROUBLE = (Result.FAILED,)
ROWLESS = {"publish", "waiting"}  # events that are told below the table alone
MOST_FAILED = 10  # files that are named below the table
MOST_ALIKE = 3  # files that are named one after another where they fail at one remote for the same reason


class View(abc.ABC):
    """Shows the events of one run."""

    def event(self, event: Event) -> None:
        """Show an outcome, or the progress of a file."""
        if isinstance(event, Outcome):
            self.outcome(event)
        else:
            self.progress(event)

    @abc.abstractmethod
    def outcome(self, outcome: Outcome) -> None:
        """Show the outcome of a phase for one remote."""

    @abc.abstractmethod
    def progress(self, progress: Progress) -> None:
        """Show the progress of one file of a transfer."""

    @abc.abstractmethod
    def summary(self, command: str, tally: Tally) -> None:
        """Show the number of remotes by result, after all else."""


@contextlib.contextmanager
def for_run(as_json: bool, quiet: bool, verbose: int) -> Iterator[View]:
    """Open the view that fits the options and the place that we write to."""
    if as_json:
        yield JsonView()
    elif not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from rich.live import Live

        console = console_on(sys.stderr)
        with Live(console=console, refresh_per_second=8) as live:
            view = TableView(live, verbose)
            try:
                yield view
            finally:
                live.update(view.table())
        for note in view.notes():  # each on one line for whoever copies a command, however long it is
            console.print(note, soft_wrap=True)
    else:  # a person at a dumb terminal wants to know, too
        yield PlainView(all_of_it=(verbose > 0 or sys.stderr.isatty()) and not quiet)


class JsonView(View):
    """Writes one object a line to stdout."""

    def outcome(self, outcome: Outcome) -> None:
        """Write the outcome as an event."""
        event: dict[str, Any] = {
            "event": outcome.event,
            "remote": outcome.remote or None,
            "uuid": outcome.uuid,
            "result": outcome.result.value,
            "refs": [{"ref": r.ref, "fate": r.fate.value, "reason": r.reason or None} for r in outcome.refs],
            "seconds": round(outcome.seconds, 3),
            "error": outcome.reason if outcome.result in TROUBLE else None,
        }
        if outcome.reason and outcome.result not in TROUBLE:
            event["reason"] = outcome.reason
        if outcome.advice:
            event["advice"] = outcome.advice
        json_line(event | dict(outcome.details))

    def progress(self, progress: Progress) -> None:
        """Write the file as an event."""
        json_line({
            "event": "file", "state": progress.state, "remote": progress.remote, "operation": progress.operation,
            "key": progress.key, "file": progress.file, "bytes": progress.own.bytes, "size": progress.own.total,
            "bytes_per_second": progress.own.speed, "eta_seconds": progress.own.eta,
            "link": _figures(progress.link), "run": _figures(progress.run), "error": progress.reason or None,
        })  # fmt: skip

    def summary(self, command: str, tally: Tally) -> None:
        """Write the number of remotes by result."""
        json_line({"event": "summary", "command": command, **tally.counts()})


def _figures(transferred: Transferred) -> dict[str, Any]:
    return {
        "bytes": transferred.bytes, "total": transferred.total, "files": transferred.files, "done": transferred.done,
        "bytes_per_second": transferred.speed, "eta_seconds": transferred.eta,
    }  # fmt: skip


class PlainView(View):
    """Writes nothing but failures, so that cron mails only trouble; with -v everything."""

    def __init__(self, all_of_it: bool) -> None:
        """Show every outcome with `all_of_it`."""
        self.all_of_it = all_of_it
        self._said: Counter[str] = Counter()

    def outcome(self, outcome: Outcome) -> None:
        """Write a line, when it is worth one."""
        if not (self.all_of_it or outcome.result in TROUBLE):
            return
        where = f" {outcome.remote}" if outcome.remote else ""
        told = f"{outcome.event}{where}: {outcome.result.value}" + (f": {outcome.reason}" if outcome.reason else "")
        if outcome.result not in TROUBLE or not self._said[told]:  # a phase may meet the same trouble again
            say(told, outcome.advice)
        for line in (resolved := list(view_resolved.lines(outcome))) if self.all_of_it else ():
            say(line, view_resolved.HINT if line is resolved[-1] else "")
        self._said[told] += 1

    def progress(self, progress: Progress) -> None:
        """Write a line for a file that failed; with -v for each one that has moved."""
        if progress.state == "failed" or (self.all_of_it and progress.state in ("done", "skipped")):
            reason = f": {progress.reason}" if progress.reason else ""
            alike = f"{progress.remote}{reason}"
            self._said[alike] += progress.state == "failed"
            if self._said[alike] > MOST_ALIKE and not self.all_of_it:
                return  # the outcome tells how many they are
            say(f"{progress.operation} {progress.remote}: {progress.file}: {progress.state}{reason}")

    def summary(self, command: str, tally: Tally) -> None:
        """Write a line of counts, with -v."""
        if self.all_of_it:
            counts = [f"{n} {name}" for name, n in tally.counts().items() if n]
            say(f"{command}: {', '.join(counts) or 'nothing to do'}")


class TableView(View):
    """Draws a table that fills as outcomes come in: a row a remote, a column a phase."""

    def __init__(self, live: Live, verbose: int) -> None:
        """Draw on `live`; with -v also what was left out and what each remote did with each ref."""
        self.live, self.verbose = live, verbose
        self._last: dict[tuple[str, str], Outcome] = {}
        self._bars: Bars | None = None
        self._waits: dict[str, Outcome] = {}
        self._resolved: list[str] = []
        self._failed: list[str] = []

    def outcome(self, outcome: Outcome) -> None:
        """Fill the cell of this remote and phase."""
        self._last[outcome.remote, outcome.event] = outcome
        self._resolved += view_resolved.lines(outcome)
        if outcome.event == "waiting":  # there are several, of other repositories
            self._waits[outcome.reason] = outcome
        if outcome.event == "transfer":
            self._bars = None
        self._draw()

    def progress(self, progress: Progress) -> None:
        """Move the bars; a file that failed leaves a line."""
        if progress.state == "failed":
            self._failed.append(f"{progress.operation} {progress.remote}: {progress.file}: {progress.reason}")
        self._bars = self._bars or Bars()
        self._bars.move(progress)
        self._draw()

    def summary(self, command: str, tally: Tally) -> None:
        """Show nothing: the table has it."""

    def _draw(self) -> None:
        from rich.console import Group

        self.live.update(Group(self.table(), *self.notes(), *([self._bars] if self._bars else [])))

    def table(self) -> RenderableType:
        """Return the table of what has come so far."""
        shown = [outcome for outcome in self._shown() if outcome.event not in ROWLESS]
        phases = list(dict.fromkeys(outcome.event for outcome in shown))
        rows = [
            [clean(remote) or "here", *(_cell(self._last.get((remote, phase))) for phase in phases)]
            for remote in sorted({outcome.remote for outcome in shown})
        ]
        return Grid(("remote", *phases), rows, ()) if rows else ""

    def notes(self) -> list[Text]:
        """Return the lines below it."""
        from rich.text import Text

        told = [outcome for outcome in self._shown() if outcome.event != "waiting"] + list(self._waits.values())
        notes = [note for outcome in told for note in self._notes(outcome)]
        failed = [Text(clean(line), style=STYLES[Result.FAILED]) for line in self._failed[-MOST_FAILED:]]
        if len(self._failed) > MOST_FAILED:
            failed.insert(0, Text(f"{len(self._failed) - MOST_FAILED} more files failed; -v --json lists them all"))
        resolved = [Text(clean(line)) for line in dict.fromkeys(self._resolved)]
        resolved += [Text(f"  {view_resolved.HINT}", style="yellow")] if resolved else []
        return [*notes, *resolved, *failed]

    def _shown(self) -> list[Outcome]:
        return [o for o in self._last.values() if self.verbose or o.result is not Result.SKIPPED]

    def _notes(self, outcome: Outcome) -> Iterator[Text]:
        """Yield the lines below the table about an outcome."""
        from rich.text import Text

        where = f"{outcome.remote or 'here'}: {outcome.event}: "
        if outcome.reason:
            yield Text(clean(where + outcome.reason), style=STYLES[outcome.result])
        if outcome.advice and outcome.result in (Result.FAILED, Result.BUSY):
            yield Text(clean(f"  {outcome.advice}"), style="yellow")
        if self.verbose and outcome.refs:
            refs = (f"{report.ref.removeprefix('refs/heads/')}: {report.fate}" for report in outcome.refs)
            yield Text(clean(where + ", ".join(refs)), style="dim")


def _cell(outcome: Outcome | None) -> Text | str:
    from rich.text import Text

    if outcome is None:
        return ""
    timed = f" {outcome.seconds:.1f}s" if outcome.seconds >= 0.1 else ""
    return Text.assemble((outcome.result.value, STYLES[outcome.result]), (timed, "dim"))
