"""Tell scenarios again, and make them shorter while they still go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .scenario import Scenario
from .story import Bench, Story, Wrong


def told(bench: Bench, scenario: Scenario) -> Wrong | None:
    """Tell a scenario; what was wrong."""
    story = Story(bench, scenario)
    try:
        for step in scenario.steps:
            story.do(step)
    except Wrong as wrong:
        return wrong
    return None


def reduced(bench: Bench, scenario: Scenario, wrong: Wrong) -> tuple[Scenario, Wrong]:
    """Leave out stretches of steps, ever shorter ones, then parts of edits, while the same rule is broken."""
    rule, again = wrong.finding.rule, told(bench, scenario)
    if again is None or again.finding.rule != rule:
        return scenario, Wrong(wrong.finding, f"told again it is right\n{wrong}")
    size = len(scenario.steps)
    while size:
        before, at = scenario, 0
        while at < len(scenario.steps):
            for smaller in _shorter(scenario, at, size):
                again = told(bench, smaller)
                if again and again.finding.rule == rule:
                    scenario, wrong = smaller, again
                    break
            else:
                at += size
        if size > 1 or scenario == before:
            size //= 2
    return scenario, wrong


def _shorter(scenario: Scenario, at: int, size: int) -> Iterator[Scenario]:
    """Without a stretch of steps; or where that is one edit, without one of its parts."""
    steps = scenario.steps
    yield replace(scenario, steps=steps[:at] + steps[at + size :])
    if size == 1 and steps[at][0] == "edit":
        what, node, (verb, *parts) = steps[at]
        first = 1 if verb == "lines" else 0  # the path stays
        for n in range(first, len(parts) if verb in ("move", "lines", "remove") else 0):
            step = what, node, (verb, *parts[:n], *parts[n + 1 :])
            yield replace(scenario, steps=(*steps[:at], step, *steps[at + 1 :]))
