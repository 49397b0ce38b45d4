"""git-annex's own tests, in which `git annex sync` is ours and all else git-annex's."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from network import ANNEX, PROGRAMS, Network

# It starts `git annex sync` where it does not mean content, and forces what we never do.
SHIM = """#!/bin/sh
[ "$1" = sync ] || exec {} "$@"
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
PATH={}:$PATH
exec git-annex-syncx sync "$@" $content
"""
# Tests that we fail on purpose, each with the reason.
DIFFERS = {
    "conflict resolution (removed file)": "a file that one side changed and the other removed keeps its name here",
}
MODES = {"locked": 21, "unlocked": 21, "adjusted unlocked branch": 20}  # how many tests there are of each
NAMES = ("sync", "conflict", "merge", "adjusted branch [ms]", "export", "transition", "preferred content")
ENDED = re.compile(r"^ +(\S.*?): +(OK|FAIL)\b", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_git_annex_agrees(net: Network, tmp_path: Path, mode: str) -> None:
    shim = tmp_path / "bin" / "git-annex"
    shim.parent.mkdir()
    places = (shlex.quote(str(place)) for place in (ANNEX / "git-annex", f"{ANNEX}:{PROGRAMS}"))
    shim.write_text(SHIM.format(*places))
    shim.chmod(0o755)
    env = net.env(GIT_ANNEX_DIR=str(shim.parent), TMPDIR=str(tmp_path))
    env = {name: value for name, value in env.items() if not name.endswith("_DATE")}
    named = " || ".join(f"$3 ~ /{name}/" for name in NAMES)
    words = ("test", "-J1", "--test-git-config=syncx.settleTime=0", "--pattern")
    done = subprocess.run(
        [str(ANNEX / "git-annex"), *words, f'$2 == "Repo Tests v10 {mode}" && ({named})'],
        cwd=tmp_path, env=env,
        capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip
    found = dict(ENDED.findall(done.stdout))
    failed = {name for name, how in found.items() if how == "FAIL"}
    assert failed == set(DIFFERS), done.stdout + done.stderr
    assert len(found) >= MODES[mode], f"only {sorted(found)} were run"
