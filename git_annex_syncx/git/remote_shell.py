"""Scripts for the shell of a host that git reaches by ssh, over the very connection that git would use."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from urllib.parse import unquote

from git_annex_syncx.git import ssh
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import Remote
from git_annex_syncx.system import run

UNREACHED = 255  # the exit code of ssh itself
# What a script is to begin with: the name of a directory there in $d, as git itself would take it.
DIRECTORY = """\
d={path}
case $d in
"~" | "~/"*) d=$HOME${{d#"~"}} ;;
"~"*) u=${{d%%/*}}; case $u in *[!A-Za-z0-9._~-]*) ;; *) eval "h=$u"; d=$h${{d#"$u"}} ;; esac ;;
esac
"""


@dataclass(frozen=True)
class Place:
    """A directory on another host: `host` as ssh takes it, perhaps with a user; `port` empty for the usual one."""

    host: str
    port: str
    path: str


def place(url: str) -> Place | None:
    """Return the place that a git url names by ssh, by git's rules; None for every other url."""
    reached = ssh.address(url)
    if not reached:
        return None
    host, port = reached[0].replace("[", "").replace("]", ""), reached[1]
    if "://" not in url:
        _, _, path = url.rpartition("]:") if "[" in url.partition("/")[0] else url.partition(":")
        return Place(host, port, path)
    path = unquote("/" + url.split("://", 1)[1].partition("/")[2], errors="surrogateescape")
    return Place(host, port, path[1:] if path.startswith("/~") else path)


def run_there(
    repo: Repository, settings: Settings, remote: Remote, there: Place, script: str, *, asks: bool = False
) -> run.Done:
    """Run a script for sh on the host, with the directory in $d; its login shell sees nothing of it.

    One that does not ask gives up where ssh would ask for a password. Raises Stalled.
    """
    words = ["-T", *([] if asks else ["-o", "BatchMode=yes"]), *(["-p", there.port] if there.port else [])]
    text = os.fsencode(DIRECTORY.format(path=shlex.quote(there.path)) + script)
    return run.run(
        "sh", "-c", f'{_ssh(repo, settings, remote)} "$@"', "ssh", *words, "--", there.host, "sh -s",
        cwd=repo.home, env=run.environment(), stdin=text, stall=settings.stall_timeout, ok=range(256), asks=asks,
    )  # fmt: skip


def _ssh(repo: Repository, settings: Settings, remote: Remote) -> str:
    """Return what starts ssh, for a shell, chosen as git chooses it."""
    ours = ssh.git_connection(repo, settings, remote, remote.push_url).get("GIT_SSH_COMMAND")
    given = ours or run.environment().get("GIT_SSH_COMMAND")
    given = given or os.fsdecode(git(repo, "config", "core.sshCommand", ok=(0, 1)).out).strip()
    return given or shlex.quote(run.environment().get("GIT_SSH") or "ssh")
