"""The user comes first: what lies in the way of a merge, who is at work, and what a killed run leaves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from network import THOROUGH, Network, Node
from test_merge import parents, snapshot

Pair = tuple[Node, Node]


def await_(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def refused(node: Node, *named: str, of: str | None = None) -> None:
    """A merge (of a remote's head) that is refused names the paths and changes nothing."""
    before = snapshot(node)
    outcome = node.syncx("merge", ok=1).event("merge", of)
    assert outcome["result"] == "failed"
    for name in named:
        assert name in outcome["error"], outcome
    assert snapshot(node) == before


def unobstructed(node: Node, target: str) -> None:
    node.syncx("merge")
    assert node.contains(target)


def fetched(pair: Pair, files: dict[str, str | bytes]) -> str:
    """What the desktop commits, fetched by the laptop."""
    laptop, desktop = pair
    theirs = desktop.commit(files)
    laptop.git("fetch", "--quiet", "desktop")
    return theirs


# Conflicts


@pytest.mark.parametrize("attribute", ["merge=binary", "-merge", "binary", "syncx=variants"])
def test_attribute_forbids_to_merge_lines(pair: Pair, attribute: str) -> None:
    laptop, desktop = pair
    laptop.commit({".gitattributes": f"*.txt {attribute}\n"})
    desktop.syncx("pull")
    laptop.commit({"a.txt": "ONE\ntwo\nthree\n"})
    fetched(pair, {"a.txt": "one\ntwo\nTHREE\n"})
    (resolved,) = laptop.syncx("merge").event("merge")["resolved"]
    assert {laptop.read(path) for path in resolved["became"]} == {b"ONE\ntwo\nthree\n", b"one\ntwo\nTHREE\n"}


def test_attribute_in_a_subdirectory_says_nothing_elsewhere(pair: Pair) -> None:
    laptop, desktop = pair
    laptop.commit({"sub/.gitattributes": "*.txt -merge\n", "sub/b.txt": "1\n2\n3\n"})
    desktop.syncx("pull")
    laptop.commit({"a.txt": "ONE\ntwo\nthree\n"})
    fetched(pair, {"a.txt": "one\ntwo\nTHREE\n", "sub/b.txt": "1\n2\n3\n4\n"})
    laptop.syncx("merge")
    assert laptop.read("a.txt") == b"ONE\ntwo\nTHREE\n"


# What lies in the way


def test_tracked_file_in_the_way(pair: Pair) -> None:
    laptop, _ = pair
    fetched(pair, {"a.txt": "theirs\n"})
    laptop.write("a.txt", "mine\n")
    refused(laptop, "a.txt")


def test_staged_file_in_the_way(pair: Pair) -> None:
    laptop, _ = pair
    fetched(pair, {"a.txt": "theirs\n"})
    laptop.write("a.txt", "mine\n")
    laptop.git("add", "a.txt")
    refused(laptop, "a.txt")


def test_staged_and_then_put_back_is_in_the_way(pair: Pair) -> None:
    laptop, _ = pair
    fetched(pair, {"a.txt": "theirs\n"})
    laptop.write("a.txt", "mine\n")
    laptop.git("add", "a.txt")
    laptop.write("a.txt", "theirs\n")
    refused(laptop, "a.txt")


def test_staged_new_file_in_the_way(pair: Pair) -> None:
    laptop, _ = pair
    fetched(pair, {"new.txt": "theirs\n"})
    laptop.write("new.txt", "mine\n")
    laptop.git("add", "new.txt")
    refused(laptop, "new.txt")


def test_staged_deletion_in_the_way(pair: Pair) -> None:
    laptop, _ = pair
    fetched(pair, {"a.txt": "theirs\n"})
    laptop.git("rm", "--quiet", "a.txt")
    refused(laptop, "a.txt")


@pytest.mark.parametrize("ignored", [False, True])
def test_untracked_file_in_the_way(pair: Pair, ignored: bool) -> None:
    laptop, _ = pair
    fetched(pair, {"new.txt": "theirs\n"})
    laptop.write("new.txt", "mine\n")
    if ignored:
        (laptop.path / ".git/info/exclude").write_text("new.txt\n")
    refused(laptop, "new.txt")


@pytest.mark.parametrize("ignored", [False, True])
def test_file_in_the_way_of_a_directory(pair: Pair, ignored: bool) -> None:
    laptop, _ = pair
    fetched(pair, {"d/sub/new.txt": "theirs\n"})
    laptop.write("d", "mine\n")
    if ignored:
        (laptop.path / ".git/info/exclude").write_text("d\n")
    refused(laptop, "d/sub/new.txt")


@pytest.mark.parametrize("ignored", [False, True])
def test_directory_in_the_way_of_a_file(pair: Pair, ignored: bool) -> None:
    laptop, _ = pair
    fetched(pair, {"d": "theirs\n"})
    laptop.write("d/mine.txt", "mine\n")
    if ignored:
        (laptop.path / ".git/info/exclude").write_text("d\n")
    refused(laptop, "d")


def test_symlink_in_the_way_of_a_directory(pair: Pair, tmp_path: Path) -> None:
    laptop, _ = pair
    fetched(pair, {"d/new.txt": "theirs\n"})
    (tmp_path / "elsewhere").mkdir()
    (laptop.path / "d").symlink_to(tmp_path / "elsewhere")
    refused(laptop, "d/new.txt")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.thorough
def test_file_becomes_a_directory_and_back(pair: Pair) -> None:
    laptop, desktop = pair
    desktop.commit({"d": "file\n"})
    laptop.syncx("pull")
    desktop.git("rm", "--quiet", "d")
    fetched(pair, {"d/x": "x\n"})
    laptop.syncx("merge")
    assert laptop.read("d/x") == b"x\n"
    desktop.git("rm", "--quiet", "d/x")
    fetched(pair, {"d": "again\n"})
    laptop.write("d/untracked", "mine\n")
    refused(laptop, "d")
    (laptop.path / "d/untracked").unlink()
    laptop.syncx("merge")
    assert laptop.read("d") == b"again\n"


def test_what_git_annex_fills_while_the_index_is_locked_is_not_in_the_way(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"f.bin": "f\n"})
    laptop.annex("unlock", "--quiet", "f.bin")
    laptop.git("commit", "--quiet", "--all", "--message", "unlocked")
    desktop = net.clone(laptop, "desktop")
    net.mesh(laptop, desktop)
    lock = desktop.path / ".git/index.lock"
    lock.touch()
    laptop.annex("copy", "--quiet", "--to=desktop", "f.bin")
    lock.unlink()
    assert desktop.git("--no-optional-locks", "status", "--porcelain").out == " M f.bin\n"
    before = desktop.head()
    assert desktop.syncx("sync", "--no-content", "--no-push", "--no-pull").event("commit")["result"] == "current"
    assert desktop.head() == before and desktop.git("--no-optional-locks", "status", "--porcelain").out == ""
    lock.touch()
    desktop.annex("drop", "--quiet", "--force", "f.bin")
    lock.unlink()
    laptop.commit_annexed({"f.bin": "new\n"})
    laptop.git("push", "--quiet", "desktop", "main:synced/main")
    desktop.syncx("merge")
    assert desktop.head() == laptop.head() and desktop.git("status", "--porcelain").out == ""


