"""Write the completion scripts: click's own definitions, put into the shells' templates.

    python completions/generate.py [DIRECTORY]

The scripts are static: no Python starts when TAB is pressed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from git_annex_syncx.cli import group

PROGRAM = "git-annex-syncx"
HERE = Path(__file__).parent
# What a value is, by the name that the help gives it.
KINDS = {
    "PATH": "directory", "FILE": "file", "REMOTE": "remote", "COMMAND": "command", "TIME": "words 30m 2h 8h 1d",
}  # fmt: skip
# Arguments that say more than one of these: PATH is a file in the repository, while that of -C is a directory.
ARGUMENTS = {"[PATH...]": "file", "[REMOTE...] [PATH...]": "either"}


@dataclass(frozen=True)
class Option:
    """One option: all its names, what its value is (empty: it takes none; `words ...`: these), whether it repeats."""

    names: tuple[str, ...]
    kind: str
    repeats: bool
    text: str
    metavar: str


@dataclass(frozen=True)
class Command:
    """One command, or the program itself; `argument` is what its arguments are."""

    name: str
    text: str
    options: tuple[Option, ...]
    argument: str


def main() -> None:
    """Write all scripts."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, text in scripts().items():
        (target / name).write_text(text, encoding="utf-8")


def scripts() -> dict[str, str]:
    """File name -> completion script."""
    root = click.Context(group, info_name=PROGRAM, **group.context_settings)
    program = described(PROGRAM, group, root)
    commands = [
        described(name, command, click.Context(command, info_name=name, parent=root))
        for name, command in group.shown().items()
    ]
    return {
        "git-annex-syncx": bash(program, commands),
        "_git-annex-syncx": zsh(program, commands),
        "git-annex-syncx.fish": fish(program, commands),
    }


def described(name: str, command: click.Command, context: click.Context) -> Command:
    """What click knows of a command."""
    parameters = command.get_params(context)
    arguments = [kind(p) for p in parameters if isinstance(p, click.Argument)]
    return Command(
        name,
        first_line(command.help),
        tuple(option(p) for p in parameters if isinstance(p, click.Option) and not p.hidden),
        arguments[0] if arguments else "",
    )


def option(parameter: click.Option) -> Option:
    """What click knows of an option."""
    takes_value = not parameter.is_flag and not parameter.count
    return Option(
        (*parameter.opts, *parameter.secondary_opts),
        kind(parameter) if takes_value else "",
        parameter.multiple or parameter.count,
        first_line(parameter.help),
        (parameter.metavar or "TEXT").lower(),
    )


def kind(parameter: click.Parameter) -> str:
    """`[REMOTE...]` -> `remote`, a choice -> `words` and what there is to choose from."""
    if isinstance(parameter.type, click.Choice):
        return " ".join(["words", *map(str, parameter.type.choices)])
    metavar = parameter.metavar or "TEXT"
    if metavar in ARGUMENTS:
        return ARGUMENTS[metavar]
    return KINDS.get(re.sub(r"[^A-Z]", "", metavar), "text")


def words(kind: str) -> str:
    """What there is to choose from; nothing where that is another kind."""
    name, _, found = kind.partition(" ")
    return found if name == "words" else ""


def first_line(text: str | None) -> str:
    """The first line of a help text."""
    return (text or "").strip().split("\n")[0].rstrip(".")


def valued(program: Command, commands: list[Command]) -> list[str]:
    """The names of all options that take a value."""
    names = (name for c in (program, *commands) for o in c.options if o.kind for name in o.names)
    return list(dict.fromkeys(names))


def fill(template: str, **parts: str) -> str:
    """A template with its @PARTS@ in place."""
    text = (HERE / "templates" / template).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda found: parts[found[1]], text)


# bash


def bash(program: Command, commands: list[Command]) -> str:
    """The script for bash."""
    everything = [program, *commands]
    tables = [
        f"__git_annex_syncx_commands={single(' '.join(c.name for c in commands))}",
        *case("options", "The options of a command, or of the program.", everything, flat_options),
        *case("arguments", "What a command's arguments are.", commands, lambda c: c.argument),
        *kinds(everything),
    ]
    return fill("git-annex-syncx.bash", TABLES="\n".join(tables), VALUED=" | ".join(valued(program, commands)))


def flat_options(command: Command) -> str:
    """All names of all options."""
    return " ".join(name for o in command.options for name in o.names)


def case(name: str, what: str, commands: list[Command], value: Callable[[Command], str]) -> Iterator[str]:
    """A function that prints a value for a command."""
    yield from ("", f"# {what}", f"__git_annex_syncx_{name}() {{", '    case "$1" in')
    for command in commands:
        if value(command):
            pattern = "''" if command.name == PROGRAM else command.name
            yield f"    {pattern}) echo {single(value(command))} ;;"
    yield from ("    esac", "}")


