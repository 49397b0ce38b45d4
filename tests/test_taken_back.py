"""What the user amends or rewinds stays away or comes back, by one command for all remotes."""

from __future__ import annotations

import pytest
from network import Network, Ran


def advice(ran: Ran) -> tuple[str, str]:
    """The one command to have it back, and the one to leave it out, of all that a run says."""
    said = {event["advice"] for event in ran.events if "amended or rewound" in (event.get("error") or "")}
    assert len(said) == 1, ran.out
    back, _, out = said.pop().removeprefix("to have it back: ").partition("; to leave it out everywhere: ")
    return back, out


@pytest.mark.parametrize("wanted", [False, True])
def test_one_command_for_all_remotes(net: Network, wanted: bool) -> None:
    """A bare remote, one with a work tree, and an adjusted one whose user has gone on from there."""
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    hub = net.clone(laptop, "hub", bare=True)
    desktop, phone = net.clone(laptop, "desktop"), net.clone(laptop, "phone")
    net.connect((laptop, hub), (desktop, hub), (laptop, phone), (laptop, desktop))
    phone.annex("adjust", "--quiet", "--unlock")
    laptop.commit({"b.txt": "secret\n", "c.txt": "c\n"})
    laptop.syncx("push")
    phone.commit({"d.txt": "d\n"})
    phone.syncx("sync", "--no-content")
    laptop.git("rm", "--quiet", "c.txt")
    laptop.write("b.txt", "fine\n")
    laptop.git("commit", "--quiet", "--all", "--amend", "--message", "amended")
    ours = laptop.head()
    back, out = advice(laptop.syncx("sync", "--no-content", ok=1))
    assert laptop.head() == ours and advice(laptop.syncx("push", ok=1)) == (back, out)
    laptop.run("sh", "-c", back if wanted else out)
    laptop.syncx("sync", "--no-content")
    for node in (phone, desktop, laptop):
        node.syncx("merge")
    assert laptop.head() == hub.head("main") == desktop.head() == phone.head("main")
    assert sorted(laptop.files()) == ["a.txt", "b.txt", *["c.txt"] * wanted, "d.txt"]
    assert set(laptop.read("b.txt").split()) == {b"fine", *[b"secret"] * wanted}
    assert laptop.contains(ours) and not laptop.git("for-each-ref", "refs/syncx").out
    assert (phone.read("b.txt"), phone.git("status", "--porcelain").out) == (laptop.read("b.txt"), "")


@pytest.mark.parametrize("wanted", [False, True])
def test_below_an_adjusted_branch_of_any_name(net: Network, wanted: bool) -> None:
    evil = "a;touch${IFS}pwned;$(touch${IFS}pwned)`touch${IFS}pwned`"
    laptop = net.create("laptop")
    laptop.git("symbolic-ref", "HEAD", f"refs/heads/{evil}")
    first = laptop.commit({"a.txt": "a\n"})
    hub = net.clone(laptop, "hub", bare=True)
    net.connect((laptop, hub))
    laptop.commit({"b.txt": "secret\n"})
    laptop.syncx("push")
    laptop.git("reset", "--quiet", "--hard", first)
    laptop.annex("adjust", "--quiet", "--unlock")
    laptop.run("sh", "-c", advice(laptop.syncx("sync", "--no-content", ok=1))[not wanted])
    laptop.syncx("sync", "--no-content")
    assert laptop.files() == hub.files(f"refs/heads/{evil}") == ["a.txt", *["b.txt"] * wanted]
    assert not (laptop.path / "pwned").exists()
    trunk = net.create("trunk", bare=True)
    trunk.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    laptop.git("push", "--quiet", str(trunk.path), evil)
    trunk.run("sh", "-c", trunk.syncx("merge").event("merge")["reason"].rpartition(": ")[2])
    assert trunk.head() == laptop.head(f"refs/heads/{evil}")
    assert not (trunk.path / "pwned").exists()


def test_what_somebody_else_forces_away_was_not_taken_back_here(net: Network) -> None:
    """The commit of the user's is still at the hub, and their branch has moved aside under their work tree."""
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    hub, desktop = net.clone(laptop, "hub", bare=True), net.clone(laptop, "desktop")
    net.connect((laptop, hub))
    laptop.config("receive.denyCurrentBranch", "updateInstead")
    mine = laptop.commit({"b.txt": "b\n"})
    laptop.syncx("push")
    theirs = desktop.commit({"c.txt": "c\n"})
    desktop.git("push", "--quiet", "--force", "laptop", "main")
    assert laptop.head() == theirs
    laptop.syncx("sync", "--no-content")
    assert laptop.contains(mine) and laptop.contains(theirs) and laptop.git("status", "--porcelain").out == ""