def test_dirty_files_that_are_not_in_the_way_stay(pair: Pair) -> None:
    laptop, _ = pair
    laptop.commit({"other.txt": "other\n"})
    theirs = fetched(pair, {"b.txt": "b\n"})
    laptop.write("a.txt", "dirty\n")
    laptop.write("other.txt", "staged\n")
    laptop.git("add", "other.txt")
    laptop.write("untracked", "mine\n")
    status = laptop.git("status", "--porcelain").out
    unobstructed(laptop, theirs)
    assert laptop.git("status", "--porcelain").out == status
    assert laptop.read("a.txt") == b"dirty\n"


def test_same_content_is_no_obstacle(pair: Pair) -> None:
    laptop, desktop = pair
    desktop.commit({"gone.txt": "gone\n"})
    laptop.syncx("pull")
    desktop.git("rm", "--quiet", "gone.txt")
    os.symlink("a.txt", desktop.path / "link")
    desktop.git("add", "link")
    desktop.write("run.sh", "#!/bin/sh\n")
    (desktop.path / "run.sh").chmod(0o755)
    desktop.git("add", "run.sh")
    theirs = fetched(pair, {"a.txt": "theirs\n", "new.txt": "new\n", "-dash": "dash\n", "line\nend": "x\n"})
    (laptop.path / "gone.txt").unlink()
    os.symlink("a.txt", laptop.path / "link")
    for name, content in (("a.txt", "theirs\n"), ("new.txt", "new\n"), ("-dash", "dash\n"), ("line\nend", "x\n")):
        laptop.write(name, content)
    laptop.write("run.sh", "#!/bin/sh\n")
    (laptop.path / "run.sh").chmod(0o755)
    unobstructed(laptop, theirs)
    assert laptop.git("status", "--porcelain").out == ""


