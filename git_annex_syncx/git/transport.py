"""Git's verbs towards a remote: fetch, push, ls-remote, over one shared ssh connection."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from git_annex_syncx.errors import PROGRESS, ProgramFailed, SyncxError, UsageError
from git_annex_syncx.git import drives, ssh
from git_annex_syncx.git.git import Repository, delete_ref, git, refs, without_probing
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import Fate, RefReport, Remote
from git_annex_syncx.reasons import LOCK
from git_annex_syncx.system import run
from git_annex_syncx.system.retry import retried

TRIES = 6  # where somebody else is in the way for an instant
PORTS = {"http": 80, "https": 443, "git": 9418}
HELPER = re.compile(r"[A-Za-z0-9+.-]+::")
LOST_REASONS = ("non-fast-forward", "fetch first", "stale info", "needs force", "remote ref updated since checkout")
# What receive-pack says when another push moved the ref while ours was under way.
LOST_REMOTE_REASONS = (
    "failed to update ref",
    "cannot lock ref",
    "incorrect old value provided",
    "reference already exists",
)
# What git-remote-annex says of a special remote that nobody has pushed git to yet.
NOTHING_YET = b"No git repository found in this remote"
# What it tries to read while another's push replaces it: a directory has no manifest for an instant.
REPLACED = re.compile(r"\bGIT(?:MANIFEST|BUNDLE)-")
CHECKED_OUT_REASONS = ("branch is currently checked out", "working directory has", "up-to-date check failed")

# What a part of a ref's name may not hold, after git-check-ref-format(1).
NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(^|/)\.|\.lock(/|$)|[/.]$|^$")


class Obstructed(Exception):
    """A push met what goes within seconds.

    The configuration was locked, in which git-annex notes who a new remote is, in the hook of each push; or another's
    push was replacing what a special remote holds.
    """

    def __init__(self, done: run.Done) -> None:
        """`done` is the push that met it."""
        super().__init__(done)
        self.done = done


class Replaced(ProgramFailed):
    """What was read from a special remote was replaced by another's push meanwhile."""

    soon = True


@dataclass(frozen=True)
class PushSpec:
    """The refs that a push sends, and the value that a forced ref must still have there (empty: must not exist).

    `wanted` maps the full name of each ref there to the full name of ours and its value.
    """

    wanted: Mapping[str, tuple[str, str]]
    leases: Mapping[str, str]

    def refspecs(self, url: str) -> tuple[str, ...]:
        """Return the refspecs: values are what was decided on, but remote helpers take only names."""
        by_name = HELPER.match(url) is not None
        return tuple(f"{ours if by_name else value}:{there}" for there, (ours, value) in self.wanted.items())


def fetch(repo: Repository, settings: Settings, remote: Remote, branches: Iterable[str] = ("*",)) -> None:
    """Fetch branches of a remote, named by patterns, into refs/remotes/NAME/, dropping what it no longer has.

    What the user's other refspecs bring there (pull requests) is no branch, and stays.
    """
    others = (f"^refs/heads/{place}" for place in remote.other_refs)
    wanted = (f"+refs/heads/{pattern}:refs/remotes/{remote.name}/{pattern}" for pattern in branches)
    _fetch(repo, settings, remote, (), (*wanted, *others))


def look_at(repo: Repository, settings: Settings, remote: Remote) -> dict[str, str]:
    """Bring the commits of a remote's branches, but for git-annex's own, and no ref; name of the branch -> commit."""
    prefix = f"refs/syncx/seen/{remote.name}/"
    left_out = ("^refs/heads/git-annex", "^refs/heads/synced/git-annex")
    _fetch(repo, settings, remote, ("--no-tags",), (f"+refs/heads/*:{prefix}*", *left_out))
    found = refs(repo, prefix[:-1])
    for ref, commit in found.items():
        delete_ref(repo, ref, commit)
    return {ref.removeprefix(prefix): commit for ref, commit in found.items()}


def look_at_annex(repo: Repository, settings: Settings, remote: Remote) -> str:
    """Bring the commits of a remote's git-annex branch and no ref of it, which git-annex would merge; the tip."""
    there = ls_remote(repo, settings, remote)
    for ref in ("refs/heads/git-annex", "refs/heads/synced/git-annex"):
        if ref in there:
            _fetch(repo, settings, remote, ("--no-tags",), (ref,))
            return there[ref]
    return ""


