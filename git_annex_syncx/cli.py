"""The command line: parse, call one phase, hand what it yields to the view."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from git_annex_syncx import __version__, cli_sync
from git_annex_syncx.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, SyncxError

if TYPE_CHECKING:
    from git_annex_syncx.conflicts.driver import DriverState
    from git_annex_syncx.git.git import Repository
    from git_annex_syncx.model import Event, Outcome, Remote
    from git_annex_syncx.runs.context import Context

LAST_RESORT = 5.0  # seconds that we have to end by ourselves when we are told to
REPORT = "this is a bug in git-annex-syncx; please report it with what is printed above"


@dataclass
class Globals:
    """Options that may stand before or after the command."""

    path: str | None = None
    as_json: bool = False
    quiet: bool = False
    verbose: int = 0

    def repository(self) -> Repository:
        """The repository alone, not looked into."""
        from git_annex_syncx.git.git import open_repository

        return open_repository(Path(self.path) if self.path else None)

    def context(self) -> Context:
        """The repository that the command works on."""
        from git_annex_syncx.runs.context import open_context
        from git_annex_syncx.views import base

        base.talk(self.quiet, self.verbose)
        words = cli_sync.passed_on(click.get_current_context())
        context = open_context(Path(self.path) if self.path else None, words)
        base.warn(context.settings.unknown)
        return context

    def run(
        self, command: str, context: Context, skipped: Iterable[Outcome], phase: Callable[[], Iterator[Event]]
    ) -> None:
        """Show and record what a phase yields; the exit code says whether anything failed."""
        from git_annex_syncx.branches.redundant_merge import look_again
        from git_annex_syncx.model import Outcome
        from git_annex_syncx.runs.notifications import announced
        from git_annex_syncx.runs.outcome_log import Tally, recorded
        from git_annex_syncx.views import run as view_run

        tally, outcomes = Tally(), list[Outcome]()
        with view_run.for_run(self.as_json, self.quiet, self.verbose) as shown:
            for outcome in skipped:
                tally.add(outcome)
                shown.show(outcome)
            for event in announced(context, recorded(context, look_again(context, phase))):
                if isinstance(event, Outcome):
                    outcomes.append(event)
                    tally.add(event)
                    shown.show(event)
                else:
                    shown.progress(event)
        if context.settings.signals:
            from git_annex_syncx.triggers.signals.publisher import tell_of

            tell_of(context, outcomes)
        shown.summary(command, tally)
        click.get_current_context().exit(1 if tally.failed() else 0)


def _global_option(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    found = ctx.ensure_object(Globals)
    if value not in (None, False, 0):
        setattr(found, str(parameter.name), value)
    return value


def global_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command takes, on either side of its name."""
    common: dict[str, Any] = {"expose_value": False, "callback": _global_option, "is_eager": True}
    for option in (
        click.option("-v", "--verbose", count=True, help="Say what is done; twice: say everything.", **common),
        click.option("-q", "--quiet", is_flag=True, help="Nothing but failures.", **common),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.", **common),
        click.option("-C", "path", metavar="PATH", help="Work in this repository.", **common),
    ):
        command = option(command)
    return command


def command(name: str, hidden: bool = False) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of the group, with the global options and the Globals as its first argument."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def with_globals(**options: Any) -> Any:
            return function(click.get_current_context().ensure_object(Globals), **options)

        made: click.Command = group.command(name, hidden=hidden)(global_options(with_globals))
        return made

    return decorate


class Group(click.Group):
    """Commands in the order in which they are defined."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in order of definition."""
        return list(self.commands)


remotes_argument = click.argument("remotes", metavar="[REMOTE...]", nargs=-1)
except_option = click.option(
    "--except", "excepted", metavar="REMOTE", multiple=True, help="Leave out this remote or group; repeats."
)
unrelated_option = click.option(
    "--allow-unrelated-histories/--no-allow-unrelated-histories",
    "unrelated",
    default=False,
    help="Join histories that share no commit.",
)


