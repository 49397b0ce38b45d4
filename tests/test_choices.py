"""What a choice between versions changes in a tree: on random trees, and by every name of a version."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import PATHS, STORE, Tree, identities, link, sound, text, trees

from git_annex_syncx.conflicts.choices import Changes, Choice, Conflict, Maker, chosen, within
from git_annex_syncx.conflicts.moved_keys import moved_entry
from git_annex_syncx.conflicts.unsettled import Unseen
from git_annex_syncx.conflicts.variant_names import variant_names
from git_annex_syncx.conflicts.versions import is_variant, key_in, version_of
from git_annex_syncx.errors import UsageError
from git_annex_syncx.model import Entry

AUTHORS = ["Ann", "Bob", "../../x\n\x1b[2J", "", "Zoë Ж", "a" * 300]


@st.composite
def conflicts(draw: st.DrawFn) -> tuple[Tree, Conflict]:
    """A tree, and a conflict of two or three of its versions."""
    tree = draw(trees())
    path = draw(st.sampled_from(PATHS))
    versions = [link(path, b"SHA256E-s1--" + b"0" * 64), text(b"one\n"), text(b"two\n")]
    choices = []
    for entry in draw(st.lists(st.sampled_from(versions), min_size=2, max_size=3, unique=True)):
        stays = not choices and draw(st.booleans()) and sound({**tree, path: entry})
        name = path if stays else next(variant_names(path, version_of(entry, STORE.read([entry.oid]))))
        there = sound({**tree, name: entry}) and draw(st.booleans())
        entry = moved_entry(entry, path, name, STORE) if there else entry
        maker = Maker(
            draw(st.sampled_from(["a", "b"])) * 40, draw(st.sampled_from(AUTHORS)), draw(st.integers(0)), ""
        )
        choices.append(Choice(name if there else path, entry, "", there, "", draw(st.sampled_from([maker, None]))))
        if there:
            tree[name] = entry
    files = tuple(sorted({choice.path for choice in choices if choice.there}))
    return tree, Conflict(Unseen(path, "text", files), tuple(choices))


def applied(tree: Tree, changes: Changes) -> Tree:
    changed: dict[bytes, Entry | None] = {**tree, **changes}
    return {path: entry for path, entry in changed.items() if entry}


def identity(choice: Choice) -> bytes:
    assert choice.entry
    return version_of(choice.entry, STORE.read([choice.entry.oid])).identity


@settings(max_examples=50)
@given(conflicts(), st.data())
def test_who_keeps_one_version_has_it_and_loses_no_other_file(
    pair: tuple[Tree, Conflict], data: st.DataObject
) -> None:
    tree, conflict = pair
    choice = data.draw(st.sampled_from(conflict.choices))
    changes = Changes(tree, STORE)
    changes.keep(conflict, choice)
    result = applied(tree, changes)
    (name,) = (path for path, entry in changes.items() if entry)
    assert sound(result) and not set(conflict.unseen.files) - {name} & result.keys()
    assert identities({name: result[name]}) == {identity(choice)}
    assert {path: entry for path, entry in result.items() if path != name}.items() <= tree.items()
    assert set(tree) - set(result) <= set(conflict.unseen.files)
    if name != conflict.path:  # something else has the name
        assert not sound({**result, conflict.path: result[name]}) or conflict.path in tree


@settings(max_examples=50)
@given(conflicts())
def test_who_keeps_all_has_all_under_names_of_their_own(pair: tuple[Tree, Conflict]) -> None:
    tree, conflict = pair
    changes = Changes(tree, STORE)
    changes.both(conflict)
    result = applied(tree, changes)
    names = changes.named[conflict.path]
    assert sound(result) and len(set(names)) == len(conflict.choices)
    assert identities({name: result[name] for name in names}) == {identity(choice) for choice in conflict.choices}
    assert {path: entry for path, entry in result.items() if path not in names}.items() <= tree.items()
    for name in names:
        assert len(posixpath.basename(name)) <= 255
        assert posixpath.dirname(name) == posixpath.dirname(conflict.path) or not sound(
            {**tree, conflict.path: result[name]}
        )
        assert not is_variant(name) or is_variant(conflict.path)
        assert posixpath.basename(name).decode().isprintable()
        blob = STORE.read([result[name].oid])[result[name].oid]
        assert not key_in(blob) or blob.count(b"../") == name.count(b"/")  # the link leads to the annex


ANN, BOB = (Maker(digit * 40, name, 0, "") for digit, name in (("a", "Ann"), ("b", "Bob")))
ONE = Choice(b"d/f.txt", text(b"1\n"), "ours", True, "", ANN)
TWO = Choice(b"d/f.variant-1234.txt", text(b"2\n"), "theirs", True, "", BOB)
PAIR = Conflict(Unseen(b"d/f.txt", "text", (ONE.path, TWO.path)), (ONE, TWO))


@pytest.mark.parametrize(
    "version", ["theirs", "d/f.variant-1234.txt", "f.variant-1234.txt", "bbbb", "b" * 40, "Bob", "bob"]
)
def test_every_name_of_a_version_means_it(version: str) -> None:
    assert chosen(PAIR, version) is TWO


def test_versions_that_one_commit_has_made_are_named_by_their_files() -> None:
    alike = [Choice(path, text(path), "", True, "", ANN) for path in (b"f.variant-1.txt", b"f.variant-2.txt")]
    both = Conflict(Unseen(b"f.txt", "variants", tuple(one.path for one in alike)), tuple(alike))
    assert [both.name(one) for one in alike] == ["f.variant-1.txt", "f.variant-2.txt"]
    assert [chosen(both, both.name(one)) for one in alike] == alike
    assert [PAIR.name(one) for one in PAIR.choices] == ["ours", "theirs"]


@pytest.mark.parametrize("version", ["", "b", "mine", "f.variant-9999.txt", "g.txt", "\n", "\udcff"])
def test_other_words_mean_none(version: str) -> None:
    with pytest.raises(UsageError, match="means no version") as refused:
        chosen(PAIR, version)
    assert refused.value.advice == "its versions are: ours, theirs"


def test_an_author_of_both_versions_means_none_of_them() -> None:
    both = Conflict(PAIR.unseen, (ONE, Choice(TWO.path, TWO.entry, "theirs", True, "", ANN)))
    with pytest.raises(UsageError, match="more than one version"):
        chosen(both, "Ann")


def kept(conflict: Conflict, choice: Choice | None, **more: Entry) -> dict[bytes, Entry | None]:
    """What keeping one version, or all, changes in a tree of its files and some more."""
    tree = {one.path: one.entry for one in conflict.choices if one.entry and one.there}
    changes = Changes(tree | {path.encode(): entry for path, entry in more.items()}, STORE)
    changes.keep(conflict, choice) if choice else changes.both(conflict)
    return dict(changes)


def test_what_is_kept_has_the_name() -> None:
    assert kept(PAIR, TWO) == {ONE.path: TWO.entry, TWO.path: None}
    assert kept(PAIR, ONE) == {ONE.path: ONE.entry, TWO.path: None}
    assert kept(PAIR, None) == {ONE.path: ONE.entry, TWO.path: None, b"d/f-bob.txt": TWO.entry}


def test_the_newest_of_two_variants_gets_the_name_and_its_link_leads_on() -> None:
    old, new = (
        Choice(
            b"d.variant-%d.x" % n, link(b"d", b"SHA256E-s1--%064d" % n), "", True, "", Maker("a" * 40, "Ann", day, "")
        )
        for n, day in ((1, 0), (2, 86400))
    )
    both = Conflict(Unseen(b"d/.x", "annexed", (old.path, new.path)), (new, old))
    changed = kept(both, None)
    assert changed == {
        old.path: None, new.path: None, b"d/.x": link(b"d/.x", b"SHA256E-s1--%064d" % 2),
        b"d/.x-1970-01-01": link(b"d/.x", b"SHA256E-s1--%064d" % 1),
    }  # fmt: skip


def test_a_file_whose_name_a_directory_has_gets_one_of_its_own() -> None:
    alone = Conflict(Unseen(b"f", "directory", (b"f.variant-1",)), (Choice(b"f.variant-1", text(b"1"), maker=ANN),))
    assert kept(alone, alone.choices[0], **{"f/in": text(b"2")}) == {b"f.variant-1": None, b"f-ann": text(b"1")}


def test_paths_choose_conflicts_at_them_and_below() -> None:
    other = Unseen(b"dd", "text", (b"dd",))
    for paths, found in (
        ([], [PAIR.unseen, other]), ([b""], [PAIR.unseen, other]), ([b"d"], [PAIR.unseen]),
        ([TWO.path], [PAIR.unseen]), ([b"dd", b"d/f.txt"], [PAIR.unseen, other]), ([b"d/f"], []),
    ):  # fmt: skip
        assert within([PAIR.unseen, other], paths) == found
