"""A work tree for a moment, for what git-annex asks of the file at a path."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from git_annex_syncx.gateway.git import Repository, git
from git_annex_syncx.gateway.objects import index_line
from git_annex_syncx.model import Entry

# Pointers stay pointers.
UNFILTERED = ("-c", "filter.annex.process=", "-c", "filter.annex.smudge=", "-c", "filter.annex.clean=")


@contextlib.contextmanager
def showing(repo: Repository, entries: Mapping[bytes, Entry]) -> Iterator[tuple[Repository, Mapping[str, str]]]:
    """The repository with a work tree that has these files, and the environment for it; its own where that has them.

    A bare repository has none, and an adjusted branch may hide files.
    """
    if repo.top and all(os.path.lexists(os.path.join(os.fsencode(repo.top), path)) for path in entries):
        yield repo, {}
        return
    with tempfile.TemporaryDirectory(prefix="git-annex-syncx-") as scratch:
        there, env = replace(repo, top=Path(scratch, "files")), {"GIT_INDEX_FILE": os.path.join(scratch, "index")}
        there.home.mkdir()
        with contextlib.suppress(FileNotFoundError):  # it holds the .gitattributes, which count too
            shutil.copyfile(repo.git_dir / "index", env["GIT_INDEX_FILE"])
        lines = b"".join(index_line(path, entry) for path, entry in entries.items())
        git(there, "update-index", "--replace", "-z", "--index-info", stdin=lines, env=env)
        paths = b"".join(path + b"\0" for path in entries)
        git(there, *UNFILTERED, "checkout-index", "--quiet", "-z", "--stdin", stdin=paths, env=env)
        yield there, env
