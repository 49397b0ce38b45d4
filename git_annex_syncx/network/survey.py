"""The network as the git-annex branch, the own configuration and `git annex map` tell of it."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from git_annex_syncx.annex import annex, annex_branch
from git_annex_syncx.errors import ProgramFailed, Stalled, SyncxError
from git_annex_syncx.git import git, objects, ssh
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import OUTSIDE, OUTSIDE_COST, Remote
from git_annex_syncx.network import free_space, links_log
from git_annex_syncx.network.graph import Link, Network, Place, network
from git_annex_syncx.network.map_reader import read_map
from git_annex_syncx.network.own_links import CLOUD_MS, own_line
from git_annex_syncx.system import files
from git_annex_syncx.system.redact import without_passwords
from git_annex_syncx.system.state import State

LINKS_LOG = "syncx-links.log"
LOGS = ("uuid.log", "remote.log", "trust.log", "group.log", "cluster.log", "proxy.log", LINKS_LOG)
MAP_PATIENCE = 60.0  # seconds
UNKNOWN = "uuid unknown, so it gets no content"
UNNAMED = re.compile(r"[^@\s]+@[^:\s]+:")  # how git-annex describes what nobody has: user@host:directory


@dataclass(frozen=True)
class Shared:
    """Knowledge from the git-annex branch, the same for everyone: places, the links log, who takes no copies."""

    places: Mapping[str, Place]  # by uuid, as the branch has them without the links log
    log: links_log.LinksLog
    no_copies: frozenset[str]  # export and import remotes
    gateways: Mapping[str, frozenset[str]]  # uuid of each gateway -> clusters whose nodes it gives access to

    @property
    def takers(self) -> frozenset[str]:
        """Return who can hold copies."""
        return frozenset(u for u, place in self.places.items() if not place.dead) - self.no_copies


@dataclass(frozen=True)
class Survey:
    """A network and what is to be said about how it was found."""

    network: Network
    warnings: tuple[str, ...] = ()
    free: Mapping[str, int] = field(default_factory=dict)  # uuid -> bytes, as published


def shared(repo: Repository, remotes: Iterable[Remote] = ()) -> Shared:
    """Read the git-annex branch; of `remotes` those that it does not name yet are added where it is theirs too."""
    raw = annex_branch.logs(repo, LOGS)
    named, options = annex_branch.newest_lines(raw["uuid.log"]), annex_branch.special_remotes(raw["remote.log"])
    named |= _just_met(repo, [r for r in remotes if r.uuid and r.uuid not in named.keys() | options.keys()])
    trust, groups = annex_branch.newest_lines(raw["trust.log"]), annex_branch.newest_lines(raw["group.log"])
    clusters, proxied = annex_branch.clusters(raw["cluster.log"]), annex_branch.proxied(raw["proxy.log"])
    pairs = ((gateway, *pair) for gateway, found in proxied.items() for pair in found.items())
    behind = {uuid: f"{named.get(gateway, gateway)}-{name}" for gateway, uuid, name in pairs}
    everyone = named.keys() | options.keys() | behind.keys()  # a node that nobody has met has no description
    places = {
        uuid: Place(
            uuid,
            named.get(uuid) or options.get(uuid, {}).get("name", "") or behind.get(uuid, ""),
            special=uuid in options or uuid in clusters,
            relay="transfer" in groups.get(uuid, "").split(),
            dead=trust.get(uuid) == "X",
            nodes=tuple(sorted(clusters.get(uuid, ()))),
        )
        for uuid in sorted(everyone)
    }
    known = frozenset(uuid for uuid in everyone if trust.get(uuid) != "X")
    gateways = {uuid: frozenset(behind.keys() & clusters.keys()) for uuid, behind in proxied.items()}
    return Shared(places, links_log.parse(raw[LINKS_LOG], known), annex_branch.trees(options), gateways)


def _just_met(repo: Repository, remotes: Iterable[Remote]) -> dict[str, str]:
    """Return uuid -> name of remotes that have our git-annex branch and no name on it.

    A hub that git-annex has just made one of its repositories keeps its own name to itself until content arrives.
    """
    remotes = [remote for remote in remotes if not remote.special]
    known = git.refs(repo, annex_branch.BRANCH, "refs/remotes") if remotes else {}
    ours = known.get(annex_branch.BRANCH)
    theirs = ((r, known.get(r.tracking(name))) for r in remotes for name in ("git-annex", "synced/git-annex"))
    return {r.uuid or "": r.name for r, tip in theirs if ours and tip and objects.related(repo, ours, tip)}


def planned(repo: Repository, settings: Settings, state: State) -> Survey:
    """Return the network that plans are made from: the links log alone, so that all nodes make the same plan.

    Only where this repository has told nothing yet its own configuration stands in.
    """
    told = shared(repo, settings.remotes.values())
    ours = free_space.with_free(told.log, own_line(repo, settings, state, told.takers), {}, 0.0)
    warnings = list(_complaints(told, settings))
    if not settings.private and links_log.worth_telling(told.log.lines.get(ours.uuid), ours):
        warnings.append(
            "the others do not know the links of this repository as they are now: git annex-syncx map --publish"
        )
    lines = {ours.uuid: ours} | told.log.lines
    net = _with_outside(_network(told, lines.values(), settings), lines)
    return Survey(net, tuple(warnings), {uuid: free.bytes for uuid, free in told.log.free.items()})


def _with_outside(net: Network, executors: Iterable[str]) -> Network:
    """Add the web and its like, from which each repository that executes anything can fetch by itself."""
    web = [
        Link(uuid, place, OUTSIDE_COST, push=False, latency_ms=CLOUD_MS) for uuid in executors for place in OUTSIDE
    ]
    places = [Place(uuid, name, special=True) for uuid, name in OUTSIDE.items()]
    return network([*net.places, *places], [*net.links, *web], net.here)


def known(repo: Repository, settings: Settings, state: State) -> Survey:
    """Return all that is known, for people to look at: links log, own configuration, the last `git annex map`."""
    told = shared(repo, settings.remotes.values())
    ours = own_line(repo, settings, state, told.takers)
    net = _network(told, (told.log.lines | {ours.uuid: ours}).values(), settings)
    warnings = tuple(_complaints(told, settings))
    saved = _saved_map(repo)
    if not saved.exists():
        return Survey(net, warnings)
    try:
        raw = saved.read_bytes()
        if raw != _redacted(raw):  # written by an older version
            files.write_private(saved, _redacted(raw))
        return Survey(_united(net, read_map(_redacted(raw), str(saved))), warnings)
    except (SyncxError, OSError) as error:
        return Survey(net, (*warnings, str(error)))


def _complaints(told: Shared, settings: Settings) -> Iterator[str]:
    yield from (f"links log: {complaint}" for complaint in told.log.complaints)
    for remote in settings.remotes.values():
        if remote.found_without:
            yield f"{remote.name}: {without_annex(remote)}"
        if not (remote.uuid or remote.ignore or not remote.sync):
            yield f"{remote.name}: {UNKNOWN}. {until_known(remote)}"


def until_known(remote: Remote) -> str:
    """Return what to do about a remote whose uuid is not known."""
    ignored = shlex.quote(f"remote.{remote.name}.annex-ignore")
    return f"Try: {met_by(remote)}. If it has no annex: git config {ignored} true"


def met_by(remote: Remote) -> str:
    """Return the command by which git-annex asks a remote for its uuid."""
    return f"git annex-syncx sync {'-- ' * remote.name.startswith('-')}{shlex.quote(remote.name)}"


def without_annex(remote: Remote) -> str:
    """Return what is to be said of a remote where git-annex has found no git-annex, and so ignores it."""
    name = shlex.quote(remote.name)
    reached = ssh.address(remote.url)
    lack = "git-annex finds no repository of its own there; when there is one"
    if reached:
        host = shlex.quote(reached[0])
        lack = f"git-annex finds no repository, or on the PATH of ssh {host} no git-annex-shell; when both are there"
    return (
        f"no content travels there: {lack}: git annex enableremote {name}; "
        f"if it is to hold no content: git config --unset remote.{name}.annex-ignore-auto"
    )


def refresh(repo: Repository) -> tuple[str, ...]:
    """Run `git annex map` and keep what it found; return complaints about what did not answer."""
    try:
        raw, complaints = annex.ask_map(repo, MAP_PATIENCE)
    except Stalled:
        return (f"git annex map did not end in {MAP_PATIENCE:g} s; a repository that it asked does not answer",)
    except ProgramFailed as error:
        return (f"git annex map failed: {error.what}",)
    read_map(raw, "what git annex map printed")
    files.write_private(_saved_map(repo), _redacted(raw))
    return tuple(dict.fromkeys(complaints))


def publish(repo: Repository, settings: Settings, state: State) -> bool:
    """Tell the others the links of this repository; return whether that was news to them. Raises SyncxError."""
    if settings.private:
        return False
    told = shared(repo, settings.remotes.values())
    seen, now = free_space.measured(repo, settings), time.time()
    ours = free_space.with_free(told.log, own_line(repo, settings, state, told.takers), seen, now)
    here = told.places.get(ours.uuid)
    if here is None or here.dead or not links_log.worth_telling(told.log.lines.get(ours.uuid), ours):
        return False
    annex_branch.write_log(repo, LINKS_LOG, links_log.compacted(told.log, ours, now))
    return True


# Networks


def _network(told: Shared, lines: Collection[links_log.Line], settings: Settings) -> Network:
    relays = {line.uuid for line in lines if line.relay}
    removable = {uuid for line in lines for uuid in line.removable}
    names = {remote.uuid: remote.name for remote in reversed(list(settings.remotes.values()))}  # the first counts
    places = [
        replace(
            place,
            name=names.get(uuid, place.name) if place.nodes or UNNAMED.match(place.name) else place.name,
            relay=place.relay or uuid in relays,
            removable=uuid in removable,
        )
        for uuid, place in told.places.items()
    ]
    if settings.annex_uuid not in told.places:  # a private repository
        places.append(Place(settings.annex_uuid, "here", relay=settings.relay))
    links = [link for line in lines for link in line.links if link.remote not in told.no_copies]
    return network(places, [*links, *_into_own_clusters(told, links)], settings.annex_uuid)


def _into_own_clusters(told: Shared, links: Collection[Link]) -> Iterator[Link]:
    """Yield a link of each gateway to each of its clusters, as it reaches the nearest of the nodes.

    It has none to the cluster itself; what it holds itself nobody else has to send there.
    """
    for gateway, clusters in told.gateways.items():
        for cluster in clusters & told.places.keys():
            nodes = told.places[cluster].nodes
            into = [link for link in links if link.owner == gateway and link.remote in nodes and link.push]
            if into:
                nearest = min(into, key=lambda link: (link.cost, link.latency_ms or 0.0, link.remote))
                yield replace(nearest, remote=cluster, pull=False)


def _united(net: Network, seen: Network) -> Network:
    """Return what was seen by `git annex map` added to what is known better."""
    places = {place.uuid: place for place in seen.places} | dict(net.by_uuid)
    better = {(link.owner, link.remote) for link in net.links}
    more = [link for link in seen.links if (link.owner, link.remote) not in better]
    return network(places.values(), [*net.links, *more], net.here)


def _redacted(raw: bytes) -> bytes:
    """Return a map without the passwords of its urls."""
    return without_passwords(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _saved_map(repo: Repository) -> Path:
    return repo.state_dir / "map"
