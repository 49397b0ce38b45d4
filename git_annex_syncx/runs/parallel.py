"""Work for many remotes at once: a thread a remote, outcomes as they come, an error as the outcome of its remote."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from git_annex_syncx.errors import EXIT_FAILED, Away, Busy, Level, ProgramFailed, SyncxError
from git_annex_syncx.model import Outcome, Remote, Result
from git_annex_syncx.reasons import mending
from git_annex_syncx.system import locks, processes

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

BUG = "this may be a bug in git-annex-syncx; please report it with what is printed above"
RESULTS = {Away: Result.AWAY, Busy: Result.BUSY, Level: Result.LEVEL}


def each_remote(
    event: str, remotes: Iterable[Remote], work: Callable[[Remote], Outcome], jobs: int
) -> Iterator[Outcome]:
    """Do `work` for all remotes at once, at most `jobs` at a time; an error becomes that remote's outcome."""
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix=event) as pool:
        try:
            running = [pool.submit(one_remote, event, remote, work) for remote in remotes]
            for done in as_completed(running):
                yield done.result()
        except BaseException:  # Ctrl-C, or nobody listens any more
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end_all()
            raise


@contextlib.contextmanager
def exchanging(state_dir: Path, name: str) -> Iterator[bool]:
    """Exchange refs with a remote, one run at a time; yield whether another was at it, so that it may have moved.

    Raises Busy.
    """
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    busy = f"another git-annex-syncx exchanges refs with {name}"
    with locks.held(state_dir / f"remote-{digest}.lock", busy) as waited:
        yield waited


def one_remote(event: str, remote: Remote, work: Callable[[Remote], Outcome]) -> Outcome:
    """Do `work` for one remote; an error becomes its outcome."""
    begun = time.monotonic()
    try:
        outcome = work(remote)
    except SyncxError as error:
        outcome = failure(event, error, remote)
    except Exception as error:  # a bug, or a file system that fails: the other remotes go on all the same
        log.exception("%s %s", event, remote.name)
        outcome = failure(event, SyncxError(f"{type(error).__name__}: {error}", BUG), remote)
    return replace(outcome, seconds=time.monotonic() - begun)


def own_failure(event: str, error: SyncxError) -> Outcome:
    """Return the outcome of the own repository that tells of an error; raise again what ends the command."""
    if error.exit_code != EXIT_FAILED:
        raise error
    return failure(event, error)


def failure(event: str, error: SyncxError, remote: Remote | None = None) -> Outcome:
    """Return the outcome that tells of an error."""
    if isinstance(error, ProgramFailed):
        log.info("failed: %s in %s: exit %s: %s", error.command, error.directory, error.code, error.stderr.strip())
    result = RESULTS.get(type(error), Result.FAILED)
    name, uuid = (remote.name, remote.uuid) if remote else ("", None)
    details = {"soon": True} if error.soon and result is Result.FAILED else {}
    return Outcome(event, result, name, uuid, reason=error.what, advice=advice_on(error, name), details=details)


def advice_on(error: SyncxError, remote: str) -> str:
    """Return what to do about an error that a remote has brought, empty where nothing is known."""
    said = f"{error.what}\n{error.stderr}" if isinstance(error, ProgramFailed) else error.what
    return error.advice or mending(said, remote)


def at_once(work: Callable[[T], R], items: Iterable[T], jobs: int) -> list[R]:
    """Do `work` for all items, at most `jobs` at a time; an error is raised when what runs has ended."""
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        running = [pool.submit(work, item) for item in items]
        try:
            return [one.result() for one in running]
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):  # Ctrl-C
                processes.end_all()
            raise


@contextlib.contextmanager
def beside(work: Callable[[], T]) -> Iterator[Future[T]]:
    """Do `work` in a thread while the block is executed; its result, or its error, is asked for there."""
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(work)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C
                processes.end_all()
            raise
