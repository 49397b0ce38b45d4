"""`git annex-syncx trigger`, which hooks and watch call."""

from __future__ import annotations

import os
import sys

import click

from git_annex_syncx.cli.commands import GlobalOptions, command


@command("trigger", hidden=True)
@click.argument("name")
def trigger_command(options: GlobalOptions, name: str) -> None:
    """Run what hooks and watch ask for."""
    from git_annex_syncx.triggers import hook_block, hooks, worker
    from git_annex_syncx.views import log as view_log

    if name in hook_block.KINDS:
        hooks.called(name)
    else:
        if name == "ready":
            worker.load()
            if not sys.stdin.readline():  # who has started us has ended
                return
        repo = options.repository()
        hooks.detach(repo) if name == "wake" else os.dup2(1, 2)  # to the hook's log, or to who has started us
        view_log.set_up(options.verbose)
        worker.serve_waiting(repo, view_log.show, stay=name == "ready")
