"""Two commits -> their merge commit: pure, canonical, without conflicts, and verified that no version is lost.

Git's own merge comes first, its conflicts resolved. Where it lost or spoiled a version (with renames even a clean
result can) the paths of that version are merged path by path, all others stay as git has them; what is still missing
then is put back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Container, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from git_annex_syncx.conflicts.joined import Joined, Resolution, unrelated_error
from git_annex_syncx.conflicts.lines import Lines, lines_of_path
from git_annex_syncx.conflicts.message import message
from git_annex_syncx.conflicts.moved_keys import Followed, followed
from git_annex_syncx.conflicts.put_back import put_back
from git_annex_syncx.conflicts.resolve import moved_entry, resolve
from git_annex_syncx.conflicts.stages import Versions, by_name
from git_annex_syncx.conflicts.trees import RepositoryTrees
from git_annex_syncx.conflicts.variant_names import family, is_variant
from git_annex_syncx.conflicts.verify import Verdict, verify
from git_annex_syncx.conflicts.versions import Kind, is_file, version_of
from git_annex_syncx.conflicts.without_renames import merge_by_path
from git_annex_syncx.errors import LostVersion
from git_annex_syncx.git import objects
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.history import independent
from git_annex_syncx.model import GITLINK, SYMLINK, Entry

log = logging.getLogger(__name__)

NAMED = 10


def join_heads(repo: Repository, heads: Iterable[str], unrelated: bool) -> Joined:
    """Return one commit that contains all heads, the same on every node that knows the same heads.

    Heads contained in others are dropped, the rest is folded in order of commit id.
    Raises Refused where two of them share no history and `unrelated` is false, LostVersion.
    """
    first, *rest = independent(repo, heads)
    joined = Joined(first)
    for commit in rest:
        last = join(repo, min(joined.commit, commit), max(joined.commit, commit), unrelated)
        resolutions = joined.resolutions + last.resolutions
        joined = Joined(last.commit, resolutions, joined.fallbacks + last.fallbacks)
    return joined


def join(repo: Repository, one: str, two: str, unrelated: bool) -> Joined:
    """Return the merge commit of two commits that are given in order of their ids. Raises Refused, LostVersion."""
    common = objects.merge_bases(repo, one, two)
    if not common and not unrelated:
        raise unrelated_error(one, two, "")
    bases = [objects.tree_of(repo, base) for base in common] or [objects.empty_tree(repo)]
    dates = objects.dates(repo, (one, two))
    merge = _Merge(repo, bases, (objects.tree_of(repo, one), objects.tree_of(repo, two)), dates[1] >= dates[0])
    tree, resolutions, mended = merge.verified(objects.merge_tree(repo, one, two), one, two)
    made = objects.commit_tree(repo, merge.trees.stored(tree), (one, two), max(dates), message(resolutions))
    return Joined(made, resolutions, int(mended))


@dataclass(frozen=True)
class _Result:
    """A tree that a merge could become, and what was resolved in it."""

    tree: str
    resolutions: tuple[Resolution, ...] = ()


class _Merge:
    """Two trees and the trees of their merge bases."""

    def __init__(self, repo: Repository, bases: list[str], sides: tuple[str, str], two_is_later: bool) -> None:
        self.repo, self.bases, self.sides, self.two_is_later = repo, bases, sides, two_is_later
        self.one, self.two = sides
        self.trees = RepositoryTrees(repo, "sha1" if len(self.one) == 40 else "sha256")
        since = [self.trees.diff(base, self.one) for base in bases]
        self.versions = Versions(self.trees.diff(*sides), since, lambda path: self.trees.entries(self.one).get(path))
        self._lines: dict[bytes, Lines] = {}

    def verified(
        self, by_git: objects.TreeMerge | None, one: str, two: str
    ) -> tuple[str, tuple[Resolution, ...], bool]:
        """Return the tree of the merge, what was resolved, and whether git's own merge had to be mended."""
        merged = by_git or objects.TreeMerge(self.one, {})  # all is merged path by path then
        stages = by_name(merged.stages, one, two)
        by_path = at_first = self._without_renames(merged.tree) if by_git else self._changed()
        result = self._result(merged, stages, by_path)
        while (verdict := self._verify(result)).paths - by_path:
            by_path = by_path | verdict.paths
            lost = sorted(by_path - at_first)
            log.info("a merge by renames would lose or spoil %s; merging path by path", _shown(lost))
            result = self._result(merged, stages, by_path)
        mended = bool(by_path - at_first or verdict.missing or by_git is None)
        if verdict.missing:
            added, told = put_back(verdict.missing, self.trees.entries(result.tree), self.trees)
            log.info("put back: %s", _shown(sorted(added)))
            result = _Result(self.trees.changed(result.tree, added), (*result.resolutions, *told))
            verdict = self._verify(result)
        if verdict.missing or verdict.spoiled:
            lost = [*verdict.spoiled, *(one.path for one in verdict.missing)]
            raise LostVersion(f"merging {one[:10]} and {two[:10]} would lose a version of {_shown(sorted(lost))}")
        return result.tree, result.resolutions, mended

    def _changed(self) -> frozenset[bytes]:
        """Return all paths at which a side differs from a merge base or from the other."""
        diffs = [self.trees.diff(base, side) for side in self.sides for base in self.bases]
        return frozenset(self.trees.diff(*self.sides)).union(*diffs)

    def _without_renames(self, tree: str) -> frozenset[bytes]:
        """Return the paths to merge without renames where git's tree has put another version in their place.

        A submodule's path stands in .gitmodules, and the name of a new variant tells its version.
        """
        since = [[self.trees.diff(base, side) for base in self.bases] for side in self.sides]
        pairs = [(path, pair) for diffs in since for diff in diffs for path, pair in diff.items()]
        submodules = {path for path, pair in pairs if any(entry and entry.mode == GITLINK for entry in pair)}
        variants = {path for path, (old, _) in pairs if old is None and is_variant(path)}
        moved = self.trees.diff(self.one, tree)
        displaced = {
            path
            for path in submodules | variants
            if path in moved and moved[path][1] not in self.versions.sides(path)
        }
        families = {family(path) for path in displaced & variants}
        kin = {path for path, _ in pairs if families and family(path) in families}
        return frozenset(kin | (submodules if displaced & submodules else set()))

    def _verify(self, result: _Result) -> Verdict:
        return verify(self.trees, self.bases, self.sides, result.tree, self._apart)

    def _result(
        self, merged: objects.TreeMerge, stages: Mapping[bytes, Mapping[int, Entry]], by_path: Set[bytes]
    ) -> _Result:
        """Git's merge, but for some paths, with all conflicts resolved."""
        alone = merge_by_path({path: self.versions.sides(path) for path in by_path}, self.versions.since_bases)
        apart: dict[bytes, dict[int, Entry]] = {path: {} for path in self._kept_apart(self._changed_on_both())}
        found: dict[bytes, Mapping[int, Entry]] = {p: s for p, s in {**apart, **stages}.items() if p not in by_path}
        moves = self._moves(found)
        for move in moves:
            found.pop(move.old, None)
        conflicts = [self.versions.conflict(path, there, Lines.APART) for path, there in found.items()]
        conflicts += alone.conflicts
        lines = self._lines_of(conflict.path for conflict in conflicts)
        changes: dict[bytes, Entry | None] = dict.fromkeys((*merged.stages, *stages, *found))
        changes |= alone.changes
        changes |= dict.fromkeys(move.old for move in moves)
        changes |= {move.new: moved_entry(move.entry, move.old, move.new, self.trees) for move in moves}
        changes |= self._relinked(merged.tree, changes)
        if not changes:
            return _Result(merged.tree)
        others = {p: e for p, e in self.trees.entries(merged.tree).items() if p not in changes}
        others |= {path: entry for path, entry in changes.items() if entry}
        known = [replace(conflict, lines=lines[conflict.path]) for conflict in conflicts]
        resolved = resolve(known, others, self.trees, self.two_is_later)
        tree = self.trees.changed(merged.tree, {**changes, **resolved.changes})
        return _Result(tree, resolved.resolutions)

    def _moves(self, conflicts: Container[bytes]) -> list[Followed]:
        """Changes of annexed files, of those in conflict, that follow to where the other side moved them."""
        if len(self.bases) > 1:
            return []
        since = self.trees.diff(self.bases[0], self.one), self.trees.diff(self.bases[0], self.two)
        moves = followed(self.trees, since)
        return [move for move in moves if move.old in conflicts and move.new not in conflicts]

    def _relinked(self, tree: str, changes: Mapping[bytes, Entry | None]) -> dict[bytes, Entry]:
        """Links that git carried to another path, with targets that lead from there."""
        one, two = (self.trees.diff(side, tree) for side in self.sides)
        carried = {p: e for p in one.keys() & two.keys() - changes.keys() if (e := one[p][1]) and e.mode == SYMLINK}
        if not carried:
            return {}
        origins: dict[str, bytes] = {}
        for diff in (one, two):
            for path, (old, _) in diff.items():
                if old and old.mode == SYMLINK:
                    origins[old.oid] = min(path, origins.get(old.oid, path))
        there = {path: entry for path, entry in carried.items() if entry.oid in origins}
        moved = {path: moved_entry(entry, origins[entry.oid], path, self.trees) for path, entry in there.items()}
        return {path: entry for path, entry in moved.items() if entry != there[path]}

    # Lines that must not be merged

    def _changed_on_both(self) -> set[bytes]:
        both = {path for path, (one, two) in self.versions.between.items() if is_file(one) and is_file(two)}
        for base in self.bases:
            both &= self.trees.diff(base, self.one).keys() & self.trees.diff(base, self.two).keys()
        return both

    def _kept_apart(self, paths: set[bytes]) -> set[bytes]:
        """Of paths that are files on both sides those whose lines git must not merge, by attributes or content."""
        sides = {path: [entry for entry in self.versions.sides(path) if entry] for path in paths}
        contents = self.trees.read({entry.oid for entries in sides.values() for entry in entries})
        texts = {path: {version_of(entry, contents).kind for entry in entries} for path, entries in sides.items()}
        return self._apart(paths) | {path for path, kinds in texts.items() if kinds != {Kind.TEXT}}

    def _apart(self, paths: Iterable[bytes]) -> set[bytes]:
        """Of paths those whose lines must not be merged by their attributes."""
        return {path for path, lines in self._lines_of(paths).items() if lines is Lines.APART}

    def _lines_of(self, paths: Iterable[bytes]) -> dict[bytes, Lines]:
        """Return how the lines of paths may be merged: the attributes of either side count."""
        wanted = set(paths)
        if unknown := wanted - self._lines.keys():
            one, two = (self.trees.attributes(side, unknown) for side in self.sides)
            self._lines |= {path: lines_of_path(path, (one[path], two[path])) for path in unknown}
        return {path: self._lines[path] for path in wanted}


def _shown(paths: Sequence[bytes]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(os.fsdecode(path) for path in paths[:NAMED]) + more
