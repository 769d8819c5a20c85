"""What Prometheus reads of the service."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCY_SECONDS: Final = (
    *(0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02),
    *(0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class Metrics:
    """The service's own registry: a test or a second service in one process has another."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._totals: dict[Counter, float] = {}
        self._counted: dict[tuple[Counter, str, str], Counter] = {}
        self.requests = Counter(
            "scoreline_requests", "Requests by route and outcome.", ["route", "outcome"], registry=self.registry
        )
        self.latency = Histogram(
            "scoreline_request_duration_seconds",
            "From a request's arrival until its answer was ready.",
            ["route"],
            buckets=_LATENCY_SECONDS,
            registry=self.registry,
        )
        self.decisions = Counter(
            "scoreline_decisions",
            "Payments by decision and by what decided.",
            ["decision", "by"],
            registry=self.registry,
        )
        self.degraded = Counter(
            "scoreline_fallbacks", "Payments that were answered without a judgement.", registry=self.registry
        )
        self.records = Counter("scoreline_records", "Records read from the log.", registry=self.registry)
        self.early_alerts = Counter("scoreline_early_alerts", "Early alerts that were sent.", registry=self.registry)
        self.early_alerts_failed = Counter(
            "scoreline_early_alerts_failed", "Early alerts that could not be sent.", registry=self.registry
        )
        self.ready = Gauge("scoreline_ready", "1 while requests are answered, else 0.", registry=self.registry)
        self.model_refused = Gauge(
            "scoreline_model_refused",
            "1 while the registry's champion is refused, and the model before it judges.",
            registry=self.registry,
        )
        self.lag_records = Gauge(
            "scoreline_lag_records", "Records in the log that are not read yet.", registry=self.registry
        )
        self.lag_seconds = Gauge(
            "scoreline_lag_seconds", "Age of the record that was read last.", registry=self.registry
        )
        self.customers = Gauge("scoreline_customers", "Customers whose state is held.", registry=self.registry)
        self.model_version = Gauge(
            "scoreline_model_version", "Version of the model that judges.", registry=self.registry
        )
        self.threshold_version = Gauge(
            "scoreline_threshold_version",
            "Version of the table of thresholds; 0 for the model's own.",
            registry=self.registry,
        )
        self.profile_version = Gauge(
            "scoreline_profile_version", "Version of the profiles; 0 where none are used.", registry=self.registry
        )
        self.waiting = Gauge(
            "scoreline_requests_waiting", "Requests that wait for their record.", registry=self.registry
        )

    def count(self, counter: Counter, first: str, second: str) -> None:
        """Count one of a counter with two labels; each pair is looked up once, since that costs more than counting."""
        key = counter, first, second
        counted = self._counted.get(key)
        if counted is None:
            counted = self._counted[key] = counter.labels(first, second)
        counted.inc()

    def bring(self, counter: Counter, total: float) -> None:
        """Bring a counter to a total that is counted elsewhere."""
        counter.inc(total - self._totals.get(counter, 0.0))
        self._totals[counter] = total
