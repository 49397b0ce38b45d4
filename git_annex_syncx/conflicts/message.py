"""The message of a merge commit: a function of what was resolved, the same on every node. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from git_annex_syncx.conflicts.joined import Resolution

# What is said where nothing was resolved must never change: old and new nodes would not meet in one commit.
MESSAGE = "Merge two heads\n\nMade by git-annex-syncx from these two commits alone.\n"
HEADING = "Resolved:"
MOST = 1000  # paths
PLAIN = set(range(0x20, 0x7F)) - set(b'"\\')
QUOTED = r'"(?:[ !#-\[\]-~]|\\[0-3][0-7]{2})*"'
LINE = re.compile(f"(?P<kind>[a-z/ ]+): (?P<path>{QUOTED})(?: ->(?P<became>(?: {QUOTED})+))?(?: (\\w+) not (\\w+))?")


def message(resolutions: Iterable[Resolution]) -> str:
    """Return what the commit says.

    For each path that was resolved the kind of conflict and where its versions are now.
    """
    lines = [_line(one) for one in sorted(resolutions, key=lambda one: (one.path, one.kind, one.became))]
    more = [f"and {len(lines) - MOST} more\n"] if len(lines) > MOST else []
    return MESSAGE + "".join([f"\n{HEADING}\n", *lines[:MOST], *more] if lines else [])


def _line(one: Resolution) -> str:
    became = "" if one.became == (one.path,) else " -> " + " ".join(map(quoted, one.became))
    commits = f" {one.commits[0]} not {one.commits[1]}" if one.commits else ""
    return f"{one.kind}: {quoted(one.path)}{became}{commits}\n"


def quoted(path: bytes) -> str:
    """A path in ASCII as git quotes it, always in double quotes."""
    return '"' + "".join(chr(byte) if byte in PLAIN else f"\\{byte:03o}" for byte in path) + '"'


def resolved_in(text: str) -> list[Resolution]:
    """Return what the message of a merge commit tells; lines that none of us has written are left out."""
    found = map(LINE.fullmatch, text.partition(f"\n{HEADING}\n")[2].splitlines())
    return [_resolution(line) for line in found if line]


def _resolution(line: re.Match[str]) -> Resolution:
    path = unquoted(line["path"])
    became = tuple(map(unquoted, re.findall(QUOTED, line["became"] or ""))) or (path,)
    return Resolution(path, line["kind"], became, tuple(line.groups()[-2:]) if line[5] else ())


def unquoted(text: str) -> bytes:
    """Return the path that quoted() made this of."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text[1:-1]).encode("latin-1")
