"""A reader of the part of Graphviz's language that git-annex and `map --dot` write. Pure.

It stands in for pydot, through which networkx reads DOT: a name that ends in a backslash, which git-annex writes as
it is, and nested braces are errors to it, and a map of 2,000 links takes more than fifty times as long. Graphviz's
own `dot -Tdot_json` is no help: older versions of git-annex are read where it is not installed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    import networkx

# git-annex takes quotes out of names and escapes nothing: there a backslash is a backslash.
UNESCAPED = re.compile(r"\s*digraph\s+map\s*\{")
WORD = r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*|-?(?:\.\d+|\d+(?:\.\d*)?)"
SPACE = r"(?:\s|//[^\n]*|\#[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)*+"
TOKEN = rf'{SPACE}(?:(?P<text>"%s")|(?P<mark>->|--|[{{}}\[\]=;,])|(?P<word>{WORD})|(?P<end>\Z)|(?P<wrong>))'
TOKENS = re.compile(TOKEN % r'(?:[^"\\]|\\.)*+', re.DOTALL)
ANNEX_TOKENS = re.compile(TOKEN % r'[^"]*+', re.DOTALL)
BEGIN = re.compile(SPACE + r"(?:strict|digraph|graph)\b", re.IGNORECASE)
DEEPEST = 100
MOST_TOKENS = 12_000_000  # half a minute
MOST = 1_000_000  # nodes and arcs


class BadDot(ValueError):
    """DOT that cannot be read; the message says what is wrong and in which line."""


class Token(NamedTuple):
    """A quoted text, a mark, a word or the end, and where it begins, both counted from 1."""

    kind: str
    text: str
    line: int
    column: int

    @property
    def where(self) -> str:
        """Return where it begins, for people."""
        return f"line {self.line} column {self.column}"


def looks_like(text: str) -> bool:
    """Return whether this is meant to be DOT."""
    return BEGIN.match(text) is not None


def parse(text: str) -> networkx.MultiDiGraph[str]:
    """Return a directed graph in time linear in the text. Raises BadDot.

    Nodes and arcs have `attributes`, a dict of texts, and `where`, the line and column in which they are first named;
    a node has a `cluster` where it stands in one, the innermost.
    """
    return _Parser(text).graph()


class _Parser:
    def __init__(self, text: str) -> None:
        import networkx

        self.rest = _tokens(text)
        self.last = self.ahead = next(self.rest)
        self.found: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
        self.named = 0

    def graph(self) -> networkx.MultiDiGraph[str]:
        if self.ahead.text.lower() == "strict":
            self.take()
        if self.take().text.lower() != "digraph":
            _fail(self.last, "not a directed graph")
        if not self.skip("{"):
            self.name()
            self.expect("{")
        around = [""]
        while around:
            if len(around) > DEEPEST:
                _fail(self.ahead, "nested too deeply")
            self.statement(around)
        if self.ahead.kind != "end":
            _fail(self.ahead, "something follows the graph")
        return self.found

    def statement(self, around: list[str]) -> None:
        """Read a statement; a brace opens or closes a group in `around`, a stack of the clusters that they are in."""
        word = self.ahead.text.lower() if self.ahead.kind == "word" else ""
        if self.skip("{"):
            around.append(around[-1])
        elif self.skip("}"):
            around.pop()
        elif word == "subgraph":
            self.take()
            name = "" if self.skip("{") else self.name()
            if name:
                self.expect("{")
            around.append(name if name.startswith("cluster") else around[-1])
        elif word in ("node", "edge", "graph"):
            self.take()
            self.attributes()
        elif not self.skip(";"):
            self.nodes(around[-1])

    def nodes(self, cluster: str) -> None:
        """Read `a` or `a -> b -> c`, with attributes, or `name = value`."""
        where, chain = self.ahead.where, [self.name()]
        self.count()
        if self.skip("="):
            self.name()
            return
        while self.skip("->"):
            chain.append(self.name())
            self.count()
        if self.skip("--"):
            _fail(self.last, "-- in a directed graph")
        attributes = self.attributes()
        for node in chain:
            if node not in self.found:
                self.found.add_node(node, where=where, attributes={})
        for source, target in itertools.pairwise(chain):
            self.found.add_edge(source, target, where=where, attributes=attributes)
        if len(chain) == 1:
            known = self.found.nodes[chain[0]]
            known["attributes"].update(attributes)
            if cluster:
                known.setdefault("cluster", cluster)

    def count(self) -> None:
        """Count a node or an arc that is named."""
        self.named += 1
        if self.named > MOST:
            _fail(self.last, f"more than {MOST:,} nodes and arcs")

    def attributes(self) -> dict[str, str]:
        found = {}
        while self.skip("["):
            while not self.skip("]"):
                key = self.name()
                self.expect("=")
                found[key] = self.name()
                if not self.skip(","):
                    self.skip(";")
        return found

    def name(self) -> str:
        token = self.take()
        if token.kind not in ("word", "text"):
            _fail(token, f"a name is missing before {token.text!r}")
        return token.text

    def expect(self, mark: str) -> None:
        if not self.skip(mark):
            _fail(self.ahead, f"{mark!r} is missing before {self.ahead.text[:40] or 'the end'!r}")

    def skip(self, mark: str) -> bool:
        """Take a mark if it is the next one; return whether it was."""
        found = self.ahead.kind == "mark" and self.ahead.text == mark
        if found:
            self.take()
        return found

    def take(self) -> Token:
        if self.ahead.kind == "end":
            _fail(self.ahead, "the end is missing")
        self.last, self.ahead = self.ahead, next(self.rest)
        return self.last


def _fail(token: Token, why: str) -> NoReturn:
    raise BadDot(f"{token.where}: not DOT: {why}")


def _tokens(text: str) -> Iterator[Token]:
    annex = UNESCAPED.match(text) is not None
    pattern = ANNEX_TOKENS if annex else TOKENS
    seen, line, begin = 0, 1, 0  # up to where lines are counted; the line there, and where it begins
    for number, match in enumerate(pattern.finditer(text)):
        kind = match.lastgroup or ""
        start = match.start(kind)
        line += text.count("\n", seen, start)
        begin = max(begin, text.rfind("\n", seen, start) + 1)
        token = Token(kind, match[kind], line, start - begin + 1)
        if number == MOST_TOKENS:
            _fail(token, f"a graph of more than {MOST_TOKENS:,} words and marks")
        if kind == "wrong":
            _fail(token, repr(text[start : start + 20]))
        if kind == "text":
            inner = token.text[1:-1]
            token = token._replace(text=inner if annex else _unescaped(inner))
        yield token
        seen = start


def _unescaped(text: str) -> str:
    return re.sub(r'\\(["\\n])', lambda found: "\n" if found[1] == "n" else found[1], text)
