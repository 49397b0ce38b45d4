"""Lines for people about conflicts that merges resolved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from git_annex_syncx.model import Outcome

MOST = 20  # paths that are named
LIST = "git annex-syncx conflicts"
HINT = f"to look at that, and to choose: {LIST}"
# The result where all versions are in one file now, by the kind of conflict.
ALONE = {
    "text": "holds the lines of both sides",
    "changed/deleted": "stays as one side changed it; the other had deleted it",
    "locked/unlocked": "is unlocked, as one side has it",
    "mode": "has the mode of one side, the content of the other",
    "put back": "put back: each side removed another copy, or a merge by git alone would have lost it",
    "renamed": "both sides gave it another name; both names stay",
}


def lines(outcome: Outcome) -> Iterator[str]:
    """Yield a line for each path that a merge resolved, at most MOST, and one that tells how many more there are."""
    for key, verb in (("resolved", "resolved"), ("resolved_by_others", "resolved by others")):
        resolved = outcome.details.get(key, ())
        if isinstance(resolved, Sequence):
            for one in resolved[:MOST]:
                became = words(one["path"], one["kind"], one["became"], one.get("commits", ()))
                yield f"{verb} {one['path']}: {became}"
            if len(resolved) > MOST:
                yield f"{verb} {len(resolved) - MOST} more: {LIST}"


def words(path: str, kind: str, became: Sequence[str], commits: Sequence[str] = ()) -> str:
    """Return what became of a path in conflict, for people: by its kind, and where its versions are."""
    if commits:
        return f"the submodule is at {commits[0][:10]} as on one side, not at {commits[1][:10]} as on the other"
    if list(became) == [path] or not became:
        return ALONE.get(kind, "both sides' changes are in it")
    if kind == "put back":
        return f"put back as {', '.join(became)}"
    if len(became) == 1:
        return f"is now {became[0]}"
    return f"both versions stay: {', '.join(became)}"
