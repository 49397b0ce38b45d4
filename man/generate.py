"""Write the manual pages: click's own definitions, and the sections that are written by hand in man/sections/.

    python man/generate.py [DIRECTORY]

One page for the program and one for each command, into man/ unless another directory is named. Nothing in them
depends on the day or the machine, so that the same source makes the same bytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from git_annex_syncx import __version__
from git_annex_syncx.cli import group

PROGRAM = "git-annex-syncx"
DATE = "2026-11-23"  # of the text; changed by hand together with the version
HERE = Path(__file__).parent
SECTIONS = HERE / "sections"
ESCAPES = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}


def main() -> None:
    """Write all pages."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, text in pages().items():
        (target / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """File name -> manual page in man(7) markup."""
    root = click.Context(group, info_name=PROGRAM, **group.context_settings)
    found = {f"{PROGRAM}.1": page(PROGRAM, group, root)}
    for name, command in group.shown().items():
        context = click.Context(command, info_name=name, parent=root)
        found[f"{PROGRAM}-{name}.1"] = page(f"{PROGRAM}-{name}", command, context)
    return found


def page(name: str, command: click.Command, context: click.Context) -> str:
    """One page: what click knows in front, then the sections written by hand in their own order."""
    written = sections(read("common")) | sections(read(name.removeprefix(f"{PROGRAM}-")))
    see_also = written.pop("SEE ALSO")
    exits = written.pop("EXIT STATUS")
    lines = [
        '.\\" Written by man/generate.py from cli/ and man/sections/; after a change there run "make man".',
        f'.TH "{escape(name.upper())}" "1" "{DATE}" "{escape(PROGRAM)} {__version__}" "User Commands"',
        ".nh",
        ".ad l",
        ".SH NAME",
        escape(f"{name} - {summary(command)}"),
        ".SH SYNOPSIS",
        *synopsis(command, context),
        *heading("DESCRIPTION", written.pop("DESCRIPTION")),
    ]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS", *commands()]
    lines += [".SH OPTIONS", *options(command, context)]
    for title, text in written.items():
        lines += heading(title, text)
    lines += [*heading("EXIT STATUS", exits), *heading("SEE ALSO", see_also)]
    return "\n".join(lines) + "\n"


def summary(command: click.Command) -> str:
    """The first line of a command's help, as the NAME section wants it."""
    first = (command.help or "").split("\n")[0].rstrip(".")
    return first[0].lower() + first[1:]


def synopsis(command: click.Command, context: click.Context) -> Iterator[str]:
    """How the command is called, in both ways."""
    if isinstance(command, click.Group):
        name, words = "", ["[OPTIONS]", "COMMAND", "[ARGUMENTS]"]
    else:
        name, words = f" {context.info_name}", command.collect_usage_pieces(context)
    rest = " ".join(map(placeholder, words))
    yield f"\\fB{escape(f'git annex-syncx{name}')}\\fP {rest}"
    yield ".br"
    yield f"\\fB{escape(f'git annex syncx{name}')}\\fP {rest}"


def placeholder(word: str) -> str:
    """`[REMOTE...]` with its name in italics."""
    return re.sub(r"[A-Z]+", lambda found: f"\\fI{found[0]}\\fP", escape(word))


def commands() -> Iterator[str]:
    """The commands, each with the page that tells more."""
    for name, command in group.shown().items():
        yield ".TP"
        yield f"\\fB{escape(name)}\\fP"
        yield escape((command.help or "").split("\n")[0])
        yield f"See \\fB{escape(f'{PROGRAM}-{name}')}\\fP(1)."


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    """The options with their help."""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record:
            flags, text = record
            yield ".TP"
            yield flagged(*flags.rpartition(" "))
            yield escape(text)


def flagged(flags: str, space: str, last: str) -> str:
    """Flags in bold, the name of a value behind them in italics."""
    if not last.isupper():
        return f"\\fB{escape(flags + space + last)}\\fP"
    return f"\\fB{escape(flags)}\\fP \\fI{escape(last)}\\fP"


# The sections written by hand: headings `# TITLE`, paragraphs, `term` and `: text`, and four spaces before what
# stands as it is; `code` and *names* within a line.


def read(name: str) -> str:
    """The text of a file in man/sections/."""
    return (SECTIONS / f"{name}.md").read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """Title -> text below it, in order."""
    parts = re.split(r"^# (.+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def heading(title: str, text: str) -> Iterator[str]:
    """A section in man(7) markup."""
    yield f".SH {escape(title)}"
    first = True
    for block in re.split(r"\n\n+", text.strip("\n")):
        yield from markup(block.split("\n"), first)
        first = False


def markup(lines: list[str], first: bool) -> Iterator[str]:
    """One block: as it is, a list of terms, or a paragraph."""
    if lines[0].startswith("    "):
        yield from [] if first else [".PP"]
        yield from [".RS 4", ".nf", *(literal(line[4:]) for line in lines), ".fi", ".RE"]
    elif len(lines) > 1 and lines[1].startswith(": "):
        for line in lines:
            yield from [line_of(line[2:])] if line[:2] in (": ", "  ") else [".TP", line_of(line)]
    else:
        yield from [] if first else [".PP"]
        yield from map(line_of, lines)


def line_of(text: str) -> str:
    """A line of text with `code` in bold and *names* in italics."""
    marked = re.split(r"(`[^`]+`|\*[^*\s]+\*)", text)
    fonts = {"`": "\\fB{}\\fP", "*": "\\fI{}\\fP"}
    found = "".join(
        fonts[part[0]].format(escape(part[1:-1], lead=False)) if number % 2 else escape(part, lead=False)
        for number, part in enumerate(marked)
        if part
    )
    return guard(found)


def literal(text: str) -> str:
    """A line that is shown as it is; an empty one would end a paragraph."""
    return escape(text) or r"\&"


def escape(text: str, lead: bool = True) -> str:
    """Text without meaning for roff: no escapes, no dash that is no dash, no dot or quote that is a request."""
    found = "".join(ESCAPES.get(character, character) for character in text)
    return guard(found) if lead else found


def guard(line: str) -> str:
    """A line that roff does not take for a request."""
    return rf"\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    main()
