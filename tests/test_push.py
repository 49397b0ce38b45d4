"""Push: what arrives where, what is told of it, and what is never touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from network import PROGRAMS, Network, Node, together


def behind_hub(net: Network) -> tuple[Node, Node]:
    laptop, hub = net.create("laptop"), net.create("hub", bare=True)
    laptop.commit_annexed({"big.bin": "annexed"})
    net.connect((laptop, hub))
    laptop.syncx("pull")
    return laptop, hub


@pytest.fixture
def hub(net: Network) -> tuple[Node, Node]:
    """A laptop with one commit and an annexed file, and a bare hub that it has fetched from and never pushed to."""
    laptop, bare = net.made_by(behind_hub)
    return laptop, bare


def fates(push: dict[str, object]) -> dict[str, str]:
    """Branch -> fate of a push event."""
    refs = push["refs"]
    assert isinstance(refs, list)
    return {ref["ref"].removeprefix("refs/heads/"): ref["fate"] for ref in refs}


def test_all_four_branches_arrive_in_a_bare_repository(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    ran = laptop.syncx("push")
    event = ran.event("push", "hub")
    assert event["result"] == "done"
    assert event["error"] is None
    assert fates(event) == {
        "main": "updated", "synced/main": "updated", "git-annex": "updated", "synced/git-annex": "updated"
    }  # fmt: skip
    for branch in ("main", "synced/main"):
        assert bare.head(branch) == laptop.head()
    for branch in ("git-annex", "synced/git-annex"):
        assert bare.head(branch) == laptop.head("git-annex")
    assert ran.event("summary") == {
        "event": "summary", "command": "push",
        "done": 1, "current": 0, "waits": 0, "level": 0, "away": 0, "busy": 0, "failed": 0, "skipped": 0,
    }  # fmt: skip


def test_the_second_push_finds_nothing_to_do(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.syncx("push")
    (bare.path / "objects").rename(bare.path / "objects.hidden")  # a push would fail now
    (bare.path / "objects").mkdir()
    event = laptop.syncx("push").event("push", "hub")
    assert (event["result"], event["refs"]) == ("current", [])


def test_the_uuid_of_the_remote_is_learned(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.syncx("push")
    assert laptop.syncx("push").event("push", "hub")["uuid"] == bare.git("config", "annex.uuid").out.strip()


def test_a_checked_out_branch_is_normal(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    made = laptop.commit({"b.txt": "b"})
    event = laptop.syncx("push").event("push", "desktop")
    assert event["result"] == "done"
    assert fates(event)["main"] == "checked-out"
    assert fates(event)["synced/main"] == "updated"
    assert desktop.head("synced/main") == made
    assert desktop.head("main") != made
    assert laptop.syncx("push").event("push", "desktop")["result"] == "current"


def test_a_hub_that_refuses_git_annex_is_reported_and_not_tried_again(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    counter = bare.path / "counter"
    hook = bare.path / "hooks" / "update"
    hook.write_text(f'#!/bin/sh\necho x >> "{counter}"\ncase "$1" in *git-annex) exit 1;; esac\n')
    hook.chmod(0o755)
    ran = laptop.syncx("push", ok=1)
    event = ran.event("push", "hub")
    assert event["result"] == "failed"
    assert "git-annex" in event["error"]
    assert "hook declined" in event["error"]
    assert event["advice"]
    assert fates(event) == {
        "main": "updated", "synced/main": "updated", "git-annex": "refused", "synced/git-annex": "refused"
    }  # fmt: skip
    assert len(counter.read_text().split()) == 4, "one try: each ref once"
    assert bare.head("main") == laptop.head()


def test_a_refused_branch_fails_though_git_annex_arrived(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    hook = bare.path / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase "$1" in */main) exit 1;; esac\n')
    hook.chmod(0o755)
    event = laptop.syncx("push", ok=1).event("push", "hub")
    assert event["result"] == "failed"
    assert "heads/main was refused" in event["error"]
    assert fates(event)["git-annex"] == "updated"


def test_a_hub_that_wants_no_synced_branch_is_done(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    hook = bare.path / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/synced/main ]\n')
    hook.chmod(0o755)
    assert laptop.syncx("push").event("push", "hub")["result"] == "done"
    assert laptop.syncx("push").event("push", "hub")["result"] == "current"


def test_forget_is_pushed(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.syncx("push")
    laptop.annex("forget", "--force", "--quiet")
    event = laptop.syncx("push").event("push", "hub")
    assert event["result"] == "done"
    assert bare.head("synced/git-annex^{tree}") == laptop.head("git-annex^{tree}")
    assert bare.head("git-annex") != laptop.head("git-annex"), "never forced"
    assert laptop.syncx("push").event("push", "hub")["result"] == "current"


def test_forget_against_a_hub_that_denies_rewriting_is_reported(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.syncx("push")
    bare.config("receive.denyNonFastForwards", "true")
    before = bare.head("synced/git-annex")
    laptop.annex("forget", "--force", "--quiet")
    event = laptop.syncx("push", ok=1).event("push", "hub")
    assert event["result"] == "failed"
    assert fates(event) == {"synced/git-annex": "refused"}
    assert bare.head("synced/git-annex") == before


def test_waiting_journal_entries_are_pushed(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.git("-c", "annex.alwayscommit=false", "annex", "setpresentkey", "WORM--x", "0000-1", "1")
    laptop.syncx("push")
    assert "0000-1" in bare.git("grep", "-h", "0000-1", "git-annex").out


def test_an_adjusted_branch_pushes_its_basis(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.annex("adjust", "--unlock", "--quiet")
    assert laptop.git("symbolic-ref", "HEAD").out.strip() == "refs/heads/adjusted/main(unlocked)"
    laptop.commit({"b.txt": "made on the adjusted branch"})
    laptop.syncx("push")
    assert bare.show("main:b.txt") == b"made on the adjusted branch"
    assert bare.head("main") == laptop.head("main")
    assert "adjusted" not in bare.git("for-each-ref").out
    assert bare.git("ls-tree", "main", "big.bin").out.startswith("120000"), "locked, as on the basis"


def test_a_view_branch_pushes_its_basis(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.annex("metadata", "--quiet", "--set", "tag=x", "big.bin")
    laptop.annex("view", "--quiet", "tag=*")
    assert laptop.git("symbolic-ref", "HEAD").out.startswith("refs/heads/views/")
    laptop.syncx("push")
    assert bare.head("main") == laptop.head("main")
    assert "views" not in bare.git("for-each-ref").out


def test_a_detached_head_is_a_usage_error(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.git("checkout", "--quiet", "--detach")
    ran = laptop.syncx("push", ok=2)
    assert "HEAD is detached" in ran.err
    assert "git switch" in ran.err
    assert not bare.head("main")


def test_an_unborn_branch_pushes_what_there_is(net: Network) -> None:
    laptop, bare = net.create("laptop"), net.create("hub", bare=True)
    net.connect((laptop, bare))
    laptop.syncx("pull")
    event = laptop.syncx("push").event("push", "hub")
    assert fates(event) == {"git-annex": "updated", "synced/git-annex": "updated"}


def test_a_linked_worktree_pushes_its_own_branch(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    laptop.git("worktree", "add", "--quiet", "-b", "side", str(net.root / "side"))
    side = Node(net, "side", net.root / "side")
    made = side.commit({"s.txt": "s"})
    side.syncx("push")
    assert bare.head("side") == made
    assert not bare.head("main")
    assert not (side.path / "annex").exists()


def test_a_submodule_pushes(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    above = net.create("above")
    above.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "-b", "main", str(laptop.path), "sub"
    )
    sub = Node(net, "sub", above.path / "sub")
    sub.annex("init", "--quiet", "sub")
    net.connect((sub, bare))
    made = sub.commit({"s.txt": "s"})
    sub.syncx("push", "hub")
    assert bare.head("main") == made


def test_a_bare_repository_pushes_onward(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    laptop.syncx("push")
    further = net.create("further", bare=True)
    net.connect((bare, further))
    bare.syncx("push")
    assert further.head("main") == laptop.head()


def test_from_a_subdirectory_and_with_capital_c(hub: tuple[Node, Node], net: Network) -> None:
    laptop, _ = hub
    (laptop.path / "sub").mkdir()
    inside = Node(net, "inside", laptop.path / "sub")
    assert inside.syncx("push").event("push", "hub")["result"] == "done"
    elsewhere = Node(net, "elsewhere", net.home)
    assert elsewhere.syncx("-C", str(laptop.path), "push").event("push", "hub")["result"] == "current"
    assert elsewhere.syncx("push", "-C", str(laptop.path / "sub")).event("push", "hub")["result"] == "current"


@pytest.mark.parametrize("refspec", ["+refs/heads/main:refs/remotes/hub/main", "+refs/*:refs/*", None])
def test_unusual_fetch_refspecs_are_tracked_all_the_same(hub: tuple[Node, Node], refspec: str | None) -> None:
    laptop, bare = hub
    laptop.git("config", "--unset-all", "remote.hub.fetch")
    if refspec:
        laptop.config("remote.hub.fetch", refspec)
    assert laptop.syncx("push").event("push", "hub")["result"] == "done"
    assert laptop.syncx("push").event("push", "hub")["result"] == "current"
    made = laptop.commit({"b.txt": "b"})
    assert laptop.syncx("push").event("push", "hub")["result"] == "done"
    assert bare.head("main") == made
    assert laptop.head("main") == made


def test_a_tracking_ref_that_the_remote_no_longer_has_heals(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.syncx("push")
    for branch in ("git-annex", "synced/git-annex", "main", "synced/main"):
        bare.git("update-ref", "-d", f"refs/heads/{branch}")
    laptop.commit_annexed({"more.bin": "more"})
    event = laptop.syncx("push").event("push", "hub")
    assert event["result"] == "done"
    assert bare.head("main") == laptop.head()
    assert bare.head("git-annex") == laptop.head("git-annex")


def test_git_annex_beside_the_program_is_found(hub: tuple[Node, Node], net: Network) -> None:
    laptop, bare = hub
    ran = laptop.run(
        str(PROGRAMS / "python"), "-m", "git_annex_syncx.cli", "--json", "push", PATH="/usr/bin:/bin"
    )  # fmt: skip
    assert ran.event("push", "hub")["result"] == "done"
    assert ran.err == ""
    assert bare.head("main") == laptop.head()


def test_both_ways_of_calling_it(hub: tuple[Node, Node]) -> None:
    laptop, _ = hub
    assert laptop.git("annex-syncx", "push", "--json").event("push", "hub")["result"] == "done"
    laptop.commit({"b.txt": "b"})
    assert laptop.git("annex", "syncx", "push", "--json").event("push", "hub")["result"] == "done"


def test_configuration_given_to_git_reaches_us(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    ran = laptop.git("-c", "remote.hub.annex-push=false", "annex-syncx", "push", "--json")
    assert ran.event("push", "hub")["result"] == "skipped"
    assert not bare.head("main")
    assert "syncx.jobs" in laptop.git("-c", "syncx.jobs=none", "annex-syncx", "push", ok=2).err


def test_two_pushes_at_once_in_one_repository_do_no_harm(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    for turn in range(3):
        made = laptop.commit_annexed({f"{turn}.bin": f"content {turn}"})
        for ran in together([laptop] * 3, "push"):
            assert ran.code == 0, ran.out + ran.err
        assert bare.head("main") == made
        assert bare.head("synced/git-annex") == laptop.head("git-annex")
    laptop.git("fsck", "--no-dangling")
    bare.git("fsck", "--no-dangling")


def test_a_branch_named_like_an_option_is_only_a_name(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    name = "--mirror"
    laptop.git("update-ref", f"refs/heads/{name}", "HEAD")
    laptop.git("symbolic-ref", "HEAD", f"refs/heads/{name}")
    laptop.syncx("push")
    assert bare.head(f"refs/heads/{name}") == laptop.head()
    assert not bare.head("refs/heads/main")


def test_a_tag_named_as_the_branch_does_not_confuse(hub: tuple[Node, Node]) -> None:
    laptop, bare = hub
    laptop.git("tag", "main")
    laptop.git("tag", "git-annex")
    made = laptop.commit({"b.txt": "b"})
    laptop.syncx("push")
    assert bare.head("refs/heads/main") == made


# What people see


def test_silence_when_all_is_well_and_words_with_v(hub: tuple[Node, Node]) -> None:
    laptop, _ = hub
    quiet = laptop.run("git-annex-syncx", "push")
    assert (quiet.out, quiet.err) == ("", "")
    laptop.commit({"b.txt": "b"})
    told = laptop.run("git-annex-syncx", "-v", "push")
    assert told.out == ""
    assert told.err.splitlines() == ["git-annex-syncx: push hub: done", "git-annex-syncx: push: 1 done"]


def test_only_the_failure_is_told(hub: tuple[Node, Node], net: Network) -> None:
    laptop, _ = hub
    empty = net.root / "empty"
    empty.mkdir()
    (empty / "some.txt").write_text("no repository")
    laptop.git("remote", "add", "drive", str(empty))
    for options in ((), ("-q",)):
        ran = laptop.run("git-annex-syncx", *options, "push", ok=1)
        assert ran.out == ""
        first, *rest = ran.err.splitlines()
        assert first.startswith("git-annex-syncx: push drive: failed: ")
        assert len(rest) == 1, "and one line of advice"


def terminal(node: Node, *args: str, **env: str) -> str:
    """What a person sees who runs syncx at a terminal."""
    shown = node.net.root / "typescript"
    words = " ".join(["git-annex-syncx", *args])
    node.run("script", "--quiet", "--return", "--command", words, str(shown), TERM="xterm-256color", **env)
    return shown.read_text()


def test_a_table_on_a_terminal(hub: tuple[Node, Node]) -> None:
    laptop, _ = hub
    shown = terminal(laptop, "push")
    for word in ("remote", "push", "hub", "done"):
        assert word in shown
    assert "\x1b[32m" in shown, "green"


def test_no_colour_where_it_is_not_wanted(hub: tuple[Node, Node]) -> None:
    laptop, _ = hub
    shown = terminal(laptop, "push", NO_COLOR="1")
    assert "done" in shown
    assert "\x1b[32m" not in shown


def test_no_output_on_a_terminal_with_q(hub: tuple[Node, Node]) -> None:
    laptop, _ = hub
    assert "hub" not in terminal(laptop, "-q", "push").partition("\n")[2].replace("Script done", "")


def test_dumb_terminals_get_plain_lines(hub: tuple[Node, Node], net: Network) -> None:
    laptop, _ = hub
    shown = net.root / "typescript"
    laptop.run("script", "-qec", "git-annex-syncx push", str(shown), TERM="dumb")
    assert "push hub: done" in shown.read_text()
    assert "\x1b[" not in shown.read_text()


@pytest.mark.inits
def test_every_event_has_the_documented_members(pair: tuple[Node, Node], net: Network) -> None:
    laptop, _ = pair
    laptop.syncx("push")
    laptop.git("remote", "add", "gone", str(net.root / "gone"))
    laptop.git("remote", "add", "readonly", str(net.root / "gone"))
    laptop.config("remote.readonly.annex-readonly", "true")
    laptop.commit({"b.txt": "b"})
    *events, summary = laptop.syncx("push").events
    assert {event["remote"]: event["result"] for event in events} == {
        "desktop": "done", "gone": "away", "readonly": "skipped"
    }  # fmt: skip
    for event in events:
        assert {"event", "remote", "uuid", "result", "refs", "seconds", "error"} <= event.keys()
        assert event["event"] == "push"
        assert event["error"] is None
        assert (event["uuid"] is None) == (event["remote"] != "desktop")
        assert isinstance(event["seconds"], float | int)
        assert all(ref.keys() == {"ref", "fate", "reason"} for ref in event["refs"])
    assert summary["event"] == "summary"
    assert (summary["done"], summary["away"], summary["skipped"]) == (1, 1, 1)


def test_json_is_one_object_a_line_also_with_strange_names(hub: tuple[Node, Node], net: Network) -> None:
    laptop, _ = hub
    far = net.root / os_name("drive-\udcff-\x1b[31m")
    far.mkdir()
    subprocess.run(("git", "init", "--quiet", "--bare", bytes(far)), check=True)
    laptop.git("remote", "add", "strange", bytes(far))
    ran = laptop.syncx("push", "strange")
    assert ran.event("push", "strange")["result"] == "done"
    assert ran.out.isascii()


def os_name(name: str) -> Path:
    """A path with bytes that are no UTF-8."""
    return Path(name)
