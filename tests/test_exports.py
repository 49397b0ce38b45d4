"""Export remotes hold a branch's files under their names: what is there is read from the git-annex branch."""

from __future__ import annotations

from pathlib import Path

import pytest
from network import Network, Node

Pair = tuple[Node, Node]


@pytest.fixture
def player(net: Network, pair: Pair) -> Path:
    """A directory to which laptop and desktop export main; both are in step."""
    laptop, desktop = pair
    store = net.root / "player"
    store.mkdir()
    words = ("type=directory", f"directory={store}", "encryption=none", "exporttree=yes")
    laptop.annex("initremote", "--quiet", "player", *words)
    laptop.commit_annexed({"song": "la\n", "take.raw": "la la la\n"})
    laptop.config("remote.player.annex-tracking-branch", "main")
    laptop.syncx("sync")
    desktop.syncx("merge")
    return store


def there(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir() if path.is_file())


@pytest.mark.slow
def test_what_is_there_is_not_remembered(pair: Pair, player: Path) -> None:
    laptop, desktop = pair
    assert there(player) == ["a.txt", "song", "take.raw"]
    ran = laptop.syncx("sync", "player", "-vv")
    assert ran.event("export", "player")["result"] == "current"
    assert "annex export" not in ran.err, "git-annex need not be asked"
    # What it prefers has changed.
    laptop.annex("wanted", "--quiet", "player", "exclude=*.raw")
    assert laptop.syncx("sync", "player").event("export", "player")["result"] == "done"
    assert there(player) == ["a.txt", "song"]
    assert laptop.syncx("sync", "player").event("export", "player")["result"] == "current"
    laptop.annex("wanted", "--quiet", "player", "")
    laptop.syncx("sync")
    assert there(player) == ["a.txt", "song", "take.raw"]
    # Another computer has exported something else meanwhile.
    desktop.syncx("merge")
    safe = desktop.annex("enableremote", "player", f"directory={player}", ok=None).out
    if "verifyremote" in safe:
        words = next(line for line in safe.splitlines() if "verifyremote" in line).split()
        desktop.annex(*words[words.index("verifyremote") :])
    desktop.annex("export", "--quiet", "main~1", "--to=player")
    assert there(player) == ["a.txt"]
    desktop.syncx("push")
    laptop.syncx("merge")
    assert laptop.syncx("transfer", "player").event("export", "player")["result"] == "done"
    assert there(player) == ["a.txt", "song", "take.raw"]


def test_read_only_and_absent_content(pair: Pair, player: Path) -> None:
    laptop, _ = pair
    laptop.config("remote.player.annex-readonly", "true")
    laptop.commit_annexed({"second": "li\n"})
    ran = laptop.syncx("sync")
    assert not [event for event in ran.events if event["event"] == "export"]
    assert there(player) == ["a.txt", "song", "take.raw"]
    laptop.config("remote.player.annex-readonly", "false")
    laptop.annex("drop", "--quiet", "second")
    ran = laptop.syncx("sync", "player", "--no-push")
    assert not [event for event in ran.events if event["event"] == "export"]
    laptop.config("syncx.patience", "0")
    ran = laptop.syncx("transfer", "player")
    assert ran.event("export", "player")["result"] == "waits"
    assert "second" in ran.event("export", "player")["reason"]
    laptop.annex("get", "--quiet", "second")
    assert laptop.syncx("transfer", "player").event("export", "player")["result"] == "done"
    assert there(player) == ["a.txt", "second", "song", "take.raw"]


def test_a_card_that_is_not_plugged_in_is_away_and_no_failure(net: Network, pair: Pair) -> None:
    laptop, _ = pair
    card = net.root / "card"
    card.mkdir()
    words = ("type=directory", f"directory={card}", "encryption=none", "exporttree=yes", "importtree=yes")
    laptop.annex("initremote", "--quiet", "camera", *words)
    laptop.config("remote.camera.annex-tracking-branch", "main")
    assert laptop.syncx("transfer", "camera").event("export", "camera")["result"] == "done"
    drawer = card.rename(net.root / "drawer")
    ran = laptop.syncx("transfer", "camera")
    assert ran.event("import", "camera")["result"] == "away"
    (drawer.rename(card) / "photo.jpg").write_text("x")
    assert laptop.syncx("transfer", "camera").event("import", "camera")["result"] == "done"
    assert (laptop.path / "photo.jpg").exists()


def test_without_a_branch_to_follow_and_with_git_in_it(net: Network, pair: Pair) -> None:
    laptop, _ = pair
    store, shop = net.root / "store", net.root / "shop"
    for place in (store, shop):
        place.mkdir()
    words = ("type=directory", "encryption=none", "exporttree=yes")
    laptop.annex("initremote", "--quiet", "store", f"directory={store}", *words)
    laptop.annex("initremote", "--quiet", "shop", "--with-url", f"directory={shop}", *words)
    laptop.config("remote.shop.annex-tracking-branch", "main")
    laptop.commit_annexed({"song": "la\n"})
    ran = laptop.syncx("sync", "store", "shop")
    assert "annex-tracking-branch" in ran.event("export", "store")["reason"]
    assert there(shop) == ["a.txt", "song"]
    assert not there(store)
    assert laptop.head("refs/remotes/shop/main") == laptop.head(), "git is there too"
    laptop.annex("export", "--quiet", "main", "--to=store")
    laptop.commit({"later.txt": "x"})
    ran = laptop.syncx("sync", "store", "shop")
    assert ran.event("export", "store")["result"] == "current"
    assert there(store) == ["a.txt", "song"], "it follows no branch"
    assert there(shop) == ["a.txt", "later.txt", "song"]
    assert ran.event("export", "shop")["result"] == "done"


def test_a_plain_file_that_could_not_be_sent_is_sent_by_the_next_run(pair: Pair, player: Path) -> None:
    laptop, _ = pair
    laptop.commit({"plain": "of which the git-annex branch knows nothing\n"})
    in_the_way = player / "plain"
    in_the_way.mkdir()
    (in_the_way / "something").touch()
    assert laptop.syncx("sync", "player", ok=1).event("export", "player")["result"] == "failed"
    (in_the_way / "something").unlink()
    in_the_way.rmdir()
    assert laptop.syncx("sync", "player").event("export", "player")["result"] == "done"
    assert there(player) == ["a.txt", "plain", "song", "take.raw"]
