"""The house: imports run downward only, and each outside program has one door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "git_annex_syncx"
# From the roof to the cellar; a module may import from its own floor and below.
FLOORS = [
    "cli",
    "triggers",
    "views",
    "reports",
    "phases",
    "content",
    "branches",
    "runs",
    "network",
    "conflicts",
    "annex",
    "git",
    "system",
    "model errors reasons __init__",
]
MODULES = sorted(PACKAGE.rglob("*.py"))


def floor(parts: tuple[str, ...]) -> int:
    """The floor of `git_annex_syncx.<parts>`."""
    return next(n for n, names in enumerate(FLOORS) if (parts[0] if parts else "__init__") in names.split())


def imported(tree: ast.Module) -> list[tuple[str, ...]]:
    """All modules of the package that a module imports, anywhere in it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found += [(*(node.module or "").split("."), alias.name) for alias in node.names]
    return [parts[1:] for parts in found if parts[0] == "git_annex_syncx"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    here = floor(() if parts == ("__init__",) else parts)
    for there in imported(ast.parse(path.read_text())):
        target = () if there and there[0].startswith("__version__") else there
        assert floor(target) >= here, f"{'.'.join(parts)} imports {'.'.join(there)}, which is above it"


def test_no_imports_go_round() -> None:
    """`from package import module` counts as an import of that module."""
    names = {path.relative_to(PACKAGE).with_suffix("").parts: path for path in MODULES}
    arrows = {
        parts: {there[:n] for there in imported(ast.parse(path.read_text())) for n in (len(there), len(there) - 1)}
        & names.keys() - {parts}
        for parts, path in names.items()
    }
    while free := {parts for parts, there in arrows.items() if not there & arrows.keys()}:
        arrows = {parts: there for parts, there in arrows.items() if parts not in free}
    assert not arrows, f"a circle among {sorted('.'.join(parts) for parts in arrows)}"


DOORS = {
    "sh": {"system/run.py", "system/processes.py"},
    "rich": {"views/base.py", "views/network.py", "views/status.py", "views/run.py", "views/transfer.py"},
    "click": {f"cli/{path.name}" for path in (PACKAGE / "cli").iterdir()},
    "sqlite3": {"system/database.py", "system/state.py", "annex/inventory.py"},
    "subprocess": {"cli/offers.py", "system/lasting.py"},
    "watchfiles": {"triggers/follow.py"},
    "apprise": {"system/notify.py"},
    "aiomqtt": {"triggers/signals/mqtt.py"},
    "slixmpp": {"triggers/signals/session.py", "triggers/signals/xmpp.py"},
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_has_one_door(path: Path) -> None:
    where = str(path.relative_to(PACKAGE))
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for root in (name.split(".")[0] for name in names):
            assert where in DOORS.get(root, {where}), f"{where} imports {root}"
