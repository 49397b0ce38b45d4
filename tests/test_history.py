"""Questions about commits and objects, on real repositories: answered like git does, by a git that stays."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from network import Network, Node

from git_annex_syncx.errors import ProgramFailed
from git_annex_syncx.git import cat_file, history, ref_files, reflog
from git_annex_syncx.git.git import Repository, open_repository, refs

FAR = 45  # commits
EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # the tree with nothing in it


@pytest.fixture
def node(net: Network) -> Node:
    node = Node(net, "plain", net.root / "plain")
    node.path.mkdir()
    node.git("init", "--quiet", "--initial-branch=main")
    return node


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    cat_file.close()


def test_a_commit_without_a_date_is_as_old_as_time(node: Node) -> None:
    head = f"tree {EMPTY}\nauthor A <a> 5 +0000\ncommitter"
    node.git("hash-object", "-t", "tree", "-w", "--stdin", stdin=b"")
    for said, date in (("A <a> 7 +0000", 7), ("A <a> -7 +0000", 0), ("A <a>", 0)):
        raw = f"{head} {said}\n\nsaid\n".encode()
        commit = node.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw).out.strip()
        assert history.read_commit(open_repository(node.path), commit).date == date, said


def test_refs_are_listed_anew_where_they_have_changed(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ref_files, "RACY", 50_000_000)

    def listed() -> dict[str, str]:
        rows = node.git("for-each-ref", "--format=%(refname) %(objectname) %(symref)").out.splitlines()
        return {name: oid for name, oid, symbolic in (row.split(" ") for row in rows) if not symbolic}

    repo, first, second = open_repository(node.path), node.commit({"a": "1"}), node.commit({"a": "2"})
    changes = [
        ("update-ref", "refs/heads/x/y", first), ("update-ref", "refs/heads/x/y", second), ("pack-refs", "--all"),
        ("update-ref", "refs/remotes/z", first), ("update-ref", "-d", "refs/remotes/z"), ("pack-refs", "--all"),
        ("symbolic-ref", "refs/remotes/r/HEAD", "refs/heads/x/y"), ("tag", "t", first), ("tag", "-d", "t"),
        ("update-ref", "-d", "refs/heads/x/y"),
    ]  # fmt: skip
    for change in changes:
        node.git(*change)
        assert refs(repo) == listed(), change
        assert refs(repo, "refs/heads/x") == {ref: oid for ref, oid in listed().items() if "/x/" in ref}, change
        assert refs(repo, "refs/heads/main", "refs/remotes/") == {
            ref: oid for ref, oid in listed().items() if ref == "refs/heads/main" or "/remotes/" in ref
        }
    ref_files._last.clear()
    while not ref_files._last:  # what changed this instant may change again unseen
        refs(repo)
    next(iter(ref_files._last.values()))[1]["refs/heads/remembered"] = first
    assert "refs/heads/remembered" in refs(repo), "git is not asked again"
    node.git("worktree", "add", "--quiet", "-b", "side", str(node.path / "side"))
    node.git("-C", "side", "update-ref", "refs/worktree/own", second)
    inside = open_repository(node.path / "side")
    assert refs(inside)["refs/worktree/own"] == refs(repo)["refs/heads/main"] == second
    assert "refs/worktree/own" not in refs(repo)


def grown(node: Node, lucky: random.Random, count: int) -> list[str]:
    """Commits with up to three random parents each; some are roots, dates mean nothing."""
    commits: list[str] = []
    for number in range(count):
        parents = lucky.sample(commits[-12:], min(len(commits), lucky.choice([0, 1, 1, 1, 1, 2, 2, 3])))
        words = [word for parent in parents for word in ("-p", parent)]
        stamp = f"@{1_600_000_000 + lucky.randrange(10**6)} +0000"
        env = {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
        commits.append(node.git("commit-tree", *words, "-m", str(number), EMPTY, **env).out.strip())
    return commits


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_as_git_in_random_histories(node: Node, seed: int) -> None:
    node.git("hash-object", "-w", "-t", "tree", "--stdin", stdin=b"")
    lucky = random.Random(seed)
    commits = grown(node, lucky, 70)
    repo = open_repository(node.path)
    for _ in range(60):
        one, two = lucky.choice(commits), lucky.choice(commits)
        assert history.is_ancestor(repo, one, two) is node.contains(one, two), (seed, one, two)
        counted = node.git("rev-list", "--count", two, f"^{one}").out
        assert history.count(repo, [two], [one]) == int(counted), (seed, one, two)
        some = lucky.sample(commits, lucky.randrange(1, 7))
        alone = node.git("merge-base", "--independent", *some).out.split()
        assert history.independent(repo, some) == sorted(alone), (seed, some)


def test_far_apart(node: Node) -> None:
    first = node.commit()
    for _ in range(FAR):
        last = node.commit()
    node.git("switch", "--quiet", "--create", "side", first)
    side = node.commit(message="side")
    repo = open_repository(node.path)
    assert history.is_ancestor(repo, first, last)
    assert not history.is_ancestor(repo, last, first)
    assert not history.is_ancestor(repo, side, last)
    assert history.count(repo, [last], [first]) == FAR


def test_in_a_shallow_repository(node: Node, net: Network) -> None:
    for number in range(4):
        node.commit({f"{number}": "x"})
    shallow = Node(net, "shallow", net.root / "shallow")
    node.git("clone", "--quiet", "--depth=2", f"file://{node.path}", str(shallow.path))
    repo, old, new = open_repository(shallow.path), shallow.head("HEAD~1"), shallow.head()
    assert history.is_ancestor(repo, old, new)
    assert not history.is_ancestor(repo, new, old)
    assert history.count(repo, [new], [old]) == 1


def test_a_commit_that_is_not_here(node: Node) -> None:
    repo, here = open_repository(node.path), node.commit()
    for old, new in ((here, "1" * 40), ("1" * 40, here)):
        with pytest.raises(ProgramFailed):
            history.is_ancestor(repo, old, new)


def test_values_of_branches(node: Node) -> None:
    repo = open_repository(node.path)
    assert history.value(repo, "refs/heads/main") is None
    made = node.commit()
    assert history.value(repo, "refs/heads/main") == made
    node.git("pack-refs", "--all")
    assert history.value(repo, "refs/heads/main") == made
    later = node.commit()
    assert history.value(repo, "refs/heads/main") == later
    assert history.tips(repo, "refs/heads/main", "refs/heads/none") == {
        "refs/heads/main": (later, node.head("main^{tree}"))
    }


def test_a_branch_that_is_another_name_for_one(node: Node) -> None:
    made = node.commit()
    node.git("symbolic-ref", "refs/heads/other", "refs/heads/main")
    node.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/main")
    repo = open_repository(node.path)
    assert history.value(repo, "refs/heads/other") == made
    assert refs(repo) == {"refs/heads/main": made, "refs/heads/other": made}


@pytest.mark.parametrize("forged", ["refs/heads/refs/heads/x", "refs/tags/refs/heads/x", "refs/remotes/refs/heads/x"])
def test_a_ref_with_a_name_to_be_taken_for_another(node: Node, forged: str) -> None:
    made = node.commit()
    node.git("update-ref", forged, made)
    repo = open_repository(node.path)
    assert history.value(repo, "refs/heads/x") is None
    node.git("update-ref", "refs/heads/x", made)
    assert history.value(repo, "refs/heads/x") == made


def test_what_was_taken_back_is_in_the_reflog(node: Node) -> None:
    first, gone, side = node.commit(), node.commit(), node.commit()
    pushed = node.git("commit-tree", "-p", side, "-m", "pushed", EMPTY).out.strip()
    node.git("update-ref", "-m", "push", "refs/heads/main", pushed)
    node.git("reset", "--quiet", "--hard", first)
    amended = node.commit(message="amended")
    on_top = node.git("commit-tree", "-p", pushed, "-m", "others went on", EMPTY).out.strip()
    forced = node.git("commit-tree", "-p", first, "-m", "forced", EMPTY).out.strip()
    repo = open_repository(node.path)

    def taken_back(theirs: str) -> list[str]:
        return reflog.abandoned(repo, "main", node.head("main"), theirs)

    assert [taken_back(theirs) for theirs in (gone, side, on_top)] == [[gone], [side], [side]]
    assert taken_back(forced) == [], "it was never ours"
    node.git("reset", "--quiet", "--hard", amended)
    log = node.path / ".git/logs/refs/heads/main"
    log.rename(node.path / "log")
    assert taken_back(gone) == []
    (node.path / "log").rename(log)
    node.git("update-ref", "-m", "push", "refs/heads/main", forced)
    assert taken_back(amended) == [], "somebody else has pushed it away"
    assert taken_back(gone) == [gone]
    assert reflog.abandoned(repo, "none", forced, gone) == []


# The git that stays


def stored(node: Node, *contents: bytes) -> list[str]:
    return [node.git("hash-object", "-w", "--stdin", stdin=content).out.strip() for content in contents]


def readers(repo: Repository, how: str = "--batch-command") -> list[int]:
    """The processes that stay for a repository, or that read much of it."""
    listed = subprocess.run(["pgrep", "-f", f"cat-file {how}"], capture_output=True, check=False).stdout
    home = os.path.realpath(repo.home)
    return [pid for pid in map(int, listed.split()) if _directory_of(pid) == home]


def _directory_of(pid: int) -> str:
    """Where a process is; nothing where it has ended meanwhile."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("torn", [b"\n", b"\0\0\0\n", b"0123456789abc", b"0123456789abc\n"])
