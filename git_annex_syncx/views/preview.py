"""Show what a run would do, for people and programs: the branch, each file, and the load of each link."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence

from git_annex_syncx.phases.preview import GitStep, Load, Preview, Prospect
from git_annex_syncx.views.base import Grid, amount, clean, console_on, data, duration, json_line

NAMED = 10  # files of a commit that are named


def show_preview(preview: Preview, as_json: bool) -> None:
    """Show tables, or one JSON object for each step of git, file and link."""
    if as_json:
        return _show_json(preview)
    for line in map(_git_line, preview.branch):
        data(line + "\n")
    data("".join(_file_lines(preview.files)))
    if preview.loads:
        _grid(
            ("remote", "operation", "files", "size", "time"), map(_load_row, preview.loads), ("files", "size", "time")
        )
    elif not preview.unmet:
        data("nothing is to be sent or fetched now\n")
    if preview.unmet:
        data(clean(preview.unmet) + "\n")
    return None


def _grid(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str]) -> None:
    console_on(sys.stdout).print(Grid(columns, list(rows), right))


def _git_line(step: GitStep) -> str:
    count = "1 commit" if step.commits == 1 else f"{step.commits} commits"
    told = f"{count}{f' of {clean(step.remote)}' if step.remote else ''}"
    if step.phase == "push":
        told = f"{count} to {clean(step.remote)}"
    if step.phase == "commit":
        more = f" and {len(step.files) - NAMED} more" if len(step.files) > NAMED else ""
        told = clean(", ".join(step.files[:NAMED])) + more or "nothing"
    return f"{step.phase}: {told}" + (f" ({clean(step.reason)})" if step.reason else "")


def _file_lines(files: Sequence[Prospect]) -> Iterator[str]:
    """Yield a line for each file, in columns: there may be very many, for which rich takes minutes."""
    steps = [clean(f"{one.step} {one.remote}".strip()) for one in files]
    width = max(map(len, steps), default=0)
    for step, one in zip(steps, files, strict=True):
        yield f"{step:<{width}}  {amount(one.bytes):>7}  {clean(one.file)}: {clean(one.reason)}\n"


def _load_row(load: Load) -> tuple[str, ...]:
    time = "-" if load.seconds is None else duration(load.seconds)
    return clean(load.remote), load.operation, str(len(load.keys)), amount(load.bytes), time


def _show_json(preview: Preview) -> None:
    for step in preview.branch:
        json_line({"event": "would-git"} | dataclasses.asdict(step) | {"remote": step.remote or None})
    for one in preview.files:
        json_line({"event": "would-file"} | dataclasses.asdict(one) | {"remote": one.remote or None})
    for load in preview.loads:
        json_line({
            "event": "would", "remote": load.remote, "operation": load.operation, "files": len(load.keys),
            "bytes": load.bytes, "seconds": load.seconds, "keys": list(load.keys),
        })  # fmt: skip
    if preview.unmet:
        json_line({"event": "would-not", "reason": preview.unmet})
