"""Progress is right: totals from the start, rates; estimates within a fifth of the truth from a third of a run on."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import statistics
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from network import Network, Node
from sshd import Sshd, wait_until
from test_messages import ESCAPES
from test_transfer import connect, keys_on_disk, make_known

from git_annex_syncx.content.progress import LinkProgress, RunProgress
from git_annex_syncx.content.steps import OwnStep
from git_annex_syncx.model import Transferred

HERE_B, HERE_C, HERE_D = (OwnStep("here", target, "push") for target in "bcd")
FROM_A = OwnStep("a", "here", "pull")
REPORTS = 0.1  # seconds between two of git-annex
CHUNK = 32_752  # bytes of its first one
FEW = settings(max_examples=30, phases=[Phase.generate], deadline=None)
COARSE = 1.0  # seconds that an estimate may always be off
SIZES = st.one_of(st.integers(1000, 100_000), st.integers(100_000, 3_000_000), st.integers(3_000_000, 60_000_000))
TIMES = st.floats(5.0, 100.0)  # seconds for all bytes
OVERHEADS = st.floats(0.001, 0.3)
SLOWEST = 100_000  # bytes a second
SHORTEST = 10.0  # seconds of a run for which anything is promised
Happening = tuple[float, str, OwnStep, str, int]  # when, what, link, key, bytes
KeySizes = Mapping[str, int]


@dataclass(frozen=True)
class Link:
    """An imagined link: seconds a file, bytes a second (from `then` on others), whether it reports."""

    file: float
    rate: float
    reports: bool = True
    then: tuple[float, float] = (1e9, 1.0)

    def happenings(self, step: OwnStep, arrivals: Mapping[str, float], sizes: KeySizes) -> list[Happening]:
        """What happens on it, one key after another, small ones first."""
        now, told = 0.0, list[Happening]()
        for key in sorted(arrivals, key=sizes.__getitem__):
            now = max(now, arrivals[key])
            told.append((now, "started", step, key, 0))
            now += self.file
            moved = float(min(CHUNK, sizes[key]))
            now += moved / self.rate
            told += [(now, "moved", step, key, int(moved))] * self.reports
            while (
                part := min(REPORTS * (self.then[1] if now >= self.then[0] else self.rate), sizes[key] - moved)
            ) > 0:
                now += part / (self.then[1] if now >= self.then[0] else self.rate)
                moved += part
                told += [(now, "moved", step, key, int(moved))] * self.reports
            told.append((now, "done", step, key, 0))
        return told


def keys(sizes: Iterable[int]) -> dict[str, int]:
    return {f"k{n}": size for n, size in enumerate(sizes)}


def happen(run: RunProgress, what: Happening) -> None:
    now, kind, step, key, size = what
    if kind == "started":
        run.links[step].started(key, now)
    elif kind == "moved":
        run.links[step].moved(key, size, now)
    else:
        run.done(step, key, now)


def seen(run: RunProgress, happenings: Iterable[Happening]) -> list[tuple[float, Transferred]]:
    """What is told of a run, three times a second."""
    told = list[tuple[float, Transferred]]()
    for what in sorted(happenings, key=lambda one: one[0]):
        while not told or told[-1][0] + 0.3 < what[0]:
            now = told[-1][0] + 0.3 if told else 0.0
            told.append((now, run.run(now)))
        happen(run, what)
    told.append((what[0] + 1.0, run.run(what[0] + 1.0)))
    return told


def good(told: list[tuple[float, Transferred]], since: float = 1 / 3) -> None:
    """From a part of the run on the estimates are near the truth."""
    end = told[-1][0] - 1.0
    for now, run in told:
        if since * end <= now < end and end > SHORTEST:
            assert run.eta == pytest.approx(end - now, rel=0.2, abs=COARSE), (now, run)
    assert (told[-1][1].eta, told[-1][1].bytes) == (0.0, told[-1][1].total)


def one_link(sizes: KeySizes, link: Link, speed: float | None = None) -> list[tuple[float, Transferred]]:
    run = RunProgress(
        dict.fromkeys(sizes, (HERE_B,)),
        dict.fromkeys(sizes, frozenset({"here"})),
        {HERE_B: speed},
        sizes.__getitem__,
    )
    return seen(run, link.happenings(HERE_B, dict.fromkeys(sizes, 0.0), sizes))


# The estimates


@FEW
@given(st.lists(SIZES, min_size=1, max_size=60), OVERHEADS, TIMES)
def test_any_sizes_over_a_link_whose_speed_is_known(sizes: list[int], file: float, seconds: float) -> None:
    rate = max(SLOWEST, sum(sizes) / seconds)
    good(one_link(keys(sizes), Link(file, rate), rate))


@FEW
@given(st.integers(1, 100), SIZES, OVERHEADS, TIMES, st.booleans())
def test_equal_files_over_a_link_of_which_nothing_is_known(
    count: int, size: int, file: float, seconds: float, reports: bool
) -> None:
    assume(reports or count > 9)
    good(one_link(keys([size] * count), Link(file, max(SLOWEST, size * count / seconds), reports)))


def test_thousands_of_small_files_before_large_ones() -> None:
    """A rate of bytes alone would tell three quarters of an hour where five minutes are left."""
    sizes = keys([20_000] * 4000 + [200_000_000] * 10)
    good(one_link(sizes, Link(0.03, 6_000_000), 6_000_000))
    good(one_link(sizes, Link(0.03, 6_000_000)), since=0.3)


def test_large_files_of_which_nothing_is_told_on_the_way() -> None:
    good(one_link(keys([40_000_000] * 12), Link(0.2, 2_000_000, reports=False)))


def test_a_rate_that_changes_is_followed() -> None:
    told = one_link(keys([100_000_000]), Link(0.1, 4_000_000, then=(12.0, 1_000_000)))
    speeds = {round(now): run.speed for now, run in told}
    assert speeds[11] == pytest.approx(4e6, rel=0.05) and speeds[24] == pytest.approx(1e6, rel=0.05)
    good(told, since=24 / told[-1][0])


def test_a_link_that_stands_still_slows_down() -> None:
    link = LinkProgress()
    link.expect("k", 100_000_000, None)
    link.started("k", 0.0)
    for tenth in range(100):
        link.moved("k", 100_000 * tenth, tenth / 10)
    before, after = link.eta(10.0), link.eta(30.0)
    assert before is not None and after is not None and after > 2.5 * before
    assert (link.transferred(30.0).speed or 0.0) < 350_000


def test_what_is_resumed_is_no_speed() -> None:
    link = LinkProgress()
    link.expect("k", 100_000_000, None)
    link.started("k", 0.0)
    for tenth in range(1, 50):
        link.moved("k", 80_000_000 + 100_000 * tenth, tenth / 10)
    assert link.transferred(5.0).speed == pytest.approx(1e6, rel=0.05)
    assert link.eta(5.0) == pytest.approx(15.0, rel=0.1)
    link.moved("k", 10_000, 5.1)  # it began anew from nothing
    assert link.transferred(5.2).speed == pytest.approx(1e6, rel=0.1)


def test_what_passes_through_comes_and_goes() -> None:
    """git-annex tells of both ways, each from nothing to all of it."""
    through = OwnStep("a", "b", "push", through=True)
    run = RunProgress({"k": (through,)}, {"k": frozenset({"a"})}, {through: None}, {"k": 10_000_000}.__getitem__)
    link = run.links[through]
    link.started("k", 0.0)
    for tenth in range(1, 200):
        link.moved("k", (100_000 * tenth) % 10_000_000, tenth / 10)
        if tenth > 10:
            assert link.eta(tenth / 10) == pytest.approx(20 - tenth / 10, rel=0.1, abs=0.2)
            assert link.file("k", 10_000_000, tenth / 10).bytes == pytest.approx(50_000 * tenth)
    assert run.done(through, "k", 20.0) == []
    assert (run.run(20.1).bytes, run.run(20.1).total) == (20_000_000, 20_000_000)


def test_nothing_is_said_of_a_link_of_which_nothing_is_known() -> None:
    run = RunProgress({"k": (HERE_B,)}, {"k": frozenset({"here"})}, {HERE_B: None}, {"k": 1_000_000}.__getitem__)
    assert run.run(0.0) == Transferred(0, 1_000_000)
    run.links[HERE_B].started("k", 0.0)
    assert run.run(5.0).eta is None


# Links after one another


def test_a_run_takes_as_long_as_its_slowest_link() -> None:
    """All bytes at the rate of all links would tell a third of it."""
    rates, seconds = {HERE_B: 1_000_000, HERE_C: 2_000_000, HERE_D: 8_000_000}, {HERE_B: 40, HERE_C: 20, HERE_D: 10}
    sizes = {f"{step.target}{n}": rates[step] * seconds[step] // 10 for step in rates for n in range(10)}
    steps = {f"{step.target}{n}": (step,) for step in rates for n in range(10)}
    run = RunProgress(steps, dict.fromkeys(sizes, frozenset({"here"})), dict.fromkeys(rates), sizes.__getitem__)
    happenings = [
        one
        for step, rate in rates.items()
        for one in Link(0.05, rate).happenings(step, {key: 0.0 for key in sizes if steps[key] == (step,)}, sizes)
    ]
    told = seen(run, happenings)
    good(told, since=0.1)
    (begun,) = (run for now, run in told if 5.0 <= now < 5.3)
    assert begun.speed == pytest.approx(11e6, rel=0.1)


@FEW
@given(st.lists(SIZES, min_size=1, max_size=40), OVERHEADS, OVERHEADS, TIMES, TIMES)
def test_what_comes_here_first_and_is_passed_on(
    sizes: list[int], file: float, other: float, first: float, second: float
) -> None:
    """a -> here -> b: the second link waits for the first, and counts from the start."""
    all_keys, rates = keys(sizes), (max(SLOWEST, sum(sizes) / first), max(SLOWEST, sum(sizes) / second))
    steps, at = dict.fromkeys(all_keys, (FROM_A, HERE_B)), dict.fromkeys(all_keys, frozenset({"a"}))
    run = RunProgress(steps, at, dict(zip((FROM_A, HERE_B), rates, strict=True)), all_keys.__getitem__)
    assert run.run(0.0).total == 2 * sum(sizes)
    into = Link(file, rates[0]).happenings(FROM_A, dict.fromkeys(all_keys, 0.0), all_keys)
    arrivals = {key: now for now, kind, _, key, _ in into if kind == "done"}
    good(seen(run, into + Link(other, rates[1]).happenings(HERE_B, arrivals, all_keys)))


@given(st.lists(st.tuples(SIZES, st.sampled_from(["done", "lost", "there"]), st.booleans()), min_size=1))
def test_each_key_counts_once_a_link_and_leaves_the_total_where_it_does_not_come(
    files: list[tuple[int, str, bool]],
) -> None:
    sizes = keys(size for size, _, _ in files)
    here = {f"k{n}": here for n, (_, _, here) in enumerate(files)}
    steps = {key: ((HERE_B, HERE_C) if here[key] else (FROM_A, HERE_B, HERE_C)) for key in sizes}
    holders = {key: frozenset({"here" if here[key] else "a"}) for key in sizes}
    run = RunProgress(steps, holders, dict.fromkeys((HERE_B, HERE_C, FROM_A)), sizes.__getitem__)
    assert run.run(0.0).total == sum(size * len(steps[key]) for key, size in sizes.items())
    assert sum(run.link(step, 0.0).total for step in run.links) == run.run(0.0).total
    come = 0
    for n, (size, fate, _) in enumerate(files):
        key, first, now = f"k{n}", steps[f"k{n}"][0], float(n)
        run.links[first].started(key, now)
        run.links[first].moved(key, size // 2, now + 0.5)
        if fate == "lost":
            run.lost(first, key, now + 0.9)
            onward = [] if not here[key] else [HERE_C]
        elif fate == "there":
            onward = run.was_there(first, key, now + 0.9) or [HERE_C]
        else:
            onward = run.done(first, key, now + 0.9) or [HERE_C]
            come += size
        for step in onward:
            run.links[step].started(key, now + 0.9)
            assert run.done(step, key, now + 0.9) == []
            come += size
    end = run.run(len(files) + 1.0)
    assert (end.bytes, end.total, end.done, end.files, end.eta) == (come, come, len(files), len(files), 0.0)


# Real transfers


def timed(running: subprocess.Popen[bytes]) -> list[tuple[float, dict[str, Any]]]:
    """The events of a run, each with the time at which it came."""
    assert running.stdout
    told = [(time.monotonic(), json.loads(line)) for line in running.stdout]
    assert running.wait() == 0
    return told


def bare(net: Network, laptop: Node, *names: str) -> list[Node]:
    """Bare repositories on this machine that the laptop knows and that know nobody."""
    found = []
    for name in names:
        found.append(net.clone(laptop, name, bare=True))
        found[-1].git("remote", "remove", "origin", ok=None)
        connect(net, (laptop, found[-1]))
    return found


def errors(told: list[tuple[float, dict[str, Any]]], what: str) -> list[float]:
    """How far the estimates were off from a third of the run on, as parts of the truth, in order."""
    begun, end = told[0][0], told[-1][0]
    late = [(end - now, event[what]["eta_seconds"]) for now, event in told if now > begun + (end - begun) / 3]
    return sorted(abs(eta - truth) / truth for truth, eta in late if truth > 0.5)


@pytest.mark.slow
def test_estimates_of_links_of_1_and_2_and_8_megabytes_a_second_at_once(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({"README": "x\n"})
    rates, seconds = (
        {"slow": 1_000_000, "middle": 2_000_000, "fast": 8_000_000},
        {"slow": 14, "middle": 9, "fast": 5},
    )
    far = bare(net, laptop, *rates)
    make_known(laptop)
    for name, rate in rates.items():
        laptop.annex("wanted", name, f"include={name}/*")
        laptop.config(f"remote.{name}.syncx-bwlimit", str(rate))
    size = {name: rate * seconds[name] // 21 for name, rate in rates.items()}
    laptop.commit_annexed({f"{name}/{n}": os.urandom(size[name] * n) for name in rates for n in range(1, 7)})
    told = timed(laptop.start("--json", "transfer"))
    assert all(len(keys_on_disk(node)) == 6 for node in far)

    files = [(now, event) for now, event in told if event["event"] == "file"]
    assert files[0][1]["run"]["total"] == sum(size.values()) * 21, "right from the start"
    assert files[-1][1]["run"]["bytes"] == files[-1][1]["run"]["total"] and files[-1][1]["run"]["eta_seconds"] == 0
    for name in rates:
        (first, *_), (*_, last) = ([event for _, event in files if event["remote"] == name] for _ in range(2))
        assert first["link"]["total"] == last["link"]["bytes"] == size[name] * 21
        assert (first["link"]["files"], last["link"]["done"]) == (6, 6)
    groups = [(name, "link", [pair for pair in files if pair[1]["remote"] == name]) for name in rates]
    for name, what, events in [*groups, ("slow", "run", files)]:
        # A machine that is too busy for these rates is faster at one time than at another, which nobody can know.
        busy = max(1.0, (events[-1][0] - events[0][0]) / seconds[name])
        off = errors(events, what)
        assert statistics.median(off) <= 0.2 * busy**3, (name, what, busy, off)
        assert off[len(off) * 9 // 10] <= 0.3 * busy**3, (name, what, busy, off)
    own = {event["remote"]: event["seconds"] for _, event in told if event["event"] == "transfer"}
    assert own["fast"] < own["slow"] < files[-1][0] - files[0][0] + 1, "each its own time"


@pytest.mark.slow
def test_a_link_that_waits_counts_from_the_start_and_what_fails_leaves_the_total(net: Network) -> None:
    """server -> laptop -> nas, and a store that takes nothing."""
    server = net.create("server")
    server.commit_annexed({f"f{n}": os.urandom(700_000) for n in range(2)})
    laptop = net.clone(server, "laptop")
    _, broken = bare(net, laptop, "nas", "broken")
    make_known(laptop)
    (broken.path / "annex" / "objects").touch()
    for remote in ("server", "nas"):
        laptop.config(f"remote.{remote}.syncx-bwlimit", "700k")
    files = [event for event in laptop.syncx("transfer", ok=1).events if event["event"] == "file"]
    assert files[0]["run"]["total"] == 3 * 1_400_000
    waiting = next(event for event in files if event["state"] == "waits" and event["remote"] == "nas")
    assert (waiting["link"]["bytes"], waiting["link"]["total"], waiting["bytes"]) == (0, 1_400_000, 0)
    assert 2 < waiting["link"]["eta_seconds"] < 6, "what comes first, and its own"
    assert {event["file"] for event in files if event["state"] == "failed"} == {"f0", "f1"}
    run = files[-1]["run"]
    assert (run["bytes"], run["total"], run["files"], run["done"]) == (2_800_000, 2_800_000, 2, 2)


@pytest.mark.slow
def test_what_a_transfer_resumes_counts_and_is_no_speed(net: Network) -> None:
    with Sshd(net.root / "sshd", net.home) as sshd:
        sshd.join(net)
        laptop = net.create("laptop")
        laptop.commit_annexed({"film": os.urandom(12_000_000)})
        (server,) = bare(net, laptop, "server")
        laptop.git("remote", "set-url", "server", sshd.url(server.path))
        laptop.syncx("sync", "--no-content")
        running = laptop.start("transfer", "--bwlimit", "4M")
        wait_until(
            lambda: [one for one in (server.path / "annex" / "tmp").glob("SHA256*") if one.stat().st_size > 7e6]
        )
        running.send_signal(signal.SIGINT)
        running.wait(60)
        sshd.disconnect()
        told = [event for event in laptop.syncx("transfer", "--bwlimit", "1M").events if event["event"] == "file"]
        moved = [event for event in told if event["state"] == "progress"]
        assert moved[0]["bytes"] > 6_000_000 and moved[0]["run"]["total"] == 12_000_000
        assert all(event[what]["bytes_per_second"] < 2e6 for event in moved[2:] for what in ("link", "run"))
        assert keys_on_disk(server) == keys_on_disk(laptop)
        sshd.disconnect()


def test_a_large_file_that_cannot_be_resumed_has_the_whole_limit(net: Network) -> None:
    """It goes alone: else it would keep its half when the other one has arrived."""
    laptop = net.create("laptop")
    laptop.commit_annexed(
        {"small": os.urandom(100_000), "large": os.urandom(5_000_000), "larger": os.urandom(6_000_000)}
    )
    (nas,) = bare(net, laptop, "nas")
    laptop.syncx("sync", "--no-content")
    running = laptop.start("transfer", "--bwlimit", "2M")
    wait_until(lambda: [size for size in sizes_under_way(nas) if size > 1_000_000])
    assert len(sizes_under_way(nas)) == 1
    assert {rate_of(pid) for pid in senders(laptop)} == {2 * 1024**2}
    running.wait(60)
    assert keys_on_disk(nas) == keys_on_disk(laptop)


def sizes_under_way(receiver: Node) -> list[int]:
    return [path.stat().st_size for path in (receiver.path / "annex" / "tmp").glob("SHA256*")]


def senders(node: Node) -> list[Path]:
    """The git-annex processes that are fed keys in a repository."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"--batch-keys" in (process / "cmdline").read_bytes() and (process / "cwd").readlink() == node.path:
                found.append(process)
    return found


