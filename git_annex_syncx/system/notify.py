"""Apprise, which knows many ways to tell a person something; run as a program of its own, so that it can be ended.

The addresses hold passwords: they go through standard input, never on a command line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.system import extras, run

NAME = "syncx.notify"


def send(addresses: Iterable[str], title: str, text: str, limit: float) -> None:
    """Tell all addresses, in at most `limit` seconds. Raises SyncxError where one could not be told."""
    extras.require("apprise", "notify", "syncx.notify is set, but Apprise is not installed")
    order = json.dumps({"addresses": list(addresses), "title": title, "text": text}).encode()
    words = ("-P", "-m", "git_annex_syncx.system.notify")  # no module comes from a directory that others write to
    done = run.run(sys.executable, *words, cwd=Path("/"), env=run.environment(), stdin=order, ok=(0, 1), limit=limit)
    if done.code:
        advice = "look at them: git config --get-all syncx.notify"
        raise SyncxError("not every address of syncx.notify could be told", advice)


def _main() -> int:
    """Return what the program does: 0 where all addresses were told."""
    import apprise

    order = json.load(sys.stdin)
    told = True
    for address in order["addresses"]:
        service = apprise.Apprise()
        told = service.add(address) and bool(service.notify(title=order["title"], body=order["text"])) and told
    return 0 if told else 1


if __name__ == "__main__":
    sys.exit(_main())