def test_same_content_with_another_mode_is_in_the_way(pair: Pair) -> None:
    laptop, _ = pair
    fetched(pair, {"new.txt": "new\n"})
    laptop.write("new.txt", "new\n")
    (laptop.path / "new.txt").chmod(0o755)
    refused(laptop, "new.txt")


def test_one_real_obstacle_among_equals_leaves_the_index_alone(pair: Pair) -> None:
    laptop, _ = pair
    fetched(pair, {"same.txt": "same\n", "b.txt": "theirs\n"})
    laptop.write("same.txt", "same\n")
    laptop.write("b.txt", "mine\n")
    refused(laptop, "b.txt")


def test_annexed_files_have_their_content_after_a_merge(pair: Pair) -> None:
    laptop, desktop = pair
    desktop.config("annex.addunlocked", "true")
    desktop.commit_annexed({"unlocked.bin": "content of unlocked"})
    desktop.annex("copy", "--quiet", "--to", "laptop", "unlocked.bin")
    laptop.commit({"b.txt": "b\n"})
    laptop.syncx("pull")
    assert laptop.read("unlocked.bin") == b"content of unlocked"
    assert laptop.git("status", "--porcelain").out == ""
    assert laptop.show("HEAD:unlocked.bin").startswith(b"/annex/objects/")


# Who is at work


def test_merge_of_the_users_own(pair: Pair) -> None:
    laptop, _ = pair
    laptop.commit({"a.txt": "ours\n"})
    fetched(pair, {"a.txt": "theirs\n"})
    laptop.git("merge", "--quiet", "desktop/main", ok=1)
    before = snapshot(laptop)
    said = laptop.syncx("merge", ok=1).event("merge")
    assert "git merge --abort" in said["advice"]
    assert "merge of yours" in said["error"]
    assert snapshot(laptop) == before


def test_sync_commits_a_merge_whose_conflicts_the_user_has_resolved(pair: Pair) -> None:
    laptop, desktop = pair
    laptop.commit({"a.txt": "ours\n"})
    fetched(pair, {"a.txt": "theirs\n"})
    laptop.git("merge", "--quiet", "desktop/main", ok=1)
    before = laptop.head()
    for words in ((), ("--no-commit",)):
        ran = laptop.syncx("sync", "--no-content", *words, ok=1)
        assert "merge of yours" in ran.event("merge")["error"], "conflicts are left"
    assert laptop.head() == before
    laptop.write("a.txt", "both\n")
    laptop.git("-c", "annex.largefiles=nothing", "add", "a.txt")
    laptop.syncx("sync", "--no-content")
    assert laptop.contains(desktop.head())
    assert laptop.git("log", "-1", "--format=%B").out.strip() == "Merge remote-tracking branch 'desktop/main'"
    assert laptop.read("a.txt") == b"both\n"


@pytest.mark.parametrize("verb", ["cherry-pick", "revert"])
def test_other_unfinished_work_of_the_users(pair: Pair, verb: str) -> None:
    laptop, _ = pair
    laptop.commit({"a.txt": "1\n"})
    laptop.commit({"a.txt": "2\n"})
    fetched(pair, {"a.txt": "theirs\n"})
    laptop.git(verb, "desktop/main" if verb == "cherry-pick" else "HEAD~1", ok=1)
    before = snapshot(laptop)
    assert f"git {verb} --continue" in laptop.syncx("merge", ok=1).event("merge")["advice"]
    assert snapshot(laptop) == before


