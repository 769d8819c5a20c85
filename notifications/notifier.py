"""The process that notifies: from Kafka to cases, from cases to channels, with all that it knows on the disk before it acts."""

import logging
import queue
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from notifications.books import State
from notifications.channel import ChannelSender, Report
from notifications.grouping import Grouping
from notifications.items import Item
from notifications.kept import Kept
from notifications.policy import Policy
from notifications.policy_file import PolicyOnDisk
from notifications.records import KafkaProblem, Records

_log = logging.getLogger(__name__)

_SAVE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 30.0
_SAY_SECONDS: Final = 60.0
_SEEN: Final = 10_000
"""So many alerts are known again: the job repeats some after a kill, and both lanes send most."""
_UNLOAD_SECONDS: Final = 5.0


class Notifier:
    """Notifies until it is stopped. What fails for one record, one channel or one edit of the policy fails for it alone."""

    def __init__(
        self,
        policy: PolicyOnDisk,
        records: Records,
        kept: Kept,
        page_url: str | None = None,
        from_end: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        found = kept.read()
        self._policy_file = policy
        self._records = records
        self._kept = kept
        self._page_url = page_url
        self._from_end = from_end and found is None
        self._clock = clock
        self.state = found or State()
        self._grouping = Grouping(policy.policy, self.state)
        self._seen = set(self.state.seen)
        self._order = deque(self.state.seen)
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._senders: dict[str, ChannelSender] = {}
        self._changed = found is None
        self._saved_at = self._looked_at = self._said_at = 0.0
        self._use(policy.policy)

    def run(self, wanted: Callable[[], bool]) -> None:
        """Until it is no longer wanted; attempts that run then are waited for a moment, and repeated at the next start."""
        while wanted():
            self.step()
        for sender in self._senders.values():
            sender.stop()
        deadline = time.monotonic() + _UNLOAD_SECONDS
        for sender in self._senders.values():
            sender.stop(max(deadline - time.monotonic(), 0.0))
        self._settle()
        self._save()

    def step(self, wait_seconds: float = 0.5) -> None:
        """Read what came, send what is due."""
        if self._policy_file.look():
            self._use(self._policy_file.policy)
        for item in self._read(wait_seconds):
            self._take(item)
        self._settle()
        taking = {name for name, sender in self._senders.items() if sender.is_open}
        messages = self._grouping.due(self._clock(), taking)
        self.state.outbox += messages
        self._changed = self._changed or bool(messages)
        if self._changed and (messages or time.monotonic() - self._saved_at > _SAVE_SECONDS):
            self._save()
        for message in messages:
            self._senders[message.channel].put(message)
        self._say()

    def _read(self, wait_seconds: float) -> list[Item]:
        try:
            if time.monotonic() - self._looked_at > _LOOK_SECONDS or not self._looked_at:
                self._records.assign(self.state.offsets, self._from_end)
                self._from_end, self._looked_at = False, time.monotonic()
            items, unreadable = self._records.read(wait_seconds, self.state.offsets)
        except KafkaProblem as error:
            _log.warning("Kafka does not answer: %s", self._records.trouble(error))
            time.sleep(wait_seconds)
            return []
        for topic, count in unreadable.items():
            self.state.count(f"unreadable {topic}", count)
        self._changed = self._changed or bool(items or unreadable)
        return items

    def _take(self, item: Item) -> None:
        if item.record == "alert":
            if item.key in self._seen:
                self.state.count("repeated")
                return
            self._seen.add(item.key)
            self._order.append(item.key)
            if len(self._order) > _SEEN:
                self._seen.discard(self._order.popleft())
        taken = self._grouping.take(item, self._clock())
        self.state.count(f"{item.record}s taken" if taken else f"{item.record}s not routed or silenced")

    def _settle(self) -> None:
        """Take in what the channels report."""
        while True:
            try:
                report = self._reports.get_nowait()
            except queue.Empty:
                return
            self._changed = True
            self._kept.log(report, self._form(report.channel))
            message, outcome = report.message, report.outcome
            if not outcome.delivered:
                level = logging.ERROR if report.done else logging.WARNING
                what = "is given up" if report.done else "is tried again"
                _log.log(level, "%s: message %s %s: %s", report.channel, message.id, what, outcome.why)
            if report.done:
                self.state.outbox = [each for each in self.state.outbox if each.id != message.id]
                self.state.count(f"{'delivered' if outcome.delivered else 'failed'} {report.channel}")
                if not outcome.delivered and report.channel in self._grouping.channels:
                    self._grouping.failed(message)

    def _use(self, policy: Policy) -> None:
        """Go by a policy: channels that are as they were go on, the others begin again with what they have not delivered."""
        lost = self._grouping.use(policy)
        if lost:
            _log.warning(
                "%d alerts or events waited for channels that the policy has no longer: they are not sent", lost
            )
        for name, sender in list(self._senders.items()):
            config = policy.channels.get(name)
            if config != sender.config or policy.urls[name].clear != sender.url:
                sender.stop()
                del self._senders[name]
        for name in policy.channels:
            if name not in self._senders:
                self._senders[name] = ChannelSender(name, policy, self._reports.put, self._page_url)
                for message in [each for each in self.state.outbox if each.channel == name]:
                    self._senders[name].put(message)
        gone = [each for each in self.state.outbox if each.channel not in self._senders]
        for message in gone:
            _log.warning("message %s is not sent: the policy has no channel %s any more", message.id, message.channel)
        self.state.outbox = [each for each in self.state.outbox if each.channel in self._senders]

    def _form(self, channel: str) -> str:
        sender = self._senders.get(channel)
        return "" if sender is None else sender.form

    def _save(self) -> None:
        self.state.seen = list(self._order)
        try:
            self._kept.save(self.state)
            self._changed = False
        except OSError as error:
            _log.error(
                "the state can't be saved (%s): messages go on, and some may be sent again after a restart", error
            )
        self._saved_at = time.monotonic()

    def _say(self) -> None:
        if time.monotonic() - self._said_at > _SAY_SECONDS:
            self._said_at = time.monotonic()
            counted = ", ".join(f"{count:,} {what}" for what, count in sorted(self.state.counted.items()))
            waiting = len(self.state.outbox)
            _log.info(
                "%d open cases, %d messages on their way; %s", len(self.state.groups), waiting, counted or "nothing yet"
            )
