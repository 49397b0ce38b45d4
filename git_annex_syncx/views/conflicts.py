"""Views of the conflicts that nobody has looked at: versions, who made them, the commands to choose by."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.conflicts.choices import SHORT, Choice, Conflict, day_of
from git_annex_syncx.conflicts.versions import is_variant
from git_annex_syncx.git import diff
from git_annex_syncx.git.git import Repository
from git_annex_syncx.views import resolved
from git_annex_syncx.views.base import amount, clean, console_on, data, json_line, say

LONGEST = 60  # characters of a commit's subject
SETTLED = {"keep": "one version is chosen", "both": "all versions have names of their own", "done": "stays as it is"}
Command = Callable[[str, bytes], str]  # an option and a path -> what to type


def command_of(base: str | None, place: bytes) -> Command:
    """Return how commands about paths of the tree are typed; `place` is the top, `base` what -C names."""
    start = os.path.realpath(base or ".")

    def command(option: str, path: bytes) -> str:
        word = os.path.relpath(os.path.join(os.path.realpath(place), path), os.fsencode(start))
        given = f" -C {shlex.quote(base)}" if base else ""
        return f"git annex-syncx{given} conflicts {option} {shell_word(word)}"

    return command


def shell_word(path: bytes) -> str:
    """Return a path as a word for a shell, on one line and in characters that can be shown."""
    path = b"./" + path if path.startswith(b"-") else path
    name = os.fsdecode(path)
    if name.isprintable():
        return shlex.quote(name)
    odd = {ord("\\"): "\\\\", ord("'"): "\\'"}
    return "$'" + "".join(odd.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in path) + "'"


def show_conflicts(conflicts: Sequence[Conflict], as_json: bool, command: Command) -> None:
    """Show conflicts, and by which commands to choose; as JSON an object for each."""
    if as_json:
        for conflict in conflicts:
            _print_json(conflict)
        return
    console = console_on(sys.stdout)
    for conflict in conflicts:
        console.print(clean(f"{os.fsdecode(conflict.path)}: {became(conflict)}"))
        for choice in conflict.choices:
            console.print(clean(f"  {described(conflict, choice)}"))
    for line in _advice(conflicts, command) if conflicts else ["no conflict to look at"]:
        console.print(clean(line), style="yellow" if conflicts else "")


def became(conflict: Conflict) -> str:
    """Return what became of the versions."""
    one = conflict.unseen
    files = [os.fsdecode(path) for path in one.files]
    if one.differently:
        return f"{len(one.differently)} people chose differently at the same time; one choice is there"
    if len(one.files) == 1 and is_variant(one.files[0]) and one.kind != "put back":
        return "one version is left, which still has the name of a variant"
    if len(files) > 1 and not one.commits:
        return "both versions stay" if len(files) == 2 else f"{len(files)} versions are there"
    return resolved.words(os.fsdecode(one.path), one.kind, files, one.commits)


def described(conflict: Conflict, choice: Choice) -> str:
    """Return a version in a line: `theirs: set.variant-b184.json, Bob, 2026-11-20: Other port (5e6f7a8b)`."""
    several = choice.there and len(conflict.unseen.files) > 1
    what = [os.fsdecode(choice.path)] if several else []
    what += [amount(key_size(choice.key))] if choice.key and key_size(choice.key) else []
    if maker := choice.maker:
        gone = "deleted by " if choice.entry is None else ""
        what.append(f"{gone}{maker.author}, {day_of(maker.date)}: {_cut(maker.subject)} ({maker.commit[:SHORT]})")
    elif choice.entry is None:
        what.append("deleted")
    return f"{choice.name}: {', '.join(what) or 'nobody knows by whom'}"


def _advice(conflicts: Sequence[Conflict], command: Command) -> Iterator[str]:
    first = conflicts[0]
    count = f"{len(conflicts)} conflicts; about the first" if len(conflicts) > 1 else "to settle it"
    yield f"{count}:"
    last = first.choices[-1].name if first.choices else ""
    if len(first.choices) > 1:
        yield f"  {command('--diff', first.path)}"
    if last:
        yield f"  {command(f'--keep {shlex.quote(last)}', first.path)}"
    if len({choice.entry for choice in first.choices if choice.entry}) > 1:
        yield f"  {command('--both', first.path)}"
    yield f"  {command('--done', first.path)} (it may stay so)"


def _print_json(conflict: Conflict) -> None:
    one = conflict.unseen
    json_line({
        "event": "conflict", "path": os.fsdecode(one.path), "kind": one.kind, "merges": list(one.merges),
        "files": [os.fsdecode(path) for path in one.files], "differently": list(one.differently),
        "versions": [_version(choice) for choice in conflict.choices],
    })  # fmt: skip


def _version(choice: Choice) -> dict[str, object]:
    maker = choice.maker
    return {
        "name": choice.name, "side": choice.side or None, "path": os.fsdecode(choice.path), "there": choice.there,
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


def show_absent(absent: Iterable[tuple[Conflict, Choice]]) -> None:
    """Name the versions that cannot be compared, as their content is not here."""
    for conflict, choice in absent:
        what = f"{os.fsdecode(conflict.path)}: {described(conflict, choice)}: content is not here"
        say(what, f"git annex get {shell_word(choice.path)}" if choice.there else f"git annex get --key={choice.key}")


def show_settled(conflicts: Sequence[Conflict], how: str, commit: str, as_json: bool, quiet: bool) -> None:
    """Show what was settled by a commit; without one there was nothing to settle."""
    if as_json:
        for conflict in conflicts:
            json_line({"event": "settled", "path": os.fsdecode(conflict.path), "how": how, "commit": commit})
    elif not quiet:
        console = console_on(sys.stdout)
        for conflict in conflicts:
            console.print(clean(f"{os.fsdecode(conflict.path)}: {SETTLED[how]}"))
        if not conflicts:
            say("no conflict to look at there")
        else:
            console.print(f"commit {commit[:10]}; the others get it with the next git annex-syncx sync")


def _cut(subject: str) -> str:
    return subject if len(subject) <= LONGEST else subject[: LONGEST - 3] + "..."
