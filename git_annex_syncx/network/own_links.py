"""The links that this repository publishes, as its configuration and git-annex have them."""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Collection

from git_annex_syncx.annex import annex
from git_annex_syncx.errors import ProgramFailed, SyncxError
from git_annex_syncx.git import drives
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import Remote, local_path
from git_annex_syncx.network.graph import HIGHEST_COST, HIGHEST_LATENCY, HIGHEST_SPEED, Link, Place, network
from git_annex_syncx.network.links_log import Line
from git_annex_syncx.network.map_reader import LOCAL_COST, REMOTE_COST, host, read_only
from git_annex_syncx.system import run
from git_annex_syncx.system.records import Cost, Speed
from git_annex_syncx.system.state import State

LOCAL_MS, NEAR_MS, FAR_MS, CLOUD_MS = 1.0, 10.0, 100.0, 200.0
COMMAND_PATIENCE = 10.0  # seconds
NEAR_NAMES = (".local", ".lan", ".home", ".internal", ".localdomain")


def own_line(repo: Repository, settings: Settings, state: State, takers: Collection[str]) -> Line:
    """Return the links of this repository to `takers`: places that are known, not dead, and take copies."""
    usable = [remote for remote in settings.remotes.values() if _usable(remote, settings, takers)]
    found = network(
        [Place(uuid) for uuid in {settings.annex_uuid, *(remote.uuid or "" for remote in usable)}],
        [_own_link(repo, settings, state, remote) for remote in usable],
    ).links
    drives = frozenset(remote.uuid or "" for remote in usable if _removable(repo, remote))
    return Line(settings.annex_uuid, found, settings.relay, drives)


def _usable(remote: Remote, settings: Settings, takers: Collection[str]) -> bool:
    """Return whether content can travel to or from a remote, and others may know of it."""
    uuid = remote.uuid or ""
    return (
        uuid in takers
        and uuid != settings.annex_uuid
        and remote.sync
        and not (remote.ignore or remote.private or remote.unverified)
    )


def _own_link(repo: Repository, settings: Settings, state: State, remote: Remote) -> Link:
    measured = _measured(state, remote.uuid or "")
    return Link(
        owner=settings.annex_uuid,
        remote=remote.uuid or "",
        cost=link_cost(repo, state, remote),
        push=remote.push and not (remote.readonly or read_only(remote.annex_url or remote.url)),
        pull=remote.pull,
        bytes_per_second=_three_digits(measured.bytes_per_second, HIGHEST_SPEED),
        latency_ms=_three_digits(measured.latency_ms, HIGHEST_LATENCY) or _latency(remote),
    )


def _three_digits(value: float | None, highest: float) -> float | None:
    """Return a measured value rounded, None where a reader of the links log would not take it."""
    if value is None or not 0 < value <= highest:
        return None
    return float(f"{max(value, 0.001):.3g}")


def _measured(state: State, uuid: str) -> Speed:
    with contextlib.suppress(SyncxError):
        return state.speeds.get(uuid) or Speed(uuid)
    return Speed(uuid)


def link_cost(repo: Repository, state: State, remote: Remote) -> float:
    """Return the cost of a remote as git-annex has it: by a command, a setting, or the default of its kind."""
    by_command = _cost_by_command(repo, remote) if remote.cost_command else None
    if by_command is not None:
        return by_command
    if remote.cost is not None:
        return remote.cost
    url = remote.url or remote.via
    if not url:
        return _special_cost(repo, state, remote)
    return LOCAL_COST if local_path(url) is not None else REMOTE_COST


def _cost_by_command(repo: Repository, remote: Remote) -> float | None:
    try:
        done = run.run("sh", "-c", remote.cost_command, cwd=repo.home, env=run.environment(), stall=COMMAND_PATIENCE)
        cost = float(done.out.decode())
    except (ProgramFailed, ValueError):
        return None
    return cost if 0 <= cost <= HIGHEST_COST else None  # false for NaN


def _special_cost(repo: Repository, state: State, remote: Remote) -> float:
    """Return the cost of a special remote; git-annex is asked once, the answer does not change."""
    uuid = remote.uuid or ""
    try:
        saved = state.costs.get(uuid)
        if saved is None:
            saved = Cost(uuid, float(annex.ask_cost(repo, remote.name)))
            state.costs.put(saved)
        cost = saved.cost
    except (SyncxError, ValueError):
        return LOCAL_COST if remote.directory else REMOTE_COST
    return cost if 0 <= cost <= HIGHEST_COST else REMOTE_COST


def _latency(remote: Remote) -> float:
    """Return what a link of this kind takes, in milliseconds, until it is measured."""
    url = remote.annex_url or remote.url or remote.via
    if not url:
        return LOCAL_MS if remote.directory else CLOUD_MS
    if local_path(url) is not None:
        return LOCAL_MS
    name = host(url)
    try:
        return NEAR_MS if ipaddress.ip_address(name).is_private else FAR_MS
    except ValueError:
        return NEAR_MS if "." not in name or name.endswith(NEAR_NAMES) else FAR_MS


def _removable(repo: Repository, remote: Remote) -> bool:
    """Return whether a remote is a drive: the user says so, or it lies where desktops mount drives."""
    if remote.removable is not None:
        return remote.removable
    place = remote.directory or (str(remote.path) if remote.path else "")
    return os.path.normpath(repo.home / place).startswith(drives.MOUNTS) if place else False
