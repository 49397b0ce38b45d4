"""`git annex-syncx transfer`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import GlobalOptions, command, except_option
from git_annex_syncx.cli.transfer_options import transfer_options

if TYPE_CHECKING:
    from git_annex_syncx.model import Outcome, Remote
    from git_annex_syncx.runs.context import Context


@command("transfer")
@click.argument("words", metavar="[REMOTE...] [PATH...]", nargs=-1, shell_complete=offers.remotes_and_files)
@except_option
@transfer_options
@click.option("-n", "--dry-run", is_flag=True, help="Show what would go where; move nothing.")
def transfer_command(
    options: GlobalOptions, words: tuple[str, ...], excepted: tuple[str, ...], dry_run: bool, **order: Any
) -> None:
    """Send and get content as the plan says, and drop what is not wanted."""
    from git_annex_syncx.content.assignment import TransferOptions
    from git_annex_syncx.phases import preview
    from git_annex_syncx.phases.transfer import transfer as phase
    from git_annex_syncx.views import preview as view_preview

    context, chosen, skipped, paths = _paths_after(options, words, excepted)
    if paths and order["all_keys"]:
        raise click.UsageError("--all and PATH exclude each other: --all is for keys that have no path")
    asked = TransferOptions(paths, by_name=True, only_looks=dry_run, outside=len(words) == len(paths), **order)
    if dry_run:
        view_preview.show_preview(preview.of_transfer(context, chosen, asked), options.as_json)
    else:
        options.run("transfer", context, skipped, lambda: phase(context, chosen, asked))


def _paths_after(
    options: GlobalOptions, words: Iterable[str], excepted: Iterable[str]
) -> tuple[Context, list[Remote], list[Outcome], tuple[bytes, ...]]:
    """Choose the remotes and groups among the words; return the others as paths from the top of the tree."""
    from git_annex_syncx.content.missing import tree_path
    from git_annex_syncx.runs.context import choose_remotes, is_named

    context, words = options.context(), list(words)
    if "" in words:
        raise click.UsageError("an empty PATH names nothing; . is the whole directory")
    names = [word for word in words if is_named(context, word)]
    paths = tuple(tree_path(context, options.path, word) for word in words if word not in names)
    return context, *choose_remotes(context, names, excepted), paths
