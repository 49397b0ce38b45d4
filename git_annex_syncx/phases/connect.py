"""Connect with a hub: make it at a path or by ssh, or join the one that is there; add the remote; the first sync.

`look` finds what is there and returns a Proposal, which can be shown; `connect` brings it about. Each step looks at
what is there already, so that a run that was cut off is completed by the next.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from git_annex_syncx.annex import annex, annex_branch, hub
from git_annex_syncx.annex.hub import Found, Made
from git_annex_syncx.branches.membership import require_member
from git_annex_syncx.errors import ProgramFailed, SyncxError, UsageError
from git_annex_syncx.git import configfile, git, transport, worktree
from git_annex_syncx.git.remote_shell import HostPath, by_hand, host_path, local, trusting
from git_annex_syncx.model import Event, Outcome, Remote, Result, local_path
from git_annex_syncx.phases.sync import SyncOptions, sync
from git_annex_syncx.reasons import REACH, is_unreached
from git_annex_syncx.runs.context import Context, reread
from git_annex_syncx.runs.parallel import advice_on
from git_annex_syncx.system import locks

NOTHING_BUT_GIT = "this login runs nothing but git: make an empty repository there by other means first"
RESERVED = {"here", ".", "web", "bittorrent"}  # names that git-annex has for other things
# Groups for which git-annex knows what they want: `git annex wanted REMOTE standard`.
STANDARD = (
    "client", "transfer", "backup", "incrementalbackup", "smallarchive", "archive", "source", "manual", "public",
    "unwanted",
)  # fmt: skip
NEW = ("none", "empty", "begun")


@dataclass(frozen=True)
class PreferredContent:
    """The content that the hub is to hold: by a group, an expression; empty: everything."""

    group: str = ""
    wanted: str = ""

    @property
    def expression(self) -> str:
        """Return what is wanted; the wish of a standard group counts only where it is set."""
        return self.wanted or ("standard" if self.group in STANDARD else "")


@dataclass(frozen=True)
class Proposal:
    """The steps to a hub: the remote, its address as given, its place (None: only git reaches it), what is there."""

    remote: Remote
    address: str
    there: HostPath | None
    found: Found
    branch: str
    known: bool  # the remote is configured already
    content: bool
    same: str = ""  # another remote that is this repository, by another way
    wishes: PreferredContent = PreferredContent()

    @property
    def name(self) -> str:
        """Return the name of the remote."""
        return self.remote.name

    @property
    def makes(self) -> bool:
        """Return whether there is no repository yet."""
        return self.found.kind in NEW

    @property
    def steps(self) -> tuple[str, ...]:
        """Return what is to be done, a line a step."""
        return tuple(self._steps())

    def _steps(self) -> Iterator[str]:
        if self.makes:
            yield f"make a bare repository in {self.where}, with the branch {self.branch}"
        elif not self.known:
            yield f"join the repository in {self.where}" + (f", which is that of {self.same}" if self.same else "")
        if self.found.kind and not self.found.annex:
            yield "leave content out: no git-annex is there"
        elif self.found.kind and not self.found.uuid:
            yield f"let git-annex know it as {self.name}"
        if not self.known:
            yield f"add it as the remote {self.name}"
        if self.wishes.group:
            yield f"put it into the group {self.wishes.group}"
        if self.wishes.expression:
            yield f"let it want: {self.wishes.expression}"
        yield f"sync with it{'' if self.content else ', without content'}"

    @property
    def where(self) -> str:
        """Return the place for people."""
        if not self.there:
            return self.address
        return f"{self.there.path} on {self.there.host}" if self.there.host else self.there.path


def look(context: Context, name: str, address: str, content: bool | None, wishes: PreferredContent) -> Proposal:
    """Return what is to be done to have the remote `name` at an address; nothing is changed.

    Raises UsageError where that must not be, SyncxError where it cannot be known.
    """
    branch = worktree.require_head(context.repo).basis
    known = _require_free(context, name, address)
    if wishes.wanted and (why := annex.wrong_with(context.repo, wishes.wanted)):
        raise UsageError(f"--wanted: {why}", "git annex help preferred-content explains expressions")
    settings = [(f"remote.{name}.url", address), (f"remote.{name}.fetch", f"+refs/heads/*:refs/remotes/{name}/*")]
    with configfile.overridden([] if known else settings):
        inside = reread(context)
        remote = inside.settings.remotes[name]
        found, directory = Found(""), local_path(remote.push_url)
        there = local(directory) if directory else host_path(remote.push_url)
        try:
            found = hub.look(inside.repo, inside.settings, remote, there) if there else found
            _require_usable(inside, address, there, found)
            _require_same(remote, address, found)
            if found.kind not in NEW:
                _require_related(inside, remote)
        except ProgramFailed as error:
            advice = advice_on(error, name) or ("" if found.kind else NOTHING_BUT_GIT)
            advice = REACH if is_unreached(error.what) else advice  # there is no remote yet to be asked about
            raise SyncxError(f"{address}: {error.what}", advice) from error
    content = context.wants_content(content) and (found.annex or not found.kind)
    others = (one.name for one in context.settings.remotes.values() if one.uuid and one.uuid == found.uuid)
    same = next((other for other in others if other != name), "")
    return Proposal(remote, address, there, found, branch, known, content, same, wishes)


def _require_free(context: Context, name: str, address: str) -> bool:
    """Return whether the remote is there already. Raises UsageError where its name is taken."""
    settings = context.settings
    if transport.NO_REF.search(name) or name.startswith("-"):
        raise UsageError(f"git can have no remote that is called {name!r}", "choose another name")
    if name in RESERVED:
        raise UsageError(f"git-annex has the name {name} for something else", "choose another name")
    at_address = [one.name for one in settings.remotes.values() if address in (one.url, *one.push_urls)]
    if name in at_address:
        return True
    if remote := settings.remotes.get(name):
        moved = shlex.join(["git", "remote", "set-url", name, address])
        raise UsageError(
            f"the remote {name} is there already, at {remote.url}" if remote.url else f"{name} is a special remote",
            "choose another name" + (f", or if it has moved: {moved}" if remote.url else ""),
        )
    if at_address:
        raise UsageError(
            f"the remote {at_address[0]} is at {address} already",
            f"git annex-syncx sync {shlex.quote(at_address[0])}",
        )
    return False


def _require_same(remote: Remote, address: str, found: Found) -> None:
    """Raise UsageError where the remote is known and another repository than it, or none, is there."""
    if remote.uuid and found.kind and found.uuid != remote.uuid:
        there = f"annex.uuid is {found.uuid}" if found.uuid else "no repository of git-annex is there"
        unset = shlex.join(["git", "config", "--unset", f"remote.{remote.name}.annex-uuid"])
        raise UsageError(
            f"{address} is not the repository that {remote.name} was ({remote.uuid}): {there}",
            f"plug in the right drive, or if it is a new one: {unset}",
        )


def _require_usable(context: Context, address: str, there: HostPath | None, found: Found) -> None:
    """Raise UsageError where nothing can be made or joined."""
    own = context.settings.annex_uuid
    inside = there and not there.host and context.repo.top and Path(there.path).resolve()
    if there and not there.path:
        raise UsageError(f"{address} names no directory", f"name a new one, such as {address}annex.git")
    if found.uuid == own:
        raise UsageError(
            f"{address} is this repository, or a copy of it with its annex.uuid",
            "name another place; in a copy: git config --unset annex.uuid, git annex init, git annex fsck --fast",
        )
    if inside and context.repo.top and inside.is_relative_to(context.repo.top.resolve()):
        raise UsageError(f"{address} is in the work tree of this repository", "name a place outside of it")
    if found.kind == "file":
        raise UsageError(f"{address} is no directory", "name a new one")
    if found.kind == "files":
        raise UsageError(
            f"{address} holds other files, and no repository",
            f"name a new directory in it, such as {address.rstrip('/')}/annex.git",
        )
    if found.kind == "none" and not found.above and there:
        above = os.path.dirname(there.path.rstrip("/"))
        if there.host:
            make = by_hand(there, shlex.join(["mkdir", "-p", above]))
            raise UsageError(f"there is no directory {above} on {there.host}", f"make it first: {make}")
        raise UsageError(f"there is no directory {above}", "plug in the drive, or make that directory first")
    if found.kind and not found.git:
        raise UsageError(f"no git is on the PATH of ssh {there.host if there else ''}", "install git there")
    if there and found.wrong:
        trust = trusting(there, found.wrong)
        advice = f"if you trust it: {trust}" if trust else found.wrong
        raise UsageError(f"git does not use the repository in {address}", advice)


def _require_related(context: Context, remote: Remote) -> None:
    """Raise UsageError where a repository has another history than this one, ProgramFailed where none is there."""
    if not transport.ls_remote(context.repo, context.settings, remote):
        return
    try:
        require_member(context, remote, git.refs(context.repo), first=True)
    except ProgramFailed:
        raise
    except SyncxError as error:
        name = shlex.quote(remote.name)
        raise UsageError(
            f"{remote.url} holds another history: it shares no commit with this repository",
            "name an empty or a new directory; if they belong together: "
            f"git remote add {name} {shlex.quote(remote.url)} && "
            f"git annex-syncx pull --allow-unrelated-histories {name}",
        ) from error


def connect(context: Context, proposal: Proposal) -> Iterator[Event]:
    """Bring a proposal about. Raises SyncxError at the first step that fails; the next run completes the rest."""
    made = None
    with locks.held(context.repo.state_dir / "connect.lock", "another git-annex-syncx connects here"):
        if proposal.there and proposal.found.kind:
            made = hub.make(context.repo, context.settings, proposal.remote, proposal.there, proposal.branch)
        _add_remote(context, proposal, made)
    context = reread(context)
    remote = context.settings.remotes[proposal.name]
    if told := _told(proposal, made):
        yield Outcome("connect", Result.DONE, remote.name, remote.uuid, reason="; ".join(told))
    else:
        yield Outcome("connect", Result.CURRENT, remote.name, remote.uuid)
    if remote.uuid:
        _set_wishes(context, remote, proposal.wishes)
    yield from sync(context, (remote,), SyncOptions(content=proposal.content))
    if not remote.uuid and proposal.wishes != PreferredContent():
        context = reread(context)
        _set_wishes(context, context.settings.remotes[remote.name], proposal.wishes)


def _add_remote(context: Context, proposal: Proposal, made: Made | None) -> None:
    """Configure the remote as far as it is not yet. Without its url, which is no first step, there is none."""
    file = configfile.place(context.repo, everywhere=False)

    def default(key: str, value: str) -> None:
        if configfile.find(context.repo, f"remote.{proposal.name}.{key}", everywhere=False) is None:
            configfile.add(file, f"remote.{proposal.name}.{key}", value)

    default("fetch", f"+refs/heads/*:refs/remotes/{proposal.name}/*")
    if made and not made.annex:  # as git-annex itself does where it finds none: both look again now and then
        default("annex-ignore-auto", "true")
        default("annex-ignore", "true")
    default("url", proposal.address)
    if made and made.uuid:
        default("annex-uuid", made.uuid)
    remote = context.settings.remotes.get(proposal.name)
    if made and made.annex and remote and remote.found_without:
        for key in ("annex-ignore", "annex-ignore-auto"):
            configfile.remove(file, f"remote.{proposal.name}.{key}")


def _told(proposal: Proposal, made: Made | None) -> list[str]:
    """Return what is to be said of what was done."""
    told = [f"made a bare repository in {proposal.where}"] if proposal.makes else []
    told += [] if proposal.makes or proposal.known else [f"joined the repository in {proposal.where}"]
    if made and not made.annex:
        told.append("no git-annex is there: branches alone travel, until it is found there")
    if made and made.crippled:
        told.append("its file system has no links or permissions (FAT, exFAT); git-annex works there all the same")
    return told


def _set_wishes(context: Context, remote: Remote, wishes: PreferredContent) -> None:
    if not remote.uuid:
        ignored = shlex.quote(f"remote.{remote.name}.annex-ignore")
        raise SyncxError(
            f"{remote.name}: uuid unknown, so it can be in no group and want nothing",
            f"install git-annex there, then connect again; if it is to have none: git config {ignored} true",
        )
    if wishes.group and remote.uuid not in annex_branch.groups(context.repo).get(wishes.group, ()):
        annex.set_group(context.repo, remote.name, wishes.group)
    wanted = annex_branch.newest_lines(annex_branch.log(context.repo, "preferred-content.log"))
    if wishes.expression and wanted.get(remote.uuid) != wishes.expression:
        annex.set_wanted(context.repo, remote.name, wishes.expression)
