"""A signal as it travels: what is said is heard, and nothing else comes of any bytes."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_annex_syncx.triggers.signals.channel import (
    FIRST_WAIT,
    LONGEST,
    LONGEST_WAIT,
    STOOD,
    Lost,
    Reconnection,
    shown,
)
from git_annex_syncx.triggers.signals.message import KINDS, LARGEST, NoSignal, Signal, decode, encode, hash_of
from git_annex_syncx.triggers.signals.program import LineSplitter

SIGNALS = st.builds(
    Signal,
    st.sampled_from(KINDS),
    st.text("0123456789abcdefABCDEF-", min_size=8, max_size=64),
    st.text("0123456789abcdef", max_size=64),
    st.floats(0, 1e11, exclude_max=True, allow_nan=False),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
ALMOST = st.fixed_dictionaries(
    {},
    optional={
        "version": st.just(1) | JSON, "kind": st.sampled_from(KINDS) | JSON, "refs": st.just("ab") | JSON,
        "uuid": st.just("0" * 36) | JSON, "time": st.floats(0, 1e10) | JSON,
    },
)  # fmt: skip


@given(SIGNALS)
def test_what_is_said_is_heard(signal: Signal) -> None:
    raw = encode(signal)
    assert len(raw) <= LARGEST
    assert raw.isascii() and b"\n" not in raw
    assert decode(raw) == signal


def heard(raw: bytes) -> Signal | None:
    """A signal or NoSignal, no other error; what is a signal can be said again."""
    try:
        signal = decode(raw)
    except NoSignal as error:
        assert str(error)
        return None
    assert decode(encode(signal)) == signal
    return signal


@given(st.binary(max_size=2 * LARGEST) | st.text(max_size=LARGEST).map(str.encode))
def test_any_bytes_are_a_signal_or_none(raw: bytes) -> None:
    heard(raw)


@given(JSON | ALMOST)
def test_any_json_is_a_signal_or_none(value: object) -> None:
    heard(json.dumps(value).encode())


@given(SIGNALS, st.integers(0), st.binary(max_size=3))
def test_a_damaged_signal_is_a_signal_or_none(signal: Signal, place: int, damage: bytes) -> None:
    raw = encode(signal)
    place %= len(raw)
    heard(raw[:place] + damage + raw[place + len(damage) :])


@pytest.mark.parametrize(
    "raw",
    [b"[" * 511, b'{"version":1e999}', b"\xff\xfe", b"NaN", b'{"version":' + b"9" * 450 + b"}", b"1" * (1 << 20)],
)
def test_nasty_ones_are_none(raw: bytes) -> None:
    assert heard(raw) is None


@given(st.dictionaries(st.text(max_size=9), st.none() | st.text("0123456789abcdef", min_size=1, max_size=40)))
def test_hash_depends_on_what_branches_are_there_alone(refs: Mapping[str, str | None]) -> None:
    shuffled = dict(sorted(refs.items(), key=lambda _: random.random()))
    assert hash_of(refs) == hash_of(shuffled) == hash_of({name: value for name, value in refs.items() if value})
    assert hash_of(refs) != hash_of({**refs, "refs/heads/new": "1"})


@given(st.lists(st.binary(max_size=3 * LONGEST)), st.integers(1, 2 * LONGEST))
def test_lines_are_the_same_however_they_come_in_pieces(lines: list[bytes], size: int) -> None:
    clean = [line.replace(b"\n", b"").replace(b"\r", b"") for line in lines]
    raw = b"".join(line + b"\n" for line in clean)
    reader = LineSplitter()
    found = [line for at in range(0, len(raw), size) for line in reader.feed(raw[at : at + size])]
    assert found == [line[:LONGEST] for line in clean if line]


class Stop(threading.Event):
    """Notes how long it would be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


def test_waits_grow_and_begin_anew_after_a_connection_that_stood() -> None:
    expected, now, stop = (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300), [0.0], Stop()

    def attend(stands: Callable[[], None]) -> None:
        if len(stop.waits) >= len(expected):
            stands()
        if len(stop.waits) == len(expected) + 1:
            now[0] += STOOD
        if len(stop.waits) == len(expected) + 2:
            stop.set()
        raise Lost("no connection")

    Reconnection(attend, lambda: None, stop, lambda: now[0]).run()
    for seconds, wait in zip(expected, stop.waits, strict=False):
        assert seconds * FIRST_WAIT / 2 <= wait <= min(seconds * FIRST_WAIT, LONGEST_WAIT)
    thrown_out_at_once, after_it_stood = stop.waits[len(expected) :]
    assert thrown_out_at_once >= LONGEST_WAIT / 2  # no reason to hurry
    assert after_it_stood <= FIRST_WAIT


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("mqtts://me:sec@ret@h:88/t", "mqtts://me@h:88/t"),
        ("mqtts://me:sec/?ret@h:88/t", "mqtts://me@h:88/t"),
        ("xmpp:me:secret@h", "xmpp:me@h"),
        ("http://me:secret@h/x", "http://me@h/x"),
        ("mqtts://me@h:88/t?ca=/x:y@z", "mqtts://me@h:88/t?ca=/x:y@z"),
        ("mqtts://me@[::1]:88/t", "mqtts://me@[::1]:88/t"),
        ("mqtt://h:1883/a@b", "mqtt://h:1883/a@b"),
        ("xmpp:me@h?server=h:5222&join=a@b", "xmpp:me@h?server=h:5222&join=a@b"),
        ("exec:ssh me:x@h", "exec:ssh me:x@h"),
    ],
)
def test_an_address_is_shown_without_a_password(address: str, seen: str) -> None:
    assert shown(address) == seen
