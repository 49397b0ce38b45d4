"""One hook of git's: what was there is set aside and run by ours, and comes back when ours is removed.

git-annex has hooks of its own, and users have theirs in any language: none is read or changed.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.git import git
from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import files
from git_annex_syncx.triggers.hook_block import block, pattern

BEFORE = ".before-syncx"  # how the name of what is set aside ends
MADE = b"#!/bin/sh\n# made by: git annex-syncx hooks install\n"
CALL = 'syncx_before=${{0%/*}}/{name}\nif [ -x "$syncx_before" ]; then "$syncx_before" "$@"; fi\n'
# What is set aside runs before our block, but for git-annex's own post-receive: that takes a tenth of a second, for
# which whoever waits for our merge would wait too. (With updateInstead it runs before: then it moves the work tree.)
ANNEX_ALONE = re.compile(
    rb"#!/bin/sh\n(?:#.*\n)*"
    rb"(?:if git annex post-receive --help >/dev/null 2>&1; then )?git annex post-receive(?:; fi)?\n"
)


class HookFile:
    """A hook as it stands: foreign, ours as we made it, or ours with lines that the user has added."""

    def __init__(self, repo: Repository, file: Path, names: tuple[str, ...] = ("",)) -> None:
        """Read it; `names` are those that blocks of ours may have. Raises SyncxError."""
        self.file, self.aside = file, file.with_name(file.name + BEFORE)
        self._repo, self._block = repo, block(repo, file.name)
        # The aside is found beside the hook also where it is called by a link of another name.
        self._call = CALL.format(name=self.aside.name).encode()
        self.content = _content(file)
        self._rest, self._found = self.content or b"", list[bytes]()
        for name in () if file.is_symlink() else names:  # what a link leads to is not ours
            self._found += (ours := pattern(os.fsencode(name))).findall(self._rest)
            self._rest = ours.sub(b"", self._rest)
        self._as_made = self._rest in (MADE, MADE + self._call)
        self._extended = bool(self._found) and self._rest.startswith(MADE) and not self._as_made
        self._foreign = self.content is not None and not (self._as_made or self._extended)

    def state(self) -> str:
        """Return how it stands, as in model.Hook."""
        if not self._found:
            replaced = self.content is not None and self._is_in_the_way() and not self.around
            return "replaced" if replaced else "absent"
        current = self.content == self._made() if self._as_made else self._extended and self._found == [self._block]
        return "installed" if current and os.access(self.file, os.X_OK) else "outdated"

    @property
    def around(self) -> bool:
        """Return whether it calls what was there before."""
        return self._call in self._rest

    def require_place(self) -> None:
        """Raises UsageError where the hook must be set aside, and another is."""
        if self._foreign and self._is_in_the_way():
            aside = f"{self.aside.name} beside it is what was there before"
            raise UsageError(
                f"{self.file} was replaced by something else, and {aside}",
                f"put together what you need in {self.file}, remove {self.aside.name}, then install again",
            )

    def install(self) -> None:
        """Make it ours."""
        if self._extended:
            content = (self.content or b"").replace(self._found[0], self._block)  # where the old one stands
        else:
            if self._foreign:
                self._set_aside()
            content = self._made()
        _write(self.file, content, executable=True)

    def uninstall(self) -> None:
        """Leave it as it was before, to the byte."""
        if self._has_two_names():
            with files.writing(self.file):
                self.aside.unlink()
        if self.file.is_symlink() or (self.content is None and not os.path.lexists(self.aside)):
            return
        if self.content is not None and not self._as_made:
            _write(self.file, self._rest)
            return
        with files.writing(self.file):
            if os.path.lexists(self.aside) and self._rest != MADE:
                self.aside.replace(self.file)
            else:
                self.file.unlink()

    def _made(self) -> bytes:
        """Return the hook as we make it."""
        before = _content(self.aside)
        if before is None:
            return MADE + self._block
        if ANNEX_ALONE.fullmatch(before) and not self._moves_work_tree():
            return MADE + self._block + self._call
        return MADE + self._call + self._block

    def _moves_work_tree(self) -> bool:
        said = git.text(self._repo, "config", "receive.denyCurrentBranch", ok=(0, 1))
        return said.lower() == "updateinstead"

    def _set_aside(self) -> None:
        """Give it its other name; the first stays, until ours takes it, so that there is a hook at every instant."""
        if self._found:  # of an earlier version
            _write(self.file, self._rest)
        with files.writing(self.file):
            self.aside.unlink(missing_ok=True)
            try:
                os.link(self.file, self.aside, follow_symlinks=False)
            except (OSError, NotImplementedError):  # not on every file system
                self.file.rename(self.aside)

    def _is_in_the_way(self) -> bool:
        return os.path.lexists(self.aside) and not self._has_two_names()

    def _has_two_names(self) -> bool:
        """Return whether an install was cut off when it had set the hook aside."""
        try:
            one, two = self.file.lstat(), self.aside.lstat()
        except OSError:
            return False
        return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b"" if file.is_symlink() else None  # it leads nowhere, and is kept
    except OSError as error:
        raise SyncxError(f"{file} cannot be read: {error.strerror}", files.advice(error)) from error


def _write(file: Path, content: bytes, executable: bool = False) -> None:
    """Write a hook whole or not at all, with the permissions that it had, or that git would give it."""
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o777 & ~_umask()
    wanted = mode if not executable or mode & stat.S_IXUSR else mode | stat.S_IXUSR | (mode & 0o044) >> 2
    if content != _content(file) or wanted != mode:
        files.write_bytes(file, content, wanted)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
