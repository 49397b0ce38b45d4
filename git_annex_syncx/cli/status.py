"""`git annex-syncx status`."""

from __future__ import annotations

from git_annex_syncx.cli.commands import GlobalOptions, choose, command, except_option, remotes_argument


@command("status")
@remotes_argument
@except_option
def status_command(options: GlobalOptions, remotes: tuple[str, ...], excepted: tuple[str, ...]) -> None:
    """Show who is ahead or behind, and what waits to be tried again."""
    from git_annex_syncx.reports.status import status as phase
    from git_annex_syncx.views import status as view_status

    context, chosen, _ = choose(options, remotes, excepted)
    view_status.show_status(phase(context, chosen), options.as_json)
