"""How well the alerts agree with the simulator's truth, by transaction and by campaign."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import NamedTuple


class Part(NamedTuple):
    """In which chapter a transaction came, and which version judged it."""

    chapter: str
    version: int


class Seen(NamedTuple):
    """What is remembered of a score. Both times are Kafka's, ms: of the transaction, and of the score."""

    event_time: datetime
    alerted: bool
    part: Part
    kafka_time: int
    written_ms: int


@dataclass(slots=True)
class Fraud:
    """One fraudulent transaction: what the truth says, and what was seen of its score, None until it is scored."""

    scenario: str
    customer_id: str
    seen: Seen | None = None

    @property
    def event_time(self) -> datetime | None:
        return None if self.seen is None else self.seen.event_time

    @property
    def alerted(self) -> bool:
        return self.seen is not None and self.seen.alerted


@dataclass(frozen=True)
class Quality:
    """Counts over the transactions scored so far. Precision and recall are None where nothing can be said.

    >>> Quality(alerts=4, frauds=0, caught=0).precision, Quality(alerts=4, frauds=10, caught=3).precision
    (None, 0.75)
    """

    alerts: int
    frauds: int
    caught: int

    @property
    def precision(self) -> float | None:
        """The share of the alerts that are fraud; None without fraud or without alerts."""
        return self.caught / self.alerts if self.frauds and self.alerts else None

    @property
    def recall(self) -> float | None:
        """The share of the frauds that were alerted; None without fraud."""
        return self.caught / self.frauds if self.frauds else None

    @property
    def false_alarms(self) -> int:
        return self.alerts - self.caught


@dataclass
class Campaign:
    """What one scenario does to one customer: its scored transactions, in the order in which they were scored."""

    scenario: str
    customer_id: str
    transactions: list[Fraud] = field(default_factory=list)

    @property
    def caught(self) -> bool:
        return any(fraud.alerted for fraud in self.transactions)

    def transactions_to_detection(self) -> int | None:
        """1 where its first transaction was alerted already; None where none was."""
        return next((n for n, fraud in enumerate(self._in_time(), 1) if fraud.alerted), None)

    def seconds_to_detection(self) -> float | None:
        """Simulated seconds from its first transaction to the first that was alerted; None where none was."""
        times = [fraud.event_time for fraud in self._in_time() if fraud.event_time is not None]
        alerted = next((f.event_time for f in self._in_time() if f.alerted and f.event_time is not None), None)
        return None if alerted is None else (alerted - times[0]).total_seconds()

    def _in_time(self) -> list[Fraud]:
        return sorted((f for f in self.transactions if f.event_time is not None), key=lambda f: f.event_time)  # type: ignore[arg-type, return-value]


@dataclass(frozen=True)
class ScenarioResult:
    """One line of the summary. The medians are over the caught campaigns, None where none was."""

    scenario: str
    frauds: int
    alerted: int
    campaigns: int
    caught: int
    median_transactions: float | None
    median_seconds: float | None


def by_scenario(campaigns: Iterable[Campaign]) -> list[ScenarioResult]:
    """What became of each scenario, by name."""
    grouped: dict[str, list[Campaign]] = {}
    for campaign in campaigns:
        grouped.setdefault(campaign.scenario, []).append(campaign)
    return [_result(scenario, grouped[scenario]) for scenario in sorted(grouped)]


def _result(scenario: str, campaigns: list[Campaign]) -> ScenarioResult:
    frauds = [fraud for campaign in campaigns for fraud in campaign.transactions]
    counts = [n for campaign in campaigns if (n := campaign.transactions_to_detection()) is not None]
    seconds = [s for campaign in campaigns if (s := campaign.seconds_to_detection()) is not None]
    return ScenarioResult(
        scenario,
        frauds=len(frauds),
        alerted=sum(fraud.alerted for fraud in frauds),
        campaigns=len(campaigns),
        caught=len(counts),
        median_transactions=median(counts) if counts else None,
        median_seconds=median(seconds) if seconds else None,
    )
