"""A local socket: the other processes of this repository send over the connections of the one that listens.

A request is a signal as a line, and the address of a channel; `sent` is the answer, nothing where it was not sent.
The socket lies in a directory that is the user's alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from git_annex_syncx.git import ssh
from git_annex_syncx.git.git import Repository
from git_annex_syncx.triggers.queue import place
from git_annex_syncx.triggers.signals.channel import SEND_ALONG_LIMIT
from git_annex_syncx.triggers.signals.message import NoSignal, decode

LONGEST = 16 * 1024  # bytes of a request
ASKED = 1.0  # seconds that somebody who connects has for his request
SENT = b"sent\n"

SendAlong = Callable[[str, bytes], bool]  # address, signal -> whether it was sent


def send_along(repo: Repository, address: str, payload: bytes) -> bool:
    """Send by the process that listens here; return whether that was done."""
    path = _path(repo)
    if not path:
        return False
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SEND_ALONG_LIMIT + ASKED)
        client.connect(str(path))
        client.sendall(payload + b"\n" + os.fsencode(address))
        client.shutdown(socket.SHUT_WR)
        return client.recv(len(SENT)) == SENT
    return False


@contextlib.contextmanager
def sending_for_others(repo: Repository, uuid: str, send: SendAlong) -> Iterator[None]:
    """Send what others ask for, signals of repository `uuid` alone; nothing where another process does already."""
    path = _path(repo)
    if not path or _is_served(path):
        yield
        return
    with socket.socket(socket.AF_UNIX) as server:
        try:
            path.unlink(missing_ok=True)  # of one that was killed
            server.bind(str(path))
            server.listen()
        except OSError:  # others connect by themselves then
            yield
            return
        threading.Thread(target=_serve, args=(server, uuid, send), daemon=True, name="socket").start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # ends the wait of the thread


def _path(repo: Repository) -> Path | None:
    """Return where the socket of a work tree or bare repository is; None where there can be none."""
    directory = ssh.socket_directory()
    name = hashlib.sha256(os.fsencode(place(repo))).hexdigest()[:16]
    return directory / f"signals-{name}" if directory else None


def _is_served(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ASKED)
        client.connect(str(path))
        return True
    return False


def _serve(server: socket.socket, uuid: str, send: SendAlong) -> None:
    with contextlib.suppress(OSError):  # closed
        while True:
            client, _ = server.accept()
            threading.Thread(target=_answer, args=(client, uuid, send), daemon=True, name="socket").start()


def _answer(client: socket.socket, uuid: str, send: SendAlong) -> None:
    with contextlib.suppress(OSError, NoSignal), client:
        client.settimeout(ASKED)
        payload, _, address = client.makefile("rb").read(LONGEST).partition(b"\n")
        if decode(payload).uuid == uuid and send(os.fsdecode(address), payload):
            client.sendall(SENT)
