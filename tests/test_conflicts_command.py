"""Conflicts that merges resolved: each node lists the same ones, until somebody has looked at them."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import termios
from typing import Any

from network import Network, Node

from git_annex_syncx.conflicts.resolutions import MESSAGE
from git_annex_syncx.conflicts.unsettled import Unseen
from git_annex_syncx.git.git import MERGE_EMAIL, MERGE_NAME, open_repository
from git_annex_syncx.reports.conflicts import unseen

IDENTITY = (("NAME", MERGE_NAME), ("EMAIL", MERGE_EMAIL))
OURS = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in IDENTITY}


def listed(*nodes: Node) -> dict[str, Unseen]:
    """What some nodes list: all the same."""
    one, *others = (unseen(open_repository(node.path), node.head("main")) for node in nodes)
    assert all(other == one for other in others)
    return {entry.path.decode(): entry for entry in one}


def shown(node: Node, *paths: str) -> dict[str, dict[str, Any]]:
    """What the command lists, by path; the versions by their names."""
    found = {event["path"]: event for event in node.syncx("conflicts", *paths).events}
    return {path: {one["name"]: one for one in event["versions"]} for path, event in found.items()}


def plain(node: Node, *args: str, ok: int = 0) -> tuple[str, str]:
    """What a person reads, and is told about what went wrong."""
    ran = node.run("git-annex-syncx", "conflicts", *args, ok=ok)
    return ran.out, ran.err


def seen_on_terminal(node: Node, *args: str, **env: str) -> str:
    """What a terminal of 40 columns shows."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 40))
    command = ["git-annex-syncx", "conflicts", *args]
    env = node.net.env(TERM="xterm", NO_COLOR="1", **env)
    subprocess.run(command, cwd=node.path, env=env, stdin=theirs, stdout=theirs, stderr=theirs, check=True)
    os.close(theirs)
    with contextlib.suppress(OSError):  # the other end is closed
        return os.read(ours, 65536).decode()
    return ""


def meet(*nodes: Node) -> None:
    """Bring nodes together; the last one tells the others."""
    for node in nodes:
        node.syncx("sync", "--no-content")
    for node in nodes[:-1]:
        node.syncx("merge")


def in_conflict(laptop: Node, desktop: Node) -> None:
    """Let both add a note, a settings file and an annexed file."""
    for node in (laptop, desktop):
        node.config("user.name", node.name.title())
        node.commit({"note.txt": f"{node.name}\n", "set.json": f"{{{node.name}}}\n"}, f"{node.name} edits")
        node.commit_annexed({"k.bin": node.name}, f"{node.name} adds")
    meet(laptop, desktop)


