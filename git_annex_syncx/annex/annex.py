"""git-annex's verbs. `annex()` is the one door to git-annex."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from git_annex_syncx.errors import ProgramFailed, UsageError
from git_annex_syncx.git.git import Repository, without_probing
from git_annex_syncx.reasons import shortened
from git_annex_syncx.system import extras, run

OLDEST = 20230126
KNOWN, OLD = "supported repository versions", "upgrade supported from repository versions"
CHATTER = re.compile(r"This could have failed because|^\w+: \d+ failed|^\(recording state|^\(merging ")
# It says so of every directory that is not there, whichever remote it was asked about.
ABSENT = re.compile(r"^Remote .* cannot currently be accessed\.$")
ADJUSTMENTS = {
    "hidemissing": "--hide-missing", "unlockpresent": "--unlock-present",
    "unlocked": "--unlock", "locked": "--lock", "fixed": "--fix",
}  # fmt: skip
DIFF_DRIVER = "git-annex diffdriver --text"  # for GIT_EXTERNAL_DIFF: compares the content of annexed files
EXPLAINS_SINCE = 20230802
EXPLAINED, YES = b" preferred content: ", b" matches"  # in what --explain prints of a file
SOME_KEY = "SHA256-s0--e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of the empty file
NO_EXPRESSION = 42  # exit code of `git annex matchexpression`, also where it is told too little of the file
LATER = 1_000_000_000  # files that come and go, before an adjusted branch is made anew


def annex(
    repo: Repository,
    *args: str | bytes,
    config: tuple[str, ...] = (),
    remote: str = "",
    env: Mapping[str, str] | None = None,
    ok: Container[int] = (0,),
    asks: bool = False,
    stall: float | None = None,
) -> run.Done:
    """Run git-annex in the repository; for the verbs of this module only. It may connect to `remote` alone."""
    settings = (word for setting in ("annex.merge-annex-branches=true", *config) for word in ("-c", setting))
    words = (*without_probing(repo, (remote,)), *settings, "annex", *args[:1], *repo.annex_options, *args[1:])
    environment = {**run.environment(), **repo.named, **(env or {})}
    return run.run("git", *words, cwd=repo.home, env=environment, ok=ok, asks=asks, stall=stall)


def program() -> Path:
    """Return where git-annex is. Raises UsageError where it is not installed."""
    try:
        return Path(run.find("git-annex"))
    except UsageError as error:
        raise UsageError("git-annex is not installed", f"install it, or: {extras.install('annex')}") from error


def ask_version(repo: Repository, format_: str) -> str:
    """Return the version as git-annex prints it, such as 10.20261026-g351f69f.

    Raises UsageError where it does not know that version of a repository (annex.version).
    """
    told = dict(line.split(": ", 1) for line in annex(repo, "version").out.decode().splitlines() if ": " in line)
    version = told.get("git-annex version", "")
    known = f"{told.get(KNOWN, '')} {told.get(OLD, '')}".split()
    if format_ and known and format_ not in known:
        what = f"the repository has annex.version {format_}, which git-annex {version} does not know"
        raise UsageError(what, "install a newer git-annex, or upgrade its wheel: pip install --upgrade git-annex")
    return version


def require_version(version: str) -> None:
    """Raise UsageError where git-annex is too old."""
    if release_date(version) < OLDEST:
        raise UsageError(
            f"git-annex {version} is too old",
            f"install 10.{OLDEST} or newer, and put it first on the PATH: {extras.install('annex')}",
        )


def release_date(version: str) -> int:
    """Return 20261026 for 10.20261026-g351f69f; 0 where the version has another form."""
    part = version.partition(".")[2][:8]
    return int(part) if part.isdigit() else 0


def journal_waits(repo: Repository) -> bool:
    """Return whether git-annex has recorded something that is not on its branch yet."""
    journal = repo.common / "annex" / "journal"
    try:
        with os.scandir(journal) as entries:
            return any(True for _ in entries)
    except FileNotFoundError:
        return False


def restage(repo: Repository) -> None:
    """Let git know of unlocked files that git-annex has filled: until then it takes them for changed.

    git-annex notes them where somebody else holds the index, such as another transfer.
    """
    notes = (repo.git_dir / "annex" / name for name in ("restage.log", "restage.old"))
    if any(note.is_file() and note.stat().st_size for note in notes):
        annex(repo, "restage", "--quiet", ok=range(256))


def bring_branch_up(repo: Repository) -> None:
    """Let git-annex merge all git-annex branches that were fetched or received, and commit what it has recorded."""
    annex(repo, "info", "--fast", "--quiet", config=("annex.alwayscommit=true",))


def propagate_adjusted(repo: Repository) -> None:
    """Carry the commits of an adjusted branch to its basis.

    A branch that shows what is here git-annex would make anew from its basis, at once and whatever that is: without
    the commits where somebody else has pushed there meanwhile.
    """
    nothing = ("--no-commit", "--no-pull", "--no-push", "--no-content")
    annex(repo, "sync", "--quiet", *nothing, config=(f"annex.adjustedbranchrefresh={LATER}",))


def shows_presence(branch: str) -> bool:
    """Return whether an adjusted branch hides or unlocks files by whether their content is here."""
    return bool({"hidemissing", "unlockpresent"}.intersection(_adjustments(branch)))


def refresh_adjusted(repo: Repository, branch: str) -> None:
    """Make the adjusted branch in hand anew by what is here, from its basis, which must have the user's commits."""
    annex(repo, "adjust", "--quiet", *(ADJUSTMENTS[word] for word in _adjustments(branch)))


