"""A scenario on real repositories: sets the network up, carries out the steps."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from network import Network, Node, Ran

from .scenario import Line, Scenario

Sync = Callable[["World", str], Ran]

SETTINGS = {"group": "group.log", "wanted": "preferred-content.log", "required": "required-content.log"}


@dataclass
class Place:
    """A repository or a store; `kind` is the word that made it."""

    name: str
    kind: str
    node: Node
    given_uuid: str

    @property
    def git(self) -> bool:
        return self.kind not in ("store", "export")

    @property
    def bare(self) -> bool:
        return self.kind in ("bare", "hub")

    @property
    def present(self) -> bool:
        return self.node.path.is_dir()

    @property
    def objects(self) -> Path:
        """Where content lies, wherever the place is by now."""
        path = self.node.path if self.present else self.away
        return path if not self.git else path / ("annex/objects" if self.bare else ".git/annex/objects")

    @property
    def away(self) -> Path:
        return self.node.net.root / "away" / self.name

    @property
    def uuid(self) -> str:
        """The uuid; empty where git-annex does not know the repository yet, or nobody can ask it."""
        if self.given_uuid or not self.present:
            return self.given_uuid
        return self.node.git("config", "annex.uuid", ok=None).out.strip()

    def held(self) -> set[str]:
        """The objects that lie there: keys, or in an encrypted store its own names."""
        return {path.name for path in self.objects.rglob("*") if path.is_file() and path.parent.name == path.name}


def content(ident: str, plain: bool) -> bytes:
    """What a file with that ID holds; no two share a line."""
    lines = [f"{'line' if plain else 'data'} {n} of {ident}\n" for n in range(1 + int(ident) % 7 * 20)]
    return "".join(lines).encode()


def key_of(path: str, body: bytes) -> str:
    return f"SHA256E-s{len(body)}--{hashlib.sha256(body).hexdigest()}{Path(path).suffix}"


def blob_of(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@dataclass
class World:
    """The network of a scenario in a directory of its own."""

    net: Network
    scenario: Scenario
    places: dict[str, Place] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)  # version -> how a person calls it
    skipped: list[Line] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    # The network

    def set_up(self) -> None:
        (self.net.root / "away").mkdir()
        with (self.net.home / ".gitconfig").open("a") as config:
            config.write("[syncx]\n\tsettleTime = 0\n\tpatience = 0.3s\n")
        for verb, *words in self.scenario.setup:
            if verb not in (*SETTINGS, "numcopies"):
                getattr(self, f"_{verb}")(*words)

    def uuid_for(self, name: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.scenario.seed} {name}"))

    def _place(self, name: str, kind: str) -> Node:
        node = Node(self.net, name, self.net.root / name)
        self.places[name] = Place(name, kind, node, "" if kind == "bare" else self.uuid_for(name))
        return node

    def _initialise(self, node: Node) -> None:
        node.config("annex.uuid", self.uuid_for(node.name))
        node.annex("init", "--quiet", node.name)

    def _clone(self, name: str, origin: str = "", kind: str = "clone") -> None:
        if origin and origin not in self.places:
            return
        node = self._place(name, kind)
        if not origin:
            node.path.mkdir()
            node.git("init", "--quiet")
            self._initialise(node)
            node.commit({"README": "read me\n"})
            self._settings(node)
            return
        bare = ["--bare"] if kind == "hub" else []
        self.places[origin].node.git("clone", "--quiet", *bare, str(self.places[origin].node.path), str(node.path))
        self._initialise(node)
        node.git("remote", "remove", "origin")

    def _drive(self, name: str, origin: str) -> None:
        self._clone(name, origin, "drive")

    def _hub(self, name: str, origin: str) -> None:
        self._clone(name, origin, "hub")

    def _bare(self, name: str) -> None:
        node = self._place(name, "bare")
        node.path.mkdir()
        node.git("init", "--quiet", "--bare")

    def _store(self, name: str, at: str, encryption: str) -> None:
        if at in self.places:
            directory = self._place(name, "store").path
            directory.mkdir()
            self._initremote(at, name, f"encryption={encryption}")

    def _initremote(self, at: str, name: str, *more: str) -> None:
        own = (f"directory={self.net.root / name}", f"uuid={self.uuid_for(name)}")
        self.places[at].node.annex("initremote", "--quiet", name, "type=directory", *own, *more)

    def _export(self, name: str, at: str) -> None:
        if at in self.places:
            self._place(name, "export").path.mkdir()
            self._initremote(at, name, "encryption=none", "exporttree=yes")
            self.places[at].node.config(f"remote.{name}.annex-tracking-branch", "main")

    def _enable(self, name: str, at: str) -> None:
        if name in self.places and at in self.places:
            node = self.places[at].node
            told = node.annex("enableremote", name, f"directory={self.net.root / name}").out
            if found := re.search(r"--safe (\S+)", told):
                node.annex("verifyremote", "--quiet", name, "--safe", found[1])

    def _adjust(self, name: str, how: str) -> None:
        if name in self.places:
            self.places[name].node.annex("adjust", "--quiet", f"--{how}")

    def _link(self, name: str, other: str, cost: str = "") -> None:
        if name in self.places and other in self.places:
            node = self.places[name].node
            node.git("remote", "add", other, str(self.places[other].node.path))
            if cost:
                node.config(f"remote.{other}.annex-cost", cost)

    def _settings(self, first: Node) -> None:
        """Write groups, expressions and numcopies to the git-annex branch, where all clones find them."""
        logs: dict[str, str] = {}
        now = int(time.time())
        for verb, *words in self.scenario.setup:
            if verb == "numcopies":
                logs["numcopies.log"] = f"{now}s {words[0]}\n"
            elif verb in SETTINGS:
                line = f"{self.uuid_for(words[0])} {words[1]} timestamp={now}s\n"
                logs[SETTINGS[verb]] = logs.get(SETTINGS[verb], "") + line
        commit = f"commit refs/heads/git-annex\ncommitter T <t@example.org> {now} +0000\ndata 8\nsettings\n"
        commit += "from refs/heads/git-annex^0\n"
        for name, text in logs.items():
            commit += f"M 100644 inline {name}\ndata {len(text)}\n{text}\n"
        if logs:
            first.git("fast-import", "--quiet", stdin=commit.encode())

    # What happens

    def play(self, sync: Sync) -> None:
        """Carry out all steps."""
        for line in self.scenario.steps:
            if line[0] == "round":
                self.round(sync, line[1:])
            elif not self._step(*line):
                self.skipped.append(line)

    def round(self, sync: Sync, names: tuple[str, ...]) -> None:
        for name in names:
            if name in self.places and self.places[name].present:
                sync(self, name)

    def bring_back(self) -> None:
        for place in self.places.values():
            self.do_back(place.name)

    def _step(self, verb: str, *words: str) -> bool:
        """Carry out one step; False where it could not be done."""
        if verb in ("away", "back", "dead"):
            return words[0] in self.places and bool(getattr(self, f"do_{verb}")(*words))
        place = self.places.get(words[0])
        return place is not None and place.present and bool(getattr(self, f"do_{verb}")(place.node, *words[1:]))

    def do_away(self, name: str) -> bool:
        place = self.places[name]
        if present := place.present:
            place.node.path.rename(place.away)
        return present

    def do_back(self, name: str) -> bool:
        place = self.places[name]
        if can := place.away.is_dir() and name not in self.gone:
            place.away.rename(place.node.path)
        return can

    def do_dead(self, name: str, at: str) -> bool:
        place, by = self.places[name], self.places.get(at)
        if not by or not by.present or not place.uuid:
            return False
        self.do_away(name)
        self.gone.add(name)
        return by.node.annex("dead", place.uuid, ok=None).code == 0

    def do_annexed(self, node: Node, path: str, ident: str) -> bool:
        body = content(ident, plain=False)
        node.write(path, body)
        node.annex("add", "--quiet", "--", path)
        self.made[key_of(path, body)] = f"{path}#{ident}"
        return True

    def do_plain(self, node: Node, path: str, ident: str) -> bool:
        body = content(ident, plain=True)
        node.write(path, body)
        node.git("-c", "annex.largefiles=nothing", "add", "--", path)
        self.made[blob_of(body)] = f"{path}#{ident}"
        return True

    def do_move(self, node: Node, path: str, target: str) -> bool:
        (node.path / target).parent.mkdir(exist_ok=True)
        return node.git("mv", "--", path, target, ok=None).code == 0

    def do_remove(self, node: Node, path: str) -> bool:
        return node.git("rm", "--quiet", "--force", "--", path, ok=None).code == 0

    def do_unlock(self, node: Node, path: str) -> bool:
        return os.path.lexists(node.path / path) and node.annex("unlock", "--quiet", "--", path, ok=None).code == 0

    def do_commit(self, node: Node) -> bool:
        return node.git("commit", "--quiet", "--message", "by hand", ok=None).code == 0

    def do_get(self, node: Node, path: str) -> bool:
        return node.annex("get", "--quiet", "--", path, ok=None).code == 0

    def do_drop(self, node: Node, path: str, remote: str = "") -> bool:
        where = ["--from", remote] if remote else []
        return node.annex("drop", "--quiet", *where, "--", path, ok=None).code == 0

    def do_copy(self, node: Node, path: str, remote: str) -> bool:
        return node.annex("copy", "--quiet", "--to", remote, "--", path, ok=None).code == 0

    def do_set(self, node: Node, setting: str, name: str, value: str) -> bool:
        if setting == "numcopies":
            return node.annex("numcopies", value, ok=None).code == 0
        place = self.places.get(name)
        return bool(place and place.uuid) and node.annex(setting, place.uuid, value, ok=None).code == 0


def saved_copy(net: Network) -> Path:
    """Copy a network that is set up, to be told another story from the same beginning."""
    copy = net.root.with_name("saved")
    subprocess.run(["cp", "-a", str(net.root), str(copy)], check=True)
    return copy


def restore(net: Network, copy: Path) -> None:
    """Put a saved copy where the network was: its paths are the same, and so are all uuids."""
    shutil.rmtree(net.root)
    copy.rename(net.root)
