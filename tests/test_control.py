"""Who decides what moves, and when: conditions on content, patience for one run, and previews."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from network import Network, Node
from test_messages import on_terminal
from watching import Watching

from git_annex_syncx.content.conditions import on_battery

HERE, THERE, FAR = "laptop", "nas", "far"


def built(net: Network) -> list[Node]:
    """A laptop with two files of 20 kB, a NAS that has neither, and a repository that only the NAS knows."""
    laptop = net.create(HERE)
    laptop.commit({"a.txt": "a\n"})
    nas = net.clone(laptop, THERE)
    far = net.clone(nas, FAR)
    net.connect((laptop, nas), (nas, far))
    for node in (nas, laptop):
        node.syncx("sync")
    laptop.commit_annexed({f"{name}.bin": name.encode() * 20_000 for name in "xy"})
    return [laptop, nas, far]


@pytest.fixture
def chain(net: Network) -> list[Node]:
    return net.made_by(built)


def held(node: Node) -> str:
    """The first letters of the content that lies in a repository."""
    found = (path for path in (node.path / ".git/annex/objects").rglob("*") if path.is_file())
    return "".join(sorted(path.read_bytes()[:1].decode() for path in found))


def program(net: Network, name: str, text: str) -> None:
    """Put a program first on the PATH."""
    folder = net.root / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    if folder not in net.programs:
        net.programs.insert(0, folder)


# Conditions


def test_content_waits_for_a_condition_and_branches_do_not(chain: list[Node]) -> None:
    laptop, nas, _ = chain
    laptop.config("syncx.contentIf", "test -e .git/now || exit 75")
    ran = laptop.syncx("sync")
    told = ran.event("transfer")
    assert (told["result"], told["condition"]) == ("waits", "test -e .git/now || exit 75")
    assert "no content now: a command says not now" in told["reason"]
    assert (nas.head("synced/main"), held(nas)) == (laptop.head(), "")
    assert laptop.syncx("transfer").event("transfer")["result"] == "waits", "nobody at a terminal has asked for it"

    unmet = laptop.syncx("status").event("summary")["unmet"]
    assert [one["condition"] for one in unmet] == ["test -e .git/now || exit 75"]
    assert "content waits: " in laptop.run("git-annex-syncx", "status").out
    first = unmet[0]["since"]
    laptop.syncx("retry")
    again = laptop.syncx("status").event("summary")["unmet"][0]
    assert again["since"] == first and again["asked"] > unmet[0]["asked"], "it waits since then"

    (laptop.path / ".git" / "now").touch()
    laptop.syncx("retry")
    assert held(nas) == "xy", "what was held back is not forgotten"
    assert laptop.syncx("status").event("summary")["unmet"] == []


def test_a_person_at_a_terminal_who_says_transfer_gets_it(chain: list[Node]) -> None:
    laptop, nas, _ = chain
    laptop.config("syncx.contentIf", "exit 75")
    assert "no content now" in on_terminal(laptop, "sync", columns=200) and not held(nas)
    assert "no content now" not in on_terminal(laptop, "transfer", columns=200)
    assert held(nas) == "xy"


def test_all_conditions_must_be_met_and_an_empty_value_takes_them_back(chain: list[Node]) -> None:
    laptop, nas, _ = chain
    laptop.config("syncx.contentIf", "true")
    laptop.git("config", "--add", "syncx.contentIf", "exit 75")
    assert laptop.syncx("sync").event("transfer")["condition"] == "exit 75"
    assert laptop.git("-c", "syncx.contentIf=", "annex-syncx", "sync").err == ""
    assert held(nas) == "xy"


@pytest.mark.parametrize(
    ("condition", "why"),
    [("echo 'the oracle is away' >&2; exit 3", "the oracle is away"), ("no-such-oracle", "not found"),
     ("exit 4", "exit status 4")],
)  # fmt: skip
def test_a_condition_that_cannot_be_asked_is_a_failure(chain: list[Node], condition: str, why: str) -> None:
    laptop, nas, _ = chain
    laptop.config("syncx.contentIf", condition)
    told = laptop.syncx("sync", ok=1).event("transfer")
    assert (
        f"syncx.contentIf={condition} cannot be asked, so no content moves" in told["error"] and why in told["error"]
    )
    assert "75" in told["advice"] and held(nas) == "" and nas.head("synced/main") == laptop.head()
    laptop.git("config", "--unset", "syncx.contentIf")
    laptop.syncx("sync")
    assert laptop.syncx("status").event("summary")["failures"] == []


def test_what_a_condition_does_is_the_user_s(chain: list[Node]) -> None:
    """A commit that it makes is news, and odd bytes in it do no harm."""
    laptop, nas, _ = chain
    laptop.run("git", "config", "syncx.contentIf", b'test -z "$SYNCX_RUN" && echo \xe9 >.git/asked; exit 75')
    assert laptop.syncx("sync").event("transfer")["result"] == "waits"
    assert (laptop.path / ".git" / "asked").read_bytes() == b"\xe9\n" and held(nas) == ""
    assert "contentIf" in laptop.run("git-annex-syncx", "status").out


def test_a_drive_that_may_not_be_filled_now_is_not_told_ready(chain: list[Node]) -> None:
    laptop, _, _ = chain
    laptop.config("syncx.contentIf", "test -e .git/now || exit 75")
    laptop.config("syncx.retryInterval", "1s")  # after which it is asked again
    moved = laptop.path.parent / "drawer"
    (laptop.path.parent / THERE).rename(moved)
    with Watching(laptop) as service:
        moved.rename(laptop.path.parent / THERE)
        service.wait_until(lambda: laptop.syncx("status").event("summary")["unmet"], "it was not asked")
        service.wait_for("push nas: done")
        assert "unplugged" not in service.said and held(laptop) == "xy"
        (laptop.path / ".git" / "now").touch()
        service.wait_for("transfer nas: done: 2 files")


def supply(folder: Path, name: str, **values: str) -> None:
    (folder / name).mkdir(parents=True)
    for file, value in values.items():
        (folder / name / file).write_text(f"{value}\n")


def test_battery(tmp_path: Path) -> None:
    assert not on_battery(tmp_path / "none")
    supply(tmp_path, "hidpp_battery_0", type="Battery", scope="Device", status="Discharging")
    assert not on_battery(tmp_path), "that of a mouse"
    supply(tmp_path, "BAT0", type="Battery", status="Full", scope="System")
    assert not on_battery(tmp_path)
    (tmp_path / "BAT0" / "status").write_text("Discharging\n")
    assert on_battery(tmp_path)
    supply(tmp_path, "ADP1", type="Mains", online="0")
    assert on_battery(tmp_path)
    (tmp_path / "ADP1" / "online").write_text("1\n")
    assert not on_battery(tmp_path), "it is plugged in, and asks for more than it gets"


@pytest.mark.skipif(on_battery(Path("/sys/class/power_supply")), reason="the machine runs on battery")
def test_the_machine_is_asked(chain: list[Node]) -> None:
    laptop, nas, _ = chain
    laptop.config("syncx.contentIf", "Battery")
    laptop.syncx("sync")
    assert held(nas) == "xy"


def test_metered_by_the_bus(net: Network, chain: list[Node]) -> None:
    laptop, _, _ = chain
    laptop.config("syncx.contentIf", "metered")
    name, answer = "org.freedesktop.NetworkManager", net.root / "answer"
    asked = f"get-property {name} /{name.replace('.', '/')} {name} Metered"
    program(net, "busctl", f'test "$*" = "{asked}" && cat {answer}')
    for told, waits in (("u 1", True), ("u 3", True), ("u 4", False), ("u 2", False), ("u 0", False)):
        answer.write_text(told)
        assert ("the line is metered" in laptop.syncx("transfer", "-n").out) is waits, told


def test_metered_by_nmcli_where_there_is_no_busctl(net: Network, chain: list[Node]) -> None:
    laptop, _, _ = chain
    laptop.config("syncx.contentIf", "metered")
    farm = net.root / "farm"
    farm.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for file in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if file.name not in ("busctl", "nmcli") and not (farm / file.name).is_symlink():
                (farm / file.name).symlink_to(file)
    path = os.pathsep.join([str(net.root / "bin"), *map(str, net.programs), str(farm)])
    if shutil.which("busctl", path=path):
        pytest.skip("busctl lies beside git-annex")
    assert "nmcli is not installed" in laptop.syncx("sync", ok=1, PATH=path).event("transfer")["error"]
    away = "GENERAL.STATE:20 (unavailable)\nGENERAL.METERED:yes"
    program(
        net,
        "nmcli",
        f"printf '%s\\n' '{away}' '' 'GENERAL.STATE:100 (connected)' GENERAL.METERED:$(cat {net.root}/told)",
    )
    (net.root / "told").write_text("yes (guessed)")
    assert "the line is metered" in laptop.syncx("transfer", "-n", PATH=path).event("would-not")["reason"]
    (net.root / "told").write_text("no (guessed)")
    assert laptop.syncx("transfer", "-n", PATH=path).event("would", "nas")["files"] == 2


def test_metered_where_nobody_knows(net: Network, chain: list[Node]) -> None:
    laptop, _, _ = chain
    laptop.config("syncx.contentIf", "metered")
    program(net, "busctl", 'echo "Failed to connect to bus: No such file or directory" >&2; exit 1')
    assert "Failed to connect to bus" in laptop.syncx("sync", ok=1).event("transfer")["error"]


# Patience for one run


def test_patience_of_one_run(net: Network, chain: list[Node]) -> None:
    """The NAS is to pass it on to the far one, which the laptop reaches at a higher cost."""
    laptop, _, far = chain
    net.connect((laptop, far))
    laptop.config("remote.far.annex-cost", "500")
    laptop.syncx("sync", "--no-content")
    laptop.syncx("transfer")
    assert held(far) == ""
    for command in ("transfer", "sync"):
        wrong = laptop.syncx(command, "--patience", "1h30m", ok=2).err
        assert "'1h30m' is no time" in wrong and "30m, 2h, or 0" in wrong
    laptop.syncx("transfer", "--patience", "0")
    assert held(far) == "xy"


# Previews


def test_a_preview_of_a_transfer_names_files_and_reasons(net: Network, chain: list[Node]) -> None:
    laptop, nas, far = chain
    laptop.syncx("sync", "--no-content")
    uuids = {node.name: node.git("config", "annex.uuid").out.strip() for node in chain}
    before = [node.git("for-each-ref").out for node in chain]
    ran = laptop.syncx("transfer", "--dry-run")
    files = [event for event in ran.events if event["event"] == "would-file"]
    assert [(one["file"], one["bytes"], one["step"], one["remote"]) for one in files] == [
        ("x.bin", 20_000, "push", "nas"), ("y.bin", 20_000, "push", "nas"),
    ]  # fmt: skip
    assert sorted(files[0]["targets"]) == sorted([uuids[THERE], uuids[FAR]])
    assert files[0]["reason"] == "wanted there, passed on to far"
    assert ran.events[-1]["event"] == "would" and ran.events[-1]["files"] == 2
    shown = laptop.run("git-annex-syncx", "transfer", "-n", "x.bin").out
    assert "x.bin" in shown and "20 kB" in shown and "push nas" in shown and "y.bin" not in shown
    assert [node.git("for-each-ref").out for node in chain] == before and held(nas) == ""

    moved = net.root / "drawer"
    nas.path.rename(moved)
    told = [event for event in laptop.syncx("transfer", "-n").events if event["event"] == "would-file"]
    assert {(one["step"], one["remote"], one["reason"]) for one in told} == {
        ("waits", None, "for nas, until nas is there"), ("waits", None, "for far, until nas has it"),
    }  # fmt: skip
    moved.rename(nas.path)
    far.syncx("sync")
    nas.syncx("sync", "laptop", "--no-content")
    shown = nas.run("git-annex-syncx", "transfer", "-n").out
    assert "pull laptop" in shown or "for nas, until laptop brings them here" in shown or "waits" in shown


def test_a_preview_leaves_the_journal_alone(chain: list[Node]) -> None:
    laptop, _, far = chain
    laptop.syncx("sync", "--no-content")
    key, uuid = laptop.annex("lookupkey", "x.bin").out.strip(), far.git("config", "annex.uuid").out.strip()
    laptop.annex("setpresentkey", "-c", "annex.alwayscommit=false", key, uuid, "1")
    journal = laptop.path / ".git" / "annex" / "journal"
    before = laptop.head("git-annex"), [file.name for file in journal.iterdir()]
    assert before[1]
    for words in (("transfer", "-n"), ("sync", "-n"), ("transfer", "-n", "--all")):
        laptop.syncx(*words)
    assert (laptop.head("git-annex"), [file.name for file in journal.iterdir()]) == before


def test_a_preview_of_a_sync_tells_of_commits_too(chain: list[Node]) -> None:
    laptop, nas, _ = chain
    laptop.syncx("sync", "--no-content")
    nas.commit({"b.txt": "b\n"})
    laptop.git("fetch", "--quiet", "nas")
    laptop.write("a.txt", "changed\n")
    laptop.write("new.txt", "not added\n")
    before = [node.git("for-each-ref").out for node in chain]
    index = (laptop.path / ".git" / "index").read_bytes()
    ran = laptop.syncx("sync", "--dry-run")
    steps = [(e["phase"], e["remote"], e["commits"], e["files"]) for e in ran.events if e["event"] == "would-git"]
    assert steps == [("commit", None, 1, ["a.txt"]), ("merge", "nas", 1, []), ("push", "nas", 1, [])]
    assert ran.event("would", "nas")["files"] == 2
    shown = laptop.run("git-annex-syncx", "sync", "-n").out
    assert "commit: a.txt\n" in shown and "merge: 1 commit of nas\n" in shown and "push: 1 commit to nas\n" in shown
    assert "x.bin" in shown and "x.bin" not in laptop.run("git-annex-syncx", "sync", "-n", "--no-content").out
    assert [node.git("for-each-ref").out for node in chain] == before and held(nas) == ""
    assert (laptop.path / ".git" / "index").read_bytes() == index and laptop.read("a.txt") == b"changed\n"
    assert "exclude each other" in laptop.syncx("sync", "-n", "--cleanup", ok=2).err

    laptop.config("syncx.contentIf", "exit 75")
    assert "no content now" in laptop.syncx("sync", "-n").event("would-not")["reason"]
    assert laptop.syncx("status").event("summary")["unmet"] == [], "nothing was written"
