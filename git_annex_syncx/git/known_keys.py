"""The names of all settings of syncx as its manual spells them, and which of a configuration are none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

NAMES = (
    "jobs", "transferJobs", "connectTimeout", "stallTimeout", "retries", "settleTime", "pushDelay", "retryInterval",
    "patience", "relay", "maxDelete", "bwlimit", "signal", "onChange", "onFailure", "notify",
)  # fmt: skip
OF_REMOTES = ("syncx-bwlimit", "syncx-removable", "syncx-direct")
SPELLED = {f"syncx.{name}".lower(): f"syncx.{name}" for name in NAMES}


def spelled(key: str) -> str:
    """Return a key, which git gives in small letters, as the manual has it."""
    return SPELLED.get(key, key)


def unknown(lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what is to be said of keys that look like ours and are not; `lines` are keys and where they stand."""
    for key, origin in dict.fromkeys(lines):
        section, _, name = key.rpartition(".")
        known: Iterable[str] = ()
        if key.startswith("syncx.") and key not in SPELLED:
            known = [of_all.lower() for of_all in NAMES]
        elif key.startswith("remote.") and name.startswith("syncx-") and name not in OF_REMOTES:
            known = OF_REMOTES
        if known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {spelled(f'{section}.{near[0]}')}?" if near else "git annex-syncx help lists all"
            yield f"there is no setting {key} ({origin}), it does nothing; {meant}"
