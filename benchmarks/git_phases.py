"""How fast the git phases are, beside git itself and beside git-annex, over ssh with 100 ms round trip.

Eight bare remotes behind a real sshd, one new commit with an annexed file before every run, no ssh connection
left from the run before. All competitors take turns, so that a busy machine slows all of them.
Exit code 1 where a target is missed. `--save` writes results/git_phases.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from faraway import FarHosts
from sshd import Sshd  # the tests' own

HOSTS = [f"h{number}" for number in range(1, 9)]
DEAD = "dead"
ONE_WAY = 0.05  # seconds
PROGRAMS = Path(sys.executable).parent
RESULTS = Path(__file__).parent / "results" / "git_phases.md"

SYNCX = ("git-annex-syncx",)
BY_GIT = "8 x git push, side by side"
PUSH = "git-annex-syncx push"
ANNEX_PUSH_J8 = "git annex push --no-content -J8"
ANNEX_PUSH = "git annex push --no-content"
SYNC = "git-annex-syncx sync --no-content"
ANNEX_SYNC_J8 = "git annex sync --no-content -J8"
IDLE = "git-annex-syncx push, nothing to do"
VERSION = "git-annex-syncx --version"
SEVEN = "git-annex-syncx push, last of 7 remotes"
SEVEN_AND_DEAD = "git-annex-syncx push, last of 7 remotes, the 8th dead"


@dataclass(frozen=True)
class Run:
    """One measured run: seconds, and the connections that were made."""

    seconds: float
    connections: int


@dataclass(frozen=True)
class Target:
    """`value` of `what` must be at most (or at least) `limit`."""

    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is so."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Bench:
    """A laptop, eight bare remotes, the network between them."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        """Build all of it below `root`."""
        self.root, self.laptop, self.home = root, root / "laptop", root / "home"
        self.runs = 0
        self.home.mkdir()
        (self.home / ".gitconfig").write_text(
            "[user]\n\tname = Bench\n\temail = bench@example.org\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n"
        )
        self.sshd = stack.enter_context(Sshd(root / "sshd", self.home))
        self.far = stack.enter_context(FarHosts(self.sshd.port, len(HOSTS), ONE_WAY))
        self._build()

    def env(self) -> dict[str, str]:
        """An environment with nothing of the user's and a runtime directory of its own."""
        runtime = self.sshd.runtime / str(self.runs)  # sockets need a short path
        runtime.mkdir(mode=0o700, exist_ok=True)
        return {
            "PATH": os.pathsep.join([str(self.sshd.programs), str(PROGRAMS), os.environ["PATH"]]),
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(runtime),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
        }

    def call(self, *words: str, cwd: Path | None = None, ok: tuple[int, ...] = (0,)) -> str:
        """Run a program that is not measured; what it prints."""
        done = subprocess.run(
            words, cwd=cwd or self.laptop, env=self.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode not in ok:
            sys.exit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def measure(self, *commands: tuple[str, ...], ok: tuple[int, ...] = (0,)) -> Run:
        """Time commands that run side by side, until the last has ended, without ssh masters from before."""
        self.runs += 1
        env, before = self.env(), self.far.connections()
        begun = time.perf_counter()
        running = [
            subprocess.Popen(
                words,
                cwd=self.laptop,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for words in commands
        ]
        ended = [(process.communicate()[1], process.returncode) for process in running]
        seconds = time.perf_counter() - begun
        for words, (said, code) in zip(commands, ended, strict=True):
            if code not in ok:
                sys.exit(f"{' '.join(words)}: exit {code}\n{said.decode()}")
        run = Run(seconds, self.far.connections() - before)
        self.end_masters()
        return run

    def measure_arrival(self, command: tuple[str, ...], remotes: list[str]) -> Run:
        """Time until the last of `remotes` is reported by a command that prints JSON events; all must be done."""
        self.runs += 1
        env, before = self.env(), self.far.connections()
        begun, seconds, left, lines = time.perf_counter(), 0.0, set(remotes), []
        with subprocess.Popen(
            command,
            cwd=self.laptop,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.decode())
                event = json.loads(line)
                if event["event"] == "push" and event["remote"] in left and event["result"] == "done":
                    left.remove(event["remote"])
                    seconds = time.perf_counter() - begun
        if left:
            sys.exit(f"{' '.join(command)}: never done: {', '.join(sorted(left))}\n{''.join(lines)}")
        run = Run(seconds, self.far.connections() - before)
        self.end_masters()
        return run

    def end_masters(self) -> None:
        """End the ssh connections that syncx and git-annex keep for the next command."""
        kept = [*self.sshd.runtime.glob("**/*"), *(self.laptop / ".git" / "annex" / "ssh").glob("*")]
        for socket in kept:
            if socket.is_socket():
                self.call("ssh", "-o", f"ControlPath={socket}", "-O", "exit", "none", ok=(0, 255))

    def commit(self) -> None:
        """One new commit with one new annexed file."""
        self.runs += 1
        name = f"file{self.runs}"
        (self.laptop / name).write_text(f"content {self.runs}\n")
        self.call("git-annex", "add", "--quiet", name)
        self.call("git", "commit", "--quiet", "--message", name)

    def require_arrived(self, remotes: list[str]) -> None:
        """Exit where a remote lacks our commit or our git-annex branch: then the time says nothing."""
        for branch in ("main", "git-annex"):
            ours = self.call("git", "rev-parse", branch).strip()
            for name in remotes:
                theirs = self.call(
                    "git", "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}",
                    f"refs/heads/synced/{branch}", cwd=self.root / name,
                )  # fmt: skip
                if ours not in theirs.split():
                    sys.exit(f"{name} did not get {branch}")

    def _build(self) -> None:
        self.laptop.mkdir()
        self.call("git", "init", "--quiet")
        self.call("git-annex", "init", "--quiet", "laptop")
        self.commit()
        for name in HOSTS:
            self.call("git", "clone", "--quiet", "--bare", str(self.laptop), str(self.root / name))
            self.call("git-annex", "init", "--quiet", name, cwd=self.root / name)
            self.call("git", "remote", "add", name, str(self.root / name))
        self.call("git-annex", "sync", "--quiet", "--no-content")  # learns the uuids, joins the git-annex branches
        self.call("git-annex", "sync", "--quiet", "--no-content")
        for name, port in zip(HOSTS, self.far.ports, strict=True):
            self.call("git", "remote", "set-url", name, self.sshd.url(self.root / name, port))
        self.call(*SYNCX, "sync", "--no-content")
        self.end_masters()
        self.require_arrived(HOSTS)


def by_git(bench: Bench) -> Run:
    """What no program that runs git can beat by much: git alone, one process a remote, all at once."""
    return bench.measure(*(("git", "push", "--quiet", name, "main", "git-annex") for name in HOSTS))


def by_one(*words: str) -> Callable[[Bench], Run]:
    """A competitor that is one command."""
    return lambda bench: bench.measure(words)


PUSHES = {
    BY_GIT: by_git,
    PUSH: by_one(*SYNCX, "push"),
    ANNEX_PUSH_J8: by_one("git-annex", "push", "--no-content", "-J8"),
    ANNEX_PUSH: by_one("git-annex", "push", "--no-content"),
}
SYNCS = {
    SYNC: by_one(*SYNCX, "sync", "--no-content"),
    ANNEX_SYNC_J8: by_one("git-annex", "sync", "--no-content", "-J8"),
}
SLOW = (ANNEX_PUSH_J8, ANNEX_PUSH, ANNEX_SYNC_J8)


def run_all(bench: Bench, rounds: int, slow_rounds: int, only: str) -> dict[str, list[Run]]:
    """All runs of all competitors."""
    found: dict[str, list[Run]] = {}
    for name, run in _schedule(bench, rounds, slow_rounds, only):
        found.setdefault(name, []).append(run)
        print(f"{name}: {run.seconds:.2f} s, {run.connections} connections", file=sys.stderr)
    return found


def _schedule(bench: Bench, rounds: int, slow_rounds: int, only: str) -> Iterator[tuple[str, Run]]:
    for competitors in (PUSHES, SYNCS):
        for turn in range(rounds):
            for name, measure in competitors.items():
                if only in name and turn < (slow_rounds if name in SLOW else rounds):
                    bench.commit()
                    yield name, measure(bench)
                    bench.require_arrived(HOSTS)
    bench.measure((*SYNCX, "push"))
    for _ in range(rounds * 2):
        for name, words in ((IDLE, (*SYNCX, "push")), (VERSION, (*SYNCX, "--version"))):
            if only in name:
                yield name, bench.measure(words)
    if only in SEVEN_AND_DEAD:
        yield from _dead_host(bench, rounds)


def _dead_host(bench: Bench, rounds: int) -> Iterator[tuple[str, Run]]:
    """The arrival of seven remotes without and with a dead host beside them."""
    seven = HOSTS[:7]
    bench.call("git", "config", "syncx.connectTimeout", "4s")
    bench.call("git", "remote", "add", DEAD, bench.sshd.url(bench.root / "h8", bench.far.dead_port))
    for _ in range(rounds):
        for name, others in ((SEVEN, ()), (SEVEN_AND_DEAD, (DEAD,))):
            bench.commit()
            yield name, bench.measure_arrival((*SYNCX, "--json", "push", *seven, *others), seven)
            bench.require_arrived(seven)


# What is said of it


def targets(runs: dict[str, list[Run]]) -> list[Target]:
    """The targets about which something was measured."""
    middle = {name: statistics.median(run.seconds for run in found) for name, found in runs.items()}
    judged = [
        ("push, times eight plain git push", PUSH, BY_GIT, 1.3, False),
        ("push, times as fast as git annex push -J8", ANNEX_PUSH_J8, PUSH, 1.4, True),
        ("push, times as fast as git annex push", ANNEX_PUSH, PUSH, 6.0, True),
        ("sync, times as fast as git annex sync -J8", ANNEX_SYNC_J8, SYNC, 4.0, True),
        ("push beside a dead host, times without", SEVEN_AND_DEAD, SEVEN, 1.1, False),
    ]
    found = [
        Target(what, middle[one] / middle[other], limit, at_least)
        for what, one, other, limit, at_least in judged
        if one in middle and other in middle
    ]
    if IDLE in runs:
        found.append(Target("connections of a push with nothing to do", max(r.connections for r in runs[IDLE]), 0))
        found.append(Target("seconds of a push with nothing to do", middle[IDLE], 0.35))
    if VERSION in runs:
        found.append(Target("seconds of --version", middle[VERSION], 0.12))
    return found


def rows(runs: dict[str, list[Run]]) -> list[tuple[str, ...]]:
    """One row a competitor: name, runs, minimum, median and maximum in seconds, connections in a run."""
    shown = []
    for name, found in runs.items():
        seconds = [run.seconds for run in found]
        times = (min(seconds), statistics.median(seconds), max(seconds))
        connections = round(statistics.median(run.connections for run in found))
        shown.append((name, str(len(found)), *(f"{value:.2f}" for value in times), str(connections)))
    return shown


HEADINGS = ("command", "runs", "min s", "median s", "max s", "connections")
JUDGED = ("target", "is", "wanted", "")


def judged_rows(judged: list[Target]) -> list[tuple[str, ...]]:
    """One row a target."""
    return [
        (t.what, f"{t.value:.2f}", f"{'≥' if t.at_least else '≤'} {t.limit:g}", "met" if t.met else "MISSED")
        for t in judged
    ]


def show(headings: tuple[str, ...], table_rows: list[tuple[str, ...]]) -> None:
    """A table on the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings, box=box.SIMPLE_HEAD)
    for row in table_rows:
        table.add_row(*row)
    Console().print(table)


def markdown(headings: tuple[str, ...], table_rows: list[tuple[str, ...]]) -> str:
    """The same table in Markdown."""
    lines = [headings, tuple("---" for _ in headings), *table_rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def save(bench: Bench, runs: dict[str, list[Run]], judged: list[Target], load: float) -> None:
    """Write the results with what they depend on, and nothing that names this machine; `load` is others'."""
    versions = [
        bench.call("git", "version").strip(),
        "git-annex " + bench.call("git-annex", "version", "--raw").strip(),
        bench.call("git-annex-syncx", "--version").strip(),
        subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.partition(",")[0],
        f"Python {platform.python_version()}",
        f"{os.cpu_count()} processors with a load of {load:.1f} by others",
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        "# Git phases\n\nWritten by `benchmarks/git_phases.py --save`; what is measured: [README](../README.md).\n\n"
        f"{', '.join(versions)}. {len(HOSTS)} bare remotes, {2000 * ONE_WAY:g} ms round trip.\n\n"
        f"{markdown(JUDGED, judged_rows(judged))}\n{markdown(HEADINGS, rows(runs))}"
    )


def main() -> int:
    """Measure, show, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/git_phases.md")
    parser.add_argument("--rounds", type=int, default=5, help="runs of the quick ones (default 5)")
    parser.add_argument("--slow-rounds", type=int, default=3, help="runs of git-annex (default 3)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only commands whose name holds TEXT")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="syncx-bench-") as root, ExitStack() as stack:
        load = os.getloadavg()[0]
        bench = Bench(Path(root), stack)
        runs = run_all(bench, options.rounds, options.slow_rounds, options.only)
        judged = targets(runs)
        show(HEADINGS, rows(runs))
        show(JUDGED, judged_rows(judged))
        if options.save:
            save(bench, runs, judged, load)
    return 0 if all(target.met for target in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
