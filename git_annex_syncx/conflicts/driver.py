"""The merge driver that git calls (`python -m` of this module), and its installation.

Git calls it for every path without a merge attribute, in every kind of merge. It unites texts inside real merges,
where git names the heads in GITHEAD_<commit>; everywhere else, and for what is no text, the shell around it goes on
with `git merge-file`: markers and a conflict, as without the driver. So does it where this program has gone.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from git_annex_syncx.conflicts.union import unite
from git_annex_syncx.conflicts.versions import Lines, is_text, key_in, lines_of_path

if TYPE_CHECKING:
    from git_annex_syncx.git.git import Repository

NAME = "syncx"
UNITED, NOT_OURS = 0, 3

# %S %X %Y: names of base and sides, since git 2.44; an older git leaves them as they are.
SHELL = """\
ours=%X theirs=%Y base=%S
case $ours in %[X]) ours=HEAD theirs=theirs base=base;; esac
united() {
	env | grep -q "^GITHEAD_" || return
	test -x {python} || return
	for d in rebase-merge rebase-apply; do test ! -d "$(git rev-parse --git-path $d)" || return; done
	has=$(git check-attr -z syncx filter -- %P | tr "\\0" :) attribute=
	case $has in *:syncx:variants:*|*:filter:lfs:*) return 1;; *:syncx:union:*) attribute=union;; esac
	{python} -I -m git_annex_syncx.conflicts.driver %O %A %B %P "$attribute" 2>/dev/null
}
united || git merge-file -q --marker-size=%L -L "$ours" -L "$base" -L "$theirs" %A %O %B || exit 1"""

EFFECT = (
    "git merge, git pull and git annex sync unite both sides' lines of prose and lists instead of leaving a conflict",
    "the options ours, theirs and ignore-space-change of git merge -X have no effect on files that the driver merges",
    "rebase, cherry-pick, stash, checkout and merge-tree leave conflicts as before; so do all other kinds of files",
    "a path is united too with the attribute syncx=union; with syncx=variants or merge=... it keeps git's own merge",
)


@dataclass(frozen=True)
class DriverState:
    """The state of the driver's installation: `selected` is the value of merge.default that git uses.

    `scope` and `file` say where it is installed, or where it was looked for.
    """

    scope: str  # "repository", "global" or another of git's scopes
    file: Path
    installed: bool
    selected: str | None
    selected_in: str | None
    runs: bool  # the program that the configuration names is there


def main(arguments: list[str]) -> int:
    """Unite %O %A %B, versions of the path %P with a syncx attribute, into %A; return whether that was done."""
    if len(arguments) < 5:  # a configuration that an earlier version wrote
        return NOT_OURS
    base, one, two = (Path(name).read_bytes() for name in arguments[:3])
    path, attribute = os.fsencode(arguments[3]), arguments[4]
    lines = lines_of_path(path, [{"syncx": attribute}])
    if lines is not Lines.UNION or not all(is_text(text) and not key_in(text) for text in (one, two)):
        return NOT_OURS
    usable = is_text(base) and not key_in(base)
    Path(arguments[1]).write_bytes(unite(one, two, base if usable else None).content)
    return UNITED


# Installation


def command() -> str:
    """Return what git runs through a shell."""
    return SHELL.replace("{python}", shlex.quote(sys.executable))


def settings() -> list[tuple[str, str]]:
    """Return what is set in the configuration."""
    return [
        (f"merge.{NAME}.name", "both sides' lines in canonical order (git-annex-syncx)"),
        (f"merge.{NAME}.driver", command()),
        (f"merge.{NAME}.recursive", "text"),
        ("merge.default", NAME),
    ]


def install(repo: Repository | None, everywhere: bool, force: bool) -> DriverState:
    """Add the driver to the repository's or the user's configuration. Raises UsageError where another is chosen."""
    from git_annex_syncx.errors import UsageError
    from git_annex_syncx.git import configfile

    other = configfile.find(repo, "merge.default", everywhere)
    if other and other.value != NAME and not force:
        raise UsageError(
            f"merge.default is {other.value!r} already: another merge driver is in use",
            f"to use this one instead: git annex-syncx merge-driver install{_option(everywhere)} --force",
        )
    file = configfile.place(repo, everywhere)
    _remove(file)
    for key, value in settings():
        configfile.add(file, key, value)
    return status(repo, everywhere)


def uninstall(repo: Repository | None, everywhere: bool) -> DriverState:
    """Take the driver out again; what else the file holds stays. Raises UsageError where it cannot be written."""
    from git_annex_syncx.git import configfile

    _remove(configfile.place(repo, everywhere))
    return status(repo, everywhere)


def _remove(file: Path) -> None:
    """Remove what this or an earlier version has set; another's merge.default stays."""
    from git_annex_syncx.git import configfile

    for key, value in settings():
        configfile.remove(file, key, value if key == "merge.default" else "")
    configfile.drop_if_empty(file)


def _option(everywhere: bool) -> str:
    return " --global" if everywhere else ""


def status(repo: Repository | None, everywhere: bool) -> DriverState:
    """Return whether the driver is installed, and whether git would use it."""
    from git_annex_syncx.git import configfile

    driver = configfile.find(repo, f"merge.{NAME}.driver", everywhere)
    selected = configfile.find(repo, "merge.default", everywhere)
    scope = driver.scope if driver else "global" if everywhere else "local"
    return DriverState(
        scope="repository" if scope == "local" else scope,
        file=driver.file if driver else configfile.place(repo, everywhere),
        installed=driver is not None,
        selected=selected.value if selected else None,
        selected_in=selected.scope if selected else None,
        runs=driver is not None and driver.value == command(),
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
