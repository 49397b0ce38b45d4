"""What signals from outside may cause, and what they may not, whatever they say."""

from __future__ import annotations

import random
import tracemalloc

from git_annex_syncx.triggers.signals.filter import ACCEPTED, IN_ALL, LONGEST_DELAY, MOST_SENDERS, PER_SENDER, Filter
from git_annex_syncx.triggers.signals.message import LARGEST, Signal, encode

OWN, PEER, OTHER = (f"{n}" * 8 + "-0000-4000-8000-000000000000" for n in (0, 1, 2))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def judge(clock: Clock, news: bool = True, known: tuple[str, ...] = (PEER, OTHER)) -> Filter:
    return Filter(OWN, known.__contains__, lambda _: news, clock)


def said(uuid: str = PEER, time: float = 1.0, kind: str = "refs", refs: str = "ab") -> bytes:
    return encode(Signal(kind, uuid, refs, time))


def test_news_of_a_known_repository_is_looked_at_at_once() -> None:
    verdict = judge(Clock()).hear(said())
    assert (verdict.why, verdict.delay) == (ACCEPTED, 0.0)


def test_what_is_no_signal_of_somebody_known_causes_nothing() -> None:
    clock = Clock()
    it = judge(clock)
    future = said().replace(b'"version":1', b'"version":2')
    for raw in (
        b"",
        b"{}",
        b"\xff",
        b"[" * 10_000,
        b"1" * 1_000_000,
        b'"x"',
        future,
        said(OWN),
        said("3" * 8),
        said(kind="test"),
    ):
        assert it.hear(raw).why != ACCEPTED
    assert it.counts["too long"] == 2
    assert it.counts["unknown version"] == 2
    assert it.counts["own"] == it.counts["unknown repository"] == 1


def test_replays_and_what_is_known_already_cause_nothing() -> None:
    clock = Clock()
    it = judge(clock)
    assert it.hear(said(time=5)).why == ACCEPTED
    clock.now += 100
    assert it.hear(said(time=5)).why == it.hear(said(time=4)).why == "replay"
    assert judge(clock, news=False).hear(said()).why == "no news"


def test_a_clock_that_was_set_back_is_believed_again_after_an_hour() -> None:
    clock = Clock()
    it = judge(clock)
    assert it.hear(said(time=1e9)).why == ACCEPTED
    clock.now += 3601
    assert it.hear(said(time=5)).why == ACCEPTED


def test_many_signals_of_one_are_one_look_now_and_one_later() -> None:
    clock = Clock()
    it = judge(clock)
    verdicts = [it.hear(said(time=n)) for n in range(1, 100)]
    looks = [verdict.delay for verdict in verdicts if verdict.why == ACCEPTED]
    assert looks == [0.0, PER_SENDER]
    assert it.counts["coalesced"] == 97


def test_a_flood_of_many_is_slowed_down() -> None:
    clock = Clock()
    uuids = tuple(f"{n:08x}" for n in range(500))
    it = judge(clock, known=uuids)
    looks = [verdict.delay for uuid in uuids if (verdict := it.hear(said(uuid))).why == ACCEPTED]
    assert len(looks) == LONGEST_DELAY / IN_ALL + 1
    assert looks == sorted(looks)
    assert it.counts["too many"] == len(uuids) - len(looks)


def test_memory_is_bounded_in_a_flood_of_forged_ones() -> None:
    clock, lucky = Clock(), random.Random(1)
    it = Filter(OWN, lambda _: True, lambda _: False, clock)
    for n in range(2 * MOST_SENDERS):
        it.hear(said(f"{lucky.getrandbits(64):016x}", time=n))
    tracemalloc.start()
    for n in range(20_000):
        clock.now += 0.0001
        it.hear(said(f"{lucky.getrandbits(64):016x}", time=n))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 3_000_000
    assert len(it.counts) < 10


def test_largest_signal_fits() -> None:
    assert len(said("a" * 64, 99999999999.123456, "content", "f" * 64)) < LARGEST
