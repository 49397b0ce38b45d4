"""Find the keys that have to travel or to go, from the git-annex branch, the tree and what every repository wants."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from git_annex_syncx.annex import annex, annex_branch, locations
from git_annex_syncx.annex.inventory import Cursor, Inventory
from git_annex_syncx.annex.location_log import NOWHERE, Counting, Located
from git_annex_syncx.annex.locations import Name
from git_annex_syncx.content import room, wanting
from git_annex_syncx.content.policy import Policy, read_policy
from git_annex_syncx.content.room import Left, Rooms
from git_annex_syncx.content.wanting import Files
from git_annex_syncx.errors import ProgramFailed, UsageError
from git_annex_syncx.git import git, history, objects
from git_annex_syncx.model import Entry, Need
from git_annex_syncx.runs import parallel
from git_annex_syncx.runs.context import Context

log = logging.getLogger(__name__)

MOST_CHANGES = 20_000  # keys; beyond that a full pass is faster
NOBODY: frozenset[str] = frozenset()
NOWHERE_SHOWN: dict[bytes, Entry] = {}


@dataclass(frozen=True)
class Look:
    """The keys that a look found; `left` are those that somebody wants, but that do not fit there."""

    policy: Policy
    needs: list[Need]
    left: Left
    rooms: Rooms


def inventory(context: Context) -> Inventory:
    """Return what the last look has left."""
    return Inventory(context.repo.state_dir / "inventory.sqlite")


def look(context: Context, policy: Policy | None = None, commits: bool = True) -> Look:
    """Return what has to travel, from what has changed since the last look. Raises SyncxError.

    With `commits` git-annex brings on its branch what it has recorded so far.
    """
    policy = policy or read_policy(context)
    known = inventory(context)
    if commits and annex.journal_waits(context.repo):
        annex.bring_branch_up(context.repo)
    with known.alone():
        sizes = room.by_maxsize(context, policy)
        renew(context, policy, known, sizes)
    return fitting(context, policy, known.needs(), sizes)


def renew(context: Context, policy: Policy, known: Inventory, sizes: Rooms) -> None:
    """Bring an inventory that nobody else writes to where the branches are now. Raises SyncxError."""
    before, now = known.cursor(), _cursor(context, policy, room.written(policy, sizes))
    if before is None or before.policy != now.policy or not _bring_forward(context, policy, known, before, now):
        log.info("looking at all keys")
        _begin(context, policy, known, now)


def fitting(context: Context, policy: Policy, needs: Sequence[Need], sizes: Rooms) -> Look:
    """Return what has to travel, and what does not fit; `sizes` is what maximum sizes leave."""
    rooms = room.rooms(context, policy, sizes)
    return Look(policy, *room.fitting(needs, rooms), rooms)


def of_all_keys(context: Context, commits: bool = True) -> Look:
    """Look at all keys that there are, those included that no file of the tree uses. Nothing is remembered."""
    if commits and annex.journal_waits(context.repo):
        annex.bring_branch_up(context.repo)
    policy = read_policy(context)
    now = _cursor(context, policy)
    held = dict(locations.everything(context.repo, now.annex, _counting(context, policy)))
    files: dict[str, dict[bytes, Entry]] = {key: {} for key in held}
    for path, name in locations.names(context.repo, now.tree):
        if name.key in held:
            files[name.key][path] = name.entry
    found = _needs(context, policy, now.tree, files, held)
    return fitting(context, policy, list(found), room.by_maxsize(context, policy))


def keys_below(context: Context, paths: Iterable[bytes]) -> frozenset[str]:
    """Return the keys of the annexed files at or below paths. Raises UsageError where there is none."""
    known = inventory(context)
    found: set[str] = set()
    for path in paths:
        keys = known.keys_at(path)
        if not keys:
            known_here = ", ".join(context.settings.remotes) or "none"
            raise UsageError(
                f"{os.fsdecode(path)}: no such remote, group or annexed file in the last commit",
                f"the remotes are: {known_here}",
            )
        found |= keys
    return frozenset(found)


def tree_path(context: Context, base: str | None, word: str) -> bytes:
    """Return a path of the user's as the tree has it, empty for the top. Raises UsageError for one outside."""
    top = os.path.realpath(context.repo.home)
    where = os.path.join(os.path.realpath(base or "."), word) if context.repo.top else os.path.join(top, word)
    # The last component may be an annexed file's link, which must not be followed.
    parent, name = os.path.split(os.path.normpath(where))
    full = os.path.join(os.path.realpath(parent), name) if name not in ("", "..") else os.path.realpath(where)
    inside = os.path.relpath(full, top)
    if inside == ".." or inside.startswith("../"):
        raise UsageError(
            f"{word!r} is outside of this repository", f"name a path below {top}, or a remote: git remote lists them"
        )
    return b"" if inside == "." else os.fsencode(inside)


def holders_of(context: Context, policy: Policy, keys: Iterable[str]) -> dict[str, Located]:
    """Return who holds some keys."""
    return dict(locations.of_keys(context.repo, annex_branch.BRANCH, keys, _counting(context, policy)))


def _cursor(context: Context, policy: Policy, rooms: str = "") -> Cursor:
    repo, head = context.repo, git.head(context.repo)
    name = f"refs/heads/{head.basis}" if head else "HEAD"  # of an adjusted branch the basis
    tips = history.tips(repo, annex_branch.BRANCH, name)
    if annex_branch.BRANCH not in tips:
        raise UsageError("there is no git-annex branch in this repository", "git annex init")
    tree = tips[name][1] if name in tips else history.tree_id(repo, name) or objects.empty_tree(repo)
    return Cursor(tips[annex_branch.BRANCH][0], tree, policy.digest, rooms)


