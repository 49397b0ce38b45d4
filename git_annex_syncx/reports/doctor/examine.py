"""All checks of a repository and its remotes, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from git_annex_syncx.annex import proxied
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import settings, settings_faults
from git_annex_syncx.git.git import Repository
from git_annex_syncx.reports.doctor import configuration, connections, remotes, repository
from git_annex_syncx.reports.doctor.finding import Finding, Level, of_error
from git_annex_syncx.runs.context import Context, with_settings


def opened(repo: Repository) -> tuple[Context | None, list[Finding]]:
    """Return the context of a repository, without values that do not parse; None where no command can work."""
    lines = settings.listed(repo)
    found = list(configuration.check(repo, lines))
    known = settings.parse(settings_faults.sound(lines))
    try:
        return with_settings(repo, proxied.with_proxied(repo, replace(known, unknown=()))), found
    except SyncxError as error:
        return None, [*found, of_error("repository", error)]


def examine(context: Context, online: bool) -> Iterator[Finding]:
    """Yield what is wrong; `online`: with one look at each remote over the network, all at once."""
    yield from repository.check(context)
    told = set[str]()
    looks = connections.probe(context) if online else []
    seen = [finding for look in looks for finding in look.findings]
    unreached = {finding.remote for finding in seen if finding.check == "connection"}
    for finding in (*remotes.check(context), *seen):
        if finding.check == "uuid" and finding.remote in unreached:  # it cannot be asked now
            continue
        if finding.level is Level.PROBLEM:
            told.add(finding.remote)
        yield finding
    places = remotes.places(context) | {look.remote.name: look.place for look in looks if look.place}
    yield from remotes.same_uuid(context, places)
    yield from remotes.failures(context, told)
