"""Hooks of git that start the phases: installed, removed without trace, and what a hook calls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, unquote

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.git import configfile, git
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Hook
from git_annex_syncx.system import files
from git_annex_syncx.system.run import WITHIN
from git_annex_syncx.triggers import worker
from git_annex_syncx.triggers.hook_block import BY_HAND, KINDS, LINE, name_of
from git_annex_syncx.triggers.hook_file import HookFile
from git_annex_syncx.triggers.queue import Request
from git_annex_syncx.views import log as view_log

NAMES = ("post-commit", "post-merge", "post-rewrite", "post-receive")
BARE = ("post-receive",)  # the others are about a work tree
MOST_DESCRIPTORS = 1024  # more than a hook is ever left with


def install(repo: Repository) -> list[Hook]:
    """Make our hooks. Raises UsageError, SyncxError."""
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
    lacking = [hook.file.name for hook in _hooks(repo, directory) if not BY_HAND.search(hook.content or b"")]
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
    found = _hooks(repo, directory)
    for hook in found:
        hook.require_place()
    for hook in found:
        hook.install()


def uninstall(repo: Repository) -> list[Hook]:
    """Take our hooks away; every file is then as it was before. Raises SyncxError."""
    for directory in {_directory(repo), repo.common / "hooks"}:  # core.hooksPath may have been set since
        for hook in _hooks(repo, directory, NAMES):
            hook.uninstall()
    with files.writing(_mark(repo)):
        _mark(repo).unlink(missing_ok=True)
    return status(repo)


def status(repo: Repository) -> list[Hook]:
    """Return how each hook stands."""
    directory = _directory(repo)
    return [Hook(hook.file.name, hook.file, _state(repo, hook), hook.around) for hook in _hooks(repo, directory)]


def _state(repo: Repository, hook: HookFile) -> str:
    if _is_others(repo, hook.file.parent) and BY_HAND.search(hook.content or b""):
        runs = os.access(hook.file, os.X_OK) and files.read(_mark(repo)) == f"{_here(repo)}\n"
        return "installed" if runs else "outdated"
    return hook.state()


def _hooks(repo: Repository, directory: Path, names: Iterable[str] = ()) -> list[HookFile]:
    """Return the hooks of a directory, by default those that the repository needs."""
    marks: tuple[str, ...] = ("",)
    if _is_others(repo, directory):  # an earlier version wrote there, with a mark for each repository
        old = moved(repo)
        places = (repo.common, Path(old)) if old and not os.path.lexists(old) else (repo.common,)
        marks = tuple(map(name_of, places))
    return [HookFile(repo, directory / name, marks) for name in names or (NAMES if repo.top else BARE)]


def installed_here(repo: Repository) -> bool:
    """Return whether the hooks were installed in this very place: a copy of a repository must not act for it."""
    mark = files.read(_mark(repo))
    if not mark and any(hook.state == "installed" for hook in status(repo)):
        mark = f"{_here(repo)}\n"  # cleared away with all that we remember; the blocks name the place too
        files.write(_mark(repo), mark)
    return mark == f"{_here(repo)}\n"


def marked(repo: Repository) -> bool:
    """Return whether hooks were installed, and not removed since."""
    return bool(files.read(_mark(repo)))


def moved(repo: Repository) -> str:
    """Return where the hooks were installed, if that is another place than this."""
    mark = files.read(_mark(repo)).strip()
    return "" if mark == _here(repo) else unquote(mark, errors="surrogateescape")


def _mark(repo: Repository) -> Path:
    return repo.state_dir / "hooks"


def _here(repo: Repository) -> str:
    return quote(os.fsencode(repo.common.resolve()))


def _directory(repo: Repository) -> Path:
    """Return where git looks for hooks: the common directory's, or core.hooksPath."""
    return repo.home / git.text(repo, "rev-parse", "--path-format=absolute", "--git-path", "hooks")


def _is_others(repo: Repository, directory: Path) -> bool:
    """Return whether hooks there are not this repository's alone: tracked, or used by other repositories too."""
    return not directory.resolve().is_relative_to(repo.common.resolve())


# What a hook calls


def detach(repo: Repository) -> None:
    """Leave the terminal and the open files of who started us; what is said goes to the hook's log."""
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
    view_log.set_up()
    try:
        worker.trigger(repo, Request(KINDS[name]), view_log.show)
    except SyncxError as error:
        view_log.line(f"{name}: {error}")


def _forget_command() -> None:
    """Forget what belongs to the one command that git ran the hook in: its -c, its --author and --date."""
    own = {"GIT_CONFIG_PARAMETERS", "GIT_AUTHOR_DATE"}
    if "GIT_COMMITTER_NAME" not in os.environ:  # else the user says there who commits, and git needs both
        own |= {"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"}
    for variable in own:
        os.environ.pop(variable, None)
