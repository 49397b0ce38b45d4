"""One scenario told twice, and what came out differently."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from network import Network, Ran

from .judge import Finding, compare, is_silent, left_undone
from .scenario import Scenario
from .state import Judge, Told
from .world import Place, World, restore, saved_copy

ROUNDS = 3  # at most, after everybody is back; none where nothing moves any more
PATIENT = (3.8, 3.8)  # seconds; more rounds of ours after each, where it said that it waits
CAN_BE_LATE = {"missing", "numcopies", "kept", "behind", "export"}

Program = Callable[[World, str], Ran]


def by_git_annex(world: World, name: str) -> Ran:
    return world.places[name].node.annex("sync", "--content", ok=None)


def by_syncx(world: World, name: str) -> Ran:
    return world.places[name].node.syncx("sync", ok=None)


@dataclass
class Verdict:
    """What was found for a scenario; `late` where it took more rounds, for reasons that were said."""

    scenario: Scenario
    findings: list[Finding]
    ga: Told
    ours: Told
    late: bool
    seconds: float

    @property
    def kinds(self) -> set[str]:
        return {finding.kind for finding in self.findings}

    def __str__(self) -> str:
        """The script, what is wrong, and both ends."""
        wrong = "".join(f"  {finding}\n" for finding in self.findings)
        return f"{self.scenario}{wrong}git-annex, {self.ga}ours, {self.ours}"


def differences(scenario: Scenario, root: Path, program: Program = by_syncx, known: Path | None = None) -> Verdict:
    """Tell a scenario with git-annex, then with the other program, in an empty directory.

    `known` is a file that keeps how it ended with git-annex.
    """
    begun = time.monotonic()
    net = Network(root / "net")
    world = World(net, scenario)
    world.set_up()
    if known and known.exists():
        ga = pickle.loads(known.read_bytes())
    else:
        copy, clock = saved_copy(net), net.clock
        ga = Teller(world, by_git_annex).tell()
        restore(net, copy)
        net.clock = clock
        if known:
            known.write_bytes(pickle.dumps(ga))
    teller = Watched(World(net, scenario, world.places), program, ga=ga)
    ours = teller.tell()
    return Verdict(scenario, teller.all_findings(ours), ga, ours, teller.late, time.monotonic() - begun)


@dataclass
class Teller:
    """Plays a story with one of the two programs and keeps what its runs said."""

    world: World
    program: Program
    runs: list[tuple[str, Ran]] = field(default_factory=list)

    def tell(self) -> Told:
        self.world.play(self.sync)
        self.world.bring_back()
        return self.end()

    def end(self) -> Told:
        """Let everything come to rest; how it ended."""
        self.settle(ROUNDS)
        return self.look()

    def sync(self, world: World, name: str) -> Ran:
        self.runs.append((name, ran := self.program(world, name)))
        return ran

    def settle(self, rounds: int) -> None:
        """Rounds of all that are left, until one changes nothing."""
        before = None
        for _ in range(rounds):
            self.world.round(self.sync, tuple(self.world.scenario.syncing))
            if before == (before := fingerprint(self.world)):
                return

    def look(self) -> Told:
        with Judge(self.world) as judge:
            return judge.told(self.runs)


@dataclass
class Watched(Teller):
    """Tells it by ours: looks after each run whether it was silent about what it left undone."""

    ga: Told = field(kw_only=True)
    on_the_way: list[Finding] = field(default_factory=list)
    at_the_end: list[Finding] = field(default_factory=list)
    waits: bool = False  # whether one of the last runs said so
    late: bool = False

    def end(self) -> Told:
        """How it ended; what git-annex, too, leaves in that end is no fault."""
        told = self.rest()
        if any(finding.kind == "kept" for finding in self.at_the_end):
            found = self.at_the_end
            self.world.round(by_git_annex, tuple(self.world.scenario.syncing))
            self.look()
            # Nobody has a way to enough copies to judge the drop by: whoever got the content first keeps it.
            stuck = {finding.about for finding in self.at_the_end if finding.kind == "kept"}
            self.at_the_end = [one for one in found if one.kind != "kept" or one.about not in stuck]
        return told

    def rest(self) -> Told:
        """Go on for as many rounds while anything is wrong; where ours says that it waits, wait too."""
        for _ in range(ROUNDS):
            self.settle(1)
            told = self.look()
            if not self.at_the_end:
                return told
        for pause in PATIENT:
            if not (self.waits and {finding.kind for finding in self.at_the_end} & CAN_BE_LATE):
                break
            time.sleep(pause)
            self.late, self.waits = True, False
            self.settle(2)
            told = self.look()
        return told

    def look(self) -> Told:
        with Judge(self.world) as judge:
            told = judge.told(self.runs)
            self.at_the_end = list(compare(self.ga, told, judge))
        return told

    def sync(self, world: World, name: str) -> Ran:
        ran = super().sync(world, name)
        if self.program is by_git_annex:
            return ran
        which = f"run {len(self.runs)} at {name}"
        if ran.code in (2, 3) or "Traceback" in ran.err:
            self.on_the_way.append(Finding("broken", f"{which}: exit {ran.code}: {ran.err}"))
        elif not is_silent(ran):
            self.waits = True
        elif left := left_undone(world, name):
            self.on_the_way.append(Finding("silent", f"{which} said that nothing is left, but could {left}"))
        return ran

    def all_findings(self, ours: Told) -> list[Finding]:
        return self.at_the_end + self.on_the_way + _exit_codes(self.ga, ours)


def fingerprint(world: World) -> list[object]:
    """All refs and all objects."""
    return [_marks(place) for place in world.places.values()]


def _marks(place: Place) -> object:
    if not place.present or place.kind == "export":
        return sorted(place.node.path.rglob("*"))
    return sorted(place.held()), place.node.git("for-each-ref", ok=None).out if place.git else ""


def _exit_codes(ga: Told, ours: Told) -> list[Finding]:
    """Runs of ours that failed at a repository where git-annex never did."""
    failed = {name for name, ran in ga.runs if ran.code}
    return [
        Finding("failed", f"run {number} at {name}: exit {ran.code}: {_failures(ran)}")
        for number, (name, ran) in enumerate(ours.runs, 1)
        if ran.code == 1 and name not in failed
    ]


def _failures(ran: Ran) -> list[str]:
    failed = [event for event in ran.events if event.get("result") == "failed"]
    return [
        f"{event['event']} {event.get('remote')}: {event.get('error') or event.get('reason')}" for event in failed
    ]