@pytest.mark.parametrize("how", ["stash", "checkout", "cherry-pick"])
def test_unresolved_conflicts_without_a_merge(pair: Pair, how: str) -> None:
    laptop, _ = pair
    fetched(pair, {"a.txt": "theirs\n"})
    if how == "cherry-pick":
        laptop.commit({"a.txt": "mine\n"})
        laptop.git("cherry-pick", "--no-commit", "desktop/main", ok=1)
    elif how == "checkout":
        laptop.write("a.txt", "mine\n")
        laptop.git("checkout", "--quiet", "-m", "-b", "side", "desktop/main")
    else:
        laptop.write("a.txt", "mine\n")
        laptop.git("stash", "--quiet")
        laptop.git("merge", "--quiet", "--ff-only", "desktop/main")
        laptop.git("stash", "pop", "--quiet", ok=1)
    assert laptop.git("ls-files", "--unmerged").out
    before, refs = snapshot(laptop), laptop.git("for-each-ref", "refs/heads/main", "refs/heads/side").out
    ran = laptop.syncx("sync", "--no-content", ok=1)
    assert "a.txt" in ran.event("commit")["error"]
    assert "a.txt" in ran.event("merge")["error"]
    assert laptop.git("for-each-ref", "refs/heads/main", "refs/heads/side").out == refs
    assert snapshot(laptop) | {"refs": ""} == before | {"refs": ""}, "git-annex and the push move other refs"


def busy(node: Node, why: str) -> None:
    """A run finds somebody at work: no error, no entry in the outbox, nothing changed."""
    before = snapshot(node)
    said = node.syncx("merge").event("merge")
    assert said["result"] == "busy"
    assert why in said["reason"]
    assert snapshot(node) == before
    status = node.syncx("status").out
    assert "is at work" not in status
    assert "being written" not in status


def test_index_lock(pair: Pair) -> None:
    laptop, _ = pair
    theirs = fetched(pair, {"b.txt": "b\n"})
    lock = laptop.path / ".git/index.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    busy(laptop, "index.lock")
    lock.unlink()
    unobstructed(laptop, theirs)


def test_rebase(pair: Pair) -> None:
    laptop, _ = pair
    laptop.commit({"a.txt": "ours\n"})
    fetched(pair, {"a.txt": "theirs\n"})
    laptop.git("rebase", "--quiet", "desktop/main", ok=1)
    ran = laptop.syncx("merge")
    assert "a rebase is in progress" in ran.out + ran.err
    laptop.git("rebase", "--abort")


@pytest.fixture
def commit_editor(pair: Pair) -> Iterator[Callable[[], None]]:
    """A `git commit` on the laptop whose editor waits until the function is called."""
    laptop, _ = pair
    fifo = laptop.net.root / "fifo"
    os.mkfifo(fifo)
    laptop.write("mine.txt", "mine\n")
    laptop.git("add", "mine.txt")
    message = laptop.path / ".git/COMMIT_EDITMSG"
    message.unlink(missing_ok=True)
    env = laptop.net.env(GIT_EDITOR=f"read line <{fifo}; echo message >")
    committing = subprocess.Popen(("git", "commit", "--quiet"), cwd=laptop.path, env=env)
    await_(message.exists)

    def finish() -> None:
        fifo.write_text("go\n")
        assert committing.wait(timeout=20) == 0

    yield finish
    if committing.poll() is None:
        finish()


def test_open_commit_editor(pair: Pair, commit_editor: Callable[[], None]) -> None:
    laptop, _ = pair
    theirs = fetched(pair, {"b.txt": "b\n"})
    busy(laptop, "a commit message is being written")
    commit_editor()
    ours = laptop.head()
    laptop.syncx("merge")
    assert parents(laptop) == sorted([ours, theirs])


def test_commit_editor_in_a_neighbour_is_none_of_ours(
    net: Network, pair: Pair, commit_editor: Callable[[], None]
) -> None:
    laptop, _ = pair
    laptop.git("worktree", "add", "--quiet", "-b", "side", str(net.root / "laptop2"), "main")
    side = Node(net, "laptop2", net.root / "laptop2")
    theirs = side.commit({"s.txt": "s\n"})
    laptop.git("update-ref", "refs/heads/synced/side", theirs)
    message = laptop.path / ".git/worktrees/laptop2/COMMIT_EDITMSG"
    message.write_text("written after the last entry of the reflog\n")
    os.utime(message, (time.time() + 60, time.time() + 60))
    assert side.syncx("merge").event("merge")["result"] == "current"


