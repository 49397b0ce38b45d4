"""Local changes of the user's that are in the way when the work tree moves from one tree to another."""

from __future__ import annotations

import os
import shlex
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from git_annex_syncx.errors import Refused
from git_annex_syncx.git import objects, submodules
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.git.objects import Change
from git_annex_syncx.model import EXECUTABLE, REGULAR, SYMLINK, Entry

NAMED = 10  # how many paths an error names


class Changes(NamedTuple):
    """Tracked paths that differ from HEAD; submodules whose checkout lags; files gone, also from the index."""

    changed: list[bytes]
    lagging: list[bytes]
    gone: list[bytes]
    gone_from_index: list[bytes]


def refuse(repo: Repository, paths: Iterable[bytes]) -> None:
    """Raise Refused with the names of the paths, where there are any."""
    paths = list(paths)
    if not paths:
        return
    if not any(os.path.lexists(full_path(repo, path)) for path in paths) and set(paths) <= staged(repo).keys():
        raise Refused(
            f"gone from the work tree, and changed by others: {shown(paths)}",
            f"to have them back, then merge: {bring_back(repo)}; or commit that they are to go",
        )
    raise Refused(
        f"local changes would be overwritten: {shown(paths)}", "commit, stash or move them, then merge again"
    )


def bring_back(repo: Repository) -> str:
    """Return the command that makes gone files anew and touches no other: `git checkout -- .` would undo edits."""
    top = f"-C {shlex.quote(os.fspath(repo.home))}"
    restored = f"git --literal-pathspecs {top} checkout --pathspec-from-file=- --pathspec-file-nul"
    return f"git {top} ls-files -z --deleted | {restored}"


def shown(paths: Sequence[bytes]) -> str:
    """Return the first few paths for a message, and how many more there are."""
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(os.fsdecode(path) for path in paths[:NAMED]) + more


def collisions(repo: Repository, changed: Mapping[bytes, Change]) -> list[bytes]:
    """Return paths with local changes (tracked, untracked or ignored) that these changes would overwrite.

    What the work tree holds already is no collision.
    """
    return sorted(in_the_way(repo, changed).difference(identical(repo, changed)))


def identical(repo: Repository, changed: Mapping[bytes, Change]) -> dict[bytes, Entry | None]:
    """Return the local changes that are what the move brings anyway; None: the path is gone already."""
    candidates = in_the_way(repo, changed)
    index = staged(repo) if candidates else {}
    return {
        path: changed[path].new
        for path in sorted(candidates)
        if index.get(path) in (changed[path].old, changed[path].new) and _is_already(repo, path, changed[path].new)
    }


def take_identical(repo: Repository, changed: Mapping[bytes, Change]) -> dict[bytes, Entry]:
    """Stage what the work tree holds already, so that git finds nothing in the way; return what was staged before."""
    same = identical(repo, changed)
    before = staged(repo) if same else {}
    stage(repo, {path: entry or _removal(changed[path]) for path, entry in same.items()})
    return {path: before.get(path) or _removal(changed[path]) for path in same}


def stage(repo: Repository, entries: Mapping[bytes, Entry]) -> None:
    """Set paths of the index; mode 0 removes one."""
    if entries:
        lines = [objects.index_line(path, entry) for path, entry in entries.items()]
        git(repo, "update-index", "-z", "--index-info", stdin=b"".join(lines))


def local_changes(repo: Repository) -> list[bytes]:
    """Return tracked paths that differ from HEAD in the index or the work tree. Not even the index is written.

    A submodule whose checkout only lags behind what others have recorded is no change of the user's.
    """
    return changes(repo).changed


def changes(repo: Repository) -> Changes:
    """Return the local changes, and which of them are submodules that lag, or files that are gone."""
    rows = _differing(repo)
    moved = {row[-1]: row[7].decode() for row in rows if row[1].endswith(b"M") and row[2].startswith(b"SC")}
    lagging = submodules.lagging(repo, moved) if moved else []
    changed = [row[-1] for row in rows if row[-1] not in lagging or not row[1].startswith(b".")]
    gone = [row for row in rows if row[0] == b"1" and int(row[3], 8) and not int(row[5], 8)]
    return Changes(changed, lagging, [row[-1] for row in gone], [row[-1] for row in gone if not int(row[4], 8)])


def sides(repo: Repository) -> list[tuple[bytes, int, str]]:
    """Return path, mode and object id of what HEAD, and of what the index, has where there are local changes.

    Mode 0: nothing, or versions in conflict.
    """
    rows = _differing(repo)
    conflicts = [(row[-1], 0, "") for row in rows if row[0] == b"u"]
    plain = (row for row in rows if row[0] == b"1")
    return conflicts + [(row[-1], int(row[mode], 8), row[mode + 3].decode()) for row in plain for mode in (3, 4)]


