"""git-annex's own tests, in which `git annex sync` is ours and all else git-annex's."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fork_server import LONGEST_CALL, _ended
from network import ANNEX, LONGEST, PROGRAMS, THOROUGH, Network, fork_servers

# It starts `git annex sync` where it does not mean content, and forces what we never do.
SHIM = """#!/bin/sh
[ "$1" = sync ] || exec {annex} "$@"
shift
content=--no-content
for word; do
    shift
    case $word in
        --force) continue ;;
        --content) content=--content ;;
    esac
    set -- "$@" "$word"
done
PATH={path}:$PATH
exec {syncx} sync "$@" $content
"""
# Asks the server of forks, through us, for a run of the command line with its own streams.
CLIENT = """import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
    door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, {longest})
    door.connect({place!r})
    call = [["git-annex-syncx", *sys.argv[1:]], os.getcwd(), dict(os.environ)]
    socket.send_fds(door, [json.dumps(call).encode()], (0, 1, 2))
    os._exit(door.recv(1)[0])
"""
# Tests that we fail on purpose, each with the reason.
DIFFERS = {
    "conflict resolution (removed file)": "a file that one side changed and the other removed keeps its name here",
}
NAMES = ("sync", "conflict", "merge", "adjusted branch [ms]", "export", "transition", "preferred content")
AT_LEAST = 20  # tests of each mode
# In an ordinary run of ours each of them runs in one mode, in a thorough one in all.
ORDINARY = {
    "locked": (
        "sync", "merge", "transition propagation", "rsync remote", "conflict resolution symlink bit",
        "conflict resolution (nonannexed file)", "conflict resolution (nonannexed symlink)",
        "conflict resolution (removed file)",
    ),
    "unlocked": (
        "preferred content", "conflict resolution movein regression", "conflict resolution (uncommitted local file)",
        "conflict resolution (mixed directory and file)", "conflict resolution (mixed locked and unlocked file)",
    ),
    "adjusted unlocked branch": (
        "export and import", "export and import of subdir", "git-remote-annex exporttree", "union merge regression",
        "conflict resolution", "conflict resolution (adjusted branch)", "adjusted branch merge regression",
        "adjusted branch subtree regression",
    ),
}  # fmt: skip
ALL_OF_THEM = " || ".join(f"$3 ~ /{name}/" for name in NAMES)
# It makes its first repositories in all modes, however few it is asked for: an ordinary run asks once.
RUNS = [tuple(ORDINARY)] if THOROUGH == 1 else [(mode,) for mode in ORDINARY]
ENDED = re.compile(r"^ +(\S.*?): +(OK|FAIL)\b", re.MULTILINE)


@pytest.fixture
def syncx(tmp_path: Path) -> Iterator[str]:
    """The words that run the command line, in a fork where there can be one: that is four times as fast."""
    if sys.platform != "linux":
        yield "git-annex-syncx"
        return
    client, place = tmp_path / "client.py", tmp_path / "door"
    client.write_text(CLIENT.format(longest=LONGEST_CALL, place=str(place)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(str(place))
        door.listen()
        threading.Thread(target=_attend, args=(door,), daemon=True).start()
        yield shlex.join([sys.executable, "-I", "-S", str(client)])


def _attend(door: socket.socket) -> None:
    while True:
        try:
            caller, _ = door.accept()
        except OSError:  # closed
            return
        threading.Thread(target=_answer, args=(caller,), daemon=True).start()


def _answer(caller: socket.socket) -> None:
    with caller:
        call, streams, _, _ = socket.recv_fds(caller, LONGEST_CALL, 3)
        report, report_end = os.pipe()
        socket.send_fds(next(fork_servers().servers), [call], (*streams, report_end))
        for fd in (*streams, report_end):
            os.close(fd)
        caller.send(bytes([_ended(report, LONGEST, ("sync",)) & 255]))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("modes", RUNS, ids=", ".join)
def test_git_annex_agrees(net: Network, tmp_path: Path, syncx: str, modes: tuple[str, ...]) -> None:
    shim = tmp_path / "bin" / "git-annex"
    shim.parent.mkdir()
    annex = shlex.quote(str(ANNEX / "git-annex"))
    shim.write_text(SHIM.format(annex=annex, path=shlex.quote(f"{ANNEX}:{PROGRAMS}"), syncx=syncx))
    shim.chmod(0o755)
    env = net.env(GIT_ANNEX_DIR=str(shim.parent), TMPDIR=str(tmp_path))
    env = {name: value for name, value in env.items() if not name.endswith("_DATE")}
    chosen = " || ".join(f'$2 == "Repo Tests v10 {mode}" && ({_named(mode)})' for mode in modes)
    words = ("test", "-J1", "--test-git-config=syncx.settleTime=0", "--pattern", chosen)
    done = subprocess.run(
        [str(ANNEX / "git-annex"), *words],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip
    found = dict(ENDED.findall(done.stdout))
    failed = {name for name, how in found.items() if how == "FAIL"}
    assert failed == DIFFERS.keys() & found.keys(), done.stdout + done.stderr
    if THOROUGH == 1:
        assert {name for mode in modes for name in ORDINARY[mode]} <= found.keys(), f"only {sorted(found)} were run"
    else:
        assert DIFFERS.keys() <= found.keys()
        assert len(found) >= AT_LEAST, f"only {sorted(found)} were run"


def _named(mode: str) -> str:
    return " || ".join(f'$3 == "{name}"' for name in ORDINARY[mode]) if THOROUGH == 1 else ALL_OF_THEM
