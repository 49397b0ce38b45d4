"""Plans that were made before, kept in a file: to load the planner takes longer than all else that a report does.

A plan depends on the network, on what is shut, and on the question, but not on how many keys it is about; it stands
under a hash of these.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from git_annex_syncx.content.policy import Policy
from git_annex_syncx.content.steps import Planner, ShutArcs, planner_of
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git.git import Repository
from git_annex_syncx.network.plan import VERSION, Plan, Question, Step, timed
from git_annex_syncx.system import files

FORMAT = 1
MOST = 2000  # plans that are kept
ENDS = ("holders", "targets")


class KnownPlans:
    """A planner that remembers."""

    def __init__(self, repo: Repository, policy: Policy) -> None:
        """Read what was kept; what cannot be read was never there."""
        self._path, self._policy = repo.state_dir / "plans.json", policy
        self._known, self._used = self._read(), dict[str, Any]()
        self._plan: Planner = planner_of(policy)

    def __call__(self, shut: ShutArcs, question: Question) -> Plan:
        """Return the plan without what is shut, as planner_of() makes it."""
        name = self._name(shut, question)
        found = _read(self._used.get(name) or self._known.get(name)) or self._plan(shut, question)
        self._used[name] = _written(found)
        return timed(found, question)

    def keep(self) -> None:
        """Keep the plans that were asked for, and no others."""
        if self._used.keys() != self._known.keys() and len(self._used) <= MOST:
            try:
                files.write(self._path, json.dumps({"format": FORMAT, "plans": self._used}))
            except SyncxError:
                return  # they are made again next time

    def _read(self) -> dict[str, Any]:
        try:
            told = json.loads(files.read(self._path) or "{}")
            return dict(told["plans"]) if told.get("format") == FORMAT else {}
        except (SyncxError, ValueError, TypeError, AttributeError, KeyError):
            return {}

    def _name(self, shut: ShutArcs, question: Question) -> str:
        ends = sorted(question.holders), sorted(question.targets)
        rest = question.one_size, question.by_time, question.relays, question.first
        told = (VERSION, self._policy.network.digest, sorted(shut), self._policy.own if shut else "", ends, rest)
        return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _written(found: Plan) -> dict[str, Any]:
    told = dataclasses.asdict(found)
    return told | {"question": told["question"] | {name: sorted(told["question"][name]) for name in ENDS}}


def _read(told: Any) -> Plan | None:
    """Return a plan that was written, None where that is damaged."""
    try:
        question = Question(**{**told["question"], **{name: frozenset(told["question"][name]) for name in ENDS}})
        steps = tuple(Step(**{**step, "executors": tuple(step["executors"])}) for step in told["steps"])
        unreachable = tuple((str(uuid), str(why)) for uuid, why in told["unreachable"])
        return Plan(**{**told, "question": question, "steps": steps, "unreachable": unreachable})
    except (TypeError, KeyError, ValueError):
        return None
