"""Plans as JSON for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from git_annex_syncx.network.plan import VERSION, Plan, Step


def as_json(digest: str, plans: Iterable[Plan], objective: str) -> dict[str, Any]:
    """Return what `plan --json` prints."""
    return {
        "version": VERSION,
        "network": digest,
        "objective": objective,
        "plans": [_plan_json(found) for found in plans],
    }


def _plan_json(found: Plan) -> dict[str, Any]:
    return {
        "keys": found.question.keys,
        "bytes": found.question.bytes,
        "holders": sorted(found.question.holders),
        "targets": sorted(found.question.targets),
        "steps": list(map(step_json, found.steps)),
        "unreachable": [{"uuid": uuid, "reason": reason} for uuid, reason in found.unreachable],
        "cost": found.cost,
        "lower_bound": found.lower_bound,
        "exact": found.exact,
        "flood_cost": found.flood_cost,
    }


def step_json(step: Step) -> dict[str, Any]:
    """Return what is printed of a step."""
    return {
        "from": step.source,
        "to": step.target,
        "executor": step.executor,
        "executors": list(step.executors),
        "operation": step.operation,
        "cost": step.cost,
        "relay": step.relay,
        "start": step.start,
        "end": step.end,
    }