def test_two_who_choose_differently_have_one_conflict_and_it_ends(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    in_conflict(laptop, desktop)
    found = listed(laptop, desktop)
    assert {path: one.kind for path, one in found.items()} == {
        "k.bin": "annexed", "note.txt": "text", "set.json": "text",
    }  # fmt: skip
    assert len({one.merges for one in found.values()}) == 1
    (variant,) = (path.decode() for path in found["set.json"].files if path != b"set.json")

    # one keeps the file, the other its variant: git itself sees no conflict in that
    laptop.git("rm", "-q", variant)
    laptop.commit({"note.txt": "looked\n"}, "keep what it is")
    desktop.git("mv", "-f", variant, "set.json")
    desktop.commit(message="keep the other")
    assert (listed(laptop).keys(), listed(desktop).keys()) == ({"k.bin"}, {"k.bin", "note.txt"})
    chose = {laptop.head(), desktop.head()}
    laptop.git("fetch", "-q", "desktop")
    laptop.git("merge", "-q", "--no-edit", "desktop/main")
    meet(desktop, laptop)
    found = listed(laptop, desktop)
    assert found.keys() == {"k.bin", "set.json"}
    assert set(found["set.json"].differently) == chose
    assert "set.json: 2 people chose differently" in plain(laptop, "set.json")[0]

    # two who choose by the command, at once: one conflict again
    laptop.syncx("conflicts", "--keep", "Laptop", "k.bin", "set.json")
    desktop.syncx("conflicts", "--keep", "Desktop", "k.bin", "set.json")
    assert listed(laptop) == {} == listed(desktop)
    meet(laptop, desktop)
    assert listed(laptop, desktop).keys() == {"k.bin", "set.json"}
    assert laptop.head() == desktop.head()

    # the next one ends it: nothing is left to merge, nor to look at
    desktop.syncx("conflicts", "--done")
    meet(desktop, laptop)
    assert listed(laptop, desktop) == {} and laptop.head() == desktop.head()
    assert laptop.git("rev-list", "--count", "--merges", "HEAD").out == "3\n"


def test_choices_reach_everybody_whatever_their_files_look_like(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    desktop.annex("adjust", "--quiet", "--unlock")
    in_conflict(laptop, desktop)
    versions = shown(desktop)
    assert versions == shown(desktop, ".") and versions.keys() == {"k.bin", "note.txt", "set.json"}
    for path, verb in (("k.bin", "adds"), ("note.txt", "edits"), ("set.json", "edits")):
        told = {(one["author"], one["subject"]) for one in versions[path].values()}
        assert told == {("Desktop", f"desktop {verb}"), ("Laptop", f"laptop {verb}")}
        told = {name: one["author"] for name, one in shown(laptop)[path].items()}
        assert told == {"ours": "Laptop", "theirs": "Desktop"}
    assert {one["there"] for one in versions["note.txt"].values()} == {False}
    assert {one["path"] for one in versions["k.bin"].values()} == {
        path.decode() for path in listed(laptop)["k.bin"].files
    }

    # a file that the user is at work on is named, and stays
    desktop.write("set.json", "at work\n")
    _, told = plain(desktop, "--keep", "Laptop", "set.json", "k.bin", ok=1)
    assert "changed here, and not committed: set.json" in told
    assert desktop.read("set.json") == b"at work\n"
    desktop.git("checkout", "-q", "set.json")

    desktop.syncx("conflicts", "--keep", "Desktop", "k.bin", "set.json")
    desktop.syncx("conflicts", "--keep", "Laptop", "note.txt")
    assert desktop.read("note.txt") == b"laptop\n" and desktop.read("k.bin") == b"desktop"
    assert "adjusted/main(unlocked)" in desktop.git("symbolic-ref", "HEAD").out
    assert desktop.git("status", "--short").out == ""
    assert shown(desktop) == {} and "no conflict to look at" in plain(desktop, "--done")[0]

    # the object that the link of the one who has it locked leads to was never written to
    laptop.syncx("conflicts", "--keep", "theirs", "k.bin")
    assert (laptop.path / "k.bin").is_symlink()
    meet(desktop, laptop)
    assert listed(laptop, desktop) == {} and laptop.read("note.txt") == b"laptop\n"
    assert sorted(os.listdir(laptop.path)) == sorted(os.listdir(desktop.path))
    laptop.annex("fsck", "--quiet")


def test_what_git_annex_has_left_and_what_somebody_forges(net: Network) -> None:
    laptop = net.create("laptop")
    assert plain(laptop)[0] == "no conflict to look at\n"
    laptop.commit({"a.txt": "a\n", "d/b.txt": "b\n"})
    desktop, hub = net.clone(laptop, "desktop"), net.clone(laptop, "hub", bare=True)
    net.connect((desktop, laptop), (laptop, desktop), (laptop, hub))
    for node in (laptop, desktop):
        node.config("user.name", node.name.title())
        node.commit_annexed({"d/k\n.bin": node.name}, "adds")
    desktop.annex("sync", "--quiet", "--no-content", "laptop")
    laptop.syncx("sync", "--no-content")

    # the same in a bare repository, where nobody can choose
    (variants,) = (one.files for one in listed(laptop, desktop, hub).values())
    (versions,) = shown(hub).values()
    assert {one["author"] for one in versions.values()} == {"Laptop", "Desktop"} and len(variants) == 2
    assert "choose in a clone" in plain(hub, "--done", ok=1)[1]
    listing, _ = plain(hub)
    assert "d/k\\n.bin: both versions stay" in listing and "--diff $'d/k\\012.bin'" in listing

    # content that is here is compared, that which is not is named
    assert "content is not here" in plain(laptop, "--diff")[1]
    laptop.syncx("sync", "desktop")
    assert {"-laptop", "+desktop"} <= {*plain(laptop, "--diff", "d")[0].splitlines()} or {"-desktop", "+laptop"} <= {
        *plain(laptop, "--diff", "d")[0].splitlines()
    }

    # names that tell who made which
    laptop.syncx("conflicts", "--both", "d")
    assert sorted(os.listdir(laptop.path / "d")) in (
        ["b.txt", "k\n-laptop.bin", "k\n.bin"],
        ["b.txt", "k\n-desktop.bin", "k\n.bin"],
    )

    # somebody who may push claims what they like: only what is there is listed, and only it is touched
    parents = sorted([laptop.head(), laptop.head("HEAD~1")])
    claims = [
        b'text: "a.txt"',
        b'text: "../../home/.gitconfig"',
        b'text: "/etc/passwd" -> "\\000" "-x"',
        b'x: "\\033[2J"',
    ]
    for made_by, found in (({}, set()), (OURS, {"a.txt"})):
        forge(laptop, parents, claims, **made_by)
        assert listed(laptop).keys() == found
    before = laptop.git("ls-files", "--stage").out
    laptop.syncx("conflicts", "--keep", "ours", ".")
    assert laptop.git("ls-files", "--stage").out == before and listed(laptop) == {}
    # a name that git takes in no tree: it would leave out what gets it
    forge(laptop, parents, [b'text: "%s/x" -> "a.txt" "d/b.txt"' % name for name in (b".git", b"git~1")], **OURS)
    assert listed(laptop).keys() == {"git~1/x"}
    for choice in (("--keep", "a.txt"), ("--both",)):
        assert "git takes no file called git~1/x" in laptop.syncx("conflicts", *choice, ".", ok=1).err
    assert laptop.git("ls-files", "--stage").out == before == laptop.git("ls-tree", "-r", FORMAT, "HEAD").out
    laptop.syncx("conflicts", "--done")
    assert listed(laptop) == {}


FORMAT = "--format=%(objectmode) %(objectname) 0%x09%(path)"  # that of git ls-files --stage


def forge(node: Node, parents: list[str], claims: list[bytes], **made_by: str) -> None:
    """Let the branch be at a merge that claims to have resolved something."""
    message = MESSAGE.encode() + b"\nResolved:\n" + b"\n".join(claims) + b"\n"
    named = (word for parent in parents for word in ("-p", parent))
    forged = node.git("commit-tree", *named, "HEAD^{tree}", stdin=message, **made_by).out.strip()
    node.git("update-ref", "refs/heads/main", forged)


def test_words_that_make_no_sense(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    for node in pair:
        node.commit({"-f.json": node.name, "gone.txt": node.name})
    meet(laptop, desktop)
    assert "'nobody' means no version of -f.json" in plain(laptop, "--keep", "nobody", "--", "-f.json", ok=2)[1]
    assert "need a PATH" in plain(laptop, "--keep", "ours", ok=2)[1]
    assert "exclude each other" in plain(laptop, "--both", "--done", ok=2)[1]
    assert "is outside of this repository" in plain(laptop, "../other", ok=2)[1]
    assert "nosuch: no such file in the last commit" in plain(laptop, "--keep", "ours", "nosuch", ok=2)[1]
    assert plain(laptop, "a.txt")[0] == "no conflict to look at there; 2 elsewhere: git annex-syncx conflicts\n"
    (advised,) = (line for line in plain(laptop, "--", "-f.json")[0].splitlines() if "--keep" in line)
    assert advised == "  git annex-syncx conflicts --keep theirs ./-f.json"
    laptop.config("color.ui", "false")
    assert "\r\n-laptop\r\n" in seen_on_terminal(laptop, "--diff", "gone.txt", GIT_PAGER="cat")
    laptop.config("diff.tool", "mine")
    laptop.config("difftool.mine.cmd", 'echo "tool: $(cat "$LOCAL") $(cat "$REMOTE")"')
    assert "tool: laptop desktop" in seen_on_terminal(laptop, "--diff", "gone.txt")
    assert f"{advised}\r\n" in seen_on_terminal(laptop, "--", "-f.json")  # however narrow it is
    laptop.run("git", *advised.split()[1:])
    assert laptop.read("-f.json") == b"desktop" and listed(laptop).keys() == {"gone.txt"}

    # deleted by one, changed by the other
    laptop.syncx("conflicts", "--done")
    meet(laptop, desktop)
    laptop.git("rm", "-q", "gone.txt")
    laptop.commit()
    desktop.commit({"gone.txt": "changed\n"})
    desktop.syncx("sync", "--no-content")
    said = laptop.run("git-annex-syncx", "-v", "merge").err
    assert "resolved by others gone.txt: stays as one side changed it" in said
    assert "to look at that, and to choose: git annex-syncx conflicts\n" in said
    assert "deleted by Tester" in plain(laptop)[0]
    assert "there is only one version of gone.txt" in plain(laptop, "--both", "gone.txt", ok=2)[1]
    laptop.commit({"two.variant-0001.json": "1\n", "two.variant-0002.json": "2\n"})
    laptop.syncx("conflicts", "--both", ".")  # the other has nothing to keep beside it, and waits
    assert listed(laptop).keys() == {"gone.txt"}
    laptop.syncx("conflicts", "--keep", "ours", "gone.txt")
    assert not (laptop.path / "gone.txt").exists() and listed(laptop) == {}
