"""Git's verbs on a repository: where it is, its refs. `git()` is the door to git."""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from git_annex_syncx.errors import NoRepository, UsageError
from git_annex_syncx.git import ref_files
from git_annex_syncx.model import Head
from git_annex_syncx.system import files, run

OLDEST = (2, 38)
TRUST = re.compile(rb"git config --global --add safe\.directory .+")  # as git words it
MERGE_NAME = "git-annex-syncx"
MERGE_EMAIL = "git-annex-syncx@localhost"


@dataclass(frozen=True)
class Repository:
    """The place of a repository: `top` is None in a bare one; worktrees share `common`, not `git_dir`.

    `strangers` are remotes elsewhere whose uuid is not known: git-annex would connect to each of them to ask.
    `drives` are directories whose uuid is known: git-annex would take another drive that it finds there for them.
    `annex_options` is what the user wants every git-annex to be told in this run.
    """

    git_dir: Path
    common: Path
    top: Path | None
    strangers: tuple[str, ...] = ()
    drives: tuple[str, ...] = ()
    annex_options: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """Return the directory in which git runs."""
        return self.top or self.git_dir

    @property
    def named(self) -> Mapping[str, str]:
        """Return what git must be told where the place does not lead it to the git directory by itself.

        To a bare one it does not where safe.bareRepository is `explicit`.
        """
        if self.top is None:
            return {"GIT_DIR": os.fspath(self.git_dir)}
        if _leads_to(self.top / ".git", self.git_dir):
            return {}
        return {"GIT_DIR": os.fspath(self.git_dir), "GIT_WORK_TREE": os.fspath(self.top)}

    @property
    def state_path(self) -> Path:
        """Return where syncx keeps its state: never in an annex that is another repository's, by a link.

        Of a repository that can only be read, nothing outlives the run.
        """
        annex = self.common / "annex"
        kept = (self.common if annex.is_symlink() else annex) / "syncx"
        return files.passing_directory(self.common) if self.is_read_only else kept

    @property
    def is_read_only(self) -> bool:
        """Return whether this user can only read the repository."""
        return files.is_read_only(self.common, self.common / "annex", self.common / "annex" / "syncx")

    @property
    def state_dir(self) -> Path:
        """Return the state directory, made on demand; never the repository itself, which may have gone this instant.

        Raises SyncxError.
        """
        path = self.state_path
        if path.parent == self.common / "annex" and not path.parent.is_dir():
            files.make_directory(path.parent)
        return files.make_directory(path)


def _leads_to(marker: Path, git_dir: Path) -> bool:
    """Return whether the .git of a work tree, a directory or a file that names one, is that git directory."""
    try:
        if marker.is_file():
            named = os.fsdecode(files.read_line(marker)).removeprefix("gitdir: ")
            return os.path.samefile(marker.parent / named, git_dir)
        return os.path.samefile(marker, git_dir)
    except (OSError, ValueError):
        return False


def git(
    repo: Repository,
    *args: str | bytes,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    ok: Container[int] = (0,),
    stall: float | None = None,
    asks: bool = False,
) -> run.Done:
    """Run git in the repository; for the verbs in this package only."""
    environment = {**run.environment(), **repo.named, **(env or {})}
    return run.run("git", *args, cwd=repo.home, env=environment, stdin=stdin, ok=ok, stall=stall, asks=asks)


def without_probing(repo: Repository, but: Container[str] = ()) -> list[str]:
    """Return options for git that keep git-annex, in a hook too, from asking remotes (`but` some) who they are."""
    ignored = [f"--config-env=remote.{name}.annex-ignore={run.YES}" for name in repo.strangers if name not in but]
    if not repo.drives:
        return ignored
    # Where it does not look first, git-annex names no bare repository explicitly to git. The user has, as a remote.
    known = [f"--config-env=remote.{name}.annex-checkuuid={run.NO}" for name in repo.drives]
    return [*ignored, *known, "-c", "safe.bareRepository=all"]


