"""Git's configuration -> one typed, validated Settings."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git import known_keys
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.model import Limit, Remote, Timetable

T = TypeVar("T")

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST, FASTEST = 100 * 365 * 86400.0, 2.0**60  # seconds; bytes a second; beyond, no date and no number can follow
TRUE, FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0", ""}
OFF: Timetable = ()
# All of git-annex's settings but those that only say what is done, and how: others may decide what is wanted.
OF_ANNEX = re.compile(
    r"annex\.(?!sync|autocommit|resolvemerge|backend|jobs)|remote\..*\.annex-(?!sync|cost|bwlimit)", re.DOTALL
)
RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Value:
    """One line of configuration: the key as git gives it, its value, and where it stands."""

    key: str
    text: str | None  # None: a key without `=`, which is true
    origin: str


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
    notify: tuple[str, ...]  # Apprise addresses told of the latter
    signals: tuple[str, ...]  # addresses of channels
    annex_uuid: str
    annex_format: str  # annex.version
    remotes: Mapping[str, Remote]
    groups: Mapping[str, tuple[str, ...]]  # remotes.GROUP of git
    unknown: tuple[str, ...] = ()  # what is to be said of keys that are no settings


def read_settings(repo: Repository) -> Settings:
    """Read everything at once. Raises UsageError, naming key, value, file and a right example."""
    return parse(_listed(git(repo, "config", "--list", "-z", "--show-origin").out.decode("utf-8", "surrogateescape")))


def _listed(raw: str) -> list[Value]:
    fields = raw.split("\0")
    values = []
    for origin, pair in zip(fields[::2], fields[1::2], strict=False):
        key, newline, value = pair.partition("\n")
        values.append(Value(key, value if newline else None, origin.removeprefix("file:").removesuffix(":")))
    return values


def parse(values: list[Value]) -> Settings:
    """Typed settings from configuration lines, of which later ones win."""
    last = {value.key: value for value in values}

    def get(key: str, default: T, parser: Callable[[str], T], example: str) -> T:
        return _convert(last[key], parser, example) if key in last else default

    names = {
        v.key[len("remote.") :].rpartition(".")[0]
        for v in values
        if v.key.startswith("remote.") and v.key.count(".") > 1
    }
    return Settings(
        jobs=get("syncx.jobs", 16, _count, "16"),
        transfer_jobs=get("syncx.transferjobs", get("annex.jobs", 2, job_count, "2"), _count, "2"),
        connect_timeout=get("syncx.connecttimeout", 10.0, duration, "10s"),
        stall_timeout=get("syncx.stalltimeout", 60.0, duration, "60s"),
        retries=get("syncx.retries", 3, _natural, "3"),
        settle_time=get("syncx.settletime", 10.0, _duration_or_zero, "10s"),
        push_delay=get("syncx.pushdelay", 2.0, _duration_or_zero, "2s"),
        retry_interval=get("syncx.retryinterval", 1800.0, duration, "30m"),
        patience=get("syncx.patience", 3600.0, _duration_or_zero, "1h"),
        relay=get("syncx.relay", False, _boolean, "false"),
        max_delete=get("syncx.maxdelete", Limit(50, percent=True), _limit, "50%"),
        bwlimit=get("syncx.bwlimit", OFF, timetable, "08:00,512k 19:00,10M 23:00,off"),
        private=get("annex.private", False, _boolean, "false"),
        autocommit=get("annex.autocommit", None, _boolean, "true"),
        sync_content=get("annex.synccontent", None, _boolean, "true"),
        only_annex=get("annex.synconlyannex", None, _boolean, "true"),
        resolve_merge=get("annex.resolvemerge", None, _boolean, "true"),
        sync_migrations=get("annex.syncmigrations", True, _boolean, "true"),
        of_annex=tuple(sorted(f"{v.key}={v.text}" for v in values if OF_ANNEX.match(v.key))),
        attributes_file=get("core.attributesfile", "", str, "~/.gitattributes"),
        own_ssh_command=any(key in last for key in ("core.sshcommand", "ssh.variant")),
        on_change=get("syncx.onchange", "", str, "notify-peers"),
        on_failure=get("syncx.onfailure", "", str, "mail-me"),
        notify=tuple(v.text for v in values if v.key == "syncx.notify" and v.text),
        signals=tuple(v.text for v in values if v.key == "syncx.signal" and v.text),
        annex_uuid=get("annex.uuid", "", str, ""),
        annex_format=get("annex.version", "", str, "10"),
        remotes={name: remote for name in sorted(names) if (remote := _remote(name, values, last))},
        groups={
            v.key.removeprefix("remotes."): tuple((v.text or "").split())
            for v in values
            if v.key.startswith("remotes.")
        },
        unknown=tuple(known_keys.unknown((v.key, v.origin) for v in values)),
    )


def _remote(name: str, values: list[Value], last: Mapping[str, Value]) -> Remote | None:
    """A git remote, a special remote (which has no url), or None for neither."""
    key = f"remote.{name}."
    url = next((v.text for v in values if v.key == key + "url" and v.text), "")
    if not url and key + "annex-uuid" not in last:
        return None
    push_urls = [v.text for v in values if v.key == key + "pushurl" and v.text]
    push_url = push_urls[0] if push_urls else None

    def get_text(option: str) -> str:
        return (last[key + option].text or "") if key + option in last else ""

    def flag(option: str, default: bool) -> bool:
        return _convert(last[key + option], _boolean, str(default).lower()) if key + option in last else default

    fetched = [v.text or "" for v in values if v.key == key + "fetch"]
    return Remote(
        name=name,
        url=_rewrite(url, values, ("insteadof",)),
        push_url=_rewrite(push_url, values, ("insteadof",))
        if push_url
        else _rewrite(url, values, ("pushinsteadof", "insteadof")),
        uuid=get_text("annex-uuid") or None,
        sync=flag("annex-sync", True) and not flag("annex-proxied", False),
        pull=flag("annex-pull", True),
        push=flag("annex-push", True),
        readonly=flag("annex-readonly", False),
        ignore=flag("annex-ignore", False),
        found_without=flag("annex-ignore", False) and flag("annex-ignore-auto", False),
        tracks_all=f"+refs/heads/*:refs/remotes/{name}/*" in fetched,
        other_refs=_others(name, fetched),
        push_urls=tuple(push_urls or (v.text or "" for v in values if v.key == key + "url")),
        direct=flag("syncx-direct", True),
        sync_command=get_text("annex-sync-command"),
        cost=_convert(last[key + "annex-cost"], _cost, "175") if key + "annex-cost" in last else None,
        cost_command=get_text("annex-cost-command"),
        rsync_url=get_text("annex-rsyncurl"),
        web_store=flag("annex-s3", False) or flag("annex-webdav", False),
        directory=get_text("annex-directory"),
        removable=flag("syncx-removable", False) if key + "syncx-removable" in last else None,
        bwlimit=_convert(last[key + "syncx-bwlimit"], timetable, "08:00,512k 23:00,off")
        if key + "syncx-bwlimit" in last
        else OFF,
        tracking_branch=get_text("annex-tracking-branch"),
        private=flag("annex-private", False),
        unverified=get_text("annex-verified") not in ("", "verified"),
        ignore_command=get_text("annex-ignore-command"),
        ssh_options=next(
            (
                _convert(last[k], _words, "-p 2222")
                for k in (key + "annex-ssh-options", "annex.ssh-options")
                if k in last
            ),
            "",
        ),
    )


def _others(name: str, refspecs: Iterable[str]) -> tuple[str, ...]:
    """Return the refs below the remote's branches to which refspecs bring what is no branch."""
    place = f"refs/remotes/{name}/"
    pairs = (spec.removeprefix("+").partition(":") for spec in refspecs)
    return tuple(
        there.removeprefix(place)
        for theirs, _, there in pairs
        if there.startswith(place) and not theirs.startswith("refs/heads/")
    )


