"""Maps from files: what real git-annex prints, our own form there and back, and everything that is no map."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import Network as Repositories

from git_annex_syncx.errors import UsageError
from git_annex_syncx.network import dot
from git_annex_syncx.network.drawing import network_dot, plan_dot
from git_annex_syncx.network.graph import Link, Network, Place, as_json, dumps, network
from git_annex_syncx.network.map_reader import MOST, read_map
from git_annex_syncx.network.plan import Question, plan
from git_annex_syncx.network.weights import arcs

MAPS = Path(__file__).parent / "maps"


def named_links(net: Network) -> set[tuple[str, str, float]]:
    return {(net.name(link.owner), net.name(link.remote), link.cost) for link in net.links}


def test_the_json_of_real_git_annex() -> None:
    """Made by `git annex map --json` of version 10.20261026 in a network with a dead host and a missing drive."""
    net = read_map((MAPS / "annex-10.20261026.json").read_bytes(), "map")
    desk = 'the "big" \\ desk\\top [x]; ünï'
    assert named_links(net) == {
        ("nas", "laptop", 100.0),
        ("server", "laptop", 100.0),
        (desk, "laptop", 100.0),
        (desk, "nas", 100.0),
        ("laptop", desk, 100.0),
        ("laptop", "server", 100.0),
        ("laptop", "usb", 100.0),
        ("laptop", "away", 200.0),
    }


@pytest.mark.parametrize(("version", "usb"), [("10.20261026", "usb"), ("10.20230126", "unknown")])
def test_the_dot_of_real_git_annex(version: str, usb: str) -> None:
    net = read_map((MAPS / f"annex-{version}.dot").read_bytes(), "map")
    desk = "the big \\ desk\\top [x]; ünï"  # git-annex drops the quotes
    assert {place.name for place in net.places} == {"laptop", "nas", "server", desk, usb, "away", "store"}
    assert named_links(net) >= {("laptop", desk, 100.0), ("laptop", "away", 200.0), ("laptop", usb, 100.0)}
    assert len(net.links) == 8


def test_ssh_remotes_without_a_uuid_are_joined_by_url() -> None:
    raw = {
        "nodes": [
            {
                "description": "a",
                "uuid": "A",
                "url": "/a",
                "remotes": [{"remote": "b", "url": "ssh://h/b", "uuid": None}],
            },
            {
                "description": "b",
                "uuid": "B",
                "url": "ssh://h/b",
                "remotes": [{"remote": "c", "url": "ssh://h/c", "uuid": "C"}],
            },
        ]
    }
    net = read_map(json.dumps(raw).encode(), "map")
    assert {(link.owner, link.remote, link.cost) for link in net.links} == {("A", "B", 200.0), ("B", "C", 100.0)}


def test_our_own_form_there_and_back() -> None:
    net = network(
        [Place("A", "laptop"), Place("B", "nas", relay=True), Place("C", "s3", special=True), Place("D", dead=True)],
        [
            Link("A", "B", 200.0, latency_ms=3.5),
            Link("A", "C", 250.5, pull=False, bytes_per_second=1e6, source="map"),
        ],
        "A",
    )
    assert read_map(dumps(net).encode(), "map") == net
    assert read_map(b"\xef\xbb\xbf" + dumps(net).encode(), "map") == net
    assert set(arcs(net)) == set(net.by_uuid)


def test_what_is_missing_has_defaults() -> None:
    raw = b'{"repositories": [{"uuid": "A"}, {"uuid": "B"}], "links": [{"owner": "A", "remote": "B", "cost": 100}]}'
    net = read_map(raw, "map")
    assert net.links == (Link("A", "B", 100.0),)
    assert net.places == (Place("A"), Place("B"))
    assert as_json(net)["links"][0]["source"] == "config"


def test_the_digest_depends_on_what_plans_depend_on() -> None:
    places, link = [Place("A", "x"), Place("B", "y")], Link("A", "B", 100.0)
    net = network(places, [link], "A")
    assert network([Place("A", "other"), Place("B")], [link], "B").digest == net.digest
    assert network(places, [Link("A", "B", 101.0)], "A").digest != net.digest
    assert network([Place("A"), Place("B", relay=True)], [link], "A").digest != net.digest


def ours(**link: Any) -> bytes:
    value = {"owner": "A", "remote": "B", "cost": 1} | link
    return json.dumps({"repositories": [{"uuid": "A"}, {"uuid": "B"}], "links": [value]}).encode()


BAD = [
    (b"", "the file is empty"),
    (b"\n\n", "the file is empty"),
    (b"hello", "line 1: neither JSON nor a DOT graph"),
    (b"\xff\xfe", "byte 0: is not UTF-8"),
    (b'{"repositories": [}', "line 1 column 19: not JSON"),
    (b"[1, 2]", "the outermost value is no object"),
    (b'{"a": 1}', "neither 'repositories' nor 'nodes'"),
    (b'{"version": 2, "repositories": []}', "version: 2 is unknown"),
    (b'{"version": true, "repositories": []}', "version: true is unknown"),
    (b'{"repositories": {}}', "repositories: is no list"),
    (b'{"repositories": [3]}', "repositories[0]: is no object"),
    (b'{"repositories": [{}]}', "repositories[0]: has no 'uuid'"),
    (b'{"repositories": [{"uuid": 7}]}', "repositories[0].uuid: is no text"),
    (b'{"repositories": [{"uuid": ""}]}', "repositories[0].uuid: is empty"),
    (b'{"repositories": [{"uuid": "A"}, {"uuid": "A"}]}', "repositories[1].uuid: A stands here twice"),
    (b'{"repositories": [{"uuid": "A", "dead": 1}]}', "repositories[0].dead: 1 is neither true nor false"),
    (b'{"here": "Z", "repositories": [{"uuid": "A"}]}', "here: is none of the repositories"),
    (ours(remote="A"), "links[0]: A is linked to itself"),
    (ours(remote="Z"), "links[0].remote: Z is none of the repositories"),
    (ours(owner=None), "links[0].owner: is no text"),
    (ours(cost="100"), 'links[0].cost: "100" is no number'),
    (ours(cost=True), "links[0].cost: true is no number"),
    (ours(cost=None), "links[0].cost: null is no number"),
    (ours(cost=float("nan")), "links[0].cost: NaN is not between"),
    (ours(cost=float("inf")), "links[0].cost: Infinity is not between"),
    (ours(cost=-1), "links[0].cost: -1 is not between"),
    (ours(cost=10**400), "links[0].cost: 1000"),
    (ours().replace(b'"cost": 1', b'"cost": ' + b"9" * 6000), "not JSON"),
    (ours(latency_ms=0), "links[0].latency_ms: 0 is not between"),
    (ours(bytes_per_second=-5), "links[0].bytes_per_second: -5 is not between"),
    (ours(push="yes"), 'links[0].push: "yes" is neither true nor false'),
    (b'{"nodes": [{"description": "x"}]}', "nodes[0]: has neither 'uuid' nor 'url'"),
    (b'{"nodes": [{"uuid": "A", "remotes": [{"remote": "b"}]}]}', "nodes[0].remotes[0]: has neither"),
    (b"digraph { a -> a }", "line 1 column 11: a is linked to itself"),
    (b"digraph {\n a -> b [cost=cheap] }", 'line 2 column 2.cost: "cheap" is no number'),
    (b"digraph { a -> b [cost=nan] }", "line 1 column 11.cost: NaN is not between 0 and"),
    (b"graph { a -- b }", "not a directed graph"),
    (b"digraph { a -- b }", "line 1 column 13: not DOT: -- in a directed graph"),
    (b"digraph { a -> }", "line 1 column 16: not DOT: a name is missing"),
    (b"digraph { a", "line 1 column 12: not DOT: the end is missing"),
    (b'digraph { "a', "line 1 column 11: not DOT"),
    (b"digraph { a } b", "line 1 column 15: not DOT: something follows"),
    (b"digraph { a [b=c", "not DOT: the end is missing"),
]


@pytest.mark.parametrize(("raw", "told"), BAD, ids=[told[:30] for _, told in BAD])
def test_what_is_no_map_is_an_error_with_place_and_reason(raw: bytes, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        read_map(raw, "some.map")
    assert str(caught.value).startswith("some.map: ")


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 10**7,
        b'{"nodes": ' + b"[" * 10**7,
        b'{"a":' * 10**6,
        b"digraph " + b"{" * 10**7,
        b"digraph " + b"{a;" * 10**6,
        b'digraph { "' + b'\\"' * 10**6,
        b"digraph {" + b"/*" * 10**6,
        b"digraph {" + b"a -> b\n" * 200_000 + b"[",
        b"/*" * 10**6,
        b"digraph { a [" + b"a=b " * 10**5 + b"[",
        b" " * 10**7,
        b'{"repositories": [' + b"0," * (MOST + 1) + b"0]}",
    ],
    ids=range(12),
)
def test_megabytes_of_brackets_are_an_error_soon(raw: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(UsageError):
        read_map(raw, "some.map")
    assert time.process_time() - begun < 5


def test_a_graph_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    most, tokens = 20_000, 200_000
    monkeypatch.setattr(dot, "MOST", most)
    monkeypatch.setattr(dot, "MOST_TOKENS", tokens)
    for raw in (b"a->" * most, b"a;b;" * most, b"a [" + b"b=c," * (tokens // 4)):
        with pytest.raises(UsageError, match="more than"):
            read_map(b"digraph map {" + raw + b"a}", "some.map")


def test_names_that_are_no_names_break_nothing() -> None:
    raw = r'{"repositories": [{"uuid": "A", "name": "\ud800\u001b[31m\n\"x\\"}, {"uuid": "\udc80"}]}'
    net = read_map(raw.encode(), "map")
    assert network_dot(net).encode()
    assert read_map(network_dot(net).encode(), "dot").places[0].uuid == "A"


# Pictures

PICTURED = network(
    [Place("A", 'my "laptop"'), Place("B", "nas", relay=True), Place("C", "café"), Place("D", "gone", dead=True)],
    [Link("A", "B", 200.0), Link("B", "C", 100.0, pull=False), Link("A", "C", 350.0)],
    "A",
)


def test_a_picture_has_names_costs_and_marks_the_own_repository() -> None:
    dot = network_dot(PICTURED)
    assert 'label="my \\"laptop\\"\\nyou are here"' in dot
    assert re.search(r'"A" -> "B" \[label="200"', dot)
    assert {(k.owner, k.remote, k.cost) for k in read_map(dot.encode(), "dot").links} == {
        (k.owner, k.remote, k.cost) for k in PICTURED.links
    }


Named = dict[str, tuple[str, bool, bool, bool, bool]]
Linked = tuple[int, int, float, tuple[int, int], float | None, float | None, str]
LETTERS = st.text('aé "\\\n;[', max_size=6)
FIGURES = st.one_of(st.none(), st.floats(1e-3, 1e8))


@given(
    st.dictionaries(LETTERS.filter(bool), st.tuples(LETTERS, *[st.booleans()] * 4), min_size=2, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(0, 1e8),
                       st.sampled_from([(1, 1), (1, 0), (0, 1)]),
                       FIGURES, FIGURES, st.sampled_from(["config", "links-log", "map"])), max_size=5),
    st.booleans(),
)  # fmt: skip
def test_a_network_comes_back_from_its_picture(named: Named, linked: list[Linked], known: bool) -> None:
    uuids = list(named)
    links = [
        Link(uuids[a % len(uuids)], uuids[b % len(uuids)], cost, bool(push), bool(pull), speed, latency, source)
        for a, b, cost, (push, pull), speed, latency, source in linked
    ]
    net = network([Place(uuid, *told) for uuid, told in named.items()], links, uuids[0] if known else None)
    for drawn in (network_dot(net), network_dot(net).replace("digraph", "strict digraph", 1)):
        assert read_map(drawn.encode(), "dot") == net


def test_a_plan_is_drawn_into_the_network() -> None:
    found = plan(arcs(PICTURED), Question(frozenset("A"), frozenset("C")))
    dot = plan_dot(PICTURED, [found])
    assert re.search(r'"A" -> "B" \[label="1\. push 200"', dot)
    assert re.search(r'"B" -> "C" \[label="2\. push 100"', dot)
    assert re.search(r'"A" -> "C" \[label="350".*dashed', dot)


@pytest.mark.slow
def test_a_map_from_a_file_needs_no_repository(net: Repositories, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.map").write_text(dumps(PICTURED))
    node = net.create("any")
    node.path = outside
    ran = node.syncx("plan", "--map", "a.map", "--to", "café")
    (answer,) = ran.events
    assert [(s["from"], s["to"], s["executor"], s["relay"]) for s in answer["plans"][0]["steps"]] == [
        ("A", "B", "A", True),
        ("B", "C", "B", False),
    ]
    for form in (dumps(PICTURED), network_dot(PICTURED)):
        piped = node.run("git-annex-syncx", "plan", "--json", "--to", "C", "--map", "-", stdin=form.encode())
        assert piped.events == [answer]
    assert "passes it on" in node.run("git-annex-syncx", "plan", "--map", "a.map", "--to", "C").out
    (outside / "b.map").write_text('{"repositories": [{"uuid": ""}]}')
    bad = node.syncx("plan", "--map", "b.map", ok=2)
    assert "b.map: repositories[0].uuid: is empty" in bad.err
    assert "Traceback" not in bad.err
    assert "larger than" in node.syncx("plan", "--map", "/dev/zero", ok=2).err


@pytest.mark.parametrize("text", ['{"repositories": []}', '{"repositories": [{"uuid": "A"}]}', "digraph map {\n}\n"])
def test_an_empty_network_has_an_empty_plan(net: Repositories, text: str) -> None:
    node = net.create("any")
    node.write("map", text)
    assert "nothing is to be sent" in node.run("git-annex-syncx", "plan", "--map", "map").out
    assert node.syncx("plan", "--map", "map").events[0]["plans"][0]["steps"] == []


def test_a_picture_without_graphviz_names_the_package(net: Repositories) -> None:
    node = net.create("any")
    drawn = node.run("git-annex-syncx", "map", "--svg", "map.svg", ok=None)
    if shutil.which("dot"):
        assert drawn.code == 0
        assert node.read("map.svg").startswith(b"<svg")
        assert "map.svg is written" not in drawn.err  # nobody sits there
    else:
        assert drawn.code == 2
        assert "graphviz" in drawn.err


def test_places_of_one_name_are_told_apart() -> None:
    net = network([Place("11111111-a", "same"), Place("22222222-b", "same"), Place("33333333-c", "other")], [])
    assert [net.name(place.uuid) for place in net.places] == ["same 11111111", "same 22222222", "other"]
