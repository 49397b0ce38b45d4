"""Pictures by Graphviz's program `dot`."""

from __future__ import annotations

from pathlib import Path

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.system import files, run

PATIENCE = 120.0  # seconds


def draw(dot: str, target: Path, kind: str) -> None:
    """Write a picture of `kind` ("svg" or "png"). Raises UsageError where Graphviz is not installed."""
    try:
        program = run.find("dot")
    except UsageError as error:
        raise UsageError(
            "Graphviz's program dot is not installed, which draws pictures",
            "install the package graphviz (apt install graphviz, brew install graphviz), or use --dot",
        ) from error
    done = run.run(
        program,
        f"-T{kind}",
        cwd=Path("/"),
        env=run.environment(),
        stdin=dot.encode("utf-8", "replace"),
        stall=PATIENCE,
    )
    try:
        target.write_bytes(done.out)
    except OSError as error:
        raise SyncxError(f"{target} cannot be written: {error.strerror}", files.advice(error)) from error