deletes_option = click.option(
    "--allow-deletes", "deletes", is_flag=True, help="Let more files be removed than syncx.maxDelete allows."
)


def _not_empty(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise click.BadParameter("a commit needs a message that is not empty")
    return value


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="git-annex-syncx")
@global_options
def group() -> None:
    """Keep git-annex repositories together, phase by phase.

    REMOTE is a git remote or a group of git-annex; none means all.
    """


@command("push")
@remotes_argument
@except_option
def push(options: Globals, remotes: tuple[str, ...], excepted: tuple[str, ...]) -> None:
    """Push the branch and the git-annex branch to all remotes at once."""
    from git_annex_syncx.branches.push import push as phase

    context, chosen, skipped = _chosen(options, remotes, excepted)
    options.run("push", context, skipped, lambda: phase(context, _git_only(chosen)))


@command("pull")
@remotes_argument
@except_option
@unrelated_option
@deletes_option
def pull(options: Globals, remotes: tuple[str, ...], excepted: tuple[str, ...], **choices: Any) -> None:
    """Fetch from all remotes at once, then merge."""
    from git_annex_syncx.phases.sync import pull as phase

    context, chosen, skipped = _chosen(options, remotes, excepted)
    options.run("pull", context, skipped, lambda: phase(context, chosen, **choices))


@command("merge")
@click.option("--forward", is_flag=True, help="Push the result onward.")
@unrelated_option
@deletes_option
def merge(options: Globals, forward: bool, **choices: Any) -> None:
    """Merge what was received (synced/*) and fetched."""
    from git_annex_syncx.phases.sync import forward as onward
    from git_annex_syncx.phases.sync import merge_received

    context, chosen, _ = _chosen(options, (), ())
    phase = onward if forward else merge_received
    options.run("merge", context, (), lambda: phase(context, chosen, **choices))


def _paths_after(
    options: Globals, words: Iterable[str], excepted: Iterable[str]
) -> tuple[Context, list[Remote], list[Outcome], tuple[bytes, ...]]:
    """Remotes and groups among the words, and the others as paths from the top of the tree."""
    from git_annex_syncx.content.missing import tree_path
    from git_annex_syncx.runs.context import choose_remotes, is_named

    context, words = options.context(), list(words)
    if "" in words:
        raise click.UsageError("an empty PATH names nothing; . is the whole directory")
    names = [word for word in words if is_named(context, word)]
    paths = tuple(tree_path(context, options.path, word) for word in words if word not in names)
    return context, *choose_remotes(context, names, excepted), paths


