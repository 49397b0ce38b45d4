"""The network as a value and as JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

VERSION = 1
HIGHEST_COST = 1e9
HIGHEST_SPEED = 1e15  # bytes a second
HIGHEST_LATENCY = 1e9  # milliseconds
# Why a target cannot be reached, by the words of plans.
NO_WAY = {
    "no-path": "no way leads there",
    "read-only": "the ways there only lead back (read-only remotes)",
    "relay-forbidden": "only through a repository that does not want it and is no relay",
    "dead": "it is declared dead",
    "no-room": "there is no room for it",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A repository or a special remote."""

    uuid: str
    name: str = ""
    special: bool = False
    relay: bool = False  # passes on content that it does not want
    removable: bool = False  # a drive, or usually away: never waited for as a source
    dead: bool = False
    nodes: tuple[str, ...] = ()  # of a cluster: where its gateway puts what is sent to it; uuids in order


@dataclass(frozen=True, slots=True)
class Link:
    """`owner` has `remote` as its remote, and executes both directions of it."""

    owner: str
    remote: str
    cost: float
    push: bool = True
    pull: bool = True
    bytes_per_second: float | None = None
    latency_ms: float | None = None
    source: str = "config"  # or "links-log", "map"


@dataclass(frozen=True, slots=True)
class Direction:
    """One of the two directions of a link; `pull` where the owner fetches."""

    link: Link
    pull: bool

    @property
    def ends(self) -> tuple[str, str]:
        """Return where content comes from and where it goes."""
        link = self.link
        return (link.remote, link.owner) if self.pull else (link.owner, link.remote)

    @property
    def is_open(self) -> bool:
        """Return whether content may travel so."""
        return self.link.pull if self.pull else self.link.push


@dataclass(frozen=True)
class Network:
    """Places in order of their uuids and links in order of owner and remote; made by `network()`."""

    places: tuple[Place, ...] = ()
    links: tuple[Link, ...] = ()
    here: str | None = None

    @cached_property
    def by_uuid(self) -> Mapping[str, Place]:
        """Places by uuid."""
        return {place.uuid: place for place in self.places}

    @cached_property
    def clusters(self) -> Mapping[str, frozenset[str]]:
        """Return cluster -> those of its nodes that get content from repositories alone that can send to the cluster.

        A node that fetches by itself, or that somebody else sends to, may be reached where the cluster is not.
        """
        into: dict[str, set[str]] = {}
        for link in self.links:
            if link.push:
                into.setdefault(link.remote, set()).add(link.owner)
        owners = {link.owner for link in self.links}
        return {
            place.uuid: frozenset(
                n for n in place.nodes if n not in owners and into.get(n, set()) <= into[place.uuid]
            )
            for place in self.places
            if place.nodes and place.uuid in into
        }

    @cached_property
    def digest(self) -> str:
        """Return a hash that is equal for networks that plan alike: names, sources and `here` do not count."""
        places = [_values(replace(place, name="")) for place in self.places]
        links = [_values(replace(link, source="")) for link in self.links]
        return hashlib.sha256(repr((VERSION, places, links)).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def name(self, uuid: str) -> str:
        """Return what people call a place; with the beginning of its uuid where several are called so."""
        place = self.by_uuid.get(uuid)
        if place is None or not place.name:
            return uuid
        return place.name if self._named[place.name] == 1 else f"{place.name} {uuid[:8]}"

    @cached_property
    def _named(self) -> Counter[str]:
        return Counter(place.name for place in self.places)

    def directions(self) -> Iterator[Direction]:
        """Yield both directions of each link whose owner can execute it: neither dead ends nor special owners."""
        dead = {place.uuid for place in self.places if place.dead}
        idle = dead | {place.uuid for place in self.places if place.special}
        for link in self.links:
            if link.owner not in idle and link.remote not in dead:
                yield Direction(link, pull=False)
                yield Direction(link, pull=True)

    def nearness(self) -> dict[str, int]:
        """Return for each place that anything leads to the least cost of an arc into it, in thousandths."""
        costs: dict[str, int] = {}
        for way in self.directions():
            if way.is_open:
                target, cost = way.ends[1], round(way.link.cost * 1000)
                costs[target] = min(cost, costs.get(target, cost))
        return costs


def network(places: Iterable[Place], links: Iterable[Link], here: str | None = None) -> Network:
    """Build a network in canonical order.

    Of several links from one place to another the cheapest counts in each direction; links to nowhere and of a place
    to itself are left out.
    """
    by_uuid = {place.uuid: place for place in places}
    kept: dict[tuple[str, str], list[Link]] = {}
    for link in sorted(links, key=_rank):
        if link.owner != link.remote and link.owner in by_uuid and link.remote in by_uuid:
            cheaper = kept.setdefault((link.owner, link.remote), [])
            push = link.push and not any(other.push for other in cheaper)
            pull = link.pull and not any(other.pull for other in cheaper)
            if push or pull:
                cheaper.append(replace(link, push=push, pull=pull))
    ordered = tuple(link for pair in sorted(kept) for link in kept[pair])
    return Network(tuple(by_uuid[uuid] for uuid in sorted(by_uuid)), ordered, here)


def _rank(link: Link) -> tuple[float, float, float, bool, bool]:
    return link.cost, link.latency_ms or 0.0, -(link.bytes_per_second or 0.0), not link.push, not link.pull


def _values(value: Place | Link) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name in value.__slots__)


def as_json(net: Network) -> dict[str, Any]:
    """Return the form that `map --json` prints and `plan --map` reads."""
    return {
        "version": VERSION,
        "here": net.here,
        "repositories": [_place_json(place) for place in net.places],
        "links": [asdict(link) for link in net.links],
    }


def _place_json(place: Place) -> dict[str, Any]:
    return {name: value for name, value in asdict(place).items() if name != "nodes" or value}


def dumps(net: Network) -> str:
    """Return that form as one line of text."""
    return json.dumps(as_json(net), ensure_ascii=True)
