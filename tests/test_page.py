"""Pages for browsers: nothing in a name is markup, and a real browser shows them as they are meant."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import PROGRAM, Browser, browsing
from hypothesis import given
from hypothesis import strategies as st
from network import ANNEX, PROGRAMS, Node
from network import Network as Repositories
from test_pictures import HOSTILE, needs_graphviz

from git_annex_syncx.cli.pictures import for_page
from git_annex_syncx.content.planning import Planned
from git_annex_syncx.network.drawing import network_drawing, plan_drawing
from git_annex_syncx.network.graph import Link, Network, Place, network
from git_annex_syncx.network.plan import Question, plan
from git_annex_syncx.network.survey import Survey
from git_annex_syncx.network.weights import arcs
from git_annex_syncx.views.html.markup import VOID, element, joined
from git_annex_syncx.views.html.network import Picture, map_page, plan_page

needs_browser = pytest.mark.skipif(
    not PROGRAM and not os.environ.get("CI"), reason="no Chromium (Debian: apt install chromium)"
)
DOCS = Path(__file__).parent.parent / "docs"
WIDTHS = (320, 768, 1280)


def fleet(names: list[str]) -> Network:
    places = [Place(f"{n:08}", name, n % 3 == 2, n % 4 == 1, n % 5 == 4) for n, name in enumerate(names)]
    links = [Link("00000000", place.uuid, 100.0, latency_ms=3.0) for place in places[1:]]
    return network(places, links, "00000000")


def planned(net: Network) -> Planned:
    question = Question(frozenset(["00000000"]), frozenset(net.by_uuid) - {"00000000"}, 3, 5000)
    return Planned(Survey(net, ("a <b>warning</b>",)), (plan(arcs(net), question),), of_files=True)


class Reader(HTMLParser):
    """Checks that elements are closed in order; keeps those that are there, and the words."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.found, self.words = list[str](), list[tuple[str, dict[str, str | None]]](), list[str]()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@given(st.lists(st.text(st.characters(codec=None), max_size=20), min_size=1, max_size=4), st.text(max_size=9))
def test_words_are_never_markup(names: list[str], told: str) -> None:
    net = fleet(names)
    meant = Reader(map_page(Survey(fleet(["a"] * len(names))), Picture("", "x", "y"), 0.0))
    found = Reader(map_page(Survey(net), Picture("", told, "y"), 0.0))
    assert [tag for tag, _ in found.found] == [tag for tag, _ in meant.found]
    assert all(character.isprintable() for word in found.words for character in word.replace("\n", ""))
    ((tag, attributes),) = Reader(joined([element("p", told, title=told)])).found
    assert (tag, list(attributes)) == ("p", ["title"])


