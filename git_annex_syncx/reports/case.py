"""Gather all that is known here of the content of one annexed file: holders, wishes, and how it travels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from git_annex_syncx.annex import annex_branch, locations
from git_annex_syncx.annex.location_log import Located, Record
from git_annex_syncx.branches import membership
from git_annex_syncx.content import copies, missing, wishes
from git_annex_syncx.content.assignment import Round, TransferOptions, TransferRun, next_round
from git_annex_syncx.content.copies import Rules
from git_annex_syncx.content.patience import KeyGroup
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.content.remotes import usable
from git_annex_syncx.content.waits import Wait, waits_of
from git_annex_syncx.content.wishes import Wish
from git_annex_syncx.model import OUTSIDE, Entry, Need, Remote
from git_annex_syncx.network.graph import network
from git_annex_syncx.network.own_links import own_line
from git_annex_syncx.network.plan import Plan, Question, plan, reachable
from git_annex_syncx.runs.context import Context

NOBODY: frozenset[str] = frozenset()
TRUST = {"1": "trusted", "0": "untrusted", "X": "dead"}
LOGS = ("trust.log", "remote.log")


@dataclass(frozen=True)
class Case:
    """A file, and the first round of what a run by itself would do with it."""

    run: TransferRun
    now: Round
    path: bytes
    key: str

    @property
    def context(self) -> Context:
        """Return the own repository."""
        return self.run.context

    @property
    def policy(self) -> Policy:
        """Return what decides who wants what."""
        return self.now.look.policy

    @cached_property
    def policy_now(self) -> Policy:
        """Return the same with the links of this repository as they are, whatever it has told the others."""
        policy, context = self.policy, self.context
        told = [link for link in policy.network.links if link.owner != policy.own or link.remote in OUTSIDE]
        links = own_line(context.repo, context.settings, context.state, policy.alive - self.trees).links
        return replace(policy, network=network(policy.network.places, [*told, *links], policy.own))

    @cached_property
    def sources(self) -> frozenset[str]:
        """Return the holders, without those who said that they are none."""
        return self.located.holders - {source for key, source in self.run.missed if key == self.key}

    @cached_property
    def lacking(self) -> frozenset[str]:
        """Return the repositories that lack it and want it."""
        return frozenset(uuid for uuid, wish in self.wishes.items() if wish.wants and not self.has(uuid))

    @cached_property
    def reached(self) -> frozenset[str]:
        """Return those of `lacking` to which a way leads as the links are now."""
        found = reachable(self.policy_now.arcs, Question(self.sources, self.lacking))
        return found | self.policy.nodes  # these get it by their gateway

    @cached_property
    def located(self) -> Located:
        """Return the holders that count."""
        return missing.holders_of(self.context, self.policy, [self.key])[self.key]

    @cached_property
    def records(self) -> Mapping[str, Record]:
        """Return uuid -> what the location log says last."""
        own = self.policy.own
        private = locations.private(self.context.repo, own) if self.context.settings.private else {}
        return locations.records(self.context.repo, annex_branch.BRANCH, self.key, private.get(self.key, b""))

    @cached_property
    def logs(self) -> Mapping[str, bytes]:
        """Return logs of the git-annex branch."""
        return annex_branch.logs(self.context.repo, LOGS)

    @cached_property
    def trust(self) -> Mapping[str, str]:
        """Return uuid -> the trust in a repository, where it is not the usual one."""
        told = annex_branch.newest_lines(self.logs["trust.log"]).items()
        return {uuid: TRUST[word] for uuid, word in told if word in TRUST}

    @cached_property
    def options(self) -> Mapping[str, Mapping[str, str]]:
        """Return uuid -> the options of a special remote."""
        return annex_branch.special_remotes(self.logs["remote.log"])

    @cached_property
    def trees(self) -> frozenset[str]:
        """Return the special remotes that hold a tree of files, to which no plan sends keys."""
        return annex_branch.trees(self.options)

    @cached_property
    def tree(self) -> str:
        """Return the tree of the last commit."""
        cursor = missing.inventory(self.context).cursor()
        return cursor.tree if cursor else "HEAD"

    @cached_property
    def files(self) -> Mapping[bytes, Entry]:
        """Return all paths at which it stands there."""
        return missing.inventory(self.context).files([self.key]).get(self.key, {})

    @cached_property
    def wishes(self) -> Mapping[str, Wish]:
        """Return uuid -> what a repository wants."""
        holders = self.located.holders
        return wishes.wishes(self.context, self.policy, self.tree, self.files, holders, self.trees)

    @cached_property
    def need(self) -> Need:
        """Return what has to become of it."""
        found = (need for need in self.now.look.needs if need.key == self.key)
        return next(found, Need(self.key, self.located.holders, NOBODY, NOBODY, self.located.first))

    @cached_property
    def group(self) -> KeyGroup | None:
        """Return how it travels, None where it does not."""
        return next((group for group in self.now.groups if self.key in group.keys), None)

    @cached_property
    def waits(self) -> Mapping[str, Wait]:
        """Return target -> what it waits for."""
        found = waits_of(self.run, self.now, self.group, 1) if self.group else ()
        return {wait.target: wait for wait in found}

    @cached_property
    def usual_plan(self) -> Plan:
        """Return the plan of repositories that wait for nobody."""
        assert self.group
        return plan(self.policy.arcs, self.group.base.question)

    @cached_property
    def unreachable(self) -> Mapping[str, str]:
        """Return uuid -> why no way leads to a repository that lacks it, as the links are now."""
        return dict(plan(self.policy_now.arcs, Question(self.sources, self.lacking)).unreachable)

    @cached_property
    def going_round(self) -> frozenset[str]:
        """Return the repositories to which it came and from which it was dropped, again and again."""
        return frozenset(uuid for key, uuid in missing.inventory(self.context).coming_and_going() if key == self.key)

    @cached_property
    def rules(self) -> Rules:
        """Return whose copies count, and how many there must be of most files."""
        repo, settings = self.context.repo, self.context.settings
        return copies.read_rules(repo, settings, self.options, self.tree)

    @cached_property
    def numcopies(self) -> int:
        """Return how many copies there must be; where that is not `rules.numcopies`, an attribute says so."""
        found = copies.of_files(self.context.repo, self.rules, {self.key: self.files})
        return found.get(self.key, self.rules.numcopies)

    def copies_but(self, uuid: str) -> int:
        """Return how many copies count, but for that of one repository."""
        return len(self.located.holders - self.policy.clusters.keys() - self.rules.untrusted - {uuid})

    @cached_property
    def repositories(self) -> list[str]:
        """Return the repositories to tell of, this one first: all that can hold it, and others that have it."""
        net = self.policy.network
        known = {place.uuid for place in net.places if not place.dead and place.uuid not in OUTSIDE}
        known |= {uuid for uuid in self.records if self.has(uuid)}
        return sorted(known, key=lambda uuid: (uuid != self.policy.own, net.name(uuid), uuid))

    def has(self, uuid: str) -> bool:
        """Return whether a repository has it, as recorded; that of a dead one does not count."""
        return uuid in self.located.holders or (uuid in self.records and self.records[uuid].status == "1")

    def name(self, uuid: str) -> str:
        """Return what people call a repository."""
        return "this repository" if uuid == self.policy.own else self.policy.network.name(uuid)


def begin(context: Context, remotes: Iterable[Remote], path: bytes) -> tuple[TransferRun, Round]:
    """Look at what a run by itself would do with what is at a path. Raises SyncxError."""
    members, _ = membership.divided(context, "transfer", remotes)
    options = TransferOptions((path,), only_looks=True)
    run = TransferRun(context, usable(context, members, options.outside), options)
    return run, next_round(run)
