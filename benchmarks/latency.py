"""A network for benchmarks: a real sshd, behind a proxy that adds delay and counts connections.

The proxy is a process of its own (this file, run as a program), so that no interpreter lock of the
measuring program disturbs the delays.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

BLOCK = 65536


class Proxy:
    """Listening ports on loopback that lead to one port, each byte later by `delay` seconds each way."""

    def __init__(self, target: int, ports: int, delay: float, dead: int = 0, rate: float = 0.0) -> None:
        """`ports` lead to `target`; `dead` more take a connection and never say a word. `rate`: bytes/s, 0: any."""
        words = [sys.executable, str(Path(__file__)), "--target", str(target), "--ports", str(ports)]
        words += ["--dead", str(dead), "--delay", str(delay), "--rate", str(rate)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        listening = self._answer()
        self.ports, self.dead_ports = listening[:ports], listening[ports:]

    def connections(self) -> int:
        """How many connections were made so far, over all ports."""
        assert self._process.stdin is not None
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        return sum(self._answer())

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()

    def _answer(self) -> list[int]:
        assert self._process.stdout is not None
        answer: list[int] = json.loads(self._process.stdout.readline())
        return answer


class Sshd:
    """An sshd on loopback that knows one key, and the ssh programs and configuration that reach it."""

    def __init__(self, root: Path, path: str) -> None:
        """Start it with its files in `root`; what it runs finds programs on `path` and has its home there too."""
        self.root = root
        root.mkdir(mode=0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)], check=True)
        (root / "home").mkdir()
        shutil.copy(root / "user.pub", root / "authorized")
        self.port = _free_port()
        (root / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {root}/host\nAuthorizedKeysFile {root}/authorized\n"
            f"PidFile {root}/pid\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n"
            f"MaxStartups 200\nMaxSessions 200\nUseDNS no\nPrintMotd no\n"
            f"SetEnv PATH={path} HOME={root}/home GIT_CONFIG_NOSYSTEM=1\n"
        )
        program = shutil.which("sshd", path=f"{path}:/usr/sbin:/usr/local/sbin")
        assert program, "sshd is not installed"
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd of root separates its privileges there
        with (root / "sshd.log").open("w") as log:
            self._process = subprocess.Popen([program, "-D", "-e", "-f", str(root / "sshd_config")], stderr=log)
        _await_port(self.port)

    def write_client(self, hosts: dict[str, int]) -> Path:
        """A directory with an `ssh` for the front of the PATH, which knows the hosts (name -> port)."""
        known = (self.root / "host.pub").read_text().split()[:2]
        (self.root / "known").write_text("* " + " ".join(known) + "\n")
        config = "".join(f"Host {name}\n  Port {port}\n" for name, port in hosts.items())
        config += (
            f"Host *\n  HostName 127.0.0.1\n  IdentityFile {self.root}/user\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.root}/known\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
            "  LogLevel ERROR\n"
        )
        (self.root / "ssh_config").write_text(config)
        programs = self.root / "bin"
        programs.mkdir()
        wrapper = programs / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.root}/ssh_config "$@"\n')
        wrapper.chmod(0o755)
        return programs

    def stop(self) -> None:
        """End the process; connections that it served end with their clients."""
        self._process.terminate()
        self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


# The process of the proxy


async def _serve(target: int, ports: int, dead: int, delay: float, rate: float) -> None:
    counts = [0] * (ports + dead)
    flows: set[asyncio.Task[None]] = set()

    async def connected(index: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counts[index] += 1
        if index >= ports:
            await reader.read()  # a dead host: nothing ever comes back
            return
        await asyncio.sleep(2 * delay)  # what the handshake of TCP would take
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            flow = asyncio.create_task(_carry(source, sink, delay, rate))
            flows.add(flow)  # or it would be collected on the way
            flow.add_done_callback(flows.discard)

    servers = [
        await asyncio.start_server(functools.partial(connected, index), "127.0.0.1", 0)
        for index in range(ports + dead)
    ]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(counts), flush=True)


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float, rate: float) -> None:
    """Pass bytes on, each `delay` seconds after it came, and no more than `rate` bytes in a second."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def deliver() -> None:
        free = 0.0
        while True:
            due, block = await under_way.get()
            await asyncio.sleep(max(due, free) - loop.time())
            free = loop.time() + (len(block) / rate if rate else 0.0)
            if not block:
                sink.close()
                return
            sink.write(block)
            await sink.drain()

    delivering = asyncio.create_task(deliver())
    with contextlib.suppress(ConnectionError):
        while block := await source.read(BLOCK):
            under_way.put_nowait((loop.time() + delay, block))
    under_way.put_nowait((loop.time() + delay, b""))
    with contextlib.suppress(ConnectionError):
        await delivering


def main() -> None:
    """Serve until standard input ends; the first line out names the ports, each further one the counts."""
    parser = argparse.ArgumentParser()
    for name, kind in (("target", int), ("ports", int), ("dead", int), ("delay", float), ("rate", float)):
        parser.add_argument(f"--{name}", type=kind, default=0)
    options = parser.parse_args()
    asyncio.run(_serve(options.target, options.ports, options.dead, options.delay, options.rate))


if __name__ == "__main__":
    main()
