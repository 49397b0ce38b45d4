"""The judgement whether a merge lost a version, on trees in memory."""

from __future__ import annotations

import cProfile
import hashlib
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from trees import lost_paths

from git_annex_syncx.conflicts.trees import Sides
from git_annex_syncx.conflicts.verify import verify
from git_annex_syncx.conflicts.versions import Holders, Texts, key_in, lines_in
from git_annex_syncx.model import EXECUTABLE, REGULAR, SYMLINK, Entry

Content = tuple[int, bytes]  # mode, content
Files = dict[bytes, Content]
NAMES = [b"f", b"g", b"f.variant-1111", b"d/x"]
reproducible = settings(derandomize=True, max_examples=200, deadline=None)


class Memory:
    """Trees in memory, as the check reads them."""

    def __init__(self, **trees: Files) -> None:
        self.blobs: dict[str, bytes] = {}
        self.trees = {name: {p: self.entry(*c) for p, c in files.items()} for name, files in trees.items()}

    def entry(self, mode: int, content: bytes) -> Entry:
        oid = hashlib.sha1(content).hexdigest()
        self.blobs[oid] = content
        return Entry(mode, oid)

    def entries(self, tree: str) -> Mapping[bytes, Entry]:
        return self.trees[tree]

    def diff(self, old: str, new: str) -> Mapping[bytes, tuple[Entry | None, Entry | None]]:
        one, two = self.trees[old], self.trees[new]
        return {p: (one.get(p), two.get(p)) for p in one.keys() | two.keys() if one.get(p) != two.get(p)}

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        return {oid: self.blobs[oid] for oid in oids}

    def keys(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        return {oid: key_in(self.blobs[oid]) for oid in oids}


def lost(base: Files, one: Files, two: Files, result: Files) -> list[bytes]:
    return lost_paths(Memory(base=base, one=one, two=two, result=result), ["base"], "one", "two", "result")


def text(content: bytes) -> Content:
    return REGULAR, content


def test_missing_newline_at_the_end_is_no_line() -> None:
    assert lines_in(b"a\nb") == lines_in(b"a\nb\n") == {b"a", b"b"}
    assert lines_in(b"") == set()


def test_dropped_text_is_lost() -> None:
    base, one = {b"f": text(b"K")}, {b"f": text(b"text\n"), b"f.variant-1111": text(b"K")}
    two = {b"f.variant-1111": text(b"K")}
    assert lost(base, one, two, two) == [b"f"]
    assert lost(base, one, two, one) == []


def test_line_that_a_side_deleted_may_be_gone() -> None:
    base, one, two = (text(content) for content in (b"a\nb\nc\n", b"b\nc\n", b"a\nb\nC\n"))
    assert lost({b"f": base}, {b"f": one}, {b"f": two}, {b"f": text(b"b\nC\n")}) == []
    assert lost({b"f": base}, {b"f": one}, {b"f": two}, {b"f": text(b"b\n")}) == [b"f"]


def test_edited_and_renamed() -> None:
    base, one, two = {b"f": text(b"a\nb\nc\n")}, {b"g": text(b"A\nb\nc\n")}, {b"f": text(b"a\nb\nC\n")}
    assert lost(base, one, two, {b"g": text(b"A\nb\nC\n")}) == []
    assert lost(base, one, two, {b"g": text(b"A\nb\nc\n")}) == [b"f"]
    assert lost(base, one, two, two) == [b"g"]


def test_binaries_and_links_have_no_lines() -> None:
    for mode, one, two in ((REGULAR, b"\0a\n", b"\0b\n"), (SYMLINK, b"x\n", b"y\n")):
        assert lost({}, {b"f": (mode, one)}, {b"f": (mode, two)}, {b"f": (mode, one + two)}) == [b"f"]


def test_path_that_is_equal_on_both_sides_must_stay() -> None:
    same = {b"f": text(b"K")}
    assert lost(same, same, same, {}) == [b"f"]
    assert lost({}, same, same, {b"f": text(b"other")}) == [b"f"]


def test_executable_bit_is_no_version() -> None:
    base, one, two = {b"f": text(b"a\n")}, {b"f": (EXECUTABLE, b"a\n")}, {b"f": text(b"b\n")}
    assert lost(base, one, two, {b"f": (EXECUTABLE, b"b\n")}) == []


def test_all_merge_bases_count() -> None:
    trees = Memory(
        x={b"f": text(b"x\n")},
        y={b"f": text(b"y\n")},
        one={b"f": text(b"x\n")},
        two={b"f": text(b"z\n")},
        r={b"f": text(b"z\n")},
    )
    assert lost_paths(trees, ["x", "y"], "one", "two", "r") == []
    assert lost_paths(trees, ["y"], "one", "two", "r") == [b"f"]


lines = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"d\n", b"e\n"]), max_size=4).map(b"".join)
contents = st.one_of(
    lines.map(text), st.sampled_from([(REGULAR, b"\0bin"), (SYMLINK, b"K1"), (SYMLINK, b"K2"), (EXECUTABLE, b"a\n")])
)
files = st.dictionaries(st.sampled_from(NAMES), contents, max_size=4)


