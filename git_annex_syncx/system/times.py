"""Times for people."""

from __future__ import annotations

import time


def clock(when: float, more: str = "") -> str:
    """Return the local time to the minute; `more` is a format for what follows."""
    return time.strftime(f"%Y-%m-%d %H:%M{more}", time.localtime(when))


def time_of_day(when: float) -> str:
    """Return the local time of a day to the second."""
    return time.strftime("%H:%M:%S", time.localtime(when))


def ago(when: float | None) -> str:
    """Return `5 min ago`, or `never`."""
    if when is None:
        return "never"
    seconds = max(0.0, time.time() - when)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"
