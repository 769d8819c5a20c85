"""What is done with a record of the log, and by which versions."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from detection.decision import Decision
from detection.ranges import Versions
from serving.judge import Judge
from serving.records import Record

How = Literal["alerted", "answered", "folded"]
"""A record is judged and alerted early; or, being older, only judged, for whoever asked for it; or only folded."""


class By(NamedTuple):
    """versions: None for the newest. fresh: the record came while this process ran. agreed: its stamp, if any, is kept to."""

    versions: Versions | None
    fresh: bool
    agreed: bool


class Limits(NamedTuple):
    """Records older than `late_seconds` are folded and not alerted; what was answered is judged again for `kept_seconds`."""

    late_seconds: float = 10.0
    kept_seconds: float = 600.0


class Chooser:
    """known: by partition, where the log ended when this process began."""

    def __init__(self, judge: Judge, limits: Limits, known: Mapping[int, int]) -> None:
        self._judge = judge
        self._limits = limits
        self._known = known

    def way(self, record: Record, now: float) -> tuple[How, By]:
        """What is done with a record, and by which versions.

        What has a stamp is judged by what it names, if that is known here; what was there when this process began, by what
        judged it then: so no answer is ever contradicted.
        """
        age = (now - record.kafka_time) / 1000
        if age > (self._limits.late_seconds if record.request is None else self._limits.kept_seconds):
            return "folded", By(None, False, False)
        fresh = record.offset >= self._known.get(record.partition, 0)
        how: How = "alerted" if age <= self._limits.late_seconds else "answered"
        stamped = None if record.stamp is None else self._judge.stamped(record.stamp.versions)
        agreed = record.stamp is None or stamped is not None
        if stamped is None and not fresh:
            stamped = self._judge.at(record.partition, record.offset)
        return how, By(stamped, fresh, agreed)

    def decision(self, by: By, next_offsets: Mapping[int, int]) -> Decision:
        """The decision for the records from `next_offsets` on."""
        if by.versions is None:
            return self._judge.current(next_offsets)
        return self._judge.agreed(by.versions, next_offsets) if by.fresh else self._judge.decision(by.versions)
