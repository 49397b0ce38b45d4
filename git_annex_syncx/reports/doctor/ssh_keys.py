"""Check that runs by themselves can log in: a key with a passphrase opens nothing without an agent."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from git_annex_syncx.git.remote_shell import HostPath, host_path
from git_annex_syncx.model import Remote
from git_annex_syncx.reports.doctor.finding import Finding, Level
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system import run


def check(context: Context, by: str) -> Iterator[Finding]:
    """Yield remotes to which only an agent opens the way, which runs by `by` do not have."""
    if context.settings.own_ssh_command or not os.environ.get("SSH_AUTH_SOCK"):
        return  # else the look at the remote tells
    told = set[str]()
    for remote in context.settings.remotes.values():
        there = host_path(remote.push_url) if remote.sync and not remote.special else None
        keys = _keys(context, there, remote) if there else []
        if not there or not keys or any(_opens(key) for key in keys) or (key := str(keys[0])) in told:
            continue
        told.add(key)
        what = f"the key {key} has a passphrase, and {by} has no ssh-agent to ask"
        advice = "give the machine a key of its own, or take the passphrase off: {}"
        yield Finding("ssh", what, advice, f"ssh-keygen -p -f {shlex.quote(key)}", remote.name, Level.ADVICE)


def _keys(context: Context, there: HostPath, remote: Remote) -> list[Path]:
    """Return the keys that ssh would offer, those that are there."""
    words = [*(["-p", there.port] if there.port else []), *shlex.split(remote.ssh_options)]
    out = run.run(
        "ssh", "-G", *words, "--", there.host, cwd=context.repo.home, env=run.environment(), ok=range(256)
    ).out
    lines = os.fsdecode(out).split("\n")
    named = [line.partition(" ")[2] for line in lines if line.startswith("identityfile ")]
    return [path for name in named if (path := Path(os.path.expanduser(name))).is_file()]


def _opens(key: Path) -> bool:
    """Return whether a key has no passphrase."""
    words = ("-y", "-P", "", "-f", str(key))
    return run.run("ssh-keygen", *words, cwd=Path("/"), env=run.environment(), ok=range(256)).code == 0
