"""Tell how each repository stands to the content of one file: what it does with it, and what that waits for."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.annex.location_log import Record
from git_annex_syncx.content import missing, remedies
from git_annex_syncx.content.policy import Policy
from git_annex_syncx.content.room import MAKE_ROOM
from git_annex_syncx.content.waits import Wait, of_one_file, several
from git_annex_syncx.content.wishes import Wish
from git_annex_syncx.model import OUTSIDE
from git_annex_syncx.network.graph import NO_WAY
from git_annex_syncx.network.plan import Plan, Question, Step, reachable
from git_annex_syncx.phases.preview import onward
from git_annex_syncx.reports.case import NOBODY, Case
from git_annex_syncx.reports.hindrances import hindrance, limit
from git_annex_syncx.runs import phase_run

TRANSFER = "transfer"  # the group of relays that are emptied


@dataclass(frozen=True)
class Standing:
    """The standing of one repository to the content of a file; times in seconds since 1970.

    `state` is "has", "unwanted" (it has it, and does not want it), "not-wanted", "comes" (the next run here moves
    it), "waits", "no-room", "no-way", "lost" (nobody has it), "at-odds" (it comes and goes), "tree" or "dead".
    """

    uuid: str
    state: str
    reason: str
    advice: tuple[str, ...] = ()
    until: float | None = None
    executor: str | None = None  # who makes the step that is waited for
    way: tuple[Step, ...] = ()
    record: Record | None = None  # what the location log says of it, and when that was noted
    trust: str = ""
    wish: Wish = field(default_factory=lambda: Wish(None))
    dropped: str = ""  # why it has it no more


def standing(case: Case, uuid: str) -> Standing:
    """Return how a repository stands to a file."""
    wish, record = case.wishes.get(uuid, Wish(None)), case.records.get(uuid)
    found = _held(case, uuid, wish) if case.has(uuid) else _lacked(case, uuid, wish)
    gone = _dropped(case, uuid, wish, record) if record and not case.has(uuid) else ""
    return replace(found, record=record, trust=case.trust.get(uuid, ""), wish=wish, dropped=gone)


# Of those who have it


def _held(case: Case, uuid: str, wish: Wish) -> Standing:
    if case.trust.get(uuid) == "dead":
        return Standing(
            uuid, "dead", "has it, but is declared dead: its copy counts for nothing", _revive(case, uuid)
        )
    if wish.wants is not False:
        return Standing(uuid, "has", "has it" if wish.wants is None else "has it and wants it")
    if wish.relays and TRANSFER not in wish.groups:
        return Standing(uuid, "has", "has it, to pass it on")
    return Standing(uuid, "unwanted", *_kept(case, uuid))


def _revive(case: Case, uuid: str) -> tuple[str, ...]:
    return (f"if it was found again: git annex semitrust {_word(case, uuid)}",)


def _kept(case: Case, uuid: str) -> tuple[str, tuple[str, ...]]:
    """Return why a repository still has what it does not want, and what to do."""
    copies, lacking = case.copies_but(uuid), case.need.targets - {uuid} if uuid in case.policy.relays else NOBODY
    if uuid in case.going_round:
        return "has it: it was dropped there and came again, so it is dropped no more", (look_at_wish(uuid),)
    if lacking:
        return f"has it until {several(map(case.name, sorted(lacking)))} has it, to pass it on", ()
    if copies < case.numcopies:
        why = f"numcopies is {case.numcopies}, and there {'is' if copies == 1 else 'are'} {copies or 'no'} elsewhere"
        fewer = f"git annex numcopies {max(1, copies)}"
        if case.numcopies != case.rules.numcopies:
            fewer = "change annex.numcopies in .gitattributes"
        advice = f"let another repository want it, or: {fewer}"
        return f"has it and does not want it, but git-annex keeps it: {why}", (advice,)
    if (case.key, uuid) in missing.inventory(case.context).refusals():
        drop = "git annex drop" + (f" --from {_word(case, uuid)}" if uuid != case.policy.own else "")
        why = "could not make sure of enough other copies when it was to go"
        return f"has it and does not want it, but git-annex {why}", (f"{drop} says which",)
    where = "here" if uuid in case.policy.reach else "there"
    return f"has it and does not want it: the next run {where} drops it", ()


# Of those who lack it


def _lacked(case: Case, uuid: str, wish: Wish) -> Standing:
    left = case.now.look.left.get(case.key)
    if case.trust.get(uuid) == "dead":
        return Standing(uuid, "dead", "is declared dead, so nothing is sent there", _revive(case, uuid))
    if uuid in OUTSIDE:
        return Standing(uuid, "not-wanted", "takes no content: it is only fetched from there")
    if uuid in case.trees:
        return _tree(case, uuid)
    if wish.wants is False:
        want = f"to have it there: git annex wanted {_word(case, uuid)} EXPRESSION"
        return Standing(uuid, "not-wanted", "does not want it", (want,) * (not wish.relays))
    if not case.located.holders:
        return _lost(case, uuid)
    if uuid in case.going_round:
        reason = "wants it, but it came and was dropped again and again, so it is sent there no more"
        return Standing(uuid, "at-odds", reason, (look_at_wish(uuid),))
    if left and uuid in left.targets:
        return Standing(uuid, "no-room", "wants it, but there is no room for it", (MAKE_ROOM,))
    if uuid not in case.reached:
        return _no_way(case, uuid)
    return _coming(case, uuid) or _put_off(case, uuid) or _to_be_told(case, uuid)


def _tree(case: Case, uuid: str) -> Standing:
    remotes = [remote for remote in case.context.settings.remotes.values() if remote.uuid == uuid]
    if followed := [remote.tracking_branch for remote in remotes if remote.tracking_branch]:
        reason = f"shows the files of {followed[0]}: the next sync here exports those whose content is here"
        return Standing(uuid, "tree", reason)
    setting = shlex.quote(f"remote.{remotes[0].name}.annex-tracking-branch") if remotes else ""
    advice = f"git config {setting} BRANCH" if remotes else f"git annex enableremote {_word(case, uuid)}"
    return Standing(uuid, "tree", "holds a tree of files, and follows no branch from here", (advice,))


def _lost(case: Case, uuid: str) -> Standing:
    if dead := [one for one in sorted(case.records) if case.has(one)]:
        reason = f"wants it, but only {several(map(case.name, dead))} has it, which is declared dead"
        return Standing(uuid, "lost", reason, _revive(case, dead[0]))
    last = max(((record.at, one) for one, record in case.records.items()), default=None)
    if not last:
        advice = "git annex-syncx pull brings the news"
        return Standing(uuid, "lost", "wants it, but nobody has it, as far as is known here", (advice,))
    there = "" if last[1] == case.policy.own else f" in {case.name(last[1])}"
    reason = f"wants it, but nobody has it any more; the last who had it was {case.name(last[1])}"
    return Standing(uuid, "lost", reason, (f"to look whether it is still there{there}: git annex fsck --fast",))


def _coming(case: Case, uuid: str) -> Standing | None:
    """Return how it comes, None where no step of a plan leads there."""
    if case.group is None:
        return None
    own_steps = case.now.work.own_steps.get(case.key, ()) if case.now.work else ()
    for step in own_steps:
        if uuid in onward(case.group, step):
            other = step.source if step.target == case.policy.own else step.target
            return _next_run(case, uuid, step.operation, other)
    return _waits(case, case.waits[uuid]) if uuid in case.waits else None


def _next_run(case: Case, uuid: str, operation: str, other: str) -> Standing:
    """Return what becomes of a step that this repository can make now, with another at its other end."""
    held, rate = hindrance(case.run, other), limit(case.run, [other])
    moves = moved(case.policy, operation, other, "it")
    moves += "" if uuid in (other, case.policy.own) else ", from where it goes on"
    own, way = case.policy.own, _way(case, uuid)
    if not any({step.source, step.target} == {own, other} for step in way):
        way = ()  # at a terminal a file is fetched from whoever answers
    if held:
        reason = f"waits until a run here {moves}: {held.reason}"
        return Standing(uuid, "waits", reason, (held.advice,), held.until, own, way)
    if running := next(iter(phase_run.running(case.context.state)), None):
        moves = f"{moves} ({running.percent} % of what it moves is done)"
    slowly = f", at no more than {rate // 1000} kB/s at this hour" if rate is not None else ""
    remotes = [remote.name for remote in case.context.settings.remotes.values() if remote.uuid == other]
    now = shlex.join(["git", "annex-syncx", "transfer", *remotes[:1]])
    reason = f"{'the run at work' if running else 'the next run'} here {moves}{slowly}"
    return Standing(uuid, "comes", reason, (now,), None, own, way)


def moved(policy: Policy, operation: str, other: str, it: str) -> str:
    """Return what a run here does with content and another repository."""
    name = policy.network.name(other)
    return f"sends {it} to {name}" if operation == "push" else f"fetches {it} from {name}"


def _waits(case: Case, wait: Wait) -> Standing:
    own = case.policy.own
    held = hindrance(case.run, wait.step.other_end(own)) if wait.executor == own else None
    reason = f"waits {of_one_file(case.policy, wait, at_target=True)}"
    advice = (held.advice,) if held else _at_once(case, wait)
    reason += f": {held.reason}" if held else ""
    return Standing(wait.target, "waits", reason, advice, wait.until, wait.executor, _way(case, wait.target))


def _at_once(case: Case, wait: Wait) -> tuple[str, ...]:
    """Return how this repository moves what others are to move, where it can."""
    own, target = case.policy.own, wait.target
    links = [link for link in case.policy.network.links if link.owner == own and case.run.end(link.remote)]
    sends = case.has(own) and any(link.remote == target and link.push for link in links)
    fetches = target == own and any(link.remote in case.sources and link.pull for link in links)
    return ("not to wait: git annex-syncx transfer --patience 0",) if sends or fetches else ()


def _way(case: Case, uuid: str) -> tuple[Step, ...]:
    """Return the steps that bring it to a repository, from a holder."""
    assert case.group
    return way_to(case.group.base, uuid) or way_to(case.group.plan, uuid) or way_to(case.usual_plan, uuid)


def way_to(found: Plan, uuid: str) -> tuple[Step, ...]:
    """Return the steps of a plan by which content comes to a repository, none where it does not."""
    into = {step.target: step for step in found.steps}
    way: list[Step] = []
    while uuid in into:
        way.insert(0, into[uuid])
        uuid = into[uuid].source
    return tuple(way)


def _put_off(case: Case, uuid: str) -> Standing | None:
    """Return what comes first where it is not its turn, None where nothing does."""
    now = case.group.plan.question.targets if case.group else case.need.targets
    depends = case.policy.wishes.depends_on_copies
    first = sorted(other for other in now - {uuid} if depends(other))
    if first and uuid in case.need.targets & reachable(case.policy.arcs, Question(case.sources, case.lacking)):
        asked = ", and is asked then whether it still wants it" if depends(uuid) else ""
        return Standing(uuid, "waits", f"waits until {several(map(case.name, first))} has it{asked}")
    for cluster, nodes in case.policy.clusters.items():
        if uuid in nodes and cluster in case.need.targets | case.located.holders:
            return Standing(uuid, "waits", f"waits until the gateway of {case.name(cluster)} sends it there")
    return None


def _no_way(case: Case, uuid: str) -> Standing:
    policy, remotes, there = case.policy_now, case.context.settings.remotes, case.sources
    if not there:
        names = sorted(map(policy.network.name, case.located.holders))
        fsck = tuple(shlex.join(["git", "annex", "fsck", "--fast", f"--from={name}"]) for name in names[:3])
        return Standing(uuid, "no-way", f"wants it, but it is not at {several(names)} as recorded", fsck)
    why = case.unreachable.get(uuid, "no-path")
    reason = "no way leads here" if uuid == policy.own and why == "no-path" else NO_WAY[why]
    found = remedies.remedies(policy, remotes, there, case.lacking, uuid)
    advice = tuple(remedies.told(policy, remotes, one) for one in found)
    return Standing(uuid, "no-way", f"wants it, but {reason}", advice)


def _to_be_told(case: Case, uuid: str) -> Standing:
    reason = "wants it, and waits until the links of this repository as they are now are told to the others"
    return Standing(uuid, "waits", reason, ("git annex-syncx sync",), executor=case.policy.own)


def _dropped(case: Case, uuid: str, wish: Wish, record: Record) -> str:
    """Return by which rule a repository has it no more, as far as that can be told."""
    logs = ("preferred-content.log", "required-content.log")
    changed = annex_branch.times(case.context.repo, logs).get(uuid, 0.0)
    if record.status == "X":
        return "it was declared dead"
    if wish.relays and TRANSFER in wish.groups:
        return "a relay is emptied when all who want it have it"
    if changed > record.at:
        return "what is wanted there was changed afterwards"
    return "it is not wanted there" if wish.wants is False else "by hand (git annex drop or move): it is wanted there"


def look_at_wish(uuid: str) -> str:
    """Return the command that shows what a repository wants."""
    return f"git annex wanted {uuid}"


def _word(case: Case, uuid: str) -> str:
    """Return a name of a repository for git-annex's command line."""
    return "here" if uuid == case.policy.own else remedies.word(case.policy, uuid)
