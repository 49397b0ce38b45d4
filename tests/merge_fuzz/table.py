"""What becomes of a path that both sides have changed, where no rename, copy or older variant has a say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from git_annex_syncx.model import GITLINK, Entry

from .judge import Finding, Judge
from .store import Store
from .versions import MARKER, attributes, family, is_file, is_prose, is_text, kept_apart, key_in, version


def misplaced(store: Store, judge: Judge) -> Iterator[Finding]:
    """Paths at which something else is than the table of conflicts says."""
    if not judge.bases:
        return
    one, two = (side.files for side in judge.sides)
    trees = [*judge.bases, one, two]
    counts = Counter(version(store, e) for files in trees for e in set(files.values()))
    families = Counter(family(path) for path in {p for files in trees for p in files})
    for path in sorted(one.keys() & two.keys()):
        was = {base.get(path) for base in judge.bases}
        sides = one[path], two[path]
        alone = families[family(path)] == 1 and MARKER not in path and len(judge.bases) == 1
        if len(set(sides)) == 2 and len(was) == 1 and None not in was and alone:
            old = was.pop()
            if old and _nowhere_else(store, counts, (old, *sides)):
                yield from _Path(store, judge, path, old, sides).findings()


def _nowhere_else(store: Store, counts: Counter, entries: tuple[Entry, ...]) -> bool:
    """Whether each version is at that path only, in whatever tree."""
    here = Counter(version(store, entry) for entry in entries)
    return all(found is not None and counts[found] == number for found, number in here.items())


class _Path:
    """One path, its old entry and the two new ones."""

    def __init__(self, store: Store, judge: Judge, path: bytes, old: Entry, sides: tuple[Entry, Entry]) -> None:
        self.store, self.judge, self.path, self.old, self.sides = store, judge, path, old, sides
        dates = [store.commit_of(commit).date for commit in (judge.one, judge.two)]
        self.later, self.earlier = sides[::-1] if dates[1] >= dates[0] else sides
        self.now = judge.result.get(path)

    def findings(self) -> Iterator[Finding]:
        """What is wrong with it."""
        if why := self._why():
            yield Finding("table", self.path, why)

    def _why(self) -> str:
        versions = [version(self.store, side) for side in self.sides]
        before = version(self.store, self.old)
        if versions[0] == versions[1]:
            return "" if self._is(versions[0]) else "both have the same version, it is not there"
        if before in versions:
            changed = next(v for v in versions if v != before)
            return "" if self._is(changed) else f"one side alone changed it, to {changed}"
        keys = [key_in(self.store, side) for side in self.sides]
        if all(keys):
            return "annexed, other keys: none keeps the name" if self.now else ""
        if any(keys):
            plain = versions[keys.index("")]
            return "" if self._is(plain) else f"plain keeps the name: {plain}"
        return self._plain()

    def _plain(self) -> str:
        texts = all(is_text(self.store, side) for side in self.sides)
        if texts and not self._is_apart() and (self._is_prose() or self._is_clean()):
            return "" if is_text(self.store, self.now) else "a text is there"
        later = version(self.store, self.later)
        return "" if self._is(later) else f"the later keeps the name: {later}, not {self.now}"

    def _is(self, wanted: object) -> bool:
        return self.now is not None and self.now.mode != GITLINK and version(self.store, self.now) == wanted

    def _is_apart(self) -> bool:
        return any(kept_apart(attributes(self.store, side.files, self.path)) for side in self.judge.sides)

    def _is_prose(self) -> bool:
        said = [attributes(self.store, side.files, self.path).get("syncx") for side in self.judge.sides]
        return is_prose(self.path) or "union" in said or self.path.endswith(b".gitattributes")

    def _is_clean(self) -> bool:
        return self.now is not None and is_file(self.now) and self.judge.is_clean(self.path, self.now)