def test_commit_made_while_we_merge(pair: Pair) -> None:
    """The branch gets a commit after the merge was computed, at the moment at which git begins to move it."""
    laptop, _ = pair
    ours = laptop.commit({"b.txt": "b\n"})
    theirs = fetched(pair, {"c.txt": "c\n"})
    hook = laptop.path / ".git/hooks/reference-transaction"
    marker = laptop.net.root / "once"
    hook.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = prepared ] && grep -q ORIG_HEAD && [ ! -e {marker} ] || exit 0\n'
        f"touch {marker}\n"
        f"git commit-tree -p {ours} -m meanwhile {ours}^{{tree}} >{marker}\n"
        f"git update-ref refs/heads/main $(cat {marker})\n"
    )
    hook.chmod(0o755)
    laptop.syncx("merge")
    assert parents(laptop) == sorted([marker.read_text().strip(), theirs])
    assert laptop.git("status", "--porcelain").out == ""


@pytest.mark.thorough
def test_many_commits_while_many_merges(net: Network, pair: Pair) -> None:
    """Nothing that the user commits or receives meanwhile is lost, whoever is faster."""
    laptop, desktop = pair
    commits = []
    for n in range(6):
        commits.append(desktop.commit({f"theirs{n}.txt": f"{n}\n"}))
        desktop.git("push", "--quiet", "laptop", "main:synced/main")
        merging = laptop.start("merge")
        laptop.write(f"ours{n}.txt", f"{n}\n")
        while laptop.git("add", f"ours{n}.txt", ok=None).code or laptop.git("commit", "-qm", "c", ok=None).code:
            assert merging.poll() is None, "git fails, and not because of the merge"
        commits.append(laptop.head())
        merging.communicate(timeout=60)
        assert merging.returncode == 0
    laptop.syncx("merge")
    assert all(laptop.contains(commit) for commit in commits)
    assert laptop.git("status", "--porcelain").out == ""
    laptop.git("fsck", "--connectivity-only")


def test_two_processes_merge_at_once(pair: Pair) -> None:
    laptop, _ = pair
    ours = laptop.commit({"ours.txt": "ours\n"})
    theirs = fetched(pair, {"theirs.txt": "theirs\n"})
    running = [laptop.start("merge") for _ in range(3)]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    for process in running:
        process.communicate()
    assert parents(laptop) == sorted([ours, theirs])
    assert laptop.git("status", "--porcelain").out == ""


# Killed runs


def half_done(node: Node, theirs: str) -> Path:
    """What a fast-forward that was killed leaves: the note and an old lock."""
    lock = node.path / ".git/index.lock"
    note = node.path / ".git/syncx-fast-forward"
    note.write_text(theirs + "\n")
    lock.write_bytes(b"DIRC")
    past = time.time() - 3600
    os.utime(note, (past, past))
    os.utime(lock, (past + 1, past + 1))
    return lock


@pytest.mark.parametrize("how", ["merge", "sync"])
def test_half_written_work_tree_is_completed(pair: Pair, how: str) -> None:
    laptop, desktop = pair
    desktop.commit({"big.txt": "old\n", "gone.txt": "gone\n", "d/file.txt": "d\n", "later.txt": "later\n"})
    laptop.syncx("pull")
    desktop.git("rm", "--quiet", "gone.txt", "d/file.txt")
    half_way = desktop.commit(
        {"big.txt": "new " * 1000, "new/torn.txt": "torn " * 1000, "new/whole.txt": "whole\n", "d": "d\n"}
    )
    laptop.git("fetch", "--quiet", "desktop")
    laptop.write("big.txt", "new " * 7)
    (laptop.path / "gone.txt").unlink()
    (laptop.path / "d/file.txt").unlink()
    (laptop.path / "d").rmdir()
    laptop.write("new/torn.txt", "torn")
    laptop.write("new/whole.txt", "whole\n")
    half_done(laptop, half_way)
    theirs = fetched(pair, {"big.txt": "newer\n", "later.txt": "now\n"})
    laptop.syncx(*([how] if how == "merge" else [how, "--no-content"]))
    assert laptop.head() == theirs, "no commit of what was half done"
    assert laptop.git("status", "--porcelain").out == ""
    assert not (laptop.path / ".git/syncx-fast-forward").exists()


