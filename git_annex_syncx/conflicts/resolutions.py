"""The resolutions of a merge, and the message of its commit, from which every node reads them again. Pure.

Most runs make no merge: they load this module alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from git_annex_syncx.errors import Refused

# A merge that resolved nothing must keep this message: else old and new nodes would not make the same commit.
MESSAGE = "Merge two heads\n\nMade by git-annex-syncx from these two commits alone.\n"
HEADING = "Resolved:"
MOST = 1000  # paths
PLAIN = set(range(0x20, 0x7F)) - set(b'"\\')
QUOTED = r'"(?:[ !#-\[\]-~]|\\[0-3][0-7]{2})*"'
TRAILER = "Syncx-Looked-At: "  # of a commit: somebody has looked at a conflict as it is in another commit
LOOK = re.compile(f"^{TRAILER}([0-9a-f]{{40}}|[0-9a-f]{{64}})((?: {QUOTED})+)$", re.MULTILINE)
LINE = re.compile(f"(?P<kind>[a-z/ ]+): (?P<path>{QUOTED})(?: ->(?P<became>(?: {QUOTED})+))?(?: (\\w+) not (\\w+))?")


@dataclass(frozen=True)
class Resolution:
    """The resolution of one path: the kind of the conflict, and the paths at which its versions are now.

    Of a submodule's two commits `commits` has the one that was taken, then the other.
    """

    path: bytes
    kind: str
    became: tuple[bytes, ...]
    commits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Joined:
    """A merge commit, the resolutions of its conflicts, and in how many merges git's own had to be mended."""

    commit: str
    resolutions: tuple[Resolution, ...] = ()
    fallbacks: int = 0


def unrelated_error(one: str, two: str, holder: str) -> Refused:
    """Return the error for two commits without a common ancestor; the second is of `holder`, if that is known."""
    whose = f" of {holder}" if holder not in ("", ".") else ""
    return Refused(
        f"{one[:10]} and {two[:10]}{whose} share no history",
        "if they belong together: git annex-syncx merge --allow-unrelated-histories",
    )


def message(resolutions: Iterable[Resolution]) -> str:
    """Return the message of a merge commit: each path with the kind of its conflict and where its versions are."""
    lines = [_line(one) for one in sorted(resolutions, key=lambda one: (one.path, one.kind, one.became))]
    more = [f"and {len(lines) - MOST} more\n"] if len(lines) > MOST else []
    return MESSAGE + "".join([f"\n{HEADING}\n", *lines[:MOST], *more] if lines else [])


def resolved_in(text: str) -> list[Resolution]:
    """Return the resolutions that the message of a merge commit lists; lines of another form are left out."""
    found = map(LINE.fullmatch, text.partition(f"\n{HEADING}\n")[2].split("\n", MOST)[:MOST])
    return [_resolution(line) for line in found if line]


def looked_at(head: str, paths: Iterable[bytes]) -> str:
    """Return the line by which a commit says that somebody has looked at a conflict as it is in `head`.

    The first path is the name that the versions share, the others are theirs.
    """
    return f"{TRAILER}{head} {' '.join(map(_quoted, dict.fromkeys(paths)))}\n"


def looks_in(text: str) -> list[tuple[str, tuple[bytes, ...]]]:
    """Return what a message says was looked at: in which commit, which paths."""
    return [(look[1], tuple(map(_unquoted, re.findall(QUOTED, look[2])))) for look in LOOK.finditer(text)]


def _line(one: Resolution) -> str:
    became = "" if one.became == (one.path,) else " -> " + " ".join(map(_quoted, one.became))
    commits = f" {one.commits[0]} not {one.commits[1]}" if one.commits else ""
    return f"{one.kind}: {_quoted(one.path)}{became}{commits}\n"


def _resolution(line: re.Match[str]) -> Resolution:
    path = _unquoted(line["path"])
    became = tuple(map(_unquoted, re.findall(QUOTED, line["became"] or ""))) or (path,)
    return Resolution(path, line["kind"], became, tuple(line.groups()[-2:]) if line[5] else ())


def _quoted(path: bytes) -> str:
    """Return a path in ASCII as git quotes it, always in double quotes."""
    return '"' + "".join(chr(byte) if byte in PLAIN else f"\\{byte:03o}" for byte in path) + '"'


def _unquoted(text: str) -> bytes:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text[1:-1]).encode("latin-1")
