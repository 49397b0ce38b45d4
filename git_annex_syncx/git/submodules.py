"""Git's verbs on submodules: whose checkout lags behind what is recorded, whose commit no remote of its has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from git_annex_syncx.git import cat_file, configfile, objects
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.git.history import read_commit
from git_annex_syncx.git.objects import Change
from git_annex_syncx.model import GITLINK

CARRIED = "Record submodules as they are on the adjusted branch\n"
DEPTH = 100  # changes of a submodule in the history that are looked at


def lagging(repo: Repository, recorded: Mapping[bytes, str]) -> list[bytes]:
    """Return those submodules (path -> recorded commit) whose checkout is an ancestor of it or was recorded before.

    Nobody has moved them: somebody else's commit, or a merge, recorded another one.
    """
    found = []
    for path, wanted in recorded.items():
        there = os.fsdecode(_inside(repo, path, "rev-parse", "--verify", "--quiet", "HEAD")).strip()
        if there and (_newer(repo, path, there, wanted) == wanted or there in _past(repo, path)):
            found.append(path)
    return sorted(found)


def _past(repo: Repository, path: bytes) -> set[str]:
    """Return the commits that the history of HEAD has recorded for a submodule, the newest ones."""
    shown = ("--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=none", "--diff-merges=separate")
    words = ("log", *shown, "--full-history", f"--max-count={DEPTH}", "--format=", "HEAD", "--")
    out = git(repo, *words, b":(top,literal)" + path, ok=range(256)).out
    return {oid for line in os.fsdecode(out).splitlines() if line.startswith(":") for oid in line.split(" ")[2:4]}


def _newer(repo: Repository, path: bytes, one: str, two: str) -> str | None:
    """Return of two commits of the submodule at a path the one that contains the other, as far as is known here."""
    places = [repo.common / "modules" / os.fsdecode(path)]
    places += [repo.top / os.fsdecode(path)] if repo.top else []
    for place in places:
        for old, new in ((one, two), (two, one)):
            if place.is_dir() and _contains(repo, place, old, new):
                return new
    return None


def _contains(repo: Repository, place: Path, old: str, new: str) -> bool:
    words = ("-C", str(place), "merge-base", "--is-ancestor", old, new)
    return git(repo, *words, env={"GIT_NO_REPLACE_OBJECTS": "1"}, ok=(0, 1, 128)).code == 0


def carry(repo: Repository, changed: Mapping[bytes, Change], carried: str) -> str:
    """Return the commit that has what was changed of submodules on an adjusted branch, as `carried` may lack it.

    git-annex does not carry those in directories to the basis, and takes them back with its next merge.
    """
    links = {path: change.new for path, change in changed.items() if GITLINK in _modes(change)}
    there = objects.entries(repo, carried) if links else {}
    lost = {path: entry for path, entry in links.items() if there.get(path) != entry}
    if not lost:
        return carried
    date = read_commit(repo, carried).date
    return objects.commit_tree(repo, objects.change_tree(repo, carried, lost), (carried,), date, CARRIED)


def has_any(repo: Repository, commit: str) -> bool:
    """Return whether a commit names submodules in .gitmodules."""
    return cat_file.look_up(repo, [f"{commit}:.gitmodules"])[0] is not None


def _modes(change: Change) -> set[int]:
    return {entry.mode for entry in (change.old, change.new) if entry}


def unpublished(repo: Repository, commit: str) -> dict[bytes, str]:
    """Return path -> commit of the submodules that a commit records and that no remote of theirs is known to have."""
    if repo.top is None or not has_any(repo, commit):
        return {}
    links = {path: entry.oid for path, entry in objects.entries(repo, commit).items() if entry.mode == GITLINK}
    return {p: oid for p, oid in links.items() if _inside(repo, p, "rev-list", "-1", oid, "--not", "--remotes")}


def wanted_first(repo: Repository) -> str:
    """Return what the user wants a push to do about commits of submodules: check, on-demand; else something else."""
    found = configfile.find(repo, "push.recurseSubmodules", everywhere=False)
    if found is None:
        recurses = configfile.find(repo, "submodule.recurse", everywhere=False)
        return "on-demand" if recurses and recurses.value.lower() in ("true", "yes", "on", "1") else "no"
    return "on-demand" if found.value.lower() == "only" else found.value.lower()


def push(repo: Repository, path: bytes, stall: float) -> None:
    """Push a submodule as its own configuration says. Raises ProgramFailed."""
    place = (repo.top or repo.home) / os.fsdecode(path)
    git(Repository(place / ".git", place / ".git", place), "push", "--quiet", stall=stall, asks=True)


def _inside(repo: Repository, path: bytes, *words: str) -> bytes:
    """Return what git prints in a submodule; nothing where it fails or the submodule is not here."""
    place = (repo.top or repo.home) / os.fsdecode(path)
    if not os.path.lexists(place / ".git"):
        return b""
    return git(Repository(place / ".git", place / ".git", place), *words, ok=range(256)).out
