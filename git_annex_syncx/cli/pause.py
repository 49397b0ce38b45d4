"""`git annex-syncx pause`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import GlobalOptions, command, remotes_argument

if TYPE_CHECKING:
    from git_annex_syncx.runs.context import Context


def seconds(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float:
    """Return the seconds of an option's value, infinity where it is not given."""
    from git_annex_syncx.git.values import duration

    try:
        return math.inf if value is None else duration(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; right are 90s, 30m, 2h or 1d") from None


@command("pause")
@remotes_argument
@click.option(
    "--for", "length", metavar="TIME", callback=seconds, shell_complete=offers.times,
    help="End by itself after 90s, 30m, 2h or 1d.",
)  # fmt: skip
def pause_command(options: GlobalOptions, remotes: tuple[str, ...], length: float) -> None:
    """Hold all automatic work, or that with some remotes."""
    from git_annex_syncx.errors import SyncxError
    from git_annex_syncx.runs import pauses

    context = options.context()
    if context.repo.is_read_only:
        raise SyncxError(
            f"{context.repo.home} can only be read: a pause cannot be kept there", "pause it as its owner"
        )
    pauses.pause(context.state, pauses.names(context, remotes), length)
    show_pauses(options, context)


def show_pauses(options: GlobalOptions, context: Context, before: Iterable[str] = ()) -> None:
    """Show the pauses that are left, and which of `before` were ended."""
    from git_annex_syncx.runs import pauses
    from git_annex_syncx.views import control as view_control

    if not options.quiet:
        left = pauses.pauses(context.state)
        view_control.show_pauses(left, options.as_json, set(before) - left.keys())
