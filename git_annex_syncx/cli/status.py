"""`git annex-syncx status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from git_annex_syncx.cli.commands import GlobalOptions, command, except_option, remotes_argument

if TYPE_CHECKING:
    from git_annex_syncx.reports.status import Status
    from git_annex_syncx.runs.context import Context


@command("status")
@remotes_argument
@except_option
def status_command(options: GlobalOptions, remotes: tuple[str, ...], excepted: tuple[str, ...]) -> None:
    """Show where everything is, who is behind, and what waits."""
    from git_annex_syncx.reports.status import detailed
    from git_annex_syncx.views.repositories import show_status

    context = options.context()
    found = _status(context, remotes, excepted)
    show_status(found, options.as_json, detailed(context, found) if remotes else ())


def _status(context: Context, names: tuple[str, ...], excepted: tuple[str, ...]) -> Status:
    """Return the status of what is named: remotes, groups, repositories of the network by name or uuid."""
    from git_annex_syncx.reports.status import named, status

    found = status(context)
    return named(context, found, names, excepted) if names or excepted else found
