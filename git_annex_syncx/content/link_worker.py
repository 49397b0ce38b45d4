"""One link at work: a git-annex process that is fed keys, small ones first, and what it answered."""

from __future__ import annotations

import functools
import heapq
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.annex.batch import Answer, AnswerState, Batch, Direction, Pace, copying
from git_annex_syncx.annex.key import file_name, key_size
from git_annex_syncx.content.rates import Meter, differs
from git_annex_syncx.content.steps import OwnStep
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import ssh, transport
from git_annex_syncx.model import Outcome, Remote
from git_annex_syncx.reasons import is_hopeless
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import failure
from git_annex_syncx.system.clock import awake

VAGUE = re.compile(r"^failed to (?:send|retrieve) content[^;]*$|^Transfer failed$")
MOST_HOPELESS = 2  # failures in a row that would be the same for all files
MOST_DEATHS = 3  # of its processes
TINY = 1_000_000  # bytes of a file whose progress nobody needs to see
GONE = "the content is not here any more; git annex fsck finds out"
CALM = 10.0  # seconds before a limit that has grown is followed
SILENT, SLOWEST = 10.0, 100_000  # for those who tell nothing: times the patience, and bytes a second
VERIFYING = 5_000_000  # bytes a second at which a file is read again at least, when all of it has moved


@dataclass
class KeyTransfer:
    """A key on its way."""

    sent: float
    bytes: int = 0
    tries: int = 0


@dataclass
class Ended:
    """A key that a link worker is through with, and what became of it."""

    key: str
    state: AnswerState
    bytes: int = 0  # moved since the last word
    reason: str = ""


