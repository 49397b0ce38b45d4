"""Random scenarios, each from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from .scenario import Line, Scenario

WISHES = {
    "clone": ["client", "client", "manual", "archive", "include=*.jpg", "exclude=docs/*"],
    "hub": ["transfer", "backup", "archive", "client", "include=docs/*", "not copies=2"],
    "drive": ["archive", "archive", "backup", "smallarchive", "exclude=*.jpg", "not copies=2"],
    "store": ["archive", "backup", "smallarchive", "include=*.jpg", "not copies=3",
              "include=docs/* or not copies=archive:1"],
    "export": ["include=*.jpg", "exclude=docs/*"],
}  # fmt: skip
GROUPS = {"client", "manual", "archive", "smallarchive", "backup", "transfer"}
SUFFIXES = (".bin", ".jpg")


@dataclass
class Draft:
    """A scenario in the making, and what its author knows of it."""

    random: Random
    lines: list[Line] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    remotes: dict[str, list[str]] = field(default_factory=dict)
    own: dict[str, dict[str, bool]] = field(default_factory=dict)  # clone -> its files -> annexed
    hiding: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    quarrel: bool = False  # annexed files are changed by anybody
    count: int = 0

    def say(self, *words: str) -> None:
        self.lines.append(words)

    def chance(self, part: float) -> bool:
        return self.random.random() < part

    def pick(self, *kinds: str) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind in kinds and name not in self.away]


def generate(seed: int) -> Scenario:
    """Make a scenario; the same seed makes the same one."""
    draft = Draft(Random(seed))
    _repositories(draft)
    _links(draft)
    _wishes(draft)
    draft.quarrel = draft.chance(0.15)
    for _ in range(draft.random.choice([1, 2, 2])):
        _comings_and_goings(draft)
        for _ in range(draft.random.randint(2, 5)):
            _step(draft)
        _round(draft)
    return Scenario(seed, tuple(draft.lines))


# The network


def _repositories(draft: Draft) -> None:
    random = draft.random
    clones = ["a", "b", "c"][: random.choice([2, 2, 3])]
    others = random.sample(["bare", "hub", "drive", "drive", "store", "store", "export"],
                           random.randint(1, min(3, 6 - len(clones))))  # fmt: skip
    _add(draft, "clone", "a")
    for number, kind in enumerate(others, 1):
        if kind == "store":
            _add(draft, kind, f"store{number}", "a", random.choice(["none", "shared"]))
        elif kind == "export":
            _add(draft, kind, f"export{number}", "a")
    if draft.chance(0.07):
        draft.say("adjust", "a", "unlock")
    for name in clones[1:]:
        _add(draft, "clone", name, "b" if name == "c" and draft.chance(0.3) else "a")
        if draft.chance(0.3):
            _adjust(draft, name)
    for number, kind in enumerate(others, 1):
        if kind in ("bare", "hub", "drive"):
            _add(draft, kind, f"{kind}{number}", *(["a"] if kind != "bare" else []))


def _add(draft: Draft, kind: str, name: str, *more: str) -> None:
    draft.say(kind, name, *more)
    draft.kinds[name], draft.remotes[name] = kind, []
    if kind == "clone":
        draft.own[name] = {}
    if kind in ("store", "export"):
        draft.remotes["a"].append(name)


def _adjust(draft: Draft, name: str) -> None:
    how = draft.random.choice(["unlock", "unlock", "hide-missing"])
    draft.say("adjust", name, how)
    draft.hiding |= {name} if how == "hide-missing" else set()


def _links(draft: Draft) -> None:
    """Whatever carries git hangs together: each clone meets one that is linked already, some meet more."""
    middles, clones = draft.pick("bare", "hub", "drive"), draft.pick("clone")
    starry = middles and draft.chance(0.6)
    linked = [clones[0]]
    for middle in middles:
        _link(draft, clones[0], middle)
    for name in clones[1:]:
        others = [middles[0]] if starry else [draft.random.choice(linked)]
        others += [other for other in (*middles, *linked) if other not in others and draft.chance(0.4)]
        for other in others:
            _link(draft, name, other)
        linked.append(name)
    for store in draft.pick("store"):
        for name in clones[1:]:
            if draft.chance(0.5):
                draft.say("enable", store, name)
                draft.remotes[name].append(store)


def _link(draft: Draft, name: str, other: str) -> None:
    cost = [draft.random.choice(["100", "200", "300"])] if draft.chance(0.5) else []
    draft.say("link", name, other, *cost)
    draft.remotes[name].append(other)
    if draft.kinds[other] == "clone" and draft.chance(0.8):
        draft.say("link", other, name, *cost)
        draft.remotes[other].append(name)


def _wishes(draft: Draft) -> None:
    for name, kind in draft.kinds.items():
        if kind in WISHES and draft.chance(0.55):
            _wish(draft, name, draft.random.choice(WISHES[kind]))
    for name in draft.pick("clone", "drive"):
        if draft.chance(0.08):
            draft.say("required", name, "include=docs/*")
    copies = draft.random.choice([1, 1, 1, 2, 2, 3])
    if copies > 1:
        draft.say("numcopies", str(copies))


def _wish(draft: Draft, name: str, wish: str) -> None:
    if wish in GROUPS:
        draft.say("group", name, wish)
    draft.say("wanted", name, "standard" if wish in GROUPS else wish)


# What happens


def _comings_and_goings(draft: Draft) -> None:
    for name in sorted(draft.away):
        if draft.chance(0.6):
            draft.say("back", name)
            draft.away.discard(name)
    can = draft.pick("bare", "hub", "drive", "store", "clone")
    if draft.chance(0.4) and len(draft.pick("clone")) > 1:
        name = draft.random.choice(can)
        if name != "a" or draft.chance(0.5):
            draft.say("away", name)
            draft.away.add(name)
    drives = draft.pick("drive", "store")
    if draft.chance(0.04) and drives:
        name = draft.random.choice(drives)
        draft.say("dead", name, draft.pick("clone")[0])
        del draft.kinds[name]


def _step(draft: Draft) -> None:
    at = draft.random.choice(draft.pick("clone"))
    files = draft.own[at]
    acts = [(_new, 5), (_change, 2 * bool(files)), (_move, bool(files)), (_remove, 0.6 * bool(files)),
            (_drop, 1.5 * bool(files)), (_drop_other, 1), (_set, 0.8), (_unlock, 0.4 * bool(files)), (_commit, 0.7),
            (_quarrel, 2 * draft.quarrel)]  # fmt: skip
    act = draft.random.choices([act for act, _ in acts], [weight for _, weight in acts])[0]
    act(draft, at)


def _ident(draft: Draft) -> str:
    draft.count += 1
    return str(draft.count)


def _new(draft: Draft, at: str) -> None:
    annexed, ident = draft.chance(0.8), _ident(draft)
    folder = "docs/" if draft.chance(0.3) else ""
    path = f"{folder}{at}{ident}{draft.random.choice(SUFFIXES) if annexed else '.txt'}"
    draft.say("annexed" if annexed else "plain", at, path, ident)
    draft.own[at][path] = annexed


def _a_file(draft: Draft, at: str) -> str:
    return draft.random.choice(sorted(draft.own[at]))


def _change(draft: Draft, at: str) -> None:
    path = _a_file(draft, at)
    draft.say("annexed" if draft.own[at][path] else "plain", at, path, _ident(draft))


def _move(draft: Draft, at: str) -> None:
    path = _a_file(draft, at)
    target = path.removeprefix("docs/") if path.startswith("docs/") else f"docs/{path}"
    if target not in draft.own[at]:
        draft.say("move", at, path, target)
        draft.own[at][target] = draft.own[at].pop(path)


def _remove(draft: Draft, at: str) -> None:
    path = _a_file(draft, at)
    draft.say("remove", at, path)
    del draft.own[at][path]


def _unlock(draft: Draft, at: str) -> None:
    if draft.own[at][path := _a_file(draft, at)]:
        draft.say("unlock", at, path)


def _commit(draft: Draft, at: str) -> None:
    draft.say("commit", at)


def _drop(draft: Draft, at: str) -> None:
    """Drop something of one's own; in a clone that hides what is missing it is not touched again."""
    if draft.own[at][path := _a_file(draft, at)]:
        draft.say("drop", at, path)
        if at in draft.hiding:
            del draft.own[at][path]


