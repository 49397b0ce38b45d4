"""A clock for waits that stands still while this program is stopped (SIGSTOP, Ctrl-Z) or the computer sleeps."""

from __future__ import annotations

import queue
import threading
import time
from typing import TypeVar

T = TypeVar("T")

STEP = 0.5  # seconds after which whoever waits looks again, at the latest
LONGEST = 1.0  # seconds between two looks; what is more, we have slept

_lock = threading.Lock()
_last, _slept = time.monotonic(), 0.0


def awake() -> float:
    """Return the seconds on it. It runs only while somebody looks, at least every STEP seconds."""
    global _last, _slept
    with _lock:
        now = time.monotonic()
        _slept += max(0.0, now - _last - LONGEST)
        _last = now
        return now - _slept


def get(source: queue.Queue[T], patience: float) -> T:
    """Return what comes next. Raises queue.Empty where nothing comes in `patience` seconds."""
    begun = awake()
    while True:
        try:
            return source.get(timeout=STEP)
        except queue.Empty:
            if awake() - begun >= patience:
                raise
