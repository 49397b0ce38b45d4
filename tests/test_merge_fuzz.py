"""Random merges lose and spoil nothing; `python tests/merge_fuzzer.py` makes thousands.

The judge is tried too: what a careless merge loses or spoils must be found.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from merge_fuzz.edits import applied
from merge_fuzz.generate import CASES, generated, short
from merge_fuzz.judge import Judge
from merge_fuzz.peer import start_directly
from merge_fuzz.reduce import told
from merge_fuzz.scenario import parse
from merge_fuzz.store import Store
from merge_fuzz.story import Bench
from merge_fuzzer import bench
from network import THOROUGH

from git_annex_syncx.system import run

MERGES = 300 * THOROUGH
SEED = 7_000_000


@pytest.fixture(scope="module")
def at() -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch, bench() as made:
        patch.setattr(run, "run", start_directly)
        yield made


@pytest.mark.parametrize("name", CASES)
def test_what_once_went_wrong_is_right(at: Bench, name: str) -> None:
    wrong = told(at, CASES[name])
    assert not wrong, f"{wrong}\n{CASES[name]}"


ABORTING = """
{"seed": 77000235, "wild": true, "nodes": ["a", "b", "c", "d"], "old": [], "alone": []}
["base", ["put", "old.tar", ["submodule", "356a192b7913b04c54574d18c28d46e6395428ab"]]]
["edit", "c", ["move", ["old.tar", "f"]]]
["commit", "c", 1700000240]
["edit", "a", ["put", "old.tar", ["locked", "SHA256E-s12--f9e77fdd0802bef59511bac8b34fa529b0e104f2f6ec90a0a0a09574dd9493e9.dat"]]]
["commit", "a", 1700000600]
["edit", "d", ["put", "f", ["submodule", "91032ad7bbcb6cf72875e8e8207dcfba80173f7c"]]]
["commit", "d", 1700000780]
["merge", "d", ["a", "b"]]
["merge", "c", ["d", "a"]]
"""  # noqa: E501


def test_where_git_aborts_all_is_merged_path_by_path(at: Bench) -> None:
    """Git 2.39 does: merge-ort asserts that a moved submodule meets no other kind of file."""
    assert not told(at, parse(ABORTING.lstrip()))


@pytest.mark.slow
def test_random_merges_are_right(at: Bench) -> None:
    seed = SEED
    while at.counts["merges"] < MERGES:
        scenario, wrong = generated(at, seed)
        assert not wrong, f"{wrong}\n{scenario}"
        seed += 1
    assert at.counts["conflicts"] > MERGES / 10
    assert at.counts["made again elsewhere"] and at.counts["compared with git's"]
    assert at.counts["honest mended"] <= 0.01 * at.counts["honest merges"]


def test_a_scenario_is_read_as_it_was_printed() -> None:
    for scenario in CASES.values():
        assert str(parse(str(scenario))) == str(scenario)


KEYS = [("locked", f"SHA256E-s{n}--{n:064x}.dat") for n in range(4)]
JSON = '{\n  "a": %d,\n  "b": %d\n}\n'
# base, one, two, what a careless merge makes of them: edits of the base each; and what must be found
CARELESS = {
    "1 equal": (["put f A", "put g A"], ["put g B"], ["put g B"], ["put g C"]),
    "2 new": (["put f A"], ["put f B"], ["put f C"], ["put f B"]),
    "2 both": (["put f K1", "put g K1"], ["remove f"], ["remove g"], ["remove f", "remove g"]),
    "4 family": (
        ["put f.variant-1 A", "put f.variant-2 B"], ["remove f.variant-1"], ["remove f.variant-2"],
        ["remove f.variant-1", "remove f.variant-2"],
    ),
    "5 spoiled": (["put f.json J00"], ["put f.json J10"], ["put f.json J20"], ["put f.json J30"]),
    "name form": (["put f K0"], ["put f K1"], ["put f K2"], ["remove f", "put f.variant-1 K1", "put f.variant-2 K2"]),
    "name grows": (["put f K0"], ["put f K1"], ["put f K2"], ["put f K1", "put f.variant-1.variant-2 K2"]),
}  # fmt: skip


def edits(words: list[str]) -> list[tuple]:
    """Edits as `put PATH WHAT`, WHAT being K and a number, J and two digits, or a letter for a text of two lines."""
    made: list[tuple] = []
    for verb, path, *what in (word.split() for word in words):
        if verb == "remove":
            made.append((verb, path))
        elif what[0].startswith("K"):
            made.append((verb, path, KEYS[int(what[0][1:])]))
        elif what[0].startswith("J"):
            made.append((verb, path, ("file", JSON % tuple(map(int, what[0][1:])))))
        else:
            made.append((verb, path, ("file", f"{what[0]}\n{what[0]}2\n")))
    return made


def commit(store: Store, words: list[str], start: dict, parents: list[str]) -> tuple[str, dict]:
    files = start
    for edit in edits(words):
        files = applied(store, files, edit)
    return store.commit(files, parents, 1), files


@pytest.mark.parametrize("rule", CARELESS)
def test_what_a_careless_merge_loses_is_found(at: Bench, rule: str) -> None:
    store, (base, one, two, result) = at.store, CARELESS[rule]
    root, files = commit(store, base, {}, [])
    sides = [commit(store, words, files, [root])[0] for words in (one, two)]
    merge, _ = commit(store, result, files, sorted(sides))
    assert rule in {finding.rule for finding in Judge(store, merge).findings()}


def test_a_merge_that_keeps_all_is_right(at: Bench) -> None:
    wrong = told(at, short([], [("put", "a.txt", ("file", "a\n"))], [("put", "b.txt", ("file", "b\n"))]))
    assert not wrong
