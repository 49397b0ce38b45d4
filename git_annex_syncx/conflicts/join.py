"""Two commits -> their merge commit: pure, canonical, without conflicts, and checked that no version is lost."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from git_annex_syncx.conflicts.by_path import Conflict, Diff, common_base, merge_by_path
from git_annex_syncx.conflicts.check import lost_paths
from git_annex_syncx.conflicts.resolve import Resolution, resolve
from git_annex_syncx.conflicts.version import Kind, is_file, version_of
from git_annex_syncx.errors import LostVersion, Refused
from git_annex_syncx.gateway import objects
from git_annex_syncx.gateway.git import Repository
from git_annex_syncx.gateway.history import independent
from git_annex_syncx.model import Entry

log = logging.getLogger(__name__)

MESSAGE = "Merge two heads\n\nMade by git-annex-syncx from these two commits alone.\n"
NAMED = 10
CACHED = 64 * 1024  # bytes of a blob that is kept in memory


class RepositoryTrees:
    """The trees and blobs of a repository, each difference computed once and small blobs read once."""

    def __init__(self, repo: Repository) -> None:
        """Nothing is read before it is asked for."""
        self.repo = repo
        self._diffs: dict[tuple[str, str], Diff] = {}
        self._entries: dict[str, Mapping[bytes, Entry]] = {}
        self._blobs: dict[str, bytes] = {}

    def diff(self, old: str, new: str) -> Diff:
        """Path -> (entry in `old`, entry in `new`)."""
        if (old, new) not in self._diffs:
            changes = objects.diff(self.repo, old, new) if old != new else {}
            self._diffs[old, new] = {path: (change.old, change.new) for path, change in changes.items()}
        return self._diffs[old, new]

    def entries(self, tree: str) -> Mapping[bytes, Entry]:
        """All paths of a tree."""
        if tree not in self._entries:
            self._entries[tree] = objects.entries(self.repo, tree)
        return self._entries[tree]

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Contents of blobs."""
        wanted = set(oids)
        found = objects.read_blobs(self.repo, wanted - self._blobs.keys())
        found |= {oid: self._blobs[oid] for oid in wanted - found.keys()}
        self._blobs |= {oid: content for oid, content in found.items() if len(content) <= CACHED}
        return found

    def write(self, contents: Sequence[bytes]) -> Sequence[str]:
        """Store blobs, their ids."""
        return objects.write_blobs(self.repo, contents)

    def newer(self, path: bytes, one: str, two: str) -> str | None:
        """Of two commits of a submodule the one that contains the other."""
        return objects.newer_submodule(self.repo, path, one, two)


@dataclass(frozen=True)
class Joined:
    """A merge commit, what became of the paths in conflict, and how often renames had to be given up for it."""

    commit: str
    resolutions: tuple[Resolution, ...] = ()
    fallbacks: int = 0


def join_heads(repo: Repository, heads: Iterable[str], unrelated: bool) -> Joined:
    """One commit that contains all heads, the same on every node that knows the same heads.

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
    """The merge commit of two commits that are given in order of their ids."""
    common = objects.merge_bases(repo, one, two)
    if not common and not unrelated:
        raise unrelated_error(one, two, "")
    bases = [objects.tree_of(repo, base) for base in common] or [objects.empty_tree(repo)]
    merge = _Merge(repo, bases, objects.tree_of(repo, one), objects.tree_of(repo, two))
    fallbacks = 0
    tree, resolutions = merge.with_renames(one, two)
    if lost := merge.lost(tree):
        log.info("a merge by renames would lose %s; merging path by path", _shown(lost))
        fallbacks = 1
        tree, resolutions = merge.by_path()
        if lost := merge.lost(tree):
            raise LostVersion(
                f"merging {one[:10]} and {two[:10]} would lose a version of {_shown(lost)}; nothing was changed"
            )
    for resolution in resolutions:
        log.info("conflict in %s (%s): now %s", _shown([resolution.path]), resolution.kind, _shown(resolution.became))
    return Joined(objects.commit_tree(repo, tree, (one, two), MESSAGE), resolutions, fallbacks)


def unrelated_error(one: str, two: str, holder: str) -> Refused:
    """What to say of two histories without a common commit; the second is the holder's, if that is not empty."""
    whose = f" of {holder}" if holder not in ("", ".") else ""
    return Refused(
        f"{one[:10]} and {two[:10]}{whose} share no history",
        "if they belong together: git annex-syncx merge --allow-unrelated-histories",
    )


