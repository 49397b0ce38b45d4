"""The message of a merge commit: a function of what was resolved, the same on every node. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from git_annex_syncx.conflicts.resolve import Resolution

# What is said where nothing was resolved must never change: old and new nodes would not meet in one commit.
MESSAGE = "Merge two heads\n\nMade by git-annex-syncx from these two commits alone.\n"
MOST = 1000  # paths
PLAIN = set(range(0x20, 0x7F)) - set(b'"\\')


def message(resolutions: Iterable[Resolution]) -> str:
    """What the commit says: for each path that was resolved the kind of conflict and where its versions are now."""
    lines = [_line(one) for one in sorted(resolutions, key=lambda one: (one.path, one.kind, one.became))]
    more = [f"and {len(lines) - MOST} more\n"] if len(lines) > MOST else []
    return MESSAGE + "".join(["\nResolved:\n", *lines[:MOST], *more] if lines else [])


def _line(one: Resolution) -> str:
    became = "" if one.became == (one.path,) else " -> " + " ".join(map(quoted, one.became))
    commits = f" {one.commits[0]} not {one.commits[1]}" if one.commits else ""
    return f"{one.kind}: {quoted(one.path)}{became}{commits}\n"


def quoted(path: bytes) -> str:
    """A path in ASCII as git quotes it, always in double quotes."""
    return '"' + "".join(chr(byte) if byte in PLAIN else f"\\{byte:03o}" for byte in path) + '"'
