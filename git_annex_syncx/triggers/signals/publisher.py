"""Tell the others that there is news here, as soon as it has arrived where they can get it."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import git, objects
from git_annex_syncx.git.git import Repository
from git_annex_syncx.model import ChannelEvent, Event, Outcome, Remote, Result
from git_annex_syncx.runs.context import Context
from git_annex_syncx.triggers.signals.channel import shown
from git_annex_syncx.triggers.signals.channels import open_channel
from git_annex_syncx.triggers.signals.local_socket import send_along
from git_annex_syncx.triggers.signals.message import Signal, encode, hash_of

log = logging.getLogger(__name__)


class Publisher:
    """The signals of one run: when the first remote that others reach has the news, and when more can fetch it later.

    They are sent in a thread: no remote waits for a channel. A push that failed is no news: whoever came would find
    nothing.
    """

    def __init__(self, context: Context) -> None:
        """Send nothing yet."""
        self._context = context
        self._arrived: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._broken: set[str] = set()  # addresses of channels that did not work in this run

    def note(self, event: Event) -> None:
        """Take an event of the run; a push that has arrived is news, also where git-annex was there before it."""
        if not (isinstance(event, Outcome) and event.event == "push" and event.remote):
            return
        arrived = event.result is Result.DONE or (event.result is Result.CURRENT and event.details)
        if arrived and self._context.settings.signals:
            self._arrived.put(event)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="signal")
                self._thread.start()

    def __enter__(self) -> Publisher:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take it that the run has ended; what is still to be sent may be waited for."""
        self._arrived.put(None)

    def is_sending(self) -> bool:
        """Return whether something is still to be sent."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> None:
        """Wait until all is sent, each channel for a limited time."""
        if self._thread:
            self._thread.join()

    def _work(self) -> None:
        untold, ended = None, False
        while not ended:
            arrived = [self._arrived.get()]
            with contextlib.suppress(queue.Empty):
                while True:  # what has arrived while the last was sent is one signal
                    arrived.append(self._arrived.get_nowait())
            ended = None in arrived
            try:
                untold = untold or Untold(readers(self._context))
                news = [one for one in arrived if one and not is_links_alone(self._context, one)]
                urgent = [untold.take(one) for one in news]
                if untold.kind and (ended or any(urgent)):
                    self._tell(untold.kind)
                    untold.kind = ""
            except SyncxError as error:
                log.warning("the others were not told: %s", error)
            except KeyboardInterrupt:  # we are being ended
                return

    def _tell(self, kind: str) -> None:
        """Send a signal; a channel that does not work harms nothing, and is not tried again in this run."""
        addresses = [address for address in self._context.settings.signals if address not in self._broken]
        for address, event in zip(addresses, publish(self._context, kind, addresses), strict=True):
            if event.wrong:
                self._broken.add(address)
                log.warning("the others were not told: %s: %s", event.address, event.wrong)
            else:
                log.info("told %s: %s", event.address, kind)


class Untold:
    """The news of a run that is not told yet: its `kind`, `refs` or `content`, empty where there is none. Pure."""

    def __init__(self, readers: Mapping[str, Collection[str]]) -> None:
        """`readers`: name of a remote -> the others that can fetch from there."""
        self.kind = ""
        self._readers = readers
        self._commit: object = None
        self._told: set[str] = set()  # who knows of that commit, or has got it himself

    def take(self, push: Outcome) -> bool:
        """Take a push that has arrived; return whether somebody can fetch now what he has not been told of."""
        reached = set(self._readers.get(push.remote, ()))
        if push.details.get("new") != self._commit:
            self._commit, self._told = push.details.get("new"), set()
        if reached:
            self.kind = "refs" if push.details.get("branch") != "git-annex" else self.kind or "content"
        urgent = not reached <= self._told
        self._told |= reached | {push.uuid or ""}
        return urgent


def publish(context: Context, kind: str, addresses: Collection[str]) -> Iterator[ChannelEvent]:
    """Send a signal on these channels, on all at once; yield what has become of each, in this order."""
    payload = encode(news(context.repo, context.settings.annex_uuid, kind))

    def send(address: str) -> ChannelEvent:
        begun = time.monotonic()
        try:
            if not send_along(context.repo, address, payload):
                open_channel(context.repo, context.settings.annex_uuid, address).send(payload)
        except SyncxError as error:
            return ChannelEvent(shown(address), wrong=str(error))
        return ChannelEvent(shown(address), "sent", kind, seconds=time.monotonic() - begun)

    with ThreadPoolExecutor(max(1, len(addresses)), thread_name_prefix="signal") as pool:
        yield from pool.map(send, addresses)


def news(repo: Repository, uuid: str, kind: str) -> Signal:
    """Return the signal that says how the branches here stand now."""
    return Signal(kind, uuid, hash_of(own_branches(repo)), time.time())


def own_branches(repo: Repository) -> dict[str, str | None]:
    """Return the branches that travel: name -> commit."""
    head, known = git.head(repo), git.refs(repo, "refs/heads")
    names = [*([f"refs/heads/{head.basis}"] if head else []), annex_branch.BRANCH]
    return {name: known.get(name) for name in names}


def is_links_alone(context: Context, outcome: Outcome) -> bool:
    """Return whether a push brought nothing but what repositories tell of their links: nobody has to fetch that.

    What counts is the branch as it is by now: a push through a special remote takes what is there when it begins.
    """
    from git_annex_syncx.network.survey import LINKS_LOG

    branch, old = outcome.details.get("branch"), outcome.details.get("old")
    new = git.refs(context.repo, annex_branch.BRANCH).get(annex_branch.BRANCH)
    if branch != "git-annex" or not (isinstance(old, str) and new):
        return False
    try:
        return objects.diff(context.repo, old, new).keys() == {LINKS_LOG.encode()}
    except SyncxError:  # what was there is not here
        return False


def readers(context: Context) -> Mapping[str, Collection[str]]:
    """Return the names of git remotes -> other repositories that can fetch from there, by the links log.

    A drive, or a directory of this machine, that nobody else has as a remote reaches nobody. The log does not tell of
    remotes without content, nor where nobody has written it yet: then somebody unknown reads there.
    """
    from git_annex_syncx.network import survey

    settings, lines = context.settings, survey.shared(context.repo).log.lines.values()

    def known(remote: Remote) -> Collection[str]:
        links = (link for line in lines for link in line.links if link.owner != settings.annex_uuid)
        found = {link.owner for link in links if link.remote == remote.uuid and link.pull}
        tells = remote.uuid and not remote.ignore
        return found or ((f"somebody at {remote.name}",) if not tells and remote.path is None else ())

    remotes = [remote for remote in settings.remotes.values() if not remote.special]
    found = {remote.name: known(remote) for remote in remotes}
    return found if any(found.values()) else {remote.name: (f"somebody at {remote.name}",) for remote in remotes}