def _adjustments(branch: str) -> list[str]:
    """Return what is adjusted: `adjusted/main(hidemissing-unlocked)` -> ["hidemissing", "unlocked"]."""
    words = branch.rpartition("(")[2].removesuffix(")").split("-") if branch.startswith("adjusted/") else []
    return words if all(word in ADJUSTMENTS for word in words) else []


def follow_migrations(repo: Repository) -> tuple[int, list[str]]:
    """Link content that is here to the keys it was migrated to elsewhere.

    Returns how many files, and of others why not. Raises ProgramFailed.
    """
    done = annex(repo, "migrate", "--update", "--json", "--json-error-messages", ok=(0, 1))
    told = _records(done.out)
    failed = [one for one in told if not one.get("success")]
    if done.code and not failed:
        raise ProgramFailed("git annex migrate --update", done.code, os.fsdecode(done.err), repo.home)
    why = [f"{one.get('file') or one.get('key')}: {'; '.join(one.get('error-messages') or [])}" for one in failed]
    return len(told) - len(failed), why


def merge_commit(repo: Repository, commit: str) -> None:
    """Bring a commit into the basis and the adjusted branch on it; what was received in synced/* is not looked at."""
    annex(repo, "merge", "--quiet", commit)


def wrong_with(repo: Repository, expression: str) -> str:
    """Return why git-annex takes a text for no expression of preferred content; empty where it is one."""
    of_a_file = ("--file=x", "--size=0", f"--key={SOME_KEY}")
    done = annex(repo, "matchexpression", *of_a_file, "--", expression, ok=(0, 1, NO_EXPRESSION))
    return os.fsdecode(done.err or done.out).strip() if done.code == NO_EXPRESSION else ""


def set_group(repo: Repository, remote: str, group: str) -> None:
    """Put a remote's repository into a group, beside those that it is in."""
    annex(repo, "group", "--quiet", "--", remote, group)


def set_wanted(repo: Repository, remote: str, expression: str) -> None:
    """Set what content a remote's repository wants. Raises ProgramFailed where that is no expression."""
    annex(repo, "wanted", "--quiet", "--", remote, expression)


def ask_cost(repo: Repository, remote: str) -> str:
    """Return the cost of a remote as git-annex prints it, such as 100.0."""
    answer = json.loads(annex(repo, "info", "--fast", "--json", "--", remote).out)
    return str(answer.get("cost", ""))


def learn_uuid(repo: Repository, remote: str, env: Mapping[str, str]) -> str:
    """Let git-annex ask a remote who it is; it notes the answer, or annex-ignore, in .git/config.

    Returns its complaint, empty where it has none.

    A repository without git-annex that has our git-annex branch already becomes one with it on this occasion. Of all
    commands that only look, a sync that is to do nothing is the one that does this.
    """
    nothing = ("--only-annex", "--no-commit", "--no-pull", "--no-push", "--no-content")
    done = annex(repo, "sync", "--quiet", *nothing, "--", remote, remote=remote, env=env, ok=range(256), asks=True)
    complaints = [line for line in _complaints(done.err) if not ABSENT.search(line)]
    return complaints[-1] if complaints else ""


