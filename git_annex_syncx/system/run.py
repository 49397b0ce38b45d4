"""The one door to programs: start them without a terminal, end them on every way out."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import sh

from git_annex_syncx.errors import ProgramFailed, Stalled, UsageError
from git_annex_syncx.system import processes
from git_annex_syncx.system.clock import STEP, awake
from git_annex_syncx.system.processes import shielded

log = logging.getLogger(__name__)

# The user's own words to git. Whatever else starts with GIT_ comes from a hook and names its repository.
KEPT = {
    "GIT_ASKPASS",
    "GIT_CEILING_DIRECTORIES",
    "GIT_EXEC_PATH",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_TERMINAL_PROMPT",
}
KEPT_PREFIXES = (
    "GIT_ANNEX_",
    "GIT_AUTHOR_",
    "GIT_COMMITTER_",
    "GIT_CONFIG_",
    "GIT_CURL_",
    "GIT_HTTP_",
    "GIT_SSH_",
    "GIT_SSL_",
    "GIT_TRACE",
)

# Variables of every program's environment that hold `true` and `false`, for `git --config-env`.
YES, NO = "SYNCX_YES", "SYNCX_NO"
# Tells our own hooks that git runs for us: what it does there is no news.
WITHIN = "SYNCX_RUN"

PROGRAM = "git-annex-syncx"

# Latin-1 carries any bytes unchanged through sh, which encodes arguments strictly.
ENCODING = "latin-1"
MUCH = 65536  # bytes of input
MOST_CHUNKS, LAST_CHUNKS = 1_000_000, 200  # of the stderr of a program, and of one that runs for long


@dataclass(frozen=True)
class Done:
    """A program that has ended: exit code and what it wrote, as bytes."""

    code: int
    out: bytes
    err: bytes


def run(
    program: str,
    *args: str | bytes,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes | None = None,
    ok: Container[int] = (0,),
    stall: float | None = None,
    limit: float | None = None,
    asks: bool = False,
) -> Done:
    """Run a program to its end.

    `ok` lists the exit codes that are no failure. `stall` is the time in seconds without output after which
    the program is ended, `limit` the time that it may take in all. A program that `asks` may use the user's
    terminal, where there is one.
    Raises ProgramFailed, Stalled, UsageError where the program is missing.
    """
    heard: deque[bytes] = deque(maxlen=MOST_CHUNKS if limit is None else LAST_CHUNKS)
    patience = stall if limit is None else limit
    seen = [0.0 if patience is None else awake()]

    def listen(chunk: str | bytes) -> None:
        if limit is None and stall is not None:
            seen[0] = awake()
        heard.append(chunk.encode(ENCODING) if isinstance(chunk, str) else chunk)

    # Progress is heard byte by byte as it comes, which costs.
    sizes = {"_out_bufsize": 65536, "_err_bufsize": 0 if limit is None else 65536}
    streams = {"_err": listen, "_new_session": not (asks and interactive())}
    log.debug("%s", shown(program, args))
    with _standing(stdin) as given:
        running = _started(program, args, cwd, env, _in=given, **streams, **sizes)
    with processes.forgetting(running), _watched(running, seen, patience) as stalled:
        wait_for(running)  # the exit code is judged below
    if stalled.is_set():
        why = f"not done after {limit:g} s, given up" if limit else f"no progress for {stall:g} s, given up"
        raise Stalled(shown(program, args), -signal.SIGTERM, why, cwd)
    code = running.exit_code
    if code not in ok:
        raise ProgramFailed(shown(program, args), code, os.fsdecode(b"".join(heard)), cwd)
    return Done(code, running.process.stdout, b"".join(heard))


@contextlib.contextmanager
def _standing(stdin: bytes | None) -> Iterator[bytes | IO[bytes] | None]:
    """Put much input into a file, from which a program reads by itself: sh would feed it a kilobyte at a time."""
    if stdin is None or len(stdin) < MUCH:
        yield stdin
        return
    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        yield file


def leave_running(program: str, *args: str, cwd: Path, env: Mapping[str, str]) -> None:
    """Start a program that nobody waits for, with nothing of ours but the environment."""
    with shielded():
        _command(program, args, cwd, env, _in=os.devnull, _out=os.devnull, _err=os.devnull, _new_session=True)


def attached(program: str, *args: str, cwd: Path, env: Mapping[str, str]) -> int:
    """Run a program that has our terminal until it ends, with its pager or editor; return its exit code."""
    log.debug("%s", shown(program, args))
    sys.stdout.flush()
    try:
        sh.Command(find(program))(*args, _fg=True, _cwd=str(cwd), _env=dict(env))
    except sh.ErrorReturnCode as error:
        return int(error.exit_code)
    return 0


def _started(program: str, args: tuple[str | bytes, ...], cwd: Path, env: Mapping[str, str], **options: Any) -> Any:
    """Start a program that is ended with us. Raises ProgramFailed, UsageError."""
    try:
        with processes.starting() as alive:
            running = _command(program, args, cwd, env, **options)
            alive.append(running)
            return running
    except sh.ForkException as error:
        raise ProgramFailed(shown(program, args), 127, str(error).strip().splitlines()[-1], cwd) from error


def _command(program: str, args: tuple[str | bytes, ...], cwd: Path, env: Mapping[str, str], **options: Any) -> Any:
    """Start a program through sh, without a terminal; any bytes may stand in its arguments."""
    words = (os.fsencode(arg).decode(ENCODING) for arg in args)
    return sh.Command(find(program))(
        *words, _cwd=str(cwd), _env=dict(env), _bg=True, _bg_exc=False, _return_cmd=True, _tty_out=False,
        _encoding=ENCODING, _decode_errors="surrogateescape", **options,
    )  # fmt: skip


@functools.cache
def interactive() -> bool:
    """Return whether a person sits at a terminal and can be asked."""
    return all(stream is not None and not stream.closed and stream.isatty() for stream in (sys.stdin, sys.stderr))


@functools.cache
def environment() -> Mapping[str, str]:
    """Return the environment for programs: without a hook's GIT_*, in the C locale, silent without a terminal."""
    env = {
        k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in KEPT or k.startswith(KEPT_PREFIXES)
    }
    env |= {
        "LC_ALL": "C.UTF-8" if sys.platform != "darwin" else "C",
        "GIT_MERGE_AUTOEDIT": "no",
        "GIT_NO_REPLACE_OBJECTS": "1",
        YES: "true",
        NO: "false",
        WITHIN: "1",
    }
    env.pop("LANGUAGE", None)
    # git-annex installed beside this program is found when the PATH lacks one.
    env["PATH"] = os.pathsep.join([env.get("PATH") or os.defpath, str(Path(sys.executable).parent)])
    if not interactive():
        env |= {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
        env.pop("SSH_ASKPASS", None)
    return env


def users_environment() -> dict[str, str]:
    """Return the environment for programs of the user's: without what is ours; what they commit is news."""
    return {name: value for name, value in environment().items() if name not in (YES, NO, WITHIN)}


@functools.cache
def find(program: str) -> str:
    """Return the absolute path of a program. Raises UsageError where it is not installed."""
    found = shutil.which(program, path=environment()["PATH"])
    if not found:
        raise UsageError(f"{program} is not installed", f"install {program}, or put its directory on the PATH")
    return str(Path(found).absolute())


def own_program() -> Path:
    """Return the absolute path by which this program can be started again: as it was called, where that is known."""
    called, beside = Path(sys.argv[0]).absolute(), Path(sys.executable).with_name(PROGRAM)
    known = (path for path in (called, beside) if path.name == PROGRAM and path.is_file())
    return next(known, None) or Path(find(PROGRAM))


@contextlib.contextmanager
def _watched(running: Any, seen: list[float], stall: float | None) -> Iterator[threading.Event]:
    """End the program when it has been silent for `stall` seconds; the event tells that this happened."""
    stalled, ended = threading.Event(), threading.Event()

    def watch(patience: float) -> None:
        while (left := seen[0] + patience - awake()) > 0:
            if ended.wait(min(left, STEP)):
                return
        stalled.set()
        processes.end(running)

    if stall is not None:
        threading.Thread(target=watch, args=(stall,), daemon=True).start()
    try:
        yield stalled
    finally:
        ended.set()


def wait_for(running: Any) -> None:
    """Wait until it has ended, however it ends."""
    with contextlib.suppress(sh.ErrorReturnCode):
        running.wait()


def shown(program: str, args: tuple[str | bytes, ...]) -> str:
    """Return a command line for people."""
    return shlex.join([program, *(os.fsdecode(arg) for arg in args)])
