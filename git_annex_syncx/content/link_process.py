"""A git-annex process that copies keys along one link, and what it has in hand.

Stalls are found here: `annex.stalldetection` does not see a server that leaves git-annex's first question unanswered,
whether the key is there already (seen with WebDAV: no end in sight), and makes no allowance for sleep.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.annex.batch import Answer, Batch, Pace
from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content.rates import FIRST_REPORT, Meter
from git_annex_syncx.content.steps import OwnStep
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import ssh, transport
from git_annex_syncx.model import Remote
from git_annex_syncx.runs.context import Context
from git_annex_syncx.system.clock import awake

SILENT = 10.0  # times the stall timeout, for links on which git-annex tells no progress
SLOWEST = 100_000  # bytes a second at which such links work at least
VERIFYING = 5_000_000  # bytes a second at which a file is read again at least, when all of it has moved
LONGEST_PAUSE = 60.0  # seconds without a word that count as work


@dataclass
class KeyTransfer:
    """A key on its way: when it was given to git-annex, how many bytes are there, and were before."""

    begun: float
    bytes: int = 0
    resumed: int = 0

    def reach(self, size: int) -> None:
        """Note how many bytes are there."""
        if not self.bytes and size > FIRST_REPORT:
            self.resumed = size
        self.bytes = size


def resumes(remotes: tuple[Remote, ...]) -> bool:
    """Return whether there is git-annex at both ends of a link, by ssh.

    Then a transfer that was ended goes on where it was, and a connection that works always tells of progress.
    """
    return all(remote.url and remote.path is None and not remote.through_special for remote in remotes)


class LinkProcess(Batch):
    """A git-annex process for a link. `meter` takes the time in which it works."""

    def __init__(
        self,
        context: Context,
        step: OwnStep,
        remotes: tuple[Remote, ...],
        meter: Meter,
        pace: Pace,
        progress: bool,
        heard: Callable[[Batch, Answer | str], None],
    ) -> None:
        """Start it; with `progress` it tells how much of a file has moved."""
        self.pace, self.started = pace, time.monotonic()
        self.moving: dict[str, KeyTransfer] = {}
        self.nothings = 0  # keys in hand for which there was nothing to do
        self.draining = False  # it gets no more keys, since another is to follow it
        self.unanswered = ""  # why a store cannot be connected to
        self._context, self._meter, self._seen = context, meter, awake()
        self._store = all(remote.web_store for remote in remotes)
        self._tells = resumes(remotes) or (progress and self._store)
        words = ["copy", *["--json-progress"] * progress]
        words += [f"--from={remotes[0].name}"] * (step.operation == "pull" or step.through)
        words += [f"--to={remotes[-1].name}"] * (step.operation == "push")
        env = ssh.annex_connection(context.repo, context.settings, *remotes)
        super().__init__(context.repo, words, (remote.section for remote in remotes), env, heard, pace)
        for store in (remote for remote in remotes if remote.web_store):
            threading.Thread(target=self._knock, args=(store,), daemon=True).start()

    def take(self, key: str) -> None:
        """Take one more key in hand."""
        self.moving[key] = KeyTransfer(self.look_at_clock())
        self.tell(key)

    def look_at_clock(self) -> float:
        """Count the time since this was called last as spent on what moves, and as no stall. Returns the time."""
        now = awake()
        if self.moving:
            self._meter.seconds += min(now - self._seen, LONGEST_PAUSE)
        self._meter.first, self._meter.last = self._meter.first or now, now
        self._seen = now
        return now

    def stalled(self, timeout: float) -> float:
        """Return for how many seconds it has been silent if that is too long, else 0."""
        limit = self._longest_silence(timeout)
        return limit if awake() - self._seen >= limit else 0

    def _longest_silence(self, timeout: float) -> float:
        """Return for how many seconds it may be silent.

        A file that has moved as a whole is given time to be verified, a small one that goes to a store without a word
        on the way the time that it takes. Disks, and special remotes that tell of no progress, are given much more.
        """
        sizes = [(transfer.bytes, key_size(key)) for key, transfer in self.moving.items()]
        if self._tells or any(0 < moved < size for moved, size in sizes):
            return timeout + max((size for moved, size in sizes if moved >= size), default=0) / VERIFYING
        slowest = min(SLOWEST, self.pace.limit or SLOWEST)
        return (1 if self._store else SILENT) * timeout + max(size for _, size in sizes) / slowest

    def _knock(self, store: Remote) -> None:
        """Find out, beside git-annex, which waits long for it, whether a store takes connections."""
        url = annex_branch.store_url(self._context.repo, store.uuid or "")
        try:
            transport.require_answering(self._context.settings, url)
        except SyncxError as error:
            self.unanswered = error.what
