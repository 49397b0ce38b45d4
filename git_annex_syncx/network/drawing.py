"""Networks and plans in Graphviz's language: names, not uuids; costs on arcs; the own repository marked. Pure.

The lines are few and written here, because networkx writes DOT only through pydot, which is no dependency. What
something is stands in words and shapes, never in a colour alone; by its `class` a style sheet gives it others.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from git_annex_syncx.model import OUTSIDE
from git_annex_syncx.network.graph import Link, Network, Place, network
from git_annex_syncx.network.plan import Plan, Step

FRAME = """digraph syncx {
\tgraph [%s, pad=0.2, splines=%s, class=paper, bgcolor=white]
\tnode [shape=box, style="rounded,filled", fontname=Helvetica, fontsize=13, margin="0.12,0.07"]
\tedge [fontname=Helvetica, fontsize=11, arrowsize=0.7]
"""
SPRINGS = 'layout=neato, overlap=false, sep="+30,+24"'  # for what has neither top nor bottom
LAYERS, ROWS = "nodesep=0.35, ranksep=0.55", "rankdir=LR, nodesep=0.2, ranksep=0.9"
BROADEST, MOST_UNUSED = 7, 16  # repositories beside each other, lines that are not used; more hide the plan
MOST_CURVED = 120  # nodes and lines: curves around 200 nodes take Graphviz 50 seconds, straight lines one
FONT_SIZE, POINTS, MARGIN = 13, 72, 0.24  # of a node: points, points an inch, inches at both sides
WIDE, NARROW = frozenset("mwMW@%&…—"), frozenset("ijlIft.,:;'|!()[]/ ")
LONGEST = 24  # characters of a name
Attributes = Mapping[str, str]


class Label(NamedTuple):
    """The words on a repository in a picture, and how it looks there: a key of NODES."""

    words: str
    look: str = "normal"


@dataclass(frozen=True)
class Drawing:
    """A picture for Graphviz, and the same in words for those who do not see it."""

    dot: str
    title: str
    description: str


NORMAL = Label("")
HERE = Label("", "good")
# Fill, line and text on white paper. A text differs from its ground by 4.5 to 1 at least, a line by 3 to 1.
NODES = {
    "normal": ("#eef3f8", "#52708f", "#14202b"),
    "good": ("#e1f0d9", "#417026", "#14202b"),
    "waiting": ("#fdf0cc", "#96690c", "#14202b"),
    "bad": ("#fbe0de", "#b0302a", "#14202b"),
    "aside": ("#f6f6f6", "#808080", "#595959"),
}
EDGES = {  # line and text
    "link": ("#52708f", "#34495e"),
    "step": ("#a8480a", "#7a3506"),
    "unused": ("#8a8a8a", "#626262"),
}


def network_dot(net: Network) -> str:
    """Return the network with all that is known of it; `network()` can be made of it again.

    An arc leads from a repository to its remote; its heads show where content can go.
    """
    nodes = (_node(net, place, HERE if place.uuid == net.here else NORMAL) for place in net.places)
    return _graph(SPRINGS, [*nodes, *map(_link, net.links)])


def network_drawing(net: Network, labels: Mapping[str, Label] | None = None) -> Drawing:
    """Draw the network, one line between each two that are linked; `labels` has by uuid what else is to be said."""
    labels = {net.here or "": HERE} if labels is None else labels
    pairs = _pairs(net.links)
    nodes = [_node(net, place, labels.get(place.uuid, NORMAL)) for place in net.places]
    dot = _graph(SPRINGS, [*nodes, *(_line(net, pair, links, "link") for pair, links in pairs.items())])
    told = [f"{_ends(net, pair)}, cost {_costs(links)}" for pair, links in pairs.items()]
    return Drawing(dot, f"Network of {len(net.places)} repositories", "; ".join(told) or "No link is known")


def plan_dot(net: Network, plans: Iterable[Plan]) -> str:
    """Draw the network in grey and the plan into it: arcs lead where content travels, numbered in order."""
    plans = list(plans)
    labels, steps = _roles(net, plans), _all_steps(plans)
    net = _without_outside(net, {step.source for step in steps})
    stepped = {frozenset((step.source, step.target)) for step in steps}
    lines = [_node(net, place, labels[place.uuid]) for place in net.places]
    lines += [_step(net, number, step) for number, step in enumerate(steps, start=1)]
    free = {"constraint": "false"} if steps else {}  # then steps alone say who stands above whom
    quiet = {"dir": "none", "style": "dashed", **free}
    unused = {pair: links for pair, links in _pairs(net.links).items() if frozenset(pair) not in stepped}
    if len(unused) <= MOST_UNUSED:
        lines += [_line(net, pair, links, "unused", quiet) for pair, links in unused.items()]
    return _graph(LAYERS if _breadth(steps) <= BROADEST else ROWS, lines)


def _without_outside(net: Network, used: Container[str]) -> Network:
    """Return the network without the web and its like, which everybody could fetch from, where nobody does."""
    left_out = {uuid for uuid in OUTSIDE if uuid not in used}
    places = (place for place in net.places if place.uuid not in left_out)
    return network(places, net.links, net.here)


def _breadth(steps: Iterable[Step]) -> int:
    """Return how many repositories are as many steps away from the content, at most."""
    levels: dict[str, int] = {}
    for step in steps:
        levels[step.target] = levels.get(step.source, 0) + 1
    return max(Counter(levels.values()).values(), default=0)


def plan_drawing(net: Network, plans: Iterable[Plan]) -> Drawing:
    """Return the same as a drawing."""
    plans = list(plans)
    steps = _all_steps(plans)
    told = [
        f"{n}. {net.name(step.source)} to {net.name(step.target)}: {_action(step)}" for n, step in enumerate(steps, 1)
    ]
    title = f"Plan of {len(steps)} transfer{'' if len(steps) == 1 else 's'}"
    return Drawing(plan_dot(net, plans), title, "; ".join(told) or "Nothing is to be sent")


def _all_steps(plans: Iterable[Plan]) -> list[Step]:
    return list(dict.fromkeys(step for found in plans for step in found.steps))


def _roles(net: Network, plans: Iterable[Plan]) -> dict[str, Label]:
    """Return what each repository is in plans; of several that it is what stands last here."""
    labels = dict.fromkeys(net.by_uuid, Label("", "aside"))
    for found in plans:
        labels |= dict.fromkeys(found.question.targets, Label("wants it", "waiting"))
        labels |= dict.fromkeys((step.target for step in found.steps if step.relay), Label("passes it on"))
        labels |= {uuid: Label("no room" if why == "no-room" else "no way", "bad") for uuid, why in found.unreachable}
        labels |= dict.fromkeys(found.question.holders, HERE._replace(words="has it"))
    return labels


def _pairs(links: Iterable[Link]) -> dict[tuple[str, str], list[Link]]:
    """Return the links between each two repositories, in the order in which they come first."""
    found: dict[tuple[str, str], list[Link]] = {}
    for link in links:
        back = (link.remote, link.owner)
        found.setdefault(back if back in found else (link.owner, link.remote), []).append(link)
    return found


def _costs(links: Iterable[Link]) -> str:
    return " or ".join(f"{cost:g}" for cost in sorted({link.cost for link in links}))


def _ends(net: Network, pair: tuple[str, str]) -> str:
    return f"{net.name(pair[0])} and {net.name(pair[1])}"


def _action(step: Step) -> str:
    return f"{step.operation} {step.cost:g}"


def _graph(layout: str, lines: Iterable[str]) -> str:
    lines = list(lines)
    frame = FRAME % (layout, "true" if len(lines) <= MOST_CURVED else "line")
    return frame + "".join(f"\t{line}\n" for line in lines) + "}\n"


def _node(net: Network, place: Place, said: Label) -> str:
    here = place.uuid == net.here
    marks = {
        "you are here": here,
        "cluster": bool(place.nodes),
        "store": place.special and not place.nodes,
        "relay": place.relay,
        "drive": place.removable,
        "dead": place.dead,
    }
    name, below = net.name(place.uuid), ", ".join(mark for mark, holds in marks.items() if holds)
    label = "\n".join(filter(None, (_short(name), below, said.words)))
    shape = {"shape": "cylinder"} if place.special else {"style": "filled"} if place.removable else {}
    shape |= {"style": "rounded,filled,dashed"} if place.dead else {}
    shape |= {"penwidth": "2.5"} if here else {}
    nodes = {"nodes": " ".join(place.nodes)} if place.nodes else {}
    told = _told(place, "uuid", "nodes") | nodes | ({"here": "true"} if here else {})
    look = _look(said.look, *NODES[said.look]) | {"width": f"{_width(label):.2f}", "id": name}
    return _statement([place.uuid], {"label": label} | told | look | shape)


def _look(name: str, fill: str, line: str, text: str) -> dict[str, str]:
    return {"class": name, "fillcolor": fill, "color": line, "fontcolor": text}


def _link(link: Link) -> str:
    told = _told(link, "owner", "remote", "push", "pull") | {"dir": _heads(link.push, link.pull)}
    return _statement([link.owner, link.remote], {"label": f"{link.cost:g}", **told, **_edge_look("link")})


def _line(
    net: Network, pair: tuple[str, str], links: Iterable[Link], look: str, more: Attributes | None = None
) -> str:
    """Return one line for all links between two repositories."""
    there = any(link.push if link.owner == pair[0] else link.pull for link in links)
    back = any(link.pull if link.owner == pair[0] else link.push for link in links)
    told = {"label": _costs(links), "id": f"{_ends(net, pair)}: {_costs(links)}", "dir": _heads(there, back)}
    return _statement(pair, told | _edge_look(look) | dict(more or {}))


def _step(net: Network, number: int, step: Step) -> str:
    label = f"{number}. {_action(step)}"
    told = {"label": label, "id": f"{net.name(step.source)} to {net.name(step.target)}: {label}"}
    return _statement([step.source, step.target], told | _edge_look("step") | {"penwidth": "2"})


def _heads(there: bool, back: bool) -> str:
    return "both" if there and back else "forward" if there else "back"


def _edge_look(look: str) -> dict[str, str]:
    line, text = EDGES[look]
    return {"class": look, "color": line, "fontcolor": text}


def _told(value: Place | Link, *but: str) -> dict[str, str]:
    """Return what else is known, as attributes that Graphviz does not know, so that it can be read back."""
    fields = {name: getattr(value, name) for name in value.__slots__ if name not in but}
    known = {name: told for name, told in fields.items() if told is not None and told is not False}
    return {name: "true" if told is True else str(told) for name, told in known.items()}


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _width(label: str) -> float:
    """Return the inches that a node needs, whatever font its label is shown in."""
    return max(map(text_width, label.split("\n"))) * FONT_SIZE / POINTS + MARGIN


def text_width(text: str) -> float:
    """Return how wide a line of text is at most in usual fonts without serifs, in ems."""
    return sum(map(_character_width, text))


def _character_width(character: str) -> float:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.3  # of an emoji
    return 1.0 if character in WIDE else 0.45 if character in NARROW else 0.8 if character.isupper() else 0.65


def _statement(nodes: Iterable[str], attributes: Attributes) -> str:
    told = ", ".join(f"{name}={_quoted(value)}" for name, value in attributes.items())
    return f"{' -> '.join(map(_quoted, nodes))} [{told}]"


def _quoted(text: str) -> str:
    """Return a string that Graphviz shows as it is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(c if c.isprintable() else " " for c in escaped) + '"'
