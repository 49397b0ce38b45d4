"""The examples in docs/plan.md are what the program prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from network import Network

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLES = re.findall(r"^```\n\$ git annex-syncx (.+)\n((?:.+\n)+)```", (DOCS / "plan.md").read_text(), re.MULTILINE)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize(("words", "shown"), EXAMPLES, ids=[words for words, _ in EXAMPLES])
def test_examples_are_true(net: Network, words: str, shown: str) -> None:
    node = net.create("any")
    node.path = DOCS
    printed = node.run("git-annex-syncx", *shlex.split(words)).out
    assert "".join(line.rstrip() + "\n" for line in printed.splitlines()) == shown
