"""A filter of signals from outside: one may cause at most one look at somebody, now and then. Pure but for the clock.

Whoever can reach a channel can say anything. So nothing that a signal says is believed: it only decides whether a
look is worth while. Memory is bounded, whatever comes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from git_annex_syncx.triggers.signals.message import NoSignal, Signal, decode
from git_annex_syncx.triggers.signals.token_bucket import TokenBucket

# Looks that one repository can cause, and all together: so many at once, then one in so many seconds.
PER_SENDER, IN_ALL = TokenBucket(3, 5.0), TokenBucket(10, 1.0)
LONGEST_DELAY = 60.0  # seconds; more looks than that are not kept
FORGOTTEN = 3600.0  # seconds after which a sender's clock may have been set back
MOST_SENDERS = 1000
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Decision:
    """`why` in a word, by which it is counted; where that is ACCEPTED, look in `delay` seconds."""

    why: str
    signal: Signal | None = None
    delay: float = 0.0


@dataclass(frozen=True)
class _Sender:
    said: float  # the time of its last signal, by its clock
    heard: float  # the time by ours
    look: float  # when it was or will be looked at
    looks: TokenBucket


class Filter:
    """Decides on signals; threads may share it."""

    def __init__(
        self,
        own: str,
        is_known: Callable[[str], bool],
        is_news: Callable[[Signal], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`is_known`: whether there is such a repository; `is_news`: whether its branches may be new to us."""
        self.counts: Counter[str] = Counter()  # by the reason of each decision
        self._own, self._is_known, self._is_news, self._clock = own, is_known, is_news, clock
        self._senders: OrderedDict[str, _Sender] = OrderedDict()
        self._looks = IN_ALL
        self._lock = threading.Lock()

    def hear(self, raw: bytes) -> Decision:
        """Judge what came."""
        with self._lock:
            try:
                verdict = self._judged(decode(raw))
            except NoSignal as error:
                verdict = Decision(str(error))
            self.counts[verdict.why] += 1
            return verdict

    def _judged(self, signal: Signal) -> Decision:
        if signal.uuid == self._own:
            return Decision("own", signal)
        now, before = self._clock(), self._senders.get(signal.uuid)
        if before and now - before.heard < FORGOTTEN and signal.time <= before.said:
            return Decision("replay", signal)
        if before and now < before.look:
            self._remember(signal.uuid, replace(before, said=signal.time, heard=now))
            return Decision("coalesced", signal)  # the look that is coming will see it too
        if not self._is_known(signal.uuid):
            return Decision("unknown repository", signal)
        if signal.kind in ("gone", "test"):
            return Decision("presence", signal)
        look, looks = (before.look, before.looks) if before else (now, PER_SENDER)
        if not self._is_news(signal):
            self._remember(signal.uuid, _Sender(signal.time, now, look, looks))
            return Decision("no news", signal)
        look = max(looks.next(now), self._looks.next(now))
        if look - now > LONGEST_DELAY:
            return Decision("too many", signal)
        self._looks = self._looks.taken(look)
        self._remember(signal.uuid, _Sender(signal.time, now, look, looks.taken(look)))
        return Decision(ACCEPTED, signal, look - now)

    def _remember(self, uuid: str, sender: _Sender) -> None:
        self._senders[uuid] = sender
        self._senders.move_to_end(uuid)
        while len(self._senders) > MOST_SENDERS:
            self._senders.popitem(last=False)
