"""Make random merges and judge each: nothing is lost or spoiled, everyone makes the same, and it comes to rest.

`python tests/merge_fuzzer.py --merges 10000 --seed 1 --jobs 2`; a failure is printed as a script for `--script FILE`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from merge_fuzz.generate import CASES, generated
from merge_fuzz.peer import Merged, Peer, odd_peer, old_peer, start_directly
from merge_fuzz.reduce import reduced, told
from merge_fuzz.scenario import Scenario, parse
from merge_fuzz.store import Store
from merge_fuzz.story import Bench, Wrong

import git_annex_syncx
from git_annex_syncx.system import run

MEMORY = Path("/dev/shm")
PROGRAM = Path(git_annex_syncx.__file__).resolve().parent.parent
AT_ONCE = 20  # scenarios in one repository
SPREAD = 1_000_003  # seeds of scenarios of one seed of a run
MOST_REDUCED = 2  # of a kind in a process

_reduced: Counter[str] = Counter()


class Late:
    """A peer that is started when it is first asked."""

    def __init__(self, start: partial[Peer]) -> None:
        self._start, self._peer = start, None

    def merged(self, heads) -> Merged:
        """Let it join heads. Raises Refused."""
        self._peer = self._peer or self._start()
        return self._peer.merged(heads)

    def close(self) -> None:
        """End it."""
        if self._peer:
            self._peer.close()


@dataclass(frozen=True)
class Failure:
    """A scenario that went wrong, as short as it was made."""

    scenario: Scenario
    wrong: str
    rule: str

    def __str__(self) -> str:
        return f"== seed {self.scenario.seed}: {self.wrong}\n{self.scenario}\n"


@contextmanager
def bench(other: Path | None = None, ignored: Iterable[str] = ()) -> Iterator[Bench]:
    """A repository in memory, with all that merges in it. `other` is the code of another version."""
    root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None, prefix="merge-fuzz-"))
    store = Store(root / "repo.git")
    odd = Late(partial(odd_peer, root / "odd.git", store.git_dir, PROGRAM))
    old = Late(partial(old_peer, store.git_dir, other)) if other else None
    try:
        yield Bench(store, odd, old, ignored=frozenset(ignored))
    finally:
        for each in (odd, old, store):
            if each:
                each.close()
        shutil.rmtree(root)


def tell_some(seeds: range, other: Path | None, options: argparse.Namespace) -> tuple[Counter[str], list[Failure]]:
    """Tell a scenario for each seed, in a repository of their own; what was counted, and what went wrong."""
    run.run = start_directly
    failures = []
    with bench(other, options.ignore) as at:
        for seed in seeds:
            scenario, wrong = generated(at, seed, mixed=other is not None)
            at.counts["scenarios"] += 1
            if wrong:
                failures.append(failure(at, scenario, wrong, options.reduce))
        return at.counts, failures


def failure(at: Bench, scenario: Scenario, wrong: Wrong, shorten: bool) -> Failure:
    """What to say of a scenario that went wrong."""
    rule, counted = wrong.finding.rule, Counter(at.counts)
    _reduced[rule] += 1
    if shorten and _reduced[rule] <= MOST_REDUCED:
        at.often = 1.0 if rule in ("pure", "git") else 0.0
        scenario, wrong = reduced(at, scenario, wrong)
        at.often, at.counts = Bench.often, counted
    return Failure(scenario, str(wrong), rule)


def results(options: argparse.Namespace, other: Path | None) -> Iterator[tuple[Counter[str], list[Failure]]]:
    """Tell scenarios without end."""
    starts = (range(number, number + AT_ONCE) for number in count(options.seed * SPREAD, AT_ONCE))
    if options.jobs == 1:
        yield from (tell_some(seeds, other, options) for seeds in starts)
        return
    with ProcessPoolExecutor(options.jobs) as pool:
        running = {pool.submit(tell_some, next(starts), other, options) for _ in range(options.jobs)}
        try:
            while True:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(tell_some, next(starts), other, options) for _ in done}
                yield from (one.result() for one in done)
        finally:
            pool.shutdown(cancel_futures=True)


def main() -> int:
    options = _options()
    with code(options.old) as other:
        if options.script or options.case or options.scenario is not None:
            return _one(options, other)
        return _many(options, other)


def _many(options: argparse.Namespace, other: Path | None) -> int:
    begun, counts, rules = time.monotonic(), Counter[str](), Counter[str]()
    for counted, failures in results(options, other):
        counts.update(counted)
        for each in failures:
            rules[each.rule] += 1
            print(each, flush=True)
        if options.verbose:
            print(_statistics(counts, rules, begun), flush=True)
        if counts["merges"] >= options.merges or (failures and not options.keep_going):
            break
    print(_statistics(counts, rules, begun))
    return int(bool(rules))


def _statistics(counts: Counter[str], rules: Counter[str], begun: float) -> str:
    numbers = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    share = 100 * counts["honest mended"] / max(1, counts["honest merges"])
    wrong = ", ".join(f"{rule} {number}" for rule, number in sorted(rules.items())) or "nothing"
    return f"{numbers}; {share:.2f} % of honest merges mended; {time.monotonic() - begun:.0f} s; wrong: {wrong}"


def _one(options: argparse.Namespace, other: Path | None) -> int:
    run.run = start_directly
    failed = 0
    for name in options.case or ["script"]:
        with bench(other, options.ignore) as at:
            if options.scenario is not None:
                scenario, wrong = generated(at, options.scenario, mixed=other is not None)
            else:
                at.often = 1.0
                scenario = parse(Path(options.script).read_text()) if options.script else CASES[name]
                wrong = told(at, scenario)
            failed += wrong is not None
            print(f"{name}: {failure(at, scenario, wrong, options.reduce) if wrong else 'right'}")
    return int(failed > 0)


@contextmanager
def code(commit: str | None) -> Iterator[Path | None]:
    """The program's code as it was at a commit."""
    if commit is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="merge-fuzz-code-") as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        Store.unpack(Path(__file__).resolve().parent.parent, commit, Path(folder), env)
        yield Path(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/merge_fuzzer.py", description=__doc__)
    parser.add_argument("--merges", type=int, default=1000, metavar="N", help="stop after so many merges")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another one makes other scenarios")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--old", metavar="COMMIT", help="some nodes run the program as it was at this commit")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    parser.add_argument("--no-reduce", dest="reduce", action="store_false", help="print failures as they came")
    parser.add_argument("--ignore", nargs="*", default=[], metavar="RULE", help="what is known to be wrong")
    parser.add_argument("--script", metavar="FILE", help="tell a scenario that was printed")
    parser.add_argument("--scenario", type=int, metavar="SEED", help="tell the scenario of a failure again")
    parser.add_argument("--case", nargs="*", choices=CASES, help="tell a case that once went wrong")
    parser.add_argument("--verbose", action="store_true", help="print numbers now and then")
    options = parser.parse_args()
    if options.case == []:
        options.case = list(CASES)
    return options


if __name__ == "__main__":
    raise SystemExit(main())
