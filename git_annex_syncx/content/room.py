"""Give repositories whose wishes depend on how full they are as many bytes as fit, then ask again.

git-annex answers for each file as if it were the only one: of five files that fit one by one it wants all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from git_annex_syncx.annex import annex
from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.model import Need
from git_annex_syncx.runs.context import Context

Rooms = Mapping[str, int]  # uuid -> bytes that are left to its maximum size
Left = Mapping[str, tuple[int, int]]  # uuid -> how many files do not fit, and their bytes


def asking(policy: Policy) -> frozenset[str]:
    """Return the repositories whose wishes depend on room."""
    return frozenset(uuid for uuid in policy.choosy if policy.wishes.depends_on_room(uuid))


def rooms(context: Context, policy: Policy) -> Rooms:
    """Return what is left, of repositories with a maximum size; nothing where no wish depends on it."""
    if not asking(policy) or not policy.maxsizes:
        return {}
    return {uuid: most - size for uuid, (size, most) in annex.ask_sizes(context.repo).items() if most is not None}


def written(known: Rooms) -> str:
    """Return the free room as text, to be kept with the inventory."""
    return json.dumps(sorted(known.items())) if known else ""


def read(text: str) -> Rooms:
    """Return what written() wrote."""
    return dict(json.loads(text or "[]"))


def asks_all_again(policy: Policy, before: str, now: str) -> bool:
    """Return whether somebody may want what was not wanted before: room was made, or content moves as others fill."""
    if any(policy.wishes.rebalances(uuid) for uuid in policy.choosy):
        return True
    old, new = read(before), read(now)
    return old.keys() != new.keys() or any(new[uuid] > room for uuid, room in old.items())


def fitting(needs: Iterable[Need], known: Rooms, whose: Collection[str]) -> tuple[list[Need], Left]:
    """Return the needs without targets that they do not fit into, in order of the keys, and what does not fit."""
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
        found.append(replace(need, targets=need.targets - full) if full else need)
    return found, left


def still_waiting(
    found: Iterable[Need], before: Iterable[Need], whose: Collection[str], known: Rooms
) -> Iterator[Need]:
    """Yield the needs, with targets of `before` for whose keys there is no more room: git-annex says nothing of them.

    Not where somebody else of those who are asked wants the key instead.
    """
    left = {}
    for need in before:
        size = key_size(need.key)
        full = frozenset(uuid for uuid in need.targets & set(whose) if size > known.get(uuid, size))
        left[need.key] = replace(need, targets=full)
    for need in found:
        was = left.pop(need.key, need)
        more = frozenset() if need.targets & set(whose) else was.targets
        yield replace(need, targets=need.targets | more)
    yield from (need for need in left.values() if need.targets)


def told(policy: Policy, left: Left) -> list[tuple[str, str]]:
    """Return the repositories where there is no room, and what is to be said of it."""
    return [
        (uuid, f"no room at {policy.network.name(uuid)} for {files} file{'s' * (files != 1)} ({size} bytes): "
         "drop something there, or let it have more by git annex maxsize")
        for uuid, (files, size) in sorted(left.items())
    ]  # fmt: skip
