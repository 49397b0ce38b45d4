"""`git-annex-syncx` for shells that ask what to offer: a process that has loaded all commands and forks for each.

`python completion_server.py DIRECTORY` puts the program into the directory and serves until it is killed. The program
sends its directory, its environment and what it is asked; the answer is that of the real one, without its start. What
many shells ask in turn is answered once: nothing changes meanwhile.
"""

from __future__ import annotations

import functools
import os
import socketserver
import sys
from pathlib import Path

from git_annex_syncx.cli import completion, group

VARIABLE = "_GIT_ANNEX_SYNCX_COMPLETE"
PROGRAM = """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port}
printf '%s\\0' "$PWD" "${variable}" "$COMP_LINE" "$HOME" END >&3
exec cat <&3
"""


class Answer(socketserver.StreamRequestHandler):
    """One question of a shell."""

    def handle(self) -> None:
        asked = b""
        while not asked.endswith(b"END\0"):
            asked += self.connection.recv(65536)
        directory, instruction, line, home, *_ = os.fsdecode(asked).split("\0")
        os.environ["HOME"] = home
        self.wfile.write(answer(directory, instruction, line))


@functools.cache
def answer(directory: str, instruction: str, line: str) -> bytes:
    """What a process of its own prints."""
    out, out_end = os.pipe()
    if not (pid := os.fork()):
        os.chdir(directory)
        os.environ |= {VARIABLE: instruction, "COMP_LINE": line}
        os.dup2(out_end, 1)
        completion.answer(group, VARIABLE)
        sys.stdout.flush()
        os._exit(0)
    os.close(out_end)
    with open(out, "rb") as stream:
        printed = stream.read()
    os.waitpid(pid, 0)
    return printed


def main() -> None:
    group.shown()
    program = Path(sys.argv[1]) / "git-annex-syncx"
    with socketserver.TCPServer(("127.0.0.1", 0), Answer) as server:
        made = program.with_suffix(".new")
        made.write_text(PROGRAM.format(port=server.server_address[1], variable=VARIABLE))
        made.chmod(0o755)
        made.rename(program)
        server.serve_forever()


if __name__ == "__main__":
    main()
