"""Functions for `shell_complete=`: each returns what can stand where an argument or a value is being written.

A completion is to take 0.2 s at most. So git is started by `subprocess` here, and by nothing else of the program:
loading `sh` alone takes 0.06 s.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def remotes(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return remotes and groups of the repository that -C names."""
    from click.shell_completion import CompletionItem

    names = _names(os.path.expanduser(ctx.obj.path or "."))
    return [CompletionItem(name, help=kind) for name, kind in names.items() if name.startswith(incomplete)]


def _names(directory: str) -> dict[str, str]:
    """Return the name of each remote and group -> its kind."""
    import subprocess

    pattern = r"^(remote\..*\.(url|annex-uuid)|remotes\..*)$"
    words = ["git", "-C", directory, "config", "--name-only", "--null", "--get-regexp", pattern]
    listed = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    keys = os.fsdecode(listed).split("\0")
    groups = {key.removeprefix("remotes."): "group" for key in keys if key.startswith("remotes.")}
    return groups | {key[len("remote.") :].rpartition(".")[0]: "remote" for key in keys if key.startswith("remote.")}


def files(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell to find files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def directories(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell to find directories."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def remotes_and_files(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return remotes and groups, and let the shell find files."""
    return remotes(ctx, parameter, incomplete) + files(ctx, parameter, incomplete)


def times(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return some times."""
    return [time for time in ("30m", "2h", "8h", "1d") if time.startswith(incomplete)]


def sides(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the sides of a merge."""
    return [side for side in ("ours", "theirs") if side.startswith(incomplete)]


def repositories(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return `here`, the remotes, and what else the git-annex branch names."""
    from click.shell_completion import CompletionItem

    directory = os.path.expanduser(ctx.obj.path or ".")
    names = {"here": "this repository"} | {n: kind for n, kind in _names(directory).items() if kind == "remote"}
    names = dict.fromkeys(_descriptions(directory), "repository") | names
    return [CompletionItem(name, help=kind) for name, kind in names.items() if name.startswith(incomplete)]


def _descriptions(directory: str) -> list[str]:
    """Return how repositories are described on the git-annex branch."""
    import subprocess

    words = ["git", "-C", directory, "cat-file", "blob", "refs/heads/git-annex:uuid.log"]
    log = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    told = (line.partition(" ")[2].rpartition(" timestamp=")[0] for line in os.fsdecode(log).splitlines())
    return [name for name in told if name]
