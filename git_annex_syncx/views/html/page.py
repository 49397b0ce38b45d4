"""A page for a browser around its sections. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterable

from git_annex_syncx import __version__
from git_annex_syncx.system.times import clock
from git_annex_syncx.views.html.markup import NOTHING, Markup, element, items, joined
from git_annex_syncx.views.html.style import STYLE

HEADING = re.compile(r'<h2 id="([a-z-]+)">(.*?)</h2>')


def page(title: str, lead: Iterable[str], sections: Iterable[Markup], made_by: str, now: float) -> str:
    """Return a whole page: a title, what stands below it, sections, and the command that made it when.

    Its policy for the browser allows nothing but its own style sheet: no script, no picture from elsewhere.
    """
    body = joined(sections)
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_digest(STYLE)}'; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),  # else a browser asks for one
        element("title", title),
        element("style", Markup(STYLE)),
    )
    parts = (
        element("a", "Skip to the content", href="#content", class_="skip"),
        element("header", element("h1", title), *lead, _contents(body)),
        element("main", body, id="content", tabindex="-1"),
        element("footer", element("p", "As of ", moment(now), ", by ", code(made_by), f", version {__version__}.")),
    )
    return "<!DOCTYPE html>\n" + element("html", head, element("body", *parts), lang="en") + "\n"


def _contents(body: str) -> Markup:
    """Return links to the sections, where there are several."""
    found = HEADING.findall(body)
    links = (element("a", Markup(words), href=f"#{name}") for name, words in found)
    return element("nav", items(links), aria_label="Sections") if len(found) > 1 else NOTHING


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def moment(when: float) -> Markup:
    """Return a time for people and for programs."""
    return element("time", clock(when), datetime=time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(when)))


def code(command: str) -> Markup:
    """Return a command that can be copied."""
    return element("code", command, class_="command")
