"""Problems for monitoring: those that somebody has to look at, and what has lasted for too long. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from git_annex_syncx.reports.notes import Note, notes
from git_annex_syncx.reports.status import RepositoryStatus, Status

TRIED = ("failure", "waits", "unmet", "paused")  # kinds that end by themselves as a rule


def problems(status: Status, max_age: float, now: float) -> Iterator[Note]:
    """Yield what is wrong: at once what does not mend itself, else what has lasted for `max_age` seconds.

    A remote that was not reached for as long is one, too.
    """
    for one in status.repositories:
        if note := _unseen(one, max_age, now):
            yield note
    for note in notes(status):
        old = note.since is not None and now - note.since >= max_age
        if old if note.kind in TRIED else note.problem:
            yield note


def _unseen(one: RepositoryStatus, max_age: float, now: float) -> Note | None:
    """Return a note about a remote that was not reached for too long."""
    if not (one.remote and one.syncs) or (one.last_seen is not None and now - one.last_seen < max_age):
        return None
    what = f"{one.name} was never reached" if one.last_seen is None else f"{one.name} was not reached for too long"
    return Note("unseen", what, "", one.uuid or one.name, one.last_seen, problem=True)
