"""Everything that decides who needs which content, but the keys themselves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from git_annex_syncx.gateway import branch
from git_annex_syncx.network import survey
from git_annex_syncx.network.graph import Network
from git_annex_syncx.network.roads import Roads, roads
from git_annex_syncx.network.wanting import Wishes
from git_annex_syncx.phases.node import Node

FORMAT = 1
# What else decides what an expression wants: which one they are is enough to know that something has changed.
ALSO = ("trust.log", "numcopies.log", "mincopies.log", "maxsize.log")
LOGS = ("preferred-content.log", "required-content.log", "group.log", "group-preferred-content.log")
USUAL = ("", "standard")


@dataclass(frozen=True)
class World:
    """Everything that decides who needs what, but the keys themselves."""

    network: Network
    wishes: Wishes
    own: str
    reach: frozenset[str]  # repositories that can drop for us: here, and remotes that we may write to
    warnings: tuple[str, ...] = ()
    also: bytes = b""  # other logs that expressions depend on

    @cached_property
    def roads(self) -> Roads:
        """The ways between repositories."""
        return roads(self.network)

    @cached_property
    def alive(self) -> frozenset[str]:
        """Who can hold copies."""
        return frozenset(place.uuid for place in self.network.places if not place.dead)

    @cached_property
    def relays(self) -> frozenset[str]:
        """Who passes on content and wants none."""
        return frozenset(place.uuid for place in self.network.places if place.relay and not place.dead)

    @cached_property
    def takers(self) -> frozenset[str]:
        """Who can be sent anything at all, and is no relay."""
        led_to = {place.uuid for place, ways in zip(self.roads.places, self.roads.incoming, strict=True) if ways}
        return frozenset(led_to) & self.alive - self.relays

    @cached_property
    def nearness(self) -> Mapping[str, int]:
        """uuid -> what the cheapest way there costs, in thousandths."""
        kinds = self.roads.kinds
        return {
            place.uuid: min((kinds[kind].cost for kind in ways.values()), default=0)
            for place, ways in zip(self.roads.places, self.roads.incoming, strict=True)
        }

    @cached_property
    def choosy(self) -> frozenset[str]:
        """Whose wishes git-annex must be asked for."""
        return frozenset(uuid for uuid in self.alive if self.wishes.choosy(uuid))

    @cached_property
    def emptied(self) -> frozenset[str]:
        """Relays whose content goes when every target has it: those in group `transfer` with no wish of their own.

        From other relays only what they do not want goes, and not before.
        """
        groups, preferred = self.wishes.groups, self.wishes.preferred
        usual = (u for u in self.relays if "transfer" in groups.get(u, ()) and preferred.get(u, "") in USUAL)
        return frozenset(usual) & self.reach

    @cached_property
    def digest(self) -> str:
        """The same as long as the same keys need the same."""
        lines = [sorted(one) for one in (self.takers, self.relays, self.alive, self.reach)]
        wishes = [
            sorted((k, str(v)) for k, v in vars(self.wishes)[name].items()) for name in sorted(vars(self.wishes))
        ]
        return hashlib.sha256(repr((FORMAT, lines, wishes, self.also)).encode("utf-8", "surrogateescape")).hexdigest()


def read_world(node: Node) -> World:
    """From the git-annex branch and the own configuration."""
    found = survey.planned(node.repo, node.settings, node.outbox)
    texts = branch.logs(node.repo, (*LOGS, *ALSO))
    raw = {name: branch.newest_lines(texts[name]) for name in LOGS}
    groups = {uuid: tuple(sorted(names.split())) for uuid, names in raw["group.log"].items()}
    wishes = Wishes(
        raw["preferred-content.log"], raw["required-content.log"], groups, raw["group-preferred-content.log"]
    )
    own = node.settings.annex_uuid
    links = (link for link in found.network.links if link.owner == own and link.push)
    return World(
        found.network,
        wishes,
        own,
        frozenset({own, *(link.remote for link in links)}),
        found.warnings,
        b"\0".join([*(texts[name] for name in ALSO), *map(os.fsencode, node.repo.annex_options)]),
    )
