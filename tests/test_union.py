"""The canonical union of two texts."""

from __future__ import annotations

import itertools
import random
import subprocess
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_annex_syncx.conflicts.union import United, _longest, unite, unite_sections
from git_annex_syncx.conflicts.versions import lines_in

FEW = st.lists(st.sampled_from([b"a", b"b", b"c", b"", b"}", b"x y", b"\xff\xfe"]), max_size=12)
TEXT = st.builds(lambda lines, end: b"\n".join(lines) + end, FEW, st.sampled_from([b"", b"\n"]))
ANY = st.binary(max_size=60).map(lambda content: content.translate(None, b"\0\r"))
CONTENT = st.one_of(TEXT, ANY)
MIXED = st.one_of(
    TEXT, ANY, TEXT.map(lambda text: text.replace(b"\n", b"\r\n")), st.binary().map(lambda c: c.replace(b"\0", b""))
)


def counts(content: bytes) -> Counter[bytes]:
    return Counter(line for line in content.removesuffix(b"\n").split(b"\n") if content)


@given(MIXED, MIXED, st.none() | MIXED)
def test_both_directions_give_the_same_bytes(one, two, base):
    assert unite(one, two, base) == unite(two, one, base)


@given(MIXED, MIXED, st.none() | MIXED)
def test_a_line_that_a_side_added_is_there(one, two, base):
    united = unite(one, two, base).content
    for side in (one, two):
        assert lines_in(side) - lines_in(base or b"") <= lines_in(united)


@given(MIXED, MIXED, st.none() | MIXED)
def test_no_line_comes_from_nowhere(one, two, base):
    united = unite(one, two, base).content
    assert lines_in(united) <= lines_in(one) | lines_in(two)


@given(CONTENT, CONTENT)
def test_what_both_have_alike_is_there_once(one, two):
    united = counts(unite(one, two).content)
    blank = united.pop(b"", 0)
    expected = counts(one) | counts(two)
    assert blank <= max(expected.pop(b"", 0), 1)
    assert united == expected


@given(CONTENT, CONTENT, st.none() | CONTENT)
def test_a_union_does_not_grow_when_it_is_made_again(one, two, base):
    united = unite(one, two, base).content
    for side in (one, two):
        again = unite(united, side).content
        assert sum(counts(again).values()) <= sum((counts(united) | counts(side)).values())
        assert unite(united, side, side).content == united


@given(CONTENT, CONTENT, st.none() | CONTENT)
def test_crlf_texts_are_united_as_others_are(one, two, base):
    def crlf(text):
        return text if text is None else text.replace(b"\n", b"\r\n")

    united, like = unite(crlf(one), crlf(two), crlf(base)), unite(one, two, base)
    assert united.clean == like.clean
    assert counts(united.content.replace(b"\r\n", b"\n")) == counts(like.content)
    if b"\n" in one + two + (base or b""):
        assert united.content.count(b"\r\n") == united.content.count(b"\n")


@given(CONTENT, CONTENT)
def test_a_text_that_holds_the_other_is_the_union(one, two):
    united = unite(one, two).content
    assert counts(unite(united, one).content) == counts(united)
    assert unite(united, united).content == united


@given(MIXED, MIXED)
def test_a_side_that_changed_nothing_has_no_say(one, two):
    assert unite(one, two, one).content == two
    assert unite(one, one, two).content == one


@pytest.mark.parametrize(
    ("base", "one", "two", "united"),
    [
        (b"1\n2\n3\n4\n5\n", b"one\n2\n3\n4\n5\n", b"1\n2\n3\n4\nfive\n", b"one\n2\n3\n4\nfive\n"),
        (b"1\n2\n3\n", b"1\n3\n", b"1\n2\n3\n4\n", b"1\n3\n4\n"),
        (b"a", b"a\nb", b"a\nb", b"a\nb"),
        (b"", b"x\n", b"", b"x\n"),
        (b"a\r\nb", b"a\r\nb\r\nc", b"a\r\nb\r\nc", b"a\r\nb\r\nc"),
    ],
)
def test_changes_that_do_not_overlap_are_merged(base, one, two, united):
    assert unite(one, two, base).content == united
    assert unite(one, two, base).clean


