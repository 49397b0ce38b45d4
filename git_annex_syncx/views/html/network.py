"""The network and plans for it as sections of a page. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from git_annex_syncx.content.planning import Planned
from git_annex_syncx.network.graph import Network
from git_annex_syncx.network.plan import Plan
from git_annex_syncx.network.survey import Survey
from git_annex_syncx.views import network as words
from git_annex_syncx.views.html.markup import NOTHING, Markup, element, items, more, section, table
from git_annex_syncx.views.html.page import page


class Picture(NamedTuple):
    """An SVG to stand in a page; where it could not be drawn it is empty, and `missing` says why."""

    svg: str
    title: str
    missing: str = ""


def map_page(found: Survey, picture: Picture, now: float) -> str:
    """Return a page about the network as it is known `now`, in seconds since 1970."""
    net = found.network
    lead = [
        element("p", f"{_count(len(net.places), 'repository', 'repositories')}, {_count(len(net.links), 'link')}")
    ]
    sections = [network(net, picture, is_open=True), warnings(found.warnings)]
    return page(f"Network{of_own(net)}", lead, sections, "git annex-syncx map --html", now)


def plan_page(planned: Planned, picture: Picture, now: float) -> str:
    """Return a page about plans that were made `now`."""
    net = planned.survey.network
    rooms = section("room", "Room", items(words.room_words(net, fit) for fit in planned.fits))
    sections = [plans(net, planned.plans, picture, planned.of_files), rooms, warnings(planned.survey.warnings)]
    return page(f"Plan{of_own(net)}", [], sections, "git annex-syncx plan --html", now)


def of_own(net: Network) -> str:
    """Return the name of the own repository for a title; nothing where a map does not say which it is."""
    return f" of {net.name(net.here)}" if net.here else ""


def network(net: Network, picture: Picture, is_open: bool = False) -> Markup:
    """Return the section about the network: a picture, and the same as a table."""
    linked = {uuid for link in net.links for uuid in (link.owner, link.remote)}
    rows = [
        [*(words.called(net, end) for end in (one.owner, one.remote)), *words.cells(one)] for one in words.links(net)
    ]
    shown = table("Who has whom as a remote, and what that costs", words.COLUMNS, rows, words.NUMBERS)
    alone = [f"{words.called(net, place.uuid)}: no link is known" for place in net.places if place.uuid not in linked]
    listed = more("All links", shown, items(alone), is_open=is_open or not picture.svg)
    return section("network", "Network", _figure(picture), listed)


def plans(net: Network, found: Iterable[Plan], picture: Picture, of_files: bool) -> Markup:
    """Return the section about plans: a picture of all together, and each as a tree."""
    trees = [_plan(net, one, of_files) for one in found] or [element("p", "Nothing is to be sent.")]
    return section("plan", "Plan", _figure(picture), *trees)


def _plan(net: Network, found: Plan, of_files: bool) -> Markup:
    """Return a plan in words: a list in lists."""
    below: dict[str, list[Markup]] = {}
    for step in reversed(found.steps):  # each stands after the one that it waits for
        held = element(
            "li", words.step_words(net, step, bool(found.question.bytes)), _tree(below.get(step.target, ()))
        )
        below.setdefault(step.source, []).insert(0, held)
    roots = [uuid for uuid in sorted(found.question.holders & net.by_uuid.keys()) if uuid in below or not found.steps]
    trees = [element("div", f"{words.called(net, uuid)} has it", _tree(below.get(uuid, ()))) for uuid in roots]
    left = items(f"not reachable: {words.cut_off(net, *one)}" for one in found.unreachable)
    return element("div", element("h3", words.headline(found, of_files)), *trees, left)


def _tree(entries: Iterable[Markup]) -> Markup:
    return element("ul", *entries, class_="tree") if entries else NOTHING


def warnings(said: Iterable[str]) -> Markup:
    """Return the section of what is to be said about how this was found."""
    return section("warnings", "Warnings", items(said))


def _figure(picture: Picture) -> Markup:
    if not picture.svg:
        return element("p", picture.missing, class_="quiet") if picture.missing else NOTHING
    held = element("div", Markup(picture.svg), class_="scroll", tabindex="0", role="region", aria_label=picture.title)
    return element("figure", held)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
