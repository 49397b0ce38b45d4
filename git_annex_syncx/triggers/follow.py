"""Events of the file system which tell that refs or the configuration of a repository may have changed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import extras

log = logging.getLogger(__name__)

STEP = 500  # milliseconds between two looks of the file watcher at its events: a smaller one costs CPU all day
EVERY = 5.0  # seconds between two looks where nothing can be followed
TELLING = {"HEAD", "packed-refs", "config", "config.worktree"}  # files of the git directory that tell a change


def require_watcher() -> None:
    """Raises UsageError where the file watcher is missing."""
    extras.require("watchfiles", "watch", "watch needs the package watchfiles, which is not installed")


class FileWatcher:
    """Calls `wake` when refs or the configuration of a repository may have changed."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        """Follow nothing yet."""
        self._wake = wake
        self._stop: threading.Event | None = None

    def follow(self, repo: Repository, anew: bool) -> None:
        """Follow a repository; `anew` where the directory is another one than before."""
        if self._stop and not anew:
            return
        self.stop()
        self._stop = stop = threading.Event()
        deep = [place for place in (repo.common / "refs", repo.common / "reftable") if place.is_dir()]
        for places, recursive in (({repo.git_dir, repo.common}, False), (set(deep), True)):
            thread = threading.Thread(target=self._follow, args=(places, recursive, stop), daemon=True, name="files")
            thread.start()

    def stop(self) -> None:
        """Follow nothing any more."""
        if self._stop:
            self._stop.set()

    def _follow(self, places: Collection[Path], recursive: bool, stop: threading.Event) -> None:
        from watchfiles import Change, watch

        def matters(change: Change, path: str) -> bool:
            return recursive or os.path.basename(path) in TELLING

        try:
            for changes in watch(
                *places, recursive=recursive, watch_filter=matters, stop_event=stop, step=STEP, debounce=2 * STEP,
                rust_timeout=60_000, raise_interrupt=False,
            ):  # fmt: skip
                self._wake(next(iter(changes))[1])
        except Exception as error:  # too many watches, a name that is no UTF-8, or the directory went this instant
            shown = ", ".join(map(str, places))
            log.warning("cannot follow %s (%s); looking every %g s", shown, error, EVERY)
            while not stop.wait(EVERY):
                self._wake("cannot follow")
