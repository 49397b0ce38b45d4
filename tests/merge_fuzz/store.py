"""Git's objects, written and read without a program for each: the fuzzer's own view of what a merge made."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from git_annex_syncx.model import GITLINK, TREE, Entry

Tree = Mapping[bytes, Entry]
WHO = b"Tester <tester@example.org>"
HERMETIC = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8"}


class Unsound(Exception):
    """A tree that git would refuse or that no work tree can hold."""


@dataclass(frozen=True)
class Commit:
    """A commit as it is written; `date` is the committer's, in seconds since 1970."""

    tree: str
    parents: tuple[str, ...]
    date: int
    raw: bytes

    @property
    def message(self) -> bytes:
        """What follows the headers."""
        return self.raw.partition(b"\n\n")[2]


class Store:
    """The objects of one bare repository."""

    def __init__(self, git_dir: Path) -> None:
        """Make the repository at `git_dir`."""
        self.git_dir = git_dir
        self.env = {"PATH": os.environ["PATH"], "HOME": os.fspath(git_dir), "GIT_DIR": os.fspath(git_dir), **HERMETIC}
        git_dir.mkdir(parents=True)
        self.git("init", "--quiet", "--bare")
        self._reader = subprocess.Popen(
            ("git", "cat-file", "--batch"), env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.forget()

    def forget(self) -> None:
        """Drop what was read; the objects stay."""
        self.blobs: dict[str, bytes] = {}
        self._trees: dict[str, dict[bytes, Entry]] = {}
        self._commits: dict[str, Commit] = {}
        self._ancestors: dict[str, frozenset[str]] = {}
        self._written: set[str] = set()

    def close(self) -> None:
        """End the program that reads."""
        self._reader.communicate()

    def git(self, *args: str, ok: Iterable[int] = (0,), stdin: bytes = b"") -> bytes:
        """Run git without anybody's configuration; what it prints."""
        done = subprocess.run(("git", *args), env=self.env, cwd=self.git_dir, input=stdin, capture_output=True)
        assert done.returncode in ok, (args, done.returncode, done.stderr)
        return done.stdout

    @staticmethod
    def unpack(repository: Path, commit: str, folder: Path, env: Mapping[str, str]) -> None:
        """Put the files of another repository's commit into a folder."""
        packed = subprocess.run(
            ("git", "archive", commit), cwd=repository, env=env, check=True, capture_output=True
        ).stdout
        subprocess.run(("tar", "-x"), cwd=folder, input=packed, check=True)

    # Writing

    def blob(self, content: bytes) -> str:
        """Store a blob, its id."""
        oid = self._write(b"blob", content)
        self.blobs[oid] = content
        return oid

    def tree(self, entries: Tree) -> str:
        """Store a tree with all below it, its id."""
        here: dict[bytes, tuple[int, str]] = {}
        below: dict[bytes, dict[bytes, Entry]] = {}
        for path, entry in entries.items():
            first, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(first, {})[rest] = entry
            else:
                here[first] = entry.mode, entry.oid
        assert not here.keys() & below.keys(), "a file where a directory is"
        here |= {name: (TREE, self.tree(inside)) for name, inside in below.items()}
        ordered = sorted(here.items(), key=lambda item: _sorted_as(item[0], item[1][0]))
        return self._write(b"tree", b"".join(b"%o %s\0" % (m, n) + bytes.fromhex(o) for n, (m, o) in ordered))

    def commit(self, entries: Tree, parents: Iterable[str], date: int, message: bytes = b"edit\n") -> str:
        """Store a commit of a tree, its id."""
        lines = [b"tree " + self.tree(entries).encode(), *(b"parent " + parent.encode() for parent in parents)]
        lines += [b"%s %s %d +0000" % (who, WHO, date) for who in (b"author", b"committer")]
        return self._write(b"commit", b"\n".join(lines) + b"\n\n" + message)

    def _write(self, kind: bytes, content: bytes) -> str:
        whole = object_bytes(kind, content)
        oid = hashlib.sha1(whole).hexdigest()
        if oid not in self._written:
            path = self.git_dir / "objects" / oid[:2] / oid[2:]
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(zlib.compress(whole, 1))
            self._written.add(oid)
        return oid

    # Reading

    def content(self, oid: str) -> bytes:
        """What is in a blob."""
        if oid not in self.blobs:
            self.blobs[oid] = self._read(oid, b"blob")
        return self.blobs[oid]

    def entries(self, tree: str) -> dict[bytes, Entry]:
        """All paths of a tree. Raises Unsound."""
        if tree not in self._trees:
            self._trees[tree] = dict(self._walk(self._read(tree, b"tree")))
        return self._trees[tree]

    def _walk(self, raw: bytes) -> Iterable[tuple[bytes, Entry]]:
        names, last = set(), b""
        while raw:
            meta, _, rest = raw.partition(b"\0")
            mode, _, name = meta.partition(b" ")
            entry, raw = Entry(int(mode, 8), rest[:20].hex()), rest[20:]
            if name in names or _sorted_as(name, entry.mode) <= last or not 0 < len(name) <= 255:
                raise Unsound(f"{name!r} in {sorted(names)}")
            names.add(name)
            last = _sorted_as(name, entry.mode)
            if entry.mode != TREE:
                yield name, entry
                continue
            for path, inner in self.entries(entry.oid).items():
                yield name + b"/" + path, inner

    def commit_of(self, oid: str) -> Commit:
        """A commit."""
        if oid not in self._commits:
            raw = self._read(oid, b"commit")
            rows = [line.split(b" ") for line in raw.partition(b"\n\n")[0].split(b"\n")]
            parents = tuple(row[1].decode() for row in rows if row[0] == b"parent")
            date = next(int(row[-2]) for row in rows if row[0] == b"committer")
            self._commits[oid] = Commit(rows[0][1].decode(), parents, date, raw)
        return self._commits[oid]

    def files(self, commit: str) -> dict[bytes, Entry]:
        """All paths of a commit."""
        return self.entries(self.commit_of(commit).tree)

    def ancestors(self, commit: str) -> frozenset[str]:
        """The commit and all that it contains."""
        if commit not in self._ancestors:
            left, found = [commit], {commit}
            while left:
                new = set(self.commit_of(left.pop()).parents) - found
                found |= new
                left += new
            self._ancestors[commit] = frozenset(found)
        return self._ancestors[commit]

    def bases(self, one: str, two: str) -> list[str]:
        """The best common ancestors."""
        common = self.ancestors(one) & self.ancestors(two)
        return sorted(c for c in common if not any(c in self.ancestors(d) for d in common if d != c))

    def _read(self, oid: str, kind: bytes) -> bytes:
        asked, answers = self._reader.stdin, self._reader.stdout
        assert asked and answers
        asked.write(oid.encode() + b"\n")
        asked.flush()
        words = answers.readline().split()
        assert words[1] == kind, (oid, words)
        return answers.read(int(words[2]) + 1)[:-1]


def object_bytes(kind: bytes, content: bytes) -> bytes:
    """What git hashes."""
    return b"%s %d\0" % (kind, len(content)) + content


@functools.cache
def _sorted_as(name: bytes, mode: int) -> bytes:
    return name + b"/" if mode == TREE else name


def is_submodule(entry: Entry) -> bool:
    """Whether it is a commit of another repository."""
    return entry.mode == GITLINK
