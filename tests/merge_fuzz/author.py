"""Somebody who makes random edits, by habit either of a tidy person or of a wild one."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

from git_annex_syncx.model import GITLINK, Entry

from .edits import Edit, Files, Spec
from .store import Store
from .versions import MARKER, family, is_file, is_text, key_in, version

# The first two share the four digits of a variant's name: their md5 begins with 444f.
KEYS = [f"SHA256E-s12--{hashlib.sha256(b'content %d' % n + bytes([10])).hexdigest()}.dat" for n in (175, 191)]
ODD_KEYS = ["WORM-s3-m1--a&cb&sc.txt", "URL--" + "u" * 230]
TIDY = [
    "README", "notes.txt", "todo.md", "docs/guide.md", "docs/list.csv", "docs/paper.tex", ".gitignore",
    "src/main.py", "src/util.py", "src/deep/er/tool.py", "conf.json", "data/set.json", "photos/1.jpg",
    "photos/2.jpg", "photos/3.jpg",
    "photos/old/4.jpg", "video.dat", "music/a.dat", "music/b.dat", "keys/bank.gpg", "keys/mail.age", "design.psd",
    "art/logo.psd", "latest.link", "sub",
]  # fmt: skip
WILD = [
    "f", "g", "f.txt", "d", "d/f", "d/f.txt", "d/e/f.txt", "f.variant-1111", "f.variant-444f.txt", "a.py", "d/a.json",
    "x.dat", "y.dat", "d/x.dat", "d/e/x.dat", "old.tar", "new.tar", "older.tar", "b.gpg", "i.psd", "l.csv", "sub",
    "n" * 250 + ".txt", "\u00e4" * 120 + ".dat", ".dot", "d/.dot", "f.txt/x",
    "d/.gitattributes", "odd\n\"name\\.txt",
]  # fmt: skip
ATTRIBUTES = [
    "*.psd filter=lfs diff=lfs merge=lfs -text", "*.psd filter=lfs diff=lfs merge=lfs -text", "*.csv syncx=variants",
    "*.py syncx=union", "*.txt syncx=variants", "*.md -merge", "d/* merge=binary", "*.json binary",
    "*.txt syncx=union", "f syncx=variants", "*.json syncx=union", "*.dat -merge", "docs/* -merge",
]  # fmt: skip
COMMON = ["", "- item", "common", "}"]
MODULES = '[submodule "sub"]\n\tpath = sub\n\turl = ../sub\n'


class Author:
    """Makes edits for trees. All that is new in a tidy one's edit is nowhere else."""

    def __init__(self, rng: random.Random, store: Store, wild: bool) -> None:
        self.rng, self.store, self.wild = rng, store, wild
        self.names = WILD if wild else TIDY
        self.count = 0
        self.made: list[Spec] = []

    def base(self) -> list[Edit]:
        """The edits that make the first tree."""
        count = self.rng.randint(1, 6) if self.wild else self.rng.randint(8, 18)
        edits: list[Edit] = [("put", path, self.spec(path)) for path in self.rng.sample(self.names, count)]
        if self.rng.random() < 0.4:
            edits.append(("put", ".gitattributes", ("file", self._attributes(self.rng.randint(1, 3)))))
        if self.rng.random() < 0.2:
            edits.append(("put", ".gitmodules", ("file", MODULES)))
        return edits

    def edits(self, files: Files) -> list[Edit]:
        """One edit, or the few that belong together."""
        variants = [path for path in sorted(files) if MARKER in path]
        if variants and self.rng.random() < 0.4:
            return self._settle(files, self.rng.choice(variants))
        kinds, weights = zip(*(WILD_HABITS if self.wild else TIDY_HABITS).items(), strict=True)
        return self.rng.choices(kinds, weights)[0](self, files)

    # Contents

    def spec(self, path: str) -> Spec:
        """Something new that fits a name; a wild author takes what does not fit, or what was there, too."""
        if self.wild and self.made and self.rng.random() < 0.4:
            return self.rng.choice(self.made)
        suffix = path.rpartition(".")[2] if "." in path else path
        if self.wild and self.rng.random() < 0.3:
            suffix = self.rng.choice([*BY_SUFFIX, "txt"])
        spec = BY_SUFFIX.get(suffix, Author._prose)(self)
        self.made.append(spec)
        return spec

    def number(self) -> int:
        """One that was not there before."""
        self.count += 1
        return self.count

    def line(self) -> str:
        """A line; most are nowhere else."""
        if self.rng.random() < 0.15:
            return self.rng.choice(COMMON)
        return f"{self.number()} {self.rng.choice(['lorem', 'ipsum', 'dolor'])} {self.rng.randrange(100)}"

    def _prose(self) -> Spec:
        size = self.rng.randint(0, 4) if self.wild else self.rng.randint(4, 16)
        end = "\r\n" if self.rng.random() < 0.05 else "\n"
        text = end.join(self.line() for _ in range(size))
        return "file", text + (end if text and self.rng.random() < 0.8 else "")

    def _rows(self) -> Spec:
        return "file", "".join(f"{self.number()},{self.rng.randrange(100)}\n" for _ in range(self.rng.randint(2, 8)))

    def _source(self) -> Spec:
        numbers = [self.number() for _ in range(self.rng.randint(1, 5))]
        return "file", "\n\n".join(f"def f{n}():\n    return {n}" for n in numbers) + "\n"

    def _json(self) -> Spec:
        rows = ",\n".join(f'  "k{self.number()}": {self.rng.randrange(100)}' for _ in range(self.rng.randint(2, 8)))
        return "file", "{\n" + rows + "\n}\n"

    def _binary(self) -> Spec:
        header = self.rng.choice(["\0", "\1\2\3", "-----BEGIN PGP MESSAGE-----\n\n", "age-encryption.org/v1\n"])
        if header.isprintable() or header[0] in "-a":
            return "file", header + "".join(f"wcBMA{self.number()}+{self.rng.randrange(10**9)}\n" for _ in range(4))
        body = bytes(self.rng.randrange(1, 256) for _ in range(self.rng.choice([20, 300])))
        return "file", header + f"{self.number()}" + "\n" + body.decode("latin-1")

    def _annexed(self) -> Spec:
        return self.rng.choice(["locked", "locked", "unlocked"]), self.key()

    def key(self) -> str:
        """A key; a wild author has few."""
        if self.wild and self.rng.random() < 0.5:
            return self.rng.choice(KEYS + ODD_KEYS)
        number = self.rng.randrange(6) if self.wild else self.number()
        return f"SHA256E-s{number + 10}--{hashlib.sha256(b'%d' % number).hexdigest()}.dat"

    def _lfs(self) -> Spec:
        oid = hashlib.sha256(b"%d" % self.number()).hexdigest()
        return (
            "file",
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {self.rng.randrange(10**6)}\n",
        )

    def _link(self) -> Spec:
        return "link", f"to/{self.rng.randrange(3) if self.wild else self.number()}"

    def _submodule(self) -> Spec:
        return "submodule", hashlib.sha1(b"%d" % self.number()).hexdigest()

    def _attribute_file(self) -> Spec:
        return "file", self._attributes(self.rng.randint(1, 2))

    def _attributes(self, count: int) -> str:
        return "".join(f"{line}\n" for line in self.rng.sample(ATTRIBUTES, count))

    # Edits

    def some(self, files: Files, fits: Callable[[Entry], bool] = lambda entry: True) -> str | None:
        """A path whose entry fits."""
        paths = [path for path, entry in sorted(files.items()) if fits(entry)]
        return self.rng.choice(paths).decode() if paths else None

    def name(self, files: Files) -> str:
        """A name for a file: new, and for a wild author perhaps not."""
        if self.wild:
            return self.rng.choice(self.names)
        folder = self.rng.choice(["", "docs/", "src/", "photos/", "moved/", "moved/deep/"])
        return f"{folder}new{self.number()}.{self.rng.choice(['txt', 'md', 'py', 'json', 'dat', 'csv', 'gpg'])}"

    def change_lines(self, files: Files) -> list[Edit]:
        path = self.some(files, lambda entry: is_text(self.store, entry))
        if path is None or path.endswith((".gitattributes", ".psd")):
            return self.change(files)
        verbs = [self.rng.choice(["insert", "insert", "replace", "delete"]) for _ in range(self.rng.randint(1, 3))]
        return [("lines", path, *((verb, self.rng.randrange(30), self.line()) for verb in verbs))]

    def change(self, files: Files) -> list[Edit]:
        """Another version of the same kind."""
        path = self.some(files)
        return [("put", path, self._like(path, files[path.encode()]))] if path else self.add(files)

    def _like(self, path: str, entry: Entry) -> Spec:
        if entry.mode == GITLINK:
            return self._submodule()
        if key_in(self.store, entry):
            return ("unlocked" if is_file(entry) else "locked"), self.key()
        if path == ".gitattributes":
            return "file", self.store.content(entry.oid).decode("latin-1") + self._attributes(1)
        return self.spec(path)

    def add(self, files: Files) -> list[Edit]:
        path = self.name(files)
        return [("put", path, self.spec(path))]

    def remove(self, files: Files) -> list[Edit]:
        path = self.some(files)
        return [("remove", path)] if path else []

    def clear(self, files: Files) -> list[Edit]:
        """Remove all but perhaps one."""
        return [("remove", *(path.decode() for path in sorted(files)[self.rng.randrange(2) :]))]

    def rename(self, files: Files) -> list[Edit]:
        path = self.some(files)
        if path is None:
            return []
        new = self.name(files) if self.wild else self._renamed(path)
        edits: list[Edit] = [("move", (path, new))]
        return edits + (self.touched(files, path, new) if self.rng.random() < 0.3 else [])

    def _renamed(self, path: str) -> str:
        folder, slash, name = path.rpartition("/")
        if self.rng.random() < 0.5:
            return self.rng.choice(["", "docs/", "moved/", "moved/deep/"]) + name
        stem, dot, suffix = name.partition(".")
        return f"{folder}{slash}{stem}-{self.number()}{dot}{suffix}"

    def touched(self, files: Files, old: str, new: str) -> list[Edit]:
        """A small change of a file that was just moved."""
        if is_text(self.store, files[old.encode()]) and not old.endswith(".psd"):
            return [("lines", new, ("insert", self.rng.randrange(30), self.line()))]
        return []

    def rotate(self, files: Files) -> list[Edit]:
        """Swap two names, or pass names on, with something new at the first."""
        if len(files) < 2:
            return self.rename(files)
        count = min(len(files), self.rng.choice([2, 2, 3]))
        paths = [path.decode() for path in self.rng.sample(sorted(files), count)]
        if self.rng.random() < 0.4:
            return [("move", *zip(paths, paths[1:] + paths[:1], strict=True))]
        edits: list[Edit] = [("move", *zip(paths, [*paths[1:], self.name(files)], strict=True))]
        return edits + ([("put", paths[0], self.spec(paths[0]))] if self.rng.random() < 0.7 else [])

    def copy(self, files: Files) -> list[Edit]:
        path = self.some(files, lambda entry: entry.mode != GITLINK)
        return [("copy", path, self.name(files))] if path else []

    def dedupe(self, files: Files) -> list[Edit]:
        """Remove one of several equal files."""
        places: dict[object, list[bytes]] = {}
        for path, entry in sorted(files.items()):
            places.setdefault(version(self.store, entry), []).append(path)
        several = [paths for paths in places.values() if len(paths) > 1]
        if not several:
            return self.copy(files)
        return [("remove", self.rng.choice(self.rng.choice(several)).decode())]

    def mode(self, files: Files) -> list[Edit]:
        path = self.some(files, is_file)
        return [("mode", path)] if path else []

    def lock(self, files: Files) -> list[Edit]:
        path = self.some(files, lambda entry: bool(key_in(self.store, entry)))
        return [("lock", path)] if path else []

    def attribute(self, files: Files) -> list[Edit]:
        lines = [("insert", self.rng.randrange(9), line) for line in self.rng.sample(ATTRIBUTES, 1)]
        if b".gitattributes" in files:
            return [("lines", ".gitattributes", *lines)]
        return [("put", ".gitattributes", ("file", lines[0][2] + "\n"))]

    def _settle(self, files: Files, variant: bytes) -> list[Edit]:
        """Take one version of several, by deleting the others or by giving it the name, or edit one of them."""
        name = family(variant)
        others = [path.decode() for path in sorted(files) if family(path) == name and path != variant]
        gone: list[Edit] = [("remove", *others)] if others else []
        what = self.rng.choice(["name", "name", "keep", "delete", "edit", "both"])
        if what == "edit":
            return [("put", variant.decode(), self._like(variant.decode(), files[variant]))]
        if what == "delete":
            return [("remove", variant.decode())]
        if what == "both":
            return [("move", (variant.decode(), self.name(files)))]
        return gone + ([("move", (variant.decode(), name.decode()))] if what == "name" else [])


BY_SUFFIX: dict[str, Callable[[Author], Spec]] = {
    "csv": Author._rows, "py": Author._source, "json": Author._json, "gpg": Author._binary, "age": Author._binary,
    "dat": Author._annexed, "jpg": Author._annexed, "tar": Author._annexed, "psd": Author._lfs, "link": Author._link,
    "sub": Author._submodule, "gitattributes": Author._attribute_file,
}  # fmt: skip
TIDY_HABITS = {
    Author.change_lines: 8, Author.change: 4, Author.add: 3, Author.remove: 1.5, Author.rename: 2, Author.mode: 0.3,
    Author.lock: 0.5, Author.attribute: 0.3,
}  # fmt: skip
WILD_HABITS = {
    Author.change_lines: 4, Author.change: 3, Author.add: 4, Author.remove: 2, Author.rename: 4, Author.rotate: 4,
    Author.copy: 2, Author.dedupe: 1.5, Author.mode: 0.5, Author.lock: 1, Author.attribute: 1,
    Author.clear: 0.3,
}  # fmt: skip
