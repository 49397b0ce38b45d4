"""Give repositories as many bytes as fit; those whose wishes depend on how full they are are asked again afterwards.

git-annex answers for each file as if it were the only one: of five files that fit one by one it wants all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from git_annex_syncx.annex import annex
from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.model import Need
from git_annex_syncx.network import free_space
from git_annex_syncx.runs.context import Context

# A disk is full for git-annex while it is not for others: annex.diskreserve, 100 MB unless it is set, stays free.
MAKE_ROOM = (
    "drop something there, make room on its disk (annex.diskreserve of it is left free), "
    "or let it have more by git annex maxsize"
)
Rooms = Mapping[str, int]  # uuid -> bytes that it can still take, where that is known
Left = Mapping[str, Need]  # key -> what is left of its need: targets without room for it


@dataclass(frozen=True)
class Fit:
    """The content that a repository wants and lacks, and how much of it fits.

    `free` is in bytes, None where it is not known; where it was only `published` it is rounded up.
    """

    uuid: str
    free: int | None
    files: int
    bytes: int
    fit_files: int
    fit_bytes: int
    published: bool


def asking(policy: Policy) -> frozenset[str]:
    """Return the repositories whose wishes depend on room."""
    return frozenset(uuid for uuid in policy.choosy if policy.wishes.depends_on_room(uuid))


def by_maxsize(context: Context, policy: Policy) -> Rooms:
    """Return what is left to repositories with a maximum size; less than nothing where one has grown beyond it."""
    if not policy.maxsizes:
        return {}
    return {uuid: most - size for uuid, (size, most) in annex.ask_sizes(context.repo).items() if most is not None}


def rooms(context: Context, policy: Policy, sizes: Rooms) -> Rooms:
    """Return what each repository can still take: to its maximum size, and of its disk.

    A disk nearby is looked at, of others counts what was published. A cluster takes what one of its nodes does.
    """
    found = dict(policy.free) | free_space.measured(context.repo, context.settings)
    found |= {uuid: min(left, found.get(uuid, left)) for uuid, left in sizes.items()}
    clusters = ((uuid, nodes) for uuid, nodes in policy.clusters.items() if nodes <= found.keys())
    return found | {uuid: max(found[node] for node in nodes) for uuid, nodes in clusters}


def published(context: Context, policy: Policy, known: Rooms) -> frozenset[str]:
    """Return the repositories of which only what was published is known."""
    near = free_space.measured(context.repo, context.settings)
    return frozenset(uuid for uuid, free in policy.free.items() if uuid not in near and known.get(uuid) == free)


def written(policy: Policy, sizes: Rooms) -> str:
    """Return what is left as text, to be kept with the inventory, where a wish depends on it."""
    return json.dumps(sorted(sizes.items())) if sizes and asking(policy) else ""


def read(text: str) -> Rooms:
    """Return what written() wrote."""
    return dict(json.loads(text or "[]"))


def asks_all_again(policy: Policy, before: str, now: str) -> bool:
    """Return whether somebody may want what was not wanted before: room was made, or content moves as others fill."""
    if any(policy.wishes.rebalances(uuid) for uuid in policy.choosy):
        return True
    old, new = read(before), read(now)
    return old.keys() != new.keys() or any(new[uuid] > room for uuid, room in old.items())


def fitting(needs: Sequence[Need], known: Rooms) -> tuple[list[Need], Left]:
    """Return the needs without targets that they do not fit into, in order of the keys, and what does not fit."""
    free = {uuid: known[uuid] for uuid in _short(needs, known)}
    if not free:
        return list(needs), {}
    left, found = dict[str, Need](), []
    for need in sorted(needs, key=lambda need: need.key):
        size = key_size(need.key)
        full = frozenset(uuid for uuid in need.targets & free.keys() if size > free[uuid])
        for uuid in (need.targets & free.keys()) - full:
            free[uuid] -= size
        if full:
            left[need.key] = replace(need, targets=full)
        found.append(replace(need, targets=need.targets - full) if full else need)
    return found, left


def _short(needs: Iterable[Need], known: Rooms) -> list[str]:
    """Return who cannot take all that is wanted there."""
    wanted, total = Counter[frozenset[str]](), Counter[str]()
    for need in needs:
        wanted[need.targets] += key_size(need.key)
    for targets, size in wanted.items():
        total.update(dict.fromkeys(targets & known.keys(), size))
    return [uuid for uuid, size in total.items() if size > known[uuid]]


def fits(
    uuids: Iterable[str], needs: Iterable[Need], left: Left, known: Rooms, published: Collection[str] = ()
) -> list[Fit]:
    """Return how much of what some repositories want and lack fits there."""
    found = {uuid: Fit(uuid, known.get(uuid), 0, 0, 0, 0, uuid in published) for uuid in sorted(uuids)}
    for need, fit in (*((need, True) for need in needs), *((need, False) for need in left.values())):
        size = key_size(need.key)
        for uuid in need.targets & found.keys():
            one = found[uuid]
            found[uuid] = replace(
                one,
                files=one.files + 1,
                bytes=one.bytes + size,
                fit_files=one.fit_files + fit,
                fit_bytes=one.fit_bytes + size * fit,
            )
    return list(found.values())


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


def told(policy: Policy, left: Left, keys: Collection[str] | None = None) -> dict[str, tuple[int, str]]:
    """Return uuid -> how many files (of some keys) do not fit there, and what is to be said of it."""
    sizes: dict[str, list[int]] = {}
    for need in left.values():
        for uuid in need.targets if keys is None or need.key in keys else ():
            sizes.setdefault(uuid, []).append(key_size(need.key))
    return {uuid: (len(sizes[uuid]), _words(policy, uuid, sizes[uuid])) for uuid in sorted(sizes)}


def _words(policy: Policy, uuid: str, sizes: Collection[int]) -> str:
    where = "here" if uuid == policy.own else f"at {policy.network.name(uuid)}"
    return f"no room {where} for {len(sizes)} file{'s' * (len(sizes) != 1)} ({sum(sizes)} bytes): {MAKE_ROOM}"
