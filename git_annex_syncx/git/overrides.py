"""Configuration for one run, as `git -c` gives it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from git_annex_syncx.system import run


def override(pairs: Iterable[tuple[str, str]]) -> None:
    """Set configuration for this run and all programs that it starts, as `git -c` does; before any is read."""
    quoted = [f"{_quote(key)}={_quote(value)}" for key, value in pairs]
    os.environ["GIT_CONFIG_PARAMETERS"] = " ".join([os.environ.get("GIT_CONFIG_PARAMETERS", ""), *quoted]).strip()
    run.environment.cache_clear()


def is_key(name: str) -> bool:
    """Return whether git takes it for the name of a setting."""
    return re.fullmatch(r"[A-Za-z0-9-]+\.([^\n\0]*\.)?[A-Za-z][A-Za-z0-9-]*", name) is not None


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''").replace("!", "'\\!'") + "'"
