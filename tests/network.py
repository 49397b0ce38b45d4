"""Real repositories for tests to tell stories with: work trees, bare ones, drives, all in one directory."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any, TypeVar
from uuid import uuid4

import git_annex
import templates
from fork_server import ForkServers

T = TypeVar("T")

LONGEST = 300  # seconds that a program may run
PROGRAMS = Path(sys.executable).parent
# The wheel's git-annex itself: before it, its script of PROGRAMS starts a Python, which takes four times as long.
ANNEX = Path(git_annex.__file__).parent
# git-annex's filter and pre-commit hook start it twice for each commit.
WITHOUT_ANNEX = ("-c", "filter.annex.clean=", "-c", "filter.annex.process=")
SETTINGS = (
    "[user]\n\tname = Tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n"
    "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[receive]\n\tautogc = false\n[annex]\n\tthin = false\n"
)
OURS = "refs/heads/git-annex"
LONG_AGO = itertools.count(int(time()) - 10_000_000)  # times of files, each another
THOROUGH = int(os.environ.get("SYNCX_THOROUGH", "1"))  # times as many random cases as in an ordinary run


@functools.cache
def fork_servers() -> ForkServers:
    """The servers of this process of the tests."""
    return ForkServers({"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})


@functools.cache
def template(bare: bool) -> Path:
    """The git directory of a repository that git-annex has made and that syncx was run in, until the tests end."""
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    atexit.register(shutil.rmtree, folder)
    node = Network(folder / "net").create("template", bare=bare, init=True)
    node.syncx("resume")  # it remembers the version of git-annex
    git_dir = node.path if bare else node.path / ".git"
    templates.strip(git_dir)
    return git_dir


@functools.cache
def made(build: Callable[[Network], Sequence[Node]]) -> tuple[Network, list[Node]]:
    """A network with what `build` has made, to be copied, until the tests end."""
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    net = Network(folder / "net")
    nodes = list(build(net))
    for outbox in net.root.glob("**/annex/syncx/outbox.sqlite"):  # a copy has another address
        with contextlib.closing(sqlite3.connect(outbox, isolation_level=None)) as db:
            db.execute("UPDATE remotes SET addresses = NULL")
    return net, nodes


def sample(cases: Sequence[T], ordinary: int) -> Sequence[T]:
    """The first cases in an ordinary run of the tests, all in a thorough one."""
    return cases[:ordinary] if THOROUGH == 1 else cases


@dataclass(frozen=True)
class Ran:
    """A program that has ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of its output."""
        return [json.loads(line) for line in self.out.splitlines()]

    def event(self, name: str, remote: str | None = None) -> dict[str, Any]:
        """The last event of that name (and remote)."""
        found = [e for e in self.events if e["event"] == name and e.get("remote") == remote]
        assert found, f"no event {name} of {remote} in {self.out}\n{self.err}"
        return found[-1]


class Network:
    """Repositories that know each other, below one directory, with a home and a configuration of their own."""

    def __init__(self, root: Path, inits: bool = False) -> None:
        """With `inits` git-annex itself makes every repository, with all its hooks; else they are copied."""
        self.root, self.inits = root, inits
        self.home = root / "home"
        self.runtime = root / "run"
        self.home.mkdir(parents=True)
        self.runtime.mkdir(mode=0o700)
        self.clock = 1_700_000_000
        self.programs = [ANNEX, PROGRAMS]  # what stands first on the PATH
        (self.home / ".gitconfig").write_text(SETTINGS)

    def copy(self, root: Path) -> Network:
        """The same repositories, with the same uuids, in another place."""
        shutil.copytree(self.root, root, symlinks=True)
        self._name_again(root)
        copied = copy(self)
        copied.root, copied.home, copied.runtime = root, root / "home", root / "run"
        copied.programs = list(self.programs)
        return copied

    def _name_again(self, root: Path) -> None:
        """Let the repositories that were copied from here to `root` find each other there."""
        for config in (*root.glob("*/config"), *root.glob("*/.git/config")):
            config.write_text(config.read_text().replace(str(self.root), str(root)))
            templates.renew_sentinel(config.parent)
            if (config.parent / "index").exists():
                _know_again(config.parent.parent, self.env())

    def made_by(self, build: Callable[[Network], Sequence[Node]]) -> list[Node]:
        """Have the repositories that `build` makes: it does so once, elsewhere, and every network gets a copy."""
        if self._is_odd():
            return list(build(self))
        ready, nodes = made(build)
        for folder in {node.path.relative_to(ready.root).parts[0] for node in nodes}:
            shutil.copytree(ready.root / folder, self.root / folder, symlinks=True)
        ready._name_again(self.root)
        self.clock = max(self.clock, ready.clock)
        return [Node(self, node.name, self.root / node.path.relative_to(ready.root)) for node in nodes]

    def env(self, **more: str) -> dict[str, str]:
        """An environment without anything of the user's; each call a minute later than the last."""
        self.clock += 60
        kept = {
            key: value for key, value in os.environ.items() if key in ("PATH", "TMPDIR", "COVERAGE_PROCESS_START")
        }
        date = f"@{self.clock} +0000"
        return (
            kept
            | {
                "PATH": os.pathsep.join([*map(str, self.programs), kept["PATH"]]),
                "HOME": str(self.home),
                "XDG_RUNTIME_DIR": str(self.runtime),
                "GIT_CONFIG_NOSYSTEM": "1",
                "MAGIC": str(ANNEX / "magic.mgc"),
                "GIT_AUTHOR_DATE": date,
                "GIT_COMMITTER_DATE": date,
                "LC_ALL": "C.UTF-8",
            }
            | more
        )

    def create(self, name: str, *, bare: bool = False, init: bool = False) -> Node:
        """A new repository with git-annex, without a commit; with `init` git-annex makes it, else it is copied."""
        node = Node(self, name, self.root / name)
        node.path.mkdir(parents=True)
        node.git("init", "--quiet", *(["--bare"] if bare else []))
        if init or self._is_odd():
            node.annex("init", "--quiet", name)
        else:
            self._adopt(node, bare)
        return node

    def clone(self, origin: Node, name: str, *, bare: bool = False, init: bool = False) -> Node:
        """A clone, initialised, whose remote is called as the origin is; `init` as in `create`."""
        node = Node(self, name, self.root / name)
        options = ["--bare"] if bare else ["--origin", origin.name]
        origin.git("clone", "--quiet", *options, str(origin.path), str(node.path))
        remote, branch = ("origin", OURS) if bare else (origin.name, f"refs/remotes/{origin.name}/git-annex")
        known = {} if init or self._is_odd() else node.logs(branch, "remote.log", "uuid.log")
        if not known or known["remote.log"] or node.asks_much():
            node.annex("init", "--quiet", name)
        else:
            self._adopt(node, bare, branch, known["uuid.log"])
            uuid = origin.git("config", "annex.uuid").out.strip()
            with (node.git_dir / "config").open("a") as config:
                config.write(f'[remote "{remote}"]\n\tannex-uuid = {uuid}\n')
        return node

    def _is_odd(self) -> bool:
        """Whether repositories cannot be copied, for instance because a test has settings of its own for all."""
        return self.inits or (self.home / ".gitconfig").read_text() != SETTINGS

    def _adopt(self, node: Node, bare: bool, branch: str = "", known: bytes = b"") -> None:
        """Do to a repository what `git annex init` does.

        `branch` is the git-annex branch that it has got, and `known` the uuid.log there.
        """
        uuid = str(uuid4())
        templates.adopt(template(bare), node.git_dir, uuid)
        node.git("fast-import", "--quiet", stdin=templates.description(uuid, node.name, int(time()), known, branch))

    def connect(self, *pairs: tuple[Node, Node]) -> None:
        """Give the first of each pair a remote for the second, called as it is."""
        for node, other in pairs:
            if f'[remote "{other.name}"]' not in (node.git_dir / "config").read_text():
                node.git("remote", "add", other.name, str(other.path))

    def mesh(self, *nodes: Node) -> None:
        """Connect everyone with everyone."""
        self.connect(*((one, two) for one in nodes for two in nodes if one is not two))


