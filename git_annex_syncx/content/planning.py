"""Answer `map` and `plan`: from what is known here, or from a map in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.annex.proxied import read_all_settings
from git_annex_syncx.content import missing, room, steps
from git_annex_syncx.content.missing import Look
from git_annex_syncx.content.patience import KeyGroup
from git_annex_syncx.content.room import Fit, Left
from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import OUTSIDE, Need, Outcome, Result
from git_annex_syncx.network import survey
from git_annex_syncx.network.graph import Network, network
from git_annex_syncx.network.map_reader import LARGEST, read_map
from git_annex_syncx.network.plan import Plan, Question, plan, timed
from git_annex_syncx.network.survey import Survey
from git_annex_syncx.network.weights import arcs
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import own_failure

if TYPE_CHECKING:
    from git_annex_syncx.content.counts import Counted


@dataclass(frozen=True)
class Wanted:
    """A question to the planner."""

    paths: tuple[bytes, ...] = ()  # from the top of the tree
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
    fits: tuple[Fit, ...] = ()  # whether what is wanted fits, where that was asked or is not so


def see_map(context: Context, refresh: bool) -> Survey:
    """Return all that is known of the network; `refresh` asks the repositories that can be reached."""
    said = survey.refresh(context.repo) if refresh else ()
    found = survey.known(context.repo, context.settings, context.state)
    return Survey(found.network, said + found.warnings)


def tell_links(context: Context, settings: Settings | None = None) -> Iterator[Outcome]:
    """Publish the links in a run, with the settings as they are by now: plans are made from what all know."""
    begun = time.monotonic()
    try:
        if survey.publish(context.repo, settings or read_all_settings(context.repo), context.state):
            told, seconds = "published this repository's remotes and costs", time.monotonic() - begun
            yield Outcome("publish", Result.DONE, reason=told, seconds=seconds)
    except SyncxError as error:
        yield own_failure("publish", error)


def map_file(name: str) -> Network:
    """Return the network in a file, `-` for standard input. Raises UsageError."""
    if name == "-":
        return read_map(sys.stdin.buffer.read(LARGEST + 1), "standard input")
    try:
        with open(name, "rb") as file:
            return read_map(file.read(LARGEST + 1), name)
    except OSError as error:
        raise UsageError(
            f"{name!r} cannot be read: {error.strerror}", "name a file, or - for standard input"
        ) from error


def plan_here(context: Context, wanted: Wanted) -> Planned:
    """Return plans for this repository's network: for what is missing where, for paths, or for one imagined key."""
    wanted = replace(wanted, holders=named_here(context, wanted.holders), targets=named_here(context, wanted.targets))
    imagined = (wanted.holders or wanted.targets) and not wanted.paths
    look = None if imagined and wanted.holders else missing.look(context)
    if look is None or imagined:
        found = survey.planned(context.repo, context.settings, context.state)
        plans = _answered(found.network, [_imagined(found.network, wanted)])
        return Planned(found, plans, wanted.by_time, fits=_fits(context, look, wanted) if look else ())
    policy = look.policy
    lacking, left = _named(context, look, wanted) if wanted.paths else (look.needs, look.left)
    plans = tuple(together(steps.groups(policy, lacking, wanted.by_time, wanted.relays)))
    held = {need.key: need.holders for need in lacking if not (need.targets or need.key in left)}
    plans += _answered(policy.network, _of_content(held)) if wanted.paths else ()
    full = (text for _, text in room.told(policy, left).values())
    found = Survey(policy.network, (*policy.warnings, *full))
    fits = _fits(context, replace(look, needs=lacking, left=left), wanted)
    return Planned(found, (*plans, *_crowded_out(left)), wanted.by_time, of_files=True, fits=fits)


def named_here(context: Context, names: Iterable[str]) -> tuple[str, ...]:
    """Return the uuids of this repository's remotes in place of their names, as git-annex does; others stay."""
    remotes = context.settings.remotes
    return tuple((name in remotes and remotes[name].uuid) or name for name in names)


def _fits(context: Context, look: Look, wanted: Wanted) -> tuple[Fit, ...]:
    """Return whether what is wanted fits at the targets that are named, else where it does not."""
    named = _uuids(look.policy.network, wanted.targets)
    crowded = frozenset[str]().union(*(need.targets for need in look.left.values()))
    published = room.published(context, look.policy, look.rooms)
    return tuple(room.fits(named or crowded, look.needs, look.left, look.rooms, published))


def _crowded_out(left: Left) -> Iterator[Plan]:
    """Yield a plan without steps for each group of keys that do not fit at the same targets."""
    groups: dict[tuple[frozenset[str], frozenset[str]], list[int]] = {}
    for need in left.values():
        groups.setdefault((need.holders, need.targets), []).append(key_size(need.key))
    for (holders, targets), sizes in groups.items():
        question = Question(holders, targets, len(sizes), sum(sizes))
        yield Plan(question, (), tuple((uuid, "no-room") for uuid in sorted(targets)), 0.0, 0.0, True, 0.0)


