"""The status of all repositories as a page."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from git_annex_syncx.conflicts.choices import Conflict
from git_annex_syncx.content.planning import Planned
from git_annex_syncx.content.waits import many
from git_annex_syncx.network import drawing
from git_annex_syncx.network.survey import Survey
from git_annex_syncx.reports.files import FileStatus
from git_annex_syncx.reports.notes import Note, notes
from git_annex_syncx.reports.status import RepositoryStatus, Status
from git_annex_syncx.views import conflicts as conflict_words
from git_annex_syncx.views import status as words
from git_annex_syncx.views.base import amount
from git_annex_syncx.views.html import network as html_network
from git_annex_syncx.views.html.markup import NOTHING, Markup, element, items, joined, more, section, table
from git_annex_syncx.views.html.network import Picture
from git_annex_syncx.views.html.page import code, moment, page

FILES, MOST = ("File", "Repository", "State", "Size", "Why"), 500  # files, and conflicts, that are named
COLUMNS = ("Repository", "Branch", "Files", "Lacks", "Brought by", "Last seen")
GOOD, WAITING, BAD, PLAIN = "good", "wait", "bad", ""
LOOKS = {GOOD: "good", WAITING: "waiting", BAD: "bad", PLAIN: "aside"}  # in pictures
STATES = {"current": GOOD, "level": GOOD, "none": PLAIN, "unknown": PLAIN}
PRESENCE = {"away": "away", "other": "another repository"}


@dataclass(frozen=True)
class Shown:
    """All that a page about the status shows."""

    status: Status
    known: Survey
    planned: Planned  # for the network as all know it
    conflicts: tuple[Conflict, ...] = ()
    files: tuple[FileStatus, ...] = ()


def status_page(found: Shown, network: Picture, plan: Picture, now: float) -> str:
    """Return a page with all that is known `now`, problems first."""
    status, planned, said = found.status, found.planned, list(notes(found.status))
    net, planned_net = found.known.network, planned.survey.network
    names = {uuid: each.name(uuid) for each in (planned_net, net) for uuid in each.by_uuid} | status.names
    problems = section("problems", "To be looked at", _said(n for n in said if n.problem and n.kind != "conflicts"))
    waiting = section("waiting", "What waits", _said(note for note in said if not note.problem))
    plans = html_network.plans(planned_net, planned.plans, plan, planned.of_files) if planned.plans else NOTHING
    sections = [
        problems,
        _conflicts(found.conflicts),
        section("repositories", "Repositories", _table(status, names), _details(status)),
        waiting,
        _named(found.files, names),
        html_network.network(net, network),
        plans,
        html_network.warnings(dict.fromkeys((*status.warnings, *found.known.warnings))),
    ]
    title = f"Status{html_network.of_own(net)}"
    return page(title, _lead(status, said), sections, "git annex-syncx status --html", now)


def picture_labels(status: Status) -> dict[str, drawing.Label]:
    """Return by uuid what is to be said of repositories in a picture of the network."""
    return {
        one.uuid: drawing.Label("\n".join(text for text, _ in _badges(one)), LOOKS[_look(one)])
        for one in status.repositories
        if one.uuid
    }


def _lead(status: Status, said: Iterable[Note]) -> Iterator[Markup]:
    """Yield what stands below the title."""
    known = [one for one in status.repositories if one.content]
    whole = sum(one.content is not None and not one.content.lacks for one in known)
    problems = sum(note.problem for note in said)
    told = f"{whole} of {len(known)} repositories {'has' if whole == 1 else 'have'} all files wanted there. "
    need = "Nothing needs" if not problems else "1 thing needs" if problems == 1 else f"{problems} things need"
    yield element("p", told if known else "", f"{need} a look.")
    for line in (*words.above(status), *words.below(status)):
        yield element("p", line, class_="quiet")


def _said(said: Iterable[Note]) -> Markup:
    found = [_note(note) for note in said]
    return element("ul", *found, class_="notes") if found else NOTHING


def _note(note: Note) -> Markup:
    times = [[f" {word} ", moment(when)] for word, when in note.times.items()]
    advice = [element("p", note.advice, class_="quiet")] if note.advice else []
    return element(
        "li", note.text, *itertools.chain(*times), *advice, class_=f"note {BAD if note.problem else WAITING}"
    )


def _table(status: Status, names: Mapping[str, str]) -> Markup:
    rows = [_row(one, names) for one in status.repositories]
    return table("Every repository of the network, as of the last contact with it", COLUMNS, rows)


def _row(one: RepositoryStatus, names: Mapping[str, str]) -> tuple[str, ...]:
    return _name(one), _branch(one), _files(one), _lacks(one), _brought_by(one, names), _seen(one)


def _name(one: RepositoryStatus) -> Markup:
    kind = "here" if one.here else "store" if one.special else "" if one.remote else "no remote of this one"
    badges = [element("span", text, class_=f"state {look}") for text, look in _badges(one)[1:]]
    parts = [element("bdi", one.name), *([element("span", kind, class_="quiet")] if kind else []), *badges]
    return Markup(" ".join(parts))


def _branch(one: RepositoryStatus) -> Markup:
    text = words.branch_words(one)
    return NOTHING if text == "-" else element("span", text, class_=f"state {STATES.get(one.branch.state, WAITING)}")


def _files(one: RepositoryStatus) -> Markup:
    if not one.content:
        return Markup("?")
    there, wanted = one.content.wants - one.content.lacks, one.content.wants
    if not wanted:
        return Markup("wants none")
    told = f"{there} of {wanted}"
    return joined(
        [told, element("progress", value=str(there), max=str(wanted), aria_label=f"{one.name}: {told} files")]
    )


def _lacks(one: RepositoryStatus) -> str:
    return f"{one.content.lacks} ({amount(one.content.lacks_bytes)})" if one.content and one.content.lacks else ""


def _brought_by(one: RepositoryStatus, names: Mapping[str, str]) -> str:
    """Return how many of the files that it lacks come how."""
    if not (content := one.content):
        return ""
    coming = [f"{names.get(uuid, uuid)}: {files}" for uuid, files in content.brought_by.items()]
    others = {"no way": content.no_way, "no room": content.no_room, "later": content.later}
    return ", ".join([*coming, *(f"{why}: {files}" for why, files in others.items() if files)])


def _seen(one: RepositoryStatus) -> Markup:
    if one.here or one.presence == "present":
        return Markup("now")
    return Markup("never") if one.last_seen is None else moment(one.last_seen)  # a page grows old: no `1 min ago`


def _badges(one: RepositoryStatus) -> list[tuple[str, str]]:
    """Return the state of a repository in a few words, each with its look; the first tells of files and branch."""
    return [
        _summary(one),
        *([(PRESENCE[one.presence], BAD if one.presence == "other" else PLAIN)] if one.presence in PRESENCE else []),
        *([(f"{len(one.failures)} failed", BAD)] if one.failures else []),
        *([("needs a look", BAD)] if one.trouble else []),
        *([("paused", WAITING)] if one.paused else []),
    ]


def _summary(one: RepositoryStatus) -> tuple[str, str]:
    state = "" if words.branch_words(one) in ("-", "current") else words.branch_words(one)
    if one.content and one.content.lacks:
        lacks = f"lacks {many(one.content.lacks)}"
        return ", ".join(filter(None, (lacks, state))), BAD if one.content.no_way or one.content.no_room else WAITING
    if one.content is None:
        return state or "unknown", PLAIN
    return state or "complete", STATES.get(one.branch.state, WAITING) if state else GOOD


def _look(one: RepositoryStatus) -> str:
    looks = {look for _, look in _badges(one)}
    return next((look for look in (BAD, WAITING, GOOD) if look in looks), PLAIN)


def _details(status: Status) -> Markup:
    shown = [element("h3", element("bdi", one.name)) + _facts(one) for one in status.repositories]
    return more("Details of each repository", *map(Markup, shown))


def _facts(one: RepositoryStatus) -> Markup:
    """Return what has no place in the table."""
    content = one.content
    facts = {
        "uuid": one.uuid or "not known",
        "remotes": ", ".join(one.remotes),
        "holds": f"{many(content.has)} ({amount(content.has_bytes)})" if content else "",
        "variants": f"{len(one.branch.variants)}" if one.branch.variants else "",
        "does not want": f"{many(content.unwanted)} of them" if content and content.unwanted else "",
    }
    told = (part for name, fact in facts.items() if fact for part in (element("dt", name), element("dd", fact)))
    return element("dl", *told)


def _conflicts(found: Sequence[Conflict]) -> Markup:
    """Return the section of what merges have resolved and nobody has looked at."""
    listed, left = [_conflict(one) for one in found[:MOST]], len(found) - MOST
    if not listed:
        return NOTHING
    advice = element("p", "To compare and to choose: ", code("git annex-syncx conflicts"), class_="quiet")
    return section("conflicts", "Conflicts", items([*listed, *([f"and {left} more"] if left > 0 else [])]), advice)


def _conflict(one: Conflict) -> Markup:
    versions = items(conflict_words.described(one, choice) for choice in one.choices)
    return joined([element("strong", os.fsdecode(one.path)), f": {conflict_words.became(one)}", versions])


def _named(found: Iterable[FileStatus], names: Mapping[str, str]) -> Markup:
    """Return the section of files by name."""
    rows = [(one.file, names[one.uuid], one.state, amount(one.bytes), one.reason) for one in found]
    left = [element("p", f"and {len(rows) - MOST} more")] if len(rows) > MOST else []
    return section("files", "Files", table("Lacked, or held and not wanted", FILES, rows[:MOST], ("Size",)), *left)
