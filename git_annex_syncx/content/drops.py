"""After content has moved: drop what a repository does not want, and empty the relays. git-annex judges each drop."""

from __future__ import annotations

import logging
import os
import queue
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from git_annex_syncx.annex.batch import Answer, AnswerState, Batch, dropping
from git_annex_syncx.annex.key import is_key
from git_annex_syncx.content import missing
from git_annex_syncx.content.link_worker import MOST_HOPELESS, SILENT
from git_annex_syncx.content.missing import Look
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, ssh, transport
from git_annex_syncx.model import Need, Outcome, Remote, Result
from git_annex_syncx.reasons import is_hopeless, mending
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import failure, own_failure
from git_annex_syncx.system import clock

log = logging.getLogger(__name__)


def drop(
    context: Context, remotes: Iterable[Remote], look: Look, looked_at: Collection[str], here: bool = True
) -> Iterator[Outcome]:
    """Drop from here and from the remotes what they hold and do not want; one outcome for each that holds such.

    Only keys that were looked at in this run. A drop that git-annex has refused is tried again when somebody else
    holds the key, or has it no more, when a drive with a copy has come, when what git-annex judges by is otherwise
    (see Policy.digest), or some hours have passed.
    """
    inventory = missing.inventory(context)
    refused = inventory.refusals()
    unstable = {(key, uuid) for key, uuid in inventory.coming_and_going() if uuid not in look.policy.emptied}
    todo: dict[str, list[str]] = {}
    asked, at_hand = [need for need in look.needs if need.key in looked_at], _at_hand(context)
    held = {need.key: need.holders | {f"+{uuid}" for uuid in need.holders & at_hand} for need in asked}
    for need in asked:
        for uuid in _unwanted(look, need):
            if (need.key, uuid) not in unstable and refused.get((need.key, uuid)) != held[need.key]:
                todo.setdefault(uuid, []).append(need.key)
    own = look.policy.own
    places: list[tuple[str, Remote | None]] = [(own, None)] if here and own in todo else []
    places += [(remote.uuid or "", remote) for remote in _one_each(remotes) if remote.uuid in todo]
    gone: set[str] = set()
    for uuid, remote in places:
        # Where the wish depends on copies, what went elsewhere may be wanted here again: the next look tells.
        keys = [k for k in todo[uuid] if k not in gone or not look.policy.wishes.depends_on_copies(uuid)]
        if keys:
            outcome, dropped = _drop_from(context, remote, keys, held)
            gone.update(dropped)
            yield outcome
    if places:
        missing.look(context, look.policy)  # is it wanted there again? Others may bring it before our next look
    all_of = ((need.key, uuid) for need in asked for uuid in need.targets | _unwanted(look, need))
    if going_round := [pair for pair in all_of if pair in unstable]:
        yield _contradiction(context, look, going_round)


def candidates(context: Context, look: Look) -> bool:
    """Return whether anything may have to be dropped anywhere, or comes and goes."""
    unwanted = any(need.unwanted or need.holders & look.policy.emptied for need in look.needs)
    return unwanted or bool(missing.inventory(context).coming_and_going())


def _unwanted(look: Look, need: Need) -> frozenset[str]:
    """Return who need not hold the key: a relay while a target lacks it does."""
    if need.targets:
        return need.unwanted - look.policy.relays
    return need.unwanted | (need.holders & look.policy.emptied)


def _at_hand(context: Context) -> frozenset[str]:
    """Remotes at directories that are there now."""
    places = (
        (remote.uuid or "", drives.directory(context.repo, remote)) for remote in context.settings.remotes.values()
    )
    return frozenset(uuid for uuid, place in places if place and os.path.exists(place))


def _one_each(remotes: Iterable[Remote]) -> Iterator[Remote]:
    seen = set()
    for remote in remotes:
        if remote.uuid not in seen and remote.push and not remote.readonly:
            seen.add(remote.uuid)
            yield remote


