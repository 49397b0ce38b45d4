"""`git annex-syncx merge`."""

from __future__ import annotations

from typing import Any

import click

from git_annex_syncx.cli.commands import GlobalOptions, choose, command, deletes_option, unrelated_option


@command("merge")
@click.option("--forward", is_flag=True, help="Push the result onward.")
@unrelated_option
@deletes_option
def merge_command(options: GlobalOptions, forward: bool, **choices: Any) -> None:
    """Merge what was received (synced/*) and fetched."""
    from git_annex_syncx.phases.merge import forward as onward
    from git_annex_syncx.phases.merge import merge_received

    context, chosen, _ = choose(options, (), ())
    phase = onward if forward else merge_received
    options.run("merge", context, (), lambda: phase(context, chosen, **choices))
