"""Conflicts that merges have resolved and nobody has looked at, read from the history: the same on every node."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from git_annex_syncx.conflicts.resolutions import HEADING, TRAILER
from git_annex_syncx.conflicts.trees import RepositoryTrees
from git_annex_syncx.conflicts.unsettled import Listed, Unseen, Unsettled, listed_in, looks_of
from git_annex_syncx.conflicts.versions import MARKER, identity
from git_annex_syncx.git import log, objects, paths
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import GITLINK

# Commits that are looked through for who has changed a file since its merge. What is older is not listed any more,
# but for variants that are still there.
MOST = 10_000


def unseen(repo: Repository, head: str) -> tuple[Unseen, ...]:
    """Return the conflicts in the history of a commit that nobody has looked at, in order of their names."""
    messages = log.messages(repo, head, (f"{HEADING}$", TRAILER))
    if not (messages or paths.holding(repo, head, MARKER)):
        return ()  # without having read the whole tree
    files = objects.entries(repo, head)
    listed = [one for one in listed_in(messages) if _is_there(one, files)]
    looks = looks_of(messages)
    history = Unsettled(listed, looks, log.ancestry(repo, head) if listed or looks else (), files)
    found = [*history.of_variants(), *_of_others(repo, head, history)]
    return tuple(sorted(found, key=lambda one: one.path))


def _is_there(one: Listed, files: Collection[bytes]) -> bool:
    return any(path in files for path in one.paths)


def _of_others(repo: Repository, head: str, history: Unsettled) -> Iterable[Unseen]:
    recent = [commit for commit, *_ in history.ancestry[-MOST:]]
    places = {commit: place for place, commit in enumerate(recent)}
    candidates = [one for one in history.candidates() if one.merge in places]
    if not candidates:
        return ()
    first = min((one.merge for one in candidates), key=places.__getitem__)  # it contains no other
    concerned = {path for one in candidates for path in one.paths}
    changed: dict[bytes, list[str]] = {}
    for commit in log.changes(repo, [head], [first], concerned):
        for path in commit.paths:
            changed.setdefault(path, []).append(commit.commit)
    return history.of_others(candidates, changed, _Versions(repo, head).chosen)


class _Versions:
    """Reads which versions of a conflict commits have kept."""

    def __init__(self, repo: Repository, head: str) -> None:
        self._trees = RepositoryTrees(repo, head)

    def chosen(self, commit: str, one: Listed) -> frozenset[bytes]:
        """Return which of the versions that a merge left, wherever they stood, a commit has kept at those names."""
        return self._at(commit, one) & self._at(one.merge, one)

    def _at(self, commit: str, one: Listed) -> frozenset[bytes]:
        files = self._trees.entries(commit)
        there = [files[path] for path in one.paths if path in files]
        keys = self._trees.keys(entry.oid for entry in there if entry.mode != GITLINK)
        return frozenset(identity(entry, keys.get(entry.oid, b"")) for entry in there)
