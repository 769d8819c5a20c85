"""Everything that has been seen on Kafka so far, added up record by record."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from demo.parts import PartQuality, Parts, Wave, wave
from demo.quality import Campaign, Fraud, Quality, Seen
from demo.records import WatchedScore
from ml.label_rule import NOTHING_KNOWN, change
from ml.schema import Label

RECENT_ALERTS = 8
PIECE = 4096
REMEMBERED = 50_000
"""Scored transactions that are remembered, in case the truth about one comes after its score. It leaves the simulator
together with the transaction, so it is late by less than a second, if at all."""


class Places:
    """A set of (partition, offset), one byte each, in pieces: an offset that another invented takes one piece."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], bytearray] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, partition: int, offset: int) -> bool:
        """False where it was there already."""
        piece, place = divmod(offset, PIECE)
        seen = self._seen.get((partition, piece))
        if seen is None:
            seen = self._seen[partition, piece] = bytearray(PIECE)
        if seen[place]:
            return False
        seen[place] = 1
        self._count += 1
        return True


@dataclass(frozen=True)
class Alert:
    """An alert as the view shows it."""

    score: WatchedScore
    scenario: str | None
    """The fraud that it is by the simulator's truth; None for a false alarm."""


class Tally:
    """Counts, latencies and alerts. A record that comes twice (a job that was killed may repeat some) counts once."""

    def __init__(self) -> None:
        self.scored, self.invalid = Places(), Places()
        self.alerts = 0
        self.frauds_scored = 0
        self.frauds_caught = 0
        self.latencies_ms: Counter[int] = Counter()
        self.early_alerts = Places()
        self.early_latencies_ms: Counter[int] = Counter()
        self.clock: datetime | None = None
        self.model_version: int | None = None
        self.parts = Parts()
        self.wave_since: datetime | None = None
        self._shown = Places()
        self._recent: deque[WatchedScore] = deque(maxlen=RECENT_ALERTS)
        self._known: dict[str, int] = {}
        self._frauds: dict[str, Fraud] = {}
        self._campaigns: dict[tuple[str, str], Campaign] = {}
        self._remembered: dict[str, Seen] = {}

    def score(self, score: WatchedScore, written_ms: int) -> int | None:
        """A score that Kafka got at `written_ms`; returns its latency in ms, None where it was seen before."""
        if not self.scored.add(score.partition, score.offset):
            return None
        latency_ms = written_ms - score.kafka_time
        self.latencies_ms[latency_ms] += 1
        self.clock = score.event_time if self.clock is None else max(self.clock, score.event_time)
        self.model_version = score.model_version
        if score.is_anomaly:
            self.alerts += 1
            self._alerted(score)
        part = self.parts.count(score.kafka_time, score.model_version, score.is_anomaly)
        seen = Seen(score.event_time, score.is_anomaly, part, score.kafka_time, written_ms)
        fraud = self._frauds.get(score.transaction_id)
        if fraud is not None:
            self._fraud_scored(fraud, seen)
        else:
            self._remember(score.transaction_id, seen)
        return latency_ms

    def early_alert(self, early: WatchedScore, written_ms: int) -> None:
        """An alert of the service's, which Kafka got at `written_ms`; the job's of the same transaction comes later."""
        if self.early_alerts.add(early.partition, early.offset):
            self.early_latencies_ms[written_ms - early.kafka_time] += 1
            self._alerted(early)

    def dead_letter(self, partition: int, offset: int) -> None:
        """A transaction that was found invalid."""
        self.invalid.add(partition, offset)

    def truth(self, label: Label) -> None:
        """What is said of one transaction; which of several labels counts, says `ml.label_rule`."""
        changed = change(self._known.get(label.transaction_id, NOTHING_KNOWN), label.source, label.is_fraud)
        self._known[label.transaction_id] = changed.known
        if changed.fraud > 0:
            fraud = self._frauds[label.transaction_id] = Fraud(label.scenario or "unnamed", label.customer_id)
            seen = self._remembered.get(label.transaction_id)
            if seen is not None:
                self._fraud_scored(fraud, seen)
        elif changed.fraud < 0:
            self._no_fraud(label.transaction_id)

    @property
    def quality(self) -> Quality:
        return Quality(self.alerts, self.frauds_scored, self.frauds_caught)

    def qualities(self) -> list[PartQuality]:
        """How well each version judged in each chapter."""
        return self.parts.qualities(self._scored_frauds())

    @property
    def wave(self) -> Wave | None:
        """What became of the fraud since `wave_since`; None while that is not set."""
        return None if self.wave_since is None else wave(self._scored_frauds(), self.wave_since)

    @property
    def frauds(self) -> Mapping[str, Fraud]:
        """What the truth names, by transaction."""
        return self._frauds

    @property
    def campaigns(self) -> list[Campaign]:
        """Those with at least one scored transaction."""
        return list(self._campaigns.values())

    def recent_alerts(self) -> tuple[Alert, ...]:
        """The last few, the newest first."""
        return tuple(Alert(score, self._scenario(score.transaction_id)) for score in reversed(self._recent))

    def _alerted(self, score: WatchedScore) -> None:
        """By whichever lane was first."""
        if self._shown.add(score.partition, score.offset):
            self._recent.append(score)

    def _scenario(self, transaction_id: str) -> str | None:
        fraud = self._frauds.get(transaction_id)
        return None if fraud is None else fraud.scenario

    def _scored_frauds(self) -> Iterator[Fraud]:
        return (fraud for campaign in self._campaigns.values() for fraud in campaign.transactions)

    def _fraud_scored(self, fraud: Fraud, seen: Seen) -> None:
        fraud.seen = seen
        self.frauds_scored += 1
        self.frauds_caught += seen.alerted
        key = fraud.scenario, fraud.customer_id
        self._campaigns.setdefault(key, Campaign(*key)).transactions.append(fraud)

    def _no_fraud(self, transaction_id: str) -> None:
        """Subtract what had counted as fraud."""
        fraud = self._frauds.pop(transaction_id)
        if fraud.seen is None:
            return
        self._remember(transaction_id, fraud.seen)
        self.frauds_scored -= 1
        self.frauds_caught -= fraud.seen.alerted
        key = fraud.scenario, fraud.customer_id
        self._campaigns[key].transactions.remove(fraud)
        if not self._campaigns[key].transactions:
            del self._campaigns[key]

    def _remember(self, transaction_id: str, seen: Seen) -> None:
        self._remembered[transaction_id] = seen
        if len(self._remembered) > REMEMBERED:
            del self._remembered[next(iter(self._remembered))]


def percentile(counts: Counter[int], share: float) -> int | None:
    """The smallest value that at least `share` of the counted ones do not exceed (nearest rank); None where none is counted.

    >>> percentile(Counter({10: 98, 500: 1, 900: 1}), 0.99)
    500
    """
    wanted, reached = share * counts.total() - 1e-9, 0
    for value in sorted(counts):
        reached += counts[value]
        if reached >= wanted:
            return value
    return None
