"""Tell the others that there is news here, after it has arrived where they can get it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import git
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import ChannelEvent, Outcome, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.triggers.signals.channel import shown
from git_annex_syncx.triggers.signals.channels import open_channel
from git_annex_syncx.triggers.signals.message import Signal, encode, hash_of

log = logging.getLogger(__name__)


def kind_of_news(context: Context, outcomes: Iterable[Outcome]) -> str:
    """Return the kind of news after a run: `content` that is in a store now, `refs` that have been pushed, or none.

    A push that failed is no news: whoever came would find nothing.
    """
    done = [one for one in outcomes if one.result is Result.DONE and one.remote]
    special = {remote.name for remote in context.settings.remotes.values() if remote.special}
    if any(one.event == "transfer" and one.remote in special for one in done):
        return "content"
    return "refs" if any(one.event == "push" for one in done) else ""


def publish(context: Context, kind: str) -> Iterator[ChannelEvent]:
    """Send a signal on all channels of syncx.signal."""
    payload = encode(news(context.repo, context.settings.annex_uuid, kind))
    for address in context.settings.signals:
        begun = time.monotonic()
        try:
            open_channel(context.repo, context.settings.annex_uuid, address).send(payload)
        except SyncxError as error:
            yield ChannelEvent(shown(address), wrong=str(error))
        else:
            yield ChannelEvent(shown(address), "sent", kind, seconds=time.monotonic() - begun)


def tell_of(context: Context, outcomes: Iterable[Outcome]) -> None:
    """Publish after a run that has news; a channel that does not work harms nothing."""
    kind = kind_of_news(context, outcomes) if context.settings.signals else ""
    for event in publish(context, kind) if kind else ():
        if event.wrong:
            log.warning("the others were not told: %s: %s", event.address, event.wrong)
        else:
            log.info("told %s: %s", event.address, kind)


def news(repo: Repository, uuid: str, kind: str) -> Signal:
    """Return the signal that says how the branches here stand now."""
    return Signal(kind, uuid, hash_of(own_branches(repo)), time.time())


def own_branches(repo: Repository) -> dict[str, str | None]:
    """Return the branches that travel: name -> commit."""
    head, known = git.head(repo), git.refs(repo, "refs/heads")
    names = [*([f"refs/heads/{head.basis}"] if head else []), annex_branch.BRANCH]
    return {name: known.get(name) for name in names}
