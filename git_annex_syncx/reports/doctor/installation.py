"""Checks of what is installed on this computer: programs, completion, manual pages."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from git_annex_syncx.annex import annex
from git_annex_syncx.errors import SyncxError, UsageError
from git_annex_syncx.git import git
from git_annex_syncx.reports.doctor.finding import Finding, Level, of_error
from git_annex_syncx.system import run

# What loads completion, and into which file below the home directory it goes.
LOADED = "_GIT_ANNEX_SYNCX_COMPLETE={shell}_source {program}"
START_FILES = {"bash": ".bashrc", "zsh": ".zshrc"}
FILES = {
    "bash": "bash-completion/completions/git-annex-syncx",
    "zsh": "zsh/site-functions/_git-annex-syncx",
    "fish": "fish/vendor_completions.d/git-annex-syncx.fish",
}
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
MARK = "GIT_ANNEX_SYNCX_COMPLETE"
SYSTEM_PATH = ("/usr/bin", "/bin")  # where cron looks for programs


def check() -> Iterator[Finding]:
    """Yield what is wrong with the installation."""
    try:
        yield from _own_program()
        yield from _completion()
        yield from _manual()
        git.require_version()
        annex.program()
    except SyncxError as error:
        yield of_error("programs", error)


def _own_program() -> Iterator[Finding]:
    """Yield that git, which goes by the PATH alone, does not find this program."""
    own, found = run.own_program(), shutil.which(run.PROGRAM)
    if found is None:
        what = f"{run.PROGRAM} is not on the PATH, so git annex-syncx is no command"
        link = f"mkdir -p ~/.local/bin && ln -s {shlex.quote(str(own))} ~/.local/bin/"
        yield Finding("programs", what, "put its directory on the PATH, or with ~/.local/bin there: {}", link)
    elif not os.path.samefile(os.path.realpath(found), os.path.realpath(own)):
        what = f"git annex-syncx is {found}, and this is {own}"
        advice = "remove the older one, or put the directory of the newer one first on the PATH"
        yield Finding("programs", what, advice, level=Level.ADVICE)


def _completion() -> Iterator[Finding]:
    shell = os.path.basename(os.environ.get("SHELL", ""))
    if shell not in FILES or _is_completed(shell):
        return
    program = run.PROGRAM if shutil.which(run.PROGRAM) else shlex.quote(str(run.own_program()))
    loaded = LOADED.format(shell=shell, program=program)
    if shell == "fish":
        place = '"${XDG_CONFIG_HOME:-$HOME/.config}/fish/completions"'
        command = f"mkdir -p {place} && {loaded} >{place}/git-annex-syncx.fish"
    else:
        command = f"echo 'eval \"$({loaded})\"' >>~/{START_FILES[shell]}"
    yield Finding("completion", f"{shell} completes no words of git annex-syncx", "{}", command, level=Level.ADVICE)


def _is_completed(shell: str) -> bool:
    home = Path(os.path.expanduser("~"))
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    data = [os.environ.get("XDG_DATA_HOME") or str(home / ".local/share")]
    data += (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    if shell == "bash" and _searches_path():
        data += [str(Path(place).parent / "share") for place in os.environ.get("PATH", "").split(":")]
    if any((Path(place) / FILES[shell]).is_file() for place in data):
        return True
    scripts = [home / START_FILES.get(shell, ""), home / ".bash_completion", config / "fish/config.fish"]
    scripts += [config / "fish/completions/git-annex-syncx.fish"] if shell == "fish" else []
    return any(MARK in _text(script) for script in scripts)


def _searches_path() -> bool:
    """Return whether bash-completion is new enough to look beside the directories of the PATH."""
    found = re.search(r"^BASH_COMPLETION_VERSINFO=\((\d+) (\d+)", _text(BASH_COMPLETION), re.MULTILINE)
    return found is not None and (int(found[1]), int(found[2])) >= (2, 12)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _manual() -> Iterator[Finding]:
    """Yield that man, and so `git annex help syncx`, does not find the pages."""
    env = {**run.environment(), "PATH": os.environ.get("PATH", "")}  # by which man, too, finds its pages
    try:
        found = run.run("man", "--where", run.PROGRAM, cwd=Path("/"), env=env, ok=range(256))
    except UsageError:
        return  # there is no man to show it
    if found.code == 0 and os.path.isfile(os.fsdecode(found.out).strip()):
        return
    pages = Path(sys.prefix) / "share" / "man"
    if (pages / "man1" / f"{run.PROGRAM}.1").is_file():
        line = shlex.quote(f"export MANPATH={shlex.quote(str(pages))}:$MANPATH")
        what, command = f"man does not find the manual pages in {pages}", f"echo {line} >>~/.profile"
        yield Finding("manual", what, "{}", command, level=Level.ADVICE)


def of_automatic_runs(by: str) -> Iterator[Finding]:
    """Yield the programs that cron would not find: its PATH is short."""
    path = os.pathsep.join((*SYSTEM_PATH, str(Path(sys.executable).parent)))
    for program in ("git", "git-annex"):
        here = shutil.which(program, path=run.environment()["PATH"])
        if here and not shutil.which(program, path=path):
            line = f"PATH={os.path.dirname(here)}:{os.pathsep.join(SYSTEM_PATH)}"
            what = f"{by} does not find {program}, which is in {os.path.dirname(here)}"
            yield Finding("programs", what, f"put this line first with crontab -e: {line}")
