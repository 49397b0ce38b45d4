"""Checks of the remotes, by what is known here and by the directories that some of them are: no connection."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Collection, Iterator

from git_annex_syncx.branches.membership import require_other
from git_annex_syncx.errors import Away, SyncxError
from git_annex_syncx.git import drives, git
from git_annex_syncx.model import Remote
from git_annex_syncx.network.survey import UNKNOWN, met_by, until_known, without_annex
from git_annex_syncx.reasons import mending
from git_annex_syncx.reports.doctor.finding import Finding, Level, of_error
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.times import clock

LONG, OFTEN = 86400.0, 3  # seconds, tries: a failure that persists


def check(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with remotes."""
    for remote in context.settings.remotes.values():
        if remote.sync and not remote.gateway:
            yield from _one(context, remote)


def _one(context: Context, remote: Remote) -> Iterator[Finding]:
    try:
        require_other(context, remote)
        drives.require_present(context.repo, remote)
    except Away:
        return
    except SyncxError as error:
        yield of_error("remote", error, remote.name)
        return
    name = shlex.quote(remote.name)
    if remote.found_without:
        yield Finding("content", without_annex(remote), "{}", f"git annex enableremote {name}", remote.name)
    elif remote.unverified and not remote.ignore:
        what = "git-annex does not use it before you have verified that it is the right place"
        yield Finding("content", what, "{}", f"git annex verifyremote {name}", remote.name)
    elif not remote.uuid and not remote.ignore and not remote.special:
        met = git.refs(context.repo, f"refs/remotes/{remote.name}")
        level = Level.PROBLEM if met else Level.ADVICE  # else the first sync will ask
        yield Finding("uuid", UNKNOWN, until_known(remote), met_by(remote), remote.name, level)
    if remote.path or remote.directory:
        yield from _directory(context, remote)


def _directory(context: Context, remote: Remote) -> Iterator[Finding]:
    """Yield what is wrong with a directory that is there."""
    place, name = drives.directory(context.repo, remote), shlex.quote(remote.name)
    if place and not place.is_dir():  # git adds .git to the name
        place = drives.git_dir_at(place)
    try:
        if remote.path and place:
            git.open_repository(place)
        drives.require_writable(context.repo, remote)
    except SyncxError as error:
        if not (remote.readonly and error.what == drives.READ_ONLY):
            yield of_error("remote", error, remote.name)
        return
    if place and not os.access(place, os.W_OK) and not remote.readonly:
        what = f"{place} cannot be written by you"
        meant = shlex.join(["git", "config", f"remote.{remote.name}.annex-readonly", "true"])
        yield Finding("remote", what, "check its permissions, or if that is meant: {}", meant, remote.name)
    elif drives.free_at(context.repo, remote, context.settings.disk_reserve) == 0:
        what, drop = f"no room is left for content in {place}", f"git annex-syncx sync {name}"
        yield Finding("disk", what, "make room there; this drops what it does not want: {}", drop, remote.name)


def failures(context: Context, told: Collection[str]) -> Iterator[Finding]:
    """Yield failures that persist, of remotes about which nothing was `told` yet."""
    try:
        found = context.state.failures()
    except SyncxError:
        return  # told by the check of the state
    for failure in found:
        persists = failure.tries >= OFTEN or time.time() - failure.first > LONG
        if not persists or failure.remote in told:
            continue
        what = f"{failure.phase} has failed {failure.tries} times since {clock(failure.first)}: {failure.error}"
        again = f"git annex-syncx sync {shlex.quote(failure.remote)}" if failure.remote else "git annex-syncx sync"
        known = mending(failure.error, failure.remote)
        yield Finding("failure", what, f"{known}; then: {{}}" if known else "{}", again, failure.remote)


def same_uuid(context: Context, places: dict[str, str]) -> Iterator[Finding]:
    """Yield remotes that have one uuid and are different repositories; `places` tells remote -> which it is."""
    first: dict[str, Remote] = {}
    for remote in context.settings.remotes.values():
        if not remote.uuid or remote.special or remote.name not in places:
            continue
        other = first.setdefault(remote.uuid, remote)
        if places[other.name] != places[remote.name]:
            there = shlex.quote(str(drives.directory(context.repo, remote))) if remote.path else ""
            inside = f"in the copy ({there or remote.url}): "
            what = f"it has the uuid of {other.name}, and is another repository: one is a copy of the other"
            yield Finding(
                "uuid", what, f"{inside}git config --unset annex.uuid, git annex init, "
                "git annex fsck --fast; then here: {}",
                shlex.join(["git", "config", "--unset", f"remote.{remote.name}.annex-uuid"]), remote.name,
            )  # fmt: skip


def places(context: Context) -> dict[str, str]:
    """Return which repository each directory remote is, by host and inode, where it is there."""
    found = {}
    for remote in context.settings.remotes.values():
        place = drives.directory(context.repo, remote) if remote.path else None
        at = drives.git_dir_at(place) if place and place.is_dir() else None
        if at:
            found[remote.name] = f"{os.uname().nodename} {at.stat().st_ino}"
    return found
