"""Find what would make a way for content where there is none: each change is tried on the network. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from git_annex_syncx.annex.annex_branch import REMOTE_NAME
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.model import OUTSIDE, Remote
from git_annex_syncx.network.graph import Link, Place
from git_annex_syncx.network.plan import Question, reachable
from git_annex_syncx.network.survey import without_annex
from git_annex_syncx.network.weights import Arcs

MOST = 3
NEAR = 100.0  # the cost of a link that is imagined: it does not matter


@dataclass(frozen=True)
class Remedy:
    """A change and the command that makes it, `where` (uuid) it is to be run, and what it does to the network."""

    command: str
    where: str
    links: tuple[Link, ...] = ()
    relay: str = ""


def remedies(
    policy: Policy, remotes: Mapping[str, Remote], holders: frozenset[str], targets: frozenset[str], target: str
) -> list[Remedy]:
    """Return what would bring content from holders to a target, the least that would do first.

    `targets` want it too: it may pass through them. `remotes` are those of this repository.
    """
    if not holders:
        return []
    gap = _gap(policy, holders, targets | {target}, target)
    unheard = list(_unheard(policy, holders, target))
    for kind in (_blocked, _relays, _enabled, _added, _elsewhere):
        candidates = kind(policy, remotes, holders, target)
        found = list(islice((one for one in candidates if gap.is_closed_by(one)), MOST))
        if found:
            return found + unheard
    return unheard


@dataclass(frozen=True)
class _Gap:
    """The repositories to which content comes, and those from which it would come to the target."""

    arcs: Arcs
    near: frozenset[str]
    far: frozenset[str]

    def is_closed_by(self, remedy: Remedy) -> bool:
        """Return whether there is a way with this change; where it is not known what it brings, there may be."""
        pairs = [pair for link in remedy.links for pair in ((link.owner, link.remote), (link.remote, link.owner))]
        if any(a in self.near and b in self.far for a, b in pairs):
            return True
        if not remedy.relay:
            return not remedy.links
        into, out = self.arcs.predecessors(remedy.relay), self.arcs.successors(remedy.relay)
        return not (self.near.isdisjoint(into) or self.far.isdisjoint(out))


def _gap(policy: Policy, holders: frozenset[str], targets: frozenset[str], target: str) -> _Gap:
    near = holders | reachable(policy.arcs, Question(holders, targets))
    through, far, left = targets | policy.relays, {target}, [target]
    while left:
        before = through & frozenset(policy.arcs.predecessors(left.pop()))
        left += before - far
        far |= before
    return _Gap(policy.arcs, near, frozenset(far))


def _unheard(policy: Policy, holders: frozenset[str], target: str) -> Iterator[Remedy]:
    """Yield repositories that have told no links yet: perhaps they have the one that is lacking."""
    net = policy.network
    told = {link.owner for link in net.links}
    for uuid in [target, *sorted(holders)]:
        place = net.by_uuid.get(uuid)
        linked = any(link.remote == uuid for link in net.links)
        if place and not (place.special or place.dead or linked or uuid in told or uuid == policy.own):
            yield Remedy("git annex-syncx sync, if it has remotes", uuid)


def _blocked(policy: Policy, remotes: Mapping[str, Remote], holders: frozenset[str], target: str) -> Iterator[Remedy]:
    """Yield the settings that keep content from one of this repository's own remotes."""
    own = policy.own
    for remote in remotes.values():
        commands = list(_opening(remote))
        if commands and not remote.uuid and own in holders | {target}:
            yield Remedy(" && ".join(commands), own)
        elif commands and remote.uuid in policy.network.by_uuid:
            yield Remedy(" && ".join(commands), own, (Link(own, remote.uuid or "", NEAR),))


