"""What signals from outside may cause, and what they may not, whatever they say."""

from __future__ import annotations

import itertools
import random
import tracemalloc

from hypothesis import assume, given
from hypothesis import strategies as st

from git_annex_syncx.model import Outcome, Result
from git_annex_syncx.triggers.signals.filter import ACCEPTED, IN_ALL, LONGEST_DELAY, MOST_SENDERS, PER_SENDER, Filter
from git_annex_syncx.triggers.signals.message import LARGEST, Signal, encode
from git_annex_syncx.triggers.signals.publisher import Untold
from git_annex_syncx.triggers.signals.token_bucket import TokenBucket

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


def test_many_signals_of_one_are_three_looks_now_and_one_later() -> None:
    clock = Clock()
    it = judge(clock)
    verdicts = [it.hear(said(time=n)) for n in range(1, 100)]
    looks = [verdict.delay for verdict in verdicts if verdict.why == ACCEPTED]
    assert looks == [0.0, 0.0, 0.0, 5.0]
    assert it.counts["coalesced"] == 95


def test_second_of_two_commits_waits_for_nothing() -> None:
    clock = Clock()
    it = judge(clock)
    for n in range(1, 20):
        for ring in (0.0, 0.4):  # the branches, then where their content is
            assert it.hear(said(time=n + ring)).delay == 0.0
            clock.now += ring
        clock.now += 2 * PER_SENDER.every


def test_what_is_no_news_costs_no_look() -> None:
    clock, news = Clock(), False
    it = Filter(OWN, lambda _: True, lambda _: news, clock)
    assert {it.hear(said(time=n)).why for n in range(1, 50)} == {"no news"}
    news = True
    assert [it.hear(said(time=n)).delay for n in range(50, 53)] == [0.0, 0.0, 0.0]


@given(st.lists(st.tuples(st.sampled_from((PEER, OTHER)), st.floats(0, 20)), max_size=40), st.floats(0, 1e9))
def test_whatever_comes_looks_are_as_rare_as_the_buckets_say(heard: list[tuple[str, float]], start: float) -> None:
    clock = Clock()
    clock.now = start
    it, looks = judge(clock), dict[str, list[float]]()
    for n, (uuid, wait) in enumerate(heard):
        clock.now += wait
        verdict = it.hear(said(uuid, time=n))
        if verdict.why == ACCEPTED:
            looks.setdefault(uuid, []).append(clock.now + verdict.delay)
        else:  # nothing is lost: a look comes after it
            assert verdict.why == "coalesced"
            assert looks[uuid][-1] > clock.now
    for times in looks.values():
        assert_rate(times, PER_SENDER)
    assert_rate(sorted(itertools.chain(*looks.values())), IN_ALL)


def assert_rate(times: list[float], bucket: TokenBucket) -> None:
    """In any span of time at most so many as the bucket holds and as come back meanwhile."""
    for first, begun in enumerate(times):
        for last, ended in enumerate(times[first:], start=first):
            assert last - first + 1 <= bucket.burst + (ended - begun) / bucket.every + 1e-6


@given(st.integers(1, 5), st.floats(0.1, 10), st.lists(st.floats(0, 30), max_size=60))
def test_bucket_holds_back_no_longer_than_it_must(burst: int, every: float, waits: list[float]) -> None:
    bucket, tokens, now = TokenBucket(burst, every), float(burst), 0.0
    for wait in waits:
        now += wait
        tokens = min(burst, tokens + wait / every)
        assume(abs(tokens - 1) > 1e-6)  # rounding decides
        assert (bucket.next(now) == now) == (tokens > 1)
        if tokens > 1:
            bucket, tokens = bucket.taken(now), tokens - 1
        else:
            assert abs(bucket.next(now) - now - (1 - tokens) * every) < 1e-6


def test_a_flood_of_many_is_slowed_down() -> None:
    clock = Clock()
    uuids = tuple(f"{n:08x}" for n in range(500))
    it = judge(clock, known=uuids)
    looks = [verdict.delay for uuid in uuids if (verdict := it.hear(said(uuid))).why == ACCEPTED]
    assert len(looks) == IN_ALL.burst + LONGEST_DELAY / IN_ALL.every
    assert looks[: IN_ALL.burst] == [0.0] * IN_ALL.burst
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


# When a signal is due


def pushed(remote: str, commit: str = "1", branch: str = "main") -> Outcome:
    return Outcome("push", Result.DONE, remote, f"uuid of {remote}", details={"branch": branch, "new": commit})


def test_first_remote_that_others_reach_is_told_at_once_and_what_comes_later_in_the_end() -> None:
    untold = Untold({"usb": (), "hub": ("b", "c"), "nas": ("b",), "forge": ("d",)})
    assert not untold.take(pushed("usb"))
    assert untold.kind == "", "nobody can come for it"
    assert untold.take(pushed("hub"))
    assert untold.kind == "refs"
    untold.kind = ""
    assert not untold.take(pushed("nas"))
    assert untold.kind == "refs", "told in the end"
    assert untold.take(pushed("forge")), "somebody else comes there"


def test_more_news_in_the_same_run_is_told_at_once() -> None:
    untold = Untold({"hub": ("b",)})
    assert untold.take(pushed("hub", "1", "git-annex"))
    assert untold.kind == "content"
    assert untold.take(pushed("hub", "2", "git-annex"))
    assert untold.take(pushed("hub", "3"))
    assert untold.kind == "refs"
    assert not untold.take(pushed("hub", "3"))


def test_who_has_got_it_need_not_be_told() -> None:
    mesh = {name: tuple(f"uuid of {other}" for other in "abc" if other != name) for name in "abc"}
    untold = Untold(mesh)
    assert [untold.take(pushed(name)) for name in "abc"] == [True, False, False]
    pair = Untold({"b": (), "hub": ("uuid of b",)})
    assert [pair.take(pushed(name)) for name in ("b", "hub")] == [False, False]
