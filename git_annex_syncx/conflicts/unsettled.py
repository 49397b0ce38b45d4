"""Conflicts that merges have resolved and nobody has looked at, by what the history tells every node alike. Pure.

A merge lists what it resolved. Somebody has looked at it where a later commit, that is no merge, has changed what the
merge left to choose from, or says so (TRAILER). Two who do so at the same time and choose differently leave one
conflict, until a commit comes that knows of both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from git_annex_syncx.conflicts.resolutions import MESSAGE, Resolution, looks_in, resolved_in
from git_annex_syncx.conflicts.versions import family, is_variant
from git_annex_syncx.git.git import MERGE_EMAIL, MERGE_NAME
from git_annex_syncx.git.log import Message

MACHINE = f"{MERGE_NAME} <{MERGE_EMAIL}>"
LONGEST = 4096  # bytes of a path
NO_NAMES = {b"", b".", b"..", b".git"}  # of a component of a path, in small letters
VARIANTS = "variants"  # the kind of a conflict that no merge has listed


@dataclass(frozen=True)
class Listed:
    """A resolution, and the merge commit whose message lists it."""

    merge: str
    resolution: Resolution

    @property
    def paths(self) -> frozenset[bytes]:
        """Return the name and the paths of the versions."""
        return frozenset((self.resolution.path, *self.resolution.became))

    @property
    def watched(self) -> frozenset[bytes]:
        """Return the paths to choose from, variants if there are any: who edits the file has not looked at those."""
        return frozenset(filter(is_variant, self.resolution.became)) or self.paths


@dataclass(frozen=True)
class LookedAt:
    """A commit that says of a conflict that somebody has looked at it as it is in `head`.

    The first path is the name that the versions share, the others are theirs.
    """

    commit: str
    head: str
    paths: tuple[bytes, ...]


@dataclass(frozen=True)
class Unseen:
    """A conflict that nobody has looked at: the name that the versions share, and the files that are there now.

    `merges` have listed it (none: git-annex made the variants, or a merge of a former version), `differently` are the
    commits that have chosen differently.
    """

    path: bytes
    kind: str
    files: tuple[bytes, ...]
    merges: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    differently: tuple[str, ...] = ()


class Containment:
    """Tells which of some marked commits a commit contains; each contains itself."""

    def __init__(self, ancestry: Iterable[Sequence[str]], marked: Iterable[str]) -> None:
        """`ancestry` has every commit with its parents, after those."""
        self._numbers = {commit: 1 << n for n, commit in enumerate(sorted(set(marked)))}
        self._masks: dict[str, int] = {}
        self._places: dict[str, int] = {}  # a commit has a greater one than those that it contains
        for commit, *parents in ancestry:
            if commit in self._numbers:
                self._places[commit] = len(self._places)
            mask = self._numbers.get(commit, 0)
            for parent in parents:
                if (theirs := self._masks.get(parent, 0)) | mask != mask:
                    mask = mask | theirs if mask else theirs
            self._masks[commit] = mask

    def has(self, commit: str, marked: str) -> bool:
        """Return whether a commit contains a marked one; no other has or is anything."""
        return bool(self._masks.get(commit, 0) & self._numbers.get(marked, 0))

    def first(self, commits: Iterable[str]) -> list[str]:
        """Return those of some marked commits that contain no other of them."""
        found: list[str] = []
        for one in sorted(set(commits), key=self._places.__getitem__):
            if not any(self.has(one, two) for two in found):
                found.append(one)
        return found

    def last(self, commits: Iterable[str]) -> list[str]:
        """Return those of some marked commits that no other of them contains."""
        found: list[str] = []
        for one in sorted(set(commits), key=self._places.__getitem__, reverse=True):
            if not any(self.has(two, one) for two in found):
                found.append(one)
        return found


def listed_in(messages: Iterable[Message]) -> list[Listed]:
    """Return what merges made by syncx list, as far as their form tells who has made them."""
    found = (
        Listed(one.commit, it) for one in messages if is_ours(one) for it in dict.fromkeys(resolved_in(one.text))
    )
    return [one for one in found if all(map(_is_path, one.paths))]


def is_ours(one: Message) -> bool:
    """Return whether a commit has the form of a merge made by syncx."""
    two = len(one.parents) == 2 and one.parents[0] < one.parents[1]
    return two and one.author == one.committer == MACHINE and one.text.startswith(MESSAGE)


def looks_of(messages: Iterable[Message]) -> list[LookedAt]:
    """Return what commits say was looked at."""
    found = (LookedAt(one.commit, head, paths) for one in messages for head, paths in looks_in(one.text))
    return [look for look in found if all(map(_is_path, look.paths))]


def _is_path(path: bytes) -> bool:
    """Return whether a path can be one of a tree: others have been forged."""
    return b"\0" not in path and len(path) <= LONGEST and NO_NAMES.isdisjoint(path.lower().split(b"/"))


class Unsettled:
    """The conflicts of a history, and what has become of them in its newest commit."""

    def __init__(
        self,
        listed: Iterable[Listed],
        looks: Iterable[LookedAt],
        ancestry: Iterable[Sequence[str]],
        files: Collection[bytes],
    ) -> None:
        """`files` are the paths of the newest commit's tree."""
        listed, looks = list(listed), list(looks)
        self.ancestry = list(ancestry) if listed or looks else []
        self.files = files
        marked = (*(one.merge for one in listed), *(look.head for look in looks))
        self.contained = Containment(self.ancestry, marked)
        self.looks: dict[bytes, list[LookedAt]] = {}
        self._origins: dict[bytes, bytes] = {}  # path of a version -> the name
        for look in looks:
            if self.contained.has(look.commit, look.head):
                self._origins |= dict.fromkeys(look.paths[1:], look.paths[0])
                for path in look.paths:
                    self.looks.setdefault(path, []).append(look)
        for one in listed:
            self._origins |= dict.fromkeys(filter(is_variant, one.resolution.became), one.resolution.path)
        self.listed: dict[bytes, list[Listed]] = {}
        for one in listed:
            self.listed.setdefault(self.name(one.resolution.path), []).append(one)
        self.variants: dict[bytes, list[bytes]] = {}
        for path in sorted(filter(is_variant, files)):
            self.variants.setdefault(self.name(path), []).append(path)

    def name(self, path: bytes) -> bytes:
        """Return the name that a path and its variants share."""
        path = self._origins.get(path, path)
        return b"/".join(filter(None, family(path))) if is_variant(path) else path

    # Variants that are still there

    def of_variants(self) -> Iterator[Unseen]:
        """Yield the conflicts of which variants are there that nobody has looked at."""
        for name, variants in self.variants.items():
            listing = [one for one in self.listed.get(name, ()) if not one.watched.isdisjoint(variants)]
            if not all(self._seen(path, listing) for path in variants):
                yield self._unseen(name, listing)

    def _seen(self, variant: bytes, listing: Iterable[Listed]) -> bool:
        """Return whether a commit says that somebody has looked at a variant as all that merges have made of it."""
        merges = {one.merge for one in listing if variant in one.resolution.became}
        return any(all(self.contained.has(look.head, one) for one in merges) for look in self.looks.get(variant, ()))

    # All others

    def candidates(self) -> list[Listed]:
        """Return the newest resolutions of each name without variants, of which something is there."""
        found = []
        for name, listing in self.listed.items():
            there = any(path in self.files for one in listing for path in (name, *one.paths))
            if there and name not in self.variants:
                newest = self.contained.last(one.merge for one in listing)
                found += [one for one in listing if one.merge in newest]
        return found

    def of_others(
        self,
        candidates: Iterable[Listed],
        changed: Mapping[bytes, Iterable[str]],
        chosen: Callable[[str, Listed], Collection[bytes]],
    ) -> Iterator[Unseen]:
        """Yield the conflicts of some candidates that nobody has settled, or several differently.

        `changed` has the commits that have changed a path, `chosen` tells which of the versions a commit has kept.
        """
        settlers = [(one, self._settlers(one, changed)) for one in candidates]
        disputes = {id(one): found for one, found in settlers if len(found) > 1 and len(one.resolution.became) > 1}
        later = {id(one): {*found, *_changing(one.paths, changed)} for one, found in settlers if id(one) in disputes}
        among = Containment(self.ancestry, itertools.chain(*later.values())) if disputes else None
        left: dict[bytes, list[tuple[Listed, list[str]]]] = {}
        for one, found in settlers:
            differ = _differing(one, found, later[id(one)], among, chosen) if among and id(one) in disputes else []
            if differ or not found:
                left.setdefault(self.name(one.resolution.path), []).append((one, differ))
        for name, pairs in left.items():
            yield self._unseen(name, [one for one, _ in pairs], {commit for _, first in pairs for commit in first})

    def _settlers(self, one: Listed, changed: Mapping[bytes, Iterable[str]]) -> list[str]:
        """Return the commits after a merge that have changed what it left to choose from, or say that they looked."""
        touching = _changing(one.watched, changed)
        looking = (
            look.commit
            for path in (self.name(one.resolution.path), *one.watched)
            for look in self.looks.get(path, ())
            if self.contained.has(look.head, one.merge)
        )
        return sorted({*(c for c in touching if self.contained.has(c, one.merge)), *looking})

    def _unseen(self, name: bytes, listing: Sequence[Listed], differently: Iterable[str] = ()) -> Unseen:
        became = (path for one in listing for path in one.resolution.became)
        files = {path for path in (name, *became, *self.variants.get(name, ())) if path in self.files}
        kinds = sorted({one.resolution.kind for one in listing}) or [VARIANTS]
        commits = [one.resolution.commits for one in listing if one.resolution.commits] or [()]
        merges = sorted({one.merge for one in listing})
        chosen = tuple(sorted(differently))
        return Unseen(name, kinds[0], tuple(sorted(files)), tuple(merges), commits[-1], chosen)


def _changing(paths: Iterable[bytes], changed: Mapping[bytes, Iterable[str]]) -> Iterator[str]:
    return (commit for path in paths for commit in changed.get(path, ()))


def _differing(
    one: Listed,
    found: Collection[str],
    later: Collection[str],
    among: Containment,
    chosen: Callable[[str, Listed], Collection[bytes]],
) -> list[str]:
    """Return the commits that chose differently and of which no later one knows; those may differ again."""
    while len(first := among.first(found)) > 1 and len({frozenset(chosen(commit, one)) for commit in first}) > 1:
        found = [commit for commit in later if all(among.has(commit, two) for two in first)]
        if not found:
            return first
    return []
