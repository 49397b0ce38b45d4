"""Find the manual pages that were installed with the program and let man show them."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from git_annex_syncx.errors import ProgramFailed, UsageError
from git_annex_syncx.system import run

# What is left of bold and underlined text where nobody filters it: `c BACKSPACE c`, `_ BACKSPACE c`, escapes.
OVERSTRIKE = re.compile(r".\x08|\x1b\[[0-9;]*[A-Za-z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)")


def show(topic: str | None) -> bool:
    """Show the page of a command, or of the program. False where there is no page, or no man to show it."""
    page = _page(f"git-annex-syncx-{topic}.1" if topic else "git-annex-syncx.1")
    try:
        man = run.find("man")
    except UsageError:
        return False
    if page is None:
        return False
    return _open(man, page) if sys.stdout.isatty() else _print(man, page)


def _open(man: str, page: Path) -> bool:
    """Become man, which has the terminal and a pager."""
    sys.stdout.flush()
    try:
        os.execv(man, ["man", str(page)])
    except OSError:
        return False


def _print(man: str, page: Path) -> bool:
    """The page as plain text, for a pipe or a file."""
    width = os.environ.get("MANWIDTH") or "80"
    env = {**run.environment(), "MANPAGER": "cat", "PAGER": "cat", "MANWIDTH": width, "TERM": "dumb"}
    try:
        text = run.run(man, str(page), cwd=Path("/"), env=env).out.decode("utf-8", "replace")
    except ProgramFailed:
        return False
    plain = OVERSTRIKE.sub("", text)
    if "SYNOPSIS" not in plain:  # a stand-in for man that says how to install the real one
        return False
    sys.stdout.write(plain)
    return True


def _page(name: str) -> Path | None:
    return next((place for place in _places(name) if place.is_file()), None)


def _places(name: str) -> Iterator[Path]:
    """The source tree of an editable installation, where pip put the page, where others put it."""
    yield Path(__file__).parent.parent / "man" / name
    try:
        installed = importlib.metadata.files("git-annex-syncx") or []
    except importlib.metadata.PackageNotFoundError:
        installed = []
    yield from (Path(str(file.locate())).resolve() for file in installed if file.name == name)
    yield Path(sys.prefix) / "share" / "man" / "man1" / name
