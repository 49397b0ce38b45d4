"""The map and the plan of a repository: from what is known here, or from a map in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.gateway import annex, graphviz
from git_annex_syncx.gateway.settings import read_settings
from git_annex_syncx.model import Outcome, Result
from git_annex_syncx.network import survey
from git_annex_syncx.network.graph import Network
from git_annex_syncx.network.plan import Plan, Question, plan
from git_annex_syncx.network.read import read_map
from git_annex_syncx.network.roads import roads
from git_annex_syncx.network.survey import Survey
from git_annex_syncx.phases.node import Node
from git_annex_syncx.phases.parallel import own_failure

SECONDS = 60.0  # the longest that a plan may take


@dataclass(frozen=True)
class Wanted:
    """What a plan is asked for."""

    paths: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()  # names or uuids
    targets: tuple[str, ...] = ()
    by_time: bool = False
    relays: bool = True


@dataclass(frozen=True)
class Planned:
    """A network and the plans for it."""

    survey: Survey
    plans: tuple[Plan, ...]
    by_time: bool = False
    of_files: bool = False  # for keys that there are, else for an imagined one


def see_map(node: Node, refresh: bool) -> Survey:
    """All that is known of the network; `refresh` asks the repositories that can be reached."""
    said = survey.refresh(node.repo) if refresh else ()
    found = survey.known(node.repo, node.settings, node.outbox)
    return Survey(found.network, said + found.warnings)


def publish(node: Node) -> bool:
    """Tell the others the links of this repository; whether that was news."""
    return survey.publish(node.repo, node.settings, node.outbox)


def tell_links(node: Node) -> Iterator[Outcome]:
    """The same with the settings as they are by now, in a run: plans are made from what all know."""
    begun = time.monotonic()
    try:
        if survey.publish(node.repo, read_settings(node.repo), node.outbox):
            yield Outcome("publish", Result.DONE, reason="links told", seconds=time.monotonic() - begun)
    except SyncxError as error:
        yield own_failure("publish", error)


def map_file(name: str) -> Network:
    """The network in a file, `-` for standard input. Raises UsageError."""
    if name == "-":
        return read_map(sys.stdin.buffer.read(), "standard input")
    try:
        return read_map(Path(name).read_bytes(), name)
    except OSError as error:
        raise UsageError(
            f"{name!r} cannot be read: {error.strerror}", "name a file, or - for standard input"
        ) from error


def draw(dot: str, svg: str | None, png: str | None) -> list[str]:
    """Write pictures of a graph; the files. Raises UsageError where Graphviz is not installed."""
    files = [(kind, name) for kind, name in (("svg", svg), ("png", png)) if name]
    for kind, name in files:
        graphviz.draw(dot, Path(name).absolute(), kind)
    return [name for _, name in files]


def plan_here(node: Node, wanted: Wanted) -> Planned:
    """Plans for this repository's network: for paths as git-annex knows them, else for one imagined key."""
    found = survey.planned(node.repo, node.settings, node.outbox)
    questions = _of_paths(node, found.network, wanted) if wanted.paths else [_imagined(found.network, wanted)]
    return Planned(found, _answered(found.network, questions), wanted.by_time, of_files=bool(wanted.paths))


def plan_map(net: Network, wanted: Wanted) -> Planned:
    """The plan for one imagined key in a network from a file."""
    if wanted.paths:
        raise UsageError("PATH and --map exclude each other", "a map says nothing about files; use --from and --to")
    return Planned(Survey(net), _answered(net, [_imagined(net, wanted)]), wanted.by_time)


def _answered(net: Network, questions: Iterable[Question]) -> tuple[Plan, ...]:
    ways = roads(net)
    return tuple(plan(ways, question) for question in questions)


def _imagined(net: Network, wanted: Wanted) -> Question:
    """One key. Held here where nobody is named, wanted by all that are no relays where nobody is named."""
    holders = _uuids(net, wanted.holders) or _usual_holder(net)
    everyone = frozenset(place.uuid for place in net.places if not (place.relay or place.dead))
    return Question(
        holders,
        (_uuids(net, wanted.targets) or everyone) - holders,
        by_time=wanted.by_time,
        relays=wanted.relays,
        seconds=SECONDS,
    )


def _usual_holder(net: Network) -> frozenset[str]:
    if net.here is None and len(net.places) > 1:
        raise UsageError("the map does not say which repository is here", "say who holds the content: --from NAME")
    return frozenset([net.here] if net.here else net.by_uuid)


def _of_paths(node: Node, net: Network, wanted: Wanted) -> list[Question]:
    """One question for each group of files that the same repositories hold."""
    targets = _uuids(net, wanted.targets) or frozenset(
        place.uuid for place in net.places if not (place.relay or place.dead)
    )
    groups: dict[frozenset[str], dict[str, int]] = {}
    for found in annex.whereis(node.repo, wanted.paths):
        holders = frozenset(str(copy["uuid"]) for copy in found.get("whereis", ())).intersection(net.by_uuid)
        groups.setdefault(_uuids(net, wanted.holders) or holders, {})[str(found["key"])] = _size(str(found["key"]))
    if not groups:
        raise UsageError(
            f"no annexed file is at {', '.join(wanted.paths)}", "name files that git annex whereis knows"
        )
    return [
        Question(holders, targets - holders, len(keys), sum(keys.values()), wanted.by_time, wanted.relays, SECONDS)
        for holders, keys in sorted(groups.items(), key=lambda item: sorted(item[0]))
    ]


def _size(key: str) -> int:
    """The size that stands in a key, 0 where none does."""
    for part in key.partition("--")[0].split("-")[1:]:
        if part.startswith("s") and part[1:].isdigit():
            return int(part[1:])
    return 0


def _uuids(net: Network, names: Iterable[str]) -> frozenset[str]:
    """The places that are called so, by uuid or by name. Raises UsageError."""
    return frozenset(_uuid(net, name) for name in names)


def _uuid(net: Network, name: str) -> str:
    if name in net.by_uuid:
        return name
    called: dict[str, list[str]] = {}
    for place in net.places:
        called.setdefault(place.name, []).append(place.uuid)
    found = called.get(name, [])
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"several repositories are called {name!r}", f"name one by its uuid: {', '.join(found)}")
    known = ", ".join(sorted(filter(None, called))) or "none"
    raise UsageError(
        f"there is no repository {name!r} in the network",
        f"the repositories whose uuid is known are: {known}",
    )
