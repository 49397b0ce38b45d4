"""Remotes that git-annex does not use before the user has done something."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterable, Iterator

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.gateway import annex, run, ssh
from git_annex_syncx.model import Outcome, Remote, Result
from git_annex_syncx.network.survey import without_annex
from git_annex_syncx.phases.node import Node, reread


def told(remotes: Iterable[Remote]) -> Iterator[Outcome]:
    """Say of each what the user has to do first."""
    for remote in remotes:
        if why := reason(remote):
            yield Outcome("transfer", Result.WAITS, remote.name, remote.uuid, reason=why)


def reason(remote: Remote) -> str:
    """Return what has to be done before git-annex uses a remote; empty where nothing has."""
    if remote.found_without:
        return without_annex(remote)
    if remote.unverified and not remote.ignore:
        command = f"git annex verifyremote {shlex.quote(remote.name)}"
        return f"git-annex uses it when you have verified that it is the right place: {command}"
    return ""


def looked_again(node: Node, remotes: Iterable[Remote]) -> Node:
    """The same with remotes at which git-annex is found by now: looked for now and then, for a person each time."""
    looked = False
    for remote in (remote for remote in remotes if remote.found_without):
        key, now = f"without git-annex {remote.name}", time.time()
        last = float(node.outbox.fact(key) or now)
        if run.interactive() or now - last >= node.settings.retry_interval:
            env = ssh.annex_connection(node.repo, node.settings, remote)
            with contextlib.suppress(SyncxError):
                annex.look_again(node.repo, remote.name, env, node.settings.stall_timeout)
            looked, last = True, now
        node.outbox.remember(key, str(last))
    return reread(node) if looked else node
