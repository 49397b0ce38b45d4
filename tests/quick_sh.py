"""A cheaper start of programs for the tests and the forks of fork_server.py: without a copy of a Python's memory.

sh forks, and a fork of Python that becomes another program costs ten times what a `vfork` does, by which `subprocess`
starts it: 12 ms of processor time against 1.3, half of what a run of the command line takes. What sh does around the
start stays its own. A program that has a function to run first is forked, and all are in a real start of the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from types import FrameType
from typing import Any

import sh

_one_at_a_time = threading.Lock()


class _Os:
    """The module os, as sh is to see it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fork(self) -> int:
        """Return the id of a process that is already the program that sh would make of its fork."""
        caller = sys._getframe(1)
        known = caller.f_locals
        if known["ca"]["preexec_fn"] or known["ca"]["tty_in"] or known["ca"]["tty_out"]:
            return os.fork()
        try:
            return _start(caller, known, known["ca"])
        except Exception:
            os.write(known["exc_pipe_write"], traceback.format_exc().encode())  # as sh's own child does
            return 0x7FFFFFFF  # sh raises before it uses this


def install() -> None:
    """Let sh start programs so from now on."""
    sh.Command.__init__.__globals__["os"] = _Os()


def remove() -> None:
    """Let sh fork again, as it does for people."""
    sh.Command.__init__.__globals__["os"] = os


def _start(caller: FrameType, known: Mapping[str, Any], options: Mapping[str, Any]) -> int:
    ours, new_session = known["self"], bool(known["new_session"])
    with _one_at_a_time, _Hangups(ignored=options["bg"] is True):
        process = subprocess.Popen(
            [word.encode(options["encoding"]) for word in known["cmd"]],
            stdin=ours._stdin_child_fd, stdout=ours._stdout_child_fd, stderr=ours._stderr_child_fd,
            cwd=options["cwd"], env=options["env"], start_new_session=new_session,
            process_group=0 if known["new_group"] and not new_session else None,
        )  # fmt: skip
    process.returncode = 0  # sh waits for it
    session, group = (process.pid,) * 2 if new_session else (os.getsid(0), os.getpgid(process.pid))
    os.write(known["session_pipe_write"], f"{session},{group}".encode())
    return process.pid


class _Hangups:
    """A block in which SIGHUP is ignored, for a child inherits that; any thread may enter it."""

    _signal = ctypes.CDLL(None).signal
    _signal.argtypes, _signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p

    def __init__(self, ignored: bool) -> None:
        self._ignored = ignored

    def __enter__(self) -> None:
        if self._ignored:
            self._before = self._signal(signal.SIGHUP, int(signal.SIG_IGN))

    def __exit__(self, *_: object) -> None:
        if self._ignored:
            self._signal(signal.SIGHUP, self._before)
