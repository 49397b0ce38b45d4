"""Manual pages, shown by man."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from git_annex_syncx.errors import UsageError
from git_annex_syncx.system import run

# Bold and underlined text as some programs write it to a pipe: `c BACKSPACE c`, `_ BACKSPACE c`, escapes.
OVERSTRIKE = re.compile(r".\x08|\x1b\[[0-9;]*[A-Za-z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)")


def show(topic: str | None) -> bool:
    """Show the page of a command, or of the program. Return False where there is no page, or no man to show it."""
    name = f"git-annex-syncx-{topic}" if topic else "git-annex-syncx"
    manpath = f"{sys.prefix}/share/man:{os.environ.get('MANPATH', '')}"  # found in a venv that is not on the PATH too
    try:
        page = _man("--where", name, MANPATH=manpath).strip()
    except UsageError:
        return False
    if not os.path.isfile(page):  # some containers have a man that prints how to install the real one
        return False
    if sys.stdout.isatty():
        sys.stdout.flush()
        os.execvp("man", ["man", page])  # which has the terminal, and a pager
    sys.stdout.write(OVERSTRIKE.sub("", _man(page, MANWIDTH=os.environ.get("MANWIDTH") or "80")))
    return True


def _man(*words: str, **more: str) -> str:
    """Return what man prints, without a pager. Raises UsageError where there is no man."""
    env = {**run.environment(), "MANPAGER": "cat", "PAGER": "cat", "TERM": "dumb", "MAN_KEEP_FORMATTING": "", **more}
    return run.run("man", *words, cwd=Path("/"), env=env, ok=range(256)).out.decode("utf-8", "replace")
