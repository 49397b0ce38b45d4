"""Let the system start us: systemd's user units, launchd's agents, lines for cron; one instance a repository."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

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
PLIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
  <key>Label</key><string>{label}</string>
  <key>ProgramArguments</key><array>{words}</array>
  {when}
  <key>ProcessType</key><string>Background</string>
</dict></plist>
"""
ALWAYS = "<key>RunAtLoad</key><true/><key>KeepAlive</key><true/>"
EVERY = "<key>StartInterval</key><integer>{seconds}</integer>"


def do(repo: Repository, action: str, kind: str) -> Iterator[str]:
    """`install`, `uninstall` or `show` what runs `watch` all the time, or `retry` and `sync` by a `timer` or `cron`.

    Yields lines for the user.
    """
    if kind == "cron":
        yield from _cron(repo)
        return
    place, made, start, stop = _launchd(repo, kind) if sys.platform == "darwin" else _systemd(repo, kind)
    if action == "show":
        for name, text in made.items():
            yield f"# {place / name}"
            yield text
    elif action == "install":
        if kind == "watch":
            require_watcher()
        yield from _install(place, made, start)
    else:
        yield from _uninstall(place, made, stop)


def _install(place: Path, made: Mapping[str, str], start: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for name in made:
        if os.path.lexists(place / name) and not _is_ours(place / name):
            raise UsageError(f"{place / name} is there and is not ours", "move it away, then install again")
    with files.writing(place):
        place.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        files.write(place / name, text)
        yield f"written: {place / name}"
    yield from _run(place, start)


def _uninstall(place: Path, made: Mapping[str, str], stop: Iterable[tuple[str, ...]]) -> Iterator[str]:
    ours = [name for name in made if _is_ours(place / name)]
    if not ours:
        yield f"not installed: nothing of ours is in {place}"
        return
    yield from _run(place, stop)
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


def _run(place: Path, commands: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Run the system's own program, or say what is to be run where that cannot be done here."""
    left, why = [], ""
    for program, *words in commands:
        try:
            run.run(program, *words, cwd=place if place.exists() else Path("/"), env=run.environment(), limit=60.0)
        except SyncxError as error:
            left.append(f"  {shlex.join([program, *words])}")
            why = why or _reason(error)
    if left:
        yield f"this could not be done from here ({why}); run it in a session of yours:"
        yield from left


def _reason(error: SyncxError) -> str:
    """The last thing that a program said: what came before is what it did."""
    said = error.stderr.strip().splitlines() if isinstance(error, ProgramFailed) else []
    return said[-1] if said else error.what


def _systemd(
    repo: Repository, kind: str
) -> tuple[Path, dict[str, str], list[tuple[str, ...]], list[tuple[str, ...]]]:
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    place, instance = Path(config) / "systemd" / "user", escaped(_home(repo))
    made, units = {}, []
    jobs = [("watch", 0)] if kind == "watch" else [("retry", RETRY_EVERY), ("sync", SYNC_EVERY)]
    for command, minutes in jobs:
        name = f"git-annex-syncx-{command}@"
        made[f"{name}.service"] = SERVICE.format(
            command=command, program=_quoted(run.own_program()), type="exec" if not minutes else "oneshot",
            more=STAYS if not minutes else "",
        )  # fmt: skip
        if minutes:
            made[f"{name}.timer"] = TIMER.format(command=command, minutes=minutes)
        units.append(f"{name}{instance}.{'timer' if minutes else 'service'}")
    if max(map(len, units)) > LONGEST_NAME:
        raise UsageError(f"the path {_home(repo)} is too long for systemd", "git annex-syncx service show --cron")
    systemctl = ("systemctl", "--user")
    start = [(*systemctl, "daemon-reload"), (*systemctl, "enable", "--now", *units)]
    return place, made, start, [(*systemctl, "disable", "--now", *units)]


def escaped(path: Path) -> str:
    """A path as the instance of a unit, after systemd-escape(1) --path."""
    text = os.fsencode(path).strip(b"/") or b"/"
    out = "".join(chr(c) if re.match(rb"[A-Za-z0-9:_.]", bytes([c])) else f"\\x{c:02x}" for c in text)
    out = out.replace("\\x2f", "-")
    return "\\x2e" + out[1:] if out.startswith(".") else out


def _quoted(path: Path) -> str:
    """A path as the first word of ExecStart, in which a dollar is a dollar."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if re.search(r"[^A-Za-z0-9/._+%$-]", text) else text


def _launchd(
    repo: Repository, kind: str
) -> tuple[Path, dict[str, str], list[tuple[str, ...]], list[tuple[str, ...]]]:
    place, made = Path.home() / "Library" / "LaunchAgents", {}
    jobs = [("watch", 0)] if kind == "watch" else [("retry", RETRY_EVERY), ("sync", SYNC_EVERY)]
    for command, minutes in jobs:
        label = f"git-annex-syncx.{command}.{escaped(_home(repo)).replace(chr(92), '_')}"
        words = (str(run.own_program()), "-C", str(_home(repo)), command)
        made[f"{label}.plist"] = _plist(label, words, minutes)
    names = [str(place / name) for name in made]
    return place, made, [("launchctl", "load", "-w", *names)], [("launchctl", "unload", "-w", *names)]


def _plist(label: str, words: Iterable[str], minutes: int) -> str:
    text = PLIST.format(
        label=escape(label),
        words="".join(f"<string>{escape(word)}</string>" for word in words),
        when=EVERY.format(seconds=60 * minutes) if minutes else ALWAYS,
    )
    return text.replace("<plist", "<!-- made by: git annex-syncx service install -->\n<plist", 1)


def _cron(repo: Repository) -> Iterator[str]:
    where = f"{shlex.quote(str(run.own_program()))} -C {shlex.quote(str(_home(repo)))}".replace("%", "\\%")
    yield f"*/{RETRY_EVERY} * * * * {where} retry"
    yield f"17 */{SYNC_EVERY // 60} * * * {where} sync"


def _home(repo: Repository) -> Path:
    return (repo.top or repo.git_dir).resolve()
