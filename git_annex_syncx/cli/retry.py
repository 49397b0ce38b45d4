"""`git annex-syncx retry`."""

from __future__ import annotations

from git_annex_syncx.cli.commands import GlobalOptions, command


@command("retry")
def retry_command(options: GlobalOptions) -> None:
    """Try again what failed and is due, refs and content (for cron)."""
    from git_annex_syncx.triggers import tasks

    context = options.context()
    options.run("retry", context, (), lambda: tasks.retry(context))
