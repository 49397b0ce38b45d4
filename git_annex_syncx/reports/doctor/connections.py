"""One look at each remote over the network, all at once: whether it can be reached, and what is there."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from git_annex_syncx import __version__
from git_annex_syncx.annex.annex import OLDEST, release_date
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import git, transport
from git_annex_syncx.git.remote_shell import HostPath, facts, host_path, run_there, trusting
from git_annex_syncx.model import Remote
from git_annex_syncx.reasons import REACH
from git_annex_syncx.reports.doctor.finding import Finding, Level, of_error
from git_annex_syncx.reports.doctor.repository import SET_CLOCK, SKEW
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import at_once

# Run by the shell of the other host. A login that may run nothing but git prints none of this.
SCRIPT = """\
say clock "$(date +%s)"
say host "$(uname -n)"
say git "$(git version 2>/dev/null)"
say annex "$(git-annex version --raw 2>/dev/null)"
say shell "$(command -v git-annex-shell 2>/dev/null)"
find_repository
said=$(cd "$at" 2>&1 && GIT_DIR=. git rev-parse --git-dir 2>&1 >/dev/null &&
    { unset GIT_DIR; git -c safe.bareRepository=all rev-parse --git-dir 2>&1 >/dev/null; }) ||
    { say wrong "$(printf %s "$said" | tr '\\n' ' ')"; exit 0; }
cd "$at" || exit 0
say inode "$(ls -di . | sed 's/^ *//; s/ .*//')"
say uuid "$(git config --file config annex.uuid)"
say free "$(df -Pk . | sed -n '2s/.* \\([0-9][0-9]*\\)  *[0-9][0-9]*%.*/\\1/p')"
hook=$(sed -n 's/^ *syncx=\\(.*\\); \\[ -x .*/\\1/p' hooks/post-receive 2>/dev/null | tr -d "'")
[ "$hook" ] || exit 0
[ -x "$hook" ] || hook=$(command -v git-annex-syncx)
say hook "${hook:-gone}"
[ "$hook" ] && say syncx "$("$hook" --version 2>/dev/null)"
exit 0
"""
NUMBER = re.compile(r"[0-9]{1,15}")  # what others say may be anything
LITTLE = 1 << 20  # bytes that are free where git-annex can store nothing any more


@dataclass(frozen=True)
class Probe:
    """The result of a look at one remote; `facts` are what the host says, empty where it says nothing."""

    remote: Remote
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Return which repository it is, by host and inode; empty where that is not known."""
        return f"{self.facts['host']} {self.facts['inode']}" if {"host", "inode"} <= self.facts.keys() else ""


def probe(context: Context) -> list[Probe]:
    """Look at all remotes that git reaches over a network."""
    remotes = [
        remote
        for remote in context.settings.remotes.values()
        if remote.sync and not remote.special and not remote.path and not remote.through_special
    ]
    return at_once(lambda remote: _probe(context, remote), remotes, context.settings.jobs)


def _probe(context: Context, remote: Remote) -> Probe:
    there = host_path(remote.push_url)
    try:
        told = _ask(context, remote, there) if there else {}
        if not told:
            transport.ls_remote(context.repo, context.settings, remote)
    except SyncxError as error:
        found = of_error("connection", error, remote.name)
        asked = f"{REACH}: git remote get-url {shlex.quote(remote.name)}"
        return Probe(remote, (replace(found, advice=found.advice or asked),))
    return Probe(remote, tuple(_findings(remote, there, told)) if there and told else (), told)


def _ask(context: Context, remote: Remote, there: HostPath) -> dict[str, str]:
    """Return what the host says of itself, nothing where it runs only git. Raises ProgramFailed."""
    begun = time.time()
    done = run_there(context.repo, context.settings, remote, there, SCRIPT)
    told = facts(done.out)
    return told | {"asked": f"{begun:.0f}"} if told else {}


