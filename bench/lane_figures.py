"""The fast lane's figures in one record: what `lane` says on its last line, and what its targets are judged by."""

import msgspec

from bench.lane import held
from bench.result import Result
from bench.robustness import unexpected


class LaneFigures(msgspec.Struct):
    """All measured in this run, the latencies at 1,000 a second; null for what could not be measured."""

    predict_ms_p50: float | None = None
    predict_ms_p99: float | None = None
    transactions_ms_p50: float | None = None
    transactions_ms_p99: float | None = None
    early_alert_ms_p50: float | None = None
    early_alert_ms_p99: float | None = None
    early_alert_ms_p99_beside_spark: float | None = None
    highest_rate_at_p99_20_ms: float | None = None
    records_compared: int = 0
    differing: int | None = None


def lane_figures(result: Result) -> LaneFigures:
    """The figures of the lane."""
    found = result.lane
    if found is None:
        return LaneFigures()
    predict, early = found.predict.latency if found.predict else None, found.early
    steady = found.transactions[0].latency if found.transactions else None
    beside = found.early_beside_spark
    return LaneFigures(
        predict_ms_p50=rounded(predict.p50 if predict else None, 3),
        predict_ms_p99=rounded(predict.p99 if predict else None, 3),
        transactions_ms_p50=rounded(steady.p50 if steady else None, 3),
        transactions_ms_p99=rounded(steady.p99 if steady else None, 3),
        early_alert_ms_p50=early.p50 if early else None,
        early_alert_ms_p99=early.p99 if early else None,
        early_alert_ms_p99_beside_spark=beside.p99 if beside else None,
        highest_rate_at_p99_20_ms=max((load.rate for load in found.transactions if held(load)), default=0.0),
        records_compared=found.records_compared,
        differing=found.differing,
    )


class RobustnessFigures(msgspec.Struct):
    """All measured in this run; null for what could not be measured.

    bad_requests_errors: good requests without a judgement, and bad ones that were not refused.
    """

    start_customers: int = 0
    start_s: float | None = None
    start_memory_mib: float | None = None
    kill_customers: int = 0
    kill_to_first_answer_s: float | None = None
    promotions: int = 0
    versions_seen: int = 0
    promotion_slowest_ms: float | None = None
    promotion_errors: int | None = None
    bad_requests_sent: int = 0
    bad_requests_errors: int | None = None


def robustness_figures(result: Result) -> RobustnessFigures:
    """What a large start, a kill, promotions and bad requests cost the service."""
    found = result.robustness
    if found is None:
        return RobustnessFigures()
    across, bad = found.across_promotions, found.with_bad
    memory = found.start_memory_bytes
    return RobustnessFigures(
        found.start_customers,
        rounded(found.start_seconds, 2),
        None if memory is None else rounded(memory / (1 << 20), 0),
        found.kill_customers,
        rounded(found.kill_seconds, 2),
        found.promotions,
        found.versions_seen,
        rounded(across.latency.max if across else None, 1),
        across.errors if across else None,
        found.bad_sent,
        unexpected(bad, found.bad_sent) if bad else None,
    )


def rounded(value: float | None, digits: int) -> float | None:
    """A figure, rounded; None for none."""
    return None if value is None else round(value, digits)
