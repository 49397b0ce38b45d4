"""The versions that there are to choose from in a conflict, who made each and when, and how they differ."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from git_annex_syncx.annex.key import key_named
from git_annex_syncx.conflicts.choices import SIDES, Choice, Conflict, Maker
from git_annex_syncx.conflicts.trees import RepositoryTrees
from git_annex_syncx.conflicts.unsettled import Containment, Unseen
from git_annex_syncx.conflicts.versions import is_variant
from git_annex_syncx.git import history, log, objects, reflog
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import GITLINK, Entry


@dataclass(frozen=True)
class Side:
    """A side of a merge: its name, its commit, and what it has at the name of a conflict."""

    name: str
    commit: str
    entry: Entry | None


NEITHER = Side("", "", None)


def described(repo: Repository, head: str, found: Iterable[Unseen], branch: str) -> list[Conflict]:
    """Return conflicts in the history of a commit, where a branch is, with the versions to choose from."""
    found = list(found)
    if not found:
        return []
    ours = {new for _, new, why in reflog.moves(repo, f"refs/heads/{branch}") if why != reflog.PUSHED}
    makers = _Makers(repo, head, {path for one in found for path in (one.path, *one.files)})
    reading = _Reading(repo, head, ours, makers)
    reading.prepare(found)
    return [Conflict(one, tuple(reading.choices(one))) for one in found]


class _Reading:
    """Reads the versions of conflicts in the history of a commit."""

    def __init__(self, repo: Repository, head: str, ours: Collection[str], makers: _Makers) -> None:
        """`ours` are commits at which the branch has been here."""
        self.repo, self.ours, self.makers = repo, ours, makers
        self.trees = RepositoryTrees(repo, head)
        self.files = self.trees.entries(head)

    def prepare(self, found: Iterable[Unseen]) -> None:
        """Read how the merges differ from their sides, by one git."""
        merges = {self._newest(one) for one in found if one.merges}
        pairs = ((merge, side) for merge in merges for side in history.parents(self.repo, merge))
        self.trees.read_diffs((self._tree(merge), self._tree(side)) for merge, side in pairs)

    def choices(self, one: Unseen) -> list[Choice]:
        """Return the files where there are several or a variant, else what each side had; ours first."""
        sides = self._sides(one) if one.merges else []
        if len(one.files) > 1 or is_variant(one.files[0]):
            found = [self._choice(one, path, self.files[path], self._side_of(path, one, sides)) for path in one.files]
            return sorted(found, key=lambda choice: (not choice.side, choice.side, choice.path))
        now = self.files.get(one.path)
        return [self._choice(one, one.path, side.entry, side, there=self._same(now, side.entry)) for side in sides]

    def _newest(self, one: Unseen) -> str:
        """Return the newest merge that lists a conflict."""
        return max((history.read_commit(self.repo, commit).date, commit) for commit in one.merges)[1]

    def _sides(self, one: Unseen) -> list[Side]:
        """Return the sides of the newest merge that lists a conflict, ours first if one is."""
        merge = self._newest(one)
        parents = history.parents(self.repo, merge)
        if parents[1] in self.ours and parents[0] not in self.ours:
            parents = parents[::-1]
        return [
            Side(name, side, self._at(one.path, merge, side, parents))
            for name, side in zip(SIDES, parents, strict=True)
        ]

    def _at(self, path: bytes, merge: str, side: str, sides: Iterable[str]) -> Entry | None:
        """Return what a side of a merge has at a path: where it is as in the merge, what another differs from."""
        tree = self._tree(merge)
        if path in (differing := self.trees.diff(tree, self._tree(side))):
            return differing[path][1]
        others = (self.trees.diff(tree, self._tree(other)) for other in sides)
        merged = [other[path][0] for other in others if path in other]
        return merged[0] if merged else self.trees.entries(tree).get(path)

    def _tree(self, commit: str) -> str:
        return history.read_commit(self.repo, commit).tree

    def _side_of(self, path: bytes, one: Unseen, sides: Iterable[Side]) -> Side:
        """Return the side that has made the version at a path; it may have been edited since under its name."""
        matching = [side for side in sides if self._same(self.files[path], side.entry)]
        left = [side for side in sides if not any(self._same(self.files[other], side.entry) for other in one.files)]
        return next(iter(matching or (left if path == one.path and len(left) == 1 else [])), NEITHER)

    def _same(self, one: Entry | None, two: Entry | None) -> bool:
        """Return whether two files are one version: the same key, locked or not, or the same object."""
        return one is not None and (one == two or (bool(key := self._key(one)) and key == self._key(two)))

    def _key(self, entry: Entry | None) -> bytes:
        return self.trees.keys([entry.oid])[entry.oid] if entry and entry.mode != GITLINK else b""

    def _choice(self, one: Unseen, path: bytes, entry: Entry | None, side: Side, there: bool = True) -> Choice:
        key, maker = self._key(entry), self.makers.of(entry, (one.path, *one.files), side.commit)
        return Choice(path, entry, side.name, there, key_named(key) if key else "", maker)


class _Makers:
    """Finds the commits that made versions of some paths."""

    def __init__(self, repo: Repository, head: str, paths: Iterable[bytes]) -> None:
        self._changes: dict[bytes, list[log.Changed]] = {}
        commits = list(log.changes(repo, [head], [], paths))
        for commit in commits:
            for path in commit.paths:
                self._changes.setdefault(path, []).append(commit)
        changing = [one.commit for one in commits]
        self._contained = functools.cache(lambda: Containment(log.ancestry(repo, head), changing))

    def of(self, entry: Entry | None, paths: Sequence[bytes], side: str) -> Maker | None:
        """Return who made a version that stands at one of some paths, on one side of a merge if that is known.

        It is the last commit there to have made exactly that, else the last one to have touched the first path there,
        else the last one anywhere to have made that, as where a version was edited after the merge.
        """
        made = [
            one for path in paths for one in self._changes.get(path, ()) if entry and one.paths.get(path) == entry
        ]
        found = next(self._on(side, made), None) or next(self._on(side, self._changes.get(paths[0], ())), None)
        found = found or next(iter(made), None)
        return found and Maker(found.commit, found.author, found.date, found.subject)

    def _on(self, side: str, commits: Iterable[log.Changed]) -> Iterator[log.Changed]:
        return (one for one in commits if side and self._contained().has(side, one.commit))


# How they differ


@dataclass
class Comparison:
    """Versions to compare, by the names of their conflicts: those of the first side, and others."""

    annexed: bool
    old: dict[bytes, Entry] = field(default_factory=dict)
    new: dict[bytes, Entry] = field(default_factory=dict)

    def has_room(self, path: bytes) -> bool:
        """Return whether a path can be added to those that are there."""
        return not any(_overlap(one, path) for one in self.old.keys() | self.new.keys())


def _overlap(one: bytes, two: bytes) -> bool:
    return one == two or one.startswith(two + b"/") or two.startswith(one + b"/")


def comparisons(
    conflicts: Iterable[Conflict], here: Collection[str]
) -> tuple[list[Comparison], list[tuple[Conflict, Choice]]]:
    """Return what to compare, the first version of each conflict with the others, and versions without content here.

    `here` are keys whose content is here.
    """
    found: list[Comparison] = []
    absent: list[tuple[Conflict, Choice]] = []
    for conflict in conflicts:
        lacking = [choice for choice in conflict.choices if choice.key and choice.key not in here]
        absent += [(conflict, choice) for choice in lacking]
        for other in conflict.choices[1:] if not lacking else ():
            _add(found, conflict.path, conflict.choices[0], other)
    return found, absent


def _add(found: list[Comparison], path: bytes, one: Choice, two: Choice) -> None:
    annexed = bool(one.key or two.key)
    fitting = (c for c in found if c.annexed == annexed and c.has_room(path))
    if (comparison := next(fitting, None)) is None:
        found.append(comparison := Comparison(annexed))
    for side, choice in ((comparison.old, one), (comparison.new, two)):
        if choice.entry:
            side[path] = choice.entry


def trees_of(repo: Repository, comparison: Comparison) -> tuple[str, str]:
    """Store the versions to compare in two trees; return their ids."""
    empty = objects.empty_tree(repo)
    one, two = (objects.change_tree(repo, empty, versions) for versions in (comparison.old, comparison.new))
    return one, two