def test_a_reflog_that_a_power_cut_has_torn(node: Node, torn: bytes) -> None:
    first, second, third = (node.commit({"a": str(number)}) for number in range(3))
    log = node.path / ".git" / "logs" / "refs" / "heads" / "main"
    *before, last = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(before) + torn + last)
    found = [(old, new) for old, new, _ in reflog.moves(open_repository(node.path), "refs/heads/main")]
    assert found[-1] == ((second, third) if torn.endswith(b"\n") else (first, second))
    (log.parent.parent.parent / "HEAD").write_bytes(torn)
    assert reflog.before_pushes(open_repository(node.path), third) is None


def test_contents_of_any_kind(node: Node) -> None:
    contents = [b"", b"\n", b"a\0b\nmissing\n", b"x" * 3_000_000, os.urandom(1000)]
    repo, oids = open_repository(node.path), stored(node, *contents)
    assert cat_file.read(repo, oids) == contents
    assert cat_file.look_up(repo, [*oids, "1" * 40]) == [
        *(cat_file.Found(oid, "blob", len(content)) for oid, content in zip(oids, contents, strict=True)),
        None,
    ]
    with pytest.raises(ProgramFailed, match="1111 is not here"):
        cat_file.read(repo, [oids[0], "1" * 40])
    assert cat_file.read(repo, oids[:1]) == [b""], "the stream is still in step"


