"""Make commits anew on another commit, with all that they say and hold."""

from __future__ import annotations

import os

from git_annex_syncx.git import cat_file, history
from git_annex_syncx.git.git import Repository, git, text


def onto(repo: Repository, new: str, tip: str) -> str:
    """Make the commits that `tip` has and the parent of `new` lacks anew, on `new`; return the last.

    Each keeps its tree, so a work tree at `tip` is one at the last. A commit that is called as git-annex calls its
    own gets the message of that parent, which the user meant to amend. Empty where there is a merge among them.
    """
    below = f"{new}^"
    commits = text(repo, "rev-list", "--reverse", "--topo-order", tip, f"^{below}").split()
    message, made = cat_file.read(repo, [f"{below}^{{commit}}"])[0].partition(b"\n\n")[2], new
    for commit in commits:
        header, _, said = cat_file.read(repo, [commit])[0].partition(b"\n\n")
        lines = header.split(b"\n")
        parents = [n for n, line in enumerate(lines) if line.startswith(b"parent ")]
        if len(parents) != 1:
            return ""
        lines[parents[0]] = b"parent " + made.encode()
        said = message if said.strip() == history.ADJUSTING.encode() else said
        raw = b"\n".join(lines) + b"\n\n" + said
        made = os.fsdecode(git(repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).out).strip()
    return made
