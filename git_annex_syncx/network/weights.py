"""The graph of arcs over which content can travel, and their weights as exact integers. Pure."""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from git_annex_syncx.network.graph import Direction, Network

if TYPE_CHECKING:
    import networkx

# Nodes are uuids; `relay`, `removable` and `dead` are attributes of theirs where they hold. Of an arc `cost` must be
# there; `operation` is what its first end does, "push" unless it says "pull"; `both` where the other end executes it
# as well; `latency_ms` and `bytes_per_second` are guessed where they are None, the latter by `usual_speed` if that is
# known. `closed`, of the graph, lists pairs of nodes between which a link leads in the other direction only; `whole`
# is the graph with the arcs that were left out.
Arcs: TypeAlias = "networkx.DiGraph[str]"

RELAY_PENALTY = 1_000  # thousandths of cost, for an arc into a relay that does not want the content
REMOVABLE_PENALTY = 1_000_000  # for an arc out of a drive, so that nobody waits for a drawer
HASH_BITS, TIME_BITS = 64, 50
PRIME = 2**64 - 59
LONGEST = 10**15  # milliseconds
NEAR_COST = 149.0  # the highest cost of a link that is taken for local
NEAR_MS, FAR_MS = 1.0, 100.0  # latency, where it was not measured
NEAR_MS_A_BYTE, FAR_MS_A_BYTE = 2e-5, 1e-3

# Source and target of an arc, and whether the repository that plans executes it. Where the other end alone executes
# the arc at its cost, a dearer way of our own replaces it.
ExecutedArc = tuple[str, str, bool]


def arcs(net: Network, shut: Collection[ExecutedArc] = (), own: str = "") -> Arcs:
    """Return the graph of all arcs. Special remotes execute nothing, and dead places have no arcs.

    Without the arcs in `shut`, as the repository `own` plans.
    """
    whole = _graph(net, net.directions())
    if not shut:
        return whole
    shut = frozenset(shut)
    ways = (way for way in net.directions() if (*way.ends, True) not in shut)
    left = _graph(net, (way for way in ways if way.link.owner == own or (*way.ends, False) not in shut))
    left.graph["whole"] = whole
    return left


def _graph(net: Network, ways: Iterable[Direction]) -> Arcs:
    import networkx

    graph: Arcs = networkx.DiGraph(closed=[way.ends for way in net.directions() if not way.is_open])
    for place in net.places:
        graph.add_node(place.uuid, relay=place.relay, removable=place.removable, dead=place.dead)
    offers: dict[tuple[str, str], list[Direction]] = {}
    for way in ways:
        if way.is_open:
            offers.setdefault(way.ends, []).append(way)
    usual = _usual_speeds(net)
    for ends, some in offers.items():
        arc = _arc(some)
        graph.add_edge(*ends, **arc, usual_speed=usual.get(_likeness(arc["cost"], arc["latency_ms"])))
    return graph


def _usual_speeds(net: Network) -> dict[tuple[int, int], float]:
    """Return the median speed of the links that were measured, for each cost and decade of latency.

    Only what was used is measured. If it seemed faster than its like for that alone, trees would follow it in chains.
    """
    speeds: dict[tuple[int, int], list[float]] = {}
    for link in net.links:
        if link.bytes_per_second is not None:
            speeds.setdefault(_likeness(link.cost, link.latency_ms), []).append(link.bytes_per_second)
    return {like: statistics.median_low(some) for like, some in speeds.items()}


def _likeness(cost: float, latency_ms: float | None) -> tuple[int, int]:
    return thousandths(cost), decade(milliseconds(cost, latency_ms, None, 0))


def _arc(offers: Iterable[Direction]) -> dict[str, Any]:
    """Return the arc that two ends offer: who offers it at its lowest cost executes it, first who has the content."""
    offers = sorted(offers, key=lambda way: (thousandths(way.link.cost), way.pull))
    first, last = offers[0], offers[-1]
    both = first is not last and thousandths(first.link.cost) == thousandths(last.link.cost)
    latency, speed = first.link.latency_ms, first.link.bytes_per_second
    return {
        "cost": first.link.cost,
        "operation": "pull" if first.pull else "push",
        "both": both,
        "latency_ms": last.link.latency_ms if both and latency is None else latency,
        "bytes_per_second": last.link.bytes_per_second if both and speed is None else speed,
    }


def executors(source: str, target: str, arc: Mapping[str, Any]) -> tuple[str, ...]:
    """Return who executes an arc, the first end first."""
    first, other = (target, source) if arc.get("operation") == "pull" else (source, target)
    return (first, other) if arc.get("both") else (first,)


def _speed(cost: float, latency_ms: float | None, bytes_per_second: float | None) -> tuple[float, float]:
    """Return latency in milliseconds and milliseconds a byte, with guesses for what was not measured."""
    latency, slowness = (NEAR_MS, NEAR_MS_A_BYTE) if cost <= NEAR_COST else (FAR_MS, FAR_MS_A_BYTE)
    return (
        latency if latency_ms is None else latency_ms,
        slowness if bytes_per_second is None else 1000.0 / bytes_per_second,
    )


@lru_cache
def thousandths(cost: float) -> int:
    """Return a cost as an integer, in which costs are compared and summed."""
    return round(cost * 1000)


