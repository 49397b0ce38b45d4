"""Location logs: who holds a key, by the lines of its log on the git-annex branch. Pure."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# A time in a log: seconds since 1970, a fraction of any length in older ones; and `TIMEs 1|0|X UUID`.
TIME = rb"([+-]?[0-9]{1,30})(?:\.([0-9]+))?s?"
STAMP = re.compile(TIME)
LINE = re.compile(b"^" + TIME + rb" ([^ \n]*) ([^ \n]*)$", re.MULTILINE)
# The times that most logs have, of one length: they compare like numbers; and what follows one.
USUAL_TIME = re.compile(rb"^([0-9]{10})", re.MULTILINE)
USUAL_REST = re.compile(rb"s? ([01X]) ([^ \n]+)\n*")
MOST_PATTERNS = 10_000  # in memory
NEVER, WHOLE, PICO = float("-inf"), b"0" * 12, 10**12


class Located(NamedTuple):
    """The holders of a key, by uuid, and the first of them: the one whose line in the location log is the oldest."""

    holders: frozenset[str]
    first: str  # the smallest uuid at equal times; empty where nobody holds it
    recorded: frozenset[str]  # as holders, those included that do not count


NOWHERE = Located(frozenset(), "", frozenset())


@dataclass(frozen=True)
class Counting:
    """The lines of location logs that count: those of `alive` uuids (None: all), and `private` ones, by key."""

    alive: Collection[str] | None = None
    private: Mapping[str, bytes] = field(default_factory=dict)
    clusters: Mapping[str, frozenset[str]] = field(default_factory=dict)  # each holds what one of its nodes does
    newest: dict[bytes, int] | None = None  # where to note the newest line of each uuid, in seconds since 1970


EVERYBODY = Counting()


class Record(NamedTuple):
    """The newest line of a repository in a location log: when (seconds since 1970), and "1", "0" or "X" (dead)."""

    at: float
    status: str


def newest_records(log: bytes) -> dict[str, Record]:
    """Return uuid -> its newest line; at equal times the first."""
    return {
        os.fsdecode(uuid): Record(when / PICO, status.decode("ascii", "replace"))
        for uuid, (when, status) in _newest_of_each(log).items()
    }


def _newest_of_each(log: bytes) -> dict[bytes, tuple[int, bytes]]:
    """Return uuid -> time in picoseconds and status of its newest line; at equal times of the first."""
    newest: dict[bytes, tuple[int, bytes]] = {}
    for seconds, fraction, status, uuid in LINE.findall(log):
        when = _picoseconds(seconds, fraction)
        if uuid not in newest or when > newest[uuid][0]:
            newest[uuid] = when, status
    return newest


def parser(
    alive: Collection[str] | None = None,
    clusters: Mapping[str, frozenset[str]] = EVERYBODY.clusters,
    seen: dict[bytes, int] | None = None,
) -> Callable[[bytes], Located]:
    """Return a parser of location logs, by which equal findings are one object: few for millions of keys.

    The newest line of each uuid holds, at equal times the first. Its time is noted in `seen`, where that is given.
    """
    known: dict[tuple[frozenset[str], str], Located] = {}
    decoded = functools.cache(os.fsdecode)

    def with_clusters(held: Iterable[tuple[float, str]]) -> frozenset[str]:
        holders = frozenset([uuid for _, uuid in held])
        return holders.union(cluster for cluster, nodes in clusters.items() if not nodes.isdisjoint(holders))

    def note(uuid: bytes, when: int) -> None:
        if seen is not None and when > seen.get(uuid, 0):
            seen[uuid] = when

    def parse(log: bytes) -> Located:
        parts = USUAL_TIME.split(log)
        ordered, findings, uuids = usual(tuple(parts[::2]))
        if not findings:
            return parse_lines(log)
        for uuid, time in zip(uuids, parts[1::2], strict=True) if seen is not None else ():
            note(uuid, int(time))
        if len(findings) == 1:
            return findings[0]
        times = [parts[2 * line + 1] for line in ordered]
        return findings[times.index(min(times))]

    @functools.lru_cache(MOST_PATTERNS)
    def usual(rests: tuple[bytes, ...]) -> tuple[list[int], list[Located], list[bytes]]:
        """Return the lines of holders, by uuid, and what is found where each is the oldest; `rests` follow the times.

        Nothing where it takes more than the order of the times. The uuids of all lines come last.
        """
        lines = list(map(USUAL_REST.fullmatch, rests[1:]))
        told = [(line[1], decoded(line[2])) for line in lines if line]
        uuids = [uuid for _, uuid in told]
        if rests[0] or len(told) < len(lines) or len(set(uuids)) < len(uuids):
            return [], [], []
        held = [n for n, (status, uuid) in enumerate(told) if status == b"1" and (alive is None or uuid in alive)]
        held.sort(key=uuids.__getitem__)
        oldest = (b"".join(b"%d%s" % (n != one, rest) for n, rest in enumerate(rests[1:])) for one in held or [0])
        return held, list(map(parse_lines, oldest)), [line[2] for line in lines if line]

    def parse_lines(log: bytes) -> Located:
        newest = _newest_of_each(log)
        for uuid, (when, _) in newest.items() if seen is not None else ():
            note(uuid, when // PICO)
        recorded = [(when, decoded(uuid)) for uuid, (when, status) in newest.items() if status == b"1"]
        held = recorded if alive is None else [line for line in recorded if line[1] in alive]
        everyone = frozenset([uuid for _, uuid in recorded])
        first = min(held)[1] if held else ""
        if not (found := known.get((everyone, first))):
            found = known[everyone, first] = Located(with_clusters(held), first, everyone)
        return found

    return parse


def newest_line(log: bytes, uuid: str) -> bytes:
    """Return the newest line of a repository in a location log, empty where there is none."""
    mine = (line for line in log.split(b"\n") if line.endswith(b" " + os.fsencode(uuid)))
    return max(mine, key=lambda line: _time(line.partition(b" ")[0]), default=b"")


def _time(stamp: bytes) -> float:
    """Return the time of a line in picoseconds, exact as git-annex has it, NEVER where it has none."""
    parts = STAMP.fullmatch(stamp)
    return _picoseconds(parts[1], parts[2] or b"") if parts else NEVER


def _picoseconds(seconds: bytes, fraction: bytes) -> int:
    return int(seconds + (fraction[:12].ljust(12, b"0") if fraction else WHOLE))
