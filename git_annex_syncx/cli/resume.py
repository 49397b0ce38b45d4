"""`git annex-syncx resume`."""

from __future__ import annotations

import click

from git_annex_syncx.cli.commands import GlobalOptions, command
from git_annex_syncx.cli.pause import show_pauses


@command("resume")
@click.argument("remotes", metavar="[REMOTE...]", nargs=-1)
def resume_command(options: GlobalOptions, remotes: tuple[str, ...]) -> None:
    """End pauses, and do what has waited."""
    from git_annex_syncx.runs import pauses
    from git_annex_syncx.triggers import worker

    context = options.context()
    before = pauses.pauses(context.state)
    worker.resume(context, pauses.names(context, remotes) if remotes else ())
    show_pauses(options, context, before)
