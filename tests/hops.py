"""Run the command line and count the calls that lead from one file of the package to another.

As a script: `hops.py RESULT COMMAND...` runs the command and writes what it counted, as JSON, to the file RESULT.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import git_annex_syncx

PACKAGE = os.fspath(Path(git_annex_syncx.__file__).parent) + os.sep


class Hops:
    """The files in which a function ran, and the calls between them: (file, function) to (file, function)."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.calls: Counter[tuple[str, str]] = Counter()

    def see(self, frame: FrameType, event: str, _: Any) -> None:
        """Take what sys.setprofile tells."""
        here = frame.f_code.co_filename
        if event != "call" or not here.startswith(PACKAGE) or not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            return  # the body of a module or a class is no function
        self.files.add(here)
        caller = frame.f_back
        if caller and caller.f_code.co_filename != here and caller.f_code.co_filename.startswith(PACKAGE):
            self.calls[_name(caller), _name(frame)] += 1


def _name(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_code.co_qualname}"


def main() -> None:
    """Run the command, also where it ends the program."""
    from git_annex_syncx import cli

    hops, result = Hops(), Path(sys.argv.pop(1))
    threading.setprofile(hops.see)
    sys.setprofile(hops.see)
    try:
        cli.main()
    finally:
        sys.setprofile(None)
        files = sorted(file.removeprefix(PACKAGE) for file in hops.files)
        calls = [(count, one, two) for (one, two), count in hops.calls.most_common()]
        result.write_text(json.dumps({"files": files, "calls": calls}))


if __name__ == "__main__":
    main()