def rate_of(process: Path) -> int:
    variables = dict(one.split(b"=", 1) for one in (process / "environ").read_bytes().split(b"\0") if b"=" in one)
    return int(variables[b"SYNCX_RATE"])


# On a terminal


def shown_until(node: Node, wanted: str, columns: int) -> str:
    """What `transfer` draws on a terminal until it shows something; then it is interrupted."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(node.path)
        env = node.net.env(TERM="xterm", COLUMNS=str(columns))
        os.execvpe("git-annex-syncx", ["git-annex-syncx", "transfer", "--bwlimit", "100k"], env)
    said = b""
    with contextlib.suppress(OSError):  # the terminal is closed
        while some := os.read(terminal, 65536):
            said += some
            if re.search(wanted, without_colours(said)):
                os.kill(child, signal.SIGINT)
                wanted = "$nothing more"
    os.waitpid(child, 0)
    os.close(terminal)
    return without_colours(said)


def without_colours(said: bytes) -> str:
    return ESCAPES.sub("", re.sub(r"(\x1b\[(1A|2K))+", "\n", said.decode("utf-8", "replace"))).replace("\r", "")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 40])
def test_a_large_file_over_a_slow_link_has_its_own_line(net: Network, columns: int) -> None:
    laptop = net.create("laptop")
    name = "a film with a rather long name that fits into no terminal of 40 columns.mkv"
    laptop.commit_annexed({name: os.urandom(6_000_000), "small": os.urandom(1000)})
    bare(net, laptop, "nas")
    laptop.syncx("sync", "--no-content")
    figures = r"[\d.]+ kB of 6 MB, [\d.]+ kB/s, \d\d s left"
    if columns == 80:
        shown = shown_until(laptop, rf"  a film with[^\n]* {figures}", columns)
    else:  # lines are folded
        shown = shown_until(laptop, r"  a film with[^:]*:\s+" + figures.replace(" ", r"\s+"), columns)
    assert "1/2 files" in shown and "push nas" in shown
    assert max(len(line) for line in shown.splitlines() if "interrupted" not in line) <= columns
