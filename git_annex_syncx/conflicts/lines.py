"""Rules for the lines of a path that both sides changed, by its name and its attributes. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from enum import StrEnum

PROSE = frozenset((b"", *(b"." + end for end in b"txt md rst org tex csv tsv log".split())))
ATTRIBUTES = ("syncx", "merge", "filter")


class Lines(StrEnum):
    """The ways in which texts are merged."""

    UNION = "union"  # one file holds the lines of both: a line too many in prose or a list is seen and mended
    CLEAN = "clean"  # only where the changes do not touch: a union that does not parse helps nobody
    APART = "apart"  # never: both versions stay


def lines_of_path(path: bytes, attributes: Iterable[Mapping[str, str]]) -> Lines:
    """Return how texts at a path are merged; `attributes` are those that each side's tree gives it."""
    given = [*attributes]
    if any(
        has.get("syncx") == "variants" or has.get("merge") in ("unset", "binary") or has.get("filter") == "lfs"
        for has in given
    ):
        return Lines.APART
    united = any("union" in (has.get("syncx"), has.get("merge")) for has in given)
    return Lines.UNION if united or is_prose(path) else Lines.CLEAN


def is_prose(path: bytes) -> bool:
    """Return whether a path has the name of prose or of a list: by its suffix, or without one, as .gitignore is."""
    name = posixpath.basename(path).partition(b".variant-")
    return posixpath.splitext(name[0] + posixpath.splitext(name[2])[1])[1].lower() in PROSE
