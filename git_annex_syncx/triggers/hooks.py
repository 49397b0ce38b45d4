"""Our block in git's hooks: installed beside what is there, removed without trace, and what a hook calls."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from urllib.parse import quote, unquote

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.git import configfile, drives, git
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Hook
from git_annex_syncx.system import files
from git_annex_syncx.system.run import WITHIN
from git_annex_syncx.triggers import worker
from git_annex_syncx.triggers.hook_block import ANY_BLOCK, BY_HAND, KINDS, LINE, block, name_of, pattern
from git_annex_syncx.triggers.queue import Request
from git_annex_syncx.views import log as view_log

NAMES = ("post-commit", "post-merge", "post-rewrite", "post-receive")
BARE = ("post-receive",)  # the others are about a work tree
BEFORE = ".before-syncx"  # what was there, where a block at its end might never be reached
MADE = b"#!/bin/sh\n# made by: git annex-syncx hooks install\n"
AROUND = 'syncx_before=${{0%/*}}/{name}\nif [ -x "$syncx_before" ]; then "$syncx_before" "$@"; fi\n'
STAYS = 30.0  # seconds that what a hook has started waits for the next one; on a drive it does not
MOST_DESCRIPTORS = 1024  # more than a hook is ever left with
PLAIN_SHELL = re.compile(rb"#! ?(/usr)?/bin/(env )?(sh|bash|dash)\n")
# After these, or before the end of something unfinished, a block at the end might not run, or run elsewhere.
LEAVES = re.compile(
    rb"\b(exit|exec|return|set|trap|kill|cd|pushd|popd|eval|source|alias|unset|GIT_\w+)\b"
    rb"|(^|[\s;&|({])\.\s|<<|\(\s*\)|\\\n\Z|\0"
)
# Where git-annex's own line is all that there is, ours comes before it: theirs takes a tenth of a second, for which
# whoever waits for our merge would wait too. Not with updateInstead: then theirs moves the work tree.
ANNEX_ALONE = re.compile(
    rb"#!/bin/sh\n(?:#.*\n)*"
    rb"((?:if git annex post-receive --help >/dev/null 2>&1; then )?git annex post-receive(?:; fi)?\n)"
)
QUOTES = (b"'", b'"', b"`")


def install(repo: Repository) -> list[Hook]:
    """Put our block into the hooks. Raises UsageError, SyncxError."""
    directory = _directory(repo)
    if os.path.lexists(directory) and not directory.is_dir():
        scope = found.scope if (found := configfile.find(repo, "core.hooksPath", False)) else "local"
        raise UsageError(
            f"git looks for hooks in {directory}, which is no directory",
            f"git config --{scope} core.hooksPath DIRECTORY, or --unset core.hooksPath, then install again",
        )
    if _is_others(repo, directory):
        _require_by_hand(repo, directory)
    else:
        _install_all(repo, directory)
    files.write(_mark(repo), f"{_here(repo)}\n")
    return status(repo)


def _require_by_hand(repo: Repository, directory: Path) -> None:
    """Raises UsageError where the user has not added our line: what others run too is not ours to write."""
    lacking = [name for name in _names(repo) if not BY_HAND.search(_content(directory / name) or b"")]
    if lacking:
        inside = repo.top and directory.resolve().is_relative_to(repo.top.resolve())
        why = "is in the work tree: every clone would get what is written there" if inside else "others may use too"
        raise UsageError(
            f"git looks for hooks in {directory} (core.hooksPath), which {why}; nothing was written",
            f"add this near the beginning of {', '.join(lacking)} there, each executable, then install again: {LINE}",
        )


def _install_all(repo: Repository, directory: Path) -> None:
    with files.writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    for file, room in [(directory / name, _room(repo, directory / name)) for name in _names(repo)]:
        _install(repo, file, room)


def uninstall(repo: Repository) -> list[Hook]:
    """Take our block out again; every file is then as it was before. Raises SyncxError."""
    for directory in {_directory(repo), repo.common / "hooks"}:  # core.hooksPath may have been set since
        for name in NAMES:
            _uninstall(repo, directory / name)
    with files.writing(_mark(repo)):
        _mark(repo).unlink(missing_ok=True)
    return status(repo)


def status(repo: Repository) -> list[Hook]:
    """Return how each hook stands."""
    directory = _directory(repo)
    return [_status(repo, directory / name) for name in _names(repo)]


def installed_here(repo: Repository) -> bool:
    """Return whether the hooks were installed in this very place: a copy of a repository must not act for it."""
    mark = files.read(_mark(repo))
    if not mark and any(hook.state == "installed" for hook in status(repo)):
        mark = f"{_here(repo)}\n"  # cleared away with all that we remember; the blocks name the place too
        files.write(_mark(repo), mark)
    return mark == f"{_here(repo)}\n"


def moved(repo: Repository) -> str:
    """Return where the hooks were installed, if that is another place than this."""
    mark = files.read(_mark(repo)).strip()
    return "" if mark == _here(repo) else unquote(mark, errors="surrogateescape")


def _names(repo: Repository) -> tuple[str, ...]:
    return NAMES if repo.top else BARE


def _mark(repo: Repository) -> Path:
    return repo.state_dir / "hooks"


def _here(repo: Repository) -> str:
    return quote(os.fsencode(repo.common.resolve()))


def _directory(repo: Repository) -> Path:
    """Return where git looks for hooks: the common directory's, or core.hooksPath."""
    return repo.home / git.text(repo, "rev-parse", "--path-format=absolute", "--git-path", "hooks")


