"""Programs that syncx starts: without a terminal, in a clean environment, and gone when it is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import quick_sh
from network import PROGRAMS, Network, Node
from sshd import wait_until

from git_annex_syncx.errors import ProgramFailed, Stalled, UsageError
from git_annex_syncx.system import locks, run


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Programs start as they do for people; what run.py remembers of the environment passes to no other test."""
    quick_sh.remove()
    yield
    quick_sh.install()
    for cached in (run.environment, run.find, run.interactive):
        cached.cache_clear()


def test_what_a_program_says_comes_back_as_bytes(tmp_path: Path) -> None:
    done = run.run("sh", "-c", "cat; printf 'e\\377' >&2; exit 3", cwd=tmp_path, env=run.environment(),
                   stdin=b"in\xff\0\n", ok=(3,))  # fmt: skip
    assert done == run.Done(3, b"in\xff\0\n", b"e\xff")


def test_arguments_may_be_any_bytes(tmp_path: Path) -> None:
    for word in (b"\xff\xfe", "\udcff", "ä\n", "", "%s %%", "$HOME `x`"):
        done = run.run("printf", "%s", word, cwd=tmp_path, env=run.environment())
        assert done.out == os.fsencode(word)


def test_large_streams_both_ways(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    assert run.run("cat", cwd=tmp_path, env=run.environment(), stdin=data).out == data


def test_an_error_carries_everything(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed) as caught:
        run.run("sh", "-c", "echo fatal: no >&2; exit 7", "a b", cwd=tmp_path, env=run.environment())
    error = caught.value
    assert error.command == "sh -c 'echo fatal: no >&2; exit 7' 'a b'"
    assert (error.code, error.stderr, error.directory) == (7, "fatal: no\n", tmp_path)
    assert error.what == "fatal: no"


def test_an_error_without_words_tells_the_exit_status(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="exit status 9"):
        run.run("sh", "-c", "exit 9", cwd=tmp_path, env=run.environment())


def test_a_missing_program_and_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such-program is not installed"):
        run.run("no-such-program", cwd=tmp_path, env=run.environment())
    with pytest.raises(ProgramFailed, match="gone"):
        run.run("true", cwd=tmp_path / "gone", env=run.environment())


def test_a_program_has_no_terminal(tmp_path: Path) -> None:
    script = "for n in 0 1 2; do test -t $n && echo terminal $n; done; (: </dev/tty) 2>/dev/null && echo tty; exit 0"
    assert run.run("sh", "-c", script, cwd=tmp_path, env=run.environment()).out == b""


def test_a_silent_program_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {pids}; trap '' TERM; wait; sleep 60"
    with pytest.raises(Stalled, match="no progress for"):
        run.run("sh", "-c", script, cwd=tmp_path, env=run.environment(), stall=0.3)
    wait_until(lambda: not alive(int(pids.read_text())))


def test_a_program_that_talks_is_not_stalled(tmp_path: Path) -> None:
    script = "for n in 1 2 3 4 5 6; do echo $n >&2; sleep 0.1; done"
    assert run.run("sh", "-c", script, cwd=tmp_path, env=run.environment(), stall=0.4).code == 0


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


# The environment of a hook


@pytest.fixture
def hub(net: Network) -> tuple[Node, Node]:
    """A laptop with a commit that its bare hub lacks."""
    laptop, hub = net.create("laptop"), net.create("hub", bare=True)
    laptop.commit({"a.txt": "a"})
    net.connect((laptop, hub))
    return laptop, hub


def test_a_hook_s_git_variables_are_not_inherited(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    other = net.create("other")
    index = other.path / ".git" / "index"
    laptop.syncx(
        "push", GIT_DIR=str(laptop.path / ".git"), GIT_INDEX_FILE=str(index),
        GIT_QUARANTINE_PATH=str(net.root), GIT_PREFIX="x/", GIT_OBJECT_DIRECTORY=str(net.root), GIT_NAMESPACE="x",
    )  # fmt: skip
    assert bare.head("refs/heads/main") == laptop.head()
    assert not other.head("main")
    assert not index.exists()


def test_from_a_real_post_commit_hook(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    hook = laptop.path / ".git" / "hooks" / "post-commit"
    hook.write_text("#!/bin/sh\nexec git-annex-syncx push\n")
    hook.chmod(0o755)
    made = laptop.commit({"b.txt": "b"})
    assert bare.head("main") == made
    laptop.write("c.txt", "c")
    laptop.git("add", "c.txt")
    laptop.git("commit", "--quiet", "--message", "only c", "--only", "c.txt")  # with GIT_INDEX_FILE
    assert bare.head("main") == laptop.head()
    assert laptop.git("status", "--porcelain").out == ""


@pytest.mark.parametrize("bare", [True, False])
def test_from_a_real_post_receive_hook(hub: tuple[Node, Node], net: Network, bare: bool) -> None:
    laptop, _ = hub
    nas, further = net.create("nas", bare=bare), net.create("further", bare=True)
    net.connect((laptop, nas), (nas, further))
    hook = nas.path / ("" if bare else ".git") / "hooks" / "post-receive"
    hook.write_text("#!/bin/sh\ngit-annex-syncx merge --forward\n")
    hook.chmod(0o755)
    laptop.syncx("push", "nas")
    assert further.head("main") == laptop.head()
    if not bare:
        assert nas.read("a.txt") == b"a"


# However it ends, nothing stays behind


@pytest.fixture
def slow(hub: tuple[Node, Node]) -> tuple[Node, Path]:
    """A laptop whose push waits in the hub's hook, which notes its process id."""
    laptop, bare = hub
    pid = bare.path / "pid"
    hook = bare.path / "hooks" / "pre-receive"
    hook.write_text(f'#!/bin/sh\necho $$ > "{pid}.new"; mv "{pid}.new" "{pid}"\nexec sleep 60\n')
    hook.chmod(0o755)
    return laptop, pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_children(slow: tuple[Node, Path], number: signal.Signals) -> None:
    laptop, pid = slow
    process = laptop.start("push")
    wait_until(pid.exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"interrupted" in err
    assert b"Traceback" not in err
    wait_until(lambda: not alive(int(pid.read_text())))
    assert not (laptop.path / ".git" / "index.lock").exists()


def test_nohup_holds(slow: tuple[Node, Path]) -> None:
    laptop, pid = slow
    process = subprocess.Popen(
        ("nohup", "git-annex-syncx", "push"), cwd=laptop.path, env=laptop.net.env(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(pid.exists)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)  # longer than an end takes
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 130


def test_control_c_at_a_terminal_ends_all_children(slow: tuple[Node, Path]) -> None:
    laptop, pid = slow
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(laptop.path)
        os.execvpe("git-annex-syncx", ["git-annex-syncx", "push"], laptop.net.env(TERM="xterm"))
    wait_until(pid.exists)
    os.write(terminal, b"\x03")
    status = None
    while status is None:
        if select.select([terminal], [], [], 20)[0]:
            try:
                os.read(terminal, 65536)
                continue
            except OSError:  # the terminal is closed
                pass
        status = os.waitpid(child, 0)[1]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    wait_until(lambda: not alive(int(pid.read_text())))


def test_a_reader_that_goes_away_ends_all_children(slow: tuple[Node, Path], net: Network) -> None:
    laptop, pid = slow
    other, go_on = net.create("other", bare=True), net.root / "go-on"
    net.connect((laptop, other))
    hook = other.path / "hooks" / "pre-receive"
    hook.write_text(f'#!/bin/sh\nwhile ! test -e "{go_on}"; do sleep 0.02; done\n')
    hook.chmod(0o755)
    process = laptop.start("--json", "push")
    wait_until(pid.exists)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    go_on.touch()  # what is told of this push finds nobody who listens
    err = process.stderr.read()
    assert process.wait(20) != 0
    assert b"Traceback" not in err
    assert b"BrokenPipe" not in err
    wait_until(lambda: not alive(int(pid.read_text())))


def test_head_of_nothing(hub: tuple[Node, Node]) -> None:
    laptop, _ = hub
    done = subprocess.run(
        "git-annex-syncx --json push | head -c 0; git-annex-syncx --json status | head -c 0; true",
        shell=True, cwd=laptop.path, env=laptop.net.env(), capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr in (b"", b"git-annex-syncx: interrupted; what was done stays, the next run does the rest\n")


def test_closed_standard_streams(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.run("sh", "-c", "exec git-annex-syncx push <&- >&-")
    assert bare.head("main") == laptop.head()


def test_version_is_quick_to_say(net: Network) -> None:
    node = Node(net, "home", net.home)
    ran = node.run(str(PROGRAMS / "git-annex-syncx"), "--version")
    assert ran.out.startswith("git-annex-syncx, version ")


def test_an_interrupted_run_does_not_wait_for_anothers_merge(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a"})
    laptop.syncx("merge")
    with (laptop.path / ".git" / "annex" / "syncx" / "merge.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        running = laptop.start("merge")
        wait_until(lambda: b"merge.lock" in b"".join(_open_files(running.pid)))
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 130


def test_who_waited_for_a_lock_is_told_so(tmp_path: Path) -> None:
    with locks.held(tmp_path / "x") as waited:
        assert waited is False
    with (tmp_path / "x.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        threading.Timer(0.1, fcntl.flock, (other, fcntl.LOCK_UN)).start()
        with locks.held(tmp_path / "x") as waited:
            assert waited is True


def _open_files(pid: int) -> list[bytes]:
    """What a process has open (Linux)."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.fsencode(link.readlink()))
    return found
