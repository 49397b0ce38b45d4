"""Frozen values without input or output that several floors use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

# Rates by the minute of the day from which they hold, in bytes a second (None: no limit); empty: never a limit.
Timetable = tuple[tuple[int, int | None], ...]

GITLINK = 0o160000
SYMLINK = 0o120000
EXECUTABLE = 0o100755
REGULAR = 0o100644
TREE = 0o040000

# Special remotes that git-annex has in every repository, from which can only be fetched: uuid -> name.
OUTSIDE = {"00000000-0000-0000-0000-000000000001": "web", "00000000-0000-0000-0000-000000000002": "bittorrent"}
OUTSIDE_COST = 200.0  # git-annex's own for them


@dataclass(frozen=True)
class Limit:
    """A limit of files that may be removed at once: a number (infinity: any), or a percentage of all."""

    number: float
    percent: bool = False


class Result(StrEnum):
    """The result of one phase for one remote."""

    DONE = "done"
    CURRENT = "current"  # nothing is left to do
    WAITS = "waits"  # something is left that others or a later run must do: who, until when
    LEVEL = "level"
    AWAY = "away"
    BUSY = "busy"
    FAILED = "failed"
    SKIPPED = "skipped"


class Fate(StrEnum):
    """The fate of one ref in a push."""

    UPDATED = "updated"
    CURRENT = "current"
    CHECKED_OUT = "checked-out"  # the branch that a work tree there has open: normal
    LOST = "lost"  # somebody else was there first
    REFUSED = "refused"  # the remote's own policy


@dataclass(frozen=True)
class RefReport:
    """One ref of a push: its full name at the remote, its fate, the remote's reason."""

    ref: str
    fate: Fate
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a phase for one remote, or for the own repository (`remote` empty)."""

    event: str
    result: Result
    remote: str = ""
    uuid: str | None = None
    refs: tuple[RefReport, ...] = ()
    seconds: float = 0.0
    reason: str = ""  # for people: why it was skipped, what failed
    advice: str = ""  # for people: what to do about it
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Remote:
    """A remote as the configuration describes it; a special remote has no url."""

    name: str
    url: str
    push_url: str
    uuid: str | None = None
    sync: bool = True
    pull: bool = True
    push: bool = True
    readonly: bool = False
    ignore: bool = False  # annex-ignore: git travels, content does not
    found_without: bool = False  # annex-ignore-auto: it was git-annex that set it, as it found no git-annex there
    tracks_all: bool = True  # git itself updates refs/remotes/NAME/* after a push
    other_refs: tuple[str, ...] = ()  # what other refspecs fetch to refs/remotes/NAME/, such as `pr/*`
    push_urls: tuple[str, ...] = ()  # a push goes to all of them
    direct: bool = True  # syncx-direct: the branch itself is pushed, not only synced/
    sync_command: str = ""
    ignore_command: str = ""
    ssh_options: str = ""
    cost: float | None = None  # annex-cost, where the user set it
    cost_command: str = ""
    rsync_url: str = ""  # of a special remote of type rsync
    web_store: bool = False  # of type S3 or webdav: git-annex itself speaks HTTP with it
    directory: str = ""  # of a special remote of type directory
    removable: bool | None = None  # syncx-removable, where the user set it
    bwlimit: Timetable = ()
    tracking_branch: str = ""  # annex-tracking-branch: what an export or import remote follows
    private: bool = False
    unverified: bool = False  # git-annex does not use it before the user has verified it
    annex_url: str = ""  # annexurl, where git-annex reaches it by another address than git
    via: str = ""  # the url of the gateway that it is behind
    gateway: str = ""  # the name of that remote, where git-annex knows it by its logs and has it use those settings

    @property
    def special(self) -> bool:
        """Return whether it holds content only: git neither fetches from it nor pushes to it."""
        return not self.url

    @property
    def path(self) -> Path | None:
        """Return the directory of a remote that is reached by the file system, else None."""
        return local_path(self.push_url) if self.push_url else None

    @property
    def section(self) -> str:
        """Return the name of the remote whose settings git-annex reads; a setting of its own would hide it."""
        return self.gateway or self.name

    def for_content(self) -> Remote:
        """Return the remote without git, which does not travel through a gateway."""
        return replace(self, url="", push_url="", push_urls=(), via=self.url)

    @property
    def through_special(self) -> bool:
        """Return whether git travels through a special remote, where a push can be undone silently."""
        return self.push_url.startswith("annex::")

    def tracking(self, branch: str) -> str:
        """Return the tracking ref of a branch of the remote."""
        return f"refs/remotes/{self.name}/{branch}"


@dataclass(frozen=True, slots=True)
class Need:
    """A key with the uuids of repositories that hold it, that want and lack it, that hold it and do not want it.

    `first` is the holder that has had it longest, empty where that is not known.
    """

    key: str
    holders: frozenset[str]
    targets: frozenset[str]
    unwanted: frozenset[str] = frozenset()
    first: str = ""


@dataclass(frozen=True)
class Clock:
    """Since when (seconds since 1970, by this node's clock) a step of the plan has not been made over an arc.

    `keys` are some that waited. `level` 1: this node plans without the arc, 2: whatever the other way costs.
    """

    since: float
    keys: tuple[str, ...] = ()
    level: int = 0


@dataclass(frozen=True)
class Transferred:
    """Bytes and files that were transferred, of how many (0: not known).

    Speed in bytes a second, `eta` in seconds from now; None where nothing can be said yet.
    """

    bytes: int
    total: int
    files: int = 1
    done: int = 0
    speed: float | None = None
    eta: float | None = None


@dataclass(frozen=True)
class Progress:
    """The progress of one file in a transfer, of its link and of the whole run, where a file counts once a link."""

    state: str  # "start", "progress", "waits", "done", "failed", "skipped"
    remote: str
    operation: str  # "push" or "pull"
    key: str
    file: str
    own: Transferred
    link: Transferred
    run: Transferred
    reason: str = ""


Event = Outcome | Progress  # a phase yields these


@dataclass(frozen=True)
class Head:
    """The branch that is checked out: `branch` as HEAD names it, and its `basis`, the branch that is synced."""

    branch: str
    basis: str

    @property
    def adjusted(self) -> bool:
        """Return whether HEAD is an adjusted branch of the basis; one of a view is none."""
        return self.branch.startswith("adjusted/") and not self.view

    @property
    def view(self) -> bool:
        """Return whether HEAD shows a view, adjusted or not."""
        return self.branch.startswith(("views/", "adjusted/views/"))

    @property
    def checked_out(self) -> bool:
        """Return whether the basis itself is what HEAD names."""
        return self.branch == self.basis


@dataclass(frozen=True)
class Hook:
    """One hook: its file and its state, "installed", "absent", "outdated" or "replaced" (by something else)."""

    name: str
    file: Path
    state: str
    around: bool = False  # what was there before is called by it


@dataclass(frozen=True)
class ChannelEvent:
    """An event on a channel of signals: `what` was done with a signal, or `wrong`, the reason that it failed."""

    address: str
    what: str = ""
    kind: str = ""
    uuid: str = ""
    seconds: float | None = None  # how long it took
    wrong: str = ""


class Entry(NamedTuple):
    """One path of a tree: file mode and object id."""

    mode: int
    oid: str


def local_path(url: str) -> Path | None:
    """Return the directory that a git url names on this machine, else None (by git's rules)."""
    if url.startswith("file://"):
        url = unquote(url, errors="surrogateescape")
        return Path("/" + url.removeprefix("file://").lstrip("/"))
    if "://" in url or "::" in url.split("/", 1)[0]:
        return None
    colon, slash = url.find(":"), url.find("/")
    if colon >= 0 and (slash < 0 or colon < slash):
        return None  # host:path
    return Path(url)
