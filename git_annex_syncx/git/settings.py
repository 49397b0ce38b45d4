"""Git's configuration -> one typed, validated Settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git import values
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.git.values import Value
from git_annex_syncx.model import Limit, Remote, Timetable

# All of git-annex's settings but those that only say what is done, and how: others may decide what is wanted.
OF_ANNEX = re.compile(
    r"annex\.(?!sync|autocommit|resolvemerge|backend|jobs)|remote\..*\.annex-(?!sync|cost|bwlimit)", re.DOTALL
)


@dataclass(frozen=True)
class Settings:
    """All that the configuration says, in seconds, counts and bytes a second."""

    jobs: int
    transfer_jobs: int
    connect_timeout: float
    stall_timeout: float
    retries: int
    settle_time: float
    push_delay: float
    retry_interval: float
    patience: float
    relay: bool
    max_delete: Limit
    bwlimit: Timetable
    disk_reserve: int  # bytes that git-annex leaves free
    private: bool  # nothing of this repository is recorded where others see it
    autocommit: bool | None  # None: not configured here; `git annex config` may say it for all
    sync_content: bool | None
    only_annex: bool | None
    resolve_merge: bool | None
    sync_migrations: bool
    of_annex: tuple[str, ...]  # KEY=VALUE of all that git-annex reads: what it judges by
    attributes_file: str
    own_ssh_command: bool  # the user has a say in how ssh is run
    on_change: str  # a command for the shell, run after each change
    on_failure: str  # the same for failures that persist
    ping: str  # an address that is asked as a run by itself begins and ends
    content_if: tuple[str, ...]  # conditions under which content moves
    notify: tuple[str, ...]  # Apprise addresses told of the latter
    signals: tuple[str, ...]  # addresses of channels
    annex_uuid: str
    annex_format: str  # annex.version
    remotes: Mapping[str, Remote]
    groups: Mapping[str, tuple[str, ...]]  # remotes.GROUP of git
    sections: frozenset[str]  # names below `remote.`, those included that are no remotes
    unknown: tuple[str, ...] = ()  # warnings about keys that are no settings


class Row(NamedTuple):
    """A setting: its key as the manual spells it, what parses its value, its default, an example of a right value."""

    key: str
    parse: Callable[[str], object]
    default: object
    example: str = ""
    is_secret: bool = False  # no message shows its value


OF_ALL = {
    "jobs": Row("syncx.jobs", values.count, 16, "16"),
    "connect_timeout": Row("syncx.connectTimeout", values.duration, 10.0, "10s"),
    "stall_timeout": Row("syncx.stallTimeout", values.duration, 60.0, "60s"),
    "retries": Row("syncx.retries", values.natural, 3, "3"),
    "settle_time": Row("syncx.settleTime", values.duration_or_zero, 10.0, "10s"),
    "push_delay": Row("syncx.pushDelay", values.duration_or_zero, 2.0, "2s"),
    "retry_interval": Row("syncx.retryInterval", values.duration, 1800.0, "30m"),
    "patience": Row("syncx.patience", values.duration_or_zero, 3600.0, "1h"),
    "relay": Row("syncx.relay", values.boolean, False, "false"),
    "max_delete": Row("syncx.maxDelete", values.limit, Limit(50, percent=True), "50%"),
    "bwlimit": Row("syncx.bwlimit", values.timetable, (), "08:00,512k 19:00,10M 23:00,off"),
    "on_change": Row("syncx.onChange", str, ""),
    "on_failure": Row("syncx.onFailure", str, ""),
    "ping": Row("syncx.ping", values.web_address, "", "https://hc-ping.com/YOUR-UUID", is_secret=True),
    "disk_reserve": Row("annex.diskreserve", values.reserve, values.RESERVE, "1 gigabyte"),
    "private": Row("annex.private", values.boolean, False, "false"),
    "autocommit": Row("annex.autocommit", values.boolean, None, "true"),
    "sync_content": Row("annex.synccontent", values.boolean, None, "true"),
    "only_annex": Row("annex.synconlyannex", values.boolean, None, "true"),
    "resolve_merge": Row("annex.resolvemerge", values.boolean, None, "true"),
    "sync_migrations": Row("annex.syncmigrations", values.boolean, True, "true"),
    "annex_uuid": Row("annex.uuid", str, ""),
    "annex_format": Row("annex.version", str, ""),
    "attributes_file": Row("core.attributesFile", str, ""),
}
TRANSFER_JOBS = Row("syncx.transferJobs", values.count, None, "2")
ANNEX_JOBS = Row("annex.jobs", values.job_count, 2, "2")
SIGNAL, NOTIFY = "syncx.signal", "syncx.notify"  # keys that repeat, as the next one
CONTENT_IF = Row("syncx.contentIf", values.condition, None, "metered")
BEFORE_A_PUSH = ("pushinsteadof", "insteadof")

# Below remote.NAME. Each is a field of Remote, but for those that _remote takes together with others.
OF_REMOTES = {
    "uuid": Row("annex-uuid", str, None),
    "sync": Row("annex-sync", values.boolean, True, "true"),
    "pull": Row("annex-pull", values.boolean, True, "true"),
    "push": Row("annex-push", values.boolean, True, "true"),
    "readonly": Row("annex-readonly", values.boolean, False, "false"),
    "ignore": Row("annex-ignore", values.boolean, False, "false"),
    "direct": Row("syncx-direct", values.boolean, True, "true"),
    "sync_command": Row("annex-sync-command", str, ""),
    "ignore_command": Row("annex-ignore-command", str, ""),
    "cost": Row("annex-cost", values.cost, None, "175"),
    "cost_command": Row("annex-cost-command", str, ""),
    "rsync_url": Row("annex-rsyncurl", str, ""),
    "directory": Row("annex-directory", str, ""),
    "removable": Row("syncx-removable", values.boolean, None, "false"),
    "bwlimit": Row("syncx-bwlimit", values.timetable, (), "08:00,512k 23:00,off"),
    "tracking_branch": Row("annex-tracking-branch", str, ""),
    "private": Row("annex-private", values.boolean, False, "false"),
    "ssh_options": Row("annex-ssh-options", values.words, None, "-p 2222"),
    "annex_url": Row("annexurl", str, ""),
}
PROXIED_BY = Row("annex-proxied-by", str, "")
IGNORED_BY_ANNEX = Row("annex-ignore-auto", values.boolean, False, "false")
S3, WEBDAV = Row("annex-s3", values.boolean, False, "false"), Row("annex-webdav", values.boolean, False, "false")
VERIFIED = Row("annex-verified", str, "")
SSH_OPTIONS = Row("annex.ssh-options", values.words, "", "-p 2222")

# Names below syncx. and below remote.NAME.
_KEYS = [row.key for row in OF_ALL.values()] + [TRANSFER_JOBS.key, CONTENT_IF.key, SIGNAL, NOTIFY]
KNOWN = [key.removeprefix("syncx.") for key in _KEYS if key.startswith("syncx.")]
KNOWN_OF_REMOTES = [row.key for row in OF_REMOTES.values() if row.key.startswith("syncx-")]


def read_settings(repo: Repository) -> Settings:
    """Read everything at once. Raises UsageError, naming key, value, file and a right example."""
    return parse(listed(repo))


def listed(repo: Repository) -> list[Value]:
    """Return all lines of the configuration, later ones after those that they replace."""
    raw = git(repo, "config", "--list", "-z", "--show-origin").out.decode("utf-8", "surrogateescape")
    fields = raw.split("\0")
    lines = []
    for origin, pair in zip(fields[::2], fields[1::2], strict=False):
        key, newline, value = pair.partition("\n")
        lines.append(Value(key, value if newline else None, origin.removeprefix("file:").removesuffix(":")))
    return lines


def parse(lines: list[Value]) -> Settings:
    """Return typed settings from configuration lines, of which later ones win."""
    last = {line.key: line for line in lines}
    jobs = _read(last, TRANSFER_JOBS)
    names = {key.removeprefix("remote.").rpartition(".")[0] for key in last if key.startswith("remote.")} - {""}
    return Settings(
        **{name: _read(last, row) for name, row in OF_ALL.items()},
        transfer_jobs=_read(last, ANNEX_JOBS) if jobs is None else jobs,
        of_annex=tuple(sorted(f"{line.key}={line.text}" for line in lines if OF_ANNEX.match(line.key))),
        own_ssh_command=any(key in last for key in ("core.sshcommand", "ssh.variant")),
        content_if=_conditions(lines),
        notify=_all(lines, NOTIFY),
        signals=_all(lines, SIGNAL),
        remotes={name: remote for name in sorted(names) if (remote := _remote(name, lines, last))},
        groups={
            key.removeprefix("remotes."): tuple((line.text or "").split())
            for key, line in last.items()
            if key.startswith("remotes.")
        },
        sections=frozenset(names),
        unknown=tuple(_unknown(lines)),
    )


def _read(last: Mapping[str, Value], row: Row, prefix: str = "") -> Any:
    """Return the value of a setting. Raises UsageError."""
    line = last.get(prefix + row.key.lower())
    return row.default if line is None else value(line, row, prefix)


def value(line: Value, row: Row, prefix: str = "") -> Any:
    """Return what a line says. Raises UsageError."""
    if row.parse is str:
        return line.text or ""
    try:
        return row.parse("true" if line.text is None else line.text.strip())
    except ValueError:
        got = "what stands there" if row.is_secret else repr(line.text or "")
        wanted = f"{values.WANTED.get(row.parse, 'as in the example')}, not {got} ({line.origin})"
        raise UsageError(f"{prefix}{row.key} must be {wanted}", f"for example {row.example}") from None


def _all(lines: Iterable[Value], key: str) -> tuple[str, ...]:
    """Return all values of a key but empty ones."""
    return tuple(line.text for line in lines if line.key == key and line.text)


def _conditions(lines: Iterable[Value]) -> tuple[str, ...]:
    """Return the values of syncx.contentIf since the last empty one, which takes back those before it, as in git."""
    found: tuple[str, ...] = ()
    for line in lines:
        if line.key == CONTENT_IF.key.lower():
            found = (*found, value(line, CONTENT_IF)) if line.text is None or line.text.strip() else ()
    return found


def _remote(name: str, lines: list[Value], last: Mapping[str, Value]) -> Remote | None:
    """Return a git remote, a special remote (which has no url), or None for neither."""
    key = f"remote.{name}."
    urls, push_urls = _all(lines, key + "url"), _all(lines, key + "pushurl")
    if not urls and key + "annex-uuid" not in last:
        return None

    def read(row: Row) -> Any:
        return _read(last, row, key)

    found = {field: read(row) for field, row in OF_REMOTES.items()}
    ssh_options = found.pop("ssh_options")
    fetched, url = _all(lines, key + "fetch"), urls[0] if urls else ""
    pushed = _rewrite(push_urls[0], lines, "insteadof") if push_urls else _rewrite(url, lines, *BEFORE_A_PUSH)
    remote = Remote(
        name=name,
        url=_rewrite(url, lines, "insteadof"),
        push_url=pushed,
        push_urls=push_urls or urls,
        uuid=found.pop("uuid") or None,
        tracks_all=f"+refs/heads/*:refs/remotes/{name}/*" in fetched,
        other_refs=_others(name, fetched),
        found_without=found["ignore"] and read(IGNORED_BY_ANNEX),
        web_store=read(S3) or read(WEBDAV),
        unverified=read(VERIFIED) not in ("", "verified"),
        ssh_options=_read(last, SSH_OPTIONS) if ssh_options is None else ssh_options,
        **found,
    )
    return remote.for_content() if read(PROXIED_BY) else remote


def _others(name: str, refspecs: Iterable[str]) -> tuple[str, ...]:
    """Return the refs below refs/remotes/NAME/ to which refspecs fetch other refs than branches."""
    place = f"refs/remotes/{name}/"
    pairs = (spec.removeprefix("+").partition(":") for spec in refspecs)
    return tuple(
        there.removeprefix(place)
        for theirs, _, there in pairs
        if there.startswith(place) and not theirs.startswith("refs/heads/")
    )


def _rewrite(url: str, lines: list[Value], *kinds: str) -> str:
    """Apply url.BASE.insteadOf as git does: the longest prefix wins; a push-only rule before the common one."""
    for kind in kinds:
        rules = [
            (line.text, line.key[len("url.") : -len(kind) - 1])
            for line in lines
            if line.key.startswith("url.") and line.key.endswith("." + kind)
            if line.text and url.startswith(line.text)
        ]
        if rules:
            prefix, base = max(rules, key=lambda rule: len(rule[0] or ""))
            return base + url[len(prefix or "") :]
    return url


def truth(text: str, default: bool) -> bool:
    """Return a truth value as git reads it, the default where git does not."""
    try:
        return values.boolean(text.strip())
    except ValueError:
        return default


def _unknown(lines: Iterable[Value]) -> Iterator[str]:
    """Yield a warning for each key that looks like ours and is none."""
    for line in {(line.key, line.origin): line for line in lines if is_unknown(line.key)}.values():
        near = nearest(line.key)
        meant = f"did you mean {near}?" if near else "git annex-syncx help lists all"
        yield f"there is no setting {line.key} ({line.origin}), it does nothing; {meant}"


def is_unknown(key: str) -> bool:
    """Return whether a key looks like one of ours and is none."""
    section, _, name = key.rpartition(".")
    ours = section == "syncx" or (section.startswith("remote.") and name.startswith("syncx-"))
    return ours and name not in _known_in(section)


def nearest(key: str) -> str:
    """Return the setting that a misspelt one was most likely meant to be, empty where none is like it."""
    import difflib

    section, _, name = key.rpartition(".")
    known = _known_in(section)
    near = difflib.get_close_matches(name, known, n=1)
    return f"{section}.{known[near[0]]}" if near else ""


def _known_in(section: str) -> dict[str, str]:
    return {one.lower(): one for one in (KNOWN if section == "syncx" else KNOWN_OF_REMOTES)}
