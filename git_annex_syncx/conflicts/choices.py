"""Versions to choose from in a conflict that nobody has looked at, and what a choice changes. Pure."""

from __future__ import annotations

import itertools
import os
import posixpath
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from git_annex_syncx.conflicts.moved_keys import moved_entry
from git_annex_syncx.conflicts.placing import Room
from git_annex_syncx.conflicts.unsettled import Unseen
from git_annex_syncx.conflicts.variant_names import marked_name
from git_annex_syncx.conflicts.versions import Store
from git_annex_syncx.errors import UsageError
from git_annex_syncx.model import Entry

SIDES = ("ours", "theirs")
SHORT = 8  # digits of a commit id, as they are shown
LEAST = 4  # digits by which a commit is named
LAST = 1 << 37  # the last second of a date that is believed


@dataclass(frozen=True)
class Maker:
    """The commit that made a version, its author and their date in seconds since 1970."""

    commit: str
    author: str
    date: int
    subject: str


@dataclass(frozen=True)
class Choice:
    """A version to choose: the file that it is now, or was where it is not `there` any more; None: deleted.

    `side` is "ours" or "theirs", seen from here where the reflog tells that one side of the merge was here, else by
    the order of the sides; empty where no merge tells. `key` is that of an annexed version.
    """

    path: bytes
    entry: Entry | None
    side: str = ""
    there: bool = True
    key: str = ""
    maker: Maker | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names by which it can be chosen, where no other version has them too; the shortest first."""
        files = (posixpath.basename(self.path), self.path) if self.there else ()
        return (self.side, self.maker.commit[:SHORT] if self.maker else "", *map(os.fsdecode, files))


@dataclass(frozen=True)
class Conflict:
    """A conflict that nobody has looked at, with the versions to choose from."""

    unseen: Unseen
    choices: tuple[Choice, ...]

    @property
    def path(self) -> bytes:
        """Return the name that the versions share."""
        return self.unseen.path

    @property
    def kept(self) -> list[Choice]:
        """Return the versions that are no deletion."""
        return [choice for choice in self.choices if choice.entry is not None]

    @property
    def has_several(self) -> bool:
        """Return whether there are two versions to keep."""
        return len({choice.entry for choice in self.kept}) > 1

    def name(self, choice: Choice) -> str:
        """Return the shortest name that means one of the versions alone, empty where there is none."""
        others = {name for other in self.choices if other is not choice for name in other.names}
        return next((name for name in choice.names if name and name not in others), "")


def chosen(conflict: Conflict, version: str) -> Choice:
    """Return the version that a word means: a side, a file, the begin of a commit id, an author.

    Raises UsageError.
    """
    found = next((some for some in _meant(conflict.choices, version) if some), [])
    if len(found) == 1:
        return found[0]
    names = ", ".join(filter(None, map(conflict.name, conflict.choices)))
    count = "more than one version" if found else "no version"
    raise UsageError(f"{version!r} means {count} of {os.fsdecode(conflict.path)}", f"its versions are: {names}")


def _meant(choices: Sequence[Choice], version: str) -> Iterator[list[Choice]]:
    """Yield the versions that a word can mean, by each kind of name, the surest first."""
    name = os.fsencode(version)
    yield [one for one in choices if one.side == version]
    yield [one for one in choices if one.there and name == one.path]
    yield [one for one in choices if one.there and name == posixpath.basename(one.path)]
    yield [one for one in choices if one.maker and len(name) >= LEAST and one.maker.commit.startswith(version)]
    yield [one for one in choices if one.maker and one.maker.author.casefold() == version.casefold()]


# What a choice changes


class Changes(dict[bytes, Entry | None]):
    """Paths of a tree to set, or to remove (None), without anything of it getting lost."""

    def __init__(self, files: Mapping[bytes, Entry], store: Store) -> None:
        super().__init__()
        self.room, self.store = Room(files), store
        self.named: dict[bytes, list[bytes]] = {}  # name of a conflict -> the new names of its versions

    def keep(self, conflict: Conflict, choice: Choice) -> None:
        """Let one version have the name, or one of its own where a directory has that, and remove all others."""
        self._remove(conflict)
        self._put(conflict, choice, ())

    def both(self, conflict: Conflict) -> None:
        """Keep all versions: what has the name keeps it, else the newest gets it, the others have names of their own.

        Raises UsageError where there is only one.
        """
        kept = conflict.kept
        if not conflict.has_several:
            raise UsageError(
                f"there is only one version of {os.fsdecode(conflict.path)}",
                "--keep gives it the name, --done lets it be",
            )
        self._remove(conflict)
        ordered = sorted(kept, key=lambda one: (one.there and one.path == conflict.path, _date(one), one.path))
        for choice in reversed(ordered):
            self._put(conflict, choice, kept)

    def _remove(self, conflict: Conflict) -> None:
        for path in conflict.unseen.files:
            self[path] = None
            self.room.files.pop(path, None)

    def _put(self, conflict: Conflict, choice: Choice, among: Sequence[Choice]) -> None:
        """Give a version the name, or one that tells it from others."""
        if choice.entry is None:
            return
        path = self.room.reachable(conflict.path)
        names = itertools.chain([path], (marked_name(path, tag) for tag in _tags(choice, among)))
        name = next(name for name in names if name not in self.room.files and name not in self.room.directories)
        self[name] = entry = moved_entry(choice.entry, choice.path, name, self.store)
        self.room.put(name, entry)
        self.named.setdefault(conflict.path, []).append(name)


def _tags(choice: Choice, among: Sequence[Choice]) -> Iterator[str]:
    """Yield what can be added to a name to tell a version from others, without end."""
    maker, others = choice.maker, [one.maker for one in among if one.maker and one is not choice]
    if maker:
        author, day = _word(maker.author), day_of(maker.date)
        if author and all(_word(other.author) != author for other in others):
            yield author
        if all(day_of(other.date) != day for other in others):
            yield day
        yield f"{day}-{time.strftime('%H%M', time.gmtime(min(maker.date, LAST)))}"
        yield maker.commit[:SHORT]
    yield from (f"{n}" for n in itertools.count(2))


def _word(name: str) -> str:
    """Return a name as it can stand in the name of a file."""
    return re.sub(r"[^\w]+", "-", name.encode("utf-8", "ignore").decode()).strip("-_")[:40].lower()


def day_of(date: int) -> str:
    """Return a day, the same in every time zone."""
    return time.strftime("%Y-%m-%d", time.gmtime(min(date, LAST)))


def _date(choice: Choice) -> int:
    return choice.maker.date if choice.maker else 0


def within(found: Iterable[Unseen], paths: Sequence[bytes]) -> list[Unseen]:
    """Return the conflicts at some paths, or below them; empty stands for the top, no path for all."""
    return [one for one in found if not paths or any(_is_at(one, path) for path in paths)]


def _is_at(unseen: Unseen, path: bytes) -> bool:
    names = (unseen.path, *unseen.files)
    return not path or any(name == path or name.startswith(path + b"/") for name in names)