def _drop_other(draft: Draft, at: str) -> None:
    """Get, drop or copy something of somebody else's, if it has come here already."""
    files = [path for name, files in draft.own.items() for path, annexed in files.items() if annexed and name != at]
    if files:
        verb = draft.random.choice(["drop", "drop", "get", "copy", "drop from"])
        path = draft.random.choice(sorted(files))
        remotes = [name for name in draft.remotes[at] if draft.kinds.get(name) not in ("export", None)]
        if verb in ("copy", "drop from"):
            if remotes:
                draft.say(verb.split()[0], at, path, draft.random.choice(remotes))
        else:
            draft.say(verb, at, path)


def _set(draft: Draft, at: str) -> None:
    """Change what somebody wants, or how many copies there shall be."""
    if draft.chance(0.2):
        draft.say("set", at, "numcopies", "all", draft.random.choice(["1", "2"]))
        return
    name = draft.random.choice(list(draft.kinds))
    kind = draft.kinds[name]
    wish = draft.random.choice(WISHES["hub" if kind == "bare" else kind])
    if wish in GROUPS:
        draft.say("set", at, "group", name, wish)
    draft.say("set", at, "wanted", name, "standard" if wish in GROUPS else wish)


def _quarrel(draft: Draft, at: str) -> None:
    """Change an annexed file of anybody's."""
    files = [path for files in draft.own.values() for path, annexed in files.items() if annexed]
    if files and at not in draft.hiding:
        draft.say("annexed", at, draft.random.choice(sorted(files)), _ident(draft))


def _round(draft: Draft) -> None:
    clones = [name for name, kind in draft.kinds.items() if kind == "clone"]
    draft.say("round", *draft.random.sample(clones, len(clones)))
