"""Checks of the settings: names and values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings_faults import faults
from git_annex_syncx.git.values import Value
from git_annex_syncx.reports.doctor.finding import Finding, Level


def check(repo: Repository, lines: Iterable[Value]) -> Iterator[Finding]:
    """Yield settings that stop every command, or do nothing."""
    for fault in faults(repo, lines):
        level = Level.PROBLEM if fault.stops else Level.ADVICE
        advice = fault.advice if fault.command else "it is given with -c or in the environment: leave it out there"
        yield Finding("settings", fault.what, advice, fault.command, level=level)
