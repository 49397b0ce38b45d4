"""Feed one link its keys, small ones first, and say what becomes of each.

Keys are tried again here: `annex.retry` would also repeat what fails for every file, and helps no process that died.
"""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from git_annex_syncx.annex.batch import Answer, AnswerState, Batch, Pace
from git_annex_syncx.annex.key import file_name, key_size
from git_annex_syncx.content.link_process import KeyTransfer, LinkProcess, resumes
from git_annex_syncx.content.rates import Meter, is_worth_a_start
from git_annex_syncx.content.steps import OwnStep
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives
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
LARGE = 1.0  # seconds at the limit of a link that a large file takes


@dataclass(eq=False)
class LinkWorker:
    """A worker for one link, by one remote, or by two where content passes through without a copy here."""

    context: Context
    step: OwnStep
    remotes: tuple[Remote, ...]
    cost: float
    heard: Callable[[LinkWorker, Batch, Answer | str], None] | None = None  # called in threads of the process
    meter: Meter = field(default_factory=Meter)
    done: int = 0
    carried: int = 0  # by somebody else
    failed: dict[str, str] = field(default_factory=dict)  # key -> why
    gone_with: Outcome | None = None  # a remote that went away in the middle
    limited: bool = False  # then its speed says something about the limit only
    _queue: list[tuple[int, str]] = field(default_factory=list)  # a heap of (size, key)
    _events: list[Answer] = field(default_factory=list)
    _retried: set[str] = field(default_factory=set)
    _process: LinkProcess | None = None  # the one that is told keys
    _leaving: set[Batch] = field(default_factory=set)  # those that are told nothing any more
    _hopeless: int = 0  # failures in a row
    _deaths: int = 0
    _gave_up: str = ""  # why

    @property
    def remote(self) -> Remote:
        """The remote at the far end."""
        return self.remotes[-1]

    @property
    def moving(self) -> Mapping[str, KeyTransfer]:
        """Return the keys on their way."""
        return self._process.moving if self._process else {}

    @property
    def left(self) -> int:
        """Return how many keys are on their way or wait."""
        return len(self._queue) + len(self.moving)

    @property
    def jobs(self) -> int:
        """Return how many transfers its process makes at once."""
        return self._process.pace.jobs if self._process else 1

    @property
    def ended(self) -> bool:
        """Return whether no process of it is left."""
        return self._process is None and not self._leaving

    @property
    def unreached(self) -> bool:
        """Return whether it was given up, or nothing came through: git-annex often does not say why."""
        return bool(self._gave_up) or (bool(self.failed) and not self.done)

    def events(self) -> list[Answer]:
        """Return what has become of keys since this was called last, and which have moved on."""
        events, self._events = self._events, []
        return events

    def add(self, key: str) -> None:
        """Queue a key."""
        if self._gave_up:
            self._lose([key], self._gave_up)
        else:
            heapq.heappush(self._queue, (key_size(key), key))

    def sharing(self, most: int, limit: int) -> int:
        """Return how many transfers are to share a limit (bytes a second): a lone one is to have all of it."""
        return 1 if self._goes_alone(limit) else max(1, min(most, self.left))

    def feed(self, pace: Pace) -> list[str]:
        """Give the process what it can take, and return that. Starts one where there is none."""
        if self._process and self._process.draining:
            if self.moving:
                return []
            self.finish()
        given: list[str] = []
        nothings = self._process.nothings if self._process else 0
        room = pace.jobs * (1 if pace.limit else 2) + nothings - len(self.moving)
        while self._queue and len(given) < room:
            process = self._process or self._start(pace)
            if pace.limit and process.pace.jobs > 1 and self._goes_alone(pace.limit * pace.jobs):
                process.draining = True
                break
            _, key = heapq.heappop(self._queue)
            process.take(key)
            given.append(key)
        return given

    def _goes_alone(self, limit: int) -> bool:
        """Return whether the next key is large and cannot be resumed: else it would keep its part of the limit."""
        return bool(self._queue) and self._queue[0][0] > LARGE * limit and not resumes(self.remotes)

    def hear(self, process: Batch, said: Answer | str) -> None:
        """Take an answer or the last words of a process."""
        if isinstance(said, str):
            self._leaving.discard(process)
        if process is self._process:
            self._died(said) if isinstance(said, str) else self._answered(self._process, said)

    def keep_pace(self, limit: int | None) -> None:
        """Start anew where another limit is worth it: at once where transfers resume, else after those in hand."""
        process = self._process
        if process is None or process.draining:
            return
        if not is_worth_a_start(process.pace.limit, limit, time.monotonic() - process.started):
            return
        if not resumes(self.remotes):
            process.draining = True
            return
        for key in self._take_back():
            self.add(key)
        self._leave(Batch.end)

    def check_progress(self, timeout: float) -> None:
        """End a process that makes no progress."""
        if self._process is None or not self.moving:
            return
        if self._process.unanswered:
            self.give_up(self._process.unanswered, how=Batch.end)
        elif seconds := self._process.stalled(timeout):
            told = f"no progress for {seconds:.0f} s, given up"
            self._deaths += 1
            self._lose(self._take_back(), told)
            self._leave(Batch.end)
            if self._deaths >= MOST_DEATHS - 1:
                self.give_up(told)

    def check_present(self) -> None:
        """End it where the directory of a remote has gone: git-annex would make it anew, on another disk."""
        for remote in () if self.gone_with else self.remotes:
            try:
                drives.require_present(self.context.repo, remote)
            except SyncxError as error:
                self.gone_with = failure("transfer", error, remote)
                self.give_up(error.what, AnswerState.CARRIED, Batch.end)

    def give_up(
        self, reason: str, state: AnswerState = AnswerState.FAILED, how: Callable[[Batch], None] = Batch.finish
    ) -> None:
        """Let the process end, or end it, and try no more of what waits."""
        self._gave_up = reason
        self._lose([*self._take_back(), *(key for _, key in self._queue)], reason, state)
        self._queue.clear()
        self._leave(how)

    def finish(self) -> None:
        """Let the process end by itself."""
        self._leave(Batch.finish)

    def end(self) -> None:
        """End all its processes at once."""
        self._leave(Batch.end)
        for process in self._leaving:
            process.end()

    def _start(self, pace: Pace) -> LinkProcess:
        # Of small files git-annex would say more than it sends; but a connection that hangs is seen by its silence.
        progress = resumes(self.remotes) or any(not 0 < size < TINY for size, _ in self._queue)
        self.limited = self.limited or pace.limit is not None

        def heard(process: Batch, said: Answer | str) -> None:
            assert self.heard
            self.heard(self, process, said)

        self._process = LinkProcess(self.context, self.step, self.remotes, self.meter, pace, progress, heard)
        return self._process

    def _leave(self, how: Callable[[Batch], None]) -> None:
        """Let the process in hand end, or end it."""
        if self._process:
            how(self._process)
            self._leaving.add(self._process)
        self._process = None

    def _died(self, last_words: str) -> None:
        """Try once more what a process was at that has ended."""
        keys, self._process = self._take_back(), None
        if not keys:
            return
        reason = last_words or "git-annex ended without an answer"
        self._deaths += 1
        last = self._deaths >= MOST_DEATHS
        self._lose((key for key in keys if last or key in self._retried), reason)
        for key in keys if not last else ():
            self._try_again(key)
        if last:
            self.give_up(reason)

    def _answered(self, process: LinkProcess, answer: Answer) -> None:
        process.look_at_clock()
        if answer.state is AnswerState.NOTHING:
            process.nothings += 1
        elif answer.key not in process.moving:
            return
        elif answer.state is AnswerState.MOVING:
            process.moving[answer.key].reach(answer.bytes)
            self._events.append(answer)
        elif answer.state is AnswerState.DONE:
            transfer = process.moving.pop(answer.key)
            self.meter.arrived(key_size(answer.key) - transfer.resumed, awake() - transfer.begun)
            self.done, self._hopeless = self.done + 1, 0
            self._events.append(answer)
        else:
            del process.moving[answer.key]
            self._refused(answer)
        self._settle(process)

    def _refused(self, answer: Answer) -> None:
        key = answer.key
        sends = self.step.operation == "push"
        if answer.state is AnswerState.CARRIED or (sends and self._is_received(key)):
            self.carried += 1
            self._lose([key], answer.reason, AnswerState.CARRIED)
            return
        vague = VAGUE.search(answer.reason)
        if vague and key not in self._retried:  # what a killed transfer leaves behind, the first try clears away
            self._try_again(key)
            return
        # Of a directory git-annex may not say what can be seen from here.
        seen = drives.what_hinders(self.context.repo, self.remote, key_size(key)) if vague and sends else ""
        reason = seen or answer.reason
        self._lose([key], reason)
        self._hopeless = self._hopeless + 1 if is_hopeless(reason) else 0
        if self._hopeless >= MOST_HOPELESS:
            self.give_up(reason)

    def _try_again(self, key: str) -> None:
        if key not in self._retried:
            self._retried.add(key)
            self.add(key)

    def _is_received(self, key: str) -> bool:
        """Return whether the key is being sent there by somebody else."""
        return drives.is_receiving(self.context.repo, self.remote, file_name(key))

    def _settle(self, process: LinkProcess) -> None:
        """Take leave of the keys on their way where there was nothing to do for any of them."""
        if not process.moving or len(process.moving) > process.nothings or self._queue:
            return
        keys = self._take_back()
        process.nothings = 0
        if self.step.operation == "push" and not self.step.through:
            self._lose(keys, GONE)
        else:  # they came here by another way
            self._events += [Answer(AnswerState.NOTHING, key) for key in keys]

    def _take_back(self) -> list[str]:
        """Take back what is on its way."""
        keys = list(self.moving)
        if self._process:
            self._process.moving.clear()
        return keys

    def _lose(self, keys: Iterable[str], reason: str, state: AnswerState = AnswerState.FAILED) -> None:
        for key in keys:
            if state is AnswerState.FAILED:
                self.failed[key] = reason
            self._events.append(Answer(state, key, reason=reason))
