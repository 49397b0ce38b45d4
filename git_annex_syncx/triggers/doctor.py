"""Checks of what runs by itself: hooks, service, cron, signals."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import configfile
from git_annex_syncx.git.git import Repository
from git_annex_syncx.reports.doctor import installation, ssh_keys
from git_annex_syncx.reports.doctor.finding import Finding, Level, of_error
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import at_once
from git_annex_syncx.system import run
from git_annex_syncx.triggers import hooks, service
from git_annex_syncx.triggers.follow import require_watcher
from git_annex_syncx.triggers.pid_file import process_at, watch_file

INSTALL = "git annex-syncx hooks install"
NOT_SHARED = {"", "umask", "false", "no", "off", "0"}
TRUST = "safe.directory"


def check(context: Context, online: bool) -> Iterator[Finding]:
    """Yield what is wrong with what runs by itself; `online`: with a signal on each channel."""
    yield from _hooks(context.repo)
    yield from _service(context)
    yield from _cron(context)
    yield from _signals(context, online)


def _hooks(repo: Repository) -> Iterator[Finding]:
    """Yield hooks that were installed, and do nothing now."""
    found = hooks.status(repo)
    wanted = hooks.moved(repo) or hooks.marked(repo) or any(hook.state != "absent" for hook in found)
    if not wanted:
        return
    if place := hooks.moved(repo):
        yield Finding("hooks", f"the hooks were installed in {place} and do nothing here", "{}", INSTALL)
        return
    yield from _trust(repo)
    missing = [hook for hook in found if hook.state == "absent"]
    for hook in found:
        if hook.state == "replaced":
            yield Finding("hooks", f"{hook.file} was replaced by something else", "this says what to do: {}", INSTALL)
        elif hook.state == "outdated":
            why = "calls a program that has gone" if _is_gone(hook.file) else "is out of date"
            yield Finding("hooks", f"{hook.file} {why}", "{}", INSTALL)
    if missing:
        names = ", ".join(hook.name for hook in missing)
        yield Finding("hooks", f"of the hooks these are not in {missing[0].file.parent}: {names}", "{}", INSTALL)


def _trust(repo: Repository) -> Iterator[Finding]:
    """Yield that git does not trust a shared repository in the hooks that others run there by a push."""
    shared = configfile.find(repo, "core.sharedRepository", everywhere=False)
    trusted = {"*", str(repo.home), str(repo.git_dir)}
    if not shared or shared.value.lower() in NOT_SHARED or trusted.intersection(configfile.for_all_users(TRUST)):
        return
    what = "the repository is shared: where another user pushes, git does not trust it, and its hooks do nothing"
    command = f"sudo git config --system --add {TRUST} {shlex.quote(str(repo.home))}"
    yield Finding("hooks", what, "to trust it for all users: {}", command, level=Level.ADVICE)


def _is_gone(hook: Path) -> bool:
    """Return whether the program that a hook calls is no more."""
    try:
        called = re.search(r"^ *syncx=(.*); \[ -x ", hook.read_text(errors="surrogateescape"), re.MULTILINE)
        return called is not None and not os.access(shlex.split(called[1])[0], os.X_OK)
    except (OSError, ValueError, IndexError):
        return False


def _service(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with units of systemd for this repository."""
    for kind, option in (("watch", ""), ("timer", " --timer")):
        try:
            state = service.state(context.repo, kind)
        except SyncxError:
            return  # no path for a unit: then there is none
        if not state.enabled:
            continue
        install = f"git annex-syncx service install{option}"
        if state.outdated:
            yield Finding("service", f"{state.outdated[0]} is not what this program would write", "{}", install)
        if kind == "watch":
            yield from _watch(context, state.enabled[0])
        yield from ssh_keys.check(context, "systemd")
        yield from _lingering()


def _watch(context: Context, unit: str) -> Iterator[Finding]:
    try:
        require_watcher()
    except SyncxError as error:
        yield of_error("service", error)
        return
    if not process_at(watch_file(context.repo)):
        start = f"systemctl --user restart {shlex.quote(unit)}"
        yield Finding("service", "watch is installed as a service and does not run", "{}", start)


def _lingering() -> Iterator[Finding]:
    """Yield that a user's units end with the last session."""
    user = run.environment().get("USER", "")
    if user and Path("/var/lib/systemd").is_dir() and not Path("/var/lib/systemd/linger", user).exists():
        what = "the service runs only while you are logged in"
        yield Finding("service", what, "if it is to run always: {}", "loginctl enable-linger", level=Level.ADVICE)


def _cron(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with lines for this repository in the user's crontab."""
    try:
        listed = run.run("crontab", "-l", cwd=Path("/"), env=run.environment(), ok=range(256)).out
    except SyncxError:
        return  # there is no cron
    home = shlex.quote(str(service.home(context.repo))).replace("%", "\\%")
    lines = [line for line in os.fsdecode(listed).split("\n") if f" -C {home} " in line and not line.startswith("#")]
    for line in lines:
        called = re.search(r"(\S*git-annex-syncx)'? -C ", line)
        if called and called[1].startswith(("/", "'/")) and not os.access(called[1].lstrip("'"), os.X_OK):
            what = f"cron calls {called[1]}, which has gone"
            yield Finding(
                "cron", what, "write with crontab -e what this prints: {}", "git annex-syncx service show --cron"
            )
    if lines:
        if not re.search(rb"^PATH *=", listed, re.MULTILINE):
            yield from installation.of_automatic_runs("cron")
        yield from ssh_keys.check(context, "cron")


def _signals(context: Context, online: bool) -> Iterator[Finding]:
    """Yield channels on which nothing arrives."""
    if not context.settings.signals:
        return
    from git_annex_syncx.triggers.signals import commands
    from git_annex_syncx.triggers.signals.channel import shown

    def trouble(address: str) -> Finding | None:
        try:
            if online:
                commands.echo(context, address)
            else:
                commands.channel(context, address)
        except SyncxError as error:
            return Finding("signals", f"{shown(address)}: {error.what}", error.advice)
        return None

    yield from filter(None, at_once(trouble, context.settings.signals, context.settings.jobs))
