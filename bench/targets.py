"""What the benchmark is to reach: two columns of targets, and how far a result is from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.beside_figures import CHALLENGER, EVERYTHING, share_of_alone
from bench.figures import Latency, share
from bench.lane_figures import lane_figures, robustness_figures
from bench.profile_figures import latency_growth, throughput_share
from bench.result import Paced, Result, Soak, Trial
from bench.systems import TEXTBOOK, Scoreline

HELD_P99_MS: Final = 3_000.0
HELD_LAG_GROWTH: Final = 0.005
"""A rate is held where the lag grows by less than this share of it; micro-batches make it saw up and down around a line."""

FEW, MANY = 10_000, 1_000_000
GIB: Final = 1 << 30


@dataclass(frozen=True)
class Target:
    """One line of the table. `value` finds the figure in a result, None where it was not measured."""

    name: str
    unit: str
    solid: float
    wanted: float
    value: Callable[[Result], float | None]
    higher_is_better: bool = True

    def verdict(self, value: float, wanted: bool) -> str:
        """Whether one of the two columns is met, and by how much the value is off it, in per cent of the target.

        >>> Target("rate", "txn/s", 100.0, 200.0, lambda result: None).verdict(150.0, wanted=True)
        'not met (-25 %)'
        """
        aim = self.wanted if wanted else self.solid
        met = value >= aim if self.higher_is_better else value <= aim
        off = f" ({(value - aim) / aim:+.0%})".replace("%", " %") if aim else ""
        return ("met" if met else "not met") + off


def ours(trials: Sequence[Trial]) -> Trial | None:
    """Scoreline's own trial."""
    return named(trials, Scoreline.name)


def named(trials: Sequence[Trial], system: str) -> Trial | None:
    """The trial of a system."""
    return next((trial for trial in trials if trial.system == system), None)


def at_rate(result: Result, rate: float) -> Paced | None:
    """What was measured of Scoreline at a steady rate."""
    own = ours(result.trials)
    runs = [*result.sustained, *([own.paced] if own and own.paced else [])]
    return next((run for run in runs if run.rate == rate), None)


def held(run: Paced) -> bool:
    """Whether the system kept up: nothing missing, lag that does not grow, p99 within three seconds."""
    late = run.scores.p99 is None or run.scores.p99 > HELD_P99_MS
    return not (late or run.unaccounted or run.lag.growth_per_second > HELD_LAG_GROWTH * run.rate)


def most_held(result: Result) -> float | None:
    """The highest rate that was held."""
    return max((run.rate for run in result.sustained if held(run)), default=0.0) if result.sustained else None


def catch_up_alone(result: Result) -> float | None:
    return result.catch_up.detect.throughput if result.catch_up else None


def catch_up_with_publish(result: Result) -> float | None:
    if result.catch_up and result.catch_up.with_publish:
        return result.catch_up.with_publish.throughput
    own = ours(result.trials)
    return own.drained.throughput if own and own.drained else None


def throughput_ratio(result: Result, peer: str) -> float | None:
    """Scoreline's throughput over a peer's, both of this run's trials."""
    own, other = ours(result.trials), named(result.trials, peer)
    if own is None or other is None or own.drained is None or other.drained is None:
        return None
    return share(own.drained.throughput, other.drained.throughput)


def latency_ratio(result: Result, peer: str) -> float | None:
    """A peer's median latency to `scores` over Scoreline's.

    Where nothing of a peer's came out while it was waited for, its median is taken as the half of the measured seconds that
    half of the transactions had waited for when the last one was sent: it was more.
    """
    own, other = ours(result.trials), named(result.trials, peer)
    if own is None or other is None or own.paced is None or other.paced is None:
        return None
    behind = other.paced.scores.records == 0 and other.paced.unaccounted > 0
    return share(other.paced.seconds * 500 if behind else other.paced.scores.p50, own.paced.scores.p50)


def state_bytes(result: Result) -> float | None:
    """Of the packed record of one customer."""
    stored = [trial.stored for trial in (*result.growth, *result.trials) if trial.stored]
    return float(stored[-1].record_bytes) if stored else None


def soak_growth(soak: Soak) -> tuple[float, float] | None:
    """(memory of all processes, p99 of the latency): the last minute over minute two, as growth; 0.1 is 10 %.

    None for a soak of less than three minutes.
    """
    if soak.paced.seconds < 180:
        return None
    seconds = np.array([at for at, _ in next(iter(soak.memory_bytes.values()))])
    total = np.sum([[used for _, used in readings] for readings in soak.memory_bytes.values()], axis=0)
    p99 = np.array([second[1] for second in soak.paced.each_second])
    return _growth(seconds, total), _growth(np.arange(len(p99)), p99)


def _growth(seconds: np.ndarray, values: np.ndarray) -> float:
    minute_two = values[(seconds >= 60) & (seconds < 120)]
    return float(values[seconds >= seconds[-1] - 60].mean() / minute_two.mean() - 1)


def piece_rate(result: Result, name: str) -> float | None:
    """Rows a second of a piece alone."""
    found = next((piece for piece in result.pieces if piece.name == name and piece.us), None)
    return None if found is None else 1e6 / found.us


def _grown(result: Result, customers: int) -> Trial | None:
    return next((trial for trial in result.growth if trial.customers == customers), None)


def _growth_ratio(result: Result) -> float | None:
    few, many = _grown(result, FEW), _grown(result, MANY)
    if few is None or many is None or few.drained is None or many.drained is None:
        return None
    return share(many.drained.throughput, few.drained.throughput)


def _memory_of_many(result: Result) -> float | None:
    many = _grown(result, MANY)
    return None if many is None or many.drained is None else sum(many.drained.memory_bytes.values()) / GIB


