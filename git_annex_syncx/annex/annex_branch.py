"""Read the logs of the git-annex branch fast, and add a log of our own in the one safe way."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping

from git_annex_syncx.annex import annex
from git_annex_syncx.git import cat_file, history, objects
from git_annex_syncx.git.git import Repository, git, text
from git_annex_syncx.system import locks

BRANCH = "refs/heads/git-annex"
OURS = "refs/remotes/syncx/git-annex"  # git-annex merges every refs/remotes/*/git-annex
REMOTE_NAME = re.compile(r"\w[\w.-]*")
CLUSTER = re.compile(r"ac[0-9a-f]{6}-[0-9a-f]{4}-8")  # uuids that git-annex gives to clusters alone
LARGEST = 64 * 1024 * 1024  # bytes of a log


def logs(repo: Repository, names: Iterable[str]) -> dict[str, bytes]:
    """Return the named files of the branch; one that is missing or absurdly large is empty."""
    wanted = list(names)
    found = cat_file.look_up(repo, [f"{BRANCH}:{name}" for name in wanted])
    there = {
        name: one.oid
        for name, one in zip(wanted, found, strict=True)
        if one and one.kind == "blob" and one.size <= LARGEST
    }
    contents = cat_file.read(repo, there.values())
    return {**dict.fromkeys(wanted, b""), **dict(zip(there, contents, strict=True))}


def log(repo: Repository, name: str) -> bytes:
    """Return one file of the branch, empty where it is missing."""
    return logs(repo, [name])[name]


def dates(raw: bytes) -> dict[str, float]:
    """Return uuid -> when its newest line was written by its own clock, of a log with `timestamp=...s` lines."""
    found = (re.fullmatch(r"(\S+) .* ?timestamp=(\d{1,15}(?:\.\d+)?)s", line) for line in _lines(raw))
    return dict(sorted(((one[1], float(one[2])) for one in found if one), key=lambda pair: pair[1]))


def newest_lines(raw: bytes) -> dict[str, str]:
    """Return uuid -> what its newest line says, of a log with `UUID ... timestamp=...s` lines."""
    rows = []
    for line in _lines(raw):
        uuid, _, rest = line.partition(" ")
        value, _, stamp = rest.rpartition("timestamp=")
        rows.append((uuid, value.strip(), stamp))
    return _newest(rows)


def times(repo: Repository, names: Iterable[str]) -> dict[str, float]:
    """Return uuid -> time of its newest line in logs with `UUID ... timestamp=...s` lines, in seconds since 1970."""
    found: dict[str, float] = {}
    for raw in logs(repo, names).values():
        for line in _lines(raw):
            with contextlib.suppress(ValueError):
                when = float(line.rpartition("timestamp=")[2].removesuffix("s"))
                if math.isfinite(when):
                    found[line.partition(" ")[0]] = max(when, found.get(line.partition(" ")[0], when))
    return found


def groups(repo: Repository) -> dict[str, set[str]]:
    """Return group -> uuids of its members."""
    found: dict[str, set[str]] = {}
    for uuid, names in newest_lines(log(repo, "group.log")).items():
        for name in names.split():
            found.setdefault(name, set()).add(uuid)
    return found


def descriptions(repo: Repository) -> dict[str, str]:
    """Return uuid -> description, as `git annex describe` sets it."""
    return newest_lines(log(repo, "uuid.log"))


def special_remotes(raw: bytes) -> dict[str, dict[str, str]]:
    """Return uuid of each special remote -> its options, such as `type` and `exporttree`, from remote.log."""
    lines = newest_lines(raw).items()
    return {uuid: dict(word.split("=", 1) for word in line.split() if "=" in word) for uuid, line in lines}


def trees(options: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """Return the special remotes that hold a tree of files, not keys; `options` as special_remotes() has them."""
    return frozenset(u for u, told in options.items() if "yes" in (told.get("exporttree"), told.get("importtree")))


def proxied(raw: bytes) -> dict[str, dict[str, str]]:
    """Return uuid of each gateway -> uuid -> name of what it gives access to, from proxy.log.

    Its lines are `...s GATEWAY UUID:NAME UUID:NAME...`. A name that could not be a remote's is left out.
    """
    found = {}
    for gateway, told in newest_values(raw).items():
        pairs = (word.partition(":") for word in told.split())
        found[gateway] = {uuid: name for uuid, _, name in pairs if uuid and REMOTE_NAME.fullmatch(name)}
    return found


def clusters(raw: bytes) -> dict[str, frozenset[str]]:
    """Return uuid of each cluster -> uuids of its nodes, from cluster.log: lines are `...s CLUSTER NODE NODE...`."""
    found = newest_values(raw).items()
    return {cluster: frozenset(nodes.split()) for cluster, nodes in found if CLUSTER.match(cluster)}


def exported_trees(raw: bytes) -> dict[str, set[str]]:
    """Return uuid of each special remote -> the trees that it holds or that are under way to it, from export.log.

    Its lines are `...s FROM:TO TREE [TREES begun]`, of each FROM and TO the newest counts.
    """
    found: dict[str, set[str]] = {}
    for ends, trees in newest_values(raw).items():
        found.setdefault(ends.partition(":")[2], set()).update(trees.split())
    return found


def choosy(repo: Repository, uuid: str) -> bool:
    """Return whether there is an expression for what a repository prefers or requires."""
    names = ("preferred-content.log", "required-content.log")
    return any(newest_lines(raw).get(uuid) for raw in logs(repo, names).values())


def store_url(repo: Repository, uuid: str) -> str:
    """Return the address of the server of an S3 or WebDAV remote; empty where its port is not certain."""
    told = special_remotes(log(repo, "remote.log")).get(uuid, {})
    scheme, port = told.get("protocol", ""), told.get("port", "")
    if "url" in told or not told:
        return told.get("url", "")
    if "host" not in told:
        return "https://s3.amazonaws.com"
    return f"{scheme or 'http'}://{told['host']}" + (f":{port}" if port else "") if scheme or port else ""


def shared_config(repo: Repository) -> dict[str, str]:
    """Return what `git annex config` has set for all repositories: key -> value."""
    return newest_values(log(repo, "config.log"))


def newest_values(raw: bytes) -> dict[str, str]:
    """Return key -> newest value, of a log with `...s KEY VALUE` lines, such as those of configuration and groups."""
    rows = []
    for line in _lines(raw):
        stamp, _, rest = line.partition(" ")
        key, _, value = rest.partition(" ")
        rows.append((key, value, stamp))
    return _newest(rows)


def newest_value(raw: bytes) -> str:
    """Return the newest value of a log with `...s VALUE` lines, empty where there is none."""
    rows = ((stamp, value.strip()) for stamp, _, value in (line.partition(" ") for line in _lines(raw)) if value)
    return _newest([("value", value, stamp) for stamp, value in rows]).get("value", "")


def _lines(raw: bytes) -> list[str]:
    return raw.decode("utf-8", "replace").split("\n")


def _newest(rows: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return the newest value of each key from (key, value, time); a line without a time is the oldest."""
    newest: dict[str, tuple[float, str]] = {}
    for key, value, stamp in rows:
        try:
            when = float(stamp.removesuffix("s")) if stamp else -1.0
        except ValueError:
            continue
        if key and when >= newest.get(key, (-2.0, ""))[0]:
            newest[key] = when, value
    return {key: value for key, (_, value) in newest.items()}


def write_log(repo: Repository, name: str, content: bytes) -> None:
    """Set one file of the branch by a commit that git-annex merges into its own.

    Lines of both sides stay when somebody else wrote meanwhile. Never the branch itself: git-annex owns it.
    """
    with locks.held(repo.state_dir / "branch.lock"):
        tip = text(repo, "rev-parse", "--verify", BRANCH)
        (blob,) = objects.write_blobs(repo, [content])
        entries = git(repo, "ls-tree", "-z", tip).out.split(b"\0")[:-1]
        kept = [entry for entry in entries if entry.partition(b"\t")[2] != name.encode()]
        kept.append(f"100644 blob {blob}\t{name}".encode())
        tree = git(repo, "mktree", "-z", stdin=b"".join(entry + b"\0" for entry in kept)).out.decode().strip()
        date = history.read_commit(repo, tip).date
        commit = objects.commit_tree(repo, tree, [tip], date, f"update {name}\n")
        try:
            git(repo, "update-ref", OURS, commit)
            annex.bring_branch_up(repo)
        finally:
            git(repo, "update-ref", "-d", OURS)
