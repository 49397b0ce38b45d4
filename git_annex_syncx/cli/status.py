"""`git annex-syncx status`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from git_annex_syncx.cli.commands import GlobalOptions, command, except_option, remotes_argument
from git_annex_syncx.cli.pictures import for_page, page_option, require_one_form, write_named

if TYPE_CHECKING:
    from git_annex_syncx.reports.files import FileStatus
    from git_annex_syncx.reports.status import Status
    from git_annex_syncx.runs.context import Context


@command("status")
@remotes_argument
@except_option
@page_option
def status_command(
    options: GlobalOptions, remotes: tuple[str, ...], excepted: tuple[str, ...], html: str | None
) -> None:
    """Show where everything is, who is behind, and what waits."""
    from git_annex_syncx.reports.status import detailed
    from git_annex_syncx.views.repositories import show_status

    require_one_form(options, html=html)
    context = options.context()
    found = _status(context, remotes, excepted)
    files = detailed(context, found) if remotes else ()
    if html:
        write_named(options, html, _page(context, found, files).encode())
    else:
        show_status(found, options.as_json, files)


def _status(context: Context, names: tuple[str, ...], excepted: tuple[str, ...]) -> Status:
    """Return the status of what is named: remotes, groups, repositories of the network by name or uuid."""
    from git_annex_syncx.reports.status import named, status

    found = status(context)
    return named(context, found, names, excepted) if names or excepted else found


def _page(context: Context, status: Status, files: Iterable[FileStatus]) -> str:
    from git_annex_syncx.content import planning
    from git_annex_syncx.network.drawing import network_drawing, plan_drawing
    from git_annex_syncx.reports.choices import described
    from git_annex_syncx.reports.conflicts import unseen
    from git_annex_syncx.views.html.status import Found, picture_notes, status_page

    head, repo = status.commit, context.repo
    conflicts = described(repo, head, unseen(repo, head), status.branch) if head and status.conflicts else []
    known = planning.see_map(context, refresh=False)
    plans = tuple(planning.together(status.counted.groups)) if status.counted else ()
    found = Found(status, known.network, plans, tuple(conflicts), known.warnings, tuple(files))
    picture = network_drawing(known.network, picture_notes(status))
    return status_page(found, for_page(picture), for_page(plan_drawing(known.network, plans)))