def _know_again(work_tree: Path, env: dict[str, str]) -> None:
    """Let git know the files of a copied work tree: it would ask git-annex about each of them again and again."""
    refresh = ("git", *WITHOUT_ANNEX, "update-index", "-q", "--refresh")
    subprocess.run(refresh, cwd=work_tree, env=env, capture_output=True, check=False)


def together(nodes: Iterable[Node], *args: str) -> list[Ran]:
    """Run syncx in all these repositories at the same moment; none of them may crash."""
    nodes = list(nodes)
    with ThreadPoolExecutor(len(nodes)) as pool:
        told = list(pool.map(lambda node: node.syncx(*args, ok=None), nodes))
    assert all(ran.code in (0, 1) and "Traceback" not in ran.err for ran in told), told
    return told


class Node:
    """One repository."""

    def __init__(self, net: Network, name: str, path: Path) -> None:
        self.net, self.name, self.path = net, name, path
        self.inside: tuple[str, ...] = ()  # what runs programs in another place, such as a network namespace

    def run(self, *args: str | bytes, ok: int | None = 0, stdin: bytes | None = None, **env: str) -> Ran:
        """Run a program in the repository; `ok` is the exit code it must have, None for any.

        git-annex-syncx runs in a fork where that is as good as a start.
        """
        around = self.net.env(**env)
        forks = args[0] == "git-annex-syncx" and stdin is None and not self.inside and sys.platform == "linux"
        forks = forks and "PYTEST_VERSION" in os.environ  # a benchmark measures real starts
        if forks and fork_servers().can_run(around):
            return self._ended(fork_servers().run(args, self.path, around, LONGEST), ok)
        return self._ended(self._run(args, stdin, around), ok)

    def _run(
        self, args: tuple[str | bytes, ...], stdin: bytes | None, env: dict[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            (*self.inside, *args),
            cwd=self.path,
            env=env,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=LONGEST,
        )

    def _ended(self, done: subprocess.CompletedProcess[bytes], ok: int | None) -> Ran:
        ran = Ran(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))
        assert ok is None or ran.code == ok, f"{done.args} in {self.name}: exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def start(self, *args: str, **env: str) -> subprocess.Popen[bytes]:
        """Start syncx without waiting for its end."""
        return subprocess.Popen(
            (*self.inside, "git-annex-syncx", *args), cwd=self.path, env=self.net.env(**env),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def git(self, *args: str | bytes, ok: int | None = 0, stdin: bytes | None = None, **env: str) -> Ran:
        return self.run("git", *args, ok=ok, stdin=stdin, **env)

    def annex(self, *args: str, ok: int | None = 0) -> Ran:
        return self.run("git-annex", *args, ok=ok)

    def syncx(self, *args: str, ok: int | None = 0, **env: str) -> Ran:
        """Run git-annex-syncx without a terminal and with JSON events."""
        return self.run("git-annex-syncx", "--json", *args, ok=ok, **env)

    def config(self, key: str, value: str) -> None:
        self.git("config", key, value)

    def write(self, path: str | bytes, content: str | bytes) -> None:
        """Write a file of the work tree, never through an annexed symlink, as if it had been written long ago.

        What is as new as the index git reads again at each look, and starts git-annex for that.
        """
        full = os.path.join(os.fsencode(self.path), os.fsencode(path))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if os.path.lexists(full):
            os.unlink(full)
        with open(full, "wb") as handle:
            handle.write(content.encode() if isinstance(content, str) else content)
        os.utime(full, (moment := next(LONG_AGO), moment))

    def read(self, path: str | bytes) -> bytes:
        """What the work tree holds."""
        with open(os.path.join(os.fsencode(self.path), os.fsencode(path)), "rb") as handle:
            return handle.read()

    def commit(self, files: dict[str, str | bytes] | None = None, message: str = "change") -> str:
        """Write plain text files and commit them past git-annex, which would leave them as they are; the commit."""
        for path, content in (files or {}).items():
            self.write(path, content)
        if files:
            self.git(*WITHOUT_ANNEX, "add", "--", *files)
        self.git(*WITHOUT_ANNEX, "commit", "--no-verify", "--quiet", "--allow-empty", "--message", message)
        return self.head()

    def commit_annexed(self, files: dict[str, str | bytes], message: str = "change") -> str:
        """Write files, add them to the annex and commit them past its hook, which has no more to do; the commit."""
        for path, content in files.items():
            self.write(path, content)
        self.annex("add", "--quiet", "--", *files)
        self.git("commit", "--no-verify", "--quiet", "--message", message)
        return self.head()

    @property
    def git_dir(self) -> Path:
        """The git directory, of a repository that is no further work tree of another."""
        return found if (found := self.path / ".git").is_dir() else self.path

    def logs(self, branch: str, *names: str) -> dict[str, bytes]:
        """Files of a git-annex branch, none where it is not there; a file that is not there is empty."""
        asked = "".join(f"{branch}:{name}\n" for name in ("", *names))
        out = os.fsencode(self.git("cat-file", "--batch", stdin=asked.encode()).out)
        found = []
        for _ in ("", *names):
            said, _, out = out.partition(b"\n")
            size = 0 if said.endswith(b" missing") else int(said.rpartition(b" ")[2]) + 1
            found.append(out[:size][:-1])
            out = out[size:]
        return dict(zip(names, found[1:], strict=True)) if found[0] else {}

    def asks_much(self) -> bool:
        """Whether `git annex init` would do more in this clone than name it: for unlocked files."""
        unlocked = self.git("grep", "--quiet", "--cached", "^/annex/objects/", ok=None)
        return unlocked.code != 1 or (self.git_dir / "HEAD").read_text().startswith("ref: refs/heads/adjusted/")

    def head(self, rev: str = "HEAD") -> str:
        """The id of a commit, empty where there is none."""
        if rev == "HEAD" and (found := self._head_in_files()):
            return found
        return self.git("rev-parse", "--quiet", "--verify", rev, ok=None).out.strip()

    def _head_in_files(self) -> str:
        """The commit of the branch in hand, empty where the files of an ordinary repository do not say it."""
        with contextlib.suppress(OSError):
            branch = (self.git_dir / "HEAD").read_text().removeprefix("ref: ").strip()
            return (self.git_dir / branch).read_text().strip() if branch.startswith("refs/heads/") else ""
        return ""

    def show(self, spec: str) -> bytes:
        """A blob, such as `main:a.txt`."""
        return os.fsencode(self.git("cat-file", "blob", spec).out)

    def files(self, rev: str = "HEAD") -> list[str]:
        """All paths of a commit."""
        return self.git("ls-tree", "-r", "-z", "--name-only", rev).out.split("\0")[:-1]

    def contains(self, commit: str, rev: str = "HEAD") -> bool:
        """Whether a revision's history holds the commit."""
        return self.git("merge-base", "--is-ancestor", commit, rev, ok=None).code == 0
