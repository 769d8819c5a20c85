"""What `quick` says on its last line."""

import msgspec

from bench.lane_figures import rounded
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
        catch_up_txn_per_s=rounded(catch_up_with_publish(result), 0),
        latency_ms_p50_at_1000=steady.scores.p50 if steady else None,
        latency_ms_p99_at_1000=steady.scores.p99 if steady else None,
        throughput_ratio_to_textbook_pyspark=rounded(throughput_ratio(result, TEXTBOOK.name), 2),
        latency_p50_ratio_to_textbook_pyspark=rounded(latency_ratio(result, TEXTBOOK.name), 2),
        cpu_us_per_txn=rounded(sum(drained.cpu_us_per_txn.values()) if drained else None, 1),
        state_bytes_per_customer=state_bytes(result),
        generator_txn_per_s=rounded(result.generator.txn_per_s if result.generator else None, 0),
    )
