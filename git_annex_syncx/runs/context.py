"""A repository, checked and with its settings and state, on which every phase works; the choice of its remotes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from git_annex_syncx.annex import annex, annex_branch, proxied
from git_annex_syncx.errors import UsageError
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import Settings, truth
from git_annex_syncx.model import OUTSIDE, Outcome, Remote, Result
from git_annex_syncx.system import run
from git_annex_syncx.system.records import AnnexVersion
from git_annex_syncx.system.state import State, StateError


@dataclass(frozen=True)
class Context:
    """One repository, its settings, its state, the version of its git-annex."""

    repo: Repository
    settings: Settings
    state: State
    annex_version: str

    @property
    def only_annex(self) -> bool:
        """Return whether git's own branches are left alone: neither committed to, merged nor pushed."""
        return decided(self, "annex.synconlyannex", (self.settings.only_annex,), default=False)

    @property
    def resolves(self) -> bool:
        """Return whether a merge may resolve conflicts."""
        return decided(self, "annex.resolvemerge", (self.settings.resolve_merge,), default=True)

    def wants_content(self, asked: bool | None = None) -> bool:
        """Return whether content is transferred too: as asked, as configured here or for all, else it is."""
        said = (asked, self.only_annex or None, self.settings.sync_content)
        return decided(self, "annex.synccontent", said, default=True)

    @property
    def can_fail(self) -> tuple[str, ...]:
        """Return the names under which failures are remembered, beside the own repository: remotes, the web."""
        return (*self.settings.remotes, *OUTSIDE.values())

    @property
    def branches(self) -> tuple[str, ...]:
        """Return the patterns of the branches that are fetched."""
        return ("git-annex*", "synced/git-annex*") if self.only_annex else ("*",)


def decided(context: Context, key: str, said: Iterable[bool | None], *, default: bool) -> bool:
    """Return the first answer there is: of `said`, of `git annex config` for all repositories, else the default."""
    for answer in said:
        if answer is not None:
            return answer
    shared = annex_branch.shared_config(context.repo).get(key, "")  # what was unset there is empty
    return truth(shared, default) if shared else default


def open_context(repo: Repository) -> Context:
    """Read the settings and the state of a repository. Raises UsageError for what the user must mend."""
    return with_settings(repo, proxied.read_all_settings(repo))


def with_settings(repo: Repository, settings: Settings) -> Context:
    """Return the context of a repository with these settings. Raises UsageError for what the user must mend."""
    if not settings.annex_uuid:
        raise UsageError(f"{repo.home} is a git repository without git-annex", "git annex init")
    state = State(repo.state_dir / "outbox.sqlite", settings.retry_interval)
    version = _annex_version(repo, state, settings.annex_format)
    annex.require_version(version)
    return Context(_without_surprises(repo, settings), settings, state, version)


def reread(context: Context) -> Context:
    """Return the context with the settings as they are by now."""
    settings = proxied.read_all_settings(context.repo)
    return replace(context, repo=_without_surprises(context.repo, settings), settings=settings)


def choose_remotes(
    context: Context, names: Iterable[str], excepted: Iterable[str]
) -> tuple[list[Remote], list[Outcome]]:
    """Return the remotes to work on, and outcomes of those that the configuration leaves out.

    A name is a remote's, or a group's of `remotes.GROUP` or of `git annex group`. Raises UsageError for others.
    """
    names, left_out = list(names), {remote.name for name in excepted for remote in _named(context, name)}
    everyone = (remote for remote in context.settings.remotes.values() if remote.sync or not remote.gateway)
    asked = [remote for name in names for remote in _members(context, name)] if names else everyone

    def reason(remote: Remote) -> str:
        return "--except" if remote.name in left_out else "" if names else _left_out(context, remote)

    return divided(dict.fromkeys(asked), reason)


def cheapest(context: Context, remotes: Iterable[Remote]) -> list[Remote]:
    """Return the remotes of the lowest cost."""
    from git_annex_syncx.network.own_links import link_cost  # with all of the planner's modules

    costs = {remote: link_cost(context.repo, context.state, remote) for remote in remotes}
    return [remote for remote, cost in costs.items() if cost == min(costs.values())]


def git_only(remotes: Iterable[Remote]) -> list[Remote]:
    """Return the remotes that git itself can reach."""
    return [remote for remote in remotes if not remote.special]


def divided(remotes: Iterable[Remote], reason_of: Callable[[Remote], str]) -> tuple[list[Remote], list[Outcome]]:
    """Return the remotes for which there is no reason against, and outcomes that tell the reasons of the others."""
    chosen, skipped = [], []
    for remote in remotes:
        if reason := reason_of(remote):
            skipped.append(Outcome("remote", Result.SKIPPED, remote.name, remote.uuid, reason=reason))
        else:
            chosen.append(remote)
    return chosen, skipped


def is_named(context: Context, name: str) -> bool:
    """Return whether it is a remote's or a group's name."""
    settings = context.settings
    return name in settings.remotes or name in settings.groups or name in annex_branch.groups(context.repo)


def _members(context: Context, name: str) -> list[Remote]:
    """Return the remotes of a name. Raises UsageError for a group without any: all is not what was asked."""
    found = _named(context, name)
    if not found:
        raise UsageError(f"the group {name!r} has no remote here", _known(context))
    return found


def _known(context: Context) -> str:
    known = ", ".join(context.settings.remotes)
    return f"the remotes are: {known}" if known else "there are none: git annex-syncx connect NAME ADDRESS"


def _named(context: Context, name: str) -> list[Remote]:
    remotes = context.settings.remotes
    if name in remotes:
        return [remotes[name]]
    if name in context.settings.groups:
        found = [remotes[member] for member in context.settings.groups[name] if member in remotes]
    elif (members := annex_branch.groups(context.repo).get(name)) is not None:
        found = [remote for remote in remotes.values() if remote.uuid in members]
    else:
        raise UsageError(f"there is no remote or group {name!r}", _known(context))
    return found


def _left_out(context: Context, remote: Remote) -> str:
    if not remote.sync:
        return "annex-sync is false"
    if remote.sync_command and not says_yes(context, remote.sync_command):
        return "annex-sync-command says no"
    return ""


def says_yes(context: Context, command: str) -> bool:
    """Return whether there is a command of the user's, and it ends with success."""
    if not command:
        return False
    return run.run("sh", "-c", command, cwd=context.repo.home, env=run.environment(), ok=range(256)).code == 0


def _without_surprises(repo: Repository, settings: Settings) -> Repository:
    remotes = [remote for remote in settings.remotes.values() if not remote.special and not remote.ignore]
    return replace(
        repo,
        strangers=tuple(remote.name for remote in remotes if not remote.uuid and not remote.path),
        drives=tuple(remote.name for remote in remotes if remote.uuid and remote.path),
    )


def _annex_version(repo: Repository, state: State, format_: str) -> str:
    """Return the version of git-annex, asked anew where the program changed (it takes longer than all else here)."""
    program = annex.program().resolve()
    found = program.stat()
    key = f"{program} {found.st_mtime_ns} {found.st_size} {format_}"
    try:
        known = state.annex_versions.get(key)
        if known is None:
            known = AnnexVersion(key, annex.ask_version(repo, format_))
            state.annex_versions.replace([known])
    except StateError:  # nothing can be remembered now; the phases will say so
        return annex.ask_version(repo, format_)
    return known.version