def _fetch(
    repo: Repository, settings: Settings, remote: Remote, options: Iterable[str], refspecs: Iterable[str]
) -> None:
    require_name(remote)
    drives.require_present(repo, remote)
    _require_listening(settings, remote.url, remote)
    _read(
        repo, settings, remote, "fetch", "--prune", "--progress", "--no-write-fetch-head", "--no-auto-maintenance",
        "--no-recurse-submodules", "--refmap=", *options, "--", remote.name, *refspecs,
    )  # fmt: skip


def _read(repo: Repository, settings: Settings, remote: Remote, *words: str) -> bytes:
    """Run a command of git that reads from a remote; return its output."""

    def attempt() -> bytes:
        done = git(
            repo, *_options(settings), *words, env=ssh.git_connection(repo, settings, remote, remote.url),
            stall=settings.stall_timeout, asks=True, ok=range(256),
        )  # fmt: skip
        if not done.code or (remote.through_special and NOTHING_YET in done.err):
            return done.out
        said, command = os.fsdecode(done.err), f"git {words[0]} {shlex.quote(remote.name)}"
        kind = Replaced if remote.through_special and REPLACED.search(said) else ProgramFailed
        raise kind(command, done.code, said, repo.home)

    return retried(attempt, Replaced, TRIES, 0.5, 4.0)


def push(repo: Repository, settings: Settings, remote: Remote, spec: PushSpec) -> tuple[RefReport, ...]:
    """Push all refspecs in one connection; each ref's fate. Raises where not even one was looked at."""
    drives.require_present(repo, remote)
    _require_listening(settings, remote.push_url, remote)
    drives.require_writable(repo, remote)
    try:
        done = retried(lambda: _push(repo, settings, remote, spec), Obstructed, TRIES, 0.5, 4.0)
    except Obstructed as error:
        done = error.done
    reports = _worst(read_porcelain(done.out))
    explained = any(report.fate not in (Fate.UPDATED, Fate.CURRENT) for report in reports)
    reached = sum(line.startswith(b"To ") for line in done.out.split(b"\n"))
    if not reports or (done.code != 0 and (not explained or reached < len(remote.push_urls))):
        raise ProgramFailed(f"git push {shlex.quote(remote.name)}", done.code, os.fsdecode(done.err), repo.home)
    words = _words_of_remote(os.fsdecode(done.err))
    failed = [Fate.REFUSED, *[Fate.LOST] * bool(re.search(LOCK, words))]  # a lock may be left behind
    told = (f"{report.reason}: {words}" if words and report.fate in failed else report.reason for report in reports)
    return tuple(replace(report, reason=reason) for report, reason in zip(reports, told, strict=True))


def _words_of_remote(stderr: str) -> str:
    """Return the last lines that programs at the other end have said, without progress and what git says anyway."""
    lines = [line.removeprefix("remote:").strip() for line in stderr.split("\n") if line.startswith("remote:")]
    lines = [line for line in lines if line and not PROGRESS.search(line) and "hook declined" not in line]
    lines = [line for line in lines if re.search(LOCK, line)] or lines
    return "; ".join(dict.fromkeys(lines[-3:]))


def _push(repo: Repository, settings: Settings, remote: Remote, spec: PushSpec) -> run.Done:
    leases = [f"--force-with-lease={ref}:{value}" for ref, value in spec.leases.items()]
    done = git(
        repo, *_options(settings), *without_probing(repo, (remote.name,)),
        # What is sent has no name, by which git could push submodules too: see branches/push_submodules.py.
        "push", "--porcelain", "--progress", "--recurse-submodules=no", *leases,
        "--", remote.name, *spec.refspecs(remote.push_url),
        env=ssh.git_connection(repo, settings, remote, remote.push_url)
        | ssh.annex_connection(repo, settings, remote),  # in git-annex's hook
        stall=settings.stall_timeout, ok=range(256), asks=True,
    )  # fmt: skip
    replaced = remote.through_special and b"\nTo " not in b"\n" + done.out and REPLACED.search(os.fsdecode(done.err))
    if done.code and (replaced or b"could not lock config file" in done.err):
        raise Obstructed(done)
    return done


