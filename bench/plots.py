"""A result as pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from bench.figures import QUANTILES, Latency
from bench.result import Result
from bench.targets import ours

mpl.use("Agg")

_SIZE: Final = (8.0, 4.5)
_DOTS_PER_INCH: Final = 120
_THOUSANDS: Final = StrMethodFormatter("{x:,.0f}")


def draw(result: Result, stem: Path) -> list[Path]:
    """Writes a picture for each part that was measured, named after the result's file; returns their paths."""
    own = ours(result.trials)
    pictures: list[tuple[str, bool, Callable[[Axes, Result], None]]] = [
        ("latency", any(_latencies(result)), _draw_latency),
        ("throughput", bool(_throughputs(result)), _draw_throughput),
        ("cpu", bool(result.catch_up or (own and own.drained)), _draw_cpu),
        ("peers", any(trial.drained for trial in result.trials if trial is not own), _draw_peers),
        ("pieces", any(piece.us for piece in result.pieces), _draw_pieces),
        ("growth", any(trial.drained for trial in result.growth), _draw_growth),
        ("soak", result.soak is not None, _draw_soak),
    ]
    return [_saved(stem, name, result, onto) for name, there, onto in pictures if there]


def _saved(stem: Path, name: str, result: Result, onto: Callable[[Axes, Result], None]) -> Path:
    figure = Figure(figsize=_SIZE, dpi=_DOTS_PER_INCH, layout="constrained")
    onto(figure.subplots(), result)
    path = stem.with_name(f"{stem.name}-{name}.png")
    figure.savefig(path)
    return path


def _latencies(result: Result) -> tuple[list[tuple[str, Latency]], list[tuple[str, Latency]]]:
    """To scores: Scoreline's at each rate, and those of the trials, without Scoreline's where its rate is there already."""
    rates = [(f"Scoreline, {run.rate:,.0f} txn/s", run.scores) for run in result.sustained if run.scores.quantiles]
    paced = [(trial.system, trial.paced) for trial in result.trials if trial.paced and trial.paced.scores.quantiles]
    trials = [(f"{system}, {run.rate:,.0f} txn/s", run.scores) for system, run in paced]
    return rates, [(name, latency) for name, latency in trials if name not in dict(rates)]


def _draw_latency(axes: Axes, result: Result) -> None:
    rates, others = _latencies(result)
    for number, (name, latency) in enumerate(rates):
        axes.plot(latency.quantiles, QUANTILES, label=name, color=mpl.colormaps["viridis"](number / len(rates)))
    for number, (name, latency) in enumerate(others):
        axes.plot(latency.quantiles, QUANTILES, "--", label=name, color=mpl.colormaps["tab10"](number + 1))
    axes.set(xscale="log", xlabel="latency to scores, ms (log)", ylabel="share of the transactions", title="Latency")
    axes.xaxis.set_major_formatter(_THOUSANDS)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)


def _throughputs(result: Result) -> list[tuple[str, float]]:
    found = []
    if result.catch_up:
        found.append(("detect alone", result.catch_up.detect.throughput))
        if result.catch_up.with_publish:
            found.append(("detect + publish", result.catch_up.with_publish.throughput))
    return found + [(trial.system, trial.drained.throughput) for trial in result.trials if trial.drained]


def _draw_throughput(axes: Axes, result: Result) -> None:
    names, values = zip(*_throughputs(result), strict=True)
    bars = axes.barh(names, values)
    axes.bar_label(bars, labels=[f"{value:,.0f}" for value in values], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set(xlabel="transactions a second", title="Throughput")


def _draw_cpu(axes: Axes, result: Result) -> None:
    own = ours(result.trials)
    runs = [(own.system, own.drained)] if own else []
    if result.catch_up:
        runs = [("detect alone", result.catch_up.detect), ("detect + publish", result.catch_up.with_publish)]
    _stack(axes, [(name, run.cpu_us_per_txn) for name, run in runs if run])
    axes.set(xlabel="µs of CPU a transaction", title="CPU by process")


def _draw_peers(axes: Axes, result: Result) -> None:
    used = {trial.system: sum(trial.drained.cpu_us_per_txn.values()) for trial in result.trials if trial.drained}
    bars = axes.barh(list(used), list(used.values()))
    axes.bar_label(bars, labels=[f"{value:,.0f}" for value in used.values()], padding=3)
    axes.invert_yaxis()
    axes.set(
        xscale="log", xlim=(1, 3 * max(used.values())), xlabel="µs of CPU a transaction (log)", title="CPU, with peers"
    )
    axes.xaxis.set_major_formatter(_THOUSANDS)


def _draw_pieces(axes: Axes, result: Result) -> None:
    sides = list(dict.fromkeys(piece.side for piece in result.pieces))
    _stack(axes, [(side, {p.name: p.us for p in result.pieces if p.side == side}) for side in sides])
    axes.set(xlabel="µs a transaction", title="The pieces alone, one thread")


def _stack(axes: Axes, bars: Sequence[tuple[str, dict[str, float]]]) -> None:
    """Horizontal bars, each a sum of named parts."""
    names = [name for name, _ in bars]
    left = np.zeros(len(bars))
    for number, part in enumerate(dict.fromkeys(part for _, parts in bars for part in parts)):
        widths = np.array([parts.get(part, 0.0) for _, parts in bars])
        axes.barh(names, widths, left=left, label=part, color=mpl.colormaps["tab20"](number % 20))
        left += widths
    axes.invert_yaxis()
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_growth(axes: Axes, result: Result) -> None:
    trials = [trial for trial in result.growth if trial.drained]
    customers = [trial.customers for trial in trials]
    axes.plot(customers, [t.drained.throughput for t in trials if t.drained], "o-", label="throughput, txn/s")
    axes.set(xscale="log", xlabel="customers (log)", ylabel="transactions a second", ylim=(0, None), title="Growth")
    right = axes.twinx()
    timed = [(t.customers, t.paced.scores) for t in trials if t.paced]
    for name in ("p50", "p99"):
        right.plot(
            [c for c, _ in timed], [getattr(found, name) for _, found in timed], "s--", label=f"{name} to scores, ms"
        )
    right.set(ylabel="latency, ms", ylim=(0, None))
    axes.legend(loc="lower left", fontsize=8)
    right.legend(loc="lower right", fontsize=8)


def _draw_soak(axes: Axes, result: Result) -> None:
    assert result.soak is not None
    for process, readings in result.soak.memory_bytes.items():
        seconds, used = np.array(readings).T
        axes.plot(seconds / 60, used / (1 << 20), label=process)
    axes.set(xlabel="minutes", ylabel="memory, MiB", ylim=(0, None), title="Soak")
    right = axes.twinx()
    p99 = np.array([second[1] for second in result.soak.paced.each_second])
    right.plot(np.arange(len(p99)) / 60, p99, color="gray", linewidth=0.6, label="p99 to scores, ms")
    right.set(ylabel="p99 of each second, ms", ylim=(0, None))
    axes.legend(loc="upper left", fontsize=8)
    right.legend(loc="upper right", fontsize=8)
