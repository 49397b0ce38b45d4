"""Drop what a repository does not want, and empty the relays, after content has moved. git-annex judges each drop."""

from __future__ import annotations

import logging
import os
import queue
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from git_annex_syncx.annex.batch import Answer, AnswerState, Batch
from git_annex_syncx.annex.key import is_key
from git_annex_syncx.content import missing
from git_annex_syncx.content.link_process import SILENT
from git_annex_syncx.content.link_worker import MOST_HOPELESS
from git_annex_syncx.content.missing import Look
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import drives, ssh
from git_annex_syncx.model import Need, Outcome, Remote, Result
from git_annex_syncx.reasons import is_hopeless, mending
from git_annex_syncx.runs.context import Context
from git_annex_syncx.runs.parallel import failure, own_failure
from git_annex_syncx.system import clock

log = logging.getLogger(__name__)
NOBODY = frozenset[str]()
Held = Mapping[str, frozenset[str]]  # key -> who holds it, and those of them at hand once more with a `+`


def drop(
    context: Context, remotes: Iterable[Remote], look: Look, looked_at: Collection[str], here: bool = True
) -> Iterator[Outcome]:
    """Drop from here and from the remotes what they hold and do not want; one outcome for each that holds such.

    Only keys that were looked at in this run. A drop that git-annex has refused is tried again when somebody else
    holds the key, or has it no more, when a drive with a copy has come, when what git-annex judges by is otherwise
    (see Policy.digest), or some hours have passed.
    """
    inventory, policy = missing.inventory(context), look.policy
    refused = inventory.refusals()
    unstable = {(key, uuid) for key, uuid in inventory.coming_and_going() if uuid not in policy.emptied}
    asked, at_hand = [need for need in look.needs if need.key in looked_at], _at_hand(context)
    held = {need.key: need.holders | {f"+{uuid}" for uuid in need.holders & at_hand} for need in asked}
    todo: dict[str, list[str]] = {}
    for need in asked:
        for uuid in _unwanted(look, need):
            if (need.key, uuid) not in unstable and refused.get((need.key, uuid)) != held[need.key]:
                todo.setdefault(uuid, []).append(need.key)
    yield from _drop_all(context, [*([None] if here else []), *_one_each(remotes)], look, todo, held)
    all_of = ((need.key, uuid) for need in asked for uuid in need.targets | _unwanted(look, need))
    if going_round := [pair for pair in all_of if pair in unstable]:
        yield _contradiction(context, look, going_round)


def candidates(context: Context, look: Look) -> bool:
    """Return whether anything may have to be dropped anywhere, or comes and goes."""
    unwanted = any(need.unwanted or need.holders & look.policy.emptied for need in look.needs)
    return unwanted or bool(missing.inventory(context).coming_and_going())


def _unwanted(look: Look, need: Need) -> frozenset[str]:
    """Return who need not hold the key: a relay while a target lacks it does."""
    if need.targets or need.key in look.left:
        return need.unwanted - look.policy.relays
    return need.unwanted | (need.holders & look.policy.emptied)


def _at_hand(context: Context) -> frozenset[str]:
    """Return the remotes at directories that are there now."""
    remotes = context.settings.remotes.values()
    places = ((remote.uuid or "", drives.directory(context.repo, remote)) for remote in remotes)
    return frozenset(uuid for uuid, place in places if place and os.path.exists(place))


def _one_each(remotes: Iterable[Remote]) -> Iterable[Remote]:
    """Return one remote that may be written to for each repository."""
    found: dict[str | None, Remote] = {}
    for remote in remotes:
        if remote.push and not remote.readonly:
            found.setdefault(remote.uuid, remote)
    return found.values()


def _drop_all(
    context: Context, places: Iterable[Remote | None], look: Look, todo: Mapping[str, list[str]], held: Held
) -> Iterator[Outcome]:
    """Drop from one place after the other; None is here."""
    gone: set[str] = set()
    busy = [(place, place.uuid or "" if place else look.policy.own) for place in places]
    busy = [(place, uuid) for place, uuid in busy if uuid in todo]
    for remote, uuid in busy:
        # Where the wish depends on copies, what went elsewhere may be wanted here again: the next look tells.
        keys = [k for k in todo[uuid] if k not in gone or not look.policy.wishes.depends_on_copies(uuid)]
        if keys:
            begun = time.monotonic()
            try:
                answers, last_words = _ask(context, remote, keys)
            except SyncxError as error:
                yield failure("drop", error, remote) if remote else own_failure("drop", error)
                continue
            gone.update(_remember(context, uuid, answers, held))
            yield _outcome(remote.name if remote else "", uuid, answers, last_words, time.monotonic() - begun)
    if busy:
        missing.look(context, look.policy)  # is it wanted there again? Others may bring it before our next look


def _ask(context: Context, remote: Remote | None, keys: Iterable[str]) -> tuple[list[Answer], str]:
    """Let git-annex drop keys; return what it says of each, and its last words. Raises SyncxError."""
    if remote:
        drives.require_present(context.repo, remote)
    # Before a drop git-annex asks the others for their copies.
    env = ssh.annex_connection(context.repo, context.settings, *context.settings.remotes.values())
    said: queue.Queue[Answer | str] = queue.Queue()
    words, names = (["drop", f"--from={remote.name}"], [remote.name]) if remote else (["drop"], [])
    batch = Batch(context.repo, words, names, env, lambda _, answer: said.put(answer))
    answers: list[Answer] = []
    try:
        for key in filter(is_key, keys):
            batch.tell(key)
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


def _kept(answers: Iterable[Answer]) -> dict[str, str]:
    """Return key -> why it was not dropped."""
    return {a.key: a.reason for a in answers if a.state in (AnswerState.FAILED, AnswerState.CARRIED)}


def _remember(context: Context, uuid: str, answers: Sequence[Answer], held: Held) -> list[str]:
    """Note what was dropped and what git-annex refused; return what was dropped."""
    gone, kept = [a.key for a in answers if a.state is AnswerState.DONE], _kept(answers)
    inventory = missing.inventory(context)
    inventory.note_refusals({(key, uuid): held.get(key, NOBODY) for key, why in kept.items() if not is_hopeless(why)})
    inventory.count_drops({(key, uuid): held.get(key, NOBODY) for key in gone})
    for key, reason in kept.items():
        log.info("not dropped %s from %s: %s", key, uuid, reason)
    return gone


def _outcome(name: str, uuid: str, answers: Sequence[Answer], last_words: str, seconds: float) -> Outcome:
    done, kept = sum(a.state is AnswerState.DONE for a in answers), _kept(answers)
    lost = next(filter(is_hopeless, kept.values()), "")
    if lost or (last_words and not answers):
        reason = lost or last_words
        return Outcome(
            "drop", Result.FAILED, name, uuid, reason=reason, advice=mending(reason, name), seconds=seconds
        )
    told = [f"{done} dropped"] * bool(done)
    told += [f"{len(kept)} kept: {next(iter(kept.values()))}"] if kept else []
    return Outcome(
        "drop", Result.DONE if done else Result.SKIPPED if kept else Result.CURRENT, name, uuid,
        reason=", ".join(told), details={"dropped": done, "kept": len(kept)}, seconds=seconds,
    )  # fmt: skip


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
