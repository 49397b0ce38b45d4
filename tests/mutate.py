"""Change the program at random places, one at a time, and see whether the tests notice.

    python tests/mutate.py --mutants 60 --seed 1 [--below git_annex_syncx/conflicts]

A mutant is killed when a test fails that imports its module, or one of `MORE` for its package. What survives either
changes no behaviour, or lacks an assertion. The file is changed where it is and put back: the tree must be clean.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "git_annex_syncx"
LONGEST = 300  # seconds of tests for one mutant; what runs longer than that hangs, and is noticed too
OTHER = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
# Tests of a package that do not import what they test: stories told by the command line.
MORE = {
    "annex": ["test_stores.py", "test_hubs.py"],
    "branches": ["test_push.py", "test_merge.py", "test_guard.py", "test_taken_back.py", "test_adjusted.py"],
    "cli": [
        "test_bad_input.py", "test_messages.py", "test_sync_options.py", "test_sync.py", "test_merge.py",
        "test_control.py",
    ],
    "conflicts": ["test_conflicts.py", "test_merge_pure.py", "test_merge_driver.py"],
    "content": ["test_content_pure.py", "test_transfer.py", "test_wanted.py", "test_waiting.py", "test_exports.py"],
    "git": [
        "test_push.py", "test_merge_worktree.py", "test_remotes.py", "test_merge.py", "test_killed.py",
        "test_adjusted_modes.py",
    ],
    "network": ["test_plan.py", "test_maps.py", "test_survey.py", "test_steiner.py"],
    "phases": ["test_sync.py", "test_upkeep.py", "test_unused.py", "test_sync_options.py"],
    "reports": ["test_status.py", "test_json_schema.py", "test_conflicts_command.py", "test_status_content.py"],
    "runs": ["test_announce.py", "test_hold.py", "test_remotes.py"],
    "system": ["test_run.py", "test_outbox.py", "test_channels.py"],
    "triggers": ["test_hooks.py", "test_triggers.py", "test_watch.py", "test_channels.py", "test_signals.py"],
    "views": ["test_json_schema.py", "test_status.py", "test_messages.py"],
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A changed module: its file, the line and what was changed, its text."""

    path: Path
    line: int
    change: str
    text: str


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield all mutants of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for number, node in enumerate(ast.walk(tree)):
        for change in range(len(_changes(node))):
            changed = copy.deepcopy(tree)
            place = next(other for at, other in enumerate(ast.walk(changed)) if at == number)
            said = _changes(place)[change]()
            yield Mutant(path, getattr(node, "lineno", 0), said, ast.unparse(ast.fix_missing_locations(changed)))


def _changes(node: ast.AST) -> list:  # type: ignore[type-arg]
    """Return functions that change a node in place and say what they did."""
    found = []
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OTHER:
        found.append(lambda: _set(node.ops, 0, OTHER[type(node.ops[0])]()))
    if isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in OTHER:
        found.append(lambda: _replace(node, op=OTHER[type(node.op)]()))
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int):
        value = (not node.value) if isinstance(node.value, bool) else node.value + 1
        found.append(lambda: _replace(node, value=value))
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        found.append(lambda: _replace(node, test=ast.UnaryOp(ast.Not(), node.test)))
    for field in ("body", "orelse"):
        body = getattr(node, field, None)
        for at, one in enumerate(body if isinstance(body, list) else ()):
            if isinstance(one, ast.Expr | ast.AugAssign | ast.Raise | ast.Continue | ast.Return) and not _is_text(
                one
            ):
                found.append(lambda body=body, at=at: _set(body, at, ast.Pass()))  # type: ignore[misc]
    return found


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _replace(node: ast.AST, **fields: object) -> str:
    before = ast.unparse(node)
    for name, value in fields.items():
        setattr(node, name, value)
    return f"{before} -> {ast.unparse(ast.fix_missing_locations(node))}"


def _set(items: list, at: int, value: ast.AST) -> str:  # type: ignore[type-arg]
    before = ast.unparse(items[at]) if isinstance(items[at], ast.stmt) else type(items[at]).__name__
    items[at] = value
    return f"{before} -> {type(value).__name__}"


def tests_of(path: Path) -> list[str]:
    """Return the test files that import a module, then those of its package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = re.compile(rf"{'.'.join(parts)}\b|from {'.'.join(parts[:-1])} import [^\n]*\b{parts[-1]}\b")
    own = [test.name for test in sorted((ROOT / "tests").glob("test_*.py")) if name.search(test.read_text())]
    return [f"tests/{test}" for test in dict.fromkeys(own + MORE.get(parts[1], []))]


def is_killed(mutant: Mutant) -> str:
    """Run the tests on a mutant; return the test that failed, empty where it survives."""
    before = mutant.path.read_bytes()
    mutant.path.write_text(mutant.text, encoding="utf-8")
    try:
        for tests in ([test] for test in tests_of(mutant.path)):
            if failed := _failed(tests):
                return failed
        return ""
    finally:
        mutant.path.write_bytes(before)


def _failed(tests: list[str]) -> str:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "2", "-p", "no:cacheprovider", *tests]
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return f"{tests[0]}: hangs"
    said = re.search(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE)
    return "" if run.returncode == 0 else said[1] if said else run.stdout.strip().rpartition("\n")[2]


def main() -> None:
    """Choose modules by their size, and in each a place."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mutants", type=int, default=60)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--below", type=Path, default=PACKAGE)
    chosen = options.parse_args()
    if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, check=True).stdout:
        sys.exit("the tree has changes: commit them first")
    print(f"seed {chosen.seed}", flush=True)
    dice, killed = random.Random(chosen.seed), 0
    files = sorted(path for path in chosen.below.resolve().rglob("*.py") if path.stat().st_size > 200)
    for number in range(1, chosen.mutants + 1):
        path = dice.choices(files, [file.stat().st_size for file in files])[0]
        mutant = dice.choice(list(mutants(path)))
        begun, noticed = time.monotonic(), is_killed(mutant)
        killed += bool(noticed)
        verdict = f"killed by {noticed}" if noticed else "SURVIVES"
        place = f"{path.relative_to(ROOT)}:{mutant.line}"
        print(f"{number} {place}: {mutant.change}: {verdict} ({time.monotonic() - begun:.0f} s)", flush=True)
    print(f"{killed} of {chosen.mutants} killed")


if __name__ == "__main__":
    main()
