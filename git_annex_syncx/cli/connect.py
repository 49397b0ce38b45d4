"""`git annex-syncx connect`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import GlobalOptions, command

if TYPE_CHECKING:
    from git_annex_syncx.phases.connect import Proposal


@command("connect")
@click.argument("name")
@click.argument("address", shell_complete=offers.directories)
@click.option("--group", metavar="GROUP", default="", help="The group of git-annex that it is to be in.")
@click.option("--wanted", metavar="EXPRESSION", default="", help="What content it is to want (default: everything).")
@click.option(
    "--content/--no-content", default=None, help="Transfer content too (default: annex.synccontent, else yes)."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be done; do nothing.")
def connect_command(
    options: GlobalOptions, name: str, address: str, group: str, wanted: str, content: bool | None, yes: bool,
    dry_run: bool,
) -> None:  # fmt: skip
    """Make a hub on a drive, a NAS or a server, or join the one that is there.

    ADDRESS is a directory, HOST:PATH, or another address that git takes.
    """
    from git_annex_syncx.errors import NoRepository, UsageError
    from git_annex_syncx.phases import connect as phase
    from git_annex_syncx.views import proposal as view_proposal

    try:
        context = options.context()
    except NoRepository as error:
        raise UsageError(error.what, "to begin one here: git init && git annex init; then run this again") from error
    wishes = phase.PreferredContent(group, wanted)
    proposal = phase.look(context, name, _absolute(address, options.path), content, wishes)
    if not (dry_run or yes):
        proposal = _asked(proposal)
    if dry_run or not (yes or options.quiet):
        view_proposal.show_proposal(proposal, options.as_json)
    if dry_run:
        return
    if not yes and not click.confirm("Do this?", err=True):
        return
    options.run("connect", context, (), lambda: phase.connect(context, proposal))


def _asked(proposal: Proposal) -> Proposal:
    """Return the proposal with the group that the user names. Raises UsageError where nobody can be asked."""
    from git_annex_syncx.system import run

    if not run.interactive():
        raise click.UsageError("nobody can be asked here: --yes does it, --dry-run says what it would do")
    if not proposal.makes or proposal.wishes.group or proposal.wishes.wanted:
        return proposal
    told = "Group of git-annex, such as backup, archive or transfer (empty: it gets everything)"
    group = click.prompt(told, default="", show_default=False, err=True, value_proc=_group)
    return replace(proposal, wishes=replace(proposal.wishes, group=group))


def _group(word: str) -> str:
    """Return the group that was typed. Raises BadParameter for a yes or a no, whose question comes next."""
    if word.strip().lower() in ("y", "yes", "n", "no"):
        raise click.BadParameter("name a group, or type Enter alone; whether to do it is asked next")
    return word.strip()


def _absolute(address: str, directory: str | None) -> str:
    """Return a path as it is seen from where the command was called, or with -C from there; another address as is."""
    from git_annex_syncx.model import local_path

    if local_path(address) is None or "://" in address:
        return address
    return os.path.abspath(os.path.join(os.path.expanduser(directory or "."), os.path.expanduser(address)))
