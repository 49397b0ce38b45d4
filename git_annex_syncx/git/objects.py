"""Git's object database, hermetic: what it makes depends on the objects alone, not on anybody's configuration.

Whatever makes or compares objects runs in a private GIT_DIR with an empty configuration, no drivers, no attributes,
no replace refs and no commit-graph, on the object directory of the repository.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from git_annex_syncx.errors import ProgramFailed, Refused
from git_annex_syncx.git import cat_file
from git_annex_syncx.git.git import MERGE_EMAIL, MERGE_NAME, Repository, git
from git_annex_syncx.git.history import is_ancestor
from git_annex_syncx.model import TREE, Entry
from git_annex_syncx.system import files, run

FIXED = ("-c", "core.attributesFile=/dev/null", "-c", "core.commitGraph=false", "-c", "merge.directoryRenames=false",
         "-c", "merge.renames=true", "-c", "merge.renameLimit=7000", "-c", "core.quotePath=false",
         "-c", "core.bare=true")  # fmt: skip
DIFF = ("diff-tree", "-r", "-z", "--no-renames", "--full-index")
HEAD = "ref: refs/heads/none\n"
# How objects are written, which is no part of what they are: here the user's configuration has its say.
STORED = ("core.sharedrepository", "core.fsync", "core.fsyncmethod", "core.fsyncobjectfiles")
FORMAT = "extensions.objectformat"
CONFIG = "[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}"
ABORTED = (-signal.SIGABRT, 128 + signal.SIGABRT)  # exit codes, the second by way of a shell


@dataclass(frozen=True)
class Change:
    """One path that differs between two trees; None where it is absent."""

    path: bytes
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True)
class TreeMerge:
    """A result of `git merge-tree`: a tree, and the stages of the paths in conflict (as it names them)."""

    tree: str
    stages: Mapping[bytes, Mapping[int, Entry]]


def merge_bases(repo: Repository, one: str, two: str) -> list[str]:
    """Return all best common ancestors, in order of their ids; none for unrelated histories."""
    return sorted(_text(repo, "merge-base", "--all", one, two, ok=(0, 1)).split())


def related(repo: Repository, one: str, two: str) -> bool:
    """Return whether two commits have a common ancestor."""
    return is_ancestor(repo, two, one) or is_ancestor(repo, one, two) or bool(merge_bases(repo, one, two))


def merge_tree(repo: Repository, one: str, two: str) -> TreeMerge | None:
    """Merge two commits in the object database. The caller gives them in canonical order.

    Return None where git aborts: an assertion of its own fails where a submodule was moved on one side and something
    else stands in its place on another.
    """
    words = ("merge-tree", "--write-tree", "-z", "--allow-unrelated-histories", one, two)
    try:
        done = _git(repo, *words, ok=(0, 1))
    except ProgramFailed as error:
        if error.code not in ABORTED:
            raise
        return None
    fields = done.out.split(b"\0")
    stages: dict[bytes, dict[int, Entry]] = {}
    for field in fields[1:]:
        if not field:
            break  # messages follow, for people
        meta, _, path = field.partition(b"\t")
        mode, oid, stage = meta.decode().split(" ")
        stages.setdefault(path, {})[int(stage)] = Entry(int(mode, 8), oid)
    return TreeMerge(fields[0].decode(), stages)


def commit_tree(repo: Repository, tree: str, parents: Iterable[str], date: int, message: str) -> str:
    """Return a commit with fixed identity; `date` is in seconds since 1970."""
    stamp = f"@{date} +0000"
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", MERGE_NAME), ("EMAIL", MERGE_EMAIL), ("DATE", stamp))
    }
    named = [word for parent in parents for word in ("-p", parent)]
    return _git(repo, "commit-tree", *named, tree, stdin=message.encode(), env=identity).out.decode().strip()


def empty_tree(repo: Repository) -> str:
    """Return the id of the tree with nothing in it."""
    return _git(repo, "hash-object", "-w", "-t", "tree", "--stdin", stdin=b"").out.decode().strip()


def diff(repo: Repository, old: str, new: str) -> dict[bytes, Change]:
    """Return the paths in which two commits or trees differ, renames seen as absent and added."""
    fields = _git(repo, *DIFF, old, new).out.split(b"\0")
    return {path: _change(meta, path) for meta, path in zip(fields[::2], fields[1::2], strict=False)}


def diffs(repo: Repository, pairs: Iterable[tuple[str, str]]) -> list[dict[bytes, Change]]:
    """Return the differences of pairs of trees as diff() does, all by one git."""
    asked = "".join(f"{old} {new}\n" for old, new in pairs)
    fields = _git(repo, *DIFF, "--stdin", stdin=asked.encode()).out.split(b"\0")
    found: list[dict[bytes, Change]] = []
    for meta, path in zip(fields[::2], [*fields[1::2], b""], strict=True):
        *begun, change = meta.split(b"\n")  # a line with the pair stands before its changes
        found += [{} for _ in begun]
        if change:
            found[-1][path] = _change(change, path)
    return found


def _change(meta: bytes, path: bytes) -> Change:
    old_mode, new_mode, old_oid, new_oid, _ = meta[1:].decode().split()
    return Change(path, _entry(old_mode, old_oid), _entry(new_mode, new_oid))


def entries(repo: Repository, tree: str) -> dict[bytes, Entry]:
    """Return all paths of a tree, recursively."""
    found = {}
    for line in _git(repo, "ls-tree", "-r", "-z", "--full-tree", tree).out.split(b"\0")[:-1]:
        meta, _, path = line.partition(b"\t")
        mode, _, oid = meta.split(b" ")
        found[path] = Entry(int(mode, 8), oid.decode())
    return found


def read_blobs(repo: Repository, oids: Iterable[str]) -> dict[str, bytes]:
    """Return the contents of blobs. Raises ProgramFailed where one is not here."""
    wanted = sorted(set(oids))
    return dict(zip(wanted, cat_file.read(repo, wanted), strict=True))


def write_blobs(repo: Repository, contents: Sequence[bytes]) -> list[str]:
    """Store blobs in one call, their ids."""
    with _scratch(repo) as scratch, files.writing(scratch):
        lines = []
        for n, content in enumerate(contents):
            path = scratch / str(n)
            path.write_bytes(content)
            quoted = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
            lines.append(b'"' + quoted + b'"\n')
        done = _git(repo, "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=b"".join(lines))
    return done.out.decode().split()


def blob_id(repo: Repository, content: bytes) -> str:
    """Return the id that a blob would have; nothing is stored."""
    return _git(repo, "hash-object", "--stdin", "--no-filters", stdin=content).out.decode().strip()


def change_tree(repo: Repository, tree: str, changes: Mapping[bytes, Entry | None]) -> str:
    """Return a tree with some paths set or removed. A path that becomes a directory's name must be removed too.

    Raises Refused for a path that git takes in no tree, such as one below .git: it would leave that out.
    """
    with _index(repo, tree) as env:
        # Removals first: a file can then take the place of a directory and the other way round.
        ordered = sorted(changes.items(), key=lambda item: item[1] is not None)
        lines = b"".join(index_line(path, entry or Entry(0, tree)) for path, entry in ordered)
        complaints = _git(repo, "update-index", "-z", "--index-info", stdin=lines, env=env).err
        made = _git(repo, "write-tree", env=env).out.decode().strip()
    if complaints and (left := {path for path, entry in changes.items() if entry} - entries(repo, made).keys()):
        raise Refused(f"git takes no file called {os.fsdecode(min(left))}", "nothing was changed: let it be as it is")
    return made


def attributes(
    repo: Repository, sources: Mapping[bytes, Entry], paths: Iterable[bytes], names: Iterable[str]
) -> dict[bytes, dict[str, str]]:
    """Return attributes of paths as some .gitattributes files (path -> entry) give them; nothing else has a say."""
    wanted = sorted(paths)
    if not (sources and wanted):
        return {path: {} for path in wanted}
    with _index(repo, None) as env:
        lines = b"".join(index_line(path, entry) for path, entry in sources.items())
        _git(repo, "update-index", "-z", "--index-info", stdin=lines, env=env)
        words, asked = ("check-attr", "--cached", "-z", "--stdin", *names), b"".join(path + b"\0" for path in wanted)
        fields = _git(repo, *words, stdin=asked, env=env).out.split(b"\0")
    found: dict[bytes, dict[str, str]] = {path: {} for path in wanted}
    for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        found[path][name.decode()] = os.fsdecode(value)
    return found


def index_line(path: bytes, entry: Entry) -> bytes:
    """Return what `git update-index -z --index-info` reads for one path; mode 0 removes it, whatever the id."""
    return f"{entry.mode:o} {entry.oid}\t".encode() + path + b"\0"


def _entry(mode: str, oid: str) -> Entry | None:
    return Entry(int(mode, 8), oid) if int(mode, 8) not in (0, TREE) else None


@contextlib.contextmanager
def _index(repo: Repository, tree: str | None) -> Iterator[dict[str, str]]:
    """Yield the environment of a throw-away index that holds `tree`."""
    with _scratch(repo) as scratch:
        env = {"GIT_INDEX_FILE": str(scratch / "index")}
        if tree:
            _git(repo, "read-tree", tree, env=env)
        yield env


def _text(repo: Repository, *args: str, ok: tuple[int, ...] = (0,)) -> str:
    return os.fsdecode(_git(repo, *args, ok=ok).out).strip()


@contextlib.contextmanager
def _scratch(repo: Repository) -> Iterator[Path]:
    """Yield a directory that is gone afterwards. Raises SyncxError where none can be made."""
    with files.writing(repo.common):
        made = tempfile.TemporaryDirectory(dir=repo.state_dir)
    with made as scratch:
        yield Path(scratch)


def _git(
    repo: Repository,
    *args: str,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    ok: Iterable[int] = (0,),
) -> run.Done:
    private = _private(repo.git_dir, repo.common)
    if not (private.path / "HEAD").exists():  # somebody cleared it away under a long run
        _private.cache_clear()
        private = _private(repo.git_dir, repo.common)
    hermetic = {
        "GIT_DIR": str(private.path),
        "GIT_OBJECT_DIRECTORY": str(repo.common / "objects"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "0",
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
    }
    if (repo.common / "shallow").exists():
        hermetic["GIT_SHALLOW_FILE"] = str(repo.common / "shallow")
    words = (*FIXED, *private.stored, *args)
    return git(replace(repo, top=None), *words, stdin=stdin, env={**hermetic, **(env or {})}, ok=tuple(ok))


@dataclass(frozen=True)
class _Private:
    """A GIT_DIR with nothing in it but the object format, and options that say how objects are stored."""

    path: Path
    stored: tuple[str, ...]


@functools.cache
def _private(git_dir: Path, common: Path) -> _Private:
    """Return the private directory, once a process; what is missing or is not as it must be is written anew."""
    repo = Repository(git_dir, common, None)
    configured = _configured(repo)
    made = files.make_directory(repo.state_dir / "private.git")
    for name in ("objects", "refs"):
        files.make_directory(made / name)
    _ensure(made / "config", _private_config(configured.get(FORMAT, "sha1")))
    _ensure(made / "HEAD", HEAD)
    stored = [word for key in STORED if key in configured for word in ("-c", f"{key}={configured[key]}")]
    return _Private(made, tuple(stored))


def _ensure(path: Path, content: str) -> None:
    try:
        if path.read_text() == content:
            return
    except (OSError, UnicodeDecodeError):
        pass  # absent or spoilt
    files.write(path, content)


def _configured(repo: Repository) -> dict[str, str]:
    """Return what the repository's configuration says about the way its objects are stored; keys in small letters."""
    pattern = "^(" + "|".join((*STORED, FORMAT)).replace(".", "[.]") + ")$"
    out = git(repo, "config", "-z", "--show-scope", "--get-regexp", pattern, ok=(0, 1)).out
    fields = os.fsdecode(out).split("\0")
    found = {}
    for scope, setting in zip(fields[::2], fields[1::2], strict=False):
        key, equals, value = setting.partition("\n")
        if key != FORMAT or scope == "local":  # the format is the repository's alone
            found[key.lower()] = value if equals else "true"
    return found


def _private_config(hash_name: str) -> str:
    special = hash_name != "sha1"
    extension = f"[extensions]\n\tobjectFormat = {hash_name}\n" if special else ""
    return CONFIG.format(version=1 if special else 0, extension=extension)
