"""Conversion of the stages of git's own merge to conflicts between the versions of both sides. Pure.

Stages tell only which paths are in conflict: the blob of a stage can hold conflict markers, and a rename carries it
to another name. Versions are read from the trees of the two sides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from git_annex_syncx.conflicts.lines import Lines
from git_annex_syncx.conflicts.without_renames import Conflict, Diff, common_base
from git_annex_syncx.model import Entry

Stages = Mapping[bytes, Mapping[int, Entry]]
Pair = tuple[Entry | None, Entry | None]


def by_name(stages: Stages, one: str, two: str) -> dict[bytes, dict[int, Entry]]:
    """The stages by the names that the paths had before git made room: it adds `~COMMIT`, and a number."""
    suffix = re.compile(f"~({one}|{two})(_\\d+)?(?=/|$)".encode())
    found: dict[bytes, dict[int, Entry]] = {}
    for path, versions in stages.items():
        found.setdefault(suffix.sub(b"", path), {}).update(versions)
    return found


class Versions:
    """The versions of paths on two sides and in their merge bases."""

    def __init__(self, between: Diff, since_bases: list[Diff], same: Callable[[bytes], Entry | None]) -> None:
        """`between` leads from side one to side two, `since_bases` from each base to side one.

        `same` tells the entry of a path that is equal on both sides.
        """
        self.between, self.since_bases, self.same = between, since_bases, same

    def sides(self, path: bytes) -> Pair:
        """The entries of a path on both sides."""
        if path in self.between:
            return self.between[path]
        entry = self.same(path)
        return entry, entry

    def base(self, path: bytes) -> Entry | None:
        """The entry of a path in the merge bases if they agree, else None."""
        return common_base(path, self.sides(path)[0], self.since_bases)

    def conflict(self, path: bytes, stages: Mapping[int, Entry], lines: Lines) -> Conflict:
        """The conflict at a path; a stage tells that a side's version has another name there."""
        one, two = self.sides(path)
        base = self.base(path)
        if two is None and 3 in stages and (origin := self._origin(stages[3], of_one=False)):
            two, base = self.sides(origin)[1], self.base(origin)
        elif one is None and 2 in stages and (origin := self._origin(stages[2], of_one=True)):
            one, base = self.sides(origin)[0], self.base(origin)
        return Conflict(path, base, one, two, lines)

    def _origin(self, stage: Entry, of_one: bool) -> bytes | None:
        """The path at which a side has the version that the other side's rename carried elsewhere."""
        found = []
        for path, (one, two) in self.between.items():
            mine, other = (one, two) if of_one else (two, one)
            if other is None and mine and mine.oid == stage.oid and self.base(path) not in (None, mine):
                found.append(path)
        return min(found, default=None)
