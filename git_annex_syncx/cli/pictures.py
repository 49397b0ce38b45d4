"""The options about files to write that several commands share: pictures and pages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import GlobalOptions, add_options

if TYPE_CHECKING:
    from git_annex_syncx.network.drawing import Drawing
    from git_annex_syncx.views.html.network import Picture


def file_option(name: str, about: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return an option that names a file to write; an unset variable of a script is no name."""
    return click.option(name, metavar="FILE", callback=_require_name, shell_complete=offers.files, help=about)


def _require_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    if name == "":
        raise click.BadParameter("an empty name names no file")
    return name


page_option = file_option("--html", "Write a page for a browser, with a picture.")
picture_options = add_options(
    click.option("--dot", is_flag=True, help="Print the graph in Graphviz's language."),
    file_option("--svg", "Write a picture; needs Graphviz."),
    file_option("--png", "Write a picture; needs Graphviz."),
    page_option,
)


def require_one_form(options: GlobalOptions, **forms: object) -> None:
    """Raise UsageError where JSON and another form are asked for at once."""
    for name, asked in forms.items():
        if options.as_json and asked:
            raise click.UsageError(f"--json and --{name} exclude each other")


def write_pictures(options: GlobalOptions, drawn: Callable[[], Drawing], svg: str | None, png: str | None) -> bool:
    """Write a picture where one was asked for; return whether it was."""
    from git_annex_syncx.system import graphviz
    from git_annex_syncx.views.svg import finished

    if svg:
        drawing = drawn()
        write_named(options, svg, finished(graphviz.render(drawing.dot, "svg"), drawing).encode())
    if png:
        write_named(options, png, graphviz.render(drawn().dot, "png"))
    return bool(svg or png)


def for_page(drawing: Drawing) -> Picture:
    """Return a picture for a page, which is written without one where Graphviz cannot draw it."""
    from git_annex_syncx.errors import SyncxError
    from git_annex_syncx.system import graphviz
    from git_annex_syncx.views.html.network import Picture
    from git_annex_syncx.views.svg import finished

    try:
        return Picture(finished(graphviz.render(drawing.dot, "svg"), drawing, inline=True), drawing.title)
    except SyncxError as error:
        return Picture("", drawing.title, f"No picture: {error}.")


def write_named(options: GlobalOptions, name: str, content: bytes) -> None:
    """Write a file that the user has named, and tell a person who sits there."""
    from git_annex_syncx.system import files
    from git_annex_syncx.views import base

    files.write_named(Path(name), content)
    if options.verbose or (sys.stderr.isatty() and not options.quiet):
        base.say(f"{name} is written")