def _seconds(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float:
    from git_annex_syncx.git.settings import duration

    try:
        return math.inf if value is None else duration(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; right are 90s, 30m, 2h or 1d") from None


def _rates(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    from git_annex_syncx.git.settings import timetable

    try:
        return None if value is None else timetable(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no rate; right are 512k, off, or 08:00,512k 23:00,off") from None


def transfer_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what `transfer` and `sync` can be told about content."""
    for option in (
        click.option(
            "--bwlimit", metavar="RATE", callback=_rates, help="Limit of all transfers together (syncx.bwlimit)."
        ),
        click.option("--drop/--no-drop", default=True, help="Whether to drop what is not wanted (default: yes)."),
        click.option("-A", "--all", "all_keys", is_flag=True, help="Also keys that no file of the tree uses."),
    ):
        function = option(function)
    return function


@command("transfer")
@click.argument("words", metavar="[REMOTE...] [PATH...]", nargs=-1)
@except_option
@transfer_options
@click.option("-n", "--dry-run", is_flag=True, help="Show what would go where; move nothing.")
def transfer(
    options: Globals, words: tuple[str, ...], excepted: tuple[str, ...], dry_run: bool, **order: Any
) -> None:
    """Send and get content as the plan says, and drop what is not wanted."""
    from git_annex_syncx.content.assignment import TransferOptions
    from git_annex_syncx.phases.transfer import preview
    from git_annex_syncx.phases.transfer import transfer as phase
    from git_annex_syncx.views import transfer as view_transfer

    context, chosen, skipped, paths = _paths_after(options, words, excepted)
    if paths and order["all_keys"]:
        raise click.UsageError("--all and PATH exclude each other: --all is for keys that have no path")
    asked = TransferOptions(paths, outside=len(words) == len(paths), **order)
    if dry_run:
        view_transfer.show_loads(preview(context, chosen, asked), options.as_json)
    else:
        options.run("transfer", context, skipped, lambda: phase(context, chosen, asked))


@command("sync")
@remotes_argument
@except_option
@unrelated_option
@deletes_option
@click.option(
    "--commit/--no-commit", "commit", default=None, help="Commit local changes first (default: annex.autocommit)."
)
@click.option("-m", "--message", metavar="TEXT", callback=_not_empty, help="The message of that commit.")
@click.option(
    "--content/--no-content",
    " /-g",
    "content",
    default=None,
    help="Transfer content (default: annex.synccontent, else yes).",
)
@click.option("--content-of", "paths", metavar="PATH", multiple=True, help="Content of files there alone; repeats.")
@click.option("--pull/--no-pull", default=True, help="Whether to get anything from remotes (default: yes).")
@click.option("--push/--no-push", default=True, help="Whether to send anything to remotes (default: yes).")
@click.option("--cleanup", is_flag=True, help="Do nothing but remove the synced/ branches, here and at the remotes.")
@click.option("-F", "--fast", is_flag=True, help="With the remotes of the lowest cost alone.")
@transfer_options
@cli_sync.git_annex_options
def sync(
    options: Globals, remotes: tuple[str, ...], excepted: tuple[str, ...], bwlimit: Any, drop: bool, all_keys: bool,
    paths: tuple[str, ...], cleanup: bool, fast: bool, content: bool | None, **choices: Any,
) -> None:  # fmt: skip
    """Commit, fetch, merge, push, transfer content, push."""
    from git_annex_syncx.content.assignment import TransferOptions
    from git_annex_syncx.content.missing import tree_path
    from git_annex_syncx.phases.cleanup import cleanup as clean
    from git_annex_syncx.phases.sync import SyncOptions
    from git_annex_syncx.phases.sync import sync as phase
    from git_annex_syncx.runs.context import cheapest

    context, chosen, skipped = _chosen(options, remotes, excepted)
    chosen = cheapest(context, chosen) if fast else chosen
    below = tuple(tree_path(context, options.path, path) for path in paths if not all_keys)
    order = TransferOptions(below, all_keys=all_keys, drop=drop, bwlimit=bwlimit, outside=not remotes)
    asked = SyncOptions(content=True if paths and content is None else content, **choices)
    work = (lambda: clean(context, _git_only(chosen))) if cleanup else lambda: phase(context, chosen, asked, order)
    options.run("sync", context, skipped, work)


@command("status")
@remotes_argument
@except_option
def status(options: Globals, remotes: tuple[str, ...], excepted: tuple[str, ...]) -> None:
    """Show who is ahead or behind, and what waits to be tried again."""
    from git_annex_syncx.reports.status import status as phase
    from git_annex_syncx.views import status as view_status

    context, chosen, _ = _chosen(options, remotes, excepted)
    view_status.show_status(phase(context, chosen), options.as_json)


@command("merge-driver")
@click.argument("action", metavar="install|uninstall|status", type=click.Choice(["install", "uninstall", "status"]))
@click.option("--global", "everywhere", is_flag=True, help="In all repositories of this user.")
@click.option("--force", is_flag=True, help="Take the place of another merge.default.")
def merge_driver(options: Globals, action: str, everywhere: bool, force: bool) -> None:
    """Let git itself unite texts in its merges."""
    from git_annex_syncx.conflicts import driver
    from git_annex_syncx.git.git import open_repository
    from git_annex_syncx.views import status as view_status

    if force and action != "install":
        raise click.UsageError("--force goes with install")
    repo = None if everywhere else open_repository(Path(options.path) if options.path else None)
    verbs: dict[str, Callable[[Repository | None, bool], DriverState]]
    verbs = {"install": functools.partial(driver.install, force=force), "uninstall": driver.uninstall}
    before = driver.status(repo, everywhere)
    state = verbs.get(action, driver.status)(repo, everywhere)
    if not (options.quiet and action != "status"):
        effect = driver.EFFECT if action == "install" else ()
        view_status.show_driver(state, options.as_json, effect, removed=before.installed and action == "uninstall")


@command("hooks")
@click.argument("action", metavar="install|uninstall|status", type=click.Choice(["install", "uninstall", "status"]))
def hooks_command(options: Globals, action: str) -> None:
    """Let git's hooks start the phases: after a commit, and when something is received."""
    from git_annex_syncx.triggers import hooks
    from git_annex_syncx.views import status as view_status

    context = options.context()
    before = {hook.name for hook in hooks.status(context.repo) if hook.state != "absent"}
    found = {"install": hooks.install, "uninstall": hooks.uninstall}.get(action, hooks.status)(context.repo)
    if not (options.quiet and action != "status"):
        view_status.show_hooks(found, hooks.moved(context.repo), options.as_json, before)


@command("retry")
def retry(options: Globals) -> None:
    """Try again what failed and is due, refs and content (for cron)."""
    from git_annex_syncx.triggers import worker

    context = options.context()
    options.run("retry", context, (), lambda: worker.retry(context))


@command("pause")
@click.argument("remotes", metavar="[REMOTE...]", nargs=-1)
@click.option("--for", "seconds", metavar="TIME", callback=_seconds, help="End by itself after 90s, 30m, 2h or 1d.")
def pause(options: Globals, remotes: tuple[str, ...], seconds: float) -> None:
    """Hold all automatic work, or that with some remotes."""
    from git_annex_syncx.runs import pauses

    context = options.context()
    pauses.pause(context.outbox, pauses.names(context, remotes), seconds)
    _show_pauses(options, context)


@command("resume")
@click.argument("remotes", metavar="[REMOTE...]", nargs=-1)
def resume(options: Globals, remotes: tuple[str, ...]) -> None:
    """End pauses, and do what has waited."""
    from git_annex_syncx.runs import pauses
    from git_annex_syncx.triggers import worker

    context = options.context()
    before = pauses.pauses(context.outbox)
    worker.resume(context, pauses.names(context, remotes) if remotes else ())
    _show_pauses(options, context, before)


def _show_pauses(options: Globals, context: Context, before: Iterable[str] = ()) -> None:
    from git_annex_syncx.runs import pauses
    from git_annex_syncx.views import status as view_status

    if not options.quiet:
        left = pauses.pauses(context.outbox)
        view_status.show_pauses(left, options.as_json, set(before) - left.keys())


@command("watch")
def watch(options: Globals) -> None:
    """Look after the repository in the foreground: refs, drives, timers (for systemd and the like)."""
    from git_annex_syncx.triggers import watch as service

    service.watch(options.repository(), options.verbose)


@command("service")
@click.argument("action", metavar="install|uninstall|show", type=click.Choice(["install", "uninstall", "show"]))
@click.option("--timer", is_flag=True, help="Not watch all the time, but retry and sync by a timer.")
@click.option("--cron", is_flag=True, help="Show the lines for cron instead.")
def service(options: Globals, action: str, timer: bool, cron: bool) -> None:
    """Start watch, or retry and sync, with the user's session."""
    from git_annex_syncx.triggers import service as units
    from git_annex_syncx.views import base

    if cron and timer:
        raise click.UsageError("--cron and --timer exclude each other")
    if cron and action != "show":
        raise click.UsageError("--cron goes with show: the lines are yours to add, with crontab -e")
    for line in units.do(options.context().repo, action, "cron" if cron else "timer" if timer else "watch"):
        base.data(f"{line}\n")


@command("signal")
@click.argument("action", metavar="send|listen|test", type=click.Choice(["send", "listen", "test"]))
def signal_command(options: Globals, action: str) -> None:
    """Tell others that there is news, hear them, or try the channels of syncx.signal."""
    from git_annex_syncx.triggers.signals import commands
    from git_annex_syncx.views import status as view_status

    heard = {"send": commands.send, "listen": commands.listen, "test": commands.test}[action](options.context())
    failed = False
    for one in heard:
        view_status.show_signal(one, options.as_json, options.quiet)
        failed = failed or bool(one.wrong)
    click.get_current_context().exit(1 if failed else 0)


@command("trigger", hidden=True)
@click.argument("name")
def trigger(options: Globals, name: str) -> None:
    """Run what hooks and watch ask for."""
    from git_annex_syncx.triggers import hook_block, hooks, worker
    from git_annex_syncx.views import log as view_log

    if name in hook_block.KINDS:
        hooks.called(name)
    else:
        repo = options.repository()
        hooks.detach(repo) if name == "wake" else os.dup2(1, 2)  # to the hook's log, or to who has started us
        view_log.talk(options.verbose)
        worker.serve_waiting(repo, view_log.show)


def picture_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The forms that a map and a plan can be shown in."""
    for option in (
        click.option("--png", metavar="FILE", help="Write a picture; needs Graphviz."),
        click.option("--svg", metavar="FILE", help="Write a picture; needs Graphviz."),
        click.option("--dot", is_flag=True, help="Print the graph in Graphviz's language."),
    ):
        function = option(function)
    return function


@command("map")
@click.option("--refresh", is_flag=True, help="Ask the repositories that can be reached (git annex map).")
@click.option("--publish", is_flag=True, help="Tell the others the links of this repository.")
@picture_options
def map_command(options: Globals, refresh: bool, publish: bool, **pictures: Any) -> None:
    """Show the network: who has whom as a remote, and what that costs."""
    from git_annex_syncx.content import planning
    from git_annex_syncx.views import network as view_network

    _one_form(options, pictures["dot"])
    context = options.context()
    if publish:
        news = planning.publish(context)
        view_network.published(news, context.settings.private, options.quiet)
    found = planning.see_map(context, refresh)
    view_network.warn(found)
    if not _pictures(lambda: view_network.map_dot(found), **pictures):
        view_network.show_map(found, options.as_json)


@command("plan")
@click.argument("paths", metavar="[PATH...]", nargs=-1)
@click.option("--map", "map_name", metavar="FILE", help="Plan for the network in this file; - is standard input.")
@click.option("--from", "holders", metavar="NAME", multiple=True, help="Who holds the content; repeats.")
@click.option("--to", "targets", metavar="NAME", multiple=True, help="Who wants the content; repeats.")
@click.option("--objective", type=click.Choice(["cost", "time"]), default="cost", help="What is to be least.")
@click.option("--relays/--no-relays", default=True, help="Whether content may pass through relays.")
@picture_options
def plan(
    options: Globals, paths: tuple[str, ...], map_name: str | None, objective: str, dot: bool, svg: str | None,
    png: str | None, **choices: Any,
) -> None:  # fmt: skip
    """Show the cheapest tree and who carries what to whom."""
    from git_annex_syncx.content import planning
    from git_annex_syncx.content.missing import tree_path
    from git_annex_syncx.views import base
    from git_annex_syncx.views import network as view_network

    _one_form(options, dot)
    by_time = objective == "time"
    if map_name is None:
        context = options.context()
        below = tuple(tree_path(context, options.path, path) for path in paths)
        planned = planning.plan_here(context, planning.Wanted(below, by_time=by_time, **choices))
    else:
        wanted = planning.Wanted(tuple(map(os.fsencode, paths)), by_time=by_time, **choices)
        base.talk(options.quiet, options.verbose)
        planned = planning.plan_map(planning.map_file(map_name), wanted)
    view_network.warn(planned.survey)
    if not _pictures(lambda: view_network.plan_dot(planned), dot, svg, png):
        view_network.show_plans(planned, options.as_json)


def _one_form(options: Globals, dot: bool) -> None:
    if options.as_json and dot:
        raise click.UsageError("--json and --dot exclude each other")


def _pictures(drawn: Callable[[], str], dot: bool, svg: str | None, png: str | None) -> bool:
    """Print or write a graph where one was asked for."""
    from git_annex_syncx.content import planning
    from git_annex_syncx.views import base

    if dot:
        base.data(drawn())
    for name in planning.draw(drawn(), svg, png) if svg or png else ():
        base.say(f"{name} is written")
    return bool(dot or svg or png)


@command("help")
@click.argument("topic", metavar="[COMMAND]", required=False)
def help_command(options: Globals, topic: str | None) -> None:
    """Show the manual page of a command."""
    from git_annex_syncx.views import manual

    shown = [name for name, found in group.commands.items() if not found.hidden]
    if topic is not None and topic not in shown:
        raise click.UsageError(f"there is no command {topic!r}; the commands are: {', '.join(shown)}")
    if not manual.show(topic):
        root = click.Context(group, info_name="git-annex-syncx")
        context = click.Context(group.commands[topic], info_name=topic, parent=root) if topic else root
        click.echo(context.get_help())


def _chosen(
    options: Globals, names: Iterable[str], excepted: Iterable[str]
) -> tuple[Context, list[Remote], list[Outcome]]:
    from git_annex_syncx.runs.context import choose_remotes

    context = options.context()
    return context, *choose_remotes(context, names, excepted)


def _git_only(remotes: Iterable[Remote]) -> list[Remote]:
    return [remote for remote in remotes if not remote.special]


def main() -> None:
    """Run the command line; the one place that turns errors into exit codes."""
    from git_annex_syncx.system import interrupts
    from git_annex_syncx.views import base

    base.open_streams()
    interrupts.obey(LAST_RESORT)
    code = _flushed(_main())
    _end_of_talk()
    sys.exit(code)


def _main() -> int:
    try:
        code = group.main(prog_name="git-annex-syncx", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption) and error.ctx:
            _say(f"git annex-syncx help {error.ctx.info_name} lists the options")
        return EXIT_USAGE
    except SyncxError as error:
        _say(error.what, error.advice)
        return _exit_code(error)
    except (KeyboardInterrupt, click.Abort):
        _end_programs()
        _say("interrupted; what was done stays, the next run does the rest")
        return EXIT_INTERRUPTED
    except (BrokenPipeError, SystemExit):  # nobody reads any more; click makes the latter of the former
        _end_programs()
        _silence(sys.stdout)
        return EXIT_INTERRUPTED
    except Exception:
        import traceback

        traceback.print_exc()
        _say(REPORT)
        return EXIT_BUG


def _flushed(code: int) -> int:
    """Write what standard output still holds; the exit code, another where that failed."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        return EXIT_INTERRUPTED
    except SyncxError as error:
        _say(error.what, error.advice)
        return code or EXIT_FAILED
    return code


def _end_of_talk() -> None:
    """Drop output that nobody reads any more: it must not decide how a run ends."""
    try:
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """Keep Python from complaining at its end about what cannot be written."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _exit_code(error: SyncxError) -> int:
    from git_annex_syncx.errors import Away, Busy, Level

    return 0 if isinstance(error, (Busy, Away, Level)) else error.exit_code


def _end_programs() -> None:
    from git_annex_syncx.system import run

    run.end_all()


def _say(what: str, advice: str = "") -> None:
    from git_annex_syncx.views import base

    base.say(what, advice)


if __name__ == "__main__":
    main()