def _drop_from(
    context: Context, remote: Remote | None, keys: list[str], held: Mapping[str, frozenset[str]]
) -> tuple[Outcome, list[str]]:
    """Drop keys from one place; what is said of it, and the keys that are gone."""
    begun = time.monotonic()
    name, uuid = (remote.name, remote.uuid) if remote else ("", context.settings.annex_uuid)
    try:
        if remote:
            transport.require_present(context.repo, remote)
        # Before a drop git-annex asks the others for their copies.
        env = ssh.annex_connection(context.repo, context.settings, *context.settings.remotes.values())
        answers, last_words = _answers(context, remote, keys, env)
    except SyncxError as error:
        return (failure("drop", error, remote) if remote else own_failure("drop", error)), []
    kept = {a.key: a.reason for a in answers if a.state in (AnswerState.FAILED, AnswerState.CARRIED)}
    lost = [reason for reason in kept.values() if is_hopeless(reason)]
    if lost:
        last_words = lost[0]
    gone = [a.key for a in answers if a.state is AnswerState.DONE]
    done, inventory = len(gone), missing.inventory(context)
    inventory.note_refusals(
        {(key, uuid or ""): held.get(key, frozenset()) for key, why in kept.items() if not is_hopeless(why)}
    )
    inventory.count_drops({(key, uuid or ""): held.get(key, frozenset()) for key in gone})
    for key, reason in kept.items():
        log.info("not dropped %s%s: %s", key, f" from {name}" if name else "", reason)
    reason = f"{done} dropped" if done else ""
    if kept:
        reason += (", " if reason else "") + f"{len(kept)} kept: {next(iter(kept.values()))}"
    if last_words and (lost or not answers):
        seconds, advice = time.monotonic() - begun, mending(last_words, name)
        return Outcome("drop", Result.FAILED, name, uuid, reason=last_words, advice=advice, seconds=seconds), gone
    result = Result.DONE if done else Result.SKIPPED if kept else Result.CURRENT
    details = {"dropped": done, "kept": len(kept)}
    seconds = time.monotonic() - begun
    return Outcome("drop", result, name, uuid, reason=reason, details=details, seconds=seconds), gone


def _answers(
    context: Context, remote: Remote | None, keys: list[str], env: Mapping[str, str]
) -> tuple[list[Answer], str]:
    """Return what git-annex says of each key, and its last words."""
    said: queue.Queue[Answer | str] = queue.Queue()
    heard: Callable[[Batch, Answer | str], None] = lambda _, answer: said.put(answer)  # noqa: E731
    name = remote.name if remote else ""
    batch = Batch(context.repo, dropping(name), (name,) if name else (), env, heard, heard)
    answers: list[Answer] = []
    try:
        for key in filter(is_key, keys):
            batch.say(key)
        batch.finish()
        while isinstance(answer := clock.get(said, SILENT * context.settings.stall_timeout), Answer):
            answers.append(answer)
            if sum(is_hopeless(one.reason) for one in answers[-MOST_HOPELESS:]) == MOST_HOPELESS:
                return answers, answer.reason
        return answers, answer
    except queue.Empty:
        raise SyncxError("git-annex says nothing any more", "the next run tries again") from None
    finally:
        batch.end()


def _contradiction(context: Context, look: Look, found: list[tuple[str, str]]) -> Outcome:
    key, uuid = found[0]
    names = missing.inventory(context).files([key]).get(key, {})
    shown = os.fsdecode(next(iter(names))) if names else key
    where = look.policy.network.name(uuid)
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return Outcome(
        "drop", Result.FAILED,
        reason=f"{shown}{more} was dropped from {where} more than once and came again: what is wanted "
        "contradicts itself, so it is neither dropped nor sent there any more",
        advice=f"look at: git annex wanted {uuid}; any change of it makes a new beginning",
    )  # fmt: skip
