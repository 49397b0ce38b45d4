"""`git annex-syncx service`."""

from __future__ import annotations

import click

from git_annex_syncx.cli.commands import GlobalOptions, command


@command("service")
@click.argument("action", metavar="install|uninstall|show", type=click.Choice(["install", "uninstall", "show"]))
@click.option("--timer", is_flag=True, help="Not watch all the time, but retry and sync by a timer.")
@click.option("--cron", is_flag=True, help="Show the lines for cron instead.")
def service_command(options: GlobalOptions, action: str, timer: bool, cron: bool) -> None:
    """Start watch, or retry and sync, with the user's session."""
    from git_annex_syncx.triggers import service as units
    from git_annex_syncx.views import base

    if cron and timer:
        raise click.UsageError("--cron and --timer exclude each other")
    if cron and action != "show":
        raise click.UsageError("--cron goes with show: the lines are yours to add, with crontab -e")
    for line in units.do(options.context().repo, action, "cron" if cron else "timer" if timer else "watch"):
        base.data(f"{line}\n")
