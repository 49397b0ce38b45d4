"""Checks of the own repository: work that somebody left, its state, its disk, its clock."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.conflicts import driver
from git_annex_syncx.errors import Busy, SyncxError
from git_annex_syncx.git import busy, drives, worktree
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.newest import newest_commit
from git_annex_syncx.network import survey
from git_annex_syncx.reports.doctor.finding import Finding, Level, of_error
from git_annex_syncx.runs import pauses
from git_annex_syncx.runs.context import Context

SKEW = 300.0  # seconds by which two clocks may differ
SET_CLOCK = "timedatectl set-ntp true"


def check(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with the repository."""
    yield from _work(context.repo)
    yield from _state(context)
    yield from _room(context)
    yield from _clock(context.repo)
    yield from _driver(context.repo)


def _work(repo: Repository) -> Iterator[Finding]:
    """Yield what keeps merges from being made."""
    for lock in busy.left_behind(repo):
        yield Finding("locks", f"{lock} was left behind: no git runs here", "{}", f"rm -f {shlex.quote(str(lock))}")
    look: Callable[[Repository], object]
    for look in (worktree.require_finished, worktree.require_named):
        try:
            look(repo)
        except Busy as error:  # somebody is at it
            yield Finding("work", error.what, error.advice, level=Level.ADVICE)
            return
        except SyncxError as error:
            yield of_error("work", error)
            return


def _state(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with what must outlive a run, and pauses."""
    try:
        held = pauses.pauses(context.state)
    except SyncxError as error:
        yield of_error("state", error)
        return
    place = context.repo.state_path
    for path in (place, *place.glob("*.sqlite")):
        if not os.access(path, os.W_OK):
            what = f"{path} cannot be written: failures are forgotten, and nothing happens by itself"
            yield Finding("state", what, "{}", _writable(place))
            return
    for name in held:
        what = f"automatic work with {name} is paused" if name else "all automatic work is paused"
        yield Finding("pause", what, "{}", pauses.resuming(name), name, Level.ADVICE)


def _writable(place: Path) -> str:
    quoted = shlex.quote(str(place))
    if place.stat().st_uid == os.getuid():
        return f"chmod -R u+rwX {quoted}"
    return f'sudo chown -R "$(id -u)" {quoted}'


def _room(context: Context) -> Iterator[Finding]:
    place, reserve = context.repo.common, context.settings.disk_reserve
    found = drives.free(place / "annex" if (place / "annex").is_dir() else place, reserve)
    if found == 0:
        what = f"no room is left for content: annex.diskreserve keeps {reserve:,} bytes free"
        yield Finding(
            "disk", what, "make room there, or let less be kept free: {}", "git config annex.diskreserve 1mb"
        )


def _clock(repo: Repository) -> Iterator[Finding]:
    """Yield dates that lie ahead: the own clock is slow, or somebody's is fast."""
    now = time.time()
    newest = newest_commit(repo)
    if newest and newest[1] - now > SKEW:
        yield _ahead(f"the newest commit of {newest[0]}", newest[1] - now)
    names = annex_branch.descriptions(repo)
    for uuid, when in annex_branch.dates(annex_branch.log(repo, survey.LINKS_LOG)).items():
        if when - now > SKEW:
            yield _ahead(f"what {names.get(uuid) or uuid} last published", when - now)


def _ahead(what: str, seconds: float) -> Finding:
    told = f"{what} is {seconds / 3600:,.1f} hours ahead of the clock here: one of the two clocks is wrong"
    return Finding("clock", told, "if it is this one: {}", SET_CLOCK, level=Level.ADVICE)


def _driver(repo: Repository) -> Iterator[Finding]:
    state = driver.status(repo, everywhere=False)
    everywhere = " --global" if state.scope == "global" else ""
    if state.installed and not state.runs:
        what = "the program that the merge driver calls has changed, or is gone"
        yield Finding("merge-driver", what, "{}", f"git annex-syncx merge-driver install{everywhere}")
    elif state.selected == driver.NAME and not state.installed:
        what = "merge.default is syncx, but the merge driver is not installed"
        yield Finding("merge-driver", what, "{}", f"git config --{state.selected_in} --unset merge.default")
