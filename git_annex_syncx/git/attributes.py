"""Attributes of files, as the work tree, the repository and the user's configuration give them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from git_annex_syncx.git.git import Repository, git

FILES = ":(glob)**/.gitattributes"


def any_file_says(repo: Repository, tree: str, attribute: str) -> bool:
    """Return whether an attribute stands in a .gitattributes of a tree, or in the repository's own attributes."""
    own = repo.common / "info" / "attributes"
    if own.is_file() and attribute.encode() in own.read_bytes():
        return True
    words = ("grep", "--quiet", "--fixed-strings", "-e", attribute, tree, "--", FILES)
    return git(repo, *words, ok=(0, 1)).code == 0


def of_work_tree(repo: Repository, paths: Iterable[bytes], attribute: str) -> dict[bytes, str]:
    """Return the value of an attribute by path from the top, "unspecified" where none is given."""
    asked = b"".join(path + b"\0" for path in paths)
    if not asked:
        return {}
    fields = git(repo, "check-attr", "-z", "--stdin", attribute, stdin=asked).out.split(b"\0")
    return {path: os.fsdecode(value) for path, value in zip(fields[::3], fields[2::3], strict=False)}
