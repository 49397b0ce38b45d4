"""The end state of a story: what is where, as the disk, git and git-annex say it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from network import Node, Ran

from .scenario import Line
from .world import Place, World

BRANCH = "refs/heads/main"
TIPS = ("main", "synced/main")


@dataclass(frozen=True)
class Reading:
    """What one look at all repositories found. Versions are keys, or ids of plain blobs; files of trees by path."""

    trees: dict[str, dict[str, str]]  # place -> what its main (or what it has received) says
    history: frozenset[str]  # every version that any branch of any repository reaches
    held: dict[str, frozenset[str]]  # place -> keys that lie there
    claimed: dict[str, frozenset[str]]  # place -> keys that the location logs say are there
    hidden: dict[str, frozenset[str]]  # work tree -> files whose content is there, and that do not show it
    changed: dict[str, str]  # work tree -> what `git status` says
    exported: dict[str, frozenset[tuple[str, str]]]  # place -> files and the hash of what they hold
    copies: int  # numcopies
    dead: frozenset[str]

    def holders(self, key: str) -> list[str]:
        return sorted(place for place, keys in self.held.items() if key in keys and place not in self.dead)


@dataclass(frozen=True)
class Told:
    """A story that has been told with one of the two programs."""

    reading: Reading
    runs: tuple[tuple[str, Ran], ...]
    made: dict[str, str]  # version -> how a person calls it
    skipped: tuple[Line, ...]  # steps that could not be done
    syncing: tuple[str, ...]

    def __str__(self) -> str:
        """Each place: the content that it holds, and its files."""
        lines = [f"after {len(self.runs)} runs:\n"]
        for name, keys in self.reading.held.items():
            held = sorted(self.made.get(key, key) for key in keys)
            tree = self.reading.trees.get(name, {})
            files = sorted(f"{path}={self.made.get(version, version[:8])}" for path, version in tree.items())
            lines.append(f"  {name}: holds {' '.join(held) or 'nothing'}; files {' '.join(files) or 'none'}\n")
        for name, exported in self.reading.exported.items():
            lines.append(f"  {name}: {' '.join(sorted(path for path, _ in exported)) or 'nothing'}\n")
        return "".join(lines)


class Judge:
    """A repository of its own that has fetched everything from everybody, and asks git-annex about it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.node = Node(world.net, "judge", world.net.root / "judge")
        self.node.path.mkdir()
        self.node.git("init", "--quiet")
        for place in self._git_places():
            path = place.node.path if place.present else place.away
            self.node.git("fetch", "--quiet", str(path), f"+refs/heads/*:refs/remotes/{place.name}/*", ok=None)
        self.node.annex("init", "--quiet", "judge")
        # Checked out: without the file at its place git-annex knows no key for what an expression says of copies.
        self.node.git("reset", "--quiet", "--hard", self._settled_tip())

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.node.path)

    def told(self, runs: list[tuple[str, Ran]]) -> Told:
        """Say how a story ended, in which these runs took place."""
        world = self.world
        syncing = tuple(world.scenario.syncing)
        return Told(self.read(), tuple(runs), dict(world.made), tuple(world.skipped), syncing)

    def _git_places(self) -> list[Place]:
        return [place for place in self.world.places.values() if place.git]

    def _settled_tip(self) -> str:
        first = next(place.name for place in self._git_places() if place.kind == "clone")
        return self.node.head(f"refs/remotes/{first}/main")

    @cached_property
    def uuids(self) -> dict[str, str]:
        """Place -> uuid, of those that have one."""
        return {name: place.uuid for name, place in self.world.places.items() if place.present and place.uuid}

    def log(self, name: str) -> dict[str, str]:
        """A log of uuids on the git-annex branch: uuid -> the newest value."""
        newest: dict[str, tuple[str, str]] = {}
        for line in self.node.git("show", f"git-annex:{name}", ok=None).out.splitlines():
            uuid, value, stamp = line.partition(" ")[0], line.partition(" ")[2], line.rpartition("timestamp=")[2]
            newest[uuid] = max(newest.get(uuid, ("", "")), (stamp, value.rpartition(" timestamp=")[0]))
        return {uuid: value for uuid, (_, value) in newest.items()}

    def asked(self, name: str, how: str) -> frozenset[str]:
        """Keys of the settled tree for which `git annex find --want-get-by` (or `drop`) says yes."""
        option = f"--want-{how}-by={self.uuids[name]}"
        return frozenset(
            self.node.annex("find", f"--branch={BRANCH}", option, r"--format=${key}\n").out.split("\n")[:-1]
        )

    def has_expression(self, name: str) -> bool:
        logs = ("preferred-content.log", "required-content.log")
        return name in self.uuids and any(self.log(log).get(self.uuids[name]) for log in logs)

    def wants(self, name: str, key: str) -> bool:
        """Whether a repository that lacks a key of the settled tree wants it; without any expression it wants all,
        also where nobody has asked yet who it is."""
        if self.only_passes_on(name):
            return False
        return not self.has_expression(name) or key in self.asked(name, "get")

    def only_passes_on(self, name: str) -> bool:
        """Whether a repository is in group transfer: ours sends content through it only where that is the way."""
        return name in self.uuids and "transfer" in self.log("group.log").get(self.uuids[name], "").split()

    def read(self) -> Reading:
        places = self.world.places
        claimed = self._claimed()
        held = {
            name: claimed.get(name, frozenset()) if _names_are_secret(place) else frozenset(place.held())
            for name, place in places.items()
            if place.kind != "export"
        }
        trees = {place.name: self._tree(place.name) for place in self._git_places()}
        work_trees = [place for place in self._git_places() if not place.bare and place.present]
        return Reading(
            trees=trees,
            history=frozenset(self._versions(self._all_blobs()).values()),
            held=held,
            claimed=claimed,
            hidden={p.name: frozenset(_hidden(p, self._checked_out(p), held[p.name])) for p in work_trees},
            changed={p.name: p.node.git("status", "--porcelain", ok=None).out for p in work_trees},
            exported={p.name: frozenset(_exported(p.node.path)) for p in places.values() if p.kind == "export"},
            copies=self._numcopies(),
            dead=frozenset(self._dead()),
        )

    def _numcopies(self) -> int:
        lines = self.node.git("show", "git-annex:numcopies.log", ok=None).out.splitlines()
        return int(max(lines, key=lambda line: float(line.split("s ")[0])).split()[1]) if lines else 1

    def _dead(self) -> Iterator[str]:
        names = {uuid: name for name, uuid in self.uuids.items()}
        names |= {place.given_uuid: name for name, place in self.world.places.items()}
        for uuid, trust in self.log("trust.log").items():
            if trust.strip() == "X" and uuid in names:
                yield names[uuid]
        yield from self.world.gone

    def _claimed(self) -> dict[str, frozenset[str]]:
        names = {uuid: name for name, uuid in self.uuids.items()}
        claimed: dict[str, set[str]] = {name: set() for name in names.values()}
        for line in self.node.annex("whereis", "--all", "--json", ok=None).out.splitlines():
            told = json.loads(line)
            for where in told["whereis"] + told["untrusted"]:
                if where["uuid"] in names:
                    claimed[names[where["uuid"]]].add(told["key"])
        return {name: frozenset(keys) for name, keys in claimed.items()}

    # Versions

    def _tree(self, place: str) -> dict[str, str]:
        """What the branch says; where `synced/main` is ahead of `main` (nothing has merged there), that one."""
        refs = [ref for tip in TIPS if self.node.head(ref := f"refs/remotes/{place}/{tip}")]
        if len(refs) == 2 and self.node.contains(refs[1], refs[0]):
            refs = refs[:1]
        return self._files(refs[-1]) if refs else {}

    def _checked_out(self, place: Place) -> dict[str, str]:
        """The tree that the work tree shall show: that of main, for an adjusted branch may leave files out."""
        return self._files(f"refs/remotes/{place.name}/main")

    def _files(self, ref: str) -> dict[str, str]:
        listed = self.node.git("ls-tree", "-r", "-z", ref).out.split("\0")[:-1]
        blobs = {line.split("\t", 1)[1]: line.split()[2] for line in listed}
        versions = self._versions(list(blobs.values()))
        return {path: versions[blob] for path, blob in blobs.items()}

    def _all_blobs(self) -> list[str]:
        refs = self.node.git("for-each-ref", "--format=%(refname)", "refs/remotes").out.split()
        wanted = [ref for ref in refs if not ref.endswith("/git-annex")]
        listed = self.node.git("rev-list", "--objects", "--filter=object:type=blob", "--filter-provided-objects",
                               *wanted).out  # fmt: skip
        return [line.split()[0] for line in listed.splitlines()]

    def _versions(self, blobs: list[str]) -> dict[str, str]:
        """Blob -> key, or itself where it is no link or pointer of git-annex."""
        answers = self.node.run("git", "cat-file", "--batch", stdin="".join(f"{b}\n" for b in blobs).encode()).out
        found, at = {}, 0
        data = os.fsencode(answers)
        for blob in blobs:
            end = data.index(b"\n", at)
            size = int(data[at:end].split()[2])
            found[blob] = _key(data[end + 1 : end + 1 + size]) or blob
            at = end + size + 2
        return found


def _key(body: bytes) -> str:
    """The key of an annexed link or pointer, or nothing."""
    first = body.split(b"\n")[0]
    return os.fsdecode(first.rpartition(b"/")[2]) if b"annex/objects/" in first and len(first) < 2000 else ""


def _names_are_secret(place: Place) -> bool:
    return place.kind == "store" and any(name.startswith("GPGHMAC") for name in place.held())


def _hidden(place: Place, files: dict[str, str], held: frozenset[str]) -> Iterator[str]:
    for path, version in files.items():
        if version in held:
            file = place.node.path / path
            hashed = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
            if hashed not in version:
                yield path


def _exported(directory: Path) -> Iterator[tuple[str, str]]:
    for path in directory.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(directory)), hashlib.sha256(path.read_bytes()).hexdigest()[:12]
