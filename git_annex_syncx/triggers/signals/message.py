"""A signal as it travels: a hint that tells who has news, and nothing that could harm or betray anybody. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

VERSION = 1
LARGEST = 512  # bytes
KINDS = ("refs", "content", "here", "gone", "test")
UUID = re.compile(r"[0-9a-fA-F-]{8,64}")
HASH = re.compile(r"[0-9a-f]{0,64}")


@dataclass(frozen=True)
class Signal:
    """`kind` of news (of KINDS) of a repository, a hash of its branches, and when (seconds since 1970, its clock)."""

    kind: str
    uuid: str
    refs: str
    time: float


class NoSignal(ValueError):
    """A message that is no signal; says in a word why, under which it is counted."""


def encode(signal: Signal) -> bytes:
    """Return at most LARGEST bytes of ASCII, one line."""
    told = {
        "version": VERSION, "kind": signal.kind, "uuid": signal.uuid, "refs": signal.refs, "time": signal.time,
    }  # fmt: skip
    return json.dumps(told, separators=(",", ":")).encode("ascii")


def decode(raw: bytes) -> Signal:
    """Return the signal in some bytes from outside. Raises NoSignal."""
    if len(raw) > LARGEST:
        raise NoSignal("too long")
    try:
        told = json.loads(raw.decode("ascii"))
    except (ValueError, RecursionError):
        raise NoSignal("garbage") from None
    if not isinstance(told, dict):
        raise NoSignal("garbage")
    if told.get("version") != VERSION:
        raise NoSignal("unknown version")
    kind, uuid, refs, time = told.get("kind"), told.get("uuid"), told.get("refs"), told.get("time")
    if kind not in KINDS:
        raise NoSignal("unknown kind")
    if not (isinstance(uuid, str) and isinstance(refs, str) and UUID.fullmatch(uuid) and HASH.fullmatch(refs)):
        raise NoSignal("garbage")
    if isinstance(time, bool) or not isinstance(time, int | float) or not 0 <= time < 1e11:
        raise NoSignal("garbage")
    return Signal(kind, uuid, refs, float(time))


def hash_of(refs: Mapping[str, str | None]) -> str:
    """Return a hash of branches (name -> commit) that depends on nothing else."""
    lines = "".join(f"{name} {value}\n" for name, value in sorted(refs.items()) if value)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()[:40]
