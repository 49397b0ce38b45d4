"""The ways that content can take, numbered, and what they weigh: exact integers, for a unique best tree. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from git_annex_syncx.network.graph import Link, Network, Place

if TYPE_CHECKING:
    import networkx

RELAY_PENALTY = 1_000  # thousandths of cost, for an arc into a relay that does not want the content
REMOVABLE_PENALTY = 1_000_000  # for an arc out of a drive, so that nobody waits for a drawer
HASH_BITS, TIME_BITS = 64, 50
PRIME = 2**64 - 59
LONGEST = (1 << TIME_BITS) - 1  # milliseconds
# Where nothing was measured: up to this cost (milliseconds, milliseconds a byte).
GUESSES = ((149.0, 1.0, 2e-5), (float("inf"), 100.0, 1e-3))


# Source and target of an arc, and whether the repository that plans executes it. Where both ends offer an arc, these
# are two: the other end may be off while this one is not.
ExecutedArc = tuple[str, str, bool]
_Way = tuple[Link, int, int, bool]  # a link, numbers of source and target, whether the owner pulls


class Arc(NamedTuple):
    """One way from a place to another: the source pushes, or the target pulls."""

    cost: int  # in thousandths
    latency: float  # milliseconds, measured or guessed
    slowness: float  # milliseconds a byte
    pull: bool
    measured: bool

    def milliseconds(self, size: int) -> int:
        """Return how long content of so many bytes is expected to take."""
        return max(1, min(int(self.latency + size * self.slowness), LONGEST))

    def time_class(self, size: int) -> int:
        """Return the nearest power of ten of that: noise is no reason to prefer an arc."""
        return int(10 ** round(math.log10(self.milliseconds(size))))


@dataclass(frozen=True)
class Arcs:
    """Places by number, in order of their uuids, and the arcs between them.

    `incoming[v]` maps the source of an arc into v to its number in `kinds` (many arcs are alike). `closed` are
    pairs of places between which a link leads in the other direction only.
    """

    places: Sequence[Place]
    number: Mapping[str, int]
    kinds: Sequence[Arc]
    incoming: Sequence[Mapping[int, int]]
    closed: Sequence[tuple[int, int]] = ()

    def arc(self, source: int, target: int) -> Arc:
        """Return the arc from one place to another."""
        return self.kinds[self.incoming[target][source]]


@dataclass(frozen=True)
class Scale:
    """Several numbers in one integer that is compared in their order, sums of up to `count` of them included."""

    count: int
    by_time: bool

    def pack(self, cost: int, milliseconds: int, hashed: int) -> int:
        """One integer."""
        first, second = (milliseconds, cost) if self.by_time else (cost, milliseconds)
        spare = self.count.bit_length()
        return (((first << (TIME_BITS + spare)) + second) << (HASH_BITS + spare)) + hashed

    def first(self, packed: int) -> int:
        """Return what is compared first: thousandths, or milliseconds."""
        shift: int = TIME_BITS + HASH_BITS + 2 * self.count.bit_length()
        return packed >> shift


class _Kinds:
    """A store that keeps arcs that are alike once."""

    def __init__(self) -> None:
        self.kinds: list[Arc] = []
        self._known: dict[tuple[float, float | None, float | None, bool], int] = {}

    def number(self, cost: float, latency: float | None, speed: float | None, pull: bool) -> int:
        """Return the number of an arc, with guesses for what was not measured."""
        key = (cost, latency, speed, pull)
        known = self._known.get(key)
        if known is None:
            _, guessed, slowness = GUESSES[cost > GUESSES[0][0]]
            known = self._known[key] = len(self.kinds)
            self.kinds.append(
                Arc(
                    round(cost * 1000),
                    guessed if latency is None else latency,
                    slowness if speed is None else 1000.0 / speed,
                    pull,
                    latency is not None and speed is not None,
                )
            )
        return known


def arcs(net: Network, shut: Collection[ExecutedArc] = (), own: str = "") -> Arcs:
    """Return all arcs of a network. Special remotes execute nothing, and dead places have no arcs.

    Without the arcs in `shut`; `own` says which ones this repository executes.
    """
    number = {place.uuid: n for n, place in enumerate(net.places)}
    incoming: list[dict[int, int]] = [{} for _ in net.places]
    closed: list[tuple[int, int]] = []
    all_kinds = _Kinds()
    for way in _directions(net, number):
        link, source, target, pull = way
        if not (link.pull if pull else link.push):
            closed.append((source, target))
        elif not shut or (net.places[source].uuid, net.places[target].uuid, link.owner == own) not in shut:
            _offer(net, incoming, all_kinds, way)
    return Arcs(net.places, number, all_kinds.kinds, incoming, closed)


def _directions(net: Network, number: Mapping[str, int]) -> Iterator[_Way]:
    """Yield both directions of each link whose owner can execute it."""
    for link in net.links:
        owner, remote = number[link.owner], number[link.remote]
        if not (net.places[owner].dead or net.places[remote].dead or net.places[owner].special):
            yield link, owner, remote, False
            yield link, remote, owner, True


def _offer(net: Network, incoming: list[dict[int, int]], kinds: _Kinds, way: _Way) -> None:
    """Take an arc if none is known between its ends, or a worse one.

    The cheaper one does it, else not a drive, else who has the content. Not the faster: whose link was never measured
    would seem to be that.
    """
    link, source, target, pull = way
    arc = kinds.number(link.cost, link.latency_ms, link.bytes_per_second, pull)
    known = incoming[target].setdefault(source, arc)
    drives = net.places[source].removable, net.places[target].removable
    if _rank(kinds.kinds[arc], drives) < _rank(kinds.kinds[known], drives):
        incoming[target][source] = arc


def _rank(arc: Arc, drives: tuple[bool, bool]) -> tuple[int, bool, bool, float, float]:
    """Return which of two parallel arcs is taken; `drives`: whether source and target are such."""
    return arc.cost, drives[arc.pull], arc.pull, arc.latency, arc.slowness


def arcs_of_graph(graph: networkx.DiGraph[str]) -> Arcs:
    """Build the arcs from a networkx graph as `graph.to_networkx` makes it; each arc needs `cost`."""
    nodes, all_kinds = graph.nodes, _Kinds()
    uuids = sorted(nodes)
    number = {uuid: n for n, uuid in enumerate(uuids)}
    places = [
        Place(uuid, **{name: nodes[uuid][name] for name in Place.__slots__ if name in nodes[uuid]}) for uuid in uuids
    ]
    dead = {place.uuid for place in places if place.dead}
    kind = all_kinds.number
    incoming: list[dict[int, int]] = [
        {
            number[source]: kind(
                data["cost"], data.get("latency_ms"), data.get("bytes_per_second"), data.get("operation") == "pull"
            )
            for source, data in graph.pred[uuid].items()
            if source not in dead
        }
        if uuid not in dead
        else {}
        for uuid in uuids
    ]
    return Arcs(places, number, all_kinds.kinds, incoming)


def hashes(uuids: Iterable[str], role: bytes) -> list[int]:
    """A number for each place in a role; the product of two, modulo PRIME, tells one arc from another."""
    return [
        int.from_bytes(
            hashlib.blake2b(uuid.encode("utf-8", "surrogateescape"), digest_size=8, person=role).digest(), "big"
        )
        for uuid in uuids
    ]
