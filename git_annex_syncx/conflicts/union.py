"""The canonical union of two texts: nobody's line is lost, and both directions give the same bytes. Pure.

Where a base is known, changes that do not overlap are merged as in diff3; where they overlap, the lines of both
sides stand one after the other, the side with the smaller blob id first. A line that both have in an overlap
appears there as often as in the side that has it more often, so a union does not grow when it is made again.
Lines are matched by patience (Bram Cohen): lines unique in both are anchors, the longest increasing run of them
holds, and what lies between is matched in the same way.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

SMALL = 2500  # a table of so many cells is cheap enough for an exact match
DEEPEST = 12  # of anchors within anchors
MODULES = b".gitmodules"

Lines = Sequence[bytes]


@dataclass(frozen=True)
class United:
    """The united text, and whether the sides' changes did not overlap or touch anywhere."""

    content: bytes
    clean: bool


@dataclass(frozen=True)
class _Text:
    lines: Lines
    ends: bool  # with a newline


@dataclass(frozen=True)
class _Hunk:
    """Lines of the base that one side replaced: base[start:end] became side[first:last]."""

    start: int
    end: int
    first: int
    last: int


def unite(one: bytes, two: bytes, base: bytes | None = None) -> United:
    """Unite two texts (any bytes without NUL). The order of the two makes no difference."""
    if one == two:
        return United(one, True)
    if base is not None and base in (one, two):
        return United(two if base == one else one, True)
    first, second = sorted((one, two), key=_blob_id)
    crlf = _all_crlf(one, two, base or b"")
    origin, *texts = (_split(content, crlf) for content in (base or b"", first, second))
    lines, clean = _merge(origin.lines, texts[0].lines, texts[1].lines)
    return United(_joined(lines, _ends(origin, *texts), crlf), clean)


def unite_at(path: bytes, one: bytes, two: bytes, base: bytes | None) -> United:
    """Unite two texts at a path: .gitmodules section by section, lest lines of two submodules mix."""
    is_modules = path == MODULES or path.endswith(b"/" + MODULES)
    return (unite_sections if is_modules else unite)(one, two, base)


def unite_sections(one: bytes, two: bytes, base: bytes | None) -> United:
    """Unite two configuration files. The order of the two makes no difference.

    A section that one side removed and the other left alone goes; of one that both changed the lines are united.
    """
    first, second = map(_sections, sorted((one, two)))
    before = _sections(base or b"")
    united = [_united_section(name, first, second, before) for name in first | second]
    return United(b"".join(part.content for part in united), all(part.clean for part in united))


def _united_section(
    name: bytes, one: Mapping[bytes, bytes], two: Mapping[bytes, bytes], base: Mapping[bytes, bytes]
) -> United:
    if name in one and name in two:
        return unite(one[name], two[name], base.get(name))
    body = one[name] if name in one else two[name]
    return United(b"" if base.get(name) == body else body, True)


def _sections(content: bytes) -> dict[bytes, bytes]:
    """Return the sections by their headers, header included; what stands before the first has an empty name."""
    found: dict[bytes, bytes] = {}
    name = b""
    for line in content.splitlines(keepends=True):
        name = line.strip() if line.lstrip().startswith(b"[") else name
        found[name] = found.get(name, b"") + (line if line.endswith(b"\n") else line + b"\n")
    return found


def _blob_id(content: bytes) -> bytes:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).digest()


def _all_crlf(*contents: bytes) -> bool:
    """Return whether every line that has an end in any of the texts ends in CR LF."""
    ends = sum(content.count(b"\n") for content in contents)
    return ends > 0 and ends == sum(content.count(b"\r\n") for content in contents)


def _split(content: bytes, crlf: bool) -> _Text:
    """Return the lines without their ends; `crlf` says that each end is CR LF, else a CR belongs to the line."""
    if not content:
        return _Text((), True)
    lines = content.split(b"\r\n" if crlf else b"\n")
    return _Text(lines, False) if lines[-1] else _Text(lines[:-1], True)


def _joined(lines: list[bytes], ends: bool, crlf: bool) -> bytes:
    if not lines:
        return b""
    end = b"\r\n" if crlf else b"\n"
    return end.join(lines) + (end if ends or not lines[-1] else b"")


def _ends(base: _Text, one: _Text, two: _Text) -> bool:
    """Return whether the union has a newline at its end: what a side changed holds, an empty side has no say."""
    said = {text.ends for text in (one, two) if text.lines}
    if len(said) == 1:
        return said.pop()
    return not base.ends if base.lines else True


def _merge(base: Lines, one: Lines, two: Lines) -> tuple[list[bytes], bool]:
    hunks = (list(_hunks(base, one)), list(_hunks(base, two)))
    merged: list[bytes] = []
    at, shifts, clean = 0, [0, 0], True
    before: tuple[bool, bool] | None = None  # which sides changed the stretch before
    for start, end, mine, theirs in _overlaps(*hunks):
        merged += base[at:start]
        changed = (bool(mine), bool(theirs))
        clean = clean and (at < start or before in (None, changed))
        before = changed
        parts = []
        for n, (side, own) in enumerate(((one, mine), (two, theirs))):
            low = start + shifts[n]
            shifts[n] += sum((h.last - h.first) - (h.end - h.start) for h in own)
            parts.append(side[low : end + shifts[n]])
        overlap = bool(mine and theirs) and parts[0] != parts[1]
        clean = clean and not overlap
        merged += _both(*parts) if overlap else parts[0] if mine else parts[1]
        at = end
    return [*merged, *base[at:]], clean