def _opening(remote: Remote) -> Iterator[str]:
    name, section = shlex.quote(remote.name), f"remote.{remote.section}"
    if remote.found_without:
        yield f"git annex enableremote {name}"
    elif remote.ignore:
        yield f"git config {shlex.quote(f'{section}.annex-ignore')} false"
    if remote.unverified:
        yield f"git annex verifyremote {name}"
    off = {"sync": not remote.sync, "push": not remote.push, "pull": not remote.pull}
    yield from (f"git config {shlex.quote(f'{section}.annex-{word}')} true" for word, is_off in off.items() if is_off)
    if remote.readonly:
        yield f"git config {shlex.quote(f'{section}.annex-readonly')} false"
    if not (remote.uuid or remote.ignore):
        yield f"git annex-syncx sync -- {name}"


def _relays(policy: Policy, remotes: Mapping[str, Remote], holders: frozenset[str], target: str) -> Iterator[Remedy]:
    """Yield who could pass it on."""
    for place in policy.network.places:
        if not (place.relay or place.dead or place.uuid in OUTSIDE or place.uuid in holders or place.uuid == target):
            special = f"git annex group {word(policy, place.uuid)} transfer"
            where = policy.own if place.special else place.uuid
            yield Remedy(special if place.special else "git config syncx.relay true", where, relay=place.uuid)


def _enabled(policy: Policy, remotes: Mapping[str, Remote], holders: frozenset[str], target: str) -> Iterator[Remedy]:
    """Yield special remotes that this repository does not use yet."""
    known = {remote.uuid for remote in remotes.values()}
    for place in policy.network.places:
        if place.special and not (place.dead or place.nodes or place.uuid in known or place.uuid in OUTSIDE):
            link = Link(policy.own, place.uuid, NEAR)
            yield Remedy(f"git annex enableremote {word(policy, place.uuid)}", policy.own, (link,))


def _added(policy: Policy, remotes: Mapping[str, Remote], holders: frozenset[str], target: str) -> Iterator[Remedy]:
    """Yield repositories that could become remotes of this one, the target and the holders first."""
    known = {remote.uuid for remote in remotes.values()} | {policy.own}
    near = sorted(policy.network.places, key=lambda one: (one.uuid != target, one.uuid not in holders, one.uuid))
    for place in near:
        if not (place.special or place.dead or place.uuid in known):
            link = Link(policy.own, place.uuid, NEAR)
            yield Remedy(f"git remote add {_remote_name(place)} ADDRESS", policy.own, (link,))


def _elsewhere(
    policy: Policy, remotes: Mapping[str, Remote], holders: frozenset[str], target: str
) -> Iterator[Remedy]:
    """Yield a link between a holder and the target, of which neither is here."""
    places = policy.network.by_uuid
    pairs = [pair for uuid in sorted(holders - OUTSIDE.keys()) for pair in ((uuid, target), (target, uuid))]
    for owner, other in ((places[a], places[b]) for a, b in pairs if a in places and b in places):
        if not (owner.special or owner.dead or other.dead):
            added = f"git remote add {_remote_name(other)} ADDRESS"
            command = f"git annex enableremote {word(policy, other.uuid)}" if other.special else added
            yield Remedy(command, owner.uuid, (Link(owner.uuid, other.uuid, NEAR),))


def _remote_name(place: Place) -> str:
    """Return what a repository could be called as a remote: a description can be any text."""
    return place.name if REMOTE_NAME.fullmatch(place.name) else "NAME"


def word(policy: Policy, uuid: str) -> str:
    """Return what names one repository alone, for a shell and git-annex: its name, else its uuid."""
    name = policy.network.by_uuid[uuid].name if uuid in policy.network.by_uuid else ""
    alone = policy.network.name(uuid) == name and not name.startswith("-")
    return shlex.quote(name if name and alone else uuid)


def told(policy: Policy, remotes: Mapping[str, Remote], remedy: Remedy) -> str:
    """Return what to do, for people: the command, and where it is to be run."""
    where = "" if remedy.where == policy.own else f"in {policy.network.name(remedy.where)}: "
    opened = {link.remote for link in remedy.links}
    found = next((remote for remote in remotes.values() if remote.found_without and remote.uuid in opened), None)
    return where + (without_annex(found) if found else remedy.command)