def test_without_graphviz_a_page_has_all_but_the_picture(net: Repositories, tmp_path: Path) -> None:
    laptop = net.create("laptop", init=True)
    net.connect((laptop, net.clone(laptop, "nas", init=True)))
    laptop.annex("info", "nas", "--fast")
    laptop.syncx("sync", "--no-content")
    for program in ("git", "sh"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    assert not laptop.run("git-annex-syncx", "map", "--html", "map.html", PATH=f"{ANNEX}:{PROGRAMS}:{tmp_path}").err
    page = laptop.read("map.html").decode()
    for command in (("map", "--html"), ("plan", "--svg"), ("status", "--metrics")):  # an unset variable of a script
        assert "an empty name names no file" in laptop.run("git-annex-syncx", *command, "", ok=2).err
    laptop.commit_annexed({"kept.html": "the only copy"})
    assert "is an annexed file" in laptop.run("git-annex-syncx", "map", "--html", "kept.html", ok=1).err
    assert laptop.read("kept.html") == b"the only copy"
    assert "dot is not installed" in page and "apt install graphviz" in page and "<svg" not in page
    assert re.search(r"<details open=.*<td[^>]*><span>nas", page)


OVERFLOW = """[document.documentElement.scrollWidth, innerWidth]"""
# Text that stands out of the shape that it belongs to, or that is too small or too faint to be read.
OUT_OF_BOX = """[...document.querySelectorAll('svg .node')].flatMap(node => {
  const box = node.querySelector('path, polygon').getBBox();
  return [...node.querySelectorAll('text')].filter(text => { const b = text.getBBox();
    return b.x < box.x || b.x + b.width > box.x + box.width || b.y < box.y || b.y + b.height > box.y + box.height;
  }).map(text => text.textContent) })"""
FAINT = """(() => {
  const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 || n[3] > 0 ? n : null };
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255;
    return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 }); return .2126 * r + .7152 * g + .0722 * b };
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c) return c } return [255, 255, 255] };
  return [...document.querySelectorAll('body *')].filter(e => !e.closest('svg') && e.checkVisibility() &&
    [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).filter(e => {
      const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
      return (a + .05) / (b + .05) < 4.5 }).map(e => e.outerHTML.slice(0, 80)) })()"""
FOCUS = """(() => { const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
  return {name: e.className || e.tagName, seen: r.width > 0 && r.left >= 0 && r.right <= innerWidth,
          ring: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2} })()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found


def check(browser: Browser, page: Path) -> None:
    """What holds for every page: narrow and wide, light and dark."""
    for dark in (False, True):
        browser.dark(dark)
        for width in WIDTHS:
            browser.size(width)
            browser.open(page)
            assert browser.requests() in ([page.as_uri()], [page.as_uri(), "data:,"])
            assert browser.complaints() == []
            needed, there = browser.run(OVERFLOW)
            assert needed <= there, f"{page.name} is {needed} wide on {there}"
            assert browser.run(FAINT) == [], f"{width} {'dark' if dark else 'light'}"
    assert browser.run(OUT_OF_BOX) == []
    assert browser.run("document.querySelectorAll('script, img, iframe, object').length") == 0
    assert browser.run("document.documentElement.lang") == "en"
    assert browser.run("[...document.querySelectorAll('svg')].every(s => s.querySelector('title').textContent)")
    by_keyboard(browser)


def by_keyboard(browser: Browser) -> None:
    browser.size(320)
    browser.press("Tab")
    first: Any = browser.run(FOCUS)
    assert first == {"name": "skip", "seen": True, "ring": True}
    browser.press("Enter")
    assert browser.run("document.activeElement.id") == "content"
    while (on := browser.run(FOCUS))["name"] != "BODY":
        assert on["seen"], on
        browser.press("Tab")
        seen = browser.run(FOCUS)
        assert seen["name"] == "BODY" or seen["ring"], seen


@needs_browser
@needs_graphviz
def test_a_browser_shows_it_as_it_is_meant(browser: Browser, tmp_path: Path) -> None:
    net = fleet(["laptop", *HOSTILE])
    answer = planned(net)
    for name, text in {
        "map.html": map_page(Survey(net), for_page(network_drawing(net)), 0.0),
        "plan.html": plan_page(answer, for_page(plan_drawing(net, answer.plans)), 0.0),
    }.items():
        (tmp_path / name).write_text(text)
        check(browser, tmp_path / name)


@needs_graphviz
def test_the_status_of_hostile_repositories(pair: tuple[Node, Node], tmp_path: Path) -> None:
    laptop, desktop = pair
    odd = b"caf\xe9 <b>\n\xe2\x80\xae.bin"
    for node, text in ((laptop, "\0ours"), (desktop, "\0theirs")):
        node.commit({odd: text}, message="<script>alert('subject')</script>")
    desktop.annex("describe", "here", '<img src=x onerror="alert(1)">')
    desktop.syncx("sync", "--no-content")
    laptop.syncx("sync", "--no-content")
    laptop.annex("info", "desktop", "--fast")  # learns its uuid
    laptop.commit_annexed({"<i>photo</i>.jpg": "content\n" * 100})
    laptop.git("remote", "add", "dead", "ssh://me:secret@127.0.0.1:1/~/annex")
    laptop.syncx("push", "dead", ok=1)
    ran = laptop.run("git-annex-syncx", "status", "desktop", "dead", "--html", "status.html")
    assert not ran.err
    page = laptop.read("status.html").decode()
    found = Reader(page)
    words = " ".join(found.words)
    for shown in (
        "desktop", '<img src=x onerror="alert(1)">', "caf\\xe9 <b>\\n\\u202e.bin", "both versions stay",
        "<i>photo</i>.jpg", "<script>alert('subject')</script>", "1 failed", "0 of 1", "lacks 1 file",
        "dead: push failed once",
    ):  # fmt: skip
        assert shown in words, f"{shown} in {words}"
    assert "secret" not in page
    assert not {"script", "img", "b", "i"} & {tag for tag, _ in found.found}
    assert "exclude" in laptop.run("git-annex-syncx", "--json", "status", "--html", "x", ok=2).err
    if PROGRAM:
        with browsing(tmp_path / "profile") as browser:
            check(browser, laptop.path / "status.html")


@needs_graphviz
def test_the_commands_of_the_documentation_run(net: Repositories) -> None:
    node = net.create("any")
    node.commit({"a.txt": "a\n"})
    told = re.findall(r"^\$ (git annex-syncx .*)$", (DOCS / "pages.md").read_text(), re.MULTILINE)
    assert len(told) == 5
    for command in told:
        words = shlex.split(command.replace("git annex-syncx", "git-annex-syncx"))
        assert not node.run(*words).err
        assert node.read(words[-1]).rstrip().endswith((b"</html>", b"</svg>"))


def test_the_status_of_an_empty_repository(net: Repositories) -> None:
    node = net.create("only", bare=True, init=True)
    node.run("git-annex-syncx", "status", "--html", "status.html")
    words = " ".join(Reader((node.path / "status.html").read_text()).words)
    assert "Status of only" in words
    assert "no link is known" in words
    assert "no remotes: git annex-syncx connect NAME ADDRESS" in words