def kinds(commands: list[Command]) -> Iterator[str]:
    """A function that prints what the value of an option is."""
    yield from (
        "",
        "# What the value of option $2 of command $1 is.",
        "__git_annex_syncx_kind() {",
        '    case "$1 $2" in',
    )
    for command in commands:
        for found in command.options:
            if found.kind:
                name = "" if command.name == PROGRAM else command.name
                patterns = " | ".join(single(f"{name} {flag}") for flag in found.names)
                yield f"    {patterns}) echo {found.kind} ;;"
    yield from ("    esac", "}")


# zsh

ZSH = {"directory": "_directories", "file": "_files", "remote": "__git_annex_syncx_remotes", "text": ""}


def zsh(program: Command, commands: list[Command]) -> str:
    """The script for zsh."""
    return fill(
        "git-annex-syncx.zsh",
        SUMMARY=program.text[0].lower() + program.text[1:],
        COMMANDS="\n".join(f"    {single(f'{c.name}:{c.text}')}" for c in commands),
        GLOBALS="\n".join(f"    {spec} \\" for o in program.options for spec in zsh_specs(o)),
        CASES="\n".join(line for c in commands for line in zsh_case(c)),
    )


def zsh_case(command: Command) -> Iterator[str]:
    """The branch of a command."""
    yield f"      ({command.name})"
    yield "        _arguments \\"
    for found in command.options:
        yield from (f"          {spec} \\" for spec in zsh_specs(found))
    yield from {
        "remote": ["          '*: :__git_annex_syncx_remotes' && ret=0"],
        "command": ["          '1: :__git_annex_syncx_commands' && ret=0"],
        "file": ["          '*: :_files' && ret=0"],
        "either": ["          '*: :__git_annex_syncx_remotes_or_files' && ret=0"],
        "words": [f"          '1: :({words(command.argument)})' && ret=0"],
    }.get(command.argument.partition(" ")[0], ["          && ret=0"])
    yield "        ;;"


def zsh_specs(found: Option) -> Iterator[str]:
    """What _arguments is told of an option."""
    text = re.sub(r"([\[\]:\\])", r"\\\1", found.text)
    others = "*" if found.repeats else f"({' '.join(found.names)})"
    for name in found.names:
        equals = ("=" if name.startswith("--") else "") if found.kind else ""
        offered = ZSH.get(found.kind, f"({words(found.kind)})")
        value = f":{found.metavar}:{offered}" if found.kind else ""
        yield single(f"{others}{name}{equals}[{text}]{value}")


# fish

FISH = {
    "directory": "-x -a '(__fish_complete_directories)'",
    "file": "-r",
    "remote": "-x -a '(__git_annex_syncx_remotes)'",
    "text": "-x",
    "": "-f",
}


def fish(program: Command, commands: list[Command]) -> str:
    """The script for fish."""
    lines = [
        f"complete -c $program -n __git_annex_syncx_needs_command -f -a {c.name} -d {fish_quoted(c.text)}"
        for c in commands
    ]
    lines += [fish_option("__git_annex_syncx_needs_command", o) for o in program.options]
    for found in dict.fromkeys(o for c in commands for o in c.options):
        users = " ".join(c.name for c in commands if found in c.options)
        lines.append(fish_option(f"'__git_annex_syncx_using {users}'", found))
    for what, offered in {
        "remote": "-f -a '(__git_annex_syncx_remotes)'",
        "either": "-F -a '(__git_annex_syncx_remotes)'",
        "file": "-F",
        "command": f"-f -a {single(names(commands))}",
    }.items():
        users = " ".join(c.name for c in commands if c.argument == what)
        lines.append(f"complete -c $program -n '__git_annex_syncx_using {users}' {offered}")
    for found in dict.fromkeys(c.argument for c in commands if words(c.argument)):
        users = " ".join(c.name for c in commands if c.argument == found)
        once = f"'__git_annex_syncx_using {users}; and not __fish_seen_subcommand_from {words(found)}'"
        lines.append(f"complete -c $program -n {once} -f -a {single(words(found))}")
    complete = "\n".join(f"    {line}" for line in lines)
    return fill("git-annex-syncx.fish", VALUED=" ".join(valued(program, commands)), COMPLETE=complete)


def fish_option(condition: str, found: Option) -> str:
    """What fish is told of an option."""
    flags = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in found.names)
    value = FISH.get(found.kind, f"-x -a {single(words(found.kind))}")
    return f"complete -c $program -n {condition} {flags} {value} -d {fish_quoted(found.text)}"


def names(commands: list[Command]) -> str:
    """The names of all commands."""
    return " ".join(c.name for c in commands)


def single(text: str) -> str:
    """Text in single quotes, for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def fish_quoted(text: str) -> str:
    """Text in single quotes, for fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


if __name__ == "__main__":
    main()
