"""Our lines in a hook: the block that `hooks install` writes, and the line that users add by hand."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path

from git_annex_syncx.git.git import Repository
from git_annex_syncx.system.run import own_program
from git_annex_syncx.triggers.queue import place

KINDS = {"post-commit": "commit", "post-merge": "commit", "post-rewrite": "commit", "post-receive": "received"}
BEGIN, END = "# >>> git-annex-syncx", "# <<< git-annex-syncx"
# The status of the hook stays what it was; nothing is written, nothing is waited for.
# Where a request can be left by nobody, the user (or who pushes) is told in one line.
# Where a process of ours attends to requests already (only Linux can tell), leaving one is enough.
# (`:` instead of `true` would end the hook where nothing can be written there.)
BLOCK = """\
{begin} (removed by: git annex-syncx hooks uninstall)
syncx_status=$? syncx_place={place}
{guard}
    syncx_kept=$syncx_place; [ -e "$syncx_kept" ] || syncx_kept=${{syncx_place%/*}}
    if {plain} && [ -e "$syncx_kept" ] && ! {{ [ -d "$syncx_kept" ] && [ -w "$syncx_kept" ]; }}; then
        echo "git-annex-syncx: $syncx_kept cannot be written: nothing happens by itself; check its permissions" >&2
    elif {{ {plain} && read -r syncx_pid syncx_begun <"$syncx_place.pid" &&
        read -r _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ syncx_runs _ <"/proc/$syncx_pid/stat" &&
        [ "$syncx_runs" = "$syncx_begun" ] && true >>"$syncx_place/{kind}"; }} 2>/dev/null; then :
    else
        syncx={program}; [ -x "$syncx" ] || syncx=git-annex-syncx
        ( "$syncx" trigger {name} </dev/null >/dev/null 2>&1 & ) 2>/dev/null
    fi
fi
( exit "$syncx_status" )
{end}
"""
# A linked work tree has requests of its own; what git does in a run of ours is no news.
PLAIN = '[ -d "${GIT_DIR:-.git}" ] && [ ! -e "${GIT_DIR:-.git}/commondir" ]'
OURS = '[ -z "$SYNCX_RUN" ]'
# What the user adds to hooks that are not this repository's alone; who has not run `install` does nothing there.
LINE = 'git-annex-syncx trigger "${0##*/}" </dev/null >/dev/null 2>&1 &'
BY_HAND = re.compile(rb"^[^#\n]*git-annex-syncx trigger ", re.MULTILINE)


def block(repo: Repository, hook: str) -> bytes:
    """Return our lines for a hook."""
    guard = OURS if hook != "post-receive" else ":"
    text = BLOCK.format(
        begin=f"{BEGIN} >>>", end=f"{END} <<<", guard=f"if {guard}; then",
        place=shlex.quote(str(place(replace(repo, git_dir=repo.common)))), program=shlex.quote(str(own_program())),
        plain=PLAIN, name=hook, kind=KINDS[hook],
    )  # fmt: skip
    return os.fsencode(text)


def name_of(common: Path) -> str:
    """Return the mark by which an earlier version told the blocks of several repositories in a shared hook apart."""
    return f"{shlex.quote(str(common))} "


def pattern(mark: bytes) -> re.Pattern[bytes]:
    """Return the pattern of a whole block, with the mark of a repository where it has one."""
    begin, end = BEGIN.encode() + b" " + re.escape(mark) + b">>>", END.encode() + b" " + re.escape(mark) + b"<<<\n"
    return re.compile(rb"^%s.*\n(?:(?!%s).*\n)*?%s" % (begin, begin, end), re.MULTILINE)
