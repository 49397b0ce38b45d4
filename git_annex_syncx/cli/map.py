"""`git annex-syncx map`."""

from __future__ import annotations

import time
from typing import Any

import click

from git_annex_syncx.cli.commands import GlobalOptions, command
from git_annex_syncx.cli.pictures import for_page, picture_options, require_one_form, write_named, write_pictures


@command("map")
@click.option("--refresh", is_flag=True, help="Ask the repositories that can be reached (git annex map).")
@click.option("--publish", is_flag=True, help="Tell the others the links of this repository.")
@picture_options
def map_command(
    options: GlobalOptions, refresh: bool, publish: bool, dot: bool, html: str | None, **pictures: Any
) -> None:
    """Show the network: who has whom as a remote, and what that costs."""
    from git_annex_syncx.content import planning
    from git_annex_syncx.network import survey
    from git_annex_syncx.network.drawing import network_dot, network_drawing
    from git_annex_syncx.views import base
    from git_annex_syncx.views import log as view_log
    from git_annex_syncx.views import network as view_network
    from git_annex_syncx.views.html import network as view_page

    require_one_form(options, dot=dot, html=html)
    context = options.context()
    if publish:
        news = survey.publish(context.repo, context.settings, context.state)
        view_network.published(news, context.settings.private, options.quiet)
    found = planning.see_map(context, refresh)
    view_log.warn(found.warnings)
    written = write_pictures(options, lambda: network_drawing(found.network), **pictures)
    if html:
        write_named(
            options, html, view_page.map_page(found, for_page(network_drawing(found.network)), time.time()).encode()
        )
    if dot:
        base.data(network_dot(found.network))
    elif not (written or html):
        view_network.show_map(found, options.as_json)
