"""Choice of the channel for an address of syncx.signal."""

from __future__ import annotations

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import extras
from git_annex_syncx.triggers.signals.channel import Channel, shown

EXAMPLE = "mqtts://me@broker.example.org/family, xmpp:me@example.org or exec:my-program"


def open_channel(repo: Repository, uuid: str, address: str) -> Channel:
    """Return the channel for an address of syncx.signal. Raises UsageError, also where a package is missing."""
    scheme = address.partition(":")[0].lower()
    if scheme in ("mqtt", "mqtts"):
        _require("aiomqtt", "mqtt", "mqtt://")
        from git_annex_syncx.triggers.signals.mqtt import Mqtt

        return Mqtt(repo, uuid, address)
    if scheme == "xmpp":
        _require("slixmpp", "xmpp", "xmpp:")
        from git_annex_syncx.triggers.signals.xmpp import Xmpp

        return Xmpp(repo, uuid, address)
    if scheme == "exec":
        from git_annex_syncx.triggers.signals.program import Program

        return Program(repo, uuid, address)
    what = f"syncx.signal = {shown(address)!r} is no address that signals can travel to"
    raise UsageError(what, f"right are {EXAMPLE}")


def _require(package: str, extra: str, scheme: str) -> None:
    extras.require(package, extra, f"syncx.signal has an address {scheme}, but {package} is not installed")
