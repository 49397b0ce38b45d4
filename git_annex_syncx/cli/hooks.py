"""`git annex-syncx hooks`."""

from __future__ import annotations

import click

from git_annex_syncx.cli.commands import GlobalOptions, command


@command("hooks")
@click.argument("action", metavar="install|uninstall|status", type=click.Choice(["install", "uninstall", "status"]))
def hooks_command(options: GlobalOptions, action: str) -> None:
    """Let git's hooks start the phases: after a commit, and when something is received."""
    from git_annex_syncx.triggers import hooks
    from git_annex_syncx.views import control as view_control

    context = options.context()
    before = {hook.name for hook in hooks.status(context.repo) if hook.state != "absent"}
    found = {"install": hooks.install, "uninstall": hooks.uninstall}.get(action, hooks.status)(context.repo)
    if not (options.quiet and action != "status"):
        view_control.show_hooks(found, hooks.moved(context.repo), options.as_json, before)
