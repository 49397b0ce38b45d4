"""Git's verbs on commits: which contain which, what they hold. Commits never change, so answers are kept."""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from git_annex_syncx.git import cat_file
from git_annex_syncx.git.git import MERGE_EMAIL, Repository, git, refs, text

MOST_KEPT = 10_000  # answers
STEPS = 40  # commits that are looked at on each side before git is asked
MOST_COMPARED = 4  # commits that are compared two by two

# What git would take the full name of a branch for where there is no such branch.
MISTAKEN = ("refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")

# As git does without the user's configuration: grep.patternType, log.showSignature, i18n.logOutputEncoding.
LOG = ("log", "--basic-regexp", "--no-show-signature", "--encoding=UTF-8")

ADJUSTING = "git-annex adjusted branch"  # the subject that git-annex finds its own commit by

_asking = threading.Lock()


class Commit(NamedTuple):
    """A commit: its tree, its parents, its committer date in seconds since 1970 (0 for one that is none)."""

    tree: str
    parents: tuple[str, ...]
    date: int


def is_ancestor(repo: Repository, old: str, new: str) -> bool:
    """Return whether `new` contains `old`. Raises ProgramFailed where one of them is not here."""
    if old == new:
        return True
    with _asking:  # the workers of all remotes ask the same at once
        return _is_ancestor(repo, old, new)


@functools.lru_cache(MOST_KEPT)
def _is_ancestor(repo: Repository, old: str, new: str) -> bool:
    near = None if is_shallow(repo) else _near(repo, old, new)
    return git(repo, "merge-base", "--is-ancestor", old, new, ok=(0, 1)).code == 0 if near is None else near


def _near(repo: Repository, old: str, new: str) -> bool | None:
    """Return whether `new` contains `old` where a few commits tell it, None where git must be asked.

    A transfer of one file asks eleven times; starting git for each made a chain of hooks slower by a third.
    """
    parents(repo, old)  # it is here
    for start, sought, answer in ((new, old, True), (old, new, False)):
        seen, left = {start}, deque([start])
        for _ in range(STEPS):
            if not left:
                break
            above = parents(repo, left.popleft())
            if sought in above:
                return answer
            left += [parent for parent in above if parent not in seen]
            seen.update(above)
        if not left and start == new:  # seen to its roots
            return False
    return None


def beginning(repo: Repository, commit: str) -> str:
    """Return the first commit of a branch, as it was before it merged others."""
    return text(repo, "rev-list", "--first-parent", "--max-parents=0", commit)


def is_shallow(repo: Repository) -> bool:
    """Return whether commits can lack the parents that they name."""
    return (repo.common / "shallow").exists()


def parents(repo: Repository, commit: str) -> tuple[str, ...]:
    """Return the parents of a commit. Raises ProgramFailed where it is not here."""
    return read_commit(repo, commit).parents


@functools.lru_cache(MOST_KEPT)
def read_commit(repo: Repository, commit: str) -> Commit:
    """Return what a commit says. Raises ProgramFailed where it is not here."""
    (raw,) = cat_file.read(repo, [f"{commit}^{{commit}}"])
    rows = [line.split(b" ") for line in raw.partition(b"\n\n")[0].split(b"\n")]
    committer = next(row for row in rows if row[0] == b"committer")
    date = int(committer[-2]) if committer[-2].isdigit() else 0
    return Commit(rows[0][1].decode(), tuple(row[1].decode() for row in rows if row[0] == b"parent"), date)


def contained_in_any(repo: Repository, commit: str, others: Iterable[str | None]) -> bool:
    """Return whether one of the others contains the commit."""
    present = [other for other in others if other]
    return commit in present or any(is_ancestor(repo, commit, other) for other in present)


def says_nothing_new(repo: Repository, commit: str, others: Iterable[str | None]) -> bool:
    """Return whether one of the others contains the commit, or has the very same files."""
    present = [other for other in others if other]
    if contained_in_any(repo, commit, present):
        return True
    return any(read_commit(repo, other).tree == read_commit(repo, commit).tree for other in present)


def independent(repo: Repository, commits: Iterable[str]) -> list[str]:
    """Return the commits that no other one of them contains, in order of their ids."""
    distinct = sorted(set(commits))
    if len(distinct) > MOST_COMPARED:
        return sorted(text(repo, "merge-base", "--independent", *distinct).split())
    return [one for one in distinct if not any(is_ancestor(repo, one, two) for two in distinct if two != one)]


