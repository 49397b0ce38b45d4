"""`git annex-syncx watch`."""

from __future__ import annotations

from git_annex_syncx.cli.commands import GlobalOptions, command


@command("watch")
def watch_command(options: GlobalOptions) -> None:
    """Look after the repository in the foreground: refs, drives, timers (for systemd and the like)."""
    from git_annex_syncx.triggers import watch as service

    service.watch(options.repository(), options.verbose)
