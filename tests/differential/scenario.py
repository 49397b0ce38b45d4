"""A scenario: a network and what happens in it, in lines that can be printed, read back and left out one by one.

First the network: `clone NAME [ORIGIN]`, `drive NAME ORIGIN`, `hub NAME ORIGIN` (bare, known to git-annex),
`bare NAME` (plain `git init --bare`), `store NAME AT none|shared`, `enable NAME AT`, `export NAME AT`,
`adjust NAME HOW`, `link NAME OTHER [COST]`, `group NAME GROUP`, `wanted NAME EXPRESSION`,
`required NAME EXPRESSION`, `numcopies N`.

Then what happens: `annexed AT PATH ID` and `plain AT PATH ID` (a file whose content is made from ID),
`move AT PATH PATH`, `remove AT PATH`, `unlock AT PATH`, `commit AT`, `get AT PATH`, `drop AT PATH [REMOTE]`,
`copy AT PATH REMOTE`, `set AT SETTING NAME VALUE`, `away NAME`, `back NAME`, `dead NAME AT` (away for good),
`round NAME...` (each that is present syncs once, in this order).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

Line = tuple[str, ...]
SETUP = {
    "clone", "drive", "hub", "bare", "store", "enable", "export", "adjust", "link", "group", "wanted", "required",
    "numcopies",
}  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """The lines, and the seed that uuids are made from."""

    seed: int
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return "\n".join(shlex.join(line) for line in (("seed", str(self.seed)), *self.lines)) + "\n"

    @property
    def setup(self) -> list[Line]:
        return [line for line in self.lines if line[0] in SETUP]

    @property
    def steps(self) -> list[Line]:
        return [line for line in self.lines if line[0] not in SETUP]

    @property
    def syncing(self) -> list[str]:
        """All that sync at any time, in the order of their first."""
        return list(dict.fromkeys(name for line in self.steps if line[0] == "round" for name in line[1:]))


def parse(text: str) -> Scenario:
    """Read what `str` has written; empty lines and those that begin with `#` are left out."""
    lines = [tuple(shlex.split(line, comments=True)) for line in text.splitlines()]
    seed = next((int(line[1]) for line in lines if line[:1] == ("seed",)), 0)
    return Scenario(seed, tuple(line for line in lines if line and line[0] != "seed"))


def without(lines: Iterable[Line], name: str) -> tuple[Line, ...]:
    """The lines without a repository: those that are about it, and its part in rounds."""
    kept = (tuple(word for word in line if word != name) if line[0] == "round" else line for line in lines)
    return tuple(line for line in kept if name not in line[1:])
