"""The options of `git annex sync` by the same names: configuration for one run, or words for git-annex itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from git_annex_syncx.cli import offers
from git_annex_syncx.cli.commands import PASSED, add_options

Callback = Callable[[click.Context, click.Parameter, Any], Any]

REFUSED = {
    "--force": "syncx never forces anything, so that nothing is lost; for one file: git annex drop --force FILE",
    "--explain": "use git annex-syncx plan FILE, or git annex find --explain --want-get-by=REMOTE FILE",
    "--debugfilter": "it names modules of git-annex; use -vv, which says what syncx runs",
    "--time-limit": "use timeout 1h git annex-syncx sync; what was done until then stays",
    "--size-limit": "git annex sync has none either; use --content-of=PATH, or --bwlimit",
}


def _given(value: Any) -> bool:
    return value not in (None, False, ())


def _override(*pairs: tuple[str, str]) -> None:
    from git_annex_syncx.git.configfile import override

    override(pairs)


def _sets(key: str) -> Callback:
    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            _override((key, str(value).lower() if isinstance(value, bool) else value))

    return callback


def _jobs(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from git_annex_syncx.git.values import job_count

    try:
        count = str(job_count(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no number of jobs; right are 4 or cpus") from None
    _override(("syncx.jobs", count), ("syncx.transferJobs", count))


def _configures(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    if not values:
        return
    from git_annex_syncx.git.configfile import is_key

    pairs = [(name, value if equals else "true") for name, equals, value in (one.partition("=") for one in values)]
    for name, _ in pairs:
        if not is_key(name):
            raise click.BadParameter(f"{name!r} is no setting; right is annex.diskreserve=1gb")
    _override(*pairs)


def _debugs(ctx: click.Context, parameter: click.Parameter, value: bool | None) -> None:
    if value:
        ctx.obj.verbose = 2


def _passes(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    for one in value if isinstance(value, tuple) else (value,) if _given(value) else ():
        word = parameter.opts[-1] if one is True else f"{parameter.opts[-1]}={one}"
        ctx.find_root().meta.setdefault(PASSED, []).append(word)


def _refuses(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if _given(value):
        raise click.UsageError(f"{parameter.opts[0]} is not an option here: {REFUSED[parameter.opts[0]]}")


def _says_idle(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if _given(value):
        click.echo(f"{parameter.opts[0]} has no effect here, nor in git-annex; see git annex trust", err=True)


def _sets_for_run(*names: str, key: str, **how: Any) -> Callable[..., Any]:
    """Return an option that sets git's configuration for this run."""
    return click.option(*names, default=None, expose_value=False, callback=_sets(key), **how)


def _passed(*names: str, **how: Any) -> Callable[..., Any]:
    """Return an option that every git-annex of this run is given."""
    return click.option(*names, expose_value=False, callback=_passes, **how)


def _hidden(name: str, callback: Callback, **how: Any) -> Callable[..., Any]:
    """Return an option of git-annex that syncx takes only in order to explain."""
    return click.option(name, hidden=True, expose_value=False, callback=callback, **how)


_NUMBER: dict[str, Any] = {"type": click.IntRange(1), "metavar": "NUMBER"}
_NAMES: dict[str, Any] = {"multiple": True, "metavar": "REMOTE", "shell_complete": offers.remotes}

git_annex_options = add_options(
    _sets_for_run(
        "--only-annex/--not-only-annex", "-a", key="annex.synconlyannex",
        help="Leave git's branches alone: only the git-annex branch and content (default: annex.synconlyannex).",
    ),
    _sets_for_run(
        "--resolvemerge/--no-resolvemerge", key="annex.resolvemerge",
        help="Whether a merge may resolve conflicts (default: annex.resolvemerge, else yes).",
    ),
    click.option(
        "-J", "--jobs", metavar="NUMBER|cpus", expose_value=False, callback=_jobs,
        help="So many remotes, and transfers with each, at once (syncx.jobs, syncx.transferJobs).",
    ),
    _sets_for_run(
        "-b", "--backend", metavar="NAME", key="annex.backend",
        help="What keys are made with in an import (annex.backend).",
    ),
    click.option(
        "-c", "--config", metavar="NAME=VALUE", multiple=True, expose_value=False, callback=_configures,
        help="Override git's configuration for this run; repeats.",
    ),
    click.option(
        "-d", "--debug/--no-debug", default=None, expose_value=False, callback=_debugs, help="The same as -vv.",
    ),
    _passed("-N", "--numcopies", help="Of each file so many copies are kept.", **_NUMBER),
    _passed("--mincopies", help="Never drop below so many copies.", **_NUMBER),
    _passed("--rebalance", is_flag=True, help="Let balanced preferred content move files."),
    _passed("--semitrust", help="Take a repository as semitrusted; repeats.", **_NAMES),
    _passed("--untrust", help="Take a repository as untrusted; repeats.", **_NAMES),
    _passed("--user-agent", metavar="NAME", help="What web servers are told."),
    _passed("--notify-start", is_flag=True, help="Show a notice on the desktop when a transfer starts."),
    _passed("--notify-finish", is_flag=True, help="Show a notice on the desktop when a transfer is done."),
    *(_hidden(name, _refuses, is_flag=name in ("--force", "--explain")) for name in REFUSED),
    _hidden("--trust", _says_idle, multiple=True),
    _hidden("--trust-glacier", _says_idle, is_flag=True),
)  # fmt: skip
