"""Draw docs/architecture.svg from the imports of the package: `python docs/architecture.py` (needs Graphviz).

A row for each floor, the highest first, with its modules, and a dot in the column of each floor that it imports from.
As imports run downward only, no dot stands left of a floor's own column.
"""

from __future__ import annotations

import ast
import subprocess
import textwrap
from collections.abc import Iterator
from html import escape
from pathlib import Path

PICTURE = Path(__file__).with_suffix(".svg")
PACKAGE = Path(__file__).parent.parent / "git_annex_syncx"
FLOORS = {
    "cli": "the command line: parse, open the repository, run a phase, show its events",
    "triggers": "starts phases without a person: hooks, queue, worker, watch, signals",
    "views": "output for people and programs",
    "reports": "questions answered from what is known here",
    "phases": "what commands run; each reads the world and brings it forward",
    "content": "what is missing where, who transfers it, transfers, drops, exports",
    "branches": "fetch, merge and push of branches",
    "runs": "one run: the opened repository, remotes in parallel, outcomes recorded",
    "network": "the graph of repositories and the cheapest tree through it",
    "conflicts": "one commit out of two that holds every version",
    "annex": "git-annex: its commands and its files",
    "git": "git: its commands and its files",
    "system": "programs, locks, files, the database of the state",
    "model": "frozen values and errors",
}
CELLAR = ("model", "errors", "reasons")
HEAD = 'digraph { node [shape=plain fontname="Helvetica"]; floors [label=<'
TABLE = '<TABLE BORDER="0" CELLSPACING="3" CELLPADDING="5">'


def main() -> None:
    """Write the picture."""
    rows = "".join(f"<TR>{''.join(cells(floor))}</TR>" for floor in FLOORS)
    dot = f"{HEAD}{TABLE}{rows}</TABLE>>] }}"
    subprocess.run(["dot", "-Tsvg", "-o", PICTURE], input=dot.encode(), check=True)


def cells(floor: str) -> Iterator[str]:
    """Yield the cells of a floor: what it is, then a column for each floor."""
    listed = '<BR ALIGN="LEFT"/>'.join(textwrap.wrap(", ".join(modules(floor)), 86))
    yield (
        f'<TD BGCOLOR="#e8eff8" ALIGN="LEFT" BALIGN="LEFT"><B>{floor}</B>   {escape(FLOORS[floor])}<BR ALIGN="LEFT"/>'
        f'<FONT POINT-SIZE="11" COLOR="#556677">{listed}<BR ALIGN="LEFT"/></FONT></TD>'
    )
    below = imports(floor)
    for other in FLOORS:
        if other == floor:
            yield f'<TD BGCOLOR="#e8eff8"><FONT POINT-SIZE="10">{floor}</FONT></TD>'
        else:
            yield f'<TD><FONT COLOR="#3060b0">{"&#9679;" if other in below else " "}</FONT></TD>'


def files(floor: str) -> list[Path]:
    """Return the files of a floor."""
    if floor == "model":
        return [PACKAGE / f"{name}.py" for name in CELLAR]
    return sorted((PACKAGE / floor).rglob("*.py"))


def modules(floor: str) -> list[str]:
    """Return the names of its modules; of a package in it the name of that."""
    names = (path.name if floor == "model" else path.relative_to(PACKAGE / floor).parts[0] for path in files(floor))
    return list(dict.fromkeys(name.removesuffix(".py") for name in names if not name.startswith("__")))


def imports(floor: str) -> set[str]:
    """Return the other floors that its modules import from."""
    found = set[str]()
    for path in files(floor):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("git_annex_syncx"):
                for alias in node.names:
                    name = f"{node.module}.{alias.name}".split(".")[1]
                    found.add("model" if name in CELLAR else name)
    return found - {floor}


if __name__ == "__main__":
    main()
