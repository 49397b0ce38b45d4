"""Settings: each key with its default, what parses, and what is said of what does not."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import Node

from git_annex_syncx.errors import UsageError
from git_annex_syncx.git import settings as git_settings
from git_annex_syncx.git.settings import KNOWN, KNOWN_OF_REMOTES, Settings, Value, parse
from git_annex_syncx.model import Limit

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def settings(**texts: str | None) -> Settings:
    """Settings from `syncx.KEY` lines."""
    return parse([Value(f"syncx.{key}", text, ".git/config") for key, text in texts.items()])


def test_defaults() -> None:
    found = settings()
    assert (found.jobs, found.transfer_jobs, found.retries) == (16, 2, 3)
    assert (found.connect_timeout, found.stall_timeout) == (10, 60)
    assert (found.settle_time, found.push_delay) == (10, 2)
    assert (found.retry_interval, found.patience) == (1800, 3600)
    assert (found.relay, found.bwlimit, found.max_delete) == (False, (), Limit(50, percent=True))


@pytest.mark.parametrize(
    ("key", "field", "text", "value"),
    [
        ("jobs", "jobs", "1", 1),
        ("transferjobs", "transfer_jobs", "8", 8),
        ("connecttimeout", "connect_timeout", "2m", 120),
        ("stalltimeout", "stall_timeout", "1.5h", 5400),
        ("retries", "retries", "0", 0),
        ("settletime", "settle_time", "0", 0),
        ("pushdelay", "push_delay", "0s", 0),
        ("retryinterval", "retry_interval", "1d", 86400),
        ("patience", "patience", "90", 90),
        ("relay", "relay", "yes", True),
        ("relay", "relay", None, True),
        ("relay", "relay", "", False),
        ("maxdelete", "max_delete", "100", Limit(100)),
        ("maxdelete", "max_delete", " 5 %", Limit(5, percent=True)),
        ("maxdelete", "max_delete", "Off", Limit(float("inf"))),
        ("bwlimit", "bwlimit", "off", ((0, None),)),
        ("bwlimit", "bwlimit", "10M", ((0, 10 * 1024**2),)),
        ("bwlimit", "bwlimit", "08:00,512k 19:00,1M 23:00,off", ((480, 524288), (1140, 1048576), (1380, None))),
        ("bwlimit", "bwlimit", " 23:00,off  8:00,1.5kB ", ((480, 1536), (1380, None))),
    ],
)  # fmt: skip
def test_a_value_parses(key: str, field: str, text: str | None, value: object) -> None:
    assert getattr(settings(**{key: text}), field) == value


BAD = [
    ("syncx.jobs", "0"), ("syncx.jobs", "many"), ("syncx.jobs", "-1"), ("syncx.jobs", "1e9"), ("syncx.jobs", ""),
    ("syncx.transferJobs", "0"), ("syncx.connectTimeout", "0"), ("syncx.connectTimeout", "ten"),
    ("syncx.connectTimeout", "-1s"), ("syncx.stallTimeout", "1w"), ("syncx.stallTimeout", "inf"),
    ("syncx.retries", "-1"), ("syncx.retries", "1.5"), ("syncx.settleTime", "soon"), ("syncx.pushDelay", "2 3"),
    ("syncx.retryInterval", "0s"), ("syncx.patience", "1h30m"), ("syncx.relay", "perhaps"),
    ("syncx.bwlimit", "fast"), ("syncx.bwlimit", "8:00"), ("syncx.bwlimit", "25:00,1M"), ("syncx.bwlimit", "8:60,1M"),
    ("syncx.bwlimit", "8:00,-1M"), ("syncx.bwlimit", "8:00,1M,2M"), ("syncx.bwlimit", ""),
    ("syncx.patience", "9" * 20 + "d"), ("syncx.retryInterval", "9" * 400), ("syncx.bwlimit", "9" * 400 + "k"),
    ("syncx.bwlimit", "8:00,99999999999t"), ("syncx.bwlimit", "８k"), ("syncx.jobs", "１６"), ("syncx.jobs", "1_0"),
    ("syncx.bwlimit", "8:00,1M 08:00,2M"),
    ("syncx.maxDelete", "101%"), ("syncx.maxDelete", "half"), ("syncx.maxDelete", ""), ("syncx.maxDelete", "-1"),
    ("syncx.maxDelete", "９"), ("syncx.maxDelete", "9" * 20), ("syncx.maxDelete", "%"),
    ("remote.nas.syncx-bwlimit", "fast"), ("remote.nas.syncx-removable", "maybe"),
    ("remote.nas.syncx-direct", "maybe"),
    ("syncx.contentIf", "metred"), ("syncx.contentIf", "metered battery"), ("syncx.contentIf", "battery,metered"),
    ("remote.nas.annex-sync", "maybe"), ("remote.nas.annex-push", "maybe"), ("remote.nas.annex-readonly", "2 x"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "text"), BAD)
def test_a_bad_value_names_key_value_file_and_a_right_one(key: str, text: str) -> None:
    lines = [Value("remote.nas.url", "/nas", ".git/config"), Value(key.lower(), text, "/home/u/.gitconfig")]
    with pytest.raises(UsageError) as caught:
        parse(lines)
    error = caught.value
    assert error.what.startswith(f"{key} must be ")
    assert error.what.endswith(f"not {text!r} (/home/u/.gitconfig)")
    example = error.advice.removeprefix("for example ")
    assert parse([lines[0], Value(key.lower(), example, "x")]), "the example is right indeed"


@pytest.mark.inits
def test_a_bad_value_touches_nothing(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit({"b.txt": "b"})
    before = desktop.git("for-each-ref").out
    laptop.config("syncx.connectTimeout", "10 parsecs")
    for command in ("push", "pull", "merge", "sync", "status"):
        ran = laptop.syncx(command, ok=2)
        assert ran.out == ""
        first, second = ran.err.splitlines()
        for word in ("syncx.connectTimeout must be a time, not '10 parsecs'", ".git/config"):
            assert word in first
        assert "10s" in second
    assert desktop.git("for-each-ref").out == before
    assert not (laptop.path / ".git" / "annex" / "syncx").exists()


def test_the_file_that_a_value_came_from_is_named(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    more = laptop.net.root / "more.config"
    more.write_text("[syncx]\n\tjobs = lots\n")
    laptop.config("include.path", str(more))
    assert str(more) in laptop.syncx("push", ok=2).err
    said = "syncx.jobs must be a number from 1 to 1000, not 'x' (command line)\n  for example 16\n"
    assert laptop.git("-c", "syncx.jobs=x", "annex-syncx", "push", ok=2).err.endswith(said)


def test_the_last_value_wins(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    laptop.config("syncx.jobs", "bad")
    laptop.git("-c", "syncx.jobs=4", "annex-syncx", "status")
    assert parse([Value("syncx.jobs", "bad", ""), Value("syncx.jobs", "4", "")]).jobs == 4


@given(st.integers(0, 30_000), st.integers(0, 999), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
def test_every_duration_parses(whole: int, part: int, unit: str, space: str) -> None:
    text = f"{whole}.{part:03}{space}{unit}"
    seconds = (whole * 1000 + part) * UNITS[unit]
    assert settings(settletime=text).settle_time == pytest.approx(timedelta(milliseconds=seconds).total_seconds())


@given(st.text(max_size=12))
def test_any_text_parses_or_is_a_usage_error(text: str) -> None:
    for key in ("jobs", "connecttimeout", "settletime", "relay", "maxdelete", "bwlimit", "retries"):
        try:
            settings(**{key: text})
        except UsageError as error:
            assert f"syncx.{key}" in error.what.lower()


@given(st.dictionaries(st.integers(0, 1439), st.one_of(st.none(), st.integers(1, 10**6)), min_size=1, max_size=5))
def test_every_timetable_parses(table: dict[int, int | None]) -> None:
    text = " ".join(f"{at // 60:02}:{at % 60:02},{f'{rate}k' if rate else 'off'}" for at, rate in table.items())
    expected = tuple(sorted((at, rate * 1024 if rate else None) for at, rate in table.items()))
    assert settings(bwlimit=text).bwlimit == expected


# Remotes


def remotes(*lines: tuple[str, str]) -> Settings:
    """Settings from configuration lines."""
    return parse([Value(key, text, "") for key, text in lines])


def test_a_remote_name_may_hold_dots() -> None:
    found = remotes(("remote.a.b.url", "/x"), ("remote.a.b.annex-sync", "false"), ("remote.a.url", "/y")).remotes
    assert {name: (remote.url, remote.sync) for name, remote in found.items()} == {
        "a.b": ("/x", False),
        "a": ("/y", True),
    }


def test_remote_without_url_is_special_and_without_anything_none() -> None:
    found = remotes(("remote.s3.annex-uuid", "u"), ("remote.rest.prune", "true"), ("remote.pushdefault", "x")).remotes
    assert list(found) == ["s3"]
    assert found["s3"].special


def test_urls_are_rewritten_as_git_does(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    lines = [
        ("url.https://a/.insteadOf", "x:"),
        ("url.https://b/.insteadOf", "x:y/"),
        ("url.ssh://c/.pushInsteadOf", "x:"),
        ("url.ssh://d/.pushInsteadOf", "z:"),
        ("remote.one.url", "x:y/1"),
        ("remote.two.url", "x:2"),
        ("remote.three.url", "z:3"),
        ("remote.three.pushurl", "x:3"),
        ("remote.four.url", "/plain"),
    ]
    for key, text in lines:
        laptop.git("config", "--add", key, text)
    found = parse(
        [Value(key.rpartition(".")[0] + "." + key.rpartition(".")[2].lower(), text, "") for key, text in lines]
    )
    for name, remote in found.remotes.items():
        assert remote.url == laptop.git("remote", "get-url", name).out.strip(), name
        assert remote.push_url == laptop.git("remote", "get-url", "--push", name).out.strip(), name


# What is no setting


def test_every_setting_that_is_read_is_known() -> None:
    source = inspect.getsource(git_settings)
    read = set(re.findall(r'"syncx\.([a-zA-Z]+)"', source)) | set(re.findall(r'"(syncx-[a-z]+)"', source))
    assert read
    assert read <= {*KNOWN, *KNOWN_OF_REMOTES}


def test_what_is_no_setting_is_told_with_the_nearest_that_is(pair: tuple[Node, Node]) -> None:
    laptop, _ = pair
    odd = {
        "syncx.jbos": "syncx.jobs", "syncx.TransferJob": "syncx.transferJobs",
        "remote.desktop.syncx-bwlimt": "remote.desktop.syncx-bwlimit", "syncx.frobnicate": "",
    }  # fmt: skip
    for key in odd:
        laptop.config(key, "x")
    said = laptop.run("git-annex-syncx", "status").err.splitlines()
    assert len(said) == len(odd)
    for key, meant in odd.items():
        (line,) = (line for line in said if f" {key.lower()} (.git/config)" in line)
        assert line.endswith(f"did you mean {meant}?" if meant else "help lists all")
    assert laptop.run("git-annex-syncx", "-q", "status").err == ""


def test_ssh_options_of_a_remote_stand_before_those_of_all() -> None:
    urls = tuple((f"remote.{name}.url", f"ssh://{name}/x") for name in ("one", "two"))
    found = remotes(*urls, ("annex.ssh-options", "-p 1"), ("remote.two.annex-ssh-options", "-p 2")).remotes
    assert [found[name].ssh_options for name in ("one", "two")] == ["-p 1", "-p 2"]