def _hunks(base: Lines, side: Lines) -> Iterator[_Hunk]:
    old = new = 0
    for i, j, size in [*_matches(base, side), (len(base), len(side), 0)]:
        if i > old or j > new:
            yield _Hunk(old, i, new, j)
        old, new = i + size, j + size


def _overlaps(one: list[_Hunk], two: list[_Hunk]) -> Iterator[tuple[int, int, list[_Hunk], list[_Hunk]]]:
    """Yield the stretches of the base that were changed, with the hunks of each side that make up the stretch."""
    queue = sorted([(h.start, h.end, n, h) for n, side in enumerate((one, two)) for h in side], key=lambda q: q[:3])
    at = 0
    while at < len(queue):
        start, end = queue[at][:2]
        own: tuple[list[_Hunk], list[_Hunk]] = ([], [])
        while at < len(queue) and (queue[at][0] < end or queue[at][:2] == (start, end) or not any(own)):
            end = max(end, queue[at][1])
            own[queue[at][2]].append(queue[at][3])
            at += 1
        yield start, end, *own


def _both(one: Lines, two: Lines) -> list[bytes]:
    """Return all lines of one in their order, and at their places those that two has more often."""
    wanted = Counter(two)
    wanted.subtract(Counter(one))
    merged: list[bytes] = []
    old = new = 0
    for i, j, size in [*_matches(one, two), (len(one), len(two), 0)]:
        merged += one[old:i]
        for line in two[new:j]:
            if wanted[line] > 0:
                wanted[line] -= 1
                merged.append(line)
        merged += one[i : i + size]
        old, new = i + size, j + size
    return merged


# Which lines correspond


def _matches(one: Lines, two: Lines) -> list[tuple[int, int, int]]:
    """Return blocks (i, j, size) with one[i:i+size] == two[j:j+size], increasing in both.

    Where one text is the other with lines left out, all lines of the shorter are matched.
    """
    return sorted(_blocks(one, two, 0))


def _blocks(one: Lines, two: Lines, depth: int) -> Iterator[tuple[int, int, int]]:
    shorter = min(len(one), len(two))
    head = _alike(one, two, shorter)
    tail = _alike(reversed(one), reversed(two), shorter - head)
    if head:
        yield 0, 0, head
    if tail:
        yield len(one) - tail, len(two) - tail, tail
    left, right = one[head : len(one) - tail], two[head : len(two) - tail]
    if set(left).isdisjoint(right):
        return
    anchors = _anchors(left, right) if depth < DEEPEST else []
    pairs = anchors or _common(left, right)
    yield from ((head + i, head + j, 1) for i, j in pairs)
    if anchors:
        starts = [(0, 0), *((i + 1, j + 1) for i, j in anchors)]
        for (i, j), (end, end2) in zip(starts, [*anchors, (len(left), len(right))], strict=True):
            for low, low2, size in _blocks(left[i:end], right[j:end2], depth + 1):
                yield head + i + low, head + j + low2, size


def _alike(one: Iterable[bytes], two: Iterable[bytes], most: int) -> int:
    """Return how many lines at the beginning are alike, at most so many."""
    differing = (n for n, (line, other) in enumerate(zip(one, two, strict=False)) if line != other)
    return min(next(differing, most), most)


def _anchors(one: Lines, two: Lines) -> list[tuple[int, int]]:
    """Return the longest increasing run of lines that are unique in both."""
    places = _unique(two)
    pairs = [(i, places[line]) for line, i in _unique(one).items() if line in places]
    tails: list[int] = []  # smallest end of a run of each length
    ends: list[int] = []  # which pair that is
    before: list[int] = []
    for n, (_, j) in enumerate(pairs):
        length = bisect_left(tails, j)
        before.append(ends[length - 1] if length else -1)
        tails[length : length + 1] = [j]
        ends[length : length + 1] = [n]
    run = []
    n = ends[-1] if ends else -1
    while n >= 0:
        run.append(pairs[n])
        n = before[n]
    return run[::-1]


def _unique(lines: Lines) -> dict[bytes, int]:
    counts = Counter(lines)
    return {line: i for i, line in enumerate(lines) if counts[line] == 1}


def _common(one: Lines, two: Lines) -> list[tuple[int, int]]:
    """Return a common subsequence: the longest where that is cheap, else a greedy one from the shorter text."""
    if len(one) * len(two) <= SMALL:
        return _longest(one, two)
    if len(one) > len(two):
        return [(i, j) for j, i in _common(two, one)]
    places: dict[bytes, list[int]] = {}
    for j, line in enumerate(two):
        places.setdefault(line, []).append(j)
    found, last = [], -1
    for i, line in enumerate(one):
        where = places.get(line, [])
        n = bisect_right(where, last)
        if n < len(where):
            last = where[n]
            found.append((i, last))
    return found


def _longest(one: Lines, two: Lines) -> list[tuple[int, int]]:
    table = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one) - 1, -1, -1):
        for j in range(len(two) - 1, -1, -1):
            table[i][j] = table[i + 1][j + 1] + 1 if one[i] == two[j] else max(table[i + 1][j], table[i][j + 1])
    found, i, j = [], 0, 0
    while i < len(one) and j < len(two):
        if one[i] == two[j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif table[i + 1][j] >= table[i][j + 1]:
            i += 1
        else:
            j += 1
    return found
