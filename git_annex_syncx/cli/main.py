"""The command line: run a command, turn errors into exit codes."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from typing import TextIO

import click

from git_annex_syncx import __version__
from git_annex_syncx.cli.commands import global_options
from git_annex_syncx.errors import (
    EXIT_BUG,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    Away,
    Busy,
    Level,
    SyncxError,
)  # fmt: skip
from git_annex_syncx.system import processes
from git_annex_syncx.views import base

COMPLETE = "_GIT_ANNEX_SYNCX_COMPLETE"  # set by a shell that asks what to offer
OBJECTS = 50_000  # more than before, until Python looks for cycles among them: modules and findings are none
LAST_RESORT = 5.0  # seconds that we have to end by ourselves when we are told to
REPORT = "this is a bug in git-annex-syncx; please report it with what is printed above"
COMMANDS = (
    "push", "pull", "merge", "transfer", "sync", "status", "why", "conflicts", "merge-driver", "hooks", "retry",
    "pause", "resume", "watch", "service", "signal", "trigger", "map", "plan", "connect", "doctor", "help",
)  # fmt: skip


class Group(click.Group):
    """The commands, each in the module of its name, which is loaded when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the manual."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        found: click.Command = getattr(importlib.import_module(f"git_annex_syncx.cli.{name}"), f"{name}_command")
        return found

    def shown(self) -> dict[str, click.Command]:
        """Return the commands that people call, by name."""
        root = click.Context(self, info_name="git-annex-syncx", **self.context_settings)
        found = {name: self.get_command(root, name) for name in COMMANDS}
        return {name: command for name, command in found.items() if command and not command.hidden}


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="git-annex-syncx")
@global_options
def group() -> None:
    """Keep git-annex repositories together, phase by phase.

    REMOTE is a git remote or a group of git-annex; none means all.
    """


def main() -> None:
    """Run the command line; the one place that turns errors into exit codes."""
    if COMPLETE in os.environ:
        from git_annex_syncx.cli import completion

        sys.exit(completion.answer(group, COMPLETE))
    gc.set_threshold(OBJECTS)
    base.open_streams()
    processes.obey(LAST_RESORT)
    code = _flushed(_main())
    try:
        sys.stderr.flush()
    except OSError:  # it must not decide how a run ends
        _silence(sys.stderr)
    sys.exit(code)


def _main() -> int:
    try:
        code = group.main(prog_name="git-annex-syncx", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption) and error.ctx:
            base.say(f"git annex-syncx help {error.ctx.info_name} lists the options")
        return EXIT_USAGE
    except SyncxError as error:
        base.say(error.what, error.advice)
        return 0 if isinstance(error, (Busy, Away, Level)) else error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _end_programs()
        base.say("interrupted; what was done stays, the next run does the rest")
        return EXIT_INTERRUPTED
    except (BrokenPipeError, SystemExit):  # nobody reads any more; click makes the latter of the former
        _end_programs()
        _silence(sys.stdout)
        return EXIT_INTERRUPTED
    except Exception:
        import traceback

        traceback.print_exc()
        base.say(REPORT)
        return EXIT_BUG


def _flushed(code: int) -> int:
    """Write the rest of standard output. Return the exit code, another where that failed."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        return EXIT_INTERRUPTED
    except SyncxError as error:
        base.say(error.what, error.advice)
        return code or EXIT_FAILED
    return code


def _silence(stream: TextIO) -> None:
    """Keep Python from complaining at its end about output that cannot be written."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _end_programs() -> None:
    processes.end_all()
