"""Errors, a class for each kind. The docstring of a kind is the first thing that its message says."""

from __future__ import annotations

import re
from pathlib import Path

# Lines of git about its progress, which are no reasons.
PROGRESS = re.compile(r"objects: +\d+%|^Total \d|Delta compression using|^Enumerating objects")
# Lines that git adds after the reason, for people who do not know what a remote is.
HINT = re.compile(r"^fatal: Could not read from remote|^Please make sure you have|^and the repository exists|^hint:")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BUG = 3
EXIT_INTERRUPTED = 130


class SyncxError(Exception):
    """It did not work."""

    exit_code = EXIT_FAILED
    soon = False  # whether another try may succeed within seconds

    def __init__(self, what: str, advice: str = "") -> None:
        """Take a message that names remote or file, and advice for the user."""
        super().__init__(what)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        """Return one line for a log."""
        return f"{self.what} ({self.advice})" if self.advice else self.what


class UsageError(SyncxError):
    """The command, a setting or the repository is not as it must be."""

    exit_code = EXIT_USAGE


class NoRepository(UsageError):
    """There is no git repository."""


class Busy(SyncxError):
    """Somebody is at work in the repository; looked at again later, never an error."""


class Away(SyncxError):
    """A drive is not plugged in; not a failure."""


class Refused(SyncxError):
    """The merge cannot be made without harm; nothing was changed."""


class Level(SyncxError):
    """The two sides differ in merges only, and the merge that would join them is put off."""


class LostVersion(SyncxError):
    """A merge would have lost a version, by every way that syncx knows. Nothing was changed."""

    exit_code = EXIT_BUG


class ProgramFailed(SyncxError):
    """A program that syncx ran failed."""

    def __init__(self, command: str, code: int, stderr: str, directory: Path) -> None:
        """Take the command as a shell would read it, its exit code (negative: signal) and its stderr."""
        self.command = command
        self.code = code
        self.stderr = stderr
        self.directory = directory
        super().__init__(_last_words(stderr) or f"{command.partition(' ')[0]} ended with exit status {code}")


class Stalled(ProgramFailed):
    """A connection made no progress for syncx.stallTimeout and was given up."""


def _last_words(stderr: str) -> str:
    """Return the lines of a program's stderr that tell why it gave up."""
    from git_annex_syncx.reasons import BACKTRACE, shortened  # many regular expressions, for failures only

    stderr = re.sub(BACKTRACE, "", stderr)
    if (short := shortened(stderr)) is not stderr:
        return short
    lines = [
        line.strip() for line in stderr.replace("\r", "\n").split("\n") if line.strip() and not PROGRESS.search(line)
    ]
    better = [line for line in lines if not HINT.search(line)] or lines
    telling = [
        line for line in better if line.startswith(("fatal:", "error:", "ssh:", "git-annex:", "git-remote-annex:"))
    ]
    return "; ".join(dict.fromkeys((telling or better)[-3:]))
