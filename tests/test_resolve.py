"""The resolver: random trees in memory, and random histories in git's own object database."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network import THOROUGH, Network
from trees import COLLIDING, KEYS, STORE, MemoryTrees, Tree, identities, link, lost_paths, pointer, sound, text, trees

from git_annex_syncx.conflicts.merge_commits import _shown, join
from git_annex_syncx.conflicts.moved_keys import moved_link
from git_annex_syncx.conflicts.placing import PUT_BACK, put_back
from git_annex_syncx.conflicts.resolutions import MESSAGE, Joined, Resolution, message, resolved_in
from git_annex_syncx.conflicts.resolve import resolve
from git_annex_syncx.conflicts.trees import Sides
from git_annex_syncx.conflicts.variant_names import variant_names
from git_annex_syncx.conflicts.verify import verify
from git_annex_syncx.conflicts.versions import is_variant, key_in, lines_in, lines_of_path, serialized, version_of
from git_annex_syncx.git import cat_file, history, objects
from git_annex_syncx.git.git import Repository, open_repository
from git_annex_syncx.model import EXECUTABLE, GITLINK, Entry


def merged(base: Tree, one: Tree, two: Tree, two_is_later: bool = True) -> tuple[Tree, tuple[Resolution, ...]]:
    """The merge path by path, and what it lacks put back."""
    memory = MemoryTrees(STORE, base=base, one=one, two=two)
    changes, conflicts = Sides(memory, ["base"], "one", "two").merge_by_path(memory.diff("one", "two"))
    others = {path: entry for path, entry in {**one, **changes}.items() if entry}
    lines = {conflict.path: lines_of_path(conflict.path, ()) for conflict in conflicts}
    resolved = resolve(conflicts, others, STORE, lines, two_is_later)
    result = {p: e for p, e in {**others, **resolved.changes}.items() if e}
    memory.trees["result"] = result
    verdict = verify(memory, ["base"], ("one", "two"), "result", lambda paths: ())
    added, told = put_back(verdict.missing, result, STORE)
    return result | added, (*resolved.resolutions, *told)


TRIPLE = trees().flatmap(lambda base: st.tuples(st.just(base), trees(base), trees(base)))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TRIPLE)
def test_symmetric_sound_and_nothing_lost(triple):
    base, one, two = triple
    result, resolutions = merged(base, one, two)
    assert (result, resolutions) == merged(base, two, one, two_is_later=False)
    assert sound(result)
    memory = MemoryTrees(STORE, base=base, one=one, two=two, result=result)
    assert not lost_paths(memory, ["base"], "one", "two", "result")
    for side in (one, two):
        assert identities(side) - identities(base) - texts(side) <= identities(result)
    for resolution in resolutions:
        assert resolution.became, resolution
        assert all(path in result or any(p.startswith(path + b"/") for p in result) for path in resolution.became)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TRIPLE)
def test_merging_a_side_again_changes_nothing(triple):
    base, one, two = triple
    result, _ = merged(base, one, two)
    for side in (one, two):
        again, resolutions = merged(side, result, side)
        assert again == result
        assert not resolutions
    assert merged(base, result, result) == (result, ())


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TRIPLE, st.lists(st.sampled_from([0, 1]), min_size=1, max_size=4))
def test_variants_of_variants_do_not_grow(triple, turns):
    """Sides merged again and again as if they had no common history: the worst that can happen to names."""
    base, one, two = triple
    result, _ = merged(base, one, two)
    for turn in turns:
        before = result
        result, _ = merged({}, result, (one, two)[turn])
        assert sound(result)
        assert all(path.rpartition(b"/")[2].count(b".variant-") <= 1 for path in result)
        assert identities(before) - texts(before) <= identities(result)


def texts(tree: Tree) -> set[bytes]:
    """What a union may replace."""
    return {b"100000 " + e.oid.encode() for e in tree.values() if b"\0" not in STORE.blobs.get(e.oid, b"\0")} | {
        i for i in identities(tree) if i.startswith(b"160000 ")
    }


# Each row


def both(base: Entry | None, one: Entry | None, two: Entry | None, path: bytes = b"f.txt") -> Tree:
    sides = [{path: entry} if entry else {} for entry in (base, one, two)]
    assert merged(*sides) == merged(sides[0], sides[2], sides[1], two_is_later=False)
    return merged(*sides)[0]


def test_texts_are_united():
    result = both(text(b"1\n"), text(b"2\n"), text(b"3\n"))
    assert lines_in(STORE.blobs[result[b"f.txt"].oid]) == {b"2", b"3"}


@pytest.mark.parametrize(
    "one", [text(b"1\n"), text(b"\0"), Entry(0o120000, STORE.add(b"to"))], ids=["text", "binary", "symlink"]
)
@pytest.mark.parametrize("base", [None, text(b"0\n")])
def test_of_other_kinds_the_later_keeps_the_name(one, base):
    two = text(b"\0\0")
    assert both(base, one, two) == {b"f.txt": two, variant(b"f", b".txt", one): one}
    assert both(base, two, one) == {b"f.txt": one, variant(b"f", b".txt", two): two}


def variant(stem: bytes, ending: bytes, entry: Entry) -> bytes:
    """The name that a plain version gets as a variant."""
    return stem + b".variant-" + hashlib.md5(entry.oid.encode()).hexdigest()[:4].encode() + ending


@pytest.mark.parametrize("name", [b"a.py", b"a.json", b"a.xml", b"d/a.TXT.yml"])
def test_what_a_union_would_break_is_not_united(name):
    base, one, two = (text(content) for content in (b"1\n2\n3\n", b"1\ntwo\n3\n", b"1\nzwei\n3\n"))
    stem, ending = os.path.splitext(name)
    assert both(base, one, two, name) == {name: two, variant(stem, ending, one): one}
    clean = both(base, text(b"0\n1\n2\n3\n"), text(b"1\n2\n3\n4\n"), name)
    assert clean == {name: text(b"0\n1\n2\n3\n4\n")}


@pytest.mark.parametrize("name", [b"a.md", b"LICENSE", b".gitignore", b"d/a.CSV", b"a.variant-1234.txt"])
def test_prose_and_lists_are_united(name):
    result = both(text(b"1\n"), text(b"2\n"), text(b"3\n"), name)
    assert lines_in(STORE.blobs[result.pop(name).oid]) == {b"2", b"3"}
    assert not result


@pytest.mark.parametrize(
    "content",
    [b"\x85\x02\x0c%d\xff\n", b"-----BEGIN PGP MESSAGE-----\n\n%d\n", b"age-encryption.org/v1\n%d\n", b"\x1b[%dm\n",
     b"version https://git-lfs.github.com/spec/v1\noid sha256:%d\n"],
)  # fmt: skip
def test_small_binaries_and_sealed_texts_are_not_united(content):
    one, two = text(content % 1), text(content % 2)
    assert both(text(content % 0), one, two) == {b"f.txt": two, variant(b"f", b".txt", one): one}


@pytest.mark.parametrize("other", [text(b"1\n"), link(b"f.txt", KEYS[0])], ids=["text", "annexed"])
def test_a_submodule_keeps_its_path(other):
    submodule = Entry(GITLINK, "a" * 40)
    result = both(None, other, submodule)
    assert result.pop(b"f.txt") == submodule
    assert list(result.values()) == [other]


def test_a_directory_makes_way_for_a_submodule():
    submodule, plain, annexed = Entry(GITLINK, "a" * 40), text(b"1\n"), link(b"s/d/y", KEYS[0])
    result, resolutions = merged({}, {b"s": submodule}, {b"s/x": plain, b"s/d/y": annexed})
    tag = hashlib.md5(b"s").hexdigest()[:4].encode()
    assert result == {b"s": submodule, b"s.variant-%s/x" % tag: plain, b"s.variant-%s/d/y" % tag: annexed}
    assert resolutions == (Resolution(b"s", "submodule/directory", (b"s", b"s.variant-%s" % tag)),)
    inner = {b"s": submodule, b"s.variant-%s/d" % tag: submodule, b"s.variant-%s/d/y" % tag: plain}
    deep, _ = merged({}, {b"s": submodule}, {b"s/d": submodule})
    assert deep == {b"s": submodule, b"s.variant-%s/d" % tag: submodule}
    result, _ = merged({}, deep, {b"s/d/y": plain})
    assert result[b"s"] == result[b"s.variant-%s/d" % tag] == submodule
    assert plain in result.values()
    assert set(result) < {*inner, *(path for path in result if b"/d.variant-" in path)}
    taken = {b"s.variant-%s" % tag: annexed}
    result, _ = merged(taken, {b"s": submodule} | taken, {b"s/x": plain} | taken)
    assert result == taken | {b"s": submodule, b"s.variant-%s-1/x" % tag: plain}
    result, _ = merged({}, {b"s": submodule}, {b"s/x": plain, b"s/d/y": annexed})
    # What comes to the directory later goes to the same place, also what is in conflict there.
    again, told = merged({b"s/x": plain}, result, {b"s/x": text(b"2\n"), b"s/z": plain})
    assert PUT_BACK not in {one.kind for one in told}
    assert {path: again[path] for path in result} == result
    assert text(b"2\n") in again.values()
    assert len(again) == len(result) + 2


def test_annexed_files_become_variants_under_the_names_of_git_annex():
    one, two = link(b"f.txt", KEYS[0]), pointer(KEYS[2])
    tag = hashlib.md5(serialized(KEYS[2])).hexdigest()[:4].encode()
    assert both(None, one, two) == {b"f.variant-444f.txt": one, b"f.variant-%s.txt" % tag: two}


def test_keys_that_share_the_four_digits_are_both_there():
    one, two = (link(b"f.txt", key) for key in COLLIDING)
    result = both(None, one, two)
    assert set(result.values()) == {one, two}
    assert sorted(result)[0] == b"f.variant-444f.txt"
    assert identities(result) == set(COLLIDING)


def test_the_same_key_locked_and_unlocked_is_one_unlocked_file():
    locked, unlocked = link(b"f.txt", KEYS[0]), pointer(KEYS[0], EXECUTABLE)
    assert both(None, locked, unlocked) == {b"f.txt": unlocked}
    assert both(None, pointer(KEYS[0]), unlocked) == {b"f.txt": unlocked}


def test_annexed_against_plain_keeps_the_plain_one_under_the_name():
    plain, annexed = text(b"1\n"), link(b"f.txt", KEYS[0])
    assert both(text(b"0"), plain, annexed) == {b"f.txt": plain, b"f.variant-444f.txt": annexed}


def test_changed_against_deleted_keeps_the_changed_one():
    changed = link(b"f.txt", KEYS[0])
    assert both(text(b"0"), changed, None) == {b"f.txt": changed}


def test_a_directory_stays_and_the_file_becomes_a_variant():
    file, inside = text(b"1\n"), text(b"2\n")
    tag = hashlib.md5(file.oid.encode()).hexdigest()[:4].encode()
    result, resolutions = merged({b"d": text(b"0")}, {b"d": file}, {b"d/x": inside})
    assert result == {b"d.variant-" + tag: file, b"d/x": inside}
    assert [r.became for r in resolutions] == [(b"d.variant-" + tag,)]


def test_an_executable_bit_alone_is_set():
    assert both(None, text(b"1\n"), text(b"1\n", EXECUTABLE)) == {b"f.txt": text(b"1\n", EXECUTABLE)}
    assert both(text(b"0\n"), text(b"1\n"), text(b"0\n", EXECUTABLE)) == {b"f.txt": text(b"1\n", EXECUTABLE)}
    replaced = both(text(b"0\n"), link(b"f.txt", KEYS[0]), text(b"0\n", EXECUTABLE))
    assert replaced == {b"f.txt": link(b"f.txt", KEYS[0])}
    binary = both(text(b"\0\n"), text(b"\0\0\n"), text(b"\0\n", EXECUTABLE))
    assert binary == {b"f.txt": text(b"\0\0\n", EXECUTABLE)}


def test_of_two_submodules_the_canonical_one_is_taken_and_reported():
    one, two = (Entry(GITLINK, digit * 40) for digit in "ab")
    result, resolutions = merged({}, {b"s": one}, {b"s": two})
    assert result == {b"s": one}
    assert resolutions == (Resolution(b"s", "submodule", (b"s",), ("a" * 40, "b" * 40)),)
    assert message(resolutions).endswith(f'submodule: "s" {"a" * 40} not {"b" * 40}\n')


def test_a_name_that_holds_a_marker_does_not_grow():
    result = both(
        None, link(b"f.variant-1234.txt", KEYS[0]), link(b"f.variant-1234.txt", KEYS[2]), b"f.variant-1234.txt"
    )
    tag = hashlib.md5(serialized(KEYS[2])).hexdigest()[:4].encode()
    assert sorted(result) == sorted([b"f.variant-444f.txt", b"f.variant-%s.txt" % tag])


# Names


@given(
    st.sampled_from(sorted(set(KEYS))),
    st.binary(min_size=1, max_size=255).filter(lambda n: not set(n) & set(b"/\0") and n not in (b".", b"..")),
)
def test_names_are_variants_that_a_file_system_takes(key, name):
    for path in (name, b"dir/" + name):
        version = version_of(link(path, key), STORE.blobs)
        wanted = variant_names(path, version)
        candidates = [next(wanted) for _ in range(4)]
        assert len(set(candidates)) == 4
        assert all(is_variant(candidate) for candidate in candidates)
        assert all(len(part) <= 255 for candidate in candidates for part in candidate.split(b"/"))


def test_a_long_name_is_cut_between_characters():
    name = "ä".encode() * 126 + b".e"
    short = next(variant_names(name, version_of(text(b"1"), STORE.blobs)))
    assert short.decode().endswith(".e")
    assert len(short) <= 255


def test_a_link_that_moves_to_another_directory_still_leads_there():
    assert moved_link(b"../.git/annex/objects/X/K/K", b"d/.x", b"d.variant-1.x") == b".git/annex/objects/X/K/K"
    assert moved_link(b"../../.git/annex/o/K", b"a/b/x", b"a/c/x") == b"../../.git/annex/o/K"
    assert moved_link(b"../../.git/modules/s/annex/K", b"d/x", b"x") == b"../.git/modules/s/annex/K"


def test_keys_are_recognised_as_git_annex_does():
    assert key_in(b"../.git/annex/objects/aa/bb/SHA256-s1--x/SHA256-s1--x") == b"SHA256-s1--x"
    assert key_in(b"../elsewhere/SHA256-s1--x") == b""
    assert key_in(b"/annex/objects/SHA256-s1--x\n") == b"SHA256-s1--x"
    assert key_in(b"/annex/objects/SHA256-s1--x\n/annex/objects/SHA256-s1--y\n") == b""
    assert key_in(b"/annex/objects/SHA256-s1--x\ntext\n") == b""


def test_first_level_names_are_those_of_git_annex(net: Network):
    """The same conflict in two clones: one resolved by git-annex alone, one by syncx."""
    names = [
        "plain",
        "f.tar.gz",
        ".dotfile",
        ".dot.txt",
        "trail.",
        "d/x.txt",
        "d.e/no",
        "d/.hid",
        "d/e/.hid",
        "s p.txt",
        "ü.txt",
        "we%ird:&.txt",
    ]
    left = net.create("left")
    left.commit()
    right = net.clone(left, "right")
    net.mesh(left, right)
    for node in (left, right):
        for name in names:
            node.write(name, f"{name} {node.name}")
        worm = ["--backend=WORM", "--", "we%ird:&.txt"]
        node.annex("add", "--quiet", "--force-large", *worm)
        node.annex("add", "--quiet", "--force-large", ".")
        node.git("commit", "--quiet", "--message", "add")
    plain = net.clone(left, "plain")
    plain.git("remote", "add", "right", str(right.path))
    plain.git("config", "annex.resolvemerge", "true")
    plain.annex("sync", "--no-content", "--no-push", "right", ok=None)
    left.syncx("pull")
    assert set(plain.files()) == set(left.files())
    assert {p: plain.show(f"HEAD:{p}") for p in plain.files()} == {p: left.show(f"HEAD:{p}") for p in left.files()}


# In git's own object database, renames and several merge bases included


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    root: Path = tmp_path_factory.mktemp("repo")
    subprocess.run(["git", "init", "--quiet", "--bare", str(root)], check=True)
    return open_repository(root)


def commit(repo: Repository, tree: Tree, *commits: str) -> str:
    """A commit of a tree made in memory."""
    contents = [STORE.blobs[entry.oid] for entry in tree.values() if entry.mode != GITLINK]
    objects.write_blobs(repo, contents)
    made = objects.change_tree(repo, objects.empty_tree(repo), dict(tree))
    parents = [word for parent in commits for word in ("-p", parent)]
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "t"), ("EMAIL", "t"), ("DATE", "@1700000000 +0000"))
    }
    done = subprocess.run(
        ["git", "-C", str(repo.git_dir), "commit-tree", *parents, made],
        input=b"",
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], **identity},
    )
    return done.stdout.decode().strip()


def read_tree(repo: Repository, rev: str) -> Tree:
    tree = dict(objects.entries(repo, history.read_commit(repo, rev).tree))
    STORE.blobs |= objects.read_blobs(repo, {e.oid for e in tree.values() if e.mode != GITLINK})
    return tree


def joined(repo: Repository, one: str, two: str) -> str:
    return join(repo, min(one, two), max(one, two), unrelated=True).commit


MARKER = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})", re.MULTILINE)
IN_GIT = settings(
    max_examples=4 * THOROUGH, suppress_health_check=list(HealthCheck), deadline=None, derandomize=THOROUGH == 1
)


def check_merge(repo: Repository, base: Tree, one: Tree, two: Tree, result: Tree) -> None:
    assert sound(result)
    assert not any(MARKER.search(STORE.blobs[e.oid]) for e in result.values() if e.mode != GITLINK)
    memory = MemoryTrees(STORE, base=base, one=one, two=two, result=result)
    assert not lost_paths(memory, ["base"], "one", "two", "result")


@IN_GIT
@given(TRIPLE)
def test_two_commits_become_one_without_loss(repo, triple):
    base, one, two = triple
    root = commit(repo, base)
    ours, theirs = commit(repo, one, root), commit(repo, two, root)
    if ours == theirs:
        return
    merge = joined(repo, ours, theirs)
    check_merge(repo, base, one, two, read_tree(repo, merge))
    parents = history.read_commit(repo, ours).tree, history.read_commit(repo, theirs).tree
    assert joined(repo, theirs, ours) == merge, parents


@pytest.mark.thorough
@IN_GIT
@given(TRIPLE.flatmap(lambda t: st.tuples(st.just(t), trees(t[1]), trees(t[2]))))
def test_criss_cross_histories_lose_nothing(repo, drawn):
    """Two sides that merged each other differently and went on: several merge bases."""
    (base, one, two), one_more, two_more = drawn
    root = commit(repo, base)
    ours, theirs = commit(repo, one, root), commit(repo, two, root)
    crossed = commit(repo, one_more, ours, theirs), commit(repo, two_more, theirs, ours)
    if crossed[0] == crossed[1] or ours == theirs:
        return
    result = read_tree(repo, joined(repo, *crossed))
    assert sound(result)
    assert not any(MARKER.search(STORE.blobs[e.oid]) for e in result.values() if e.mode != GITLINK)
    memory = MemoryTrees(STORE, one=one, two=two, left=one_more, right=two_more, result=result)
    assert not lost_paths(memory, ["one", "two"], "left", "right", "result")


@pytest.mark.thorough
@IN_GIT
@given(TRIPLE, st.data())
def test_a_third_one_in_any_order_loses_nothing(repo, triple, data):
    base, one, two = triple
    three = data.draw(trees(base))
    root = commit(repo, base)
    heads = list(dict.fromkeys(commit(repo, tree, root) for tree in (one, two, three)))
    if len(heads) < 3:
        return
    merge = heads[0]
    for head in heads[1:]:
        merge = joined(repo, merge, head)
    result = read_tree(repo, merge)
    assert sound(result)
    kept = identities(result)
    for side in (one, two, three):
        annexed = {i for i in identities(side) - identities(base) if b"--" in i}
        assert annexed <= kept


def test_a_clean_merge_by_git_that_loses_a_version_is_done_path_by_path(repo):
    """Seen in git 2.39: both orders exit 0, each without one of the versions."""
    key, changed = pointer(KEYS[0]), text(b"text\n")
    root = commit(repo, {b"f": key})
    one = commit(repo, {b"f": changed, b"g": key}, root)
    two = commit(repo, {b"g": key}, root)
    found = join(repo, min(one, two), max(one, two), unrelated=False)
    assert found.fallbacks == 1
    assert set(read_tree(repo, found.commit).values()) == {key, changed}


def test_a_rename_is_followed_into_a_conflict(repo):
    lines = [b"%d\n" % n for n in range(20)]
    root = commit(repo, {b"old": text(b"".join(lines))})
    one = commit(repo, {b"new": text(b"one\n" + b"".join(lines[1:]))}, root)
    two = commit(repo, {b"old": text(b"two\n" + b"".join(lines[1:]))}, root)
    found = join(repo, min(one, two), max(one, two), unrelated=False)
    assert found.fallbacks == 0
    result = read_tree(repo, found.commit)
    assert list(result) == [b"new"]
    assert lines_in(STORE.blobs[result[b"new"].oid]) >= {b"one", b"two", b"19"}


def test_a_file_renamed_to_two_names_stays_under_both(repo):
    lines = b"".join(b"%d\n" % n for n in range(20))
    root = commit(repo, {b"old": text(lines)})
    one, two = (
        commit(repo, {b"left": text(lines + b"l\n")}, root),
        commit(repo, {b"right": text(lines + b"r\n")}, root),
    )
    found = join(repo, min(one, two), max(one, two), unrelated=False)
    assert read_tree(repo, found.commit) == {b"left": text(lines + b"l\n"), b"right": text(lines + b"r\n")}


@pytest.mark.parametrize("attribute", ["syncx=variants", "-merge", "merge=binary", "binary"])
def test_attributes_keep_texts_apart(repo, attribute):
    attributes = text(b"*.ini " + attribute.encode() + b"\n")
    root = commit(repo, {b".gitattributes": attributes, b"a.ini": text(b"1\n2\n3\n4\n5\n"), b"a.txt": text(b"1\n")})
    sides = [
        commit(repo, {b".gitattributes": attributes, b"a.ini": text(ini), b"a.txt": text(side)}, root)
        for ini, side in ((b"one\n2\n3\n4\n5\n", b"2\n"), (b"1\n2\n3\n4\nfive\n", b"3\n"))
    ]
    result = read_tree(repo, joined(repo, *sides))
    assert len([path for path in result if path.startswith(b"a.") and path.endswith(b".ini")]) == 2
    assert lines_in(STORE.blobs[result[b"a.txt"].oid]) == {b"2", b"3"}


def three(repo: Repository, base: Tree, one: Tree, two: Tree) -> tuple[Tree, Joined]:
    """The merge of two commits on one base."""
    root = commit(repo, base)
    found = join(repo, *sorted((commit(repo, one, root), commit(repo, two, root))), unrelated=False)
    return read_tree(repo, found.commit), found


R = [link(b"f", b"SHA256E-s%d--%064d.tar" % (n, n)) for n in range(4)]


def test_a_rotation_of_names_keeps_the_version_in_the_middle(repo):
    base = {b"old.tar": R[0], b"new.tar": R[1]}
    one, two = {b"older.tar": R[0], b"new.tar": R[1]}, {b"older.tar": R[0], b"old.tar": R[1], b"new.tar": R[2]}
    result, found = three(repo, base, one, two)
    assert result == two
    assert found.fallbacks == 1
    swapped = {b"x": R[1], b"d": R[0], b"c": R[0]}
    result, _ = three(repo, {b"x": R[0], b"d": R[1]}, swapped, {b"c": R[0], b"d": R[1]})
    assert set(result.values()) == {R[0], R[1]}


def test_of_two_copies_that_each_side_removed_one_of_one_stays(repo):
    copy = text(b"the same in both\n")
    result, found = three(
        repo, {b"a": copy, b"b": copy, b"c": R[0]}, {b"b": copy, b"c": R[0]}, {b"a": copy, b"c": R[0]}
    )
    assert result == {b"a": copy, b"c": R[0]}
    assert found.resolutions == (Resolution(b"a", "put back", (b"a",)),)
    assert objects_message(repo, found).endswith('\nResolved:\nput back: "a"\n')


def objects_message(repo: Repository, found: Joined) -> str:
    (raw,) = cat_file.read(repo, [found.commit])
    return raw.partition(b"\n\n")[2].decode("ascii")


def test_two_who_keep_different_variants_keep_both(repo):
    base = {b"f.variant-1111.txt": R[0], b"f.variant-2222.txt": R[1], b"x": R[2]}
    one, two = ({path: entry for path, entry in base.items() if b"%d" % n not in path} for n in (1111, 2222))
    assert three(repo, base, one, two)[0] == base
    kept, taken = text(b"1\n"), text(b"2\n")
    base = {b"p.py": kept, b"p.variant-3333.py": taken}
    result, found = three(repo, base, {b"p.py": kept}, {b"p.py": taken})
    assert result == {b"p.py": taken, variant(b"p", b".py", kept): kept}
    assert [one.kind for one in found.resolutions] == ["put back"]
    assert three(repo, base, {b"p.py": kept}, {b"p.py": kept, b"x": kept})[0] == {b"p.py": kept, b"x": kept}
    both = text(b"1\n2\n")
    assert three(repo, base, {b"p.py": kept}, {b"p.py": both})[0] == {b"p.py": both}


def test_who_only_edits_a_variant_has_not_chosen(repo):
    base = {b"f.py": text(b"1\n"), b"f.variant-1111.py": text(b"2\n")}
    chosen, edited = {b"f.py": base[b"f.variant-1111.py"]}, {**base, b"f.variant-1111.py": text(b"2\n3\n")}
    result, _ = three(repo, base, chosen, edited)
    assert result == {b"f.py": text(b"2\n"), b"f.variant-1111.py": text(b"2\n3\n")}


@pytest.mark.parametrize("unlocked", [False, True])
def test_a_change_of_an_annexed_file_follows_to_another_depth(repo, unlocked):
    old, changed = link(b"f", KEYS[0]), pointer(KEYS[2]) if unlocked else link(b"f", KEYS[2])
    result, found = three(repo, {b"f": old}, {b"d/e/f": link(b"d/e/f", KEYS[0])}, {b"f": changed})
    assert result == {b"d/e/f": pointer(KEYS[2]) if unlocked else link(b"d/e/f", KEYS[2])}
    assert not found.resolutions


def test_a_change_is_not_carried_to_a_variant(repo):
    """The name of a variant tells its version; the user's new version stays at the user's name."""
    base, merged = {b"f": R[0]}, {b"f.variant-1111": R[0], b"f.variant-2222": R[1]}
    result, _ = three(repo, base, merged, {b"f": R[2]})
    assert result == merged | {b"f": R[2]}
    deep = {b"d/%s" % path: link(b"d/f", b"SHA256E-s%d--%064d.tar" % (n, n)) for n, path in enumerate(merged)}
    result, _ = three(repo, base, deep, {b"f": R[2]})
    assert result == deep | {b"f": R[2]}


def test_what_one_side_only_unlocked_is_what_the_other_made_of_it(repo):
    locked, unlocked, changed = link(b"f", KEYS[0]), pointer(KEYS[0], EXECUTABLE), link(b"f", KEYS[2])
    assert three(repo, {b"f": locked}, {b"f": unlocked}, {b"f": changed})[0] == {b"f": pointer(KEYS[2], EXECUTABLE)}
    assert three(repo, {b"f": unlocked}, {b"f": locked}, {b"f": pointer(KEYS[2])})[0] == {b"f": pointer(KEYS[2])}


def test_a_settled_variant_does_not_come_back_in_a_criss_cross(repo):
    """Nor is a name left empty because git has carried what was settled there to another one."""
    kept, other = text(b"\0kept"), text(b"\0other")
    left = commit(repo, {b"p.bin": kept, b"p.variant-1111.bin": other})
    right = commit(repo, {b"p.bin": kept})
    heads = (
        commit(repo, {b"p.bin": kept, b"q": other}, left, right),
        commit(repo, {b"p.bin": kept, b"x": kept}, right, left),
    )
    settled = join(repo, *sorted(heads), unrelated=True)
    assert read_tree(repo, settled.commit) == {b"p.bin": kept, b"q": other, b"x": kept}
    base = {b"f.txt": text(b"1\n2\n"), b"f.variant-444f.txt": kept}
    result, _ = three(repo, base, {b"f.txt": kept}, {b"f.variant-444f.txt": kept, b"odd": base[b"f.txt"]})
    assert kept in (result.get(b"f.txt"), result.get(b"f.variant-444f.txt"))


def test_a_plain_link_that_was_moved_leads_where_its_owner_wrote(repo):
    old, new = Entry(0o120000, STORE.add(b"to/1")), Entry(0o120000, STORE.add(b"to/2"))
    result, _ = three(repo, {b"latest": old}, {b"docs/latest": old}, {b"latest": new})
    assert result == {b"docs/latest": new}


@pytest.mark.parametrize("who", [0, 1, 2])
@pytest.mark.parametrize("attribute", ["syncx=variants", "filter=lfs", "-merge"])
def test_an_attribute_counts_where_either_side_has_it(repo, attribute, who):
    rule = {b".gitattributes": text(b"*.csv " + attribute.encode() + b"\n")}
    sides = [{b"a.csv": text(b"%d\n" % n)} | (rule if who in (n, 2) else {}) for n in (0, 1)]
    result, _ = three(repo, {b"a.csv": text(b"base\n")}, *sides)
    assert {result[path] for path in result if path.startswith(b"a.")} == {side[b"a.csv"] for side in sides}
    moved = {b"b.csv": text(b"0\n1\n2\n3\n4\n5\nsix\n")} | (rule if who in (0, 2) else {})
    other = {b"a.csv": text(b"zero\n1\n2\n3\n4\n5\n6\n")} | (rule if who in (1, 2) else {})
    result, _ = three(repo, {b"a.csv": text(b"0\n1\n2\n3\n4\n5\n6\n")}, moved, other)
    assert result == moved | other, "git alone merges the lines at the new name"


def test_the_message_names_what_was_resolved(repo):
    odd = 'ü\n"\\.txt'.encode()
    base, one, two = ({odd: text(side), b"k": R[n], b"calm": R[0]} for n, side in enumerate((b"0\n", b"1\n", b"2\n")))
    _, found = three(repo, base, one, two)
    variants = " ".join(f'"{path.decode()}"' for path in found.resolutions[0].became)
    assert objects_message(repo, found) == (
        MESSAGE + f'\nResolved:\nannexed: "k" -> {variants}\ntext: "\\303\\274\\012\\042\\134.txt"\n'
    )
    assert resolved_in(objects_message(repo, found)) == list(found.resolutions)
    many = [Resolution(b"%04d" % n, "text", (b"%04d" % n,)) for n in range(1500)]
    assert message(many[::-1]).splitlines()[-2:] == ['text: "0999"', "and 500 more"]
    assert message([]) == "Merge two heads\n\nMade by git-annex-syncx from these two commits alone.\n"


@given(
    st.lists(
        st.builds(
            Resolution,
            st.binary(min_size=1, max_size=9),
            st.sampled_from(["text", "text/binary", "put back"]),
            st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=3).map(tuple),
            st.sampled_from([(), ("a" * 40, "b" * 40)]),
        ),
        max_size=4,
    )
)
def test_what_a_message_tells_can_be_read_back(resolutions):
    assert sorted(resolved_in(message(resolutions)), key=repr) == sorted(resolutions, key=repr)


def test_what_others_wrote_into_a_message_is_left_out():
    assert resolved_in('x\n\nResolved:\ntext: "a\\777"\ntext: "b" -> c\nTEXT: "d"\ntext: "e\n\x1b[0m\n') == []
    assert resolved_in('text: "a"\n') == []


@pytest.mark.parametrize(("count", "end"), [(1, "f00"), (10, "f09"), (11, "f09 and 1 more"), (13, "f09 and 3 more")])
def test_of_many_paths_ten_are_named(count: int, end: str) -> None:
    names = [b"f%02d" % number for number in range(count)]
    assert _shown(reversed(names)) == ", ".join(f"f{n:02}" for n in range(min(count, 10)))[:-3] + end


def test_nul_bytes_far_into_a_file_make_it_binary(repo):
    long = b"".join(b"line %d\n" % n for n in range(3000))
    root = commit(repo, {b"f": text(long + b"\0\n")})
    one, two = (
        commit(repo, {b"f": text(b"1\n" + long + b"\0\n")}, root),
        commit(repo, {b"f": text(long + b"\0\n2\n")}, root),
    )
    assert len(read_tree(repo, joined(repo, one, two))) == 2
