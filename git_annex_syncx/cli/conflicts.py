"""`git annex-syncx conflicts`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import GlobalOptions, command

if TYPE_CHECKING:
    from git_annex_syncx.conflicts.choices import Conflict
    from git_annex_syncx.runs.context import Context


@command("conflicts")
@click.argument("paths", metavar="[PATH...]", nargs=-1, shell_complete=offers.files)
@click.option("--diff", "differences", is_flag=True, help="Show how the versions differ.")
@click.option(
    "--keep", metavar="VERSION", shell_complete=offers.sides,
    help="Let this version have the name, and remove the others: ours, theirs, a file, a commit, an author.",
)  # fmt: skip
@click.option("--both", is_flag=True, help="Keep all versions, under names of their own.")
@click.option("--done", is_flag=True, help="I have looked; let it stay as it is.")
def conflicts_command(
    options: GlobalOptions, paths: tuple[str, ...], differences: bool, keep: str | None, both: bool, done: bool
) -> None:
    """Show what merges resolved and nobody has looked at; choose."""
    if sum((differences, keep is not None, both, done)) > 1:
        raise click.UsageError("--diff, --keep, --both and --done exclude each other")
    if (keep is not None or both) and not paths:
        raise click.UsageError("--keep and --both need a PATH; . stands for all files below here")
    how = "keep" if keep is not None else "both" if both else "done" if done else ""
    if how:
        _settle(options, paths, how, keep or "")
    else:
        _show(options, paths, differences)


def _show(options: GlobalOptions, paths: tuple[str, ...], differences: bool) -> None:
    from git_annex_syncx.branches import advance
    from git_annex_syncx.git import worktree

    if differences and options.as_json:
        raise click.UsageError("--diff and --json exclude each other")
    context = options.context()
    at = advance.position(context.repo, worktree.require_head(context.repo))
    found, elsewhere = _within(options, context, at, paths) if at else ([], 0)
    if differences and found:
        _compare(context, found)
    else:
        _list(options, context, found, elsewhere)


def _list(options: GlobalOptions, context: Context, found: list[Conflict], elsewhere: int) -> None:
    from git_annex_syncx.views import conflicts as view_conflicts

    top = os.fsencode(context.repo.home)
    commands = view_conflicts.Commands(top, options.path, choosing=context.repo.top is not None)
    view_conflicts.show_conflicts(found, elsewhere, options.as_json, commands)


def _compare(context: Context, found: list[Conflict]) -> None:
    from git_annex_syncx.annex import annex, annex_branch, locations
    from git_annex_syncx.reports import choices
    from git_annex_syncx.views import conflicts as view_conflicts

    keys = {choice.key for conflict in found for choice in conflict.choices if choice.key}
    holders = locations.of_keys(context.repo, annex_branch.BRANCH, keys) if keys else ()
    here = {key for key, located in holders if context.settings.annex_uuid in located.holders}
    compared, absent = choices.comparisons(found, here)
    for one in compared:
        trees = choices.trees_of(context.repo, one)
        view_conflicts.show_difference(context.repo, *trees, annex.DIFF_DRIVER if one.annexed else "")
    view_conflicts.show_absent(found, absent)


def _settle(options: GlobalOptions, paths: tuple[str, ...], how: str, version: str) -> None:
    from git_annex_syncx.phases import settle
    from git_annex_syncx.views import conflicts as view_conflicts

    context = options.context()
    at = settle.require_ready(context)
    found, elsewhere = _within(options, context, at, paths)
    if not found:
        _list(options, context, found, elsewhere)
        return
    if how == settle.BOTH:  # of many, those with a single version wait for another choice
        found = [conflict for conflict in found if conflict.has_several] or found
    made = settle.settle(context, at, found, how, version)
    if options.as_json or not options.quiet:
        view_conflicts.show_settled(found, how, made, options.as_json)


def _within(options: GlobalOptions, context: Context, at: str, paths: tuple[str, ...]) -> tuple[list[Conflict], int]:
    """Return the conflicts at paths as the user writes them, with their versions, and the number of all others."""
    from git_annex_syncx.conflicts.choices import within
    from git_annex_syncx.content.missing import tree_path
    from git_annex_syncx.errors import UsageError
    from git_annex_syncx.git import paths as git_paths
    from git_annex_syncx.git import worktree
    from git_annex_syncx.reports.choices import described
    from git_annex_syncx.reports.conflicts import unseen

    below = [tree_path(context, options.path, path) for path in paths]
    every = unseen(context.repo, at)
    for word, path in zip(paths, below, strict=True):
        if path and not within(every, [path]) and git_paths.entry(context.repo, at, path) is None:
            raise UsageError(f"{word}: no such file in the last commit", "git annex-syncx conflicts lists all")
    found = within(every, below)
    branch = worktree.require_head(context.repo).basis
    return described(context.repo, at, found, branch), len(every) - len(found)
