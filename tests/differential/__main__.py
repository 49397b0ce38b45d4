"""Tell many scenarios, or one again: `python tests/differential --seeds 0:500 --jobs 2`, `--seed 17 --reduce`."""

from __future__ import annotations

import argparse
import hashlib
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from differential.generate import generate
from differential.reduce import reduced
from differential.run import Verdict, by_git_annex, by_syncx, differences
from differential.scenario import Scenario, parse

MEMORY = Path("/dev/shm")
PROGRAMS = {"git-annex": by_git_annex, "syncx": by_syncx}


def main() -> int:
    options = _options()
    if options.reduce:
        return _reduce(options)
    scenarios = [parse(Path(options.script).read_text())] if options.script else map(generate, _seeds(options))
    begun, kinds, count = time.monotonic(), Counter[str](), 0
    for verdict in _verdicts(options, scenarios):
        count += 1
        kinds.update(verdict.kinds or {"none"})
        kinds.update({"late"} if verdict.late else ())
        found = f"{verdict.scenario.seed}: {' '.join(sorted(verdict.kinds)) or 'no difference'}"
        print(f"seed {found}{' (late)' * verdict.late} ({verdict.seconds:.0f} s)")
        if verdict.findings or options.verbose:
            print(verdict)
        sys.stdout.flush()
    told = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
    print(f"{count} scenarios in {time.monotonic() - begun:.0f} s: {told}")
    return int(bool(kinds.keys() - {"none", "late"}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/differential", description=__doc__)
    parser.add_argument("--seeds", metavar="FROM:TO", help="a range of seeds, without its end")
    parser.add_argument("--seed", type=int, metavar="N", help="one seed")
    parser.add_argument("--script", metavar="FILE", help="a script as a failure prints it")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--against", choices=PROGRAMS, default="syncx", help="what is compared with git-annex")
    parser.add_argument("--known", type=Path, metavar="DIRECTORY", help="keeps how scenarios ended with git-annex")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="leave the repositories of ours there")
    parser.add_argument("--reduce", action="store_true", help="make the scenario smaller while it shows the same")
    parser.add_argument(
        "--verbose", action="store_true", help="print scripts and ends of those without difference too"
    )
    return parser.parse_args()


def _seeds(options: argparse.Namespace) -> range:
    if options.seed is not None:
        return range(options.seed, options.seed + 1)
    first, _, last = (options.seeds or "0:10").partition(":")
    return range(int(first), int(last))


def _verdicts(options: argparse.Namespace, scenarios: Iterable[Scenario]) -> Iterator[Verdict]:
    if options.jobs == 1:
        yield from map(partial(_told, options), scenarios)
        return
    with ProcessPoolExecutor(options.jobs) as pool:
        yield from pool.map(partial(_told, options), scenarios)


def _told(options: argparse.Namespace, scenario: Scenario) -> Verdict:
    """Tell one in a directory of its own, in memory where there is some."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    known = options.known and options.known / hashlib.sha256(str(scenario).encode()).hexdigest()[:16]
    if options.keep:
        return differences(scenario, options.keep / str(scenario.seed), PROGRAMS[options.against], known)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="differential-") as root:
        return differences(scenario, Path(root), PROGRAMS[options.against], known)


def _reduce(options: argparse.Namespace) -> int:
    scenario = parse(Path(options.script).read_text()) if options.script else generate(options.seed)
    kinds = _told(options, scenario).kinds
    if not kinds:
        print("no difference")
        return 0

    def shows(smaller: Scenario) -> bool:
        try:
            found = bool(_told(options, smaller).kinds & kinds)
        except (AssertionError, KeyError, StopIteration):  # the network of it cannot be set up
            return False
        print(f"{len(smaller.lines)} lines: {'the same' if found else 'not'}", file=sys.stderr)
        return found

    print(_told(options, reduced(scenario, shows)))
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
