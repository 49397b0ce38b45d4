"""How fast content travels, beside git-annex: many files, expressions, a slow uplink, small files.

    python benchmarks/content.py [--save] [--only many|huge|wishes|uplink|small]

Competitors take turns in one run, on repositories of their own that are alike. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from network import PROGRAMS, Network, Node
from rows import Row, report
from sshd import Proxy, Sshd

RESULTS = Path(__file__).parent / "results" / "content.md"
SYNCX, ROUNDS = "git-annex-syncx", 3
UPLINK, CONTENT, FILES = 2_000_000, 5_000_000, 8  # bytes a second, bytes a file, files
TARGETS = [f"t{n}" for n in range(1, 5)]
WISHES = (
    "include=d00*/*", "exclude=d01*/*", "largerthan=1500", "smallerthan=1200", "not largerthan=1900",
    "exclude=d00*/* and include=*.dat", "standard client", "standard archive", "include=d00*/*", "standard client",
)  # fmt: skip


def timed(node: Node, *words: str) -> float:
    """Seconds that a command takes."""
    begun = time.perf_counter()
    node.run(*words, ok=None)
    return time.perf_counter() - begun


def memory_and_time(node: Node, *words: str) -> tuple[float, float]:
    """Megabytes at most in memory and seconds of a command, what it started left out."""
    begun = time.perf_counter()
    program = str(PROGRAMS / words[0])
    pid = os.posix_spawn(program, (program, "-C", str(node.path), *words[1:]), node.net.env())
    _, _, used = os.wait4(pid, 0)
    return used.ru_maxrss / 1e3, time.perf_counter() - begun


def processor_time(node: Node, *words: str) -> float:
    """Seconds of the processor that a command uses, with all that it starts."""
    program = str(PROGRAMS / words[0])
    pid = os.posix_spawn(program, (program, "-C", str(node.path), *words[1:]), node.net.env())
    _, code, used = os.wait4(pid, 0)
    assert code == 0
    return used.ru_utime + used.ru_stime


def key(n: int) -> str:
    """The n-th key."""
    return f"SHA256E-s{1000 + n % 977}--{hashlib.sha256(str(n).encode()).hexdigest()}.dat"


def fill(node: Node, count: int, uuids: list[str]) -> None:
    """So many annexed files, on the branch and on the git-annex branch, by git fast-import; content there is none."""
    importer = subprocess.Popen(
        ("git", "fast-import", "--quiet", "--force"), cwd=node.path, env=node.net.env(), stdin=subprocess.PIPE
    )
    assert importer.stdin
    for chunk in stream(count, uuids):
        importer.stdin.write(chunk)
    importer.stdin.close()
    assert importer.wait() == 0
    node.git("reset", "--quiet", "--hard")
    node.annex("info", "--fast", "--quiet")


def stream(count: int, uuids: list[str]) -> Iterator[bytes]:
    """The two commits for fast-import."""
    begin = "commit refs/heads/{0}\ncommitter B <b@example.org> 1700000000 +0000\ndata 1\nx\nfrom refs/heads/{0}^0\n"
    yield begin.format("main").encode()
    for n in range(count):
        name = key(n)
        md5 = hashlib.md5(name.encode()).hexdigest()
        target = f"../../.git/annex/objects/{md5[:2]}/{md5[2:4]}/{name}/{name}"
        path = f"d{n // 1000:03}/{n // 100 % 10}/f{n}.dat"
        yield f"M 120000 inline {path}\ndata {len(target)}\n{target}\n".encode()
    yield b"\n" + begin.format("git-annex").encode()
    for n in range(count):
        name = key(n)
        md5 = hashlib.md5(name.encode()).hexdigest()
        log = "".join(f"{1_700_000_000 + n}s 1 {uuid}\n" for uuid in uuids)
        yield f"M 100644 inline {md5[:3]}/{md5[3:6]}/{name}.log\ndata {len(log)}\n{log}\n".encode()
    yield b"\n"


def pair(root: Path, count: int) -> Node:
    """A laptop with a bare remote, both said to hold all files."""
    net = Network(root)
    laptop = net.create("laptop")
    laptop.commit({"README": "x\n"})
    nas = net.create("nas", bare=True)
    net.connect((laptop, nas))
    uuids = [node.git("config", "annex.uuid").out.strip() for node in (laptop, nas)]
    laptop.config("remote.nas.annex-uuid", uuids[1])
    fill(laptop, count, uuids)
    laptop.syncx("sync", "--no-content")
    return laptop


def many(root: Path) -> Iterator[Row]:
    """50,000 files: nothing to do, one new file, a full pass."""
    laptop = pair(root, 50_000)
    state = laptop.path / ".git" / "annex" / "syncx"
    laptop.syncx("transfer")
    idle, new, full = [], [], []
    for n in range(ROUNDS):
        idle.append(timed(laptop, SYNCX, "transfer"))
        laptop.commit_annexed({f"new{n}": f"{n}\n"})
        new.append(timed(laptop, SYNCX, "transfer"))
        (state / "inventory.sqlite").unlink()
        full.append(timed(laptop, SYNCX, "transfer"))
    laptop.annex("push", ok=None)
    by_annex = timed(laptop, "git-annex", "push")
    laptop.commit_annexed({"more": "more\n"})
    new_by_annex = timed(laptop, "git-annex", "push")
    told = "git annex push: {:.1f} s"
    yield Row("50,000 files, nothing to do", statistics.median(idle), "s", 0.3, told.format(by_annex))
    yield Row("50,000 files, one of them new", statistics.median(new), "s", 1.0, told.format(new_by_annex))
    yield Row("50,000 files, full pass", statistics.median(full), "s", 2.0)


def huge(root: Path) -> Iterator[Row]:
    """500,000 files: time and memory."""
    laptop = pair(root, 500_000)
    state = laptop.path / ".git" / "annex" / "syncx"
    (state / "inventory.sqlite").unlink(missing_ok=True)
    megabytes, seconds = memory_and_time(laptop, SYNCX, "transfer")
    yield Row("500,000 files, full pass", seconds, "s", 10.0)
    yield Row("500,000 files, full pass, memory", megabytes, "MB", 500.0)
    laptop.commit_annexed({"new": "new\n"})
    yield Row("500,000 files, one of them new: what has to go where", timed(laptop, SYNCX, "plan"), "s", 1.5)
    laptop.syncx("transfer")
    yield Row("500,000 files, nothing to do", timed(laptop, SYNCX, "transfer"), "s", 1.5)


def wishes(root: Path) -> Iterator[Row]:
    """100,000 files, ten remotes, eight different expressions."""
    net = Network(root)
    laptop = net.create("laptop")
    laptop.commit({"README": "x\n"})
    nodes = [net.create(f"t{n}", bare=True) for n in range(1, len(WISHES) + 1)]
    net.connect(*((laptop, node) for node in nodes))
    uuids = [node.git("config", "annex.uuid").out.strip() for node in (laptop, *nodes)]
    for node, uuid in zip(nodes, uuids[1:], strict=True):
        laptop.config(f"remote.{node.name}.annex-uuid", uuid)
    fill(laptop, 100_000, uuids[:2])
    laptop.syncx("sync", "--no-content")
    for node, wish in zip(nodes, WISHES, strict=True):
        expression, *group = wish.split() if wish.startswith("standard") else (wish,)
        for name in group:
            laptop.annex("group", "--quiet", node.name, name)
        laptop.annex("wanted", "--quiet", node.name, expression)
    seconds = processor_time(laptop, SYNCX, "plan")
    yield Row("100,000 files, 8 expressions at 10 remotes, first plan, processor", seconds, "s", 15.0)


def uplink(root: Path) -> Iterator[Row]:
    """Four targets behind one slow uplink, with fast links among them."""
    ours, sent = behind_an_uplink(root / "syncx", by_syncx)
    theirs, flooded = behind_an_uplink(root / "annex", by_annex)
    size = CONTENT * FILES
    yield Row("four targets, bytes through the uplink", sent / size, "x the content", 1.1,
              f"git annex sync --content: {flooded / size:.2f}x")  # fmt: skip
    yield Row("four targets, time", ours / theirs, "x git-annex's", 0.4,
              f"{ours:.1f} s, git annex sync --content: {theirs:.1f} s")  # fmt: skip


def behind_an_uplink(root: Path, sync: Callable[[Node, list[Node]], None]) -> tuple[float, int]:
    """Seconds until everybody has everything, and bytes through the uplink."""
    net = Network(root)
    with Sshd(root / "sshd", net.home) as sshd, Proxy(sshd.port, rate=UPLINK, shared=True) as slow:
        sshd.join(net)
        laptop = net.create("laptop")
        laptop.commit({"README": "x\n"})
        targets = [net.clone(laptop, name, bare=True) for name in TARGETS]
        for node in targets:
            node.git("remote", "remove", "origin")
            laptop.git("remote", "add", node.name, sshd.url(node.path, slow.port))
        net.mesh(*targets)
        for node in (laptop, *targets):
            for other in targets:
                if other is not node:
                    node.config(f"remote.{other.name}.annex-uuid", other.git("config", "annex.uuid").out.strip())
        for node in (laptop, *targets, laptop):
            node.syncx("sync", "--no-content")
        laptop.commit_annexed({f"film{n}": os.urandom(CONTENT) for n in range(FILES)})
        before, begun = slow.sent, time.perf_counter()
        sync(laptop, targets)
        seconds = time.perf_counter() - begun
        for node in targets:
            held = sum(path.is_file() for path in (node.path / "annex" / "objects").rglob("SHA256E-*"))
            assert held == FILES, f"{node.name} has {held} files"
        return seconds, slow.sent - before


def by_syncx(laptop: Node, targets: list[Node]) -> None:
    """The laptop syncs; then each target does its part, as its hook would."""
    laptop.syncx("sync")
    for node in targets * 2:
        node.syncx("merge")
        node.syncx("transfer")


def by_annex(laptop: Node, targets: list[Node]) -> None:
    """git-annex sends everything to everyone from here."""
    laptop.annex("sync", "--content", "--quiet")


def small(root: Path) -> Iterator[Row]:
    """2,000 files of 10 kB to a local remote."""
    ours, theirs = [], []
    for n in range(ROUNDS):
        for times, words in (
            (theirs, ("git-annex", "copy", "--to=nas", "-J2", "--quiet")),
            (ours, (SYNCX, "transfer")),
        ):
            net = Network(root / f"{n}-{words[0]}")
            laptop = net.create("laptop")
            laptop.config("syncx.transferJobs", "2")
            for number in range(2000):
                laptop.write(f"f{number}", os.urandom(10_000))
            laptop.annex("add", "--quiet", ".")
            laptop.git("commit", "--quiet", "--message", "x")
            nas = net.create("nas", bare=True)
            net.connect((laptop, nas))
            laptop.config("remote.nas.annex-uuid", nas.git("config", "annex.uuid").out.strip())
            laptop.syncx("sync", "--no-content")
            times.append(timed(laptop, *words))
            held = sum(path.is_file() for path in (nas.path / "annex" / "objects").rglob("SHA256E-*"))
            assert held == 2000, held
    one, other = statistics.median(ours), statistics.median(theirs)
    yield Row("2,000 files of 10 kB", one / other, "x git annex copy -J2", 1.1, f"{one:.1f} s, {other:.1f} s")


PARTS = {"many": many, "huge": huge, "wishes": wishes, "uplink": uplink, "small": small}


def main() -> int:
    """Measure, show, judge."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    options.add_argument("--only", choices=PARTS, help="one part")
    asked = options.parse_args()
    rows, load = [], os.getloadavg()[0]
    for name, part in PARTS.items():
        if asked.only in (None, name):
            root = Path(tempfile.mkdtemp(prefix="syncx-bench-"))
            try:
                for row in part(root / "net"):
                    print(" | ".join(row.cells()), flush=True)
                    rows.append(row)
            finally:
                subprocess.run(("chmod", "-R", "u+w", str(root)), check=False)
                shutil.rmtree(root, ignore_errors=True)
    if asked.save:
        RESULTS.write_text(report("Content", "content.py", rows, load))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
