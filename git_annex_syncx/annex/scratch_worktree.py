"""A work tree for a moment, where git-annex finds the files that it is asked about.

Conditions on a key (copies, sizes) hold only for files that a work tree shows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.git.objects import index_line
from git_annex_syncx.model import Entry
from git_annex_syncx.system import files, locks

# Pointers stay pointers.
UNFILTERED = ("-c", "filter.annex.process=", "-c", "filter.annex.smudge=", "-c", "filter.annex.clean=")


class Scratch:
    """A work tree of its own, made when it is needed, which gets the files that are asked about."""

    def __init__(self, repo: Repository, held: contextlib.ExitStack) -> None:
        """It is removed when `held` ends."""
        self._repo, self._held = repo, held
        self._made: tuple[Repository, Mapping[str, str]] | None = None
        self._shown: set[bytes] = set()

    def showing(self, entries: Mapping[bytes, Entry]) -> tuple[Repository, Mapping[str, str]]:
        """Return the repository with a work tree that has these files, and the environment for it.

        The user's own serves where it has them: a bare repository has none, and an adjusted branch may hide files.
        What was shown at a path before stands there still.
        """
        top = self._repo.top
        if top and all(os.path.lexists(os.path.join(os.fsencode(top), path)) for path in entries):
            return self._repo, {}
        there, env = self._made = self._made or self._held.enter_context(_made(self._repo))
        fresh = {path: entry for path, entry in entries.items() if path not in self._shown}
        if fresh:
            lines = b"".join(index_line(path, entry) for path, entry in fresh.items())
            git(there, "update-index", "--replace", "-z", "--index-info", stdin=lines, env=env)
            paths = b"".join(path + b"\0" for path in fresh)
            git(there, *UNFILTERED, "checkout-index", "--quiet", "-z", "--stdin", stdin=paths, env=env)
            self._shown.update(fresh)
        return there, env


@contextlib.contextmanager
def opened(repo: Repository) -> Iterator[Scratch]:
    """Keep one work tree for all questions about one tree."""
    with contextlib.ExitStack() as held:
        yield Scratch(repo, held)


@contextlib.contextmanager
def _made(repo: Repository) -> Iterator[tuple[Repository, Mapping[str, str]]]:
    """Make an empty work tree on the disk of the repository, without those that killed runs have left there."""
    place = repo.state_dir
    with locks.held(place / "scratch.lock"):
        for left in place.glob("scratch-*"):
            shutil.rmtree(left, ignore_errors=True)
        with files.writing(place):
            made = tempfile.TemporaryDirectory(prefix="scratch-", dir=place)
        with made as scratch:
            there, env = replace(repo, top=Path(scratch, "files")), {"GIT_INDEX_FILE": os.path.join(scratch, "index")}
            there.home.mkdir()
            with contextlib.suppress(FileNotFoundError):  # it holds the .gitattributes, which count too
                shutil.copyfile(repo.git_dir / "index", env["GIT_INDEX_FILE"])
            yield there, env
