"""The merge commit of two commits: canonical, without conflicts, and verified that no version is lost.

It depends on the two commits alone. Git's own merge comes first, its conflicts resolved. Where it lost or spoiled a
version (with renames even a clean result can) the paths of that version are merged path by path, all others stay as
git has them; what is still missing then is put back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Set
from dataclasses import dataclass

from git_annex_syncx.conflicts.moved_keys import followed, moved_entry, relinked
from git_annex_syncx.conflicts.placing import put_back
from git_annex_syncx.conflicts.resolutions import Joined, Resolution, message, unrelated_error
from git_annex_syncx.conflicts.resolve import resolve
from git_annex_syncx.conflicts.trees import RepositoryTrees, Sides, Stages, original_names, with_changes
from git_annex_syncx.conflicts.verify import Verdict, verify
from git_annex_syncx.conflicts.versions import FILES, Kind, Lines, family, is_variant, lines_of_path, version_of
from git_annex_syncx.errors import LostVersion
from git_annex_syncx.git import history, objects
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import GITLINK, Entry

log = logging.getLogger(__name__)

NAMED = 10


def join_heads(repo: Repository, heads: Iterable[str], unrelated: bool) -> Joined:
    """Return one commit that contains all heads, the same on every node that knows the same heads.

    None of the heads may contain another; they are merged one after the other, in order of commit id.
    Raises Refused where two of them share no history and `unrelated` is false, LostVersion.
    """
    first, *rest = sorted(heads)
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
    first, second, *bases = (history.read_commit(repo, commit) for commit in (one, two, *common))
    trees = [base.tree for base in bases] or [objects.empty_tree(repo)]
    merge = _Merge(repo, trees, (first.tree, second.tree), two_is_later=second.date >= first.date)
    tree, resolutions, mended = merge.verified(objects.merge_tree(repo, one, two), one, two)
    made = objects.commit_tree(
        repo, merge.trees.stored(tree), (one, two), max(first.date, second.date), message(resolutions)
    )
    return Joined(made, resolutions, int(mended))


@dataclass(frozen=True)
class _Result:
    """A tree that the merge could become, and the resolutions in it."""

    tree: str
    resolutions: tuple[Resolution, ...] = ()


class _Merge:
    """A merge of two trees with the trees of their merge bases, from git's own to one that loses nothing."""

    def __init__(self, repo: Repository, bases: list[str], sides: tuple[str, str], two_is_later: bool) -> None:
        self.bases, self.sides, self.two_is_later = bases, sides, two_is_later
        self.trees = RepositoryTrees(repo, sides[0])
        self.trees.read_diffs([sides, *((base, side) for side in sides for base in bases)])
        self.paths = Sides(self.trees, bases, *sides)
        self._lines: dict[bytes, Lines] = {}

    def verified(
        self, by_git: objects.TreeMerge | None, one: str, two: str
    ) -> tuple[str, tuple[Resolution, ...], bool]:
        """Return the tree of the merge, the resolutions, and whether git's own merge had to be mended.

        Raises LostVersion where even that loses one.
        """
        merged = by_git or objects.TreeMerge(self.sides[0], {})  # then all is merged path by path
        self.trees.read_diffs((side, merged.tree) for side in self.sides)
        apart: dict[bytes, dict[int, Entry]] = {path: {} for path in self._kept_apart()}
        stages = apart | original_names(merged.stages, one, two)
        by_path = at_first = self._displaced(merged.tree) if by_git else self._changed()
        result = self._result(merged, stages, by_path)
        while (verdict := self._verify(result)).paths - by_path:
            by_path = by_path | verdict.paths
            log.info("merging path by path what a merge by renames would lose: %s", _shown(by_path - at_first))
            result = self._result(merged, stages, by_path)
        mended = bool(by_path - at_first or verdict.missing or by_git is None)
        if verdict.missing:
            result = self._completed(result, verdict)
            verdict = self._verify(result)
        if verdict.missing or verdict.spoiled:
            lost = [*verdict.spoiled, *(one.path for one in verdict.missing)]
            raise LostVersion(f"merging {one[:10]} and {two[:10]} would lose a version of {_shown(lost)}")
        return result.tree, result.resolutions, mended

    def _verify(self, result: _Result) -> Verdict:
        return verify(self.trees, self.bases, self.sides, result.tree, self._apart)

    def _completed(self, result: _Result, verdict: Verdict) -> _Result:
        """Return a result with the missing versions put back."""
        added, told = put_back(verdict.missing, self.trees.entries(result.tree), self.trees)
        log.info("put back: %s", _shown(added))
        return _Result(self.trees.changed(result.tree, added), (*result.resolutions, *told))

    def _result(self, merged: objects.TreeMerge, stages: Stages, by_path: Set[bytes]) -> _Result:
        """Return git's merge, but that of some paths, with all conflicts resolved."""
        alone, conflicts = self.paths.merge_by_path(by_path)
        left = {path: versions for path, versions in stages.items() if path not in by_path}
        changes: dict[bytes, Entry | None] = dict.fromkeys((*merged.stages, *stages)) | alone
        if len(self.bases) == 1 and any(None in self.paths.at(path) for path in left):
            for old, (new, entry) in followed(self.trees, self.paths.since, left).items():
                del left[old]
                changes |= {old: None, new: moved_entry(entry, old, new, self.trees)}
        moved = [self.trees.diff(side, merged.tree) for side in self.sides]
        if carried := moved[0].keys() & moved[1].keys() - changes.keys():
            changes |= relinked(self.trees, moved, carried)
        if not changes:
            return _Result(merged.tree)
        conflicts += [self.paths.conflict(path, versions) for path, versions in left.items()]
        others = with_changes(self.trees.entries(merged.tree), changes)
        lines = self._lines_of(conflict.path for conflict in conflicts)
        resolved = resolve(conflicts, others, self.trees, lines, self.two_is_later)
        return _Result(self.trees.changed(merged.tree, {**changes, **resolved.changes}), resolved.resolutions)

    # Paths that git's merge may not have

    def _changed(self) -> frozenset[bytes]:
        """Return all paths at which a side differs from a merge base or from the other."""
        return frozenset(self.paths.between).union(*self.paths.since)

    def _displaced(self, tree: str) -> frozenset[bytes]:
        """Return the paths to merge without renames where git's tree has put another version in their place.

        A submodule's path stands in .gitmodules, and the name of a new variant tells its version.
        """
        pairs = [(path, pair) for since in self.paths.since for path, pair in since.items()]
        submodules = {path for path, pair in pairs if any(entry and entry.mode == GITLINK for entry in pair)}
        variants = {path for path, (old, _) in pairs if old is None and is_variant(path)}
        moved = self.trees.diff(self.sides[0], tree)
        displaced = {
            path for path in submodules | variants if path in moved and moved[path][1] not in self.paths.at(path)
        }
        families = {family(path) for path in displaced & variants}
        kin = {path for path, _ in pairs if families and family(path) in families}
        return frozenset(kin | (submodules if displaced & submodules else set()))

    # Paths whose lines must not be merged

    def _kept_apart(self) -> set[bytes]:
        """Return the files changed on both sides whose lines git must not merge, by their attributes or content."""
        both = set(self.paths.between).intersection(*self.paths.since)
        files = {path: [e for e in self.paths.between[path] if e and e.mode in FILES] for path in both}
        pairs = {path: entries for path, entries in files.items() if len(entries) == 2}
        contents = self.trees.read({entry.oid for entries in pairs.values() for entry in entries})
        kinds = {path: {version_of(entry, contents).kind for entry in entries} for path, entries in pairs.items()}
        return self._apart(pairs) | {path for path in pairs if kinds[path] != {Kind.TEXT}}

    def _apart(self, paths: Iterable[bytes]) -> set[bytes]:
        """Return the paths, of these, whose lines must not be merged by their attributes."""
        return {path for path, lines in self._lines_of(paths).items() if lines is Lines.APART}

    def _lines_of(self, paths: Iterable[bytes]) -> dict[bytes, Lines]:
        """Return how the lines of paths may be merged: the attributes of either side count."""
        wanted = set(paths)
        if unknown := wanted - self._lines.keys():
            one, two = (self.trees.attributes(side, unknown) for side in self.sides)
            self._lines |= {path: lines_of_path(path, (one[path], two[path])) for path in unknown}
        return {path: self._lines[path] for path in wanted}


def _shown(paths: Iterable[bytes]) -> str:
    names = [os.fsdecode(path) for path in sorted(paths)]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
