"""The union of two .gitmodules files, section by section: lines of two submodules never mix. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from git_annex_syncx.conflicts.union import United, unite

NAME = b".gitmodules"


def has_sections(path: bytes) -> bool:
    """Return whether a path is a configuration of git's that travels."""
    return posixpath.basename(path) == NAME


def unite_sections(one: bytes, two: bytes, base: bytes | None) -> United:
    """Unite two files; the order of the two makes no difference.

    A section that one side removed and the other left alone goes; of one that both changed the lines are united.
    """
    sides, before = [_sections(side) for side in sorted((one, two))], _sections(base or b"")
    united = {name: _united(name, sides[0], sides[1], before) for name in dict.fromkeys((*sides[0], *sides[1]))}
    content = b"".join(body for part in united.values() if part for body in [part.content])
    return United(content, all(part is None or part.clean for part in united.values()))


def _united(
    name: bytes, one: Mapping[bytes, bytes], two: Mapping[bytes, bytes], base: Mapping[bytes, bytes]
) -> United | None:
    bodies = [side[name] for side in (one, two) if name in side]
    if len(bodies) == 1:
        return None if base.get(name) == bodies[0] else United(bodies[0], True)
    return unite(bodies[0], bodies[1], base.get(name))


def _sections(content: bytes) -> dict[bytes, bytes]:
    """Return the sections by their headers, header included; what stands before the first has an empty name."""
    found: dict[bytes, bytes] = {}
    name = b""
    for line in content.splitlines(keepends=True):
        name = line.strip() if line.lstrip().startswith(b"[") else name
        found[name] = found.get(name, b"") + (line if line.endswith(b"\n") else line + b"\n")
    return found
