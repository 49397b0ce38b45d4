"""What is an annexed file, and of which key: as git-annex sees it, in a full pass and in one over what changed."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import OURS, Network, Node

from git_annex_syncx.annex import key as keys
from git_annex_syncx.annex import locations
from git_annex_syncx.annex.key import LARGEST_POINTER, file_name, is_key, key_of, key_size
from git_annex_syncx.annex.locations import Counting
from git_annex_syncx.conflicts.versions import key_in
from git_annex_syncx.git import cat_file
from git_annex_syncx.git.git import open_repository

OBJECTS, K = b"/annex/objects/", b"SHA256-s5--abc"
P = OBJECTS + K


def padded(size: int) -> bytes:
    """A pointer with a second line, of so many bytes."""
    return P + b"\n/annex/" + b"y" * (size - len(P) - 9) + b"\n"


BLOBS = [
    P + b"\n", P, P + b"\r\n", P + b"\r", P + b"\n/annex/x\n", P + b"\n/annex/x", P + b"\nfoo\n", P + b"\n\n",
    P + b"\nzz/annex/x\n", b"../.git" + P, b"foo bar .git" + P + b"\n", OBJECTS + b"aa/bb/" + K + b"/" + K + b"\n",
    padded(LARGEST_POINTER), padded(LARGEST_POINTER + 1), P[1:] + b"\n", OBJECTS, b"", b"text\n", b"\0" * 9,
    *(OBJECTS + name + b"\n" for name in (
        b"foo-s5--abc", b"SHA256-m5-s5--abc", b"SHA256-s5-m7-S3-C1--abc", b"SHA256--", b"SHA256-s--a", b"X-s5-s5--a",
        b"SHA256-s005--a", b"SHA256-s5-----a", b"SHA 256-s5--a b", b"SHA256-s5--a\tb", b"SHA256-s5--..", b"BOGUS",
        b"SHA256E-s5--a.tar.gz", b"SHA256E-s5--a.\xe9", b"SHA256E-s5--a." + b"x" * 63, b"SHA256E-s5--a." + b"x" * 64,
        b"SHA256-s5--a." + b"x" * 80, b"XFOOE-s5--a." + b"x" * 80, b"URL--http&c%%x.org%y", b"URL--a&sb&ab&c",
        b"X--a&b",
    )),
    *(b"../../.git/annex/objects/aa/bb/%s/%s" % (name, name) for name in (
        b"SHA256E-s5--%s.tar.gz" % (b"a" * 64), b"SHA256-s05--%s" % (b"a" * 64),
        b"MD5E-s5--%s.%s" % (b"0" * 32, b"x" * 64), b"SHA256E-s5--%s&ab" % (b"a" * 64),
    )),
]  # fmt: skip


def test_files_are_annexed_where_git_annex_says_so(net: Network) -> None:
    node = net.create("a")
    node.commit()
    kinds = ("100644", "100755", "120000")
    files = {
        b"%s-%d" % (kind.encode(), n): (kind, node.git("hash-object", "-w", "--stdin", stdin=blob).out.strip())
        for n, blob in enumerate(BLOBS)
        for kind in kinds
        if b"\0" not in blob or kind != "120000"
    }
    rows = b"".join(f"{kind} blob {oid}\t".encode() + path + b"\0" for path, (kind, oid) in files.items())
    tree = node.git("mktree", "-z", stdin=rows).out.strip()
    told = node.git("annex", "find", f"--branch={tree}", "--anything", "--format=${file}\\000${key}\\000").out.split(
        "\0"
    )
    theirs = {os.fsencode(path).rpartition(b":")[2]: key for path, key in zip(told[::2], told[1::2], strict=False)}
    assert len(theirs) > len(BLOBS)
    repo = open_repository(node.path)
    assert {path: name.key for path, name in locations.names(repo, tree)} == theirs
    empty = node.git("mktree", stdin=b"").out.strip()
    changed = locations.names_changed(repo, empty, tree)
    assert {path: name.key for path, name in changed.items() if name} == theirs
    assert changed.keys() == files.keys()


def test_merges_see_the_same_files() -> None:
    for blob in BLOBS:
        assert key_in(blob) == key_in(blob)
    assert key_in(P) == K
    assert key_in(P + b"\n" + P + b"\n") == b"", "no version of two may be forgotten"


def test_pointer_without_its_last_newline_is_sent(pair: tuple[Node, Node]) -> None:
    laptop, desktop = pair
    laptop.commit_annexed({"f": "content\n" * 100})
    key = laptop.annex("lookupkey", "f").out.strip()
    oid = laptop.git("hash-object", "-w", "--stdin", stdin=OBJECTS + os.fsencode(key)).out.strip()
    laptop.git("update-index", "--cacheinfo", f"100644,{oid},f")
    laptop.git("commit", "--quiet", "--message", "pointer")
    laptop.syncx("sync")
    assert desktop.annex("contentlocation", key).code == 0


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), min_size=1))
def test_keys_survive_as_file_names(key: str) -> None:
    assert b"/" not in file_name(key)
    assert key_of(file_name(key)) == key


@pytest.mark.parametrize(
    ("key", "size"),
    [("SHA256E-s123--aa.txt", 123), ("WORM-s1000-m1795412418--w", 1000), ("URL--http&c%%x", 0),
     ("X-s9-S3-C1--k", 9), ("X--a-s5--b", 0), ("sha256-s1--a", 1)],
)  # fmt: skip
def test_size_stands_in_the_key(key: str, size: int) -> None:
    assert is_key(key) and key_size(key) == size


@pytest.mark.parametrize(
    "text", ["", "BOGUS", "SHA256E-s1--a\nb", "-s1--a", "../x", "X-m1-s1--a", "AE--." + "x" * 64]
)
def test_what_would_end_git_annex_is_no_key(text: str) -> None:
    assert not is_key(text)


@given(st.from_regex(keys.USUAL_KEY, fullmatch=True), st.from_regex(rb"[a-zA-Z0-9]{2}", fullmatch=True))
def test_a_usual_key_is_read_as_any_other(name: bytes, folder: bytes) -> None:
    assert is_key(name.decode()) and key_of(name) == keys.key_logged(name) == name.decode()
    link = b"../.git/annex/objects/" + b"/".join((folder, folder, name, name))
    assert keys.USUAL_LINK.fullmatch(link)
    assert keys.key_in(link) == keys.key_named(keys.named_in(link)) == name.decode()


def test_many_keys_are_found_as_few_are(net: Network) -> None:
    node = net.create("a")
    names = [f"SHA256E-s{n}--{n:064x}.dat" for n in range(1, locations.MANY + 50)]
    begin = f"commit {OURS}\ncommitter T <t@example.org> 1700000000 +0000\ndata 0\nfrom {OURS}^0\n"
    logs = "".join(
        f"M 644 inline {locations._path(key, short=n % 2 == 1).decode()}\ndata 9\n1s 1 u{n:02}\n\n"
        for n, key in enumerate(names[:99])
    )
    node.git("fast-import", "--quiet", "--force", stdin=(begin + logs + "\n").encode())
    repo = open_repository(node.path)
    many, few = dict(locations.of_keys(repo, OURS, names)), dict(locations.of_keys(repo, OURS, names[:101]))
    assert many.keys() == set(names) and [one.first for one in many.values()][:99] == [f"u{n:02}" for n in range(99)]
    assert few == {key: many[key] for key in names[:101]}
    pairs = [(key, f"u{n:02}") for n, key in enumerate(names)]
    assert sum(map(bool, locations.newest_lines(repo, OURS, pairs).values())) == 99


def test_many_files_and_logs_are_read_as_each_alone(net: Network) -> None:
    node, rng = net.create("a"), random.Random(14)
    node.commit()
    times = ("1700000000s", "1700000001s", "1700000001", "1700000000.5s", "1s", "+1700000002s", "x", "17000000000s")
    rows = [f"{time} {status} {uuid}" for time in times for status in "110X?" for uuid in ("u1", "u2", "u\xe9", "")]
    names = [f"SHA256E-s{n}--{n:064x}.dat" for n in range(1, cat_file.MOST + 50)]
    logs = ["\n".join(rng.choices(["", "rubbish", *rows], k=n % 5)) + "\n" * (n % 3) for n in range(len(names))]
    begin = "commit {0}\ncommitter T <t@example.org> 1700000000 +0000\ndata 0\nfrom {0}^0\n"
    told = "".join(
        f"M 644 inline {locations._path(key, short=False).decode()}\ndata {len(log.encode('latin-1'))}\n{log}\n"
        for key, log in zip(names, logs, strict=True)
    )
    blobs = rng.choices([blob for blob in BLOBS if len(blob) < 200], k=cat_file.MOST + 50)
    files = b"".join(b"M 644 inline d/%d\ndata %d\n%s\n" % (n, len(blob), blob) for n, blob in enumerate(blobs))
    commits = begin.format(OURS).encode(), told.encode("latin-1"), b"\n", begin.format("refs/heads/main").encode()
    node.git("fast-import", "--quiet", "--force", stdin=b"".join((*commits, files, b"\n")))
    repo = open_repository(node.path)
    everybody = Counting({"u1", "u\udce9"}, {names[0]: b"1700000009s 1 u1"})
    alone = {key: dict(locations.of_keys(repo, OURS, [key], everybody))[key] for key in names}
    assert dict(locations.everything(repo, OURS, everybody)) == alone and len(set(alone.values())) > 9
    listed = node.git("ls-tree", "-r", "-z", "main").out.split("\0")[:-1]
    entries = [(os.fsencode(line.partition("\t")[2]), int(line[:6], 8), line.split()[2]) for line in listed]
    annexed = dict(pair for entry in entries for pair in locations.named(repo, [entry]))
    assert dict(locations.names(repo, "main")) == annexed == dict(locations.named(repo, entries))
    assert len(annexed) > 99
