"""The refs that one remote lacks, known without asking it, and what became of them in a push."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from git_annex_syncx.branches import guard, remote_facts
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import git, history, transport
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.transport import PushSpec
from git_annex_syncx.model import Fate, Head, Outcome, RefReport, Remote, Result
from git_annex_syncx.reasons import mending
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.records import RemoteState

ARRIVED = (Fate.UPDATED, Fate.CURRENT)
ANNEX, SYNCED_ANNEX = "refs/heads/git-annex", "refs/heads/synced/git-annex"
POLICY = "the remote's own policy refuses it; ask who runs it, or look at its receive.* settings and hooks"
FULL = "the remote could not store what was sent; look at its disk"


class LostRace(SyncxError):
    """Somebody else pushed first."""

    soon = True

    def __init__(self, what: str, advice: str = "", reports: tuple[RefReport, ...] = ()) -> None:
        """`reports`: what became of each ref in this try."""
        super().__init__(what, advice)
        self.reports = reports
        self.details: Mapping[str, object] = {}  # what this try was to move, as `moved` returns it

    @property
    def refused(self) -> list[RefReport]:
        """The refs that somebody else had moved."""
        return [report for report in self.reports if report.fate is Fate.LOST]


@dataclass(frozen=True)
class Sides:
    """Our two branches, and where the remote's two of each were when we last looked (None: absent)."""

    basis: str
    branch: str | None
    theirs: tuple[str | None, str | None]  # synced/B, B
    annex: str | None
    annex_theirs: tuple[str | None, str | None]  # synced/git-annex, git-annex
    remembered: RemoteState
    direct: bool = True  # whether B itself is to be sent, beside synced/B
    checked_out: bool = False  # whether a work tree there has B open
    proven: bool = True  # whether every push address has what `theirs` say
    ours: str = ""  # the ref that has our branch, or what it is to become


def sides(context: Context, known: Mapping[str, str], head: Head, remote: Remote, records: bool = False) -> Sides:
    """Return the sides of a push, from all refs that there are here; with `records` of the git-annex branch alone."""
    basis = head.basis
    ours, branch = guard.outgoing(context.repo, known, basis)
    remembered = remote_facts.remote_state(context, remote)
    return Sides(
        basis=basis,
        branch=None if records else branch,
        theirs=(known.get(remote.tracking(f"synced/{basis}")), known.get(remote.tracking(basis))),
        annex=known.get(ANNEX),
        annex_theirs=(known.get(remote.tracking("synced/git-annex")), known.get(remote.tracking("git-annex"))),
        direct=remote.direct,
        checked_out=remembered.checked_out == basis,
        proven=remote_facts.is_proven(remote, remembered),
        remembered=remembered,
        ours=ours,
    )


def spec(repo: Repository, sides: Sides) -> PushSpec:
    """Return what the remote lacks, known without asking it. The user's branch comes first.

    A forge makes the first branch that a new repository gets its default.
    """
    wanted = dict.fromkeys(_branches(repo, sides), (sides.ours, sides.branch or ""))
    leases = {}
    # Nodes that merge each other's git-annex branches at once would chase each other for ever: every merge is another
    # commit. Where the files are the same there is nothing to tell.
    if sides.annex and not (sides.proven and history.says_nothing_new(repo, sides.annex, sides.annex_theirs)):
        if not sides.annex_theirs[1] or history.is_ancestor(repo, sides.annex_theirs[1], sides.annex):
            wanted[ANNEX] = (ANNEX, sides.annex)  # not after `git annex forget`, never forced
        wanted[SYNCED_ANNEX] = (ANNEX, sides.annex)
        if sides.proven:  # else no value holds for all addresses, and nothing is forced
            leases[SYNCED_ANNEX] = sides.annex_theirs[0] or ""
    return PushSpec(wanted, leases)


def _branches(repo: Repository, sides: Sides) -> list[str]:
    """Return the names there that our branch is to be sent to."""
    if not sides.branch:
        return []
    lacks = not (sides.proven and history.contained_in_any(repo, sides.branch, sides.theirs))
    direct = sides.direct and (lacks or _lags(repo, sides.branch, sides))
    return [f"refs/heads/{sides.basis}"] * direct + [f"refs/heads/synced/{sides.basis}"] * lacks


def _lags(repo: Repository, ours: str, sides: Sides) -> bool:
    """Return whether the remote's own branch is gone or behind, with no work tree there that would catch up."""
    there = sides.theirs[1]
    return not sides.checked_out and (not there or (there != ours and history.is_ancestor(repo, there, ours)))


def note_what_it_has(context: Context, remote: Remote, spec: PushSpec) -> dict[str, str]:
    """Ask a repository on this machine what it has of `spec`; tracking ref -> value of what it has.

    Mostly it was it that has sent us what it seems to lack. To look costs milliseconds there; a push starts hooks on
    both sides.
    """
    there = transport.ls_remote(context.repo, context.settings, remote)
    has = {
        remote.tracking(ref.removeprefix("refs/heads/")): value
        for ref, (_, value) in spec.wanted.items()
        if there.get(ref) == value
    }
    git.remember_pushed(context.repo, has)
    return has


