"""Packages that not everybody needs."""

from __future__ import annotations

import importlib.util
import shlex
import sys

from git_annex_syncx.errors import UsageError


def require(package: str, extra: str, what: str) -> None:
    """Raise UsageError, which says `what` is not possible, where the package of an extra is not installed."""
    if importlib.util.find_spec(package) is None:
        raise UsageError(what, install(extra))


def install(extra: str) -> str:
    """Return the command that installs an extra where this program runs, which need not be where `pip` installs."""
    return f"{shlex.quote(sys.executable)} -m pip install 'git-annex-syncx[{extra}]'"
