"""The results of a merge, apart from how it is made, which most runs need not load. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from git_annex_syncx.errors import Refused


@dataclass(frozen=True)
class Resolution:
    """The resolution of one path: the kind of the conflict, and the paths at which its versions are now.

    Of a submodule's two commits `commits` has the one that was taken, then the other.
    """

    path: bytes
    kind: str
    became: tuple[bytes, ...]
    commits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Joined:
    """A merge commit, what became of the paths in conflict, and in how many merges git's own had to be mended."""

    commit: str
    resolutions: tuple[Resolution, ...] = ()
    fallbacks: int = 0


def unrelated_error(one: str, two: str, holder: str) -> Refused:
    """Return what to say of two histories without a common commit; the second is the holder's, if that is known."""
    whose = f" of {holder}" if holder not in ("", ".") else ""
    return Refused(
        f"{one[:10]} and {two[:10]}{whose} share no history",
        "if they belong together: git annex-syncx merge --allow-unrelated-histories",
    )
