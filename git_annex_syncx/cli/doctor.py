"""`git annex-syncx doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from git_annex_syncx.cli.commands import GlobalOptions, command

if TYPE_CHECKING:
    from git_annex_syncx.reports.doctor.finding import Finding


@command("doctor")
@click.option("--offline", is_flag=True, help="Make no connection.")
def doctor_command(options: GlobalOptions, offline: bool) -> None:
    """Look for what is wrong, and name the command that mends it."""
    from git_annex_syncx.views import doctor as view_doctor
    from git_annex_syncx.views import log as view_log

    view_log.set_up(options.verbose, not options.verbose, view_log.MESSAGES)  # what is wrong is a finding
    found = view_doctor.show_findings(_findings(options, not offline), options.as_json, options.quiet)
    click.get_current_context().exit(1 if found else 0)


def _findings(options: GlobalOptions, online: bool) -> Iterator[Finding]:
    from git_annex_syncx.errors import SyncxError
    from git_annex_syncx.reports.doctor import examine, installation
    from git_annex_syncx.reports.doctor.finding import of_error
    from git_annex_syncx.triggers import doctor

    yield from installation.check()
    try:
        context, found = examine.opened(options.repository())
    except SyncxError as error:
        yield of_error("repository", error)
        return
    yield from found
    if context:
        yield from examine.examine(context, online)
        yield from doctor.check(context, online)
