"""Graphviz's SVG made fit for readers: told to those who do not see it, dark on a dark screen. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from git_annex_syncx.network.drawing import Drawing
from git_annex_syncx.views.base import clean

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

WIDE = 336  # points, to which a page may shrink a picture: its smallest words have 7 pixels there
SVG = "http://www.w3.org/2000/svg"
FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
BEHIND = ("graph", "unused", "link", "step", "node")  # what is drawn behind what, by class
# The colours of network/drawing.py, and what they are on a dark screen.
DARK = {
    "white": "#15191e",
    "#14202b": "#e9edf1", "#eef3f8": "#22303d", "#52708f": "#86a8c9", "#34495e": "#c4d3e1",
    "#e1f0d9": "#1f3a24", "#417026": "#7fbf6a",
    "#fdf0cc": "#42340f", "#96690c": "#dca63c",
    "#fbe0de": "#4a2023", "#b0302a": "#f08a84",
    "#f6f6f6": "#22262b", "#808080": "#868e96", "#595959": "#adb5bd", "#8a8a8a": "#7d858d", "#626262": "#a3abb3",
    "#a8480a": "#f0914d", "#7a3506": "#f7bd93",
}  # fmt: skip
RULES = (
    f'svg [fill="{light}"]{{fill:{dark}}}svg [stroke="{light}"]{{stroke:{dark}}}' for light, dark in DARK.items()
)
STYLE = f"@media screen and (prefers-color-scheme:dark){{{''.join(RULES)}}}"


def finished(drawn: bytes, drawing: Drawing, inline: bool = False) -> str:
    """Return an SVG with its own style sheet; `inline` without it, for a page that has STYLE."""
    from xml.etree import ElementTree

    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(drawn)
    graph = root[0]
    for part in graph.iter():
        _name(part)
    graph[:] = sorted((part for part in graph if part.tag != _tag("title")), key=_depth)
    width = float(root.attrib["width"].removesuffix("pt"))
    root.attrib |= {"role": "img", "font-family": FONTS, "class": "wide" if width > WIDE else "narrow"}
    for name, text in reversed({"title": drawing.title, "desc": drawing.description, "style": STYLE}.items()):
        if name != "style" or not inline:
            told = ElementTree.Element(_tag(name))
            told.text = clean(text)
            root.insert(0, told)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _tag(name: str) -> str:
    return f"{{{SVG}}}{name}"


def _name(part: Element) -> None:
    """Call a repository or an arc by the id that Graphviz was given; let words stand out from lines behind them."""
    called = part.attrib.pop("id", None)
    part.attrib.pop("font-family", None)
    title = part.find(_tag("title"))
    if title is not None and called:
        title.text = called
    if "edge" in part.get("class", ""):
        for text in part.iterfind(_tag("text")):
            text.attrib |= {"stroke": "white", "stroke-width": "3", "paint-order": "stroke"}


def _depth(part: Element) -> int:
    classes = part.get("class", "graph").split()
    return max(BEHIND.index(name) for name in classes if name in BEHIND)