class _Merge:
    """Two trees and the trees of their merge bases."""

    def __init__(self, repo: Repository, bases: list[str], one: str, two: str) -> None:
        self.repo, self.bases, self.one, self.two = repo, bases, one, two
        self.trees = RepositoryTrees(repo)

    def lost(self, result: str) -> list[bytes]:
        """Paths whose version a result has lost."""
        return lost_paths(self.trees, self.bases, self.one, self.two, result)

    def with_renames(self, one: str, two: str) -> tuple[str, tuple[Resolution, ...]]:
        """Git's own merge of the two commits, its conflicts resolved."""
        merged = objects.merge_tree(self.repo, one, two)
        suffix = re.compile(f"~({one}|{two})(_\\d+)?(?=/|$)".encode())
        stages: dict[bytes, dict[int, Entry]] = {}
        for path, found in merged.stages.items():
            stages.setdefault(suffix.sub(b"", path), {}).update(found)
        apart, together = self._kept_apart(stages.keys() | self._changed_on_both())
        stages |= {path: {} for path in apart | together if path not in stages}
        if not stages:
            return merged.tree, ()
        conflicts = [replace(self._conflict(path, found), apart=path in apart) for path, found in stages.items()]
        return self._resolved(merged.tree, merged.stages.keys() | stages.keys(), conflicts)

    def by_path(self) -> tuple[str, tuple[Resolution, ...]]:
        """The merge without renames, its conflicts resolved."""
        since = [self.trees.diff(base, self.one) for base in self.bases]
        merged = merge_by_path(self.trees.diff(self.one, self.two), since)
        apart, _ = self._kept_apart({conflict.path for conflict in merged.conflicts})
        conflicts = [replace(conflict, apart=conflict.path in apart) for conflict in merged.conflicts]
        return self._resolved(self.one, (), conflicts, merged.changes)

    def _resolved(
        self,
        tree: str,
        removed: Iterable[bytes],
        conflicts: list[Conflict],
        changes: Mapping[bytes, Entry | None] | None = None,
    ) -> tuple[str, tuple[Resolution, ...]]:
        changes = dict.fromkeys(removed) | dict(changes or {})
        others = {p: e for p, e in self.trees.entries(tree).items() if p not in changes}
        others |= {path: entry for path, entry in changes.items() if entry}
        resolved = resolve(conflicts, others, self.trees)
        return objects.change_tree(self.repo, tree, {**changes, **resolved.changes}), resolved.resolutions

    def _changed_on_both(self) -> set[bytes]:
        between = self.trees.diff(self.one, self.two)
        both = {path for path, (one, two) in between.items() if one and two}
        for base in self.bases:
            both &= self.trees.diff(base, self.one).keys() & self.trees.diff(base, self.two).keys()
        return both

    def _kept_apart(self, paths: set[bytes]) -> tuple[set[bytes], set[bytes]]:
        """Of paths changed on both sides those whose lines must not be merged, by attribute and by content."""
        sides = {path: self._sides(path) for path in paths}
        files = {path for path, pair in sides.items() if all(is_file(entry) for entry in pair)}
        attributes = objects.attributes(self.repo, self.one, files, ("merge", "syncx"))
        apart = {
            path
            for path, has in attributes.items()
            if has.get("merge") in ("unset", "binary") or has.get("syncx") == "variants"
        }
        contents = self.trees.read({entry.oid for path in files for entry in sides[path] if entry})
        kinds = {path: {version_of(e, contents).kind for e in sides[path] if e} for path in files}
        return apart, {path for path, found in kinds.items() if found != {Kind.TEXT}}

    def _sides(self, path: bytes) -> tuple[Entry | None, Entry | None]:
        between = self.trees.diff(self.one, self.two)
        return between.get(path, (None, None))

    # The versions of a path

    def _conflict(self, path: bytes, stages: Mapping[int, Entry]) -> Conflict:
        """Versions come from the two trees; a stage only tells that a side's version has another name there."""
        one, two = self._sides_of(path)
        base = self._base(path)
        if two is None and 3 in stages and (origin := self._origin(stages[3], of_one=False)):
            two, base = self._sides(origin)[1], self._base(origin)
        elif one is None and 2 in stages and (origin := self._origin(stages[2], of_one=True)):
            one, base = self._sides(origin)[0], self._base(origin)
        return Conflict(path, base, one, two)

    def _sides_of(self, path: bytes) -> tuple[Entry | None, Entry | None]:
        if path in self.trees.diff(self.one, self.two):
            return self._sides(path)
        entry = self.trees.entries(self.one).get(path)
        return entry, entry

    def _base(self, path: bytes) -> Entry | None:
        one = self._sides_of(path)[0]
        return common_base(path, one, [self.trees.diff(base, self.one) for base in self.bases])

    def _origin(self, stage: Entry, of_one: bool) -> bytes | None:
        """The path at which a side has the version that the other side's rename carried elsewhere."""
        found = []
        for path, (one, two) in self.trees.diff(self.one, self.two).items():
            mine, other = (one, two) if of_one else (two, one)
            if other is None and mine and mine.oid == stage.oid and self._base(path) not in (None, mine):
                found.append(path)
        return min(found, default=None)


def _shown(paths: Sequence[bytes]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(os.fsdecode(path) for path in paths[:NAMED]) + more