@pytest.mark.parametrize(
    ("base", "one", "two", "united"),
    [
        (b"", b"x\ny\nz\n", b"y\nz\nw\n", b"x\ny\nz\nw\n"),
        (b"a\nb\nc\n", b"a\n1\nc\n", b"a\n2\nc\n", b"a\n2\n1\nc\n"),
        (b"a\n", b"{\n1\n}\na\n", b"{\n2\n}\na\n", b"{\n2\n1\n}\na\n"),
        (b"a\nb\n", b"b\na\nb\n", b"a\nb\na\n", b"b\na\nb\na\n"),
        (None, b"1\n2\n1\n", b"2\n1\n2\n", b"2\n1\n2\n1\n"),
        (None, b"x\r\ny\r\n", b"x\r\nz", b"x\r\ny\r\nz\r\n"),
        (b"1\n2\n3\n4\n", b"1\n4\n", b"1\n2\nthree\n4\n5\n", b"1\n2\nthree\n4\n5\n"),
    ],
)
def test_all_versions_of_the_program_unite_alike(base, one, two, united):
    """Nodes of different versions must make the same bytes: what is changed here is a new format."""
    assert unite(one, two, base).content == united


def test_where_git_merges_cleanly_so_do_we(tmp_path):
    lucky, clean = random.Random(3), 0
    for number in range(60):
        base = [b"%d\n" % n if number % 2 else lucky.choice([b"a\n", b"b\n", b"}\n"]) for n in range(12)]
        sides = [_edited(lucky, base) for _ in range(2)]
        names = [tmp_path / name for name in ("one", "base", "two")]
        texts = [b"".join(lines) for lines in (sides[0], base, sides[1])]
        for path, text in zip(names, texts, strict=True):
            path.write_bytes(text)
        merged = subprocess.run(("git", "merge-file", "-p", "-q", *names), capture_output=True, check=False)
        if merged.returncode == 0:
            clean += 1
            assert unite(texts[0], texts[2], texts[1]) == United(merged.stdout, True), f"{number} of seed 3"
    assert clean > 20


def _edited(lucky, lines):
    lines = list(lines)
    for _ in range(lucky.randint(0, 3)):
        at = lucky.randint(0, len(lines))
        lines[at : at + lucky.randint(0, 2)] = [lucky.choice([b"x\n", b"y\n", b"}\n"])] * lucky.randint(0, 2)
    return lines


@given(FEW, FEW)
def test_as_many_lines_are_matched_as_can_be(one, two):
    def most(one, two):  # by trying all
        if not one or not two:
            return 0
        if one[0] == two[0]:
            return 1 + most(one[1:], two[1:])
        return max(most(one[1:], two), most(one, two[1:]))

    one, two = one[:6], two[:6]
    found = _longest(one, two)
    assert all(one[i] == two[j] for i, j in found)
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(found))
    assert len(found) == most(one, two)


def test_changes_of_neighbours_are_merged_but_not_cleanly():
    assert unite(b"one\n2\n", b"1\ntwo\n", b"1\n2\n") == United(b"one\ntwo\n", False)
    assert unite(b"1\n", b"0\n1\nend\n", b"1\n2\n") == United(b"0\n1\nend\n", False)
    assert unite(b"one\n2\n3\n", b"1\n2\nthree\n", b"1\n2\n3\n") == United(b"one\n2\nthree\n", True)


def test_changes_that_overlap_stand_one_after_the_other():
    united = unite(b"0\none\nboth\n9\n", b"0\ntwo\nboth\n9\n", b"0\nold\n9\n")
    assert not united.clean
    assert united.content in (b"0\none\ntwo\nboth\n9\n", b"0\ntwo\none\nboth\n9\n")