# One file


def _room(repo: Repository, file: Path) -> bytes | None:
    """Return what our block is to stand beside, None for what must be set aside first.

    Raises UsageError, SyncxError.
    """
    aside, content = _aside(file), _content(file)
    if content is None:
        return _around(file) if os.path.lexists(aside) else MADE
    rest = _without(repo, file, content)
    if rest in (MADE, _around(file)) or _ends_reached(file, rest):
        return rest
    if os.path.lexists(aside) and not _has_two_names(file):
        raise UsageError(
            f"{file} was replaced by something else, and {aside.name} beside it is what was there before",
            f"put together what you need in {file}, remove {aside.name}, then install again",
        )
    return None


def _install(repo: Repository, file: Path, room: bytes | None) -> None:
    if room is None:
        _write(file, _without(repo, file, _content(file) or b""))
        _set_aside(file)
    rest = _around(file) if room is None else room
    at = _place_in(repo, rest)
    _write(file, rest[:at] + block(repo, file.name) + rest[at:], executable=True)


def _place_in(repo: Repository, rest: bytes) -> int:
    """Return where our block comes in a hook."""
    alone = ANNEX_ALONE.fullmatch(rest)
    moves = alone and git.text(repo, "config", "receive.denyCurrentBranch", ok=(0, 1)).lower() == "updateinstead"
    return alone.start(1) if alone and not moves else len(rest)


def _set_aside(file: Path) -> None:
    """Give a hook its other name; the first stays, until ours takes it, so that there is a hook at every instant."""
    with files.writing(file):
        _aside(file).unlink(missing_ok=True)
        try:
            os.link(file, _aside(file), follow_symlinks=False)
        except (OSError, NotImplementedError):  # not on every file system
            file.rename(_aside(file))


def _has_two_names(file: Path) -> bool:
    """Return whether an install was cut off when it had set the hook aside."""
    try:
        one, two = file.lstat(), _aside(file).lstat()
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)


def _uninstall(repo: Repository, file: Path) -> None:
    if _has_two_names(file):
        with files.writing(file):
            _aside(file).unlink()
    if file.is_symlink() or ((content := _content(file)) is None and not os.path.lexists(_aside(file))):
        return
    rest = None if content is None else _without(repo, file, content)
    if rest not in (None, MADE, _around(file)):
        _write(file, rest or b"")
        return
    with files.writing(file):
        if os.path.lexists(_aside(file)) and rest != MADE:
            _aside(file).replace(file)
        else:
            file.unlink()


