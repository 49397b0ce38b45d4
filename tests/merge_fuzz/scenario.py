"""A story as a value: it can be printed, read, made shorter and told again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Step = Sequence[Any]  # the name of the step and its arguments, ready for JSON


@dataclass(frozen=True)
class Scenario:
    """A story that can be told again.

    Nodes in `old` run other code, those in `alone` begin with a history of their own.
    """

    seed: int
    wild: bool
    nodes: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    old: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()

    def __str__(self) -> str:
        about = {"seed": self.seed, "wild": self.wild, "nodes": self.nodes, "old": self.old, "alone": self.alone}
        return "\n".join(map(json.dumps, (about, *self.steps)))


def parse(text: str) -> Scenario:
    """The inverse of str()."""
    about, *steps = (json.loads(line) for line in text.splitlines() if line.startswith(("{", "[")))
    return Scenario(steps=tuple(steps), **{k: tuple(v) if isinstance(v, list) else v for k, v in about.items()})
