"""Clusters, and remotes behind a gateway: reached through ssh and HTTP, one upload, no git."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from network import Network, Node
from sshd import Proxy, Sshd, answers, free_port, wait_until

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.annex.proxied import added
from git_annex_syncx.errors import UsageError
from git_annex_syncx.git.settings import Settings, Value, parse
from git_annex_syncx.network.drawing import network_dot
from git_annex_syncx.network.graph import Link, Place, dumps, network
from git_annex_syncx.network.graph import Network as Map
from git_annex_syncx.network.map_reader import read_map
from git_annex_syncx.runs.pauses import free
from git_annex_syncx.system.records import Pause

BIG = os.urandom(400_000)


def gateway(net: Network) -> list[Node]:
    """A gateway to a cluster `box` of two repositories, and to a third one, `attic`; a clone of it."""
    gw = net.create("gw")
    gw.commit({"a.txt": "a"})
    nodes = [net.clone(gw, name, bare=True) for name in ("one", "two", "attic")]
    net.connect(*((gw, node) for node in nodes))
    gw.annex("initcluster", "box")
    gw.config("remote.one.annex-cluster-node", "box")
    gw.config("remote.two.annex-cluster-node", "box")
    gw.config("remote.attic.annex-proxy", "true")
    gw.annex("updatecluster")
    gw.annex("updateproxy")
    gw.annex("wanted", ".", "nothing")
    gw.annex("wanted", "attic", "include=old/*")
    return [gw, net.clone(gw, "laptop"), *nodes]


class Home:
    """A laptop outside, and a gateway with three repositories behind it."""

    def __init__(self, net: Network) -> None:
        self.gw, self.laptop, self.one, self.two, self.attic = net.made_by(gateway)
        self.box = self.gw.git("config", "annex.cluster.box").out.strip()

    @property
    def behind(self) -> tuple[Node, ...]:
        return self.one, self.two, self.attic


class FarHome(Home):
    """The same by ssh, over a line that counts."""

    def __init__(self, net: Network, server: Sshd, line: Proxy) -> None:
        super().__init__(net)
        self.line, self.url = line, server.url(self.gw.path, line.port)
        self.laptop.git("remote", "set-url", "gw", self.url)

    def sent(self, *args: str) -> float:
        """How many times BIG a run of the laptop sends."""
        before = self.line.sent
        self.laptop.syncx(*args)
        return (self.line.sent - before) / len(BIG)


@pytest.fixture
def home(net: Network) -> Iterator[FarHome]:
    with Sshd(net.root / "sshd", net.home) as server, Proxy(server.port) as line:
        server.join(net)
        yield FarHome(net, server, line)


def uuid_of(node: Node) -> str:
    return node.git("config", "annex.uuid").out.strip()


def branches(node: Node) -> list[str]:
    """All refs, with commits but for that of git-annex's own branch."""
    listed = node.git("for-each-ref", "--format=%(refname) %(objectname)").out.splitlines()
    return [line.split()[0] if line.startswith("refs/heads/git-annex ") else line for line in listed]


def holders(home: Home, file: str) -> list[str]:
    """Who really has the content of a file."""
    key = home.laptop.annex("lookupkey", file).out.strip()
    nodes = (home.gw, home.laptop, *home.behind)
    return [node.name for node in nodes if any(path.is_file() for path in node.path.rglob(key))]


def links(node: Node) -> dict[str, dict[str, Any]]:
    """What a repository has published: uuid -> link."""
    raw = node.show("git-annex:syncx-links.log").decode().splitlines()
    mine = (line for line in raw if line.startswith(uuid_of(node)))
    own = max(mine, key=lambda line: float(line.rpartition("timestamp=")[2].rstrip("s")))
    return {link["to"]: link for link in json.loads(own.split(" ")[1])["links"]}


