"""What transfers are decided by, without a repository: rates, wishes, logs, keys, answers, the inventory."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from git_annex_syncx import reasons
from git_annex_syncx.annex import location_log
from git_annex_syncx.annex.batch import AnswerState, read_answer
from git_annex_syncx.annex.inventory import Cursor, Inventory
from git_annex_syncx.annex.key import key_size
from git_annex_syncx.annex.location_log import Located
from git_annex_syncx.annex.locations import Name
from git_annex_syncx.content.policy import Wishes
from git_annex_syncx.content.rates import Meter, averaged, differs, is_worth_a_start, rate_at
from git_annex_syncx.content.room import fits, fitting
from git_annex_syncx.content.scheduler import _outcomes
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.model import SYMLINK, Entry, Need, Outcome, Result
from git_annex_syncx.runs.parallel import BUG

TABLE = ((480, 512), (1140, 10_000), (1380, None))


@pytest.mark.parametrize(("minute", "rate"), [(479, None), (480, 512), (1139, 512), (1140, 10_000), (1439, None)])
def test_rate_holds_until_the_next_entry_and_over_midnight(minute: int, rate: int | None) -> None:
    assert rate_at(TABLE, minute) == rate


def test_what_goes_wrong_while_others_are_told_is_an_outcome() -> None:
    for error, what, advice in ((SyncxError("gone", "look"), "gone", "look"), (OSError("odd"), "odd", BUG)):
        told: Future[list[Outcome]] = Future()
        told.set_exception(error)
        (outcome,) = _outcomes(told)
        assert (outcome.event, outcome.result, outcome.reason) == ("push", Result.FAILED, what)
        assert outcome.advice == advice


def test_no_table_is_no_limit() -> None:
    assert rate_at((), 0) is None


def test_a_limit_is_worth_a_new_start_where_it_differs_by_more_than_a_tenth() -> None:
    assert not differs(1000, 1090)
    assert differs(1000, 1200) and differs(None, 5) and not differs(None, None)


def test_a_limit_that_has_grown_is_followed_after_some_time() -> None:
    for limit, wanted in ((None, 5), (1000, 500)):
        assert is_worth_a_start(limit, wanted, 0.0) and is_worth_a_start(limit, wanted, 60.0)
    for limit, wanted in ((5, None), (500, 1000)):
        assert not is_worth_a_start(limit, wanted, 9.9) and is_worth_a_start(limit, wanted, 10.0)
    assert not any(is_worth_a_start(limit, limit, 60.0) for limit in (None, 1000))


def test_averages_decay() -> None:
    assert averaged(None, 10.0) == 10.0 and averaged(10.0, None) == 10.0
    assert averaged(10.0, 20.0) == pytest.approx(13.0)


def test_a_meter_says_nothing_of_little() -> None:
    meter = Meter(bytes=999_999, seconds=10.0)
    assert meter.speed() is None and meter.latency() is None
    meter.arrived(10, 0.05)
    assert meter.latency() == pytest.approx(50.0)


# Wishes


def wishes(expression: str, *groups: str, required: str = "", group_wanted: str = "") -> Wishes:
    return Wishes({"u": expression}, {"u": required}, {"u": groups}, dict.fromkeys(groups, group_wanted))


@pytest.mark.parametrize(
    ("expression", "groups", "group_wanted", "depends"),
    [
        ("include=*.jpg", (), "", False), ("standard", ("client",), "", False), ("standard", ("backup",), "", False),
        ("standard", ("archive",), "", True), ("standard", ("source",), "", True),
        ("include=*.mp3 and not (copies=2)", (), "", True), ("lackingcopies=1", (), "", True),
        ("not inallgroup=backup", (), "", True), ("balanced=nas:2", (), "", True), ("present", (), "", True),
        ("groupwanted", ("mine",), "approxlackingcopies=1", True), ("groupwanted", ("mine",), "include=*", False),
        ("groupwanted", ("mine",), "groupwanted", False), ("include=*copies=2", (), "", False), ("", (), "", False),
    ],
)  # fmt: skip
def test_what_depends_on_copies(expression: str, groups: tuple[str, ...], group_wanted: str, depends: bool) -> None:
    assert wishes(expression, *groups, group_wanted=group_wanted).depends_on_copies("u") is depends


@pytest.mark.parametrize(
    ("expression", "group_wanted", "room", "moves"),
    [
        ("balanced=a:2", "", True, False), ("not (sizebalanced=a)", "", True, False),
        ("copies=a:1", "", False, False),
        ("groupwanted", "fullybalanced=a", True, True), ("fullysizebalanced=a:1", "", True, True),
        ("groupwanted", "groupwanted", False, False), ("include=balanced=*", "", False, False),
    ],
)  # fmt: skip
def test_what_depends_on_room(expression: str, group_wanted: str, room: bool, moves: bool) -> None:
    one = wishes(expression, "a", group_wanted=group_wanted)
    assert (one.depends_on_room("u"), one.rebalances("u")) == (room, moves)
    assert one.depends_on_copies("u") or not room


@given(st.lists(st.tuples(st.integers(0, 50), st.sets(st.sampled_from("abc")))), st.integers(0, 100))
def test_what_is_sent_fits(wanted: list[tuple[int, set[str]]], free: int) -> None:
    """a has some room, b has all that there can be, of c nothing is known."""
    asked = [Need(f"X-s{size}--{n}", frozenset("h"), frozenset(who)) for n, (size, who) in enumerate(wanted)]
    rooms = {"a": free, "b": 50 * len(asked)}
    found, left = fitting(asked, rooms)
    assert sum(key_size(need.key) for need in found if "a" in need.targets) <= free
    before, now = ({need.key: need.targets for need in needs} for needs in (asked, found))
    assert before.keys() == now.keys()
    gone = {key: before[key] - now[key] for key in before if before[key] != now[key]}
    assert {key: need.targets for key, need in left.items()} == gone and set(gone.values()) <= {frozenset("a")}
    smallest = min((key_size(key) for key in gone), default=free)
    assert smallest > free - sum(key_size(need.key) for need in found if "a" in need.targets) or not gone
    again = fitting(asked[::-1], rooms)
    assert (sorted(again[0], key=str), again[1]) == (sorted(found, key=str), left), "in whatever order"
    (fit,) = fits("a", found, left, rooms)
    assert (fit.files, fit.files - fit.fit_files) == (sum("a" in need.targets for need in asked), len(gone))
    assert (fit.free, fit.bytes) == (free, sum(key_size(need.key) for need in asked if "a" in need.targets))


def test_who_says_nothing_wants_all() -> None:
    assert not wishes("").choosy("u") and not wishes("").choosy("other")
    assert wishes("", required="include=*.doc").choosy("u")


# Logs


@pytest.mark.parametrize("lines", ["1s 1 u\nxs 0 u\n", "xs 0 u\n1s 1 u\n", "s 0 u\n1 1 u\n- 0 u\n"])
def test_a_line_with_a_bad_date_counts_for_nothing(lines: str) -> None:
    assert location_log.parser()(lines.encode()) == Located(frozenset("u"), "u", frozenset("u"))


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("10X"), st.sampled_from("abc"))))
def test_the_newest_line_of_each_repository_holds(lines: list[tuple[int, str, str]]) -> None:
    log = "".join(f"{when}.5s {status} {uuid}\n" for when, status, uuid in lines).encode()
    newest: dict[str, tuple[int, str]] = {}
    for when, status, uuid in lines:
        if uuid not in newest or when > newest[uuid][0]:
            newest[uuid] = when, status
    held = {uuid for uuid, (_, status) in newest.items() if status == "1"}
    assert location_log.parser()(log).holders == held


LINE = st.tuples(st.integers(0, 3), st.sampled_from(["", ".5", ".50", ".05", ".4999999999"]), st.sampled_from("10X"))


@given(st.lists(st.tuples(LINE, st.sampled_from("abcd"))), st.sets(st.sampled_from("abcd")), st.booleans())
def test_the_first_holder_has_the_oldest_line(
    lines: list[tuple[tuple[int, str, str], str]], alive: set[str], ended: bool
) -> None:
    newest: dict[str, tuple[Fraction, str]] = {}
    for (second, part, status), uuid in lines:
        when = second + Fraction(part or "0")
        if uuid not in newest or when > newest[uuid][0]:
            newest[uuid] = when, status
    held = sorted((when, uuid) for uuid, (when, status) in newest.items() if status == "1" and uuid in alive)
    log = "".join(f"{second}{part}{'s' * ended} {status} {uuid}\n" for (second, part, status), uuid in lines)
    found = location_log.parser(alive)(log.encode())
    recorded = frozenset(uuid for uuid, (_, status) in newest.items() if status == "1")
    assert found == (frozenset(uuid for _, uuid in held), held[0][1] if held else "", recorded)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("110X"), st.sampled_from("abc")), max_size=3)))
@example([[(0, "1", "b"), (0, "1", "a")]])
def test_logs_that_differ_in_their_times_alone(logs: list[list[tuple[int, str, str]]]) -> None:
    parse = location_log.parser(set("ab"))
    for lines in logs:
        usual, signed = (
            "".join(f"{sign}{1_700_000_000 + when}s {status} {uuid}\n" for when, status, uuid in lines).encode()
            for sign in ("", "+")
        )
        assert parse(usual) == parse(signed), "a sign makes no difference"
        assert parse(usual + b"1700000000s 1\n") == parse(signed), "such a line is none"


def test_times_that_a_float_cannot_tell_apart_are_told_apart() -> None:
    lines = ("1700000000.000000001s 1 a", "1700000000s 1 b", "1700000000.0000000009s 1 c", "9" * 31 + " 1 d")
    assert location_log.parser()("\n".join(lines).encode()) == Located(frozenset("abc"), "b", frozenset("abc"))
    assert location_log.parser(set("ac"))("\n".join(lines).encode()).first == "c"


@given(st.binary())
def test_any_rubbish_is_a_log(log: bytes) -> None:
    location_log.parser()(log)
    location_log._time(log)


# Answers


def test_answers_of_git_annex() -> None:
    moving = {"action": {"command": "copy", "input": ["K"], "key": "K"}, "byte-progress": 7}
    assert (read_answer(json.dumps(moving).encode()).state, read_answer(json.dumps(moving).encode()).bytes) == (
        AnswerState.MOVING, 7,
    )  # fmt: skip
    assert read_answer(b"\n").state is AnswerState.NOTHING
    assert read_answer(b'{"success":true,"input":["K"],"key":"K"}').state is AnswerState.DONE
    failed = {"success": False, "input": ["K"], "error-messages": ["no space", "This could have failed because x"]}
    assert read_answer(json.dumps(failed).encode()).reason == "no space"
    noted = {"success": False, "input": ["K"], "error-messages": [], "note": "to nas...\nunable to check nas"}
    assert read_answer(json.dumps(noted).encode()).reason == "nas cannot be reached"
    busy = {"success": False, "input": ["K"], "error-messages": ["transfer already in progress, or unable to ..."]}
    assert read_answer(json.dumps(busy).encode()).state is AnswerState.CARRIED


@given(st.binary())
def test_any_line_is_an_answer(line: bytes) -> None:
    read_answer(line)


@pytest.mark.parametrize("line", [b"[]", b"7", b'"x"', b"{}", b'{"byte-progress":"x","action":3}', b'{"note":null}'])
def test_lines_of_another_shape_are_answers_too(line: bytes) -> None:
    read_answer(line)


# The inventory


def entry(n: int) -> Entry:
    return Entry(SYMLINK, f"{n:040x}")


def some(inventory: Inventory) -> None:
    names = [(b"a/x", Name("K1", entry(1))), (b"a0", Name("K2", entry(2))), (b"ab/\xff", Name("K1", entry(3)))]
    needs = [
        Need("K1", frozenset("ps"), frozenset("qr"), first="s"),
        Need("K2", frozenset("p"), frozenset(), frozenset("p")),
    ]
    inventory.replace(Cursor("c", "t", "w"), lambda: names, lambda: needs)


def test_reasons_that_differ_in_numbers_are_one() -> None:
    told = [f"no room: {free} bytes for {size}" for free, size in (("2,900", "50,000"), ("800", "0"))]
    assert reasons.kinds([*told, "connection lost"]) == [told[0], "connection lost"]


def test_inventory_keeps_what_was_found(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path / "inventory.sqlite")
    assert inventory.cursor() is None
    some(inventory)
    assert inventory.cursor() == Cursor("c", "t", "w")
    assert {need.key: need.targets for need in inventory.needs()} == {"K1": frozenset("qr"), "K2": frozenset()}
    assert {need.key: need.first for need in inventory.needs()} == {"K1": "s", "K2": ""}
    assert inventory.keys_at(b"a") == {"K1"} and inventory.keys_at(b"a0") == {"K2"}
    assert inventory.keys_at(b"") == {"K1", "K2"} and inventory.keys_at(b"none") == set()
    assert list(inventory.files(["K1", "K3"])["K1"]) == [b"a/x", b"ab/\xff"]
    for _ in range(2):
        inventory.count_drops({("K1", "q"): "pq", ("K1", "p"): "pq"})
        inventory.update(Cursor("c", "t", "w"), {}, ["K1"], [Need("K1", frozenset("p"), frozenset("q"))])
    assert inventory.coming_and_going() == {("K1", "q")}, "p may have been filled by hand"
    inventory.update(Cursor("d", "u", "w"), {b"a0": None, b"new": Name("K1", entry(4))}, ["K2"], [])
    assert {need.key for need in inventory.needs()} == {"K1"}
    assert inventory.keys_of([b"a0", b"new"]) == {"K1"}
    assert inventory.coming_and_going() == set(), "a file with another name may be wanted otherwise"


def test_others_read_and_write_while_a_full_pass_asks(tmp_path: Path) -> None:
    inventory, other = Inventory(tmp_path / "inventory.sqlite"), Inventory(tmp_path / "inventory.sqlite")
    other._timeout = 0.0
    some(inventory)
    names = [(b"%d" % n, Name(f"K{n}", entry(n))) for n in range(30_000)]  # more than SQLite keeps in memory

    def asked() -> list[Need]:
        assert {need.key for need in other.needs()} == {"K1", "K2"} and other.keys_at(b"a0") == {"K2"}
        other.count_drops({("K1", "q"): "pq"})
        return [Need("K7", frozenset("p"), frozenset("q"))]

    inventory.replace(Cursor("d", "t", "w"), lambda: names, asked)
    assert [need.key for need in other.needs()] == ["K7"] and other.keys_at(b"a0") == set()
    assert set(other.files(f"K{n}" for n in range(30_001))) == {name.key for _, name in names}
    assert other._all("SELECT key FROM drops", ()) == [(b"K1",)]


def test_what_depends_on_the_world_is_forgotten_with_it(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path / "inventory.sqlite")
    some(inventory)
    inventory.count_drops({("K1", "q"): "pq"})
    inventory.note_refusals({("K1", "q"): {"p"}})
    some(inventory)
    inventory.count_drops({("K1", "q"): "pq"})
    assert inventory.coming_and_going() and inventory.refusals() == {("K1", "q"): frozenset("p")}
    inventory.replace(Cursor("c", "t", "other"), list, list)
    assert not inventory.coming_and_going() and not inventory.refusals()


@pytest.mark.parametrize("harm", ["DROP TABLE names", "DELETE FROM sets"])
def test_inventory_that_lacks_something_is_begun_anew(tmp_path: Path, harm: str) -> None:
    inventory = Inventory(tmp_path / "inventory.sqlite")
    some(inventory)
    with sqlite3.connect(inventory.path) as db:
        db.execute(harm)
    inventory.needs()
    inventory.keys_at(b"")
    assert inventory.cursor() is None, "the next look is at everything"


@pytest.mark.parametrize("rubbish", [b"", b"rubbish" * 1000])
def test_damaged_inventory_is_begun_anew(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "inventory.sqlite"
    path.write_bytes(rubbish)
    inventory = Inventory(path)
    assert inventory.cursor() is None
    some(inventory)
    assert len(inventory.needs()) == 2
