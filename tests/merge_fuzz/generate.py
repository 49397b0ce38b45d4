"""Scenarios: random ones, made while they are told, and those of cases that once went wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from .author import KEYS, Author
from .edits import Edit, Spec
from .scenario import Scenario, Step
from .story import START, Bench, Story, Wrong

YEAR = 365 * 24 * 3600
NODES = ("a", "b", "c", "d")


def generated(bench: Bench, seed: int, mixed: bool = False) -> tuple[Scenario, Wrong | None]:
    """Make a scenario and tell it; where it goes wrong it ends. `mixed`: some nodes run the other version."""
    rng = random.Random(seed)
    wild = rng.random() < 0.6
    nodes = NODES[: rng.choice([2, 2, 3, 3, 4])]
    old = tuple(rng.sample(nodes, rng.randint(1, len(nodes) - 1))) if mixed else ()
    alone = nodes[-1:] if wild and rng.random() < 0.03 else ()
    plan = Scenario(seed, wild, nodes, (), old, alone)
    story, steps = Story(bench, plan), []
    try:
        for step in _steps(rng, story, wild):
            steps.append(step)
            story.do(step)
    except Wrong as wrong:
        return replace(plan, steps=tuple(steps)), wrong
    return replace(plan, steps=tuple(steps)), None


def _steps(rng: random.Random, story: Story, wild: bool) -> Iterator[Step]:
    author, nodes = Author(rng, story.store, wild), story.scenario.nodes
    yield from (("base", edit) for edit in author.base())
    ahead = {node: rng.choice([10 * YEAR, -YEAR]) if rng.random() < 0.1 else 0 for node in nodes}
    now = START + 60
    for _ in range(rng.randint(1, 3)):
        for node in rng.sample(nodes, len(nodes)):
            if rng.random() < 0.8:
                for _ in range(rng.choice([1, 1, 2])):
                    yield from _edits(rng, story, author, node)
                    now += rng.choice([0, 60, 60, 60])
                    yield "commit", node, now + ahead[node]
        for _ in range(rng.randint(0, len(nodes))):
            one, two, *more = rng.sample(nodes, len(nodes))
            yield ("cross", one, two) if rng.random() < 0.5 else ("merge", one, [two, *more[: rng.randint(0, 1)]])
    yield ("rest",)


def _edits(rng: random.Random, story: Story, author: Author, node: str) -> Iterator[Step]:
    for _ in range(rng.randint(1, 3)):
        if not story.files:  # the first step sets up the nodes
            yield "commit", node, START
        yield from (("edit", node, edit) for edit in author.edits(story.files[node]))


def short(base: list[Edit], one: list[Edit], two: list[Edit], then: list[Step] | None = None) -> Scenario:
    """Two nodes that edit at once, then exchange."""
    steps: list[Step] = [("base", edit) for edit in base]
    for number, (node, edits) in enumerate({"a": one, "b": two}.items()):
        steps += [("edit", node, edit) for edit in edits]
        steps.append(("commit", node, START + 60 * (1 + number)))
    return Scenario(0, True, ("a", "b"), (*steps, *(then or ()), ("rest",)))


def _annexed(path: str, number: int) -> Edit:
    return "put", path, ("locked", f"SHA256E-s{number}--{number:064x}.tar")


def _file(path: str, content: str) -> Edit:
    return "put", path, ("file", content)


def _lfs(number: int) -> Spec:
    return "file", f"version https://git-lfs.github.com/spec/v1\noid sha256:{number:064x}\nsize {number}\n"


def _gpg(letter: str) -> str:
    return "".join(chr(1 + (ord(letter) * n * n) % 31) for n in range(100)) + letter * 200


R0, R1 = _annexed("old.tar", 10), _annexed("new.tar", 11)
PASSED_ON: Edit = ("move", ("old.tar", "older.tar"))
TWO = [_file("f.variant-1111", "1\n"), _annexed("k.variant-1.dat", 1), _annexed("k.variant-2.dat", 2)]
PROGRAM = "".join(f"def f{n}():\n    return {n}\n\n" for n in range(3))

# What once lost or spoiled a version, or could.
CASES = {
    "rotation of names": short(
        [R0, R1], [PASSED_ON], [PASSED_ON, ("move", ("new.tar", "old.tar")), _annexed("new.tar", 12)]
    ),
    "rotation of texts": short(
        [_file("old", "0\n0a\n"), _file("new", "1\n1a\n")],
        [("move", ("old", "older"))],
        [("move", ("new", "old"), ("old", "older")), _file("new", "2\n2a\n")],
    ),
    "renamed onto an empty file": short(
        [_file("a.py", "def f1():\n    return 1\n\ndef f2():\n    return 2\n")],
        [("move", ("a.py", "f")), _file("f", "7\ndef f1():\n    return 1\n\ndef f2():\n    return 2\n")],
        [_file("f", ""), _file("a.py", "def f8():\n    return 8\n\ndef f9():\n    return 9\n")],
    ),
    "swap and copy": short(
        [_annexed("x", 1), _annexed("d", 2), _annexed("c", 3)],
        [("move", ("x", "d"), ("d", "x")), ("copy", "d", "c")],
        [("move", ("x", "c"))],
    ),
    "git-lfs": short(
        [_file(".gitattributes", "*.psd filter=lfs diff=lfs merge=lfs -text\n"), ("put", "i.psd", _lfs(1))],
        [("put", "i.psd", _lfs(2))],
        [("put", "i.psd", _lfs(3))],
    ),
    "small binaries": short(
        [_file("bank.gpg", _gpg("a"))], [_file("bank.gpg", _gpg("b"))], [_file("bank.gpg", _gpg("c"))]
    ),
    "armoured secrets": short(
        [_file("secret", "-----BEGIN PGP MESSAGE-----\n\nA\n")],
        [_file("secret", "-----BEGIN PGP MESSAGE-----\n\nB\n")],
        [_file("secret", "-----BEGIN PGP MESSAGE-----\n\nC\n")],
    ),
    "structured text": short(
        [_file("s.json", '{\n  "a": 1,\n  "b": 2\n}\n')],
        [_file("s.json", '{\n  "a": 2,\n  "b": 2\n}\n')],
        [_file("s.json", '{\n  "a": 3,\n  "b": 2\n}\n')],
    ),
    "program": short(
        [_file("p.py", PROGRAM)],
        [("lines", "p.py", ("replace", 1, "    return 5"))],
        [("lines", "p.py", ("replace", 1, "    return 6"), ("insert", 2, "    # more"))],
    ),
    **{
        f"attribute of side {side}": short(
            [_file("l.csv", "1\n2\n3\n")],
            [_file("l.csv", "1\n2\n3\n4\n"), *([_file(".gitattributes", "*.csv syncx=variants\n")] * (side == 1))],
            [_file("l.csv", "0\n1\n2\n3\n"), *([_file(".gitattributes", "*.csv syncx=variants\n")] * (side == 2))],
        )
        for side in (1, 2)
    },
    "both deduplicate": short(
        [_annexed("one.dat", 1), _annexed("two.dat", 1)], [("remove", "one.dat")], [("remove", "two.dat")]
    ),
    "both deduplicate binaries": short(
        [_file("one", "\0x"), _file("two", "\0x")], [("remove", "one")], [("remove", "two")]
    ),
    "both deduplicate texts": short(
        [_file("one", "x\ny\n"), _file("two", "x\ny\n")], [("remove", "one")], [("remove", "two")]
    ),
    "settled differently by name": short(
        TWO,
        [("move", ("k.variant-1.dat", "k.dat")), ("remove", "k.variant-2.dat")],
        [("move", ("k.variant-2.dat", "k.dat")), ("remove", "k.variant-1.dat")],
    ),
    "settled differently by deletion": short(TWO, [("remove", "k.variant-1.dat")], [("remove", "k.variant-2.dat")]),
    "edited while it is settled": short(
        TWO,
        [("move", ("k.variant-1.dat", "k.dat")), ("remove", "k.variant-2.dat")],
        [_annexed("k.variant-2.dat", 3)],
    ),
    "a new text at an old name": short(
        [_file("f", "K\n")],
        [("move", ("f", "f.variant-1111")), _file("f", "text\n")],
        [("move", ("f", "f.variant-1111"))],
    ),
    "four digits shared": short(
        [_file("always", "always\n")],
        [("put", "k.dat", ("locked", KEYS[0]))],
        [("put", "k.dat", ("unlocked", KEYS[1]))],
    ),
    "moved to another depth and changed": short(
        [_annexed("k.dat", 1), _file("f", "f\n")], [("move", ("k.dat", "d/e/k.dat"))], [_annexed("k.dat", 2)]
    ),
    "unlocked and changed": short([_annexed("k.dat", 1)], [("lock", "k.dat")], [_annexed("k.dat", 2)]),
    "a directory against a file": short(
        [_annexed("d", 1), _file("f", "f\n")], [("put", "d/x", ("locked", KEYS[0]))], [_annexed("d", 2)]
    ),
    "a submodule against a file": short(
        [_file("f", "f\n")], [("put", "s", ("submodule", "1" * 40))], [_annexed("s", 2)]
    ),
    "a directory against a submodule": short(
        [_file("f", "f\n")], [("put", "d", ("submodule", "1" * 40))], [_annexed("d/e/x", 2), _file("d/y", "y\n")]
    ),
    "a directory's new name is taken": short(
        [_file("d.variant-8277", "x\n")], [("put", "d", ("submodule", "1" * 40))], [_file("d/y", "y\n")]
    ),
    "long names": short([_file("f", "f\n")], [_annexed("n" * 251 + ".dat", 1)], [_annexed("n" * 251 + ".dat", 2)]),
}
