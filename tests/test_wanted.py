"""What an expression wants is the same wherever it is asked: in a bare repository, and of files that are hidden."""

from __future__ import annotations

import os
import uuid as uuids
from itertools import cycle, islice

from network import OURS, Network, Node

from git_annex_syncx.annex import annex_branch, locations
from git_annex_syncx.annex.location_log import Counting
from git_annex_syncx.content import missing, wanting
from git_annex_syncx.content.policy import Policy, Wishes
from git_annex_syncx.git.git import open_repository
from git_annex_syncx.model import Entry, Need
from git_annex_syncx.network.graph import Link, Place, network
from git_annex_syncx.runs.context import open_context


def lies_at(node: Node) -> set[str]:
    """First words of the content that lies in a repository with a work tree."""
    found = (path for path in (node.path / ".git/annex/objects").rglob("*") if path.is_file())
    return {path.read_bytes().split()[0].decode() for path in found}


def wish(node: Node, of: Node, wanted: str, group: str = "") -> None:
    if group:
        node.annex("group", "--quiet", of.name, group)
    node.annex("wanted", "--quiet", of.name, wanted)


def test_copies_and_sizes_count_where_no_work_tree_shows_the_file(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit_annexed({"docs/x.bin": "x", "docs/big.bin": "big " * 1000})
    laptop.annex("unlock", "--quiet", "docs/big.bin")
    laptop.git("commit", "--quiet", "--all", "--message", "unlock")
    hub = net.clone(laptop, "hub", bare=True)
    hub.git("remote", "remove", "origin")
    first, second, small = (net.clone(laptop, name) for name in ("first", "second", "small"))
    for drive in (first, second, small):
        net.connect((hub, drive), (laptop, drive))
    net.connect((laptop, hub))
    laptop.annex("sync", "--quiet", "--no-content")
    for drive in (first, second):
        wish(laptop, drive, "standard", "archive")
    wish(laptop, small, "smallerthan=1kb")
    laptop.annex("copy", "--quiet", "--to", "hub")
    laptop.annex("copy", "--quiet", "--to", "first")
    laptop.annex("sync", "--quiet", "--no-content", "hub")

    state = hub.path / "annex" / "syncx"
    (state / "scratch-killed" / "files").mkdir(parents=True)
    hub.syncx("transfer")
    assert not list(state.glob("scratch-*")), "no work tree is left, not even of a run that was killed"
    assert lies_at(first) == {"x", "big"}
    assert lies_at(second) == set(), "the other archive has it"
    assert lies_at(small) == {"x"}

    hiding = net.clone(laptop, "hiding")
    net.connect((hiding, hub), (hiding, second))
    hiding.annex("group", "--quiet", "here", "manual")
    hiding.annex("wanted", "--quiet", "here", "standard")
    hiding.annex("adjust", "--quiet", "--hide-missing")
    assert not (hiding.path / "docs/x.bin").is_symlink()
    said = hiding.syncx("plan").out
    assert "second" not in said, "nothing is to go there"


def needs(node: Node) -> list[Need]:
    return missing.look(open_context(open_repository(node.path))).needs


def uuid(node: Node) -> str:
    return node.git("config", "annex.uuid").out.strip()


def test_the_first_holder_is_the_one_whose_line_is_the_oldest(net: Network) -> None:
    """Of those that live; a private repository, of which only itself knows, included."""
    laptop = net.create("laptop")
    laptop.commit_annexed({"x.bin": "x"})
    nas, last = (net.clone(laptop, name) for name in ("nas", "last"))
    hidden = Node(net, "hidden", net.root / "hidden")
    laptop.git("clone", "--quiet", "--origin", "laptop", str(laptop.path), str(hidden.path))
    hidden.config("annex.private", "true")
    hidden.annex("init", "--quiet", "hidden")
    net.mesh(laptop, nas, last)
    net.connect((hidden, last))

    def at(when: str, node: Node, command: str) -> None:
        node.run("git-annex", command, "--quiet", "x.bin", GIT_ANNEX_VECTOR_CLOCK=when)
        for other in (node, laptop, nas, last, hidden):
            other.syncx("sync", "--no-content")

    at("4000000000.25", nas, "get")
    at("4000000000.5", hidden, "get")
    for node, held in ((nas, {nas, laptop}), (hidden, {nas, laptop, hidden})):
        (need,) = needs(node)
        assert need.holders == {uuid(one) for one in held} and need.first == uuid(laptop)
    at("4000000000.4", laptop, "drop")
    at("4000000000.50000001", laptop, "get")
    for node in (laptop, hidden):
        (need,) = needs(node)
        assert uuid(laptop) in need.holders and need.first == uuid(nas)
    hidden.annex("dead", "--quiet", "nas")
    (need,) = needs(hidden)
    assert need.holders == {uuid(laptop), uuid(hidden)} and need.first == uuid(hidden)


def test_of_two_archives_that_hold_it_only_one_lets_go(net: Network) -> None:
    """Each does not want it because the other has it."""
    laptop = net.create("laptop")
    drives = [net.clone(laptop, name) for name in ("first", "second")]
    for drive in drives:
        net.connect((laptop, drive))
    laptop.commit_annexed({"x.bin": "x"})
    laptop.syncx("sync")
    for drive in drives:
        wish(laptop, drive, "standard", "archive")
    laptop.syncx("sync")
    assert sorted(map(len, map(lies_at, drives))) == [0, 1]
    assert laptop.syncx("sync").event("transfer", "first")["result"] == "current"
    assert sorted(map(len, map(lies_at, drives))) == [0, 1]


# Each stands at two repositories, in the groups behind it. The last ones git-annex cannot read: it takes `present`.
WISHES = (
    ("include=docs/*",), ("exclude=*.mp3 and (largerthan=1kb or not include=*/*)",), ("anything",),
    ("standard", "backup"), ("standard", "archive"), ("standard", "client"), ("standard", "source"),
    ("standard", "manual"), ("standard",), ("standard", "smallarchive", "client"),
    ("standard and include=*.mp3", "incrementalbackup"), ("groupwanted", "mine"),
    ("copies=2",), ("not copies=archive:1 and include=docs/*",), ("not lackingcopies=1",), ("inallgroup=archive",),
    ("present",), ("", "required"),
    ("include=docs/* and (",), ("include=docs/* copies=many",), ("not smallerthan=1xb",),
)  # fmt: skip


def on_branch(node: Node, files: dict[str, str]) -> None:
    """Write files of the git-annex branch."""
    begin = f"commit {OURS}\ncommitter T <t@example.org> 1700000000 +0000\ndata 0\nfrom {OURS}^0\n"
    told = "".join(f"M 644 inline {name}\ndata {len(text)}\n{text}\n" for name, text in files.items())
    node.git("fast-import", "--quiet", "--force", stdin=(begin + told + "\n").encode())


def test_what_is_asked_once_for_many_is_what_each_would_have_been_told(net: Network) -> None:
    laptop = net.create("laptop")
    kinds = [f"{where}{{}}.{end}" for where in ("", "docs/", "archive/", "docs/archive/") for end in ("mp3", "jpg")]
    laptop.commit_annexed({kind.format(n): f"{n}" * n * 300 for n, kind in enumerate(kinds, start=1)})
    laptop.write("docs/same.mp3", laptop.read("1.mp3"))
    laptop.annex("add", "--quiet", "docs/same.mp3")
    laptop.annex("unlock", "--quiet", "1.mp3")
    laptop.git("commit", "--quiet", "--all", "--message", "unlock")
    laptop.commit({".gitattributes": "*.mp3 annex.numcopies=3\n"})
    names = [str(uuids.UUID(int=n)) for n in range(2, 2 + 2 * len(WISHES))]
    told = list(zip(names, islice(cycle(WISHES), len(names)), strict=True))
    line = "{} {} timestamp=1700000000s\n".format
    repo = open_repository(laptop.path)
    files: dict[str, dict[bytes, Entry]] = {}
    for path, name in locations.names(repo, "HEAD"):
        files.setdefault(name.key, {})[path] = name.entry
    logs = {
        locations._path(key, short=False).decode(): "".join(f"1700000000s 1 {one}\n" for one in names[n :: 3 + n % 4])
        for n, key in enumerate(files)
    }
    on_branch(laptop, {
        "uuid.log": "".join(line(name, name[-3:]) for name in names),
        "preferred-content.log": "".join(line(name, text) for name, (text, *_) in told if text),
        "required-content.log": "".join(line(name, "include=*.mp3") for name, (_, *in_) in told if "required" in in_),
        "group.log": "".join(line(name, " ".join(groups)) for name, (_, *groups) in told if groups),
        "group-preferred-content.log": "mine include=docs/* timestamp=1700000000s\n",
        **logs,
    })  # fmt: skip
    hub = open_repository(net.clone(laptop, "hub", bare=True).path)

    preferred, required, group = (
        annex_branch.newest_lines(annex_branch.log(repo, f"{name}.log"))
        for name in ("preferred-content", "required-content", "group")
    )
    groups = {name: tuple(told.split()) for name, told in group.items()}
    wishes = Wishes(preferred, required, groups, {"mine": "include=docs/*"})
    own = str(uuids.UUID(int=1))
    links = [Link(own, name, 100.0) for name in names]
    policy = Policy(network([Place(name) for name in (own, *names)], links, own), wishes, own, frozenset(names))
    assert policy.choosy == set(names)
    located = dict(locations.everything(repo, annex_branch.BRANCH, Counting(policy.alive)))
    assert located.keys() == files.keys() and len({one.holders for one in located.values()}) > 3
    questions = len(list(wanting._questions(policy, located.values())))
    assert questions <= 2 * len(names) - 15, "not two for each repository"

    tree = laptop.head("HEAD^{tree}")
    gets, drops = (
        {name: theirs(laptop, tree, condition, name) for name in names} for condition in (wanting.GET, wanting.DROP)
    )
    for asking in (repo, hub):
        wanted, unwanted = wanting.asked(asking, policy, tree, files, located)
        for key, places in files.items():
            held = located[key].holders
            paths = {os.fsdecode(path) for path in places}
            assert wanted.get(key, frozenset()) == {n for n in names if n not in held and paths & gets[n]}
            assert unwanted.get(key, frozenset()) == {n for n in names if n in held and paths <= drops[n]}
        assert wanted and unwanted


def theirs(node: Node, tree: str, condition: str, name: str) -> set[str]:
    """The files of a tree of which git-annex says it when one repository is asked about all."""
    return set(node.annex("find", f"--branch={tree}", f"{condition}={name}", "--format=${file}\\n").out.splitlines())
