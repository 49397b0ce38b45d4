"""`git annex-syncx resume`."""

from __future__ import annotations

from git_annex_syncx.cli.commands import GlobalOptions, command, remotes_argument
from git_annex_syncx.cli.pause import show_pauses


@command("resume")
@remotes_argument
def resume_command(options: GlobalOptions, remotes: tuple[str, ...]) -> None:
    """End pauses, and do what has waited."""
    from git_annex_syncx.runs import pauses
    from git_annex_syncx.triggers import worker

    context = options.context()
    before = pauses.pauses(context.state)
    worker.resume(context, pauses.names(context, remotes) if remotes else ())
    show_pauses(options, context, before)
