"""Parts of commands: how a command is defined, the global options, the choice of remotes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from git_annex_syncx.cli import offers

if TYPE_CHECKING:
    from git_annex_syncx.git.git import Repository
    from git_annex_syncx.model import Event, Outcome, Remote
    from git_annex_syncx.runs.context import Context
    from git_annex_syncx.triggers.signals.publisher import Publisher


PASSED: str = __name__  # where click's context keeps the words for git-annex


@dataclass
class GlobalOptions:
    """Options that may stand before or after the command."""

    path: str | None = None
    as_json: bool = False
    quiet: bool = False
    verbose: int = 0

    def repository(self) -> Repository:
        """Find the repository, without reading anything of it."""
        from git_annex_syncx.git.git import open_repository

        return open_repository(Path(self.path) if self.path else None)

    def context(self) -> Context:
        """Open the repository that the command works on."""
        from git_annex_syncx.git.git import require_version
        from git_annex_syncx.runs.context import open_context
        from git_annex_syncx.views import log as view_log

        view_log.set_up(self.verbose, self.quiet, view_log.MESSAGES)
        require_version()
        words = tuple(click.get_current_context().find_root().meta.get(PASSED, ()))
        context = open_context(replace(self.repository(), annex_options=words))
        view_log.warn(context.settings.unknown)
        return context

    def run(
        self, command: str, context: Context, skipped: Iterable[Outcome], phase: Callable[[], Iterator[Event]]
    ) -> None:
        """Run a phase and show what it yields; the exit code says whether anything failed."""
        from git_annex_syncx.branches.redundant_merge import look_again
        from git_annex_syncx.runs.phase_run import Tally, run_phase
        from git_annex_syncx.views import run as view_run

        publisher = _publisher(context)
        with view_run.for_run(self.as_json, self.quiet, self.verbose) as shown, publisher or nullcontext():

            def show(event: Event) -> None:
                shown.event(event)
                if publisher:
                    publisher.note(event)

            outcomes = run_phase(context, itertools.chain(skipped, look_again(context, phase)), show)
        if publisher:
            publisher.wait()
        tally = Tally(outcomes)
        shown.summary(command, tally)
        click.get_current_context().exit(1 if tally.failed() else 0)


def _publisher(context: Context) -> Publisher | None:
    """Return who tells the others, None where there is no channel: then nothing for it is loaded."""
    if not context.settings.signals:
        return None
    from git_annex_syncx.triggers.signals.publisher import Publisher

    return Publisher(context)


def _global_option(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    options = ctx.ensure_object(GlobalOptions)
    if value not in (None, False, 0):
        setattr(options, str(parameter.name), value)
    return value


def add_options(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds click's options in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_GLOBAL: dict[str, Any] = {"expose_value": False, "callback": _global_option, "is_eager": True}
global_options = add_options(
    click.option(
        "-C", "path", metavar="PATH", shell_complete=offers.directories, help="Work in this repository.", **_GLOBAL
    ),
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.", **_GLOBAL),
    click.option("-q", "--quiet", is_flag=True, help="Nothing but failures.", **_GLOBAL),
    click.option("-v", "--verbose", count=True, help="Say what is done; twice: say everything.", **_GLOBAL),
)


def command(name: str, hidden: bool = False) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command with the global options, and with GlobalOptions as its first argument."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def with_globals(**options: Any) -> Any:
            return function(click.get_current_context().ensure_object(GlobalOptions), **options)

        made: click.Command = click.command(name, hidden=hidden)(global_options(with_globals))
        return made

    return decorate


remotes_argument = click.argument("remotes", metavar="[REMOTE...]", nargs=-1, shell_complete=offers.remotes)
except_option = click.option(
    "--except", "excepted", metavar="REMOTE", multiple=True, shell_complete=offers.remotes,
    help="Leave out this remote or group; repeats.",
)  # fmt: skip
unrelated_option = click.option(
    "--allow-unrelated-histories/--no-allow-unrelated-histories",
    "unrelated",
    default=False,
    help="Join histories that share no commit.",
)
deletes_option = click.option(
    "--allow-deletes", "deletes", is_flag=True, help="Let more files be removed than syncx.maxDelete allows."
)


def choose(
    options: GlobalOptions, names: Iterable[str], excepted: Iterable[str]
) -> tuple[Context, list[Remote], list[Outcome]]:
    """Open the repository and choose remotes; return outcomes for those that are left out, too."""
    from git_annex_syncx.runs.context import choose_remotes

    context = options.context()
    return context, *choose_remotes(context, names, excepted)
