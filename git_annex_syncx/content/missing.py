"""Find the keys that have to travel or to go, from the git-annex branch, the tree and what every repository wants."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from git_annex_syncx.annex import annex, annex_branch, locations, scratch_worktree
from git_annex_syncx.annex.inventory import Cursor, Inventory
from git_annex_syncx.annex.locations import Name
from git_annex_syncx.annex.scratch_worktree import Scratch
from git_annex_syncx.content import room
from git_annex_syncx.content.policy import Policy, read_policy
from git_annex_syncx.content.room import Left
from git_annex_syncx.errors import ProgramFailed, UsageError
from git_annex_syncx.git import git, history, objects
from git_annex_syncx.model import Entry, Need
from git_annex_syncx.runs.context import Context

log = logging.getLogger(__name__)

MOST_CHANGES = 20_000  # keys; beyond that a full pass is faster
Files = Mapping[str, Mapping[bytes, Entry]]  # key -> path -> what stands there
Asked = Callable[[Iterable[str], str, str], Mapping[str, int]]  # keys, condition, uuid: see _asked()


@dataclass(frozen=True)
class Look:
    """The keys that a look found; `left` are those that somebody wants, but that do not fit there."""

    policy: Policy
    needs: list[Need]
    left: Left


def inventory(context: Context) -> Inventory:
    """Return what the last look has left."""
    return Inventory(context.repo.state_dir / "inventory.sqlite")


def look(context: Context, policy: Policy | None = None) -> Look:
    """Return what has to travel, from what has changed since the last look. Raises SyncxError."""
    policy = policy or read_policy(context)
    known = inventory(context)
    if annex.journal_waits(context.repo):
        annex.bring_branch_up(context.repo)
    with known.alone():
        rooms = room.rooms(context, policy)
        before, now = known.cursor(), _cursor(context, policy, room.written(rooms))
        full = (
            before is None or before.policy != now.policy or not _bring_forward(context, policy, known, before, now)
        )
        if full:
            log.info("looking at all keys")
            _begin(context, policy, known, now)
    return Look(policy, *room.fitting(known.needs(), rooms, room.asking(policy)))


def of_all_keys(context: Context) -> Look:
    """Look at all keys that there are, those included that no file of the tree uses. Nothing is remembered."""
    if annex.journal_waits(context.repo):
        annex.bring_branch_up(context.repo)
    policy = read_policy(context)
    held = _held(context, policy, locations.everything(context.repo, _annex_commit(context)))
    files = _by_key(locations.names(context.repo, _cursor(context, policy).tree))
    found = _needs(context, policy, {key: files.get(key, {}) for key in held}, held)
    return Look(policy, *room.fitting(found, room.rooms(context, policy), room.asking(policy)))


def keys_below(context: Context, paths: Iterable[bytes]) -> frozenset[str]:
    """The keys of the annexed files at or below paths. Raises UsageError where there is none."""
    known = inventory(context)
    found: set[str] = set()
    for path in paths:
        keys = known.keys_at(path)
        if not keys:
            known_here = ", ".join(context.settings.remotes) or "none"
            raise UsageError(
                f"{os.fsdecode(path)} is neither a remote nor a group, and no annexed file is there",
                f"the remotes are: {known_here}; of files the last commit counts",
            )
        found |= keys
    return frozenset(found)


def tree_path(context: Context, base: str | None, word: str) -> bytes:
    """A path of the user's as the tree has it; empty for the top. Raises UsageError for one outside."""
    top = os.path.realpath(context.repo.home)
    where = os.path.join(os.path.realpath(base or "."), word) if context.repo.top else os.path.join(top, word)
    # The last component may be an annexed file's link, which must not be followed.
    parent, name = os.path.split(os.path.normpath(where))
    full = os.path.join(os.path.realpath(parent), name) if name not in ("", "..") else os.path.realpath(where)
    inside = os.path.relpath(full, top)
    if inside == ".." or inside.startswith("../"):
        raise UsageError(
            f"{word!r} is neither a remote nor a path in this repository", "git remote lists the remotes"
        )
    return b"" if inside == "." else os.fsencode(inside)


