"""What `quick` and `lane` say on their last lines."""

import msgspec

from bench.lane import held
from bench.result import Result
from bench.systems import TEXTBOOK
from bench.targets import at_rate, catch_up_with_publish, latency_ratio, ours, state_bytes, throughput_ratio


class QuickFigures(msgspec.Struct):
    """All measured in this run; null for what could not be measured. Latencies are to `scores`, publish running."""

    catch_up_txn_per_s: float | None
    latency_ms_p50_at_1000: float | None
    latency_ms_p99_at_1000: float | None
    throughput_ratio_to_textbook_pyspark: float | None
    latency_p50_ratio_to_textbook_pyspark: float | None
    cpu_us_per_txn: float | None
    state_bytes_per_customer: float | None
    generator_txn_per_s: float | None


def quick_figures(result: Result) -> QuickFigures:
    """The figures of a quick result, rounded to what they are worth."""
    steady, own = at_rate(result, 1_000.0), ours(result.trials)
    drained = own.drained if own else None
    return QuickFigures(
        catch_up_txn_per_s=_rounded(catch_up_with_publish(result), 0),
        latency_ms_p50_at_1000=steady.scores.p50 if steady else None,
        latency_ms_p99_at_1000=steady.scores.p99 if steady else None,
        throughput_ratio_to_textbook_pyspark=_rounded(throughput_ratio(result, TEXTBOOK.name), 2),
        latency_p50_ratio_to_textbook_pyspark=_rounded(latency_ratio(result, TEXTBOOK.name), 2),
        cpu_us_per_txn=_rounded(sum(drained.cpu_us_per_txn.values()) if drained else None, 1),
        state_bytes_per_customer=state_bytes(result),
        generator_txn_per_s=_rounded(result.generator.txn_per_s if result.generator else None, 0),
    )


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
        predict_ms_p50=_rounded(predict.p50 if predict else None, 3),
        predict_ms_p99=_rounded(predict.p99 if predict else None, 3),
        transactions_ms_p50=_rounded(steady.p50 if steady else None, 3),
        transactions_ms_p99=_rounded(steady.p99 if steady else None, 3),
        early_alert_ms_p50=early.p50 if early else None,
        early_alert_ms_p99=early.p99 if early else None,
        early_alert_ms_p99_beside_spark=beside.p99 if beside else None,
        highest_rate_at_p99_20_ms=max((load.rate for load in found.transactions if held(load)), default=0.0),
        records_compared=found.records_compared,
        differing=found.differing,
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
