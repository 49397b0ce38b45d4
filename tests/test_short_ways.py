"""A conflict takes a short way through the program: few files, few calls between them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from network import Node

HOPS = Path(__file__).parent / "hops.py"
FILES, CALLS = 45, 350  # at most


def test_a_text_conflict(pair: tuple[Node, Node], tmp_path: Path) -> None:
    laptop, desktop = pair
    laptop.commit({"a.txt": "one\nours\nthree\n"})
    desktop.commit({"a.txt": "one\ntheirs\nthree\n"})
    desktop.git("fetch", "laptop")
    counted = tmp_path / "counted.json"
    desktop.run(sys.executable, os.fspath(HOPS), os.fspath(counted), "merge")
    assert sorted(desktop.read("a.txt").split(b"\n")[1:3]) == [b"ours", b"theirs"]
    told = json.loads(counted.read_text())
    calls = sum(count for count, *_ in told["calls"])
    table = "\n".join(f"{count:5} {one} -> {two}" for count, one, two in told["calls"])
    assert len(told["files"]) <= FILES and calls <= CALLS, (
        f"{len(told['files'])} files, {calls} calls between them\n" + "\n".join(told["files"]) + f"\n{table}"
    )
