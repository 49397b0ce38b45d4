"""The command line without its start: a process that has loaded all modules and forks for each call.

A call has its own process, environment, directory, standard streams, signals and exit; only the loading of modules,
which takes longer than most commands, is shared. Run as a program this is the server: it takes calls from the socket
whose descriptor is its argument.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("git-annex-syncx")
LONGEST_CALL = 1 << 20  # bytes of a message: arguments and environment
NUMBER = struct.Struct("i")
# What decides how Python starts, and so what a fork cannot have otherwise than its server.
DECISIVE = ("LC_", "LANG", "PYTHON", "COVERAGE", "MALLOC_")


class ForkServers:
    """Servers that take turns, for each hashes strings in another order, as two starts of Python do."""

    def __init__(self, env: Mapping[str, str], number: int = 2) -> None:
        """Start them in this environment."""
        self.decisive = _decisive(env)
        self.servers = cycle([self._start(env) for _ in range(number)])

    def _start(self, env: Mapping[str, str]) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for one in (ours, theirs):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_CALL)
        with theirs:
            subprocess.Popen(
                (sys.executable, __file__, str(theirs.fileno())), env=dict(env), pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        return ours

    def can_run(self, env: Mapping[str, str]) -> bool:
        """Whether a real start in this environment would be the same."""
        return _decisive(env) == self.decisive and shutil.which(PROGRAM.name, path=env["PATH"]) == str(PROGRAM)

    def run(
        self, args: tuple[str | bytes, ...], cwd: Path, env: Mapping[str, str], timeout: float, out: int | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the command line as `subprocess.run` does with `capture_output`; `out` is a standard output to use."""
        (read_out, out_end), (err, err_end), (report, report_end) = os.pipe(), os.pipe(), os.pipe()
        call = json.dumps([[os.fsdecode(arg) for arg in args], str(cwd), dict(env)]).encode()
        socket.send_fds(next(self.servers), [call], (0, out_end if out is None else out, err_end, report_end))
        for fd in (out_end, err_end, report_end):
            os.close(fd)
        with ThreadPoolExecutor(2) as readers:
            heard = readers.map(_read, (read_out, err))
            code = _ended(report, timeout, args)
        return subprocess.CompletedProcess(args, code, *heard)


def _decisive(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(DECISIVE)}


def _read(fd: int) -> bytes:
    with open(fd, "rb") as stream:
        return stream.read()


def _ended(report: int, timeout: float, args: tuple[str | bytes, ...]) -> int:
    """The exit code of a call, negative after a signal; kills it after `timeout` seconds."""
    with open(report, "rb", buffering=0) as stream, selectors.DefaultSelector() as waiting:
        (pid,) = NUMBER.unpack(stream.read(NUMBER.size))
        waiting.register(stream, selectors.EVENT_READ)
        if not waiting.select(timeout):
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(args, timeout)
        (code,) = NUMBER.unpack(stream.read(NUMBER.size))
        return int(code)


def serve(calls: socket.socket) -> None:
    """Fork for each call and report its end, until nobody can call any more. Returns in the fork."""
    with selectors.DefaultSelector() as events:
        events.register(calls, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.fileobj is not calls:
                    events.unregister(key.fileobj)
                    _tell_end(key.fd, *key.data)
                    continue
                message, fds, _, _ = socket.recv_fds(calls, LONGEST_CALL, 4)
                if not message:
                    os._exit(0)
                *streams, report = fds
                if not (pid := os.fork()):
                    return _become(message, streams)
                for fd in streams:
                    os.close(fd)
                os.write(report, NUMBER.pack(pid))
                events.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, report))


def _tell_end(pidfd: int, pid: int, report: int) -> None:
    os.close(pidfd)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # the caller waits no longer
        os.write(report, NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os.close(report)


def _become(message: bytes, streams: list[int]) -> None:
    """Be the process that the caller asked for."""
    args, cwd, env = json.loads(message)
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [str(PROGRAM), *args[1:]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()


def _run() -> None:
    """Run the command line and end at once: to take down all modules in good order copies their memory."""
    from git_annex_syncx.cli import main

    try:
        main()
    except SystemExit as end:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else int(bool(end.code)))


def _load() -> None:
    """Import the program with what it imports, but signals: each fork copies tables of the memory that it has."""
    import ctypes  # noqa: F401

    import networkx  # noqa: F401
    import quick_sh
    import tenacity  # noqa: F401

    import git_annex_syncx

    quick_sh.install()
    for module in pkgutil.walk_packages(git_annex_syncx.__path__, "git_annex_syncx."):
        if ".signals." not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _load()
    with socket.socket(fileno=int(sys.argv[1])) as calls:
        serve(calls)
    _run()
