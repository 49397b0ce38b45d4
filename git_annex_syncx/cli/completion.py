"""Completion in bash, zsh and fish: click finds what to offer, a function of each shell asks it.

`_GIT_ANNEX_SYNCX_COMPLETE=bash_source git-annex-syncx` prints the function for bash, a file in `completions/`. It
passes the line up to the cursor in COMP_LINE and reads a line for each offer: its type (`plain`, `file`, `dir`),
value and help.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    shell_complete,
    split_arg_string,
)

PROGRAM = "git-annex-syncx"
FUNCTIONS = Path(__file__).parent.parent / "completions"
CURSOR = "\0"  # stands where the cursor is, so that a word of which nothing is written yet is a word too
GIT_VALUED = ("-C", "-c", "--git-dir", "--work-tree", "--namespace")  # options of git with a value in the next word


class _Shell(ShellComplete):
    """A shell the function of which is in the file `source_template`."""

    def source(self) -> str:
        """Return the function; it names the program by its path where that is not on the PATH, as in a venv."""
        program = PROGRAM if shutil.which(PROGRAM) else shlex.quote(os.path.abspath(sys.argv[0]))
        text = (FUNCTIONS / self.source_template).read_text(encoding="utf-8")
        return text.replace(f"complete {PROGRAM} 2>", f"complete {program} 2>")

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the program's own words before the one at the cursor, and what is written of that one."""
        *words, incomplete = split_arg_string(os.environ["COMP_LINE"] + CURSOR)
        return own_words(words), incomplete.removesuffix(CURSOR)

    def format_completion(self, item: CompletionItem) -> str:
        """Return the fields of an offer, divided by tabs."""
        return f"{item.type}\t{item.value}\t{item.help or ''}".rstrip("\n")


class Bash(_Shell):
    """Completion in bash."""

    name, source_template = "bash", "git-annex-syncx"


class Zsh(_Shell):
    """Completion in zsh."""

    name, source_template = "zsh", "_git-annex-syncx"


class Fish(_Shell):
    """Completion in fish."""

    name, source_template = "fish", "git-annex-syncx.fish"


def answer(group: click.Group, variable: str) -> int:
    """Do what the environment variable asks for, `bash_source` or `bash_complete`; return an exit code."""
    for shell in (Bash, Zsh, Fish):
        add_completion_class(shell)
    return shell_complete(group, {}, PROGRAM, variable, os.environ[variable])


def own_words(words: list[str]) -> list[str]:
    """Return what follows the program's name: `git -C other annex syncx push` -> `-C other push`."""
    rest, directories = words[1:], list[str]()
    name = os.path.basename(words[0]) if words else ""
    if name == "git":
        while rest and rest[0].startswith("-"):
            count = 2 if rest[0] in GIT_VALUED else 1
            directories += rest[:count] if rest[0] == "-C" else []
            rest = rest[count:]
        name = f"git-{rest[0]}" if rest else name  # or an alias of the user's
        rest = rest[1:]
    return directories + (rest[1:] if name == "git-annex" else rest)
