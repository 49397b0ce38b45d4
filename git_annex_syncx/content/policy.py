"""Read who wants which content: what git-annex is asked for, and what it depends on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.network import survey
from git_annex_syncx.network.graph import Network
from git_annex_syncx.network.weights import Arcs, arcs
from git_annex_syncx.runs.context import Context

FORMAT = 2
# What else decides what an expression wants: which one they are is enough to know that something has changed.
ALSO = ("trust.log", "numcopies.log", "mincopies.log", "maxsize.log", "remote.log")
SYSTEM_ATTRIBUTES = "/etc/gitattributes"
LARGEST_ATTRIBUTES = 1 << 20  # bytes
LOGS = ("preferred-content.log", "required-content.log", "group.log")
GROUP_LOG = "group-preferred-content.log"
PROXY_LOG = "proxy.log"
USUAL = ("", "standard")
# What a file has to be wanted for changes with where its copies are.
ON_COPIES = re.compile(
    r"(?:approx)?(?:lacking)?copies=|inallgroup=|onlyingroup=|(?:fully)?(?:size)?balanced=|present$|in=|inall",
    re.ASCII,
)
ON_ROOM = re.compile(r"(?:fully)?(?:size)?balanced=", re.ASCII)
REBALANCING = re.compile(r"fully(?:size)?balanced=", re.ASCII)
UNUSED = re.compile(r"unused$", re.ASCII)
WORD = re.compile(r"[^\s()!]+")
# The standard groups whose expression depends on copies. That of `client` does so only in archive directories.
STANDARD_ON_COPIES = {"archive", "smallarchive", "transfer", "source", "incrementalbackup", "manual"}
DEEPEST = 5  # `groupwanted` can name itself
# Terms that hold of a file for everybody or for nobody, whoever has it; terms that do so of all files of a key, for
# everybody who lacks it. An expression of these alone is judged alike by all who have it, if git-annex can read it:
# instead of one that it cannot read it takes `present`.
BY_FILE = r"(?:include|exclude)=.+|(?:larger|smaller)than=\d+(?:\.\d+)?(?:[kmgt]b)?|inbackend=\w+|securehash"
BY_COPIES = r"copies=(?:[^:]+:)?\d+|approxlackingcopies=\d+|inallgroup=.+|onlyingroup=.+|anything|nothing"
FILE_TERMS = re.compile(BY_FILE + "|anything|nothing", re.ASCII)
COPIES_TERMS = re.compile(BY_COPIES, re.ASCII)
BOTH_TERMS = re.compile(f"{BY_FILE}|{BY_COPIES}", re.ASCII)
STANDARD_BY_FILE = {"backup", "unwanted"}
STANDARD_BY_COPIES = {*STANDARD_BY_FILE, "archive", "source", "incrementalbackup"}
STANDARD_BY_BOTH = {*STANDARD_BY_COPIES, "client", "smallarchive", "transfer"}
STANDARD = {*STANDARD_BY_BOTH, "manual", "public"}
TOKEN = re.compile(r"[()]|[^\s()]+")
SHORTER = re.compile(r"\( T \)|(?<!not )not T|T (?:and|or) T")
LONGEST = 10_000  # characters of an expression that is looked into


@dataclass(frozen=True)
class Wishes:
    """The logs of preferred content: uuid -> expression, uuid -> groups, group -> expression."""

    preferred: Mapping[str, str]
    required: Mapping[str, str]
    groups: Mapping[str, Collection[str]]
    group_preferred: Mapping[str, str]

    def choosy(self, uuid: str) -> bool:
        """Return whether an expression says what this repository wants; without one it wants all."""
        return bool(self.preferred.get(uuid) or self.required.get(uuid))

    def depends_on_copies(self, uuid: str) -> bool:
        """Return whether a copy that comes to another repository can change what this one wants."""
        groups = self.groups.get(uuid, ())
        return any(
            ON_COPIES.match(word) or (word == "standard" and STANDARD_ON_COPIES.intersection(groups))
            for word in self._words(uuid)
        )

    def depends_on_room(self, uuid: str) -> bool:
        """Return whether what this one wants changes with how full it and others of its group are."""
        return self._names(uuid, ON_ROOM)

    def rebalances(self, uuid: str) -> bool:
        """Return whether content may have to leave this one as others fill."""
        return self._names(uuid, REBALANCING)

    @property
    def unused(self) -> bool:
        """Return whether anybody wants or does not want what `git annex unused` has found."""
        return any(self._names(uuid, UNUSED) for uuid in self.preferred.keys() | self.required.keys())

    def alike(self, uuid: str, *, to_drop: bool) -> tuple[object, ...]:
        """Return something that is equal for those who want the same files, or if `to_drop`, can spare the same."""
        known = (
            self._made_of(uuid, FILE_TERMS, STANDARD_BY_FILE)
            if to_drop
            else self._made_of(uuid, BOTH_TERMS, STANDARD_BY_BOTH)
        )
        if not known:
            return (uuid,)
        return self.preferred.get(uuid, ""), self.required.get(uuid, ""), self._standard(uuid)

    def only_on_copies(self, uuid: str) -> bool:
        """Return whether nothing but where the copies of a key are decides what this one wants."""
        return self._made_of(uuid, COPIES_TERMS, STANDARD_BY_COPIES)

    def _made_of(self, uuid: str, terms: re.Pattern[str], standard: Collection[str]) -> bool:
        """Return whether the expressions of a repository have only these terms and are well formed."""
        named = self._standard(uuid)
        known = named in standard

        def well_formed(text: str) -> bool:
            words = TOKEN.findall(text) if len(text) <= LONGEST else []
            read = " ".join(
                "T" if terms.fullmatch(word) or (known and word == "standard") else word for word in words
            )
            while (shorter := SHORTER.sub("T", read)) != read:
                read = shorter
            return read == "T"

        return all(well_formed(text) for text in (self.preferred.get(uuid), self.required.get(uuid)) if text)

    def _standard(self, uuid: str) -> str:
        """Return the one standard group of a repository that `standard` stands for; empty for none or several."""
        named = STANDARD.intersection(self.groups.get(uuid, ()))
        return named.pop() if len(named) == 1 else ""

    def _names(self, uuid: str, pattern: re.Pattern[str]) -> bool:
        return any(pattern.match(word) for word in self._words(uuid))

    def _words(self, uuid: str) -> Iterator[str]:
        """Yield the words of the expressions of a repository, and of those of its groups where they are named."""
        groups = self.groups.get(uuid, ())
        told = [self.preferred.get(uuid, ""), self.required.get(uuid, "")]
        for depth in range(DEEPEST + 1):
            words = [word for text in told for word in WORD.findall(text)]
            yield from words
            if "groupwanted" not in words or depth == DEEPEST:
                return
            told = [self.group_preferred.get(group, "") for group in groups]


@dataclass(frozen=True)
class Policy:
    """All that decides who needs what, but for the keys themselves."""

    network: Network
    wishes: Wishes
    own: str
    reach: frozenset[str]  # repositories that can drop for us: here, and remotes that we may write to
    warnings: tuple[str, ...] = ()
    also: bytes = b""  # other logs that expressions depend on
    here: bytes = b""  # what git-annex judges by in this repository alone
    maxsizes: bytes = b""  # the log of maximum sizes
    spreads: frozenset[str] = frozenset()  # clusters to whose nodes this repository brings what it holds
    free: Mapping[str, int] = field(default_factory=dict)  # uuid -> bytes of free space, as published
    counts_all: ClassVar[bool] = False  # all keys of the tree count, else those with which something is to be done

    @cached_property
    def arcs(self) -> Arcs:
        """Return the arcs between repositories."""
        return arcs(self.network)

    @cached_property
    def alive(self) -> frozenset[str]:
        """Return the repositories that can hold copies."""
        return frozenset(place.uuid for place in self.network.places if not place.dead)

    @cached_property
    def relays(self) -> frozenset[str]:
        """Return the repositories that pass on content and want none."""
        return frozenset(place.uuid for place in self.network.places if place.relay and not place.dead)

    @cached_property
    def takers(self) -> frozenset[str]:
        """Return the repositories to which an arc leads, without relays that have no wish of their own.

        The own repository is one of them: where nothing leads here that is to be said. Relays in group `transfer`
        with `standard` have no wish: they want a file until the others have it.
        """
        return frozenset({self.own, *self.nearness}) & self.alive - self.wishless

    @cached_property
    def wishless(self) -> frozenset[str]:
        """Return the relays that have no wish of their own."""
        return self.relays - (self.choosy - self._passing)

    @cached_property
    def _passing(self) -> frozenset[str]:
        """Return the repositories in group `transfer` with no wish of their own."""
        groups, preferred = self.wishes.groups, self.wishes.preferred
        return frozenset(u for u in self.relays if "transfer" in groups.get(u, ()) and preferred.get(u, "") in USUAL)

    @cached_property
    def nearness(self) -> Mapping[str, int]:
        """Return the cost of the cheapest arc to each place that one leads to, in thousandths."""
        return self.network.nearness()

    @cached_property
    def choosy(self) -> frozenset[str]:
        """Return the repositories for whose wishes git-annex must be asked."""
        return frozenset(uuid for uuid in self.alive if self.wishes.choosy(uuid))

    @cached_property
    def clusters(self) -> Mapping[str, frozenset[str]]:
        """Return all nodes of each cluster."""
        return {place.uuid: frozenset(place.nodes) for place in self.network.places if place.nodes and not place.dead}

    @cached_property
    def nodes(self) -> frozenset[str]:
        """Return the nodes of all clusters."""
        return frozenset[str]().union(*self.clusters.values())

    def one_each(self, holders: frozenset[str], targets: frozenset[str]) -> frozenset[str]:
        """Return the targets with each cluster as one, in place of its nodes, as long as none of them holds the key.

        Afterwards nodes that lack it are targets of those that have links to them, its gateway.
        """
        for cluster, nodes in self.network.clusters.items():
            if cluster in self.spreads and self.own in holders:
                targets -= {cluster}
            elif cluster in targets:
                targets -= nodes
        return targets

    @cached_property
    def emptied(self) -> frozenset[str]:
        """Return the relays whose content goes when every target has it: those with no wish of their own.

        From other relays only what they do not want goes, and not before.
        """
        return self._passing & self.reach

    @cached_property
    def digest(self) -> str:
        """Return a hash of all that decides what keys need, beside the keys and what changes in a run.

        The inventory is keyed by it. What changes is looked at key by key: where it is, its files, its metadata. The
        room that is left is kept beside it (see room.py), and .gitattributes in the tree are seen in what has changed
        there (see missing.py).
        """
        lines = [sorted(one) for one in (self.takers, self.relays, self.alive, self.reach, self.spreads)]
        lines += [[cluster, *sorted(nodes)] for cluster, nodes in sorted(self.network.clusters.items())]
        lines += [[cluster, *sorted(nodes)] for cluster, nodes in sorted(self.clusters.items())]
        logs = sorted(vars(self.wishes).items())
        wishes = [sorted((uuid, str(told)) for uuid, told in log.items()) for _, log in logs]
        told = repr((FORMAT, lines, wishes, self.also, self.here))
        return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def read_policy(context: Context) -> Policy:
    """Read the git-annex branch and the own configuration."""
    found = survey.planned(context.repo, context.settings, context.state)
    texts = annex_branch.logs(context.repo, (*LOGS, GROUP_LOG, PROXY_LOG, *ALSO))
    raw = {name: annex_branch.newest_lines(texts[name]) for name in LOGS}
    groups = {uuid: tuple(sorted(names.split())) for uuid, names in raw["group.log"].items()}
    wishes = Wishes(
        raw["preferred-content.log"],
        raw["required-content.log"],
        groups,
        annex_branch.newest_values(texts[GROUP_LOG]),
    )
    own = context.settings.annex_uuid
    links = (link for link in found.network.links if link.owner == own and link.push)
    return Policy(
        found.network,
        wishes,
        own,
        frozenset({own, *(link.remote for link in links)}),
        found.warnings,
        b"\0".join(texts[name] for name in ALSO),
        b"\0".join(_judged_by(context, wishes)),
        texts["maxsize.log"],
        frozenset(annex_branch.proxied(texts[PROXY_LOG]).get(own, {}))
        - {remote.uuid for remote in context.settings.remotes.values()},
        found.free,
    )


def _judged_by(context: Context, wishes: Wishes) -> Iterator[bytes]:
    """Yield what git-annex's answers depend on beside the git-annex branch and the tree."""
    repo, settings = context.repo, context.settings
    yield context.annex_version.encode()
    yield from map(os.fsencode, (*settings.of_annex, *repo.annex_options))  # numcopies, trust levels, ...
    usual = os.path.join(os.environ.get("XDG_CONFIG_HOME") or "~/.config", "git", "attributes")
    for name in (SYSTEM_ATTRIBUTES, settings.attributes_file or usual, repo.common / "info" / "attributes"):
        yield _beginning(Path(name))
    yield _beginning(repo.top / ".gitattributes") if repo.top else b""
    if wishes.unused:
        yield _beginning(repo.git_dir / "annex" / "unused")


def _beginning(file: Path) -> bytes:
    with contextlib.suppress(OSError, RuntimeError), file.expanduser().open("rb") as opened:
        return opened.read(LARGEST_ATTRIBUTES)
    return b""
