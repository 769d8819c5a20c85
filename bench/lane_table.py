"""The fast lane's part of a report."""

from collections.abc import Sequence

from bench.figures import Latency
from bench.lane_figures import RobustnessFigures, robustness_figures
from bench.open_loop import Load
from bench.result import Lane, Result


def lane_section(found: Lane | None) -> str:
    """Markdown; nothing where it was not measured."""
    if found is None:
        return ""
    loads = [("`POST /predict`", found.predict), *(("`POST /transactions`", load) for load in found.transactions)]
    peers = [("FastAPI, pickle, a DataFrame a request: `/predict`", load) for load in found.peer]
    rows = [_load(name, load) for name, load in (*loads, *peers) if load is not None]
    early = [("early alerts", found.early), ("early alerts beside the Spark job", found.early_beside_spark)]
    rows += [[name, f"{found.rate:,.0f}", *_quantiles(each), "–"] for name, each in early if each is not None]
    lines = [["", "a second", "p50, ms", "p95", "p99", "p99.9", "max", "errors"], ["---"] * 8, *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if found.differing is None:
        return table
    return f"{table}\n\n{found.records_compared:,} records compared with one fold along the log: {found.differing:,} differ."


def robustness_section(result: Result) -> str:
    """Markdown; nothing where it was not measured."""
    if result.robustness is None:
        return ""
    figures = robustness_figures(result)
    rows = [[name.replace("_", " "), "–" if value is None else f"{value:,}"] for name, value in _items(figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [["", ""], ["---", "---"], *rows])


def _items(figures: RobustnessFigures) -> list[tuple[str, float | None]]:
    return [(name, getattr(figures, name)) for name in figures.__struct_fields__]


def _load(name: str, load: Load) -> list[str]:
    return [name, f"{load.rate:,.0f}", *_quantiles(load.latency), f"{load.errors:,}"]


def _quantiles(found: Latency) -> Sequence[str]:
    at = (found.p50, found.p95, found.p99, found.quantiles[-2] if found.quantiles else None, found.max)
    return ["–" if value is None else f"{value:.1f}" for value in at]