def milliseconds(cost: float, latency_ms: float | None, bytes_per_second: float | None, size: int) -> int:
    """Return how long content of so many bytes is expected to take over an arc."""
    latency, slowness = _speed(cost, latency_ms, bytes_per_second)
    return max(1, min(int(latency + size * slowness), LONGEST))


def expected(arc: Mapping[str, Any], size: int) -> int:
    """Return how many milliseconds content of so many bytes is expected to take over an arc of the graph."""
    return milliseconds(arc["cost"], arc.get("latency_ms"), _speed_of(arc), size)


def _speed_of(arc: Mapping[str, Any]) -> float | None:
    """Return the bytes a second that were measured, else those that are usual, None where nothing is known."""
    measured: float | None = arc.get("bytes_per_second")
    return arc.get("usual_speed") if measured is None else measured


def decade(milliseconds: int) -> int:
    """Return the nearest power of ten: what was measured is noise, which must not choose between trees."""
    power: int = 10 ** (len(str(milliseconds)) - 1)
    return power if milliseconds**2 < 10 * power**2 else min(10 * power, LONGEST)


class Rank(NamedTuple):
    """Numbers of a source that decide between arcs of equal cost and time; less is better."""

    level: int  # hops from the first holder, over any arcs
    idle: int  # to how many repositories it has none of the lightest arcs
    place: int  # in the order of a hash of the uuids


@dataclass(frozen=True)
class Scale:
    """The numbers of a weight in one integer that is compared in their order, as are sums over the arcs of a tree.

    `nodes` is the number of repositories. A weight is cost, time, the rank of the source, and a hash of 64 bits.
    """

    nodes: int
    by_time: bool

    @property
    def _spare(self) -> int:
        return self.nodes.bit_length()

    @property
    def _below(self) -> int:
        """Bits below cost and time."""
        return sum(self._widths) + HASH_BITS + self._spare

    @property
    def _widths(self) -> tuple[int, int, int]:
        spare = self._spare
        return (2 * self.nodes).bit_length() + spare, spare + spare, spare + spare

    def pack(self, cost: int, milliseconds: int) -> int:
        """Return one integer for cost and time."""
        first, second = (milliseconds, cost) if self.by_time else (cost, milliseconds)
        return ((first << (TIME_BITS + self._spare)) + second) << self._below

    def pack_rank(self, rank: Rank) -> int:
        """Return one integer for a rank, to be added."""
        packed = 0
        for number, width in zip(rank, self._widths, strict=True):
            packed = (packed << width) + number
        return packed << (HASH_BITS + self._spare)

    def first(self, packed: int) -> int:
        """Return what is compared first: thousandths, or milliseconds."""
        return packed >> (self._below + TIME_BITS + self._spare)


@lru_cache(maxsize=16)  # groups of keys share it; a graph is not changed once it is made
def weights(arcs: Arcs, scale: Scale, size: int) -> Mapping[str, Mapping[str, int]]:
    """Return target -> source -> weight of the arc by cost and time for keys of a size, without penalties."""

    @cache  # most arcs are like others
    def weight(cost: float, latency_ms: float | None, measured: float | None, usual: float | None) -> int:
        speed = usual if measured is None else measured
        return scale.pack(thousandths(cost), decade(milliseconds(cost, latency_ms, speed, size)))

    def of(arc: Mapping[str, Any]) -> int:
        get = arc.get
        return weight(arc["cost"], get("latency_ms"), get("bytes_per_second"), get("usual_speed"))

    return {target: {source: of(arc) for source, arc in into.items()} for target, into in arcs.pred.items()}


def ranks(arcs: Arcs, first: str, scale: Scale, size: int) -> dict[str, Rank]:
    """Return the rank of each repository as a source of content that `first` was the first to hold.

    Nothing here depends on who holds it by now: what is left of a plan is what would be planned.
    """
    import networkx

    whole: Arcs = arcs.graph.get("whole", arcs)
    levels = networkx.single_source_shortest_path_length(whole, first) if first in whole else {}
    far, use, places = 2 * len(whole), _use(whole, scale, size), _places(whole)
    return {uuid: Rank(levels.get(uuid, far), len(whole) - use[uuid], places[uuid]) for uuid in whole}


@lru_cache(maxsize=16)
def _use(arcs: Arcs, scale: Scale, size: int) -> Counter[str]:
    """Count for each repository to how many others it has one of the lightest arcs by cost and time."""
    from_drive = scale.pack(REMOVABLE_PENALTY, 0)
    removable = {uuid for uuid, place in arcs.nodes.items() if place.get("removable")}
    use: Counter[str] = Counter()
    for into in weights(arcs, scale, size).values():
        for uuid in removable & into.keys():
            into = {**into, uuid: into[uuid] + from_drive}
        least = min(into.values(), default=0)
        use.update([uuid for uuid, total in into.items() if total == least])
    return use


@lru_cache(maxsize=4)
def _places(arcs: Arcs) -> dict[str, int]:
    return {uuid: place for place, uuid in enumerate(sorted(arcs, key=lambda uuid: (hashed(uuid, b"place"), uuid)))}


def hashed(uuid: str, role: bytes) -> int:
    """Return a number for a place in a role; the product of two, modulo PRIME, tells one arc from another."""
    digest = hashlib.blake2b(uuid.encode("utf-8", "surrogateescape"), digest_size=8, person=role).digest()
    return int.from_bytes(digest, "big")
