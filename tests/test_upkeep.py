"""What is here follows when others migrate it, and branches that show what is here show what has come."""

from __future__ import annotations

from network import Network, Node
from test_killed import before_git_does


def key_at(node: Node, path: str) -> str:
    return node.annex("lookupkey", path).out.strip()


def test_migrated_content_is_not_fetched_again(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"f": "content\n" * 100})
    desktop = net.clone(laptop, "desktop")
    net.connect((laptop, desktop))
    desktop.syncx("sync")
    laptop.annex("migrate", "--quiet", "--backend=SHA512E", "f")
    laptop.git("commit", "--quiet", "--message", "migrated")
    laptop.syncx("sync", "--no-content")
    laptop.path.rename(net.root / "drawer")
    desktop.config("annex.syncmigrations", "false")
    assert "migrate" not in {event["event"] for event in desktop.syncx("sync", ok=None).events}
    assert not (desktop.path / "f").exists()
    desktop.git("config", "--unset", "annex.syncmigrations")
    assert desktop.syncx("sync").event("migrate")["files"] == 1
    assert key_at(desktop, "f").startswith("SHA512E-") and desktop.read("f") == b"content\n" * 100
    (net.root / "drawer").rename(laptop.path)
    assert desktop.syncx("sync").event("transfer", "laptop")["result"] == "current"


def test_migrations_from_before_the_first_run_are_followed_where_there_are_any(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"f": "content\n" * 100})
    desktop = net.clone(laptop, "desktop")
    desktop.annex("get", "--quiet", "f")
    asked = "annex migrate --update"
    assert asked not in laptop.run("git-annex-syncx", "-vv", "transfer").err, "nobody has migrated anything"
    laptop.annex("migrate", "--quiet", "--backend=SHA512E", "f")
    laptop.git("commit", "--quiet", "--message", "migrated")
    desktop.syncx("pull")
    assert desktop.syncx("transfer").event("migrate")["files"] == 1
    assert key_at(desktop, "f").startswith("SHA512E-") and (desktop.path / "f").exists()
    assert asked not in desktop.run("git-annex-syncx", "-vv", "transfer").err, "once"


def test_adjusted_branches_show_what_has_come(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"f": "f\n", "g": "g\n"})
    desktop = net.clone(laptop, "desktop")
    desktop.annex("adjust", "--quiet", "--hide-missing", "--unlock")
    assert not (desktop.path / "f").exists()
    assert desktop.syncx("sync").event("refresh")["result"] == "done"
    assert {name: desktop.read(name) for name in ("f", "g")} == {"f": b"f\n", "g": b"g\n"}
    before = desktop.head()
    assert "refresh" not in {event["event"] for event in desktop.syncx("sync").events}
    assert desktop.head() == before
    desktop.git("checkout", "--quiet", "main")
    desktop.annex("adjust", "--quiet", "--unlock-present")
    laptop.commit_annexed({"h": "h\n"})
    desktop.syncx("sync")
    assert (desktop.path / "h").is_file() and not (desktop.path / "h").is_symlink()
    desktop.annex("wanted", "here", "exclude=h")
    with (desktop.path / "h").open("a") as file:
        file.write("mine\n")
    told = desktop.syncx("sync", "--no-commit").event("refresh")
    assert told["result"] == "waits" and told["reason"].endswith(": h"), "a change of the user's comes first"
    desktop.write("h", "h\n")
    assert desktop.git("status", "--porcelain").out == ""
    desktop.syncx("sync", "--no-commit")
    assert (desktop.path / "h").is_symlink(), "what has gone is shown too"
    desktop.annex("get", "--quiet", "h")
    desktop.syncx("sync", "--no-content")
    assert not (desktop.path / "h").is_symlink(), "whoever has brought it"
    assert desktop.head("main") == laptop.head("main")


def test_what_is_committed_where_missing_files_are_hidden_meets_a_push_into_the_basis(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    desktop = net.clone(laptop, "desktop")
    desktop.annex("adjust", "--quiet", "--hide-missing")
    net.connect((laptop, desktop))
    laptop.commit({"b.txt": "b\n"})
    laptop.syncx("push")
    desktop.commit_annexed({"mine.bin": "mine\n"})
    # And once more between the merge and the refresh.
    mine = "echo >late.bin; $git annex add -q late.bin; $git commit -qm late"
    pushed = "$git update-ref refs/heads/main $($git commit-tree -p main -m pushed main^{tree})"
    before_git_does(desktop, "push --porcelain", f"cd {desktop.path}; {mine}; {pushed}")
    assert desktop.syncx("sync", "--no-content").event("refresh")["result"] == "waits"
    assert desktop.files() == ["a.txt", "b.txt", "late.bin", "mine.bin"]
    desktop.syncx("sync", "--no-content")
    assert desktop.files("main") == laptop.files("synced/main") == ["a.txt", "b.txt", "late.bin", "mine.bin"]
    assert "pushed" in desktop.git("log", "--format=%s", "main").out.split()


def test_a_refresh_needs_neither_memory_nor_inventory(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"f": "f\n"})
    desktop = net.clone(laptop, "desktop")
    desktop.annex("get", "--quiet", "f")
    desktop.annex("adjust", "--quiet", "--hide-missing", "--unlock")
    with (desktop.path / "f").open("a") as file:
        file.write("mine\n")
    laptop.commit_annexed({"g": "g\n"})
    desktop.git("stash")
    desktop.git("stash", "apply", "--quiet")
    desktop.config("status.showStash", "true")
    told = desktop.syncx("sync", "--no-content", "--no-commit").event("refresh")
    assert told["result"] == "waits" and told["reason"].endswith(": f"), "no look at the content has ever been"
    assert desktop.read("f") == b"f\nmine\n"
    outbox = desktop.path / ".git" / "annex" / "syncx" / "outbox.sqlite"
    outbox.unlink()
    outbox.mkdir()  # root may write everything but this
    ran = desktop.syncx("sync", "--no-content")
    assert "summary" in {event["event"] for event in ran.events} and "Traceback" not in ran.err


def test_a_view_shows_what_has_come(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"f": "f\n"})
    laptop.annex("metadata", "--quiet", "--set", "year=2020", "f")
    desktop = net.clone(laptop, "desktop")
    desktop.annex("view", "--quiet", "year=*")
    assert desktop.files() == ["2020/f"]
    laptop.commit_annexed({"g": "g\n"})
    laptop.annex("metadata", "--quiet", "--set", "year=2021", "g")
    for words in (["--quiet"], ["--quiet", "--unlock"]):
        if "--unlock" in words:
            desktop.annex("adjust", *words)
            laptop.commit_annexed({"h": "h\n"})
            laptop.annex("metadata", "--quiet", "--set", "year=2021", "h")
        assert desktop.syncx("sync", "--no-content").event("refresh")["result"] == "done"
        assert desktop.head("main") == laptop.head() and desktop.git("status", "--porcelain").out == ""
        assert desktop.files() == ["2020/f", "2021/g", *["2021/h"] * ("--unlock" in words)]
        before = desktop.head()
        assert "refresh" not in {event["event"] for event in desktop.syncx("sync", "--no-content").events}
        assert desktop.head() == before
