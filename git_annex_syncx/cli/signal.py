"""`git annex-syncx signal`."""

from __future__ import annotations

import click

from git_annex_syncx.cli.commands import GlobalOptions, command


@command("signal")
@click.argument("action", metavar="send|listen|test", type=click.Choice(["send", "listen", "test"]))
def signal_command(options: GlobalOptions, action: str) -> None:
    """Tell others that there is news, hear them, or try the channels of syncx.signal."""
    from git_annex_syncx.triggers.signals import commands
    from git_annex_syncx.views import control as view_control

    heard = {"send": commands.send, "listen": commands.listen, "test": commands.test}[action](options.context())
    failed = False
    for one in heard:
        view_control.show_signal(one, options.as_json, options.quiet)
        failed = failed or bool(one.wrong)
    click.get_current_context().exit(1 if failed else 0)
