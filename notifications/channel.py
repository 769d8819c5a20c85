"""One channel's messages: a thread and a bounded queue of its own, so that a receiver that hangs holds up no other."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from jinja2 import TemplateError

from notifications.books import Message
from notifications.delivery import Outcome, Receiver
from notifications.hours import seconds
from notifications.policy import Channel, Policy
from notifications.wording import LONGEST_BODY, Wording

_log = logging.getLogger(__name__)

MOST_WAITING: Final = 20
"""Messages that wait for a channel that does not take them; what comes then goes to its digest."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 120.0


class Report(NamedTuple):
    """What came of an attempt. done: it was delivered, or given up."""

    channel: str
    message: Message
    attempt: int
    outcome: Outcome
    done: bool


class ChannelSender:
    """Sends a channel's messages in their order. report: called from its thread after each attempt."""

    def __init__(
        self, name: str, policy: Policy, report: Callable[[Report], None], page_url: str | None = None
    ) -> None:
        self.config: Channel = policy.channels[name]
        self.url = policy.urls[name].clear
        self._name = name
        self._receiver = Receiver(policy.urls[name], self.config.format)
        self._wording = policy.wordings[name]
        self._report = report
        self._page_url = page_url
        self._give_up = seconds(self.config.give_up_after)
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"channel {name}", daemon=True)
        self._thread.start()

    def sends_as(self, config: Channel, url: str) -> bool:
        """Whether it sends as a channel that is written so: then what is on its way goes on, and is not begun again."""
        own = (self.config.format, self.config.templates, self.config.give_up_after)
        return url == self.url and own == (config.format, config.templates, config.give_up_after)

    @property
    def form(self) -> str:
        """How its messages are written."""
        return self._receiver.form

    @property
    def is_open(self) -> bool:
        """Whether it takes more messages."""
        return len(self._waiting) < MOST_WAITING

    def put(self, message: Message) -> None:
        """Send a message, after those that came before."""
        with self._changed:
            self._waiting.append(message)
            self._changed.notify_all()

    def stop(self, wait_seconds: float = 0.0) -> None:
        """Send nothing more; the attempt that runs is waited for so long."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(wait_seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                message = self._waiting[0]
            self._deliver(message)
            with self._changed:
                self._waiting.popleft()

    def _deliver(self, message: Message) -> None:
        """Until it is delivered or given up, with growing pauses, or the channel is stopped."""
        began, attempt, pause = time.monotonic(), 0, _FIRST_PAUSE
        while not self._stopping:
            attempt += 1
            try:
                title, body = rendered(self._wording, message, self._receiver, self._page_url)
            except Exception as error:  # noqa: BLE001  # whatever others wrote: this message is given up, the channel goes on
                refused = Outcome(False, f"it can't be written: {type(error).__name__}")
                self._report(Report(self._name, message, attempt, refused, True))
                return
            outcome = self._receiver.send(title, body, message.severity)
            wait = pause if outcome.retry_after is None else max(outcome.retry_after, _FIRST_PAUSE)
            done = outcome.delivered or time.monotonic() - began + wait > self._give_up
            self._report(Report(self._name, message, attempt, outcome, done))
            if done:
                return
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, wait)
            pause = min(2 * pause, _LONGEST_PAUSE)


def rendered(wording: Wording, message: Message, receiver: Receiver, page_url: str | None) -> tuple[str, str]:
    """Title and body; by the built-in templates where the policy's fail for this message."""
    longest = min(receiver.longest_body - 250, LONGEST_BODY)
    try:
        return wording.of(message, receiver.form, longest, page_url)
    except (TemplateError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as error:
        _log.warning("the templates of %s fail, the built-in ones are used: %s", message.channel, type(error).__name__)
        return Wording(None, None).of(message, receiver.form, longest, page_url)
