"""Who wants content, as far as the git-annex branch says it; what an expression wants is asked of git-annex. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

# What a file has to be wanted for changes with where its copies are.
ON_COPIES = re.compile(
    r"(?:approx)?(?:lacking)?copies=|inallgroup=|onlyingroup=|(?:fully)?(?:size)?balanced=|present$|in=|inall",
    re.ASCII,
)
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
        """Whether an expression says what this repository wants; without one it wants all."""
        return bool(self.preferred.get(uuid) or self.required.get(uuid))

    def depends_on_copies(self, uuid: str) -> bool:
        """Whether a copy that comes to another repository can change what this one wants."""
        groups = self.groups.get(uuid, ())
        told = (self.preferred.get(uuid, ""), self.required.get(uuid, ""))
        return any(self._on_copies(text, groups, 0) for text in told)

    def _on_copies(self, text: str, groups: Collection[str], depth: int) -> bool:
        for word in WORD.findall(text):
            if ON_COPIES.match(word) or (word == "standard" and STANDARD_ON_COPIES.intersection(groups)):
                return True
            if word == "groupwanted" and depth < DEEPEST:
                told = (self.group_preferred.get(group, "") for group in groups)
                if any(self._on_copies(text, groups, depth + 1) for text in told):
                    return True
        return False
