"""Maps and plans for people and programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict

from git_annex_syncx.content.planning import Planned
from git_annex_syncx.content.room import Fit
from git_annex_syncx.content.waits import many
from git_annex_syncx.network import graph
from git_annex_syncx.network.graph import NO_WAY, Link, Network, Place
from git_annex_syncx.network.plan import Plan, Step
from git_annex_syncx.network.survey import Survey
from git_annex_syncx.views.base import Grid, amount, clean, console_on, data, duration, say
from git_annex_syncx.views.plan_json import as_json

COLUMNS, NUMBERS = (
    ("repository", "remote", "cost", "can", "latency", "speed", "known from"),
    ("cost", "latency", "speed"),
)
WAYS = {(True, True): "push, pull", (True, False): "push", (False, True): "pull", (False, False): "nothing"}


def published(news: bool, private: bool, quiet: bool) -> None:
    """Tell the result of --publish."""
    if quiet:
        return
    if private:
        say("this repository is private (annex.private): nothing is published")
    else:
        say("published; the next sync carries it to the others" if news else "the others know all this already")


def show_map(found: Survey, as_json_line: bool) -> None:
    """Show a table of links, the own ones first, and repositories that have none."""
    net = found.network
    if as_json_line:
        return data(graph.dumps(net) + "\n")
    rows: list[tuple[str, ...]] = []
    last = ""
    for link in links(net):
        owner = "" if link.owner == last else called(net, link.owner)
        last = link.owner
        rows.append((owner, called(net, link.remote), *cells(link)))
    if rows:
        console_on(sys.stdout).print(Grid(COLUMNS, rows, NUMBERS))
    linked = {uuid for link in net.links for uuid in (link.owner, link.remote)}
    clusters = {node: place.uuid for place in net.places for node in place.nodes}
    for place in net.places:
        if place.uuid in clusters:
            data(f"{called(net, place.uuid)}: a node of {called(net, clusters[place.uuid])}\n")
        elif place.uuid not in linked:
            data(f"{called(net, place.uuid)}: no link is known\n")
    if not net.places:
        data("no repository is known\n")
    return None


def links(net: Network) -> list[Link]:
    """Return all links, the own ones first."""
    return sorted(net.links, key=lambda link: (link.owner != net.here, net.name(link.owner), link.owner))


def cells(link: Link) -> Iterator[str]:
    """Yield what is to be said of a link, after the names of both ends."""
    yield f"{link.cost:g}"
    yield WAYS[link.push, link.pull]
    yield "-" if link.latency_ms is None else f"{link.latency_ms:g} ms"
    yield "-" if link.bytes_per_second is None else f"{amount(link.bytes_per_second)}/s"
    yield link.source


def called(net: Network, uuid: str) -> str:
    """Return the name of a repository with its properties: `nas (here, relay)`."""
    place = net.by_uuid.get(uuid) or Place(uuid)
    kind = ["cluster"] if place.nodes else ["special"] if place.special else []
    marks = kind + [name for name in ("relay", "dead") if getattr(place, name)]
    marks = (["here"] if uuid == net.here else []) + marks + (["drive"] if place.removable else [])
    return clean(net.name(uuid)) + (f" ({', '.join(marks)})" if marks else "")


def show_plans(planned: Planned, as_json_line: bool) -> None:
    """Show each plan as a tree, or all of them as one object."""
    net = planned.survey.network
    if as_json_line:
        import json

        value = as_json(net.digest, planned.plans, "time" if planned.by_time else "cost")
        value["rooms"] = [asdict(fit) for fit in planned.fits]
        return data(json.dumps(value, ensure_ascii=True) + "\n")
    if not planned.plans:
        data("nothing is to be sent\n")
    for number, found in enumerate(planned.plans):
        data("\n" if number else "")
        _show_plan(net, found, planned.of_files)
    for fit in planned.fits:
        data(f"{room_words(net, fit)}\n")
    return None


def room_words(net: Network, fit: Fit) -> str:
    """Return whether what is wanted at a repository fits there, with its name."""
    return f"{called(net, fit.uuid)}: {_fits(fit)}"


def _fits(fit: Fit) -> str:
    """Return whether what is wanted at a repository fits there."""
    free = "how much is free there is not known" if fit.free is None else f"{amount(max(0, fit.free))} free"
    free = f"at most {free}, as published" if fit.published else free
    if not fit.files:
        return f"nothing is wanted there; {free}"
    wanted, left = f"{_files(fit.files, fit.bytes)} wanted there", fit.files - fit.fit_files
    if not left:
        return f"{wanted}; {free}" if fit.free is None else f"{wanted}, all of it fits; {free}"
    fitting = f"{_files(fit.fit_files, fit.fit_bytes)} fit" if fit.fit_files else "nothing fits"
    return f"{wanted}, {fitting}, no room for {_files(left, fit.bytes - fit.fit_bytes)}; {free}"


def _files(count: int, size: int) -> str:
    return f"{many(count)} ({amount(size)})"


def _show_plan(net: Network, found: Plan, of_files: bool) -> None:
    from rich.tree import Tree

    asked = found.question
    data(headline(found, of_files) + "\n")
    roots = {uuid: Tree(f"{called(net, uuid)} has it") for uuid in sorted(asked.holders & net.by_uuid.keys())}
    above = dict(roots)
    for step in found.steps:  # each after the one that it waits for
        above[step.target] = above[step.source].add(f"-> {step_words(net, step, bool(asked.bytes))}")
    sources = {step.source for step in found.steps}
    for uuid, tree in roots.items():
        if uuid in sources or not found.steps:
            console_on(sys.stdout).print(tree)
    for uuid, reason in found.unreachable:
        data(f"not reachable: {cut_off(net, uuid, reason)}\n")


def cut_off(net: Network, uuid: str, reason: str) -> str:
    """Return who is not reached and why."""
    return f"{called(net, uuid)}: {NO_WAY[reason]}"


def headline(found: Plan, of_files: bool) -> str:
    """Return what a plan is for, and what it costs."""
    keys = "1 key" if found.question.keys == 1 else f"{found.question.keys} keys"
    return (f"{keys}, {amount(found.question.bytes)}: " if of_files else "") + _price(found)


def _price(found: Plan) -> str:
    asked = found.question
    if not found.steps:
        return "nothing can be sent" if found.unreachable else "nothing is to be sent"
    many = "1 transfer" if len(found.steps) == 1 else f"{len(found.steps)} transfers"
    saved = f" (sending to each separately: {found.flood_cost:g})" if found.flood_cost != found.cost else ""
    told = f"{many}, cost {found.cost:g}{saved}"
    if not found.exact:
        told += f"; a better plan would cost at least {found.lower_bound:g}"
    ends = [step.end for step in found.steps]
    return told + (f"; done in {duration(max(e or 0 for e in ends))}" if asked.bytes and None not in ends else "")


def step_words(net: Network, step: Step, timed: bool) -> str:
    """Return where a step leads, who makes it, what it costs and, if `timed`, when it runs."""
    ends = (f"{step.operation_of(uuid)} by {clean(net.name(uuid))}" for uuid in step.executors)
    cost = f"{' or '.join(ends)}, {step.cost:g}"
    when = f", {duration(step.start or 0)} to {duration(step.end)}" if timed and step.end is not None else ""
    return f"{called(net, step.target)}: {cost}{when}" + (", passes it on" if step.relay else "")
