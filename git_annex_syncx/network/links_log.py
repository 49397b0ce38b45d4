"""The links log, in which each repository tells the others about its remotes. Other people's input. Pure.

A line is `UUID JSON timestamp=SECONDSs`, and the newest one of a repository holds. The JSON is

    {"v":1,"relay":false,"links":[{"to":"UUID","cost":100.0,"push":true,"pull":true,"removable":false,
                                   "bytes_per_second":null,"latency_ms":1.0}],
     "free":{"UUID":[BYTES,SECONDS]}}

`free` tells how much its own disk can take, and those of remotes that are directories to it, as of when.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from git_annex_syncx.network.graph import Link
from git_annex_syncx.network.map_reader import BadMap, link_of

FORMAT = 1
LONGEST_LINE = 256 * 1024
MOST_LINKS = 5000
MOST_COMPLAINTS = 20
NOTABLE = 1.5  # a speed that is off by more than this is told anew


@dataclass(frozen=True)
class Free:
    """The bytes that a disk can take, at least nearly, and when it was looked at, in seconds since 1970."""

    bytes: int
    at: int


@dataclass(frozen=True)
class Line:
    """The line of one repository: its links, whether it passes on content, its drives, the room where it looks."""

    uuid: str
    links: tuple[Link, ...] = ()
    relay: bool = False
    removable: frozenset[str] = frozenset()
    free: Mapping[str, Free] = field(default_factory=dict)


@dataclass
class LinksLog:
    """The newest line of each repository, as text and as value, and what was wrong."""

    lines: dict[str, Line] = field(default_factory=dict)
    texts: dict[str, tuple[float, str]] = field(default_factory=dict)  # time and whole line
    complaints: list[str] = field(default_factory=list)

    @property
    def free(self) -> dict[str, Free]:
        """Return the newest word on the room of each repository, the lowest of several."""
        found: dict[str, Free] = {}
        for line in self.lines.values():
            for uuid, told in line.free.items():
                found[uuid] = max(told, found.get(uuid, told), key=lambda one: (one.at, -one.bytes))
        return found

    def complain(self, number: int, what: str) -> None:
        """Report something that is ignored in a line; a flood of it only once."""
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(f"line {number}: {what}")
        elif len(self.complaints) == MOST_COMPLAINTS:
            self.complaints.append("more like this")


def parse(raw: bytes, known: Collection[str]) -> LinksLog:
    """Return the log, bad lines and repositories that are not `known` left out.

    Those that are dead or forgotten stand in it until each that had a link to them writes anew: nothing to report.
    """
    log = LinksLog()
    newest: dict[str, tuple[float, str, int]] = {}
    for number, line in enumerate(io.BytesIO(raw), start=1):
        if len(line) > LONGEST_LINE:
            log.complain(number, f"longer than {LONGEST_LINE} bytes")
        elif text := line.decode("utf-8", "replace").rstrip("\r\n"):
            uuid, _, rest = text.partition(" ")
            when = _seconds(rest.rpartition(" timestamp=")[2])
            if when is None:
                log.complain(number, "no time stamp")
            elif uuid in known:
                newest[uuid] = max(newest.get(uuid, (when, "", 0)), (when, text, number))
    for uuid, (when, text, number) in sorted(newest.items()):
        log.texts[uuid] = when, text
        try:
            log.lines[uuid], wrong = _line(uuid, text, known)
        except (ValueError, RecursionError) as error:
            wrong = [str(error)[:120]]
        for what in wrong:
            log.complain(number, f"of {_shown(uuid)}: {what}")
    return log


def _seconds(stamp: str) -> float | None:
    try:
        seconds = float(stamp.removesuffix("s"))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _line(uuid: str, text: str, known: Collection[str]) -> tuple[Line, list[str]]:
    """Return the line of a repository, and what is wrong with links that are left out. Raises ValueError."""
    value = json.loads(text.partition(" ")[2].rpartition(" timestamp=")[0])
    if not isinstance(value, dict) or value.get("v") != FORMAT or isinstance(value["v"], bool):
        raise BadMap("", "not in a form that this version knows")
    items = value.get("links")
    if not isinstance(items, list) or len(items) > MOST_LINKS:
        raise BadMap("links", f"is no list of at most {MOST_LINKS}")
    links, removable, wrong = [], set(), []
    for n, item in enumerate(items):
        try:
            if not isinstance(item, dict) or not isinstance(item.get("to"), str):
                raise BadMap(f"links[{n}]", "does not say where to")
            link = link_of(uuid, item["to"], item, f"links[{n}]", "links-log")
        except BadMap as error:
            wrong.append(str(error))
            continue
        if link.remote in known and link.remote != uuid:
            links.append(link)
            removable |= {link.remote} if item.get("removable") is True else set()
    free = _free(value.get("free", {}), {uuid, *(link.remote for link in links)})
    return Line(uuid, tuple(links), value.get("relay") is True, frozenset(removable), free), wrong


def _free(value: object, whose: Collection[str]) -> dict[str, Free]:
    """Return what a line tells of those whom it can look at; what is no such thing is left out."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {
        uuid: Free(*pair)
        for uuid, pair in pairs
        if uuid in whose and isinstance(pair, list) and len(pair) == 2
        if all(type(number) is int and 0 <= number < 1 << 62 for number in pair)
    }


def _shown(uuid: str) -> str:
    return uuid if len(uuid) <= 40 else uuid[:40] + "..."


def written(line: Line, when: float) -> str:
    """Return the line as it stands in the log."""
    value: dict[str, object] = {
        "v": FORMAT,
        "relay": line.relay,
        "links": [
            {
                "to": link.remote,
                "cost": link.cost,
                "push": link.push,
                "pull": link.pull,
                "removable": link.remote in line.removable,
                "bytes_per_second": link.bytes_per_second,
                "latency_ms": link.latency_ms,
            }
            for link in sorted(line.links, key=lambda link: (link.remote, link.cost, link.push))
        ],
    }
    if line.free:
        value["free"] = {uuid: [told.bytes, told.at] for uuid, told in sorted(line.free.items())}
    return f"{line.uuid} {json.dumps(value, separators=(',', ':'))} timestamp={when:.6f}s"


def compacted(log: LinksLog, line: Line, now: float) -> bytes:
    """Return the whole log with this line in it, one line a repository."""
    texts = {uuid: text for uuid, (_, text) in log.texts.items()}
    before = log.texts.get(line.uuid, (0.0, ""))[0]
    texts[line.uuid] = written(line, max(now, before + 1))
    return "".join(texts[uuid] + "\n" for uuid in sorted(texts)).encode("utf-8", "surrogateescape")


def worth_telling(old: Line | None, new: Line) -> bool:
    """Return whether others should hear of it: a link, a cost or a free space is another, or a speed off by a lot."""
    if old is None:
        return bool(new.links) or new.relay
    if (old.relay, old.removable, old.free, _told(old)) != (new.relay, new.removable, new.free, _told(new)):
        return True
    return any(
        _differ(getattr(was, name), getattr(now, name))
        for was, now in zip(_sorted(old), _sorted(new), strict=True)
        for name in ("bytes_per_second", "latency_ms")
    )


def _sorted(line: Line) -> list[Link]:
    return sorted(line.links, key=lambda link: (link.remote, link.cost, link.push, link.pull))


def _told(line: Line) -> list[Link]:
    return [replace(link, bytes_per_second=None, latency_ms=None, source="") for link in _sorted(line)]


def _differ(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is not new
    return not 1 / NOTABLE <= new / old <= NOTABLE