def judged(head: Head, remote: Remote, reports: tuple[RefReport, ...]) -> Outcome:
    """Return the outcome: done where each of our branches arrived. A refused checked-out branch is normal."""
    problems = [f"{report.ref} was refused: {report.reason}" for report in _problems(head, reports)]
    advice = (FULL if "unpacker error" in problems[0] else POLICY) if problems else ""
    if advice == POLICY and problems[0].startswith(f"refs/heads/{head.basis} "):
        advice += f"; if only synced/{head.basis} is to be sent: git config "
        advice += f"{shlex.quote(f'remote.{remote.name}.syncx-direct')} false"
    moved = any(report.fate is not Fate.CHECKED_OUT for report in reports)
    result = Result.FAILED if problems else Result.DONE if moved else Result.CURRENT
    return Outcome("push", result, remote.name, remote.uuid, reports, reason="; ".join(problems), advice=advice)


def _problems(head: Head, reports: Iterable[RefReport]) -> list[RefReport]:
    """Return the refusals that matter: of B always, of another ref where its branch arrived under no other name."""
    fates, direct = {report.ref: report for report in reports}, f"refs/heads/{head.basis}"
    found = []
    for pair in ((direct, f"refs/heads/synced/{head.basis}"), (SYNCED_ANNEX, ANNEX)):
        asked = [fates[ref] for ref in pair if ref in fates]
        arrived = any(report.fate in ARRIVED for report in asked)
        asked = [one for one in asked if one.fate is not Fate.CHECKED_OUT or one.ref != direct]
        found += [one for one in asked if not arrived or (one.ref == direct and one.fate is Fate.REFUSED)][:1]
    return found


def moved(sides: Sides, spec: PushSpec) -> dict[str, object]:
    """Return which branch has moved there, from where to where; of both the user's own."""
    if f"refs/heads/synced/{sides.basis}" in spec.wanted:
        return {"branch": sides.basis, "old": sides.theirs[0] or sides.theirs[1], "new": sides.branch}
    if f"refs/heads/{sides.basis}" in spec.wanted:
        return {"branch": sides.basis, "old": sides.theirs[1], "new": sides.branch}
    return {"branch": "git-annex", "old": sides.annex_theirs[0] or sides.annex_theirs[1], "new": sides.annex}


def with_earlier(outcome: Outcome, lost: Iterable[LostRace]) -> Outcome:
    """Return the outcome of the last try, with what earlier ones brought to the remote."""
    brought = [one for one in lost if any(report.fate is Fate.UPDATED for report in one.reports)]
    if not brought:
        return outcome
    now = {report.ref for report in outcome.refs}
    refs = {r.ref: r for one in brought for r in one.reports if r.fate is Fate.UPDATED and r.ref not in now}
    return replace(
        outcome,
        result=Result.DONE if outcome.result is Result.CURRENT else outcome.result,
        refs=(*refs.values(), *outcome.refs),
        details=_moved_in_all(brought[0].details, outcome.details),
    )


def _moved_in_all(first: Mapping[str, object], last: Mapping[str, object]) -> Mapping[str, object]:
    """Return which branch has moved there from the first try that brought something to the last (empty: no more)."""
    if last.get("branch", first.get("branch")) != first.get("branch"):
        return first if last["branch"] == "git-annex" else last
    return {**first, **last, "old": first.get("old")}


def note_arrived(context: Context, remote: Remote, spec: PushSpec, reports: Iterable[RefReport]) -> None:
    """Note where the branches of a remote are now that git itself does not track."""
    if remote.tracks_all:
        return
    moved = {
        remote.tracking(r.ref.removeprefix("refs/heads/")): spec.wanted[r.ref][1]
        for r in reports
        if r.fate in ARRIVED and r.ref in spec.wanted
    }
    git.remember_pushed(context.repo, moved)


def require_won(remote: Remote, reports: tuple[RefReport, ...]) -> None:
    """Raise LostRace where somebody else moved a ref that must move forward (a direct git-annex need not)."""
    lost = [report.ref for report in reports if report.fate is Fate.LOST and report.ref != ANNEX]
    if lost and len(remote.push_urls) > 1:
        what = f"one of its {len(remote.push_urls)} push addresses has commits in {', '.join(lost)} that are not here"
        raise LostRace(what, "only the first is fetched from: git remote add a name for each other one", reports)
    if lost:
        advice = next(filter(None, (mending(report.reason, remote.name) for report in reports)), "")
        told = advice or "the next run tries again"
        raise LostRace(f"others keep pushing {', '.join(lost)} first", told, reports)
