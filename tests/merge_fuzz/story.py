"""Nodes that edit and exchange heads, step by step; each merge that is new is judged."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from git_annex_syncx.model import GITLINK

from .edits import Files, applied
from .judge import Finding, Judge, merged_by_git, places
from .peer import Merged, Refused, merged
from .scenario import Scenario, Step
from .shown import explained
from .store import Commit, Store, Unsound
from .table import misplaced
from .versions import MARKER, family, version

START = 1_700_000_000
MESSAGE = b"Merge two heads\n\nMade by git-annex-syncx from these two commits alone.\n"
MERGER = b"git-annex-syncx <git-annex-syncx@localhost>"
MOST_NAMED = 1000
MOST_TURNS = 60
MOST_ROUNDS = 12


class Joins(Protocol):
    """Whoever merges."""

    def merged(self, heads: Iterable[str]) -> Merged:
        """Join heads. Raises Refused."""


class Wrong(Exception):
    """A story that went wrong: what was found, and the merge of it for people."""

    def __init__(self, finding: Finding, told: str = "") -> None:
        super().__init__(f"{finding}\n{told}")
        self.finding = finding


@dataclass
class Bench:
    """Where stories are told: objects, who merges, and what was counted."""

    store: Store
    odd: Joins
    other: Joins | None = None  # runs another version of the program
    often: float = 0.03  # how often a merge is made again elsewhere
    ignored: frozenset[str] = frozenset()  # rules
    counts: Counter[str] = field(default_factory=Counter)

    def merged(self, heads: Iterable[str]) -> Merged:
        """Join heads in this process. Raises Refused."""
        return merged(self.store.git_dir, heads)


class Story:
    """A scenario while it is told."""

    def __init__(self, bench: Bench, scenario: Scenario) -> None:
        self.bench, self.store, self.scenario = bench, bench.store, scenario
        self.store.forget()
        self.rng = random.Random(scenario.seed)
        self.sampling = random.Random(scenario.seed)
        self.base: Files = {}
        self.files: dict[str, Files] = {}  # what each node's work tree holds
        self.heads: dict[str, str] = {}
        self.seen: set[str] = set()  # commits
        self.made: dict[tuple[bool, frozenset[str]], Merged] = {}
        self.paths: set[bytes] = set()
        self.versions: set[object] = set()

    def do(self, step: Step) -> None:
        """Take one step. Raises Wrong."""
        what, *rest = step
        if what == "base":
            self.base = applied(self.store, self.base, rest[0])
            return
        if not self.files:
            self._begin()
        steps = {"commit": self._commit, "merge": self._merge, "cross": self._cross, "rest": self._rest}
        {"edit": self._edit, **steps}[what](*rest)

    # Edits

    def _begin(self) -> None:
        root = self._committed(self.base, [], START)
        for node in self.scenario.nodes:
            alone = node in self.scenario.alone
            self.files[node] = {} if alone else dict(self.base)
            self.heads[node] = self._committed({}, [], START + 1) if alone else root

    def _edit(self, node: str, edit: Step) -> None:
        self.files[node] = applied(self.store, self.files[node], edit)

    def _commit(self, node: str, date: int) -> None:
        if self.files[node] != self.store.files(self.heads[node]):
            self.heads[node] = self._committed(self.files[node], [self.heads[node]], date)

    def _committed(self, files: Files, parents: Iterable[str], date: int) -> str:
        commit = self.store.commit(files, parents, date)
        self.seen.add(commit)
        self.paths |= files.keys()
        self.versions |= {version(self.store, entry) for entry in files.values()}
        return commit

    # Exchanges

    def _merge(self, node: str, others: Iterable[str]) -> None:
        """A node learns of others' heads and merges them."""
        self._move(node, self._joined(node, [self.heads[node], *(self.heads[other] for other in others)]))

    def _cross(self, one: str, two: str) -> None:
        """Two nodes learn of each other's heads at once."""
        heads = [self.heads[one], self.heads[two]]
        joined = [self._joined(one, heads), self._joined(two, heads[::-1])]
        for node, commit in zip((one, two), joined, strict=True):
            self._move(node, commit)

    def _move(self, node: str, commit: str) -> None:
        self.heads[node] = commit
        self.files[node] = dict(self.store.files(commit))

    def _joined(self, node: str, heads: list[str]) -> str:
        old = node in self.scenario.old
        if len(set(heads)) == 1:
            return heads[0]
        key = old, frozenset(heads)
        if key not in self.made:
            try:
                self.made[key] = self._made(heads, old)
            except Refused as refused:
                if old:  # it waits until somebody else has merged
                    self.bench.counts["refused by the other version"] += 1
                    return heads[0]
                raise Wrong(Finding("refused", b"", str(refused)), self._both(*heads)) from refused
        return self.made[key].commit

    def _made(self, heads: list[str], old: bool) -> Merged:
        joins: Joins | None = self.bench.other if old else self.bench
        assert joins
        made = joins.merged(heads)
        new = list(self._new_merges(made.commit))
        if not all(head in self.store.ancestors(made.commit) for head in heads):
            raise Wrong(Finding("heads", b"", f"{made.commit} lacks one of {heads}"))
        self.seen |= self.store.ancestors(made.commit)
        if not old and new:
            self._judge(new, made)
            self._same_elsewhere(heads, made)
        return made

    def _both(self, *heads: str) -> str:
        """What somebody would have had to merge, for people."""
        return explained(self.store, self.store.commit({}, sorted(set(heads))[:2], START))

    def _new_merges(self, commit: str) -> Iterator[str]:
        left = [commit]
        while left:
            here = left.pop()
            if here not in self.seen:
                yield here
                left += self.store.commit_of(here).parents

    # Judgement

    def _judge(self, merges: list[str], made: Merged) -> None:
        counts = self.bench.counts
        kind = "wild" if self.scenario.wild else "honest"
        counts.update(
            {"merges": len(merges), f"{kind} merges": len(merges), f"{kind} mended": min(made.mended, len(merges))}
        )
        counts["merges with conflicts"] += bool(made.resolutions)
        counts["conflicts"] += len(made.resolutions)
        if made.mended and not self.scenario.wild:
            counts[f"mended in seed {self.scenario.seed}"] += 1
        for merge in merges:
            self._raise(merge, self._found(merge))
        self._raise(merges[0], itertools.chain(*(self._said(merge, made, len(merges) == 1) for merge in merges)))

    def _found(self, merge: str) -> Iterator[Finding]:
        try:
            judge = Judge(self.store, merge)
        except Unsound as error:
            yield Finding("unsound", b"", str(error))
            return
        self.bench.counts["versions"] += judge.versions
        yield from judge.findings()
        yield from misplaced(self.store, judge)

    def _raise(self, merge: str, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if finding.rule not in self.bench.ignored:
                raise Wrong(finding, explained(self.store, merge))

    def _said(self, merge: str, made: Merged, alone: bool) -> Iterator[Finding]:
        """The commit's message, and whether all that was renamed by the merge was told."""
        commit = self.store.commit_of(merge)
        clean = self._written(commit.tree, commit.parents)
        if not made.resolutions:
            if commit.raw != clean:
                yield Finding("message", b"", f"nothing was resolved: {commit.raw!r}, not {clean!r}")
            if alone and not made.mended and self.sampling.random() < 10 * self.bench.often:
                yield from self._as_git(commit)
        elif commit.raw.partition(b"\n\n")[0] != clean.partition(b"\n\n")[0] or not commit.message.isascii():
            yield Finding("message", b"", repr(commit.raw))
        elif commit.message.count(b"\n") > MOST_NAMED + 20:
            yield Finding("message", b"", "too long")
        if alone:
            told = {path for _, _, became in made.resolutions for path in became}
            old = {path for parent in commit.parents for path in self.store.files(parent)}
            for path in sorted(self.store.files(merge).keys() - old):
                if not any((path + b"/").startswith(place + b"/") for place in told):
                    yield Finding("silent", path, f"was not told: {made.resolutions}")
            for path, *_ in made.resolutions:
                if len(made.resolutions) <= MOST_NAMED and path.isalnum() and path not in commit.message:
                    yield Finding("message", path, f"is not named: {commit.message!r}")

    def _as_git(self, commit: Commit) -> Iterator[Finding]:
        """Where there was nothing to resolve or mend, the merge is git's own, but for submodules and variants."""
        self.bench.counts["compared with git's"] += 1
        conflicts, tree = merged_by_git(self.store, *commit.parents)
        ours, theirs = (
            {p: e for p, e in self.store.entries(t).items() if e.mode != GITLINK and MARKER not in p}
            for t in (commit.tree, tree)
        )
        if not conflicts and theirs != ours:
            yield Finding("git", b"", f"git makes {tree}, it is {commit.tree}")

    def _written(self, tree: str, parents: Sequence[str]) -> bytes:
        """A clean merge as the last release writes it."""
        date = max(self.store.commit_of(parent).date for parent in parents)
        rows = [f"tree {tree}", *(f"parent {parent}" for parent in sorted(parents))]
        who = [b"%s %s %d +0000" % (name, MERGER, date) for name in (b"author", b"committer")]
        return b"\n".join([*map(str.encode, rows), *who]) + b"\n\n" + MESSAGE

    def _same_elsewhere(self, heads: list[str], made: Merged) -> None:
        if self.sampling.random() >= self.bench.often:
            return
        self.bench.counts["made again elsewhere"] += 1
        try:
            again = self.bench.odd.merged(sorted(heads, reverse=self.sampling.random() < 0.5)).commit
        except Refused as refused:
            again = str(refused)
        if again != made.commit:
            raise Wrong(Finding("pure", b"", f"{made.commit}, elsewhere {again}"), explained(self.store, made.commit))

    # At rest

    def _rest(self) -> None:
        """All exchange until everyone has the same head: one after another in any order, or two at once."""
        nodes = self.scenario.nodes
        if self.bench.other:
            self._lock_step()
        for _ in range(MOST_TURNS):
            if len(set(self.heads.values())) == 1:
                break
            one, two = self.rng.sample(nodes, 2)
            self._merge(one, [two])
        else:
            raise Wrong(Finding("converge", b"", f"not the same head after {MOST_TURNS} merges"))
        head = self.heads[nodes[0]]
        self._stays(head)
        self._few_files(head)

    def _lock_step(self) -> None:
        """Old and new code that merge at once come to the same files, whoever does it."""
        nodes = self.scenario.nodes
        for _ in range(MOST_ROUNDS):
            for one, two in itertools.pairwise(nodes):
                self._cross(one, two)
        trees = {self.store.commit_of(head).tree for head in self.heads.values()}
        self.bench.counts["lock-step"] += 1
        if len(trees) > 1:
            raise Wrong(
                Finding("lock-step", b"", f"not the same files: {self.heads}"), self._both(*self.heads.values())
            )

    def _stays(self, head: str) -> None:
        """Merging commits that change nothing changes nothing."""
        if self.rng.random() > 0.3:
            return
        files = self.store.files(head)
        pair = [self.store.commit(files, [head], START + n) for n in (1, 2)]
        self.seen |= set(pair)
        again = self._joined(next(n for n in self.scenario.nodes if n not in self.scenario.old), pair)
        if self.store.commit_of(again).tree != self.store.commit_of(head).tree:
            raise Wrong(Finding("rest", b"", "merging again changed files"), explained(self.store, again))

    def _few_files(self, head: str) -> None:
        files: Mapping[bytes, Any] = self.store.files(head)
        if len(files) > len(self.paths) + len(self.versions):
            raise Wrong(Finding("many files", b"", f"{len(files)} of {len(self.versions)} versions"))
        for here, paths in places(self.store, dict(files)).items():
            ours = Counter(family(path) for path in paths if MARKER in path and path not in self.paths)
            for name, count in ours.items():
                if count > 1:
                    raise Wrong(Finding("many files", name, f"{count} variants of {here}: {paths}"))
