"""Pictures: those of docs are what the program draws, words stay in their boxes, whatever names say."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from network import Network as Repositories

from git_annex_syncx.model import OUTSIDE
from git_annex_syncx.network import dot
from git_annex_syncx.network.drawing import (
    EDGES,
    FONT_SIZE,
    NODES,
    Drawing,
    network_drawing,
    plan_drawing,
    text_width,
)
from git_annex_syncx.network.graph import Link, Place, network
from git_annex_syncx.network.plan import Question, plan
from git_annex_syncx.network.weights import arcs
from git_annex_syncx.system import graphviz
from git_annex_syncx.views.svg import DARK, SVG, finished

DOCS = Path(__file__).parent.parent / "docs"
sys.path.insert(0, str(DOCS))
from pictures import drawings  # noqa: E402

IN_SVG = {"": SVG}
needs_graphviz = pytest.mark.skipif(
    not (shutil.which("dot") or os.environ.get("CI")), reason="no Graphviz (apt install graphviz)"
)
HOSTILE = [
    "<script>alert(1)</script>", 'a" ]; evil [label="x', "back\\N\\", "&amp; & &#60;b&#62;", "two\nlines",
    "\u202eright", "W" * 23, "m" * 60, "試験機の名前", "👩‍💻 desk", "\udcff latin", "", "-->", "]]>", "\x00\x1b[31m",
]  # fmt: skip


def parts(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [part for part in root.iterfind(".//g", IN_SVG) if kind in part.get("class", "").split()]


def words(part: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in part.iterfind(".//text", IN_SVG)]


def shown(root: ElementTree.Element) -> list[tuple[str, list[str]]]:
    """Names and words of all nodes and edges of a picture."""
    found = [*parts(root, "node"), *parts(root, "edge")]
    return sorted((part.findtext("title", "", IN_SVG), words(part)) for part in found)


def meant(drawing: Drawing) -> list[tuple[str, list[str]]]:
    graph = dot.parse(drawing.dot)
    told = [
        *(node["attributes"] for node in graph.nodes.values()),
        *(a["attributes"] for *_, a in graph.edges(data=True)),
    ]
    return sorted((one["id"], one["label"].split("\n")) for one in told)


def overflowing(root: ElementTree.Element) -> list[str]:
    """Words that are wider than the box that they stand in."""
    found = []
    for node in parts(root, "node"):
        shape = next(part for part in node if part.tag.endswith(("path", "polygon")))
        xs = [float(x) for x in re.findall(r"(-?[\d.]+),", shape.get("d") or shape.get("points") or "")]
        found += [word for word in words(node) if text_width(word) * FONT_SIZE > max(xs) - min(xs)]
    return found


@pytest.mark.parametrize("name", ["network.svg", "plan.svg", "plan-before.svg", "plan-after.svg"])
def test_pictures_of_docs_are_what_is_drawn(name: str) -> None:
    """After a change: make pictures. Where Graphviz puts things depends on its version, what it shows does not."""
    drawing = drawings()[name]
    root = ElementTree.fromstring((DOCS / name).read_text())
    assert (root.findtext("title", "", IN_SVG), root.findtext("desc", "", IN_SVG)) == (
        drawing.title,
        drawing.description,
    )
    assert shown(root) == meant(drawing)
    assert not overflowing(root)


@needs_graphviz
def test_no_name_breaks_a_picture() -> None:
    places = [Place(f"{n}", name, n % 2 == 0, n % 3 == 0, n % 5 == 0) for n, name in enumerate(HOSTILE)]
    links = [Link("1", f"{n}", 100.0 + n, push=n % 4 != 0) for n in range(len(HOSTILE)) if n != 1]
    net = network(places, [*links, Link("3", "1", 101.0)], "1")
    planned = [plan(arcs(net), Question(frozenset("1"), frozenset(net.by_uuid) - {"1"}))]
    for drawing in (network_drawing(net), plan_drawing(net, planned)):
        drawn = finished(graphviz.render(drawing.dot, "svg"), drawing)
        assert not {part.tag for part in ElementTree.fromstring(drawn).iter()} & {f"{{{SVG}}}script", f"{{{SVG}}}a"}
        root = ElementTree.fromstring(drawn)
        assert not overflowing(root)
        said = "\n".join(words(root))
        for name in (
            "<script>alert(1)</scrip…",
            'a" ]; evil [label="x',
            "back\\N\\",
            "&amp; & &#60;b&#62;",
            "試験機の名前",
        ):
            assert name in said
        assert "m" * 60 in drawn  # whole in a title


def luminance(colour: str) -> float:
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """By the Web Content Accessibility Guidelines 2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_colours_can_be_told_apart(dark: bool) -> None:
    def shown(colour: str) -> str:
        return DARK[colour] if dark else colour.replace("white", "#ffffff")

    paper = shown("white")
    for fill, line, text in NODES.values():
        assert contrast(shown(text), shown(fill)) >= 4.5
        assert contrast(shown(line), paper) >= 3
    for line, text in EDGES.values():
        assert contrast(shown(line), paper) >= 3
        assert contrast(shown(text), paper) >= 4.5


