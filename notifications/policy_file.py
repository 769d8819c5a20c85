"""The policy on the disk: read again when it changes; an edit that can't be used leaves the last good one in force."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from notifications.delivery import Receiver
from notifications.errors import PolicyError
from notifications.policy import Policy

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0


class PolicyOnDisk:
    """A policy file that may change. Raises `PolicyError` where it can't be used at the start."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._stamp = self._stamp_now()
        self._looked_at = time.monotonic()
        self.policy = usable(path)
        self._ended = self._over()

    def look(self) -> bool:
        """Whether there is another policy than at the last look; it is looked for once a second."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return False
        self._looked_at = time.monotonic()
        self._say_ended()
        stamp = self._stamp_now()
        if stamp is None or stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.policy = usable(self._path)
        except PolicyError as error:
            _log.error("%s; the policy of before stays in force", error)
            return False
        self._ended = self._over()
        _log.info("the policy %s was read again", self._path)
        return True

    def _over(self) -> set[int]:
        now = self._clock()
        return {number for number, each in enumerate(self.policy.file.silences) if each.until.timestamp() <= now}

    def _say_ended(self) -> None:
        ended = self._over()
        for number in sorted(ended - self._ended):
            silence = self.policy.file.silences[number]
            _log.info(
                "the silence %s (%s) has ended at %s", silence.match, silence.reason, silence.until.astimezone(UTC)
            )
        self._ended = ended

    def _stamp_now(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        # A copy may keep the time and the size; the inode's own time nobody sets.
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev


def usable(path: Path) -> Policy:
    """A policy whose channels Apprise can use too. Raises `PolicyError`."""
    policy = Policy.read(path)
    for name, url in policy.urls.items():
        try:
            Receiver(url)
        except PolicyError as error:
            raise PolicyError(f"the policy {path} can't be used: channel {name}: {error}") from error
    return policy


def in_days(until: datetime, now: float) -> str:
    """How long a silence still holds.

    >>> in_days(datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())
    'for 1 d 12 h 0 min'
    """
    left = int(until.timestamp() - now)
    if left <= 0:
        return "over"
    days, rest = divmod(left, 86_400)
    return f"for {f'{days} d ' if days else ''}{rest // 3_600} h {rest % 3_600 // 60} min"
