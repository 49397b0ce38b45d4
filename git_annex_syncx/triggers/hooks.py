"""Our block in git's hooks: installed at the end of what is there, removed without trace, and what a hook calls."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from git_annex_syncx import view_log
from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.gateway import files, git
from git_annex_syncx.gateway.git import Repository
from git_annex_syncx.gateway.run import own_program
from git_annex_syncx.triggers import automatic
from git_annex_syncx.triggers.requests import Request, place

NAMES = ("post-commit", "post-merge", "post-rewrite", "post-receive")
KINDS = {"post-commit": "commit", "post-merge": "commit", "post-rewrite": "commit", "post-receive": "received"}
BARE = ("post-receive",)  # the others are about a work tree
BEFORE = ".before-syncx"  # what was there, where a block at its end might never be reached
MADE = b"#!/bin/sh\n# made by: git annex-syncx hooks install\n"
AROUND = MADE + b'if [ -x "$0' + BEFORE.encode() + b'" ]; then "$0' + BEFORE.encode() + b'" "$@"; fi\n'
BEGIN, END = "# >>> git-annex-syncx", "# <<< git-annex-syncx"
# The status of the hook stays what it was; nothing is written, nothing is waited for.
# Where a process of ours attends to requests already (only Linux can tell), leaving one is enough.
BLOCK = """\
{begin} (removed by: git annex-syncx hooks uninstall)
syncx_status=$? syncx_place={place}
{guard}
    if {plain} && read -r syncx_pid <"$syncx_place.pid" && read -r syncx_name <"/proc/$syncx_pid/comm" &&
        [ "$syncx_name" = git-annex-syncx ] && : >>"$syncx_place/{kind}"; then :
    else
        syncx={program}; [ -x "$syncx" ] || syncx=git-annex-syncx
        ( "$syncx" trigger {name} </dev/null >/dev/null 2>&1 & )
    fi 2>/dev/null
fi
( exit "$syncx_status" )
{end}
"""
# A work tree of its own has requests of its own; what git does in a run of ours is no news.
LINKED, OURS = 'case "$GIT_DIR" in */worktrees/*) false ;; esac', '[ -z "$SYNCX_RUN" ]'
STAYS = 10.0  # seconds that what a hook has started waits for the next one
MOST_DESCRIPTORS = 1024  # more than a hook is ever left with
PLAIN_SHELL = re.compile(rb"#! ?(/usr)?/bin/(env )?(sh|bash|dash)\n")
# After these, or before the end of something unfinished, a block at the end might not run, or run otherwise.
LEAVES = re.compile(rb"\b(exit|exec|return|set|trap)\b|<<|\\\n\Z|\0")


@dataclass(frozen=True)
class Hook:
    """One hook: its file, and whether it is "installed", "absent", "outdated" or "replaced" (by something else)."""

    name: str
    file: Path
    state: str
    around: bool = False  # what was there before is called by it


def install(repo: Repository) -> list[Hook]:
    """Put our block into the hooks. Raises UsageError, SyncxError."""
    directory = _directory(repo)
    with files.writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    for name in _names(repo):
        _install(repo, directory / name)
    files.write(_mark(repo), f"{_here(repo)}\n")
    return status(repo)


def uninstall(repo: Repository) -> list[Hook]:
    """Take our block out again; every file is then as it was before. Raises SyncxError."""
    with files.writing(_mark(repo)):
        _mark(repo).unlink(missing_ok=True)
    for name in NAMES:
        _uninstall(repo, _directory(repo) / name)
    return status(repo)


def status(repo: Repository) -> list[Hook]:
    """How each hook stands."""
    return [_status(repo, _directory(repo) / name) for name in _names(repo)]


def installed_here(repo: Repository) -> bool:
    """Whether the hooks were installed in this very place: a copy of a repository must not act for it."""
    return files.read(_mark(repo)) == f"{_here(repo)}\n"


def moved(repo: Repository) -> str:
    """Where the hooks were installed, if that is another place than this."""
    return "" if installed_here(repo) else unquote(files.read(_mark(repo)).strip(), errors="surrogateescape")


def _names(repo: Repository) -> tuple[str, ...]:
    return NAMES if repo.top else BARE


def _mark(repo: Repository) -> Path:
    return repo.state_dir / "hooks"


def _here(repo: Repository) -> str:
    return quote(os.fsencode(repo.common.resolve()))


def _directory(repo: Repository) -> Path:
    """Where git looks for hooks: the common directory's, or core.hooksPath."""
    return repo.home / git.text(repo, "rev-parse", "--path-format=absolute", "--git-path", "hooks")


# One file


