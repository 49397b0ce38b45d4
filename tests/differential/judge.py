"""What is worse in one end state than in another, and which runs said nothing of what they left undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from network import Ran

from .state import Judge, Reading, Told
from .world import Place, World


@dataclass(frozen=True)
class Finding:
    """One difference; `kind` is one of a few words, by which a scenario can be made smaller."""

    kind: str
    text: str

    @property
    def about(self) -> str:
        """The file and the place, without who else holds it."""
        return self.text.partition(";")[0]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def compare(before: Told, after: Told, judge: Judge) -> Iterator[Finding]:
    """Whatever is worse after ours; `judge` asks git-annex about the end of ours."""
    ga, ours = before.reading, after.reading
    both = before.made.keys() & after.made.keys()
    settled = _settled(before) & both

    def called(version: str) -> str:
        return after.made[version]

    for line in after.skipped:
        if line not in before.skipped and line[0] in ("move", "remove", "unlock"):
            yield Finding("skipped", f"{' '.join(line)}: could not be done, with git-annex it could")
    yield from _versions(ga, ours, settled, both, called)
    for key in sorted((version for version in both if version.startswith("SHA256E")), key=called):
        yield from _content(ga, ours, judge, key, called(key), key in settled)
    yield from _work_trees(ga, ours)
    yield from _exports(ga, ours, {path for tree in ours.trees.values() for path in tree})


def _settled(told: Told) -> set[str]:
    """The versions on which all that sync agree at the end."""
    trees = told.reading.trees
    agreed = [set(trees[name].values()) for name in told.syncing if name in trees and name not in told.reading.dead]
    return set.intersection(*agreed) if agreed else set()


def _versions(
    ga: Reading, ours: Reading, settled: set[str], both: set[str], called: Callable[[str], str]
) -> Iterator[Finding]:
    for version in sorted(both & ga.history - ours.history, key=called):
        yield Finding("gone", f"{called(version)} is in no tree and no history")
    for place, tree in ga.trees.items():
        for version in sorted(settled & set(tree.values()) - set(ours.trees[place].values()), key=called):
            yield Finding("behind", f"{place} has no commit with {called(version)} in its tree")


def _content(ga: Reading, ours: Reading, judge: Judge, key: str, name: str, settled: bool) -> Iterator[Finding]:
    """What is worse for one key; what is wanted is asked only for files that are in the tree."""
    theirs, own = ga.holders(key), ours.holders(key)
    if theirs and not own:
        yield Finding("lost", f"the content of {name} is nowhere; with git-annex at {theirs}")
    counted = [place for place in theirs if not judge.only_passes_on(place)]
    if settled and len(own) < ours.copies and len(counted) >= ga.copies:
        yield Finding("numcopies", f"{name} has {len(own)} copies ({own}), with git-annex {len(theirs)} ({theirs})")
    for place in sorted(set(theirs) - set(own)):
        if settled and place not in ours.dead and judge.wants(place, key):
            yield Finding("missing", f"{name} is wanted at {place}; it is at {own}, with git-annex at {theirs}")
    for place in sorted(set(own) - set(theirs)):
        asked = settled and place in judge.uuids and judge.has_expression(place) and len(own) > ours.copies
        if asked and key in judge.asked(place, "drop"):
            yield Finding("kept", f"{name} is not wanted at {place}; it is at {own}, with git-annex at {theirs}")
    for place in ours.claimed:
        if place not in ours.held:  # an export: nobody relies on it
            continue
        lies = (key in ours.claimed[place]) != (key in ours.held[place])
        if lies and (key in ga.claimed.get(place, ())) == (key in ga.held.get(place, ())):
            yield Finding(
                "log", f"{name} at {place}: it is {'not ' * (key not in ours.held[place])}there, the logs differ"
            )


def _work_trees(ga: Reading, ours: Reading) -> Iterator[Finding]:
    for place, paths in ours.hidden.items():
        if more := paths - ga.hidden.get(place, frozenset()):
            yield Finding("hidden", f"{place} has the content of {sorted(more)} but does not show it")
    for place, status in ours.changed.items():
        if status and not ga.changed.get(place):
            yield Finding("changed", f"git status at {place}: {status.splitlines()}")


def _exports(ga: Reading, ours: Reading, paths: set[str]) -> Iterator[Finding]:
    """What an export lacks, and what it should have no longer; more files than git-annex could send are none."""
    for place, files in ga.exported.items():
        own = ours.exported[place]
        if lacking := {path for path, _ in files - own}:
            yield Finding("export", f"{place} lacks, or has in another version, {sorted(lacking)}")
        if stale := {path for path, _ in own - files} - paths:
            yield Finding("export", f"{place} still has {sorted(stale)}")


# What a run says


def is_silent(ran: Ran) -> bool:
    """Whether a run of ours says that nothing is left."""
    said = {event.get("result") for event in ran.events if event["event"] != "summary"}
    waiting = any(event.get("waiting") for event in ran.events)  # of a remote that has got something all the same
    return ran.code == 0 and not waiting and said <= {"done", "current", None}


def left_undone(world: World, name: str) -> list[str]:
    """What git-annex at a repository would move now, by what it knows and with those that are there."""
    place, left = world.places[name], []
    here = place.held()
    for remote in place.node.git("remote").out.split():
        other = world.places[remote]
        if not other.present or other.kind == "export":
            continue
        if not other.uuid:
            left += [f"send {key} to {remote}, which nobody has asked who it is" for key in sorted(here)]
        elif other.held() - here or here - other.held():
            left += [f"get {file} from {remote}" for file in _wanted(place, place.uuid, other.uuid)]
            left += [f"send {file} to {remote}" for file in _wanted(place, other.uuid, place.uuid)]
    return left


def _wanted(asked: Place, wanting: str, holding: str) -> list[str]:
    """Files that one of two repositories wants and the other holds, as git-annex at one place sees it."""
    log = {name: asked.node.git("show", f"git-annex:{name}.log", ok=None).out
           for name in ("group", "preferred-content", "required-content")}  # fmt: skip
    if any(wanting in line and "transfer" in line for line in log["group"].splitlines()):
        return []  # it only passes things on
    has_one = wanting in log["preferred-content"] + log["required-content"]
    options = [f"--want-get-by={wanting}"] if has_one else []
    where = (f"--in={holding}", "--not", f"--in={wanting}")
    return asked.node.annex("find", *where, *options, ok=None).out.splitlines()