def ls_remote(repo: Repository, settings: Settings, remote: Remote) -> dict[str, str]:
    """Return what branches the remote has now: full ref name -> object id."""
    drives.require_present(repo, remote)
    told = os.fsdecode(_read(repo, settings, remote, "ls-remote", "--heads", "--", remote.name))
    rows = (line.split("\t") for line in told.split("\n") if line)
    return {name: value for value, name in rows}


def require_name(remote: Remote) -> None:
    """Raise UsageError where git can make no tracking refs of a remote's name."""
    if NO_REF.search(remote.name):
        what = f"git cannot keep branches of a remote that is called {remote.name!r}"
        section = shlex.quote(f"remote.{remote.name}")
        raise UsageError(what, f"git config --remove-section {section}, then git remote add ANOTHER_NAME URL")


def maintain(repo: Repository) -> None:
    """Let git tidy up, once a run instead of once a fetch."""
    with contextlib.suppress(ProgramFailed):  # only tidiness depends on it
        git(repo, "maintenance", "run", "--auto", "--quiet")


def read_porcelain(out: bytes) -> tuple[RefReport, ...]:
    """Return the lines of `git push --porcelain`: flag TAB from:to TAB summary (reason)."""
    reports = []
    for line in os.fsdecode(out).split("\n"):
        fields = line.split("\t")
        if len(fields) == 3 and len(fields[0]) == 1 and ":" in fields[1]:
            reports.append(RefReport(fields[1].rpartition(":")[2], *_fate(fields[0], fields[2])))
    return tuple(reports)


def _worst(reports: Iterable[RefReport]) -> tuple[RefReport, ...]:
    """Return one report a ref: of a remote with several addresses that of the one that went worst."""
    gravity = list(Fate)
    found: dict[str, RefReport] = {}
    for report in reports:
        before = found.setdefault(report.ref, report)
        found[report.ref] = max(before, report, key=lambda one: gravity.index(one.fate))
    return tuple(found.values())


def _fate(flag: str, summary: str) -> tuple[Fate, str]:
    if flag == "=":
        return Fate.CURRENT, ""
    if flag != "!":
        return Fate.UPDATED, ""
    reason = summary.partition("(")[2].removesuffix(")") or summary
    kind = summary.partition(" (")[0]
    if kind == "[rejected]" and reason in LOST_REASONS:
        return Fate.LOST, reason
    if kind == "[remote rejected]" and reason.startswith(LOST_REMOTE_REASONS):
        return Fate.LOST, reason
    if kind == "[remote rejected]" and reason.lower().startswith(CHECKED_OUT_REASONS):
        return Fate.CHECKED_OUT, reason
    return Fate.REFUSED, reason


# The connection


def _options(settings: Settings) -> list[str]:
    return ["-c", "http.lowSpeedLimit=1", "-c", f"http.lowSpeedTime={max(1, round(settings.stall_timeout))}"]


def require_answering(settings: Settings, url: str) -> None:
    """Raise SyncxError where a server takes no connection in time; any other trouble git-annex meets and tells."""
    parts = ssh.split(url)
    if not parts or not parts.hostname or _through_proxy():
        return
    try:
        where = (parts.hostname, parts.port or PORTS[parts.scheme])
        socket.create_connection(where, timeout=settings.connect_timeout).close()
    except TimeoutError as error:
        raise SyncxError(f"{parts.hostname}:{where[1]} does not answer: {error}") from error
    except (OSError, ValueError, KeyError):
        return


def _through_proxy() -> bool:
    return any(k.lower().endswith("_proxy") for k in os.environ)


def _require_listening(settings: Settings, url: str, remote: Remote) -> None:
    """Ask a web server for its port first: git itself would wait minutes for a dead one (ssh has a timeout)."""
    parts = ssh.split(url)
    if parts is None or parts.scheme not in PORTS or not parts.hostname or _through_proxy():
        return
    try:
        port = parts.port or PORTS[parts.scheme]
        socket.create_connection((parts.hostname, port), timeout=settings.connect_timeout).close()
    except (OSError, ValueError) as error:
        raise SyncxError(
            f"{parts.hostname} does not answer: {error}",
            f"check the network, or git remote set-url {shlex.quote(remote.name)} URL",
        ) from error
