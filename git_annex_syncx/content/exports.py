"""Export and import remotes: they hold a branch's files under their names, by git-annex alone."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping

from git_annex_syncx.annex import annex, annex_branch, locations
from git_annex_syncx.branches.merge import Merging, merge
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, git, history
from git_annex_syncx.model import Outcome, Remote, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import one_remote

NOT_HERE = "not available"  # what git-annex notes of a file whose content it has not got
AGAIN = "the next run tries again"


def bring_in(context: Context, remotes: Iterable[Remote], deletes: bool = False) -> Iterator[Outcome]:
    """Import what changed in import remotes that follow a branch, and merge it, or what an earlier run could not."""
    imported = []
    for remote in _of_kind(context, remotes, "importtree"):
        if remote.pull and remote.tracking_branch:
            outcome = one_remote("import", remote, lambda remote: _import(context, remote))
            imported += [remote] if outcome.result is Result.DONE or _is_left(context, remote) else []
            yield outcome
    if imported:
        yield from merge(context, Merging(tuple(imported), unrelated=True, deletes=deletes))


def send_out(context: Context, remotes: Iterable[Remote]) -> Iterator[Outcome]:
    """Bring export remotes to what they are to hold: the branch that they follow, else what they were given once."""
    remotes = list(remotes)
    imports = _of_kind(context, remotes, "importtree")
    for remote in _of_kind(context, remotes, "exporttree"):
        if remote in imports and remote.pull and _is_left(context, remote):  # the export would undo it
            reason = "what was imported from it is to be merged first"
            yield Outcome("export", Result.WAITS, remote.name, remote.uuid, reason=reason)
        elif remote.push and not remote.readonly:
            yield one_remote("export", remote, lambda remote: _export(context, remote))


def _of_kind(context: Context, remotes: Iterable[Remote], kind: str) -> list[Remote]:
    candidates = [remote for remote in remotes if (remote.special and not remote.via) or remote.through_special]
    options = annex_branch.special_remotes(annex_branch.log(context.repo, "remote.log")) if candidates else {}
    return [remote for remote in candidates if options.get(remote.uuid or "", {}).get(kind) == "yes"]


def _is_left(context: Context, remote: Remote) -> bool:
    """Return whether the branch in hand lacks what was imported from a remote.

    An export is noted there, too, as a merge.
    """
    if (head := git.head(context.repo)) is None:
        return False
    ours = history.value(context.repo, f"refs/heads/{head.basis}")
    theirs = history.value(context.repo, remote.tracking(head.basis))
    if not ours or not theirs or history.is_ancestor(context.repo, theirs, ours):
        return False
    merged = [one for one in history.parents(context.repo, theirs) if history.is_ancestor(context.repo, one, ours)]
    return not history.says_nothing_new(context.repo, theirs, [ours, *merged])


def _import(context: Context, remote: Remote) -> Outcome:
    drives.require_present(context.repo, remote)
    prefix = f"refs/remotes/{remote.name}/"
    before = git.refs(context.repo, prefix)
    annex.import_tree(context.repo, remote.tracking_branch, remote.name)
    result = Result.CURRENT if git.refs(context.repo, prefix) == before else Result.DONE
    return Outcome("import", result, remote.name, remote.uuid)


def _export(context: Context, remote: Remote) -> Outcome:
    """Let git-annex export where the git-annex branch does not say that all is there."""
    there = _trees(context, remote)
    setting = f"git config {shlex.quote(f'remote.{remote.name}.annex-tracking-branch')} BRANCH"
    if remote.tracking_branch:
        name, tree = remote.tracking_branch, history.tree_id(context.repo, remote.tracking_branch)
        if not tree:
            raise SyncxError(f"there is no {name}, which {remote.name} follows", setting)
    elif len(there) == 1:
        name = tree = min(there)
    else:
        why = "two different trees were exported to it" if there else "nothing was exported to it yet"
        reason = f"{why}; to let it follow a branch: {setting}"
        return Outcome("export", Result.SKIPPED, remote.name, remote.uuid, reason=reason)
    if there == {tree} and _complete(context, remote, tree):
        return Outcome("export", Result.CURRENT, remote.name, remote.uuid)
    drives.require_present(context.repo, remote)
    changed, failed = annex.export_tree(context.repo, name, remote.name)
    return _exported(remote, bool(changed) or _trees(context, remote) != there, failed)


def _trees(context: Context, remote: Remote) -> Collection[str]:
    """Return the trees that a remote holds, as the git-annex branch says."""
    exported = annex_branch.exported_trees(annex_branch.log(context.repo, "export.log"))
    return exported.get(remote.uuid or "", set())


def _exported(remote: Remote, changed: bool, failed: Mapping[str, str]) -> Outcome:
    """Return what became of an export: whether it changed anything, and which files it could not send, and why."""
    absent = [file for file, why in failed.items() if why == NOT_HERE]
    for file, why in failed.items():
        if why != NOT_HERE:
            raise SyncxError(f"{file}: {why}", AGAIN)
    more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    reason = f"the content of {absent[0]}{more} is not here" if absent else ""
    result = Result.WAITS if absent else Result.DONE if changed else Result.CURRENT
    return Outcome("export", result, remote.name, remote.uuid, reason=reason)


def _complete(context: Context, remote: Remote, tree: str) -> bool:
    """Return whether nothing of a tree that was exported can be left: then git-annex need not be asked.

    It must be where it chooses among the files, and after a failure: of plain files its branch knows nothing.
    """
    if annex_branch.choosy(context.repo, remote.uuid or ""):
        return False
    failures = context.state.failures()
    if any(failure.phase == "export" and failure.remote == remote.name for failure in failures):
        return False
    keys = {name.key for _, name in locations.names(context.repo, tree)}
    held = locations.of_keys(context.repo, annex_branch.BRANCH, keys)
    return all(remote.uuid in located.holders for _, located in held)
