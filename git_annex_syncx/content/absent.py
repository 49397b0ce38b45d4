"""Leave out for a while the sources that said that they do not have a key, whatever the location log says."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import replace

from git_annex_syncx.annex import annex_branch, locations
from git_annex_syncx.content.link_worker import GONE, LinkWorker
from git_annex_syncx.git import drives
from git_annex_syncx.model import Need
from git_annex_syncx.runs.context import Context

LEFT_OUT = 86400.0  # seconds, or until its line in the location log changes
# Of a remote that answers, of a directory, of the web. Only said of a source: of what is fetched.
NOT_THERE = re.compile(r"not present|does not exist|File not found|\b404\b")
Missed = frozenset[tuple[str, str]]  # key, uuid of the source


def missed(context: Context) -> Missed:
    """Return what sources said that they do not have, as far as that still counts."""
    told, now = context.state.absences(), time.time()
    lines = locations.newest_lines(context.repo, annex_branch.BRANCH, told)
    left = {pair: (line, at) for pair, (line, at) in told.items() if 0 <= now - at < LEFT_OUT and lines[pair] == line}
    if left != told:
        context.state.keep_absences(left)
    return frozenset(left)


def note(context: Context, workers: Iterable[LinkWorker]) -> Missed:
    """Remember what the sources of these links said that they do not have, and return it."""
    failed = ((key, why, worker) for worker in workers for key, why in worker.failed.items())
    found = frozenset((key, worker.step.source) for key, why, worker in failed if _says_so(worker, why))
    if found:
        now = time.time()
        lines = locations.newest_lines(context.repo, annex_branch.BRANCH, found)
        told = {pair: (line, now) for pair, line in lines.items()}
        context.state.keep_absences(context.state.absences() | told)
    return found


def _says_so(worker: LinkWorker, why: str) -> bool:
    if worker.step.operation == "push":
        return why == GONE
    place = drives.directory(worker.context.repo, worker.remote)
    if place and not os.path.exists(place):  # of a drive that was pulled out git-annex says the same
        return False
    return bool(NOT_THERE.search(why))


def without(need: Need, left_out: Missed) -> Need:
    """Return the need without the sources that do not have the key."""
    out = {uuid for uuid in need.holders if (need.key, uuid) in left_out}
    return replace(need, holders=need.holders - out) if out else need
