"""Remotes that git-annex does not use before the user has done something."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterable, Iterator

from git_annex_syncx.annex import annex
from git_annex_syncx.branches.remote_facts import fact
from git_annex_syncx.git import ssh
from git_annex_syncx.model import Outcome, Remote, Result
from git_annex_syncx.network.survey import without_annex
from git_annex_syncx.runs.context import Node, reread
from git_annex_syncx.runs.parallel import each_remote
from git_annex_syncx.system import run
from git_annex_syncx.system.state import OutboxError


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
    due = [remote for remote in remotes if remote.found_without and _is_due(node, remote)]
    patience = node.settings.connect_timeout if run.interactive() else node.settings.stall_timeout

    def look(remote: Remote) -> Outcome:
        env = ssh.annex_connection(node.repo, node.settings, remote)
        annex.look_again(node.repo, remote.name, env, patience)
        return Outcome("transfer", Result.CURRENT, remote.name)

    for _ in each_remote("transfer", due, look, node.settings.jobs):
        pass  # what is still to be said of it, told() says
    return reread(node) if due else node


def _is_due(node: Node, remote: Remote) -> bool:
    """Whether to look at a remote now; it counts as done."""
    key, now = f"without git-annex {remote.name}", time.time()
    last = fact(node, key)
    due = run.interactive() or (last is not None and now - float(last) >= node.settings.retry_interval)
    if due or last is None:
        with contextlib.suppress(OutboxError):
            node.outbox.remember(key, str(now))
    return due