@pytest.mark.thorough
def test_killed_between_index_and_branch(pair: Pair) -> None:
    laptop, desktop = pair
    desktop.commit({"gone.txt": "gone\n"})
    laptop.syncx("pull")
    desktop.git("rm", "--quiet", "gone.txt")
    half_way = fetched(pair, {"a.txt": "theirs\n", "new.txt": "new\n"})
    old = laptop.head()
    laptop.git("merge", "--quiet", "--ff-only", half_way)
    laptop.git("update-ref", "refs/heads/main", old)
    half_done(laptop, half_way).unlink()
    theirs = fetched(pair, {"a.txt": "theirs again\n"})
    laptop.syncx("sync", "--no-content")
    assert laptop.head() == theirs
    assert laptop.git("status", "--porcelain").out == ""


def test_users_changes_after_a_killed_run_stay(pair: Pair) -> None:
    laptop, _ = pair
    theirs = fetched(pair, {"a.txt": "theirs\n", "new.txt": "new\n"})
    laptop.write("a.txt", "mine\n")
    laptop.write("new.txt", "new\nand mine\n")
    half_done(laptop, theirs)
    said = laptop.syncx("merge", ok=1).event("merge")
    assert "a.txt, new.txt" in said["error"]
    assert (laptop.read("a.txt"), laptop.read("new.txt")) == (b"mine\n", b"new\nand mine\n")


def test_lock_of_a_branch_that_a_killed_run_left(pair: Pair) -> None:
    laptop, _ = pair
    theirs = fetched(pair, {"b.txt": "b\n"})
    half_done(laptop, theirs).rename(laptop.path / ".git/refs/heads/main.lock")
    unobstructed(laptop, theirs)


def test_young_lock_is_never_removed(pair: Pair) -> None:
    laptop, _ = pair
    lock = half_done(laptop, fetched(pair, {"b.txt": "b\n"}))
    os.utime(lock)
    busy(laptop, "index.lock")


def descendants(root: int) -> list[int]:
    """The processes below one of ours."""
    parent = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = [root]
    for pid in found:
        found += [child for child, its in parent.items() if its == pid]
    return found


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a process that we started and to all that it started."""
    for pid in descendants(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()


def age_locks(node: Node) -> None:
    """Let the time pass after which a lock of ours counts as left behind."""
    note = node.path / ".git/syncx-fast-forward"
    for lock in [note, *(node.path / ".git").rglob("*.lock")]:
        if lock.exists() and "annex" not in lock.parts:
            os.utime(lock, (time.time() - 60, time.time() - 60))


@pytest.mark.parametrize("seed", range(THOROUGH))
def test_killed_at_random_moments(net: Network, pair: Pair, seed: int) -> None:
    laptop, desktop = pair
    rng = random.Random(seed)
    commits = []
    for round_ in range(6):
        for n in range(40):
            desktop.write(f"dir{n % 5}/f{n}.txt", f"{round_} " * 2000)
        desktop.git("-c", "annex.largefiles=nothing", "add", ".")
        desktop.git("commit", "--quiet", "--message", "many")
        commits.append(desktop.head())
        commits.append(laptop.commit({f"ours{round_}.txt": f"{round_}\n"}))
        process = laptop.start(*(("sync", "--no-content") if round_ % 2 else ("pull",)))
        delay = rng.uniform(0.15, 0.7)
        try:
            process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            kill_all(process)
        age_locks(laptop)
        said = laptop.syncx("sync", "--no-content", ok=None)
        state = f"seed {seed}, round {round_}, killed after {delay}:\n{said.out}{said.err}"
        assert laptop.git("status", "--porcelain").out == "", state
        assert all(laptop.contains(commit) for commit in commits), state
        stray = laptop.git("log", "--no-merges", "--format=%s", "main").out.split("\n")
        assert not any(subject.startswith("git-annex in") for subject in stray), state
        desktop.syncx("merge")
    laptop.git("fsck", "--connectivity-only")
    assert desktop.head() == laptop.head()
