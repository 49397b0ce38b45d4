"""`git annex-syncx help`."""

from __future__ import annotations

import click

from git_annex_syncx.cli.commands import GlobalOptions, command
from git_annex_syncx.cli.main import group


def _commands(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in group.shown() if name.startswith(incomplete)]


@command("help")
@click.argument("topic", metavar="[COMMAND]", required=False, shell_complete=_commands)
def help_command(options: GlobalOptions, topic: str | None) -> None:
    """Show the manual page of a command."""
    from git_annex_syncx.views import manual

    root = click.get_current_context().find_root()
    shown = group.shown()
    if topic is not None and topic not in shown:
        raise click.UsageError(f"there is no command {topic!r}; the commands are: {', '.join(shown)}")
    if not manual.show(topic):
        context = click.Context(shown[topic], info_name=topic, parent=root) if topic else root
        click.echo(context.get_help())
