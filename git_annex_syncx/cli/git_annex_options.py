"""The options of `git annex sync` by the same names: configuration for one run, or words for git-annex itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from git_annex_syncx.cli import offers

Callback = Callable[[click.Context, click.Parameter, Any], Any]
PASSED: str = __name__  # where a context keeps the words for git-annex

REFUSED = {
    "--force": "syncx never forces anything, so that nothing is lost; for one file: git annex drop --force FILE",
    "--explain": "use git annex-syncx plan FILE, or git annex find --explain --want-get-by=REMOTE FILE",
    "--debugfilter": "it names modules of git-annex; use -vv, which says what syncx runs",
    "--time-limit": "use timeout 1h git annex-syncx sync; what was done until then stays",
    "--size-limit": "git annex sync has none either; use --content-of=PATH, or --bwlimit",
}
IDLE = {"--trust": True, "--trust-glacier": False}  # git-annex takes and ignores them; whether a name follows


def passed_on(ctx: click.Context) -> tuple[str, ...]:
    """Return the words that every git-annex of this run is to be given."""
    return tuple(ctx.find_root().meta.get(PASSED, ()))


def git_annex_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `git annex sync` shares with other commands of git-annex."""
    for option in reversed((*_settings(), *_passing(), *_refused(), *_idle())):
        function = option(function)
    return function


def _settings() -> list[Any]:
    """Return the options that set configuration for this run."""
    return [
        click.option(
            "--only-annex/--not-only-annex", "-a", default=None, expose_value=False,
            callback=_sets("annex.synconlyannex"),
            help="Leave git's branches alone: only the git-annex branch and content (default: annex.synconlyannex).",
        ),
        click.option(
            "--resolvemerge/--no-resolvemerge", default=None, expose_value=False,
            callback=_sets("annex.resolvemerge"),
            help="Whether a merge may resolve conflicts (default: annex.resolvemerge, else yes).",
        ),
        click.option(
            "-J", "--jobs", metavar="NUMBER|cpus", expose_value=False, callback=_jobs,
            help="So many remotes, and transfers with each, at once (syncx.jobs, syncx.transferJobs).",
        ),
        click.option(
            "-b", "--backend", metavar="NAME", expose_value=False, callback=_sets("annex.backend"),
            help="What keys are made with in an import (annex.backend).",
        ),
        click.option(
            "-c", "--config", metavar="NAME=VALUE", multiple=True, expose_value=False, callback=_configures,
            help="Override git's configuration for this run; repeats.",
        ),
        click.option(
            "-d", "--debug/--no-debug", default=None, expose_value=False, callback=_debugs, help="The same as -vv.",
        ),
    ]  # fmt: skip


def _passing() -> list[Any]:
    """Return the options that git-annex itself is given."""
    number: dict[str, Any] = {"type": click.IntRange(1), "metavar": "NUMBER"}
    named: dict[str, Any] = {"multiple": True, "metavar": "REMOTE", "shell_complete": offers.remotes}
    kinds: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
        (("-N", "--numcopies"), number, "Of each file so many copies are kept."),
        (("--mincopies",), number, "Never drop below so many copies."),
        (("--rebalance",), {"is_flag": True}, "Let balanced preferred content move files."),
        (("--semitrust",), named, "Take a repository as semitrusted; repeats."),
        (("--untrust",), named, "Take a repository as untrusted; repeats."),
        (("--user-agent",), {"metavar": "NAME"}, "What web servers are told."),
        (("--notify-start",), {"is_flag": True}, "Show a notice on the desktop when a transfer starts."),
        (("--notify-finish",), {"is_flag": True}, "Show a notice on the desktop when a transfer is done."),
    ]
    return [
        click.option(*names, expose_value=False, callback=_passes, help=text, **how) for names, how, text in kinds
    ]


def _refused() -> list[Any]:
    """Return what git-annex has and syncx has not, so that the error can name what to use."""
    flags = ("--force", "--explain")
    return [
        click.option(name, hidden=True, is_flag=name in flags, expose_value=False, callback=_refuses)
        for name in REFUSED
    ]


def _idle() -> list[Any]:
    return [
        click.option(
            name, hidden=True, is_flag=not named, multiple=named, expose_value=False, callback=_says_idle
        )
        for name, named in IDLE.items()
    ]  # fmt: skip


def _given(value: Any) -> bool:
    return value not in (None, False, ())


def _override(*pairs: tuple[str, str]) -> None:
    from git_annex_syncx.git.overrides import override

    override(pairs)


def _sets(key: str) -> Callback:
    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            _override((key, str(value).lower() if isinstance(value, bool) else value))

    return callback


def _jobs(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    from git_annex_syncx.git.values import job_count

    if value is None:
        return
    try:
        count = str(job_count(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no number of jobs; right are 4 or cpus") from None
    _override(("syncx.jobs", count), ("syncx.transferJobs", count))


def _configures(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    from git_annex_syncx.git.overrides import is_key

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