def _rewrite(url: str, values: list[Value], kinds: tuple[str, ...]) -> str:
    """Apply url.BASE.insteadOf as git does: the longest prefix wins; a push-only rule before the common one."""
    for kind in kinds:
        rules = [
            (v.text, v.key[len("url.") : -len(kind) - 1])
            for v in values
            if v.key.startswith("url.") and v.key.endswith("." + kind) and v.text and url.startswith(v.text)
        ]
        if rules:
            prefix, base = max(rules, key=lambda rule: len(rule[0] or ""))
            return base + url[len(prefix or "") :]
    return url


def truth(text: str, default: bool) -> bool:
    """Return what git would read this as; what it would not read is the default."""
    try:
        return _boolean(text.strip())
    except ValueError:
        return default


# Parsers of one value; a ValueError becomes the error that names key, value, file and example


def _convert(value: Value, parser: Callable[[str], T], example: str) -> T:
    try:
        return parser("true" if value.text is None else value.text.strip())
    except ValueError:
        wanted, got = KINDS.get(parser, "as in the example"), f"{value.text or ''!r} ({value.origin})"
        what = f"{known_keys.spelled(value.key)} must be {wanted}, not {got}"
        raise UsageError(what, f"for example {example}") from None


def _boolean(text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError(text)


def _words(text: str) -> str:
    """Options as a shell splits them; a quote that is not closed is a ValueError."""
    shlex.split(text)
    return text


def _natural(text: str) -> int:
    number = int(text) if re.fullmatch(r"\d{1,4}", text, re.ASCII) else -1
    if not 0 <= number <= 1000:
        raise ValueError(text)
    return number


def _cost(text: str) -> float:
    cost = float(text) if text.isascii() and "_" not in text else -1.0
    if not 0 <= cost <= 1e9:  # nan fails too
        raise ValueError(text)
    return cost


def _count(text: str) -> int:
    number = _natural(text)
    if number < 1:
        raise ValueError(text)
    return number


def job_count(text: str) -> int:
    """Return how many at once: a number, or `cpus` for one a processor. Raises ValueError."""
    return os.cpu_count() or 1 if text == "cpus" else _count(text)


def _duration_or_zero(text: str) -> float:
    """Seconds from `90`, `10s`, `30m`, `2h`, `1d`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text, re.ASCII)
    seconds = float(match[1]) * UNITS[match[2]] if match else LONGEST
    if seconds >= LONGEST:
        raise ValueError(text)
    return seconds


def duration(text: str) -> float:
    """More than no time, in seconds, from `90`, `10s`, `30m`, `2h`, `1d`. Raises ValueError."""
    seconds = _duration_or_zero(text)
    if seconds <= 0:
        raise ValueError(text)
    return seconds


def _limit(text: str) -> Limit:
    """A number of files from `1000`, a part of them from `50%`, no limit from `off`."""
    if text.lower() == "off":
        return Limit(math.inf)
    match = re.fullmatch(r"(\d{1,9})(\s*%)?", text, re.ASCII)
    if not match or (match[2] and int(match[1]) > 100):
        raise ValueError(text)
    return Limit(int(match[1]), percent=bool(match[2]))


def _rate(text: str) -> int | None:
    """Bytes a second from `512k` or `10M`; None for `off`."""
    if text.lower() in {"off", "0"}:
        return None
    match = RATE.fullmatch(text)
    rate = float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " ") if match else 0.0
    if not 0 < rate < FASTEST:
        raise ValueError(text)
    return int(rate)


def timetable(text: str) -> Timetable:
    """`08:00,512k 23:00,off` -> ((480, 524288), (1380, None)); one rate holds all day."""
    entries = text.split()
    if len(entries) == 1 and "," not in text:
        return ((0, _rate(text)),)
    table = []
    for entry in entries:
        clock, rate = entry.split(",")
        match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", clock, re.ASCII)
        if not match:
            raise ValueError(text)
        table.append((int(match[1]) * 60 + int(match[2]), _rate(rate)))
    if not table or len(dict(table)) < len(table):
        raise ValueError(text)
    return tuple(sorted(table, key=lambda entry: entry[0]))


KINDS: Mapping[Callable[[str], object], str] = {
    _boolean: "true or false",
    _words: "options as a shell reads them",
    _natural: "a number from 0 to 1000",
    _count: "a number from 1 to 1000",
    job_count: "a number from 1 to 1000, or cpus",
    _cost: "a number from 0 to 1000000000",
    duration: "a time",
    _duration_or_zero: "a time, or 0",
    _limit: "a number of files, a percentage up to 100%, or off",
    timetable: "a rate, or a timetable in which no time stands twice",
}
