"""Who wants what, as git-annex sees it: whatever its answers depend on is asked again when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from network import Network, Node

from git_annex_syncx.content import missing
from git_annex_syncx.git.git import open_repository
from git_annex_syncx.runs.context import open_context


@pytest.fixture
def film(net: Network) -> tuple[Node, Node]:
    """A laptop with a film that wants nothing, and a desktop that knows it."""
    laptop = net.create("laptop")
    laptop.commit_annexed({"film": "film\n", "sub/text": "text\n"})
    desktop = net.clone(laptop, "desktop")
    net.connect((laptop, desktop))
    laptop.syncx("sync", "--no-content")
    return laptop, desktop


def test_each_thing_that_decides_is_looked_at_anew(
    net: Network, film: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    laptop, _ = film
    for name, value in net.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (net.home / ".config" / "git").mkdir(parents=True)
    changes: dict[str, Callable[[], object]] = {
        "preferred": lambda: laptop.annex("wanted", "desktop", "groupwanted and not unused"),
        "required": lambda: laptop.annex("required", "desktop", "include=*.doc"),
        "group": lambda: laptop.annex("group", "desktop", "mine"),
        "groupwanted": lambda: laptop.annex("groupwanted", "mine", "lackingcopies=1"),
        "trust": lambda: laptop.annex("untrust", "desktop"),
        "numcopies": lambda: laptop.annex("numcopies", "2"),
        "mincopies": lambda: laptop.annex("mincopies", "2"),
        "maxsize": lambda: laptop.annex("maxsize", "desktop", "1gb"),
        "trust level": lambda: laptop.config("remote.desktop.annex-trustlevel", "untrusted"),
        "configured copies": lambda: laptop.config("annex.numcopies", "3"),
        "attributes": lambda: laptop.write(".gitattributes", "* annex.numcopies=2\n"),
        "committed": lambda: laptop.commit({"sub/.gitattributes": "* annex.numcopies=2\n"}),
        "info": lambda: laptop.write(".git/info/attributes", "* annex.numcopies=3\n"),
        "home": lambda: (net.home / ".config/git/attributes").write_text("* annex.numcopies=4\n"),
        "another file": lambda: (
            laptop.write("../more", "* annex.mincopies=2\n"),
            laptop.config("core.attributesFile", "../more"),
        ),
        "unused": lambda: laptop.write(".git/annex/unused", "1 SHA256E-s5--a\n"),
    }
    caplog.set_level(logging.INFO, missing.__name__)

    def asks_anew() -> bool:
        caplog.clear()
        missing.look(open_context(open_repository(laptop.path)))
        return "looking at all keys" in caplog.text

    assert asks_anew() and not asks_anew()
    told = {name: (change(), asks_anew())[1] for name, change in changes.items()}
    assert told == dict.fromkeys(changes, True)
    laptop.commit({"plain.txt": "plain\n"})
    laptop.config("annex.jobs", "2")
    assert not asks_anew(), "what has nothing to do with it costs nothing"


def test_refused_drop_is_tried_again_when_what_refused_it_is_gone(net: Network, film: tuple[Node, Node]) -> None:
    laptop, desktop = film
    laptop.annex("wanted", "here", "exclude=*")
    laptop.syncx("transfer", "--no-drop")
    desktop.path.rename(net.root / "drawer")
    assert laptop.syncx("transfer").event("drop")["kept"] == 2
    assert "drop" not in {event["event"] for event in laptop.syncx("transfer").events}, "nothing is otherwise"
    (net.root / "drawer").rename(desktop.path)
    laptop.write(".git/info/attributes", "* filter=annex\nfilm annex.numcopies=2\n")
    told = laptop.syncx("transfer").event("drop")
    assert (told["dropped"], told["kept"]) == (1, 1)
    laptop.write(".git/info/attributes", "* filter=annex\n")
    assert laptop.syncx("transfer").event("drop")["dropped"] == 1


def test_no_more_is_sent_than_fits(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({f"f{n}": bytes([n]) * 20_000 for n in range(5)})
    drive = net.clone(laptop, "drive")
    net.connect((laptop, drive))
    laptop.syncx("sync", "--no-content")
    laptop.annex("group", "drive", "archive")
    laptop.annex("wanted", "drive", "balanced=archive:1")
    laptop.annex("maxsize", "drive", "50kb")
    assert "no room at drive for 3 files" in laptop.run("git-annex-syncx", "plan").err
    ran = laptop.syncx("sync")
    assert ran.event("transfer", "drive")["files"] == 2
    told = ran.event("waiting")
    assert (told["result"], told["files"]) == ("waits", 3) and "no room at drive" in told["reason"]
    assert laptop.syncx("sync").event("waiting")["files"] == 3, "it is said as long as it is so"
    held = laptop.annex("find", "--in=drive").out.split()
    assert len(held) == 2
    drive.annex("drop", "--quiet", "--force", "--key", laptop.annex("lookupkey", held[0]).out.strip())
    drive.annex("info", "--fast", "--quiet")
    ran = laptop.syncx("sync")
    assert ran.event("transfer", "drive")["files"] == 1, "room was made"
    assert ran.event("waiting")["files"] == 3
    laptop.annex("maxsize", "drive", "1gb")
    assert laptop.syncx("sync").event("transfer", "drive")["files"] == 3
    assert "no room" not in laptop.syncx("sync").out
