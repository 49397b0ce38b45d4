"""`git annex-syncx sync`."""

from __future__ import annotations

from typing import Any

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import (
    GlobalOptions,
    choose,
    command,
    deletes_option,
    except_option,
    remotes_argument,
    unrelated_option,
)
from git_annex_syncx.cli.git_annex_options import git_annex_options
from git_annex_syncx.cli.transfer_options import transfer_options


def _not_empty(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise click.BadParameter("a commit needs a message that is not empty")
    return value


@command("sync")
@remotes_argument
@except_option
@unrelated_option
@deletes_option
@click.option(
    "--commit/--no-commit", "commit", default=None, help="Commit local changes first (default: annex.autocommit)."
)
@click.option("-m", "--message", metavar="TEXT", callback=_not_empty, help="The message of that commit.")
@click.option(
    "--content/--no-content",
    " /-g",
    "content",
    default=None,
    help="Transfer content (default: annex.synccontent, else yes).",
)
@click.option(
    "--content-of", "paths", metavar="PATH", multiple=True, shell_complete=offers.directories,
    help="Content of files there alone; repeats.",
)  # fmt: skip
@click.option("--pull/--no-pull", default=True, help="Whether to get anything from remotes (default: yes).")
@click.option("--push/--no-push", default=True, help="Whether to send anything to remotes (default: yes).")
@click.option("--cleanup", is_flag=True, help="Do nothing but remove the synced/ branches, here and at the remotes.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be done, file by file; do nothing.")
@click.option("-F", "--fast", is_flag=True, help="With the remotes of the lowest cost alone.")
@transfer_options
@git_annex_options
def sync_command(
    options: GlobalOptions, remotes: tuple[str, ...], excepted: tuple[str, ...], bwlimit: Any, drop: bool,
    all_keys: bool, paths: tuple[str, ...], cleanup: bool, fast: bool, content: bool | None, dry_run: bool,
    **choices: Any,
) -> None:  # fmt: skip
    """Commit, fetch, merge, push, transfer content, push."""
    from git_annex_syncx.content.assignment import TransferOptions
    from git_annex_syncx.content.missing import tree_path
    from git_annex_syncx.phases import preview
    from git_annex_syncx.phases.cleanup import cleanup as clean
    from git_annex_syncx.phases.sync import SyncOptions
    from git_annex_syncx.phases.sync import sync as phase
    from git_annex_syncx.runs.context import cheapest, git_only
    from git_annex_syncx.views import preview as view_preview

    context, chosen, skipped = choose(options, remotes, excepted)
    chosen = cheapest(context, chosen) if fast else chosen
    below = tuple(tree_path(context, options.path, path) for path in paths if not all_keys)
    order = TransferOptions(
        below, all_keys=all_keys, drop=drop, bwlimit=bwlimit, only_looks=dry_run, outside=not remotes
    )
    asked = SyncOptions(content=True if paths and content is None else content, **choices)
    if dry_run:
        if cleanup:
            raise click.UsageError("--dry-run and --cleanup exclude each other")
        return view_preview.show_preview(preview.of_sync(context, chosen, asked, order), options.as_json)
    work = (lambda: clean(context, git_only(chosen))) if cleanup else lambda: phase(context, chosen, asked, order)
    return options.run("sync", context, skipped, work)
