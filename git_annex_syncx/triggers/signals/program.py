"""Signals through a program of the user's: `COMMAND send` is told one, `COMMAND listen` says one a line."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

from git_annex_syncx.errors import ProgramFailed, SyncxError
from git_annex_syncx.git.git import Repository
from git_annex_syncx.system import run
from git_annex_syncx.system.lasting import Stream
from git_annex_syncx.triggers.signals.channel import LONGEST, POLL, SEND_LIMIT, Channel, Connected, Heard, Lost, wrong

EXAMPLE = "exec:my-program, which is run as `my-program send` and `my-program listen`"
# The command may be any that a shell understands; what it prints when it sends is nobody's.
SEND = 'exec sh -c "$1 \\"\\$@\\"" sh send >/dev/null'
LISTEN = 'exec sh -c "$1 \\"\\$@\\"" sh listen </dev/null'


class Program(Channel):
    """A channel through a program of the user's."""

    def __init__(self, repo: Repository, uuid: str, address: str) -> None:
        """`address` is exec:COMMAND. Raises UsageError."""
        self._repo = repo
        self._command = address.partition(":")[2].strip()
        if not self._command or "\0" in self._command:
            raise wrong(address, "it names no program", EXAMPLE)
        self._shown = self._command if len(self._command) < 60 else f"{self._command[:57]}..."
        self._env = {**run.users_environment(), "SYNCX_REPOSITORY": os.fspath(repo.home), "SYNCX_UUID": uuid}

    def send(self, payload: bytes, last: bool = True) -> None:
        """Run `COMMAND send` with the payload as a line of its standard input."""
        words = ("-c", SEND, "sh", self._command)
        try:
            run.run("sh", *words, cwd=self._repo.home, env=self._env, stdin=payload + b"\n", limit=SEND_LIMIT)
        except ProgramFailed as error:
            raise SyncxError(f"{self._shown} send: {error.what}", "try it by hand") from error

    def attend(self, heard: Heard, connected: Connected, stop: threading.Event) -> None:
        """Run `COMMAND listen` until it ends."""
        with Stream("sh", "-c", LISTEN, "sh", self._command, cwd=self._repo.home, env=self._env) as stream:
            connected()
            lines = LineSplitter()
            while not stop.is_set():
                chunk = stream.read(POLL)
                for line in lines.feed(chunk or b""):
                    heard(line)
                if chunk == b"":
                    said = stream.said().strip().rpartition("\n")[2]
                    raise Lost(f"{self._shown} listen has ended{said and f': {said}'}", "try it by hand")


class LineSplitter:
    """Chunks as they come -> lines without their ends, none longer than LONGEST: the rest of one is dropped."""

    def __init__(self) -> None:
        """Begin with no line."""
        self._begun = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that a chunk completes; empty ones are none."""
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            if whole := (self._begun + line)[:LONGEST].rstrip(b"\r"):
                yield whole
            self._begun = b""
        self._begun = (self._begun + rest)[:LONGEST]
