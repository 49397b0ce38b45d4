"""Let the system start us: systemd's user units, an instance a repository, or lines for cron."""

from __future__ import annotations

import glob
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from git_annex_syncx.errors import ProgramFailed, SyncxError, UsageError
from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import files, run
from git_annex_syncx.triggers.follow import require_watcher

LONGEST_NAME = 255  # of a unit
RETRY_EVERY, SYNC_EVERY = 30, 360  # minutes
SERVICE = """\
# made by: git annex-syncx service install
[Unit]
Description=git-annex-syncx {command} in %f
Documentation=man:git-annex-syncx-{command}(1)
After=network.target

[Service]
Type={type}
ExecStart={program} -C %f {command}
{more}"""
STAYS = """\
Restart=on-failure
RestartSec=30
KillMode=mixed
TimeoutStopSec=10

[Install]
WantedBy=default.target
"""
TIMER = """\
# made by: git annex-syncx service install
[Unit]
Description=git-annex-syncx {command} in %f, every {minutes} minutes

[Timer]
OnStartupSec=2min
OnUnitInactiveSec={minutes}min
RandomizedDelaySec=1min

[Install]
WantedBy=timers.target
"""


def do(repo: Repository, action: str, kind: str) -> Iterator[str]:
    """`install`, `uninstall` or `show` what runs `watch` all the time, or `retry` and `sync` by a `timer` or `cron`.

    Yield lines for the user. Raises UsageError.
    """
    if kind == "cron":
        yield from _cron(repo)
        return
    if sys.platform == "darwin":
        raise UsageError("service is for systemd, which macOS does not have", "git annex-syncx service show --cron")
    place, made, units = _units(repo, kind)
    if action == "show":
        for name, text in made.items():
            yield f"# {place / name}"
            yield text
    elif action == "install":
        if kind == "watch":
            require_watcher()
        yield from _install(place, made, units)
    else:
        yield from _uninstall(place, made, units)


def _install(place: Path, made: Mapping[str, str], units: Iterable[str]) -> Iterator[str]:
    for name in made:
        if os.path.lexists(place / name) and not _is_ours(place / name):
            raise UsageError(f"{place / name} is there and is not ours", "move it away, then install again")
    with files.writing(place):
        place.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        files.write(place / name, text)
        yield f"written: {place / name}"
    yield from _systemctl(place, ("daemon-reload",), ("enable", "--now", *units))


def _uninstall(place: Path, made: Mapping[str, str], units: Iterable[str]) -> Iterator[str]:
    ours = [name for name in made if _is_ours(place / name)]
    if not ours:
        yield f"not installed: nothing of ours is in {place}"
        return
    yield from _systemctl(place, ("disable", "--now", *units))
    for name in ours:
        path = place / name
        if "@" in name and _others(place, name):
            yield f"kept, other repositories use it: {path}"
        else:
            with files.writing(path):
                path.unlink(missing_ok=True)
            yield f"removed: {path}"


def _is_ours(path: Path) -> bool:
    return "git annex-syncx service install" in files.read(path)


def _others(place: Path, name: str) -> bool:
    """Return whether instances of a template are still enabled, or of the timer that starts it."""
    return any(place.glob(f"*.wants/{name.partition('@')[0]}@?*"))


def _systemctl(place: Path, *commands: tuple[str, ...]) -> Iterator[str]:
    """Tell systemd, or say what is to be run where that cannot be done here."""
    left, why = [], ""
    for words in commands:
        try:
            directory = place if place.exists() else Path("/")
            run.run("systemctl", "--user", *words, cwd=directory, env=run.environment(), limit=60.0)
        except SyncxError as error:
            left.append(f"  {shlex.join(['systemctl', '--user', *words])}")
            why = why or _reason(error)
    if left:
        yield f"this could not be done from here ({why}); run it in a session of yours:"
        yield from left


def _reason(error: SyncxError) -> str:
    """Return the last thing that a program said: what came before is what it did."""
    said = error.stderr.strip().splitlines() if isinstance(error, ProgramFailed) else []
    return said[-1] if said else error.what


def _units(repo: Repository, kind: str) -> tuple[Path, dict[str, str], list[str]]:
    """Return the directory of the user's units, the files to be there (name -> text), the instances to enable."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    instance, program = escaped(home(repo)), _quoted(run.own_program())
    made, units = {}, []
    for command, minutes in (("watch", 0),) if kind == "watch" else (("retry", RETRY_EVERY), ("sync", SYNC_EVERY)):
        name, stays = f"git-annex-syncx-{command}@", not minutes
        made[f"{name}.service"] = SERVICE.format(
            command=command, program=program, type="exec" if stays else "oneshot", more=STAYS if stays else ""
        )
        if minutes:
            made[f"{name}.timer"] = TIMER.format(command=command, minutes=minutes)
        units.append(f"{name}{instance}.{'service' if stays else 'timer'}")
    if max(map(len, units)) > LONGEST_NAME:
        raise UsageError(f"the path {home(repo)} is too long for systemd", "git annex-syncx service show --cron")
    return Path(config) / "systemd" / "user", made, units


def escaped(path: Path) -> str:
    """Return a path as the instance of a unit, after systemd-escape(1) --path."""
    text = os.fsencode(path).strip(b"/") or b"/"
    out = "".join(chr(c) if re.match(rb"[A-Za-z0-9:_.]", bytes([c])) else f"\\x{c:02x}" for c in text)
    out = out.replace("\\x2f", "-")
    return "\\x2e" + out[1:] if out.startswith(".") else out


def _quoted(path: Path) -> str:
    """Return a path as the first word of ExecStart, in which a dollar is a dollar."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if re.search(r"[^A-Za-z0-9/._+%$-]", text) else text


@dataclass(frozen=True)
class State:
    """Units of this repository that are enabled, and files that differ from what would be written now."""

    enabled: tuple[str, ...]
    outdated: tuple[Path, ...]


def state(repo: Repository, kind: str) -> State:
    """Return how what runs `watch` or a `timer` stands, by the files of systemd. Raises UsageError."""
    place, made, units = _units(repo, kind)
    enabled = tuple(
        unit for unit in units if any(os.path.lexists(link) for link in place.glob(f"*.wants/{glob.escape(unit)}"))
    )
    return State(enabled, tuple(place / name for name, text in made.items() if files.read(place / name) != text))


def _cron(repo: Repository) -> Iterator[str]:
    where = f"{shlex.quote(str(run.own_program()))} -C {shlex.quote(str(home(repo)))}".replace("%", "\\%")
    yield f"*/{RETRY_EVERY} * * * * {where} retry"
    yield f"17 */{SYNC_EVERY // 60} * * * {where} sync"


def home(repo: Repository) -> Path:
    return (repo.top or repo.git_dir).resolve()
