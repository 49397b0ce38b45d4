"""A real sshd on loopback, and a proxy that counts, delays and slows connections, for tests and benchmarks.

    with Sshd(net.root / "sshd", net.home) as sshd, Proxy(sshd.port, delay=0.05) as proxy:
        sshd.join(net)
        laptop.git("remote", "add", "nas", sshd.url(nas.path, proxy.port))
        laptop.syncx("push")
        assert proxy.connections == 1

ssh reads the configuration of the passwd home, whatever HOME says, so a small `ssh` that names another
configuration stands first on the PATH; it runs the real one with the very same arguments.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from network import ANNEX, PROGRAMS, Network

SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host_key
PidFile none
AuthorizedKeysFile {root}/user_key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200
MaxSessions 100
PrintMotd no
SetEnv PATH={path} HOME={home} GIT_CONFIG_NOSYSTEM=1
"""
CLIENT = """\
Host *
    HostName 127.0.0.1
    User {user}
    IdentityFile {root}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {root}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    LogLevel ERROR
"""
PATIENCE = 60.0  # seconds for a server to start or end


class Sshd:
    """An sshd with keys of its own that only the holder of `root` can log in to, as the present user."""

    def __init__(self, root: Path, home: Path, path: str = "") -> None:
        """`root` is made for keys and configuration; programs started by ssh see `home`, and `path` if given."""
        self.root, self.home, self.path = root, home, path
        self.programs = root / "bin"  # holds the `ssh` that knows the keys
        self.runtime = Path(tempfile.mkdtemp(prefix="sshd", dir="/tmp"))  # sockets need a short path
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.programs.mkdir(parents=True)
        (self.programs / "git-annex-shell").symlink_to(ANNEX / "git-annex")
        self._make_keys()
        self._make_client()
        while not self._serve():
            pass
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        self.disconnect()
        self._process.terminate()
        self._process.wait(PATIENCE)
        shutil.rmtree(self.runtime)

    def join(self, net: Network) -> None:
        """Let everything that runs in the network use this sshd's keys."""
        net.programs.insert(0, self.programs)
        net.runtime = self.runtime

    def disconnect(self) -> None:
        """End the connections that runs of syncx have left open for later ones."""
        for path in (self.runtime / "git-annex-syncx").glob("*"):
            command = (self.programs / "ssh", "-O", "exit", "-o", f"ControlPath={path}", "any")
            subprocess.run(command, check=False, capture_output=True)

    def url(self, path: Path, port: int | None = None) -> str:
        """The address of a repository, through a proxy's `port` if one is given."""
        return f"ssh://127.0.0.1:{port or self.port}{path}"

    def _make_keys(self) -> None:
        for name in ("host_key", "user_key"):
            subprocess.run(
                ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.root / name), check=True
            )
        key = (self.root / "host_key.pub").read_text()
        (self.root / "known_hosts").write_text(f"* {key}")

    def _make_client(self) -> None:
        config, real = self.root / "ssh_config", shutil.which("ssh")
        assert real, "ssh is not installed"
        config.write_text(CLIENT.format(root=self.root, user=getpass.getuser()))
        wrapper = self.programs / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(real)} -F {shlex.quote(str(config))} "$@"\n')
        wrapper.chmod(0o755)

    def _serve(self) -> bool:
        """Start on a free port; False where somebody else took it first."""
        self.port = free_port()
        usual = os.pathsep.join(
            [str(self.programs), str(ANNEX), str(PROGRAMS), os.environ["PATH"]]
        )  # hooks connect onward
        config = self.root / "sshd_config"
        config.write_text(SERVER.format(port=self.port, root=self.root, home=self.home, path=self.path or usual))
        with (self.root / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                (_sshd(), "-D", "-e", "-f", config), stdin=subprocess.DEVNULL, stderr=log
            )
        for _ in _until(PATIENCE):
            if answers(self.port):
                return True
            if self._process.poll() is not None:
                said = (self.root / "sshd.log").read_text()
                assert "in use" in said, f"sshd did not start: {said}"
                return False
        self._process.terminate()
        raise TimeoutError("sshd did not start")


class Proxy:
    """A TCP proxy before a port of this machine.

    `delay` seconds pass one way, `rate` bytes a second one way and connection (with `shared` all connections
    together, as an uplink); `connections` were made so far, `sent` bytes went to the target and `received` came back.
    With `target` None it accepts and never answers: a dead host.
    """

    def __init__(
        self, target: int | None, delay: float = 0.0, rate: float | None = None, *, shared: bool = False
    ) -> None:
        self.target, self.delay, self.rate, self.shared = target, delay, rate, shared
        self.sent = self.received = 0
        self._busy_until = {True: 0.0, False: 0.0}  # towards the target, and back
        self.port = 0
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=200))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.CancelledError):
            if self.target is None:
                await reader.read()
                return
            await asyncio.sleep(2 * self.delay)  # the handshake of TCP takes a round trip
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            with contextlib.closing(far_writer):
                await asyncio.gather(self._carry(reader, far_writer, True), self._carry(far_reader, writer, False))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: bool) -> None:
        """Read at once, hand on when it is due."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1024)
        reading = asyncio.ensure_future(self._collect(reader, queue, there))
        try:
            while True:
                due, chunk = await queue.get()
                await asyncio.sleep(due - self._loop.time())
                if not chunk:
                    writer.write_eof()
                    return
                writer.write(chunk)
                await writer.drain()
        finally:
            reading.cancel()

    async def _collect(
        self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]], there: bool
    ) -> None:
        sent = 0.0
        chunk = b"-"
        while chunk:
            try:
                chunk = await reader.read(65536)
            except OSError:
                chunk = b""
            self.sent += len(chunk) * there
            self.received += len(chunk) * (not there)
            sent = self._busy_until[there] if self.shared else sent
            sent = max(sent, self._loop.time()) + (len(chunk) / self.rate if self.rate else 0.0)
            self._busy_until[there] = sent
            await queue.put((sent + self.delay, chunk))


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: object, seconds: float = PATIENCE) -> None:
    """Wait until a callable returns something true; fail after `seconds`."""
    assert callable(condition)
    for _ in _until(seconds):
        if condition():
            return
    raise TimeoutError(f"{condition} did not come true in {seconds:g} s")


def _until(seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.02)


def _sshd() -> str:
    """sshd wants to be called by its absolute path, and as root its empty directory."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin")
    assert found, "sshd is not installed"
    if os.getuid() == 0 and sys.platform.startswith("linux"):
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    return found
