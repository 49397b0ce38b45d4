"""Git's diff for people: by the user's own configuration, pager, tool and external diff."""

from __future__ import annotations

import os
from collections.abc import Mapping

from git_annex_syncx.git.git import Repository, git, text
from git_annex_syncx.system import run

USERS = ("GIT_PAGER", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS")  # variables that are the user's, not a hook's


def show(repo: Repository, old: str, new: str, driver: str = "") -> None:
    """Show on the terminal how two trees differ, by the user's difftool where one is configured.

    A `driver` is used instead, where the user has no external diff.
    """
    tool = not driver and any(text(repo, "config", f"diff.{name}", ok=(0, 1)) for name in ("tool", "guitool"))
    words = ("difftool", "--no-prompt") if tool else ("diff",)
    run.attached("git", *words, old, new, "--", cwd=repo.home, env=_environment(repo, driver))


def read(repo: Repository, old: str, new: str, driver: str = "") -> bytes:
    """Return how two trees differ."""
    return git(repo, "diff", old, new, "--", env=_environment(repo, driver)).out


def _environment(repo: Repository, driver: str) -> Mapping[str, str]:
    users = {name: os.environ[name] for name in USERS if name in os.environ}
    if driver and not text(repo, "config", "diff.external", ok=(0, 1)):
        users.setdefault("GIT_EXTERNAL_DIFF", driver)
    return {**run.environment(), **repo.named, **users}