@dataclass(eq=False)
class LinkWorker:
    """A link and the keys that are to travel on it. `heard` takes what its process says, in another thread."""

    context: Context
    step: OwnStep
    way: Direction
    remotes: tuple[Remote, ...]
    cost: float
    heard: Callable[[LinkWorker, Batch, Answer | str], None]
    meter: Meter = field(default_factory=Meter)
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    carried: int = 0
    gone_with: Outcome | None = None  # a remote that went away in the middle
    limited: bool = False  # then its speed says something about the limit only
    pace: Pace = field(default_factory=lambda: Pace(1))
    _waiting: list[tuple[int, str]] = field(default_factory=list)
    _moving: dict[str, KeyTransfer] = field(default_factory=dict)
    _tries: dict[str, int] = field(default_factory=dict)
    _nothings: int = 0
    _batch: Batch | None = None
    _leaving: set[Batch] = field(default_factory=set)
    _draining: bool = False
    _hopeless: list[str] = field(default_factory=list)  # why, in a row
    _deaths: int = 0
    _gave_up: str = ""
    _unanswered: str = ""  # what a store said to a connection: nothing
    _hears: bool = False  # how much of a file has moved
    _seen: float = 0.0
    _started: float = 0.0

    @property
    def remote(self) -> Remote:
        """The remote at its far end."""
        return self.remotes[-1]

    @property
    def idle(self) -> bool:
        """Return whether there is nothing to do at present."""
        return not self._waiting and not self._moving

    @property
    def ended(self) -> bool:
        """Return whether no process of it is left."""
        return self._batch is None and not self._leaving

    @property
    def sending(self) -> bool:
        """Return whether keys are on their way, or will be at once."""
        return not self.idle and not self._gave_up

    @property
    def tells(self) -> bool:
        """Return whether a connection that works always tells of progress: git-annex at both ends, by ssh."""
        return self.resumes

    @property
    def unreached(self) -> bool:
        """Return whether it was given up, or nothing came through: git-annex often does not say why."""
        return bool(self._gave_up) or (bool(self.failed) and not self.done)

    @property
    def left(self) -> int:
        """Return how many keys are on their way or wait."""
        return len(self._waiting) + len(self._moving)

    @property
    def resumes(self) -> bool:
        """Return whether a transfer that was ended goes on where it was."""
        return all(remote.url and remote.path is None and not remote.through_special for remote in self.remotes)

    def add(self, key: str) -> list[Ended]:
        """One more key for it; what is to be said at once."""
        if self._gave_up:
            return [self._lost(key, self._gave_up)]
        heapq.heappush(self._waiting, (key_size(key), key))
        return []

    def in_motion(self) -> Mapping[str, KeyTransfer]:
        """Return what is on its way."""
        return self._moving

    def feed(self, pace: Pace) -> list[str]:
        """Give the process what it can take; the keys given. Starts one where there is none."""
        given: list[str] = []
        if self._draining and not self._moving:
            self._let_go()
        room = pace.jobs * (1 if pace.limit else 2) + self._nothings - len(self._moving)
        while self._waiting and room > 0 and not self._draining and not self._gave_up:
            if self._batch is None:
                self._start(pace)
            _, key = heapq.heappop(self._waiting)
            room -= 1
            self._moving[key] = KeyTransfer(self._now(), tries=self._tries.get(key, 0))
            if self._batch:
                self._batch.say(key)
                given.append(key)
        return given

    def keep_pace(self, limit: int | None) -> list[Ended]:
        """Start anew where the limit of a transfer is another: at once where they resume, else after those in hand.

        A limit that has grown is worth that only when the last change is some time ago.
        """
        if self._batch is None or self._draining or not differs(self.pace.limit, limit):
            return []
        grown = limit is None or (self.pace.limit is not None and limit > self.pace.limit)
        if grown and time.monotonic() - self._started < CALM:
            return []
        if not self.resumes:
            self._draining = True
            return []
        self._end()
        keys = list(self._moving)
        told = self._taken_back()
        for key in keys:
            self.add(key)
        return told

    def answered(self, answer: Answer) -> list[Ended]:
        """Take an answer of the process in hand; what became of which keys."""
        self._now()
        transfer = self._moving.get(answer.key)
        if answer.state is AnswerState.NOTHING:
            self._nothings += 1
        elif transfer is None:
            return []
        elif answer.state is AnswerState.MOVING:
            moved, transfer.bytes = answer.bytes - transfer.bytes, answer.bytes
            self.meter.bytes += max(0, moved)
            return [Ended(answer.key, AnswerState.MOVING, moved)]
        else:
            return [self._landed(answer, transfer), *self._settled()]
        return self._settled()

    def gone(self, batch: Batch, reason: str) -> list[Ended]:
        """A process has ended. What it was at is tried once more."""
        self._leaving.discard(batch)
        if batch is not self._batch:
            return []
        self._batch, self._nothings, in_motion = None, 0, dict(self._moving)
        back = self._taken_back()
        if not in_motion:
            return []
        self._deaths += 1
        told = reason or "git-annex ended without an answer"
        if self._deaths >= MOST_DEATHS:
            return [*back, *(self._lost(key, told) for key in in_motion), *self.give_up(told)]
        again = [key for key, transfer in in_motion.items() if transfer.tries < 1]
        for key in again:
            self._tries[key] = 1
            self.add(key)
        return back + [self._lost(key, told) for key in in_motion if key not in again]

    def stalled(self, patience: float) -> list[Ended]:
        """End a process that makes no progress.

        A file that has moved as a whole is given time to be verified, a small one that goes to a store without a word
        on the way the time that it takes. Disks, and special remotes that tell of no progress, are given much more.
        """
        if not self._moving or self._batch is None:
            return []
        if self._unanswered:
            self._end()
            return self.give_up(self._unanswered)
        sizes = {key: key_size(key) for key in self._moving}
        moving = any(0 < transfer.bytes < sizes[key] for key, transfer in self._moving.items())
        largest = max(sizes.values())
        store = all(remote.web_store for remote in self.remotes)
        if self.tells or moving or (store and self._hears):
            at_end = (sizes[key] for key, transfer in self._moving.items() if transfer.bytes >= sizes[key])
            patience += max(at_end, default=0) / VERIFYING
        else:
            patience = (1 if store else SILENT) * patience + largest / min(SLOWEST, self.pace.limit or SLOWEST)
        if awake() - self._seen < patience:
            return []
        self._end()
        keys = list(self._moving)
        back = self._taken_back()
        self._deaths += 1
        told = f"no progress for {patience:.0f} s, given up"
        lost = back + [self._lost(key, told) for key in keys]
        return lost + (self.give_up(told) if self._deaths >= MOST_DEATHS - 1 else [])

    def give_up(self, reason: str) -> list[Ended]:
        """Try no more of what waits."""
        self._gave_up = reason
        keys = [key for _, key in self._waiting] + list(self._moving)
        self._waiting.clear()
        back = self._taken_back()
        self._let_go()
        return back + [self._lost(key, reason) for key in keys]

    def unplugged(self) -> list[Ended]:
        """End it where the directory of a remote has gone: git-annex would make it anew, on another disk."""
        for remote in () if self.gone_with else self.remotes:
            try:
                transport.require_present(self.context.repo, remote)
            except SyncxError as error:
                self._end()
                self.gone_with, self._gave_up = failure("transfer", error, remote), error.what
                keys = [key for _, key in self._waiting] + list(self._moving)
                self._waiting.clear()
                return self._taken_back() + [Ended(key, AnswerState.CARRIED, reason=error.what) for key in keys]
        return []

    def close(self) -> None:
        """Nothing more will come: let the process end by itself."""
        self._let_go()

    def end(self) -> None:
        """End all its processes at once."""
        self._end()
        for batch in self._leaving:
            batch.end()

    def _start(self, pace: Pace) -> None:
        self.pace, self._nothings, self._draining, self._started = pace, 0, False, time.monotonic()
        self.limited = self.limited or pace.limit is not None
        env = ssh.annex_connection(self.context.repo, self.context.settings, *self.remotes)
        heard = functools.partial(self.heard, self)
        # Of small files git-annex would say more than it sends; but a connection that hangs is seen by its silence.
        self._hears = self.tells or any(not 0 < size < TINY for size, _ in self._waiting)
        words = copying(self.way, progress=self._hears)
        for store in (remote for remote in self.remotes if remote.web_store):
            threading.Thread(target=self._knock, args=(store,), daemon=True).start()
        self._batch = Batch(self.context.repo, words, self.way.remotes, env, heard, heard, pace)

    def _knock(self, store: Remote) -> None:
        """Find out, beside git-annex, which waits long for it, whether a store takes connections."""
        repo = self.context.repo
        try:
            transport.require_answering(self.context.settings, annex_branch.store_url(repo, store.uuid or ""))
        except SyncxError as error:
            self._unanswered = error.what

    def owns(self, batch: Batch) -> bool:
        """Return whether a process is the one in hand."""
        return batch is self._batch

    def _let_go(self) -> None:
        if self._batch:
            self._batch.finish()
            self._leaving.add(self._batch)
        self._batch, self._draining, self._nothings = None, False, 0

    def _end(self) -> None:
        if self._batch:
            self._batch.end()
            self._leaving.add(self._batch)
        self._batch, self._draining, self._nothings = None, False, 0

    def _taken_back(self) -> list[Ended]:
        """Nothing is on its way any more: what was counted of it does not count."""
        told = [
            Ended(key, AnswerState.MOVING, -transfer.bytes)
            for key, transfer in self._moving.items()
            if transfer.bytes
        ]
        self.meter.bytes += sum(one.bytes for one in told)
        self._moving.clear()
        return told

    def _now(self) -> float:
        now = awake()
        if self._moving:
            self.meter.seconds += min(now - self._seen, 60.0)
        self._seen = now
        return now

    def _landed(self, answer: Answer, transfer: KeyTransfer) -> Ended:
        del self._moving[answer.key]
        if answer.state is AnswerState.DONE:
            size = key_size(answer.key)
            rest = max(0, size - transfer.bytes)
            self.meter.bytes += rest
            self.meter.arrived(size, awake() - transfer.sent)
            self.done, self._hopeless = self.done + 1, []
            return Ended(answer.key, AnswerState.DONE, rest)
        if answer.state is AnswerState.CARRIED or self._taken(answer.key):
            self.carried += 1
            return Ended(answer.key, AnswerState.CARRIED, -transfer.bytes, answer.reason)
        if transfer.tries < 1 and VAGUE.search(answer.reason):
            self._tries[answer.key] = 1  # a transfer that was killed leaves things that the first try clears away
            self.meter.bytes -= transfer.bytes
            self.add(answer.key)
            return Ended(answer.key, AnswerState.MOVING, -transfer.bytes)
        reason = self._why(answer)
        self._hopeless = [*self._hopeless, reason] if is_hopeless(reason) else []
        return self._lost(answer.key, reason, transfer.bytes)

    def _why(self, answer: Answer) -> str:
        """Return why a file did not arrive; of a directory git-annex may not say what can be seen from here."""
        seen = VAGUE.search(answer.reason) and self.step.operation == "push"
        return (
            seen and transport.what_hinders(self.context.repo, self.remote, key_size(answer.key))
        ) or answer.reason

    def _taken(self, key: str) -> bool:
        """Return whether another one brings the key there already."""
        name = file_name(key)
        return self.step.operation == "push" and transport.is_receiving(self.context.repo, self.remote, name)

    def _settled(self) -> list[Ended]:
        """Return what is to be said once an answer is in.

        Keys for which there was nothing to do, and who is given up.
        """
        if len(self._hopeless) >= MOST_HOPELESS:
            return self.give_up(self._hopeless[-1])
        if not self._moving or len(self._moving) > self._nothings or self._waiting:
            return []
        keys = list(self._moving)
        self._moving.clear()
        self._nothings = 0
        if self.step.operation == "push" and not self.step.through:
            return [self._lost(key, GONE) for key in keys]
        return [Ended(key, AnswerState.NOTHING) for key in keys]  # it came here by another way

    def _lost(self, key: str, reason: str, moved: int = 0) -> Ended:
        self.failed[key] = reason
        return Ended(key, AnswerState.FAILED, -moved, reason)
