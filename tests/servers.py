"""Real servers for signals on loopback, an MQTT broker and an XMPP server, and certificates to test them with.

    with Mosquitto(tmp_path, users={"me": "secret"}, tls=Authority(tmp_path).certificate("localhost")) as broker:
        address = f"mqtts://me@localhost:{broker.port}/family?ca={authority.path}"

They run as whoever runs the tests, write only in the directory that they are given, and end with the block.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sshd import answers, free_port, wait_until

PATIENCE = 60.0  # seconds for a server to start or end
TIMES = 5  # tries to get a port before somebody else does
MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous {anonymous}
persistence true
persistence_location {root}/
autosave_interval 1
autosave_on_changes true
log_dest stderr
user {user}
"""
PROSODY = """\
run_as_root = true
daemonize = false
pidfile = "{root}/prosody.pid"
data_path = "{root}/data"
plugin_paths = {{}}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{}}
s2s_ports = {{}}
modules_enabled = {{ "roster", "saslauth", {tls}"disco", "presence", "message", "c2s", "ping" }}
modules_disabled = {{ "s2s", "offline", "posix" }}
authentication = "internal_hashed"
storage = "internal"
c2s_require_encryption = {encrypted}
allow_unencrypted_plain_auth = false
log = {{ info = "{root}/prosody.log" }}
{ssl}
VirtualHost "localhost"
Component "rooms.localhost" "muc"
"""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, in files that only their owner reads."""

    path: Path
    key: Path


class Authority:
    """A certificate authority of a test's own; `path` is what clients are to trust."""

    def __init__(self, root: Path) -> None:
        self._root = root / "authority"
        self._root.mkdir(parents=True)
        self.path, self._key = self._root / "ca.pem", self._root / "ca.key"
        _openssl("req", "-x509", "-days", "2", "-subj", "/CN=Test authority", *_new_key(self._key), "-out", self.path)

    def certificate(self, name: str, *dates: str) -> Certificate:
        """One for a host name (and for 127.0.0.1 where that is localhost), valid now unless `dates` say else."""
        stem = self._root / f"{name}{'-dated' if dates else ''}"
        request, key, path, more = (stem.with_name(f"{stem.name}.{end}") for end in ("csr", "key", "pem", "ext"))
        _openssl("req", "-new", "-subj", f"/CN={name}", *_new_key(key), "-out", request)
        more.write_text(f"subjectAltName=DNS:{name}{',IP:127.0.0.1' if name == 'localhost' else ''}\n")
        self._sign(request, path, more, dates or ("-days", "2"))
        return Certificate(path, key)

    def expired(self, name: str) -> Certificate:
        """One that was good years ago."""
        return self.certificate(name, "-startdate", "200101000000Z", "-enddate", "200201000000Z")

    def _sign(self, request: Path, path: Path, more: Path, dates: tuple[str, ...]) -> None:
        """By `openssl ca`, which alone can make one of the past."""
        (self._root / "index").touch()
        config = self._root / "ca.conf"
        config.write_text(
            "[ca]\ndefault_ca=own\n[own]\n"
            f"database={self._root}/index\nnew_certs_dir={self._root}\nrand_serial=yes\ndefault_md=sha256\n"
            "policy=any\nunique_subject=no\n[any]\ncommonName=supplied\n"
        )
        _openssl(
            "ca", "-batch", "-notext", "-config", config, "-cert", self.path, "-keyfile", self._key,
            "-in", request, "-out", path, "-extfile", more, *dates,
        )  # fmt: skip


