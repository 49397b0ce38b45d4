"""The graph of arcs over which content can travel, and their weights as exact integers. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from git_annex_syncx.network.graph import Direction, Network

if TYPE_CHECKING:
    import networkx

# Nodes are uuids; `relay`, `removable` and `dead` are attributes of theirs where they hold. Of an arc `cost` must be
# there; `operation` is "push" unless it says "pull"; `latency_ms` and `bytes_per_second` are guessed where they are
# None. `closed`, of the graph, lists pairs of nodes between which a link leads in the other direction only.
Arcs: TypeAlias = "networkx.DiGraph[str]"

RELAY_PENALTY = 1_000  # thousandths of cost, for an arc into a relay that does not want the content
REMOVABLE_PENALTY = 1_000_000  # for an arc out of a drive, so that nobody waits for a drawer
HASH_BITS, TIME_BITS = 64, 50
PRIME = 2**64 - 59
LONGEST = (1 << TIME_BITS) - 1  # milliseconds
NEAR_COST = 149.0  # the highest cost of a link that is taken for local
NEAR_MS, FAR_MS = 1.0, 100.0  # latency, where it was not measured
NEAR_MS_A_BYTE, FAR_MS_A_BYTE = 2e-5, 1e-3


# Source and target of an arc, and whether the repository that plans executes it. Where both ends offer an arc, these
# are two: the other end may be off while this one is not.
ExecutedArc = tuple[str, str, bool]


def arcs(net: Network, shut: Collection[ExecutedArc] = (), own: str = "") -> Arcs:
    """Return the graph of all arcs. Special remotes execute nothing, and dead places have no arcs.

    Without the arcs in `shut`; `own` says which ones this repository executes.
    """
    import networkx

    graph: Arcs = networkx.DiGraph(closed=[way.ends for way in net.directions() if not way.is_open])
    for place in net.places:
        graph.add_node(place.uuid, relay=place.relay, removable=place.removable, dead=place.dead)
    ways = (way for way in net.directions() if way.is_open and (*way.ends, way.link.owner == own) not in shut)
    for way in sorted(ways, key=lambda way: _rank(net, way), reverse=True):  # a better one replaces a worse one
        graph.add_edge(
            *way.ends,
            cost=way.link.cost,
            operation="pull" if way.pull else "push",
            latency_ms=way.link.latency_ms,
            bytes_per_second=way.link.bytes_per_second,
        )
    return graph


def _rank(net: Network, way: Direction) -> tuple[int, bool, bool, float, float]:
    """Return which of two parallel arcs is taken: the cheaper, else not a drive executes, else who has the content.

    Not the faster: whose link was never measured would seem to be that.
    """
    link = way.link
    latency, slowness = _speed(link.cost, link.latency_ms, link.bytes_per_second)
    return thousandths(link.cost), net.by_uuid[link.owner].removable, way.pull, latency, slowness


def _speed(cost: float, latency_ms: float | None, bytes_per_second: float | None) -> tuple[float, float]:
    """Return latency in milliseconds and milliseconds a byte, with guesses for what was not measured."""
    latency, slowness = (NEAR_MS, NEAR_MS_A_BYTE) if cost <= NEAR_COST else (FAR_MS, FAR_MS_A_BYTE)
    return (
        latency if latency_ms is None else latency_ms,
        slowness if bytes_per_second is None else 1000.0 / bytes_per_second,
    )


def thousandths(cost: float) -> int:
    """Return a cost as an integer, in which costs are compared and summed."""
    return round(cost * 1000)


def milliseconds(cost: float, latency_ms: float | None, bytes_per_second: float | None, size: int) -> int:
    """Return how long content of so many bytes is expected to take over an arc."""
    latency, slowness = _speed(cost, latency_ms, bytes_per_second)
    return max(1, min(int(latency + size * slowness), LONGEST))


@dataclass(frozen=True)
class Scale:
    """Several numbers in one integer that is compared in their order, sums of up to `count` of them included."""

    count: int
    by_time: bool

    def pack(self, cost: int, milliseconds: int) -> int:
        """Return one integer, with room for a hash below."""
        first, second = (milliseconds, cost) if self.by_time else (cost, milliseconds)
        spare = self.count.bit_length()
        return ((first << (TIME_BITS + spare)) + second) << (HASH_BITS + spare)

    def first(self, packed: int) -> int:
        """Return what is compared first: thousandths, or milliseconds."""
        shift: int = TIME_BITS + HASH_BITS + 2 * self.count.bit_length()
        return packed >> shift

    def weigher(self, size: int) -> Callable[[float, float | None, float | None], int]:
        """Return a function of cost, latency and speed of an arc: its weight for keys of a size, without penalties.

        It remembers: most arcs are like others.
        """

        @cache
        def weight(cost: float, latency_ms: float | None, bytes_per_second: float | None) -> int:
            return self.pack(thousandths(cost), milliseconds(cost, latency_ms, bytes_per_second, size))

        return weight


def hashed(uuid: str, role: bytes) -> int:
    """Return a number for a place in a role; the product of two, modulo PRIME, tells one arc from another."""
    digest = hashlib.blake2b(uuid.encode("utf-8", "surrogateescape"), digest_size=8, person=role).digest()
    return int.from_bytes(digest, "big")
