"""Ssh connections to remotes: impatient, and shared by all that talk to one remote in the same way."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import Remote
from git_annex_syncx.system import run

SCHEMES = {"ssh", "git+ssh", "ssh+git"}
# `user@host` or `user@[::1]`, and what follows a colon: the port of an ssh:// url, the path of host:path.
ADDRESS = re.compile(r"((?:[^@/\[:]*@)?(?:\[[^\]]*\]|[^:/\[]+))(?::(.*))?", re.DOTALL)
PASSWORD = re.compile(r":[^@/\[]*@")  # of a url, after the user; all can read what a program is started with
DIGITS = 20  # of the hash that is a socket's name
LONGEST = 65  # bytes of the sockets' directory: of 104 (macOS) the hash takes 20, the / 1, and ssh adds 18
# git-annex would put its own way of sharing before ours, and warn of the lack of it.
NO_CACHING = {"annex.sshcaching": "false", "annex.advicenosshcaching": "false"}


def git_connection(repo: Repository, settings: Settings, remote: Remote, url: str) -> dict[str, str]:
    """Return the environment that makes git use one shared, impatient ssh connection a remote."""
    words = _words(repo, settings, remote, url)
    return {"GIT_SSH_COMMAND": shlex.join(["ssh", *words]) + f" {remote.ssh_options}".rstrip()} if words else {}


def annex_connection(repo: Repository, settings: Settings, *remotes: Remote) -> dict[str, str]:
    """Return the environment that makes git-annex use the same connections as git, each remote its own.

    Name all remotes that it may talk to: others it reaches patiently, over connections of its own.
    """
    options = {
        f"remote.{remote.section}.annex-ssh-options": f"{' '.join(words)} {remote.ssh_options}"
        for remote in remotes
        if (words := _words(repo, settings, remote, remote.url or remote.via or remote.rsync_url))
    }
    return configured(options | NO_CACHING) if options else {}


def configured(options: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that adds to the configuration of git and of what it starts."""
    known = int(run.environment().get("GIT_CONFIG_COUNT") or 0)
    env = {"GIT_CONFIG_COUNT": str(known + len(options))}
    for number, (key, value) in enumerate(options.items(), start=known):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def split(url: str) -> SplitResult | None:
    """Return the parts of a url with a scheme, None for others; what does not parse is left for git to judge."""
    try:
        return urlsplit(url) if "://" in url else None
    except ValueError:
        return None


def address(url: str) -> tuple[str, str] | None:
    """Return the host (with user) and the port (or empty) that a git url reaches by ssh, as it has them; else None.

    Without a password: ssh takes none.
    """
    if "://" in url:
        parts = split(url)
        found = ADDRESS.fullmatch(PASSWORD.sub("@", parts.netloc, 1)) if parts and parts.scheme in SCHEMES else None
        return (found[1], found[2] or "") if found else None
    found = ADDRESS.fullmatch(url)
    return (found[1], "") if found and found[2] is not None and not found[2].startswith(":") else None


def _words(repo: Repository, settings: Settings, remote: Remote, url: str) -> list[str]:
    """Return options for ssh, none of which holds a blank; none where ssh is not used, or is as the user wants it."""
    reached = address(url)
    if not reached or settings.own_ssh_command or any(os.environ.get(k) for k in ("GIT_SSH", "GIT_SSH_COMMAND")):
        return []
    words = ["-o", f"ConnectTimeout={max(1, round(settings.connect_timeout))}"]
    words += ["-o", f"ServerAliveInterval={max(1, round(settings.stall_timeout / 3))}", "-o", "ServerAliveCountMax=3"]
    if not run.interactive():
        words += ["-o", "BatchMode=yes"]
    if socket := _socket(repo.home, *reached, remote.ssh_options):
        words += ["-o", "ControlMaster=auto", "-o", f"ControlPath={socket}", "-o", "ControlPersist=60"]
    return words


@functools.cache
def _socket(home: Path, host: str, port: str, options: str) -> str | None:
    """Return the path of a connection's socket; None where the user shares connections already, or none can be had.

    Ssh's own %C knows host name, port and user. Two remotes can have all of these in common and be two hosts,
    or two accounts: by a proxy, a key, or other options. So the name is a hash of what ssh makes of the address,
    and of the address itself.
    """
    directory = socket_directory()
    if host.startswith("-") or not directory:
        return None
    words = [
        "ssh",
        "-G",
        *(["-p", port] if port else []),
        *shlex.split(options),
        "--",
        host.replace("[", "").replace("]", ""),
    ]
    asked = run.run(*words, cwd=home, env=run.environment(), ok=range(256)).out
    if any(line.startswith(b"controlpath ") and line != b"controlpath none" for line in asked.splitlines()):
        return None
    agent = run.environment().get("SSH_AUTH_SOCK", "")
    known = "\0".join([run.find("ssh"), host, port, options, agent, os.fsdecode(asked)])
    return f"{directory}/{hashlib.sha256(os.fsencode(known)).hexdigest()[:DIGITS]}"


def socket_directory() -> Path | None:
    """Return a directory of our own for ssh sockets, short enough for them; None where it cannot be had safely."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    own = f"git-annex-syncx-{os.getuid()}"
    base = Path(runtime) / "git-annex-syncx" if runtime else Path(tempfile.gettempdir()) / own
    if len(os.fsencode(base)) > LONGEST or re.search(r"[\s%\"']", str(base)):
        base = Path("/tmp") / own
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        found = base.lstat()
    except OSError:
        return None
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
    return base if ours else None
