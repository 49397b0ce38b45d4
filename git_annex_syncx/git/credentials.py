"""Passwords, asked of git's credential helpers and never of a person; nothing of them is kept, shown or logged."""

from __future__ import annotations

from dataclasses import dataclass, field

from git_annex_syncx.errors import ProgramFailed, UsageError
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.system import run

# Neither git nor a helper may ask: nobody sits there. An empty GIT_ASKPASS overrides the configured ones too.
SILENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "GCM_INTERACTIVE": "never"}
PATIENCE = 15.0  # seconds for a helper: one that opened a dialogue waits for ever
NOT_KNOWN = 128  # exit code of git where no helper knows a password


@dataclass(frozen=True)
class Credential:
    """A user's password, and all that the helper told of it, to tell it again."""

    username: str
    password: str = field(repr=False)
    told: bytes = field(repr=False)


def fill(repo: Repository, protocol: str, host: str, username: str) -> Credential | None:
    """Return what a helper knows; None where none does. `host` holds the port where the address does."""
    asked = {"protocol": protocol, "host": host, "username": username}
    if any(ord(char) < 32 for value in asked.values() for char in value):
        raise UsageError("an address with a control character names no user or host", "mend syncx.signal")
    try:
        told = _credential(repo, "fill", "".join(f"{key}={value}\n" for key, value in asked.items()).encode()).out
    except ProgramFailed as error:
        if error.code == NOT_KNOWN:
            return None
        raise
    known = dict(line.split("=", 1) for line in told.decode("utf-8", "surrogateescape").split("\n") if "=" in line)
    if not known.get("password"):
        return None
    return Credential(known.get("username", username), known["password"], told)


def approve(repo: Repository, credential: Credential) -> None:
    """Tell helpers that the password was right: they may keep it."""
    _credential(repo, "approve", credential.told)


def reject(repo: Repository, credential: Credential) -> None:
    """Tell helpers that the password was wrong: they are to forget it."""
    _credential(repo, "reject", credential.told)


def _credential(repo: Repository, verb: str, told: bytes) -> run.Done:
    options = ("-c", "credential.interactive=false")
    return git(repo, *options, "credential", verb, env=SILENT, stdin=told + b"\n", stall=PATIENCE)
