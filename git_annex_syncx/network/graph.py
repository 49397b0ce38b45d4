"""The network as a value, its JSON form, and as a networkx graph."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx

VERSION = 1
HIGHEST_COST = 1e9
HIGHEST_SPEED = 1e15  # bytes a second
HIGHEST_LATENCY = 1e9  # milliseconds


@dataclass(frozen=True, slots=True)
class Place:
    """A repository or a special remote."""

    uuid: str
    name: str = ""
    special: bool = False
    relay: bool = False  # passes on content that it does not want
    removable: bool = False  # a drive, or usually away: never waited for as a source
    dead: bool = False


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
    def digest(self) -> str:
        """Return a hash that is equal for networks that plan alike: names, sources and `here` do not count."""
        places = [replace(place, name="") for place in self.places]
        links = [replace(link, source="") for link in self.links]
        told = repr((VERSION, [_values(place) for place in places], [_values(link) for link in links]))
        return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def name(self, uuid: str) -> str:
        """Return what people call a place; with the beginning of its uuid where several are called so."""
        place = self.by_uuid.get(uuid)
        if place is None or not place.name:
            return uuid
        return place.name if self._named[place.name] == 1 else f"{place.name} {uuid[:8]}"

    @cached_property
    def _named(self) -> Counter[str]:
        return Counter(place.name for place in self.places)


def network(places: Iterable[Place], links: Iterable[Link], here: str | None = None) -> Network:
    """A network in canonical order.

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
                same = (push, pull) == (link.push, link.pull)
                cheaper.append(link if same else replace(link, push=push, pull=pull))
    ordered = tuple(link for pair in sorted(kept) for link in kept[pair])
    return Network(tuple(by_uuid[uuid] for uuid in sorted(by_uuid)), ordered, here)


def _rank(link: Link) -> tuple[float, float, float, bool, bool]:
    return link.cost, link.latency_ms or 0.0, -(link.bytes_per_second or 0.0), not link.push, not link.pull


def _values(value: Place | Link) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name in value.__slots__)


def as_json(net: Network) -> dict[str, Any]:
    """The form that `map --json` prints and `plan --map` reads."""
    return {
        "version": VERSION,
        "here": net.here,
        "repositories": [{name: getattr(place, name) for name in Place.__slots__} for place in net.places],
        "links": [{name: getattr(link, name) for name in Link.__slots__} for link in net.links],
    }


def dumps(net: Network) -> str:
    """That form as one line of text."""
    return json.dumps(as_json(net), ensure_ascii=True)


def to_networkx(net: Network) -> networkx.DiGraph[str]:
    """A directed graph: an arc for each way content can take, with cost, executor and operation.

    Its attributes: of a node those of Place, of an arc `cost`, `executor`, `operation` ("push" or "pull"),
    `bytes_per_second` and `latency_ms`. Where both ends can move content the same way the cheaper link counts.
    """
    import networkx

    graph = networkx.DiGraph(here=net.here)
    for place in net.places:
        graph.add_node(place.uuid, **{name: getattr(place, name) for name in Place.__slots__ if name != "uuid"})
    for link in sorted(net.links, key=_rank, reverse=True):  # a cheaper one overwrites
        common = {"bytes_per_second": link.bytes_per_second, "latency_ms": link.latency_ms, "executor": link.owner}
        if link.pull:
            graph.add_edge(link.remote, link.owner, cost=link.cost, operation="pull", **common)
        if link.push:
            graph.add_edge(link.owner, link.remote, cost=link.cost, operation="push", **common)
    return graph


def from_networkx(graph: networkx.DiGraph[str]) -> Network:
    """A network from a graph with `cost` on its arcs; an arc is a push by its source unless it says `pull`."""
    places = [
        Place(str(uuid), **{name: data[name] for name in Place.__slots__ if name in data})
        for uuid, data in graph.nodes(data=True)
    ]
    links = []
    for source, target, data in graph.edges(data=True):
        more = {name: data.get(name) for name in ("bytes_per_second", "latency_ms")}
        if data.get("operation", "push") == "pull":
            links.append(Link(str(target), str(source), float(data["cost"]), push=False, pull=True, **more))
        else:
            links.append(Link(str(source), str(target), float(data["cost"]), push=True, pull=False, **more))
    return network(places, links, graph.graph.get("here"))