def _findings(remote: Remote, there: HostPath, facts: Mapping[str, str]) -> Iterator[Finding]:
    yield from _programs(remote, there, facts)
    if "wrong" in facts:
        error = SyncxError(*_wrong(remote, there, facts["wrong"]))
        yield of_error("remote", error, remote.name)
        return
    yield from _hook(remote, there, facts)
    yield from _values(remote, there, facts)


def _wrong(remote: Remote, there: HostPath, said: str) -> tuple[str, str]:
    """Return what is wrong with the repository there, and what mends it."""
    if trust := trusting(there, said):
        return "git does not trust the repository there, as it is another user's", f"if you trust it: {trust}"
    name = shlex.quote(remote.name)
    moved = f"git remote set-url {name} URL"
    return f"there is no git repository in {there.path} on {there.host}", f"if it was moved: {moved}"


def _programs(remote: Remote, there: HostPath, facts: Mapping[str, str]) -> Iterator[Finding]:
    version = tuple(map(int, re.findall(r"[0-9]{1,6}", facts.get("git", ""))[:2]))
    if not version:
        yield Finding(
            "versions", f"no git is on the PATH of ssh {there.host}", "install git there", remote=remote.name
        )
    elif version < git.OLDEST and facts.get("hook"):
        what = f"git there is {facts['git'].removeprefix('git version ')}, too old for git-annex-syncx"
        yield Finding(
            "versions", what, f"install git {git.OLDEST[0]}.{git.OLDEST[1]} or newer there", remote=remote.name
        )
    if remote.ignore:
        return
    if not facts.get("shell"):
        what = f"no git-annex-shell is on the PATH of ssh {there.host}: no content travels there"
        advice = "install git-annex there, or if it is to hold no content: {}"
        command = shlex.join(["git", "config", f"remote.{remote.name}.annex-ignore", "true"])
        yield Finding("versions", what, advice, command, remote.name)
    elif 0 < release_date(facts.get("annex", "")) < OLDEST:
        what = f"git-annex there is {facts['annex']}, older than 10.{OLDEST}"
        yield Finding("versions", what, "install a newer one there", remote=remote.name, level=Level.ADVICE)


def _hook(remote: Remote, there: HostPath, facts: Mapping[str, str]) -> Iterator[Finding]:
    if facts.get("hook") == "gone":
        what = "the hooks there call a git-annex-syncx that has gone: nothing that is pushed there is merged"
        yield Finding(
            "hooks", what, "install it there, then there: git annex-syncx hooks install", remote=remote.name
        )
    elif (version := facts.get("syncx", "").rpartition(" ")[2]) and version != __version__:
        what = f"its hooks run git-annex-syncx {version}, here is {__version__}"
        yield Finding("versions", what, "install the newer one at both", remote=remote.name, level=Level.ADVICE)


def _values(remote: Remote, there: HostPath, facts: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is other than what is known here."""
    name, uuid = remote.name, facts.get("uuid")
    if uuid and remote.uuid and uuid != remote.uuid:
        what = f"another repository is there: its annex.uuid is {uuid}, not {remote.uuid}"
        meant = shlex.join(["git", "config", f"remote.{name}.annex-uuid", uuid])
        yield Finding("uuid", what, "set its url right, or if this is meant: {}", meant, name)
    if remote.ignore and not remote.found_without and uuid and facts.get("shell"):
        what = "git-annex is there, but annex-ignore keeps content from travelling"
        command = shlex.join(["git", "config", "--unset", f"remote.{name}.annex-ignore"])
        yield Finding("content", what, "if that is not meant: {}", command, name, Level.ADVICE)
    free, clock = (NUMBER.fullmatch(facts.get(fact, "")) for fact in ("free", "clock"))
    if free and int(free[0]) * 1024 < LITTLE:
        yield Finding("disk", f"no room is left in {there.path} on {there.host}", "make room there", remote=name)
    if clock and abs(ahead := int(clock[0]) - float(facts["asked"])) > SKEW:
        way = "ahead of" if ahead > 0 else "behind"
        what = f"its clock is {abs(ahead) / 3600:,.1f} hours {way} the one here"
        yield Finding("clock", what, "where it is wrong: {}", SET_CLOCK, name, Level.ADVICE)
