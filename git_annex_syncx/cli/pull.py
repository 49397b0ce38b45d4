"""`git annex-syncx pull`."""

from __future__ import annotations

from typing import Any

from git_annex_syncx.cli.commands import (
    GlobalOptions,
    choose,
    command,
    deletes_option,
    except_option,
    remotes_argument,
    unrelated_option,
)


@command("pull")
@remotes_argument
@except_option
@unrelated_option
@deletes_option
def pull_command(options: GlobalOptions, remotes: tuple[str, ...], excepted: tuple[str, ...], **choices: Any) -> None:
    """Fetch from all remotes at once, then merge."""
    from git_annex_syncx.phases.merge import pull as phase

    context, chosen, skipped = choose(options, remotes, excepted)
    options.run("pull", context, skipped, lambda: phase(context, chosen, **choices))
