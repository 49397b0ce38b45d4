"""What must not be paid for: imports that a command does not need, programs that answer nothing new.

How long things take is measured by benchmarks/, not here.
"""

from __future__ import annotations

import json
import sys
from pkgutil import walk_packages

import pytest
from network import Network, Node, Ran

import git_annex_syncx

HEAVY = {"networkx", "rich", "tenacity", "slixmpp", "watchfiles"}


def imported(ran: Ran) -> set[str]:
    """The modules that a Python run with -X importtime has loaded."""
    return {line.rpartition("|")[2].strip() for line in ran.err.splitlines() if line.startswith("import time:")}


def python(node: Node, *args: str) -> Ran:
    """Run syncx in a Python that tells what it imports."""
    return node.run(sys.executable, "-X", "importtime", "-m", "git_annex_syncx.cli", *args)


def put_program(net: Network, name: str, script: str) -> None:
    """Put a program in front of the PATH."""
    tools = net.root / "tools"
    tools.mkdir(exist_ok=True)
    (tools / name).write_text(script)
    (tools / name).chmod(0o755)
    net.programs.insert(0, tools)


def test_push_does_not_pay_for_planner_table_and_retries(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit({"b.txt": "b\n"})
    loaded = imported(python(laptop, "push"))
    assert desktop.head("synced/main") == laptop.head()
    assert "sh" in loaded  # what was needed is listed
    assert not loaded & HEAVY
    assert not [name for name in loaded if name.startswith("git_annex_syncx.network.")]


def test_the_planner_is_loaded_when_something_is_to_be_planned(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    desktop = net.clone(laptop, "desktop")
    net.connect((laptop, desktop))
    laptop.syncx("sync")
    assert "networkx" not in imported(python(laptop, "transfer"))
    laptop.commit_annexed({"big": "content\n"})
    assert "networkx" in imported(python(laptop, "transfer"))


def test_what_waits_for_a_commit_has_loaded_all_that_it_may_need(net: Network) -> None:
    ready = (sys.executable, "-X", "importtime", "-m", "git_annex_syncx.cli", "trigger", "ready")
    loaded = imported(net.create("laptop").run(*ready, stdin=b""))  # nobody wakes it
    assert loaded >= {"networkx", "git_annex_syncx.phases.sync", "git_annex_syncx.phases.transfer"}


def test_no_module_brings_what_only_some_of_its_functions_need(net: Network) -> None:
    """Whatever is imported, a command does not pay for a library that it does not use (three speak to a server)."""
    own = {f"git_annex_syncx.triggers.signals.{name}" for name in ("mqtt", "session", "xmpp")}
    found = walk_packages(git_annex_syncx.__path__, "git_annex_syncx.")
    names = [module.name for module in found if not module.name.endswith("__main__") and module.name not in own]
    told = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    loaded = {*net.create("laptop").run(sys.executable, "-c", told, *names).out.split()}
    assert loaded >= {*names, "sh"}
    assert not loaded & {*HEAVY, "aiomqtt"}


def test_version_starts_no_program(net: Network) -> None:
    laptop = net.create("laptop")
    loaded = imported(python(laptop, "--version"))
    assert "click" in loaded
    assert not loaded & (HEAVY | {"sh", "sqlite3", "asyncio"})


@pytest.mark.parametrize("count", [1, 5])
def test_push_with_nothing_to_do_asks_git_once_for_all_remotes(net: Network, count: int) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    hubs = [net.clone(laptop, f"hub{number}", bare=True) for number in range(count)]
    net.connect(*((laptop, hub) for hub in hubs))
    laptop.syncx("push")
    for hub in hubs:  # nobody listens there: a connection would fail
        laptop.config(f"url.ssh://127.0.0.1:1{hub.path}.insteadOf", str(hub.path))
    put_program(net, "ssh", '#!/bin/sh\necho "$@" >>"$HOME/ssh-called"\nexit 255\n')
    trace = net.root / "trace"
    ran = laptop.syncx("push", GIT_TRACE2_EVENT=str(trace))
    assert ran.events[-1]["current"] == count
    assert not (net.home / "ssh-called").exists()
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    started = [event["argv"][1:] for event in events if event["event"] == "start"]
    assert 3 <= len(started) <= 8, started
