"""Pictures by Graphviz's program `dot`."""

from __future__ import annotations

from pathlib import Path

from git_annex_syncx.errors import UsageError
from git_annex_syncx.system import run

PATIENCE = 120.0  # seconds


def render(dot: str, kind: str) -> bytes:
    """Return a picture of `kind` ("svg" or "png"). Raises UsageError where Graphviz is not installed."""
    try:
        program = run.find("dot")
    except UsageError as error:
        raise UsageError(
            "Graphviz's program dot is not installed, which draws pictures",
            "install the package graphviz: apt install graphviz, brew install graphviz",
        ) from error
    text = dot.replace("&", "&amp;").encode("utf-8", "replace")  # in labels it reads HTML's entities
    return run.run(program, f"-T{kind}", cwd=Path("/"), env=run.environment(), stdin=text, stall=PATIENCE).out
