"""The options about content that `transfer` and `sync` share."""

from __future__ import annotations

from typing import Any

import click

from git_annex_syncx.cli.commands import add_options


def _rates(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    from git_annex_syncx.git.values import timetable

    try:
        return None if value is None else timetable(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no rate; right are 512k, off, or 08:00,512k 23:00,off") from None


def _patience(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from git_annex_syncx.git.configfile import override
    from git_annex_syncx.git.values import duration_or_zero

    try:
        duration_or_zero(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; right are 30m, 2h, or 0") from None
    override([("syncx.patience", value)])


transfer_options = add_options(
    click.option("-A", "--all", "all_keys", is_flag=True, help="Also keys that no file of the tree uses."),
    click.option("--drop/--no-drop", default=True, help="Whether to drop what is not wanted (default: yes)."),
    click.option(
        "--bwlimit", metavar="RATE", callback=_rates, help="Limit of all transfers together (syncx.bwlimit)."
    ),
    click.option(
        "--patience",
        metavar="TIME",
        callback=_patience,
        expose_value=False,
        help="How long to wait for others to do their part (syncx.patience); 0: send at once.",
    ),
)