def _differing(repo: Repository) -> list[list[bytes]]:
    """Return the lines of `git status --porcelain=v2`, in words of which the path is the last."""
    options = ("--porcelain=v2", "-z", "--untracked-files=no", "--no-renames", "--no-show-stash",
               "--ignore-submodules=dirty")  # fmt: skip
    lines = git(repo, "--no-optional-locks", "status", *options).out.split(b"\0")
    return [line.split(b" ", 10 if line.startswith(b"u") else 8) for line in lines if line]


def unmerged(repo: Repository) -> list[bytes]:
    """Return the paths that the index holds in conflict."""
    lines = git(repo, "ls-files", "--unmerged", "-z", "--full-name").out.split(b"\0")[:-1]
    return sorted({line.partition(b"\t")[2] for line in lines})


def staged(repo: Repository) -> dict[bytes, Entry]:
    """Return all paths of the index."""
    found = {}
    for line in git(repo, "ls-files", "--stage", "-z", "--full-name").out.split(b"\0")[:-1]:
        meta, _, path = line.partition(b"\t")
        mode, oid, _ = meta.split(b" ")
        found[path] = Entry(int(mode, 8), oid.decode())
    return found


def in_the_way(repo: Repository, changed: Mapping[bytes, Change]) -> set[bytes]:
    """Return the paths of these changes at which the user has something of their own, be it the same."""
    assert repo.top is not None
    found = changed.keys() & set(local_changes(repo))
    top = os.fsencode(repo.top)
    return found | {
        path for path, change in changed.items() if change.old is None and _occupied(top, path, changed.keys())
    }


def _occupied(top: bytes, path: bytes, changed: Container[bytes]) -> bool:
    """Return whether something untracked lies where `path` comes, or where one of its directories comes."""
    for parent in parents(path):
        above = os.path.join(top, parent)
        if not os.path.lexists(above):
            return False
        if os.path.islink(above) or not os.path.isdir(above):
            return parent not in changed
    full = os.path.join(top, path)
    if not os.path.lexists(full):
        return False
    return not os.path.isdir(full) or os.path.islink(full) or _holds_untracked(full, path, changed)


def parents(path: bytes) -> list[bytes]:
    """Return the directories above a path, the outermost first."""
    parts = path.split(b"/")
    return [b"/".join(parts[:depth]) for depth in range(1, len(parts))]


def below_symlink(repo: Repository, path: bytes) -> bool:
    """Return whether a directory above the path is a symlink: what it leads to is the user's."""
    return any(os.path.islink(full_path(repo, parent)) for parent in parents(path))


def _holds_untracked(directory: bytes, path: bytes, changed: Container[bytes]) -> bool:
    """Return whether a directory that becomes a file holds anything that the move itself does not take away."""
    for where, directories, files in os.walk(directory):
        below = os.path.join(path, os.path.relpath(where, directory))
        links = [name for name in directories if os.path.islink(os.path.join(where, name))]
        if any(os.path.normpath(os.path.join(below, name)) not in changed for name in files + links):
            return True
    return False


def _is_already(repo: Repository, path: bytes, wanted: Entry | None) -> bool:
    """Return whether the work tree holds exactly what `wanted` says."""
    if below_symlink(repo, path):
        return False
    full = full_path(repo, path)
    if wanted is None or not os.path.lexists(full):
        return wanted is None and not os.path.lexists(full)
    if os.path.islink(full):
        return wanted.mode == SYMLINK and objects.blob_id(repo, os.readlink(full)) == wanted.oid
    if not os.path.isfile(full) or wanted.mode not in (REGULAR, EXECUTABLE):
        return False
    if bool(os.stat(full).st_mode & 0o100) != (wanted.mode == EXECUTABLE):
        return False
    return wanted.oid in (_hash(repo, full, "--no-filters"), _hash(repo, full, "--path", path))


def _hash(repo: Repository, full: bytes, *options: str | bytes) -> str:
    return git(repo, "hash-object", *options, "--", full, ok=range(256)).out.decode().strip()


def full_path(repo: Repository, path: bytes) -> bytes:
    """Return where a path of the tree is in the file system."""
    assert repo.top is not None
    return os.path.join(os.fsencode(repo.top), path)


def _removal(change: Change) -> Entry:
    """Return what takes a path out of the index: any id of the right length will do."""
    return Entry(0, (change.new or change.old or Entry(0, "")).oid)