def _begin(context: Context, policy: Policy, known: Inventory, now: Cursor) -> None:
    """Look at everything."""
    files: dict[str, dict[bytes, Entry]] = {}

    def names() -> Iterator[tuple[bytes, Name]]:
        for path, name in locations.names(context.repo, now.tree):
            if policy.choosy:  # only then anybody asks where it stands
                files.setdefault(name.key, {})[path] = name.entry
            else:
                files[name.key] = NOWHERE_SHOWN
            yield path, name

    counting = _counting(context, policy)
    newest = {} if counting.newest is None else counting.newest  # filled meanwhile
    with parallel.beside(lambda: dict(locations.everything(context.repo, now.annex, counting))) as held:
        known.replace(now, names, lambda: _needs(context, policy, now.tree, files, held.result()), newest)


def _bring_forward(context: Context, policy: Policy, known: Inventory, before: Cursor, now: Cursor) -> bool:
    """Look at what has changed; False where everything must be looked at."""
    counting = _counting(context, policy)
    changes = _changes(context, policy, counting, before, now)
    if changes is None:
        return False
    if any(path.rpartition(b"/")[2] == b".gitattributes" for path in changes.names):
        known.forget()  # they may say how many copies there must be
        return False
    if before.rooms != now.rooms and room.asks_all_again(policy, before.rooms, now.rooms):
        return False
    waiting = _waiting_for_room(known, policy) if before.rooms != now.rooms else []
    keys = changes.keys | known.keys_of(changes.names) | {need.key for need in waiting}
    if len(keys) > MOST_CHANGES:
        return False
    if not keys and before == now:
        return True
    files = _files_now(known, keys, changes.names)
    others = locations.of_keys(context.repo, now.annex, files.keys() - changes.located.keys(), counting)
    held = {**changes.located, **dict(others)}
    found: Iterable[Need] = _needs(context, policy, now.tree, files, held)
    if waiting := [need for need in waiting if need.key in files and need.key not in changes.located]:
        found = room.still_waiting(found, waiting, room.asking(policy), room.read(now.rooms))
    known.update(now, changes.names, keys, list(found), changes.described, counting.newest)
    return True


@dataclass(frozen=True)
class Changes:
    """Changes since the last look: holders of keys, keys with other metadata, names of files (None: gone).

    What is recorded of a `private` repository is looked at each time.
    """

    located: Mapping[str, Located]
    described: Collection[str]
    names: Mapping[bytes, Name | None]
    private: Collection[str]

    @property
    def keys(self) -> set[str]:
        """Return the keys that it concerns, those of files that are gone not included."""
        named = {name.key for name in self.names.values() if name}
        return named.union(self.located, self.described, self.private)


def _changes(context: Context, policy: Policy, counting: Counting, before: Cursor, now: Cursor) -> Changes | None:
    """Return what has changed; None where the branch was rewritten, or what the last look saw is here no more."""
    repo, located, described = context.repo, dict[str, Located](), set[str]()
    try:
        if not history.is_ancestor(repo, before.annex, now.annex):
            return None
        if before.annex != now.annex:
            located = dict(locations.changed(repo, before.annex, now.annex, counting))
            described = locations.described(repo, before.annex, now.annex) if policy.choosy else described
        names = locations.names_changed(repo, before.tree, now.tree) if before.tree != now.tree else {}
    except ProgramFailed:
        return None
    return Changes(located, described, names, counting.private.keys())


def _waiting_for_room(known: Inventory, policy: Policy) -> list[Need]:
    """Return what was to go to those who are asked again when others have got something."""
    asking = room.asking(policy)
    return [need for need in known.needs() if need.targets & asking]


def _files_now(known: Inventory, keys: Collection[str], changed: Mapping[bytes, Name | None]) -> Files:
    """Return the files of keys after a change; a key without a file is missing."""
    found = {
        key: {path: entry for path, entry in files.items() if path not in changed}
        for key, files in known.files(keys).items()
    }
    for path, name in changed.items():
        if name:
            found.setdefault(name.key, {})[path] = name.entry
    return {key: files for key, files in found.items() if files}


def _counting(context: Context, policy: Policy) -> Counting:
    """Return which lines count: of those who can hold copies, and what only this repository records of itself."""
    private = locations.private(context.repo, policy.own) if context.settings.private else {}
    return Counting(policy.alive, private, policy.clusters, {} if policy.counts_all else None)


def _needs(context: Context, policy: Policy, tree: str, files: Files, held: Mapping[str, Located]) -> Iterator[Need]:
    """Yield what becomes of keys."""
    wanted, unwanted = wanting.asked(context.repo, policy, tree, files, held)
    all_takers = policy.takers - policy.choosy
    lacking = functools.cache(lambda holders, wanting: policy.one_each(holders, (all_takers - holders) | wanting))
    for key in files:
        holders, first, _ = held.get(key, NOWHERE)
        if holders or policy.counts_all:
            targets, out = lacking(holders, wanted.get(key, NOBODY)), unwanted.get(key, NOBODY)
            if targets or out or holders & policy.emptied or policy.counts_all:
                yield Need(key, holders, targets, out, first)
