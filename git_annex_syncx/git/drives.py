"""Drives: the directory behind a remote, and all of it written down."""

from __future__ import annotations

import math
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from git_annex_syncx.errors import Away, SyncxError
from git_annex_syncx.git.git import Repository, git
from git_annex_syncx.git.values import RESERVE, data_size
from git_annex_syncx.model import Remote
from git_annex_syncx.system import files, run

LONGEST_FLUSH = 600.0  # seconds
READ_ONLY = "it cannot be written to: Read-only file system"
MOUNTS = ("/media/", "/run/media/", "/Volumes/")  # where systems mount what can be unplugged

# annex.uuid and annex.diskreserve of repositories nearby, by their configuration file as it was then.
_settings: dict[tuple[str | int, ...], dict[str, str]] = {}


@dataclass(frozen=True)
class FileSystem:
    """A file system: bytes that are free there."""

    read_only: bool
    free: float


def directory(repo: Repository, remote: Remote) -> Path | None:
    """Return the directory in which a remote is, there or not; None where it is reached by other ways."""
    place = remote.path or (Path(remote.directory) if remote.directory else None)
    return Path(os.path.normpath(repo.home / os.path.expanduser(place))) if place else None


def may_be_unplugged(place: Path) -> bool:
    """Return whether a place is on a drive, as far as its mount point tells.

    No process should stay there for long.
    """
    resolved = place.resolve()
    mount = next(above for above in (resolved, *resolved.parents) if os.path.ismount(above))
    return f"{mount}/".startswith(MOUNTS)


def flush(place: Path) -> None:
    """Have all of its file system written. Raises ProgramFailed."""
    words = ("--file-system", str(place)) if sys.platform == "linux" else ()
    run.run("sync", *words, cwd=Path("/"), env=run.environment(), limit=LONGEST_FLUSH)


def require_present(repo: Repository, remote: Remote) -> None:
    """Raise Away where a directory remote is not there, SyncxError where it is another repository than it was."""
    if remote.path is None and not remote.directory:
        return
    place = repo.home / os.path.expanduser(remote.path or remote.directory)
    try:
        if remote.path is None:
            if not place.is_dir():
                raise Away(f"{remote.directory} is not there")
            return
        git_dir = git_dir_at(place)
        if git_dir is None and not (place.exists() and any(_listdir(place))):
            raise Away(f"{os.path.normpath(place)} is not there")
    except OSError as error:
        raise SyncxError(
            f"{place} cannot be read: {error.strerror}", "check the drive and its permissions"
        ) from error
    _require_own(repo, remote, place, git_dir)


def _require_own(repo: Repository, remote: Remote, place: Path, git_dir: Path | None) -> None:
    """Raise SyncxError where there is no repository, or another than the remote's."""
    if git_dir is None:
        raise SyncxError(
            f"{place} is there but holds no git repository",
            f"mount the drive, or git remote remove {shlex.quote(remote.name)}",
        )
    found = _uuid_in(repo, git_dir / "config")
    if remote.uuid and found != remote.uuid:
        setting = shlex.quote(f"remote.{remote.name}.annex-uuid")
        meant = f"git config {setting} {shlex.quote(found)}" if found else f"git config --unset {setting}"
        raise SyncxError(
            f"{place} is another repository: its annex.uuid is {found or 'unset'}, not {remote.uuid};"
            " nothing was written",
            f"plug in the right drive, or if this is meant: {meant}",
        )


def uuid_at(repo: Repository, place: Path) -> str:
    """Return the annex.uuid of the repository in a directory, empty without one. Raises OSError, ProgramFailed."""
    git_dir = git_dir_at(place)
    return _uuid_in(repo, git_dir / "config") if git_dir else ""


def _uuid_in(repo: Repository, config: Path) -> str:
    return _settings_in(repo, config).get("annex.uuid", "")


def _settings_in(repo: Repository, config: Path) -> dict[str, str]:
    """Return what we look at of a repository nearby; git is asked again only when the file has changed."""
    found = config.stat()
    key = (str(config), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if key not in _settings:
        words = ("config", "--file", str(config), "--null", "--get-regexp", r"^annex\.(uuid|diskreserve)$")
        told = os.fsdecode(git(repo, *words, ok=(0, 1)).out).split("\0")
        pairs = (line.partition("\n") for line in told)
        _settings[key] = {name: value.strip() for name, _, value in pairs}
    return _settings[key]


def free(place: Path, reserve: int) -> int | None:
    """Return how many bytes fit in a directory if so many are to stay free; None where nobody can tell."""
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return max(0, found.f_bavail * found.f_frsize - reserve) if found.f_blocks else None


def free_at(repo: Repository, remote: Remote, reserve: int) -> int | None:
    """Return how many bytes fit in a directory remote. What a repository there keeps free is its own affair."""
    place = directory(repo, remote)
    if place and remote.path and (git_dir := git_dir_at(place)):
        usual = min(reserve, RESERVE)  # ours may be the user's for all repositories
        reserve = data_size(_settings_in(repo, git_dir / "config").get("annex.diskreserve", ""), usual)
        place = git_dir / "annex" if (git_dir / "annex").is_dir() else git_dir  # it may lie on another disk
    return free(place, reserve) if place else None


def is_receiving(repo: Repository, remote: Remote, file_name: bytes) -> bool:
    """Return whether somebody else's git-annex is bringing a key to a directory remote just now, or was killed at it.

    To us git-annex only says then that it could not send. `file_name` is the key's name as a file.
    """
    if remote.path is None:
        return False
    git_dir = git_dir_at(repo.home / os.path.expanduser(remote.path))
    place = os.fsencode(git_dir / "annex" / "transfer" / "download") if git_dir else b""
    try:
        return any(os.path.exists(os.path.join(place, uuid, file_name)) for uuid in os.listdir(place or b"/dev/null"))
    except OSError:
        return False


def what_hinders(repo: Repository, remote: Remote, size: int) -> str:
    """Return why a directory remote took no file of that many bytes, where that can be seen from outside.

    It is empty where it cannot.
    """
    place = remote.path or (Path(remote.directory) if remote.directory else None)
    if place is None:
        return ""
    found = _file_system(repo, place)
    if found.read_only:
        return READ_ONLY
    if found.free < size + RESERVE:
        return f"not enough free space there: {found.free:,} bytes for {size:,} and what annex.diskreserve keeps free"
    return ""


def require_writable(repo: Repository, remote: Remote) -> None:
    """Raise SyncxError where a directory remote lies on a file system that can only be read."""
    if remote.path and _file_system(repo, remote.path).read_only:
        raise SyncxError(READ_ONLY)


def _file_system(repo: Repository, place: Path) -> FileSystem:
    try:
        found = os.statvfs(repo.home / os.path.expanduser(place))
    except OSError:
        return FileSystem(False, math.inf)
    return FileSystem(bool(found.f_flag & os.ST_RDONLY), found.f_bavail * found.f_frsize)


def _listdir(place: Path) -> list[str]:
    return os.listdir(place) if place.is_dir() else [place.name]


def git_dir_at(place: Path) -> Path | None:
    """Return the common git directory of a work tree (its .git may be a file or a link) or of a bare repository."""
    inner = place / ".git"
    if inner.is_file():
        inner = place / os.fsdecode(files.read_line(inner)).removeprefix("gitdir: ")
    for candidate in (inner, place, place.parent / f"{place.name}.git"):
        common = candidate / "commondir"
        if common.is_file():
            return candidate / os.fsdecode(files.read_line(common))
        if (candidate / "objects").is_dir() and (candidate / "config").is_file():
            return candidate
    return None
