"""Find the manual pages that were installed with the program and let man show them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from git_annex_syncx.errors import UsageError
from git_annex_syncx.gateway import run


def show(topic: str | None) -> bool:
    """Show the page of a command, of the program without one. False where there is no page or no man program."""
    name = f"git-annex-syncx-{topic}" if topic else "git-annex-syncx"
    page = next((place for place in _places() if (place / f"{name}.1").is_file()), None)
    try:
        man = run.find("man")
    except UsageError:
        return False
    if page is None:
        return False
    sys.stdout.flush()
    os.execv(man, ["man", str(page / f"{name}.1")])


def _places() -> list[Path]:
    """Where pip puts data files, and the source tree of an editable installation."""
    return [Path(sys.prefix) / "share" / "man" / "man1", Path(__file__).parent.parent / "man"]
