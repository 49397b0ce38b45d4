"""Remotes that git-annex does not use before the user has done something."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterable, Iterator

from git_annex_syncx.annex import annex
from git_annex_syncx.branches.remote_facts import remote_state
from git_annex_syncx.git import ssh
from git_annex_syncx.model import Outcome, Remote, Result
from git_annex_syncx.network.survey import without_annex
from git_annex_syncx.runs.context import Context, reread
from git_annex_syncx.runs.parallel import each_remote
from git_annex_syncx.system import run
from git_annex_syncx.system.state import StateError


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


def looked_again(context: Context, remotes: Iterable[Remote]) -> Context:
    """Return the context with remotes at which git-annex is found by now.

    Looked for now and then, for a person each time.
    """
    due = [remote for remote in remotes if remote.found_without and _is_due(context, remote)]
    patience = context.settings.connect_timeout if run.interactive() else context.settings.stall_timeout

    def look(remote: Remote) -> Outcome:
        env = ssh.annex_connection(context.repo, context.settings, remote)
        annex.look_again(context.repo, remote.name, env, patience)
        return Outcome("transfer", Result.CURRENT, remote.name)

    for _ in each_remote("transfer", due, look, context.settings.jobs):
        pass  # what is still to be said of it, told() says
    return reread(context) if due else context


def _is_due(context: Context, remote: Remote) -> bool:
    """Return whether to look at a remote now; it counts as done."""
    last, now = remote_state(context, remote).looked_at, time.time()
    due = run.interactive() or (last is not None and now - last >= context.settings.retry_interval)
    if due or last is None:
        with contextlib.suppress(StateError):
            context.state.remotes.change(remote.name, looked_at=now)
    return due
