"""The newest dates in a repository, by which clocks that are wrong can be seen."""

from __future__ import annotations

from git_annex_syncx.git.git import Repository, text


def newest_commit(repo: Repository) -> tuple[str, float] | None:
    """Return the ref of the newest of all heads, by its committer, with its date in seconds since 1970."""
    form = "--format=%(committerdate:unix) %(refname)"
    found = text(repo, "for-each-ref", "--sort=-committerdate", "--count=1", form, "refs/heads", "refs/remotes")
    when, _, ref = found.partition(" ")
    return (ref, float(when)) if when else None
