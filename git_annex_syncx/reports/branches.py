"""The branch of each remote beside the own one, as of the last contact."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from git_annex_syncx.conflicts.versions import MARKER, is_variant
from git_annex_syncx.errors import Away, SyncxError
from git_annex_syncx.git import drives, git, history, paths
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import Remote
from git_annex_syncx.runs.context import Context

CURRENT = ("current", 0, 0)
Named = Callable[[str], tuple[bytes, ...]]


@dataclass(frozen=True)
class Branch:
    """The branch of a repository: its state, the commits that it lacks and has more (None: never seen).

    `state` is "current", "ahead" (this one is), "behind", "diverged", "level" (merges only), "unknown", or "none"
    where git does not travel. `variants` are paths that hold one of several versions, None where nothing is known.
    """

    state: str = "unknown"
    ahead: int | None = None
    behind: int | None = None
    variants: tuple[bytes, ...] | None = None


NO_BRANCH = Branch("none")


@dataclass(frozen=True)
class Branches:
    """The own branch and those of the remotes, by name."""

    basis: str
    commit: str | None
    variants: tuple[bytes, ...]
    remotes: Mapping[str, Branch]


def branches(context: Context, basis: str, remotes: Iterable[Remote]) -> Branches:
    """Return what is known of the branch of each remote."""
    repo, known = context.repo, git.refs(context.repo)
    variants = functools.cache(functools.partial(_variants, repo))
    ours = known.get(f"refs/heads/{basis}")
    found = {remote.name: _of_remote(repo, remote, basis, known, variants) for remote in remotes}
    return Branches(basis, ours, variants(_tree(repo, ours)) if ours else (), found)


def presence(repo: Repository, remote: Remote) -> str:
    """Return "present", "away" or "other" for a directory, as it is now; empty where that needs a connection."""
    try:
        drives.require_present(repo, remote)
    except Away:
        return "away"
    except SyncxError:
        return "other"
    return "present" if remote.path or remote.directory else ""


def _of_remote(repo: Repository, remote: Remote, basis: str, known: Mapping[str, str], variants: Named) -> Branch:
    if remote.special:
        return NO_BRANCH
    ours = known.get(f"refs/heads/{basis}")
    theirs = [known[ref] for ref in (remote.tracking(basis), remote.tracking(f"synced/{basis}")) if ref in known]
    if not theirs:
        return Branch()
    newest = history.independent(repo, theirs)
    held = tuple(sorted({path for tip in newest for path in variants(_tree(repo, tip))}))
    return Branch(*_compared(repo, ours, newest), held)


def _compared(repo: Repository, ours: str | None, theirs: list[str]) -> tuple[str, int | None, int | None]:
    if theirs == [ours]:
        return CURRENT
    behind = history.count(repo, theirs, [ours] if ours else [])
    if not ours:
        return "unknown", None, behind
    ahead = history.count(repo, [ours], theirs)
    if ahead and behind:
        level = all(history.brings_nothing_new(repo, ours, their) for their in theirs)
        return "level" if level else "diverged", ahead, behind
    return "ahead" if ahead else "behind" if behind else "current", ahead, behind


def _tree(repo: Repository, commit: str) -> str:
    return history.read_commit(repo, commit).tree


def _variants(repo: Repository, tree: str) -> tuple[bytes, ...]:
    return tuple(filter(is_variant, paths.holding(repo, tree, MARKER)))
