"""Remotes where git-annex found no git-annex are looked at all at once."""

from __future__ import annotations

import contextlib
import socket
import threading

from network import Network

from git_annex_syncx.system.state import State

LONG = 40  # seconds for which a remote is waited for


def test_remotes_that_hang_are_looked_at_together(net: Network) -> None:
    laptop = net.create("laptop")
    laptop.commit()
    laptop.syncx("transfer")
    state = State(laptop.path / ".git" / "annex" / "syncx" / "outbox.sqlite")
    met = threading.Barrier(2)
    together: list[int] = []

    def hang(server: socket.socket) -> None:
        connection, (_, port) = server.accept()
        server.close()  # git-annex tries again, and is refused
        with connection, contextlib.suppress(threading.BrokenBarrierError):
            met.wait(LONG / 2)
            together.append(port)

    threads = []
    for name in ("one", "two"):
        server = socket.create_server(("127.0.0.1", 0))
        threads.append(threading.Thread(target=hang, args=(server,), daemon=True))
        laptop.git("remote", "add", name, f"ssh://127.0.0.1:{server.getsockname()[1]}/x")
        for setting in ("annex-ignore", "annex-ignore-auto"):
            laptop.config(f"remote.{name}.{setting}", "true")
        state.remotes.change(name, looked_at=0.0)
    laptop.config("syncx.stallTimeout", f"{LONG}s")
    laptop.config("syncx.connectTimeout", f"{LONG}s")
    for thread in threads:
        thread.start()
    ran = laptop.syncx("transfer", ok=None)
    assert len(together) == 2, (ran.out, ran.err)
