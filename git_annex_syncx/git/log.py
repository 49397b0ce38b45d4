"""Git's log: what commits say, which contain which, what each has changed. Commits are named by their ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.git.history import LOG
from git_annex_syncx.model import Entry

# As git does without the user's configuration: log.showRoot, diff.orderFile, diff.relative, diff.ignoreSubmodules.
RAW = ("--raw", "-z", "--no-renames", "--no-abbrev", "--no-merges", "--full-history", "-O/dev/null", "--no-relative",
       "--ignore-submodules=none", "--no-ext-diff")  # fmt: skip
FEW = 10  # paths: of more git is slower to find the commits that have changed one than to read all


class Message(NamedTuple):
    """A commit, its parents, author and committer as `name <email>`, its committer date and its whole message."""

    commit: str
    parents: tuple[str, ...]
    author: str
    committer: str
    date: int
    text: str


class Changed(NamedTuple):
    """A commit that is no merge: its author and their date, the subject, and path -> what it has made of it."""

    commit: str
    author: str
    date: int
    subject: str
    paths: Mapping[bytes, Entry | None]


def messages(repo: Repository, commit: str, begins: Iterable[str]) -> list[Message]:
    """Return the commits, of all that a commit contains, with a line in their message that begins so."""
    words = ("--format=%P%x00%an <%ae>%x00%cn <%ce>%x00%ct%x00%B%x00%H", *(f"--grep=^{begin}" for begin in begins))
    fields = os.fsdecode(git(repo, *LOG, *words, commit).out).split("\0")
    rows = (fields[n : n + 6] for n in range(0, len(fields) - 5, 5))
    return [
        Message(
            oid.partition("\n")[0],
            tuple(parents.rpartition("\n")[2].split()),
            author,
            committer,
            _seconds(date),
            body,
        )
        for parents, author, committer, date, body, oid in rows
    ]


def ancestry(repo: Repository, commit: str) -> list[list[str]]:
    """Return all commits that a commit contains, each with its parents, no commit before a parent of it."""
    out = git(repo, "rev-list", "--topo-order", "--reverse", "--parents", commit).out
    return [line.split() for line in os.fsdecode(out).splitlines()]


def changes(
    repo: Repository, having: Sequence[str], lacking: Sequence[str], paths: Iterable[bytes]
) -> Iterator[Changed]:
    """Yield the commits that have changed one of some paths, newest first, of those that only `having` contain.

    Merges are none of them.
    """
    wanted = frozenset(paths)
    given = sorted(wanted) if len(wanted) <= FEW else []
    words = ("-c", "log.showRoot=true", *LOG, *RAW, "--format=%H%x00%an%x00%at%x00%s")
    limits = (*having, *(f"^{commit}" for commit in lacking), "--")
    fields = git(repo, *words, *limits, *given, env={"GIT_LITERAL_PATHSPECS": "1"}).out.split(b"\0")
    at = 0
    while at + 4 <= len(fields):
        commit, author, date, subject = fields[at : at + 4]
        found, at = {}, at + 4
        while at < len(fields) and fields[at].lstrip(b"\n").startswith(b":"):
            if fields[at + 1] in wanted:
                found[fields[at + 1]] = _made(fields[at])
            at += 2
        if found:
            yield Changed(os.fsdecode(commit), os.fsdecode(author), _seconds(date), os.fsdecode(subject), found)


def _made(meta: bytes) -> Entry | None:
    _, mode, _, oid, _ = meta.split(b" ")
    return Entry(int(mode, 8), oid.decode()) if int(mode, 8) else None


def _seconds(date: str | bytes) -> int:
    """Return a date as a number; what was forged can lack one."""
    return int(date) if date.isdigit() else 0
