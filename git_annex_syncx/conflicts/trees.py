"""The trees and blobs of a repository as a merge reads them, each once, and trees that are not written yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from git_annex_syncx.annex.key import LARGEST_POINTER
from git_annex_syncx.conflicts.lines import ATTRIBUTES
from git_annex_syncx.conflicts.versions import is_file, key_in
from git_annex_syncx.conflicts.without_renames import Diff
from git_annex_syncx.git import cat_file, objects
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Entry

CACHED = 64 * 1024  # bytes of a blob that is kept in memory


class RepositoryTrees:
    """The trees and blobs of a repository, each difference computed once and small blobs read once."""

    def __init__(self, repo: Repository, hashing: str) -> None:
        """Nothing is read before it is asked for; `hashing` is how the repository names objects: sha1 or sha256."""
        self.repo, self.hashing = repo, hashing
        self._diffs: dict[tuple[str, str], Diff] = {}
        self._entries: dict[str, Mapping[bytes, Entry]] = {}
        self._blobs: dict[str, bytes] = {}
        self._keys: dict[str, bytes] = {}
        self._new_blobs: dict[str, bytes] = {}
        self._unwritten: dict[str, tuple[str, Mapping[bytes, Entry | None]]] = {}

    def diff(self, old: str, new: str) -> Diff:
        """Path -> (entry in `old`, entry in `new`); only `new` may be unwritten."""
        if (old, new) not in self._diffs:
            self._diffs[old, new] = self._diff_unwritten(old, new) if new in self._unwritten else self._diff(old, new)
        return self._diffs[old, new]

    def entries(self, tree: str) -> Mapping[bytes, Entry]:
        """All paths of a tree."""
        if tree not in self._entries:
            known = self._changed_entries(tree)
            self._entries[tree] = objects.entries(self.repo, tree) if known is None else known
        return self._entries[tree]

    def _changed_entries(self, tree: str) -> Mapping[bytes, Entry] | None:
        """All paths of a tree whose difference to one that is known is known too: much cheaper than to read it."""
        if tree in self._unwritten:
            known, changes = self._unwritten[tree]
            return _with(self.entries(known), changes)
        for (old, new), diff in self._diffs.items():
            if new == tree and old in self._entries:
                return _with(self._entries[old], {path: after for path, (_, after) in diff.items()})
        return None

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Contents of blobs."""
        wanted = set(oids)
        if made := wanted & self._new_blobs.keys():
            return {oid: self._new_blobs[oid] for oid in made} | dict(self.read(wanted - made))
        if unknown := wanted - self._blobs.keys():
            found = objects.read_blobs(self.repo, unknown)
            self._blobs |= {oid: content for oid, content in found.items() if len(content) <= CACHED}
            return found | {oid: self._blobs[oid] for oid in wanted - unknown}
        return {oid: self._blobs[oid] for oid in wanted}

    def keys(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """The keys that blobs name, empty for those that name none."""
        wanted = set(oids)
        self._keys |= {oid: key_in(content) for oid, content in self._new_blobs.items() if oid in wanted}
        unknown = sorted(wanted - self._keys.keys())
        sizes = dict(zip(unknown, cat_file.look_up(self.repo, unknown), strict=True))
        small = [oid for oid, found in sizes.items() if not found or found.size <= LARGEST_POINTER]
        self._keys |= dict.fromkeys(unknown, b"")
        self._keys |= {oid: key_in(content) for oid, content in objects.read_blobs(self.repo, small).items()}
        return {oid: self._keys[oid] for oid in wanted}

    def write(self, contents: Sequence[bytes]) -> Sequence[str]:
        """Return the ids of blobs; they are written with the tree, all at once."""
        made = {self._blob_id(content): content for content in contents}
        self._new_blobs |= made
        return list(map(self._blob_id, contents))

    def _blob_id(self, content: bytes) -> str:
        header = b"blob %d\0" % len(content)
        return hashlib.new(self.hashing, header + content, usedforsecurity=False).hexdigest()

    def attributes(self, tree: str, paths: Iterable[bytes]) -> Mapping[bytes, Mapping[str, str]]:
        """Return what the attribute files of a tree say of paths about merging."""
        files = (b".gitattributes", b"/.gitattributes")
        found = {p: e for p, e in self.entries(tree).items() if p == files[0] or p.endswith(files[1])}
        given = {path: entry for path, entry in found.items() if is_file(entry)}
        return objects.attributes(self.repo, given, paths, ATTRIBUTES)

    def changed(self, tree: str, changes: Mapping[bytes, Entry | None]) -> str:
        """A name for what a tree would be with some paths set or removed; nothing is written."""
        if not changes:
            return tree
        known, before = self._unwritten.get(tree, (tree, {}))
        name = f"unwritten {len(self._unwritten)}"
        self._unwritten[name] = known, {**before, **changes}
        return name

    def stored(self, tree: str) -> str:
        """The id of a tree; it is written, and so are all blobs, if it was not."""
        if self._new_blobs:
            objects.write_blobs(self.repo, list(self._new_blobs.values()))
        known, changes = self._unwritten.get(tree, (tree, {}))
        return objects.change_tree(self.repo, known, changes) if changes else tree

    def _diff(self, old: str, new: str) -> Diff:
        changes = objects.diff(self.repo, old, new) if old != new else {}
        return {path: (change.old, change.new) for path, change in changes.items()}

    def _diff_unwritten(self, old: str, new: str) -> Diff:
        known, changes = self._unwritten[new]
        found, entries = dict(self.diff(old, known)), self.entries(known)
        for path, entry in changes.items():
            before = found[path][0] if path in found else entries.get(path)
            found[path] = before, entry
            if before == entry:
                del found[path]
        return found


def _with(entries: Mapping[bytes, Entry], changes: Mapping[bytes, Entry | None]) -> dict[bytes, Entry]:
    return {path: entry for path, entry in {**entries, **changes}.items() if entry}
