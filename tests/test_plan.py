"""Plans: equal to trying all trees, the same whatever things are called, and never silly."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import replace

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_annex_syncx.content import patience, planning
from git_annex_syncx.network.graph import Link, Network, Place, network
from git_annex_syncx.network.plan import Plan, Question, plan
from git_annex_syncx.network.weights import RELAY_PENALTY, REMOVABLE_PENALTY, arcs

relaxed = settings(deadline=None, max_examples=150)  # a busy machine is no failure


def ask(net: Network, holders: Iterable[str], targets: Iterable[str], **more) -> Plan:
    return plan(arcs(net), Question(frozenset(holders), frozenset(targets), **more))


def sends(found: Plan) -> list[tuple[str, str]]:
    return [(step.source, step.target) for step in found.steps]


def costs_of(net: Network) -> dict[tuple[str, str], int]:
    """Arc -> thousandths, read from the links without any code of the planner."""
    found: dict[tuple[str, str], int] = {}
    for link in net.links:
        places = net.by_uuid
        if places[link.owner].dead or places[link.remote].dead or places[link.owner].special:
            continue
        for arc, is_open in (((link.owner, link.remote), link.push), ((link.remote, link.owner), link.pull)):
            if is_open:
                cost = round(link.cost * 1000) + REMOVABLE_PENALTY * places[arc[0]].removable
                found[arc] = min(cost, found.get(arc, cost))
    return found


def brute_force(net: Network, holders: set[str], targets: set[str]) -> int | None:
    """The least cost with penalties over all relay sets and all trees, None where a target cannot be reached."""
    costs = costs_of(net)
    relays = {p.uuid for p in net.places if p.relay and not p.dead} - holders - targets
    best = None
    for size in range(len(relays) + 1):
        for used in itertools.combinations(sorted(relays), size):
            nodes = sorted((targets - holders) | set(used))
            choices = [
                [
                    (u, c + RELAY_PENALTY * (v in used))
                    for (u, w), c in costs.items()
                    if w == v and u in {*holders, *nodes}
                ]
                for v in nodes
            ]
            for picked in itertools.product(*choices):
                parent = {v: u for v, (u, _) in zip(nodes, picked, strict=True)}
                cost = sum(c for _, c in picked)
                if (best is None or cost < best) and all(rooted(parent, v, holders) for v in nodes):
                    best = cost
    return best


def rooted(parent: dict[str, str], v: str, holders: set[str]) -> bool:
    for _ in range(len(parent) + 1):
        if v in holders:
            return True
        v = parent[v]
    return False


def check(net: Network, found: Plan) -> None:
    """At most one arc into a node, none into a holder, only real links, in an order that works, no idle relay."""
    costs, have = costs_of(net), set(found.question.holders)
    for step in found.steps:
        assert step.source in have and step.target not in have
        assert (step.source, step.target) in costs
        assert step.executor == (step.source if step.operation == "push" else step.target)
        assert not net.by_uuid[step.executor].special
        have.add(step.target)
    sources = {step.source for step in found.steps}
    for step in found.steps:
        assert step.relay == (step.target not in found.question.targets)
        assert not step.relay or (net.by_uuid[step.target].relay and step.target in sources)
    unreachable = {uuid for uuid, _ in found.unreachable}
    assert found.question.targets <= have | unreachable
    assert not have & unreachable
    assert found.cost == pytest.approx(sum(step.cost for step in found.steps))
    assert found.lower_bound <= found.cost
    assert found.exact == (found.lower_bound == found.cost)


@st.composite
def networks(draw: st.DrawFn, most: int = 6) -> Network:
    count = draw(st.integers(1, most))
    names = [f"u{n}" for n in range(count)]
    flag = st.sampled_from([False, False, False, True])
    places = [Place(u, special=draw(flag), relay=draw(flag), removable=draw(flag), dead=draw(flag)) for u in names]
    pairs = [(a, b) for a in names for b in names if a != b]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=14)) if pairs else []
    cost = st.sampled_from([50.0, 100.0, 175.0, 200.0, 250.0])
    links = [Link(a, b, draw(cost), push=draw(st.booleans()), pull=draw(st.booleans())) for a, b in chosen]
    return network(places, links)


def some(net: Network, data: st.DataObject) -> tuple[frozenset[str], frozenset[str]]:
    uuids = sorted(net.by_uuid)
    holders = data.draw(st.sets(st.sampled_from(uuids), min_size=1, max_size=3))
    return frozenset(holders), frozenset(data.draw(st.sets(st.sampled_from(uuids))))


@pytest.mark.parametrize("seed", range(12))
def test_it_is_equal_to_trying_all_trees_and_relays(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        count = rng.randint(2, 6)
        names = [f"u{n}" for n in range(count)]
        places = [Place(u, relay=rng.random() < 0.4, removable=rng.random() < 0.15) for u in names]
        links = [
            Link(a, b, rng.choice([100.0, 175.0, 200.0]), push=rng.random() < 0.6, pull=rng.random() < 0.3)
            for a in names
            for b in names
            if a != b and rng.random() < 0.4
        ]
        net = network(places, links)
        holders = set(rng.sample(names, rng.randint(1, 2)))
        found = ask(net, holders, [p.uuid for p in places if not p.relay])
        check(net, found)
        reached = set(found.question.targets) - {uuid for uuid, _ in found.unreachable}
        best = brute_force(net, holders, reached)
        assert best is not None and found.exact
        costs = costs_of(net)
        paid = sum(costs[step.source, step.target] + RELAY_PENALTY * step.relay for step in found.steps)
        assert paid == best
        for uuid, _ in found.unreachable:
            assert brute_force(net, holders, {uuid}) is None or net.by_uuid[uuid].dead


@relaxed
@given(networks(), st.data())
def test_a_plan_is_a_tree_of_real_links(net: Network, data: st.DataObject) -> None:
    check(net, ask(net, *some(net, data)))


@relaxed
@given(networks(), st.data())
def test_the_order_of_input_does_not_matter(net: Network, data: st.DataObject) -> None:
    question = some(net, data)
    shuffled = network(data.draw(st.permutations(net.places)), data.draw(st.permutations(net.links)))
    assert shuffled == net
    assert shuffled.digest == net.digest
    assert ask(shuffled, *question) == ask(net, *question)


@relaxed
@given(networks(), st.data())
def test_names_of_nodes_do_not_change_the_cost(net: Network, data: st.DataObject) -> None:
    holders, targets = some(net, data)
    uuids = sorted(net.by_uuid)
    new = dict(zip(uuids, data.draw(st.permutations([f"z{n}" for n in range(len(uuids))])), strict=True))
    renamed = network(
        [replace(p, uuid=new[p.uuid]) for p in net.places],
        [replace(k, owner=new[k.owner], remote=new[k.remote]) for k in net.links],
    )
    one, two = ask(net, holders, targets), ask(renamed, {new[u] for u in holders}, {new[u] for u in targets})
    assert sorted((new[u], reason) for u, reason in one.unreachable) == sorted(two.unreachable)
    assert paid(net, one) == paid(renamed, two)
    assert one.flood_cost == two.flood_cost


def paid(net: Network, found: Plan) -> int:
    costs = costs_of(net)
    return sum(costs[step.source, step.target] + RELAY_PENALTY * step.relay for step in found.steps)


@relaxed
@given(networks(), st.data())
def test_after_a_part_of_the_plan_the_rest_is_still_the_plan(net: Network, data: st.DataObject) -> None:
    holders, targets = some(net, data)
    found = ask(net, holders, targets)
    done = data.draw(st.integers(0, len(found.steps)))
    have = holders | {step.target for step in found.steps[:done]}
    rest = ask(net, have, targets)
    assert set(sends(rest)) == set(sends(found)[done:])


@relaxed
@given(networks(), st.data())
def test_a_link_that_is_not_used_can_go(net: Network, data: st.DataObject) -> None:
    holders, targets = some(net, data)
    found = ask(net, holders, targets)
    used = {(uuid, step.other_end(uuid)) for step in found.steps for uuid in step.executors}
    kept = [link for link in net.links if (link.owner, link.remote) in used]
    assert ask(network(net.places, kept), holders, targets).steps == found.steps


def drawn(net: Network) -> networkx.DiGraph:
    """A graph of the network made without any code of the planner, with nothing in it that need not be."""
    graph = networkx.DiGraph()
    for place in net.places:
        graph.add_node(place.uuid, **{name: True for name in ("relay", "removable", "dead") if getattr(place, name)})
    for link in net.links:
        if not (net.by_uuid[link.owner].dead or net.by_uuid[link.remote].dead):
            for arc, is_open in (((link.owner, link.remote), link.push), ((link.remote, link.owner), link.pull)):
                known = graph.edges.get(arc, {"cost": 1e9})
                pull = arc[0] == link.remote
                if is_open and known["cost"] == link.cost:
                    graph.add_edge(*arc, operation="push", both=True)
                elif is_open and known["cost"] > link.cost:
                    graph.add_edge(*arc, cost=link.cost, operation="pull" if pull else "push", both=False)
    return graph


@relaxed
@given(networks(), st.data())
def test_a_graph_of_networkx_gives_the_same_plan(net: Network, data: st.DataObject) -> None:
    holders, targets = some(net, data)
    executing = network([p for p in net.places if not p.special], net.links)
    graph, made = drawn(executing), arcs(executing)
    question = Question(holders, targets)
    theirs = plan(graph, question)
    ours = plan(made, question)
    assert theirs.steps == ours.steps
    assert (theirs.cost, theirs.flood_cost, theirs.exact) == (ours.cost, ours.flood_cost, ours.exact)
    assert (set(graph), set(graph.edges)) == (set(made), set(made.edges))


@relaxed
@given(networks(), st.data())
def test_a_plan_that_is_carried_out_stays_the_plan(net: Network, data: st.DataObject) -> None:
    """Whoever gets a key becomes a holder, and what is left of the plan is what is planned then."""
    holders, targets = some(net, data)
    first = data.draw(st.sampled_from(sorted(holders)))
    ways, left = arcs(net), ask(net, holders, targets, first=first)
    while left.steps:
        roots = [step for step in left.steps if step.source in left.question.holders]
        done = data.draw(st.sampled_from(roots))
        now = plan(ways, replace(left.question, holders=left.question.holders | {done.target}))
        assert set(sends(now)) == set(sends(left)) - {(done.source, done.target)}
        left = now


@relaxed
@given(networks(), st.data())
def test_no_order_and_no_name_decides(net: Network, data: st.DataObject) -> None:
    """Nodes read the links in any order, and call each other as they like."""
    holders, targets = some(net, data)
    places = [replace(place, name="another") for place in data.draw(st.permutations(net.places))]
    again = network(places, data.draw(st.permutations(net.links)), here="u0")
    assert ask(again, holders, targets).steps == ask(net, holders, targets).steps


def sites(*sizes: int) -> Network:
    """Sites with a mesh at 100 each, and everyone connected with everyone elsewhere at 200."""
    names = [f"{site}{n}" for site, size in zip("abcdef", sizes, strict=False) for n in range(size)]
    pairs = ((u, v) for u in names for v in names if u != v)
    return network(map(Place, names), [Link(u, v, 100.0 if u[0] == v[0] else 200.0) for u, v in pairs])


def depth(found: Plan) -> int:
    level = dict.fromkeys(found.question.holders, 0)
    for step in found.steps:
        level[step.target] = level[step.source] + 1
    return max(level.values())


@pytest.mark.parametrize(("sizes", "deep", "far"), [((30,), 1, 0), ((10, 10, 10), 2, 2), ((1, 8), 2, 1)])
def test_a_shallow_tree_is_taken_among_the_cheapest(sizes: tuple[int, ...], deep: int, far: int) -> None:
    net = sites(*sizes)
    for first in ("a0", max(net.by_uuid)):
        found = ask(net, {first}, set(net.by_uuid) - {first})
        assert depth(found) <= deep
        assert sum(u[0] != v[0] for u, v in sends(found)) == far


def test_noise_does_not_make_a_chain() -> None:
    rng = random.Random(7)
    names = [f"u{n}" for n in range(20)]
    links = [Link(u, v, 100.0, latency_ms=rng.uniform(4, 25)) for u in names for v in names if u != v]
    assert depth(ask(network(map(Place, names), links), {"u3"}, set(names) - {"u3"})) == 1


def test_a_hundred_times_slower_is_no_noise() -> None:
    links = [
        Link("a", "c", 100.0, latency_ms=900.0),
        Link("a", "b", 100.0, latency_ms=5.0),
        Link("b", "c", 100.0, latency_ms=5.0),
    ]
    assert sends(ask(network(map(Place, "abc"), links), {"a"}, {"b", "c"})) == [("a", "b"), ("b", "c")]


def test_what_was_measured_is_not_preferred_to_its_like_that_was_not() -> None:
    """Only arcs that were used are measured: a tree that followed them would be a chain."""
    net = sites(6, 6)
    chain = list(itertools.pairwise(sorted(net.by_uuid)))
    measured = [
        replace(link, bytes_per_second=400e6) if (link.owner, link.remote) in chain else link for link in net.links
    ]
    again = network(net.places, measured)
    asked = Question(frozenset({"a0"}), frozenset(net.by_uuid), bytes=5_000_000)
    assert depth(plan(arcs(again), asked)) == 2
    slow = [replace(link, bytes_per_second=1e3) if link.owner == "a0" else link for link in measured]
    assert depth(plan(arcs(network(net.places, slow)), asked)) > 2, "what is known to be slow is avoided"


def test_both_ends_that_offer_the_lowest_cost_execute_an_arc() -> None:
    costs = {("a", "b"): 100.0, ("b", "a"): 100.0, ("c", "a"): 50.0, ("a", "c"): 175.0, ("d", "a"): 100.0}
    net = network(map(Place, "abcd"), [Link(*ends, cost) for ends, cost in costs.items()])
    steps = {step.target: step for step in ask(net, {"a"}, set("bcd")).steps}
    assert steps["b"].executors == ("a", "b")
    assert (steps["b"].operation, steps["b"].operation_of("b")) == ("push", "pull")
    assert steps["c"].executors == ("c",), "the other end is dearer"
    assert (steps["d"].executors, steps["d"].operation) == (("d",), "pull")


# Plans that a user would find silly


def test_a_neighbour_is_fed_by_a_neighbour_not_by_the_far_server() -> None:
    """All ssh remotes cost 200; what is near is known from the latency."""
    net = network(
        [Place("desk"), Place("nas"), Place("server")],
        [
            Link("desk", "nas", 200.0, latency_ms=10.0),
            Link("desk", "server", 200.0, latency_ms=100.0),
            Link("nas", "server", 200.0, latency_ms=100.0),
        ],
    )
    assert sends(ask(net, {"nas", "server"}, {"desk"})) == [("nas", "desk")]
    assert sends(ask(net, {"server"}, {"desk", "nas"}))[1] in (("nas", "desk"), ("desk", "nas"))


def test_nothing_is_fetched_from_the_cloud_that_the_machine_beside_holds() -> None:
    net = network(
        [Place("laptop"), Place("desk"), Place("s3", special=True)],
        [
            Link("laptop", "s3", 200.0, latency_ms=200.0),
            Link("desk", "s3", 200.0, latency_ms=200.0),
            Link("laptop", "desk", 200.0, latency_ms=10.0),
        ],
    )
    found = ask(net, {"desk", "s3"}, {"laptop"})
    assert sends(found) == [("desk", "laptop")]
    assert found.steps[0].executor == "laptop"


def test_nobody_waits_for_a_drive_in_a_drawer() -> None:
    net = network(
        [Place("laptop"), Place("drive", removable=True), Place("server")],
        [Link("laptop", "drive", 100.0), Link("laptop", "server", 250.0), Link("server", "drive", 50.0)],
    )
    assert sends(ask(net, {"drive", "server"}, {"laptop"})) == [("server", "laptop")]
    assert sends(ask(net, {"laptop"}, {"drive", "server"})) == [("laptop", "server"), ("server", "drive")]
    assert sends(ask(net, {"drive"}, {"server"})) == [("drive", "server")]  # nobody else has it


def test_no_work_is_given_to_a_special_remote() -> None:
    net = network(
        [Place("a"), Place("b"), Place("cloud", special=True, relay=True)],
        [Link("cloud", "b", 1.0), Link("a", "cloud", 200.0), Link("b", "cloud", 200.0)],
    )
    found = ask(net, {"a"}, {"b"})
    assert [(s.source, s.target, s.executor, s.operation, s.relay) for s in found.steps] == [
        ("a", "cloud", "a", "push", True),
        ("cloud", "b", "b", "pull", False),
    ]


def test_content_goes_through_one_uplink_once() -> None:
    net = network(
        [Place(u) for u in ("laptop", "server", "x", "y", "z")],
        [
            Link("laptop", "server", 200.0),
            *(Link("server", u, 100.0) for u in "xyz"),
            *(Link("laptop", u, 250.0) for u in "xyz"),
        ],
    )
    found = ask(net, {"laptop"}, {"server", "x", "y", "z"})
    assert sends(found)[0] == ("laptop", "server")
    assert (found.cost, found.flood_cost) == (500.0, 950.0)


def test_a_relay_that_saves_nothing_is_left_out() -> None:
    net = network(
        [Place("a"), Place("b"), Place("r", relay=True)],
        [Link("a", "r", 100.0), Link("r", "b", 100.0), Link("a", "b", 200.0)],
    )
    assert sends(ask(net, {"a"}, {"b"})) == [("a", "b")]


# Reasons, objectives, times


def test_reasons() -> None:
    net = network(
        [
            Place("a"),
            Place("b"),
            Place("c"),
            Place("d"),
            Place("gone", dead=True),
            Place("e"),
            Place("r", relay=True),
            Place("f"),
        ],
        [
            Link("a", "b", 100.0, push=False),
            Link("a", "c", 100.0),
            Link("c", "d", 100.0),
            Link("a", "gone", 100.0),
            Link("a", "r", 100.0),
            Link("r", "f", 100.0),
        ],
    )
    found = ask(net, {"a"}, {"b", "d", "gone", "e", "f"})
    assert dict(found.unreachable) == {"b": "read-only", "d": "relay-forbidden", "gone": "dead", "e": "no-path"}
    assert sends(found) == [("a", "r"), ("r", "f")]
    without = ask(net, {"a"}, {"f"}, relays=False)
    assert dict(without.unreachable) == {"f": "relay-forbidden"}


@pytest.mark.parametrize(
    "net", [network([], []), network([Place("a")], []), network([Place("a"), Place("b")], [Link("a", "b", 1.0)])]
)
def test_nothing_to_do_is_a_plan(net: Network) -> None:
    uuids = set(net.by_uuid)
    found = ask(net, uuids, uuids)
    assert (found.steps, found.cost, found.exact, found.unreachable) == ((), 0.0, True, ())


def test_a_small_file_does_not_multiply_the_time_of_a_large_one() -> None:
    net = network([Place("a"), Place("b")], [Link("a", "b", 100.0, bytes_per_second=1e7, latency_ms=500.0)])
    small, large = (ask(net, "a", "b", keys=1, bytes=size) for size in (2, 40_000_000))
    groups = [patience.KeyGroup(found, (), found) for found in (small, large)]
    (together,) = planning.together(groups)
    assert (together.question.keys, together.question.bytes) == (2, 40_000_002)
    assert together.steps[0].end == pytest.approx(4.5, rel=0.01)


def test_least_time_can_be_asked_for() -> None:
    net = network(
        [Place("a"), Place("b"), Place("c")],
        [
            Link("a", "b", 50.0, bytes_per_second=1e4, latency_ms=1.0),
            Link("a", "c", 100.0, bytes_per_second=1e7, latency_ms=1.0),
            Link("c", "b", 100.0, bytes_per_second=1e7, latency_ms=1.0),
        ],
    )
    many = {"bytes": 10**7}
    assert ("a", "b") in sends(ask(net, {"a"}, {"b", "c"}, **many))
    quick = ask(net, {"a"}, {"b", "c"}, by_time=True, **many)
    assert sends(quick) == [("a", "c"), ("c", "b")]
    assert [(step.start, step.end) for step in quick.steps] == [(0.0, 1.001), (1.001, 2.002)]
    assert quick.exact and quick.lower_bound == quick.cost == 200.0


def test_no_time_is_told_where_no_speed_is_known() -> None:
    net = network([Place("a"), Place("b")], [Link("a", "b", 100.0, latency_ms=1.0)])
    assert ask(net, {"a"}, {"b"}, bytes=10).steps[0].end is None


def test_two_ways_to_one_place_count_each_in_its_direction() -> None:
    net = network(
        [Place("a"), Place("b")], [Link("a", "b", 100.0, push=False), Link("a", "b", 200.0), Link("a", "b", 300.0)]
    )
    assert ask(net, {"a"}, {"b"}).cost == 200.0
    assert ask(net, {"b"}, {"a"}).cost == 100.0
    assert len(net.links) == 2


def test_without_the_best_way_the_next_one_is_taken() -> None:
    net = network(
        [Place("a"), Place("b"), Place("drive", removable=True), Place("other"), Place("t")],
        [Link("a", "t", 100), Link("t", "b", 50), Link("drive", "t", 10), Link("other", "t", 1)],
    )
    asked = Question(frozenset({"a", "b", "drive"}), frozenset({"t"}))
    shut: list[tuple[str, str, bool]] = []
    for way in (("b", "t"), ("a", "a"), ("drive", "drive")):
        (step,) = plan(arcs(net, shut, "a"), asked).steps
        assert (step.source, step.executor) == way, "source and who executes it"
        shut.append((step.source, step.target, step.executor == "a"))
    assert plan(arcs(net, shut, "a"), asked).unreachable == (("t", "no-path"),)


def test_what_is_left_out_changes_nothing_elsewhere() -> None:
    """Use and level count in the whole network: the others plan with what this one plans without."""
    net = sites(4, 4)
    asked = Question(frozenset({"a0"}), frozenset(net.by_uuid) - {"a0"})
    (far,) = [arc for arc in sends(plan(arcs(net), asked)) if arc[0][0] != arc[1][0]]
    without = [(*arc, True) for arc in ((far[0], far[1]), (far[1], far[0]))]
    before, now = set(sends(plan(arcs(net), asked))), set(sends(plan(arcs(net, without, far[1]), asked)))
    (entry,) = [target for source, target in now - before if source == "a0"]
    assert {target for _, target in before - now} == {far[1], entry}