class Server:
    """A program that listens on a port of loopback while the block runs."""

    program: str

    def __init__(self, root: Path) -> None:
        self.root = root / self.program
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        require(self.program)
        self.root.mkdir(parents=True)
        for _ in range(TIMES):
            self.port = free_port()
            self.configure()
            if self.start():
                return self
        raise TimeoutError(f"{self.program} found no free port: {self.said}")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def configure(self) -> None:
        """Write what it reads when it starts."""
        raise NotImplementedError

    def command(self) -> tuple[str | Path, ...]:
        raise NotImplementedError

    @property
    def said(self) -> str:
        return (self.root / "log").read_text(errors="replace")

    def start(self) -> bool:
        """Whether it listens now."""
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        process = self._process
        wait_until(lambda: answers(self.port) or process.poll() is not None, PATIENCE)
        return process.poll() is None

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def restart(self, seconds: float = 0.0) -> None:
        """End it, and begin it again on the same port after so many seconds."""
        self.stop()
        time.sleep(seconds)
        assert self.start(), self.said


class Mosquitto(Server):
    """An MQTT broker for these users (without any: for everybody)."""

    program = "mosquitto"

    def __init__(self, root: Path, users: Mapping[str, str] | None = None, tls: Certificate | None = None) -> None:
        super().__init__(root)
        self._users, self._tls = users or {}, tls

    def configure(self) -> None:
        lines = MOSQUITTO.format(
            port=self.port, root=self.root, anonymous=str(not self._users).lower(), user=_user_name()
        )
        if self._users:
            passwords = self.root / "passwords"
            passwords.write_text("".join(f"{name}:{word}\n" for name, word in self._users.items()))
            passwords.chmod(0o600)
            subprocess.run((require("mosquitto_passwd"), "-U", passwords), check=True, capture_output=True)
            lines += f"password_file {passwords}\n"
        if self._tls:
            lines += f"certfile {self._tls.path}\nkeyfile {self._tls.key}\n"
        (self.root / "mosquitto.conf").write_text(lines)

    def command(self) -> tuple[str | Path, ...]:
        return (require("mosquitto"), "-c", self.root / "mosquitto.conf")


class Prosody(Server):
    """An XMPP server for the domain localhost, with rooms at rooms.localhost; `tls` None: it offers none."""

    program = "prosody"

    def __init__(self, root: Path, users: Mapping[str, str], tls: Certificate | None) -> None:
        super().__init__(root)
        self._users, self._tls = users, tls

    def configure(self) -> None:
        (self.root / "data").mkdir(exist_ok=True)
        ssl = f'ssl = {{ key = "{self._tls.key}", certificate = "{self._tls.path}" }}' if self._tls else ""
        tls, encrypted = '"tls", ' if self._tls else "", str(self._tls is not None).lower()
        config = self.root / "prosody.cfg.lua"
        config.write_text(PROSODY.format(root=self.root, port=self.port, ssl=ssl, tls=tls, encrypted=encrypted))
        for name, password in self._users.items():
            command = (require("prosodyctl"), "--root", "--config", config, "register", name, "localhost", password)
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)

    def command(self) -> tuple[str | Path, ...]:
        return (require("prosody"), "-F", "--config", self.root / "prosody.cfg.lua")


class Silent:
    """Somebody who accepts connections and answers each with the same bytes, or none, whatever is said."""

    def __init__(self, answer: bytes = b"") -> None:
        self._answer = answer

    def __enter__(self) -> Self:
        import threading

        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        kept = []  # open
        try:
            while True:
                kept.append(self._socket.accept()[0])
                kept[-1].sendall(self._answer)
        except OSError:
            for one in kept:
                one.close()


def require(program: str) -> str:
    """The path of a program; a test that lacks it is skipped, never in CI."""
    found = shutil.which(program, path=os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/local/sbin")))
    if not found and not os.environ.get("CI"):
        import pytest

        pytest.skip(f"{program} is not installed")
    assert found, f"{program} is not installed"
    return found


def _user_name() -> str:
    """As whom mosquitto, started by root, is to run: itself, to read what the test wrote."""
    import getpass

    return getpass.getuser()


def _openssl(*args: str | Path) -> None:
    done = subprocess.run((require("openssl"), *args), check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)
