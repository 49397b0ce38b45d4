"""`git annex-syncx status`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import GlobalOptions, command, except_option, remotes_argument
from git_annex_syncx.cli.pause import seconds
from git_annex_syncx.cli.pictures import file_option, for_page, page_option, require_one_form, write_named

if TYPE_CHECKING:
    from git_annex_syncx.reports.files import FileStatus
    from git_annex_syncx.reports.status import Status
    from git_annex_syncx.runs.context import Context


@command("status")
@remotes_argument
@except_option
@click.option("--watch", is_flag=True, help="Stay, and show it anew every few seconds; Ctrl-C ends it.")
@click.option("--check", is_flag=True, help="For monitoring: one line a problem, and exit status 1 if there is any.")
@click.option(
    "--max-age", metavar="TIME", default="2d", show_default=True, callback=seconds, shell_complete=offers.times,
    help="With --check: what failed, waits or was not reached for so long is a problem.",
)  # fmt: skip
@file_option("--metrics", "Write metrics for Prometheus.")
@page_option
def status_command(
    options: GlobalOptions, remotes: tuple[str, ...], excepted: tuple[str, ...], watch: bool, check: bool,
    max_age: float, metrics: str | None, html: str | None,
) -> None:  # fmt: skip
    """Show where everything is, who is behind, and what waits."""
    require_one_form(options, html=html)
    if watch + check + bool(metrics) + bool(html) > 1 or (options.as_json and (watch or metrics)):
        raise click.UsageError(
            "--watch, --check, --metrics and --html exclude each other; --watch and --metrics exclude --json"
        )
    context = options.context()
    if watch:
        return _watch(context, remotes, excepted)
    found = _status(context, remotes, excepted)
    if check:
        return _check(options, found, max_age)
    if metrics:
        return _write_metrics(found, metrics)
    return _show(options, context, found, detailed=bool(remotes), html=html)


def _show(options: GlobalOptions, context: Context, found: Status, *, detailed: bool, html: str | None) -> None:
    from git_annex_syncx.reports import status
    from git_annex_syncx.views.status import show_status

    files = status.detailed(context, found) if detailed else ()
    if html:
        write_named(options, html, _page(context, found, files).encode())
    else:
        show_status(found, options.as_json, files)


def _watch(context: Context, remotes: tuple[str, ...], excepted: tuple[str, ...]) -> None:
    from git_annex_syncx.views.status import watch

    watch(lambda: _status(context, remotes, excepted, commits=False))


def _check(options: GlobalOptions, found: Status, max_age: float) -> None:
    from git_annex_syncx.reports.health import problems
    from git_annex_syncx.views.status import show_problems

    told = list(problems(found, max_age, time.time()))
    show_problems(found, told, options.as_json)
    click.get_current_context().exit(1 if told else 0)


def _write_metrics(found: Status, name: str) -> None:
    from git_annex_syncx.system import files
    from git_annex_syncx.views import metrics

    files.write_named(Path(name), metrics.text(found, time.time()).encode())


def _status(context: Context, names: tuple[str, ...], excepted: tuple[str, ...], commits: bool = True) -> Status:
    """Return the status of what is named: remotes, groups, repositories of the network by name or uuid."""
    from dataclasses import replace

    from git_annex_syncx.reports.status import named, status
    from git_annex_syncx.triggers.next_run import next_run

    found = replace(status(context, commits), next_run=next_run(context))
    return named(context, found, names, excepted) if names or excepted else found


def _page(context: Context, status: Status, files: Iterable[FileStatus]) -> str:
    from git_annex_syncx.content import planning
    from git_annex_syncx.network.drawing import network_drawing, plan_drawing
    from git_annex_syncx.reports.choices import described
    from git_annex_syncx.reports.conflicts import unseen
    from git_annex_syncx.views.html.status import Shown, picture_labels, status_page

    head, repo = status.commit, context.repo
    conflicts = described(repo, head, unseen(repo, head), status.branch) if head and status.conflicts else []
    known, planned = planning.see_map(context, refresh=False), planning.of_counted(status.counted)
    found = Shown(status, known, planned, tuple(conflicts), tuple(files))
    network, plan = (
        network_drawing(known.network, picture_labels(status)),
        plan_drawing(planned.survey.network, planned.plans),
    )
    return status_page(found, for_page(network), for_page(plan), time.time())
