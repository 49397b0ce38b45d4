"""The status as text for Prometheus' textfile collector. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from git_annex_syncx.reports.content import Content
from git_annex_syncx.reports.status import RepositoryStatus, Status
from git_annex_syncx.views.base import clean

PREFIX = "git_annex_syncx_"


class Metric(NamedTuple):
    """A gauge: its name, what it says, its values by labels."""

    name: str
    help: str
    values: list[tuple[dict[str, str], float]]


def text(status: Status, now: float) -> str:
    """Return all metrics in Prometheus' text format."""
    return "".join(f"{line}\n" for metric in _metrics(status, now) for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    name = PREFIX + metric.name
    if metric.values:
        yield f"# HELP {name} {metric.help}"
        yield f"# TYPE {name} gauge"
    for labels, value in metric.values:
        told = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{told}}} {value:.15g}" if told else f"{name} {value:.15g}"


def escaped(label: str) -> str:
    """Return a label's value as the format wants it, without what no text can hold."""
    return clean(label).replace("\\", "\\\\").replace('"', '\\"')


OF_CONTENT: tuple[tuple[str, str, Callable[[Content], float]], ...] = (
    ("files_wanted", "Files that it wants.", lambda content: content.wants),
    ("files_held", "Files that it holds.", lambda content: content.has),
    ("bytes_held", "Their size.", lambda content: content.has_bytes),
    ("files_lacking", "Files that it wants and lacks.", lambda content: content.lacks),
    ("bytes_lacking", "Their size.", lambda content: content.lacks_bytes),
    ("files_unwanted", "Files that it holds and does not want.", lambda content: content.unwanted),
    ("files_without_way", "Files that it lacks and that cannot come.", lambda content: content.no_way),
    ("files_without_room", "Files that it lacks and has no room for.", lambda content: content.no_room),
)


def _each(
    repositories: Iterable[RepositoryStatus], name: str, about: str, value: Callable[[RepositoryStatus], float | None]
) -> Metric:
    found = ((one, value(one)) for one in repositories)
    return Metric(
        name,
        about,
        [({"repository": one.name, "uuid": one.uuid or ""}, float(n)) for one, n in found if n is not None],
    )


def _of_content(value: Callable[[Content], float], one: RepositoryStatus) -> float | None:
    return value(one.content) if one.content else None


def _one(name: str, about: str, value: float) -> Metric:
    return Metric(name, about, [({}, float(value))])


def _metrics(status: Status, now: float) -> Iterator[Metric]:
    of = status.repositories
    yield _each(of, "commits_ahead", "Commits that the repository lacks.", lambda one: one.branch.ahead)
    yield _each(of, "commits_behind", "Commits of it that are not merged here.", lambda one: one.branch.behind)
    yield _each(of, "last_seen_timestamp_seconds", "When it was last reached.", lambda one: one.last_seen)
    yield _each(of, "failures", "Failures that wait to be tried again.", lambda one: len(one.failures))
    yield _each(of, "paused", "Whether automatic work with it is paused.", lambda one: one.paused)
    for name, about, value in OF_CONTENT:
        yield _each(of, name, about, functools.partial(_of_content, value))
    yield _one("own_failures", "Failures of the own repository.", len(status.failures))
    yield _one("conflicts", "Conflicts that nobody has looked at.", len(status.conflicts))
    yield _one("deletions_held", "Files whose removal is held.", len(status.held.paths) if status.held else 0)
    if status.shortage:
        yield _one("files_below_numcopies", "Files with fewer copies than they must have.", status.shortage.files)
    yield _one("runs", "Runs that move content now.", len(status.running))
    for run in status.running[:1]:
        yield _one("run_progress_ratio", "How much of its bytes a run has moved.", run.percent / 100)
    yield _one("status_timestamp_seconds", "When this was written.", now)
