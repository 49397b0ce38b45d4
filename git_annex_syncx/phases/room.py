"""How much fits where: who wants content by how full repositories are gets as many bytes as fit, then is asked again.

git-annex answers for each file as if it were the only one: of five files that fit one by one it wants all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping

from git_annex_syncx.gateway import annex
from git_annex_syncx.gateway.key import key_size
from git_annex_syncx.model import Need
from git_annex_syncx.phases.node import Node
from git_annex_syncx.phases.world import World

Rooms = Mapping[str, int]  # uuid -> bytes that are left to its maximum size
Left = Mapping[str, tuple[int, int]]  # uuid -> how many files do not fit, and their bytes


def asking(world: World) -> frozenset[str]:
    """Whose wishes depend on room."""
    return frozenset(uuid for uuid in world.choosy if world.wishes.depends_on_room(uuid))


def rooms(node: Node, world: World) -> Rooms:
    """What is left, of repositories with a maximum size; nothing where no wish depends on it."""
    if not asking(world) or not world.maxsizes:
        return {}
    return {uuid: most - size for uuid, (size, most) in annex.ask_sizes(node.repo).items() if most is not None}


def written(known: Rooms) -> str:
    """The same as text, to be kept with what was found out."""
    return json.dumps(sorted(known.items())) if known else ""


def asks_all_again(world: World, before: str, now: str) -> bool:
    """Whether somebody may want what was not wanted before: room was made, or content moves as others fill."""
    if any(world.wishes.rebalances(uuid) for uuid in world.choosy):
        return True
    old, new = dict(json.loads(before or "[]")), dict(json.loads(now or "[]"))
    return old.keys() != new.keys() or any(new[uuid] > room for uuid, room in old.items())


def fitting(needs: Iterable[Need], known: Rooms, whose: Collection[str]) -> tuple[list[Need], Left]:
    """The needs without targets that they do not fit into, in order of the keys; and what does not fit."""
    free, left, found = dict(known), dict[str, tuple[int, int]](), []
    bounded = known.keys() & set(whose)
    for need in sorted(needs, key=lambda need: need.key) if bounded else needs:
        size, full = key_size(need.key), set()
        for uuid in need.targets & bounded:
            if size > free[uuid]:
                full.add(uuid)
                files, bytes_ = left.get(uuid, (0, 0))
                left[uuid] = files + 1, bytes_ + size
            else:
                free[uuid] -= size
        found.append(Need(need.key, need.holders, need.targets - full, need.unwanted) if full else need)
    return found, left


def told(world: World, left: Left) -> list[tuple[str, str]]:
    """Whom there is no room at, and what is to be said of it."""
    return [
        (uuid, f"no room at {world.network.name(uuid)} for {files} file{'s' * (files != 1)} ({size} bytes): "
         "drop something there, or let it have more by git annex maxsize")
        for uuid, (files, size) in sorted(left.items())
    ]  # fmt: skip
