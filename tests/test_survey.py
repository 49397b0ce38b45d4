"""The links log and the network that all nodes agree on, in real repositories."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from network import Network, Node

from git_annex_syncx.model import Remote
from git_annex_syncx.network import links_log
from git_annex_syncx.network.graph import Link
from git_annex_syncx.network.links_log import Line
from git_annex_syncx.network.own_links import _latency
from git_annex_syncx.system.records import Speed
from git_annex_syncx.system.state import State

FAR, NEAR = 100.0, 10.0  # milliseconds
LOG = "git-annex:syncx-links.log"


def uuid_of(node: Node) -> str:
    return node.git("config", "annex.uuid").out.strip()


def state_of(node: Node) -> State:
    return State(node.path / ".git" / "annex" / "syncx" / "outbox.sqlite")


def spread(*nodes: Node) -> None:
    """One round of plain git-annex."""
    for node in (*nodes, *nodes):
        node.annex("sync", "--quiet", "--no-content", ok=None)


def in_a_row(net: Network) -> list[Node]:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    desktop = net.clone(laptop, "desktop")
    nas = net.clone(desktop, "nas")
    net.connect((laptop, desktop), (desktop, nas))
    spread(laptop, desktop, nas)
    return [laptop, desktop, nas]


@pytest.fixture
def chain(net: Network) -> list[Node]:
    """laptop - desktop - nas: the ends do not know each other."""
    return net.made_by(in_a_row)


def plan_of(node: Node, *args: str) -> dict:
    (answer,) = node.syncx("plan", *args).events
    return answer


@pytest.mark.thorough
def test_nodes_that_do_not_reach_each_other_make_the_same_plan(chain: list[Node]) -> None:
    laptop, desktop, nas = chain
    for node in chain:
        node.syncx("map", "--publish")
    spread(*chain)
    asked = ("--from", "laptop", "--to", "desktop", "--to", "nas")
    plans = [plan_of(node, *asked) for node in chain]
    assert plans[0] == plans[1] == plans[2]
    steps = plans[0]["plans"][0]["steps"]
    assert [(s["from"], s["to"]) for s in steps] == [
        (uuid_of(laptop), uuid_of(desktop)),
        (uuid_of(desktop), uuid_of(nas)),
    ]
    # A drive that is plugged in at one of them, and what was measured since, changes nothing before it is published.
    drive = nas.net.clone(nas, "drive")
    nas.git("remote", "add", "drive", str(drive.path))
    nas.config("remote.drive.annex-uuid", uuid_of(drive))
    state_of(laptop).speeds.put(Speed(uuid_of(desktop), 5e6, 0.4))
    again = [plan_of(node, *asked) for node in chain]
    assert again == plans
    assert "map --publish" in laptop.syncx("plan", *asked).err
    laptop.syncx("map", "--publish")
    assert plan_of(laptop, *asked)["network"] != plans[0]["network"]


def test_the_log_names_no_url_and_no_directory(chain: list[Node]) -> None:
    laptop, desktop, _ = chain
    laptop.git("remote", "add", "far", "ssh://somebody@secret.example/srv/annex")
    laptop.config("remote.far.annex-uuid", uuid_of(desktop))
    laptop.config("remote.far.annex-ignore", "false")
    laptop.syncx("map", "--publish")
    text = laptop.show(LOG).decode()
    assert text.startswith(f"{uuid_of(laptop)} " + '{"v":1,')
    assert "secret" not in text and "/" not in text and "somebody" not in text


def test_it_is_published_only_when_it_is_news(chain: list[Node]) -> None:
    laptop, desktop, _ = chain
    laptop.syncx("map", "--publish")
    tip = laptop.head("git-annex")
    assert "already" in laptop.run("git-annex-syncx", "map", "--publish").err
    state_of(laptop).speeds.put(Speed(uuid_of(desktop), None, 1.3))  # it was told as 1 ms
    laptop.syncx("map", "--publish")
    assert laptop.head("git-annex") == tip
    state_of(laptop).speeds.put(Speed(uuid_of(desktop), None, 40.0))
    laptop.syncx("map", "--publish")
    assert json.loads(laptop.show(LOG).decode().split(" ")[1])["links"][0]["latency_ms"] == 40.0
    laptop.config("remote.desktop.annex-cost", "175")
    laptop.syncx("map", "--publish")
    assert json.loads(laptop.show(LOG).decode().split(" ")[1])["links"][0]["cost"] == 175.0
    assert len(laptop.show(LOG).splitlines()) == 1
    assert laptop.git("for-each-ref", "refs/remotes/syncx").out == ""


def test_publishing_keeps_what_git_annex_and_others_wrote(chain: list[Node]) -> None:
    laptop, desktop, nas = chain
    laptop.commit_annexed({"big": "content\n"})
    for node in chain:
        node.syncx("map", "--publish")
    spread(*chain)
    for node in chain:
        assert len({line.split(" ")[0] for line in node.show(LOG).decode().splitlines()}) == 3
        assert uuid_of(laptop) in node.annex("whereis", "big").out
    assert laptop.head("main") == desktop.head("main") == nas.head("main")


def test_a_sync_publishes(chain: list[Node]) -> None:
    laptop, desktop, _ = chain
    laptop.syncx("sync", "--no-content")
    assert laptop.show(LOG)
    desktop.syncx("sync", "--no-content")
    assert uuid_of(laptop) in desktop.show(LOG).decode()


def test_a_private_repository_publishes_nothing_and_nobody_names_it(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit({"a.txt": "a\n"})
    hidden = Node(net, "hidden", net.root / "hidden")
    laptop.git("clone", "--quiet", str(laptop.path), str(hidden.path))
    hidden.config("annex.private", "true")
    hidden.annex("init", "--quiet", "hidden")
    net.connect((laptop, hidden))
    laptop.config("remote.hidden.annex-uuid", uuid_of(hidden))
    assert "private" in hidden.run("git-annex-syncx", "map", "--publish").err
    laptop.syncx("map", "--publish")
    for node in (laptop, hidden):
        assert node.git("cat-file", "-e", LOG, ok=None).code != 0


def test_bad_lines_are_reported_and_ignored(chain: list[Node]) -> None:
    laptop, _, nas = chain
    for node in chain:
        node.syncx("map", "--publish")
    spread(*chain)
    good = plan_of(laptop, "--from", "laptop", "--to", "nas", "--to", "desktop")
    log = laptop.show(LOG)
    bad = b"\n".join([
        b"nonsense",
        b"\xff\xfe\x00",
        b"11111111-2222-3333-4444-555555555555 {} timestamp=1s",
        uuid_of(nas).encode() + b" {} timestamp=nans",
        uuid_of(nas).encode() + b' {"v":1,"links":[]} timestamp=inf',
        b"x" * 2_000_000,
        b"[" * 200_000,
    ])  # fmt: skip
    blob = laptop.git("hash-object", "-w", "--stdin", stdin=log + bad + b"\n").out.strip()
    tree = laptop.git("ls-tree", "git-annex").out.splitlines()
    tree = [line for line in tree if not line.endswith("\tsyncx-links.log")] + [
        f"100644 blob {blob}\tsyncx-links.log"
    ]
    made = laptop.git("mktree", stdin="\n".join(tree).encode() + b"\n").out.strip()
    commit = laptop.git("commit-tree", made, "-p", "git-annex", "-m", "bad").out.strip()
    laptop.git("update-ref", "refs/heads/git-annex", commit)
    ran = laptop.syncx("plan", "--from", "laptop", "--to", "nas", "--to", "desktop")
    assert ran.events == [good]
    assert ran.err.count("links log: line") >= 5


def known_line(uuid: str, value: object, when: object = 5) -> bytes:
    return f"{uuid} {json.dumps(value)} timestamp={when}s\n".encode()


@pytest.mark.parametrize(
    "item",
    [
        {"to": "B"}, {"to": "B", "cost": -1}, {"to": "B", "cost": float("nan")}, {"to": "B", "cost": float("inf")},
        {"to": "B", "cost": 1e300}, {"to": "B", "cost": "1"}, {"to": "B", "cost": True}, {"to": ["B"], "cost": 1},
        {"to": "B", "cost": 1, "latency_ms": 0}, {"to": "B", "cost": 1, "push": "no"}, 7,
    ],
)  # fmt: skip
def test_one_bad_link_costs_only_itself(item: object) -> None:
    good = {"to": "B", "cost": 3.0}
    log = links_log.parse(known_line("A", {"v": 1, "links": [item, good]}), {"A", "B"})
    assert log.lines["A"].links == (Link("A", "B", 3.0, source="links-log"),)
    assert len(log.complaints) == 1


def test_links_to_the_dead_and_forgotten_are_no_complaint() -> None:
    line = {"v": 1, "links": [{"to": "Z", "cost": 1}, {"to": "B", "cost": 3.0}]}
    log = links_log.parse(known_line("A", line) + known_line("Z", line), {"A", "B"})
    assert (list(log.lines), [link.remote for link in log.lines["A"].links], log.complaints) == (["A"], ["B"], [])


@pytest.mark.parametrize("value", [[], 7, {"v": 2, "links": []}, {"v": 1}, {"v": 1, "links": {}}, {"links": []}])
def test_a_line_in_another_form_is_ignored(value: object) -> None:
    log = links_log.parse(known_line("A", value), {"A"})
    assert not log.lines
    assert len(log.complaints) == 1


def test_the_newest_line_holds_whatever_the_order() -> None:
    old, new = ({"v": 1, "links": [{"to": "B", "cost": cost}]} for cost in (1, 2))
    for raw in (known_line("A", old, 5) + known_line("A", new, 6), known_line("A", new, 6) + known_line("A", old, 5)):
        assert links_log.parse(raw, {"A", "B"}).lines["A"].links[0].cost == 2


def test_a_line_of_ours_outranks_one_from_the_future() -> None:
    log = links_log.parse(known_line("A", {"v": 1, "links": []}, 10**11), {"A", "B"})
    line = Line("A", (Link("A", "B", 7.0),))
    again = links_log.parse(
        links_log.compacted(log, line, time.time()) + known_line("A", {"v": 1, "links": []}, 10**11), {"A", "B"}
    )
    assert again.lines["A"].links[0].cost == 7.0


def test_a_million_lines_are_read_in_bounds() -> None:
    raw = b"".join(b"u%d {} timestamp=1s\n" % n for n in range(10**6)) + known_line("A", {"v": 1, "links": []})
    begun = time.process_time()
    log = links_log.parse(raw, {"A"})
    assert time.process_time() - begun < 15
    assert list(log.lines) == ["A"]
    assert len(log.complaints) < 50


def test_dead_export_and_ignored_remotes_are_left_out(chain: list[Node], tmp_path: Path) -> None:
    laptop, _, _ = chain
    for name, more in (("store", ()), ("export", ("exporttree=yes",)), ("gone", ())):
        (tmp_path / name).mkdir()
        laptop.annex("initremote", name, "type=directory", f"directory={tmp_path / name}", "encryption=none", *more)
    laptop.annex("dead", "gone")
    laptop.git("remote", "add", "web", "https://example.invalid/x.git")
    laptop.config("remote.web.annex-ignore", "true")
    laptop.syncx("map", "--publish")
    told = json.loads(laptop.show(LOG).decode().split(" ")[1])["links"]
    store = laptop.git("config", "remote.store.annex-uuid").out.strip()
    desktop = laptop.git("config", "remote.desktop.annex-uuid").out.strip()
    assert {item["to"] for item in told} == {store, desktop}
    (seen,) = laptop.syncx("map").events
    assert {place["name"]: place["special"] for place in seen["repositories"]}["store"] is True


def test_a_cluster_is_a_place_of_its_own_that_its_gateway_leads_to(chain: list[Node]) -> None:
    laptop, desktop, _ = chain
    laptop.annex("initcluster", "all")
    laptop.config("remote.desktop.annex-cluster-node", "all")
    laptop.annex("updatecluster")
    cluster = laptop.git("config", "annex.cluster.all").out.strip()
    assert cluster in laptop.show("git-annex:cluster.log").decode()
    (seen,) = laptop.syncx("map").events
    places = {place["uuid"]: place for place in seen["repositories"]}
    assert places[cluster]["special"] and places[cluster]["nodes"] == [uuid_of(desktop)]
    assert "nodes" not in places[uuid_of(desktop)]
    into = [link for link in seen["links"] if link["remote"] == cluster]
    assert [(link["owner"], link["push"], link["pull"]) for link in into] == [(uuid_of(laptop), True, False)]


def test_a_drive_is_known_by_setting_and_by_place(chain: list[Node]) -> None:
    laptop, desktop, nas = chain
    laptop.git("remote", "add", "usb", "/media/user/usb")
    laptop.config("remote.usb.annex-uuid", uuid_of(nas))
    laptop.config("remote.desktop.syncx-removable", "true")
    laptop.syncx("map", "--publish")
    told = json.loads(laptop.show(LOG).decode().split(" ")[1])["links"]
    assert {item["to"]: item["removable"] for item in told} == {uuid_of(nas): True, uuid_of(desktop): True}


def test_relays_are_published_or_in_group_transfer(chain: list[Node]) -> None:
    laptop, desktop, nas = chain
    desktop.config("syncx.relay", "true")
    laptop.annex("group", "nas", "transfer", ok=None)
    nas.annex("group", "here", "transfer")
    for node in chain:
        node.syncx("map", "--publish")
    spread(*chain)
    (seen,) = laptop.syncx("map").events
    assert {place["name"]: place["relay"] for place in seen["repositories"]} == {
        "laptop": False,
        "desktop": True,
        "nas": True,
    }


def test_files_are_planned_from_who_has_them(chain: list[Node]) -> None:
    laptop, desktop, nas = chain
    laptop.commit_annexed({"one": "1\n", "two": "22\n"})
    for node in chain:
        node.syncx("map", "--publish")
    spread(*chain)
    desktop.annex("get", "--quiet", "two")
    desktop.git("annex", "sync", "--quiet", "--no-content", ok=None)
    answer = plan_of(desktop, ".")
    found = {plan["bytes"]: plan for plan in answer["plans"]}
    assert found[2]["holders"] == [uuid_of(laptop)]
    assert found[3]["holders"] == sorted([uuid_of(laptop), uuid_of(desktop)])
    assert [(s["from"], s["to"]) for s in found[3]["steps"]] == [(uuid_of(desktop), uuid_of(nas))]
    desktop.write("sub/x", "x")
    inside = desktop.syncx("-C", "sub", "plan", "../two").events
    assert [plan["bytes"] for plan in inside[0]["plans"]] == [3]
    assert "annexed" in desktop.syncx("plan", "a.txt", ok=2).err


def test_unknown_names_are_errors(chain: list[Node]) -> None:
    assert "there is no repository 'mars'" in chain[0].syncx("plan", "--from", "mars", ok=2).err


def test_what_nobody_has_described_is_called_as_the_remote(chain: list[Node]) -> None:
    _, desktop, _ = chain
    desktop.annex("describe", "nas", "root@nas.local:/srv/annex.git")  # as git-annex describes a fresh hub
    told = desktop.run("git-annex-syncx", "plan", "--from", "desktop", "--to", "nas").out
    assert "-> nas" in told and "root@" not in told


def test_refresh_asks_and_says_what_did_not_answer(chain: list[Node]) -> None:
    laptop, desktop, nas = chain
    laptop.git("remote", "add", "away", "ssh://dead.invalid/srv/annex")
    ran = laptop.syncx("map", "--refresh")
    (seen,) = ran.events
    assert "dead.invalid" in ran.err
    assert {(k["owner"], k["remote"]) for k in seen["links"] if k["source"] == "map"} >= {
        (uuid_of(desktop), uuid_of(nas)),
        (uuid_of(nas), uuid_of(desktop)),
    }
    (remembered,) = laptop.syncx("map").events
    assert remembered == seen


def test_the_map_and_the_plan_are_for_people_too(chain: list[Node]) -> None:
    laptop, _, _ = chain
    shown = laptop.run("git-annex-syncx", "map").out
    assert "laptop (here)" in shown and "desktop" in shown
    told = laptop.run("git-annex-syncx", "plan", "--from", "laptop").out
    assert "laptop (here) has it" in told and "desktop: push by laptop, 100" in told


@pytest.mark.parametrize(
    ("host", "latency"),
    [
        ("nas.local", NEAR), ("nas.lan", NEAR), ("nas.home", NEAR), ("nas.internal", NEAR), ("nas", NEAR),
        ("192.168.1.7", NEAR), ("[fd00::7]", NEAR), ("8.8.8.8", FAR), ("[2001:4860::8]", FAR),
        ("example.org", FAR), ("local.example.org", FAR), ("atlan", NEAR), ("at.atlan", FAR),
    ],
)  # fmt: skip
def test_how_far_a_host_is_until_it_is_measured(host: str, latency: float) -> None:
    assert _latency(Remote("nas", f"ssh://me@{host}/srv/annex", "")) == latency


@pytest.mark.parametrize(
    ("command", "cost"), [("echo 42", 42), ("echo cheap", 100), ("exit 1", 100), ("echo nan", 100)]
)
def test_a_command_that_tells_no_cost_is_as_none(pair: tuple[Node, Node], command: str, cost: int) -> None:
    laptop, _ = pair
    laptop.syncx("sync")
    laptop.config("remote.desktop.annex-cost-command", command)
    (link,) = laptop.syncx("map").events[0]["links"]
    assert link["cost"] == cost
