"""`git annex-syncx plan`."""

from __future__ import annotations

import os
import time
from typing import Any

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import GlobalOptions, command
from git_annex_syncx.cli.pictures import for_page, picture_options, require_one_form, write_named, write_pictures


@command("plan")
@click.argument("paths", metavar="[PATH...]", nargs=-1, shell_complete=offers.files)
@click.option(
    "--map",
    "map_name",
    metavar="FILE",
    shell_complete=offers.files,
    help="Plan for the network in this file; - is standard input.",
)
@click.option("--from", "holders", metavar="NAME", multiple=True, help="Who holds the content; repeats.")
@click.option("--to", "targets", metavar="NAME", multiple=True, help="Who wants the content; repeats.")
@click.option("--objective", type=click.Choice(["cost", "time"]), default="cost", help="What is to be least.")
@click.option("--relays/--no-relays", default=True, help="Whether content may pass through relays.")
@picture_options
def plan_command(
    options: GlobalOptions, paths: tuple[str, ...], map_name: str | None, objective: str, dot: bool, svg: str | None,
    png: str | None, html: str | None, **choices: Any,
) -> None:  # fmt: skip
    """Show the cheapest tree and who carries what to whom."""
    from git_annex_syncx.content import planning
    from git_annex_syncx.content.missing import tree_path
    from git_annex_syncx.network.drawing import plan_drawing
    from git_annex_syncx.views import base
    from git_annex_syncx.views import log as view_log
    from git_annex_syncx.views import network as view_network
    from git_annex_syncx.views.html import network as view_page

    require_one_form(options, dot=dot, html=html)
    by_time = objective == "time"
    if map_name is None:
        context = options.context()
        below = tuple(tree_path(context, options.path, path) for path in paths)
        planned = planning.plan_here(context, planning.Wanted(below, by_time=by_time, **choices))
    else:
        wanted = planning.Wanted(tuple(map(os.fsencode, paths)), by_time=by_time, **choices)
        view_log.set_up(options.verbose, options.quiet, view_log.MESSAGES)
        planned = planning.plan_map(planning.map_file(map_name), wanted)
    view_log.warn(planned.survey.warnings)
    net = planned.survey.network
    written = write_pictures(options, lambda: plan_drawing(net, planned.plans), svg, png)
    if html:
        write_named(
            options,
            html,
            view_page.plan_page(planned, for_page(plan_drawing(net, planned.plans)), time.time()).encode(),
        )
    if dot:
        base.data(plan_drawing(net, planned.plans).dot)
    elif not (written or html):
        view_network.show_plans(planned, options.as_json)
