"""HTML out of words. Pure; whatever is not markup already is escaped, so that no name can be markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from git_annex_syncx.views.base import clean

VOID = frozenset({"br", "link", "meta"})


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


NOTHING = Markup()


def element(name: str, /, *content: str, **attributes: str) -> Markup:
    """Return an element; of attributes' names an underscore at the end is left out, others are hyphens."""
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{told}>" if name in VOID else f"<{name}{told}>{joined(content)}</{name}>")


def joined(content: Iterable[str]) -> Markup:
    """Return markup in a row, with words between it escaped."""
    return Markup("".join(part if isinstance(part, Markup) else _text(part) for part in content))


def items(entries: Iterable[str], **attributes: str) -> Markup:
    """Return a list; nothing where it would be empty."""
    found = [element("li", entry) for entry in entries]
    return element("ul", *found, **attributes) if found else NOTHING


def section(name: str, title: str, *content: str) -> Markup:
    """Return a section with a heading, which a link can lead to by its name; nothing where it would be empty."""
    if not any(content):
        return NOTHING
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def more(summary: str, *content: str, is_open: bool = False) -> Markup:
    """Return what is shown when its summary is chosen."""
    opened = {"open": ""} if is_open else {}
    return element("details", element("summary", summary), *content, **opened)


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()) -> Markup:
    """Return a table whose first column names its rows; nothing where it would be empty.

    On a narrow screen each row is a card. Roles are told, because a table that a style sheet shows in another way
    is none for a screen reader.
    """
    classes = [{"class_": "number"} if column in numbers else {} for column in columns]
    head = (
        element("th", column, scope="col", role="columnheader", **kind)
        for column, kind in zip(columns, classes, strict=True)
    )
    body = [element("tr", *_cells(columns, row, classes), role="row") for row in rows]
    if not body:
        return NOTHING
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head, role="row"), role="rowgroup"),
        element("tbody", *body, role="rowgroup"),
        role="table",
    )


def _cells(columns: Sequence[str], row: Sequence[str], classes: Sequence[dict[str, str]]) -> Iterable[Markup]:
    yield element("th", row[0], scope="row", role="rowheader")
    for column, cell, kind in zip(columns[1:], row[1:], classes[1:], strict=True):
        yield element("td", element("span", cell), role="cell", data_label=column, **kind)


def _text(words: str) -> str:
    return escape(clean(words))
