"""What people and programs see: data on stdout, talk on stderr, a live table on a terminal, JSON lines on request."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.model import Outcome, Result
from git_annex_syncx.phases.record import Tally
from git_annex_syncx.phases.status import RemoteStatus, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

    from git_annex_syncx.conflicts.driver import State

STYLES = {
    Result.DONE: "green", Result.CURRENT: "dim", Result.LEVEL: "cyan", Result.AWAY: "yellow",
    Result.BUSY: "yellow", Result.FAILED: "bold red", Result.SKIPPED: "dim",
}  # fmt: skip
STATES = {"current": "green", "diverged": "yellow", "other": "bold red", "away": "yellow"}
NAMED = 10  # how many variants are named
TROUBLE = (Result.FAILED,)


class View(Protocol):
    """Shows the outcomes of one run."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, also after an error."""

    def show(self, outcome: Outcome) -> None:
        """One more outcome."""

    def summary(self, command: str, tally: Tally) -> None:
        """The last word."""


def for_run(as_json: bool, quiet: bool, verbose: int) -> View:
    """The view that fits the options and the place that we write to."""
    if as_json:
        return JsonView()
    if not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return TableView(verbose)
    return PlainView(verbose and not quiet)


class JsonView:
    """One object a line on stdout."""

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end."""

    def show(self, outcome: Outcome) -> None:
        """The outcome as an event."""
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
        _json_line(event | dict(outcome.details))

    def summary(self, command: str, tally: Tally) -> None:
        """How many remotes ended how."""
        _json_line({"event": "summary", "command": command, **tally.counts()})


class PlainView:
    """Nothing but failures, so that cron mails only trouble; everything with -v."""

    def __init__(self, all_of_it: bool | int) -> None:
        """`all_of_it`: show every outcome."""
        self.all_of_it = bool(all_of_it)

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end."""

    def show(self, outcome: Outcome) -> None:
        """One line, when it is worth one."""
        if not (self.all_of_it or outcome.result in TROUBLE):
            return
        where = f" {outcome.remote}" if outcome.remote else ""
        told = f"{outcome.event}{where}: {outcome.result.value}" + (f": {outcome.reason}" if outcome.reason else "")
        say(told, outcome.advice)

    def summary(self, command: str, tally: Tally) -> None:
        """A line of counts, with -v."""
        if self.all_of_it:
            say(f"{command}: " + ", ".join(f"{n} {name}" for name, n in tally.counts().items() if n))