def introduced(base: Files, side: Files) -> set[bytes]:
    """Contents of a side that are nowhere in the base."""
    return {content for _, content in side.values()} - {content for _, content in base.values()}


@pytest.mark.slow
@reproducible
@given(files, files, files, files)
def test_accepted_result_holds_what_was_introduced(base: Files, one: Files, two: Files, result: Files) -> None:
    assume(not lost(base, one, two, result))
    held = [content for _, content in result.values()]
    all_held_lines = set().union(*(lines_in(content) for content in held))
    old_lines = set().union(*(lines_in(content) for _, content in base.values()))
    for side in (one, two):
        for content in introduced(base, side):
            is_binary = b"\0" in content or content in (b"K1", b"K2")
            assert content in held if is_binary else lines_in(content) - old_lines <= all_held_lines


@reproducible
@given(files, files, files)
def test_taking_a_version_away_is_noticed(base: Files, one: Files, two: Files) -> None:
    """What only one side introduced, and no other path holds, cannot be dropped."""
    result = one | two
    for path, (mode, content) in sorted(result.items()):
        rest = {p: c for p, c in result.items() if p != path}
        added = lines_in(content).difference(*(lines_in(c) for _, c in [*base.values(), *rest.values()]))
        elsewhere = {c for _, c in [*base.values(), *rest.values()]}
        if content not in elsewhere and (added or mode == SYMLINK or b"\0" in content):
            assert lost(base, one, two, rest), (path, rest)


def three_way(base: Files, one: Files, two: Files) -> Files | None:
    """The path-wise merge, None where a path has changed on both sides."""
    trees = Memory(base=base, one=one, two=two)
    changes, conflicts = Sides(trees, ["base"], "one", "two").merge_by_path(trees.diff("one", "two"))
    if conflicts:
        return None
    result = {p: e for p, e in {**trees.entries("one"), **changes}.items() if e}
    return {path: (entry.mode, trees.blobs[entry.oid]) for path, entry in result.items()}


@reproducible
@given(files, files, files)
def test_path_wise_merges_are_accepted(base: Files, one: Files, two: Files) -> None:
    result = three_way(base, one, two)
    assume(result is not None)
    assert result is not None
    assert lost(base, one, two, result) == []


@reproducible
@given(files, files, files)
def test_path_wise_merges_are_symmetric(base: Files, one: Files, two: Files) -> None:
    assert three_way(base, one, two) == three_way(base, two, one)


@reproducible
@given(st.lists(lines, max_size=6), lines)
def test_files_that_hold_lines_are_found(files: list[bytes], wanted: bytes) -> None:
    memory = Memory()
    texts = Texts(memory.read)
    holders = Holders(texts, [memory.entry(REGULAR, content) for content in files])
    assert holders.hold(lines_in(wanted)) == any(lines_in(wanted) <= lines_in(content) for content in files)


def test_a_folder_that_one_side_renamed_and_the_other_edited_takes_linear_work() -> None:
    def calls(count: int) -> int:
        before = {n: b"".join(b"line %d of %d\n" % (k, n) for k in range(5)) for n in range(count)}
        base = {b"old/%d" % n: text(content) for n, content in before.items()}
        one = {b"new/%d" % n: text(content) for n, content in before.items()}
        two = {b"old/%d" % n: text(content + b"more of %d\n" % n) for n, content in before.items()}
        memory = Memory(base=base, one=one, two=two, result={b"new/%d" % n: two[b"old/%d" % n] for n in before})
        profile = cProfile.Profile()
        verdict = profile.runcall(verify, memory, ["base"], ("one", "two"), "result", lambda paths: ())
        assert not verdict.missing
        return sum(entry.callcount for entry in profile.getstats())

    assert calls(400) < 5 * calls(100)