def count(repo: Repository, having: Sequence[str], lacking: Sequence[str]) -> int:
    """Return how many commits the first have that none of the second has."""
    return int(text(repo, "rev-list", "--count", *having, *(f"^{commit}" for commit in lacking)))


def touches(repo: Repository, path: str, old: str, new: str) -> bool:
    """Return whether a commit between the two has changed a path, be it as before by now.

    True where `old` is not known; empty, it stands for the time before the first commit.
    """
    words = ("-1", "--full-history", new, *([f"^{old}"] if old else []), "--", path)
    done = git(repo, "rev-list", *words, ok=(0, 128))
    return bool(done.code or done.out)


def brings_nothing_new(repo: Repository, ours: str, theirs: str) -> bool:
    """Return whether all that `theirs` has and `ours` lacks are merges made by syncx."""
    if git(repo, "rev-list", "--max-count=1", "--no-merges", theirs, f"^{ours}").out:
        return False
    merges = text(repo, *LOG, "--format=%ce", theirs, f"^{ours}").splitlines()
    return all(email == MERGE_EMAIL for email in merges)


def saying(repo: Repository, begin: str, old: str, new: str) -> list[str]:
    """Return the commits that `new` has and `old` lacks with a line in their message that begins so."""
    return text(repo, *LOG, "--format=%H", f"--grep=^{begin}", new, f"^{old}").split()


def messages_of_merges(repo: Repository, begin: str, old: str, new: str) -> list[str]:
    """Return the messages of merges made by syncx that `new` has and `old` lacks and that have a line so begun."""
    words = ("--format=%B%x00", f"--grep=^{begin}", f"--committer=<{MERGE_EMAIL}>", "--all-match", "--min-parents=2")
    return [message.strip("\n") for message in text(repo, *LOG, *words, new, f"^{old}").split("\0")[:-1]]


def is_adjustment_of(repo: Repository, adjusted: str, basis: str) -> bool:
    """Return whether an adjusted branch holds git-annex's adjusting commit on the basis and nothing of the user's."""
    parents, _, subject = text(repo, *LOG, "--max-count=1", "--format=%P%n%s", adjusted).partition("\n")
    return parents == basis and subject == ADJUSTING


def subject(repo: Repository, commit: str) -> str:
    """Return the first line of a commit's message."""
    (raw,) = cat_file.read(repo, [f"{commit}^{{commit}}"])
    return os.fsdecode(raw.partition(b"\n\n")[2].partition(b"\n")[0])


def adjusted_from(repo: Repository, adjusted: str, basis: str) -> tuple[str, str]:
    """Return the adjusting commit of git-annex that a branch holds, and its parent; empty where there is none.

    What the basis contains too is not looked at.
    """
    words = (*LOG, "--max-count=1", "--first-parent", "--format=%H %P", f"--grep=^{ADJUSTING}$")
    commit, _, parents = text(repo, *words, adjusted, f"^{basis}").partition(" ")
    return commit, parents.partition(" ")[0]


def value(repo: Repository, ref: str) -> str | None:
    """Return the commit of a branch by its full name, None where it is unborn."""
    found, *others = cat_file.look_up(repo, [ref, *(rule.format(ref) for rule in MISTAKEN)])
    if any(others):
        return refs(repo, ref).get(ref)
    return found.oid if found else None


def tips(repo: Repository, *names: str) -> dict[str, tuple[str, str]]:
    """Return full name of a branch -> its commit and that one's tree, of those that exist."""
    commits = {name: commit for name in names if (commit := value(repo, name))}
    return {name: (commit, read_commit(repo, commit).tree) for name, commit in commits.items()}


def tree_id(repo: Repository, name: str) -> str:
    """Return the id of the tree of a branch, or of a directory in it (`main:photos`); empty where there is none."""
    asked = name if ":" in name else f"{name}^{{tree}}"
    return text(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", asked, ok=(0, 1, 128))


def replay(repo: Repository, new: str, tip: str) -> str:
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
        said = message if said.strip() == ADJUSTING.encode() else said
        raw = b"\n".join(lines) + b"\n\n" + said
        made = os.fsdecode(git(repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).out).strip()
    return made