def test_a_cluster_is_one_upload_and_its_nodes_are_the_copies(home: FarHome) -> None:
    """Its gateway spreads what comes; no git goes there."""
    laptop = home.laptop
    refs = [branches(node) for node in home.behind]
    laptop.commit_annexed({"big": BIG})
    for words in ((), ("big",), ("--from=laptop", "--to=gw-box")):
        (planned,) = laptop.syncx("plan", *words).events[0]["plans"]
        assert [(step["from"], step["to"]) for step in planned["steps"]] == [(uuid_of(laptop), home.box)]
        assert not planned["unreachable"], "the nodes are no targets"
    (supposed,) = laptop.syncx("plan", "--from=laptop").events[0]["plans"]
    assert set(supposed["targets"]) == {home.box, uuid_of(home.gw), uuid_of(home.attic)}
    shown = laptop.run("git-annex-syncx", "map").out
    assert "gw-box (cluster)" in shown and "one: a node of gw-box (cluster)" in shown

    assert 1 <= home.sent("sync") < 1.5
    assert holders(home, "big") == ["laptop", "one", "two"]
    again = laptop.syncx("sync")
    assert again.event("transfer", "gw-box")["result"] == "current"
    assert home.sent("sync") < 0.2, "all is there"
    assert laptop.syncx("plan").events[0]["plans"] == []

    assert [branches(node) for node in home.behind] == refs, "git-annex notes there alone what it has got"
    assert "gw-" not in laptop.git("for-each-ref").out and "gw-" not in laptop.git("config", "--list").out
    laptop.annex("drop", "--numcopies=2", "big")
    laptop.annex("wanted", ".", "nothing")
    laptop.syncx("sync")
    assert holders(home, "big") == ["one", "two"], "they count as copies"


def test_what_only_a_node_holds_is_fetched_from_the_cluster(home: FarHome, net: Network) -> None:
    laptop = home.laptop
    laptop.commit_annexed({"big": BIG})
    laptop.annex("copy", "--quiet", "--to=gw-one", "big")
    laptop.syncx("push")
    assert holders(home, "big") == ["laptop", "one"]
    desk = net.clone(home.gw, "desk")
    desk.git("remote", "set-url", "gw", home.url)
    assert desk.syncx("sync").event("transfer", "gw-box")["result"] == "done"
    assert desk.read("big") == BIG
    assert desk.syncx("sync").event("transfer", "gw-box")["result"] == "current"
    assert holders(home, "big") == ["laptop", "one"], "a copy that a node lacks is its gateway's to make"

    home.gw.syncx("sync")
    assert holders(home, "big") == ["laptop", "one"], "which wants nothing itself, and is no relay"
    home.gw.config("syncx.relay", "true")
    home.gw.syncx("sync")
    assert holders(home, "big") == ["laptop", "one", "two"]
    assert sorted(links(desk)) == sorted([uuid_of(home.gw), home.box, uuid_of(home.attic)])


def test_a_cluster_is_full_when_all_its_nodes_are(home: FarHome) -> None:
    laptop = home.laptop
    laptop.commit_annexed({"big": BIG})
    laptop.annex("maxsize", "gw-one", "10kB")
    laptop.annex("maxsize", "gw-two", "20kB")
    told = laptop.syncx("sync").event("waiting")
    assert told["target"] == home.box and "no room" in told["reason"]
    assert holders(home, "big") == ["laptop"]
    laptop.annex("maxsize", "gw-two", "1MB")
    laptop.syncx("sync")
    assert holders(home, "big") == ["laptop", "one", "two"], "which node takes it is its gateway's business"


def test_what_a_cluster_does_not_want_goes_from_all_its_nodes(home: FarHome) -> None:
    laptop = home.laptop
    laptop.commit_annexed({"big": BIG, "a.jpg": "j" * 20_000})
    laptop.annex("copy", "--quiet", "--to=gw-box")
    laptop.annex("wanted", "gw-box", "include=*.jpg")
    laptop.annex("numcopies", "3")
    kept = laptop.syncx("sync").event("drop", "gw-box")
    assert kept["result"] == "skipped" and "1 out of 3 necessary copies" in kept["reason"], "none of its own counts"
    assert holders(home, "big") == ["laptop", "one", "two"]
    laptop.annex("numcopies", "1")
    assert laptop.syncx("sync").event("drop", "gw-box")["dropped"] == 1
    assert holders(home, "big") == ["laptop"] and holders(home, "a.jpg") == ["laptop", "one", "two"]
    assert laptop.syncx("sync").event("transfer", "gw-box")["result"] == "current"