class TableView:
    """A table that fills as outcomes come in: a row a remote, a column a phase."""

    def __init__(self, verbose: int) -> None:
        """With -v also what was left out and what each remote did with each ref."""
        self.verbose = verbose
        self._last: dict[tuple[str, str], Outcome] = {}
        self._console = _console(sys.stderr)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Begin to draw."""
        from rich.live import Live

        self._live = Live(console=self._console, refresh_per_second=8, transient=False)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the table as it is."""
        if self._live:
            self._live.stop()

    def show(self, outcome: Outcome) -> None:
        """Fill the cell of this remote and phase."""
        self._last[outcome.remote, outcome.event] = outcome
        if self._live:
            self._live.update(self._table(), refresh=True)

    def summary(self, command: str, tally: Tally) -> None:
        """Nothing: the table says it all."""

    def _table(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        shown = [o for o in self._last.values() if self.verbose or o.result is not Result.SKIPPED]
        phases = list(dict.fromkeys(outcome.event for outcome in shown))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("remote", *phases):
            table.add_column(name, overflow="fold")
        for remote in sorted({outcome.remote for outcome in shown}):
            cells = (_cell(self._last.get((remote, phase))) for phase in phases)
            table.add_row(Text(_clean(remote) or "here"), *cells)
        return Group(table, *(note for outcome in shown for note in self._notes(outcome)))

    def _notes(self, outcome: Outcome) -> Iterator[Text]:
        """What is to be said of an outcome, below the table."""
        from rich.text import Text

        where = f"{outcome.remote or 'here'}: {outcome.event}: "
        if outcome.reason:
            yield Text(_clean(where + outcome.reason), style=STYLES[outcome.result])
        if outcome.advice and outcome.result in (Result.FAILED, Result.BUSY):
            yield Text(_clean(f"  {outcome.advice}"), style="yellow")
        if self.verbose and outcome.refs:
            refs = (f"{report.ref.removeprefix('refs/heads/')}: {report.fate}" for report in outcome.refs)
            yield Text(_clean(where + ", ".join(refs)), style="dim")


def _cell(outcome: Outcome | None) -> Text:
    from rich.text import Text

    if outcome is None:
        return Text("")
    timed = f" {outcome.seconds:.1f}s" if outcome.seconds >= 0.1 else ""
    return Text.assemble((outcome.result.value, STYLES[outcome.result]), (timed, "dim"))


def say(what: str, advice: str = "") -> None:
    """A line of talk on stderr, and what to do on the next."""
    lines = [f"git-annex-syncx: {_clean(what)}"] + ([f"  {_clean(advice)}"] if advice else [])
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


def show_status(status: Status, as_json: bool) -> None:
    """The status as a table, or as one JSON object a remote."""
    if as_json:
        for remote in status.remotes:
            _json_line({"event": "status"} | dataclasses.asdict(remote))
        own: dict[str, Any] = {"branch": status.branch, "commit": status.commit}
        own |= {"settle_until": status.settle_until, "variants": status.variants}
        _json_line(
            {
                "event": "summary",
                "command": "status",
                **own,
                "failures": [dataclasses.asdict(f) for f in status.failures],
            }
        )
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = _console(sys.stdout)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("remote", "state", "ahead", "behind", "last success", "waiting"):
        table.add_column(name, justify="right" if name in ("ahead", "behind") else "left", overflow="fold")
    for remote in status.remotes:
        table.add_row(
            Text(_clean(remote.remote)),
            Text(remote.state, style=STATES.get(remote.state, "")),
            _number(remote.ahead),
            _number(remote.behind),
            _ago(remote.last_success),
            Text(_clean(_waiting(remote))),
        )
    console.print(
        f"branch {_clean(status.branch)} at {status.commit[:10] if status.commit else 'no commit yet'}",
        markup=False,
        highlight=False,
    )
    if status.settle_until:
        console.print(
            f"level with others; a merge is looked at again at {_clock(status.settle_until)}", highlight=False
        )
    console.print(table if status.remotes else "no remotes: git remote add NAME URL")
    if status.variants:
        shown = ", ".join(status.variants[:NAMED]) + (", ..." if len(status.variants) > NAMED else "")
        console.print(_clean(f"{len(status.variants)} variants to choose from: {shown}"), markup=False)
    for failure in status.failures:
        console.print(
            _clean(f"{failure.phase} failed {failure.tries} times: {failure.error}"),
            style="red",
            markup=False,
            highlight=False,
        )


def show_driver(state: State, as_json: bool, effect: Iterable[str] = ()) -> None:
    """How the merge driver stands, and what that changes for plain git."""
    if as_json:
        _json_line({"event": "merge-driver"} | dataclasses.asdict(state))
        return
    where = f"{state.scope} ({state.file})"
    used = "in use" if state.selected == "syncx" else f"not in use: merge.default is {state.selected or 'unset'}"
    gone = "" if state.runs else "; the program that it calls has changed: git annex-syncx merge-driver install"
    console = _console(sys.stdout)
    console.print(
        _clean(f"{where}: " + (f"installed, {used}{gone}" if state.installed else "not installed")),
        markup=False,
    )
    for line in effect:
        console.print(f"  {line}", markup=False)


def _waiting(remote: RemoteStatus) -> str:
    return "; ".join(
        f"{f.phase} failed {f.tries}x since {_clock(f.first)}: {f.error} (due again {_clock(f.next)})"
        for f in remote.failures
    )


def _number(count: int | None) -> str:
    return "?" if count is None else str(count)


def _clock(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def _ago(when: float | None) -> str:
    """`5 min ago`, or `never`."""
    if when is None:
        return "never"
    seconds = max(0.0, time.time() - when)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def data(text: str) -> None:
    """Text for programs, on stdout."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def _console(stream: Any) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, soft_wrap=not stream.isatty())


def _json_line(value: dict[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(value, ensure_ascii=True, default=str) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SyncxError(f"standard output cannot be written: {error.strerror}", "what was done stays") from error


def _clean(text: str) -> str:
    """Text from outside without what could drive a terminal; bytes that are no UTF-8 are shown as escapes."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in readable)


class _CleanFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _clean(super().format(record))
