"""The lines of the links log: what each repository tells the others about its remotes. Other people's input. Pure.

A line is `UUID JSON timestamp=SECONDSs`, and the newest one of a repository holds. The JSON is

    {"v":1,"relay":false,"links":[{"to":"UUID","cost":100.0,"push":true,"pull":true,"removable":false,
                                   "bytes_per_second":null,"latency_ms":1.0}]}
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from git_annex_syncx.network.graph import HIGHEST_LATENCY, HIGHEST_SPEED, Link
from git_annex_syncx.network.map_reader import BadMap, link_of

FORMAT = 1
LONGEST_LINE = 256 * 1024
MOST_LINKS = 5000
MOST_COMPLAINTS = 20
NOTABLE = 1.5  # a speed that is off by more than this is told anew


@dataclass(frozen=True)
class Line:
    """The line of one repository: its links, whether it passes on content, which of its remotes are drives."""

    uuid: str
    links: tuple[Link, ...] = ()
    relay: bool = False
    removable: frozenset[str] = frozenset()


@dataclass
class LinksLog:
    """The newest line of each repository, as text and as value, and what was wrong."""

    lines: dict[str, Line] = field(default_factory=dict)
    texts: dict[str, tuple[float, str]] = field(default_factory=dict)  # time and whole line
    complaints: list[str] = field(default_factory=list)

    def complain(self, what: str) -> None:
        """Report something that is ignored; a flood of it only once."""
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(what)
        elif len(self.complaints) == MOST_COMPLAINTS:
            self.complaints.append("more like this")


def parse(raw: bytes, known: Collection[str]) -> LinksLog:
    """The log, bad lines and repositories that are not `known` left out.

    Those that are dead or forgotten stand in it until each that had a link to them writes anew: nothing to report.
    """
    log = LinksLog()
    newest: dict[str, tuple[float, str, int]] = {}
    for number, text in _short_lines(raw, log):
        uuid, _, rest = text.partition(" ")
        _, _, stamp = rest.rpartition(" timestamp=")
        when = _seconds(stamp)
        if when is None:
            log.complain(f"line {number}: no time stamp")
        elif uuid in known and (when, text) > newest.get(uuid, (-math.inf, ""))[:2]:
            newest[uuid] = when, text, number
    for uuid, (when, text, number) in sorted(newest.items()):
        log.texts[uuid] = when, text
        try:
            log.lines[uuid] = _line(uuid, text, known, number, log)
        except (ValueError, RecursionError) as error:
            log.complain(f"line {number}: of {_shown(uuid)}: {str(error)[:120]}")
    return log


def _short_lines(raw: bytes, log: LinksLog) -> Iterable[tuple[int, str]]:
    at, number = 0, 0
    while at < len(raw):
        end = raw.find(b"\n", at)
        end = len(raw) if end < 0 else end
        number += 1
        if end - at > LONGEST_LINE:
            log.complain(f"line {number}: longer than {LONGEST_LINE} bytes")
        elif end > at:
            yield number, raw[at:end].decode("utf-8", "replace").rstrip("\r")
        at = end + 1


def _line(uuid: str, text: str, known: Collection[str], number: int, log: LinksLog) -> Line:
    value = json.loads(text.partition(" ")[2].rpartition(" timestamp=")[0])
    if not isinstance(value, dict) or value.get("v") != FORMAT or isinstance(value["v"], bool):
        raise BadMap("", "not in a form that this version knows")
    items = value.get("links")
    if not isinstance(items, list) or len(items) > MOST_LINKS:
        raise BadMap("links", f"is no list of at most {MOST_LINKS}")
    links, removable = [], set()
    for n, item in enumerate(items):
        try:
            link = _link(uuid, item, f"links[{n}]")
        except BadMap as error:
            log.complain(f"line {number}: of {_shown(uuid)}: {error}")
            continue
        if link.remote in known and link.remote != uuid:
            links.append(link)
            removable |= {link.remote} if item.get("removable") is True else set()
    return Line(uuid, tuple(links), value.get("relay") is True, frozenset(removable))


def _link(uuid: str, item: Any, where: str) -> Link:
    if not isinstance(item, dict) or not isinstance(item.get("to"), str):
        raise BadMap(where, "does not say where to")
    return link_of(uuid, item["to"], item, where, "links-log")


def _shown(uuid: str) -> str:
    return uuid if len(uuid) <= 40 else uuid[:40] + "..."


def _seconds(stamp: str) -> float | None:
    try:
        seconds = float(stamp.removesuffix("s"))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def written(line: Line, when: float) -> str:
    """The line as it stands in the log."""
    value = {
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
    return f"{line.uuid} {json.dumps(value, separators=(',', ':'))} timestamp={when:.6f}s"


def compacted(log: LinksLog, line: Line, now: float) -> bytes:
    """The whole log with this line in it, one line a repository."""
    texts = {uuid: text for uuid, (_, text) in log.texts.items()}
    before = log.texts.get(line.uuid, (0.0, ""))[0]
    texts[line.uuid] = written(line, max(now, before + 1))
    return "".join(texts[uuid] + "\n" for uuid in sorted(texts)).encode("utf-8", "surrogateescape")


def worth_telling(old: Line | None, new: Line) -> bool:
    """Return whether others should hear of it: a link or a cost is another, or a speed is off by a lot."""
    if old is None:
        return bool(new.links) or new.relay
    if (old.relay, old.removable, _told(old)) != (new.relay, new.removable, _told(new)):
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


def bounded(speed: float | None, latency: float | None) -> tuple[float | None, float | None]:
    """Return a measured speed and latency, three digits each, within what a reader takes."""
    return _three(speed, HIGHEST_SPEED), _three(latency, HIGHEST_LATENCY)


def _three(value: float | None, highest: float) -> float | None:
    usable = value is not None and math.isfinite(value) and 0 < value <= highest
    return float(f"{max(value or 0.0, 0.001):.3g}") if usable else None
