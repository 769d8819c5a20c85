"""What a run came to: a table, the conditions that it has to meet, and one line of JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from demo.accounts import Accounts, unpacked
from demo.labelled import DETECTOR, Labelled
from demo.parts import PartQuality
from demo.quality import Quality, ScenarioResult
from demo.story import Outcome
from demo.story_summary import parts_table, story_figures, story_lines, versions_in_words
from demo.view import share
from ml.explanation import duration

LEAST_SHARE: Final = 0.95
"""Of RATE × DURATION, that has to be generated."""

PATIENCE_SECONDS: Final = 60.0
"""How long after the end everything has to be scored."""


@dataclass(frozen=True)
class Result:
    """All figures of a run that has ended."""

    rate: float
    seconds: float
    """How long the generator was to send, or did send where it was ended early."""
    accounts: Accounts
    points: int
    points_in: str
    latency_ms_p50: int | None
    latency_ms_p99: int | None
    early_alerts: int
    early_latency_ms_p50: int | None
    early_latency_ms_p99: int | None
    quality: Quality
    scenarios: Sequence[ScenarioResult]
    parts: Sequence[PartQuality]
    """How well each version judged in each chapter."""
    outcome: Outcome
    labelled: Labelled | None
    """What a model finds in the same traffic that learned from labels; None where one was promoted in the run."""
    model_version: int | None
    first_alert_seconds: float | None
    """From the demo's start to the first alert, the job's or the service's."""
    further: Sequence[tuple[str, str]]
    logs: Path
    page: str | None = None
    """The address that the analyst's page had; None where it did not start."""

    @property
    def wanted(self) -> float:
        return self.rate * self.seconds


def failed_conditions(result: Result) -> list[str]:
    """One line for each condition that the run does not meet: what was required, what came, what it means."""
    accounts, failed = result.accounts, []
    if accounts.generated < LEAST_SHARE * result.wanted:
        failed.append(
            f"{accounts.generated:,} transactions were generated, and at least {LEAST_SHARE * result.wanted:,.0f} are "
            f"required (95 % of {result.rate:g}/s × {result.seconds:,.0f} s): the generator did not keep the rate, so the "
            "other figures are those of less traffic."
        )
    if len(accounts.missing):
        partition, offset = unpacked(int(accounts.missing[0]))
        failed.append(
            f"{len(accounts.missing):,} transactions are neither scored nor invalid {PATIENCE_SECONDS:.0f} s after the end, "
            f"the first at partition {partition}, offset {offset}: the job is too slow, or stuck; see {result.logs}."
        )
    if result.points != accounts.scored:
        failed.append(
            f"{result.points_in} holds {result.points:,} distinct points of {accounts.scored:,} scores: its panels do not show "
            f"what happened; see the lines of publish in {result.logs}."
        )
    if not accounts.alerts:
        failed.append("There was no alert: the run was too short for one, or the model finds nothing.")
    return failed


def json_line(result: Result) -> str:
    """The figures for a program, as one JSON object."""
    accounts, quality = result.accounts, result.quality
    figures = {
        "generated": accounts.generated,
        "scored": accounts.scored,
        "invalid": accounts.invalid,
        "alerts": accounts.alerts,
        "influx_points": result.points,
        "latency_ms_p50": result.latency_ms_p50,
        "latency_ms_p99": result.latency_ms_p99,
        "early_alerts": result.early_alerts,
        "early_latency_ms_p50": result.early_latency_ms_p50,
        "early_latency_ms_p99": result.early_latency_ms_p99,
        "first_alert_s": None if result.first_alert_seconds is None else round(result.first_alert_seconds, 1),
        "precision": _rounded(quality.precision),
        "recall": _rounded(quality.recall),
        "model_version": result.model_version,
    }
    return json.dumps(figures | story_figures(result.parts, result.outcome) | {"page": result.page})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def print_summary(result: Result, console: Console) -> None:
    """The tables, and where to look further."""
    console.print()
    console.print(figures_table(result))
    console.print()
    console.print(parts_table(result.parts, result.outcome))
    for line in story_lines(result.outcome):
        console.print(line, markup=False, soft_wrap=True)
    console.print()
    if result.scenarios:
        console.print(scenarios_table(result.scenarios, None if result.labelled is None else result.labelled.alerted))
    else:
        console.print("There was no fraud in this run.")
    console.print()
    for what, where in result.further:
        console.print(f"{what:<10}{where}", markup=False, soft_wrap=True)


