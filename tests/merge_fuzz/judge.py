"""Has a merge lost or spoiled a version? Slow and simple, and with no line of the code that it judges."""

from __future__ import annotations

import hashlib
import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from git_annex_syncx.model import GITLINK, SYMLINK, Entry

from .store import Store
from .versions import (
    LFS,
    MARKER,
    Version,
    attributes,
    family,
    is_binary,
    is_file,
    is_prose,
    is_text,
    kept_apart,
    key_in,
    lines,
    link_target,
    pointer,
    version,
)

Files = dict[bytes, Entry]
ESCAPED = {b"&a": b"&", b"&s": b"%", b"&c": b":", b"%": b"/"}
LONG_KEY = 180  # bytes; a longer one is named by its digest


@dataclass(frozen=True)
class Finding:
    """What is wrong with a merge: a short name of the kind, the path, and why."""

    rule: str
    path: bytes
    why: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.path.decode(errors='backslashreplace')}: {self.why}"


class Side:
    """One of the two commits that are merged: its files, and what it did since the bases."""

    def __init__(self, store: Store, files: Files, bases: list[Files]) -> None:
        self.store, self.files = store, files
        self.versions = places(store, files)
        self.left = {path for base in bases for path in base if path not in files}


def places(store: Store, files: Files) -> dict[Version, list[bytes]]:
    """Version -> the paths at which it is."""
    found: dict[Version, list[bytes]] = {}
    for path, entry in sorted(files.items()):
        if (here := version(store, entry)) is not None:
            found.setdefault(here, []).append(path)
    return found


