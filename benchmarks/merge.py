"""How long a merge takes in a tree of 50,000 files: without conflicts beside `git merge`, and with 1,000 of them.

    python benchmarks/merge.py [DIRECTORY]

Both merges run side by side in one run, from the same commits, three times each; the best counts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from git_annex_syncx.conflicts.merge_commits import join
from git_annex_syncx.git.git import open_repository

FILES, CONFLICTS, CHANGES, ROUNDS = 50_000, 1_000, 200, 3
MOST_SECONDS, MOST_TIMES = 5.0, 1.5
KINDS = 4  # text, binary, annexed, changed/deleted


def main() -> None:
    """Make the repository, measure, print."""
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch) / "repository"
        make(top)
        plain = best(lambda: git_merge(top, "calm-one", "calm-two"))
        ours = best(lambda: syncx_merge(top, "calm-one", "calm-two"))
        conflicts = best(lambda: syncx_merge(top, "one", "two"))
    rows = [
        ("git merge, no conflict", f"{plain:.2f} s", ""),
        ("syncx merge, no conflict", f"{ours:.2f} s, {ours / plain:.2f} times git's", f"at most {MOST_TIMES} times"),
        (f"syncx merge, {CONFLICTS} conflicts", f"{conflicts:.2f} s", f"at most {MOST_SECONDS:.0f} s"),
    ]
    table = ["| merge | is | wanted |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in rows)]
    print("\n".join(table))
    if "--save" in sys.argv:
        written = "Written by `benchmarks/merge.py --save`; the best of three runs each, side by side."
        text = "\n".join(("# Merges", "", written, f"A tree of {FILES} files.", "", *table, ""))
        (Path(__file__).parent / "results" / "merge.md").write_text(text)
    raise SystemExit(0 if ours <= MOST_TIMES * plain and conflicts < MOST_SECONDS else 1)


def best(run: Callable[[], float]) -> float:
    """The shortest of some runs, in seconds."""
    return min(run() for _ in range(ROUNDS))


def git(top: Path, *args: str, stdin: bytes | None = None) -> str:
    """Run git without anything of the user's."""
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {f"GIT_{who}_{what}": "bench@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(["git", *args], cwd=top, env=env, input=stdin, capture_output=True, check=True)
    return done.stdout.decode()


def path(n: int) -> str:
    """The n-th file, 200 to a directory."""
    return f"d{n // 200:03}/f{n:05}.txt"


def content(n: int, side: str) -> bytes:
    """What a side has in a conflicting file."""
    if n % KINDS == 1:
        return b"\0" + f"{side} {n}".encode()
    if n % KINDS == 2:
        return f"/annex/objects/SHA256E-s1--{side}{n:060}.txt\n".encode()
    return f"first {n}\n{side} {n}\nlast\n".encode()


def make(top: Path) -> None:
    """Two pairs of branches from one base, by git fast-import."""
    top.mkdir()
    git(top, "init", "--quiet", "--initial-branch=main")
    stream = [commit("main", "", {path(n): content(n, "base") for n in range(FILES)})]
    for branch, others in (("one", "changed"), ("two", "altered")):
        changed: dict[str, bytes | None] = {path(n): content(n, others) for n in range(CONFLICTS)}
        if branch == "two":
            changed |= {path(n): None for n in range(3, CONFLICTS, KINDS)}
        stream.append(commit(branch, "main", changed))
    for n, branch in enumerate(("calm-one", "calm-two")):
        paths = [path(FILES // 2 + 2 * k + n) for k in range(CHANGES)]
        stream.append(commit(branch, "main", dict.fromkeys(paths, b"calm change\n")))
    git(top, "fast-import", "--quiet", stdin=b"".join(stream))
    git(top, "checkout", "--quiet", "calm-one")


def commit(branch: str, parent: str, files: dict[str, bytes | None]) -> bytes:
    """A commit in the language of git fast-import."""
    who = "bench <bench@example.org> 1700000000 +0000"
    lines = [f"commit refs/heads/{branch}\ncommitter {who}\ndata 1\n.\n".encode()]
    lines += [f"from refs/heads/{parent}\n".encode()] if parent else []
    for name, text in files.items():
        if text is None:
            lines.append(f"D {name}\n".encode())
        else:
            lines.append(f"M 100644 inline {name}\ndata {len(text)}\n".encode() + text + b"\n")
    return b"".join(lines) + b"\n"


def git_merge(top: Path, one: str, two: str) -> float:
    """Seconds that `git merge` takes, its work tree included."""
    git(top, "checkout", "--quiet", "--force", "-B", "scratch", one)
    begun = time.perf_counter()
    git(top, "merge", "--quiet", "--no-edit", two)
    return time.perf_counter() - begun


def syncx_merge(top: Path, one: str, two: str) -> float:
    """Seconds that syncx takes: the merge in the object database, then the fast-forward of the work tree."""
    git(top, "checkout", "--quiet", "--force", "-B", "scratch", one)
    shutil.rmtree(top / ".git" / "annex", ignore_errors=True)
    repo = open_repository(top)
    heads = sorted(git(top, "rev-parse", one, two).split())
    begun = time.perf_counter()
    merged = join(repo, heads[0], heads[1], unrelated=False)
    git(top, "merge", "--ff-only", "--no-overwrite-ignore", "--quiet", merged.commit)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
