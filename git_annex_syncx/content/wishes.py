"""Preferred content as far as the git-annex branch says it; what an expression wants is asked of git-annex. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

# What a file has to be wanted for changes with where its copies are.
ON_COPIES = re.compile(
    r"(?:approx)?(?:lacking)?copies=|inallgroup=|onlyingroup=|(?:fully)?(?:size)?balanced=|present$|in=|inall",
    re.ASCII,
)
ON_ROOM = re.compile(r"(?:fully)?(?:size)?balanced=", re.ASCII)
REBALANCING = re.compile(r"fully(?:size)?balanced=", re.ASCII)
UNUSED = re.compile(r"unused$", re.ASCII)
WORD = re.compile(r"[^\s()!]+")
# The standard groups whose expression depends on copies. That of `client` does so only in archive directories.
STANDARD_ON_COPIES = {"archive", "smallarchive", "transfer", "source", "incrementalbackup", "manual"}
DEEPEST = 5  # `groupwanted` can name itself


@dataclass(frozen=True)
class Wishes:
    """The logs that say who wants what: uuid -> expression, uuid -> groups, group -> expression."""

    preferred: Mapping[str, str]
    required: Mapping[str, str]
    groups: Mapping[str, Collection[str]]
    group_preferred: Mapping[str, str]

    def choosy(self, uuid: str) -> bool:
        """Return whether an expression says what this repository wants; without one it wants all."""
        return bool(self.preferred.get(uuid) or self.required.get(uuid))

    def depends_on_copies(self, uuid: str) -> bool:
        """Return whether a copy that comes to another repository can change what this one wants."""
        groups = self.groups.get(uuid, ())
        return any(
            ON_COPIES.match(word) or (word == "standard" and STANDARD_ON_COPIES.intersection(groups))
            for word in self._words(uuid)
        )

    def depends_on_room(self, uuid: str) -> bool:
        """Return whether what this one wants changes with how full it and others of its group are."""
        return self._names(uuid, ON_ROOM)

    def rebalances(self, uuid: str) -> bool:
        """Return whether content may have to leave this one as others fill."""
        return self._names(uuid, REBALANCING)

    @property
    def unused(self) -> bool:
        """Return whether anybody wants or does not want what `git annex unused` has found."""
        return any(self._names(uuid, UNUSED) for uuid in self.preferred.keys() | self.required.keys())

    def _names(self, uuid: str, pattern: re.Pattern[str]) -> bool:
        return any(pattern.match(word) for word in self._words(uuid))

    def _words(self, uuid: str) -> Iterator[str]:
        """The words of the expressions of a repository, and of those of its groups where they are named."""
        groups = self.groups.get(uuid, ())
        told = [self.preferred.get(uuid, ""), self.required.get(uuid, "")]
        for depth in range(DEEPEST + 1):
            words = [word for text in told for word in WORD.findall(text)]
            yield from words
            if "groupwanted" not in words or depth == DEEPEST:
                return
            told = [self.group_preferred.get(group, "") for group in groups]
