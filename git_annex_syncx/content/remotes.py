"""Select the remotes that content can travel to or from, and say of others what has to be done first."""

from __future__ import annotations

import contextlib
import functools
import shlex
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from git_annex_syncx.annex import annex
from git_annex_syncx.branches.remote_facts import remote_state
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, git, ssh
from git_annex_syncx.model import OUTSIDE, OUTSIDE_COST, Outcome, Remote, Result
from git_annex_syncx.network.survey import without_annex
from git_annex_syncx.runs.context import Context, reread, says_yes
from git_annex_syncx.runs.parallel import each_remote, one_remote
from git_annex_syncx.system import run
from git_annex_syncx.system.state import StateError


def usable(context: Context, remotes: Iterable[Remote], outside: bool) -> tuple[Remote, ...]:
    """Return the remotes that content can travel to or from.

    With `outside` also the web and its like, which git-annex has in every repository.
    """
    known = (remote for remote in remotes if remote.uuid and not (remote.ignore or remote.unverified))
    found = [remote for remote in known if not says_yes(context, remote.ignore_command)]
    for uuid, name in OUTSIDE.items() if outside else ():
        if name not in context.settings.remotes:
            found.append(Remote(name, "", "", uuid, push=False, cost=OUTSIDE_COST))
    return tuple(found)


def unusable(remotes: Iterable[Remote]) -> Iterator[Outcome]:
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


def acquainted(context: Context, remotes: tuple[Remote, ...]) -> tuple[Context, tuple[Remote, ...], list[Outcome]]:
    """Return the context with the uuids of remotes met for the first time, and outcomes for those without one.

    git-annex is asked for them, which connects.
    """
    context = _looked_again(context, remotes)
    if all(remote.uuid or remote.ignore for remote in remotes) and not any(r.found_without for r in remotes):
        return context, remotes, []
    context, strangers = reread(context), []
    for name in [remote.name for remote in remotes]:
        remote = context.settings.remotes.get(name)
        if remote and not (remote.uuid or remote.ignore):
            complaint = one_remote("transfer", remote, functools.partial(_ask, context))
            context = reread(context)
            now = context.settings.remotes[name]
            strangers += [] if now.uuid or now.ignore else [complaint]
    known = context.settings.remotes
    # In which directions this run may use them was decided before.
    found = (replace(known[r.name], pull=r.pull, push=r.push) for r in remotes if r.name in known)
    return context, tuple(found), strangers


def _ask(context: Context, remote: Remote) -> Outcome:
    """Let git-annex ask a remote for its uuid; return what is to be said if it has none."""
    drives.require_present(context.repo, remote)
    env = ssh.annex_connection(context.repo, context.settings, remote)
    name = shlex.quote(remote.name)
    if complaint := annex.learn_uuid(context.repo, remote.name, env):
        raise SyncxError(complaint, f"check the network, or git remote set-url {name} URL; the next run asks again")
    if git.refs(context.repo, remote.tracking("git-annex")):
        raise SyncxError(
            f"git-annex did not learn the uuid of {remote.name}", "run git annex init in that repository"
        )
    reason = f"git-annex does not know it yet: git annex-syncx push {name}, then transfer again"
    return Outcome("transfer", Result.WAITS, remote.name, reason=reason)


def _looked_again(context: Context, remotes: Iterable[Remote]) -> Context:
    """Return the context with remotes at which git-annex is found by now.

    They are looked at now and then, for a person each time.
    """
    due = [remote for remote in remotes if remote.found_without and _is_due(context, remote)]
    patience = context.settings.connect_timeout if run.interactive() else context.settings.stall_timeout

    def look(remote: Remote) -> Outcome:
        env = ssh.annex_connection(context.repo, context.settings, remote)
        annex.look_again(context.repo, remote.name, env, patience)
        return Outcome("transfer", Result.CURRENT, remote.name)

    for _ in each_remote("transfer", due, look, context.settings.jobs):
        pass  # what is still to be said of it, unusable() says
    return reread(context) if due else context


def _is_due(context: Context, remote: Remote) -> bool:
    """Return whether to look at a remote now; it counts as done."""
    last, now = remote_state(context, remote).looked_at, time.time()
    due = run.interactive() or (last is not None and now - last >= context.settings.retry_interval)
    if due or last is None:
        with contextlib.suppress(StateError):
            context.state.remotes.change(remote.name, looked_at=now)
    return due
