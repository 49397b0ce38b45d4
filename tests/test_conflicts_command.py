"""Conflicts that merges resolved: each node lists the same ones, until somebody has looked at them."""

from __future__ import annotations

from network import Node

from git_annex_syncx.conflicts.unsettled import Unseen
from git_annex_syncx.git.git import open_repository
from git_annex_syncx.reports.conflicts import unseen


def listed(*nodes: Node) -> dict[str, Unseen]:
    """What some nodes list: all the same."""
    one, *others = (unseen(open_repository(node.path), node.head()) for node in nodes)
    assert all(other == one for other in others)
    return {entry.path.decode(): entry for entry in one}


def meet(*nodes: Node) -> None:
    """Bring nodes together, twice around."""
    for node in (*nodes, *nodes):
        node.syncx("sync", "--no-content")


def in_conflict(laptop: Node, desktop: Node) -> None:
    """Let both change a note, a settings file and an annexed file."""
    laptop.commit({"note.txt": "1\n", "set.json": "{1}\n"})
    meet(laptop, desktop)
    for node in (laptop, desktop):
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

    # one keeps the file, the other its variant: git sees no conflict in that
    laptop.commit({"note.txt": "looked\n"}, "look at the note")
    meet(laptop, desktop)
    laptop.git("rm", "-q", variant)
    laptop.commit(message="keep what it is")
    desktop.git("mv", "-f", variant, "set.json")
    desktop.commit(message="keep the other")
    assert listed(laptop).keys() == {"k.bin"} == listed(desktop).keys()
    chose = {laptop.head(), desktop.head()}
    laptop.git("fetch", "-q", "desktop")
    laptop.git("merge", "-q", "--no-edit", "desktop/main")
    meet(desktop, laptop)
    found = listed(laptop, desktop)
    assert found.keys() == {"k.bin", "set.json"}
    assert set(found["set.json"].differently) == chose

    # it ends with the next who has both before them
    desktop.commit({"set.json": "{both}\n"})
    meet(laptop, desktop)
    assert listed(laptop, desktop).keys() == {"k.bin"}
