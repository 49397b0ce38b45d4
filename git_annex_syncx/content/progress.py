"""Estimate how far a run and each of its links are, how fast they are, and how long they still take. Pure.

A link takes time for each file (to ask, to verify, to empty the buffers on the way) and some for each byte. Small
files go first, so bytes over time alone is wrong by a factor until a large file moves. So time is told apart: what
passes between two reports of one file belongs to bytes, all else to files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from git_annex_syncx.content.rates import FIRST_REPORT, Window
from git_annex_syncx.content.steps import OwnStep
from git_annex_syncx.model import Transferred

CHUNK = 32_768  # bytes of a file after which git-annex reports first: their time belongs to the file
ENOUGH = 2.0  # seconds that tell more than what was measured in former runs
HOLDS = 0.25  # seconds for which an estimate is good


@dataclass
class FileProgress:
    """A file on its way over one link."""

    bytes: int = 0
    before: int = 0  # of these, bytes that have come here and now go on
    window: Window | None = None  # none before the first report


@dataclass
class LinkProgress:
    """The keys of one link: what has moved, what is left. Its clock runs while it has keys in hand."""

    speed: float | None = None  # as measured in former runs
    ways: int = 1  # 2 where content passes through here without a copy: it comes, then it goes
    left: dict[str, int] = field(default_factory=dict)  # key -> size
    waiting: dict[str, LinkProgress] = field(default_factory=dict)  # key -> the link that has to bring it first
    moving: dict[str, FileProgress] = field(default_factory=dict)
    files: int = 0
    window: Window = field(default_factory=Window)
    for_files: Window = field(default_factory=Window)  # by the time that belongs to files
    for_bytes: Window = field(default_factory=Window)  # by the time that belongs to bytes
    _done: int = 0  # bytes
    _left: int = 0
    _left_streamed: int = 0  # without the first chunks of files
    _busy: float = 0.0
    _seen: float = 0.0
    _counted: float = 0.0  # the clock at the last report or arrival

    def expect(self, key: str, size: int, after: LinkProgress | None) -> None:
        """Count a key that is to travel, after another link has brought it."""
        self.left[key] = size = size * self.ways
        self._left += size
        self._left_streamed += _streamed(size)
        self.files += 1
        if after:
            self.waiting[key] = after

    def started(self, key: str, now: float) -> None:
        """Note that git-annex was given a key, perhaps once more."""
        self.clock(now)
        self.waiting.pop(key, None)
        self.moving.setdefault(key, FileProgress())

    def moved(self, key: str, size: int, now: float) -> None:
        """Note how much of a key is there. What an ended transfer had brought before is no speed of this one."""
        clock, file = self.clock(now), self.moving.setdefault(key, FileProgress())
        if self.ways > 1 and size + file.before < file.bytes:
            file.before = self.left.get(key, 0) // self.ways
        size += file.before
        gained = max(0, size - file.bytes)
        file.bytes = size
        if file.window is None:
            file.window = Window(clock)
            self._count(clock, gained if gained <= FIRST_REPORT else 0, self.for_files, 0, 1)
        else:
            file.window.add(clock, gained)
            self._count(clock, gained, self.for_bytes, gained)

    def done(self, key: str, now: float) -> None:
        """Note that a key has arrived."""
        clock, file, size = self.clock(now), self.moving.pop(key, FileProgress()), self._leave(key)
        rest, silent = max(0, size - file.bytes), file.window is None
        streamed = _streamed(size) if silent else rest
        self._done += size
        self._count(clock, rest, self.for_bytes if rest > CHUNK else self.for_files, streamed, int(silent))

    def lost(self, key: str, now: float) -> None:
        """Take a key that does not come, or was there already, out of the total."""
        self.clock(now)
        self.moving.pop(key, None)
        self.waiting.pop(key, None)
        self._leave(key)

    def clock(self, now: float) -> float:
        """Return the seconds in which it had keys in hand."""
        if self.moving:
            self._busy += now - self._seen
        self._seen = now
        return self._busy

    def transferred(self, now: float) -> Transferred:
        """Return how far it is, without an estimate."""
        speed = self.window.speed(self.clock(now)) if self.moving else None
        moved, left = self._done + self._under_way(), len(self.left)
        return Transferred(moved, self._done + self._left, self.files, self.files - left, speed)

    def file(self, key: str, size: int, now: float) -> Transferred:
        """Return how far one of its files is."""
        file = self.moving.get(key)
        if file is None or file.window is None:
            return Transferred(0, size)
        speed, moved = file.window.speed(self.clock(now)), file.bytes // self.ways
        eta = max(0, size - moved) * self.ways / speed if speed else None
        return Transferred(moved, size, speed=speed, eta=eta)

    def eta(self, now: float) -> float | None:
        """Return the seconds until its last key is there, None where its speed is not known.

        The last of those that have to come here first is the largest: smaller ones travel before it on both links.
        """
        if not self.left:
            return 0.0
        found = self._cost(self.clock(now))
        if found is None:
            return None
        # Between two reports time goes on and bytes do not.
        streamed = self._left_streamed - sum(_streamed(self._moved(key)) for key in self.moving)
        seconds = len(self.left) * found[0] + streamed * found[1] - self.window.silence(self._busy)
        if self.waiting:
            size = max(map(self.left.__getitem__, self.waiting))
            arrivals = [link.arrival(size, now) for link in {id(one): one for one in self.waiting.values()}.values()]
            if None in arrivals:
                return None
            last = found[0] + _streamed(size) * found[1]
            seconds = max(seconds, max(filter(None, arrivals), default=0.0) + last)
        return max(0.0, seconds)

    def arrival(self, largest: int, now: float) -> float | None:
        """Return the seconds until all keys up to a size are there."""
        found = self._cost(self.clock(now))
        left = [_streamed(size) - _streamed(self._moved(key)) for key, size in self.left.items() if size <= largest]
        return len(left) * found[0] + sum(left) * found[1] if found else None

    def _cost(self, clock: float) -> tuple[float, float] | None:
        """Return the seconds for a file, and for a byte of one that is not small; None where nothing is known."""
        silent, streams = clock - self._counted, any(file.bytes for file in self.moving.values())
        files = self.for_files.span(self.for_files.last + silent * (not streams))
        brought = self.for_bytes.span(self.for_bytes.last + silent * streams)
        speed = self.speed
        if brought and brought.bytes and (speed is None or brought.seconds >= ENOUGH):
            speed = brought.bytes / brought.seconds
        elif speed is None and self._left_streamed:
            plain = self.window.speed(clock)  # small files have come so far: the others will be faster
            return (0.0, 1 / plain) if plain else None
        if not (files or speed):
            return None
        return files.seconds / files.files if files and files.files else 0.0, 1 / speed if speed else 0.0

    def _count(self, clock: float, gained: int, belongs: Window, streamed: int, files: int = 0) -> None:
        """Count what has come, and the time since something came before; the first time was for the connection."""
        if self._counted:
            belongs.add(belongs.last + clock - self._counted, streamed, files)
        else:
            self.window = Window(clock)
        self.window.add(clock, gained)
        self._counted = clock

    def _under_way(self) -> int:
        return sum(map(self._moved, self.moving))

    def _moved(self, key: str) -> int:
        return min(self.moving[key].bytes, self.left.get(key, 0)) if key in self.moving else 0

    def _leave(self, key: str) -> int:
        size = self.left.pop(key, 0)
        self._left -= size
        self._left_streamed -= _streamed(size)
        return size


def _streamed(size: int) -> int:
    """Return how many bytes of a file come after its first report."""
    return max(0, size - CHUNK)


class RunProgress:
    """The progress of all links of a run. A key counts on each link that it takes, from the start."""

    def __init__(
        self,
        own_steps: Mapping[str, tuple[OwnStep, ...]],
        holders: Mapping[str, frozenset[str]],
        speeds: Mapping[OwnStep, float | None],
        size: Callable[[str], int],
    ) -> None:
        """Expect each key (of so many bytes) on the links of its steps. `speeds` are known from former runs."""
        self.links = {step: LinkProgress(speed, 1 + step.through) for step, speed in speeds.items()}
        self._own_steps, self._unfinished = own_steps, {key: len(steps) for key, steps in own_steps.items()}
        self._etas: dict[OwnStep, float | None] = {}
        self._estimated = -HOLDS
        for key, steps in own_steps.items():
            into = {step.target: self.links[step] for step in steps}
            for step in steps:
                after = None if step.source in holders[key] else into.get(step.source)
                self.links[step].expect(key, size(key), after)

    def done(self, step: OwnStep, key: str, now: float) -> list[OwnStep]:
        """Note that a key has arrived; return the steps that it can take onward."""
        self.links[step].done(key, now)
        return self._arrived(step, key)

    def was_there(self, step: OwnStep, key: str, now: float) -> list[OwnStep]:
        """Note that there was nothing to do for a key; return the steps that it can take onward."""
        self.links[step].lost(key, now)
        return self._arrived(step, key)

    def lost(self, step: OwnStep, key: str, now: float) -> None:
        """Take a key that does not come out of the totals, onward too."""
        self.links[step].lost(key, now)
        for onward in self._arrived(step, key):
            self.lost(onward, key, now)

    def link(self, step: OwnStep, now: float) -> Transferred:
        """Return how far a link is."""
        self._estimate(now)
        link = self.links[step]
        return replace(link.transferred(now), eta=self._etas[step] if link.left else 0.0)

    def run(self, now: float) -> Transferred:
        """Return how far all is; it takes as long as the slowest link."""
        links = [self.link(step, now) for step in self.links]
        speeds, etas = [link.speed for link in links if link.speed], [link.eta for link in links]
        return Transferred(
            sum(link.bytes for link in links), sum(link.total for link in links),
            len(self._own_steps), len(self._own_steps) - len(self._unfinished),
            speed=sum(speeds) if speeds else None,
            eta=None if None in etas else max(filter(None, etas), default=0.0),
        )  # fmt: skip

    def _arrived(self, step: OwnStep, key: str) -> list[OwnStep]:
        self._unfinished[key] -= 1
        if not self._unfinished[key]:
            del self._unfinished[key]
        onward = [other for other in self._own_steps[key] if other.source == step.target]
        for other in onward:
            self.links[other].waiting.pop(key, None)
        return onward

    def _estimate(self, now: float) -> None:
        """Estimate anew where that is some time ago: events can come by the hundred in a second."""
        if now - self._estimated >= HOLDS:
            self._estimated = now
            self._etas = {step: link.eta(now) for step, link in self.links.items()}
