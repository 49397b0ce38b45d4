"""Tell what stands at a path: an annexed file, a directory, a file of git's, or nothing that was committed."""

from __future__ import annotations

import os
from dataclasses import dataclass

from git_annex_syncx.annex import locations
from git_annex_syncx.content import missing
from git_annex_syncx.errors import UsageError
from git_annex_syncx.git import git, history, paths
from git_annex_syncx.model import GITLINK, TREE, Entry
from git_annex_syncx.runs.context import Context


@dataclass(frozen=True)
class Subject:
    """A path of the last commit: `kind` is "annexed", "directory", "git", "submodule" or "uncommitted".

    Of an annexed file there is a key; of what is neither annexed nor a directory something is to be said.
    """

    path: bytes
    kind: str
    key: str = ""
    reason: str = ""
    advice: str = ""


def subject(context: Context, base: str | None, given: str) -> Subject:
    """Return what stands at a path of the user's, seen from `base`. Raises UsageError where nothing does."""
    repo, head, path = context.repo, git.head(context.repo), missing.tree_path(context, base, given)
    word = paths.shell_word(os.fsencode(given))
    tree = history.tree_id(repo, f"refs/heads/{head.basis}" if head else "HEAD")
    if not tree:
        first = "git annex add . && git commit" if repo.top else "push one here from another repository"
        return Subject(path, "uncommitted", reason="there is no commit yet", advice=first)
    entry = paths.entry(repo, tree, path) if path else Entry(TREE, tree)
    if entry is None:
        return _uncommitted(context, path, word)
    if entry.mode == TREE:
        return Subject(path, "directory")
    if entry.mode == GITLINK:
        advice = f"ask there: git annex-syncx -C {word} why PATH"
        return Subject(path, "submodule", reason="it is a submodule, a repository of its own", advice=advice)
    for _, name in locations.named(repo, [(path, entry.mode, entry.oid)]):
        return Subject(path, "annexed", name.key)
    reason = "it is not annexed: git itself holds it, so it is wherever the branch is"
    return Subject(path, "git", reason=reason, advice="git annex-syncx status says who has the branch")


def _uncommitted(context: Context, path: bytes, word: str) -> Subject:
    shown = os.fsdecode(path)
    if context.repo.top and os.path.lexists(os.path.join(os.fsencode(context.repo.top), path)):
        reason = "it is not in the last commit, so no other repository knows of it"
        return Subject(path, "uncommitted", reason=reason, advice=f"git annex add {word} && git annex-syncx sync")
    if gone := paths.removal(context.repo, path):
        what = f"{shown} was removed by the commit {gone[:10]}, so its content goes nowhere any more"
        raise UsageError(what, f"to have it back: git checkout {gone[:10]}^ -- {word} && git annex-syncx sync")
    listing = "git ls-files" if context.repo.top else "git ls-tree -r --name-only HEAD"
    raise UsageError(f"{shown} is neither in the last commit nor here", f"{listing} lists the files that there are")
