"""The remotes behind a gateway: clusters, and remotes of its own. git-annex knows them from the git-annex branch.

There is nothing of them in .git/config: `GATEWAY-NAME` has the settings of the remote GATEWAY, and is gone as soon as
the configuration has any key of its own for it, unless both url and annex-uuid are among them. No git travels there.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.git import ssh
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import Settings, read_settings
from git_annex_syncx.model import Remote

LOGS = ("proxy.log", "cluster.log")


def read_all_settings(repo: Repository) -> Settings:
    """Read the configuration, and add the remotes behind gateways. Raises UsageError."""
    return with_proxied(repo, read_settings(repo))


def with_proxied(repo: Repository, settings: Settings) -> Settings:
    """Return the settings with the remotes behind gateways, as the git-annex branch names them."""
    gateways = [remote for remote in settings.remotes.values() if _can_be_gateway(remote)]
    if not gateways:
        return settings
    raw = annex_branch.logs(repo, LOGS)
    return added(settings, annex_branch.proxied(raw["proxy.log"]), annex_branch.clusters(raw["cluster.log"]))


def _can_be_gateway(remote: Remote) -> bool:
    """Return whether git-annex talks with a git-annex there, by ssh or HTTP, not by the file system."""
    by_http = remote.annex_url.startswith(("annex+http:", "annex+https:"))
    return bool(remote.uuid and (by_http or (remote.path is None and ssh.address(remote.url))))


def added(
    settings: Settings, proxied: Mapping[str, Mapping[str, str]], clusters: Mapping[str, frozenset[str]]
) -> Settings:
    """Return the settings with the remotes behind gateways. Pure."""
    found, warnings = dict[str, Remote](), list[str]()
    for gateway in filter(_can_be_gateway, settings.remotes.values()):
        behind = proxied.get(gateway.uuid or "", {})
        for uuid, name in behind.items():
            full = f"{gateway.name}-{name}"
            nodes = any(uuid in nodes for cluster, nodes in clusters.items() if cluster in behind)
            if uuid == settings.annex_uuid:
                continue
            if full not in settings.sections:
                found[full] = _behind(gateway, full, uuid, nodes)
            elif full not in settings.remotes and not nodes:
                warnings.append(_hidden(full))
        found.update(_configured(settings, gateway, behind))
    return replace(
        settings,
        remotes=dict(sorted({**settings.remotes, **found}.items())),
        unknown=(*settings.unknown, *warnings),
    )


def _behind(gateway: Remote, name: str, uuid: str, node: bool) -> Remote:
    """Return the remote as git-annex makes it up; one of a `node` takes part in nothing, as its cluster does."""
    return replace(
        gateway.for_content(),
        name=name,
        uuid=uuid,
        gateway=gateway.name,
        sync=gateway.sync and not node,
        found_without=False,
        removable=None,
        tracking_branch="",
    )


def _configured(settings: Settings, gateway: Remote, behind: Mapping[str, str]) -> Iterator[tuple[str, Remote]]:
    """Yield remotes in the configuration that are behind a gateway: they have its url, and another uuid."""
    for remote in settings.remotes.values():
        if remote.url == gateway.url and remote.uuid in behind and remote.uuid != gateway.uuid:
            yield remote.name, remote.for_content()


def _hidden(name: str) -> str:
    section = f"remote.{name}"
    return (
        f"git-annex does not see {name} while {section} is configured without url and annex-uuid: "
        f"git config --remove-section {shlex.quote(section)}"
    )
