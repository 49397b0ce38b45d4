"""Answer questions about paths: what stands at one, which commit removed it, how a command names it."""

from __future__ import annotations

import os
import shlex

from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.model import Entry

LITERAL = "--literal-pathspecs"


def entry(repo: Repository, tree: str, path: bytes) -> Entry | None:
    """Return what stands at a path of a tree, None where nothing does."""
    mode, _, rest = git(repo, LITERAL, "ls-tree", "-z", "--full-tree", tree, "--", path).out.partition(b" ")
    return Entry(int(mode, 8), rest.split(b"\t", 1)[0].split(b" ")[1].decode()) if mode else None


def holding(repo: Repository, tree: str, part: bytes) -> list[bytes]:
    """Return the paths of a tree that hold a part, without looking at the others."""
    listed = git(repo, "ls-tree", "-r", "-z", "--name-only", "--full-tree", tree).out
    return [path for path in listed.split(b"\0") if part in path] if part in listed else []


def removal(repo: Repository, path: bytes) -> str:
    """Return the last commit in HEAD's history that removed a file, empty where none did."""
    words = ("log", "-1", "--format=%H", "--diff-filter=D", "--no-renames", "HEAD", "--")
    return git(repo, *words, b":(top,literal)" + path, ok=range(256)).out.decode().strip()


def shell_word(path: bytes) -> str:
    """Return a path as a word for a shell, on one line and in characters that can be shown."""
    path = b"./" + path if path.startswith(b"-") else path
    name = os.fsdecode(path)
    if name.isprintable():
        return shlex.quote(name)
    odd = {ord("\\"): "\\\\", ord("'"): "\\'"}
    return "$'" + "".join(odd.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in path) + "'"
