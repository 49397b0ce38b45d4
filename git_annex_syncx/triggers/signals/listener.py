"""Listen on all channels, and turn what is worth it into requests to fetch."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator

from git_annex_syncx.annex import annex_branch
from git_annex_syncx.errors import SyncxError
from git_annex_syncx.git import cat_file, git
from git_annex_syncx.git.git import Repository
from git_annex_syncx.git.settings import Settings
from git_annex_syncx.model import Remote
from git_annex_syncx.network import survey
from git_annex_syncx.system.records import ChannelTrouble, SignalCount
from git_annex_syncx.system.state import State, printable
from git_annex_syncx.triggers.queue import Request
from git_annex_syncx.triggers.signals.channel import Channel, shown
from git_annex_syncx.triggers.signals.channels import open_channel
from git_annex_syncx.triggers.signals.filter import ACCEPTED, Filter
from git_annex_syncx.triggers.signals.local_socket import sending_for_others
from git_annex_syncx.triggers.signals.message import Signal, hash_of
from git_annex_syncx.triggers.signals.publisher import own_branches

log = logging.getLogger(__name__)

Ask = Callable[[Iterable[Request]], None]
KNOWN_FOR = 10.0  # seconds for which the list of repositories is believed
LOOK_ONCE = 60.0  # seconds between two looks that a new connection can cause
MENDED = 600.0  # seconds between two looks whether the user has mended a channel that cannot work
SAVE_EVERY = 10.0  # seconds between two notes of the counts


class Known:
    """The knowledge here of other repositories, by which a signal is judged."""

    def __init__(self, repo: Repository, settings: Settings) -> None:
        """`repo` and `settings` may be replaced by newer ones."""
        self.repo, self.settings = repo, settings
        self._read, self._uuids = -KNOWN_FOR, frozenset[str]()

    def is_known(self, uuid: str) -> bool:
        """Return whether there is such a repository."""
        if time.monotonic() - self._read >= KNOWN_FOR:
            self._uuids = frozenset(annex_branch.descriptions(self.repo))
            self._read = time.monotonic()
        return uuid in self._uuids

    def is_news(self, signal: Signal) -> bool:
        """Return whether its branches are neither as ours are nor as we have seen them there."""
        ours = own_branches(self.repo)
        if hash_of(ours) == signal.refs:
            return False
        tracked = git.refs(self.repo, "refs/remotes")
        remotes = [remote for remote in self.settings.remotes.values() if remote.uuid == signal.uuid]
        return all(hash_of(_tracked(tracked, ours, remote)) != signal.refs for remote in remotes)

    def remotes_with(self, uuid: str) -> list[str]:
        """Return the git remotes at which the news of a repository can be: itself, and those that it can push to."""
        usable = [one for one in self.settings.remotes.values() if not one.special and one.pull and one.sync]
        told = survey.shared(self.repo).log.lines.get(uuid)
        reached = {uuid, *(link.remote for link in (told.links if told else ()) if link.push)}
        names = [remote.name for remote in usable if remote.uuid in reached or remote.through_special]
        return names or [remote.name for remote in usable]


class Listener:
    """The channels of one repository, each with a thread of its own."""

    def __init__(self, repo: Repository, settings: Settings, state: State, ask: Ask) -> None:
        """`ask` takes requests. Counts are kept in `state`."""
        self.addresses = settings.signals
        self._known = Known(repo, settings)
        self._filter = Filter(settings.annex_uuid, self._known.is_known, self._known.is_news)
        self._state, self._ask = state, ask
        self._channels: dict[str, Channel] = {}
        self._trouble: dict[str, str] = {}
        self._stop, self._serving = threading.Event(), contextlib.ExitStack()
        self._looked = -LOOK_ONCE
        self._saved = 0.0

    def start(self) -> None:
        """Begin to listen."""
        for address in self.addresses:
            threading.Thread(target=self._listen, args=(address,), daemon=True, name="signals").start()
        self._serving.enter_context(
            sending_for_others(self._known.repo, self._known.settings.annex_uuid, self._send_along)
        )

    def update(self, repo: Repository, settings: Settings) -> None:
        """Take the repository and its settings as they are by now; other addresses need another listener."""
        self._known.repo, self._known.settings = repo, settings

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()
        self._serving.close()
        self._save()

    def _send_along(self, address: str, payload: bytes) -> bool:
        """Send for another process here, over the connection of a channel; return whether that was done."""
        channel = self._channels.get(address)
        return channel is not None and channel.send_along(payload)

    def _listen(self, address: str) -> None:
        """Listen for as long as we run; what the user has to mend is said once, and looked at again now and then."""
        while not self._stop.is_set():
            try:
                channel = open_channel(self._known.repo, self._known.settings.annex_uuid, address)
                self._channels[address] = channel
                channel.listen(self._heard, functools.partial(self._connected, address), self._stop)
            except SyncxError as error:
                self._complain(shown(address), str(error))
                self._stop.wait(MENDED)
            except Exception:
                log.exception("%s", shown(address))
                return

    def _complain(self, address: str, wrong: str) -> None:
        if self._trouble.get(address) != wrong:
            log.warning("%s: %s", address, wrong)
        self._trouble[address] = wrong
        self._save()

    def _heard(self, raw: bytes) -> None:
        """Judge a message; ask for what follows from it, now or later.

        To ask for later is not for the queue: it would make it one with a look that is asked for already, and no look
        would follow for the signals that come until then.
        """
        with _tolerant():
            decision = self._filter.hear(raw)
            if decision.why == ACCEPTED and decision.signal:
                if decision.delay:
                    timer = threading.Timer(decision.delay, self._look, (decision.signal.uuid,))
                    timer.daemon = True
                    timer.start()
                else:
                    self._look(decision.signal.uuid)
            if time.monotonic() - self._saved > SAVE_EVERY:
                self._save()

    def _look(self, uuid: str) -> None:
        """Ask for a look where the news of a repository can be."""
        with _tolerant():
            if not self._stop.is_set():
                names = self._known.remotes_with(uuid)
                log.info("signal of %s: look at %s", uuid, ", ".join(names))
                self._ask(Request("fetch", name) for name in names)

    def _connected(self, address: str) -> None:
        """Ask for one look at everything: something may have been missed."""
        self._trouble.pop(shown(address), None)
        self._save()
        now = time.monotonic()
        if now - self._looked >= LOOK_ONCE:
            self._looked = now
            self._ask([Request("look")])

    def _save(self) -> None:
        """Leave the counts where `status` finds them."""
        self._saved = time.monotonic()
        try:
            self._state.signal_counts.replace([SignalCount(*pair) for pair in self._filter.counts.items()])
            troubles = [ChannelTrouble(channel, printable(why)) for channel, why in self._trouble.items()]
            self._state.channel_troubles.replace(troubles)
        except SyncxError as error:
            log.info("%s", error)


@contextlib.contextmanager
def _tolerant() -> Iterator[None]:
    try:
        yield
    except (SyncxError, OSError) as error:
        log.warning("a signal could not be looked into: %s", error)
    finally:
        cat_file.close()  # we stay for years; nothing is to stay with us


def _tracked(known: dict[str, str], names: Collection[str], remote: Remote) -> dict[str, str | None]:
    return {name: known.get(remote.tracking(name.removeprefix("refs/heads/"))) for name in names}
