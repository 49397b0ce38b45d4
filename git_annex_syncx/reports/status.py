"""The status of every repository of the network, from what is known here, without any connection."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.branches import guard, redundant_merge
from git_annex_syncx.branches.guard import Removal
from git_annex_syncx.content import counts
from git_annex_syncx.content import remotes as content_remotes
from git_annex_syncx.content.copies import Shortage
from git_annex_syncx.content.counts import Counted
from git_annex_syncx.content.patience import due
from git_annex_syncx.git import worktree
from git_annex_syncx.model import OUTSIDE, Remote
from git_annex_syncx.network.graph import Network
from git_annex_syncx.network.plan import Step
from git_annex_syncx.network.survey import LINKS_LOG
from git_annex_syncx.reports.branches import CURRENT, NO_BRANCH, Branch, Branches, branches, presence
from git_annex_syncx.reports.conflicts import unseen
from git_annex_syncx.reports.content import Content, Until, contents
from git_annex_syncx.reports.files import FileStatus, files
from git_annex_syncx.runs import pauses, phase_run
from git_annex_syncx.runs.context import Context, choose_remotes, is_named
from git_annex_syncx.runs.pauses import EVERYTHING
from git_annex_syncx.system.records import Failure, Pause, Running, Unmet

UUID_LOG = "uuid.log"


@dataclass(frozen=True, eq=False)
class RepositoryStatus:
    """One repository of the network; times in seconds since 1970.

    `remote` is the name of the remote that leads there, of several the one that was last reached; empty: none does.
    `presence` is what a look at its directory says, as `branches.presence`.
    """

    uuid: str | None
    name: str
    remote: str = ""
    remotes: tuple[str, ...] = ()
    special: bool = False
    here: bool = False
    branch: Branch = NO_BRANCH
    content: Content | None = None  # None where it is not known
    last_seen: float | None = None
    failures: tuple[Failure, ...] = ()
    paused: bool = False
    presence: str = ""
    trouble: str = ""  # what has to be done before git-annex uses it
    syncs: bool = True  # runs without names include it
    ignored: bool = False  # git-annex ignores it: no content travels there

    @property
    def called(self) -> frozenset[str]:
        """Return what it may be named by."""
        return frozenset({self.name, *self.remotes, *([self.uuid] if self.uuid else [])})


@dataclass(frozen=True)
class NextRun:
    """The time at which work goes on by itself, in seconds since 1970 (None: not known), and why then.

    `by` are those that start it: "watch", "timer", "hooks"; none where nobody does.
    """

    at: float | None
    text: str
    by: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()  # what was asked for and waits


@dataclass(frozen=True)
class Status:
    """The own branch and all repositories."""

    branch: str
    commit: str | None
    settle_until: float | None
    repositories: tuple[RepositoryStatus, ...]
    failures: tuple[Failure, ...] = ()  # of the own repository, and of the web and its like
    variants: tuple[bytes, ...] = ()  # paths that hold one of several versions, until the user has chosen
    conflicts: tuple[bytes, ...] = ()  # names of those that merges resolved and nobody has looked at
    held: Removal | None = None  # what others have removed, and is held
    unmet: tuple[Unmet, ...] = ()  # what held content back when it was last to move
    paused: Mapping[str, Pause] = field(default_factory=dict)  # remote, or empty for all automatic work
    signals: Mapping[str, int] = field(default_factory=dict)  # heard by `watch`: how many by what became of them
    trouble: Mapping[str, str] = field(default_factory=dict)  # address of a channel for signals -> what is wrong
    running: tuple[Running, ...] = ()
    shortage: Shortage | None = None
    counted: Counted | None = None  # None where another process looks at all files for the first time
    warnings: tuple[str, ...] = ()
    next_run: NextRun | None = None  # where that was asked for

    @property
    def names(self) -> dict[str, str]:
        """Return what people call the repositories, by uuid."""
        return {one.uuid: one.name for one in self.repositories if one.uuid}


def status(context: Context, commits: bool = True) -> Status:
    """Return what is known of all repositories, as of the last contact with each.

    With `commits` git-annex first brings on its branch what it has recorded so far.
    """
    head, state = worktree.require_head(context.repo), context.state
    heads = branches(context, head.basis, context.settings.remotes.values())
    policy = counts.current_policy(context, commits)
    counted = counts.count(context, policy)
    settle = redundant_merge.pending(context, head.basis).due
    return Status(
        branch=head.basis,
        commit=heads.commit,
        settle_until=settle if settle > time.time() else None,
        repositories=tuple(_known(context, policy.network, heads, counted).repositories()),
        failures=tuple(failure for failure in state.failures() if failure.remote not in context.settings.remotes),
        variants=heads.variants,
        conflicts=tuple(one.path for one in unseen(context.repo, heads.commit)) if heads.commit else (),
        held=guard.waiting(context, head.basis),
        unmet=tuple(one for one in state.unmet.all() if one.condition in context.settings.content_if),
        paused=pauses.pauses(state),
        signals={row.verdict: row.number for row in state.signal_counts.all()},
        trouble={row.channel: row.reason for row in state.channel_troubles.all()},
        running=phase_run.running(state),
        shortage=counts.shortage(context, counted) if counted else None,
        counted=counted,
        warnings=policy.warnings,
    )


def named(context: Context, found: Status, names: Collection[str], excepted: Collection[str]) -> Status:
    """Return the status of some repositories: of remotes and groups, and of others by their name or uuid.

    Raises UsageError where there is none of a name.
    """
    wanted = _named(context, found, names) if names else set(found.repositories)
    kept = wanted - _named(context, found, excepted)
    left = set(context.settings.remotes).difference(*(one.remotes for one in kept))
    return replace(
        found,
        repositories=tuple(one for one in found.repositories if one in kept),
        warnings=tuple(warning for warning in found.warnings if warning.partition(": ")[0] not in left),
    )


def _named(context: Context, found: Status, names: Iterable[str]) -> set[RepositoryStatus]:
    """Return the repositories of some names. Raises UsageError."""
    of_remotes, others = set[str](), set[str]()
    known = {name for one in found.repositories for name in one.called}
    for name in names:
        if is_named(context, name) or name not in known:
            of_remotes |= {remote.name for remote in choose_remotes(context, [name], ())[0]}
        else:
            others.add(name)
    return {
        one
        for one in found.repositories
        if not (of_remotes.isdisjoint(one.remotes) and others.isdisjoint(one.called))
    }


def detailed(context: Context, found: Status) -> Iterator[FileStatus]:
    """Yield the files that each repository of a status lacks, or holds and does not want."""
    for one in found.repositories:
        if found.counted and one.uuid:
            yield from files(context, found.counted, one.uuid, waiting_until(context, found.counted))


def waiting_until(context: Context, counted: Counted) -> Until:
    """Return what tells when this repository looks for another way than a step."""
    own, patience = counted.look.policy.own, context.settings.patience

    def until(step: Step) -> float | None:
        return due(counted.clocks.get((step.source, step.target, own in step.executors)), patience)

    return until


def _seen(context: Context) -> dict[str, float]:
    """Return name of a remote -> when it was last reached. Before that was noted any success counts."""
    found, any_success = dict[str, float](), dict[str, float]()
    for (name, phase), when in context.state.last_successes().items():
        any_success[name] = max(when, any_success.get(name, 0.0))
        if phase in (phase_run.CONTACT, "fetch"):
            found[name] = max(when, found.get(name, 0.0))
    return any_success | found


def _recorded(context: Context, counted: Counted | None) -> dict[str, float]:
    """Return uuid -> when anybody last recorded anything of a repository: a copy there, its name, its links."""
    found, now = annex_branch.times(context.repo, (UUID_LOG, LINKS_LOG)), time.time()
    for uuid, when in counted.newest.items() if counted else ():
        found[uuid] = max(float(when), found.get(uuid, 0.0))
    return {uuid: min(when, now) for uuid, when in found.items()}


@dataclass(frozen=True)
class _Known:
    """All that is known, to be told by repository."""

    context: Context
    network: Network
    heads: Branches
    contents: Mapping[str, Content]
    failures: Collection[Failure]
    paused: Mapping[str, Pause]
    seen: Mapping[str, float]  # name of a remote -> when it was last reached
    recorded: Mapping[str, float]  # uuid -> when something was last recorded of it by anybody

    def repositories(self) -> Iterator[RepositoryStatus]:
        """Yield the own repository, those of remotes, and the others, of which only the git-annex branch tells."""
        own = self.context.settings.annex_uuid
        leading: dict[str, list[Remote]] = {}
        for remote in self.context.settings.remotes.values():
            leading.setdefault(remote.uuid or f" {remote.name}", []).append(remote)
        yield self._here(own)
        for uuid, remotes in leading.items():
            if uuid != own:
                yield self._of_remotes(uuid if uuid == remotes[0].uuid else None, remotes)
        for place in self.network.places:
            if not (place.dead or place.uuid == own or place.uuid in leading.keys() | OUTSIDE.keys()):
                yield RepositoryStatus(
                    place.uuid,
                    self.network.name(place.uuid),
                    special=place.special,
                    branch=NO_BRANCH if place.special else Branch(),
                    content=self.contents.get(place.uuid),
                    last_seen=self.recorded.get(place.uuid),
                )

    def _here(self, own: str) -> RepositoryStatus:
        branch = Branch(*CURRENT, self.heads.variants) if self.heads.commit else Branch()
        return RepositoryStatus(
            own, self.network.name(own), here=True, branch=branch, content=self.contents.get(own),
            last_seen=time.time(), paused=EVERYTHING in self.paused, presence="present",
        )  # fmt: skip

    def _of_remotes(self, uuid: str | None, remotes: Sequence[Remote]) -> RepositoryStatus:
        """Return the status of a repository to which several remotes can lead, by the one that was last reached."""
        there = {remote.name: presence(self.context.repo, remote) for remote in remotes}
        last = max(remotes, key=lambda one: (there[one.name] == "present", self.seen.get(one.name, 0.0)))
        names = [remote.name for remote in remotes]
        seen = max((self.seen[name] for name in names if name in self.seen), default=self.recorded.get(uuid or ""))
        place = self.network.by_uuid.get(uuid or "")
        return RepositoryStatus(
            uuid,
            last.name,
            last.name,
            tuple(names),
            special=place.special if place else last.special and not last.via,
            branch=self.heads.remotes[last.name],
            content=self.contents.get(uuid or ""),
            last_seen=time.time() if there[last.name] == "present" else seen,
            failures=tuple(failure for failure in self.failures if failure.remote in names),
            paused=any(name in self.paused for name in (EVERYTHING, last.name, last.gateway or EVERYTHING)),
            presence=there[last.name],
            trouble=content_remotes.reason(last),
            syncs=any(remote.sync for remote in remotes),
            ignored=all(remote.ignore for remote in remotes),
        )


def _known(context: Context, network: Network, heads: Branches, counted: Counted | None) -> _Known:
    """Return what is known, with what is remembered here of contacts, failures and pauses."""
    told = contents(counted, waiting_until(context, counted)) if counted else {}
    failures, paused = context.state.failures(), pauses.pauses(context.state)
    return _Known(context, network, heads, told, failures, paused, _seen(context), _recorded(context, counted))
