"""The options about pictures that `map` and `plan` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import GlobalOptions, add_options

picture_options = add_options(
    click.option("--dot", is_flag=True, help="Print the graph in Graphviz's language."),
    click.option("--svg", metavar="FILE", shell_complete=offers.files, help="Write a picture; needs Graphviz."),
    click.option("--png", metavar="FILE", shell_complete=offers.files, help="Write a picture; needs Graphviz."),
)


def require_one_form(options: GlobalOptions, dot: bool) -> None:
    """Raise UsageError where two forms are asked for at once."""
    if options.as_json and dot:
        raise click.UsageError("--json and --dot exclude each other")


def show_pictures(drawn: Callable[[], str], dot: bool, svg: str | None, png: str | None) -> bool:
    """Print or write a graph where one was asked for."""
    from git_annex_syncx.system import graphviz
    from git_annex_syncx.views import base

    if dot:
        base.data(drawn())
    for kind, name in (("svg", svg), ("png", png)):
        if name:
            graphviz.draw(drawn(), Path(name).absolute(), kind)
            base.say(f"{name} is written")
    return bool(dot or svg or png)
