"""Networks and plans in Graphviz's language: names, not uuids; costs on arcs; the own repository marked. Pure.

The lines are few and written here, because networkx writes DOT only through pydot, which is no dependency.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from git_annex_syncx.network.graph import Link, Network, Place
from git_annex_syncx.network.plan import Plan

FRAME = """digraph syncx {
\tgraph [overlap=false, splines=true, pad=0.3, nodesep=0.5, ranksep=0.8, bgcolor=white]
\tnode [shape=box, style="rounded,filled", fillcolor="#eef3f8", color="#5b7a99", fontname="Helvetica", fontsize=12]
\tedge [color="#5b7a99", fontname="Helvetica", fontsize=10, arrowsize=0.7]
"""
Attributes = Mapping[str, str]
NORMAL: Attributes = {}
HERE = {"fillcolor": "#dcebd3", "color": "#4a7a2c"}
HOLDER = HERE
TARGET = {"fillcolor": "#fbeecb", "color": "#b07d12"}
ASIDE = {"fillcolor": "#f7f7f7", "color": "#c0c0c0", "fontcolor": "#909090"}
CUT_OFF = {"fillcolor": "#f9dcdc", "color": "#b03030"}
GREY = {"color": "#d4d4d4", "fontcolor": "#b0b0b0"}
TRAVELLED = {"color": "#b0500c", "fontcolor": "#803808", "penwidth": "2"}


def network_dot(net: Network) -> str:
    """Draw the network. An arc leads from a repository to its remote; its heads show where content can go."""
    return _graph([*(_node(net, place) for place in net.places), *(_link(link) for link in net.links)])


def plan_dot(net: Network, plans: Iterable[Plan]) -> str:
    """Draw the network in grey and the plan into it: arcs lead where content travels, numbered in order."""
    plans = list(plans)
    styles: dict[str, Attributes] = {}
    for found in plans:
        styles |= dict.fromkeys(found.question.targets, TARGET)
        styles |= dict.fromkeys((step.target for step in found.steps if step.relay), NORMAL)
        styles |= dict.fromkeys((uuid for uuid, _ in found.unreachable), CUT_OFF)
        styles |= dict.fromkeys(found.question.holders, HOLDER)
    steps = list(dict.fromkeys(step for found in plans for step in found.steps))
    pairs = {frozenset((step.source, step.target)) for step in steps}
    lines = [_node(net, place, styles.get(place.uuid, ASIDE)) for place in net.places]
    lines += [_link(link, GREY) for link in net.links if frozenset((link.owner, link.remote)) not in pairs]
    for number, step in enumerate(steps, start=1):
        label = f"{number}. {step.operation} {step.cost:g}"
        lines.append(_statement([step.source, step.target], {"label": label, **TRAVELLED}))
    return _graph(lines)


def _graph(lines: Iterable[str]) -> str:
    return FRAME + "".join(f"\t{line}\n" for line in lines) + "}\n"


def _node(net: Network, place: Place, style: Attributes = NORMAL) -> str:
    here = place.uuid == net.here
    marks = {
        "you are here": here,
        "cluster": bool(place.nodes),
        "relay": place.relay,
        "drive": place.removable,
        "dead": place.dead,
    }
    below = ", ".join(mark for mark, holds in marks.items() if holds)
    look = dict(style or (HERE if here else NORMAL))
    if here:
        look["penwidth"] = "2.5"
    if place.special or place.removable:
        look["shape"] = "cylinder" if place.special else "component"
    if place.dead:
        look["style"] = "rounded,filled,dashed"
    nodes = {"nodes": " ".join(place.nodes)} if place.nodes else {}
    told = _told(place, "uuid", "nodes") | nodes | ({"here": "true"} if here else {})
    return _statement(
        [place.uuid], {"label": "\n".join(filter(None, (place.name or place.uuid, below)))} | told | look
    )


def _link(link: Link, style: Attributes = NORMAL) -> str:
    ends = "both" if link.push and link.pull else "forward" if link.push else "back"
    told = _told(link, "owner", "remote", "push", "pull")
    return _statement([link.owner, link.remote], {"label": f"{link.cost:g}", **told, "dir": ends, **style})


def _told(value: Place | Link, *but: str) -> dict[str, str]:
    """Return what else is known, as attributes that Graphviz does not know, so that it can be read back."""
    fields = {name: getattr(value, name) for name in value.__slots__ if name not in but}
    known = {name: told for name, told in fields.items() if told is not None and told is not False}
    return {name: "true" if told is True else str(told) for name, told in known.items()}


def _statement(nodes: Iterable[str], attributes: Attributes) -> str:
    told = ", ".join(f"{name}={_quoted(value)}" for name, value in attributes.items())
    return f"{' -> '.join(map(_quoted, nodes))} [{told}]"


def _quoted(text: str) -> str:
    """Return a string that Graphviz shows as it is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(c if c.isprintable() else " " for c in escaped) + '"'
