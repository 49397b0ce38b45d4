"""Whatever sleeps, is dead, lies in a drawer or has a wrong log: content that has a way arrives. No git here."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import THOROUGH

from git_annex_syncx.content import patience
from git_annex_syncx.content.patience import HEAVIER, HEAVY, LIGHT, Answers
from git_annex_syncx.content.policy import Policy, Wishes
from git_annex_syncx.content.steps import groups, in_this_round, make_own_steps
from git_annex_syncx.model import Clock, Need
from git_annex_syncx.network.graph import Link, Network, Place, network
from git_annex_syncx.network.weights import arcs

HOUR, DAYS = 3600.0, 30
ALWAYS = frozenset(range(24))
NONE = Wishes({}, {}, {}, {})


def key(n: int) -> str:
    return f"SHA256E-s{1000 * 10**n}--{n}"


@dataclass
class Simulation:
    """Repositories that run once an hour while they are on. The records travel at once, content does not."""

    net: Network
    on: Mapping[str, frozenset[int]]  # hours of the day
    truth: dict[str, set[str]]
    log: dict[str, set[str]]  # what the location logs say
    wishes: Wishes = NONE
    clocks: dict[str, dict[patience.ExecutedArc, Clock]] = field(default_factory=dict)
    missed: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    sent: int = 0

    def policy(self, own: str) -> Policy:
        return Policy(self.net, self.wishes, own, frozenset([own]))

    @property
    def wanting(self) -> set[str]:
        return {place.uuid for place in self.net.places if not (place.relay or place.dead)}

    def arcs_that_work(self) -> set[tuple[str, str]]:
        """Those whose executor is on while the other end is, at some hour."""
        found = set()
        for link in self.net.links:
            if self.on[link.owner] & self.on[link.remote] and not self.net.by_uuid[link.owner].special:
                found |= {(link.owner, link.remote)} if link.push else set()
                found |= {(link.remote, link.owner)} if link.pull else set()
        return found

    def can_arrive(self, name: str) -> set[str]:
        """Where a key can come to; who is said to hold it and does not never gets it."""
        at, tree_arcs = set(self.truth[name]), self.arcs_that_work()
        while more := {b for a, b in tree_arcs if a in at} - at - (self.log[name] - self.truth[name]):
            at |= more
        return at & self.wanting

    def left(self) -> set[tuple[str, str]]:
        return {(name, uuid) for name in self.truth for uuid in self.can_arrive(name) - self.truth[name]}

    def run(self, own: str, now: float) -> None:
        hour, policy = int(now / HOUR) % 24, self.policy(own)
        ends = {link.remote for link in self.net.links if link.owner == own}
        here = frozenset(uuid for uuid in ends if hour in self.on[uuid])
        answers, tried = Answers(here), set()
        clocks, missed = self.clocks.setdefault(own, {}), self.missed.setdefault(own, set())
        while True:
            needs = []
            for name, said in self.log.items():
                holders = frozenset(said - {uuid for k, uuid in missed if k == name})
                if holders and (targets := frozenset(self.wanting - said)):
                    needs.append(Need(name, holders, targets))
            clocks = patience.gone_on(clocks, {need.key: need.holders for need in needs}, HOUR, now)
            planned = list(groups(policy, needs, shut=patience.shut(clocks, own, answers)))
            moved = False
            for group in planned:
                for leg in make_own_steps(patience.executed_steps(group, own), own, through=False):
                    other = leg.target if leg.source == own else leg.source
                    for name in group.keys if other in here else ():
                        if leg.source in self.log[name] and (name, leg) not in tried:
                            tried.add((name, leg))
                            moved = True
                            self.send(own, name, leg.source, leg.target)
            if not moved:
                break
        self.clocks[own] = patience.kept(clocks, planned, policy.arcs, own, answers, now)

    def send(self, own: str, name: str, source: str, target: str) -> None:
        if source not in self.truth[name]:
            self.missed[own].add((name, source))
        elif target not in self.truth[name]:
            self.truth[name].add(target)
            self.log[name].add(target)
            self.sent += 1

    def go_on(self, rng: random.Random, hours: int) -> float:
        """Hours until all has arrived that can."""
        for hour in range(hours):
            if not self.left():
                return hour
            awake = [u for u, on in self.on.items() if hour % 24 in on and not self.net.by_uuid[u].special]
            for own in rng.sample(awake, len(awake)):
                self.run(own, hour * HOUR + rng.random() * HOUR / 2)
        return hours


def random_simulation(rng: random.Random) -> Simulation:
    count = rng.randint(3, 7)
    names = [f"n{n}" for n in range(count)]
    kinds = [rng.choice(["on", "on", "sleeper", "sleeper", "drawer", "dead", "store"]) for _ in names]
    kinds[0] = "on"
    on = {}
    for uuid, kind in zip(names, kinds, strict=True):
        begin, length = rng.randrange(24), {"sleeper": rng.randint(6, 12), "drawer": 1}.get(kind, 24)
        on[uuid] = frozenset() if kind == "dead" else frozenset((begin + n) % 24 for n in range(length))
    places = [
        Place(uuid, special=kind == "store", removable=kind == "drawer", relay=rng.random() < 0.15)
        for uuid, kind in zip(names, kinds, strict=True)
    ]
    executors = [u for u, kind in zip(names, kinds, strict=True) if kind not in ("store", "drawer")]
    links = []
    for owner in executors:
        for remote in names:
            if owner != remote and rng.random() < 0.6:
                way = rng.choice([(True, True), (True, True), (True, False), (False, True)])
                links.append(Link(owner, remote, rng.choice([100.0, 100.0, 200.0, 300.0]), push=way[0], pull=way[1]))
    truth = {key(n): set(rng.sample(names, rng.choice([1, 1, 2]))) for n in range(3)}
    log = {name: set(held) for name, held in truth.items()}
    if rng.random() < 0.4:
        name = key(rng.randrange(3))
        log[name].add(rng.choice(names))
    return Simulation(network(places, links), on, truth, log)


@pytest.mark.parametrize("seed", range(25 * THOROUGH))
def test_everything_that_has_a_way_arrives(seed: int) -> None:
    rng = random.Random(seed)
    simulation = random_simulation(rng)
    simulation.go_on(rng, DAYS * 24)
    assert not simulation.left()


# The parts of it

MESH = network(
    [Place(uuid) for uuid in "abcd"],
    [
        Link("a", "b", 100.0),
        Link("b", "c", 100.0),
        Link("a", "c", 300.0),
        Link("d", "c", 300.0),
        Link("b", "d", 100.0),
    ],
)
ARC = ("b", "c", False)


def planned(
    own: str, clocks: Mapping[patience.ExecutedArc, Clock], here: str = "", away: str = "", holders: str = "ab"
):
    policy = Policy(MESH, NONE, own, frozenset([own]))
    shut = patience.shut(clocks, own, Answers(frozenset(here), frozenset(away)))
    return list(groups(policy, [Need(key(0), frozenset(holders), frozenset("c"))], shut=shut))


def made(own: str, level: int | None, **more: str) -> list[tuple[str, str]]:
    clocks = {} if level is None else {ARC: Clock(0.0, (key(0),), level)}
    return [
        (step.source, step.target)
        for group in planned(own, clocks, **more)
        for step in patience.executed_steps(group, own)
    ]


def test_a_heavier_step_waits_twelve_times_as_long() -> None:
    assert made("b", None) == [("b", "c")]
    assert made("a", None) == made("a", LIGHT) == []
    assert made("a", HEAVY) == [("a", "c")]


def test_an_arc_is_open_while_its_other_end_answers_the_one_that_executes_it() -> None:
    own = {("b", "c", True): Clock(0.0, (), HEAVY)}
    assert patience.shut(own, "b", Answers(frozenset("c"))) == patience.Shut()
    assert patience.shut(own, "b", Answers()).heavy == {("b", "c", True)}
    assert patience.shut({ARC: Clock(0.0, (), LIGHT)}, "a", Answers(frozenset("bc"))).light == {ARC}
    assert ("b", "c", True) in patience.shut({}, "b", Answers(away=frozenset("c"))).heavy


def test_where_nobody_is_waited_for_only_own_arcs_are_open() -> None:
    shut = patience.nobody_waits(MESH, "a", patience.Shut())
    policy = Policy(MESH, NONE, "a", frozenset("a"))
    (group,) = groups(policy, [Need(key(0), frozenset("ab"), frozenset("cd"))], shut=shut)
    assert [(step.source, step.target) for step in patience.executed_steps(group, "a")] == [("a", "c")]


@given(
    st.integers(0, 10**6), st.integers(0, 2), st.lists(st.integers(0, 5), unique=True), st.sets(st.integers(0, 5)),
    st.integers(-(10**5), 10**6),
)  # fmt: skip
def test_a_clock_starts_anew_where_a_key_has_arrived(
    since: int, level: int, watched: list[int], arrived: set[int], later: int
) -> None:
    held = {key(n): frozenset("ac" if n in arrived else "a") for n in range(6)}
    now = since + later
    before = {ARC: Clock(since, tuple(map(key, watched)), level)}
    after = patience.gone_on(before, held, HOUR, now)[ARC]
    assert after.level >= level and set(after.keys) == {key(n) for n in watched if n not in arrived}
    if level == HEAVY:
        assert after.since == since
    elif set(watched) & arrived or later < 0:
        assert (after.since, after.level) == (now, level)
    else:
        assert after.since == since
        assert after.level == max(level, (later >= HOUR) + (later >= HEAVIER * HOUR))
    assert patience.gone_on({ARC: after}, held, HOUR, now)[ARC] == after, "looked at twice it is the same"


def test_a_shut_arc_opens_when_its_target_lacks_nothing() -> None:
    """What it lacks and can never get keeps nothing shut."""
    clocks = {ARC: Clock(0.0, (key(0),), HEAVY)}
    waiting = planned("a", clocks)
    assert ARC in patience.kept(clocks, waiting, arcs(MESH), "a", Answers(), 9e9)
    assert patience.kept(clocks, [], arcs(MESH), "a", Answers(), 9e9) == {}
    assert patience.kept(clocks, planned("a", {}, holders="x"), arcs(MESH), "a", Answers(), 9e9) == {}


def test_a_wait_begins_where_the_source_holds() -> None:
    """b has it not yet: only a to b waits, whoever is to do it, and its smallest keys are watched."""
    found = patience.kept({}, planned("d", {}, holders="a"), arcs(MESH), "d", Answers(), 7.0)
    assert found == {("a", "c", False): Clock(7.0, (key(0),))}, found


def test_of_archives_the_one_that_content_can_come_to() -> None:
    """X comes first by its uuid, but nothing leads there; b was waited for; c is left."""
    archives = {uuid: {"archive"} for uuid in "Xbc"}
    wishes = Wishes(dict.fromkeys("Xbc", "standard"), {}, archives, {})
    net = network([Place(uuid) for uuid in "aXbc"], [Link("a", "b", 100.0), Link("a", "c", 100.0)])
    policy = Policy(net, wishes, "a", frozenset("a"))
    assert in_this_round(policy, frozenset("a"), frozenset("Xbc")) == {"b"}
    assert in_this_round(policy, frozenset("a"), frozenset("Xbc"), patience.Shut(late=frozenset("b"))) == {"c"}
