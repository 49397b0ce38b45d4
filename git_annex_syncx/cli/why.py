"""`git annex-syncx why`."""

from __future__ import annotations

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import GlobalOptions, command


@command("why")
@click.argument("word", metavar="PATH", shell_complete=offers.files)
@click.argument("repository", metavar="[REPOSITORY]", default="", shell_complete=offers.repositories)
def why_command(options: GlobalOptions, word: str, repository: str) -> None:
    """Tell why content is or is not where, who brings it, and what that waits for."""
    from git_annex_syncx.reports.why import why
    from git_annex_syncx.views import why as view_why

    if not word:
        raise click.UsageError("an empty PATH names nothing; . is the whole directory")
    context = options.context()
    view_why.show_why(why(context, options.path, word, repository), options.as_json)
