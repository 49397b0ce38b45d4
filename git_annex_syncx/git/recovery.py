"""Undo what a killed git has left half done in the work tree, so that it is not taken for the user's changes."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterable

from git_annex_syncx.git import local_changes, objects
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.model import EXECUTABLE, REGULAR, SYMLINK, Entry


def undo(repo: Repository, old: str | None, new: str, kept: Collection[bytes] = ()) -> None:
    """Put the paths that a move from `old` to `new` has touched back to what `old` says.

    Touched is what is gone or holds the beginning of what `new` says: all of it is in the object database.
    `kept` are paths that were the user's before the move began.
    """
    bases = objects.merge_bases(repo, old, new) if old else []
    changed = objects.diff(repo, bases[0] if bases else objects.empty_tree(repo), new)
    before, staged = (objects.entries(repo, old) if old else {}), local_changes.staged(repo)
    torn = {
        path
        for path in local_changes.in_the_way(repo, changed).difference(kept)
        if staged.get(path) in (before.get(path), changed[path].new) and _is_torn(repo, path, changed[path].new)
    }
    _remove(repo, sorted(torn - before.keys()), staged)
    _restore(repo, sorted(torn & before.keys()))


def _remove(repo: Repository, paths: Iterable[bytes], staged: dict[bytes, Entry]) -> None:
    local_changes.stage(repo, {path: Entry(0, staged[path].oid) for path in paths if path in staged})
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(local_changes.full_path(repo, path))
        with contextlib.suppress(OSError):  # a directory that holds something else
            os.removedirs(os.path.dirname(local_changes.full_path(repo, path)))


def _restore(repo: Repository, paths: Iterable[bytes]) -> None:
    """Restore paths from HEAD, except where a directory has taken the place."""
    free = [path for path in paths if not _is_directory(local_changes.full_path(repo, path))]
    if free:
        options = ("--quiet", "--pathspec-from-file=-", "--pathspec-file-nul")
        listed = b"".join(path + b"\0" for path in free)
        git(repo, "--literal-pathspecs", "checkout", *options, "HEAD", stdin=listed)


def _is_torn(repo: Repository, path: bytes, new: Entry | None) -> bool:
    full = local_changes.full_path(repo, path)
    if local_changes.below_symlink(repo, path):
        return False
    if not os.path.lexists(full):
        return True
    if new is None or new.mode not in (REGULAR, EXECUTABLE, SYMLINK):
        return False
    kind = os.lstat(full).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISLNK(kind):
        return False
    wanted = objects.read_blobs(repo, [new.oid])[new.oid]
    if stat.S_ISLNK(kind):
        return new.mode == SYMLINK and os.readlink(full) == wanted
    if new.mode == SYMLINK:  # on an adjusted branch it comes as a pointer
        wanted = b"/annex/objects/" + os.path.basename(wanted) + b"\n"
    with open(full, "rb") as handle:
        return wanted.startswith(handle.read(len(wanted) + 1))


def _is_directory(full: bytes) -> bool:
    return os.path.isdir(full) and not os.path.islink(full)
