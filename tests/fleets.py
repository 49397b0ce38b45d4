"""Simulated fleets: who sends a key to whom and when, by the real planner. No repository, no clock.

Everybody knows all links and the first holder. Who holds the key is told as by `sync`, from remote to remote.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from git_annex_syncx.content import patience
from git_annex_syncx.content.patience import Answers, KeyGroup
from git_annex_syncx.network.graph import Link, Network, Place, network
from git_annex_syncx.network.plan import Plan, Question, Step, plan
from git_annex_syncx.network.weights import Arcs, arcs
from git_annex_syncx.triggers.tasks import LEFT_FOR

SIZE, KEY = 5_000_000, "SHA256E-s5000000--key"
COSTS = (100.0, 150.0, 175.0, 200.0, 250.0)  # as git-annex gives them
NEAR, FAR = (1.0, 50e6), (30.0, 1e6)  # latency in ms, bytes a second
NOISE = 1.5  # links are published anew where they are off by more
HOUR, DAY = 3600.0, 24
TOLD_EVERY = 30  # seconds of a running transfer
LONGEST = 1000  # rounds, or hours: it does not end


@dataclass(frozen=True, eq=False)
class Fleet:
    """Repositories that all want a key, which `first` has. `site` says where each one is."""

    net: Network
    first: str
    site: dict[str, int] = field(default_factory=dict)

    @functools.cached_property
    def ways(self) -> Arcs:
        return arcs(self.net)

    @functools.cached_property
    def remotes(self) -> dict[str, list[str]]:
        """The remotes of each repository that runs syncx."""
        found: dict[str, list[str]] = {}
        for link in self.net.links:
            found.setdefault(link.owner, []).append(link.remote)
        return found

    @functools.cached_property
    def everyone(self) -> frozenset[str]:
        return frozenset(self.net.by_uuid)

    def question(self, holders: frozenset[str]) -> Question:
        return Question(holders, self.everyone, bytes=SIZE, first=self.first)

    @functools.cached_property
    def planned(self) -> Callable[[frozenset[str]], Plan]:
        """The plan for each set of holders, made once."""
        return functools.cache(lambda holders: plan(self.ways, self.question(holders)))

    @property
    def plan(self) -> Plan:
        return self.planned(frozenset([self.first]))

    @property
    def depth(self) -> int:
        """The most steps of the plan from the first holder to anybody."""
        level = {self.first: 0}
        for step in self.plan.steps:
            level[step.target] = level[step.source] + 1
        return max(level.values())

    def own(self, uuid: str, holders: Collection[str]) -> list[Step]:
        """The steps that a repository can make now, as far as it knows who holds the key."""
        steps = self.planned(frozenset(holders)).steps if holders else ()
        return [step for step in steps if uuid in step.executors and step.source in holders]

    def cost(self, moved: Collection[tuple[str, str]]) -> float:
        return sum(self.ways.edges[arc]["cost"] for arc in moved)

    def far(self, moved: Collection[tuple[str, str]]) -> int:
        """How many of these arcs lead from site to site."""
        return sum(self.site[source] != self.site[target] for source, target in moved)


@dataclass
class Course:
    """How the key travelled: over which arcs, in how many rounds, hours or seconds."""

    moved: list[tuple[str, str]] = field(default_factory=list)
    lasted: float = 0


def uuids(rng: random.Random, count: int) -> list[str]:
    return [f"{rng.getrandbits(128):032x}" for _ in range(count)]


def _fleet(names: list[str], first: str, costs: dict[tuple[str, str], float], noisy: random.Random | None) -> Fleet:
    """A fleet from the cost of each link; what costs up to 150 is near, and noisy links are measured as they are."""
    links = []
    for (owner, remote), cost in sorted(costs.items()):
        latency, speed = (each * _noise(noisy) for each in (NEAR if cost <= 150 else FAR))
        links.append(Link(owner, remote, cost, latency_ms=latency, bytes_per_second=speed))
    return Fleet(network(map(Place, names), links), first, {name: n % 3 for n, name in enumerate(names)})


def _noise(rng: random.Random | None) -> float:
    return NOISE ** rng.uniform(-1, 1) if rng else 1.0


def mesh(rng: random.Random, count: int, noisy: random.Random | None = None) -> Fleet:
    """All have all as remotes, at one cost."""
    names = uuids(rng, count)
    return _fleet(names, rng.choice(names), dict.fromkeys(itertools.permutations(names, 2), 100.0), noisy)


def sites(rng: random.Random, count: int, noisy: random.Random | None = None) -> Fleet:
    """Three sites, 100 within and 200 between them; all have all as remotes."""
    names = uuids(rng, count)
    at = {name: n % 3 for n, name in enumerate(names)}
    costs = {(a, b): 100.0 if at[a] == at[b] else 200.0 for a, b in itertools.permutations(names, 2)}
    return _fleet(names, rng.choice(names), costs, noisy)


def star(rng: random.Random, count: int, noisy: random.Random | None = None) -> Fleet:
    """All have only the hub as remote, and the hub executes nothing."""
    hub, *names = uuids(rng, count)
    return _fleet([hub, *names], rng.choice(names), {(name, hub): 200.0 for name in names}, noisy)


def star_behind_line(rng: random.Random, count: int, noisy: random.Random | None = None) -> Fleet:
    """A star of near repositories; who has the key is beyond a line that leads to each of them."""
    hub, first, *names = uuids(rng, count)
    costs = {(name, hub): 100.0 for name in names} | {(first, name): 200.0 for name in (hub, *names)}
    return _fleet([hub, first, *names], first, costs, noisy)


def random_costs(rng: random.Random, count: int, noisy: random.Random | None = None) -> Fleet:
    """All have all as remotes, each at a cost of its own."""
    names = uuids(rng, count)
    costs = {pair: rng.choice(COSTS) for pair in itertools.permutations(names, 2)}
    return _fleet(names, rng.choice(names), costs, noisy)


def two_sites(rng: random.Random, count: int) -> Fleet:
    """Two sites, 100 within and 200 between them; of pairs at different sites a quarter have each other."""
    names = uuids(rng, count)
    at = {name: n % 2 for n, name in enumerate(names)}
    costs = {(a, b): 100.0 for a, b in itertools.permutations(names, 2) if at[a] == at[b]}
    far = [(a, b) for a in names[::2] for b in names[1::2]]
    costs |= {ends: 200.0 for a, b in rng.sample(far, len(far) // 4) for ends in ((a, b), (b, a))}
    return Fleet(_fleet(names, "", costs, None).net, rng.choice(names), at)


def by_cron(fleet: Fleet, rng: random.Random) -> Course:
    """In each round every repository syncs once, in a random order.

    It learns what its remotes know, makes its steps whose source holds the key, and tells its remotes.
    """
    known = {uuid: set() for uuid in fleet.everyone} | {fleet.first: {fleet.first}}
    course, holders = Course(), {fleet.first}
    while holders < fleet.everyone:
        course.lasted += 1
        assert course.lasted < LONGEST
        for own in rng.sample(sorted(fleet.remotes), len(fleet.remotes)):
            mine = known[own].union(*(known[remote] for remote in fleet.remotes[own]))
            while steps := fleet.own(own, mine):
                course.moved += ((step.source, step.target) for step in steps if step.target not in holders)
                mine |= {step.target for step in steps}
                holders |= mine
            for uuid in (own, *fleet.remotes[own]):
                known[uuid] |= mine
    return course


def by_hooks(fleet: Fleet, rng: random.Random) -> Course:
    """A commit at the first holder; who is told by a push runs soon after. Far transfers take long."""
    return _Hooks(fleet, rng).run()


class _Hooks:
    """What happens one after the other: runs, transfers that end, pushes."""

    def __init__(self, fleet: Fleet, rng: random.Random) -> None:
        self.fleet, self.rng, self.course = fleet, rng, Course()
        self.known = {uuid: {fleet.first} & {uuid} for uuid in fleet.everyone}
        self.since: dict[tuple[str, str, str], float] = {}  # who waits for which step since when
        self.under_way = {fleet.first}  # has it, or it is being sent there: the receiver's lock
        self.running: dict[str, bool] = {}  # and whether it was asked for again meanwhile
        self.now, self.events, self.count = 0.0, list[tuple[float, int, Callable[[], None]]](), itertools.count()

    def run(self) -> Course:
        self.later(0, lambda: self.begin(self.fleet.first))
        while self.events:
            self.now, _, event = heapq.heappop(self.events)
            event()
        return self.course

    def later(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + seconds, next(self.count), event))

    def ask(self, own: str, seconds: float) -> None:
        self.later(seconds, lambda: self.begin(own))

    def begin(self, own: str) -> None:
        if own in self.running:
            self.running[own] = True
            return
        self.running[own] = False
        self.tell(own)
        self.look(own, set())

    def look(self, own: str, tried: set[tuple[str, str]]) -> None:
        """Begin all steps that are ours and not left to their first end; look again when they have ended."""
        steps = [step for step in self.fleet.own(own, self.known[own]) if (step.source, step.target) not in tried]
        steps = [step for step in steps if not self.left(own, step)]
        ended = 0.0
        for step in steps:
            tried.add((step.source, step.target))
            ended = max(ended, self.send(own, step))
        for seconds in range(TOLD_EVERY, int(ended), TOLD_EVERY):
            self.later(seconds, lambda: self.tell(own))
        if steps:
            self.later(ended, lambda: self.look(own, tried))
        else:
            self.later(self.rng.uniform(0.1, 1), lambda: self.end(own))

    def left(self, own: str, step: Step) -> bool:
        if own == step.executor:
            return False
        begun = self.since.setdefault((own, step.source, step.target), self.now)
        if self.now - begun < LEFT_FOR and own == step.target:
            self.ask(own, begun + LEFT_FOR - self.now)
        return self.now - begun < LEFT_FOR

    def send(self, own: str, step: Step) -> float:
        """Seconds until the transfer has ended; none where the receiver gets it already."""
        if step.target in self.under_way:
            return 0.1
        self.under_way.add(step.target)
        self.course.moved.append((step.source, step.target))
        far = self.fleet.far([(step.source, step.target)])
        seconds = self.rng.uniform(30, 300) if far else self.rng.uniform(0.2, 3)

        def arrived() -> None:
            self.known[own].add(step.target)  # the other end commits it later, and hears it by the push
            self.course.lasted = self.now

        self.later(seconds, arrived)
        return seconds

    def tell(self, own: str) -> None:
        """Push to the remotes, whose hooks ask them to look where that is news."""
        for remote in self.fleet.remotes[own]:
            if not self.known[own] <= self.known[remote]:
                self.known[remote] |= self.known[own]
                if remote in self.fleet.remotes:
                    self.ask(remote, self.rng.uniform(0.1, 2))

    def end(self, own: str) -> None:
        self.tell(own)
        if self.running.pop(own):
            self.ask(own, 0)


def drawer(rng: random.Random) -> tuple[Fleet, str, list[str]]:
    """Five repositories, and a drive that is a remote of two of them: the fleet, the drive, and those two."""
    drive, *names = uuids(rng, 6)
    costs = dict.fromkeys(itertools.permutations(names, 2), 200.0)
    hosts = rng.sample(names, 2)
    links = [Link(owner, remote, cost) for (owner, remote), cost in costs.items()]
    links += [Link(host, drive, 100.0) for host in hosts]
    places = [Place(drive, removable=True), *map(Place, names)]
    return Fleet(network(places, links), rng.choice(names)), drive, hosts


def by_hours(fleet: Fleet, drive: str, hosts: list[str], rng: random.Random) -> Course:
    """All sync once an hour, in a random order; for one hour a day the drive is plugged in at one of its hosts.

    Everybody waits by clocks of its own, as long as is usual.
    """
    known = {uuid: {fleet.first} & {uuid} for uuid in fleet.everyone}
    clocks: dict[str, patience.Clocks] = {uuid: {} for uuid in fleet.everyone}
    course, begun, seen_at = Course(), rng.randrange(DAY), rng.choice(hosts)
    for hour in range(begun, LONGEST):
        seen = seen_at if hour % DAY == DAY - 1 else ""
        for own in rng.sample(sorted(fleet.remotes), len(fleet.remotes)):
            there = [uuid for uuid in fleet.remotes[own] if uuid != drive or own == seen]
            known[own] = known[own].union(*(known[remote] for remote in there))
            clocks[own] = _turn(fleet, own, known[own], clocks[own], frozenset(there), hour * HOUR, course)
            for remote in there:
                known[remote] |= known[own]
        course.lasted = hour + 1 - begun
        if drive in known[drive]:
            return course
    return course


def _turn(
    fleet: Fleet,
    own: str,
    holders: set[str],
    clocks: patience.Clocks,
    here: frozenset[str],
    now: float,
    course: Course,
) -> patience.Clocks:
    """Make the steps that are ours with what is not shut, and return the clocks afterwards."""
    answers = Answers(here)
    clocks = patience.gone_on(clocks, {KEY: holders}, HOUR, now)
    shut = patience.shut(clocks, own, answers)
    while True:
        question = fleet.question(frozenset(holders))
        found, base = (plan(arcs(fleet.net, left_out, own), question) for left_out in (shut.light, shut.heavy))
        group = KeyGroup(found, (KEY,), base)
        steps = list(_possible(group, own, holders, here)) if holders else []
        if not steps:
            return patience.kept(clocks, [group], fleet.ways, own, answers, now) if holders else {}
        course.moved += ((step.source, step.target) for step in steps)
        holders |= {step.target for step in steps}


def _possible(group: KeyGroup, own: str, holders: set[str], here: frozenset[str]) -> Iterator[Step]:
    for step in patience.executed_steps(group, own):
        if step.source in holders and {step.source, step.target} <= here | {own}:
            yield step