def test_a_picture_is_written_whole_with_the_permissions_of_what_was_there(net: Repositories) -> None:
    node = net.create("any")
    node.write("network.map", (DOCS / "example-network.json").read_text())
    asked = ("git-annex-syncx", "plan", "--map", "network.map", "--svg")
    if not shutil.which("dot"):
        ran = node.run(*asked, "plan.svg", ok=2)
        assert "apt install graphviz" in ran.err
        return
    node.write("plan.svg", "old")
    (node.path / "plan.svg").chmod(0o640)
    (node.path / "link.svg").symlink_to("plan.svg")
    assert "link.svg is written" in node.run(*asked, "link.svg", "-v").err
    assert (node.path / "link.svg").is_symlink()
    assert (node.path / "plan.svg").stat().st_mode & 0o777 == 0o640
    assert shown(ElementTree.fromstring(node.read("plan.svg"))) == meant(drawings()["plan.svg"])
    assert node.run(*asked, "/dev/stdout").out.startswith("<svg")
    ran = node.run(*asked, "no/such/place.svg", ok=1)
    assert "place.svg cannot be written: No such file or directory" in ran.err
    assert "mkdir" in ran.err


def test_large_pictures_stay_readable_and_are_soon_drawn() -> None:
    places = [Place(f"{n:03}", f"node {n}") for n in range(40)]
    net = network(places, [Link(a.uuid, b.uuid, 100.0) for a in places for b in places if a != b], "000")
    star = plan(arcs(net), Question(frozenset(["000"]), frozenset(net.by_uuid) - {"000"}))
    drawn = plan_drawing(net, [star]).dot
    assert "rankdir=LR" in drawn  # one below the other: a page is scrolled down rather than across
    assert "unused" not in drawn
    assert "splines=line" in network_drawing(net).dot
    few = network(places[:5], net.links, "000")
    assert "splines=true" in network_drawing(few).dot
    assert "rankdir" not in plan_drawing(few, [plan(arcs(few), Question(frozenset(["000"]), frozenset(["001"])))]).dot


def test_the_web_is_drawn_where_something_comes_from_it() -> None:
    web = next(iter(OUTSIDE))
    net = network(
        [Place(web, "web", special=True), Place("a", "laptop"), Place("b", "nas")],
        [Link("a", web, 200.0, push=False), Link("b", web, 200.0, push=False), Link("a", "b", 100.0)],
        "a",
    )
    for holder, shown in ((web, ["laptop", "nas", "web"]), ("a", ["laptop", "nas"])):
        drawing = plan_drawing(net, [plan(arcs(net), Question(frozenset([holder]), frozenset("b")))])
        nodes = dot.parse(drawing.dot).nodes.values()
        assert sorted(node["attributes"]["id"] for node in nodes) == shown