def test_a_gateway_that_runs_syncx_spreads_what_it_has(home: FarHome) -> None:
    """What it wants comes to it once, and nobody else sends that to the cluster; a node that comes later gets it."""
    gw, laptop = home.gw, home.laptop
    gw.annex("wanted", ".", "")
    gw.syncx("sync")
    assert links(gw).keys() == {uuid_of(node) for node in home.behind}
    laptop.commit_annexed({"big": BIG})
    assert 1 <= home.sent("sync") < 1.5
    assert holders(home, "big") == ["gw", "laptop"]
    (seen,) = laptop.syncx("plan").events
    assert [step["executor"] for plan in seen["plans"] for step in plan["steps"]] == [uuid_of(gw)]
    gw.syncx("merge")
    (seen,) = gw.syncx("plan").events
    steps = [step["to"] for plan in seen["plans"] for step in plan["steps"]]
    assert sorted(steps) == sorted([uuid_of(home.one), uuid_of(home.two)]), "to the gateway itself they are two"
    gw.syncx("sync")
    assert holders(home, "big") == ["gw", "laptop", "one", "two"]
    assert gw.syncx("plan").events[0]["plans"] == []

    gw.annex("wanted", "attic", "")
    gw.config("remote.attic.annex-cluster-node", "box")
    gw.annex("updatecluster")
    gw.syncx("sync")
    assert "attic" in holders(home, "big")

    laptop.commit_annexed({"more": "m" * 20_000})
    laptop.syncx("sync")
    assert holders(home, "more") == ["gw", "laptop"]
    laptop.config("syncx.patience", "0")
    laptop.syncx("sync")
    assert holders(home, "more") == ["gw", "laptop", "one", "two", "attic"], "it is not waited for for ever"


def test_a_node_of_its_own_has_the_gateway_s_cost_and_settings(home: FarHome) -> None:
    laptop = home.laptop
    laptop.config("remote.gw.annex-cost", "150")
    laptop.commit_annexed({"old/x": "x" * 20_000, "new": "n" * 20_000})
    laptop.syncx("sync", "--except", "gw-box")
    assert holders(home, "old/x") == ["laptop", "attic"] and holders(home, "new") == ["laptop"]
    costs = {uuid: link["cost"] for uuid, link in links(laptop).items()}
    assert costs == dict.fromkeys((uuid_of(home.gw), home.box, uuid_of(home.attic)), 150)
    shown = {
        line.split()[0]: line for line in laptop.run("git-annex-syncx", "status").out.splitlines() if line.split()
    }
    assert shown["gw-attic"].split()[1:3] == ["-", "1/1"], "no branch, all content"
    assert shown["gw-box"].startswith("gw-box lacks 2 files that the next run here sends")
    assert shown["gw-one"].split()[1:3] == ["-", "0/2"], "nothing is said of it, its cluster stands for it"

    laptop.config("remote.gw.annex-readonly", "true")
    laptop.syncx("map", "--publish")
    assert not any(link["push"] for link in links(laptop).values())
    laptop.config("remote.gw.annex-readonly", "false")
    laptop.config("remote.gw.annex-ignore", "true")
    laptop.syncx("map", "--publish")
    assert links(laptop) == {}


def test_a_dead_gateway_is_one_failure(home: FarHome) -> None:
    """What is behind it waits."""
    laptop = home.laptop
    laptop.syncx("sync")
    laptop.git("remote", "set-url", "gw", home.url.replace(str(home.line.port), "1"))
    laptop.commit_annexed({"big": BIG})
    ran = laptop.syncx("sync", ok=1)
    assert [event["remote"] for event in ran.events if event.get("result") == "failed"] == ["gw"]
    assert ran.event("waiting")["target"] == home.box


def test_a_limit_of_the_rate_reaches_what_is_behind_a_gateway(home: FarHome) -> None:
    """A setting of its own would let git-annex forget it."""
    home.laptop.config("remote.gw.syncx-bwlimit", "200k")
    home.laptop.commit_annexed({"big": BIG})
    done = home.laptop.syncx("transfer", "gw-box").event("transfer", "gw-box")
    assert done["result"] == "done" and done["seconds"] > 1


def test_a_node_that_comes_later_is_used_from_the_next_run_on(home: FarHome) -> None:
    """As by git-annex; the links are told once."""
    home.laptop.syncx("sync")
    store = home.gw.net.clone(home.gw, "cellar", bare=True)
    home.gw.net.connect((home.gw, store))
    home.gw.config("remote.cellar.annex-proxy", "true")
    home.gw.annex("updateproxy")
    home.laptop.commit_annexed({"big": BIG})
    told = [event["event"] for event in home.laptop.syncx("sync").events].count("publish")
    assert told <= 2, "and once more what was measured"
    assert uuid_of(store) in links(home.laptop)
    assert home.laptop.syncx("sync").event("transfer", "gw-cellar")["files"] == 1