def _alerts(result: Result, percentile: str) -> float | None:
    run = at_rate(result, 1_000.0)
    return None if run is None else getattr(run.alerts, percentile)


def _soak(result: Result, part: int) -> float | None:
    growth = soak_growth(result.soak) if result.soak else None
    return None if growth is None else 100 * growth[part]


def _lane(name: str) -> Callable[[Result], float | None]:
    """A figure of the fast lane, by its name in `LaneFigures`; None where the lane was not measured."""

    def value(result: Result) -> float | None:
        figure: float | None = getattr(lane_figures(result), name)
        return figure if result.lane is not None else None

    return value


def _steady(result: Result) -> Latency | None:
    found = result.lane
    return found.transactions[0].latency if found and found.transactions else None


def _p999(result: Result) -> float | None:
    steady = _steady(result)
    return steady.quantiles[-2] if steady and steady.quantiles else None


def _beside_p50(result: Result) -> float | None:
    found = result.lane
    return found.early_beside_spark.p50 if found and found.early_beside_spark else None


def _robustness(name: str) -> Callable[[Result], float | None]:
    """A figure of `RobustnessFigures`; None where it was not measured."""

    def value(result: Result) -> float | None:
        figure: float | None = getattr(robustness_figures(result), name)
        return figure

    return value


_LANE_TARGETS: Final = (
    Target("/predict at 1,000 a second, p50", "ms", 0.8, 0.8, _lane("predict_ms_p50"), False),
    Target("/predict at 1,000 a second, p99", "ms", 2, 2, _lane("predict_ms_p99"), False),
    Target("/transactions at 1,000 a second, p50", "ms", 4, 4, _lane("transactions_ms_p50"), False),
    Target("/transactions at 1,000 a second, p99", "ms", 10, 10, _lane("transactions_ms_p99"), False),
    Target("/transactions at 1,000 a second, p99.9", "ms", 25, 25, _p999, False),
    Target("/transactions: highest rate, p99 ≤ 20 ms", "txn/s", 3_000, 3_000, _lane("highest_rate_at_p99_20_ms")),
    Target("early alerts at 1,000 txn/s, p50", "ms", 8, 8, _lane("early_alert_ms_p50"), False),
    Target("early alerts at 1,000 txn/s, p99", "ms", 20, 20, _lane("early_alert_ms_p99"), False),
    Target("early alerts beside the Spark job, p50", "ms", 15, 15, _beside_p50, False),
    Target("early alerts beside the Spark job, p99", "ms", 60, 60, _lane("early_alert_ms_p99_beside_spark"), False),
    Target("both lanes: records compared", "records", 100_000, 1_000_000, _lane("records_compared")),
    Target("both lanes: records that differ", "records", 0, 0, _lane("differing"), False),
    Target("service: start with 1 M customers", "s", 20, 20, _robustness("start_s"), False),
    Target("service: memory after that", "MiB", 1_229, 1_229, _robustness("start_memory_mib"), False),
    Target("service: kill to the first answer", "s", 5, 5, _robustness("kill_to_first_answer_s"), False),
    Target("service: slowest request across promotions", "ms", 30, 30, _robustness("promotion_slowest_ms"), False),
    Target("service: errors with 1 % bad requests", "requests", 0, 0, _robustness("bad_requests_errors"), False),
)
"""Of the service each figure has one target."""

TARGETS: Final = (
    Target("catch-up, detect alone", "txn/s", 45_000, 100_000, catch_up_alone),
    Target("catch-up, detect + publish", "txn/s", 30_000, 60_000, catch_up_with_publish),
    Target("latency to alerts at 1,000 txn/s, p50", "ms", 500, 250, lambda r: _alerts(r, "p50"), False),
    Target("latency to alerts at 1,000 txn/s, p99", "ms", 1_000, 500, lambda r: _alerts(r, "p99"), False),
    Target("sustained: highest rate held, p99 ≤ 3 s", "txn/s", 10_000, 30_000, most_held),
    Target("textbook PySpark: throughput", "times", 8, 20, lambda r: throughput_ratio(r, TEXTBOOK.name)),
    Target("textbook PySpark: p50 latency", "times", 2.5, 4, lambda r: latency_ratio(r, TEXTBOOK.name)),
    Target("1 M customers against 10 k, throughput", "share", 0.60, 0.85, _growth_ratio),
    Target("state per customer", "bytes", 1_024, 768, state_bytes, False),
    Target("fold alone, one thread", "events/s", 1_500_000, 3_000_000, lambda r: piece_rate(r, "fold")),
    Target("line protocol alone, one thread", "points/s", 300_000, 1_000_000, lambda r: piece_rate(r, "line protocol")),
    Target(
        "generator into the broker",
        "txn/s",
        100_000,
        300_000,
        lambda r: None if r.generator is None else r.generator.txn_per_s,
    ),
    Target("memory of all processes, 1 M customers", "GiB", 8, 4, _memory_of_many, False),
    Target("soak: growth of memory after minute two", "%", 10, 0, lambda r: _soak(r, 0), False),
    Target("soak: growth of p99 after minute two", "%", 10, 0, lambda r: _soak(r, 1), False),
    Target("with profiles over without, throughput", "share", 0.92, 0.92, throughput_share),
    Target("with profiles over without, p50 grows by", "%", 5, 5, latency_growth("p50"), False),
    Target("with profiles over without, p99 grows by", "%", 5, 5, latency_growth("p99"), False),
    Target("with a challenger over without, throughput", "share", 0.88, 0.88, share_of_alone(CHALLENGER)),
    Target("archive, challenger and drift: throughput", "share", 0.70, 0.70, share_of_alone(EVERYTHING)),
    *_LANE_TARGETS,
)