def test_a_text_without_newline_at_its_end_is_not_glued_to_the_next_line():
    united = unite(b"base\none", b"base\ntwo", b"base").content
    assert united in (b"base\none\ntwo", b"base\ntwo\none")
    assert unite(b"base\r\none", b"base\r\ntwo", b"base\r\n").content in (
        b"base\r\none\r\ntwo",
        b"base\r\ntwo\r\none",
    )


def test_lines_in_another_order_are_not_doubled():
    assert sorted(unite(b"x\ny\n", b"y\nx\n").content.split()) == [b"x", b"y"]


def test_very_long_lines():
    long = b"x" * 5_000_000
    united = unite(long + b"1\n", long + b"2\n", long + b"\n").content
    assert lines_in(united) == {long + b"1", long + b"2"}


def hundred_thousand(kind: str) -> tuple[bytes, bytes, bytes]:
    lucky = random.Random(1)
    lines = [b"line %d" % n for n in range(100_000)]
    if kind == "alike":
        lines = [lucky.choice([b"{", b"}", b"", b"return"]) for _ in range(100_000)]
    one, two = lines.copy(), lines.copy()
    if kind == "unlike":
        one, two = [b"one " + line for line in lines], [b"two " + line for line in lines]
    for side, name in ((one, b"one"), (two, b"two")):
        for _ in range(1000):
            side[lucky.randrange(len(side))] = name + b" %d" % lucky.randrange(50)
    if kind == "shuffled":
        lucky.shuffle(two)
    return tuple(b"\n".join(text) + b"\n" for text in (one, two, lines))


@pytest.mark.parametrize("kind", ["changed", "alike", "unlike", "shuffled"])
@pytest.mark.parametrize("with_base", [True, False])
def test_a_hundred_thousand_lines_take_no_quadratic_time(kind, with_base):
    """Less than a second on a machine with nothing else to do (benchmarks/merge.py); more than 100 if quadratic."""
    one, two, base = hundred_thousand(kind)
    begun = time.process_time()
    united = unite(one, two, base if with_base else None)
    assert time.process_time() - begun < 5
    assert lines_in(one) - lines_in(base) <= lines_in(united.content)
    assert lines_in(two) - lines_in(base) <= lines_in(united.content)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([b"a", b"b", b"c", b"d"])), max_size=8))
def test_unions_of_unions_stay_small(edits):
    """Three nodes that append and merge each other's texts without any base never repeat a line."""
    nodes = [b"0\n", b"0\n", b"0\n"]
    for n, word in edits:
        nodes[n] += word + b"%d\n" % n
        other = (n + 1) % 3
        nodes[n] = nodes[other] = unite(nodes[n], nodes[other]).content
    most = Counter(word + b"%d" % n for n, word in edits)
    for node in nodes:
        assert all(counts(node)[line] <= most[line] for line in most)
        assert counts(node)[b"0"] == 1


def module(name: bytes, *more: bytes) -> bytes:
    return b"\n\t".join((b'[submodule "%s"]' % name, b"path = " + name, b"url = ../" + name, *more)) + b"\n"


def test_submodules_that_both_sides_add_do_not_mix():
    base, x, y = module(b"s"), module(b"x", b"branch = main"), module(b"y", b"branch = main")
    united = unite_sections(base + x, base + y, base)
    assert united in (United(base + x + y, True), United(base + y + x, True))
    assert united == unite_sections(base + y, base + x, base)
    again = unite_sections(united.content, base + x, None)
    assert again.content == united.content, "it does not grow"


def test_a_section_that_one_side_removed_or_changed():
    s, t, changed = module(b"s"), module(b"t"), module(b"s", b"branch = two")
    assert unite_sections(t, s + t + module(b"n"), s + t).content == t + module(b"n")
    assert unite_sections(t, changed + t, s + t).content in (t + changed, changed + t)
    both = unite_sections(module(b"s", b"branch = one"), changed, s).content
    assert {b"\tbranch = one", b"\tbranch = two"} <= lines_in(both)
