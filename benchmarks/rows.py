"""What a benchmark finds: rows with a target each, shown as they come and saved as a page."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MEMORY = Path("/dev/shm")  # where there is such a place, no disk disturbs


@dataclass(frozen=True)
class Row:
    """What was measured, what it is beside, and the limit of the first (or of the ratio)."""

    what: str
    value: float
    unit: str
    limit: float
    beside: str = ""

    @property
    def met(self) -> bool:
        """Whether the target was reached."""
        return self.value <= self.limit

    def cells(self) -> tuple[str, ...]:
        """As a row of a table."""
        verdict = "met" if self.met else "MISSED"
        return self.what, f"{self.value:.2f} {self.unit}".strip(), f"at most {self.limit:g}", verdict, self.beside


def report(title: str, script: str, rows: list[Row], load: float, note: str = "") -> str:
    """The page that is saved."""
    head = ("what", "is", "wanted", "", "beside")
    table = ["| " + " | ".join(cells) + " |" for cells in (head, ("---",) * 5, *(row.cells() for row in rows))]
    told = f"Written by `benchmarks/{script} --save`. "
    told += f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} before."
    return "\n".join(
        (
            f"# {title}",
            "",
            told,
            "Ratios are measured side by side in one run.",
            *filter(None, [note]),
            "",
            *table,
            "",
        )
    )


def measured(
    doc: str, title: str, results: Path, parts: Iterable[Callable[[Path], Iterator[Row]]], note: str = ""
) -> int:
    """Run the parts, each below a directory of its own; 1 where a target is missed. `note` is a line of the page."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--save", action="store_true", help=f"write {results.name}")
    options = parser.parse_args()
    load, rows = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as root:
        for number, part in enumerate(parts):
            for row in part(Path(root) / str(number)):
                rows.append(row)
                print(" | ".join(row.cells()), flush=True)
    if options.save:
        results.write_text(report(title, f"{results.stem}.py", rows, load, note), encoding="utf-8")
    return 0 if all(row.met for row in rows) else 1