def test_more_than_it_is_asked_one_by_one(node: Node) -> None:
    repo, oids = open_repository(node.path), stored(node, b"one", b"two")
    assert cat_file.read(repo, oids * cat_file.MOST) == [b"one", b"two"] * cat_file.MOST
    assert cat_file.look_up(repo, oids * cat_file.MOST)[-1] == cat_file.Found(oids[1], "blob", 3)
    with pytest.raises(ProgramFailed, match="1111 is not here"):
        cat_file.read(repo, [*oids * cat_file.MOST, "1" * 40])


def test_much_is_read_while_git_goes_on(node: Node) -> None:
    repo, (oid,) = open_repository(node.path), stored(node, b"x" * 1_000_000)
    many = [(number, oid.encode()) for number in range(cat_file.MOST + 1)]
    assert [(number, len(content)) for number, content in cat_file.each(repo, many)] == [
        (number, 1_000_000) for number, _ in many
    ]

    def broken() -> Iterator[tuple[int, bytes]]:
        yield from many
        raise ProgramFailed("git ls-tree", 128, "bad tree", repo.home)

    with pytest.raises(ProgramFailed, match="bad tree"):
        list(cat_file.each(repo, broken()))
    left_alone = cat_file.each(repo, many)
    next(left_alone)
    assert len(readers(repo, "--batch=")) == 1
    left_alone.close()
    assert not readers(repo, "--batch=")
    killed = cat_file.each(repo, many)
    next(killed)
    os.kill(*readers(repo, "--batch="), signal.SIGKILL)
    with pytest.raises(ProgramFailed, match="-9"):
        list(killed)


def test_paths_of_any_kind(node: Node) -> None:
    odd = ["a b missing", "-x", "tab\t", os.fsdecode(b"latin-\xe4"), "c:d", "ambiguous"]
    commit = node.commit({name: name.encode("utf-8", "surrogateescape") for name in odd})
    repo = open_repository(node.path)
    assert cat_file.read(repo, [f"{commit}:{name}" for name in odd]) == [os.fsencode(name) for name in odd]
    assert cat_file.look_up(repo, [f"{commit}:{name}?" for name in odd]) == [None] * len(odd)
    for name in (f"{commit}:x\ncontents {commit}", f"{commit}:Icon\r"):  # git would take it for something else
        with pytest.raises(ValueError, match="cannot be asked"):
            cat_file.read(repo, [name])


def test_one_process_for_many_questions_and_none_afterwards(node: Node) -> None:
    repo, oids = open_repository(node.path), stored(node, b"one")
    for _ in range(5):
        cat_file.read(repo, oids)
    assert len(readers(repo)) == 1
    cat_file.close()
    assert not readers(repo)


def test_killed_in_between(node: Node) -> None:
    repo, oids = open_repository(node.path), stored(node, b"one")
    for _ in range(3):
        assert cat_file.read(repo, oids) == [b"one"]
        for pid in readers(repo):
            os.kill(pid, signal.SIGKILL)
    assert cat_file.read(repo, oids) == [b"one"]


def test_what_is_written_and_packed_meanwhile(node: Node) -> None:
    repo, commits = open_repository(node.path), [node.commit({"a": "1"})]
    assert cat_file.read(repo, [f"{commits[0]}:a"]) == [b"1"]
    for number in range(2, 5):
        commits.append(node.commit({"a": f"{number}"}))
        node.git("gc", "--quiet", "--prune=now")
        expected = [f"{n + 1}".encode() for n in range(len(commits))]
        assert cat_file.read(repo, [f"{commit}:a" for commit in commits]) == expected


def test_another_repository_at_the_same_place(node: Node, net: Network) -> None:
    repo, (one,) = open_repository(node.path), stored(node, b"one")
    assert cat_file.read(repo, [one]) == [b"one"]
    node.path.rename(net.root / "elsewhere")
    node.path.mkdir()
    node.git("init", "--quiet")
    (two,) = stored(node, b"two")
    assert cat_file.read(repo, [two]) == [b"two"]
    assert cat_file.look_up(repo, [one]) == [None]


def test_a_repository_that_has_gone(node: Node) -> None:
    repo, (one,) = open_repository(node.path), stored(node, b"one")
    gone = replace(repo, git_dir=Path("/nonexistent"), common=Path("/nonexistent"), top=None)
    with pytest.raises(ProgramFailed):
        cat_file.read(gone, [one])
