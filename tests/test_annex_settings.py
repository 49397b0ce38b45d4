"""git-annex's own settings mean here what they mean in `git annex sync`."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from network import Node, Ran

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git.settings import Value, parse

Pair = tuple[Node, Node]
Probe = Callable[[Node, Node], bool]
GIT, ALL = ("git",), ("git", "annex")  # who may say it: git's configuration, and `git annex config` for everybody


def happened(ran: Ran, event: str) -> bool:
    """Whether there was such an event that was neither skipped nor failed."""
    return any(e["event"] == event and e["result"] not in ("skipped", "failed") for e in ran.events)


def news(laptop: Node) -> str:
    """Commit something new; the name of its annexed file."""
    name = f"file{laptop.net.clock}"
    laptop.commit_annexed({name: name * 100})
    return name


def resolves(laptop: Node, desktop: Node) -> bool:
    ran = laptop.syncx("pull", ok=None)
    if not happened(ran, "merge"):
        assert "a.txt" in ran.event("merge")["error"]
        assert "annex.resolvemerge" in ran.event("merge")["error"]
    assert laptop.git("status", "--porcelain").out == ""
    return happened(ran, "merge")


def pushes_main(laptop: Node, desktop: Node) -> bool:
    news(laptop)
    return any("refs/heads/synced/main" in str(event.get("refs")) for event in laptop.syncx("push").events)


def pushes(laptop: Node, desktop: Node) -> bool:
    return happened(laptop.syncx("push"), "push")


def fetches(laptop: Node, desktop: Node) -> bool:
    return happened(laptop.syncx("pull"), "fetch")


def commits(laptop: Node, desktop: Node) -> bool:
    return happened(laptop.syncx("sync", "--no-content", "--no-push", "--no-pull"), "commit")


def transfers(laptop: Node, desktop: Node) -> bool:
    name = news(laptop)
    laptop.syncx("sync", "--no-commit", "--no-pull")
    return "desktop" in laptop.annex("whereis", name).out


def costs_100(laptop: Node, desktop: Node) -> bool:
    links = laptop.syncx("map").events[0]["links"]
    uuid = laptop.git("config", "annex.uuid").out.strip()
    return [link["cost"] for link in links if link["owner"] == uuid and link["source"] == "config"] == [100.0]


# Without any of them all is done; with it that is not.
TABLE: list[tuple[str, str, tuple[str, ...], Probe]] = [
    ("annex.resolvemerge", "false", ALL, resolves),
    ("annex.synconlyannex", "true", ALL, pushes_main),
    ("annex.autocommit", "false", ALL, commits),
    ("annex.synccontent", "false", ALL, transfers),
    ("remote.desktop.annex-sync", "false", GIT, pushes),
    ("remote.desktop.annex-sync-command", "false", GIT, pushes),
    ("remote.desktop.annex-push", "false", GIT, pushes),
    ("remote.desktop.annex-readonly", "true", GIT, pushes),
    ("remote.desktop.annex-pull", "false", GIT, fetches),
    ("remote.desktop.annex-ignore", "true", GIT, transfers),
    ("remote.desktop.annex-ignore-command", "true", GIT, transfers),
    ("remote.desktop.annex-cost", "42", GIT, costs_100),
    ("remote.desktop.annex-cost-command", "echo 42", GIT, costs_100),
]


@pytest.mark.slow
def test_each_setting_is_seen_wherever_it_stands(pair: Pair) -> None:
    laptop, desktop = pair
    laptop.commit({"a.txt": "laptop\n"})
    desktop.commit({"a.txt": "desktop\n"})
    probed = set()
    for key, value, places, probe in TABLE:
        for place in places:
            if place == "git":
                laptop.config(key, value)
                assert not probe(laptop, desktop), key
                laptop.git("config", "--unset", key)
            else:
                laptop.annex("config", "--quiet", "--set", key, value)
                assert not probe(laptop, desktop), f"git annex config {key}"
                laptop.annex("config", "--quiet", "--unset", key)
        if probe not in probed:
            probed.add(probe)
            assert probe(laptop, desktop), f"without {key}"


def test_the_own_configuration_wins_and_a_bad_shared_value_is_none(pair: Pair) -> None:
    laptop, desktop = pair
    laptop.annex("config", "--quiet", "--set", "annex.synconlyannex", "true")
    laptop.config("annex.synconlyannex", "false")
    assert pushes_main(laptop, desktop)
    laptop.annex("config", "--quiet", "--set", "annex.synconlyannex", "perhaps")
    laptop.git("config", "--unset", "annex.synconlyannex")
    assert pushes_main(laptop, desktop)
    for command in ("pull", "merge", "transfer"):
        laptop.syncx(command)


@pytest.mark.parametrize("key", ["annex-bwlimit", "annex-bwlimit-upload"])
def test_a_limit_of_git_annex_holds(pair: Pair, key: str) -> None:
    laptop, _ = pair
    laptop.config(f"remote.desktop.{key}", "20kb")
    laptop.commit_annexed({"big": "x" * 60_000})
    begun = time.monotonic()
    laptop.syncx("sync", "--no-pull")
    assert time.monotonic() - begun > 2
    assert "desktop" in laptop.annex("whereis", "big").out


def test_jobs() -> None:
    def jobs(**texts: str) -> int:
        return parse([Value(key.replace("_", "."), text, "x") for key, text in texts.items()]).transfer_jobs

    assert jobs() == 2
    assert jobs(annex_jobs="5") == 5
    assert jobs(annex_jobs="cpus") >= 1
    assert jobs(annex_jobs="5", syncx_transferjobs="3") == 3
    with pytest.raises(UsageError):
        jobs(annex_jobs="0")
