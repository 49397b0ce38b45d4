"""The trees of a merge: a repository's trees and blobs, each read once, and the paths of the two sides."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

from git_annex_syncx.annex.key import LARGEST_POINTER
from git_annex_syncx.conflicts.versions import Conflict, Diff, Trees, is_file, key_in
from git_annex_syncx.git import cat_file, objects
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Entry

CACHED = 64 * 1024  # bytes of a blob that is kept in memory
ATTRIBUTES = ("syncx", "merge", "filter")

Stages = Mapping[bytes, Mapping[int, Entry]]


class RepositoryTrees:
    """The trees and blobs of a repository, each difference computed once and small blobs read once.

    Blobs and trees that a merge makes are written at its end, all at once: to start a git for each takes 7 ms.
    """

    def __init__(self, repo: Repository, oid: str) -> None:
        """Take the id of any object there: its length tells the repository's hash function."""
        self.repo, self.hashing = repo, "sha1" if len(oid) == 40 else "sha256"
        self._diffs: dict[tuple[str, str], Diff] = {}
        self._entries: dict[str, Mapping[bytes, Entry]] = {}
        self._blobs: dict[str, bytes] = {}
        self._keys: dict[str, bytes] = {}
        self._new_blobs: dict[str, bytes] = {}
        self._unwritten: dict[str, tuple[str, Mapping[bytes, Entry | None]]] = {}

    def diff(self, old: str, new: str) -> Diff:
        """Return path -> (entry in `old`, entry in `new`) for all paths that differ; only `new` may be unwritten."""
        if (old, new) not in self._diffs:
            if new in self._unwritten:
                self._diffs[old, new] = self._diff_unwritten(old, new)
            else:
                self.read_diffs([(old, new)])
        return self._diffs[old, new]

    def read_diffs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Read the differences of pairs of trees, those that are not known yet, by one git."""
        unknown = [pair for pair in dict.fromkeys(pairs) if pair not in self._diffs]
        if not unknown:
            return
        for pair, changes in zip(unknown, objects.diffs(self.repo, unknown), strict=True):
            self._diffs[pair] = {path: (change.old, change.new) for path, change in changes.items()}

    def _diff_unwritten(self, old: str, new: str) -> Diff:
        known, changes = self._unwritten[new]
        found, entries = dict(self.diff(old, known)), self.entries(known)
        for path, entry in changes.items():
            before = found[path][0] if path in found else entries.get(path)
            found[path] = before, entry
            if before == entry:
                del found[path]
        return found

    def entries(self, tree: str) -> Mapping[bytes, Entry]:
        """Return all paths of a tree with their entries."""
        if tree not in self._entries:
            known = self._changed_entries(tree)
            self._entries[tree] = objects.entries(self.repo, tree) if known is None else known
        return self._entries[tree]

    def _changed_entries(self, tree: str) -> Mapping[bytes, Entry] | None:
        """Return all paths of a tree whose difference to a known one is known: much cheaper than to read it."""
        if tree in self._unwritten:
            known, changes = self._unwritten[tree]
            return with_changes(self.entries(known), changes)
        for (old, new), diff in self._diffs.items():
            if new == tree and old in self._entries:
                return with_changes(self._entries[old], {path: after for path, (_, after) in diff.items()})
        return None

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the contents of blobs."""
        wanted = set(oids)
        known = {oid: kept[oid] for kept in (self._blobs, self._new_blobs) for oid in wanted & kept.keys()}
        if len(known) == len(wanted):
            return known
        found = objects.read_blobs(self.repo, wanted - known.keys())
        self._blobs |= {oid: content for oid, content in found.items() if len(content) <= CACHED}
        return known | found

    def keys(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the keys that blobs name, empty for those that name none; large blobs are not read."""
        wanted = set(oids)
        contents = {oid: self._new_blobs[oid] for oid in wanted & self._new_blobs.keys()}
        if unknown := sorted(wanted - self._keys.keys() - contents.keys()):
            sizes = zip(unknown, cat_file.look_up(self.repo, unknown), strict=True)
            small = [oid for oid, found in sizes if not found or found.size <= LARGEST_POINTER]
            contents |= objects.read_blobs(self.repo, small)
            self._keys |= dict.fromkeys(unknown, b"")
        self._keys |= {oid: key_in(content) for oid, content in contents.items()}
        return {oid: self._keys[oid] for oid in wanted}

    def attributes(self, tree: str, paths: Iterable[bytes]) -> Mapping[bytes, Mapping[str, str]]:
        """Return what the attribute files of a tree say of paths about merging."""
        name = b".gitattributes"
        found = {p: e for p, e in self.entries(tree).items() if p == name or p.endswith(b"/" + name)}
        given = {path: entry for path, entry in found.items() if is_file(entry)}
        return objects.attributes(self.repo, given, paths, ATTRIBUTES)

    def write(self, contents: Sequence[bytes]) -> Sequence[str]:
        """Return the ids of blobs; they are written with the tree."""
        oids = [self._blob_id(content) for content in contents]
        self._new_blobs |= zip(oids, contents, strict=True)
        return oids

    def _blob_id(self, content: bytes) -> str:
        header = b"blob %d\0" % len(content)
        return hashlib.new(self.hashing, header + content, usedforsecurity=False).hexdigest()

    def changed(self, tree: str, changes: Mapping[bytes, Entry | None]) -> str:
        """Return a name for a tree with some paths set or removed; nothing is written."""
        if not changes:
            return tree
        known, before = self._unwritten.get(tree, (tree, {}))
        name = f"unwritten {len(self._unwritten)}"
        self._unwritten[name] = known, {**before, **changes}
        return name

    def stored(self, tree: str) -> str:
        """Write a tree and all blobs; return its id."""
        if self._new_blobs:
            objects.write_blobs(self.repo, list(self._new_blobs.values()))
        known, changes = self._unwritten.get(tree, (tree, {}))
        return objects.change_tree(self.repo, known, changes) if changes else tree


class Sides:
    """The paths of two trees and of the trees of their merge bases."""

    def __init__(self, trees: Trees, bases: Sequence[str], one: str, two: str) -> None:
        self.trees, self.one, self.two = trees, one, two
        self.between = trees.diff(one, two)
        self.since_bases = [trees.diff(base, one) for base in bases]
        self.since = [*self.since_bases, *(trees.diff(base, two) for base in bases)]

    def at(self, path: bytes) -> tuple[Entry | None, Entry | None]:
        """Return the entries of a path on both sides."""
        if path in self.between:
            return self.between[path]
        entry = self.trees.entries(self.one).get(path)
        return entry, entry

    def base(self, path: bytes) -> Entry | None:
        """Return the entry of a path in the merge bases if they agree, else None."""
        bases = {since[path][0] if path in since else self.at(path)[0] for since in self.since_bases}
        return bases.pop() if len(bases) == 1 else None

    def conflict(self, path: bytes, stages: Mapping[int, Entry]) -> Conflict:
        """Return the conflict at a path; a stage tells that a side has its version under another name."""
        one, two = self.at(path)
        base = self.base(path)
        if two is None and 3 in stages and (origin := self._origin(stages[3], 1)):
            two, base = self.at(origin)[1], self.base(origin)
        elif one is None and 2 in stages and (origin := self._origin(stages[2], 0)):
            one, base = self.at(origin)[0], self.base(origin)
        return Conflict(path, base, one, two)

    def merge_by_path(self, paths: Iterable[bytes]) -> tuple[dict[bytes, Entry | None], list[Conflict]]:
        """Merge some paths, each by itself and without renames, where git's own merge lost a version.

        Return the entries that they become, None for now where both sides changed one, and those conflicts.
        """
        changes: dict[bytes, Entry | None] = {}
        conflicts = []
        for path in paths:
            (one, two), base = self.at(path), self.base(path)
            if one == two or two == base:
                changes[path] = one
            elif one == base:
                changes[path] = two
            else:
                conflicts.append(Conflict(path, base, one, two))
                changes[path] = None
        return changes, conflicts

    def _origin(self, stage: Entry, side: int) -> bytes | None:
        """Return the path at which a side (0 or 1) has the version that the other side's rename carried elsewhere."""
        found = []
        for path, pair in self.between.items():
            mine, other = pair[side], pair[1 - side]
            if other is None and mine and mine.oid == stage.oid and self.base(path) not in (None, mine):
                found.append(path)
        return min(found, default=None)


def original_names(stages: Stages, one: str, two: str) -> dict[bytes, dict[int, Entry]]:
    """Return the stages under the names that the paths had before git made room: it adds `~COMMIT`, and a number.

    Stages tell only which paths are in conflict: the blob of one can hold conflict markers, and a rename carries it
    to another name. Versions are read from the trees of the two sides.
    """
    suffix = re.compile(f"~({one}|{two})(_\\d+)?(?=/|$)".encode())
    found: dict[bytes, dict[int, Entry]] = {}
    for path, versions in stages.items():
        found.setdefault(suffix.sub(b"", path), {}).update(versions)
    return found


def with_changes(entries: Mapping[bytes, Entry], changes: Mapping[bytes, Entry | None]) -> dict[bytes, Entry]:
    """Return the entries of a tree with some paths set or removed."""
    return {path: entry for path, entry in {**entries, **changes}.items() if entry}
