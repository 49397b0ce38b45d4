"""Two commits -> their merge commit: pure, canonical, and checked that no version is lost."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping

from git_annex_syncx.conflicts.check import lost_paths
from git_annex_syncx.conflicts.resolve import merge_by_path
from git_annex_syncx.errors import LostVersion, Refused
from git_annex_syncx.gateway import objects
from git_annex_syncx.gateway.git import Repository, independent
from git_annex_syncx.model import Entry

log = logging.getLogger(__name__)

MESSAGE = "Merge two heads\n\nMade by git-annex-syncx from these two commits alone.\n"
CANONICAL_SUFFIX = re.compile(rb"~[0-9a-f]{40,64}(_\d+)?(?=/|$)")
NAMED = 10


class RepositoryTrees:
    """The trees of a repository as the check reads them, each difference computed once."""

    def __init__(self, repo: Repository) -> None:
        """Nothing is read before it is asked for."""
        self.repo = repo
        self._diffs: dict[tuple[str, str], Mapping[bytes, tuple[Entry | None, Entry | None]]] = {}
        self._entries: dict[str, Mapping[bytes, Entry]] = {}

    def diff(self, old: str, new: str) -> Mapping[bytes, tuple[Entry | None, Entry | None]]:
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
        return objects.read_blobs(self.repo, oids)


def join_heads(repo: Repository, heads: Iterable[str], unrelated: bool) -> str:
    """One commit that contains all heads, the same on every node that knows the same heads.

    Heads contained in others are dropped, the rest is folded in order of commit id.
    Raises Refused where two of them conflict, or share no history and `unrelated` is false.
    """
    first, *rest = independent(repo, heads)
    for commit in rest:
        first = join(repo, min(first, commit), max(first, commit), unrelated)
    return first


def join(repo: Repository, one: str, two: str, unrelated: bool) -> str:
    """The merge commit of two commits that are given in order of their ids."""
    trees = RepositoryTrees(repo)
    common = objects.merge_bases(repo, one, two)
    if not common and not unrelated:
        raise unrelated_error(one, two, "")
    bases = [objects.tree_of(repo, base) for base in common] or [objects.empty_tree(repo)]
    one_tree, two_tree = objects.tree_of(repo, one), objects.tree_of(repo, two)
    merged = objects.merge_tree(repo, one, two)
    conflicted = {CANONICAL_SUFFIX.sub(b"", path) for path in merged.conflicted} | _kept_apart(
        repo, trees, bases, one_tree, two_tree
    )
    _refuse(conflicted)
    result = merged.tree
    if lost := lost_paths(trees, bases, one_tree, two_tree, result):
        log.info("a merge by renames would lose %s; merging path by path", _shown(lost))
        result = _by_path(repo, trees, bases, one_tree, two_tree)
        if lost := lost_paths(trees, bases, one_tree, two_tree, result):
            raise LostVersion(
                f"merging {one[:10]} and {two[:10]} would lose a version of {_shown(lost)}; nothing was changed"
            )
    return objects.commit_tree(repo, result, (one, two), MESSAGE)


def unrelated_error(one: str, two: str, holder: str) -> Refused:
    """What to say of two histories without a common commit; the second is the holder's, if that is not empty."""
    whose = f" of {holder}" if holder not in ("", ".") else ""
    return Refused(
        f"{one[:10]} and {two[:10]}{whose} share no history",
        "if they belong together: git annex-syncx merge --allow-unrelated-histories",
    )


def _by_path(repo: Repository, trees: RepositoryTrees, bases: list[str], one: str, two: str) -> str:
    def merge_texts(ours: str, base: str, theirs: str) -> str | None:
        contents = objects.read_blobs(repo, (ours, base, theirs))
        if any(b"\0" in content for content in contents.values()):
            return None
        merged = objects.merge_file(repo, contents[ours], contents[base], contents[theirs])
        return objects.write_blob(repo, merged) if merged is not None else None

    merged = merge_by_path(
        trees.diff(one, two), [trees.diff(base, one) for base in bases], trees.entries(one), merge_texts
    )
    _refuse(merged.conflicted)
    return objects.change_tree(repo, one, merged.changes)


def _kept_apart(repo: Repository, trees: RepositoryTrees, bases: list[str], one: str, two: str) -> set[bytes]:
    """Paths changed on both sides whose attributes forbid to merge their lines."""
    both = {
        path
        for path, (ours, theirs) in trees.diff(one, two).items()
        if ours and theirs and all(path in trees.diff(base, one) and path in trees.diff(base, two) for base in bases)
    }
    found = objects.attributes(repo, one, both, ("merge", "syncx"))
    return {
        path
        for path, has in found.items()
        if has.get("merge") in ("unset", "binary") or has.get("syncx") == "variants"
    }


def _refuse(conflicted: Iterable[bytes]) -> None:
    paths = sorted(conflicted)
    if paths:
        raise Refused(
            f"conflict in {_shown(paths)}; nothing was changed",
            "merge by hand: git merge, edit the files, git commit",
        )


def _shown(paths: list[bytes]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(os.fsdecode(path) for path in paths[:NAMED]) + more
