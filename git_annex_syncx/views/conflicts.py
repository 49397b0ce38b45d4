"""Views of the conflicts that nobody has looked at: versions, who made them, the commands to choose by."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.conflicts.choices import SHORT, Choice, Conflict, day_of
from git_annex_syncx.git import diff
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.paths import shell_word
from git_annex_syncx.views import resolved
from git_annex_syncx.views.base import amount, clean, console_on, data, json_line, say

LONGEST = 60  # characters of a commit's subject
SETTLED = {"keep": "one version is chosen", "both": "all versions have names of their own", "done": "stays as it is"}


@dataclass(frozen=True)
class Commands:
    """Words commands about paths of a tree as they are typed: `top` is where the tree is, `base` what -C names.

    `choosing`: where the commands that choose work; else only what compares is offered.
    """

    top: bytes
    base: str | None = None
    choosing: bool = True

    def word(self, option: str, path: bytes) -> str:
        """Return the command with an option for a path."""
        if self.choosing:  # there is a work tree, in which we stand
            start = os.fsencode(os.path.realpath(self.base or "."))
            path = os.path.relpath(os.path.join(os.path.realpath(self.top), path), start)
        given = f" -C {shlex.quote(self.base)}" if self.base else ""
        return f"git annex-syncx{given} conflicts {option} {shell_word(path)}"


def show_conflicts(conflicts: Sequence[Conflict], elsewhere: int, as_json: bool, commands: Commands) -> None:
    """Show conflicts, and by which commands to choose; as JSON an object for each. `elsewhere` are others."""
    if as_json:
        for conflict in conflicts:
            _print_json(conflict)
        return
    console = console_on(sys.stdout)
    for conflict in conflicts:
        console.print(clean(f"{os.fsdecode(conflict.path)}: {became(conflict)}"), soft_wrap=True)
        for choice in conflict.choices:
            console.print(clean(f"  {described(conflict, choice)}"), soft_wrap=True)
    for line in _advice(conflicts, commands) if conflicts else [_nothing(elsewhere)]:
        console.print(clean(line), style="yellow" if conflicts else "", soft_wrap=True)


def _nothing(elsewhere: int) -> str:
    return "no conflict to look at" + (f" there; {elsewhere} elsewhere: {resolved.LIST}" if elsewhere else "")


def became(conflict: Conflict) -> str:
    """Return what became of the versions."""
    one = conflict.unseen
    files = [os.fsdecode(path) for path in one.files]
    if one.differently:
        return f"{len(one.differently)} people chose differently at the same time; one choice is there"
    if len(files) > 1 and not one.commits:
        return "both versions stay" if len(files) == 2 else f"{len(files)} versions are there"
    return resolved.words(os.fsdecode(one.path), one.kind, files, one.commits)


def described(conflict: Conflict, choice: Choice) -> str:
    """Return a version in a line: `theirs: set.variant-b184.json, Bob, 2026-11-20: Other port (5e6f7a8b)`."""
    name = conflict.name(choice)
    several = choice.there and name != os.fsdecode(choice.path) and len(conflict.unseen.files) > 1
    what = [os.fsdecode(choice.path)] if several else []
    what += [amount(key_size(choice.key))] if choice.key and key_size(choice.key) else []
    if maker := choice.maker:
        gone = "deleted by " if choice.entry is None else ""
        known = "" if maker.commit[:SHORT] == name else f" ({maker.commit[:SHORT]})"
        what.append(f"{gone}{maker.author}, {day_of(maker.date)}: {_cut(maker.subject)}{known}")
    elif choice.entry is None:
        what.append("deleted")
    return f"{name or 'another'}: {', '.join(what) or 'nobody knows by whom'}"


def _advice(conflicts: Sequence[Conflict], commands: Commands) -> Iterator[str]:
    first = conflicts[0]
    yield f"{len(conflicts)} conflicts; about the first:" if len(conflicts) > 1 else "to settle it:"
    if len(first.choices) > 1:
        yield f"  {commands.word('--diff', first.path)}"
    if not commands.choosing:
        yield "  choose in a clone, and sync there"
        return
    if last := first.name(first.choices[-1]) if first.choices else "":
        yield f"  {commands.word(f'--keep {shell_word(os.fsencode(last))}', first.path)}"
    if len({choice.entry for choice in first.choices if choice.entry}) > 1:
        yield f"  {commands.word('--both', first.path)}"
    yield f"  {commands.word('--done', first.path)} (it may stay so)"


def _print_json(conflict: Conflict) -> None:
    one = conflict.unseen
    json_line({
        "event": "conflict", "path": os.fsdecode(one.path), "kind": one.kind, "merges": list(one.merges),
        "files": [os.fsdecode(path) for path in one.files], "differently": list(one.differently),
        "versions": [_version(conflict, choice) for choice in conflict.choices],
    })  # fmt: skip


def _version(conflict: Conflict, choice: Choice) -> dict[str, object]:
    maker = choice.maker
    return {
        "name": conflict.name(choice), "side": choice.side or None,
        "path": os.fsdecode(choice.path), "there": choice.there,
        "deleted": choice.entry is None, "key": choice.key or None, "commit": maker.commit if maker else None,
        "author": maker.author if maker else None, "date": maker.date if maker else None,
        "subject": maker.subject if maker else None,
    }  # fmt: skip


def show_difference(repo: Repository, old: str, new: str, driver: str) -> None:
    """Show how two trees differ: on a terminal by the user's pager or tool."""
    if sys.stdout.isatty():
        diff.show(repo, old, new, driver)
    else:
        data(os.fsdecode(diff.read(repo, old, new, driver)))


def show_absent(conflicts: Iterable[Conflict], absent: Iterable[tuple[Conflict, Choice]]) -> None:
    """Name what cannot be compared: conflicts of one version, and versions whose content is not here."""
    for conflict in conflicts:
        if len(conflict.choices) < 2:
            say(f"{os.fsdecode(conflict.path)}: there is only one version to look at")
    for conflict, choice in absent:
        what = f"{os.fsdecode(conflict.path)}: {described(conflict, choice)}: content is not here"
        say(what, f"git annex get {shell_word(choice.path)}" if choice.there else f"git annex get --key={choice.key}")


def show_settled(conflicts: Sequence[Conflict], how: str, commit: str, as_json: bool) -> None:
    """Show what was settled by a commit."""
    if as_json:
        for conflict in conflicts:
            json_line({"event": "settled", "path": os.fsdecode(conflict.path), "how": how, "commit": commit})
        return
    console = console_on(sys.stdout)
    for conflict in conflicts:
        console.print(clean(f"{os.fsdecode(conflict.path)}: {SETTLED[how]}"), soft_wrap=True)
    console.print(f"commit {commit[:10]}; the others get it with the next git annex-syncx sync", soft_wrap=True)


def _cut(subject: str) -> str:
    return subject if len(subject) <= LONGEST else subject[: LONGEST - 3] + "..."
