"""The part of Graphviz's language that maps are written in: read without trust, in time linear in the text. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

# git-annex takes quotes out of names and escapes nothing: there a backslash is a backslash.
UNESCAPED = re.compile(r"\s*digraph\s+map\s*\{")
WORD = r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*|-?(?:\.\d+|\d+(?:\.\d*)?)"
SPACE = r"\s+|//[^\n]*|\#[^\n]*|/\*(?:[^*]|\*(?!/))*\*/"
TOKEN = rf'(?P<space>{SPACE})|(?P<text>"%s")|(?P<mark>->|--|[{{}}\[\]=;,])|(?P<word>{WORD})'
TOKENS = re.compile(TOKEN % r'(?:[^"\\]|\\.)*', re.DOTALL)
ANNEX_TOKENS = re.compile(TOKEN % r'[^"]*', re.DOTALL)
DEEPEST = 100


class BadDot(ValueError):
    """DOT that cannot be read; the message says what is wrong and in which line."""


class Token(NamedTuple):
    """A word, a text or a mark, and where it begins."""

    kind: str
    text: str
    line: int
    column: int

    @property
    def where(self) -> str:
        """Its place, for people."""
        return f"line {self.line} column {self.column}"


@dataclass(frozen=True)
class DotArc:
    """source -> target [attributes]."""

    source: str
    target: str
    where: str
    attributes: dict[str, str]


@dataclass
class DotGraph:
    """Nodes with their attributes, where each is first named, arcs, and the innermost cluster of each node."""

    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    arcs: list[DotArc] = field(default_factory=list)
    clusters: dict[str, str] = field(default_factory=dict)


def looks_like(text: str) -> bool:
    """Return whether this is meant to be DOT."""
    try:
        return next(_tokens(text)).text.lower() in ("strict", "digraph", "graph")
    except BadDot:
        return False


def parse(text: str) -> DotGraph:
    """A directed graph. Raises BadDot."""
    return _Parser(text).graph()


class _Parser:
    def __init__(self, text: str) -> None:
        self.rest = _tokens(text)
        self.last = self.ahead = next(self.rest)
        self.found = DotGraph()

    def graph(self) -> DotGraph:
        if self.peek().text.lower() == "strict":
            self.next()
        if self.next().text.lower() != "digraph":
            raise self.wrong(self.last, "not a directed graph")
        if self.peek().text != "{":
            self.name()
        self.expect("{")
        around = [""]
        while around:
            if len(around) > DEEPEST:
                raise self.wrong(self.peek(), "nested too deeply")
            self.statement(around)
        if self.peek().kind != "end":
            raise self.wrong(self.peek(), "something follows the graph")
        return self.found

    def statement(self, around: list[str]) -> None:
        """One statement; a brace opens or closes a group in `around`."""
        token = self.peek()
        if token.kind == "mark" and token.text in ";{}":
            self.next()
            if token.text == "{":
                around.append(around[-1])
            elif token.text == "}":
                around.pop()
        elif token.kind == "word" and token.text.lower() == "subgraph":
            self.next()
            name = around[-1] if self.peek().text == "{" else self.name()
            self.expect("{")
            around.append(name if name.startswith("cluster") else around[-1])
        elif token.kind == "word" and token.text.lower() in ("node", "edge", "graph"):
            self.next()
            self.attributes()
        else:
            self.nodes(around[-1])

    def nodes(self, cluster: str) -> None:
        """`a`, `a -> b -> c`, with attributes, or `name = value`."""
        where = self.peek().where
        chain = [self.name()]
        if self.peek().text == "=" and self.peek().kind == "mark":
            self.next()
            self.name()
            return
        while self.peek().kind == "mark" and self.peek().text in ("->", "--"):
            if self.next().text == "--":
                raise self.wrong(self.last, "-- in a directed graph")
            chain.append(self.name())
        attributes = self.attributes()
        for node in chain:
            self.found.nodes.setdefault(node, {})
            self.found.places.setdefault(node, where)
            if cluster and len(chain) == 1:
                self.found.clusters.setdefault(node, cluster)
        if len(chain) == 1:
            self.found.nodes[chain[0]].update(attributes)
        self.found.arcs += [DotArc(a, b, where, attributes) for a, b in itertools.pairwise(chain)]

    def attributes(self) -> dict[str, str]:
        found = {}
        while self.peek().kind == "mark" and self.peek().text == "[":
            self.next()
            while self.peek().text not in ("]", "") or self.peek().kind == "text":
                key = self.name()
                self.expect("=")
                found[key] = self.name()
                if self.peek().kind == "mark" and self.peek().text in ",;":
                    self.next()
            self.expect("]")
        return found

    def name(self) -> str:
        token = self.next()
        if token.kind not in ("word", "text"):
            raise self.wrong(token, f"a name is missing before {token.text or 'the end'!r}")
        return token.text

    def expect(self, mark: str) -> None:
        token = self.next()
        if token.kind != "mark" or token.text != mark:
            raise self.wrong(token, f"{mark!r} is missing before {token.text[:40] or 'the end'!r}")

    def peek(self) -> Token:
        return self.ahead

    def next(self) -> Token:
        if self.ahead.kind == "end":
            raise self.wrong(self.ahead, "the end is missing")
        self.last, self.ahead = self.ahead, next(self.rest)
        return self.last

    def wrong(self, token: Token, why: str) -> BadDot:
        return BadDot(f"{token.where}: not DOT: {why}")


def _tokens(text: str) -> Iterator[Token]:
    annex = UNESCAPED.match(text) is not None
    pattern, at, line, begins = ANNEX_TOKENS if annex else TOKENS, 0, 1, 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            raise BadDot(f"{Token('', '', line, at - begins + 1).where}: not DOT: {text[at : at + 20]!r}")
        kind = match.lastgroup or ""
        if kind != "space":
            inner = match[0][1:-1] if kind == "text" else match[0]
            yield Token(kind, inner if annex or kind != "text" else _unescaped(inner), line, at - begins + 1)
        if "\n" in match[0]:
            line, begins = line + match[0].count("\n"), match.start() + match[0].rindex("\n") + 1
        at = match.end()
    yield Token("end", "", line, at - begins + 1)


def _unescaped(text: str) -> str:
    return re.sub(r'\\(["\\n])', lambda found: "\n" if found[1] == "n" else found[1], text)
