"""Answer why content is, or is not, in each repository. Nothing is changed, and nobody is asked."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from git_annex_syncx.annex.key import key_size
from git_annex_syncx.content import counts
from git_annex_syncx.content.planning import named_here, uuid_of
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.errors import Busy, UsageError
from git_annex_syncx.reports.case import Case, begin
from git_annex_syncx.reports.standing import Standing, look_at_wish, standing
from git_annex_syncx.reports.subject import Subject, subject
from git_annex_syncx.reports.why_directory import Directory, of_directory
from git_annex_syncx.runs.context import Context, choose_remotes


@dataclass(frozen=True)
class Holder:
    """A holder of a file, when that was noted (seconds since 1970, None: it was not), and the trust in it."""

    uuid: str
    noted: float | None
    trust: str


@dataclass(frozen=True)
class Answer:
    """The answer for one file: repositories, this one first, and wishes that contradict each other.

    With `alone` it is about one repository.
    """

    file: bytes
    key: str
    policy: Policy
    standings: tuple[Standing, ...]
    holders: tuple[Holder, ...]
    numcopies: int
    at_odds: tuple[str, ...]
    alone: bool = False

    @property
    def size(self) -> int:
        """Return how many bytes it is, 0 where the key does not tell."""
        return key_size(self.key)


def why(context: Context, base: str | None, word: str, named: str = "") -> Answer | Directory | Subject:
    """Return the answer about a path of the user's, for all repositories or the named one. Raises SyncxError."""
    policy = counts.current_policy(context)
    uuid = _uuid(context, policy, named) if named else ""
    about = subject(context, base, word)
    if about.kind == "directory":
        return _directory(context, policy, about.path, uuid)
    if about.kind != "annexed":
        return about
    case = Case(*begin(context, choose_remotes(context, (), ())[0], about.path), about.path, about.key)
    found = answer(case)
    return replace(found, standings=(standing(case, uuid),), alone=True) if uuid else found


def _uuid(context: Context, policy: Policy, name: str) -> str:
    """Return the uuid of a repository that is named as a person does. Raises UsageError."""
    if name in ("here", "."):
        return policy.own
    remote = context.settings.remotes.get(name)
    if remote and remote.uuid not in policy.network.by_uuid:
        word, setting = shlex.quote(name), shlex.quote(f"remote.{name}.annex-ignore")
        asked = f"git config {setting} false && git annex-syncx sync {word}" if remote.ignore else ""
        why = "git-annex ignores it" if remote.ignore else "nothing of it is known here yet"
        raise UsageError(f"{name} gets no content: {why}", asked or f"git annex-syncx sync {word}")
    return uuid_of(policy.network, *named_here(context, [name]))


def _directory(context: Context, policy: Policy, path: bytes, uuid: str) -> Directory | Subject:
    counted = counts.count(context, policy)
    if counted is None:
        raise Busy("another git-annex-syncx looks at all files for the first time", "ask again when it is done")
    found = of_directory(context, counted, path)
    if not found.files:
        return Subject(path, "git", reason="no file below it is annexed: git itself holds all that there is")
    return replace(found, shares=tuple(one for one in found.shares if uuid in ("", one.uuid)))


def answer(case: Case) -> Answer:
    """Return the answer for an annexed file."""
    standings = tuple(standing(case, uuid) for uuid in case.repositories)
    having = (uuid for uuid in case.repositories if case.has(uuid))
    holders = tuple(
        Holder(u, case.records[u].at if u in case.records else None, case.trust.get(u, "")) for u in having
    )
    at_odds = tuple(_contradictions(case, standings))
    return Answer(case.path, case.key, case.policy, standings, holders, case.numcopies, at_odds)


def _contradictions(case: Case, standings: Iterable[Standing]) -> Iterator[str]:
    """Yield what is at odds, with what to do."""
    standings = list(standings)
    for one in standings:
        if one.uuid in case.going_round:
            change = f"any change of it makes a new beginning: {look_at_wish(one.uuid)}"
            yield f"{case.name(one.uuid)}: what is wanted there makes it come and go; {change}"
        if one.wish.clashes:
            yield f"{case.name(one.uuid)}: {one.wish.clashes}"
    wanting = [one for one in standings if one.wish.wants and one.trust != "untrusted"]
    if any(one.state == "unwanted" for one in standings) and len(wanting) < case.numcopies:
        who = "1 repository wants" if len(wanting) == 1 else f"{len(wanting)} repositories want"
        yield f"numcopies is {case.numcopies}, but only {who} it, so others must keep it"