def holders_of(context: Context, policy: Policy, keys: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return who holds some keys."""
    return _held(context, policy, locations.of_keys(context.repo, _annex_commit(context), keys))


def _cursor(context: Context, policy: Policy, rooms: str = "") -> Cursor:
    head = git.head(context.repo)
    name = f"refs/heads/{head.basis}" if head else "HEAD"  # of an adjusted branch the basis
    tips = history.tips(context.repo, annex_branch.BRANCH, name)
    if not head:
        tree = history.tree_id(context.repo, "HEAD") or objects.empty_tree(context.repo)
    else:
        tree = tips[name][1] if name in tips else objects.empty_tree(context.repo)
    return Cursor(_commit(tips), tree, policy.digest, rooms)


def _commit(tips: Mapping[str, tuple[str, str]]) -> str:
    if annex_branch.BRANCH not in tips:
        raise UsageError("there is no git-annex branch in this repository", "git annex init")
    return tips[annex_branch.BRANCH][0]


def _annex_commit(context: Context) -> str:
    return _commit(history.tips(context.repo, annex_branch.BRANCH))


def _begin(context: Context, policy: Policy, known: Inventory, now: Cursor) -> None:
    """A full pass."""
    files: dict[str, dict[bytes, Entry]] = {}

    def noted(names: Iterable[tuple[bytes, Name]]) -> Iterator[tuple[bytes, Name]]:
        for path, name in names:
            of_key = files.setdefault(name.key, {})
            if policy.choosy:  # only then anybody asks where it stands
                of_key[path] = name.entry
            yield path, name

    held = _held(context, policy, locations.everything(context.repo, now.annex))
    names = noted(locations.names(context.repo, now.tree))
    known.replace(now, names, lambda: _needs(context, policy, files, held))


def _bring_forward(context: Context, policy: Policy, known: Inventory, before: Cursor, now: Cursor) -> bool:
    """Look at what has changed; False where everything must be looked at."""
    try:
        if not history.is_ancestor(context.repo, before.annex, now.annex):
            return False  # rewritten
        moved: dict[str, frozenset[str]] = {}
        described: set[str] = set()
        if before.annex != now.annex:
            moved = dict(locations.changed(context.repo, before.annex, now.annex))
            described = locations.described(context.repo, before.annex, now.annex) if policy.choosy else described
        names = locations.names_changed(context.repo, before.tree, now.tree) if before.tree != now.tree else {}
    except ProgramFailed:
        return False  # what the last look saw is here no more
    if any(path.rpartition(b"/")[2] == b".gitattributes" for path in names):
        known.forget()  # they may say how many copies there must be
        return False
    if before.rooms != now.rooms and room.asks_all_again(policy, before.rooms, now.rooms):
        return False
    private = locations.private(context.repo, policy.own) if context.settings.private else {}
    waiting = _waiting_for_room(known, policy) if before.rooms != now.rooms else []
    keys = (
        moved.keys()
        | described
        | private.keys()
        | known.keys_of(names)
        | {name.key for name in names.values() if name}
        | {need.key for need in waiting}
    )
    if len(keys) > MOST_CHANGES:
        return False
    if not keys and before == now:
        return True
    files = _files_now(known, keys, names)
    others = locations.of_keys(context.repo, now.annex, files.keys() - moved.keys())
    held = _held(context, policy, (*moved.items(), *others), private)
    found: Iterable[Need] = _needs(context, policy, files, held)
    if waiting := [need for need in waiting if need.key in files and need.key not in moved]:
        found = room.still_waiting(found, waiting, room.asking(policy), room.read(now.rooms))
    known.update(now, names, keys, list(found), described)
    return True


def _waiting_for_room(known: Inventory, policy: Policy) -> list[Need]:
    """Return what was to go to those who are asked again when others have got something."""
    asking = room.asking(policy)
    return [need for need in known.needs() if need.targets & asking]


def _files_now(known: Inventory, keys: Collection[str], changed: Mapping[bytes, Name | None]) -> Files:
    """The files of keys after a change; a key without a file is missing."""
    found = {
        key: {path: entry for path, entry in files.items() if path not in changed}
        for key, files in known.files(keys).items()
    }
    for path, name in changed.items():
        if name:
            found.setdefault(name.key, {})[path] = name.entry
    return {key: files for key, files in found.items() if files}


def _by_key(names: Iterable[tuple[bytes, Name]]) -> dict[str, dict[bytes, Entry]]:
    found: dict[str, dict[bytes, Entry]] = {}
    for path, name in names:
        found.setdefault(name.key, {})[path] = name.entry
    return found


def _held(
    context: Context,
    policy: Policy,
    located: Iterable[tuple[str, frozenset[str]]],
    private: Mapping[str, bool] | None = None,
) -> dict[str, frozenset[str]]:
    """key -> who holds it, among those who can hold copies; what only this repository records of itself included."""
    alive = _remembering(lambda holders: holders & policy.alive)
    held = {key: alive(holders) for key, holders in located}
    if private is None:
        private = locations.private(context.repo, policy.own) if context.settings.private else {}
    for key, here in private.items():
        others = held.get(key, frozenset()) - {policy.own}
        held[key] = others | {policy.own} if here else others
    return held


def _needs(context: Context, policy: Policy, files: Files, held: Mapping[str, frozenset[str]]) -> Iterator[Need]:
    """Yield what becomes of keys, for which alone git-annex is asked what is wanted."""
    nobody: frozenset[str] = frozenset()
    with scratch_worktree.opened(context.repo) as scratch:
        asked = functools.partial(_asked, context, scratch, files)
        wanted = _wanted(asked, policy, files, held) if policy.choosy else {}
        unwanted = _unwanted(asked, policy, files, held) if policy.choosy & policy.reach else {}
    lacking = _remembering(lambda holders: policy.takers - policy.choosy - holders)
    for key in files:
        holders = held.get(key, nobody)
        if not holders:
            continue
        targets, out = lacking(holders), unwanted.get(key, nobody)
        if key in wanted:
            targets = targets | wanted[key]
        if targets or out or holders & policy.emptied:
            yield Need(key, holders, targets, out)


def _wanted(
    asked: Asked, policy: Policy, files: Files, held: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """key -> the choosy ones that want and lack it. A key with several files is wanted if one of them is."""
    found: dict[str, frozenset[str]] = {}
    for uuid in sorted(policy.choosy & policy.takers):
        lacked = [key for key in files if uuid not in (at := held.get(key, ())) and at]
        for key in asked(lacked, "--want-get-by", uuid):
            found[key] = found.get(key, frozenset()) | {uuid}
    return found


def _unwanted(
    asked: Asked, policy: Policy, files: Files, held: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """key -> the choosy ones in reach that hold it and want none of its files."""
    found: dict[str, frozenset[str]] = {}
    for uuid in sorted(policy.choosy & policy.reach - policy.emptied):
        here = [key for key in files if uuid in held.get(key, ())]
        for key, count in asked(here, "--want-drop-by", uuid).items():
            if count == len(files[key]):
                found[key] = found.get(key, frozenset()) | {uuid}
    return found


def _asked(
    context: Context, scratch: Scratch, files: Files, keys: Iterable[str], condition: str, uuid: str
) -> Mapping[str, int]:
    """Of the keys those that meet the condition, and at how many paths."""
    entries = {path: entry for key in keys for path, entry in files[key].items()}
    if not entries:
        return {}
    tree = objects.change_tree(context.repo, objects.empty_tree(context.repo), entries)
    repo, env = scratch.showing(entries)
    return annex.matching(repo, tree, condition, uuid, env)


def _remembering(function: Callable[[frozenset[str]], frozenset[str]]) -> Callable[[frozenset[str]], frozenset[str]]:
    """Millions of keys have few sets of holders, and equal results are to be one object."""
    known: dict[frozenset[str], frozenset[str]] = {}

    def remembered(holders: frozenset[str]) -> frozenset[str]:
        if holders not in known:
            known[holders] = function(holders)
        return known[holders]

    return remembered