class Judge:
    """Judges the merge of two commits."""

    def __init__(self, store: Store, merge: str) -> None:
        """Raises Unsound where the merge's tree is none."""
        self.store = store
        self.one, self.two = store.commit_of(merge).parents
        self.result: Files = store.files(merge)
        self.bases: list[Files] = [store.files(base) for base in store.bases(self.one, self.two)]
        self.sides = [Side(store, store.files(commit), self.bases) for commit in (self.one, self.two)]
        self.held = places(store, self.result)
        self.known = {e.oid for files in (*self.bases, *(s.files for s in self.sides)) for e in files.values()}
        self.in_bases = {v for base in self.bases for v in places(store, base)}
        self.texts = [e for e in self.result.values() if is_text(store, e)]

    def findings(self) -> Iterator[Finding]:
        """All that is wrong."""
        yield from self._unchanged()
        yield from self._versions()
        yield from self._families()
        yield from self._contents()
        yield from self._names()

    @property
    def versions(self) -> int:
        """How many versions the two sides have."""
        return len(self.sides[0].versions.keys() | self.sides[1].versions.keys())

    # Nothing is lost

    def _unchanged(self) -> Iterator[Finding]:
        one, two = (side.files for side in self.sides)
        for path, entry in one.items():
            if two.get(path) == entry != self.result.get(path):
                yield Finding("1 equal", path, f"equal on both sides, now {self.result.get(path)}")

    def _versions(self) -> Iterator[Finding]:
        for mine, other in (self.sides, self.sides[::-1]):
            for here, paths in mine.versions.items():
                if here in self.held:
                    continue
                if here not in self.in_bases:
                    for path in paths:
                        if not self._lines_are_held(mine, other, path):
                            yield Finding("2 new", path, f"{here[0]} {here[1]} is nowhere")
                            break
                elif here in other.versions and mine is self.sides[0] and not self._both_gave_up(here, paths[0]):
                    yield Finding("2 both", paths[0], f"{here[0]} {here[1]}, which both have, is nowhere")

    def _lines_are_held(self, mine: Side, other: Side, path: bytes) -> bool:
        """Rule 3: whether one text of the result holds what the side did at the path."""
        entry = mine.files[path]
        if not is_text(self.store, entry):
            return False
        own = self._lines(entry)
        before = [base[path] for base in self.bases if path in base]
        if before:
            wanted = own - self._all_lines(before)
            return any(wanted <= self._lines(text) for text in self.texts)
        left = {q: [base[q] for base in self.bases if q in base] for q in mine.left}
        wanted = own - self._all_lines(e for entries in left.values() for e in entries)
        return any(wanted | kept <= self._lines(text) for kept in self._kept(own, left, other) for text in self.texts)

    def _kept(self, own: frozenset[bytes], left: dict[bytes, list[Entry]], other: Side) -> list[frozenset[bytes]]:
        """Where the side moved a text: its lines that the other side still has at the likeliest old path."""
        alike = {q: len(own & self._all_lines(entries)) for q, entries in left.items()}
        most = max(alike.values(), default=0)
        if not most:
            return [frozenset()]
        return [own & self._lines(other.files.get(q)) for q, shared in alike.items() if shared == most]

    def _both_gave_up(self, here: Version, path: bytes) -> bool:
        """Whether each side edited another copy of a text that both have, or a text of the result holds its lines."""
        entry = self.sides[0].files[path]
        if not is_text(self.store, entry):
            return False
        own = self._lines(entry)
        return any(own <= self._lines(text) for text in self.texts) or all(
            any(
                version(self.store, was) == here
                and version(self.store, now := side.files.get(q, was)) != here
                and own & self._lines(now)
                for base in self.bases
                for q, was in base.items()
            )
            for side in self.sides
        )

    def _lines(self, entry: Entry | None) -> frozenset[bytes]:
        return lines(self.store.content(entry.oid)) if entry and is_text(self.store, entry) else frozenset()

    def _all_lines(self, entries: Iterable[Entry]) -> frozenset[bytes]:
        return frozenset().union(*(self._lines(entry) for entry in entries))

    def _families(self) -> Iterator[Finding]:
        """Rule 4: a name and its variants do not all go where each side settled for another one."""
        families = [{family(p) for p in side.files} for side in self.sides]
        with_variants = {family(p) for side in self.sides for p in side.files if MARKER in p}
        for name in sorted(families[0] & families[1] & with_variants):
            if not any(family(p) == name for p in self.result):
                yield Finding("4 family", name, "each side has it or a variant, the result has none")
            elif not any(self._stays_by_itself(p) for side in self.sides for p in side.files if family(p) == name):
                yield from self._dropped(name)

    def _stays_by_itself(self, path: bytes) -> bool:
        one, two = (side.files.get(path) for side in self.sides)
        was = {base.get(path) for base in self.bases} or {None}
        return (one is not None and two is not None) or (one or two) not in was or was == {None}

    def _dropped(self, name: bytes) -> Iterator[Finding]:
        for side in self.sides:
            for path, entry in side.files.items():
                here = version(self.store, entry)
                if family(path) == name and here and here not in self.held and not is_text(self.store, entry):
                    yield Finding("4 settled", path, f"settled differently, {here[0]} {here[1]} is nowhere")

    # Nothing is spoiled

    def _contents(self) -> Iterator[Finding]:
        for path, entry in self.result.items():
            if entry.mode == GITLINK:
                if entry.oid not in self.known:
                    yield Finding("5 submodule", path, entry.oid)
            elif why := self._spoiled(path, entry):
                yield Finding("5 spoiled", path, why)

    def _is_moved_link(self, path: bytes, entry: Entry) -> bool:
        return entry.mode == SYMLINK and all(side.files.get(path) != entry for side in self.sides)

    def _spoiled(self, path: bytes, entry: Entry) -> str:
        """Why a blob that the merge made must not be, empty where it may."""
        if entry.oid in self.known and not self._is_moved_link(path, entry):
            return ""
        content, key = self.store.content(entry.oid), key_in(self.store, entry)
        if key:
            right = link_target(path, key) if entry.mode == SYMLINK else pointer(key)
            return "" if self._knows(key) and content == right else f"{content!r} leads nowhere"
        if entry.mode == SYMLINK:
            known = entry.oid in self.known or self._leads_to(path, content)
            return "" if known else f"link to {content!r}, which nobody made"
        if is_binary(content):
            return "a binary that nobody made"
        if b"/annex/objects/" in content:
            return f"two pointers in one: {content!r}"
        if content.startswith(LFS):
            return f"two pointers of git-lfs in one: {content!r}"
        if any(kept_apart(attributes(self.store, side.files, path)) for side in self.sides):
            return "lines merged despite an attribute"
        invented = lines(content) - self._all_lines(self._every_entry())
        if invented:
            return f"lines that nobody wrote: {sorted(invented)[:3]}"
        if self._may_unite(path) or self.is_clean(path, entry):
            return ""
        return f"lines of a structured text united: {content!r}"

    def _leads_to(self, path: bytes, target: bytes) -> bool:
        """Whether a link of a side leads to the same place."""
        aim = posixpath.normpath(posixpath.join(b"/x/x/x/x", posixpath.dirname(path), target))
        return any(
            entry.mode == SYMLINK
            and aim
            == posixpath.normpath(posixpath.join(b"/x/x/x/x", posixpath.dirname(q), self.store.content(entry.oid)))
            for side in self.sides
            for q, entry in side.files.items()
        )

    def _knows(self, key: str) -> bool:
        return any(("key", key) in side.versions for side in self.sides)

    def _every_entry(self) -> list[Entry]:
        return [e for files in (*self.bases, *(s.files for s in self.sides)) for e in files.values()]

    def _may_unite(self, path: bytes) -> bool:
        if is_prose(path) or path.endswith(b".gitattributes"):
            return True
        return any(attributes(self.store, side.files, path).get("syncx") == "union" for side in self.sides)

    def is_clean(self, path: bytes, entry: Entry) -> bool:
        """Whether git merges it so without a conflict, by renames or at the path."""
        return self._is_clean_at(path, entry) or any(
            self._is_clean_by_renames(path, entry, *pair) for pair in ((self.one, self.two), (self.two, self.one))
        )

    def _is_clean_by_renames(self, path: bytes, entry: Entry, one: str, two: str) -> bool:
        conflicts, tree = merged_by_git(self.store, one, two)
        found = self.store.entries(tree).get(path)
        return found is not None and found.oid == entry.oid and path not in conflicts

    def _is_clean_at(self, path: bytes, entry: Entry) -> bool:
        was = {base.get(path) for base in self.bases}
        one, two = (side.files.get(path) for side in self.sides)
        if len(was) != 1 or not all(is_file(e) for e in (one, two, *was)):
            return False
        with tempfile.TemporaryDirectory() as folder:
            names = [str(Path(folder, name)) for name in ("one", "was", "two")]
            for name, e in zip(names, (one, *was, two), strict=True):
                Path(name).write_bytes(self.store.content(e.oid if e else ""))
            merged = self.store.git("merge-file", "-p", *names, ok=range(128))
            clean = not re.search(rb"^<{7}", merged, re.MULTILINE)
        return clean and merged == self.store.content(entry.oid)

    # Names

    def _names(self) -> Iterator[Finding]:
        """New names are those of variants; a directory has one too where a submodule took its name."""
        old = {path for side in self.sides for path in side.files}
        for path in sorted(self.result.keys() - old):
            tags = [part.partition(MARKER)[2] for part in path.split(b"/") if MARKER in part]
            wanted = [*self._tags(self.result[path]), *self._tags_of_folders(path)]
            if any(MARKER in tag for tag in tags):
                yield Finding("name grows", path, "two markers")
            elif not tags:
                yield Finding("name new", path, "a name that no side has")
            elif not any(tag.startswith(right) for tag in tags for right in wanted):
                yield Finding("name form", path, f"none of {wanted}")

    def _tags_of_folders(self, path: bytes) -> Iterator[bytes]:
        """Of directories whose name a submodule took: digits of the name."""
        parts = path.split(b"/")
        for n, part in enumerate(parts[:-1]):
            name = b"/".join([*parts[:n], part.partition(MARKER)[0]])
            yield hashlib.md5(name, usedforsecurity=False).hexdigest()[:4].encode()

    def _tags(self, entry: Entry) -> list[bytes]:
        key = key_in(self.store, entry).encode()
        whole = key or entry.oid.encode()
        plain = re.sub(rb"&[asc]|%", lambda found: ESCAPED[found[0]], key) if key else whole
        short = hashlib.md5(plain, usedforsecurity=False).hexdigest()[:4].encode()
        return [short, hashlib.sha256(whole).hexdigest().encode() if len(whole) > LONG_KEY else whole]


def merged_by_git(store: Store, one: str, two: str) -> tuple[set[bytes], str]:
    """The paths in conflict and the tree that git's own merge makes."""
    words = ("-c", "merge.directoryRenames=false", "-c", "merge.renameLimit=7000", "merge-tree", "--write-tree", "-z",
             "--no-messages", "--allow-unrelated-histories")  # fmt: skip
    tree, *stages = store.git(*words, one, two, ok=(0, 1)).rstrip(b"\0").split(b"\0")
    return {stage.partition(b"\t")[2] for stage in stages}, tree.decode()