def _named(context: Context, look: Look, wanted: Wanted) -> tuple[list[Need], Left]:
    """Return what the files at paths need, or would need if others held or wanted them, and what does not fit."""
    policy, net = look.policy, look.policy.network
    keys = missing.keys_below(context, wanted.paths)
    holders, targets = _uuids(net, wanted.holders), _uuids(net, wanted.targets)
    known = {need.key: need for need in look.needs}
    everyone = policy.alive - policy.relays - OUTSIDE.keys()
    cut_off = everyone - policy.takers - policy.choosy  # nothing leads there, which is to be said
    cut_off = cut_off.difference(*net.clusters.values())
    found = []
    for key, held in missing.holders_of(context, policy, keys).items():
        at = holders or held.holders
        wants = (targets or everyone) if holders or targets else (known[key].targets if key in known else frozenset())
        lacking = (wants | (frozenset() if targets else cut_off)) - at
        found.append(Need(key, at, lacking, first="" if holders else held.first))
    if holders or targets:
        return room.fitting(found, look.rooms)
    return found, {key: need for key, need in look.left.items() if key in keys}


def of_counted(counted: Counted | None) -> Planned:
    """Return the plans for what is missing where, from a look at all keys; none without one."""
    if counted is None:
        return Planned(Survey(network((), ())), (), of_files=True)
    return Planned(Survey(counted.look.policy.network), tuple(together(counted.groups)), of_files=True)


def together(groups: Iterable[KeyGroup]) -> Iterator[Plan]:
    """Yield one plan for all groups, of whatever size, that travel in the same way."""
    alike: dict[tuple[object, ...], list[Plan]] = {}
    for group in groups:
        carried = tuple((step.source, step.target, step.operation) for step in group.plan.steps)
        alike.setdefault((group.plan.question.holders, group.plan.question.targets, carried), []).append(group.plan)
    for plans in alike.values():
        keys, size = sum(one.question.keys for one in plans), sum(one.question.bytes for one in plans)
        # In the time of small files there is little but latency, which bytes do not multiply.
        largest = max(plans, key=lambda one: one.question.bytes)
        yield timed(largest, replace(largest.question, keys=keys, bytes=size))


def _of_content(held: Mapping[str, frozenset[str]]) -> list[Question]:
    """Return a question about each group of keys with the same holders that nobody lacks."""
    groups: dict[frozenset[str], list[int]] = {}
    for key, holders in held.items():
        groups.setdefault(holders, []).append(key_size(key))
    return [Question(holders, frozenset(), len(sizes), sum(sizes)) for holders, sizes in groups.items()]


def plan_map(net: Network, wanted: Wanted) -> Planned:
    """Return the plan for one imagined key in a network from a file."""
    if wanted.paths:
        raise UsageError("PATH and --map exclude each other", "a map says nothing about files; use --from and --to")
    return Planned(Survey(net), _answered(net, [_imagined(net, wanted)]), wanted.by_time)


def _answered(net: Network, questions: Iterable[Question]) -> tuple[Plan, ...]:
    ways = arcs(net)
    return tuple(plan(ways, question) for question in questions)


def _imagined(net: Network, wanted: Wanted) -> Question:
    """Return a question about one key: held here, wanted by all that are no relays, where nobody is named."""
    holders = _uuids(net, wanted.holders) or _usual_holder(net)
    places = (place for place in net.places if place.uuid not in OUTSIDE)
    everyone = frozenset(place.uuid for place in places if not (place.relay or place.dead))
    holders |= {place.uuid for place in net.places if not holders.isdisjoint(place.nodes)}
    targets = (_uuids(net, wanted.targets) or everyone.difference(*net.clusters.values())) - holders
    return Question(holders, targets, by_time=wanted.by_time, relays=wanted.relays)


def _usual_holder(net: Network) -> frozenset[str]:
    if net.here is None and len(net.places) > 1:
        raise UsageError("the map does not say which repository is here", "say who holds the content: --from NAME")
    return frozenset([net.here] if net.here else net.by_uuid)


def _uuids(net: Network, names: Iterable[str]) -> frozenset[str]:
    """Return the uuids of repositories that are named by uuid or by name. Raises UsageError."""
    return frozenset(uuid_of(net, name) for name in names)


def uuid_of(net: Network, name: str) -> str:
    """Return the uuid of a repository that is named by uuid or by name. Raises UsageError."""
    if name in net.by_uuid:
        return name
    found = [place.uuid for place in net.places if place.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"several repositories are called {name!r}", f"name one by its uuid: {', '.join(found)}")
    known = ", ".join(sorted({place.name for place in net.places if place.name})) or "none"
    raise UsageError(
        f"there is no repository {name!r} in the network",
        f"the repositories whose uuid is known are: {known}",
    )