def test_settings_of_its_own_with_url_and_uuid(home: FarHome) -> None:
    """Git leaves it alone all the same; with less git-annex does not see it, which is said."""
    laptop = home.laptop
    laptop.config("remote.gw-box.annex-cost", "120")
    blind = laptop.run("git-annex-syncx", "map")
    assert "git-annex does not see gw-box" in blind.err and "git config --remove-section remote.gw-box" in blind.err
    laptop.config("remote.gw-box.url", home.url)
    laptop.config("remote.gw-box.annex-uuid", home.box)
    laptop.commit_annexed({"big": BIG})
    ran = laptop.syncx("sync")
    assert not ran.err and holders(home, "big") == ["laptop", "one", "two"]
    assert [e["remote"] for e in ran.events if e["event"] in ("fetch", "push") and e["remote"]] == ["gw"] * 3
    assert links(laptop)[home.box]["cost"] == 120
    assert "gw-box" not in laptop.git("for-each-ref").out

    laptop.git("config", "--unset", "remote.gw-box.url")
    laptop.config("remote.gw-box.url", home.url + "/")
    laptop.config("remote.gw-box.annex-proxied-by", uuid_of(home.gw))
    laptop.commit({"b.txt": "b"})
    assert "gw-box" not in {e.get("remote") for e in laptop.syncx("push").events}, "as git-annex marks it"


def test_a_special_remote_behind_a_gateway_has_to_be_verified(home: FarHome) -> None:
    """Until then git-annex lets nothing out of the repository at all."""
    gw, laptop = home.gw, home.laptop
    store = home.gw.path.parent / "store"
    store.mkdir()
    gw.annex("initremote", "store", "type=directory", f"directory={store}", "encryption=none")
    gw.config("remote.store.annex-proxy", "true")
    gw.annex("updateproxy")
    laptop.syncx("pull")
    laptop.commit_annexed({"big": BIG, "b": "b" * 20_000, "c": "c" * 20_000})
    refused = laptop.run("git-annex-syncx", "transfer", "gw-box", ok=1)
    assert "git annex verifyremote gw-store" in refused.err

    asked = re.search(r"--safe (\S+)", laptop.annex("verifyremote", "gw-store").out)
    assert asked
    laptop.annex("verifyremote", "gw-store", "--safe", asked[1])
    hidden = laptop.run("git-annex-syncx", "sync")
    assert "git config --remove-section remote.gw-store" in hidden.err, "git-annex's own note hides it"
    assert holders(home, "big") == ["laptop", "one", "two"]
    laptop.git("config", "--remove-section", "remote.gw-store")
    assert laptop.syncx("sync").event("transfer", "gw-store")["files"] == 3
    assert sum(path.is_file() for path in store.rglob("SHA256E-*")) == 3


def test_a_cluster_by_http(net: Network) -> None:
    home, port = Home(net), free_port()
    laptop = home.laptop
    words = ("git-annex", "p2phttp", "--wideopen", "--bind=127.0.0.1", f"--port={port}", "--jobs=4")
    server = subprocess.Popen(words, cwd=home.gw.path, env=net.env(), stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port))
        laptop.config("annex.security.allowed-ip-addresses", "127.0.0.1")
        laptop.config("remote.gw.annexUrl", f"annex+http://127.0.0.1:{port}/git-annex/")
        laptop.commit_annexed({"big": BIG, "old/x": "x" * 20_000})
        ran = laptop.syncx("sync")
        assert ran.event("transfer", "gw-box")["files"] == 2 and ran.event("transfer", "gw-attic")["files"] == 1
        assert holders(home, "big") == ["laptop", "one", "two"]
        assert holders(home, "old/x") == ["laptop", "one", "two", "attic"]
        laptop.annex("drop", "--quiet", "big")
        assert laptop.syncx("sync").event("transfer", "gw-box")["files"] == 1
        assert laptop.read("big") == BIG
        assert laptop.syncx("sync").event("transfer", "gw-box")["result"] == "current"
    finally:
        server.terminate()
        server.wait()


def test_content_can_be_sent_by_http_where_git_cannot(net: Network) -> None:
    laptop = Home(net).laptop
    laptop.git("remote", "set-url", "gw", "https://127.0.0.1:1/gw")
    laptop.syncx("map", "--publish")
    assert [(link["push"], link["pull"]) for link in links(laptop).values()] == [(False, True)]
    laptop.config("remote.gw.annexUrl", "annex+https://127.0.0.1:1/git-annex/")
    laptop.syncx("map", "--publish")
    assert [(link["push"], link["pull"]) for link in links(laptop).values()] == [(True, True)] * 3


def test_by_a_path_there_is_no_way_through_a_gateway(net: Network) -> None:
    home = Home(net)
    home.laptop.commit_annexed({"big": BIG})
    ran = home.laptop.syncx("sync")
    assert "gw-box" not in {event.get("remote") for event in ran.events}
    assert holders(home, "big") == ["laptop"]


# Without git


