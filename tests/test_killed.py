"""What goes wrong half way: a full disk, a lock of somebody else, a switched branch, a push at the worst moment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from network import OURS, Network, Node
from test_merge import parents, snapshot

from git_annex_syncx.annex import locations
from git_annex_syncx.annex.inventory import Inventory
from git_annex_syncx.git import cat_file, recovery
from git_annex_syncx.git.git import open_repository

Pair = tuple[Node, Node]

# In a snapshot: the index holds times, and git-annex has a ref for its own index.
MOVING = {"index": "", "refs": ""}


def with_full_disk(node: Node, *args: str) -> str:
    """Run syncx where no file can grow beyond 100 kB; its error."""
    script = "trap '' XFSZ; ulimit -f 200; exec git-annex-syncx --json \"$@\""
    return str(node.run("sh", "-c", script, "sh", *args, ok=1).event("merge")["error"])


def before_git_does(node: Node, words: str, script: str) -> None:
    """Let something happen once, just before git is called with these words. `$git` is git itself."""
    tools = node.net.root / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "git").write_text(
        f"#!/bin/sh\ngit={shutil.which('git')}\n"
        f'case " $* " in *" {words} "*) if mkdir {tools}/once 2>/dev/null; then (\n{script}\n) >&2; fi;; esac\n'
        'exec $git "$@"\n'
    )
    (tools / "git").chmod(0o755)
    node.net.programs.insert(0, tools)


def fetched(pair: Pair, files: dict[str, str | bytes]) -> str:
    laptop, desktop = pair
    theirs = desktop.commit(files)
    laptop.git("fetch", "--quiet", "desktop")
    return theirs


def test_links_that_a_killed_git_has_made_are_taken_back(net: Network) -> None:
    laptop = net.create("laptop")
    old = laptop.commit({"a.txt": "a\n"})
    for name in ("link", "mine"):
        (laptop.path / name).symlink_to("a.txt")
    laptop.git("add", "link", "mine")
    new = laptop.commit()
    laptop.git("reset", "--quiet", "--hard", old)
    (laptop.path / "link").symlink_to("a.txt")
    (laptop.path / "mine").symlink_to("elsewhere")
    recovery.undo(open_repository(laptop.path), old, new)
    assert sorted(os.listdir(laptop.path)) == [".git", "a.txt", "mine"]
    assert os.readlink(laptop.path / "mine") == "elsewhere"


# A fast-forward that fails


def test_full_disk_leaves_nothing_half_done(pair: Pair) -> None:
    laptop, desktop = pair
    desktop.commit({"big.txt": "old\n", "gone.txt": "gone\n", "same.txt": "old\n"})
    laptop.syncx("pull")
    desktop.git("rm", "--quiet", "gone.txt")
    theirs = fetched(
        pair, {"a.txt": "theirs\n", "big.txt": "big\n" * 100_000, "new/n.txt": "n\n", "same.txt": "same\n"}
    )
    laptop.write("same.txt", "same\n")
    laptop.write("mine.txt", "mine\n")
    status, before = laptop.git("status", "--porcelain").out, snapshot(laptop) | MOVING
    error = with_full_disk(laptop, "merge")
    assert "big.txt" in error
    assert "local changes" not in error
    assert laptop.git("status", "--porcelain").out == status
    assert snapshot(laptop) | MOVING == before
    assert not (laptop.path / ".git/syncx-fast-forward").exists()
    laptop.syncx("merge")
    assert laptop.head() == theirs
    assert laptop.git("status", "--porcelain").out == "?? mine.txt\n"


def test_full_disk_before_the_first_commit(net: Network, pair: Pair) -> None:
    laptop, _ = pair
    laptop.commit({"big.txt": "big\n" * 100_000})
    usb = net.create("usb")
    usb.git("fetch", "--quiet", str(laptop.path), "main:refs/heads/synced/main")
    assert "big.txt" in with_full_disk(usb, "merge")
    assert [entry.name for entry in usb.path.iterdir()] == [".git"]
    usb.syncx("merge")
    assert usb.head() == laptop.head()


def test_full_disk_on_an_adjusted_branch(pair: Pair) -> None:
    laptop, _ = pair
    laptop.annex("adjust", "--unlock", "--quiet")
    theirs = fetched(pair, {"a.txt": "theirs\n", "big.txt": "big\n" * 100_000})
    with_full_disk(laptop, "merge")
    assert laptop.git("status", "--porcelain").out == ""
    laptop.syncx("merge")
    assert laptop.head("main") == theirs
    assert laptop.git("status", "--porcelain").out == ""


# What is behind a symlink is the user's


@pytest.mark.parametrize("interrupted", [False, True])
def test_nothing_is_touched_behind_a_symlink(pair: Pair, tmp_path: Path, interrupted: bool) -> None:
    laptop, desktop = pair
    desktop.commit({"old/e.txt": "old\n"})
    laptop.syncx("pull")
    theirs = fetched(pair, {"d/f.txt": "shared\n", "old/e.txt": "new\n"})
    for name, content in (("f.txt", "shared\n"), ("e.txt", "new\n")):
        (tmp_path / name).write_text(content)
    shutil.rmtree(laptop.path / "old")
    for name in ("d", "old"):
        (laptop.path / name).symlink_to(tmp_path)
    if interrupted:
        (laptop.path / ".git/syncx-fast-forward").write_text(theirs + "\n")
    error = laptop.syncx("merge", ok=1).event("merge")["error"]
    assert "d/f.txt" in error
    assert "old/e.txt" in error
    assert (tmp_path / "f.txt").read_text() == "shared\n"
    assert (tmp_path / "e.txt").read_text() == "new\n"
    assert (laptop.path / "old").is_symlink()


def test_pipe_in_the_way_is_not_read(pair: Pair) -> None:
    laptop, _ = pair
    theirs = fetched(pair, {"pipe": "theirs\n"})
    os.mkfifo(laptop.path / "pipe")
    (laptop.path / ".git/syncx-fast-forward").write_text(theirs + "\n")
    assert "pipe" in laptop.syncx("merge", ok=1).event("merge")["error"]
    assert (laptop.path / "pipe").is_fifo()


# Locks


def old_lock(node: Node, theirs: str) -> Path:
    """An old lock, younger than the note of a killed run."""
    lock, note = node.path / ".git/index.lock", node.path / ".git/syncx-fast-forward"
    note.write_text(theirs + "\n")
    lock.write_bytes(b"DIRC")
    for path, seconds in ((note, 3600), (lock, 3599)):
        os.utime(path, (time.time() - seconds, time.time() - seconds))
    return lock


def test_lock_that_any_program_has_open_is_held(pair: Pair) -> None:
    laptop, _ = pair
    theirs = fetched(pair, {"b.txt": "b\n"})
    lock = old_lock(laptop, theirs)
    with lock.open("rb"):  # this test is not called git
        said = laptop.syncx("merge").event("merge")
        assert said["result"] == "busy"
        assert f"remove {lock}" in said["advice"]
        assert lock.exists()
    laptop.syncx("merge")
    assert laptop.head() == theirs


def test_lock_of_a_git_that_runs_elsewhere_is_held(pair: Pair) -> None:
    """A git that has closed its lock, as `git commit` does for the editor, and was started in another directory."""
    laptop, desktop = pair
    lock = old_lock(laptop, fetched(pair, {"b.txt": "b\n"}))
    words = ("git", f"--git-dir={laptop.path}/.git", "cat-file", "--batch")
    git_dir = desktop.net.home
    with subprocess.Popen(words, cwd=git_dir, env=laptop.net.env(), stdin=subprocess.PIPE) as running:
        assert laptop.syncx("merge").event("merge")["result"] == "busy"
        assert lock.exists()
        assert running.stdin
        running.stdin.close()


def test_git_that_started_us_holds_no_lock(pair: Pair) -> None:
    laptop, _ = pair
    theirs = fetched(pair, {"b.txt": "b\n"})
    old_lock(laptop, theirs)
    laptop.git("annex-syncx", "merge")
    assert laptop.head() == theirs


def test_a_lock_of_a_ref_that_was_left_behind_is_named(pair: Pair, net: Network) -> None:
    laptop, desktop = pair
    theirs = fetched(pair, {"b.txt": "b\n"})
    nas = net.create("nas", bare=True)
    net.connect((laptop, nas))
    for lock, command, event in (
        (laptop.path / ".git/refs/heads/main.lock", ("merge",), ("merge", None)),
        (nas.path / "refs/heads/main.lock", ("push", "nas"), ("push", "nas")),
        (laptop.path / ".git/refs/remotes/nas/main.lock", ("pull", "nas"), ("fetch", "nas")),
    ):
        if command[0] == "pull":
            nas.git("fetch", "--quiet", str(desktop.path), f"+{desktop.commit({'c.txt': 'c'})}:refs/heads/main")
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        said = laptop.syncx(*command, ok=None).event(*event)
        assert said["result"] in ("busy", "failed") and said["advice"].startswith(
            "if no git is running there, remove "
        )
        Path(said["advice"].rpartition(" ")[2]).unlink()
        assert laptop.syncx(*command).event(*event)["result"] == "done"
    assert laptop.contains(theirs)


# At the worst moment


@pytest.mark.parametrize("moment", ["merge-tree", "merge --ff-only"])
def test_branch_switched_while_we_merge(pair: Pair, moment: str) -> None:
    laptop, _ = pair
    ours, theirs = laptop.commit({"ours.txt": "ours\n"}), fetched(pair, {"b.txt": "b\n"})
    before_git_does(
        laptop, moment, f"cd {laptop.path}; env -u GIT_DIR -u GIT_OBJECT_DIRECTORY $git switch -qc feature"
    )
    said = laptop.syncx("merge", ok=None).event("merge")
    assert laptop.head("main") == ours
    assert laptop.git("status", "--porcelain").out == ""
    if moment == "merge-tree":
        assert said["result"] == "busy"
        assert laptop.head("feature") == ours
    else:
        assert "feature meanwhile" in said["error"]
        laptop.run("sh", "-c", said["advice"].rpartition(": ")[2])
        assert laptop.head("feature") == ours
    laptop.git("switch", "--quiet", "main")
    laptop.syncx("merge")
    assert parents(laptop) == sorted([ours, theirs])


def test_push_received_while_git_annex_merges(pair: Pair) -> None:
    laptop, desktop = pair
    laptop.git("update-ref", "refs/heads/synced/main", "main")
    laptop.annex("adjust", "--unlock", "--quiet")
    first = fetched(pair, {"first.txt": "1\n"})
    base = laptop.head("main")
    desktop.git("switch", "--quiet", "--create", "late", base)
    late = desktop.commit({"late.txt": "late\n"})
    push = f"env -C {desktop.path} $git push --quiet --force laptop late:synced/main"
    before_git_does(laptop, "annex merge --quiet " + first, push)
    laptop.syncx("merge")
    assert (laptop.net.root / "tools/once").is_dir(), "it was pushed"
    assert laptop.head("main") == first
    assert laptop.head("synced/main") == late
    laptop.syncx("merge")
    assert parents(laptop, "main") == sorted([first, late])


# A look at all files


def test_a_look_at_all_files_that_is_killed_is_made_anew(net: Network) -> None:
    laptop, hub = net.create("laptop"), net.create("hub", bare=True)
    laptop.commit()
    net.connect((laptop, hub))
    laptop.config("remote.hub.annex-uuid", hub.git("config", "annex.uuid").out.strip())
    laptop.syncx("sync", "--no-content")
    own, count = laptop.git("config", "annex.uuid").out.strip(), cat_file.MOST + 50
    files = {f"f{n}": f"SHA256E-s{n}--{n:064x}" for n in range(count)}
    begin = "commit {0}\ncommitter T <t@example.org> 1700000000 +0000\ndata 0\nfrom {0}^0\n"
    told = [begin.format("refs/heads/main"), *(
        f"M 120000 inline {name}\ndata {len(key) * 2 + 26}\n.git/annex/objects/xx/yy/{key}/{key}\n"
        for name, key in files.items()
    ), begin.format(OURS), *(
        f"M 644 inline {locations._path(key, short=False).decode()}\ndata {len(own) + 15}\n1700000000s 1 {own}\n\n"
        for key in files.values()
    )]  # fmt: skip
    laptop.git("fast-import", "--quiet", "--force", stdin="".join(told).encode())
    (first,) = json.loads(laptop.syncx("plan", "--json").out)["plans"]
    assert first["keys"] == count
    for number, words in enumerate(("ls-tree -r -z --full-tree --long", "cat-file --batch=%(objectsize)")):
        laptop.config("annex.numcopies", f"{number + 2}")  # all must be looked at again
        before_git_does(laptop, words, "kill -9 $PPID")
        assert laptop.syncx("plan", "--json", ok=None).code == -signal.SIGKILL
        known = Inventory(laptop.path / ".git" / "annex" / "syncx" / "inventory.sqlite")
        assert {need.key for need in known.needs()} == set(files.values()), "as before"
        assert json.loads(laptop.syncx("plan", "--json").out)["plans"] == [first]
        (net.root / "tools" / "once").rmdir()
        del net.programs[0]
