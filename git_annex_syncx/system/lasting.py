"""Programs that are talked to while they run, instead of being run to their end."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Self

from git_annex_syncx.errors import ProgramFailed
from git_annex_syncx.system import processes, run

CHUNK = 65536  # bytes
LAST_CHUNKS = 200  # of stderr, of at most SAID bytes each
SAID = 1024
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
LEFT_OPEN = 2.0  # seconds for which the output of a program that has ended is read: what it started may hold it open


class Lasting:
    """A program in a group of its own, with pipes to and from it."""

    def __init__(
        self,
        program: str,
        *args: str | bytes,
        cwd: Path,
        env: Mapping[str, str],
        stderr: int = subprocess.PIPE,
        first: Callable[[], None] | None = None,
    ) -> None:
        """Start it. The child does `first` before all else. Raises ProgramFailed, UsageError."""
        words = [run.find(program), *args]

        try:
            with processes.starting() as alive:
                self._process = subprocess.Popen(
                    words, cwd=cwd, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                    start_new_session=True, preexec_fn=first, bufsize=CHUNK,
                )  # fmt: skip
                alive.append(self)
        except (OSError, subprocess.SubprocessError) as error:
            raise ProgramFailed(run.shown(program, args), 127, str(error), cwd) from error

    @property
    def pid(self) -> int:
        """Return its process id, which is that of its group."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def _in(self) -> IO[bytes]:
        assert self._process.stdin
        return self._process.stdin

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout
        return self._process.stdout

    def _keep_stderr(self, said: deque[bytes]) -> None:
        """Read what it complains of, until it complains no more."""
        assert self._process.stderr
        with self._process.stderr as stream:
            while chunk := os.read(stream.fileno(), SAID):
                said.append(chunk)


class Talk(Lasting):
    """A program that is told lines and heard line by line while it runs, each line with its end."""

    def __init__(
        self,
        program: str,
        *args: str | bytes,
        cwd: Path,
        env: Mapping[str, str],
        heard: Callable[[bytes], None],
        ended: Callable[[int, bytes], None],
    ) -> None:
        """Start it. `heard` takes each line, `ended` the exit code and stderr, both in threads of their own."""
        super().__init__(program, *args, cwd=cwd, env=env, first=_dying_with_us())
        self._heard, self._ended = heard, ended
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._said: deque[bytes] = deque(maxlen=LAST_CHUNKS)
        readers = [_thread(self._listen), _thread(self._keep_stderr, self._said)]
        _thread(self._write)
        _thread(self._wait, *readers)

    def say(self, line: bytes) -> None:
        """Tell it a line; never waits for it to listen."""
        self._lines.put(line)

    def finish(self) -> None:
        """Tell it that there is no more to come; it may end."""
        self._lines.put(None)

    def end(self) -> None:
        """End it with all that it started."""
        processes.end(self)

    def _write(self) -> None:
        with contextlib.suppress(OSError), self._in as stream:  # it has ended
            while (line := self._lines.get()) is not None:
                stream.write(line)
                stream.flush()

    def _listen(self) -> None:
        with self._out as stream:
            for line in stream:
                self._heard(line)

    def _wait(self, *readers: threading.Thread) -> None:
        code = self._process.wait()
        for reader in readers:
            reader.join(LEFT_OPEN)
        self.finish()
        processes.forget(self)
        self._ended(code, b"".join(self._said))


class Output(Lasting):
    """A program whose output is read as it comes, never more of it than is asked for: it waits meanwhile.

    It is ended, with all that it started, when the block ends.
    """

    def __init__(
        self,
        program: str,
        *args: str | bytes,
        cwd: Path,
        env: Mapping[str, str],
        first: Callable[[], None] | None = None,
    ) -> None:
        """Start it."""
        super().__init__(program, *args, cwd=cwd, env=env, first=first)
        self.given, self.out = self._in, self._out
        self._said: deque[bytes] = deque(maxlen=2)
        self._complaints = _thread(self._keep_stderr, self._said)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        processes.end(self, patience=processes.LAST_WAIT, last=0.1)
        processes.forget(self)
        self.out.close()
        with contextlib.suppress(OSError):
            self.given.close()

    def said(self) -> str:
        """Return the end of the stderr of one that has ended its output."""
        self._complaints.join(processes.LAST_WAIT)  # some go on without an output
        return b"".join(self._said)[-SAID:].decode("utf-8", "replace")

    def code(self) -> int:
        """Return the exit code of one that has ended its output."""
        return self._process.wait()


class Stream(Output):
    """An output that is waited for. On Linux the program ends also when the thread that began it does."""

    def __init__(self, program: str, *args: str | bytes, cwd: Path, env: Mapping[str, str]) -> None:
        """Start it."""
        super().__init__(program, *args, cwd=cwd, env=env, first=_dying_with_us())

    def read(self, patience: float) -> bytes | None:
        """Return what it has written, empty when it has ended; None where nothing came within `patience` seconds."""
        ready, _, _ = select.select([self.out], [], [], patience)
        return os.read(self.out.fileno(), CHUNK) if ready else None


class Dialogue(Lasting):
    """A program that answers each question before the next is asked. It ends when we do, however we end.

    A question is written to `questions`; its answer is to be read from `answers` before the next one.
    """

    def __init__(self, program: str, *args: str | bytes, cwd: Path, env: Mapping[str, str]) -> None:
        """Start it."""
        super().__init__(program, *args, cwd=cwd, env=env, stderr=subprocess.DEVNULL)
        assert isinstance(self._process.stdin, io.BufferedWriter)
        self.questions, self.answers = self._process.stdin.raw, self._out

    def end(self) -> None:
        """Let it end."""
        with contextlib.suppress(OSError):
            self._in.close()
        self.answers.close()
        processes.end(self, patience=processes.LAST_WAIT, last=0.1)
        processes.forget(self)


def _thread(target: Callable[..., None], *args: object) -> threading.Thread:
    made = threading.Thread(target=target, args=args, daemon=True)
    made.start()
    return made


def _dying_with_us() -> Callable[[], None] | None:
    """Return what a child does first so that it ends when this thread does, also when we are killed; Linux only.

    A git-annex whose output nobody reads any more would hang, and keep its transfer locks.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, death = ctypes.CDLL(None).prctl, signal.SIGTERM
    return lambda: prctl(PR_SET_PDEATHSIG, death)
