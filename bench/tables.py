"""A result as Markdown tables."""

from collections.abc import Iterable, Sequence

from bench.figures import Latency
from bench.lane_table import lane_section, robustness_section
from bench.result import Drained, Machine, Paced, Piece, Result, Trial
from bench.targets import GIB, TARGETS, held, latency_ratio, soak_growth, throughput_ratio


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(table(["what", "how much"], [["this", "1"]]))
    | what | how much |
    | --- | --- |
    | this | 1 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    """A figure as a person reads it; a dash for none.

    >>> number(45123.4), number(3.14159), number(0.652), number(None)
    ('45,123', '3.14', '0.652', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(result: Result) -> str:
    """The whole report but for its plots: a heading for each part that was measured."""
    sections = [
        ("Targets", _targets(result)),
        ("Catch-up", _catch_up(result)),
        ("Steady rates", _steady(result.sustained)),
        ("Growth", _trials(result.growth, "customers")),
        ("Soak", _soak(result)),
        ("Pieces alone, one thread", _pieces(result.pieces)),
        ("Profiles", _with_drained(result.profiles)),
        ("Beside detection", _with_drained(result.beside)),
        ("Peers", _peers(result)),
        ("Generator", _generator(result)),
        ("The fast lane", lane_section(result.lane)),
        ("The service when something happens to it", robustness_section(result)),
        ("Failed", "\n".join(f"- {name}: {why}" for name, why in result.failures.items())),
    ]
    title = f"# Benchmark: {result.name}, {result.started:%Y-%m-%d %H:%M} UTC"
    parts = [title, _machine(result.machine, result.settings)]
    return "\n\n".join([*parts, *(f"## {name}\n\n{text}" for name, text in sections if text)]) + "\n"


def _machine(found: Machine, settings: dict[str, str]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    return (
        f"{found.cores} cores of {found.cpu}, {found.memory_bytes / GIB:.0f} GiB, {found.system}; broker, InfluxDB and "
        f"sender on the same machine. At the start: load average {found.load_average:.2f}, others used {found.busy:.0%} of "
        f"the CPU. Commit {found.commit}. {versions}. "
        + "; ".join(f"{name}: {value}" for name, value in settings.items())
        + "."
    )


def _targets(result: Result) -> str:
    rows = []
    for target in TARGETS:
        value = target.value(result)
        if value is not None:
            aims = [
                f"{number(aim)}: {target.verdict(value, wanted)}" for aim, wanted in _aims(target.solid, target.wanted)
            ]
            rows.append([target.name, f"{number(value)} {target.unit}", *aims])
    return table(["what", "measured", "solid", "wanted"], rows) if rows else ""


def _aims(solid: float, wanted: float) -> list[tuple[float, bool]]:
    return [(solid, False), (wanted, True)]


def _catch_up(result: Result) -> str:
    if result.catch_up is None:
        return ""
    found = result.catch_up
    rows = [["detect alone", found.customers, found.detect], ["detect + publish", found.customers, found.with_publish]]
    return _drained([(str(name), run) for name, _, run in rows if isinstance(run, Drained)])


def _drained(runs: Sequence[tuple[str, Drained]]) -> str:
    processes = sorted({name for _, run in runs for name in run.cpu_us_per_txn})
    header = [
        "",
        "txn/s",
        "scores/s",
        "points/s",
        "measured s",
        *(f"{name}, µs CPU" for name in processes),
        "CPU in all",
    ]
    rows = [
        [
            name,
            number(run.throughput),
            number(run.txn_per_s),
            number(run.published_txn_per_s),
            f"{run.window_seconds:.1f}",
            *(f"{run.cpu_us_per_txn.get(process, 0.0):.1f}" for process in processes),
            f"{sum(run.cpu_us_per_txn.values()):.1f}",
        ]
        for name, run in runs
    ]
    return table(header, rows)


def _quantiles(found: Latency | None) -> str:
    """p50 / p95 / p99 / max."""
    if found is None or not found.records:
        return "–"
    return " / ".join(number(value) for value in (found.p50, found.p95, found.p99, found.max))


def _steady(runs: Sequence[Paced]) -> str:
    header = [
        "txn/s",
        "scores, ms",
        "alerts, ms",
        "readable in InfluxDB, ms",
        "lag at the end",
        "lag growth a second",
        "held",
    ]
    rows = [
        [
            number(run.rate),
            _quantiles(run.scores),
            _quantiles(run.alerts),
            _quantiles(run.readable),
            number(run.lag.end),
            number(run.lag.growth_per_second),
            _kept_up(run),
        ]
        for run in runs
    ]
    return f"p50 / p95 / p99 / max.\n\n{table(header, rows)}" if rows else ""


def _kept_up(run: Paced) -> str:
    return "yes" if held(run) else f"no, {run.unaccounted:,} left over" if run.unaccounted else "no"


def _trials(trials: Sequence[Trial], first: str) -> str:
    header = [
        first,
        "txn/s",
        "latency to scores, ms",
        "kept up",
        "memory, GiB",
        "state, bytes a customer",
        "checkpoint, MiB",
        "start, s",
    ]
    rows = []
    for trial in trials:
        drained, paced, stored = trial.drained, trial.paced, trial.stored
        on_disk = f"{stored.record_bytes}; on disk {stored.version_bytes / stored.customers:,.0f}" if stored else "–"
        rows.append(
            [
                f"{trial.customers:,}" if first == "customers" else trial.system,
                number(drained.throughput) if drained else "–",
                _quantiles(paced.scores) if paced else "–",
                _kept_up(paced) if paced else "–",
                f"{sum(drained.memory_bytes.values()) / GIB:.1f}" if drained else "–",
                on_disk,
                f"{stored.checkpoint_bytes / (1 << 20):,.0f}" if stored else "–",
                number(trial.start_seconds),
            ]
        )
    return table(header, rows) if rows else ""


def _soak(result: Result) -> str:
    if result.soak is None:
        return ""
    growth = soak_growth(result.soak)
    if growth is None:
        return f"{_steady([result.soak.paced])}\n\nToo short to compare its end with minute two."
    rows = [
        [process, *(f"{used / (1 << 20):,.0f}" for used in _first_and_last_minute(readings))]
        for process, readings in result.soak.memory_bytes.items()
    ]
    text = "The last minute against minute two: memory of all processes {:+.1%}, p99 of the latency {:+.1%}."
    minutes = table(["", "minute two, MiB", "last minute, MiB"], rows)
    return f"{_steady([result.soak.paced])}\n\n{text.format(*growth)}\n\n{minutes}"


def _first_and_last_minute(readings: list[list[float]]) -> tuple[float, float]:
    end = readings[-1][0]
    two = [used for at, used in readings if 60 <= at < 120] or [readings[0][1]]
    last = [used for at, used in readings if at >= end - 60]
    return sum(two) / len(two), sum(last) / len(last)


def _pieces(pieces: Sequence[Piece]) -> str:
    rows = [[piece.name, piece.side, *([piece.failed, "", ""] if piece.failed else _piece(piece))] for piece in pieces]
    return table(["piece", "of", "µs", "of it µs CPU", "a second"], rows) if rows else ""


def _piece(piece: Piece) -> list[str]:
    return [f"{piece.us:.3f}", f"{piece.cpu_us:.3f}", number(1e6 / piece.us if piece.us else None)]


def _peers(result: Result) -> str:
    if not result.trials:
        return ""
    others = [trial.system for trial in result.trials[1:]]
    ratios = [[name, *(number(found(result, name)) for found in (throughput_ratio, latency_ratio))] for name in others]
    against = table(["Scoreline against", "throughput, times", "p50 latency, times shorter"], ratios) if ratios else ""
    return "\n\n".join(filter(None, [_with_drained(result.trials), against]))


def _with_drained(trials: Sequence[Trial]) -> str:
    failed = "\n".join(f"- {trial.system}: {trial.failed}" for trial in trials if trial.failed)
    drained = _drained([(trial.system, trial.drained) for trial in trials if trial.drained])
    return "\n\n".join(filter(None, [_trials(trials, "system"), drained, failed])) if trials else ""


def _generator(result: Result) -> str:
    found = result.generator
    if found is None:
        return ""
    return (
        f"{found.records:,} transactions at full speed into the broker: {number(found.txn_per_s)} a second as the topic "
        f"grew, {number(found.own_txn_per_s)} by the generator's own count."
    )
