"""What the live view shows, as one immutable value, and the gauges that it is read from."""

from collections import Counter, deque
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from demo.parts import PartQuality, Wave
from demo.quality import Quality
from demo.tally import Alert, Tally, percentile

WINDOW_SECONDS: Final = 10.0
BIN_SECONDS: Final = 2.0
BINS: Final = 30
NO_ALERTS: Final = Quality(alerts=0, frauds=0, caught=0)


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run. Rates, speed and latency are those of the last ten seconds."""

    seconds: float = 0.0
    arrived: int = 0
    scored: int = 0
    invalid: int = 0
    arrived_per_second: float = 0.0
    scored_per_second: float = 0.0
    scored_bins: tuple[float, ...] = ()
    """Transactions scored a second, in steps of BIN_SECONDS, the newest last."""
    latency_ms_p50: float | None = None
    latency_ms_p99: float | None = None
    early_alerts: int = 0
    early_latency_ms_p50: float | None = None
    early_latency_ms_p99: float | None = None
    """Of all early alerts so far: there are few of them."""
    quality: Quality = NO_ALERTS
    parts: tuple[PartQuality, ...] = ()
    wave: Wave | None = None
    campaigns: int = 0
    campaigns_caught: int = 0
    clock: datetime | None = None
    speed: float | None = None
    """Simulated seconds in one second."""
    model_version: int | None = None
    alerts: tuple[Alert, ...] = ()
    first_alert: float | None = None
    """Monotonic time at which the first alert was seen, the job's or the service's."""

    @property
    def lag(self) -> int:
        """Transactions that are on Kafka and have neither a score nor a dead letter yet."""
        return max(0, self.arrived - self.scored - self.invalid)


@dataclass(frozen=True)
class _Reading:
    time: float
    arrived: int
    scored: int
    clock: datetime | None


class Gauges:
    """Turns a tally that grows into snapshots; times are seconds of any one clock."""

    def __init__(self) -> None:
        self._latencies: deque[tuple[float, int]] = deque()
        self._readings: deque[_Reading] = deque()
        self._bins: deque[float] = deque(maxlen=BINS)
        self._bin: _Reading | None = None
        self._began: float | None = None
        self._first_alert: float | None = None

    def latency(self, time: float, latency_ms: int) -> None:
        """A score was seen at `time`."""
        self._latencies.append((time, latency_ms))

    def read(self, time: float, arrived: int, tally: Tally) -> Snapshot:
        """The snapshot of this moment, at which so many transactions are on Kafka."""
        if self._began is None and arrived:
            self._began = time
        if self._first_alert is None and (tally.alerts or len(tally.early_alerts)):
            self._first_alert = time
        reading = _Reading(time, arrived, len(tally.scored), tally.clock)
        self._keep(reading)
        campaigns = tally.campaigns
        return replace(
            self._rates(reading),
            seconds=0.0 if self._began is None else time - self._began,
            invalid=len(tally.invalid),
            scored_bins=tuple(self._bins),
            early_alerts=len(tally.early_alerts),
            early_latency_ms_p50=percentile(tally.early_latencies_ms, 0.50),
            early_latency_ms_p99=percentile(tally.early_latencies_ms, 0.99),
            quality=tally.quality,
            parts=tuple(tally.qualities()),
            wave=tally.wave,
            campaigns=len(campaigns),
            campaigns_caught=sum(campaign.caught for campaign in campaigns),
            model_version=tally.model_version,
            alerts=tally.recent_alerts(),
            first_alert=self._first_alert,
        )

    def _keep(self, reading: _Reading) -> None:
        horizon = reading.time - WINDOW_SECONDS
        while self._latencies and self._latencies[0][0] < horizon:
            self._latencies.popleft()
        while self._readings and self._readings[0].time < horizon:
            self._readings.popleft()
        if self._began is not None:
            self._readings.append(reading)
            self._bin = self._bin or reading
            passed = reading.time - self._bin.time
            if passed >= BIN_SECONDS:
                self._bins.append((reading.scored - self._bin.scored) / passed)
                self._bin = reading

    def _rates(self, now: _Reading) -> Snapshot:
        latencies = Counter(latency for _, latency in self._latencies)
        snapshot = Snapshot(
            arrived=now.arrived,
            scored=now.scored,
            latency_ms_p50=percentile(latencies, 0.50),
            latency_ms_p99=percentile(latencies, 0.99),
            clock=now.clock,
        )
        past = self._readings[0] if self._readings else now
        passed = now.time - past.time
        if passed <= 0:
            return snapshot
        dated = next((reading for reading in self._readings if reading.clock is not None), now)
        speed = None
        if now.clock is not None and dated.clock is not None and now.time > dated.time:
            speed = (now.clock - dated.clock).total_seconds() / (now.time - dated.time)
        return replace(
            snapshot,
            arrived_per_second=(now.arrived - past.arrived) / passed,
            scored_per_second=(now.scored - past.scored) / passed,
            speed=speed,
        )
