"""Scripts for the shell of a host that git reaches by ssh, over the very connection that git would use."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from git_annex_syncx.errors import ProgramFailed
from git_annex_syncx.git import ssh
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import Remote
from git_annex_syncx.reasons import TRUST
from git_annex_syncx.system import run

UNREACHED = 255  # the exit code of ssh itself
# What a script begins with: the name of a directory in $d, as git itself would take it; `say` tells a fact;
# `find_repository` sets $at to the git directory there, by git's rules.
BEGIN = """\
LC_ALL=C; export LC_ALL
say() {{ printf 'syncx %s %s\\n' "$1" "$2"; }}
find_repository() {{
    for at in "$d/.git" "$d" "$d.git/.git" "$d.git"; do
        [ -d "$at/objects" ] && [ -f "$at/config" ] && return 0
    done
    [ -f "$d/.git" ] && at=$(git -C "$d" rev-parse --absolute-git-dir 2>/dev/null)
}}
d={path}
case $d in
"~" | "~/"*) d=$HOME${{d#"~"}} ;;
"~"*) u=${{d%%/*}}; case $u in *[!A-Za-z0-9._~-]*) ;; *) eval "h=$u"; d=$h${{d#"$u"}} ;; esac ;;
esac
"""


@dataclass(frozen=True)
class HostPath:
    """A directory: `host` as ssh takes it, perhaps with a user, empty for this one; `port` empty for the usual."""

    host: str
    port: str
    path: str


def local(directory: Path) -> HostPath:
    """Return the place of a directory on this computer."""
    return HostPath("", "", os.fspath(directory))


def host_path(url: str) -> HostPath | None:
    """Return the place that a git url names by ssh, by git's rules; None for every other url."""
    reached = ssh.address(url)
    if not reached:
        return None
    host, port = reached[0].replace("[", "").replace("]", ""), reached[1]
    if "://" not in url:
        _, _, path = url.rpartition("]:") if "[" in url.partition("/")[0] else url.partition(":")
        return HostPath(host, port, path)
    path = unquote("/" + url.split("://", 1)[1].partition("/")[2], errors="surrogateescape")
    return HostPath(host, port, path[1:] if path.startswith("/~") else path)


def run_there(
    repo: Repository, settings: Settings, remote: Remote, there: HostPath, script: str, *, asks: bool = False
) -> run.Done:
    """Run a script for sh on the host, with the directory in $d; its login shell sees nothing of it.

    One that does not ask gives up where ssh would ask for a password. Raises Stalled, and ProgramFailed where ssh
    cannot connect.
    """
    given = os.fsencode(BEGIN.format(path=shlex.quote(there.path)) + script)
    words = ["-T", *([] if asks else ["-o", "BatchMode=yes"]), *(["-p", there.port] if there.port else [])]
    by_ssh = ("-c", f'{_ssh(repo, settings, remote)} "$@"', "ssh", *words, "--", there.host, "sh -s")
    done = run.run(
        "sh", *(by_ssh if there.host else ("-s",)), cwd=Path("/"), env=run.environment(), stdin=given,
        stall=settings.stall_timeout, ok=range(256), asks=asks,
    )  # fmt: skip
    if there.host and done.code == UNREACHED:
        raise ProgramFailed(f"ssh {there.host}", done.code, os.fsdecode(done.err), repo.home)
    return done


def facts(out: bytes) -> dict[str, str]:
    """Return what a script has told; nothing where the login may not run one."""
    lines = (line.split(" ", 2) for line in os.fsdecode(out).split("\n") if line.startswith("syncx "))
    return {line[1]: line[2].strip() for line in lines if len(line) > 2}


def trusting(there: HostPath, said: str) -> str:
    """Return the command by which git trusts a repository there, as git has told it; empty where it said no such."""
    if not (found := re.search(TRUST, said)):
        return ""
    return by_hand(there, found[0].strip()) if there.host else found[0].strip()


def by_hand(there: HostPath, command: str) -> str:
    """Return the command by which a person runs another on the host."""
    port = ["-p", there.port] if there.port else []
    return shlex.join(["ssh", *port, there.host, command])


def _ssh(repo: Repository, settings: Settings, remote: Remote) -> str:
    """Return what starts ssh, for a shell, chosen as git chooses it."""
    ours = ssh.git_connection(repo, settings, remote, remote.push_url).get("GIT_SSH_COMMAND")
    given = ours or run.environment().get("GIT_SSH_COMMAND")
    given = given or os.fsdecode(git(repo, "config", "core.sshCommand", ok=(0, 1)).out).strip()
    return given or shlex.quote(run.environment().get("GIT_SSH") or "ssh")