def text(repo: Repository, *args: str, ok: Container[int] = (0,)) -> str:
    """Return what git prints, without the last line end."""
    return os.fsdecode(git(repo, *args, ok=ok).out).removesuffix("\n")


# Where it is


def open_repository(named: Path | None) -> Repository:
    """Return the repository that `named` is in; without it the one that git itself would take, in a hook too.

    Raises UsageError.
    """
    start = named or Path(os.environ.get("GIT_DIR") or ".")
    if not start.is_dir():
        raise UsageError(f"there is no directory {start.absolute()}", "name another one with -C PATH")
    found = _discover(start, explicit=named is not None or "GIT_DIR" in os.environ)
    if not found:
        raise NoRepository(f"{start.absolute()} is not in a git repository", "change to one, or name it with -C PATH")
    work_tree = os.environ.get("GIT_WORK_TREE")
    return found if named or not work_tree else replace(found, top=Path(work_tree).absolute())


def _discover(start: Path, explicit: bool) -> Repository | None:
    asked = ["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", "--is-bare-repository"]
    done = run.run("git", *asked, "--show-toplevel", cwd=start, env=run.environment(), ok=(0, 128))
    if explicit and b"safe.bareRepository" in done.err:
        told = {**run.environment(), "GIT_DIR": os.fspath(start.absolute())}
        done = run.run("git", *asked, cwd=start, env=told, ok=(0, 128))
    lines = os.fsdecode(done.out).removesuffix("\n").split("\n")
    if len(lines) < 3:
        _explain(done.err, start)
        return None
    if len(lines) > 4:
        raise UsageError(
            f"the path of the repository in {start.absolute()} holds a line break", "rename the directory"
        )
    git_dir, common, bare = Path(lines[0]), Path(lines[1]), lines[2] == "true"
    top = Path(lines[3]) if len(lines) > 3 else None if bare else _top_of(git_dir)
    return Repository(git_dir, common, top)


def _explain(stderr: bytes, start: Path) -> None:
    """Raise UsageError where git has another reason than that there is no repository."""
    if found := TRUST.search(stderr):  # of the repository, in whatever directory of it we are
        raise UsageError(
            f"git does not trust the repository in {start.absolute()}, which belongs to another user",
            f"if you trust it: {os.fsdecode(found[0]).strip()}",
        )
    if b"safe.bareRepository" in stderr:
        raise UsageError(
            f"git uses no bare repository that is not named: {start.absolute()} (safe.bareRepository)",
            f"name it: git-annex-syncx -C {shlex.quote(str(start.absolute()))}",
        )
    if stderr and b"not a git repository" not in stderr:
        raise UsageError(
            os.fsdecode(stderr).strip().replace("\n", "; "), f"mend it, then try again in {start.absolute()}"
        )


def _top_of(git_dir: Path) -> Path | None:
    """Return the work tree of a git directory that we stand in, as hooks do."""
    pointer = git_dir / "gitdir"
    if pointer.is_file():  # linked worktree: the file names WORKTREE/.git
        return Path(os.fsdecode(files.read_line(pointer))).parent
    configured = run.run(
        "git",
        "config",
        "--file",
        str(git_dir / "config"),
        "core.worktree",
        cwd=git_dir,
        env=run.environment(),
        ok=(0, 1),
    )
    if configured.out:
        return (git_dir / os.fsdecode(configured.out).rstrip("\n")).resolve()
    return git_dir.parent


@functools.cache
def version() -> tuple[int, ...]:
    """Return the version of git, such as (2, 39, 5)."""
    words = run.run("git", "version", cwd=Path("/"), env=run.environment()).out.decode().split()
    return tuple(int(part) for part in words[2].split(".")[:3] if part.isdigit())


def require_version() -> None:
    """Raise UsageError where git is too old to merge without a work tree."""
    if version() < OLDEST:
        shown = ".".join(map(str, version()))
        raise UsageError(f"git {shown} is too old", f"install git {OLDEST[0]}.{OLDEST[1]} or newer")


