"""Hosts that are far away: proxies before one sshd, in a process of their own.

Of their own, so that no interpreter lock of the measuring program disturbs the delays.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from sshd import Proxy


class FarHosts:
    """Ports of this machine that lead to `target`, each byte `delay` seconds later each way; one that is dead.

    `rate` bytes a second pass each of them one way, whatever the number of connections.
    """

    def __init__(self, target: int, count: int, delay: float, rate: float = 0.0) -> None:
        self._words = (sys.executable, __file__, str(target), str(count), str(delay), str(rate))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        *self.ports, self.dead_port = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def connections(self) -> int:
        """How many connections were made so far, over all ports."""
        return sum(self._asked("connections"))

    def bytes(self) -> list[int]:
        """How many bytes have passed each port so far, both ways together."""
        return self._asked("bytes")[:-1]

    def _asked(self, word: str) -> list[int]:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> list[int]:
        assert self._process.stdout
        answer: list[int] = json.loads(self._process.stdout.readline())
        return answer


def main(target: int, count: int, delay: float, rate: float) -> None:
    """Name the ports, then answer each line with the connections or the bytes of each, until standard input ends."""
    with ExitStack() as stack:
        uplinks = (Proxy(port, delay, rate or None, shared=True) for port in (*[target] * count, None))
        proxies = [stack.enter_context(proxy) for proxy in uplinks]
        print(json.dumps([proxy.port for proxy in proxies]), flush=True)
        for line in sys.stdin:
            passed = [proxy.sent + proxy.received for proxy in proxies]
            asked = passed if line.strip() == "bytes" else [proxy.connections for proxy in proxies]
            print(json.dumps(asked), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
