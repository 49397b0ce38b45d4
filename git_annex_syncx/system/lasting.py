"""Programs that are talked to while they run, instead of being run to their end."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from git_annex_syncx.system.run import ENCODING, LAST_CHUNKS, LAST_WAIT, dying_with_us, end, forget, start, wait_for


class Talk:
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
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._said: deque[str] = deque(maxlen=LAST_CHUNKS)

        def complain(chunk: str) -> None:
            self._said.append(chunk)

        def wait() -> None:
            wait_for(self._running)
            forget(self._running)
            ended(self._running.exit_code, "".join(self._said).encode(ENCODING))

        streams = {"_in": self._lines, "_out": lambda line: heard(line.encode(ENCODING)), "_err": complain}
        options = {"_out_bufsize": 1, "_no_out": True, "_preexec_fn": dying_with_us()}
        self._running = start(program, args, cwd, env, {**streams, **options})
        threading.Thread(target=wait, daemon=True).start()

    def say(self, line: bytes) -> None:
        """Tell it a line."""
        self._lines.put(line.decode(ENCODING))

    def finish(self) -> None:
        """There is no more to tell; it may end."""
        self._lines.put(None)

    def end(self) -> None:
        """End it with all that it started."""
        end(self._running)


class Stream:
    """A program whose output is read as it comes, never more of it than is asked for: it waits meanwhile.

    It is ended, with all that it started, when the block ends; on Linux also when the thread that began it does.
    """

    def __init__(self, program: str, *args: str | bytes, cwd: Path, env: Mapping[str, str]) -> None:
        """Nothing is started yet."""
        self._order = (program, args, cwd, env)
        self._said: deque[str] = deque(maxlen=2)

    def __enter__(self) -> Stream:
        """Start it."""
        self._ours, its = os.pipe()
        streams = {"_out": its, "_err": self._said.append, "_err_bufsize": 1024}
        try:
            self._running = start(*self._order, {**streams, "_preexec_fn": dying_with_us()})
        except BaseException:
            os.close(self._ours)
            raise
        finally:
            os.close(its)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        os.close(self._ours)
        end(self._running, patience=LAST_WAIT, last=0.1)
        forget(self._running)

    def read(self, patience: float) -> bytes | None:
        """Return what it has written, empty when it has ended; None where nothing came within `patience` seconds."""
        ready, _, _ = select.select([self._ours], [], [], patience)
        return os.read(self._ours, 65536) if ready else None

    def said(self) -> str:
        """The end of the stderr of one that has ended its output."""
        ending = threading.Thread(target=wait_for, args=(self._running,), daemon=True)
        ending.start()
        ending.join(LAST_WAIT)  # some go on without an output
        return "".join(self._said)[-1024:].encode(ENCODING).decode("utf-8", "replace")


class Dialogue:
    """A program that answers each question before the next is asked. It ends when we do, however we end.

    A question is written to `questions`; its answer is to be read from `answers` before the next one.
    """

    def __init__(self, program: str, *args: str | bytes, cwd: Path, env: Mapping[str, str]) -> None:
        """Start it."""
        its_questions, questions = os.pipe()
        answers, its_answers = os.pipe()
        self.questions, self.answers = os.fdopen(questions, "wb", buffering=0), os.fdopen(answers, "rb")
        try:
            streams = {"_in": its_questions, "_out": its_answers, "_err": os.devnull}
            self._running = start(program, args, cwd, env, streams)
        except BaseException:
            self._close()
            raise
        finally:
            os.close(its_questions)
            os.close(its_answers)

    def end(self) -> None:
        """Let it end."""
        self._close()
        end(self._running, patience=LAST_WAIT, last=0.1)
        forget(self._running)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self.questions.close()
        self.answers.close()