def _status(repo: Repository, file: Path) -> Hook:
    content = _content(file)
    if content is None:
        return Hook(file.name, file, "absent")
    if _is_others(repo, file.parent) and BY_HAND.search(content):
        runs = os.access(file, os.X_OK) and files.read(_mark(repo)) == f"{_here(repo)}\n"
        return Hook(file.name, file, "installed" if runs else "outdated")
    if not (found := _find(repo, file, content)):
        replaced = os.path.lexists(_aside(file)) and _around(file) not in content and not _has_two_names(file)
        return Hook(file.name, file, "replaced" if replaced else "absent")
    rest = _without(repo, file, content)
    placed = found.start() == _place_in(repo, rest) or not ANNEX_ALONE.fullmatch(rest)
    current = found.group() == block(repo, file.name) and placed and os.access(file, os.X_OK)
    return Hook(file.name, file, "installed" if current else "outdated", _around(file) in content)


def _aside(file: Path) -> Path:
    return file.with_name(file.name + BEFORE)


def _around(file: Path) -> bytes:
    """A hook that runs what was there before, also where it is called by a link of another name beside it."""
    return MADE + AROUND.format(name=_aside(file).name).encode()


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b"" if file.is_symlink() else None  # it leads nowhere, and is kept
    except OSError as error:
        raise SyncxError(f"{file} cannot be read: {error.strerror}", files.advice(error)) from error


def _ends_reached(file: Path, content: bytes) -> bool:
    """Return whether it is a shell script of which the end is always reached, run by git and by nobody else."""
    own = ANY_BLOCK.sub(b"", content)  # other repositories have theirs in it
    plain = PLAIN_SHELL.match(own) and own.endswith(b"\n") and not LEAVES.search(own)
    closed = not any(own.count(quote) % 2 for quote in QUOTES)
    return bool(plain) and closed and not file.is_symlink() and bool(file.stat().st_mode & stat.S_IXUSR)


def _is_others(repo: Repository, directory: Path) -> bool:
    """Return whether hooks there are not this repository's alone.

    It is tracked, or other repositories may use it too.
    """
    return not directory.resolve().is_relative_to(repo.common.resolve())


def _find(repo: Repository, file: Path, content: bytes) -> re.Match[bytes] | None:
    """Our block in a hook, also one of before the repository was moved; what a link leads to is not ours."""
    if file.is_symlink():
        return None
    names = [""]
    if _is_others(repo, file.parent):
        old = moved(repo)
        names = [name_of(repo.common)] + ([name_of(Path(old))] if old and not os.path.lexists(old) else [])
    found = (pattern(re.escape(os.fsencode(name))).search(content) for name in names)
    return next(filter(None, found), None)


def _without(repo: Repository, file: Path, content: bytes) -> bytes:
    while found := _find(repo, file, content):
        content = content[: found.start()] + content[found.end() :]
    return content


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


# What a hook calls


def detach(repo: Repository) -> None:
    """Go on without anything of who started us: no terminal, no open file; what is said goes to the hook's log."""
    with contextlib.suppress(OSError):
        os.setsid()
    os.closerange(3, MOST_DESCRIPTORS)
    try:
        log = files.open_log(repo.state_dir / "hook.log")
    except SyncxError:  # what was asked for is done all the same
        log = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(log, stream)


def called(name: str) -> None:
    """Look what there is to do, in a process that nobody waits for; our block in a hook calls this.

    Where the repository was moved, or is no repository any more, nothing happens.
    """
    if os.environ.get(WITHIN) and name != "post-receive":
        return  # what git does in a run of ours is no news
    _forget_command()
    try:
        repo = git.open_repository(None)
        if name not in KINDS or not installed_here(repo):
            return
        detach(repo)
    except SyncxError:
        return
    view_log.talk()
    try:
        stays = 0.0 if any(map(drives.may_be_unplugged, (repo.common, repo.home))) else STAYS
        worker.trigger(repo, Request(KINDS[name]), view_log.show, stays)
    except SyncxError as error:
        view_log.line(f"{name}: {error}")


def _forget_command() -> None:
    """Forget what belongs to the one command that git ran the hook in: its -c, its --author and --date."""
    own = {"GIT_CONFIG_PARAMETERS", "GIT_AUTHOR_DATE"}
    if "GIT_COMMITTER_NAME" not in os.environ:  # else the user says there who commits, and git needs both
        own |= {"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"}
    for variable in own:
        os.environ.pop(variable, None)
