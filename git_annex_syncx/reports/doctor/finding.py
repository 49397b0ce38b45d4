"""A finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.runs.parallel import advice_on


class Level(StrEnum):
    """The weight of a finding."""

    PROBLEM = "problem"  # it holds work up
    ADVICE = "advice"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, by a check, with what mends it.

    `command` is for a shell, empty where no command can mend it; `{}` in `advice` stands for it.
    """

    check: str
    what: str
    advice: str = "{}"
    command: str = ""
    remote: str = ""  # empty: the own repository, or this computer
    level: Level = Level.PROBLEM

    @property
    def told(self) -> str:
        """Return the advice for people, with the command in it."""
        return self.advice.replace("{}", self.command)


def of_error(check: str, error: SyncxError, remote: str = "") -> Finding:
    """Return the finding that tells of an error, in the words that a run would use."""
    return Finding(check, error.what, advice_on(error, remote), "", remote)
