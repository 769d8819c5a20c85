"""A run's judgements by part: what each version of the model said in each chapter."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from demo.chapters import ATTACK, DRIFT
from demo.quality import Fraud, Part, Quality


class PartQuality(NamedTuple):
    """A part, how many transactions were scored in it, and how well."""

    part: Part
    scored: int
    quality: Quality


class Wave(NamedTuple):
    """Fraud since some simulated time. first_alert_seconds: from the first of it on Kafka to its first alert there."""

    frauds: int
    alerted: int
    first_alert_seconds: float | None


class Parts:
    """Counts by part. A chapter is what came on Kafka from its beginning on, until the next one began."""

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._chapters: list[str] = []
        self._scored: Counter[Part] = Counter()
        self._alerts: Counter[Part] = Counter()

    def begin_chapter(self, name: str, kafka_time: int) -> None:
        """What Kafka got from then on (ms) is of this chapter; times ascend."""
        self._chapters.append(name)  # first, so that another thread never finds a time without its chapter
        self._begins.append(kafka_time)

    def count(self, kafka_time: int, version: int, alerted: bool) -> Part:
        """Count one score, and say of which part it is."""
        place = bisect_right(self._begins, kafka_time)
        part = Part(self._chapters[place - 1] if place else "", version)
        self._scored[part] += 1
        self._alerts[part] += alerted
        return part

    def qualities(self, frauds: Iterable[Fraud]) -> list[PartQuality]:
        """All parts, in the order in which they began. frauds: those that were scored."""
        all_frauds, caught = Counter[Part](), Counter[Part]()
        for fraud in frauds:
            if fraud.seen is not None:
                all_frauds[fraud.seen.part] += 1
                caught[fraud.seen.part] += fraud.seen.alerted
        return [
            PartQuality(part, scored, Quality(self._alerts[part], all_frauds[part], caught[part]))
            for part, scored in list(self._scored.items())
        ]


def ordinary(parts: Iterable[PartQuality]) -> list[PartQuality]:
    """Those with traffic as it usually is: neither a wave of fraud nor a shift."""
    return [part for part in parts if part.part.chapter not in (ATTACK.name, DRIFT.name)]


def together(parts: Iterable[PartQuality]) -> Quality:
    """The quality of several parts as one."""
    some = [part.quality for part in parts]
    return Quality(sum(q.alerts for q in some), sum(q.frauds for q in some), sum(q.caught for q in some))


def wave(frauds: Iterable[Fraud], since: datetime) -> Wave:
    """What became of the fraud of the attack since a simulated time."""
    seen = (fraud.seen for fraud in frauds if fraud.seen is not None)
    some = [one for one in seen if one.event_time >= since and one.part.chapter == ATTACK.name]
    alerts = [one.written_ms for one in some if one.alerted]
    first = (min(alerts) - min(one.kafka_time for one in some)) / 1000 if alerts else None
    return Wave(len(some), len(alerts), first)