def figures_table(result: Result) -> Table:
    accounts, quality = result.accounts, result.quality
    table = Table(box=None, show_header=False, pad_edge=False, title="What the run came to", title_justify="left")
    kept = f"{accounts.generated / result.wanted:.1%}".replace("%", " %") if result.wanted else "nothing"
    first = (
        "" if result.first_alert_seconds is None else f", the first {result.first_alert_seconds:,.0f} s after the start"
    )
    rows = [
        ("generated", f"{accounts.generated:,}", f"{kept} of {result.rate:g}/s × {result.seconds:,.0f} s"),
        ("scored", f"{accounts.scored:,}", f"by {versions_in_words(result.parts, result.outcome.learned)}"),
        ("invalid", f"{accounts.invalid:,}", "dead letters, each with its reason"),
        ("unaccounted", f"{len(accounts.missing):,}", "neither scored nor invalid, by partition and offset"),
        ("points", f"{result.points:,}", f"distinct ones in {result.points_in}"),
        ("latency", _ms(result.latency_ms_p50), f"median; p99 {_ms(result.latency_ms_p99)}; from Kafka to Kafka"),
        ("early alerts", f"{result.early_alerts:,}", _early(result)),
        ("alerts", f"{accounts.alerts:,}", f"{_per_10_000(accounts.alerts, accounts)} in 10,000{first}"),
        ("precision", share(quality.precision), f"{quality.caught:,} of {quality.alerts:,} alerts are fraud"),
        ("recall", share(quality.recall), f"of {quality.frauds:,} frauds"),
        ("false alarms", f"{quality.false_alarms:,}", f"{_per_10_000(quality.false_alarms, accounts)} in 10,000"),
        *([] if result.labelled is None else _with_labels(result.labelled, accounts)),
    ]
    for name, figure, meaning in rows:
        table.add_row(name, figure, meaning)
    table.columns[1].justify = "right"
    table.columns[1].style = "bold"
    return table


def _with_labels(labelled: Labelled, accounts: Accounts) -> list[tuple[str, str, str]]:
    learned = labelled.quality
    return [
        ("with labels:", "", f"the same traffic, afterwards, by version {labelled.version}, {DETECTOR}"),
        ("precision", share(learned.precision), f"{learned.caught:,} of {learned.alerts:,} alerts are fraud"),
        ("recall", share(learned.recall), f"of {learned.frauds:,} frauds, by a model that learned from labels"),
        ("false alarms", f"{learned.false_alarms:,}", f"{_per_10_000(learned.false_alarms, accounts)} in 10,000"),
    ]


def _early(result: Result) -> str:
    if result.early_latency_ms_p50 is None:
        return "the service sent none"
    return f"median {_ms(result.early_latency_ms_p50)}; p99 {_ms(result.early_latency_ms_p99)}; by the service"


def _per_10_000(count: int, accounts: Accounts) -> str:
    return f"{count / accounts.scored * 10_000:.1f}" if accounts.scored else "0"


def _ms(value: int | None) -> str:
    return "–" if value is None else f"{value:,} ms"


def scenarios_table(scenarios: Sequence[ScenarioResult], with_labels: Mapping[str, int] | None) -> Table:
    """Campaigns and transactions of each scenario; a campaign is caught when at least one of its transactions was alerted.

    with_labels: how many frauds of each scenario the model alerts that learned from labels, where it was asked afterwards.
    """
    alerted = "frauds alerted" if with_labels is None else "frauds alerted\n(with labels)"
    columns = "campaigns", "caught", alerted, "first alert at (median)"
    table = Table(*columns, box=None, pad_edge=False)
    for column in table.columns[1:3]:
        column.justify = "right"
    for s in scenarios:
        table.add_row(
            s.scenario.replace("_", " "),
            f"{s.caught:,} of {s.campaigns:,}",
            f"{s.alerted:,}{'' if with_labels is None else f' ({with_labels.get(s.scenario, 0):,})'} of {s.frauds:,}",
            _detection(s),
        )
    return table


def _detection(s: ScenarioResult) -> str:
    if s.median_transactions is None or s.median_seconds is None:
        return "–"
    return f"transaction {s.median_transactions:g}, after {duration(s.median_seconds)}"
