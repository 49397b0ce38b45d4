"""What nobody has looked at, as the history tells it: random histories, and messages that somebody has forged."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_annex_syncx.conflicts.resolutions import MESSAGE, MOST, Resolution, looked_at, looks_in, message, resolved_in
from git_annex_syncx.conflicts.unsettled import MACHINE, Listed, LookedAt, Unseen, Unsettled, listed_in, looks_of
from git_annex_syncx.git.log import Message

PATH, VARIANT, OTHER = b"d/a.bin", b"d/a.variant-1111.bin", b"d/a.variant-2222.bin"
LEFT = [(PATH,), (PATH, VARIANT), (VARIANT, OTHER)]  # what a merge leaves
PATHS = st.frozensets(st.sampled_from([PATH, VARIANT, OTHER]))
FILES = st.one_of(st.just(frozenset({PATH})), PATHS)


class Story:
    """A history: each commit is a number, and follows one or two of the earlier ones; the last contains all."""

    def __init__(self) -> None:
        self.parents: list[frozenset[int]] = []
        self.left: dict[int, tuple[bytes, ...]] = {}
        self.looks: dict[int, tuple[int, frozenset[bytes]]] = {}  # also at PATH
        self.changed: dict[int, frozenset[bytes]] = {}

    def add(self, parents: Iterable[int]) -> int:
        self.parents.append(frozenset(parents))
        return len(self.parents) - 1

    def above(self, commit: int) -> frozenset[int]:
        """The commit and all that it contains."""
        return frozenset({commit}).union(*(self.above(parent) for parent in self.parents[commit]))

    def unsettled(self, files: Collection[bytes], shuffled: random.Random | None = None) -> list[Unseen]:
        """The answer of the program."""
        order = self._order(shuffled or random.Random(0))
        listed = [Listed(f"{n:02}", Resolution(PATH, "binary", left)) for n, left in self.left.items()]
        looks = [LookedAt(f"{n:02}", f"{at:02}", (PATH, *sorted(paths))) for n, (at, paths) in self.looks.items()]
        if shuffled:
            shuffled.shuffle(listed)
            shuffled.shuffle(looks)
        changed: dict[bytes, list[str]] = {}
        for n, paths in self.changed.items():
            for path in paths:
                changed.setdefault(path, []).append(f"{n:02}")
        ancestry = [[f"{n:02}", *(f"{parent:02}" for parent in self.parents[n])] for n in order]
        history = Unsettled(listed, looks, ancestry, files)
        others = history.of_others(history.candidates(), changed, lambda commit, _: self.chosen(int(commit)))
        return [*history.of_variants(), *others]

    def chosen(self, commit: int) -> frozenset[bytes]:
        """Two commits that change different files choose differently."""
        return self.changed.get(commit, frozenset({b"all"}))

    def _order(self, by: random.Random) -> list[int]:
        left, order = list(range(len(self.parents))), []
        while left:
            free = [n for n in left if self.parents[n].isdisjoint(left)]
            order.append(by.choice(free))
            left.remove(order[-1])
        return order

    def expected(self, files: Collection[bytes]) -> tuple[bool, set[int]]:
        """Whether the conflict is to be looked at, and the commits that chose differently, by its definition."""
        variants = {path for path in files if path != PATH}
        if variants:
            return not all(self._seen(path) for path in variants), set()
        if PATH not in files:
            return False, set()
        newest = [m for m in self.left if not any(m in self.above(n) for n in self.left if n != m)]
        told = [self._of_merge(merge) for merge in newest]
        return any(is_open for is_open, _ in told), set().union(*(different for _, different in told))

    def _seen(self, variant: bytes) -> bool:
        merges = {n for n, left in self.left.items() if variant in left}
        return any(
            variant in paths and at in self.above(n) and merges <= self.above(at)
            for n, (at, paths) in self.looks.items()
        )

    def _of_merge(self, merge: int) -> tuple[bool, set[int]]:
        left = self.left[merge]
        watched = {path for path in left if path != PATH} or {PATH}
        settlers = {n for n, paths in self.changed.items() if paths & watched and merge in self.above(n)}
        settlers |= {n for n, (at, _) in self.looks.items() if at in self.above(n) and merge in self.above(at)}
        first = self._differing(settlers, {PATH, *left}) if len(left) > 1 else set()
        return bool(first) or not settlers, first

    def _differing(self, settlers: set[int], paths: set[bytes]) -> set[int]:
        first = {n for n in settlers if not (self.above(n) - {n}) & settlers}
        if len({self.chosen(n) for n in first}) < 2:
            return set()
        all_later = settlers | {n for n, changed in self.changed.items() if changed & paths}
        later = {n for n in all_later if first <= self.above(n)}
        return self._differing(later, paths) if later else first


@st.composite
def stories(draw: st.DrawFn) -> Story:
    story = Story()
    story.add(())
    for _ in range(draw(st.integers(1, 9))):
        last = len(story.parents) - 1
        earlier = st.integers(max(0, last - 2), last)  # or hardly any commit would contain many
        what = draw(st.sampled_from(["merge", "change", "change", "look"]))
        commit = story.add(draw(st.frozensets(earlier, min_size=1, max_size=2 if what == "merge" else 1)))
        if what == "merge" and draw(st.booleans()):
            story.left[commit] = draw(st.sampled_from(LEFT))
        elif what == "change":
            story.changed[commit] = draw(PATHS)
        elif what == "look":
            story.looks[commit] = draw(earlier), draw(PATHS)
    contained = frozenset().union(*story.parents)
    story.add(n for n in range(len(story.parents)) if n not in contained)
    return story


@settings(max_examples=200)
@given(stories(), FILES, st.randoms(use_true_random=False))
def test_what_is_listed_is_what_the_definition_says(story: Story, files: frozenset[bytes], by: random.Random) -> None:
    found = story.unsettled(files)
    is_open, differently = story.expected(files)
    assert len(found) == is_open
    for one in found:
        assert one.path == PATH and files.issuperset(one.files) and one.files
        assert set(map(int, one.differently)) == differently
    assert found == story.unsettled(files, by)  # whatever the order in which git tells it


@given(stories(), PATHS)
def test_who_has_looked_at_all_that_is_there_is_asked_no_more(story: Story, files: frozenset[bytes]) -> None:
    head = len(story.parents) - 1
    done = story.add([head])
    story.looks[done] = head, files | {PATH}
    assert not story.unsettled(files)


def merging(left: tuple[bytes, ...], story: Story | None = None) -> Story:
    """A story, and a merge of two commits after it that leaves these paths."""
    story = story or Story()
    last = story.add(range(len(story.parents))[-1:])
    story.left[story.add([story.add([last]), story.add([last])])] = left
    return story


def changing(story: Story, after: int, *paths: bytes) -> int:
    story.changed[commit := story.add([after])] = frozenset(paths)
    return commit


def test_who_edits_a_file_has_not_looked_at_its_variants() -> None:
    story = merging((PATH, VARIANT))
    changing(story, 3, PATH)
    assert len(story.unsettled({PATH})) == len(story.unsettled({PATH, VARIANT})) == 1
    changing(story, 4, VARIANT)
    assert not story.unsettled({PATH})


def test_a_merge_speaks_for_those_before_it() -> None:
    story = merging((PATH,), merging((PATH, VARIANT)))
    assert [one.merges for one in story.unsettled({PATH})] == [("07",)]
    changing(story, 7, PATH)
    assert not story.unsettled({PATH})


def test_who_edits_what_two_have_chosen_differently_ends_it() -> None:
    story = merging((PATH, VARIANT))
    one, two = changing(story, 3, VARIANT), changing(story, 3, PATH, VARIANT)
    joined = story.add([one, two])
    assert [one.differently for one in story.unsettled({PATH})] == [("04", "05")]
    changing(story, joined, PATH)
    assert not story.unsettled({PATH})


def test_each_variant_is_looked_at_for_itself() -> None:
    story = merging((VARIANT, OTHER))
    story.looks[story.add([3])] = 3, frozenset({VARIANT, OTHER})
    merging((PATH, OTHER), story)
    assert len(story.unsettled({VARIANT, OTHER})) == 1  # OTHER was made once more
    story.looks[story.add([8])] = 8, frozenset({OTHER})
    assert not story.unsettled({VARIANT, OTHER})


ANY = st.binary(min_size=1, max_size=20)


@given(st.text("0123456789abcdef", min_size=40, max_size=40), st.lists(ANY, min_size=1, max_size=5, unique=True))
def test_looks_are_read_as_they_were_written(head: str, paths: list[bytes]) -> None:
    assert looks_in("Look\n\n" + looked_at(head, paths) * 2) == [(head, tuple(paths))] * 2


FORGED = st.lists(
    st.sampled_from(['text: "', "../", "\\000", '"', ' -> "', "\n", "Resolved:\n", "\x1b[2J", "\\377", "-"])
)


@given(FORGED, st.lists(st.sampled_from(["1" * 40, "2" * 40]), max_size=3), st.sampled_from([MACHINE, "Eve <e@x>"]))
def test_forged_messages_do_no_harm(parts: list[str], parents: list[str], author: str) -> None:
    forged = Message("3" * 40, tuple(parents), author, MACHINE, 0, MESSAGE + "\nResolved:\n" + "".join(parts))
    listed = listed_in([forged])
    assert not listed or (author == MACHINE and parents == ["1" * 40, "2" * 40])
    found = Unsettled(listed, looks_of([forged]), [[forged.commit, *parents]], {PATH, VARIANT})
    assert [one.path for one in found.of_variants()] == [PATH]
    for one in found.of_others(found.candidates(), {}, lambda *_: ()):
        assert set(one.files) <= {PATH, VARIANT}


def test_only_what_looks_like_a_merge_of_ours_lists_anything() -> None:
    text = message([Resolution(b"a", "text", (b"a",))])
    ours = Message("3" * 40, ("1" * 40, "2" * 40), MACHINE, MACHINE, 0, text)
    assert listed_in([ours])
    for other in (
        {"parents": ("2" * 40, "1" * 40)}, {"parents": ("1" * 40,)}, {"parents": ("1" * 40, "2" * 40, "3" * 40)},
        {"author": "Eve <e@x>"}, {"committer": "Eve <e@x>"}, {"text": text.removeprefix("M")},
    ):  # fmt: skip
        assert not listed_in([ours._replace(**other)])


def test_a_message_of_a_million_lines_is_read_to_its_end_of_a_thousand() -> None:
    text = message(Resolution(b"%d" % n, "text", (b"%d" % n,)) for n in range(MOST)) + 'text: "x"\n' * 10**6
    assert len(listed_in([Message("3" * 40, ("1" * 40, "2" * 40), MACHINE, MACHINE, 0, text)])) == MOST


@pytest.mark.parametrize(
    "path", [b"", b"/etc/passwd", b"../up", b"a//b", b"a/./b", b"with\0nul", b"long" * 2000, b"a/.Git/x"]
)
def test_paths_that_no_tree_has_are_not_read(path: bytes) -> None:
    text = message([Resolution(path, "text", (path,)), Resolution(b"a", "text", (b"a", path))])
    text += looked_at("1" * 40, [b"a", path])
    assert resolved_in(text) and looks_in(text)
    forged = Message("3" * 40, ("1" * 40, "2" * 40), MACHINE, MACHINE, 0, text)
    assert not listed_in([forged]) and not looks_of([forged])


def test_variants_that_no_merge_has_listed() -> None:
    files = [PATH, VARIANT, OTHER, b"d/b.variant-3333.bin"]
    found = list(Unsettled((), (), (), files).of_variants())
    assert [(one.path, one.files, one.merges) for one in found] == [
        (PATH, (PATH, VARIANT, OTHER), ()),
        (b"d/b.bin", (b"d/b.variant-3333.bin",), ()),
    ]