def look_again(repo: Repository, remote: str, env: Mapping[str, str], patience: float) -> None:
    """Let git-annex look whether there is a git-annex at a remote by now, and note it in .git/config."""
    annex(repo, "enableremote", "--quiet", "--", remote, remote=remote, env=env, ok=range(256), stall=patience)


def import_tree(repo: Repository, branch: str, remote: str) -> None:
    """Bring what changed in an import remote to refs/remotes/REMOTE/BRANCH; nothing is merged."""
    annex(repo, "import", "--quiet", f"--from={remote}", "--", branch, remote=remote, asks=True)


def export_tree(repo: Repository, branch: str, remote: str) -> tuple[int, dict[str, str]]:
    """Make an export remote hold the files of a branch or tree.

    Returns how many of its files were changed, and file -> why it could not be sent. Raises ProgramFailed.
    """
    words = ("export", "--json", "--json-error-messages", f"--to={remote}", "--", branch)
    done = annex(repo, *words, remote=remote, ok=(0, 1), asks=True)
    told = _records(done.out)
    if done.code and not told:
        raise ProgramFailed("git annex export", done.code, os.fsdecode(done.err), repo.home)
    failed = [one for one in told if not one.get("success", True)]
    why = {str(one.get("file")): "; ".join(one["error-messages"]) or str(one.get("note", "")) for one in failed}
    return len(told) - len(failed), {file: shortened(reason) for file, reason in why.items()}


def _records(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]


def ask_map(repo: Repository, patience: float) -> tuple[bytes, list[str]]:
    """Return what `git annex map` prints (JSON, else DOT), and what it says of repositories that do not answer.

    Raises Stalled when that takes longer than `patience` seconds without a word.
    """
    done = annex(repo, "map", "--json", stall=patience, ok=range(256))
    if done.out.startswith(b"{"):
        return done.out, _complaints(done.err)
    done = annex(repo, "map", "--fast", stall=patience)  # an older version
    return (repo.git_dir / "annex" / "map.dot").read_bytes(), _complaints(done.err)


def _complaints(stderr: bytes) -> list[str]:
    return [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]


def ask_sizes(repo: Repository) -> dict[str, tuple[int, int | None]]:
    """Return uuid -> bytes that a repository holds, and its maximum size (None: none); older versions know none."""
    out = annex(repo, "maxsize", "--json", ok=range(256)).out
    told = json.loads(out)["repositories"] if out.startswith(b"{") else []
    return {one["uuid"]: (one["size"].get("size") or 0, one["size"].get("maxsize")) for one in told}


def matching(repo: Repository, condition: str, uuid: str, index: Mapping[str, str]) -> Counter[str]:
    """Return key -> at how many paths of an index a repository wants to get it (`--want-get-by`) or drop it.

    Presence does not matter, and the repository need not be a remote. For one without an expression the answer is
    wrong: it would get nothing and drop everything. The work tree of `repo` must show the files; `scratch_worktree`
    makes one that does, and the environment of an index.
    """
    words = ("find", f"{condition}={uuid}", "--format=${key}\\000")
    return Counter(os.fsdecode(key) for key in annex(repo, *words, env=index).out.split(b"\0") if key)


@dataclass(frozen=True)
class Explained:
    """At how many paths a condition holds, and git-annex's own words: each term of the expression with its value."""

    paths: int
    words: str = ""


def explain(repo: Repository, condition: str, uuid: str, index: Mapping[str, str], in_words: bool) -> Explained:
    """Return what `matching` counts, and why, if `in_words` (which git-annex can since EXPLAINS_SINCE)."""
    # Not `find`: that never explains.
    words = ("whereis", f"{condition}={uuid}", *(["--explain"] * in_words), "--format=${key}\\000")
    done = annex(repo, *words, env=index, ok=(0, 1))  # 1 also for files that nobody has, or untrusted ones alone
    if done.code and not done.out:
        raise ProgramFailed("git annex whereis", done.code, os.fsdecode(done.err), repo.home)
    out = done.out
    told = [line.rpartition(EXPLAINED) for line in out.split(b"\n") if EXPLAINED in line and line.endswith(b" ]")]
    deciding = [line for line in told if line[0].endswith(YES)] or told
    return Explained(out.count(b"\0"), deciding[0][2][:-2].decode("utf-8", "replace") if deciding else "")
