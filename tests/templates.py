"""What `git annex init` leaves in a repository, copied from one that it made: it starts git a hundred times."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

BRANCH = "refs/heads/git-annex"
# What git-annex makes again from its branch.
REMEMBERED = ("index", "index.lck", "mergedrefs")
# Hooks that older versions of git-annex do not install: with them a push takes eight times as long. A repository that
# is made with `init` has them.
DEAR_HOOKS = ("pre-push", "post-receive")


def strip(git_dir: Path) -> None:
    """Make a template of a fresh repository: without a git-annex branch."""
    (git_dir / BRANCH).unlink()
    for folder in (git_dir / "logs", *(git_dir / "objects").glob("??")):
        shutil.rmtree(folder, ignore_errors=True)
    for sample in (git_dir / "hooks").glob("*.sample"):
        sample.unlink()
    for name in REMEMBERED:
        (git_dir / "annex" / name).unlink()
    for name in DEAR_HOOKS:
        (git_dir / "hooks" / name).unlink(missing_ok=True)


def adopt(template: Path, git_dir: Path, uuid: str) -> None:
    """Give a repository what git-annex has put into the template, and an uuid of its own."""
    for folder in ("annex", "hooks", "info"):
        shutil.copytree(template / folder, git_dir / folder, dirs_exist_ok=True, symlinks=True)
    settings = (template / "config").read_text()
    with (git_dir / "config").open("a") as config:
        config.write(settings[settings.index("[annex]") :].replace(uuid_of(template), uuid))
    renew_sentinel(git_dir)


def renew_sentinel(git_dir: Path) -> None:
    """Let git-annex trust the inodes of a copied repository."""
    sentinel = git_dir / "annex" / "sentinal"
    if sentinel.exists():
        _, rest = sentinel.with_suffix(".cache").read_text().split(" ", 1)
        sentinel.with_suffix(".cache").write_text(f"{sentinel.stat().st_ino} {rest}")


def uuid_of(git_dir: Path) -> str:
    """The uuid in the configuration of a repository that git-annex has made."""
    _, rest = (git_dir / "config").read_text().split("[annex]\n\tuuid = ")
    return rest.partition("\n")[0]


def description(uuid: str, name: str, now: int, known: bytes = b"", parent: str = "") -> bytes:
    """A stream for `git fast-import`: a repository's line in the uuid.log of its git-annex branch."""
    line = os.fsencode(f"{uuid} {name} timestamp={now}s\n")
    log = b"".join(sorted([*known.splitlines(keepends=True), line]))
    made = _commit("branch created", now) if not parent else b""
    start = f"from {parent}^0\n".encode() if parent else b""
    return made + _commit("update", now) + start + b"M 100644 inline uuid.log\ndata %d\n%s\n" % (len(log), log)


def _commit(message: str, now: int) -> bytes:
    who = "Tester <tester@example.org>"
    return f"commit {BRANCH}\ncommitter {who} {now} +0000\ndata {len(message)}\n{message}\n".encode()
