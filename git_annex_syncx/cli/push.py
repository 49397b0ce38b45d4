"""`git annex-syncx push`."""

from __future__ import annotations

from git_annex_syncx.cli.commands import GlobalOptions, choose, command, except_option, remotes_argument


@command("push")
@remotes_argument
@except_option
def push_command(options: GlobalOptions, remotes: tuple[str, ...], excepted: tuple[str, ...]) -> None:
    """Push the branch and the git-annex branch to all remotes at once."""
    from git_annex_syncx.branches.push import push as phase
    from git_annex_syncx.runs.context import git_only

    context, chosen, skipped = choose(options, remotes, excepted)
    options.run("push", context, skipped, lambda: phase(context, git_only(chosen)))
