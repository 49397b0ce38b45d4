"""The view of what the doctor finds."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

from git_annex_syncx.reports.doctor.finding import Finding, Level
from git_annex_syncx.views.base import clean, console_on, json_line

STYLES = {Level.PROBLEM: "red", Level.ADVICE: ""}


def show_findings(findings: Iterable[Finding], as_json: bool, quiet: bool) -> bool:
    """Show findings as they come, with `quiet` only those that hold work up; return whether there was one."""
    counts: Counter[Level] = Counter()
    told = set[tuple[str, str]]()
    for finding in findings:
        if (finding.remote, finding.what) in told:  # what one check needs another may look for
            continue
        told.add((finding.remote, finding.what))
        counts[finding.level] += 1
        if as_json:
            _print_json(finding)
        elif not (quiet and finding.level is Level.ADVICE):
            _print(finding)
    if as_json:
        numbers = {"problems": counts[Level.PROBLEM], "advice": counts[Level.ADVICE]}
        json_line({"event": "summary", "command": "doctor"} | numbers)
    elif not quiet:
        _print_summary(counts)
    return bool(counts[Level.PROBLEM])


def _print_json(finding: Finding) -> None:
    json_line({
        "event": "finding", "check": finding.check, "level": finding.level.value, "remote": finding.remote or None,
        "what": finding.what, "advice": finding.told or None, "command": finding.command or None,
    })  # fmt: skip


def _print(finding: Finding) -> None:
    console = console_on(sys.stdout)
    weight = f"{finding.level}: " if finding.level is Level.PROBLEM else ""  # not by its colour alone
    where = weight + (f"{finding.remote}: " if finding.remote else "")
    console.print(clean(f"{where}{finding.what}"), style=STYLES[finding.level])
    if finding.told:
        console.print(clean(f"  {finding.told}"), soft_wrap=True)  # to be copied whole


def _print_summary(counts: Counter[Level]) -> None:
    problems, advice = counts[Level.PROBLEM], counts[Level.ADVICE]
    told = f"{problems} problem{'s' * (problems != 1)}" if problems else "no problem found"
    console_on(sys.stdout).print(told + (f", {advice} with advice alone" if advice else ""))
