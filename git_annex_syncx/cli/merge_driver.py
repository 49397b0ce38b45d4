"""`git annex-syncx merge-driver`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from git_annex_syncx.cli.commands import GlobalOptions, command

if TYPE_CHECKING:
    from git_annex_syncx.conflicts.driver import DriverState
    from git_annex_syncx.git.git import Repository


@command("merge-driver")
@click.argument("action", metavar="install|uninstall|status", type=click.Choice(["install", "uninstall", "status"]))
@click.option("--global", "everywhere", is_flag=True, help="In all repositories of this user.")
@click.option("--force", is_flag=True, help="Take the place of another merge.default.")
def merge_driver_command(options: GlobalOptions, action: str, everywhere: bool, force: bool) -> None:
    """Let git itself unite texts in its merges."""
    from git_annex_syncx.conflicts import driver
    from git_annex_syncx.git.git import open_repository
    from git_annex_syncx.views import control as view_control

    if force and action != "install":
        raise click.UsageError("--force goes with install")
    repo = None if everywhere else open_repository(Path(options.path) if options.path else None)
    verbs: dict[str, Callable[[Repository | None, bool], DriverState]]
    verbs = {"install": functools.partial(driver.install, force=force), "uninstall": driver.uninstall}
    before = driver.status(repo, everywhere)
    state = verbs.get(action, driver.status)(repo, everywhere)
    if not (options.quiet and action != "status"):
        effect = driver.EFFECT if action == "install" else ()
        view_control.show_driver(state, options.as_json, effect, removed=before.installed and action == "uninstall")
