"""From findings to alarms: what lasts for some windows in a row, and has ended once it has not been found for as many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from ml.drift.counts import Counts
from ml.drift.findings import Finding, findings
from ml.drift.policy import DriftPolicy, Reference, Scale
from ml.drift.reference import DriftReference
from ml.features import DAY

_Key = tuple[str, Reference, str]


class Alarm(msgspec.Struct, frozen=True):
    """What drifts, by what it was found, and since when: `since` is the end of the window in which it became an alarm, ms.

    until: the end of the window in which it ended, None while it lasts. finding: the one that made it an alarm.
    """

    finding: Finding
    since: int
    until: int | None = None


@dataclass
class Alarms:
    """The alarms of one scale, fed window by window in the order of time.

    A comparison that a window could not make, for want of transactions, neither goes on nor breaks off what it would say.
    """

    scale: Scale
    found: list[Alarm] = field(default_factory=list)
    _in_a_row: dict[_Key, int] = field(default_factory=dict)
    _open: dict[_Key, int] = field(default_factory=dict)

    def take(self, window: Sequence[Finding]) -> None:
        """Take in all findings of one window."""
        for each in window:
            key = each.scale, each.against, each.what
            before = self._in_a_row.get(key, 0)
            # Above 0: found so often in a row; below 0: not found so often, of what has been an alarm.
            now = max(before, 0) + 1 if each.is_drift else min(before, 0) - 1
            self._in_a_row[key] = now
            if now == self.scale.in_a_row and key not in self._open:
                self._open[key] = len(self.found)
                self.found.append(Alarm(each, each.end))
            elif now == -self.scale.in_a_row and key in self._open:
                place = self._open.pop(key)
                self.found[place] = msgspec.structs.replace(self.found[place], until=each.end)


class Look(msgspec.Struct, frozen=True):
    """What a look at some traffic found: of each scale the findings of the newest window that had enough transactions, and all
    alarms, in the order in which they began."""

    newest: tuple[Finding, ...]
    alarms: tuple[Alarm, ...]

    @property
    def lasting(self) -> tuple[Alarm, ...]:
        """The alarms that have not ended."""
        return tuple(alarm for alarm in self.alarms if alarm.until is None)


def look(counts: Counts, reference: DriftReference, policy: DriftPolicy, begin: int, end: int) -> Look:
    """Look at all windows that end after `begin`, up to `end`: both blocks. Counts of a week before serve to compare with."""
    newest: list[Finding] = []
    alarms: list[Alarm] = []
    for scale in policy.scales:
        of_scale = Alarms(scale)
        last: Sequence[Finding] = ()
        for window in windows(scale, begin, end):
            found = findings(counts, window, scale, reference, policy)
            of_scale.take(found)
            last = found or last
        newest += last
        alarms += of_scale.found
    return Look(tuple(newest), tuple(sorted(alarms, key=lambda alarm: alarm.since)))


def windows(scale: Scale, begin: int, end: int) -> Iterator[int]:
    """The blocks before which a scale's windows end: multiples of its step, after `begin` and up to `end`."""
    yield from range((begin // scale.step + 1) * scale.step, end + 1, scale.step)


def episodes(alarms: Sequence[Alarm], apart: int = DAY) -> list[Alarm]:
    """The alarms after each of which comes nothing new for `apart` ms: what a person is called for once."""
    calls: list[Alarm] = []
    latest = None
    for alarm in sorted(alarms, key=lambda alarm: alarm.since):
        if latest is None or alarm.since - latest > apart:
            calls.append(alarm)
        latest = alarm.since
    return calls
