"""Commits of submodules that others are pointed to: push them first where that is configured, else tell of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping

from git_annex_syncx.errors import ProgramFailed, SyncxError
from git_annex_syncx.git import submodules
from git_annex_syncx.model import Outcome, Result
from git_annex_syncx.runs.context import Context


def publish(context: Context, commit: str) -> SyncxError | None:
    """Do as push.recurseSubmodules (or submodule.recurse) says; return why the commit must not be pushed yet."""
    lacking = submodules.unpublished(context.repo, commit) if commit else {}
    wanted = submodules.wanted_first(context.repo) if lacking else ""
    if wanted not in ("check", "on-demand"):
        return None
    said = ""
    for path in lacking if wanted == "on-demand" else ():
        try:
            submodules.push(context.repo, path, context.settings.stall_timeout)
        except ProgramFailed as error:
            said = f": {error.what}"
    lacking = submodules.unpublished(context.repo, commit) if wanted == "on-demand" else lacking
    told = next(_told(lacking), None)
    return told and SyncxError(f"{told[0]}{said}; with push.recurseSubmodules that comes first", told[1])


def unpublished(context: Context, commit: str) -> Iterator[Outcome]:
    """Tell of commits of submodules that others are pointed to now and cannot fetch."""
    for reason, way_out in _told(submodules.unpublished(context.repo, commit) if commit else {}):
        yield Outcome("push", Result.WAITS, reason=f"{reason}: {way_out}")


def _told(lacking: Mapping[bytes, str]) -> Iterator[tuple[str, str]]:
    for path, oid in lacking.items():
        name = os.fsdecode(path)
        yield (
            f"{name} is recorded at {oid[:10]}, which none of its remotes has",
            shlex.join(["git", "-C", name, "push"]),
        )
