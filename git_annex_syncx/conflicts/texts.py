"""The lines of texts, and an index of texts by their lines. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from git_annex_syncx.conflicts.versions import FILES, is_text
from git_annex_syncx.model import Entry

REMEMBERED = 16 * 1024  # bytes of a text whose lines are kept in memory
Read = Callable[[Iterable[str]], Mapping[str, bytes]]


def lines_in(content: bytes) -> frozenset[bytes]:
    """Return the lines of a text; line ends make no difference."""
    lines = content.removesuffix(b"\n").split(b"\n") if content else ()
    return frozenset(line.removesuffix(b"\r") for line in lines)


class Texts:
    """The lines of the files that are texts; `read` gives contents of blobs."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[str, frozenset[bytes] | None] = {}

    def lines(self, entry: Entry | None) -> frozenset[bytes] | None:
        """Return the lines of a text, None for all that is none."""
        if entry is None or entry.mode not in FILES:
            return None
        if entry.oid in self._known:
            return self._known[entry.oid]
        content = self._read([entry.oid])[entry.oid]
        lines = lines_in(content) if is_text(content) else None
        if lines is None or len(content) <= REMEMBERED:
            self._known[entry.oid] = lines
        return lines

    def all_lines(self, entries: Iterable[Entry]) -> set[bytes]:
        """Return the lines of all that are texts."""
        return set().union(*(lines for entry in entries if (lines := self.lines(entry))))


class Holders:
    """An index of files by their lines: files are found by their rarest line, not by looking into each.

    Of each line only its hash is kept, which tells where to look.
    """

    def __init__(self, texts: Texts, files: Iterable[Entry]) -> None:
        self._texts = texts
        self._files = [file for file in dict.fromkeys(files) if texts.lines(file) is not None]
        self._having: dict[int, list[int]] = {}
        for number, file in enumerate(self._files):
            for line in texts.lines(file) or ():
                self._having.setdefault(hash(line), []).append(number)

    def hold(self, lines: Iterable[bytes]) -> bool:
        """Return whether one file holds all of the lines."""
        wanted = frozenset(lines)
        if not wanted:
            return bool(self._files)
        likely = min((self._having.get(hash(line), []) for line in wanted), key=len)
        return any(wanted <= (self._texts.lines(self._files[number]) or frozenset()) for number in likely)