# Refs


def refs(repo: Repository, *prefixes: str) -> dict[str, str]:
    """Return full ref name -> object id; of symbolic refs only those that stand for a branch.

    `prefixes` are names, or directories of names.
    """
    known = ref_files.listed(repo.common, repo.git_dir, lambda: _listed(repo))
    return {name: oid for name, oid in known.items() if not prefixes or _is_below(name, prefixes)}


def _is_below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(f"{name}/".startswith(f"{prefix.rstrip('/')}/") for prefix in prefixes)


def _listed(repo: Repository) -> dict[str, str]:
    listed = git(repo, "for-each-ref", "--format=%(objectname) %(symref)%00%(refname)").out
    found = {}
    for line in filter(None, os.fsdecode(listed).split("\n")):
        value, name = line.split("\0")
        oid, _, symbolic = value.partition(" ")
        if not symbolic or name.startswith("refs/heads/"):
            found[name] = oid
    return found


def head(repo: Repository) -> Head | None:
    """Return the branch that HEAD names, born or not; None where HEAD is detached."""
    name = _named_by_head(repo) or text(repo, "symbolic-ref", "--quiet", "HEAD", ok=(0, 1))
    if not name.startswith("refs/heads/"):
        return None
    branch = name.removeprefix("refs/heads/")
    return Head(branch, basis_of(branch))


def _named_by_head(repo: Repository) -> str:
    """Return what the file HEAD says, without a program; empty where refs are not kept in files."""
    try:
        content = os.fsdecode(files.read_line(repo.git_dir / "HEAD"))
    except OSError:
        return ""
    name = content.removeprefix("ref: ")
    plain = content.startswith("ref: refs/heads/") and name not in ("refs/heads/", "refs/heads/.invalid")
    return name if plain else ""


def basis_of(branch: str) -> str:
    """Return the basis of an adjusted or view branch: of `adjusted/views/main(year=_)(unlocked)` it is `main`."""
    if branch.startswith("adjusted/") and branch.endswith(")"):
        above, how, _ = branch.removeprefix("adjusted/").rpartition("(")
    elif branch.startswith("views/") and branch.endswith(")"):
        above, how, _ = branch.removeprefix("views/").partition("(")
    else:
        return branch
    return basis_of(above) if how else branch


def update_ref(repo: Repository, ref: str, new: str, old: str, why: str) -> None:
    """Move a ref if it still has the value `old` (empty: must not exist). Raises ProgramFailed."""
    git(repo, "update-ref", "-m", why, "--create-reflog", ref, new, old)


def remote_head(repo: Repository, remote: str) -> str:
    """Return a remote's default branch, as it was when cloned or first fetched; empty where it is not known."""
    prefix = f"refs/remotes/{remote}/"
    return text(repo, "symbolic-ref", "--quiet", f"{prefix}HEAD", ok=(0, 1)).removeprefix(prefix)


def delete_ref(repo: Repository, ref: str, old: str) -> None:
    """Delete a ref if it still has the value `old`. Raises ProgramFailed."""
    git(repo, "update-ref", "-d", ref, old)


def remember_pushed(repo: Repository, moved: Mapping[str, str]) -> None:
    """Set tracking refs where git itself does not."""
    if not moved:
        return
    lines = "".join(f"update {ref} {value}\n" for ref, value in moved.items())
    git(repo, "update-ref", "--stdin", stdin=os.fsencode(lines))


def checked_out_elsewhere(repo: Repository, branch: str) -> Path | None:
    """Return the other worktree in which `branch` is checked out."""
    listed = os.fsdecode(git(repo, "worktree", "list", "--porcelain", "-z").out)
    for block in listed.split("\0\0"):
        lines = block.split("\0")
        place = Path(lines[0].removeprefix("worktree "))
        if f"branch refs/heads/{branch}" in lines and place != repo.top and "bare" not in lines:
            return place
    return None