def settings_of(*lines: str) -> Settings:
    pairs = (line.partition("=") for line in lines)
    return parse([Value(key, value, "file") for key, _, value in pairs])


GW = (
    "annex.uuid=me",
    "remote.gw.url=host:gw",
    "remote.gw.annex-uuid=G",
    "remote.gw.fetch=+refs/heads/*:refs/remotes/gw/*",
)


def test_what_the_logs_name_becomes_a_remote() -> None:
    proxied = {"G": {"C": "box", "N": "one", "me": "laptop", "S": "attic"}}
    found = added(settings_of(*GW, "remote.gw.annex-cost=7"), proxied, {"C": frozenset("N")}).remotes
    assert list(found) == ["gw", "gw-attic", "gw-box", "gw-one"], "and not this repository"
    assert [found[name].sync for name in found] == [True, True, True, False], "a node goes with its cluster"
    assert {one.cost for one in found.values()} == {7}
    assert all(one.special and one.section == "gw" for name, one in found.items() if name != "gw")
    alone = added(settings_of(*GW), {"G": {"N": "one"}}, {"C": frozenset("N")}).remotes
    assert alone["gw-one"].sync, "nobody gives access to its cluster"


@pytest.mark.parametrize("url", ["/srv/gw", "gcrypt::host:gw", "https://host/gw", "tor-annex::x", "file:///gw"])
def test_only_what_talks_with_a_git_annex_can_be_a_gateway(url: str) -> None:
    here = [line for line in GW if ".url" not in line] + [f"remote.gw.url={url}"]
    settings = settings_of(*here)
    assert list(added(settings, {"G": {"S": "attic"}}, {}).remotes) == ["gw"]
    by_http = settings_of(*here, "remote.gw.annexurl=annex+https://host/git-annex/")
    assert "gw-attic" in added(by_http, {"G": {"S": "attic"}}, {}).remotes


def test_logs_of_strangers() -> None:
    raw = b"1s G S:attic S2:--upload-pack=x S3:a/b S4: S5 :x\n2s G2 \nrubbish\n\n1s\nxs G3 S:x\n"
    assert annex_branch.proxied(raw) == {"G": {"S": "attic"}, "G2": {}}
    box, real = "ac02c798-13c9-8998-a5ce-f73f58ac35d5", "96b9e9cb-b6c6-43dd-9d60-79e9f332a7f8"
    raw = f"1s {box} A B\n2s {box} A\n3s {real} A\n\xff\n".encode()
    assert annex_branch.clusters(raw) == {box: {"A"}}, "no repository can be made a cluster"


def test_a_pause_of_the_gateway_holds_what_is_behind_it() -> None:
    remotes = added(settings_of(*GW), {"G": {"S": "attic"}}, {}).remotes.values()
    held = {"gw": Pause("gw", 0.0, 9e9)}
    assert free(remotes, held, [], ())[0] == []
    assert len(free(remotes, {"": Pause("", 0.0, 9e9)}, [], ())[0]) == 2, "that is for others to judge"


def test_a_map_tells_of_nodes_and_is_read_back() -> None:
    net = network(
        [Place("a", "a"), Place("C", "box", nodes=("M", "N")), Place("M"), Place("N")], [Link("a", "C", 7.0)]
    )
    for written in (dumps(net), network_dot(net)):
        assert read_map(written.encode(), "map").clusters == {"C": {"M", "N"}}
    for bad in ('"N"', "[1]", '[""]', "{}"):
        raw = f'{{"repositories": [{{"uuid": "C", "nodes": {bad}}}], "links": []}}'
        with pytest.raises(UsageError, match=r"repositories\[0\]\.nodes"):
            read_map(raw.encode(), "map")


def test_nodes_that_others_lead_to_are_not_hidden_by_their_cluster() -> None:
    """What only one who does not reach the cluster can send to must be a target of its own."""

    def seen(*more: Link) -> Map:
        places = [Place(uuid, nodes=("N", "M") if uuid == "C" else ()) for uuid in "abCGNM"]
        return network(
            places, [Link("a", "C", 200.0), Link("G", "N", 100.0), Link("G", "C", 100.0, pull=False), *more]
        )

    assert seen().clusters == {"C": {"N", "M"}}
    assert seen(Link("b", "N", 100.0)).clusters == {"C": {"M"}}, "b does not lead to the cluster"
    assert seen(Link("M", "b", 100.0)).clusters == {"C": {"N"}}, "M fetches by itself"
    assert network([Place("C", nodes=("N",)), Place("N")], []).clusters == {}, "nothing leads there"
