"""Make a scenario smaller while it still shows what it showed."""

from __future__ import annotations

from collections.abc import Callable

from .scenario import Scenario, without


def reduced(scenario: Scenario, shows: Callable[[Scenario], bool]) -> Scenario:
    """Leave out repositories, then stretches of lines, ever shorter, as long as `shows` holds."""
    for name in dict.fromkeys(line[1] for line in scenario.setup if len(line) > 1 and line[1] != "a"):
        smaller = Scenario(scenario.seed, without(scenario.lines, name))
        if len(smaller.lines) < len(scenario.lines) and shows(smaller):
            scenario = smaller
    size = max(1, len(scenario.lines) // 4)
    while True:
        smaller = _once(scenario, size, shows)
        if smaller.lines == scenario.lines:
            if size == 1:
                return scenario
            size //= 2
        scenario = smaller


def _once(scenario: Scenario, size: int, shows: Callable[[Scenario], bool]) -> Scenario:
    """Try once to leave out each stretch of that many lines."""
    start = 1  # the first repository stays
    while start < len(scenario.lines):
        lines = scenario.lines[:start] + scenario.lines[start + size :]
        if shows(smaller := Scenario(scenario.seed, lines)):
            scenario = smaller
        else:
            start += size
    return scenario