def _install(repo: Repository, file: Path) -> None:
    before = file.with_name(file.name + BEFORE)
    content = _content(file)
    if content is not None and _find(repo, content):
        content = _without(repo, content)
    elif content is None or not _ends_reached(file, content):
        if content is not None and os.path.lexists(before):
            raise UsageError(
                f"{file} was replaced by something else, and {before.name} beside it is what was there before",
                f"put together what you need in {file}, remove {before.name}, then install again",
            )
        if content is not None:
            with files.writing(file):
                file.rename(before)
        content = AROUND if os.path.lexists(before) else MADE
    _write(file, content + _block(repo, file.name))


def _uninstall(repo: Repository, file: Path) -> None:
    before, content = file.with_name(file.name + BEFORE), _content(file)
    rest = _without(repo, content) if content is not None else None
    if content is None or rest in (MADE, AROUND):
        with files.writing(file):
            if os.path.lexists(before) and rest != MADE:
                before.replace(file)
            else:
                file.unlink(missing_ok=True)
    elif rest is not None and rest != content:
        _write(file, rest)


def _status(repo: Repository, file: Path) -> Hook:
    content = _content(file)
    if content is None:
        return Hook(file.name, file, "absent")
    if not (found := _find(repo, content)):
        replaced = os.path.lexists(file.with_name(file.name + BEFORE))
        return Hook(file.name, file, "replaced" if replaced else "absent")
    current = content[slice(*found)] == _block(repo, file.name) and os.access(file, os.X_OK)
    return Hook(file.name, file, "installed" if current else "outdated", AROUND in content)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b"" if file.is_symlink() else None  # it leads nowhere, and is kept
    except OSError as error:
        raise SyncxError(f"{file} cannot be read: {error.strerror}", "check permissions") from error


def _ends_reached(file: Path, content: bytes) -> bool:
    """Whether it is a shell script of which the end is always reached, run by git and by nobody else."""
    plain = PLAIN_SHELL.match(content) and content.endswith(b"\n") and not LEAVES.search(content)
    return bool(plain) and not file.is_symlink() and os.access(file, os.X_OK)


def _block(repo: Repository, name: str) -> bytes:
    """Our lines. Where several repositories share their hooks, each has its own, which is for it alone."""
    guards = [OURS] if name != "post-receive" else []
    if _is_shared(repo):
        asked = '"$(git rev-parse --path-format=absolute --git-common-dir 2>/dev/null)"'
        guards.append(f"[ {asked} = {shlex.quote(str(repo.common))} ]")
    text = BLOCK.format(
        begin=_begin(repo), end=_end(repo), guard=f"if {' && '.join(guards) or ':'}; then", plain=LINKED,
        place=shlex.quote(str(place(replace(repo, git_dir=repo.common)))), program=shlex.quote(str(own_program())),
        name=name, kind=KINDS[name],
    )  # fmt: skip
    return os.fsencode(text)


def _is_shared(repo: Repository) -> bool:
    return not _directory(repo).is_relative_to(repo.common)


def _begin(repo: Repository) -> str:
    return f"{BEGIN} {_name(repo)}>>>"


def _end(repo: Repository) -> str:
    return f"{END} {_name(repo)}<<<"


def _name(repo: Repository) -> str:
    """What tells the block of one repository from that of another, in hooks that they share."""
    return f"{shlex.quote(str(repo.common))} ".replace("\n", "?") if _is_shared(repo) else ""


def _find(repo: Repository, content: bytes) -> tuple[int, int] | None:
    """Where our block is in a hook."""
    begin, end = os.fsencode(_begin(repo)), os.fsencode(_end(repo)) + b"\n"
    start = content.find(begin)
    stop = content.find(end, start)
    return (start, stop + len(end)) if 0 <= start < stop else None


def _without(repo: Repository, content: bytes) -> bytes:
    found = _find(repo, content)
    return content[: found[0]] + content[found[1] :] if found else content


def _write(file: Path, content: bytes) -> None:
    """Write a hook whole or not at all, as executable as it was, or as git would make it."""
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o777 & ~_umask()
    files.write_bytes(file, content, mode | 0o100)


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
    log = files.open_log(repo.state_dir / "hook.log")
    for stream in (1, 2):
        os.dup2(log, stream)


def called(name: str) -> None:
    """What our block in a hook starts: look what there is to do, in a process that nobody waits for.

    Where the repository was moved, or is no repository any more, nothing happens.
    """
    try:
        repo = git.open_repository(None)
        if name not in KINDS or not installed_here(repo):
            return
        detach(repo)
    except SyncxError:
        return
    view_log.talk()
    try:
        automatic.trigger(repo, Request(KINDS[name]), view_log.show, STAYS)
    except SyncxError as error:
        view_log.line(f"{name}: {error}")
