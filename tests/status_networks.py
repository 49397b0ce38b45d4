"""Random networks of which a repository's git-annex branch tells, and git-annex's own answers about each of them.

Nobody but one repository is there; git-annex answers for uuids that are no remotes, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from network import WITHOUT_ANNEX, Network, Node

GROUPS = ("backup", "archive", "smallarchive", "client", "source", "manual", "mine")
TERMS = (
    "include=*.a", "exclude=dir/*", "smallerthan=1kb", "largerthan=500b", "copies=2", "copies=backup:1",
    "lackingcopies=1", "inallgroup=mine", "onlyingroup=backup", "present", "anything", "nothing", "include=dir/*",
)  # fmt: skip
WHOLE = ("", "", "standard", "anything", "nothing")
NAMES = ("plain.a", "dir/b.b", "dir/deep/c.a", "-d.b", "new\nline.a", "späce e.b")
numbers = count()


@dataclass
class World:
    """What a random network is like: the uuids that are alive, and the key of each file."""

    node: Node
    alive: list[str]
    choosy: set[str]
    relays: set[str]
    files: dict[str, list[str]] = field(default_factory=dict)  # key -> its names


def expression(rng: random.Random) -> str:
    """A random expression, one that git-annex can read."""
    if rng.random() < 0.4:
        return rng.choice(WHOLE)
    terms = [f"{rng.choice(('', '', 'not '))}{rng.choice(TERMS)}" for _ in range(rng.randint(1, 3))]
    told = terms[0]
    for term in terms[1:]:
        told = f"({told}) {rng.choice(('and', 'or'))} {term}"
    return told


def build(net: Network, seed: int) -> World:
    """A repository that knows of a random network."""
    rng = random.Random(seed)
    node = net.create(f"here{next(numbers)}")
    own = node.git("config", "annex.uuid").out.strip()
    uuids = [own, *(str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(rng.randint(2, 4)))]
    dead = {uuid for uuid in uuids[1:] if rng.random() < 0.1}
    groups = {uuid: rng.choice(GROUPS) for uuid in uuids if rng.random() < 0.7}
    preferred = {uuid: expression(rng) for uuid in uuids}
    required = {uuid: expression(rng) if rng.random() < 0.2 else "" for uuid in uuids}
    trust = {uuid: "X" if uuid in dead else rng.choice("??01") for uuid in uuids}
    links = {a: [b for b in uuids if a != b and rng.random() < 0.5] for a in uuids if rng.random() < 0.8}
    world = World(node, [u for u in uuids if u not in dead], {u for u in uuids if preferred[u] or required[u]}, set())
    logs = {
        "uuid.log": "".join(f"{u} r{n} timestamp=1s\n" for n, u in enumerate(uuids)),
        "group.log": "".join(f"{u} {name} timestamp=1s\n" for u, name in groups.items()),
        "preferred-content.log": "".join(f"{u} {text} timestamp=1s\n" for u, text in preferred.items() if text),
        "required-content.log": "".join(f"{u} {text} timestamp=1s\n" for u, text in required.items() if text),
        "trust.log": "".join(f"{u} {level} timestamp=1s\n" for u, level in trust.items()),
        "numcopies.log": f"1s {rng.randint(1, 3)}\n",
        "syncx-links.log": "".join(f"{u} {json.dumps(_line(to))} timestamp=2s\n" for u, to in links.items()),
    }
    tree: dict[str, tuple[str, bytes]] = {"notes.txt": ("100644", b"no key\n")}
    for number in range(rng.randint(10, 24)):
        key = _key(rng, number)
        logs[_log(key)] = "".join(
            f"{rng.randint(1, 9)}s {rng.choice('110X' if rng.random() < 0.2 else '10')} {uuid}\n"
            for uuid in uuids[1:]  # of this repository git-annex believes its own eyes
            if rng.random() < 0.6
        )
        for _ in range(rng.choice((1, 1, 1, 2))):
            name = f"{number}{rng.choice(NAMES)}" if rng.random() < 0.7 else f"dir/{number}{rng.choice('ab')}.a"
            if name not in tree:
                world.files.setdefault(key, []).append(name)
                tree[name] = _entry(rng, key, name)
    if rng.random() < 0.5:
        tree[".gitattributes"] = ("100644", f"*.a annex.numcopies={rng.randint(1, 4)}\n".encode())
    _write(node, "git-annex", {name: ("100644", text.encode()) for name, text in logs.items()})
    _write(node, "main", tree)
    node.git(*WITHOUT_ANNEX, "reset", "--quiet", "--hard")
    return world


def _line(to: list[str]) -> dict[str, object]:
    links = [{"to": uuid, "cost": 100.0, "push": True, "pull": True, "removable": False} for uuid in to]
    return {"v": 1, "relay": False, "links": links}


def _key(rng: random.Random, number: int) -> str:
    size = rng.choice((10, 400, 600, 2000, 100_000))
    return f"SHA256-s{size}--{hashlib.sha256(f'{number} {rng.random()}'.encode()).hexdigest()}"


def _log(key: str) -> str:
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:3]}/{digest[3:6]}/{key}.log"


def _entry(rng: random.Random, key: str, name: str) -> tuple[str, bytes]:
    if rng.random() < 0.2:
        return "100644", f"/annex/objects/{key}\n".encode()
    return "120000", f"{'../' * name.count('/')}.git/annex/objects/xx/yy/{key}/{key}".encode()


def _write(node: Node, branch: str, files: dict[str, tuple[str, bytes]]) -> None:
    """Commit files to a branch, on top of what is there."""
    parent = node.head(branch)
    stream = f"commit refs/heads/{branch}\ncommitter t <t@example.org> 1 +0000\ndata 0\n".encode()
    stream += f"from {parent}\n".encode() if parent else b""
    for name, (mode, content) in files.items():
        stream += b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), _quoted(name), len(content), content)
    node.git("fast-import", "--quiet", stdin=stream)


def _quoted(name: str) -> bytes:
    return b'"' + os.fsencode(name).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'


def answer(world: World, *conditions: str, every_name: bool = False) -> set[str]:
    """The keys that `git annex find` finds, if only by one name; with `every_name` by all."""
    found = Counter(world.node.annex("find", "--format=${key}\\n", *conditions).out.splitlines())
    return {key for key, times in found.items() if times >= (len(world.files[key]) if every_name else 1)}
