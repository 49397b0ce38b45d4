"""Random trees with text, binary, annexed, symlinked and submodule versions; a store of blobs in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from hypothesis import strategies as st

from git_annex_syncx.conflicts.verify import verify
from git_annex_syncx.conflicts.versions import Trees, key_in, version_of
from git_annex_syncx.model import EXECUTABLE, GITLINK, REGULAR, SYMLINK, Entry

Tree = dict[bytes, Entry]

NAMES = [b"a", b"b", b"f.txt", b"f.variant-444f.txt", b"x.tar.gz", b".dot", b"\xc3\xa4" * 126 + b".e", b"n" * 255]
PATHS = [*NAMES, *(b"d/" + name for name in NAMES), b"d", b"a/b", b"a/b/c", b"f.txt/x"]
# The first two share the four digits of git-annex's variant names: md5 begins with 444f.
COLLIDING = [b"SHA256E-s12--%s.dat" % hashlib.sha256(b"content %d\n" % n).hexdigest().encode() for n in (175, 191)]
KEYS = [*COLLIDING, b"WORM-s3-m1--a&cb&sc.txt", b"SHA256E-s1--" + b"0" * 64 + b".tar.gz", b"URL--" + b"u" * 230]


class Store:
    """Blobs by their ids, as git would have them."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def add(self, content: bytes) -> str:
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        self.blobs[oid] = content
        return oid

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        return {oid: self.blobs[oid] for oid in oids}

    def write(self, contents: Sequence[bytes]) -> Sequence[str]:
        return [self.add(content) for content in contents]

    def keys(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        return {oid: key_in(self.blobs[oid]) for oid in oids}


class MemoryTrees:
    """Trees by their names, as the check reads them."""

    def __init__(self, store: Store, **trees: Tree) -> None:
        self.store, self.trees = store, trees
        self.read, self.keys = store.read, store.keys

    def diff(self, old: str, new: str) -> Mapping[bytes, tuple[Entry | None, Entry | None]]:
        one, two = self.trees[old], self.trees[new]
        return {p: (one.get(p), two.get(p)) for p in one.keys() | two.keys() if one.get(p) != two.get(p)}

    def entries(self, tree: str) -> Mapping[bytes, Entry]:
        return self.trees[tree]


STORE = Store()


def lost_paths(trees: Trees, bases: Sequence[str], one: str, two: str, result: str) -> list[bytes]:
    """Where a version is missing or spoiled in what should be the merge of two trees."""
    verdict = verify(trees, bases, (one, two), result, lambda paths: ())
    return sorted(verdict.spoiled | {missing.path for missing in verdict.missing})


def link(path: bytes, key: bytes) -> Entry:
    """A locked annexed file at a path."""
    return Entry(SYMLINK, STORE.add(b"../" * path.count(b"/") + b".git/annex/objects/Xx/Yy/" + key + b"/" + key))


def pointer(key: bytes, mode: int = REGULAR) -> Entry:
    """An unlocked annexed file."""
    return Entry(mode, STORE.add(b"/annex/objects/" + key + b"\n"))


def text(content: bytes, mode: int = REGULAR) -> Entry:
    return Entry(mode, STORE.add(content))


@st.composite
def entries(draw: st.DrawFn, path: bytes) -> Entry:
    """Any version that can lie at a path."""
    kind = draw(
        st.sampled_from(["text"] * 4 + ["binary", "symlink", "submodule", "locked", "locked", "unlocked", "unlocked"])
    )
    mode = draw(st.sampled_from([REGULAR, REGULAR, EXECUTABLE]))
    if kind == "text":
        lines = draw(st.lists(st.sampled_from([b"1", b"2", b"3", b"x", b"", b"y\r"]), max_size=6))
        return text(b"\n".join(lines) + draw(st.sampled_from([b"", b"\n"])), mode)
    number = b"%d" % draw(st.integers(0, 3))
    if kind == "binary":
        return text(b"\0" + number, mode)
    if kind == "symlink":
        return Entry(SYMLINK, STORE.add(b"to/" + number))
    if kind == "submodule":
        return Entry(GITLINK, hashlib.sha1(number).hexdigest())
    key = draw(st.sampled_from(KEYS))
    return link(path, key) if kind == "locked" else pointer(key, mode)


@st.composite
def trees(draw: st.DrawFn, base: Tree | None = None) -> Tree:
    """A tree, or what became of one: some paths changed, removed, added or renamed."""
    tree = dict(base or {})
    for path in draw(st.lists(st.sampled_from(PATHS), max_size=7, unique=True)):
        what = draw(st.sampled_from(["set", "set", "set", "remove", "rename"]))
        if what == "set":
            put(tree, path, draw(entries(path)))
        elif tree:
            gone = draw(st.sampled_from(sorted(tree)))
            entry = tree.pop(gone)
            if what == "rename" and gone.count(b"/") == path.count(b"/"):
                put(tree, path, entry)
    return tree


def put(tree: Tree, path: bytes, entry: Entry) -> None:
    """Set a path; what it makes impossible goes."""
    for other in list(tree):
        if other.startswith(path + b"/") or path.startswith(other + b"/"):
            del tree[other]
    tree[path] = entry


def identities(tree: Tree, read=STORE.read) -> set[bytes]:
    """What a tree holds apart from texts: keys, and objects of binaries, symlinks and submodules."""
    contents = read({entry.oid for entry in tree.values() if entry.mode != GITLINK})
    return {version_of(entry, contents).identity for entry in tree.values()}


def sound(tree: Tree) -> bool:
    """Whether no file lies where another's directory is, and no name is too long."""
    names = [part for path in tree for part in path.split(b"/")]
    return all(0 < len(name) <= 255 for name in names) and not any(
        path.startswith(other + b"/") for path in tree for other in tree
    )
