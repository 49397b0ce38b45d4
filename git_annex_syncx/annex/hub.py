"""A repository at another place, on this computer or by ssh: looked at, and made where there is none.

Both are scripts of the shell there; each step of the second can be done again, so that a run that was cut off is
completed by the next.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from git_annex_syncx.errors import ProgramFailed, SyncxError
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.remote_shell import HostPath, facts, run_there
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import Remote

LOOK = """\
say git "$(git version 2>/dev/null)"
command -v git-annex-shell >/dev/null 2>&1 && command -v git-annex >/dev/null 2>&1 && say annex yes
if find_repository; then
    say kind repository
    said=$(cd "$at" && { unset GIT_DIR; git -c safe.bareRepository=all rev-parse --git-dir 2>&1 >/dev/null; }) ||
        say wrong "$(printf %s "$said" | tr '\\n' ' ')"
    say uuid "$(git config --file "$at/config" annex.uuid)"
elif [ -d "$d" ]; then
    kind=empty
    for file in "$d"/* "$d"/.[!.]* "$d"/..?*; do
        [ -e "$file" ] || [ -L "$file" ] || continue
        case ${file##*/} in
        lost+found) ;;
        HEAD | config | description | branches | hooks | info | objects | refs | *.lock)
            [ $kind = files ] || kind=begun ;;
        *) kind=files ;;
        esac
    done
    [ $kind = begun ] && [ ! -f "$d/description" ] && [ ! -d "$d/hooks" ] && [ ! -d "$d/refs" ] && kind=files
    say kind $kind
elif [ -e "$d" ] || [ -L "$d" ]; then
    say kind file
else
    say kind none
    [ -d "$(dirname -- "$d")" ] && say above yes
fi
exit 0
"""
MAKE = """\
set -e
if ! find_repository; then
    [ -d "$d" ] || mkdir -- "$d"
    cd -- "$d"
    rm -f HEAD.lock config.lock
    GIT_DIR=. git init --quiet --bare
    at=.
else
    cd -- "$at"
fi
if command -v flock >/dev/null; then # of two at once the second finds it made
    exec 9<.
    flock 9
fi
bare=$(git config --file config core.bare)
if [ "$bare" = true ] && ! GIT_DIR=. git rev-parse --quiet --verify HEAD >/dev/null; then
    GIT_DIR=. git symbolic-ref HEAD {head}
fi
say made yes
if command -v git-annex-shell >/dev/null && command -v git-annex >/dev/null; then
    say annex yes
    [ "$(git config --file config annex.uuid)" ] || (
        [ "$bare" = true ] || cd ..
        git -c safe.bareRepository=all annex init --quiet {name} >/dev/null
    )
fi
say uuid "$(git config --file config annex.uuid)"
say crippled "$(git config --file config annex.crippledfilesystem)"
"""


@dataclass(frozen=True)
class Found:
    """The findings of a look at a place.

    `kind` is "repository", "empty" (a directory), "begun" (a repository whose making was cut off), "files" (a
    directory of other things), "file", "none" (and `above`: its directory is there), or empty where the login runs
    nothing but git.
    """

    kind: str
    above: bool = False
    annex: bool = False  # git-annex is there
    git: bool = False
    uuid: str = ""
    wrong: str = ""  # why git does not use the repository


@dataclass(frozen=True)
class Made:
    """A repository that was made or completed: its uuid (empty: without git-annex), and whether links work there."""

    uuid: str
    annex: bool
    crippled: bool


def look(repo: Repository, settings: Settings, remote: Remote, there: HostPath) -> Found:
    """Return what is at a place; nothing is changed. Raises ProgramFailed where the host cannot be reached."""
    told = facts(run_there(repo, settings, remote, there, LOOK, asks=True).out)
    return Found(
        told.get("kind", ""), "above" in told, "annex" in told, bool(told.get("git")), _uuid(told),
        told.get("wrong", ""),
    )  # fmt: skip


def _uuid(told: Mapping[str, str]) -> str:
    """Return the uuid that a host tells, empty where it is none."""
    return told.get("uuid", "") if re.fullmatch(r"[0-9A-Za-z_.-]{1,200}", told.get("uuid", "")) else ""


def make(repo: Repository, settings: Settings, remote: Remote, there: HostPath, branch: str) -> Made:
    """Make a bare repository with that first branch, or complete one, for git-annex where that is there.

    Raises SyncxError.
    """
    script = MAKE.format(head=shlex.quote(f"refs/heads/{branch}"), name=shlex.quote(remote.name))
    done = run_there(repo, settings, remote, there, script, asks=True)
    told = facts(done.out)
    if done.code or "made" not in told:
        error = ProgramFailed("git init --bare", done.code, os.fsdecode(done.err), repo.home)
        where = f"{there.path} on {there.host}" if there.host else there.path
        raise SyncxError(f"no repository could be made in {where}: {error.what}", "mend that, then try again")
    return Made(_uuid(told), "annex" in told, told.get("crippled") == "true")
